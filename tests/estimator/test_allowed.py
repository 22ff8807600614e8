"""Training and queries of the estimator on graphs with cycles and forbidden pairs of labels."""

import itertools

import numpy as np
import pytest

from skstruct import GraphCRFClassifier
from skstruct.decoding import Decoder
from skstruct.exceptions import InfeasibleGraph
from skstruct.features import ConstrainedFeatures

LABELS = ["a", "b", "c"]
DIFFER = [(label, label) for label in LABELS]
HARD = [(0, 1), (0, 4), (1, 2), (1, 3), (1, 4), (2, 3), (3, 4)]
WHEEL = [(0, i) for i in range(1, 7)] + [(i, i % 6 + 1) for i in range(1, 7)]
PRISM = [(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3), (0, 3), (1, 4), (2, 5)]
RING = [(i, (i + 1) % 9) for i in range(9)]
GRAPHS = [(HARD, "abcac"), (WHEEL, "abcbcbc"), (PRISM, "abcbca"), (RING, "abcabcabc")]


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    X, y = [], []
    for edges, labels in GRAPHS * 3:
        labels = np.array(list(labels))[None]
        names = np.array(LABELS)[rng.permutation(3)]
        labels = names[np.searchsorted(LABELS, labels[0])]
        X.append((np.eye(3)[np.searchsorted(LABELS, labels)] + rng.normal(size=(len(labels), 3)), edges))
        y.append(labels)
    return X, y


def proper(X, labels):
    return all((one[i] != one[j]) for (_, edges), one in zip(X, labels) for i, j in edges)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # approximate losses jump
@pytest.mark.filterwarnings("ignore:with edges the model is worse")  # mean field: some labels have probability 0
@pytest.mark.parametrize("inference", ["auto", "loopy_bp", "mean_field", "tree_reweighted"])
def test_labels_that_are_allowed_can_be_learned(data, inference):
    X, y = data
    assert proper(X, y)
    crf = GraphCRFClassifier(ConstrainedFeatures(forbidden_pairs=DIFFER), inference=inference, C=0.1).fit(X, y)
    assert proper(X, crf.predict(X))
    assert np.isfinite(crf.log_partition(X)).all()
    assert np.isfinite(crf.entropy(X)).all()
    if inference in ("auto", "mean_field"):
        assert (crf.log_likelihood(X, y) <= 1e-9).all()
    if inference == "auto":
        assert crf.score(X, y) > 0.5


@pytest.mark.parametrize(
    "decoding", ["auto", "icm", "alpha_expansion", "tree_reweighted", "linear_program", "integer_program"]
)
def test_decoders_keep_constraints(data, decoding):
    """Of 1,200 predictions by iterated conditional modes, 141 were errors, though there is a labelling."""
    X, y = data
    crf = GraphCRFClassifier(ConstrainedFeatures(forbidden_pairs=DIFFER), decoding="map", C=0.1).fit(X, y)
    crf.set_params(decoding=decoding)
    rng = np.random.default_rng(1)
    unseen = [(3 * rng.normal(size=(len(one), 3)), edges) for one, edges in X * 10]
    if decoding == "alpha_expansion":
        with pytest.raises(ValueError, match="alpha_expansion"):  # it cannot enforce that neighbours differ
            crf.predict(unseen)
        return
    assert proper(unseen, crf.predict(unseen))


@pytest.fixture
def no_colouring(data):
    """A model, a graph without any allowed labelling behind one with many, and labels for them."""
    X, y = data
    crf = GraphCRFClassifier(ConstrainedFeatures(forbidden_pairs=DIFFER), C=0.1).fit(X, y)
    four = list(itertools.combinations(range(4), 2))
    return crf, [X[0], (np.zeros((4, 3)), four)], [y[0], np.array(["a", "b", "c", "a"])]


QUERIES = {
    "predict": lambda crf, X, y: crf.predict(X),
    "predict_proba": lambda crf, X, y: crf.predict_proba(X),
    "predict_log_proba": lambda crf, X, y: crf.predict_log_proba(X),
    "predict_edge_proba": lambda crf, X, y: crf.predict_edge_proba(X),
    "predict_top_k": lambda crf, X, y: crf.predict_top_k(X, 2),
    "sample": lambda crf, X, y: crf.sample(X, 2, random_state=0),
    "log_partition": lambda crf, X, y: crf.log_partition(X),
    "log_partition_bounds": lambda crf, X, y: crf.log_partition_bounds(X),
    "entropy": lambda crf, X, y: crf.entropy(X),
    "log_likelihood": lambda crf, X, y: crf.log_likelihood(X, y),
    "score": lambda crf, X, y: crf.score(X, y),
    "fit": lambda crf, X, y: crf.set_params(missing_label="?").fit(X, [y[0], np.array(["?"] * 4)]),
}


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("inference", ["auto", "loopy_bp", "mean_field", "gibbs", "tree_reweighted"])
def test_impossible_graphs_are_errors_in_all_queries(no_colouring, inference, query):
    crf, X, y = no_colouring
    if (query == "predict_top_k" and inference != "auto") or (query == "fit" and inference != "auto"):
        return
    crf.set_params(inference=inference)
    with pytest.raises(InfeasibleGraph, match="graph 1: no labelling is allowed, all score -inf"):
        QUERIES[query](crf, X, y)


class First(Decoder):
    """A decoder that gives all nodes the first label."""

    name = "first"
    family = "any graph"

    def _decode_graph(self, edges, scores):
        return np.zeros(len(scores.node), np.intp), 0.0


def test_what_a_decoder_does_not_find_may_exist(data):
    X, y = data
    crf = GraphCRFClassifier(ConstrainedFeatures(forbidden_pairs=DIFFER), decoding=First(), C=0.1).fit(X, y)
    with pytest.raises(InfeasibleGraph, match=r"graph 0: no allowed labelling was found, .* decoding='auto'"):
        crf.predict(X)
