"""Graphs of neighbouring points, against searches over all pairs and triples."""

from itertools import combinations

import networkx as nx
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline

from skstruct import Graph, GraphDataset
from skstruct.preprocessing import (
    DelaunayToGraphs,
    NearestNeighborsToGraphs,
    NodeTransformer,
    RadiusNeighborsToGraphs,
)

RNG = np.random.default_rng(0)
POINTS = [RNG.normal(size=(n, 2)) for n in (12, 1, 2, 4, 25)]
BUILDERS = [NearestNeighborsToGraphs(3), RadiusNeighborsToGraphs(0.8), DelaunayToGraphs()]


def distances(points, metric="euclidean"):
    difference = np.abs(points[:, None] - points)
    return difference.sum(axis=2) if metric == "manhattan" else np.sqrt((difference**2).sum(axis=2))


@pytest.mark.parametrize("metric", ["euclidean", "manhattan"])
def test_nearest_neighbours(metric):
    for points, graph in zip(POINTS, NearestNeighborsToGraphs(3, metric=metric).transform(POINTS)):
        away = distances(points, metric)
        expected = {
            (min(i, j), max(i, j)) for i in range(len(points)) for j in np.argsort(away[i])[1:4].tolist() if i != j
        }
        assert list(map(tuple, graph.edges.tolist())) == sorted(expected)
        assert np.array_equal(graph.node_features, points)


@pytest.mark.parametrize("metric", ["euclidean", "manhattan"])
def test_points_within_a_radius(metric):
    for points, graph in zip(POINTS, RadiusNeighborsToGraphs(0.8, metric=metric).transform(POINTS)):
        away = distances(points, metric)
        expected = [(i, j) for i, j in combinations(range(len(points)), 2) if away[i, j] <= 0.8]
        assert list(map(tuple, graph.edges.tolist())) == expected


def is_empty(corners, points):
    """Whether no other point lies in the circle through three points."""
    a, b, c = points[list(corners)]
    centre = np.linalg.solve(2 * np.array([b - a, c - a]), [b @ b - a @ a, c @ c - a @ a])
    return (np.linalg.norm(np.delete(points, corners, axis=0) - centre, axis=1) > np.linalg.norm(a - centre)).all()


def test_triangulation():
    for points, graph in zip(POINTS, DelaunayToGraphs().transform(POINTS)):
        triangles = [corners for corners in combinations(range(len(points)), 3) if is_empty(corners, points)]
        expected = {pair for corners in triangles for pair in combinations(corners, 2)}
        assert set(map(tuple, graph.edges.tolist())) == (expected or ({(0, 1)} if len(points) == 2 else set()))


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        (np.zeros((0, 2)), []),
        (np.zeros((4, 2)), [[0, 1], [0, 2], [0, 3]]),
        ([[3.0, 3.0], [1.0, 1.0], [2.0, 2.0]], [[0, 2], [1, 2]]),
        ([[0.3], [0.1], [0.2]], [[0, 2], [1, 2]]),
        ([[0.0, 0.0, 1.0], [1.0, 0.0, 1.0], [0.0, 1.0, 1.0]], [[0, 1], [0, 2], [1, 2]]),
        ([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], [[0, 1], [0, 2], [1, 2], [1, 3]]),
        (np.eye(4), [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]),
        ([[1e-9 * k, 2e-9 * k] for k in range(3)], [[0, 1], [1, 2]]),
        ([[1e9 + k, 2.0] for k in range(3)], [[0, 1], [1, 2]]),
    ],
)
def test_points_on_a_line_and_in_a_plane(points, expected):
    assert DelaunayToGraphs().transform([points])[0].edges.tolist() == expected


def test_triangulations_are_connected():
    grid = np.argwhere(np.ones((7, 6)))  # many points on a circle
    repeated = np.concatenate([POINTS[4], POINTS[4][:5], POINTS[4][:2]])
    volume = RNG.normal(size=(40, 3))
    for graph in DelaunayToGraphs().transform([grid, repeated]):
        assert nx.is_connected(graph.to_networkx(nx.Graph))
        assert nx.check_planarity(graph.to_networkx(nx.Graph))[0]
    assert nx.is_connected(DelaunayToGraphs().transform([volume])[0].to_networkx(nx.Graph))


@pytest.mark.parametrize("builder", BUILDERS, ids=lambda builder: type(builder).__name__)
def test_kinds_of_tables(builder):
    expected = [graph.edges.tolist() for graph in builder.transform(POINTS)]
    wide = [np.column_stack([points[:, 1], np.full(len(points), 9.0), points[:, 0]]) for points in POINTS]
    chosen = type(builder)(**{**builder.get_params(), "columns": [2, 0]})
    for tables in (wide, [sp.csr_array(x) for x in wide], GraphDataset.from_sequences(wide)):
        dataset = chosen.fit_transform(tables)
        assert [graph.edges.tolist() for graph in dataset] == expected
        assert dataset.shape == (5, 3)
        assert dataset.edge_features is None
        assert chosen.get_feature_names_out().tolist() == ["x0", "x1", "x2"]
    named = type(builder)(**{**builder.get_params(), "columns": ["b", "a"]})
    for library in (pd, pl):
        frames = [library.DataFrame({"a": x[:, 0], "x": x[:, 1], "b": x[:, 2]}) for x in wide]
        dataset = named.fit_transform(frames)
        assert [graph.edges.tolist() for graph in dataset] == expected
        assert named.get_feature_names_out().tolist() == ["a", "x", "b"]
        assert make_pipeline(named, NodeTransformer(PCA(1))).fit(frames).get_feature_names_out().tolist() == ["pca0"]
    assert builder.fit_transform(GraphDataset.from_sequences(wide)[:0]).n_edges == 0


@pytest.mark.parametrize("builder", BUILDERS, ids=lambda builder: type(builder).__name__)
@pytest.mark.parametrize("columns", [[9], ["x"], "x", []])
def test_columns_that_do_not_exist(builder, columns):
    builder = clone(builder).set_params(columns=columns)
    for X in (POINTS, [pd.DataFrame(POINTS[0])]):
        with pytest.raises(ValueError, match=r"columns are .*, but graph 0 does not have them"):
            builder.fit_transform(X)


def test_edges_replace_those_of_a_dataset():
    dataset = GraphDataset.from_graphs([Graph(POINTS[3], [(0, 1)], [[5.0]]), Graph(POINTS[2])])
    assert [graph.n_edges for graph in NearestNeighborsToGraphs(9).transform(dataset)] == [6, 1]


@pytest.mark.parametrize("builder", BUILDERS, ids=lambda builder: type(builder).__name__)
@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (np.zeros((3, 2)), TypeError, r"got one table \(ndarray\); pass a list of tables"),
        (pd.DataFrame({"a": [1.0]}), TypeError, r"got one table \(DataFrame\)"),
        (pl.DataFrame({"a": [1.0]}), TypeError, r"got one table \(DataFrame\)"),
        ([POINTS[0], [["a", "b"]]], ValueError, "could not convert|mixes"),
        ([POINTS[0], ["a", "b"]], TypeError, "graph 1 has dicts or strings as nodes; apply a vectorizer first"),
        ([POINTS[0], [[0.0, np.inf]]], ValueError, "graph 1, node 0 has a coordinate that is not finite"),
        ([], ValueError, "Found no graphs"),
        (None, TypeError, "expected a list of tables, got None"),
        ([POINTS[0], np.full((2, 2), "a")], ValueError, "graph 1 has a coordinate that is no number: could not conv"),
    ],
)
def test_bad_points(builder, X, error, message):
    with pytest.raises(error, match=message):
        builder.transform(X)


@pytest.mark.parametrize(
    "builder",
    [
        NearestNeighborsToGraphs(0),
        NearestNeighborsToGraphs(1.5),
        RadiusNeighborsToGraphs(-1),
        RadiusNeighborsToGraphs("a"),
    ],
)
def test_bad_parameters(builder):
    with pytest.raises((ValueError, TypeError), match=r"n_neighbors|radius"):
        builder.transform(POINTS)
