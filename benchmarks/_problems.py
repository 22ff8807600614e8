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
    return joined([(n_nodes, random_edges(n_nodes, n_edges, rng)) for _ in range(n_graphs)])


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


def joined(graphs):
    """Topology of a batch of graphs, each of which is a number of nodes and an array of pairs."""
    node_ptr = np.cumsum([0, *(n_nodes for n_nodes, _ in graphs)])
    edges = np.concatenate([pairs + start for (_, pairs), start in zip(graphs, node_ptr)]).astype(np.int32)
    return Topology(edges, node_ptr, np.cumsum([0, *(len(pairs) for _, pairs in graphs)]))


def folded_chains(n_graphs, rng):
    """Topology of a batch of random graphs that resemble proteins.

    A node is a part of a chain that takes random steps in space. It is linked to the next part and to the three nearest
    ones. There are 4 to 620 nodes in a graph, 37 on average, and 2.2 edges per node.
    """
    graphs = []
    for _ in range(n_graphs):
        n_nodes = int(np.clip(rng.lognormal(3.35, 0.75), 4, 620))
        place = rng.normal(size=(n_nodes, 3)).cumsum(axis=0)
        distance = ((place[:, None] - place) ** 2).sum(axis=2)
        np.fill_diagonal(distance, np.inf)
        near = np.c_[np.repeat(np.arange(n_nodes), 3), distance.argsort(axis=1)[:, :3].ravel()]
        along = np.c_[np.arange(n_nodes - 1), np.arange(1, n_nodes)]
        graphs.append((n_nodes, np.unique(np.sort(np.concatenate([along, near]), axis=1), axis=0)))
    return joined(graphs)
