"""The order in which a sweep of loopy belief propagation visits the nodes, and neighbour lists in this order."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import reverse_cuthill_mckee

from skstruct.data.adjacency import Adjacency, adjacency
from skstruct.kernels.jit import kernel


class Sweep(NamedTuple):
    """Neighbour lists of a batch whose nodes are numbered in the order of a sweep; the graphs stay contiguous."""

    node_ptr: np.ndarray  # (n_graphs + 1,) positions of the nodes of each graph
    order: np.ndarray  # (n_nodes,) node at each position
    lists: Adjacency  # of positions


class LocalLists(NamedTuple):
    """The same for the fast kernels, where positions and slots are counted from the start of their graph."""

    node_ptr: np.ndarray  # (n_graphs + 1,)
    edge_ptr: np.ndarray  # (n_graphs + 1,)
    order: np.ndarray  # (n_nodes,) node at each position
    bounds: np.ndarray  # (n_nodes, 3) uint32: first slot of a node, first one of a higher neighbour, end
    ends: np.ndarray  # (2 * n_edges, 2) uint32: slot of the same edge at its other end, and the neighbour there
    edge: np.ndarray  # (2 * n_edges,) as in `Adjacency`
    flipped: np.ndarray  # (2 * n_edges,) as in `Adjacency`


def sweep_of(topology, number):
    """Neighbour lists for a sweep in the order of `number`, (n_nodes,)."""
    lists = adjacency(number[topology.edges], topology.n_nodes)
    return Sweep(topology.node_ptr, np.argsort(number).astype(np.int32), lists)


def sweep_numbers(topology):
    """Number the nodes of each graph: as they are on grid-like graphs, by reverse Cuthill-McKee elsewhere.

    With reverse Cuthill-McKee [1]_ each node of a tree has one higher-numbered neighbour, so that a sweep upwards and
    downwards is exact there. On irregular graphs it brings neighbours together. Graphs whose own numbering has at
    most twice the mean edge length of the new one, and cycles, keep their own, which reads memory in order.

    .. [1] E. Cuthill, J. McKee, "Reducing the bandwidth of sparse symmetric matrices", ACM, 1969.
    """
    n = topology.n_nodes
    own = np.arange(n, dtype=np.int32)
    if not topology.n_edges:
        return own
    i, j = topology.edges.T
    matrix = coo_array((np.ones(2 * len(i), np.int8), (np.r_[i, j], np.r_[j, i])), shape=(n, n)).tocsr()
    place = np.empty(n, np.int64)
    place[reverse_cuthill_mckee(matrix, symmetric_mode=True)] = np.arange(n)
    renumbered = np.empty(n, np.int32)
    renumbered[np.lexsort((place, topology.node_graph))] = own  # graphs stay contiguous
    gain = topology.sum_edges(np.abs(i - j)) - 2 * topology.sum_edges(np.abs(renumbered[i] - renumbered[j]))
    maybe_forest = np.diff(topology.edge_ptr) < np.diff(topology.node_ptr)
    return np.where((maybe_forest | (gain > 0))[topology.node_graph], renumbered, own)


def spread_numbers(topology, number):
    """Renumber such that successive nodes rarely depend on each other; each edge keeps its direction.

    Sweeps compute the same in both orders. Nodes are sorted by the length of the longest path that leads to them over
    rising numbers, along which messages must be computed one after the other. Two nodes at the same distance are
    independent, so that a processor works on several at a time. This is faster where messages are small, and slower
    where large tables are read in order.
    """
    own = np.argsort(number)
    lists = adjacency(number[topology.edges], topology.n_nodes)
    spread = np.empty_like(number)
    spread[own[np.lexsort((_levels(lists), topology.node_graph))]] = np.arange(len(number))
    return spread


def local_lists(topology, sweep):
    """Neighbour lists of the fast kernels, from those of a `Sweep`."""
    t, lists = topology, sweep.lists
    own = np.repeat(np.arange(t.n_nodes), np.diff(lists.ptr))
    n_lower = np.bincount(own[lists.neighbour < own], minlength=t.n_nodes)
    first_node = t.node_ptr[t.node_graph]
    first_slot = lists.ptr[first_node]
    bounds = np.stack([lists.ptr[:-1], lists.ptr[:-1] + n_lower, lists.ptr[1:]], axis=1) - first_slot[:, None]
    ends = np.stack([lists.reverse - first_slot[own], lists.neighbour - first_node[own]], axis=1)
    return LocalLists(
        t.node_ptr, t.edge_ptr, sweep.order, bounds.astype(np.uint32), ends.astype(np.uint32), lists.edge, lists.flipped
    )


@kernel
def _levels(lists):
    """Length of the longest path to each node over rising numbers."""
    level = np.zeros(len(lists.ptr) - 1, np.int64)
    for i in range(len(level)):
        for s in range(lists.ptr[i], lists.ptr[i + 1]):
            if lists.neighbour[s] < i:
                level[i] = max(level[i], level[lists.neighbour[s]] + 1)
    return level
