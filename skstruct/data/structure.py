"""Lists of graphs, their edges and offsets are read, and checked against one another."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import scipy.sparse as sp

from skstruct.data.number_arrays import number_array
from skstruct.data.tables import n_rows, refuse_masked

MAX_NODES, MAX_EDGES = 2**31, 2**30  # nodes, and the two directions of edges, have numbers of 32 bits


def list_of(what: str, items: Any) -> list:
    """List of the items of an iterable, such as graphs or images.

    Parameters
    ----------
    what : str
        Name of the items in the message.
    items : object

    Returns
    -------
    list

    Raises
    ------
    TypeError
        If `items` is a string or no iterable.
    """
    if not isinstance(items, Iterable) or isinstance(items, str | bytes) or getattr(items, "ndim", 1) == 0:
        raise TypeError(f"expected a list of {what}, got {items!r}")
    return list(items)


def as_edges(edges, name):
    """Return `edges` as an int32 array of shape (n_edges, 2); floats are accepted if they are whole numbers."""
    if edges is None:
        return np.zeros((0, 2), np.int32)
    if sp.issparse(edges):
        raise TypeError(
            f"{name} must be pairs of node numbers, shape (n_edges, 2), got a sparse matrix; adjacency "
            "matrices are read by GraphDataset.from_scipy"
        )
    refuse_masked(edges, name)
    try:
        array = np.asarray(edges)
    except ValueError as error:
        raise ValueError(f"{name} must be pairs of node numbers, shape (n_edges, 2): {error}") from error
    if array.size == 0 and array.ndim <= 2:
        return np.zeros((0, 2), np.int32)
    if array.ndim != 2 or array.shape[1] != 2:
        remedy = "; transpose it" if array.ndim == 2 and array.shape[0] == 2 else ""
        raise ValueError(f"{name} must be pairs of node numbers, shape (n_edges, 2), got shape {array.shape}{remedy}")
    if array.dtype.kind == "f" and (array == np.floor(array)).all():
        largest = np.abs(array).max()
        if largest >= MAX_NODES:
            raise ValueError(f"{name} has the node number {largest:g}, beyond the limit of 2**31 nodes")
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu":
        raise ValueError(f"{name} must hold integers, the numbers of nodes, got {array.dtype}")
    largest = array.max() if array.max() >= MAX_NODES else array.min()
    if not -MAX_NODES <= largest < MAX_NODES:
        raise ValueError(f"{name} has the node number {largest}, beyond the limit of 2**31 nodes")
    return np.ascontiguousarray(array, dtype=np.int32)


def as_offsets(ptr, name):
    """Return offsets as an array of intp; floats are accepted if they are whole numbers."""
    ptr = number_array(ptr, name)
    if ptr.dtype.kind == "f" and (ptr == np.floor(ptr)).all() and (np.abs(ptr) < 2**53).all():
        ptr = ptr.astype(np.intp)
    if ptr.dtype.kind not in "iu" or ptr.ndim != 1 or not len(ptr) or ptr.max() > np.iinfo(np.intp).max:
        raise ValueError(
            f"{name} must have n_graphs + 1 entries, all of them integers, got shape {ptr.shape} and dtype {ptr.dtype}"
        )
    return ptr.astype(np.intp, copy=False)


def check_offsets(ptr, total, n_graphs, name):
    """Refuse offsets that do not rise from 0 to the number of rows."""
    if len(ptr) != n_graphs + 1:
        raise ValueError(f"{name} must have n_graphs + 1 = {n_graphs + 1} entries, got {len(ptr)}")
    if ptr[0] != 0 or ptr[-1] != total or (ptr[1:] < ptr[:-1]).any():
        raise ValueError(f"{name} must rise from 0 to {total}, the number of rows, got {ptr[0]} to {ptr[-1]}")


def check_structure(node_features, edges, edge_features, node_ptr, edge_ptr):
    """Check the fields of a dataset against one another; errors name the graph and the edge."""
    check_offsets(node_ptr, n_rows(node_features), len(node_ptr) - 1, "node_ptr")
    check_offsets(edge_ptr, len(edges), len(node_ptr) - 1, "edge_ptr")
    check_edges(edges, node_ptr, edge_ptr)
    if edge_features is not None and n_rows(edge_features) != len(edges):
        raise ValueError(f"edge_features has {n_rows(edge_features)} rows but there are {len(edges)} edges")


def check_edges(edges, node_ptr, edge_ptr):
    """Check edges between local node numbers; errors name the graph and the edge."""
    if node_ptr[-1] >= MAX_NODES or len(edges) >= MAX_EDGES:
        raise ValueError(
            f"a batch has at most 2**31 - 1 nodes and 2**30 - 1 edges, got {node_ptr[-1]} and {len(edges)}; split it"
        )
    sizes = np.repeat(np.diff(node_ptr), np.diff(edge_ptr))
    i, j = edges.T
    if ((i >= 0) & (j >= 0) & (i < sizes) & (j < sizes) & (i != j)).all():
        return
    _refuse_edge((edges < 0).any(axis=1), edges, node_ptr, edge_ptr, "but node numbers start at 0")
    _refuse_edge(
        (edges >= sizes[:, None]).any(axis=1),
        edges,
        node_ptr,
        edge_ptr,
        "but the graph has {n} nodes, numbered from 0 within it",
    )
    _refuse_edge(edges[:, 0] == edges[:, 1], edges, node_ptr, edge_ptr, "which joins a node with itself; remove it")


def _refuse_edge(bad, edges, node_ptr, edge_ptr, reason):
    """Raise if any edge is bad, naming the first."""
    bad = np.flatnonzero(bad)
    if len(bad):
        graph = int(np.searchsorted(edge_ptr, bad[0], side="right") - 1)
        i, j = edges[bad[0]]
        reason = reason.format(n=node_ptr[graph + 1] - node_ptr[graph])
        others = f" ({len(bad)} such edges)" if len(bad) > 1 else ""
        raise ValueError(f"graph {graph}, edge {bad[0] - edge_ptr[graph]} is ({i}, {j}) {reason}{others}")


def offsets(sizes):
    """Offsets of consecutive ranges of the given `sizes`, from 0."""
    return np.concatenate([[0], np.cumsum(sizes, dtype=np.intp)])
