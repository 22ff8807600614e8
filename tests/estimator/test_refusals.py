"""Tools of scikit-learn that need one label per sample, odd shapes of X and y, and components in the wrong place."""

import warnings
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.sparse import csr_array
from sklearn import metrics as sklearn_metrics
from sklearn.calibration import CalibrationDisplay
from sklearn.cluster import KMeans
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    StratifiedShuffleSplit,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    train_test_split,
    validation_curve,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, StandardScaler

from skstruct import GraphCRFClassifier, GraphDataset, RaggedArray, as_ragged
from skstruct.decoding import ICM
from skstruct.features import LinearFeatures
from skstruct.inference import Auto, LoopyBP
from skstruct.metrics import METRICS, node_accuracy, node_log_loss, node_scorer
from skstruct.model_selection import cross_val_predict as graph_cross_val_predict
from skstruct.model_selection import graph_label
from skstruct.objectives import Likelihood
from skstruct.optim import LBFGS
from skstruct.preprocessing import EdgeTransformer, NodeClassifier, NodeTransformer

SIZES = [3, 2, 4, 2, 3, 2, 3, 4]
RNG = np.random.default_rng(0)
X = GraphDataset.from_sequences([RNG.normal(size=(n, 2)) for n in SIZES])
Y = RaggedArray(np.arange(sum(SIZES)) % 2, X.node_ptr)
TABLE, FLAT = RNG.normal(size=(6, 2)), [0, 1, 2, 0, 1, 2]
TWO = GraphDataset.from_sequences([TABLE[:3], TABLE[3:]])
CRF = GraphCRFClassifier(max_iter=5, tol=1.0)  # one iteration


@pytest.fixture(scope="module")
def fitted():
    return GraphCRFClassifier(max_iter=5, tol=1.0).fit(X, Y)


# ---- scoring strings


@pytest.mark.parametrize("scoring", sorted(set(METRICS) - {"exact_match"}))
def test_scoring_strings_name_the_node_scorer(scoring):
    with pytest.raises(TypeError, match=rf"needs one label per sample.*scoring=node_scorer\('{scoring}'\)"):
        cross_val_score(CRF, X, Y, cv=2, scoring=scoring, error_score="raise")


FORMS = {"ragged": Y, "arrays": list(Y), "lists": Y.tolist(), "objects": np.asarray(Y)}
SEARCHES = {
    "cross_val_score": lambda model, y: cross_val_score(model, X, y, cv=KFold(2), scoring="f1_macro"),
    "several": lambda model, y: cross_validate(model, X, y, cv=KFold(2), scoring=["accuracy", "f1_macro"]),
    "dict": lambda model, y: cross_validate(
        model, X, y, cv=KFold(2), scoring={"own": node_accuracy, "theirs": "f1_macro"}
    ),
    "search": lambda model, y: GridSearchCV(model, {}, cv=KFold(2), scoring="f1_macro").fit(X, y),
    "learning_curve": lambda model, y: learning_curve(model, X, y, cv=KFold(2), scoring="f1_macro", train_sizes=[0.9]),
    "parallel": lambda model, y: cross_val_score(model, X, y, cv=KFold(2), scoring="f1_macro", n_jobs=2),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("search", SEARCHES)
def test_searches_end_at_once(search, form):
    """Not in scores of nan, which is what scikit-learn makes of an error of a scorer."""
    with (
        pytest.raises(ValueError, match=r"(?s)fits failed.*node_scorer\('(f1_macro|accuracy)'\)"),
        warnings.catch_warnings(action="ignore", category=UserWarning),
    ):
        SEARCHES[search](CRF, FORMS[form])


@pytest.mark.parametrize("form", FORMS)
def test_a_validation_curve_warns(form):
    """Its fits fail without a word."""
    with pytest.warns(UserWarning, match=r"needs one label per sample.*node_scorer\('f1_macro'\)"):
        validation_curve(CRF, X, FORMS[form], param_name="verbose", param_range=[0], cv=KFold(2), scoring="f1_macro")


def test_searches_of_other_estimators_end_too():
    for model in (NodeClassifier(LogisticRegression()), make_pipeline(NodeTransformer(StandardScaler()), CRF)):
        with (
            pytest.raises(ValueError, match=r"(?s)fits failed.*node_scorer\('f1_macro'\)"),
            warnings.catch_warnings(action="ignore", category=UserWarning),
        ):
            cross_val_score(model, X, Y, cv=2, scoring="f1_macro")


def test_what_scores_right_is_left_alone():
    """Scorers of graphs, functions of the user, nodes and tables as samples, and fits outside of searches."""
    for scoring in (None, node_scorer("f1_macro"), make_scorer(lambda y, predicted: float(len(y) + len(predicted)))):
        assert np.isfinite(cross_val_score(CRF, X, Y, cv=2, scoring=scoring)).all()
    nodes = X.nodes
    scores = cross_val_score(CRF, nodes, Y.values, groups=nodes.groups, cv=GroupKFold(2), scoring="f1_macro")
    assert np.isfinite(scores).all()
    assert np.isfinite(cross_val_score(CRF, TABLE, FLAT, cv=2, scoring="f1_macro")).all()

    class Inside(GraphCRFClassifier):
        """Fits graphs in a search of tables: the labels of the search are flat."""

        def fit(self, table, y):
            CRF.fit(X, Y)
            return super().fit(table, y)

    assert np.isfinite(cross_val_score(Inside(max_iter=5, tol=1.0), TABLE, FLAT, cv=2, scoring="accuracy")).all()


# ---- functions, displays and splitters

TOOLS = {
    "accuracy_score": (lambda p: sklearn_metrics.accuracy_score(Y, p), "node_scorer"),
    "f1_score": (lambda p: sklearn_metrics.f1_score(Y, p), "node_scorer"),
    "confusion_matrix": (lambda p: sklearn_metrics.confusion_matrix(Y, p), r"y\.values"),
    "classification_report": (lambda p: sklearn_metrics.classification_report(Y, p), r"y\.values"),
    "lists of arrays": (lambda p: sklearn_metrics.accuracy_score(list(Y), p), "node_scorer"),
    "StratifiedKFold": (lambda p: list(StratifiedKFold(2).split(X, Y)), "graph_label"),
    "StratifiedShuffleSplit": (lambda p: list(StratifiedShuffleSplit(2).split(X, Y)), "graph_label"),
    "StratifiedGroupKFold": (lambda p: list(StratifiedGroupKFold(2).split(X, Y, range(8))), "graph_label"),
    "train_test_split": (lambda p: train_test_split(X, Y, stratify=Y), "stratify=graph_label"),
    "cross_val_score": (lambda p: cross_val_score(CRF, X, Y, cv=StratifiedKFold(2)), "graph_label"),
    "search": (lambda p: GridSearchCV(CRF, {}, cv=StratifiedKFold(2)).fit(X, Y), "graph_label"),
    "cross_val_predict": (
        lambda p: cross_val_predict(CRF, X, Y, cv=2, method="predict_proba"),
        r"skstruct\.model_selection\.cross_val_predict",
    ),
    "LabelEncoder": (lambda p: LabelEncoder().fit(Y), r"X\.nodes with y\.values"),
}


@pytest.mark.parametrize("tool", TOOLS)
def test_tools_that_need_flat_labels(fitted, tool):
    call, advice = TOOLS[tool]
    with pytest.raises(TypeError, match=f"a RaggedArray has one array per graph, but scikit-learn's .*{advice}"):
        call(fitted.predict(X))


@pytest.mark.parametrize(
    "display",
    [sklearn_metrics.ConfusionMatrixDisplay, sklearn_metrics.RocCurveDisplay, sklearn_metrics.PrecisionRecallDisplay],
)
def test_displays(fitted, display):
    pytest.importorskip("matplotlib")
    for y in (Y, list(Y)) if display is sklearn_metrics.ConfusionMatrixDisplay else (Y,):
        with pytest.raises(TypeError, match=r"displays and scoring strings accept one label per sample.*y\.values"):
            display.from_estimator(fitted, X, y)
    with pytest.raises(TypeError, match=r"one array per graph, but scikit-learn's .* accepts? one label per sample"):
        CalibrationDisplay.from_estimator(fitted, X, Y)
    display.from_estimator(fitted, X.nodes, Y.values)


def test_arrays_of_arrays_stay_what_they_are():
    assert np.asarray(Y).shape == (8,)
    assert len(list(KFold(2).split(X, Y))) == 2
    folds = list(StratifiedKFold(2).split(np.zeros(len(Y)), graph_label(Y, how=lambda labels: len(labels) > 2)))
    assert np.isfinite(cross_val_score(CRF, X, Y, cv=folds)).all()


# ---- shapes of X and y

PAIRS = np.empty((2, 2), object)
for g in range(2):
    PAIRS[g, 0], PAIRS[g, 1] = TABLE[3 * g : 3 * g + 3], [(0, 1), (1, 2)]
TRIPLES = np.empty((2, 3), object)
TRIPLES[:, :2] = PAIRS
TRIPLES[0, 2] = TRIPLES[1, 2] = np.ones((2, 1))
READERS = {
    "fit": lambda X: GraphCRFClassifier().fit(X, [[0, 1, 0], [1, 0, 1]]),
    "predict": lambda X: GraphCRFClassifier(max_iter=5, tol=1.0).fit(TWO, [[0, 1, 0], [1, 0, 1]]).predict(X),
    "NodeTransformer": lambda X: NodeTransformer(StandardScaler()).fit(X),
    "NodeClassifier": lambda X: NodeClassifier(LogisticRegression()).fit(X, [0, 1]),
    "EdgeTransformer": lambda X: EdgeTransformer(StandardScaler()).fit(X),
}


@pytest.mark.parametrize("reader", READERS)
def test_arrays_that_are_no_table(reader):
    for shape in ((2, 3, 2), (2, 3, 2, 1)):
        with pytest.raises(ValueError, match=rf"dim {len(shape)}, while dim <= 2 .* \(2, 3, 2.*from_sequences\(X\)"):
            READERS[reader](np.ones(shape))
    for rows in (PAIRS, TRIPLES):
        with pytest.raises(ValueError, match=r"with a graph in each row.*list\(map\(tuple, X\)\)"):
            READERS[reader](rows)
    GraphCRFClassifier().fit(list(map(tuple, PAIRS)), [[0, 1, 0], [1, 0, 1]])  # the advice


def objects(items):
    array = np.empty(len(items), object)
    array[:] = items
    return array


CHUNKS = [("B", "x"), ("I", "x"), ("O", "")]
COMPOUND = {
    "tuples": CHUNKS,
    "mixed tuples": [("a", 1), ("b", 2), ("a", 1)],
    "tuples of one": [("a",), ("b",), ("a",)],
    "tuples of different lengths": [("a", "b"), ("a",), ()],
    "dicts": [{"tag": "a"}, {"tag": "b"}, {"tag": "a"}],
    "sets": [{"a"}, {"b"}, {"a"}],
    "some": ["a", "b", ("a", "b")],
}


@pytest.mark.parametrize("part", COMPOUND.values(), ids=COMPOUND)
def test_labels_of_several_parts(part):
    own = GraphCRFClassifier(max_iter=5, tol=1.0).fit(TWO, [["a", "b", "a"], ["b", "a", "b"]])
    for y in ([part, part], [objects(part), objects(part)]):
        for call in (
            partial(GraphCRFClassifier().fit, TWO),
            partial(own.score, TWO),
            partial(own.predict, TWO),
            partial(own.log_likelihood, TWO),
            partial(node_accuracy, own, TWO),
            partial(NodeClassifier(LogisticRegression()).fit, TWO),
        ):
            name = "known" if call.func == own.predict else "y"
            with pytest.raises(
                ValueError, match=rf"{name}\[0\]\[[02]\] is .* but a label is one string or number; join"
            ):
                call(y)
    table = GraphCRFClassifier(max_iter=5, tol=1.0).fit(TABLE, list("abaabb"))
    for call in (
        partial(GraphCRFClassifier().fit, TABLE),
        partial(GraphCRFClassifier().fit, TWO.nodes),
        partial(table.score, TABLE),
        partial(node_accuracy, table, TABLE),
    ):
        for y in (part * 2, objects(part * 2)):
            with pytest.raises(ValueError, match=r"join (its|the) items to a string"):
                call(y)


BAD_FLAT = {
    "two columns": (np.zeros((6, 2), int), ValueError, r"shape \(6, 2\); one-hot rows become labels by"),
    "one-hot": (np.eye(3)[FLAT], ValueError, r"shape \(6, 3\); one-hot rows become labels by"),
    "3-D": (np.zeros((6, 1, 1)), ValueError, r"shape \(6, 1, 1\)"),
    "frame": (pd.DataFrame({"a": FLAT, "b": FLAT}), ValueError, r"shape \(6, 2\)"),
    "polars frame": (pl.DataFrame({"a": FLAT, "b": FLAT}), ValueError, r"shape \(6, 2\)"),
    "sparse": (csr_array(np.eye(3)[FLAT]), TypeError, "sparse matrix, but one label per sample is needed"),
    "generator": ((label for label in FLAT), TypeError, r"y is a generator.*pass list\(y\)"),
    "map": (map(int, FLAT), TypeError, r"y is a map.*pass list\(y\)"),
    "set": ({0, 1, 2, 3, 4, 5}, TypeError, "one label per sample, in a list or a 1-D array, got a set"),
    "dict": (dict.fromkeys(range(6), 0), TypeError, "one label per sample.*got a dict"),
    "string": ("abcabc", TypeError, "one label per sample.*got a str"),
    "number": (3, TypeError, "one label per sample.*got a int"),
    "0-D": (np.array(3), TypeError, "one label per sample.*got a ndarray"),
    "lists": ([[0, 1, 2], [0, 1, 2]], ValueError, "one array per graph, but the .*concatenate|predictions are flat"),
    "array of lists": (objects([[0, 1, 2], [0, 1]]), ValueError, "one array per graph, but the|predictions are flat"),
}


@pytest.mark.parametrize(("y", "error", "message"), BAD_FLAT.values(), ids=BAD_FLAT)
def test_labels_of_samples_that_are_nodes(y, error, message):
    own = GraphCRFClassifier(max_iter=5, tol=1.0).fit(TABLE, FLAT)
    for call in (
        partial(GraphCRFClassifier().fit, TABLE),
        partial(GraphCRFClassifier().fit, TWO.nodes),
        partial(own.score, TABLE),
        partial(node_accuracy, own, TABLE),
        partial(node_log_loss, own, TABLE),
    ):
        with pytest.raises(error, match=message):
            call(y)


BAD_RAGGED = {
    "column of nodes": (np.array(FLAT)[:, None], ValueError, r"\[2, 6\].*RaggedArray\(labels, X.node_ptr\)"),
    "one-hot": (np.eye(3)[FLAT], ValueError, r"\[2, 6\].*one-hot rows become labels"),
    "lists of columns": ([[[0], [1], [2]], [[0], [1], [2]]], ValueError, r"shape \(3, 1\).*\.ravel\(\)"),
    "lists of one-hot": ([np.eye(3), np.eye(3)], ValueError, r"shape \(3, 3\).*one-hot rows become labels"),
    "frame": (pd.DataFrame({"tag": FLAT}), TypeError, r"data frame with the columns \['tag'\].*RaggedArray"),
    "polars frame": (pl.DataFrame({"tag": FLAT}), TypeError, r"data frame with the columns \['tag'\].*RaggedArray"),
    "sparse": (csr_array(np.eye(3)[FLAT]), TypeError, "sparse matrix, but one array of labels per graph"),
    "inner generators": ([iter([0, 1, 2]), iter([0, 1, 2])], TypeError, r"y\[0\] is a list_iterator"),
    "dict": ({0: [0, 1, 2], 1: [0, 1, 2]}, TypeError, "one array per graph.*got a dict"),
    "set": ({0, 1}, ValueError, r"y\[0\] is 0, but one array per graph is needed"),
}


@pytest.mark.parametrize(("y", "error", "message"), BAD_RAGGED.values(), ids=BAD_RAGGED)
def test_labels_of_samples_that_are_graphs(y, error, message):
    own = GraphCRFClassifier(max_iter=5, tol=1.0).fit(TWO, [[0, 1, 2], [0, 1, 2]])
    for call in (
        partial(GraphCRFClassifier().fit, TWO),
        partial(own.score, TWO),
        partial(own.log_likelihood, TWO),
        partial(node_accuracy, own, TWO),
        partial(NodeClassifier(LogisticRegression()).fit, TWO),
    ):
        with pytest.raises(error, match=message):
            call(y)


def test_generators_of_labels():
    """They can be read once, which is enough for fit and score; cross-validation has to select."""
    y = [[0, 1, 2], [0, 1, 2]]
    crf = GraphCRFClassifier().fit(TWO, (part for part in y))
    assert crf.score(TWO, (part for part in y)) == crf.score(TWO, y)
    assert graph_label(part for part in y).tolist() == [0, 0]
    for method in ("predict", "predict_proba"):
        with pytest.raises(TypeError, match=r"y is a generator, which can be read only once; pass list\(y\)"):
            graph_cross_val_predict(CRF, TWO, (part for part in y), cv=2, method=method)


def test_labels_that_graph_label_refuses():
    with pytest.raises(ValueError, match=r"y\[0\] must be 1-D .* got shape \(2, 3\); one-hot"):
        graph_label([np.eye(3)[:2]] * 2)
    with pytest.raises(TypeError, match="data frame with the columns"):
        as_ragged(pd.DataFrame({"a": [0]}))


# ---- components and estimators in the wrong place

COMPONENTS = {
    "features": LinearFeatures(),
    "inference": LoopyBP(),
    "objective": Likelihood(),
    "optimizer": LBFGS(),
    "decoding": ICM(),
}
STRANGERS = [LogisticRegression(), StandardScaler(), GraphCRFClassifier()]


@pytest.mark.parametrize("parameter", COMPONENTS)
def test_components_are_told_where_they_belong(parameter):
    for own, component in COMPONENTS.items():
        if own != parameter:
            where = f", which belongs to the parameter {own}" if parameter != "decoding" else ""
            with pytest.raises((TypeError, ValueError), match=rf"{parameter} must be one of .*, got .*\){where}\."):
                GraphCRFClassifier(**{parameter: component}).fit(X, Y)
    for stranger in STRANGERS:
        with pytest.raises((TypeError, ValueError), match=rf"{parameter} must be one of .*, got .*\)"):
            GraphCRFClassifier(**{parameter: stranger}).fit(X, Y)


def test_candidates_of_auto():
    for candidate in (LogisticRegression(), LinearFeatures(), "tree", None):
        with pytest.raises(TypeError, match=r"candidates of Auto must be inference backends, got"):
            GraphCRFClassifier(inference=Auto([candidate])).fit(X, Y)


@pytest.mark.parametrize("stranger", [StandardScaler(), LinearRegression(), KMeans(), None, "lr", LogisticRegression])
def test_estimators_of_the_wrong_kind(stranger):
    with pytest.raises(TypeError, match="estimator of NodeClassifier must be a classifier of tables"):
        NodeClassifier(stranger).fit(X, Y)
    with pytest.raises(TypeError, match=r"node_log_loss needs a fitted classifier|got estimator class instead"):
        node_log_loss(stranger, X, Y)
    if not hasattr(stranger, "predict"):
        with pytest.raises(TypeError, match=r"node_accuracy needs a fitted classifier with predict and classes_"):
            node_accuracy(stranger, X, Y)
        with pytest.raises(TypeError, match=r"method is 'predict', which .* does not have"):
            graph_cross_val_predict(stranger, X, Y)


def test_scorers_need_fitted_classifiers():
    for estimator in (GraphCRFClassifier(), NodeClassifier(LogisticRegression())):
        for scorer in (node_accuracy, node_log_loss):
            with pytest.raises(TypeError, match=rf"{scorer.__name__} needs a fitted classifier"):
                scorer(estimator, X, Y)
