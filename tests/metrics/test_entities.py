"""Entities of sequences and their scores, compared with seqeval."""

import pickle
import warnings

import numpy as np
import pytest
from sklearn.metrics import f1_score as sklearn_f1_score
from sklearn.model_selection import GridSearchCV, LearningCurveDisplay, cross_validate, learning_curve

from skstruct import GraphCRFClassifier, RaggedArray
from skstruct.datasets import make_chain
from skstruct.metrics import (
    Entity,
    entity_f1,
    entity_f1_score,
    entity_precision_score,
    entity_recall_score,
    entity_report,
    entity_scorer,
    find_entities,
)
from skstruct.metrics._entities import RULES

PREFIXES = {"conll": "BIES", "BIO": "BI", "IOB1": "BI", "IOE2": "IE", "IOBES": "BIES", "BILOU": "BILU"}


def random_sequences(scheme, types, n):
    """Labels, and predictions with errors; most of them break the scheme."""
    rng = np.random.default_rng(len(scheme))
    prefixes = PREFIXES[scheme]
    labels = ["O", "O", *([f"{p}-{t}" for p in prefixes for t in types] if types else prefixes)]
    y = [rng.choice(labels, rng.integers(1, 12)).tolist() for _ in range(n)]
    return y, [[v if rng.random() < 0.7 else str(rng.choice(labels)) for v in sequence] for sequence in y]


def seqeval_options(scheme):
    from seqeval import scheme as schemes

    if scheme == "conll":
        return {}
    return {"mode": "strict", "scheme": getattr(schemes, "IOB2" if scheme == "BIO" else scheme)}


def seqeval_entities(sequences, scheme):
    from seqeval import scheme as schemes
    from seqeval.metrics.sequence_labeling import get_entities

    if scheme == "conll":
        found = [[(kind, a, b + 1) for kind, a, b in get_entities(sequence)] for sequence in sequences]
    else:
        tokens = getattr(schemes, "IOB2" if scheme == "BIO" else scheme)
        found = schemes.Entities(sequences, tokens).entities
        found = [[(entity.tag, entity.start, entity.end) for entity in part] for part in found]
    return [[("" if kind == "_" else kind, a, b) for kind, a, b in part] for part in found]


@pytest.mark.parametrize("types", [["x", "y-z", "Ö"], None], ids=["types", "no types"])
@pytest.mark.parametrize("scheme", PREFIXES)
def test_seqeval(scheme, types):
    """The same entities in random sequences, 1,000 in the most usual schemes, and the same scores of all of them."""
    metrics = pytest.importorskip("seqeval.metrics")
    y, predictions = random_sequences(scheme, types, 1000 if types and scheme in ("conll", "BIO", "IOBES") else 200)
    for sequences in (y, predictions):
        assert find_entities(sequences, scheme=scheme) == seqeval_entities(sequences, scheme)
    options = seqeval_options(scheme)
    for name, ours in (
        ("f1_score", entity_f1_score),
        ("precision_score", entity_precision_score),
        ("recall_score", entity_recall_score),
    ):
        for average in ("micro", "macro", "weighted", None):
            expected = getattr(metrics, name)(y, predictions, average=average, **options)
            found = ours(y, predictions, scheme=scheme, average=average)
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_seqeval_of_single_sequences():
    metrics = pytest.importorskip("seqeval.metrics")
    y, predictions = random_sequences("conll", ["x", "y"], 100)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # seqeval warns of sequences without entities
        expected = [metrics.f1_score([a], [b]) for a, b in zip(y, predictions)]
    found = [entity_f1_score([a], [b], zero_division=0.0) for a, b in zip(y, predictions)]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("scheme", "labels", "entities"),
    [
        ("conll", "B-x I-x O I-y B-y", [("x", 0, 2), ("y", 3, 4), ("y", 4, 5)]),
        ("conll", "B-x M-x E-x S-y U-y", [("x", 0, 3), ("y", 3, 4), ("y", 4, 5)]),
        ("conll", "B-x L-x I-x", [("x", 0, 2), ("x", 2, 3)]),
        ("BIO", "I-x B-x I-y I-x", [("x", 1, 2)]),
        ("IOBES", "B-x I-x E-x B-x S-y I-y", [("x", 0, 3), ("y", 4, 5)]),
        ("BMES", "B-x M-x E-x B-x S-y M-y", [("x", 0, 3), ("y", 4, 5)]),
        ("BMES", "B E O S M", [("", 0, 2), ("", 3, 4)]),
    ],
)
def test_entities_by_hand(scheme, labels, entities):
    expected = [[Entity(*entity) for entity in entities], []]
    assert find_entities([labels.split(), ["O"]], scheme=scheme) == expected


@pytest.mark.parametrize("scheme", [name for name in RULES if name != "conll"])
def test_conll_reads_every_scheme(scheme):
    """Chunks that are written in a scheme are found by its rules and by those of conlleval."""
    forms = {  # labels of a chunk of 1, 2, ... nodes
        "BIO": "B BI BII", "IOB1": "I II III", "IOE2": "E IE IIE",
        "IOBES": "S BE BIE", "BILOU": "U BL BIL", "BMES": "S BE BME",
    }[scheme].split()  # fmt: skip  # a table of two lines instead of six
    rng = np.random.default_rng(0)
    sequences, expected = [], []
    for _ in range(50):
        labels, entities = [], []
        for length, kind, gap in zip(rng.integers(0, 3, 5), rng.choice(["x", "y"], 5), rng.integers(0, 2, 5)):
            gap = 1 if scheme == "IOB1" else gap  # chunks of one type that touch are written with B
            entities.append(Entity(str(kind), len(labels), len(labels) + len(forms[length])))
            labels += [f"{p}-{kind}" for p in forms[length]] + ["O"] * gap
        sequences.append(labels)
        expected.append(entities)
    assert find_entities(sequences, scheme=scheme) == find_entities(sequences) == expected


def test_empty_sequences_and_no_entities():
    assert find_entities([[], ["B-x"], []]) == [[], [Entity("x", 0, 1)], []]
    assert find_entities([]) == []
    y = [["O", "O"], []]
    for average in ("micro", "macro", "weighted"):
        assert entity_f1_score(y, y, average=average, zero_division=1.0) == 1.0
    with pytest.warns(UserWarning, match="ill-defined"):
        assert entity_f1_score(y, y) == 0.0
    assert entity_f1_score([["B-x"]], [["B-x"]]) == 1.0
    assert "micro avg" in entity_report([["B-x"], ["B-y"]], [["B-x"], ["B-y"]])  # also if all entities are right


def test_weights_are_repetitions():
    y, predictions = random_sequences("BIO", ["x", "y"], 30)
    times = np.arange(30) % 4
    repeated = [[part for part, n in zip(side, times) for _ in range(n)] for side in (y, predictions)]
    for average in ("micro", "macro", "weighted"):
        found = entity_f1_score(y, predictions, average=average, sample_weight=times)
        assert found == pytest.approx(entity_f1_score(*repeated, average=average), abs=1e-12)
    with pytest.raises(ValueError, match=r"one number per sequence, shape \(30,\), got shape \(3,\)"):
        entity_f1_score(y, predictions, sample_weight=[1, 2, 3])
    with pytest.raises(ValueError, match="sample_weight is zero for everything"):
        entity_f1_score(y, predictions, sample_weight=np.zeros(30))


@pytest.mark.parametrize("missing", [None, -1, np.nan])
def test_nodes_without_label_are_removed(missing):
    y, predictions = random_sequences("BIO", ["x", "y"], 50)
    dropped = [[i % 3 == 1 for i in range(len(part))] for part in y]
    marked = [[missing if d else v for v, d in zip(part, drop)] for part, drop in zip(y, dropped)]
    short = [
        [[v for v, d in zip(part, drop) if not d] for part, drop in zip(side, dropped)] for side in (y, predictions)
    ]
    mark = np.nan if missing is None else missing
    assert entity_f1_score(marked, predictions, missing_label=mark) == entity_f1_score(*short)


def test_report():
    reports = pytest.importorskip("seqeval.metrics")
    y, predictions = random_sequences("conll", ["x", "y"], 100)
    found = entity_report(y, predictions, output_dict=True)
    expected = reports.classification_report(y, predictions, output_dict=True)
    assert list(found) == list(expected)
    for row, scores in expected.items():
        assert found[row] == pytest.approx(scores, abs=1e-12)
    assert (
        entity_report(y, predictions, digits=3).split()
        == reports.classification_report(y, predictions, digits=3).split()
    )


def test_refusals():
    y = [["B-x", "O"], ["O"]]
    with pytest.raises(ValueError, match=r"scheme must be one of .*'conll', 'BIO'.* got 'bio'"):
        entity_f1_score(y, y, scheme="bio")
    with pytest.raises(ValueError, match="y has the label 'B-x', but scheme='IOE2' has the prefixes O, I, E"):
        entity_f1_score(y, y, scheme="IOE2")
    with pytest.raises(ValueError, match="predictions has the label 'V-x', but scheme='conll'"):
        entity_f1_score(y, [["V-x", "O"], ["O"]])
    with pytest.raises(ValueError, match=r"predictions must be strings such as 'O', 'B-x' .* got 'NOUN'"):
        entity_f1_score(y, [["NOUN", "O"], ["O"]])
    with pytest.raises(ValueError, match=r"predictions contains NaN or None: predictions\[1\]\[0\] is None"):
        entity_f1_score(y, [["B-x", "O"], [None]])
    with pytest.raises(TypeError, match=r"y must be strings .* got 0, a int"):
        entity_f1_score([[1, 0], [0]], [[1, 0], [0]])
    with pytest.raises(ValueError, match="need one array of labels per sequence, but the predictions are flat"):
        entity_f1_score(["B-x", "O"], ["B-x", "O"])
    with pytest.raises(ValueError, match=r"graph 1 has 2 nodes but y\[1\] has 1 values"):
        entity_f1_score(y, [["B-x", "O"], ["O", "O"]])
    with pytest.raises(ValueError, match="unknown metric 'auc' of entities; known are f1, precision, recall"):
        entity_scorer("auc")


@pytest.fixture(scope="module")
def tagged():
    X, y = make_chain(n_graphs=24, n_states=3, return_X_y=True, random_state=0)
    return X, RaggedArray(np.array(["B-x", "I-x", "O"])[y.values], y.ptr)


def test_scorers_in_the_tools(tagged):
    X, y = tagged
    crf = GraphCRFClassifier(max_iter=5, tol=1e-1)
    scoring = {"f1": entity_f1, "strict": entity_scorer(scheme="BIO", zero_division=0.0)}
    found = cross_validate(crf, X, y, cv=2, scoring=scoring, error_score="raise", return_estimator=True)
    expected = entity_f1_score(y[:12], found["estimator"][0].predict(X[:12]))
    assert found["test_f1"][0] == expected > 0.3
    search = GridSearchCV(crf, {"C": [0.01, 1.0]}, cv=2, scoring=entity_f1, error_score="raise").fit(X, y)
    assert search.score(X, y) == entity_f1_score(y, search.predict(X))
    curve = {"cv": 2, "train_sizes": [0.5, 1.0], "error_score": "raise"}
    assert np.isfinite(learning_curve(crf, X, y, scoring=entity_f1, **curve)[2]).all()
    pytest.importorskip("matplotlib")
    display = LearningCurveDisplay.from_estimator(crf, X, y, scoring=entity_f1, **curve)
    assert display.ax_.get_ylabel() == "Entity f1"


def test_scorer_by_hand(tagged):
    X, y = tagged
    crf = GraphCRFClassifier(max_iter=5, tol=1e-1).fit(X, y)
    predictions = crf.predict(X)
    weight = np.arange(1.0, 25.0)
    macro = pickle.loads(pickle.dumps(entity_scorer("precision", scheme="BIO", average="macro")))
    assert macro.__name__ == "entity_precision"
    expected = entity_precision_score(y, predictions, scheme="BIO", average="macro", sample_weight=weight)
    assert macro(crf, X, y, sample_weight=weight) == expected
    with pytest.raises(ValueError, match=r"with dataset\.nodes as samples, use the dataset instead"):
        entity_f1(crf, X.nodes, y.values)
    assert sklearn_f1_score(y.values, predictions.values, average="micro") != entity_f1(crf, X, y)
