"""Features that are missing, infinite or masked are told with their place, whatever table holds them."""

import decimal

import networkx as nx
import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.sparse import csr_array
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline

from skstruct import Graph, GraphCRFClassifier, GraphDataset
from skstruct.preprocessing import EdgeTransformer, NodeTransformer

NAN, INF = float("nan"), float("inf")
EDGES = [(0, 1), (1, 2)]
GOOD = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
Y = [[0, 1, 0], [0, 1, 0]]
BAD = {  # the second feature of the second node is missing or infinite
    "object NaN": np.array([[1, 0.5], [2, NAN], [3, 1]], object),
    "object None": np.array([[1, 0.5], [2, None], [3, 1]], object),
    "object NA": np.array([[1, 0.5], [2, pd.NA], [3, 1]], object),
    "object NaT": np.array([[1, 0.5], [2, pd.NaT], [3, 1]], object),
    "object inf": np.array([[1, 0.5], [2, INF], [3, True]], object),
    "object Decimal": np.array([[1, 0.5], [2, decimal.Decimal("NaN")], [3, 1]], object),
    "object string": np.array([[1, 0.5], [2, "nan"], [3, 1]], object),
    "list with None": [[1, 0.5], [2, None], [3, 1]],
    "list with NA": [[1, 0.5], [2, pd.NA], [3, 1]],
    "float16": np.array([[1, 0.5], [2, INF], [3, 1]], np.float16),
    "long double": np.array([[1, 0.5], [2, np.finfo(np.longdouble).max], [3, 1]], np.longdouble),
    "float and bool": pd.DataFrame({"a": [True, False, True], "b": [1.0, NAN, 2.0]}),
    "dummies": pd.get_dummies(pd.DataFrame({"b": [1.0, NAN, 2.0], "c": list("xyx")}))[["c_x", "b"]],
    "bool and None": pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": np.array([True, None, False], object)}),
    **{
        dtype: pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": pd.array([1, None, 0], dtype=dtype)})
        for dtype in ("Float64", "Float32", "Int64", "UInt8", "boolean")
    },
    "category": pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": pd.Categorical([1.0, None, 2.0])}),
    "inf and bool": pd.DataFrame({"a": [True, False, True], "b": [1.0, -INF, 2.0]}),
    "polars": pl.DataFrame({"a": [1.0, 2.0, 3.0], "b": [1.0, None, 2.0]}),
    "polars NaN": pl.DataFrame({"a": [True, False, True], "b": [1.0, NAN, 2.0]}),
    "polars integers": pl.DataFrame({"a": [1, 2, 3], "b": [1, None, 2]}),
    "polars booleans": pl.DataFrame({"a": [1.0, 2.0, 3.0], "b": [True, None, False]}),
    "csr": csr_array(np.array([[1, 0.5], [2, NAN], [3, 1]])),
}


def like(table):
    """A finite table of the same kind."""
    if isinstance(table, pd.DataFrame | pl.DataFrame):
        return type(table)({name: GOOD[:, j] for j, name in enumerate(table.columns)})
    return csr_array(GOOD) if isinstance(table, csr_array) else GOOD


def packings(table):
    """The graph with the bad table behind a good one, in all that can hold them."""
    good = like(table)
    graphs = [(good, EDGES), (table, EDGES)]
    yield graphs
    yield [Graph(*graph) for graph in graphs]
    yield [{"node_features": x, "edges": edges} for x, edges in graphs]
    yield GraphDataset.from_graphs(graphs)
    yield GraphDataset.from_sequences([good, table])
    yield GraphDataset.from_graphs(graphs).nodes
    if not isinstance(table, pd.DataFrame | pl.DataFrame):
        yield GraphDataset.from_scipy([[[0, 1, 0], [0, 0, 1], [0, 0, 0]]] * 2, [good, table])
        return
    library = pd if isinstance(table, pd.DataFrame) else pl
    both = GraphDataset.from_graphs(graphs).node_features
    both = both.assign(g=[0] * 3 + [1] * 3) if library is pd else both.with_columns(pl.Series("g", [0] * 3 + [1] * 3))
    yield GraphDataset.from_frame(both, graph="g")


@pytest.mark.parametrize("name", BAD)
def test_nodes(name):
    message = "Input X contains NaN or infinity: graph 1, node 1, feature 1 of node_features.*NodeTransformer"
    fitted = GraphCRFClassifier().fit([(like(BAD[name]), EDGES)] * 2, Y)
    for X in packings(BAD[name]):
        y = [*Y[0], *Y[1]] if hasattr(X, "lost_edges") else Y
        with pytest.raises(ValueError, match=message):
            GraphCRFClassifier().fit(X, y)
        for query in ("predict", "predict_proba", "log_partition", "entropy", "sample", "scores"):
            with pytest.raises(ValueError, match=message):
                getattr(fitted, query)(X)
        with pytest.raises(ValueError, match=message):
            fitted.score(X, y)


@pytest.mark.parametrize("name", BAD)
def test_edges(name):
    x, f = np.ones((4, 1)), BAD[name]
    path = [(0, 1), (1, 2), (2, 3)]
    X = [(x, path, like(f)), (x, path, f)]
    fitted = GraphCRFClassifier().fit([X[0]] * 2, [[0, 1, 0, 1]] * 2)
    for call in (fitted.predict, fitted.predict_edge_proba, lambda X: GraphCRFClassifier().fit(X, [[0, 1, 0, 1]] * 2)):
        for graphs in (X, GraphDataset.from_graphs(X)):
            with pytest.raises(ValueError, match=r"graph 1, edge 1, feature 1 of edge_features.*EdgeTransformer"):
                call(graphs)


@pytest.mark.parametrize("name", [name for name in BAD if name not in ("csr", "object NaT")])
def test_tables(name):
    with pytest.raises(ValueError, match=r"Input X contains (NaN|infinity)"):
        GraphCRFClassifier().fit(BAD[name], [0, 1, 0])


@pytest.mark.parametrize(
    "table",
    [
        np.array([[1, "x"], [2, "y"]], object),
        np.array([[1, 10**400], [2, 3]], object),
        np.array([[1, 1j], [2, 3]], object),
        np.array([[1, {}], [2, 3]], object),
        pd.DataFrame({"a": [1, 2], "b": ["x", None]}),
        pd.DataFrame({"a": pd.array(["x", None], dtype="string")}),
        pd.DataFrame({"a": pd.to_datetime(["2020", None])}),
        pd.DataFrame({"a": pd.to_timedelta([1, None])}),
        pd.DataFrame({"a": pd.Categorical(["x", None])}),
        pl.DataFrame({"a": ["x", None]}),
        np.array([["2020"], ["2021"]], "datetime64[D]"),
    ],
)
def test_what_is_no_number(table):
    for X, y in (([(table, [(0, 1)])], [[0, 1]]), (table, [0, 1])):
        with pytest.raises(TypeError, match=r"X has node features that are not numbers: .*OneHotEncoder"):
            GraphCRFClassifier().fit(X, y)


def test_converted_features_are_the_numbers_that_they_were():
    frame = pd.DataFrame({"a": [True, False, True], "b": pd.array([1, 2, 3], dtype="Int64"), "c": [0.5, 1.0, 2.0]})
    numbers = np.array([[1, 1, 0.5], [0, 2, 1.0], [1, 3, 2.0]])
    plain = GraphCRFClassifier().fit([(numbers, EDGES)] * 2, Y)
    for table in (
        frame,
        frame.astype(object),
        numbers.astype(object),
        pl.DataFrame(frame.astype(float).to_dict("list")),
    ):
        crf = GraphCRFClassifier().fit([(table, EDGES)] * 2, Y)
        np.testing.assert_array_equal(crf.coef_, plain.coef_)
        assert getattr(crf, "feature_names_in_", np.array(list("abc"))).tolist() == list("abc")
    single = pd.DataFrame(GOOD.astype(np.float32), columns=["a", "b"])
    assert GraphCRFClassifier().fit([(single, EDGES)] * 2, Y).coef_.shape == (2, 2)


@pytest.mark.parametrize("table", [BAD["float and bool"], BAD["Float64"], BAD["list with None"], BAD["object NaN"]])
def test_an_imputer_as_the_message_says(table):
    X = [(like(table), EDGES), (table, EDGES)]
    assert len(make_pipeline(NodeTransformer(SimpleImputer()), GraphCRFClassifier()).fit(X, Y).predict(X)) == 2
    X = [(np.ones((4, 1)), [(0, 1), (1, 2), (2, 3)], f) for f in (like(table), table)]
    imputed = make_pipeline(EdgeTransformer(SimpleImputer()), GraphCRFClassifier()).fit(X, [[0, 1, 0, 1]] * 2)
    assert len(imputed.predict(X)) == 2


# ---- masked arrays


def masked_attribute():
    graph = nx.empty_graph(1)
    graph.nodes[0]["x"] = np.ma.array([1.0, 2.0], mask=[0, 1])
    return GraphDataset.from_networkx([graph], "x")


MASKED = np.ma.array(GOOD, mask=[[0, 0], [0, 1], [0, 0]])


@pytest.mark.parametrize(
    "make",
    [
        lambda: Graph(MASKED),
        lambda: Graph(list(MASKED)),
        lambda: Graph(GOOD, np.ma.array(EDGES, mask=[[0, 0], [1, 1]])),
        lambda: Graph(GOOD[:2], [(0, 1)], np.ma.array([[1.0]], mask=True)),
        lambda: GraphDataset(MASKED),
        lambda: GraphDataset.from_graphs([(MASKED, EDGES)]),
        lambda: GraphDataset.from_graphs([{"node_features": MASKED}]),
        lambda: GraphDataset.from_sequences([MASKED]),
        lambda: GraphDataset.from_nodes(MASKED),
        lambda: GraphDataset.from_nodes(GOOD).with_node_features(MASKED),
        lambda: GraphDataset(GOOD, EDGES).with_edge_features(MASKED[:2]),
        lambda: GraphDataset.from_images([MASKED]),
        lambda: GraphDataset.from_scipy([np.zeros((3, 3))], [MASKED]),
        masked_attribute,
        lambda: GraphCRFClassifier().fit(MASKED, [0, 1, 0]),
        lambda: GraphCRFClassifier().fit(list(MASKED), [0, 1, 0]),
        lambda: GraphCRFClassifier().fit([(GOOD, EDGES)] * 2, Y, np.ma.array([1.0, 2.0], mask=[0, 1])),
        lambda: GraphCRFClassifier().fit(GOOD, [0, 1, 0], np.ma.array([1.0, 2.0, 1.0], mask=[0, 1, 0])),
    ],
)
def test_masked(make):
    with pytest.raises(ValueError, match="masked values, and masks are not supported; fill them first"):
        make()


def test_masked_weights_of_nodes():
    weights = [np.ma.array([1.0, 1.0, 1.0], mask=[0, 1, 0]), np.ones(3)]
    with pytest.raises(ValueError, match=r"sample_weight\[1\] is NaN"):
        GraphCRFClassifier().fit([(GOOD, EDGES)] * 2, Y, weights)


def test_masks_without_masked_values_are_none():
    whole = np.ma.array(GOOD, mask=False)
    crf = GraphCRFClassifier().fit([(whole, EDGES)] * 2, [np.ma.array(y, mask=False) for y in Y])
    plain = GraphCRFClassifier().fit([(GOOD, EDGES)] * 2, Y)
    np.testing.assert_array_equal(crf.coef_, plain.coef_)
    assert crf.classes_.dtype == plain.classes_.dtype
