"""cross_val_predict for graphs, and one label per graph."""

import warnings

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold
from sklearn.model_selection import cross_val_predict as sklearn_cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skstruct import GraphCRFClassifier
from skstruct.data.dataset import GraphDataset
from skstruct.data.graph_input import as_dataset
from skstruct.data.labels import flatten_labels
from skstruct.data.node_view import NodeView
from skstruct.data.ragged import RaggedArray
from skstruct.model_selection import cross_val_predict, graph_label
from skstruct.preprocessing import NodeClassifier, NodeTransformer


class Prior(ClassifierMixin, BaseEstimator):
    """Class frequencies of the training nodes for every node."""

    def fit(self, X, y, sample_weight=None):
        flat = y if isinstance(X, NodeView) else flatten_labels(y, as_dataset(X).node_ptr)
        self.classes_, counts = np.unique(flat, return_counts=True)
        self.prior_ = counts / counts.sum()
        self.weighted_ = sample_weight is not None
        return self

    def predict_proba(self, X):
        proba = np.tile(self.prior_ if not self.weighted_ else -self.prior_, (X.node_features.shape[0], 1))
        return proba if isinstance(X, NodeView) else RaggedArray(proba, X.node_ptr)

    def predict(self, X):
        proba = self.predict_proba(X)
        labels = self.classes_[getattr(proba, "values", proba).argmax(axis=1)]
        return labels if isinstance(X, NodeView) else RaggedArray(labels, X.node_ptr)


@pytest.fixture
def data():
    y = RaggedArray.from_list([["a", "b"], ["a"], ["b", "b", "b"], ["a", "a"]])
    return GraphDataset(np.zeros((8, 2)), node_ptr=y.ptr), y


def test_probabilities(data):
    X, y = data
    cv = KFold(2, shuffle=True, random_state=0)
    expected = [None] * 4
    for train, test in cv.split(X):
        proba = Prior().fit(X[train], y[train]).predict_proba(X[test])
        for g, part in zip(test, proba):
            expected[g] = part
    for estimator in (Prior(), make_pipeline("passthrough", Prior())):
        result = cross_val_predict(estimator, X, y, cv=cv, method="predict_proba")
        assert isinstance(result, RaggedArray)
        assert np.array_equal(result, RaggedArray.from_list(expected))


@pytest.mark.parametrize("form", ["ragged", "lists", "arrays"])
def test_labels(data, form):
    X, y = data
    labels = {"ragged": y, "lists": y.tolist(), "arrays": list(y)}[form]
    result = cross_val_predict(Prior(), list(X), labels, cv=2)
    assert np.array_equal(result, sklearn_cross_val_predict(Prior(), X, y, cv=2))
    assert np.array_equal(cross_val_predict(Prior(), X, labels, cv=2, n_jobs=1), result)


def test_nodes(data):
    X, y = data
    result = cross_val_predict(
        Prior(), X.nodes, y.values, groups=X.nodes.groups, cv=GroupKFold(2), method="predict_proba"
    )
    assert result.shape == (8, 2)


# ---- folds whose classes differ

WORDS = {  # labels of graphs; in KFold(2) the halves know different classes
    "as many": ["ab", "ab", "bb", "bc", "cb", "cc"],
    "different numbers": ["ab", "ab", "ba", "bc", "cb", "ca"],
    "one class in a half": ["a", "aa", "aaa", "bc", "cb", "bb"],
    "disjoint": ["ab", "b", "a", "cd", "d", "dcc"],
    "all in both": ["abc", "a", "b", "cb", "abc", "c"],
    "graph without nodes": ["ab", "", "b", "bc", "", "c"],
}


def graphs_of(words):
    labels = [list(word) for word in words]
    X = [(np.eye(4)[["abcd".index(label) for label in part]].reshape(-1, 4), chain(len(part))) for part in labels]
    return X, labels


def chain(n):
    return [(i, i + 1) for i in range(n - 1)]


def expected_columns(model, X, labels, classes, method):
    """Fold by fold, a column for each of `classes`, written out."""
    out = []
    for train, test in KFold(2).split(X):
        fitted = clone(model).fit([X[g] for g in train], [labels[g] for g in train])
        for values in getattr(fitted, method)([X[g] for g in test]):
            wide = np.full((len(values), *[len(classes)] * (values.ndim - 1)), -np.inf if "log" in method else 0.0)
            for index in np.ndindex(*values.shape[1:]):
                wide[(slice(None), *(classes.index(fitted.classes_.tolist()[k]) for k in index))] = values[
                    (slice(None), *index)
                ]
            out.append(wide)
    return out


@pytest.mark.parametrize("method", ["predict_proba", "predict_log_proba", "predict_edge_proba"])
@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
def test_columns_of_all_classes(words, method):
    X, labels = graphs_of(words)
    model = GraphCRFClassifier(C=3.0)
    classes = sorted(set("".join(words)))
    expected = expected_columns(model, X, labels, classes, method)
    pipeline = make_pipeline(NodeTransformer("passthrough"), model)
    for estimator in (model, pipeline)[: 1 if "edge" in method else 2]:
        found = cross_val_predict(estimator, X, labels, cv=KFold(2), method=method)
        assert found.values.shape[1:] == (len(classes),) * (2 if "edge" in method else 1)
        for part, wanted in zip(found, expected):
            np.testing.assert_allclose(part, wanted, atol=1e-12)


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
def test_columns_are_those_of_scikit_learn_on_nodes(words):
    X, labels = graphs_of(words)
    X = GraphDataset.from_graphs(X)
    y = np.concatenate([np.array(part, "U1") for part in labels])
    folds = [(np.isin(X.nodes.groups, a), np.isin(X.nodes.groups, b)) for a, b in KFold(2).split(np.zeros(len(X)))]
    folds = [(np.flatnonzero(a), np.flatnonzero(b)) for a, b in folds]
    baseline = NodeClassifier(DummyClassifier())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of scikit-learn: number of classes in a fold
        expected = sklearn_cross_val_predict(baseline, X.nodes, y, cv=folds, method="predict_proba")
    nodes = cross_val_predict(baseline, X.nodes, y, cv=folds, method="predict_proba")
    np.testing.assert_array_equal(nodes, expected)
    np.testing.assert_array_equal(
        cross_val_predict(baseline, X.node_features, y, cv=folds, method="predict_proba"), expected
    )
    graphs = cross_val_predict(baseline, X, labels, cv=KFold(2), method="predict_proba")
    np.testing.assert_array_equal(graphs.values, expected)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_decision_values(n_jobs):
    X, labels = graphs_of(["abc", "abca", "cab", "abd", "abdd", "dba"])
    model = NodeClassifier(LogisticRegression())
    found = cross_val_predict(model, X, labels, cv=KFold(2), method="decision_function", n_jobs=n_jobs).values
    assert found.shape == (20, 4)
    assert (found[:10, 2] == np.finfo(float).min).all()
    assert (found[10:, 3] == np.finfo(float).min).all()
    assert np.isfinite(np.delete(found[:10], 2, axis=1)).all()
    X, labels = graphs_of(["ab", "ba", "ab", "ba"])
    assert cross_val_predict(model, X, labels, cv=2, method="decision_function").values.shape == (8,)
    X, labels = graphs_of(["ab", "ba", "ac", "ca"])
    with pytest.raises(ValueError, match="decision_function has one column, as the model of a fold knows 2 of 3"):
        cross_val_predict(model, X, labels, cv=KFold(2), method="decision_function")


@pytest.mark.parametrize("missing", [-1, "?", np.nan])
@pytest.mark.parametrize("form", ["graphs", "nodes"])
def test_missing_labels_are_no_column(missing, form):
    """And labels are not encoded: scikit-learn would number the missing one, and the model would learn it."""
    X, labels = graphs_of(["ab", "ab", "bb", "bc", "cb", "cc"])
    X = GraphDataset.from_graphs(X)
    labels[0][0] = labels[5][1] = missing
    if isinstance(missing, float):  # numbers, as nan stands among numbers
        labels = [[label if label is missing else float("abc".index(label)) for label in part] for part in labels]
    model = GraphCRFClassifier(missing_label=missing)
    expected = cross_val_predict(model, X, labels, cv=KFold(2), method="predict_proba")
    assert expected.values.shape == (12, 3)
    if form == "nodes":
        y = np.array([label for part in labels for label in part], object if missing == -1 else None)
        folds = [(np.arange(6, 12), np.arange(6)), (np.arange(6), np.arange(6, 12))]
        found = cross_val_predict(model, X.nodes, y, cv=folds, method="predict_proba")
        np.testing.assert_allclose(found, expected.values, atol=1e-12)


def test_classes_that_are_given_have_columns():
    X, labels = graphs_of(["ab", "ba", "bb", "aa"])
    model = GraphCRFClassifier(classes=["a", "b", "c"])
    assert cross_val_predict(model, X, labels, cv=2, method="predict_proba").values.shape == (8, 3)
    table, flat = np.eye(4)[[0, 1, 0, 1]], ["a", "b", "a", "b"]
    assert cross_val_predict(model, table, flat, cv=2, method="predict_proba").shape == (4, 3)


def test_methods_without_columns():
    X, labels = graphs_of(["ab", "ab", "bb", "bc", "cb", "cc"])
    assert cross_val_predict(GraphCRFClassifier(), X, labels, cv=KFold(2), method="entropy").shape == (6,)
    table = np.arange(8.0)[:, None]
    assert cross_val_predict(StandardScaler(), table, method="transform", cv=2).shape == (8, 1)
    flat = np.array([0, 1] * 4)
    for classifier in (LogisticRegression(), DummyClassifier()):  # with folds that are stratified
        np.testing.assert_allclose(
            cross_val_predict(classifier, table, flat, method="predict_proba", cv=2),
            sklearn_cross_val_predict(classifier, table, flat, method="predict_proba", cv=2),
        )
    with pytest.raises(TypeError, match=r"method is 'predict_edge_proba', which Pipeline\(.* does not have"):
        cross_val_predict(make_pipeline(GraphCRFClassifier()), X, labels, method="predict_edge_proba")
    with pytest.raises(TypeError, match=r"method is 'predict', which StandardScaler\(\) does not have"):
        cross_val_predict(StandardScaler(), X, labels)


def test_routing(data):
    X, y = data
    with config_context(enable_metadata_routing=True):
        weighted = Prior().set_fit_request(sample_weight=True)
        params = {"sample_weight": np.ones(4)}
        for estimator in (weighted, make_pipeline("passthrough", weighted)):
            result = cross_val_predict(estimator, X, y, cv=2, method="predict_proba", params=params)
            assert (result.values <= 0).all()


def test_majority():
    assert graph_label([[1, 2, 2], [3], [2, 1]]).tolist() == [2, 3, 1]
    assert graph_label([["b", "b"], ["a"]]).dtype.kind == "U"


def test_rarest():
    y = [["a", "a", "b"], ["a"], ["a", "c", "b"]]
    assert graph_label(y, "rarest").tolist() == ["b", "a", "c"]


def test_function_of_labels():
    assert graph_label([[1, 0], [0]], how=lambda labels: "any" if labels.any() else "none").tolist() == [
        "any",
        "none",
    ]


def test_missing_labels_do_not_count():
    assert graph_label([["a", -1, -1], [-1, "b"]], missing_label=-1).tolist() == ["a", "b"]
    assert graph_label([[1.0, np.nan, np.nan]], missing_label=np.nan).tolist() == [1.0]
    assert graph_label([[0, -1], [1]], len, missing_label=-1).tolist() == [1, 1]
    with pytest.raises(ValueError, match="graph 1 has no label"):
        graph_label([["a"], []])
    with pytest.raises(ValueError, match="how must be 'majority', 'rarest' or a function, got 'mean'"):
        graph_label([["a"]], "mean")


def test_stratification(data):
    X, y = data
    label = graph_label(y)
    assert label.tolist() == ["a", "a", "b", "a"]
    cv = list(StratifiedKFold(2).split(np.zeros(4), ["a", "b", "a", "b"]))
    assert len(cross_val_predict(Prior(), X, y, cv=cv, method="predict_proba")) == 4
