"""GraphDataset: fields, selecting, joining, copies, scikit-learn's splitters."""

import copy
import pickle
import re

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.model_selection import KFold, train_test_split
from sklearn.pipeline import FeatureUnion
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import resample, shuffle

from skstruct.data.dataset import Graph, GraphDataset

KINDS = ["dense", "csr", "csr_matrix", "pandas", "polars", "dicts"]


def same(a, b):
    return len(a) == len(b) and all(x == y for x, y in zip(a, b))


def test_packing(dataset):
    assert len(dataset) == dataset.n_graphs == 5
    assert dataset.n_nodes == 10
    assert dataset.n_edges == 6
    assert dataset.shape == (5, 4)
    assert dataset.ndim == 2
    assert dataset.edges.dtype == np.int32
    assert dataset.node_ptr.dtype == dataset.edge_ptr.dtype == np.intp
    assert dataset.node_ptr.tolist() == [0, 3, 4, 8, 8, 10]
    assert dataset.edge_ptr.tolist() == [0, 2, 2, 5, 5, 6]
    assert repr(dataset) == "GraphDataset(n_graphs=5, n_nodes=10, n_edges=6, n_features=4, n_edge_features=2)"
    assert repr(dataset[0]) == "Graph(n_nodes=3, n_edges=2, n_edge_features=2)"
    assert (dataset[2].n_nodes, dataset[2].n_edges) == (4, 3)


def test_topology_has_global_numbers(dataset):
    topology = dataset.topology
    assert topology.edges.dtype == np.int32
    assert topology.edges.tolist() == [[0, 1], [2, 1], [4, 7], [5, 6], [5, 6], [8, 9]]
    assert topology is dataset.topology
    assert topology.node_ptr is dataset.node_ptr


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (slice(1, 4), [1, 2, 3]),
        (slice(None, None, 2), [0, 2, 4]),
        ([4, 0, 4], [4, 0, 4]),
        (np.array([True, False, True, False, False]), [0, 2]),
        ((np.array([-1, 2]), Ellipsis), [4, 2]),
        (np.array([], dtype=int), []),
    ],
)
def test_selecting_graphs(kind, key, expected, make_parts):
    dataset = GraphDataset.from_graphs(make_parts(kind))
    part = dataset[key]
    assert isinstance(part, GraphDataset)
    assert same(list(part), [dataset[g] for g in expected])
    again = GraphDataset(part.node_features, part.edges, part.edge_features, part.node_ptr, part.edge_ptr)
    assert same(again, part)


@pytest.mark.parametrize("kind", KINDS)
def test_items_are_what_was_packed(kind, make_parts):
    parts = make_parts(kind)
    dataset = GraphDataset.from_graphs(parts)
    for graph, part in zip(dataset, parts):
        assert graph == Graph(*part)
    assert dataset[-1] == dataset[4]
    assert dataset[0] != dataset[1]
    assert dataset[0] != "graph"
    with pytest.raises(IndexError, match="index 5 is out of range for 5 graphs"):
        dataset[5]


def test_contiguous_slices_are_views(dataset, make_parts):
    part = dataset[1:4]
    for name in ("node_features", "edges", "edge_features"):
        assert np.shares_memory(getattr(part, name), getattr(dataset, name))
    sparse = GraphDataset.from_graphs(make_parts("csr"))
    assert np.shares_memory(sparse[1:4].node_features.data, sparse.node_features.data)
    assert type(sparse[1:4].node_features) is type(sparse.node_features)
    assert np.array_equal(sparse[1:4].node_features.toarray(), part.node_features)


def test_selecting_features(dataset):
    assert dataset[:, [2, 0]].shape == (5, 2)
    assert np.array_equal(dataset[:, [2, 0]].node_features, dataset.node_features[:, [2, 0]])
    assert dataset[1:3, 1:].shape == (2, 3)
    assert dataset[:, 0].shape == (5, 1)
    assert dataset[2, [0]].node_features.shape == (4, 1)
    assert dataset.take([1], axis=1).shape == (5, 1)
    assert dataset.take([1, 2]).shape == (2, 4)
    with pytest.raises(ValueError, match="axis must be 0"):
        dataset.take([1], axis=2)


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_selecting_features_of_frames(kind, make_parts):
    dataset = GraphDataset.from_graphs(make_parts(kind))
    assert list(dataset.select_features(["d", "a"]).node_features.columns) == ["d", "a"]
    assert list(dataset[:, [3, 0]].node_features.columns) == ["d", "a"]
    assert list(dataset[:, 1:3].node_features.columns) == ["b", "c"]
    assert list(dataset[:, np.array([True, False, False, True])].node_features.columns) == ["a", "d"]


def test_raw_nodes_have_no_features_yet():
    dataset = GraphDataset.from_sequences([["the", "dog"], ["a"]])
    assert dataset.shape == (2,)
    assert dataset.ndim == 1
    with pytest.raises(IndexError, match="NodeTransformer with a vectorizer"):
        dataset[:, [0]]


def test_replacing_features(dataset):
    other = dataset.with_node_features(np.ones((10, 2)))
    assert other.shape == (5, 2)
    assert other.edges is dataset.edges
    assert other.topology.n_nodes == 10
    assert dataset.with_edge_features(None).edge_features is None
    assert dataset.with_edge_features(np.ones((6, 7))).edge_features.shape == (6, 7)
    with pytest.raises(ValueError, match="node_features has 9 rows but the dataset has 10 nodes"):
        dataset.with_node_features(np.ones((9, 2)))
    with pytest.raises(ValueError, match="edge_features has 5 rows but the dataset has 6 edges"):
        dataset.with_edge_features(np.ones((5, 2)))


def test_it_cannot_be_changed_or_made_an_array(dataset):
    with pytest.raises(AttributeError, match="cannot be changed"):
        dataset.edges = None
    with pytest.raises(TypeError, match=r"NodeTransformer.*X.nodes"):
        np.asarray(dataset)
    assert dataset.copy() is dataset
    assert copy.deepcopy(dataset) is dataset
    assert copy.copy(dataset) is dataset
    assert clone(FunctionTransformer(kw_args={"x": dataset})).kw_args["x"] is dataset


def test_pickle_leaves_caches_out(dataset):
    before = joblib.hash(dataset)
    _ = dataset.topology
    assert joblib.hash(dataset) == before
    again = pickle.loads(pickle.dumps(dataset))
    assert "topology" not in again.__dict__
    assert same(again, dataset)
    graph = pickle.loads(pickle.dumps(dataset[0]))
    assert graph == dataset[0]


def test_memory_mapping(dataset, tmp_path):
    joblib.dump(dataset, tmp_path / "dataset.joblib")
    mapped = joblib.load(tmp_path / "dataset.joblib", mmap_mode="r")
    assert same(mapped, dataset)
    assert not mapped.node_features.flags.writeable
    assert same(mapped[1:3], dataset[1:3])


def test_numpy_functions(dataset):
    wide = np.hstack([dataset, dataset])
    assert wide.shape == (5, 8)
    assert np.concatenate([dataset, dataset], axis=1).shape == (5, 8)
    assert same(np.concatenate([dataset[:2], dataset[2:]]), dataset)
    assert same(np.take(dataset, [2, 0], axis=0), dataset[[2, 0]])
    with pytest.raises(ValueError, match="same graphs"):
        np.hstack([dataset, dataset[::-1]])
    with pytest.raises(ValueError, match="some of the datasets have edge features"):
        np.concatenate([dataset, dataset.with_edge_features(None)])
    with pytest.raises(TypeError):
        np.vstack([dataset, dataset])


@pytest.mark.parametrize("kind", ["csr", "pandas", "polars"])
def test_joining_tables(kind, make_parts):
    dataset = GraphDataset.from_graphs(make_parts(kind))
    other = dataset.with_node_features(dataset.node_features)[:, [0]]
    if kind != "csr":
        renamed = other.node_features.rename(
            **({"columns": {"a": "e"}} if kind == "pandas" else {"mapping": {"a": "e"}})
        )
        other = other.with_node_features(renamed)
    joined = np.hstack([dataset, other])
    assert joined.shape == (5, 5)
    assert type(joined.node_features) is type(dataset.node_features)
    assert same(np.concatenate([dataset[:2], dataset[2:]]), dataset)


def test_joining_dense_with_sparse(dataset):
    sparse = dataset.with_node_features(sp.csr_array(dataset.node_features))
    assert sp.issparse(np.hstack([dataset, sparse]).node_features)
    with pytest.raises(ValueError, match="cannot be joined"):
        np.hstack([dataset, dataset.with_node_features(["a"] * 10)])


def test_scikit_learn_splits_by_graph(dataset):
    a, b = train_test_split(dataset, random_state=0)
    assert isinstance(a, GraphDataset)
    assert len(a) + len(b) == 5
    assert len(shuffle(dataset, random_state=0)) == 5
    assert len(resample(dataset, n_samples=9, random_state=0)) == 9
    assert len(list(KFold(2).split(dataset))) == 2
    union = FeatureUnion([("a", "passthrough"), ("b", FunctionTransformer())])
    assert union.fit_transform(dataset).shape == (5, 8)


def test_array_api_dispatch(dataset, array_api_dispatch):
    assert len(train_test_split(dataset, random_state=0)[0]) == 3
    assert len(train_test_split(dataset.nodes, random_state=0)[0]) == 7


def test_plain_constructor_makes_one_graph():
    dataset = GraphDataset([[1.0], [2.0]], [(0, 1)])
    assert len(dataset) == 1
    assert GraphDataset([[1.0], [2.0]], node_ptr=[0, 1, 2]).n_edges == 0
    with pytest.raises(ValueError, match="edge_ptr is needed"):
        GraphDataset([[1.0], [2.0]], [(0, 1)], node_ptr=[0, 2])


TWO = np.zeros((2, 3))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"node_ptr": [0, 1]}, "node_ptr must rise from 0 to 2"),
        ({"node_ptr": [0, 3, 2]}, "node_ptr must rise"),
        ({"node_ptr": [[0, 2]]}, "node_ptr must have"),
        ({"node_ptr": [0, 2], "edge_ptr": [0, 0, 0]}, "edge_ptr must have n_graphs + 1 = 2 entries"),
        ({"node_ptr": [0, 2], "edge_ptr": [0, 1]}, "edge_ptr must rise from 0 to 0"),
        ({"edge_features": [[1]]}, "edge_features has 1 rows but there are 0 edges"),
    ],
)
def test_bad_fields(fields, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        GraphDataset(TWO, **fields)


def test_without_edges():
    X = GraphDataset.from_graphs([([[1.0], [2.0]], [(0, 1)], [[3.0, 4.0]]), ([[5.0]], [], np.zeros((0, 2)))])
    bare = X.without_edges()
    assert (len(bare), bare.n_nodes, bare.n_edges) == (2, 3, 0)
    assert bare.edge_features.shape == (0, 2)
    assert bare.topology.n_edges == 0
    assert bare.node_features is X.node_features
    assert X.with_edge_features(None).without_edges().edge_features is None
    assert X.n_edges == 1
