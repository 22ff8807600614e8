"""NodeView: nodes as samples."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, cross_val_predict, train_test_split
from sklearn.utils import resample
from sklearn.utils.multiclass import type_of_target

from skstruct.data.dataset import GraphDataset
from skstruct.data.node_view import NodeView

CONVERT = {
    "dense": np.asarray,
    "csr": sp.csr_array,
    "pandas": lambda x: pd.DataFrame(x, columns=["a", "b"]),
    "polars": lambda x: pl.DataFrame(x, schema=["a", "b"]),
}


@pytest.fixture
def dataset():
    x = np.arange(20.0).reshape(10, 2)
    edges = [(0, 1), (1, 2), (0, 1), (1, 2), (2, 3), (3, 0), (0, 2)]
    return GraphDataset(x, edges, np.arange(7.0)[:, None], node_ptr=[0, 3, 3, 7, 10], edge_ptr=[0, 2, 2, 6, 7])


def test_samples_are_nodes(dataset):
    view = dataset.nodes
    assert len(view) == 10
    assert view.shape == (10, 2)
    assert view.groups.tolist() == [0] * 3 + [2] * 4 + [3] * 3
    assert view.node_features is dataset.node_features
    assert repr(view) == "NodeView(n_samples=10, n_edges=7, lost_edges=0)"


def test_whole_graphs_lose_no_edges(dataset):
    view = dataset.nodes[dataset.nodes.groups == 2]
    assert view.lost_edges == 0
    assert view.dataset.edges.tolist() == [[0, 1], [1, 2], [2, 3], [3, 0]]
    assert view.dataset.edge_features.ravel().tolist() == [2, 3, 4, 5]
    assert len(view.dataset) == 1
    assert view.order is None


def test_induced_subgraphs(dataset):
    view = dataset.nodes[[4, 5, 9, 7, 0]]
    assert view.node_features[:, 0].tolist() == [8, 10, 18, 14, 0]
    assert view.dataset.node_ptr.tolist() == [0, 1, 3, 5]
    assert view.dataset.topology.edges.tolist() == [[1, 2], [3, 4]]
    assert view.dataset.edge_features.ravel().tolist() == [3, 6]
    assert view.order.tolist() == [1, 2, 4, 3, 0]
    assert view.groups.tolist() == [1, 1, 2, 2, 0]
    assert view.lost_edges == 1 + 2
    again = view[1:]
    assert again.node_features[:, 0].tolist() == [10, 18, 14, 0]
    assert again.lost_edges == 3 + 1


def test_repeated_samples(dataset):
    view = dataset.nodes[[2, 0, 2, 2]]
    assert view.dataset.n_nodes == 2
    assert view.node_features[:, 0].tolist() == [4, 0, 4, 4]
    assert view.gather(np.array([10, 20])).tolist() == [20, 10, 20, 20]
    labels, weights = view.scatter(["c", "a", "c", "c"])
    assert labels.tolist() == ["a", "c"]
    assert weights.tolist() == [1, 3]
    assert view.scatter([1, 0, 1, 1], [0.5, 2, 1, 1])[1].tolist() == [2, 2.5]
    with pytest.raises(ValueError, match="repeated in a NodeView has different labels"):
        view.scatter([1, 0, 0, 1])
    for labels in ([1, 0, 1, np.nan], [np.nan, 0, 1, 1]):  # a label cannot be known and unknown, in any order
        with pytest.raises(ValueError, match="repeated in a NodeView has different labels"):
            view.scatter(labels)
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[4, 2\]"):
        view.scatter([1, 0])
    assert np.isnan(view.scatter([np.nan, 0, np.nan, np.nan])[0][1])


def test_scatter_without_repeats(dataset):
    y = np.arange(10)
    labels, weights = dataset.nodes.scatter(y)
    assert labels is y
    assert weights is None
    labels, weights = dataset.nodes[::-1].scatter(y)
    assert labels.tolist() == y[::-1].tolist()
    assert weights is None
    assert dataset.nodes[::-1].scatter(y, y)[1].tolist() == y[::-1].tolist()


def test_whole_graphs_stay_whole(dataset):
    view = dataset.nodes_whole
    assert (len(view), view.order, view.whole) == (10, None, True)
    assert view.selected.all()
    part = view[[4, 0, 9]]
    assert part.dataset is dataset
    assert part.groups.tolist() == [2, 0, 3]
    assert part.node_features[:, 0].tolist() == [8, 0, 18]
    assert np.flatnonzero(part.selected).tolist() == [0, 4, 9]
    assert repr(part) == "NodeView(n_samples=3, n_nodes=10, n_edges=7, whole=True)"
    again = part[[2, 0, 2]]
    assert (again.order.tolist(), again.whole, again.lost_edges) == ([9, 4, 9], True, 0)
    assert part.take([1]).order.tolist() == [0]
    assert part.take([1], axis=1).dataset.shape == (4, 1)
    assert part.take([1], axis=1).whole
    copy = part.copy()
    copy[1] = np.array([-1.0, -2.0, -3.0])
    assert copy.dataset.node_features[:, 1].tolist() == [-2, 3, 5, 7, -1, 11, 13, 15, 17, -3]
    assert part.dataset is dataset
    assert np.hstack([part, part]).whole
    with pytest.raises(TypeError):
        np.hstack([dataset.nodes, dataset.nodes_whole])
    assert pickle.loads(pickle.dumps(part)).order.tolist() == [4, 0, 9]
    assert len(part[[]]) == 0


def test_scatter_of_whole_graphs(dataset):
    labels, weights = dataset.nodes_whole[[4, 0]].scatter(["d", "c"])
    assert labels[[0, 4]].tolist() == ["c", "d"]
    assert weights is None
    weights = dataset.nodes_whole[[4, 0]].scatter([1, 2], [0.5, 2.0])[1]
    assert weights.tolist() == [2, 0, 0, 0, 0.5, 0, 0, 0, 0, 0]
    assert dataset.nodes_whole[[4, 0, 4]].scatter([1, 2, 1])[1].tolist() == [1, 0, 0, 0, 2, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("kind", CONVERT)
def test_kinds_of_tables(dataset, kind):
    dataset = dataset.with_node_features(CONVERT[kind](dataset.node_features))
    view = dataset.nodes[[5, 1, 1]]
    assert view.shape == (3, 2)
    assert view.iloc[np.array([2, 0]), 1].tolist() == [3, 11]
    copy = view.copy()
    copy[copy.columns[1]] = np.array([50.0, 70.0, 70.0])
    assert copy.iloc[np.arange(3), 1].tolist() == [50, 70, 70]
    assert copy.iloc[np.arange(3), 0].tolist() == [10, 2, 2]
    assert view.iloc[np.arange(3), 1].tolist() == [11, 3, 3]
    assert type(copy.node_features) is type(view.node_features)
    assert view.take([0], axis=1).shape == (3, 1)
    assert view.iloc[[0, 1], [1]].shape == (2, 1)
    assert len(view.loc[[0]]) == 1
    assert view[0].shape == (1, 2)


def test_array_protocols(dataset):
    view = dataset.nodes
    with pytest.raises(TypeError, match=r"edges would be lost.*\.node_features"):
        np.asarray(view)
    assert np.hstack([view, view]).shape == (10, 4)
    assert np.concatenate([view, view], axis=1).shape == (10, 4)
    assert np.take(view, [3], axis=0).shape == (1, 2)
    with pytest.raises(TypeError):
        np.concatenate([view, view])
    with pytest.raises(TypeError):
        np.hstack([view, view[::-1]])
    assert len(pickle.loads(pickle.dumps(view[:4]))) == 4


class EdgeCounter(ClassifierMixin, BaseEstimator):
    """Labels by the sign of feature 0, and remembers what it was fitted on."""

    def fit(self, X, y):
        self.lost_edges_ = X.lost_edges
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return (np.asarray(X.node_features)[:, 0] > 9).astype(int)

    def predict_proba(self, X):
        return np.eye(2)[self.predict(X)]


def test_scikit_learn_tools(dataset):
    view, y = dataset.nodes, np.repeat([0, 1], 5)
    assert type_of_target(y) == "binary"
    proba = cross_val_predict(EdgeCounter(), view, y, cv=GroupKFold(3), groups=view.groups, method="predict_proba")
    assert (proba.argmax(axis=1) == y).all()
    for train, _ in StratifiedGroupKFold(2).split(view, y, view.groups):
        assert EdgeCounter().fit(view[train], y[train]).lost_edges_ == 0
    train, _ = train_test_split(view, random_state=0)
    assert isinstance(train, NodeView)
    assert train.lost_edges > 0
    assert len(resample(view, n_samples=30, random_state=0)) == 30


@pytest.mark.parametrize("name", ["nodes", "nodes_whole"])
@pytest.mark.parametrize("kind", ["dense", "pandas"])
def test_permutation_importance(dataset, kind, name):
    view = getattr(dataset.with_node_features(CONVERT[kind](dataset.node_features)), name)
    y = np.repeat([0, 1], 5)
    result = permutation_importance(EdgeCounter().fit(view, y), view, y, random_state=0)
    assert result.importances_mean[0] > 0.2
    assert result.importances_mean[1] == 0
