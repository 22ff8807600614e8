"""Exact inference on graphs of small treewidth: message passing between the tables of an elimination."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from skstruct._topology import Topology
from skstruct.inference._base import InferenceBackend, LabelledExactly
from skstruct.inference._elimination import Elimination, eliminate
from skstruct.inference._junction_tree_kernels import (
    propagate,
    propagate_log,
    sample_labels,
)
from skstruct.inference._message_passing import sum_product


class JunctionTree(InferenceBackend):
    """Exact inference on any graph, at a cost exponential in its treewidth.

    Nodes are summed out one by one; each makes a table over itself and its neighbours at that time. These tables
    form a junction tree ([1]_, chapter 10): messages go to its roots and back. Of three elimination orders, min-fill,
    min-degree and a breadth-first frontier, each graph gets the cheapest, since each wins on some graphs. Tables are in
    the scaled probability domain, or in the log domain where its range is needed.

    Parameters
    ----------
    max_entries : float, default=2e7
        Largest sum of table sizes, ``n_states ** (width + 1)`` for a table, of one graph; 8 bytes each, and some
        nanoseconds. Beyond it a graph is refused before anything is allocated.

    Notes
    -----
    Time and memory O(n_nodes * n_states ** (width + 1)) per graph, one graph in memory at a time.

    References
    ----------
    .. [1] D. Koller, N. Friedman, *Probabilistic Graphical Models*, MIT Press, 2009.

    Examples
    --------
    >>> import numpy as np
    >>> from skstruct import Topology
    >>> from skstruct.inference import JunctionTree
    >>> plan = JunctionTree().plan(Topology.from_edges([(0, 1), (1, 2), (2, 3), (3, 0)], n_nodes=4), n_states=2)
    >>> plan
    <JunctionTree plan: 1 graph, width 2, largest table 8, 22 entries, 176 bytes>
    """

    name = "junction_tree"
    exact = True

    def __init__(self, max_entries=2e7):
        self.max_entries = max_entries

    @property
    def family(self):  # type: ignore[override]  # it depends on a parameter
        """What it takes, in words."""
        return f"graphs whose tables need at most max_entries={self.max_entries:.3g} numbers"

    def accepts(self, topology, n_states):
        """Tell for which graphs some elimination order stays within `max_entries`."""
        return np.isfinite(self._eliminated(topology, n_states).entries)

    def _refusal(self, topology, graph, n_states):
        cheapest = eliminate(topology.take(np.array([graph]))[0], n_states, 1e15).entries[0]
        need = f"{cheapest:.3g} numbers, {8 * cheapest:.3g} bytes" if np.isfinite(cheapest) else "more than 8e+15 bytes"
        return f"the best order found needs {need}; raise max_entries if you have the memory"

    def _eliminated(self, topology, n_states):
        if not self.max_entries >= 1:
            raise ValueError(f"JunctionTree: max_entries must be at least 1, got {self.max_entries!r}.")
        known = _ELIMINATIONS.setdefault(topology, {})
        key = n_states, self.max_entries
        if key not in known:
            known[key] = eliminate(topology, n_states, self.max_entries)
        return known[key]

    def _plan(self, topology, n_states):
        elimination = self._eliminated(topology, n_states)
        return _JunctionTreePlan(topology, n_states, elimination, _buckets(topology, n_states, elimination))


# Accepting and planning need the same elimination, which can be dear.
_ELIMINATIONS: WeakKeyDictionary[Topology, dict] = WeakKeyDictionary()


class _Buckets(NamedTuple):
    """Where everything lies, by position in the elimination order; strides are in numbers of a flat table."""

    node_ptr: np.ndarray
    order: np.ndarray  # (n_nodes,)
    size: np.ndarray  # (n_nodes,) nodes of the table; the eliminated one runs fastest
    parent: np.ndarray  # (n_nodes,) position of the table that receives the message, or -1
    up_stride: np.ndarray  # (n_nodes, largest size) stride in the message, per axis of the parent's table
    edge_ptr: np.ndarray  # (n_nodes + 1,) edges whose first eliminated end is the node of the position
    edge: np.ndarray  # (n_edges,)
    edge_axis: np.ndarray  # (n_edges,) axis of the other end in the table
    flipped: np.ndarray  # (n_edges,) whether the eliminated node is the second end, as listed


def _buckets(topology, n_states, elimination):
    order, size, scope, _ = elimination
    n = topology.n_nodes
    position = np.empty(n, np.intp)
    position[order] = np.arange(n)
    parent = np.where(size > 1, position[scope[:, 1]] if n else 0, -1)
    up_stride = np.zeros(scope.shape, np.int64)
    for axis in range(1, scope.shape[1]):  # of the child: axis 1 is the parent's own node, the message's fastest
        child = np.flatnonzero(size > axis)
        at = scope[parent[child]] == scope[child, axis][:, None]
        at &= np.arange(scope.shape[1]) < size[parent[child]][:, None]
        up_stride[child] += at * n_states ** (axis - 1)
    ends = position[topology.edges]
    bucket = ends.min(axis=1)
    by_bucket = np.argsort(bucket, kind="stable")
    flipped = ends[by_bucket, 0] > ends[by_bucket, 1]
    other = topology.edges[by_bucket, np.where(flipped, 0, 1)]
    edge_axis = (scope[bucket[by_bucket]] == other[:, None])[:, 1:].argmax(axis=1) + 1
    return _Buckets(
        topology.node_ptr,
        order,
        size,
        parent.astype(np.int32),
        up_stride,
        np.searchsorted(bucket[by_bucket], np.arange(n + 1)),
        by_bucket.astype(np.int32),
        edge_axis.astype(np.int32),
        flipped,
    )


@dataclass(frozen=True, repr=False)
class _JunctionTreePlan(LabelledExactly):
    topology: Topology
    n_states: int
    elimination: Elimination
    buckets: _Buckets
    name = JunctionTree.name
    exact = True

    def __repr__(self):
        n_graphs, largest = self.topology.n_graphs, float(self.n_states) ** self.width.max(initial=-1) * self.n_states
        entries = self.entries.max(initial=0)
        return (
            f"<JunctionTree plan: {n_graphs} graph{'s' * (n_graphs != 1)}, width {self.width.max(initial=0)}, "
            f"largest table {largest:.0f}, {entries:.0f} entries, {8 * entries:.0f} bytes>"
        )

    @cached_property
    def width(self):
        """Width of the elimination order of each graph, (n_graphs,): an upper bound of the treewidth."""
        return _segment_max(self.elimination.size, self.topology.node_ptr) - 1

    @cached_property
    def entries(self):
        """Sum of table sizes of each graph, (n_graphs,)."""
        return self.topology.sum_nodes(float(self.n_states) ** self.elimination.size)

    @cached_property
    def arrays(self):
        return tuple(self.buckets)

    def marginals(self, scores, weights=None):
        return sum_product(self, scores, weights, propagate, propagate_log, whole_counts=True)

    def _draw(self, node, edge, rows, uniforms, labels):
        sample_labels(*self.arrays, self.elimination.scope, node, edge, rows, uniforms, labels)


def _segment_max(values, ptr):
    """Maxima of consecutive segments; 0 for empty ones."""
    out = np.zeros(len(ptr) - 1, values.dtype)
    filled = np.flatnonzero(np.diff(ptr))
    if len(filled):
        out[filled] = np.maximum.reduceat(values, ptr[filled])
    return out
