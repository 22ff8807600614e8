"""cross_val_predict for graphs, and one label per graph."""

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold
from sklearn.model_selection import cross_val_predict as sklearn_cross_val_predict
from sklearn.pipeline import make_pipeline

from skstruct._dataset import GraphDataset
from skstruct._graph_input import as_dataset
from skstruct._labels import flatten_labels
from skstruct._node_view import NodeView
from skstruct._ragged import RaggedArray
from skstruct.model_selection import cross_val_predict, graph_label


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


def test_nodes_are_handed_over(data):
    X, y = data
    result = cross_val_predict(
        Prior(), X.nodes, y.values, groups=X.nodes.groups, cv=GroupKFold(2), method="predict_proba"
    )
    assert result.shape == (8, 2)


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
