"""Graphs with random scores."""

import numpy as np

from skstruct import Topology
from skstruct.scores import Scores


def grid(height, width):
    """Edges of a grid, sorted by the lower node."""
    cells = np.arange(height * width).reshape(height, width)
    across = np.c_[cells[:, :-1].ravel(), cells[:, 1:].ravel()]
    edges = np.concatenate([across, np.c_[cells[:-1].ravel(), cells[1:].ravel()]])
    return edges[np.lexsort(edges.T[::-1])]


def random_edges(n_nodes, n_edges, rng):
    """Distinct pairs of nodes."""
    pairs = np.sort(rng.integers(0, n_nodes, (int(1.2 * n_edges) + 20, 2)), axis=1)
    pairs = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)
    return pairs[np.sort(rng.permutation(len(pairs))[:n_edges])]


def many_graphs(n_graphs, n_nodes, n_edges, rng):
    """Topology of a batch of random graphs."""
    edges = [random_edges(n_nodes, n_edges, rng) for _ in range(n_graphs)]
    joined = np.concatenate([pairs + g * n_nodes for g, pairs in enumerate(edges)]).astype(np.int32)
    return Topology(joined, np.arange(n_graphs + 1) * n_nodes, np.cumsum([0, *map(len, edges)]))


def random_scores(topology, n_states, rng, *, coupling=1.0, shared=False):
    """Standard normal node scores, and edge scores with a given standard deviation."""
    node = rng.normal(size=(topology.n_nodes, n_states))
    if shared:
        return Scores(node, rng.normal(0, coupling, (1, n_states, n_states)), np.zeros(topology.n_edges, np.int32))
    return Scores(node, rng.normal(0, coupling, (topology.n_edges, n_states, n_states)))


def random_tree(n_nodes, rng):
    """Edges of a tree in which each node is linked to a random earlier node; then nodes and edges are shuffled."""
    later = np.arange(1, n_nodes)
    edges = np.c_[(rng.random(n_nodes - 1) * later).astype(np.int64), later]
    return rng.permutation(rng.permutation(n_nodes)[edges])
