"""In which order a sweep of loopy belief propagation visits the nodes, and the index arrays that follow from it."""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import reverse_cuthill_mckee

from skstruct.data.adjacency import adjacency
from skstruct.kernels.jit import kernel


def sweep_numbers(topology):
    """Number the nodes of each graph: as they are on grid-like graphs, by reverse Cuthill-McKee elsewhere.

    Reverse Cuthill-McKee [1]_ gives each node of a tree one higher-numbered neighbour, so that a sweep upwards and
    downwards is exact there; on irregular graphs it brings neighbours together. Graphs whose own numbering has at
    most twice the mean edge length of the new one, and cycles, keep theirs: it walks memory in order.

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
    """Renumber such that nodes that follow each other seldom wait for each other, and each edge keeps its direction.

    Sweeps do the same in either order: nodes are sorted by the longest way to them from below, along which messages
    must be computed one after the other. Two nodes at the same distance are independent, so that a processor
    works on several at a time; this pays where messages are small, and costs where large tables are read in order.
    """
    own = np.argsort(number)
    ptr, neighbour, *_ = adjacency(number[topology.edges], topology.n_nodes)
    spread = np.empty_like(number)
    spread[own[np.lexsort((_levels(ptr, neighbour), topology.node_graph))]] = np.arange(len(number))
    return spread


def local_arrays(topology, order, lists):
    """Index arrays of the fast kernels: nodes and slots are counted from the start of their graph.

    Returns
    -------
    node_ptr, edge_ptr, order
        Of `topology`, and the node at each place of a sweep.
    bounds : ndarray of shape (n_nodes, 3), uint32
        First slot of a node, first one of a higher-numbered neighbour, end.
    ends : ndarray of shape (2 * n_edges, 2), uint32
        The slot of the same edge at the other end, and the neighbour.
    edges, flipped
        As in `Adjacency`.
    """
    t = topology
    n_slots = np.diff(lists.ptr)
    own = np.repeat(np.arange(t.n_nodes), n_slots)
    n_lower = np.bincount(own[lists.neighbour < own], minlength=t.n_nodes)
    first_node = t.node_ptr[t.node_graph]
    first_slot = lists.ptr[first_node]
    bounds = np.stack([lists.ptr[:-1], lists.ptr[:-1] + n_lower, lists.ptr[1:]], axis=1) - first_slot[:, None]
    ends = np.stack([lists.reverse - first_slot[own], lists.neighbour - first_node[own]], axis=1)
    return t.node_ptr, t.edge_ptr, order, bounds.astype(np.uint32), ends.astype(np.uint32), lists.edge, lists.flipped


@kernel
def _levels(ptr, neighbour):
    """Longest way to each node from below."""
    level = np.zeros(len(ptr) - 1, np.int64)
    for i in range(len(level)):
        for s in range(ptr[i], ptr[i + 1]):
            if neighbour[s] < i:
                level[i] = max(level[i], level[neighbour[s]] + 1)
    return level
