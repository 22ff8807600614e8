"""Forbidden pairs and allowed labels, in training and prediction."""

import itertools

import numpy as np
import pytest
from scipy.sparse import csr_array

from skstruct import GraphCRFClassifier, GraphDataset
from skstruct.exceptions import InfeasibleGraph
from skstruct.features import ConstrainedFeatures, LinearFeatures, _edge_scores, bio_forbidden_pairs
from skstruct.scores import Scores, edge_rows

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


def test_pairs_with_labels_that_are_no_classes_change_nothing(sentences):
    X, y = sentences
    pairs = bio_forbidden_pairs(BIO)
    expected, found = (
        GraphCRFClassifier(ConstrainedFeatures(LinearFeatures(), forbidden_pairs=p)).fit(X, y)
        for p in (pairs, [*pairs, ("O", "I-z"), ("B-z", "I-x"), ("no", "such")])
    )
    np.testing.assert_array_equal(found.coef_, expected.coef_)
    np.testing.assert_array_equal(found.edge_coef_, expected.edge_coef_)


TAGS = np.array(["B-PER", "I-PER", "O", "B-LOC"])
PAIRS = [("O", "I-PER"), ("B-LOC", "I-PER")]
MISSPELT = [  # other spellings of the labels of y, or of the pairs
    lambda tag: tag.lower(),
    lambda tag: tag.replace("-", "_"),
    lambda tag: tag.replace("-", ":"),
    lambda tag: tag.replace("-", ""),
    lambda tag: "-".join(tag.split("-")[::-1]),
    lambda tag: f" {tag}",
    lambda tag: f"{tag}\n",
    lambda tag: f"NER/{tag}",
    lambda tag: tag.replace("PER", "Per").replace("LOC", "Loc"),
    lambda tag: TAGS.tolist().index(tag),
    lambda tag: float(TAGS.tolist().index(tag)),
]


@pytest.mark.parametrize("typed", [False, True])
@pytest.mark.parametrize("in_y", [False, True])
@pytest.mark.parametrize("spell", MISSPELT)
def test_constraints_that_name_other_labels_are_not_ignored(spell, in_y, typed):
    graph = [[1.0], [0.0], [1.0]], [(0, 1), (1, 2)], [[1.0], [1.0]]
    y, pairs = [["B-PER", "I-PER", "O"], ["O", "B-LOC", "O"]], PAIRS
    if in_y:
        y = [[spell(tag) for tag in tags] for tags in y]
    else:
        pairs = [(spell(a), spell(b)) for a, b in pairs]
    crf = GraphCRFClassifier(ConstrainedFeatures(forbidden_pairs={0: pairs} if typed else pairs))
    name = r"forbidden_pairs\[0\]" if typed else "forbidden_pairs"
    is_partial = spell("O") == "O"  # "O" matches, and other labels have another form
    if is_partial and spell("B-PER") in ("PER-B", "BPER"):
        with pytest.warns(UserWarning, match=f"{name} forbids nothing here"):
            crf.fit([graph] * 2, y)
        return
    with pytest.raises(ValueError, match=f"{name} has the label .* similar|{name} has none of the classes"):
        crf.fit([graph] * 2, y)


@pytest.mark.parametrize("labels", [["b-per", "O"], ["B_PER"], [0, 2], ["PER-B"], np.array(["B_PER", "O"]), {"o"}])
def test_allowed_labels_that_are_no_classes(labels):
    X = GraphDataset.from_sequences([[[1.0], [1.0], [1.0]]])
    with pytest.raises(ValueError, match=r"allowed_labels\[0\] has (the label|none of the classes)"):
        GraphCRFClassifier(ConstrainedFeatures(allowed_labels={0: labels})).fit(X, [["B-PER", "I-PER", "O"]])


@pytest.mark.parametrize(
    ("labels", "pairs"),
    [
        ("abc", [("a", "a"), ("A", "b")]),  # both are labels, and this fold lacks one
        (["+", "C", "D"], [("C++", "D"), ("+", "+"), ("-", "D")]),
        ([0, 1, 2], [(0, 0), (0, -1)]),
        ([1.0, 2.0, 15.0], [(1.0, 1), (1.5, -15)]),
        ([False, True], [(0, 0)]),
        ([0, 1], np.array([(0, 0), (1, 5)])),
        (["a", "b"], np.array([("a", "a"), ("z", "z")])),
        ("ab", {("a", "a"), ("a", "c")}),
        ("ab", [["a", "a"]]),
        ("ab", (("a", "a"),)),
        ("ab", []),
        ("ab", ()),
        ("ab", None),
    ],
)
def test_pairs_that_are_fine(labels, pairs):
    first = [labels[0], *labels[1:], labels[-1]]
    X = GraphDataset.from_sequences([[[1.0]] * len(first)])
    crf = GraphCRFClassifier(ConstrainedFeatures(forbidden_pairs=pairs)).fit(X, [first])
    together = crf.predict_edge_proba(X).values[:, 0, 0]
    assert (together == 0).all() == (pairs is not None and len(pairs) > 0)


def test_a_label_that_the_data_lack_can_be_a_class():
    X = GraphDataset.from_sequences([[[1.0], [0.5]]])
    features = ConstrainedFeatures(forbidden_pairs=[("a", "c")])
    with pytest.warns(UserWarning, match=r"forbids nothing here.*\['c'\] are not among the classes \['a', 'b'\]"):
        GraphCRFClassifier(features).fit(X, [["a", "b"]])
    crf = GraphCRFClassifier(features, classes=["a", "b", "c"]).fit(X, [["a", "b"]])
    assert crf.predict_edge_proba(X).values[0, 0, 2] == 0


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


@pytest.mark.parametrize("storage", [np.asarray, csr_array])
@pytest.mark.parametrize("shared_list", [False, True])
def test_constraints_on_shared_matrices(storage, shared_list, monkeypatch):
    """Edges with equal features share a matrix; all is as if each edge had its own one."""
    rng, n_edges = np.random.default_rng(0), 40
    kinds = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 1], [2, 0, 1]], float)[rng.integers(0, 4, n_edges)]
    edges = [(t, t + 1) for t in range(20)] * 2
    X = GraphDataset(rng.normal(size=(42, 2)), edges, storage(kinds), [0, 21, 42], [0, 20, 40])
    pairs = [(0, 1)] if shared_list else {0: [(0, 1)], 2: [(1, 1), (0, 2)]}
    plan = ConstrainedFeatures(forbidden_pairs=pairs).plan(X, np.arange(3))
    coef, direction = rng.normal(size=(2, plan.n_coef))
    d_edge = rng.normal(size=(n_edges, 3, 3))

    def found():
        inputs = plan.prepare(X)
        scores, context = plan.scores(inputs, coef)
        rows = edge_rows(scores, n_edges)
        d_scores = Scores(np.zeros_like(scores.node), np.zeros_like(scores.edge), scores.edge_matrix)
        np.add.at(d_scores.edge, rows, d_edge * np.isfinite(scores.edge[rows]))
        gradient, stepped = np.zeros(plan.n_coef), coef.copy()
        plan.pullback(context, d_scores, gradient)
        plan.step(context, d_scores, stepped, 0.5)
        part = plan.scores(plan.slice_inputs(inputs, X, slice(1, 2)), coef)[0]
        tangent = plan.tangent(context, direction).edge[rows]
        return len(scores.edge), scores.edge[rows], gradient, stepped, part.edge[edge_rows(part, 20)], tangent

    n_shared, *shared = found()
    monkeypatch.setattr(_edge_scores, "few_distinct_rows", lambda table: None)
    n_own, *own = found()
    assert n_shared < n_own == n_edges
    for a, b in zip(shared, own):
        np.testing.assert_allclose(a, b, atol=1e-13)


def test_forbidden_training_labels_are_named(sentences):
    X, y = sentences
    y[4] = np.array(["O", "I-x"] + ["O"] * (len(y[4]) - 2))
    features = ConstrainedFeatures(forbidden_pairs=bio_forbidden_pairs(BIO))
    with pytest.raises(InfeasibleGraph, match="graph 4: the labels in y are forbidden"):
        GraphCRFClassifier(features).fit(X, y)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"forbidden_pairs": ["ab", ("a", "b", "c")]}, ValueError, "holds .* not a pair of labels"),
        ({"forbidden_pairs": ("O", "I-x")}, ValueError, "holds 'O', which is not a pair of labels"),
        ({"forbidden_pairs": [{"O", "I-x"}]}, ValueError, "holds .* not a pair of labels"),
        ({"forbidden_pairs": [1, 2]}, ValueError, "holds 1, which is not a pair of labels"),
        ({"forbidden_pairs": np.array(["O", "I-x"])}, ValueError, "holds .* not a pair of labels"),
        ({"forbidden_pairs": [(["O"], "I-x")]}, TypeError, "has a label that no class can be: unhashable"),
        ({"forbidden_pairs": "O I-x"}, TypeError, "forbidden_pairs must be a list of pairs of labels, got 'O I-x'"),
        ({"forbidden_pairs": 3}, TypeError, "forbidden_pairs must be a list of pairs of labels, got 3"),
        ({"forbidden_pairs": zip("O", "O")}, TypeError, "forbidden_pairs must be a list of pairs of labels, got <zip"),
        ({"forbidden_pairs": {3: []}}, ValueError, "forbidden_pairs has the key 3; keys are columns of the 0 edge"),
        ({"forbidden_pairs": {None: []}}, ValueError, "forbidden_pairs has the key None; keys are columns"),
        ({"allowed_labels": {"first": ["O"]}}, ValueError, "has the key 'first'; keys are columns of the 6 node"),
        ({"allowed_labels": {True: ["O"]}}, ValueError, "allowed_labels has the key True; keys are columns"),
        ({"allowed_labels": {-1: ["O"]}}, ValueError, "allowed_labels has the key -1; keys are columns"),
        ({"allowed_labels": {0.0: ["O"]}}, ValueError, "allowed_labels has the key 0.0; keys are columns"),
        ({"allowed_labels": {0: ["no such"]}}, ValueError, r"allowed_labels\[0\].*has none of the classes"),
        ({"allowed_labels": {0: []}}, ValueError, r"allowed_labels\[0\] is empty"),
        ({"allowed_labels": {0: "O"}}, TypeError, r"allowed_labels\[0\] must be a list of labels, got 'O'"),
        ({"allowed_labels": {0: 1}}, TypeError, r"allowed_labels\[0\] must be a list of labels, got 1"),
        ({"allowed_labels": {0: [["O"]]}}, TypeError, "has a label that no class can be: unhashable"),
        ({"allowed_labels": ["O"]}, TypeError, r"allowed_labels must be a dict .*, got \['O'\]"),
    ],
)
def test_malformed_constraints(sentences, parameters, error, message):
    with pytest.raises(error, match=message):
        GraphCRFClassifier(ConstrainedFeatures(**parameters)).fit(*sentences)


@pytest.mark.parametrize("key", [True, None, "0", 2, -1, 0.0])
def test_edge_types_that_do_not_exist(key):
    graph = [[1.0], [0.0]], [(0, 1)], [[1.0, 0.0]]
    features = ConstrainedFeatures(forbidden_pairs={key: [("a", "a")]})
    with pytest.raises(ValueError, match=r"forbidden_pairs has the key .* columns of the 2 edge features"):
        GraphCRFClassifier(features).fit([graph], [["a", "b"]])
