"""Weights of graphs from sample weights and class weights."""

from typing import Any

import numpy as np
from sklearn.utils import compute_class_weight

from skstruct.estimator._input import GraphInput, NodeInput
from skstruct.scores import MISSING


def graph_weights(
    data: GraphInput | NodeInput, codes: np.ndarray, classes: np.ndarray, sample_weight: Any, class_weight: Any
) -> np.ndarray:
    """Weight of each graph, (n_graphs,): its sample weight times the mean class weight of its labelled nodes."""
    t = data.dataset.topology
    node = np.ones(t.n_nodes) if sample_weight is None else data.node_weights(sample_weight)
    weights = np.ones(t.n_graphs)
    nodes = np.flatnonzero(data.selected)
    graphs = t.node_graph[nodes]
    weights[graphs] = node[nodes]
    uneven = np.flatnonzero(weights[graphs] != node[nodes])
    if len(uneven):
        g = graphs[uneven[0]]
        raise ValueError(
            f"sample_weight differs between the nodes of graph {g}: the likelihood of a graph is one "
            "number, so that all its nodes must have the same weight (a NodeView with repeated nodes "
            "cannot be fitted either)."
        )
    is_known = codes != MISSING
    if class_weight is not None:
        by_class = _class_weights(class_weight, classes, codes[is_known], node[is_known])
        total = t.sum_nodes(np.where(is_known, by_class[codes], 0.0))
        weights = weights * total / np.maximum(t.sum_nodes(is_known), 1)
    if not weights[t.node_graph[is_known]].any():
        raise ValueError(
            "sample_weight and class_weight are zero for every graph that has a labelled node: at least "
            "one weight must be a non-zero number."
        )
    return weights


def _class_weights(class_weight, classes, codes, node_weights):
    """Weight of each class, (n_classes,), given the codes and sample weights of the labelled nodes."""
    if class_weight == "balanced":
        totals = np.bincount(codes, node_weights, len(classes))
        return totals.sum() / (np.count_nonzero(totals) * np.where(totals > 0, totals, 1.0))
    try:
        weights = compute_class_weight(class_weight, classes=classes, y=classes[codes])
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"class_weight {class_weight} does not match the classes {classes[:10].tolist()}: {error}; pass a "
            "number for each class, 1 where it is left out."
        ) from error
    if not ((weights >= 0) & (weights < np.inf)).all():
        raise ValueError(f"class_weight must hold finite numbers that are not negative, got {class_weight}.")
    return weights
