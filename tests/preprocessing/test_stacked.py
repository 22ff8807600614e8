"""NodeTransformer and EdgeTransformer."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction import DictVectorizer, FeatureHasher
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectFromModel, SelectKBest, f_classif
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    StandardScaler,
    TargetEncoder,
)
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from skstruct.data.dataset import Graph, GraphDataset
from skstruct.data.node_view import NodeView
from skstruct.data.ragged import RaggedArray
from skstruct.preprocessing import EdgeTransformer, NodeClassifier, NodeTransformer

WORDS = [["the", "dog", "sleeps"], ["cat"], ["a", "cat", "runs", "away"], ["the", "cat"]] * 3


@parametrize_with_checks([NodeTransformer(StandardScaler()), NodeTransformer(PCA()), NodeTransformer(MinMaxScaler())])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 5, 12)
    graphs = []
    for n in sizes:
        edges = np.column_stack([np.arange(n - 1), np.arange(1, n)])
        graphs.append((rng.normal(size=(n, 3)), edges, rng.normal(size=(n - 1, 2))))
    X = GraphDataset.from_graphs(graphs)
    return X, RaggedArray(np.arange(X.n_nodes) % 2, X.node_ptr)


SUPERVISED = [SelectKBest(f_classif, k=2), SelectFromModel(LogisticRegression())]


@pytest.mark.parametrize(
    "transformer",
    [
        StandardScaler(),
        PCA(2),
        TruncatedSVD(2, random_state=0),
        FunctionTransformer(np.tanh),
        make_union(PCA(1), StandardScaler()),
        *SUPERVISED,
    ],
    ids=lambda t: type(t).__name__,
)
def test_it_is_the_transformer_of_the_stacked_nodes(data, transformer):
    X, y = data
    expected = clone(transformer).fit_transform(X.node_features, y.values)
    node = NodeTransformer(transformer)
    result = node.fit_transform(X, y)
    assert isinstance(result, GraphDataset)
    assert np.array_equal(result.node_features, expected)
    assert result.edges is X.edges
    assert np.array_equal(result.node_ptr, X.node_ptr)
    assert np.allclose(node.fit(X, y).transform(list(X)).node_features, expected)
    assert np.allclose(node.fit(X, y.tolist()).transform(X.nodes).node_features, expected)
    assert np.allclose(node.fit(X.nodes, y.values).transform(X.node_features), expected)
    assert node.n_features_in_ == 3


def test_the_transformer_itself_stays_unfitted(data):
    scaler = StandardScaler()
    node = NodeTransformer(scaler).fit(*data)
    assert not hasattr(scaler, "mean_")
    assert node.transformer_ is not scaler
    assert node.get_params()["transformer__with_mean"] is True
    with pytest.raises(NotFittedError):
        NodeTransformer(scaler).transform(data[0])


class FirstTime(TransformerMixin, BaseEstimator):
    """Gives other results in fit_transform than in transform, as TargetEncoder does."""

    def fit(self, X, y):
        self.fitted_ = True
        return self

    def fit_transform(self, X, y):
        self.fitted_ = True
        return np.column_stack([X, y])

    def transform(self, X):
        return X


def test_fit_transform_of_the_transformer_is_used(data):
    X, y = data
    assert NodeTransformer(FirstTime()).fit_transform(X, y).node_features[:, 3].tolist() == y.values.tolist()
    assert NodeTransformer(FirstTime()).fit(X, y).transform(X).shape == (12, 3)
    assert get_tags(NodeTransformer(TargetEncoder())).target_tags.required


class Doubler(BaseEstimator):
    """A transformer without fit_transform and set_output."""

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return 2 * X


def test_minimal_transformer(data):
    node = NodeTransformer(Doubler()).set_output(transform="pandas")
    assert np.array_equal(node.fit_transform(data[0]).node_features, 2 * data[0].node_features)


@pytest.mark.parametrize("transformer", [None, "scale", 3, LogisticRegression()])
def test_no_transformer(data, transformer):
    with pytest.raises(TypeError, match="must be 'passthrough' or have the methods fit and transform, got"):
        NodeTransformer(transformer).fit(data[0])


def test_what_needs_no_fit_is_not_asked_for_it(data):
    X, _ = data
    result = NodeTransformer(FunctionTransformer(np.tanh)).transform(X)
    assert np.array_equal(result.node_features, np.tanh(X.node_features))


def test_passthrough(data):
    X, _ = data
    assert NodeTransformer("passthrough").fit_transform(X).node_features is X.node_features
    words = GraphDataset.from_sequences(WORDS)
    assert NodeTransformer("passthrough").fit_transform(words).node_features == words.node_features


def test_repeated_and_reordered_nodes(data):
    X, _y = data
    view = X.nodes[[5, 2, 2, 7]]
    node = NodeTransformer(StandardScaler())
    result = node.fit_transform(view)
    assert isinstance(result, NodeView)
    expected = StandardScaler().fit_transform(view.node_features)
    assert np.allclose(result.node_features, expected)
    assert result.lost_edges == view.lost_edges
    assert np.allclose(node.transform(view).node_features, expected)


def test_partial_fit_and_inverse_transform(data):
    X, _ = data
    node = NodeTransformer(StandardScaler())
    for g in range(0, 12, 4):
        node.partial_fit(X[g : g + 4])
    assert np.allclose(node.transformer_.mean_, X.node_features.mean(axis=0))
    assert np.allclose(node.inverse_transform(node.transform(X)).node_features, X.node_features)
    assert not hasattr(NodeTransformer(PCA()), "partial_fit")
    assert not hasattr(NodeTransformer(Doubler()), "inverse_transform")
    assert not hasattr(NodeTransformer(Doubler()), "get_feature_names_out")


@pytest.mark.parametrize(
    "vectorizer",
    [
        CountVectorizer(analyzer="char"),
        TfidfVectorizer(analyzer="char"),
        HashingVectorizer(n_features=16, analyzer="char"),
    ],
    ids=lambda t: type(t).__name__,
)
def test_words(vectorizer):
    X = GraphDataset.from_sequences(WORDS)
    result = NodeTransformer(vectorizer).fit_transform(X)
    assert sp.issparse(result.node_features)
    assert (result.node_features != clone(vectorizer).fit_transform(X.node_features)).nnz == 0


def test_dicts():
    X = GraphDataset.from_sequences([[{"word": w, "length": len(w)} for w in words] for words in WORDS])
    y = [["t" in w for w in words] for words in WORDS]
    node = NodeTransformer(DictVectorizer()).fit(X)
    assert node.transform(X).shape == (12, 8)
    assert node.get_feature_names_out()[0] == "length"
    assert NodeTransformer(FeatureHasher(8)).fit_transform(X).shape == (12, 8)
    model = make_pipeline(
        NodeTransformer(make_pipeline(DictVectorizer(), SelectKBest(k=3))),
        NodeClassifier(LogisticRegression()),
    )
    assert model.fit(X, y).score(X, y) > 0.7


@pytest.mark.parametrize("library", [pd, pl])
def test_frames(library):
    frame = library.DataFrame(
        {
            "sentence": np.repeat(np.arange(12), [len(words) for words in WORDS]),
            "word": np.concatenate(WORDS),
            "length": [float(len(w)) for words in WORDS for w in words],
        }
    )
    X = GraphDataset.from_frame(frame, graph="sentence")
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["word"]),
        (make_pipeline(SimpleImputer(), StandardScaler()), ["length"]),
    )
    node = NodeTransformer(columns).fit(X)
    assert node.transform(X).shape == (12, 8)
    assert node.get_feature_names_out()[-1] == "pipeline__length"
    assert node.feature_names_in_.tolist() == ["word", "length"]
    name = library.__name__
    named = make_pipeline(NodeTransformer(columns), NodeClassifier(LogisticRegression())).set_output(transform=name)
    named.fit(X, [["t" in w for w in words] for words in WORDS])
    assert isinstance(named[0].transform(X).node_features, library.DataFrame)
    assert named[-1].feature_names_in_[-1] == "pipeline__length"
    with config_context(transform_output=name):
        assert isinstance(NodeTransformer(columns).fit_transform(X).node_features, library.DataFrame)


def test_column_selector():
    frame = pd.DataFrame({"g": [0, 0, 1], "word": list("abc"), "length": [1.0, 2.0, 3.0]})
    X = GraphDataset.from_frame(frame, graph="g")
    columns = make_column_transformer((StandardScaler(), make_column_selector(dtype_include=float)))
    assert NodeTransformer(columns).fit_transform(X).shape == (2, 1)


def test_union_of_node_transformers(data):
    union = FeatureUnion([("a", NodeTransformer(PCA(2))), ("b", NodeTransformer(StandardScaler()))])
    assert union.fit_transform(data[0]).shape == (12, 5)


def test_names_in_a_grid(data):
    X, y = data
    model = make_pipeline(NodeTransformer(PCA()), NodeClassifier(LogisticRegression()))
    grid = {"nodetransformer__transformer__n_components": [1, 2], "nodeclassifier__estimator__C": [0.1, 1.0]}
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(X, y)
    assert search.predict(X).ptr.tolist() == X.node_ptr.tolist()
    grid = {"nodetransformer__transformer": [StandardScaler(), MinMaxScaler(), "passthrough"]}
    GridSearchCV(model, grid, cv=2, error_score="raise").fit(X, y)
    grid = {"nodetransformer": [NodeTransformer(PCA(2)), "passthrough"]}
    GridSearchCV(model, grid, cv=2, error_score="raise").fit(X, y)
    assert "NodeTransformer" in model._repr_html_()


def test_memory_fits_once(data, tmp_path):
    X, y = data
    steps = [("scale", NodeTransformer(PCA(2))), ("classify", NodeClassifier(LogisticRegression()))]
    search = GridSearchCV(Pipeline(steps, memory=str(tmp_path)), {"classify__estimator__C": [0.1, 1, 10]}, cv=2)
    search.fit(X, y)
    assert len(list(tmp_path.rglob("output.pkl"))) == 3  # two folds and the whole


def test_metadata_per_graph_and_per_node(data):
    X, y = data
    weight = np.arange(1.0, 13.0)
    per_node = np.repeat(weight, np.diff(X.node_ptr))
    expected = StandardScaler().fit(X.node_features, sample_weight=per_node).mean_
    node = NodeTransformer(StandardScaler()).fit(X, sample_weight=weight)
    assert np.allclose(node.transformer_.mean_, expected)
    with config_context(enable_metadata_routing=True):
        asks = NodeTransformer(StandardScaler().set_fit_request(sample_weight=True))
        classifier = NodeClassifier(LogisticRegression().set_fit_request(sample_weight=True))
        model = make_pipeline(asks, classifier)
        for w in (weight, RaggedArray(per_node, X.node_ptr)):
            assert np.allclose(model.fit(X, y, sample_weight=w)[0].transformer_.mean_, expected)
            assert np.allclose(clone(asks).fit(X, sample_weight=w).transformer_.mean_, expected)
        silent = make_pipeline(NodeTransformer(StandardScaler()), classifier)
        with pytest.raises(ValueError, match="sample_weight"):
            silent.fit(X, y, sample_weight=weight)


def test_missing_labels_do_not_disturb(data):
    X, y = data
    names = [[("a", "b")[v] for v in part] for part in y]
    for missing in (None, np.nan, -1):
        names[0][0] = missing
        NodeTransformer(StandardScaler()).fit(X, names)


def test_tags_are_those_of_the_transformer():
    tags = get_tags(NodeTransformer(SimpleImputer()))
    assert tags.input_tags.allow_nan
    assert get_tags(NodeTransformer(FunctionTransformer())).requires_fit is False
    assert get_tags(NodeTransformer("passthrough")).transformer_tags is not None


# ---- edges


def test_edges(data):
    X, y = data
    edge = EdgeTransformer(StandardScaler())
    result = edge.fit_transform(X, y)
    expected = StandardScaler().fit_transform(X.edge_features)
    assert np.array_equal(result.edge_features, expected)
    assert result.node_features is X.node_features
    assert np.allclose(edge.inverse_transform(result).edge_features, X.edge_features)
    assert np.allclose(edge.fit(list(X)).transform(X).edge_features, expected)
    view = edge.transform(X.nodes)
    assert isinstance(view, NodeView)
    assert np.allclose(view.dataset.edge_features, expected)
    weight = np.arange(1.0, 13.0)
    per_edge = np.repeat(weight, np.diff(X.edge_ptr))
    weighted = EdgeTransformer(StandardScaler()).fit(X, sample_weight=weight)
    assert np.allclose(weighted.transformer_.mean_, np.average(X.edge_features, axis=0, weights=per_edge))


def test_edges_in_frames():
    nodes = pd.DataFrame({"g": [0, 0, 0], "x": [1.0, 2.0, 3.0]})
    edges = pd.DataFrame({"g": [0, 0], "source": [0, 1], "target": [1, 2], "kind": ["near", "far"]})
    X = GraphDataset.from_frame(nodes, edges, graph="g")
    result = EdgeTransformer(OneHotEncoder(sparse_output=False)).fit_transform(X)
    assert result.edge_features.tolist() == [[0, 1], [1, 0]]


def test_edge_transformer_refuses(data):
    X, _ = data
    with pytest.raises(ValueError, match=r"edges without features; add them by X.with_edge_features"):
        EdgeTransformer(StandardScaler()).fit(X.with_edge_features(None))
    with pytest.raises(ValueError, match="got a table"):
        EdgeTransformer(StandardScaler()).fit(X.node_features)


def test_graphs_without_nodes_or_edges_can_be_transformed(data):
    X, _ = data
    edge = EdgeTransformer(PCA(1)).fit(X)
    lonely = GraphDataset.from_graphs([Graph(np.ones((1, 3))), Graph(np.ones((2, 3)))])
    assert edge.transform(lonely).edge_features.shape == (0, 1)
    node = NodeTransformer(PCA(2)).fit(X)
    assert node.transform(GraphDataset.from_graphs([Graph(np.ones((0, 3)))])).shape == (1, 2)
