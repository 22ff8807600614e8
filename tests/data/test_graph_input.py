"""Which input is graphs, and features that are not finite."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from skstruct.data.dataset import Graph, GraphDataset
from skstruct.data.graph_input import as_dataset, check_finite, is_graph_input

TWO = np.zeros((2, 3))


@pytest.mark.parametrize("graph", [Graph(TWO), (TWO, [(0, 1)]), {"node_features": TWO}])
def test_one_graph_is_no_list(graph):
    assert is_graph_input(graph)
    for pack in (as_dataset, GraphDataset.from_graphs):
        with pytest.raises(TypeError, match=r"pass \[graph\] for one graph"):
            pack(graph)


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


@pytest.mark.parametrize("kind", ["dense", "csr", "csr_matrix"])
def test_finite_features_pass(kind, make_parts):
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
