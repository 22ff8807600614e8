"""Descriptions in HTML: well-formed, escaped, short, with the facts."""

from xml.etree import ElementTree

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.sparse import csr_array

from skstruct import Graph, GraphDataset, RaggedArray, as_ragged

EVIL = "<script>alert(1)</script>"


def parse(thing):
    """Texts of the facts, of the header and of the rows."""
    html = thing._repr_html_()
    assert "<script" not in html
    assert len(html) < 20_000
    root = ElementTree.fromstring(html)
    facts = "".join(root[0].itertext())
    rows = [["".join(cell.itertext()) for cell in row] for row in root.iter("tr")]
    return facts, rows


FEATURES = {
    "dense": (np.arange(6.0).reshape(3, 2), "2 float64", "[0., 1.]"),
    "sparse": (csr_array([[0.0, 1.0], [0.0, 0.0], [2.0, 0.0]]), "2 float64, sparse", "{1: 1.0}"),
    "pandas": (
        pd.DataFrame({"a": [1.0, 2.0, 3.0], EVIL: [0.0, 1.0, 0.0]}),
        f"2 (a, {EVIL})",
        f"{{'a': 1.0, '{EVIL}': 0.0}}",
    ),
    "polars": (pl.DataFrame({"a": [1.0, 2.0, 3.0]}), "1 (a)", "{'a': 1.0}"),
    "dicts": ([{"w": EVIL}, {}, {}], "dict", f"{{'w': '{EVIL}'}}"),
    "strings": ([EVIL, "b", "c"], "str", EVIL),
}


@pytest.mark.parametrize("kind", FEATURES)
def test_graphs_and_datasets(kind):
    features, fact, first = FEATURES[kind]
    facts, rows = parse(Graph(features, [(0, 1), (0, 2)], [[1.0], [2.0]]))
    assert facts == f"Graph nodes: 3, edges: 2, node features: {fact}, edge features: 1 float64"
    assert rows[:2] == [["node", "features", "edges to"], ["0", first, "1, 2"]]
    assert len(rows) == 4
    facts, rows = parse(GraphDataset(features, [(0, 1)], node_ptr=[0, 2, 3], edge_ptr=[0, 1, 1]))
    assert facts == (
        "GraphDataset graphs: 2, nodes: 3, 1 to 2 per graph, edges: 1, 0 to 1 per graph, "
        f"node features: {fact}, edge features: none"
    )
    assert rows == [["graph", "nodes", "edges"], ["0", "2", "1"], ["1", "1", "0"]]


def test_large_data_are_cut():
    X = GraphDataset.from_sequences([np.zeros((200, 300))] * 30)
    for thing in (X, X[0], as_ragged([[EVIL] * 200] * 30), RaggedArray(np.zeros((6000, 40)), X.node_ptr)):
        _, rows = parse(thing)
        assert len(rows) == 11
        assert all(len(row) <= 13 and all(len(cell) <= 100 for cell in row) for row in rows)
    assert "and 20 more rows" in X._repr_html_()
    names = pd.DataFrame({f"column {k}": [0.0] for k in range(30)})
    assert "30 (column 0, " in Graph(names)._repr_html_()
    assert "column 9, ...)" in Graph(names)._repr_html_()


def test_ragged_arrays():
    facts, rows = parse(as_ragged([["a", EVIL], ["b"]]))
    assert facts.startswith("RaggedArray graphs: 2, values: (3,), dtype: <U")
    assert rows == [["graph", "values"], ["0", f"['a', '{EVIL}']"], ["1", "['b']"]]
    _, rows = parse(RaggedArray([[0.123456, 1e-9], [1.0, 2.0]], [0, 1, 2]))
    assert rows == [["graph", "node", "0", "1"], ["0", "0", "0.1235", "1e-09"], ["1", "0", "1", "2"]]
    _, rows = parse(RaggedArray(np.ones((1, 2, 2)), [0, 1]))
    assert rows[1] == ["0", "0", "[[1., 1.], [1., 1.]]"]


def test_nothing():
    assert parse(as_ragged([])) == ("RaggedArray graphs: 0, values: (0,), dtype: float64", [])
    facts, rows = parse(GraphDataset(np.zeros((0, 2)), node_ptr=[0]))
    assert facts == "GraphDataset graphs: 0, nodes: 0, edges: 0, node features: none, edge features: none"
    assert rows == []
    assert parse(Graph(np.zeros((0, 2))))[1] == []
