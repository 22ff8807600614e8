"""Elimination orders: the order in which nodes are summed out, and the sizes of the tables."""

from typing import NamedTuple

import numpy as np

from skstruct.data.adjacency import adjacency
from skstruct.inference._base import merge_edges
from skstruct.inference._elimination_trials import eliminate_graphs
from skstruct.kernels.jit import kernel


class Elimination(NamedTuple):
    """An order for each graph of a batch; position ``p`` is a *bucket*, the table of one node and its separator.

    Attributes
    ----------
    order : ndarray of shape (n_nodes,)
        Node eliminated at each position; positions of a graph are those of its nodes.
    size : ndarray of shape (n_nodes,)
        Number of nodes in the bucket: the eliminated one and its neighbours at that time.
    entries : ndarray of shape (n_graphs,)
        Sum of all tables' sizes; inf if all orders that were tried exceed the limit.
    """

    order: np.ndarray
    size: np.ndarray
    entries: np.ndarray


def eliminate(topology, n_states, max_entries, n_restarts=32):
    """Find a cheap elimination order for each graph.

    Cheapest is the smallest sum of table sizes. The candidates are min-fill, min-degree and a breadth-first frontier,
    since each is best on some graphs. Where one of them is within `max_entries`, min-fill is repeated with random ties,
    while that costs no more time than one use of the tables. A trial ends as soon as it exceeds the best one. Trees
    that hang on the rest are cut off first, leaf by leaf, which is never worse. A graph of width 2 needs no candidates.
    The order of a graph depends on that graph alone.

    Time O(n_nodes * width**2) and memory O(n_nodes * width) for each candidate. Graphs that are obviously too dense are
    refused at once.

    Parameters
    ----------
    topology : Topology
    n_states : int
    max_entries : float
    n_restarts : int, default=32
        Largest number of repetitions.

    Returns
    -------
    elimination : Elimination
    """
    t = merge_edges(topology).simple if topology.has_repeated_edges else topology
    base = max(n_states, 2)  # one state: tables of size 1, whose number of nodes is still kept small
    out = Elimination(np.empty(t.n_nodes, np.int32), np.ones(t.n_nodes, np.int32), np.full(t.n_graphs, np.inf))
    n_nodes, n_edges = np.diff(t.node_ptr), np.diff(t.edge_ptr)
    with np.errstate(over="ignore"):  # of powers, and with NUMBA_DISABLE_JIT=1 of hashes
        least = n_nodes * float(base) ** (1 + n_edges / np.maximum(n_nodes, 1))  # each edge is in one bucket
        chosen = np.flatnonzero(least <= max_entries)
        if len(chosen):
            lists = adjacency(t.edges, t.n_nodes)
            eliminate_graphs(lists, t.node_ptr, chosen, base, float(max_entries), n_restarts, out)
    return out


@kernel
def collect_scopes(edge_ptr, other, ptr, scope, parent):
    """Find the nodes of each bucket of an elimination, and the bucket that receives its message.

    Nodes are given by their positions. A bucket has its own position, those of its edges' other ends, and those that it
    receives from its children.

    Parameters
    ----------
    edge_ptr : ndarray of shape (n_nodes + 1,)
        Edges ``edge_ptr[p]:edge_ptr[p + 1]`` have their first eliminated end at position ``p``.
    other : ndarray of shape (n_edges,)
        Positions of their other ends.
    ptr : ndarray of shape (n_nodes + 1,)
        Slots ``ptr[p]:ptr[p + 1]`` are those of bucket ``p``.
    scope : ndarray of shape (n_slots,)
        Output: positions, rising within a bucket.
    parent : ndarray of shape (n_nodes,)
        Output: the lowest position in a bucket beside its own. Not written where there is none.
    """
    n = len(parent)
    child, sibling, seen = np.full(n, -1, np.int32), np.full(n, -1, np.int32), np.full(n, -1, np.int32)
    for p in range(n):
        first = ptr[p]
        scope[first] = p
        stop = first + 1
        for e in range(edge_ptr[p], edge_ptr[p + 1]):
            seen[other[e]] = p
            scope[stop] = other[e]
            stop += 1
        c = child[p]
        while c >= 0:
            for slot in range(ptr[c] + 2, ptr[c + 1]):
                q = scope[slot]
                if seen[q] != p:
                    seen[q] = p
                    scope[stop] = q
                    stop += 1
            c = sibling[c]
        for slot in range(first + 2, stop):
            q, s = scope[slot], slot
            while s > first + 1 and scope[s - 1] > q:
                scope[s] = scope[s - 1]
                s -= 1
            scope[s] = q
        if stop > first + 1:
            parent[p] = scope[first + 1]
            sibling[p] = child[parent[p]]
            child[parent[p]] = p
