"""Neighbour lists of a batch of simple graphs, as index arrays for kernels."""

from typing import NamedTuple

import numpy as np


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
    """Build the neighbour lists. Time O(n_edges log n_edges)."""
    n_edges = len(edges)
    own = edges.T.ravel()  # first ends, then second ends
    other = edges[:, ::-1].T.ravel()
    order = np.lexsort((other, own))
    position = np.empty(2 * n_edges, np.int32)
    position[order] = np.arange(2 * n_edges)
    ptr = np.concatenate([[0], np.cumsum(np.bincount(own, minlength=n_nodes))])
    return Adjacency(
        ptr=ptr,
        neighbour=other[order],
        edge=(order % n_edges if n_edges else order).astype(np.int32),
        reverse=position[(order + n_edges) % (2 * n_edges)] if n_edges else position,
        flipped=order >= n_edges,
    )
