"""Datasets of adjacency matrices and data frames."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp

from skstruct.data.dataset import GraphDataset
from skstruct.data.ragged import RaggedArray


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
def test_frames_of_one_graph(library):
    nodes = library.DataFrame({"id": ["p", "q", "r"], "x": [1.0, 2.0, 3.0], "y": list("abc")})
    edges = library.DataFrame({"source": ["r", "p"], "target": ["p", "q"], "w": [0.1, 0.2]})
    dataset = GraphDataset.from_frame(nodes, edges, node="id", features=["x"])
    assert dataset.edges.tolist() == [[2, 0], [0, 1]]
    assert dataset.edge_features["w"].to_list() == [0.1, 0.2]
    assert dataset.node_ptr.tolist() == [0, 3]
    assert list(GraphDataset.from_frame(nodes, edges, node="id").node_features.columns) == ["x", "y"]
    named = GraphDataset.from_frame(
        nodes.assign(g=1) if library is pd else nodes.with_columns(g=1),
        edges.assign(g=1) if library is pd else edges.with_columns(g=1),
        graph="g",
        node="id",
        features=["x"],
    )
    assert named[0] == dataset[0]
    numbered = library.DataFrame({"source": [0], "target": [2]})
    assert GraphDataset.from_frame(nodes, numbered).edges.tolist() == [[0, 2]]
    assert GraphDataset.from_frame(nodes, edges[:0], node="id").n_edges == 0
    assert GraphDataset.from_frame(nodes).edges.tolist() == [[0, 1], [1, 2]]
    with pytest.raises(ValueError, match="row 0 of edges names the node 'r', which its graph does not have"):
        GraphDataset.from_frame(nodes[:2], edges, node="id")
    with pytest.raises(ValueError, match="the names in column 'x' of nodes must be unique within a graph"):
        GraphDataset.from_frame(library.DataFrame({"x": [1.0, 1.0]}), numbered, node="x")
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        GraphDataset.from_frame(nodes[:0])


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
