"""Spanning forests that cover the edges of a graph, for tree-reweighted belief propagation."""

from typing import NamedTuple

import numpy as np

from skstruct.data.topology import Topology
from skstruct.kernels.jit import kernel

MORE_FORESTS = 8  # a graph gets twice the number of forests that cover it, plus this number


class Forests(NamedTuple):
    """Spanning forests of the graphs of a batch in one topology: copies of each graph with fewer edges.

    Attributes
    ----------
    copies : Topology
    graph, node, edge : ndarray of shape (n_copies,), (n_copied_nodes,), (n_copied_edges,)
        Original of each graph, node and edge of `copies`.
    number : ndarray of shape (n_graphs,)
        Number of forests of each graph; 1 if it has no cycle.
    used : ndarray of shape (n_edges,)
        Number of forests that contain each edge.
    rho : ndarray of shape (n_edges,)
        Fraction of the graph's forests that contain each edge.
    """

    copies: Topology
    graph: np.ndarray
    node: np.ndarray
    edge: np.ndarray
    number: np.ndarray
    used: np.ndarray
    rho: np.ndarray


def spanning_forests(topology):
    """Cover the edges of each graph by spanning forests; each prefers the edges that earlier forests used least.

    The forests of a graph depend on that graph alone.

    Parameters
    ----------
    topology : Topology

    Returns
    -------
    forests : Forests
    """
    t = topology
    used, number = np.zeros(t.n_edges, np.intp), np.zeros(t.n_graphs, np.intp)
    wanted = np.where(t.is_forest, 1, np.iinfo(np.intp).max)
    nodes, graphs, edges, ends, sizes = [], [], [], [], []
    n_copied = 0
    while len(active := np.flatnonzero(number < wanted)):
        part, part_nodes, part_edges = t.take(active)
        chosen = np.zeros(t.n_edges, bool)
        chosen[part_edges] = _spanning_forest(part.edges, np.argsort(used[part_edges], kind="stable"), part.n_nodes)
        used += chosen
        number[active] += 1
        in_part = chosen[part_edges]
        nodes.append(part_nodes)
        graphs.append(active)
        edges.append(part_edges[in_part])
        ends.append(part.edges[in_part] + n_copied)
        sizes.append((np.diff(part.node_ptr), np.bincount(part.edge_graph[in_part], minlength=len(active))))
        n_copied += part.n_nodes
        covered = (wanted == np.iinfo(np.intp).max) & (t.sum_edges(used == 0) == 0)
        wanted[covered] = 2 * number[covered] + MORE_FORESTS
    n_nodes, n_edges = (np.concatenate(each) for each in zip(*sizes)) if sizes else (number, number)
    copies = Topology(
        np.concatenate([np.zeros((0, 2), np.int32), *ends]).astype(np.int32),
        np.concatenate([[0], np.cumsum(n_nodes)]),
        np.concatenate([[0], np.cumsum(n_edges)]),
    )
    graph, node, edge = (np.concatenate([np.zeros(0, np.intp), *each]) for each in (graphs, nodes, edges))
    return Forests(copies, graph, node, edge, number, used, used / number[t.edge_graph])


@kernel
def _spanning_forest(edges, order, n_nodes):
    """Kruskal's algorithm with the edges in `order`: whether each edge is in the forest."""
    parent = np.arange(n_nodes)
    chosen = np.zeros(len(edges), np.bool_)
    for e in order:
        i, j = edges[e, 0], edges[e, 1]
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        while parent[j] != j:
            parent[j] = parent[parent[j]]
            j = parent[j]
        if i != j:
            parent[i] = j
            chosen[e] = True
    return chosen
