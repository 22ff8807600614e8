"""Neighbour lists of a batch of simple graphs, as index arrays for kernels."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array


class Adjacency(NamedTuple):
    """Incident edges of each node, in compressed rows: slots ``ptr[i]:ptr[i + 1]`` belong to node ``i``.

    Within a node, slots are sorted by the neighbour's number.

    Attributes
    ----------
    ptr : ndarray of shape (n_nodes + 1,), intp
    neighbour, edge, reverse : ndarray of shape (2 * n_edges,), int32
        The node at the other end, the edge, and the slot of the same edge at the other end.
    flipped : ndarray of shape (2 * n_edges,), bool
        Whether the node of the slot is the second end of the edge.
    """

    ptr: np.ndarray
    neighbour: np.ndarray
    edge: np.ndarray
    reverse: np.ndarray
    flipped: np.ndarray


def adjacency(edges: np.ndarray, n_nodes: int) -> Adjacency:
    """Build the neighbour lists, by two counting sorts. Time and memory O(n_nodes + n_edges)."""
    n_edges = len(edges)
    ends = edges.T.ravel(), edges[:, ::-1].T.ravel()  # the first ends have the first half of the directed edges
    directed = coo_array((np.arange(2 * n_edges, dtype=np.int32), ends), shape=(n_nodes, n_nodes))
    directed.has_canonical_format = True  # otherwise scipy adds the numbers of repeated edges
    rows = directed.tocsc().tocsr()
    flipped = rows.data >= n_edges
    opposite = np.where(flipped, rows.data - n_edges, rows.data + n_edges)
    slot = np.empty_like(opposite)
    slot[rows.data] = np.arange(2 * n_edges)
    return Adjacency(
        ptr=rows.indptr.astype(np.intp),
        neighbour=rows.indices.astype(np.int32, copy=False),
        edge=np.minimum(rows.data, opposite),
        reverse=slot[opposite],
        flipped=flipped,
    )
