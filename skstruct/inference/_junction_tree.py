"""Exact inference on graphs of small treewidth: message passing between the tables of an elimination."""

from dataclasses import dataclass
from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np

from skstruct.components import require_number
from skstruct.data.topology import Topology
from skstruct.inference._base import InferenceBackend
from skstruct.inference._elimination import Elimination, eliminate
from skstruct.inference._junction_tree_derivative import derive_tables
from skstruct.inference._junction_tree_kernels import propagate
from skstruct.inference._junction_tree_tables import propagate_log, sample_labels
from skstruct.inference._junction_tree_wiring import Buckets, wire_buckets
from skstruct.inference._message_passing import LabelledExactly, potentials_of
from skstruct.inference._plan import derivatives_of
from skstruct.scores import direct_marginals, weigh_nodes, with_rows

LARGEST = 1e15  # entries, 8e15 bytes: more than any memory, and few enough for 64-bit offsets


class JunctionTree(InferenceBackend):
    """Exact inference on any graph, at a cost exponential in its treewidth.

    Nodes are summed out one by one; each makes a table over itself and its neighbours at that time. These tables
    form a junction tree ([1]_, chapter 10): messages go to its roots and back. Each graph gets the cheapest of several
    elimination orders: min-fill, min-degree, a breadth-first frontier, and min-fill with random ties (the same in every
    process). Tables are in the scaled probability domain, or in the log domain where its range is needed.

    Parameters
    ----------
    max_entries : float, default=2e7
        Largest sum of table sizes of one graph, where a table has ``n_states ** (width + 1)`` entries. An entry takes
        some nanoseconds, and at most 8 bytes. A graph that needs more is refused before anything is allocated. The
        number of nodes is not limited: a ring of a million nodes with two states needs 8e6 entries.

    Notes
    -----
    Time and memory O(n_nodes * n_states ** (width + 1)) per graph, one large graph in memory at a time. Marginals do
    not store tables of more than about 1,000 entries, but only their messages, which are smaller by the factor
    `n_states`. Decoding, samples, derivatives and the log domain store all tables. The plan takes near-linear time in
    the number of nodes and edges for graphs of small width.

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
    def family(self):
        """What it takes, in words."""
        return f"graphs whose tables need at most max_entries={self.max_entries:.3g} numbers"

    def accepts(self, topology, n_states):
        """Tell for which graphs some elimination order stays within `max_entries`."""
        return np.isfinite(self._eliminated(topology, n_states).entries)

    def _refusal(self, topology, graph, n_states):
        alone = topology.take(np.array([graph]))[0]
        cheapest = eliminate(alone, n_states, LARGEST, n_restarts=0).entries[0]  # by the orders that were refused
        need = f"{cheapest:.3g}" if np.isfinite(cheapest) else f"more than {LARGEST:.3g}"
        return (
            f"the best order found needs {need} numbers, {8 * min(cheapest, LARGEST):.3g} bytes; "
            "raise max_entries if you have the memory"
        )

    def _eliminated(self, topology, n_states):
        require_number(self, "max_entries", lambda entries: entries >= 1, "a number >= 1")
        known = _ELIMINATIONS.setdefault(topology, {})
        key = n_states, self.max_entries
        if key not in known:
            known[key] = eliminate(topology, n_states, min(self.max_entries, LARGEST))
        return known[key]

    def _plan(self, topology, n_states):
        elimination = self._eliminated(topology, n_states)
        return _JunctionTreePlan(topology, n_states, elimination, wire_buckets(topology, elimination, n_states))


# Accepting and planning need the same elimination, which can be dear.
_ELIMINATIONS: WeakKeyDictionary[Topology, dict] = WeakKeyDictionary()


@dataclass(frozen=True, repr=False)
class _JunctionTreePlan(LabelledExactly):
    topology: Topology
    n_states: int
    elimination: Elimination
    wiring: Buckets
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

    def marginals(self, scores, weights=None):
        t = self.topology
        weights = np.ones(t.n_graphs) if weights is None else np.asarray(weights, np.float64)
        scores = with_rows(scores, t.n_edges)
        out = direct_marginals(np.zeros(t.n_graphs), np.empty_like(scores.node), np.zeros_like(scores.edge))
        with np.errstate(all="ignore"):  # log 0, seen with NUMBA_DISABLE_JIT=1 only
            unsafe = propagate(self.wiring, scores, weights, out)
            if unsafe.any():
                propagate_log(self.wiring, np.flatnonzero(unsafe), scores, weights, out)
        weigh_nodes(t, out.node, weights)
        return out

    def derivative(self, scores, direction, weights=None):
        t = self.topology
        weights = np.ones(t.n_graphs) if weights is None else np.asarray(weights, np.float64)
        scores = with_rows(scores, t.n_edges)
        potentials, _, unsafe = potentials_of(t, scores)
        mean, out = np.full(t.n_graphs, np.nan), derivatives_of(scores)
        with np.errstate(all="ignore"):  # log 0, seen with NUMBA_DISABLE_JIT=1 only
            for values, in_logs, graphs in ((potentials, False, ~unsafe), (scores, True, unsafe)):
                chosen = np.flatnonzero(graphs)  # the second time, also graphs that turned out to be unsafe
                derive_tables(self.wiring, chosen, values, in_logs, direction, weights, mean, out, unsafe)
        weigh_nodes(t, out.node, weights)
        return mean, out

    def _draw(self, scores, uniforms, labels):
        sample_labels(self.wiring, scores, uniforms, labels)


def _segment_max(values, ptr):
    """Maxima of consecutive segments; 0 for empty ones."""
    out = np.zeros(len(ptr) - 1, values.dtype)
    filled = np.flatnonzero(np.diff(ptr))
    if len(filled):
        out[filled] = np.maximum.reduceat(values, ptr[filled])
    return out
