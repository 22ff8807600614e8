"""Forbidden pairs and allowed labels, in training and prediction."""

import itertools

import numpy as np
import pytest
from scipy.sparse import csr_array

from skstruct import GraphCRFClassifier, GraphDataset
from skstruct.exceptions import InfeasibleGraph
from skstruct.features import ConstrainedFeatures, LinearFeatures, bio_forbidden_pairs

BIO = ["B-x", "B-y", "I-x", "I-y", "O"]


@pytest.fixture
def sentences():
    """Chunk labels from noisy features; column 0 marks the first token of a sentence."""
    rng = np.random.default_rng(0)
    X, y = [], []
    for _ in range(30):
        labels = []
        while len(labels) < 8:
            kind, length = rng.choice(["x", "y", "O"]), int(rng.integers(1, 4))
            labels += ["O"] * length if kind == "O" else [f"B-{kind}"] + [f"I-{kind}"] * (length - 1)
        onehot = np.array(BIO) == np.array(labels)[:, None]
        X.append(np.c_[np.arange(len(labels)) == 0, onehot + 1.2 * rng.normal(size=onehot.shape)])
        y.append(np.array(labels))
    return GraphDataset.from_sequences(X), y


def is_bio(labels):
    inside = [b for a, b in itertools.pairwise(["O", *labels]) if b.startswith("I-") and a[2:] != b[2:]]
    return not inside


def test_bio_predictions_are_always_well_formed(sentences):
    X, y = sentences
    features = ConstrainedFeatures(forbidden_pairs=bio_forbidden_pairs(BIO), allowed_labels={0: ["B-x", "B-y", "O"]})
    free, constrained = (GraphCRFClassifier(f, C=0.1).fit(X[:10], y[:10]) for f in ("linear", features))
    assert not all(is_bio(labels) for labels in free.predict(X))
    assert all(is_bio(labels) for labels in constrained.predict(X))
    drawn = constrained.sample(X, 20, random_state=0)
    assert all(is_bio(column) for labels in drawn for column in labels.T)


def test_training_sums_over_allowed_labellings_only(sentences):
    X, y = sentences
    features = ConstrainedFeatures(forbidden_pairs=bio_forbidden_pairs(BIO))
    crf = GraphCRFClassifier(features).fit(X, y)
    short = GraphDataset.from_sequences([X[0].node_features[:3]])
    node, edge = (each[0] for each in crf.scores(short))
    total = [
        node[np.arange(3), code].sum() + edge[0, code[0], code[1]] + edge[1, code[1], code[2]]
        for code in itertools.product(range(5), repeat=3)
        if not any((BIO[a], BIO[b]) in bio_forbidden_pairs(BIO) for a, b in itertools.pairwise(code))
    ]
    assert crf.log_partition(short)[0] == pytest.approx(np.logaddexp.reduce(total), abs=1e-9)


def test_unused_constraints_change_nothing(sentences):
    X, y = sentences
    plain = GraphCRFClassifier().fit(X, y)
    wrapped = GraphCRFClassifier(ConstrainedFeatures(LinearFeatures(), forbidden_pairs=[("no", "such")])).fit(X, y)
    np.testing.assert_allclose(wrapped.coef_, plain.coef_, atol=1e-12)
    np.testing.assert_allclose(wrapped.edge_coef_, plain.edge_coef_, atol=1e-12)


@pytest.mark.parametrize("storage", [np.asarray, csr_array])
def test_pairs_per_edge_type(storage):
    """Edges of type 1 (nonzero in column 1) must not join equal labels; those of type 0 may."""
    rng = np.random.default_rng(0)
    kinds = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    X = [(rng.normal(size=(4, 2)), [(0, 1), (1, 2), (2, 3)], storage(kinds)) for _ in range(20)]
    y = [[0, 0, 1, 1], [1, 1, 0, 0]] * 10
    features = ConstrainedFeatures(forbidden_pairs={1: [(0, 0), (1, 1)]})
    crf = GraphCRFClassifier(features).fit(X, y)
    pairs = crf.predict_edge_proba(X).values.reshape(20, 3, 2, 2)
    assert (np.einsum("gecc->ge", pairs)[:, 1] == 0).all()
    assert (np.einsum("gecc->ge", pairs)[:, [0, 2]] > 0.1).all()


def test_forbidden_training_labels_are_named(sentences):
    X, y = sentences
    y[4] = np.array(["O", "I-x"] + ["O"] * (len(y[4]) - 2))
    features = ConstrainedFeatures(forbidden_pairs=bio_forbidden_pairs(BIO))
    with pytest.raises(InfeasibleGraph, match="graph 4: the labels in y are forbidden"):
        GraphCRFClassifier(features).fit(X, y)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"forbidden_pairs": ["ab", ("a", "b", "c")]}, "holds .* not a pair of labels"),
        ({"forbidden_pairs": {3: []}}, "forbidden_pairs has the key 3; keys are columns of the 0 edge features"),
        ({"allowed_labels": {"first": ["O"]}}, "allowed_labels has the key 'first'; keys are columns of the 6 node"),
        ({"allowed_labels": {0: ["no such"]}}, r"allowed_labels\[0\].*has none of the classes"),
    ],
)
def test_malformed_constraints(sentences, parameters, message):
    with pytest.raises(ValueError, match=message):
        GraphCRFClassifier(ConstrainedFeatures(**parameters)).fit(*sentences)
