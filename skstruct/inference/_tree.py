"""Exact inference on trees and forests: one pass to the roots, one pass back."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from skstruct.data.topology import Topology
from skstruct.inference._base import InferenceBackend
from skstruct.inference._conditionals import Conditionals
from skstruct.inference._fixed_point import FixedPoint, MessagePlan
from skstruct.inference._k_best import k_best_of_forests
from skstruct.inference._log_domain import draw_label, log_sum, send_log
from skstruct.inference._loopy_log import Settings
from skstruct.inference._loopy_order import local_lists, sweep_of
from skstruct.inference._message_passing import SMALLEST_MESSAGE, LabelledExactly, potentials_of, sum_product
from skstruct.inference._plan import Linearization
from skstruct.inference._rooted_forest import ROOT, RootedForest, rooted_forest
from skstruct.kernels.jit import kernel
from skstruct.scores import direct_marginals, unshared, with_rows

SMALLEST = 1e-300  # the inverse of a smaller number may be infinite, and a smaller probability moves nothing


class Tree(InferenceBackend):
    """Exact inference on any forest: graphs without cycles, connected or not, nodes in any order.

    Nodes are visited in breadth-first order, so that memory is walked in order and there is no recursion; one
    pass from the leaves to the roots and one back ([1]_, chapter 10), in the scaled probability domain, or in the
    log domain where its range is needed. A child's own message is left out of its parent's product by prefix and
    suffix products, never by division. Time O(n_nodes * n_states**2), memory O(n_nodes * n_states).

    References
    ----------
    .. [1] D. Koller, N. Friedman, *Probabilistic Graphical Models*, MIT Press, 2009.

    Examples
    --------
    >>> import numpy as np
    >>> from skstruct.functional import marginals
    >>> star = [(0, 1), (0, 2), (0, 3)]
    >>> found = marginals(np.zeros((4, 2)), star, np.zeros((1, 2, 2)), inference="tree")
    >>> found.exact, round(float(np.exp(found.log_partition)), 6)
    (True, 16.0)
    """

    name = "tree"
    exact = True
    family = "graphs without cycles"

    def accepts(self, topology, n_states):
        """Tell which graphs have no cycle; repeated edges between two nodes count as one."""
        return topology.is_forest

    def _plan(self, topology, n_states):
        return TreePlan(topology, rooted_forest(topology))


@dataclass(frozen=True)
class TreePlan(MessagePlan, LabelledExactly):
    """Inference on rooted trees."""

    topology: Topology
    wiring: RootedForest
    name = Tree.name
    exact = True

    def marginals(self, scores, weights=None):
        """Marginals and log-partition; see `InferencePlan`."""
        return sum_product(self, scores, weights, _two_passes, two_passes_log)

    settings = Settings(damping=0.0, max_iter=10, tol=1e-12)  # of the sweeps of tangents: the first one is exact

    @cached_property
    def lists(self):
        """Neighbour lists for sweeps in the reverse order: children first, so that one sweep is exact."""
        t, number = self.topology, np.empty(self.topology.n_nodes, np.int32)
        number[self.wiring.order] = (t.node_ptr[t.node_graph] + t.node_ptr[t.node_graph + 1] - 1) - np.arange(t.n_nodes)
        return local_lists(t, sweep_of(t, number))

    def linearize(self, scores, weights=None):
        """Keep the messages, and compute their tangents; see `FixedPoint`."""
        t, (given, shared), n_states = self.topology, self.divided(scores), scores.node.shape[1]
        potentials, _, unsafe = potentials_of(t, given)
        messages, node = Messages.of(given.node), np.empty_like(given.node)
        found = direct_marginals(np.zeros(t.n_graphs), node, given.edge[:0])
        with np.errstate(all="ignore"):  # log 0 and 0 / 0, seen with NUMBA_DISABLE_JIT=1 only
            _send_messages(self.wiring, potentials, messages, found, unsafe)
            tables = [potentials.edge] + [potentials.edge.transpose(0, 2, 1)] * shared
            if unsafe.any():  # probabilities of pairs take the place of messages
                own = with_rows(unshared(scores), t.n_edges)
                found = found._replace(edge=np.zeros(own.edge.shape))
                two_passes_log(self.wiring, np.flatnonzero(unsafe), own, np.ones(t.n_graphs), found)
                tables.append(found.edge)
            conditionals = Conditionals.of(t, sum(map(len, tables)), n_states)
            np.concatenate(tables, out=conditionals.psi)
            np.greater(found.log_partition, -np.inf, out=conditionals.allowed)
            _fill_conditionals(self.wiring, self.lists, potentials, messages, node, shared, unsafe, conditionals)
        weights = np.ones(t.n_graphs) if weights is None else np.asarray(weights, np.float64)
        derivative = FixedPoint(self, scores, weights, conditionals).derivative
        return Linearization(lambda: self.marginals(scores, weights), derivative)

    def k_best(self, scores, k):
        """Find the best labellings by one pass of messages; see `InferencePlan`."""
        return k_best_of_forests(self.topology, self.wiring, scores, k)

    def _draw(self, scores, uniforms, labels):
        _label_downwards(self.wiring, scores, uniforms, labels)


class Messages(NamedTuple):
    """Messages of a forest in the scaled probability domain, (n_nodes, n_states), by position."""

    below: np.ndarray  # potential * messages of all children
    up: np.ndarray  # what the node says to its parent
    without: np.ndarray  # what the parent says to the node before their edge: all that it knows but for this node
    total: np.ndarray  # (n_nodes,) sum of the products that are the marginals

    @classmethod
    def of(cls, node):
        """Room for the messages of some nodes."""
        below, up, without = (np.empty_like(node) for _ in range(3))
        return cls(below, up, without, np.empty(len(node)))


@kernel(fastmath={"contract", "reassoc"})
def _send(potential, transposed, message, out):
    """Out = potential @ message, or message @ potential if transposed."""
    n_states = len(message)
    if transposed:
        for y in range(n_states):
            out[y] = 0.0
        for x in range(n_states):
            m = message[x]
            for y in range(n_states):
                out[y] += m * potential[x, y]
    else:
        for y in range(n_states):
            total = 0.0
            for x in range(n_states):
                total += potential[y, x] * message[x]
            out[y] = total


@kernel
def _scale(values):
    """Divide by the maximum; return it, and whether a value got too small to be multiplied on."""
    top = 0.0
    for x in range(len(values)):
        top = max(top, values[x])
    if top == 0.0:
        return top, False
    too_small = False
    inverse = 1.0 / top
    for x in range(len(values)):
        values[x] *= inverse
        too_small |= (values[x] < SMALLEST_MESSAGE) & (values[x] > 0.0)
    return top, too_small


@kernel
def _send_messages(rooted, potentials, messages, out, unsafe):
    """Fill `messages`, to the roots and then back, and write log-partitions and node marginals to `out`."""
    node_ptr, order, parent, parent_edge, flipped, children = rooted
    (node, edge, rows), (below, up, without, pair_total) = potentials, messages
    n_states = node.shape[1]
    prefix, received = np.empty(n_states), np.empty(n_states)
    for g in range(len(node_ptr) - 1):
        if unsafe[g]:
            continue
        start, end = node_ptr[g], node_ptr[g + 1]
        log_z, too_small = 0.0, False
        for p in range(start, end):
            below[p] = node[order[p]]
        for p in range(end - 1, start - 1, -1):
            top, small = _scale(below[p])
            log_z += np.log(top)
            too_small |= small
            q = parent[p]
            if q == ROOT:
                log_z += np.log(below[p].sum())
                continue
            _send(edge[rows[parent_edge[p]]], flipped[p], below[p], up[p])
            top, small = _scale(up[p])
            log_z += np.log(top)
            for x in range(n_states):
                below[q, x] *= up[p, x]
            top, small_product = _scale(below[q])
            log_z += np.log(top)
            too_small |= small | small_product
        if not too_small and log_z == -np.inf:
            out.log_partition[g] = log_z
            for p in range(start, end):
                out.node[order[p]] = np.nan
            continue
        for p in range(start, end):
            if parent[p] == ROOT:
                received[:] = 1.0
            else:
                _send(edge[rows[parent_edge[p]]], not flipped[p], without[p], received)
            total = 0.0
            for x in range(n_states):
                b = below[p, x] * received[x]
                out.node[order[p], x] = b
                total += b
            pair_total[p] = total
            for x in range(n_states):
                out.node[order[p], x] /= total
            # suffix products from the right, then a prefix product from the left
            first, last = children[p]
            if first == last:
                continue
            without[last - 1] = 1.0
            for c in range(last - 1, first, -1):
                for x in range(n_states):
                    without[c - 1, x] = without[c, x] * up[c, x]
                too_small |= _scale(without[c - 1])[1]
            for x in range(n_states):
                prefix[x] = node[order[p], x] * received[x]
            too_small |= _scale(prefix)[1]
            for c in range(first, last):
                for x in range(n_states):
                    without[c, x] *= prefix[x]
                    prefix[x] *= up[c, x]
                too_small |= _scale(without[c])[1] | _scale(prefix)[1]
        unsafe[g] = too_small
        out.log_partition[g] = log_z


@kernel
def _two_passes(rooted, potentials, weights, out, unsafe):
    """Messages to the roots, then back, and pair counts without the potentials of their edges."""
    node_ptr, _, parent, parent_edge, flipped, _ = rooted
    rows, (n_nodes, n_states) = potentials.edge_matrix, potentials.node.shape
    below, up, without = np.empty((n_nodes, n_states)), np.empty((n_nodes, n_states)), np.empty((n_nodes, n_states))
    messages = Messages(below, up, without, np.empty(n_nodes))
    _send_messages(rooted, potentials, messages, out, unsafe)
    for g in range(len(node_ptr) - 1):
        if unsafe[g] or out.log_partition[g] == -np.inf:
            continue
        for p in range(node_ptr[g], node_ptr[g + 1]):
            if parent[p] == ROOT:
                continue
            factor = weights[g] / messages.total[p]
            count = out.edge[rows[parent_edge[p]]]
            for x in range(n_states):
                f = factor * (below[p, x] if flipped[p] else without[p, x])
                for y in range(n_states):
                    count[x, y] += f * (without[p, y] if flipped[p] else below[p, y])


@kernel
def _fill_inverse(table, transposed, cavity, out):
    """Fill the inverses of the sums of a cavity over the states of its node; 0 where a sum is 0."""
    _send(table, transposed, cavity, out)
    for y in range(len(out)):
        out[y] = 1.0 / out[y] if out[y] > SMALLEST else 0.0


@kernel
def _fill_conditionals(rooted, lists, potentials, messages, node, shared, unsafe, out):
    """Fill the `Conditionals` `out`, whose tables are there; those of unsafe graphs are probabilities of pairs."""
    node_ptr, order, parent, parent_edge, flipped, _ = rooted
    n_matrices, n_states = len(potentials.edge), node.shape[1]
    n_tables = 2 * n_matrices if shared else n_matrices
    for g in range(len(node_ptr) - 1):
        start, end, first = node_ptr[g], node_ptr[g + 1], 2 * lists.edge_ptr[g]
        for p in range(start, end):
            at = start + end - 1 - p  # position in the sweep
            for x in range(n_states):
                out.belief[at, x] = node[order[p], x]
            if parent[p] == ROOT:
                continue
            own = np.int64(first) + np.int64(lists.bounds[at, 1])  # slot of the only higher neighbour
            other, e, flip = np.int64(first) + np.int64(lists.ends[own, 0]), parent_edge[p], np.int64(flipped[p])
            row = potentials.edge_matrix[e]
            for x in range(n_states):
                out.cavity[own, x] = 1.0 if unsafe[g] else messages.below[p, x]
                out.cavity[other, x] = 1.0 if unsafe[g] else messages.without[p, x]
            if unsafe[g]:
                row = n_tables + e
            if unsafe[g] or not shared:
                out.matrix[own], out.matrix[other] = 2 * row + 1 - flip, 2 * row + flip
            else:
                out.matrix[own], out.matrix[other] = 2 * (row + (1 - flip) * n_matrices), 2 * (row + flip * n_matrices)
            _fill_inverse(out.psi[row], flipped[p], out.cavity[own], out.inverse[own])
            _fill_inverse(out.psi[row], not flipped[p], out.cavity[other], out.inverse[other])


@kernel
def _upward_log(g, rooted, scores, take_max, below, up):
    """below[p] and up[p] of `_two_passes`, as logarithms, for one graph."""
    node_ptr, order, parent, parent_edge, flipped, _ = rooted
    node, edge, rows = scores
    start, end = node_ptr[g], node_ptr[g + 1]
    for p in range(start, end):
        below[p - start] = node[order[p]]
    for p in range(end - 1, start - 1, -1):
        if parent[p] != ROOT:
            send_log(edge[rows[parent_edge[p]]], flipped[p], below[p - start], take_max, up[p - start])
            for x in range(node.shape[1]):
                below[parent[p] - start, x] += up[p - start, x]


@kernel
def two_passes_log(rooted, graphs, scores, weights, out):
    """`_two_passes` in the log domain, on some graphs: the plain twin, for any legal scores."""
    node_ptr, order, parent, parent_edge, flipped, children = rooted
    node, edge, rows = scores
    n_states = node.shape[1]
    for g in graphs:
        start, end = node_ptr[g], node_ptr[g + 1]
        below, up = np.empty((end - start, n_states)), np.empty((end - start, n_states))
        without = np.empty((end - start, n_states))
        received, prefix = np.zeros(n_states), np.zeros(n_states)
        _upward_log(g, rooted, scores, False, below, up)
        out.log_partition[g] = 0.0
        for p in range(start, end):
            if parent[p] == ROOT:
                out.log_partition[g] += log_sum(below[p - start])
        if out.log_partition[g] == -np.inf:
            for p in range(start, end):
                out.node[order[p]] = np.nan
            continue
        for p in range(start, end):
            i = p - start
            if parent[p] == ROOT:
                received[:] = 0.0
            else:
                send_log(edge[rows[parent_edge[p]]], not flipped[p], without[i], False, received)
            total = log_sum(below[i] + received)
            for x in range(n_states):
                out.node[order[p], x] = np.exp(below[i, x] + received[x] - total)
                prefix[x] = node[order[p], x] + received[x]
            if parent[p] != ROOT:
                e = rows[parent_edge[p]]
                for x in range(n_states):
                    for y in range(n_states):
                        a, b = (below[i, x], without[i, y]) if flipped[p] else (without[i, x], below[i, y])
                        out.edge[e, x, y] += weights[g] * np.exp(a + edge[e, x, y] + b - total)
            first, last = children[p] - start
            if first < last:
                without[last - 1] = 0.0
            for c in range(last - 1, first, -1):
                without[c - 1] = without[c] + up[c]
            for c in range(first, last):
                without[c] += prefix
                prefix += up[c]


@kernel
def _label_downwards(rooted, scores, uniforms, labels):
    """Messages to the roots, then each label given its parent's: drawn, or best where `uniforms` is empty."""
    node_ptr, order, parent, parent_edge, flipped, _ = rooted
    node, edge, rows = scores
    n_states = node.shape[1]
    take_max = uniforms.shape[1] == 0
    given = np.empty(n_states)
    for g in range(len(node_ptr) - 1):
        start, end = node_ptr[g], node_ptr[g + 1]
        below, up = np.empty((end - start, n_states)), np.empty((end - start, n_states))
        _upward_log(g, rooted, scores, take_max, below, up)
        for r in range(len(labels)):
            for p in range(start, end):
                given[:] = below[p - start]
                if parent[p] != ROOT:
                    e, y = rows[parent_edge[p]], labels[r, order[parent[p]]]
                    for x in range(n_states):
                        given[x] += edge[e, x, y] if flipped[p] else edge[e, y, x]
                if take_max:
                    labels[r, order[p]] = np.argmax(given)
                else:
                    labels[r, order[p]] = draw_label(given, uniforms[r, order[p]])
