"""Samples, entropy, k best, known labels, bounds and decoders of the estimator, against enumeration."""

import numpy as np
import pytest

from skstruct import GraphCRFClassifier, GraphDataset, RaggedArray, functional
from skstruct.decoding import DECODERS
from skstruct.exceptions import InfeasibleGraph, UnsupportedTopology
from skstruct.features import ConstrainedFeatures
from skstruct.inference import LoopyBP

LABELS = ["a", "b", "c"]


@pytest.fixture(scope="module")
def fitted():
    """A model on a chain, a cycle, single nodes and a graph without nodes, and all labellings of each graph."""
    rng = np.random.default_rng(0)
    shapes = [([(0, 1), (1, 2)], 3), ([(0, 1), (1, 2), (2, 3), (3, 0)], 4), ([], 2), ([], 0), ([(0, 1), (0, 1)], 2)]
    X = [(rng.normal(size=(n, 2)), edges) for edges, n in shapes]
    y = [rng.choice(LABELS, n) for _, n in shapes]
    return GraphCRFClassifier(C=3.0).fit(X, y), X, y


def labellings(crf, X, g):
    """All labellings of graph `g` as codes, with log-probabilities, best first."""
    node, edge = (each[g] for each in crf.scores(X))
    edges = X[g][1]
    codes = np.array(list(np.ndindex(*[len(crf.classes_)] * len(node))), dtype=int)
    total = node[np.arange(len(node)), codes].sum(axis=1)
    for e, (i, j) in enumerate(edges):
        total += edge[e, codes[:, i], codes[:, j]]
    order = np.argsort(-total)
    return codes[order], (total - np.logaddexp.reduce(total))[order]


def test_entropy(fitted):
    crf, X, _ = fitted
    for g, found in enumerate(crf.entropy(X)):
        log_probability = labellings(crf, X, g)[1]
        assert found == pytest.approx(-(np.exp(log_probability) * log_probability).sum(), abs=1e-9)


def test_top_k(fitted):
    crf, X, _ = fitted
    labels, log_likelihood = crf.predict_top_k(X, k=12)
    for g in range(len(X)):
        codes, log_probability = labellings(crf, X, g)
        n = min(12, len(codes))
        np.testing.assert_array_equal(labels[g][:, :n].T, crf.classes_[codes[:n]])
        np.testing.assert_allclose(log_likelihood[g, :n], log_probability[:n], atol=1e-9)
        assert np.isneginf(log_likelihood[g, n:]).all()
        assert (labels[g][:, n:] == labels[g][:, :1]).all()


def test_samples_have_the_marginals_and_are_joint(fitted):
    crf, X, _ = fitted
    drawn = crf.sample(X, n_samples=4000, random_state=3)
    for g, (found, proba) in enumerate(zip(drawn, crf.predict_proba(X))):
        share = (found[:, :, None] == crf.classes_).mean(axis=1)
        np.testing.assert_allclose(share, proba, atol=0.04)  # 5 standard errors
        codes, log_probability = labellings(crf, X, g)
        best = (found == crf.classes_[codes[0]][:, None]).all(axis=0).mean()
        assert best == pytest.approx(np.exp(log_probability[0]), abs=0.04)
    again = crf.set_params(n_jobs=2).sample(X, n_samples=4000, random_state=3)
    crf.set_params(n_jobs=None)
    np.testing.assert_array_equal(drawn.values, again.values)


def test_known_labels_condition_predictions(fitted):
    crf, X, _ = fitted
    known = [np.full(len(x), None) for x, _ in X]
    known[0][2], known[1][0] = "b", "c"
    proba, labels, drawn = crf.predict_proba(X, known), crf.predict(X, known), crf.sample(X, 20, known)
    entropy = crf.entropy(X, known)
    for g in range(len(X)):
        codes, log_probability = labellings(crf, X, g)
        given = np.array([value is not None for value in known[g]], bool)
        agree = (crf.classes_[codes[:, given]] == known[g][given]).all(axis=1)
        codes, log_probability = codes[agree], log_probability[agree]
        log_probability = log_probability - np.logaddexp.reduce(log_probability)
        weight = np.exp(log_probability)
        for i in range(len(X[g][0])):
            np.testing.assert_allclose(proba[g][i], np.bincount(codes[:, i], weight, 3), atol=1e-9)
        assert (labels[g] == crf.classes_[codes[0]]).all()
        assert (drawn[g][given] == known[g][given][:, None]).all()
        assert entropy[g] == pytest.approx(-(weight * log_probability).sum(), abs=1e-9)


KNOWN = {
    "some": [[None, None, "b"], ["c", None, None, None], [None, "a"], [], [None, None]],
    "all": [["a", "b", "c"], ["c", "c", "a", "b"], ["a", "a"], [], ["b", "a"]],
    "none": [[None] * 3, [None] * 4, [None] * 2, [], [None] * 2],
    "one graph": [["a", None, "c"], [None] * 4, [None] * 2, [], [None] * 2],
}


def given(crf, X, known, g):
    """All labellings of graph `g` that agree with `known`, with conditional log-probabilities, best first."""
    codes, log_probability = labellings(crf, X, g)
    fixed = np.array([value is not None for value in known[g]], bool)
    values = np.array(known[g], object)[fixed]
    agree = (crf.classes_[codes[:, fixed]] == values).all(axis=1)
    codes, log_probability = codes[agree], log_probability[agree]
    return codes, log_probability - np.logaddexp.reduce(log_probability)


@pytest.mark.parametrize("form", [list, lambda known: RaggedArray.from_list([np.array(k, object) for k in known])])
@pytest.mark.parametrize("known", KNOWN.values(), ids=KNOWN)
def test_known_labels_condition_pairs_and_the_k_best(fitted, known, form):
    crf, X, y = fitted
    pairs = crf.predict_edge_proba(X, known=form(known))
    labels, log_likelihood = crf.predict_top_k(X, 5, known=form(known))
    right = []
    for g, (_, edges) in enumerate(X):
        codes, log_probability = given(crf, X, known, g)
        expected = np.zeros((len(edges), 3, 3))
        for e, (i, j) in enumerate(edges):
            np.add.at(expected[e], (codes[:, i], codes[:, j]), np.exp(log_probability))
        np.testing.assert_allclose(pairs[g], expected, atol=1e-9)
        n = min(5, len(codes))
        np.testing.assert_allclose(log_likelihood[g, :n], log_probability[:n], atol=1e-9)
        assert np.isneginf(log_likelihood[g, n:]).all()
        np.testing.assert_array_equal(labels[g][:, :n].T, crf.classes_[codes[:n]])
        right += (crf.classes_[codes[0]] == y[g]).tolist()
    assert crf.score(X, y, known=form(known)) == pytest.approx(np.mean(right))


def test_known_labels_of_tables_and_nodes(fitted):
    crf, X, y = fitted
    packed = GraphDataset.from_graphs(X)
    known, flat = KNOWN["some"], np.array([label for part in KNOWN["some"] for label in part], object)
    assert crf.score(packed.nodes, np.concatenate(y), known=flat) == crf.score(X, y, known=known)
    expected = crf.predict_edge_proba(X, known)
    np.testing.assert_array_equal(crf.predict_edge_proba(packed.nodes, flat).values, expected.values)
    backwards = np.arange(packed.n_nodes)[::-1]
    found, _ = crf.predict_top_k(packed.nodes[backwards], 2, flat[::-1])
    np.testing.assert_array_equal(found.values, crf.predict_top_k(X, 2, known)[0].values)
    table, labels = packed.node_features, np.concatenate(y)
    alone = GraphCRFClassifier().fit(table, labels)
    labels_2, log_likelihood = alone.predict_top_k(table, 1, known=labels)
    assert labels_2.values[:, 0].tolist() == labels.tolist()
    np.testing.assert_allclose(log_likelihood, 0.0, atol=1e-12)
    assert alone.score(table, labels, known=labels) == 1.0


def test_known_labels_weights_and_missing_ones_in_score(fitted):
    _, X, y = fitted
    crf = GraphCRFClassifier(C=3.0, missing_label="?").fit(X, y)
    known = [["?", "?", "b"], ["?"] * 4, ["?", "a"], [], ["?", "?"]]
    partly = [np.where(np.array(k, "U1") == "?", labels, "?") for k, labels in zip(known, y)]
    right = [crf.predict(X, known)[g] == labels for g, labels in enumerate(y)]
    others = [np.array(k, "U1") == "?" for k in known]
    assert crf.score(X, partly, known=known) == pytest.approx(
        np.concatenate([r[o] for r, o in zip(right, others)]).mean()
    )
    weights = [1.0, 2.0, 0.5, 1.0, 3.0]
    expected = np.average(np.concatenate(right), weights=np.repeat(weights, [len(labels) for labels in y]))
    assert crf.score(X, y, weights, known) == pytest.approx(expected)


@pytest.mark.parametrize(
    "query", ["predict", "predict_proba", "predict_edge_proba", "predict_top_k", "score", "sample"]
)
def test_known_labels_that_no_labelling_meets(query):
    X, y = [(np.zeros((2, 1)), [(0, 1)]), (np.zeros((3, 1)), [(0, 1), (1, 2)])], [["a", "b"], ["b", "b", "a"]]
    crf = GraphCRFClassifier(ConstrainedFeatures(forbidden_pairs=[("a", "a")])).fit(X, y)
    arguments = {"predict_top_k": (2,), "score": (y,)}.get(query, ())
    with pytest.raises(InfeasibleGraph, match="graph 1"):
        getattr(crf, query)(X, *arguments, known=[["a", "b"], ["a", "a", None]])
    for bad, message in [
        ([["a", "b"], ["a", "z", None]], r"known\[1\]\[1\] is 'z'"),
        ([["a", "b"], ["a", None]], r"graph 1 has 3 nodes but known\[1\] has 2"),
        ([["a", "b"]], "inconsistent numbers of samples"),
    ]:
        with pytest.raises(ValueError, match=message):
            getattr(crf, query)(X, *arguments, known=bad)


def test_known_labels_use_the_missing_label(fitted):
    _, X, y = fitted
    blank = GraphCRFClassifier(C=3.0, missing_label="?").fit(X, y)
    known = [["?", "?", "b"], ["?"] * 4, ["?", "a"], [], ["?", "?"]]
    assert blank.predict(X, known)[0][2] == "b"
    with pytest.raises(ValueError, match=r"known\[2\]\[1\] is 'z'"):
        blank.predict(X, [["?", "?", "b"], ["?"] * 4, ["?", "z"], [], ["?", "?"]])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        blank.predict(X, known[:3])


def test_bounds_meet_where_exact_and_hold_elsewhere(fitted):
    crf, X, y = fitted
    exact = crf.log_partition(X)
    for bound in crf.log_partition_bounds(X):
        np.testing.assert_allclose(bound, exact, atol=1e-10)
    loopy = GraphCRFClassifier(C=3.0, inference="loopy_bp").fit(X, y)
    truth = GraphCRFClassifier(C=3.0, inference="loopy_bp", max_iter=1000).fit(X, y)
    truth.set_params(inference=crf.inference_)  # the same weights, exact inference
    lower, upper = loopy.log_partition_bounds(X)
    assert (lower <= truth.log_partition(X) + 1e-9).all()
    assert (upper >= truth.log_partition(X) - 1e-9).all()


@pytest.mark.parametrize("name", DECODERS)
def test_decoders_by_name(fitted, name):
    _, X, y = fitted
    binary = GraphCRFClassifier(decoding=name, inference="loopy_bp").fit(X, [(part == "a").astype(int) for part in y])
    if name == "alpha_expansion":  # not for the couplings of this model
        with pytest.raises(UnsupportedTopology, match="decoding='auto'"):
            binary.predict(X)
        return
    labels = binary.predict(X)
    assert isinstance(labels, RaggedArray)
    if name in ("auto", "integer_program"):
        for g in range(len(X)):
            assert (labels[g] == binary.classes_[labellings(binary, X, g)[0][0]]).all()


def test_decoding_refuses_unknown_names(fitted):
    _, X, y = fitted
    with pytest.raises(ValueError, match=r"decoding must be one of .*'marginal'.*got 'best'"):
        GraphCRFClassifier(decoding="best").fit(X, y)


def test_top_k_refuses_approximate_inference(fitted):
    _, X, y = fitted
    loopy = GraphCRFClassifier(inference="loopy_bp").fit(X, y)
    with pytest.raises(UnsupportedTopology, match="graph 0: the k best labellings need exact decoding"):
        loopy.predict_top_k(X, 2)
    with pytest.raises(ValueError, match="k must be a positive integer"):
        loopy.predict_top_k(X, 0)


@pytest.mark.parametrize("count", [0, -1, 1.5, 2.0, np.nan, "3", None, True, [2], np.array(2), 2**31, 10**30])
def test_counts_are_positive_integers(fitted, count):
    crf, X, _ = fitted
    one = np.zeros((2, 2)), [(0, 1)], np.zeros((1, 2, 2))
    for call in (
        lambda: crf.sample(X, count),
        lambda: crf.predict_top_k(X, count),
        lambda: functional.sample(*one, n_samples=count),
        lambda: functional.top_k(*one, k=count),
    ):
        with pytest.raises(ValueError, match=r"(n_samples|k) must be a positive integer, got"):
            call()
    assert crf.sample(X, np.int64(2)).shape == (5, 2)


def test_report_has_a_row_per_graph(fitted):
    pandas = pytest.importorskip("pandas")
    crf, X, y = fitted
    frame = pandas.DataFrame(crf.inference_report(X))
    assert frame["backend"].tolist() == ["chain", "junction_tree", "edgeless", "chain", "chain"]
    assert frame["width"].tolist() == [-1, 2, -1, -1, -1]
    assert frame["entries"].tolist() == [0, 3**3 * 2 + 3**2 + 3, 0, 0, 0]
    assert (frame["gap"] == 0).all()
    assert (frame["seconds"] >= 0).all()
    loopy = GraphCRFClassifier(inference=LoopyBP(max_iter=200)).fit(X, y)
    report = loopy.inference_report(X)
    assert report["exact"].tolist() == [False] * 5
    assert (report["gap"] >= 0).all()
    assert report["n_iter"][1] >= 2
