"""Graph and GraphDataset: packing, selecting, refusing."""

import copy
import pickle
import re

import joblib
import networkx as nx
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.model_selection import KFold, train_test_split
from sklearn.pipeline import FeatureUnion
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import resample, shuffle

from skstruct.data.dataset import Graph, GraphDataset
from skstruct.data.graph_input import as_dataset, check_finite, is_graph_input
from skstruct.data.ragged import RaggedArray

SIZES = [3, 1, 4, 0, 2]
EDGES = [[(0, 1), (2, 1)], [], [(0, 3), (1, 2), (1, 2)], [], [(0, 1)]]


def make_parts(kind="dense"):
    rng = np.random.default_rng(0)
    parts = []
    for n, edges in zip(SIZES, EDGES):
        x = rng.integers(0, 3, (n, 4)).astype(float)
        table = {
            "dense": lambda x: x,
            "csr": sp.csr_array,
            "csr_matrix": sp.csr_matrix,
            "pandas": lambda x: pd.DataFrame(x, columns=list("abcd")),
            "polars": lambda x: pl.DataFrame(x, schema=list("abcd")),
            "dicts": lambda x: [{"a": row[0], "b": str(row[1])} for row in x],
        }[kind](x)
        parts.append((table, edges, rng.normal(size=(len(edges), 2))))
    return parts


KINDS = ["dense", "csr", "csr_matrix", "pandas", "polars", "dicts"]


@pytest.fixture
def dataset():
    return GraphDataset.from_graphs(make_parts())


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
def test_selecting_graphs(kind, key, expected):
    dataset = GraphDataset.from_graphs(make_parts(kind))
    part = dataset[key]
    assert isinstance(part, GraphDataset)
    assert same(list(part), [dataset[g] for g in expected])
    again = GraphDataset(part.node_features, part.edges, part.edge_features, part.node_ptr, part.edge_ptr)
    assert same(again, part)


@pytest.mark.parametrize("kind", KINDS)
def test_items_are_what_was_packed(kind):
    parts = make_parts(kind)
    dataset = GraphDataset.from_graphs(parts)
    for graph, part in zip(dataset, parts):
        assert graph == Graph(*part)
    assert dataset[-1] == dataset[4]
    assert dataset[0] != dataset[1]
    assert dataset[0] != "graph"
    with pytest.raises(IndexError, match="index 5 is out of range for 5 graphs"):
        dataset[5]


def test_contiguous_slices_are_views(dataset):
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
def test_selecting_features_of_frames(kind):
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
def test_joining_tables(kind):
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


# ---- constructors


def test_plain_constructor_makes_one_graph():
    dataset = GraphDataset([[1.0], [2.0]], [(0, 1)])
    assert len(dataset) == 1
    assert GraphDataset([[1.0], [2.0]], node_ptr=[0, 1, 2]).n_edges == 0
    with pytest.raises(ValueError, match="edge_ptr is needed"):
        GraphDataset([[1.0], [2.0]], [(0, 1)], node_ptr=[0, 2])


def test_forms_of_graphs(dataset):
    parts = make_parts()
    objects = np.empty(5, object)
    for g, part in enumerate(parts):
        objects[g] = Graph(*part)
    dicts = [dict(zip(("node_features", "edges", "edge_features"), part)) for part in parts]
    for form in (
        [Graph(*p) for p in parts],
        objects,
        dicts,
        tuple(parts),
        [list(p) for p in parts],
        iter(parts),
        dataset,
    ):
        assert same(GraphDataset.from_graphs(form), dataset)
    assert GraphDataset.from_graphs([(p[0],) for p in parts]).n_edges == 0


def test_graphs_are_opaque_to_numpy(dataset):
    array = np.asarray([dataset[0], dataset[0]])
    assert array.shape == (2,)
    assert array.dtype == object


def test_dense_and_sparse_graphs_together():
    dataset = GraphDataset.from_graphs([(np.eye(2), None), (sp.coo_array(np.eye(2)), [(0, 1)])])
    assert sp.issparse(dataset.node_features)
    assert dataset.node_features.format == "csr"


def test_empty_graphs():
    dataset = GraphDataset.from_graphs([([], None), ([[1.0, 2.0]], None), (np.zeros((0, 2)), [])])
    assert dataset.shape == (3, 2)
    assert dataset.node_ptr.tolist() == [0, 0, 1, 1]
    assert dataset[0].node_features.shape == (0, 2)


def test_edge_features_of_graphs_without_edges_may_be_left_out():
    dataset = GraphDataset.from_graphs([([[1.0]], None), ([[1.0], [2.0]], [(0, 1)], [[5.0]])])
    assert dataset.edge_features.tolist() == [[5.0]]
    sparse = GraphDataset.from_graphs([([[1.0], [2.0]], [(0, 1)], sp.csr_array([[5.0]]))])
    assert sparse[0].edge_features.toarray().tolist() == [[5.0]]


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint8, float])
def test_types_of_edges(dtype):
    graph = Graph(np.zeros((3, 1)), np.array([(0, 1), (1, 2)], dtype=dtype))
    assert graph.edges.dtype == np.int32


def test_sequences():
    dataset = GraphDataset.from_sequences([np.ones((3, 2)), np.zeros((1, 2)), np.zeros((0, 2)), np.ones((2, 2))])
    assert [g.edges.tolist() for g in dataset] == [[[0, 1], [1, 2]], [], [], [[0, 1]]]
    words = GraphDataset.from_sequences([["a", "b"], np.array(["c"]), ["d"]])
    assert words.node_features == ["a", "b", "c", "d"]
    frames = GraphDataset.from_sequences([pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [3]})])
    assert frames.node_features["a"].tolist() == [1, 2, 3]
    assert GraphDataset.from_sequences([[{"w": "a"}], [{"w": "b"}, {"w": "c"}]]).n_edges == 1
    assert GraphDataset.from_sequences([sp.csr_array(np.eye(3))]).n_edges == 2


@pytest.mark.parametrize(
    ("sequences", "error", "message"),
    [
        ("abc", TypeError, "one sequence"),
        (["abc", "de"], TypeError, "sequence 0 is a str"),
        ([{"a": 1}], TypeError, "sequence 0 is a dict"),
        (pd.DataFrame({"a": [1]}), TypeError, "pass a list of sequences"),
        ([], ValueError, r"0 sample\(s\)"),
        ([np.ones(3)], ValueError, "sequence 0 must be 2-D.*reshape"),
        ([[[1, 2], [3]]], ValueError, "sequence 0 must have rows of equal length"),
        ([[{"a": 1}, "b", 3]], ValueError, "row 2 is a int"),
        ([np.ones((2, 2)), ["a"]], ValueError, "graph 1 are a list but those of graph 0 are a ndarray"),
    ],
)
def test_bad_sequences(sequences, error, message):
    with pytest.raises(error, match=message):
        GraphDataset.from_sequences(sequences)


def test_images_match_networkx_grids():
    dataset = GraphDataset.from_images([np.arange(12.0).reshape(3, 4), np.ones((1, 1))])
    grid = nx.convert_node_labels_to_integers(nx.grid_2d_graph(3, 4))
    assert {frozenset(e) for e in dataset[0].edges.tolist()} == {frozenset(e) for e in grid.edges}
    assert dataset.node_features.ravel()[:12].tolist() == list(range(12))
    assert dataset[1].n_edges == 0
    king = GraphDataset.from_images(np.zeros((2, 3, 4)), connectivity=8)
    assert king[0].n_edges == 17 + 2 * 2 * 3
    assert len(np.unique(king.topology.pairs)) == king.n_edges
    i, j = king[0].edges.T
    assert (np.maximum(abs(i // 4 - j // 4), abs(i % 4 - j % 4)) == 1).all()


def test_images_with_channels():
    images = np.random.default_rng(0).random((2, 3, 4, 5))
    dataset = GraphDataset.from_images(images)
    assert dataset.shape == (2, 5)
    assert np.array_equal(dataset[1].node_features, images[1].reshape(-1, 5))


def test_contrast():
    image = np.array([[0, 0, 255]], dtype=np.uint8)
    dataset = GraphDataset.from_images([image], contrast=True)
    mean = (0 + 255.0**2) / 2
    assert np.allclose(dataset.edge_features, [[1, 1], [1, np.exp(-(255.0**2) / (2 * mean))]])
    flat = GraphDataset.from_images(np.ones((1, 2, 2)), contrast=True)
    assert flat.edge_features.tolist() == [[1, 1]] * 4


@pytest.mark.parametrize("scale", [1.0, 1e200, 1e-200, 2.0**1000])
def test_contrast_of_large_and_small_pixels(scale):
    """Squares neither overflow nor vanish."""
    image = np.array([[0.0, 1.0], [0.5, -1.0]])
    expected = GraphDataset.from_images([image], contrast=True).edge_features
    found = GraphDataset.from_images([image * scale], contrast=True).edge_features
    np.testing.assert_allclose(found, expected, rtol=1e-14)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.longdouble])
@pytest.mark.parametrize("n_channels", [0, 3])
def test_contrast_needs_finite_pixels(value, dtype, n_channels):
    image = np.ones((3, 4, n_channels) if n_channels else (3, 4), dtype)
    image[(1, 2, 0) if n_channels else (1, 2)] = value
    with pytest.raises(ValueError, match=r"image 1 has the value -?(nan|inf) at row 1, column 2.*impute"):
        GraphDataset.from_images([np.ones_like(image), image], contrast=True)
    assert GraphDataset.from_images([image]).n_edges == 17  # an imputer may follow


@pytest.mark.parametrize(
    ("images", "kwargs", "message"),
    [
        (np.ma.array(np.ones((1, 2, 2)), mask=[[[0, 1], [0, 0]]]), {}, "image 0 has 1 masked values"),
        ([np.ones((2, 2)), np.ma.array(np.ones((2, 2)), mask=True)], {"contrast": True}, "image 1 has 4 masked values"),
        (np.zeros((4, 5)), {}, r"image 0 must hold numbers.*got shape \(5,\).*pass \[image\]"),
        (np.zeros((1, 4, 5)), {"connectivity": 6}, "connectivity must be 4 or 8, got 6"),
        ([np.array([["a"]])], {}, "dtype <U1"),
    ],
)
def test_bad_images(images, kwargs, message):
    with pytest.raises(ValueError, match=message):
        GraphDataset.from_images(images, **kwargs)


def test_networkx():
    graph = nx.DiGraph()
    graph.add_node("x", size=1.0, place=[0.5, 2.0])
    graph.add_node("y", size=2.0, place=[1.5, 3.0])
    graph.add_edge("y", "x", weight=7)
    dataset = GraphDataset.from_networkx([graph], ["size", "place"], "weight")
    assert dataset[0] == Graph([[1, 0.5, 2], [2, 1.5, 3]], [(1, 0)], [[7]])
    lone = nx.Graph()
    lone.add_node(0, size=3.0, place=[1, 1])
    assert len(GraphDataset.from_networkx([graph, lone], "size", ["weight"])) == 2
    multi = nx.MultiGraph(nx.path_graph(2))
    multi.add_edge(0, 1)
    nx.set_node_attributes(multi, 1.0, "size")
    assert GraphDataset.from_networkx([multi], "size").n_edges == 2
    with pytest.raises(ValueError, match="graph 1, node 0 has no attribute 'place'"):
        GraphDataset.from_networkx([graph, multi], "place")
    with pytest.raises(ValueError, match=r"graph 0, edge \('y', 'x'\) has no attribute 'w', but has \['weight'\]"):
        GraphDataset.from_networkx([graph], "size", "w")
    graph.nodes["x"]["place"] = [1]
    with pytest.raises(ValueError, match="different lengths"):
        GraphDataset.from_networkx([graph], "place")
    with pytest.raises(TypeError, match="pass a list of graphs"):
        GraphDataset.from_networkx(graph, "size")


def test_scipy():
    matrix = sp.coo_array(([2.0, 2.0, 3.0, 3.0, 0.0], ([0, 1, 2, 1, 0], [1, 0, 1, 2, 2])), shape=(3, 3))
    dataset = GraphDataset.from_scipy([matrix], [np.eye(3)], weights=True)
    assert dataset[0].edges.tolist() == [[0, 1], [1, 2]]
    assert dataset.edge_features.tolist() == [[2.0], [3.0]]
    directed = GraphDataset.from_scipy([matrix], [np.eye(3)], directed=True)
    assert directed[0].edges.tolist() == [[0, 1], [1, 0], [1, 2], [2, 1]]
    assert directed.edge_features is None
    upper = GraphDataset.from_scipy([sp.triu(matrix)], [np.eye(3)])
    assert upper[0].edges.tolist() == [[0, 1], [1, 2]]
    with pytest.raises(ValueError, match=r"graph 0 has shape \(3, 3\) but its node features have 2 rows"):
        GraphDataset.from_scipy([matrix], [np.eye(2)])
    with pytest.raises(ValueError, match="1 adjacency matrices but 2 tables"):
        GraphDataset.from_scipy([matrix], [np.eye(3)] * 2)
    with pytest.raises(ValueError, match=r"edge 0 is \(0, 0\) which joins a node with itself"):
        GraphDataset.from_scipy([np.eye(3)], [np.eye(3)])
    with pytest.raises(TypeError, match="pass a list"):
        GraphDataset.from_scipy(matrix, [np.eye(3)])


PATH = np.array([[0.0, 2.0, 0.0], [2.0, 0.0, 3.0], [0.0, 3.0, 0.0]])
ROUNDED = PATH.copy()
ROUNDED[1, 0] = np.nextafter(2.0, 3.0)


@pytest.mark.parametrize(
    "matrix",
    [
        PATH,
        np.triu(PATH),
        np.tril(PATH),
        ROUNDED,
        ROUNDED.T,
        (PATH / 10).astype(np.float32) + np.tril(np.full((3, 3), 1e-9, np.float32)) * (PATH > 0),
        PATH.astype(np.float16),
        PATH.astype(np.uint8),
        PATH > 0,
        PATH * 1e307,
        PATH * 5e-324,
        ROUNDED * -1,
        PATH.tolist(),
        np.ma.array(PATH, mask=False),
    ],
)
@pytest.mark.parametrize("form", [lambda x: x, sp.csr_array, sp.csc_matrix, sp.coo_array, sp.lil_matrix])
def test_adjacency_with_each_edge_once(matrix, form):
    """A symmetric matrix, up to rounding, or either of its triangles; the weight is the one that stands above."""
    above = np.asarray(matrix)
    if above.dtype == np.float16:
        form = np.asarray  # scipy has no sparse matrices of them
    dataset = GraphDataset.from_scipy([form(matrix)], [np.eye(3)], weights=True)
    assert dataset.edges.tolist() == [[0, 1], [1, 2]]
    above = above if above[0, 1] else above.T
    assert dataset.edge_features.ravel().tolist() == [above[0, 1], above[1, 2]]
    transposed = GraphDataset.from_scipy([form(np.asarray(matrix).T)], [np.eye(3)])
    assert transposed.edges.tolist() == dataset.edges.tolist()


def changed(i, j, value, dtype=float):
    matrix = PATH.astype(dtype)
    matrix[i, j] = value
    return matrix


@pytest.mark.parametrize("directed", [False, True])
@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (changed(0, 1, np.nan), r"graph 0 has the entry nan at \(0, 1\)"),
        (changed(2, 1, np.inf), r"graph 0 has the entry inf at \(2, 1\)"),
        (changed(0, 2, -np.inf), r"graph 0 has the entry -inf at \(0, 2\)"),
        (sp.csr_array(changed(0, 1, np.nan)), r"graph 0 has the entry nan at \(0, 1\)"),
        (sp.coo_matrix(changed(1, 0, np.inf)), r"graph 0 has the entry inf at \(1, 0\)"),
        (np.full((3, 3), np.nan), r"graph 0 has the entry nan at \(0, 0\)"),
        (PATH.astype(str), "graph 0 must hold real numbers, got <U"),
        (PATH.astype(object), "graph 0 must hold real numbers, got object"),
        (PATH * 1j, "graph 0 must hold real numbers, got complex128"),
        (sp.csr_array(PATH * 1j), "graph 0 must hold real numbers, got complex128"),
        (np.ma.array(PATH, mask=PATH == 2), "graph 0 has 2 masked values"),
        (np.ones(3), r"graph 0 has shape \(3,\)"),
        (None, r"graph 0 has shape \(\)"),
    ],
)
def test_bad_adjacency(matrix, message, directed, weights):
    with pytest.raises(ValueError, match=message):
        GraphDataset.from_scipy([matrix], [np.eye(3)], directed=directed, weights=weights)


@pytest.mark.parametrize(
    ("matrix", "entry"),
    [
        (changed(0, 1, 0), r"at \(0, 1\) is 0, but 2.0 at \(1, 0\)"),
        (changed(1, 0, 0), r"at \(0, 1\) is 2.0, but 0 at \(1, 0\)"),
        (changed(2, 1, 0), r"at \(1, 2\) is 3.0, but 0 at \(2, 1\)"),
        (changed(1, 2, 0), r"at \(1, 2\) is 0, but 3.0 at \(2, 1\)"),
        (changed(2, 0, 1), r"at \(0, 2\) is 0, but 1.0 at \(2, 0\)"),
        (changed(0, 1, -2), r"at \(0, 1\) is -2.0, but 2.0"),
        (changed(0, 1, 2.001), r"at \(0, 1\) is 2.001, but 2.0"),
        (changed(0, 1, 10**9 + 1, int) + changed(1, 0, 10**9 - 2, int), r"is 1000000003, but 1000000000"),
        (changed(0, 1, 5, np.uint8), r"is 5, but 2"),
        ((PATH - 2 * np.tril(PATH)) * 5e307, "is 1e[+]308, but -1e[+]308"),
    ],
)
@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_adjacency_that_is_not_symmetric(matrix, entry, form):
    with pytest.raises(ValueError, match=r"not symmetric; pass directed=True, or .*maximum\(matrix.T\).*" + entry):
        GraphDataset.from_scipy([form(matrix)], [np.eye(3)])
    assert GraphDataset.from_scipy([form(matrix)], [np.eye(3)], directed=True).n_edges == np.count_nonzero(matrix)
    advised = sp.csr_array(form(matrix).maximum(form(matrix).T)) if sp.issparse(form(matrix)) else None
    if advised is not None:
        dataset = GraphDataset.from_scipy([advised], [np.eye(3)], weights=True)
        i, j = dataset.edges.T
        assert dataset.edge_features.ravel().tolist() == np.maximum(matrix, matrix.T)[i, j].tolist()


def tables(library):
    nodes = {
        "g": ["b", "b", "a", "a", "a"],
        "name": [5, 6, 5, 6, 7],
        "x": [1.0, 2.0, 3.0, 4.0, 5.0],
        "y": list("NVNVD"),
    }
    edges = {"g": ["a", "b", "a"], "source": [7, 5, 5], "target": [5, 6, 6], "w": [0.1, 0.2, 0.3]}
    return library.DataFrame(nodes), library.DataFrame(edges)


@pytest.mark.parametrize("library", [pd, pl])
def test_frames(library):
    nodes, edges = tables(library)
    chains = GraphDataset.from_frame(nodes, graph="g", node="name", features=["x"])
    assert [g.edges.tolist() for g in chains] == [[[0, 1]], [[0, 1], [1, 2]]]
    assert list(chains.node_features.columns) == ["x"]
    assert RaggedArray(nodes["y"], chains.node_ptr).tolist() == [["N", "V"], ["N", "V", "D"]]
    linked = GraphDataset.from_frame(nodes, edges, graph="g", node="name", features=["x"])
    assert [g.edges.tolist() for g in linked] == [[[0, 1]], [[2, 0], [0, 1]]]
    assert np.asarray(linked.edge_features).tolist() == [[0.2], [0.1], [0.3]]
    assert list(GraphDataset.from_frame(nodes, graph="g").node_features.columns) == ["name", "x", "y"]
    numbered = library.DataFrame({"g": ["a"], "source": [0], "target": [2]})
    assert GraphDataset.from_frame(nodes, numbered, graph="g")[1].edges.tolist() == [[0, 2]]
    assert GraphDataset.from_frame(nodes, numbered, graph="g").edge_features is None


@pytest.mark.parametrize("library", [pd, pl])
def test_bad_frames(library):
    nodes, edges = tables(library)
    with pytest.raises(ValueError, match="nodes has no column 'doc'; its columns are"):
        GraphDataset.from_frame(nodes, graph="doc")
    with pytest.raises(ValueError, match="edges has no column 'from'"):
        GraphDataset.from_frame(nodes, edges, graph="g", source="from")
    with pytest.raises(ValueError, match="must be consecutive in nodes, but they are scattered; sort"):
        GraphDataset.from_frame(nodes[[0, 2, 1, 3, 4]] if library is pl else nodes.iloc[[0, 2, 1, 3, 4]], graph="g")
    with pytest.raises(ValueError, match="row 0 of edges names the node 7, which its graph does not have in column"):
        GraphDataset.from_frame(nodes[:4], edges, graph="g", node="name")
    with pytest.raises(ValueError, match="row 1 of edges names the graph 'b', which is not in column 'g' of nodes"):
        GraphDataset.from_frame(nodes[2:], edges, graph="g", node="name")
    with pytest.raises(ValueError, match="must be unique within a graph"):
        GraphDataset.from_frame(nodes, edges, graph="g", node="g")
    with pytest.raises(ValueError, match=r"graph 0, edge 0 is \(5, 6\) but the graph has 2 nodes"):
        GraphDataset.from_frame(nodes, edges, graph="g")
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        GraphDataset.from_frame(nodes[:0], graph="g")
    with pytest.raises(TypeError, match="must be a pandas or polars data frame, got ndarray"):
        GraphDataset.from_frame(np.eye(3), graph="g")


@pytest.mark.parametrize(
    "graph",
    [
        [1.0, np.nan, np.nan, 2.0, np.nan],
        ["a", None, None, "b", None],
        [1, None, None, 2, None],
        pd.array([1, None, None, 2, None], dtype="Int64"),
        pd.array(["a", None, None, "b", None], dtype="string"),
        pd.array([True, None, None, False, None], dtype="boolean"),
        pd.Categorical(["a", None, None, "b", None]),
        pd.to_datetime(["2020", None, None, "2021", None]),
        pd.to_datetime(["2020", None, None, "2021", None]).tz_localize("UTC"),
        np.array([1, np.nan, None, 2, pd.NA], object),
        pl.Series([1, None, None, 2, None]),
        pl.Series(["a", None, None, "b", None]),
        pl.Series([True, None, None, False, None]),
        pl.Series(["a", None, None, "b", None], dtype=pl.Categorical),
        pl.Series([1.0, float("nan"), float("nan"), 2.0, float("nan")]),
    ],
)
@pytest.mark.parametrize("column", ["graph", "node", "source", "target"])
def test_missing_names_in_frames(graph, column):
    """Of graphs in both tables, of nodes, and of the ends of edges; the first row is named."""
    library = pl if isinstance(graph, pl.Series) else pd
    x, ones = [0.5] * 5, [1] * 5
    whole = library.DataFrame({"s": ones, "name": [0, 1, 2, 3, 4], "x": x})
    if column in ("graph", "node"):
        bad = library.DataFrame({"s": graph if column == "graph" else ones, "name": graph, "x": x})
        edges = library.DataFrame({"s": [1], "source": [0], "target": [1]})
        with pytest.raises(ValueError, match=r"row 1 of nodes has no value in column .*\(3 such rows\).*ffill"):
            GraphDataset.from_frame(bad, edges, graph="s", node=None if column == "graph" else "name")
        if column == "graph":
            with pytest.raises(ValueError, match="row 1 of nodes has no value in column 's'"):
                GraphDataset.from_frame(bad, graph="s")
    edges = {"s": ones, "source": [0, 1, 2, 3, 0], "target": [1, 2, 3, 4, 4]}
    name = "s" if column in ("graph", "node") else column
    bad = library.DataFrame({**edges, name: graph})
    for node in ("name", None):
        with pytest.raises(ValueError, match=f"row 1 of edges has no value in column '{name}'"):
            GraphDataset.from_frame(whole, bad, graph="s", node=node)


def test_filled_names_of_graphs():
    """What the error suggests."""
    nodes = pd.DataFrame({"s": [1, np.nan, np.nan, 2, np.nan], "x": 1.0})
    assert np.diff(GraphDataset.from_frame(nodes.assign(s=nodes["s"].ffill()), graph="s").node_ptr).tolist() == [3, 2]
    nodes = pl.DataFrame({"s": [1, None, None, 2, None], "x": [1.0] * 5}).with_columns(pl.col("s").forward_fill())
    assert np.diff(GraphDataset.from_frame(nodes, graph="s").node_ptr).tolist() == [3, 2]


# ---- refusals

TWO = np.zeros((2, 3))


@pytest.mark.parametrize(
    ("graphs", "message"),
    [
        ([(TWO, None), (TWO, [(0, 1), (0, 9)])], "graph 1, edge 1 is (0, 9) but the graph has 2 nodes"),
        ([(TWO, [(0, 2), (2, 0)])], "but the graph has 2 nodes, numbered from 0 within it (2 such edges)"),
        ([(TWO, [(0, -1)])], "graph 0, edge 0 is (0, -1) but node numbers start at 0"),
        ([(TWO, [(1, 1)])], "graph 0, edge 0 is (1, 1) which joins a node with itself; remove it"),
        ([(TWO, [(0.0, 0.5)])], "edges of graph 0 must hold integers, the numbers of nodes, got float64"),
        ([(TWO, [(True, False)])], "got bool"),
        ([(TWO, [("0", "1")])], "got <U1"),
        ([(TWO, [(0, 1, 1)])], "shape (n_edges, 2), got shape (1, 3)"),
        ([(TWO, [[0, 0, 0], [1, 1, 1]])], "got shape (2, 3); transpose it"),
        ([(TWO, [(0, 1), (0,)])], "edges of graph 0 must be pairs of node numbers"),
        ([(TWO, np.array([(0, 2**40)]))], "beyond the limit of 2**31 nodes"),
        ([(TWO, [(0, 1)], np.ones((2, 1)))], "edge_features of graph 0 has 2 rows but the graph has 1 edges"),
        ([(TWO, [(0, 1)], [[1]]), (TWO, [(0, 1)])], "graph 1 has no edge features but graph 0 has"),
        (
            [(TWO, [(0, 1)], [[1]]), (TWO, [(0, 1)], [[1, 2]])],
            "graph 1 has 2 edge features but graph 0 has 1",
        ),
        ([(TWO, [(0, 1)], [1.0])], "edge_features of graph 0 must be 2-D"),
        ([(TWO, None), (TWO[:, :2], None)], "graph 1 has 2 node features but graph 0 has 3"),
        ([(TWO, None), (TWO[0], None)], "node_features of graph 1 must be 2-D"),
        ([(TWO, None), ([[1, 2, {}]], None)], "node_features of graph 1 mixes numbers with other objects"),
        (
            [(TWO, None), (pd.DataFrame(TWO), None)],
            "graph 1 are a DataFrame but those of graph 0 are a ndarray",
        ),
        (
            [(pd.DataFrame({"a": [1]}), None), (pd.DataFrame({"b": [1]}), None)],
            "graph 1 have the columns ['b'] but those of graph 0 have ['a']",
        ),
        ([{"node_features": TWO, "links": []}], "graph 0 is a dict with the keys ['links', 'node_features']"),
        ([], "0 sample(s)"),
    ],
)
def test_bad_graphs(graphs, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        GraphDataset.from_graphs(graphs)


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


@pytest.mark.parametrize("graph", [Graph(TWO), (TWO, [(0, 1)]), {"node_features": TWO}])
def test_one_graph_is_no_list(graph):
    assert is_graph_input(graph)
    for pack in (as_dataset, GraphDataset.from_graphs):
        with pytest.raises(TypeError, match=r"pass \[graph\] for one graph"):
            pack(graph)


def test_not_a_graph():
    with pytest.raises(TypeError, match="graph 1 is a int; pass a Graph"):
        GraphDataset.from_graphs([Graph(TWO), 3])


@pytest.mark.parametrize(
    "X",
    [
        [(TWO, None)],
        ((TWO, None), (TWO, None)),
        [(sp.csr_array(TWO), [(0, 1)])],
        [(pd.DataFrame(TWO), None)],
        [(["a", "b"], [(0, 1)])],
        [([[1.0, 2.0]], [])],
        [Graph(TWO)],
        [{"node_features": TWO}],
    ],
)
def test_graph_input(X):
    assert is_graph_input(X)
    assert isinstance(as_dataset(X), GraphDataset)
    packed = as_dataset(X)
    assert as_dataset(packed) is packed
    assert as_dataset(packed.nodes) is packed


@pytest.mark.parametrize(
    "X",
    [
        TWO,
        TWO.tolist(),
        [(1.0, 2.0), (3.0, 4.0)],
        ((1.0, 2.0), (3.0, 4.0)),
        [np.ones(3), np.ones(3)],
        [],
        (),
        None,
        "abc",
        3,
        sp.csr_array(TWO),
        pd.DataFrame(TWO),
        [{"a": 1}, {"b": 2}],
        [["the", "dog"]],
        [[[1.0]]],
        np.array([[1, "a"]], dtype=object),
        np.array(["a", 1], dtype=object),
        np.zeros((0, 2)),
    ],
)
def test_table_input(X):
    assert not is_graph_input(X)


# ---- NaN


@pytest.mark.parametrize("kind", ["dense", "csr", "csr_matrix"])
def test_finite_features_pass(kind):
    check_finite(GraphDataset.from_graphs(make_parts(kind)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("convert", [np.asarray, sp.csr_array])
def test_the_first_bad_feature_is_named(dataset, value, convert):
    x = dataset.node_features.copy()
    x[6, 1] = x[9, 0] = value
    with pytest.raises(ValueError, match="Input X contains NaN or infinity: graph 2, node 2, feature 1 of node_feat"):
        check_finite(dataset.with_node_features(convert(x)))
    f = np.ones((6, 3))
    f[5, 2] = value
    with pytest.raises(ValueError, match=r"graph 4, edge 0, feature 2 of edge_features.*EdgeTransformer"):
        check_finite(dataset.with_edge_features(convert(f)))


def test_large_features_are_finite():
    check_finite(GraphDataset.from_nodes(np.full((2, 2), np.finfo(float).max)))
    check_finite(GraphDataset.from_nodes(np.zeros((0, 2))))


def test_packing_many_small_graphs():
    rng = np.random.default_rng(0)
    edges = np.column_stack([np.arange(9), np.arange(1, 10)])
    graphs = [(rng.random((10, 5)), edges) for _ in range(10_000)]
    dataset = GraphDataset.from_graphs(graphs)
    check_finite(dataset)
    assert dataset.n_edges == 90_000
    for g in (0, 5_000, 9_999):
        np.testing.assert_array_equal(dataset[g].node_features, graphs[g][0])
        np.testing.assert_array_equal(dataset[g].edges, edges)
