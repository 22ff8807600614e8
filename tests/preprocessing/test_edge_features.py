"""EdgeFeatures against the plainest computation, edge by edge."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction import DictVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skstruct import GraphCRFClassifier, GraphDataset
from skstruct.inspection import transitions
from skstruct.preprocessing import (
    DelaunayToGraphs,
    EdgeFeatures,
    EdgeTransformer,
    ImagesToGraphs,
    NearestNeighborsToGraphs,
    NodeTransformer,
)

RNG = np.random.default_rng(0)
NODES = RNG.integers(-2, 3, (9, 3)).astype(float)
NODES[1] = NODES[0]
EDGES, NODE_PTR, EDGE_PTR = [(0, 1), (1, 2), (2, 0), (0, 3), (3, 1), (1, 0)], [0, 3, 4, 9], [0, 3, 3, 6]
GLOBAL = np.array(EDGES) + np.repeat([[0], [3], [4]], np.diff(EDGE_PTR), axis=0)
ALL = ["constant", "difference", "absolute_difference", "product", "direction", "distance", "contrast"]


def dataset(nodes=NODES, edge_features=None):
    return GraphDataset(nodes, EDGES, edge_features, NODE_PTR, EDGE_PTR)


def by_hand(x):
    """Features of all functions, from the definitions."""
    squares = [sum((x[j] - x[i]) ** 2) for i, j in GLOBAL]
    rows = []
    for (i, j), square in zip(GLOBAL, squares):
        distance = square**0.5
        direction = (x[j] - x[i]) / distance if distance else 0 * x[i]
        contrast = np.exp(-square / (2 * np.mean(squares)))
        rows.append([1, *(x[j] - x[i]), *abs(x[j] - x[i]), *(x[i] * x[j]), *direction, distance, contrast])
    return np.array(rows)


KINDS = {
    "array": np.asarray,
    "integers": lambda x: x.astype(int),
    "csr_array": sp.csr_array,
    "csr_matrix": sp.csr_matrix,
    "pandas": lambda x: pd.DataFrame(x, columns=list("abc")),
    "polars": lambda x: pl.DataFrame(x, schema=list("abc")),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("columns", [None, [2, 0], [True, False, True], slice(1, 3), ["c", "a"]])
def test_definitions(kind, columns):
    if isinstance(columns, list) and columns[0] == "c" and kind not in ("pandas", "polars"):
        pytest.skip("these tables have no names")
    X = dataset(KINDS[kind](NODES))
    builder = EdgeFeatures(ALL, columns)
    found = builder.fit_transform(X)
    table = found.edge_features
    chosen = [2, 0] if columns == ["c", "a"] else slice(None) if columns is None else columns
    expected = by_hand(NODES[:, chosen])
    np.testing.assert_allclose(table.toarray() if sp.issparse(table) else table, expected, rtol=1e-12, atol=1e-15)
    names = np.array(list("abc") if kind in ("pandas", "polars") else ["x0", "x1", "x2"])[chosen].tolist()
    per_column = ["difference", "absolute_difference", "product", "direction"]
    assert builder.get_edge_feature_names_out().tolist() == [
        *["constant", *(f"{function}_{name}" for function in per_column for name in names)],
        *["distance", "contrast"],
    ]
    assert found.node_features is X.node_features
    assert np.array_equal(found.edges, X.edges)
    assert sp.issparse(table) == (kind in ("csr_array", "csr_matrix"))


def test_forms_of_graphs():
    X = dataset()
    builder = EdgeFeatures("distance").fit(list(X))
    expected = builder.transform(X).edge_features
    for form in (list(X), X.nodes, X.nodes_whole):
        found = builder.transform(form)
        table = found.edge_features if isinstance(found, GraphDataset) else found.dataset.edge_features
        assert np.array_equal(table, expected)
        assert type(found) is (GraphDataset if isinstance(form, list) else type(form))
    empty = GraphDataset.from_graphs([(NODES[:2], []), (np.zeros((0, 3)), [])])
    assert EdgeFeatures(ALL).fit_transform(empty).edge_features.shape == (0, 15)
    assert builder.transform(X[:0]).n_edges == 0
    assert EdgeFeatures("contrast").fit_transform(dataset(np.ones((9, 2)))).edge_features.tolist() == [[1.0]] * 6


def test_the_scale_of_the_contrast_is_learnt():
    builder = EdgeFeatures("contrast").fit(dataset())
    assert builder.scale_ == pytest.approx(np.sqrt(np.mean(np.square(by_hand(NODES)[:, -2]))))
    one = builder.transform(dataset()[:1]).edge_features
    assert np.array_equal(one, builder.transform(dataset()).edge_features[:3])
    image = RNG.random((5, 6, 3))
    grid = GraphDataset.from_images([image], contrast=True)
    found = EdgeFeatures(["constant", "contrast"]).fit_transform(grid.with_edge_features(None))
    np.testing.assert_allclose(found.edge_features, grid.edge_features, rtol=1e-12)


@pytest.mark.parametrize("scale", [1e200, 1e-200, 2.0**1000])
def test_large_and_small_features(scale):
    """Squares neither overflow nor vanish."""
    nodes = np.round(NODES) * scale
    found = EdgeFeatures(["direction", "distance", "contrast"]).fit_transform(dataset(nodes)).edge_features
    expected = by_hand(np.round(NODES))[:, 10:]
    expected[:, 3] *= scale
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-300)


def nearer(first, second):
    return first[:, 0] < second[:, 0]


def test_own_functions():
    builder = EdgeFeatures([nearer, lambda first, second: np.hstack([first, second])])
    table = builder.fit_transform(dataset()).edge_features
    i, j = GLOBAL.T
    assert np.array_equal(table, np.column_stack([NODES[i, 0] < NODES[j, 0], NODES[i], NODES[j]]))
    assert builder.get_edge_feature_names_out().tolist() == ["nearer0", *(f"<lambda>{k}" for k in range(6))]
    assert EdgeFeatures(nearer).fit_transform(dataset()).edge_features.shape == (6, 1)


def test_features_are_added_to_those_of_the_edges():
    old = RNG.normal(size=(6, 2))
    distance = by_hand(NODES)[:, -2]
    builder = EdgeFeatures("distance")
    for table in (old, sp.csr_array(old)):
        found = builder.fit_transform(dataset(NODES, table)).edge_features
        np.testing.assert_allclose(found.toarray() if sp.issparse(found) else found, np.column_stack([old, distance]))
        assert builder.get_edge_feature_names_out().tolist() == ["x0", "x1", "distance"]
        assert builder.get_edge_feature_names_out(["u", "v"]).tolist() == ["u", "v", "distance"]
        with pytest.raises(ValueError, match=r"input_features \['u'\] are not the edge features seen in fit, 2 edge f"):
            builder.get_edge_feature_names_out(["u"])
    for library in (pd, pl):
        frame = library.DataFrame({"kind": list("ababab"), "w": old[:, 0]})
        found = builder.fit_transform(dataset(NODES, frame)).edge_features
        assert isinstance(found, library.DataFrame)
        assert list(found.columns) == builder.get_edge_feature_names_out().tolist() == ["kind", "w", "distance"]
        np.testing.assert_allclose(found["distance"].to_numpy(), distance)
        with pytest.raises(ValueError, match=r"are not the edge features seen in fit, \['kind', 'w'\]"):
            builder.get_edge_feature_names_out(["a", "b"])
        with pytest.raises(ValueError, match="the edge features have the column 'distance' already; rename it"):
            builder.fit_transform(dataset(NODES, found))
    found = builder.fit_transform(dataset(NODES, [{"kind": "a"}] * 6)).edge_features
    assert found[0] == {"kind": "a", "distance": distance[0]}
    assert builder.get_edge_feature_names_out() is None
    with pytest.raises(TypeError, match="the edge features are strings, to which no features can be added"):
        builder.fit_transform(dataset(NODES, ["a"] * 6))


POINTS = [RNG.random((8, 2)), RNG.random((6, 2))]
LABELS = [["u", "v"] * 4, ["v", "u", "u"] * 2]


def test_names_in_pipelines():
    """Names of nodes and edges are right after every combination of steps."""
    pipe = make_pipeline(
        DelaunayToGraphs(),
        EdgeFeatures(["constant", "distance"]),
        NodeTransformer(StandardScaler()),
        EdgeFeatures("absolute_difference", columns=[1]),
        NodeTransformer(PCA(1)),
        GraphCRFClassifier(max_iter=100, tol=1e-2),
    ).fit(POINTS, LABELS)
    assert pipe[:-1].get_feature_names_out().tolist() == ["pca0"]
    edges = ["constant", "distance", "absolute_difference_x1"]
    assert transitions(pipe).index.get_level_values("feature").unique().tolist() == edges
    frames = [pd.DataFrame(points, columns=["lon", "lat"]) for points in POINTS]
    pipe = make_pipeline(
        NearestNeighborsToGraphs(2),
        EdgeFeatures(["direction"]),
        EdgeTransformer(StandardScaler()),
        GraphCRFClassifier(max_iter=100, tol=1e-2),
    ).fit(frames, LABELS)
    assert pipe[:-1].get_feature_names_out().tolist() == ["lon", "lat"]
    assert pipe.feature_names_in_.tolist() == ["lon", "lat"]
    edges = ["direction_lon", "direction_lat"]
    assert transitions(pipe).index.get_level_values("feature").unique().tolist() == edges
    images = [RNG.random((3, 4)), RNG.random((2, 2))]
    pipe = make_pipeline(
        ImagesToGraphs(contrast=True), EdgeFeatures("product"), EdgeTransformer(StandardScaler()), DelaunayToGraphs()
    ).fit(images)
    assert pipe[:-2][1].get_edge_feature_names_out(["constant", "contrast"]).tolist()[-1] == "product_x0"
    assert pipe.get_feature_names_out().tolist() == ["channel0"]


@pytest.mark.parametrize(
    ("parameters", "X", "error", "message"),
    [
        ({}, NODES, ValueError, r"EdgeFeatures needs graphs, got a table \(ndarray\)"),
        ({}, GraphDataset.from_sequences([["a", "b"]]), TypeError, "got dicts or strings; apply a vectorizer first"),
        (
            {},
            dataset(np.where(NODES == 2, np.nan, NODES)),
            ValueError,
            "graph 2, node 0, feature|NaN or infinity: graph",
        ),
        (
            {"functions": "angle"},
            dataset(),
            ValueError,
            "functions must be callables or some of constant, .* got 'angle'",
        ),
        ({"functions": ["distance", 3]}, dataset(), ValueError, "got 3"),
        ({"functions": []}, dataset(), ValueError, "functions must be callables or some of"),
        ({"functions": None}, dataset(), ValueError, "functions must be callables or some of .* got None"),
        ({"columns": [7]}, dataset(), IndexError, "7"),
    ],
)
def test_bad_input(parameters, X, error, message):
    with pytest.raises(error, match=message):
        EdgeFeatures(**parameters).fit(X)


def test_other_features_than_in_fit():
    builder = EdgeFeatures().fit(dataset())
    with pytest.raises(ValueError, match="X has 2 features, but EdgeFeatures is expecting 3 features"):
        builder.transform(dataset(NODES[:, :2]))
    builder.fit(dataset(KINDS["pandas"](NODES)))
    with pytest.raises(ValueError, match="feature names should match those that were passed during fit"):
        builder.transform(dataset(pd.DataFrame(NODES, columns=list("abd"))))


def test_it_needs_a_fit():
    with pytest.raises(NotFittedError):
        EdgeFeatures().transform(dataset())
    with pytest.raises(NotFittedError):
        EdgeFeatures().get_edge_feature_names_out()
    words = GraphDataset.from_sequences([[{"n": 1}, {"n": 3}]])
    numbers = make_pipeline(NodeTransformer(DictVectorizer()), EdgeFeatures("difference")).fit_transform(words)
    assert numbers.edge_features.toarray().tolist() == [[2.0]]
