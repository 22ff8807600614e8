"""Datasets of graphs of networkx and PyTorch Geometric, and the way back to networkx."""

from types import SimpleNamespace

import networkx as nx
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn.feature_extraction import DictVectorizer
from sklearn.pipeline import make_pipeline

from skstruct import Graph, GraphCRFClassifier, GraphDataset, as_ragged
from skstruct.preprocessing import EdgeTransformer, NetworkxToGraphs, NodeTransformer


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
    for attributes in (None, 3, []):
        with pytest.raises(ValueError, match="node_attributes must be the name of an attribute or a list of names"):
            GraphDataset.from_networkx([graph], attributes)
        with pytest.raises(ValueError, match="node_attributes must be the name of an attribute or a list of names"):
            NetworkxToGraphs(attributes).fit([graph])
    with pytest.raises(ValueError, match="edge_attributes must be the name of an attribute"):
        GraphDataset.from_networkx([graph], "size", 3)
    for read in (lambda X: GraphDataset.from_networkx(X, "size"), NetworkxToGraphs("size").fit_transform):
        with pytest.raises(TypeError, match="expected a list of networkx graphs, got None"):
            read(None)
        with pytest.raises(TypeError, match="graph 1 must be a networkx graph, got None"):
            read([lone, None])


def molecule(elements, bonds):
    """A molecule as pysmiles returns it."""
    graph = nx.Graph()
    for i, element in enumerate(elements):
        graph.add_node(i, element=element, charge=-0.5, aromatic=np.bool_(i == 0), place=[i, 1.0], isotope=None)
    for i, j, order in bonds:
        graph.add_edge(i, j, order=order, stereo="cis" if order == 2 else "none")
    return graph


def test_molecules():
    """Attributes that are strings become dicts, in all graphs."""
    graphs = [molecule("CCO", [(0, 1, 1), (1, 2, 2)]), molecule("N", [])]
    X = GraphDataset.from_networkx(graphs, ["element", "charge", "aromatic", "place", "isotope"], ["order", "stereo"])
    row = {"element": "C", "charge": -0.5, "aromatic": True, "place[0]": 0, "place[1]": 1.0}
    assert X[0].node_features[0] == row
    assert X[1].node_features == [{**row, "element": "N"}]
    assert X.edge_features == [{"order": 1, "stereo": "none"}, {"order": 2, "stereo": "cis"}]
    numbers = EdgeTransformer(DictVectorizer()).fit_transform(NodeTransformer(DictVectorizer()).fit_transform(X))
    assert numbers.node_features.shape == (4, 7)
    assert numbers.edge_features.toarray().tolist() == [[1, 0, 1], [2, 1, 0]]
    words = [nx.Graph(), nx.path_graph(1)]
    nx.set_node_attributes(words[1], "C", "element")
    assert [len(graph.node_features) for graph in GraphDataset.from_networkx(words, "element")] == [0, 1]


def test_molecules_in_a_pipeline():
    graphs = [molecule("CCO", [(0, 1, 1), (1, 2, 2)]), molecule("N", [])] * 3
    y = [[element == "O" for _, element in graph.nodes(data="element")] for graph in graphs]
    reader = NetworkxToGraphs(["element", "place"], ["order"])
    assert reader.get_feature_names_out() is None
    model = make_pipeline(reader, NodeTransformer(DictVectorizer()), GraphCRFClassifier()).fit(graphs, y)
    assert model.score(graphs, y) == 1
    assert model[:-1].get_feature_names_out().tolist() == [
        *["element=C", "element=N", "element=O", "place[0]", "place[1]"],
    ]
    assert reader.get_edge_feature_names_out().tolist() == ["order"]
    dataset = reader.transform(graphs)
    assert reader.transform(dataset) is dataset
    numbers = NetworkxToGraphs(["charge", "place"]).fit(iter(graphs))
    assert numbers.get_feature_names_out() is None
    assert numbers.fit(graphs).get_feature_names_out().tolist() == ["charge", "place[0]", "place[1]"]
    assert numbers.get_edge_feature_names_out() is None
    with pytest.raises(ValueError, match="graph 0, node 0 has no attribute 'weight'"):
        NetworkxToGraphs("weight").fit(graphs).transform(graphs)


TABLES = {
    "array": np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),
    "integers": np.arange(6).reshape(3, 2),
    "csr": sp.csr_array([[1.0, 0.0], [3.0, 4.0], [0.0, 6.0]]),
    "dicts": [{"a": "x", "b": 1}, {"a": "y", "b": 2}, {"a": "x", "b": 3}],
    "pandas": pd.DataFrame({"a": ["x", "y", "x"], "b": [1, 2, 3]}),
    "polars": pl.DataFrame({"a": [1.5, 2.5, 1.0], "b": [1.0, 2.0, 3.0]}),
}


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("create_using", [None, nx.Graph, nx.MultiDiGraph])
def test_networkx_both_ways(kind, create_using):
    table = TABLES[kind]
    graph = Graph(table, [(2, 0), (1, 2), (0, 1)], table)
    named = kind in ("dicts", "pandas", "polars")
    columns = ["a", "b"] if named else "features"
    converted = graph.to_networkx(create_using)
    assert type(converted) is (create_using or nx.DiGraph)
    back = GraphDataset.from_networkx([converted], columns, columns)[0]
    rows = table.toarray() if kind == "csr" else table
    rows = rows.to_dict("records") if kind == "pandas" else rows.to_numpy() if kind == "polars" else rows
    assert {frozenset(e) for e in back.edges.tolist()} == {frozenset(e) for e in graph.edges.tolist()}
    assert Graph(back.node_features) == Graph(rows)
    if create_using is not nx.Graph:
        order = [graph.edges.tolist().index(edge) for edge in back.edges.tolist()]
        assert Graph(back.edge_features) == Graph([rows[e] for e in order] if isinstance(rows, list) else rows[order])
    if not named:
        listed = graph.to_networkx(create_using, ["a", "b"], ["c", "d"])
        assert Graph(GraphDataset.from_networkx([listed], ["a", "b"])[0].node_features) == Graph(rows)
        with pytest.raises(ValueError, match="node_attributes has 1 names, but there are 2 features"):
            graph.to_networkx(node_attributes=["a"])


def test_networkx_of_other_graphs():
    words = Graph(["the", "dog"], [(0, 1)]).to_networkx(node_attributes="word")
    assert list(words.nodes(data=True)) == [(0, {"word": "the"}), (1, {"word": "dog"})]
    assert list(words.edges(data=True)) == [(0, 1, {})]
    assert Graph(np.zeros((0, 2))).to_networkx().number_of_nodes() == 0
    twice = Graph(np.zeros((2, 1)), [(0, 1), (1, 0), (0, 1)])
    assert twice.to_networkx(nx.MultiDiGraph).number_of_edges() == 3
    assert twice.to_networkx(nx.MultiGraph).number_of_edges() == 3
    for kind, number in ((None, 2), (nx.Graph, 1)):
        with pytest.raises(ValueError, match=rf"lists 3 edges, of which a (Di)?Graph has only {number}; pass create"):
            twice.to_networkx(kind)


class Tensor:
    """What is used of a tensor: one that needs a gradient is no array."""

    def __init__(self, values):
        self.values = np.asarray(values)

    def detach(self):
        return self

    def cpu(self):
        return self.values


EDGES = np.array([[0, 1, 1, 2, 0], [1, 0, 2, 1, 2]])


@pytest.mark.parametrize("kind", [np.asarray, Tensor])
def test_pyg(kind):
    data = SimpleNamespace(x=kind(np.eye(3)), edge_index=kind(EDGES), edge_attr=kind(np.arange(5.0)), y=[0, 1, 0])
    dataset = GraphDataset.from_pyg([data], directed=True)
    assert dataset[0] == Graph(np.eye(3), EDGES.T, np.arange(5.0)[:, None])
    once = GraphDataset.from_pyg(iter([data, data]), directed=False)
    assert once[1] == Graph(np.eye(3), [(0, 1), (1, 2), (0, 2)], [[0.0], [2.0], [4.0]])
    plain = SimpleNamespace(x=data.x, edge_index=kind(EDGES[:, [0, 2]]), edge_attr=kind(np.zeros((2, 1))))
    with pytest.warns(UserWarning, match=r"graph 1 lists 2 edges in both directions \(1 such graphs\).*directed=False"):
        dataset = GraphDataset.from_pyg([plain, data])
    assert dataset.n_edges == 7
    assert GraphDataset.from_pyg([plain]).n_edges == 2  # without a warning
    assert as_ragged([data.y]).tolist() == [[0, 1, 0]]
    alone = SimpleNamespace(x=kind(np.ones(2)), edge_index=kind(np.zeros((2, 0), int)), edge_attr=None)
    assert GraphDataset.from_pyg([alone])[0] == Graph([[1.0], [1.0]])


@pytest.mark.parametrize(
    ("graphs", "error", "message"),
    [
        (SimpleNamespace(x=np.eye(2), edge_index=EDGES), TypeError, "got SimpleNamespace; pass a list of graphs"),
        (3, TypeError, "expected a list of graphs, got 3"),
        ([SimpleNamespace(x=None, edge_index=EDGES)], ValueError, "graph 0 must have node features x .* x is missing"),
        ([SimpleNamespace(x=np.eye(2))], ValueError, "edge_index has shape None"),
        ([SimpleNamespace(x=np.eye(3), edge_index=EDGES.T)], ValueError, r"edge_index has shape \(5, 2\)"),
        ([SimpleNamespace(x=np.eye(2), edge_index=EDGES)], ValueError, "but the graph has 2 nodes"),
        ([], ValueError, "Found no graphs"),
    ],
)
def test_bad_pyg(graphs, error, message):
    with pytest.raises(error, match=message):
        GraphDataset.from_pyg(graphs, directed=True)
