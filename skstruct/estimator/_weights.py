"""Weights of graphs and nodes from sample weights and class weights."""

from typing import Any

import numpy as np
from sklearn.utils import compute_class_weight

from skstruct.data.dataset import GraphDataset
from skstruct.data.topology import Topology
from skstruct.estimator._input import GraphInput, NodeInput, refuse_zero
from skstruct.objectives import OBJECTIVES, Objective
from skstruct.scores import MISSING, Targets


def weighted_targets(
    data: GraphInput | NodeInput,
    codes: np.ndarray,
    classes: np.ndarray,
    sample_weight: Any,
    class_weight: Any,
    objective: Objective,
) -> Targets:
    """Labels with the weights that sample weights and class weights define.

    Raises
    ------
    ValueError
        If the weights are zero for every graph that has a labelled node, or `target_weights` refuses them.
    """
    node = data.node_weights(sample_weight)
    if sample_weight is not None:
        refuse_zero(sample_weight)
    is_known = codes != MISSING
    by_class = None
    if class_weight is not None:
        by_class = weights_of_classes(class_weight, classes, np.bincount(codes[is_known], node[is_known], len(classes)))
    targets = target_weights(data, codes, node, by_class, objective)
    if not (np.repeat(targets.graph_weight > 0, np.diff(data.dataset.node_ptr)) & is_known).any():
        raise ValueError(
            "sample_weight and class_weight are zero for every graph that has a labelled node: at least "
            "one weight must be a non-zero number."
        )
    return targets


def target_weights(
    data: GraphInput | NodeInput,
    codes: np.ndarray,
    node: np.ndarray,
    by_class: np.ndarray | None,
    objective: Objective,
) -> Targets:
    """Labels with their weights, given the sample weight of each node, (n_nodes,), and the weight of each class.

    The weight of a node is the product of its sample weight and its class weight. The weight of a graph is the mean
    weight of its labelled nodes. For an objective that is a sum over nodes, ``node_weight`` is the weight of each node
    divided by that of its graph.
    """
    if by_class is None and (node == 1.0).all():
        return Targets(codes, np.ones(len(data.dataset)))
    t = Topology.of_checked(data.dataset.edges, data.dataset.node_ptr, data.dataset.edge_ptr)  # not kept in the dataset
    weights = np.ones(t.n_graphs)
    nodes = np.flatnonzero(data.selected)
    graphs = t.node_graph[nodes]
    weights[graphs] = node[nodes]
    uneven = np.flatnonzero(weights[graphs] != node[nodes])
    if len(uneven) and not objective.node_weighted:
        g = graphs[uneven[0]]
        supporting = [name for name, row in OBJECTIVES.items() if row.node_weighted]
        raise ValueError(
            f"sample_weight differs between the nodes of graph {g}: the loss of objective={objective!r} is one number "
            "per graph, so that all its nodes must have the same weight (a NodeView with repeated nodes cannot be "
            f"fitted either). The objectives {supporting} support weights per node."
        )
    is_known = codes != MISSING
    if by_class is not None:
        node = node * np.where(is_known, by_class[codes], 0.0)
    if len(uneven) or by_class is not None:
        weights = t.sum_nodes(np.where(is_known, node, 0.0)) / np.maximum(t.sum_nodes(is_known), 1)
    if not objective.node_weighted:
        return Targets(codes, weights)
    of_graph = weights[t.node_graph]
    relative = np.divide(node, of_graph, out=np.zeros(t.n_nodes), where=of_graph > 0)
    return Targets(codes, weights, None if (node == of_graph)[is_known].all() else relative)


def without_weightless(dataset: GraphDataset, targets: Targets) -> tuple[GraphDataset, Targets, np.ndarray]:
    """Omit the graphs of weight 0, whose labels may be forbidden; also returns the numbers of the other graphs."""
    kept = np.flatnonzero(targets.graph_weight)
    if len(kept) == len(dataset):
        return dataset, targets, kept
    nodes = np.isin(dataset.topology.node_graph, kept)
    node_weight = None if targets.node_weight is None else targets.node_weight[nodes]
    return dataset[kept], Targets(targets.codes[nodes], targets.graph_weight[kept], node_weight), kept


def weights_of_classes(class_weight: Any, classes: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """Weight of each class, (n_classes,), given the sum of the sample weights of its labelled nodes."""
    if class_weight == "balanced":
        return totals.sum() / (np.count_nonzero(totals) * np.where(totals > 0, totals, 1.0))
    try:
        weights = compute_class_weight(class_weight, classes=classes, y=classes)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"class_weight {class_weight} does not match the classes {classes[:10].tolist()}: {error}; pass a "
            "number for each class, 1 where it is left out."
        ) from error
    if not ((weights >= 0) & (weights < np.inf)).all():
        raise ValueError(f"class_weight must hold finite numbers that are not negative, got {class_weight}.")
    return weights
