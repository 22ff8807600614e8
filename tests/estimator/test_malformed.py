"""Malformed input: what is said of it, and that a failed fit changes nothing."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array, eye

from skstruct import Graph, GraphCRFClassifier, GraphDataset, RaggedArray
from skstruct.features import LinearFeatures
from skstruct.inference import LoopyBP

PAIR = [(0, 1)]
ONES = np.ones((2, 2))
BAD = np.array([[1.0, 1.0], [1.0, np.nan]])
TRIPLE = (np.ones((3, 2)), [(0, 1), (1, 2)])
X = [TRIPLE, (ONES, PAIR)]
Y = [[0, 1, 2], [1, 0]]
X_EDGE = [(*TRIPLE, np.ones((2, 1))), (ONES, PAIR, np.ones((1, 1)))]
CYCLE = (np.ones((3, 2)), [(0, 1), (1, 2), (2, 0)])
TABLE, LABELS = np.arange(12.0).reshape(6, 2), [0, 1, 2, 0, 1, 2]
FRAME = pd.DataFrame({"length": [1.0, 2.0], "width": [0.0, 1.0]})


def case(name, error, *patterns, X=X, y=Y, weight=None, **params):
    return pytest.param({"X": X, "y": y, "sample_weight": weight}, params, error, patterns, id=name)


def x_case(name, error, *patterns, second, first=TRIPLE):
    """The second graph of X is malformed."""
    return case(name, error, *patterns, X=[first, second])


CONTAINERS = [
    case("tuple", TypeError, "got one graph", r"pass \[graph\]", X=TRIPLE),
    case("Graph", TypeError, "got one graph", r"pass \[graph\]", X=Graph(*TRIPLE)),
    case("dict", TypeError, "got one graph", r"pass \[graph\]", X={"node_features": ONES}),
    case("other dict", TypeError, "X must be a GraphDataset", "list of graphs", "got a dict", X={0: ONES}),
    case("string", TypeError, "X must be a GraphDataset", "list of graphs", "got a str", X="graph"),
    case("None", TypeError, "X must be a GraphDataset", "got a NoneType", X=None),
    case("number", TypeError, "X must be a GraphDataset", "got a int", X=3),
    case("generator", TypeError, "X must be a GraphDataset", "got a generator", X=(graph for graph in X)),
    case("empty list", ValueError, "X is empty", "a list of graphs", X=[], y=[]),
    case("list of None", TypeError, r"X\[0\], a NoneType", "a list of graphs", X=[None, None]),
    case("1-D", ValueError, "Expected 2D array", "Reshape", X=np.ones(3)),
    case("3-D", ValueError, "dim 3", "GraphCRFClassifier", X=np.ones((2, 3, 2))),
    case("sequences", TypeError, r"X\[0\], a ndarray", "GraphDataset.from_sequences", X=[ONES, ONES]),
    case("sentences", TypeError, r"X\[0\], a list", "from_sequences", "NodeTransformer", X=[["a", "b"], ["c"]]),
    case("dicts", TypeError, r"X\[0\], a list", "from_sequences", "NodeTransformer", X=[[{"a": 1}], [{"b": 1}]]),
    case("sentence", TypeError, r"X\[0\], a str", "NodeTransformer", X=["a", "b"]),
    x_case("array among graphs", TypeError, "graph 1 is a ndarray", r"pass a Graph, a tuple", second=ONES),
    x_case("None among graphs", TypeError, "graph 1 is a NoneType", r"pass a Graph, a tuple", second=None),
    x_case("four items", TypeError, "graph 1 is a tuple of 4 items", "pass", second=(ONES, PAIR, [[1]], 7)),
    x_case(
        "unknown key",
        ValueError,
        "graph 1 .*'edge'",
        "known are",
        second={"node_features": ONES, "edge": PAIR},
    ),
    x_case(
        "no nodes",
        ValueError,
        r"graph 1 .*\['edges'\]",
        "'node_features' \\(needed\\)",
        second={"edges": PAIR},
    ),
]
FEATURES = [
    case("1-D nodes, first", TypeError, r"X\[0\]", "node features are 2-D", X=[(np.ones(2), PAIR)]),
    x_case("1-D nodes", ValueError, "node_features of graph 1", "2-D", "reshape", second=(np.ones(2), PAIR)),
    x_case("ragged nodes", ValueError, "node_features of graph 1", "equal length", second=([[1, 2], [3]], PAIR)),
    x_case(
        "other columns",
        ValueError,
        "graph 1 has 3 node features.*graph 0 has 2",
        second=(np.ones((2, 3)), PAIR),
    ),
    x_case("other table", ValueError, "graph 1 are a DataFrame", "pass one kind", second=(FRAME, PAIR)),
    x_case("nan", ValueError, "graph 1, node 1, feature 1", "NodeTransformer", "Imputer", second=(BAD, PAIR)),
    x_case("sparse nan", ValueError, "graph 1, node 1, feature 1", "Imputer", second=(csr_array(BAD), PAIR)),
    case("strings", TypeError, "node features.*strings", "CountVectorizer", X=[(["a", "b"], PAIR)], y=[[0, 1]]),
    case(
        "dicts in X",
        TypeError,
        "node features.*dicts",
        "DictVectorizer",
        X=[([{"a": 1}, {}], PAIR)],
        y=[[0, 1]],
    ),
    case(
        "text column",
        TypeError,
        "node features.*'x'",
        "OneHotEncoder",
        X=[(pd.DataFrame({"a": ["x", "y"]}), PAIR)],
    ),
    case("complex", ValueError, "Complex data not supported", X=[(ONES * 1j, PAIR)], y=[[0, 1]]),
    case("no columns", ValueError, "0 feature", "minimum of 1", X=[(np.ones((2, 0)), PAIR)], y=[[0, 1]]),
]
EDGES = [
    x_case("beyond", ValueError, r"graph 1, edge 1 is \(0, 2\)", "2 nodes", second=(ONES, [(0, 1), (0, 2)])),
    x_case("negative", ValueError, r"graph 1, edge 0 is \(-1, 0\)", "start at 0", second=(ONES, [(-1, 0)])),
    x_case("loop", ValueError, r"graph 1, edge 0 is \(1, 1\)", "remove it", second=(ONES, [(1, 1)])),
    x_case("triples", ValueError, "edges of graph 1", "pairs", r"\(1, 3\)", second=(ONES, [(0, 1, 1)])),
    x_case("transposed", ValueError, "edges of graph 1", "transpose", second=(ONES, np.zeros((2, 3), int))),
    x_case("flat", ValueError, "edges of graph 1", "pairs", r"\(2,\)", second=(ONES, [0, 1])),
    x_case("number of edges", ValueError, "edges of graph 1", "pairs", second=(ONES, 1)),
    x_case("fractions", ValueError, "edges of graph 1", "integers", "float64", second=(ONES, [(0, 0.5)])),
    x_case("nan edge", ValueError, "edges of graph 1", "integers", second=(ONES, [(0, np.nan)])),
    x_case("names", ValueError, "edges of graph 1", "integers", second=(ONES, [("0", "1")])),
    x_case("adjacency", TypeError, "edges of graph 1", "GraphDataset.from_scipy", second=(ONES, eye(2))),
    x_case("huge", ValueError, "edges of graph 1", r"2\*\*31", second=(ONES, [(0, 2**40)])),
    x_case(
        "edge feature rows",
        ValueError,
        "edge_features of graph 1 has 2 rows",
        "one row per edge",
        first=X_EDGE[0],
        second=(ONES, PAIR, np.ones((2, 1))),
    ),
    x_case(
        "edge feature columns",
        ValueError,
        "graph 1 has 2 edge features.*graph 0 has 1",
        first=X_EDGE[0],
        second=(ONES, PAIR, np.ones((1, 2))),
    ),
    x_case("lacks", ValueError, "graph 1 has no edge features", "all graphs or", first=X_EDGE[0], second=X[1]),
    x_case(
        "inf edge",
        ValueError,
        "graph 1, edge 0, feature 0",
        "EdgeTransformer",
        first=X_EDGE[0],
        second=(ONES, PAIR, [[np.inf]]),
    ),
    case(
        "dicts at edges",
        TypeError,
        "edge features.*dicts",
        r"EdgeTransformer\(DictVectorizer",
        X=[(ONES, PAIR, [{"kind": "next"}])],
        y=[[0, 1]],
    ),
    case("empty edge features", ValueError, "edge_features", "pass None", X=[(ONES, PAIR, np.ones((1, 0)))]),
]
TARGETS = [
    case("no y", ValueError, "requires y", "None", y=None),
    case("flat list", ValueError, r"y\[0\] is 0", "one array per graph", "RaggedArray", y=[0, 1, 2, 1, 0]),
    case("no node", ValueError, "X has no node", r"shape \(0, n_features\)", X=[Graph([])], y=[[]]),
    case("flat array", ValueError, r"y has shape \(5,\)", "RaggedArray", y=np.array([0, 1, 2, 1, 0])),
    case("too few arrays", ValueError, "X has 2 graphs", "y must hold 2 arrays", y=Y[:1]),
    case(
        "too few labels",
        ValueError,
        r"graph 0 has 3 nodes but y\[0\] has 2",
        "one value per",
        y=[[0, 1], [1, 0]],
    ),
    case("columns", ValueError, r"y\[0\] must be 1-D", "ravel", y=[[[0], [1], [2]], [[1], [0]]]),
    case("number as y", TypeError, "y must hold one array per graph", "got a int", y=3),
    case("string as y", TypeError, "y must hold one array per graph", "got a str", y="ab"),
    case("continuous", ValueError, "continuous", "discrete classes", y=[[0.1, 1.2, 2.3], [1.1, 0.2]]),
    case("nan label", ValueError, r"y\[0\]\[2\] is nan", "missing_label", y=[[0, 1, np.nan], [1, 0]]),
    case("None label", ValueError, r"y\[1\]\[1\] is None", "missing_label", y=[["a", "b", "c"], ["a", None]]),
    case("mixed labels", ValueError, "y mixes strings and numbers", "convert", y=[["a", "b", 1], ["a", "b"]]),
    case("all missing", ValueError, "no labelled node", "class", y=[[-1] * 3, [-1] * 2], missing_label=-1),
    case("unknown label", ValueError, r"y\[0\]\[2\] is 2", r"\[0, 1\]", "parameter classes", classes=[0, 1]),
    case(
        "table: ragged",
        ValueError,
        "y has one array per graph",
        "concatenate",
        X=TABLE,
        y=[[0, 1, 2], [0, 1, 2]],
    ),
    case("table: RaggedArray", ValueError, "y has one array", X=TABLE, y=RaggedArray(LABELS, [0, 3, 6])),
    case("table: length", ValueError, r"\[6, 5\]", X=TABLE, y=LABELS[:5]),
    case(
        "table: None",
        ValueError,
        r"y\[1\] is None",
        "missing_label",
        X=TABLE,
        y=["a", None, "b", "a", "b", "b"],
    ),
    case("table: nan", ValueError, r"y\[1\] is nan", "missing_label", X=TABLE, y=[0, np.nan, 1, 0, 1, 1]),
    case("table: mixed", ValueError, "y mixes strings and numbers", X=TABLE, y=["a", 1, "b", 2, "a", 1]),
]
WEIGHTS = [
    case("length", ValueError, "sample_weight", "per graph, 2 in all", r"\(3,\)", weight=[1, 2, 3]),
    case("per node length", ValueError, r"sample_weight\[0\] has 2", "graph 0", weight=[[1, 1], [1, 1]]),
    case("uneven", ValueError, "sample_weight differs", "graph 0", weight=[[1, 1, 2], [1, 1]]),
    case("negative weight", ValueError, r"sample_weight\[1\] is -1", "not negative", weight=[1, -1]),
    case("nan weight", ValueError, r"sample_weight\[1\] is NaN", "finite", weight=[1, np.nan]),
    case("zero", ValueError, "sample_weight is zero everywhere", "at least one", weight=[0, 0]),
    case("scalar", ValueError, "sample_weight must be 1-D", r"\(\)", weight=2.0),
    case("text", ValueError, "sample_weight must hold one number per graph", weight=["a", "b"]),
    case("dict of weights", ValueError, "sample_weight must hold one number per graph", weight={0: 1}),
    case(
        "only the empty graph",
        ValueError,
        "zero for every graph that has a labelled node",
        X=[TRIPLE, (np.zeros((0, 2)), [])],
        y=[[0, 1, 2], []],
        weight=[0, 1],
    ),
]
PARAMETERS = [
    *(case(f"C={C}", ValueError, "C must be a positive number", C=C) for C in (0, -1, "1", None, np.inf, True)),
    *(case(f"l1_ratio={r}", ValueError, r"l1_ratio must be .* in \[0, 1\]", l1_ratio=r) for r in (2, -0.1, None)),
    *(case(f"tol={tol}", ValueError, "tol must be a number >= 0", tol=tol) for tol in (-1, None, np.nan)),
    *(case(f"max_iter={n}", ValueError, "max_iter must be an integer >= 1", max_iter=n) for n in (0, 1.5, None)),
    *(case(f"n_jobs={n}", ValueError, "n_jobs must be None or an integer", n_jobs=n) for n in (0, 1.5, "all")),
    *(
        case(f"decoding={d}", ValueError, r"decoding .*\['map', 'marginal', 'auto'", decoding=d)
        for d in ("best", ["map"])
    ),
    *(case(f"classes={c}", ValueError, "classes must be a list of labels", classes=c) for c in ([], 3, [[0, 1]])),
    case("warm_start", ValueError, "warm_start must be True or False", warm_start="yes"),
    case("verbose", ValueError, "verbose must be an integer", verbose="a"),
    case("missing_label", ValueError, "missing_label must be a label", missing_label=[-1]),
    case("seed", ValueError, "cannot be used to seed", random_state="a"),
    case("class_weight", ValueError, "class_weight must be a dict, 'balanced' or None", class_weight="auto"),
    case("negative class_weight", ValueError, "class_weight", "not negative", class_weight={0: -1}),
    case("text class_weight", ValueError, r"class_weight \{0: 'a'\} does not match", class_weight={0: "a"}),
    case(
        "unknown class_weight",
        ValueError,
        r"class_weight .* \[0, 1, 2\]",
        "pass a number",
        class_weight={7: 1},
    ),
    case("no class_weight", ValueError, "class_weight are zero", class_weight={0: 0, 1: 0, 2: 0}),
    case("backend", ValueError, "inference must be one of .*'chain'", "got 'bp'", inference="bp"),
    case("no backend", TypeError, "inference must be one of", r"object such as", "None", inference=None),
    case("class of backend", TypeError, "inference must be", r"such as LoopyBP\(\)", inference=LoopyBP),
    case("backend parameter", ValueError, "LoopyBP: damping", "got 2", inference=LoopyBP(damping=2)),
    case("map", ValueError, r"features must be one of \['linear'", "got 'quadratic'", features="quadratic"),
    case("no map", TypeError, "features must be one of", r"LinearFeatures\(\)", features=3),
    case("edge_penalty", ValueError, "edge_penalty must be", "got -1", features=LinearFeatures(edge_penalty=-1)),
    case("edge_weights", ValueError, "edge_weights must be one of", "diag", features=LinearFeatures("diag")),
    case("list edge_weights", ValueError, "edge_weights must be one of", features=LinearFeatures(["full"])),
    case(
        "dtype",
        ValueError,
        "LinearFeatures: dtype must be one of",
        "'float16'",
        features=LinearFeatures(dtype="float16"),
    ),
    case("objective", ValueError, "objective must be one of", "'hinged'", objective="hinged"),
    case("optimizer", ValueError, "optimizer must be one of", "'newton'", optimizer="newton"),
    case("no optimizer", TypeError, "optimizer must be one of", optimizer=3),
    *(
        case(
            f"{name} on a cycle",
            ValueError,
            "graph 1",
            name,
            "Use inference='auto'",
            X=[X[1], CYCLE],
            y=[[0, 1], Y[0]],
            inference=name,
        )
        for name in ("chain", "tree")
    ),
    case("edgeless", ValueError, "graph 0", "without edges", "Use inference='auto'", inference="edgeless"),
]


@pytest.mark.parametrize(
    ("data", "params", "error", "patterns"), [*CONTAINERS, *FEATURES, *EDGES, *TARGETS, *WEIGHTS, *PARAMETERS]
)
def test_fit(data, params, error, patterns):
    """The error names argument, place and remedy; an estimator that was fitted before stays as it was."""
    crf = GraphCRFClassifier().fit(X, Y)
    expected = crf.predict_proba(X).values
    crf.set_params(**params)
    before = dict(vars(crf))
    with pytest.raises((ValueError, TypeError)) as caught:
        crf.fit(**data)
    assert isinstance(caught.value, error)
    for pattern in patterns:
        caught.match(pattern)
    assert vars(crf).keys() == before.keys()
    assert all(vars(crf)[name] is before[name] for name in before)
    crf.set_params(inference="auto")  # queries use the parameter as it is now
    np.testing.assert_array_equal(crf.predict_proba(X).values, expected)
    fresh = GraphCRFClassifier(**params)  # and one that was not, does not look fitted
    with pytest.raises(error):
        fresh.fit(**data)
    assert vars(fresh).keys() == vars(GraphCRFClassifier()).keys()


@pytest.fixture(scope="module")
def models():
    """Estimators fitted on graphs, on graphs with edge features, on data frames, and on a table."""
    return {
        "graphs": GraphCRFClassifier().fit(X, Y),
        "edges": GraphCRFClassifier().fit(X_EDGE, Y),
        "frames": GraphCRFClassifier().fit([(FRAME, PAIR)], [[0, 1]]),
        "table": GraphCRFClassifier().fit(TABLE, LABELS),
    }


QUERIES = [
    ("graphs", "predict", (TRIPLE,), TypeError, ["got one graph", r"pass \[graph\]"]),
    ("graphs", "predict", ([],), ValueError, ["X is empty"]),
    ("graphs", "predict", (None,), TypeError, ["X must be", "NoneType"]),
    ("graphs", "predict", ([(np.ones((2, 3)), PAIR)],), ValueError, ["X has 3 features", "expecting 2"]),
    ("graphs", "predict_proba", ([X[0], (BAD, PAIR)],), ValueError, ["graph 1, node 1, feature 1"]),
    ("graphs", "predict", (X_EDGE,), ValueError, ["X has 1 edge features", "fitted with 0", "give the same"]),
    ("edges", "predict", (X,), ValueError, ["X has 0 edge features", "fitted with 1", "give the same"]),
    ("edges", "predict", ([(ONES, PAIR, [[1, 2]])],), ValueError, ["X has 2 edge features", "fitted with 1"]),
    (
        "frames",
        "predict",
        ([(FRAME.rename(columns={"width": "w"}), PAIR)],),
        ValueError,
        ["feature names", "- w\n"],
    ),
    ("table", "predict", (TABLE[0],), ValueError, ["Expected 2D array", "Reshape"]),
    ("graphs", "score", (X, None), ValueError, ["y is needed"]),
    ("graphs", "score", (X, [[0, 1], [1, 0]]), ValueError, ["graph 0 has 3 nodes", r"y\[0\] has 2"]),
    ("graphs", "score", (X, [0, 1, 2, 1, 0]), ValueError, [r"y\[0\] is 0", "RaggedArray"]),
    (
        "graphs",
        "score",
        (X, [["a", "b", "c"], ["a", "b"]]),
        ValueError,
        ["y has strings but the classes are numbers; convert"],
    ),
    ("graphs", "score", (X, Y, [0, 0]), ValueError, ["sample_weight is zero"]),
    ("graphs", "score", (X, Y, [1]), ValueError, ["sample_weight must be 1-D", "2 in all"]),
    ("graphs", "log_likelihood", (X, None), ValueError, ["y is needed"]),
    ("graphs", "log_likelihood", (X, [[0, 1, 2], [1, 9]]), ValueError, [r"y\[1\]\[1\] is 9", r"\[0, 1, 2\]"]),
    ("graphs", "log_likelihood", (X, [["a", "b", "c"], ["a", "b"]]), ValueError, [r"y\[0\]\[0\] is 'a'"]),
    ("graphs", "log_likelihood", (X, [[0, 1, np.nan], [0, 0]]), ValueError, [r"y\[0\]\[2\] is nan"]),
    ("table", "log_likelihood", (TABLE, LABELS[:3]), ValueError, [r"\[6, 3\]"]),
]


@pytest.mark.parametrize(("fitted", "method", "arguments", "error", "patterns"), QUERIES)
def test_queries(models, fitted, method, arguments, error, patterns):
    with pytest.raises((ValueError, TypeError)) as caught:
        getattr(models[fitted], method)(*arguments)
    assert isinstance(caught.value, error)
    for pattern in patterns:
        caught.match(pattern)


def test_parameters_set_after_fit_are_checked():
    crf = GraphCRFClassifier().fit(X, Y).set_params(decoding="best")
    for call in (lambda: crf.predict(X), lambda: crf.score(X, Y)):
        with pytest.raises(ValueError, match=r"decoding must be one of \['map', 'marginal', .*got 'best'"):
            call()


def test_packed_graphs_are_checked_too():
    packed = GraphDataset.from_graphs(X)
    bad = packed.node_features.copy()
    bad[4, 0] = np.inf
    with pytest.raises(ValueError, match="graph 1, node 1, feature 0 of node_features"):
        GraphCRFClassifier().fit(packed.with_node_features(bad), Y)
    words = GraphDataset.from_sequences([["the", "dog"], ["sleeps"]])
    with pytest.raises(TypeError, match="CountVectorizer"):
        GraphCRFClassifier().fit(words, [[0, 1], [2]])


def test_missing_labels_of_a_table():
    """A number that stands for missing among strings is not turned into a string."""
    y = ["a", -1, "b", "a", -1, "b"]
    crf = GraphCRFClassifier(missing_label=-1).fit(TABLE, y)
    assert crf.classes_.tolist() == ["a", "b"]
    known = [0, 2, 3, 5]
    without = GraphCRFClassifier().fit(TABLE[known], [y[i] for i in known])
    np.testing.assert_allclose(crf.coef_, without.coef_, atol=1e-4)
    assert crf.score(TABLE, y) == without.score(TABLE[known], [y[i] for i in known])


def test_likelihood_of_no_labels_is_one():
    crf = GraphCRFClassifier(missing_label=-1).fit(X, Y)
    np.testing.assert_allclose(crf.log_likelihood(X, [[-1] * 3, [-1] * 2]), 0.0, atol=1e-12)


def test_empty_lists_of_edge_features():
    """Where no graph has an edge, an empty list of edge features is the same as None."""
    X = [(ONES, [], []), ([[2.0, 1.0]], [], [])]
    crf = GraphCRFClassifier().fit(X, [[0, 1], [1]])
    assert crf.n_edge_features_in_ == 0
    with_edges = GraphCRFClassifier().fit(X_EDGE, Y)
    assert with_edges.predict(X).tolist() == with_edges.predict([graph[:2] for graph in X]).tolist()
