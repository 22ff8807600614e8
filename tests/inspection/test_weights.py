"""Weights and transitions as data frames, and the names of features behind pipelines."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.sparse import issparse
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.feature_selection import SelectKBest, chi2
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from skstruct import GraphCRFClassifier, GraphDataset, MultiLabelCRFClassifier, as_ragged
from skstruct.features import LinearFeatures, NetworkFeatures
from skstruct.inspection import explain, transitions, weights
from skstruct.preprocessing import (
    AttributeVectorizer,
    EdgeTransformer,
    ImagesToGraphs,
    NodeTransformer,
    SequencesToGraphs,
    TokenTemplates,
)

SENTENCES = [["the", "dog", "barks"], ["a", "cat", "sleeps"], ["the", "cat"]]
LABELS = [["D", "N", "V"], ["D", "N", "V"], ["D", "N"]]


@pytest.fixture(scope="module")
def chains():
    rng = np.random.default_rng(0)
    X = GraphDataset.from_sequences([rng.normal(size=(n, 3)) for n in (4, 5, 6)])
    return X.with_edge_features(rng.normal(size=(X.n_edges, 2))), [rng.choice(["a", "b", "c"], n) for n in (4, 5, 6)]


def entries(frame):
    return {(feature, label): weight for feature, label, weight in frame.itertuples(index=False)}


@pytest.mark.parametrize("node_weights", ["all", "observed"])
def test_weights(chains, node_weights):
    X, y = chains
    crf = GraphCRFClassifier(LinearFeatures(node_weights=node_weights)).fit(X, y)
    coef = crf.coef_.toarray() if issparse(crf.coef_) else crf.coef_
    expected = {(f"x{k}", label): coef[c, k] for c, label in enumerate("abc") for k in range(3)}
    expected |= {("(intercept)", label): crf.intercept_[c] for c, label in enumerate("abc")}
    frame = weights(crf, top=None)
    assert list(frame.columns) == ["feature", "label", "weight"]
    assert entries(frame) == expected
    assert frame["weight"].abs().is_monotonic_decreasing
    pd.testing.assert_frame_equal(weights(crf, top=4), frame[:4])
    pd.testing.assert_frame_equal(weights(crf), frame)  # 12 rows


def test_weights_that_are_zero_have_no_row(chains):
    X, y = chains
    crf = GraphCRFClassifier(LinearFeatures(fit_intercept=False), l1_ratio=1.0, C=0.5).fit(X, y)
    assert 0 < np.count_nonzero(crf.coef_) < 9
    assert len(weights(crf)) == np.count_nonzero(crf.coef_)


def test_transitions(chains):
    X, y = chains
    crf = GraphCRFClassifier().fit(X.with_edge_features(None), y)
    frame = transitions(crf)
    assert frame.index.tolist() == frame.columns.tolist() == ["a", "b", "c"]
    assert (frame.index.name, frame.columns.name) == ("source", "target")
    np.testing.assert_array_equal(frame, crf.edge_coef_[0])
    crf = GraphCRFClassifier().fit(X, y)
    frame = transitions(crf)
    assert frame.index.names == ["feature", "source"]
    for k, name in enumerate(["x0", "x1"]):
        assert frame.loc[name].index.tolist() == ["a", "b", "c"]
        np.testing.assert_array_equal(frame.loc[name], crf.edge_coef_[k])


def test_models_without_such_weights(chains):
    X, y = chains
    network = GraphCRFClassifier(NetworkFeatures((2,)), max_iter=3, tol=10.0, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match=r"weights needs a weight.* and NetworkFeatures\(.*\) has none.*saliency"):
        weights(network)
    assert transitions(network).shape == (6, 3)
    network = GraphCRFClassifier(NetworkFeatures((2,), edges="network"), max_iter=3, tol=10.0).fit(X, y)
    with pytest.raises(ValueError, match=r"transitions needs a matrix.* and NetworkFeatures\(.*\) has none"):
        transitions(network)
    with pytest.raises(ValueError, match="no graph had an edge in fit"):
        transitions(GraphCRFClassifier().fit(X.node_features, np.concatenate(y)))
    with pytest.raises(ValueError, match="top must be a positive integer or None, got 0"):
        weights(GraphCRFClassifier().fit(X, y), top=0)


def test_other_models(chains):
    X, y = chains
    table, labels = X.node_features, np.concatenate(y)
    for model in (
        LogisticRegression().fit(table, labels),
        make_pipeline(StandardScaler(), LogisticRegression()).fit(table, labels),
        MultiLabelCRFClassifier().fit(table, labels[:, None] == ["a", "b"]),
        make_pipeline(StandardScaler(), "passthrough").fit(table),
        GridSearchCV(GraphCRFClassifier(), {"C": [1.0]}, cv=2, refit=False).fit(X, as_ragged(y)),
    ):
        with pytest.raises(TypeError, match="model must be a fitted GraphCRFClassifier, or a fitted Pipeline or sea"):
            weights(model)
    for model in (GraphCRFClassifier(), make_pipeline(StandardScaler(), GraphCRFClassifier())):
        with pytest.raises(ValueError, match="GraphCRFClassifier instance is not fitted yet"):
            transitions(model)


def first_names(n):
    return [f"x{k}" for k in range(n)]


FRAMES = [pd.DataFrame({"word": sentence, "n": list(map(len, sentence))}) for sentence in SENTENCES]
COLUMNS = make_column_transformer((OneHotEncoder(), ["word"]), ("passthrough", ["n"]))
WORDS = sorted({word for sentence in SENTENCES for word in sentence})
TEXT_PIPELINES = {
    "templates": ([TokenTemplates(["w[0]", "w.suffix(1)[0]"])], SENTENCES, ["w[0]=the", "w[0]=dog"]),
    "hashed templates": ([TokenTemplates(["w[0]"], n_bits=3)], SENTENCES, first_names(8)),
    "attributes": ([AttributeVectorizer()], [[[w] for w in s] for s in SENTENCES], ["the", "dog", "barks"]),
    "strings": (
        [SequencesToGraphs(), NodeTransformer(CountVectorizer(token_pattern=r"\w+"))],
        SENTENCES,
        WORDS,
    ),
    "dicts": (
        [SequencesToGraphs(), NodeTransformer(make_pipeline(DictVectorizer(), StandardScaler(with_mean=False)))],
        [[{"w": w} for w in s] for s in SENTENCES],
        [f"w={w}" for w in WORDS],
    ),
    "columns": (
        [SequencesToGraphs(), NodeTransformer(COLUMNS)],
        FRAMES,
        [*(f"onehotencoder__word_{w}" for w in WORDS), "passthrough__n"],
    ),
    "union": (
        [
            SequencesToGraphs(),
            FeatureUnion(
                [
                    ("raw", NodeTransformer(DictVectorizer(sparse=False))),
                    ("pca", NodeTransformer(make_pipeline(DictVectorizer(sparse=False), PCA(1)))),
                ]
            ),
        ],
        [[{"w": w} for w in s] for s in SENTENCES],
        [*(f"raw__w={w}" for w in WORDS), "pca__pca0"],
    ),
    "selection": (
        [SequencesToGraphs(), NodeTransformer(DictVectorizer()), NodeTransformer(SelectKBest(chi2, k=1))],
        [[{"w": w} for w in s] for s in SENTENCES],
        ["w=the"],
    ),
    "no names": (
        [SequencesToGraphs(), NodeTransformer(DictVectorizer()), NodeTransformer(FunctionTransformer(lambda x: x))],
        [[{"w": w} for w in s] for s in SENTENCES],
        first_names(len(WORDS)),
    ),
    "names again": (
        [SequencesToGraphs(), NodeTransformer(DictVectorizer()), NodeTransformer(PCA(2))],
        [[{"w": w} for w in s] for s in SENTENCES],
        ["pca0", "pca1"],
    ),
}


@pytest.mark.parametrize("case", TEXT_PIPELINES)
def test_names_through_pipelines(case):
    steps, X, names = TEXT_PIPELINES[case]
    pipe = make_pipeline(*steps, GraphCRFClassifier()).fit(X, LABELS)
    coef = pipe[-1].coef_
    frame = weights(pipe, top=None)
    found = entries(frame)
    for k, name in enumerate(names):
        for c, label in enumerate("DNV"):
            assert found.get((name, label), 0.0) == coef[c, k], (name, label)
    used = explain(pipe, X, 0, 0).query("part == 'feature'")["name"]
    assert set(used) <= set(frame["feature"])


def edge_frames(library):
    nodes = library.DataFrame({"g": [0, 0, 0, 1, 1], "u": [1.0, 2.0, 4.0, 3.0, 0.5], "v": [0.0, 1.0, 0.5, 2.0, 3.0]})
    edges = library.DataFrame(
        {"g": [0, 0, 1], "source": [0, 1, 0], "target": [1, 2, 1], "far": [1.0, 2.0, 0.5], "up": [0.0, 1.0, 1.0]}
    )
    return GraphDataset.from_frame(nodes, edges, graph="g"), [["a", "b", "a"], ["b", "b"]]


@pytest.mark.parametrize("library", [pd, pl])
@pytest.mark.parametrize(
    ("steps", "node_names", "edge_names"),
    [
        ([], ["u", "v"], ["far", "up"]),
        ([NodeTransformer(StandardScaler())], ["u", "v"], ["far", "up"]),
        ([EdgeTransformer(StandardScaler())], ["u", "v"], ["far", "up"]),
        ([EdgeTransformer(StandardScaler()), NodeTransformer(PCA(2))], ["pca0", "pca1"], ["far", "up"]),
        ([NodeTransformer(PCA(1)), EdgeTransformer(PCA(1))], ["pca0"], ["pca0"]),
        ([make_pipeline(EdgeTransformer(PCA(1)), EdgeTransformer(StandardScaler()))], ["u", "v"], ["pca0"]),
        ([EdgeTransformer(StandardScaler().set_output(transform="pandas"))], ["u", "v"], ["far", "up"]),
        (["passthrough", None], ["u", "v"], ["far", "up"]),
    ],
)
def test_names_of_nodes_and_edges(library, steps, node_names, edge_names):
    X, y = edge_frames(library)
    pipe = make_pipeline(*steps, GraphCRFClassifier()).fit(X, y)
    assert set(weights(pipe)["feature"]) == {*node_names, "(intercept)"}
    assert transitions(pipe).index.unique("feature").tolist() == edge_names


def test_nested_pipelines_and_searches():
    X, y = edge_frames(pd)
    inner = make_pipeline(NodeTransformer(StandardScaler()), GraphCRFClassifier())
    search = GridSearchCV(inner, {"graphcrfclassifier__C": [0.1, 1.0]}, cv=2)
    outer = make_pipeline(NodeTransformer("passthrough"), search).fit(X, as_ragged(y))
    crf = outer[-1].best_estimator_[-1]
    assert entries(weights(outer))["u", "a"] == crf.coef_[0, 0]
    assert transitions(outer).loc["up"].to_numpy().tolist() == crf.edge_coef_[1].tolist()


def test_names_of_edge_features_are_kept_and_compared():
    X, y = edge_frames(pd)
    crf = GraphCRFClassifier().fit(X, y)
    assert crf.edge_feature_names_in_.tolist() == ["far", "up"]
    assert crf.predict(X.with_edge_features(X.edge_features.to_numpy())).tolist() == crf.predict(X).tolist()
    with pytest.raises(ValueError, match=r"edge features \['up', 'far'\], but GraphCRFClassifier .* \['far', 'up'\]"):
        crf.predict(X.with_edge_features(X.edge_features[["up", "far"]]))
    assert not hasattr(crf.fit(X.with_edge_features(X.edge_features.to_numpy()), y), "edge_feature_names_in_")
    numbered = X.with_edge_features(X.edge_features.rename(columns={"far": 0, "up": 1}))
    assert not hasattr(GraphCRFClassifier().fit(numbered, y), "edge_feature_names_in_")


def test_names_of_the_edges_of_images():
    rng = np.random.default_rng(0)
    images, y = rng.random((4, 3, 3)), as_ragged(rng.integers(2, size=(4, 9)))
    pipe = make_pipeline(ImagesToGraphs(contrast=True), GraphCRFClassifier()).fit(images, y)
    assert transitions(pipe).index.unique("feature").tolist() == ["constant", "contrast"]
    pipe = make_pipeline(ImagesToGraphs(), GraphCRFClassifier()).fit(images, y)
    assert transitions(pipe).index.tolist() == [0, 1]
    X = GraphDataset.from_images(images)
    X = X.with_edge_features(np.ones((X.n_edges, 1)))
    pipe = make_pipeline(ImagesToGraphs(contrast=True), GraphCRFClassifier()).fit(X, y)
    assert transitions(pipe).index.unique("feature").tolist() == ["x0"]
