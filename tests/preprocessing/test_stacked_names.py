"""Names of features: those of nodes pass through an EdgeTransformer, and those of edges are its own."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from skstruct.data.dataset import GraphDataset
from skstruct.preprocessing import EdgeTransformer, NodeClassifier, NodeTransformer


def frames(library):
    nodes = library.DataFrame({"g": [0, 0, 0, 1], "x": [1.0, 2.0, 4.0, 3.0], "z": [0.0, 1.0, 0.5, 2.0]})
    edges = library.DataFrame({"g": [0, 0], "source": [0, 1], "target": [1, 2], "far": [1.0, 2.0]})
    return GraphDataset.from_frame(nodes, edges, graph="g"), ["x", "z"], ["far"]


def arrays(storage):
    rng = np.random.default_rng(0)
    X = GraphDataset(storage(rng.normal(size=(4, 2))), [(0, 1), (1, 2)], rng.normal(size=(2, 3)), [0, 3, 4], [0, 2, 2])
    return X, ["x0", "x1"], ["x0", "x1", "x2"]


def raw(rows):
    return GraphDataset(rows, [(0, 1), (1, 2)], [[1.0], [3.0]], [0, 3, 4], [0, 2, 2]), None, ["x0"]


SOURCES = {
    "pandas": lambda: frames(pd),
    "polars": lambda: frames(pl),
    "dense": lambda: arrays(np.asarray),
    "csr": lambda: arrays(sp.csr_array),
    "dicts": lambda: raw([{"a": 1}, {"b": 1}, {}, {"a": 2}]),
    "strings": lambda: raw(["a", "b", "a", "c"]),
}


@pytest.mark.parametrize("form", ["dataset", "list", "nodes"])
@pytest.mark.parametrize("source", SOURCES)
def test_names_of_nodes_pass_through_an_edge_transformer(source, form):
    X, node_names, edge_names = SOURCES[source]()
    X = {"dataset": X, "list": list(X), "nodes": X.nodes}[form]
    fitted = [EdgeTransformer(StandardScaler()).fit(X), EdgeTransformer(StandardScaler())]
    fitted[1].fit_transform(X)
    for edge in fitted:
        assert hasattr(edge, "feature_names_in_") == hasattr(edge, "edge_feature_names_in_")
        assert hasattr(edge, "feature_names_in_") == hasattr(edge.transformer_, "feature_names_in_")
        assert edge.n_edge_features_in_ == len(edge_names)
        assert edge.get_edge_feature_names_out().tolist() == edge_names
        if node_names is None:
            assert edge.get_feature_names_out() is None
            assert not hasattr(edge, "n_features_in_")
        else:
            assert edge.n_features_in_ == 2
            assert edge.get_feature_names_out().tolist() == node_names


@pytest.mark.parametrize("order", ["edges first", "nodes first", "edges twice"])
@pytest.mark.parametrize("source", ["pandas", "polars", "dense", "csr"])
def test_names_in_a_pipeline(source, order):
    X, node_names, _ = SOURCES[source]()
    scale, edge = StandardScaler(with_mean=False), EdgeTransformer(StandardScaler())
    steps = {
        "edges first": [edge, NodeTransformer(scale)],
        "nodes first": [NodeTransformer(scale), edge],
        "edges twice": [edge, NodeTransformer(scale), EdgeTransformer(PCA(1))],
    }[order]
    pipe = make_pipeline(*steps, NodeClassifier(LogisticRegression())).fit(X, [["a", "b", "a"], ["b"]])
    assert pipe[:-1].get_feature_names_out().tolist() == node_names
    assert pipe.n_features_in_ == 2
    if source in ("pandas", "polars"):
        assert pipe.feature_names_in_.tolist() == node_names
    assert pipe["edgetransformer" if order != "edges twice" else "edgetransformer-2"].n_edge_features_in_ > 0


def test_names_that_nodes_get_in_a_pipeline():
    X, _, _ = SOURCES["dicts"]()
    pipe = make_pipeline(EdgeTransformer(PCA(1)), NodeTransformer(DictVectorizer()), EdgeTransformer("passthrough"))
    assert pipe.fit(X).get_feature_names_out().tolist() == ["a", "b"]
    assert pipe[0].get_edge_feature_names_out().tolist() == ["pca0"]
    assert pipe[2].get_edge_feature_names_out(["pca0"]).tolist() == ["pca0"]


def test_names_of_edges_that_are_strings():
    nodes = pd.DataFrame({"g": [0, 0, 0], "x": [1.0, 2.0, 3.0]})
    edges = pd.DataFrame({"g": [0, 0], "source": [0, 1], "target": [1, 2], "kind": ["near", "far"]})
    X = GraphDataset.from_frame(nodes, edges, graph="g")
    edge = EdgeTransformer(OneHotEncoder(sparse_output=False)).fit(X)
    assert edge.get_feature_names_out().tolist() == ["x"]
    assert edge.get_feature_names_out(["x"]).tolist() == ["x"]
    assert edge.get_edge_feature_names_out().tolist() == ["kind_far", "kind_near"]
    assert edge.edge_feature_names_in_.tolist() == ["kind"]
    with pytest.raises(ValueError, match=r"input_features \['kind'\] are not the node features seen in fit, \['x'\]"):
        edge.get_feature_names_out(["kind"])
    edge.fit(SOURCES["dense"]()[0])  # forgets the names
    assert not hasattr(edge, "feature_names_in_")
    assert edge.get_feature_names_out(["u", "v"]).tolist() == ["u", "v"]
    with pytest.raises(ValueError, match="input_features has 3 names, but fit saw 2 node features"):
        edge.get_feature_names_out(["u", "v", "w"])


def test_names_need_a_fit_and_a_transformer_that_has_them():
    with pytest.raises(NotFittedError):
        EdgeTransformer(StandardScaler()).get_feature_names_out()
    with pytest.raises(NotFittedError):
        EdgeTransformer(StandardScaler()).get_edge_feature_names_out()
    nameless = EdgeTransformer(FunctionTransformer(np.exp))
    assert nameless.fit(SOURCES["dense"]()[0]).get_feature_names_out().tolist() == ["x0", "x1"]
    assert not hasattr(nameless, "get_edge_feature_names_out")
    edge = EdgeTransformer(StandardScaler())
    for g in range(2):
        edge.partial_fit(SOURCES["pandas"]()[0][g : g + 1] if g == 0 else SOURCES["pandas"]()[0])
    assert edge.feature_names_in_.tolist() == ["x", "z"]
