"""Datasets of lists of graphs, sequences and images."""

import re

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from skstruct.data.dataset import Graph, GraphDataset
from skstruct.data.graph_input import check_finite


def test_forms_of_graphs(dataset, make_parts):
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
        assert list(GraphDataset.from_graphs(form)) == list(dataset)
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


def test_order_of_the_edges_of_images():
    edges = GraphDataset.from_images(np.zeros((1, 2, 2)), connectivity=8).edges
    assert edges.tolist() == [[0, 1], [2, 3], [0, 2], [1, 3], [0, 3], [1, 2]]  # right, down, down-right, down-left


@pytest.mark.parametrize("connectivity", [6, 18, 26])
def test_volumes(connectivity):
    """Two voxels are neighbours if no coordinate differs by more than 1, and at most 1, 2 or 3 of them differ."""
    shape = (3, 4, 2)
    volume = np.arange(48.0).reshape(*shape, 2)
    dataset = GraphDataset.from_images([volume, volume[:1]], connectivity, contrast=True)
    places = np.argwhere(np.ones(shape))
    steps = np.abs(places[:, None] - places)
    near = (steps.max(axis=2) == 1) & (steps.sum(axis=2) <= {6: 1, 18: 2, 26: 3}[connectivity])
    i, j = np.nonzero(np.triu(near))
    assert {frozenset(e) for e in dataset[0].edges.tolist()} == {frozenset(e) for e in zip(i.tolist(), j.tolist())}
    assert dataset[0].n_edges == len(i)
    assert np.array_equal(dataset[0].node_features, volume.reshape(-1, 2))
    assert dataset[1].n_nodes == 8
    volume[2, 1, 0, 1] = np.nan
    with pytest.raises(ValueError, match="image 0 has the value nan at plane 2, row 1, column 0"):
        GraphDataset.from_images([volume], connectivity, contrast=True)


def test_own_features_of_pixels():
    images = [np.arange(6.0).reshape(2, 3), np.ones((1, 2, 1))]
    own = [np.arange(12).reshape(2, 3, 2), np.array([[7, 8]])[..., None].repeat(2, axis=2)]
    dataset = GraphDataset.from_images(images, contrast=True, features=own)
    assert dataset[0].node_features.tolist() == [[k, 2 * k, 2 * k + 1] for k in range(6)]
    assert dataset[1].node_features.tolist() == [[1, 7, 7], [1, 8, 8]]
    plain = GraphDataset.from_images(images, contrast=True)
    assert np.array_equal(dataset.edge_features, plain.edge_features)  # contrast of the channels only


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
        (np.zeros((1, 4, 5)), {"connectivity": 6}, "connectivity must be 4 or 8 for images, got 6"),
        ([np.array([["a"]])], {}, "dtype <U1"),
        (np.zeros((1, 2, 2, 2, 1)), {}, "connectivity must be 6, 18 or 26 for volumes, got 4"),
        (np.zeros((2, 4, 5)), {"features": [np.zeros((4, 5))]}, "got 2 images but features of 1 images"),
        (
            np.zeros((1, 4, 5)),
            {"features": np.zeros((1, 5, 4))},
            r"features of image 0 must hold numbers of shape \(4, 5",
        ),
        (np.zeros((1, 4, 5)), {"features": np.zeros((1, 4, 5, 1, 1))}, r"got shape \(4, 5, 1, 1\)"),
        (np.zeros((1, 4, 5)), {"features": np.full((1, 4, 5), "a")}, "dtype <U1"),
    ],
)
def test_bad_images(images, kwargs, message):
    with pytest.raises(ValueError, match=message):
        GraphDataset.from_images(images, **kwargs)


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


def test_not_a_graph():
    with pytest.raises(TypeError, match="graph 1 is a int; pass a Graph"):
        GraphDataset.from_graphs([Graph(TWO), 3])


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
