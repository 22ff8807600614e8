"""Names of node and edge features after every combination of transformers."""

from itertools import product

import networkx as nx
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler

from skstruct import GraphCRFClassifier, GraphDataset
from skstruct.inspection import transitions, weights
from skstruct.preprocessing import (
    DelaunayToGraphs,
    EdgeFeatures,
    EdgeTransformer,
    ImagesToGraphs,
    NearestNeighborsToGraphs,
    NetworkxToGraphs,
    NodeTransformer,
    SequencesToGraphs,
    SuperpixelsToGraphs,
)

RNG = np.random.default_rng(0)
X0 = RNG.normal(size=(9, 2))
IMAGES = [RNG.random((3, 3)), RNG.random((2, 2))]
NODES = pd.DataFrame(X0, columns=["a", "b"])
BONDS = pd.DataFrame(
    {"source": [0, 1, 2, 3], "target": [1, 2, 3, 8], "long": RNG.normal(size=4), "old": [0.0, 1, 1, 2]}
)
PIXELS, MEANS = ["channel0"], ["mean_channel0", "std_channel0", "row", "column", "size"]
QUARTERS = {"segmentation": lambda image: np.arange(image.size).reshape(image.shape) // 2}

GRAPH = nx.path_graph(6)
nx.set_node_attributes(GRAPH, {i: {"place": RNG.random(2), "mass": RNG.random()} for i in GRAPH})
nx.set_edge_attributes(GRAPH, {edge: {"w": RNG.random()} for edge in GRAPH.edges})

# first step, its input, names of node features, names of edge features
FIRST = {
    "frames": (None, GraphDataset.from_frame(NODES, BONDS), ["a", "b"], ["long", "old"]),
    "polars": (
        None,
        GraphDataset.from_frame(pl.DataFrame(X0, ["a", "b"]), pl.DataFrame(BONDS.to_dict("list"))),
        *(["a", "b"], ["long", "old"]),
    ),
    "arrays": (None, GraphDataset(X0, [(0, 1), (3, 2), (4, 5)], RNG.normal(size=(3, 2))), ["x0", "x1"], ["x0", "x1"]),
    "sequences": (SequencesToGraphs(), [X0[:5], X0[5:]], ["x0", "x1"], []),
    "sequences of frames": (SequencesToGraphs(), [NODES[:5], NODES[5:]], ["a", "b"], []),
    "points": (DelaunayToGraphs(), [X0[:5], X0[5:]], ["x0", "x1"], []),
    "points of frames": (NearestNeighborsToGraphs(2), [NODES[:5], NODES[5:]], ["a", "b"], []),
    "images": (ImagesToGraphs(), IMAGES, PIXELS, []),
    "images with contrast": (ImagesToGraphs(contrast=True), IMAGES, PIXELS, ["constant", "contrast"]),
    "networkx": (
        NetworkxToGraphs(["place", "mass"], ["w"]),
        [GRAPH, nx.path_graph(0)],
        *(["place[0]", "place[1]", "mass"], ["w"]),
    ),
    "superpixels": (SuperpixelsToGraphs(contrast=True, **QUARTERS), IMAGES, MEANS, ["constant", "contrast"]),
}
SCALE = StandardScaler()

# transformer, names of nodes from those before, names of edges from those before; None: it needs edge features
NEXT = {
    "scale": (NodeTransformer(SCALE), lambda v: v, lambda v, e: e),
    "PCA": (NodeTransformer(PCA(1)), lambda v: ["pca0"], lambda v, e: e),
    "union": (
        NodeTransformer(make_union(SCALE, PCA(1))),
        lambda v: [*(f"standardscaler__{name}" for name in v), "pca__pca0"],
        lambda v, e: e,
    ),
    "scale edges": (EdgeTransformer(SCALE), lambda v: v, lambda v, e: e or None),
    "PCA of edges": (EdgeTransformer(PCA(1)), lambda v: v, lambda v, e: ["pca0"] if e else None),
    "distance": (EdgeFeatures("distance"), lambda v: v, lambda v, e: [*e, "distance"]),
    "neighbours": (NearestNeighborsToGraphs(1), lambda v: v, lambda v, e: []),
}


def edge_names(steps, names):
    for step in steps:
        if isinstance(step, NearestNeighborsToGraphs | DelaunayToGraphs):
            names = None
        elif hasattr(step, "get_edge_feature_names_out"):
            names = step.get_edge_feature_names_out(names)
    return [] if names is None else list(names)


@pytest.mark.parametrize("start", FIRST)
def test_all_pairs_of_steps(start):
    """They have the names that follow from the steps, and there are as many names as features."""
    first, X, nodes, edges = FIRST[start]
    for names in product(NEXT, repeat=2):
        v, e, steps = nodes, edges, [] if first is None else [first]
        for name in names:
            step, nodes_after, edges_after = NEXT[name]
            e = None if e is None else edges_after(v, e)
            v, steps = nodes_after(v), [*steps, clone(step)]
        if e is None or (names.count("distance") == 2 and start in ("frames", "polars")):
            continue  # edges without features cannot be transformed; columns of a frame have different names
        pipe = make_pipeline(*steps)
        result = pipe.fit_transform(X)
        assert pipe.get_feature_names_out().tolist() == v, names
        assert result.shape[1] == len(v), names
        assert edge_names(pipe, edges if first is None else None) == e, names
        assert not e or result.edge_features.shape[1] == len(e), names


@pytest.mark.parametrize("start", FIRST)
def test_names_of_weights(start):
    """A model shows its weights under these names, with frames and without."""
    first, X, nodes, edges = FIRST[start]
    dataset = X if first is None else first.fit_transform(X)
    y = [np.arange(len(graph.node_features)) % 2 for graph in dataset]
    steps = [*([] if first is None else [first]), NodeTransformer(SelectKBest(k=1)), EdgeFeatures("distance")]
    model = make_pipeline(*steps, GraphCRFClassifier(max_iter=200, tol=1e-2)).fit(X, y)
    assert set(weights(model, top=None)["feature"]) - {"(intercept)"} <= set(nodes)
    found = transitions(model).index.get_level_values("feature").unique().tolist()
    assert found == [*edges, "distance"]
