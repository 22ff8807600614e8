"""Exact inference on chains: the forward-backward and Viterbi algorithms."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from skstruct.data.topology import Topology
from skstruct.inference._base import InferenceBackend
from skstruct.inference._chain_kernels import ROWS, SINGLE_RANGE, forward_backward_shared, viterbi_shared
from skstruct.inference._message_passing import SMALLEST_MESSAGE, LabelledExactly, sum_product
from skstruct.kernels.jit import kernel
from skstruct.kernels.simd import aligned_zeros, lanes, padded
from skstruct.scores import direct_marginals, exact_decoding, in_double, weigh_nodes

NO_EDGE = -1


class Chain(InferenceBackend):
    """Exact inference on chains whose nodes are numbered along the chain.

    Every edge joins nodes ``t`` and ``t + 1`` of its graph, in either direction; a chain may have gaps, so that
    a graph is a row of chains. Paths that are numbered otherwise are trees.

    One pass forwards and one backwards [1]_ in the scaled probability domain, or in the log domain where its
    range is needed. Time O(n_nodes * n_states**2), memory O(n_nodes * n_states).

    References
    ----------
    .. [1] L. R. Rabiner, "A tutorial on hidden Markov models", *Proc. IEEE* 77(2), 1989, section III.

    Examples
    --------
    >>> import numpy as np
    >>> from skstruct.functional import decode
    >>> sticky = np.array([[[1.0, 0.0], [0.0, 1.0]]])
    >>> decode([[2.0, 0.0], [0.0, 0.5], [2.0, 0.0]], [(0, 1), (1, 2)], sticky, inference="chain").labels
    array([0, 0, 0])
    """

    name = "chain"
    exact = True
    family = "graphs whose edges all join consecutive nodes t, t + 1"

    def accepts(self, topology, n_states):
        """Tell in which graphs every edge joins consecutive nodes."""
        i, j = topology.edges.T
        accepted = np.ones(topology.n_graphs, bool)
        accepted[topology.edge_graph[np.abs(i - j) != 1]] = False
        return accepted

    def _plan(self, topology, n_states):
        low = topology.edges.min(axis=1)
        step_edge = np.full(topology.n_nodes, NO_EDGE, np.int32)
        step_edge[low] = np.arange(topology.n_edges)
        flipped = np.zeros(topology.n_nodes, bool)
        flipped[low] = topology.edges[:, 0] > topology.edges[:, 1]
        return _ChainPlan(topology, step_edge, flipped)


@dataclass(frozen=True)
class _ChainPlan(LabelledExactly):
    topology: Topology
    step_edge: np.ndarray  # (n_nodes,) the edge between t and t + 1, or NO_EDGE
    flipped: np.ndarray  # (n_nodes,) whether that edge is listed as (t + 1, t)
    name = Chain.name
    exact = True

    @cached_property
    def arrays(self):
        return self.topology.node_ptr, self.step_edge, self.flipped

    @cached_property
    def is_plain(self):
        """Whether every graph is one chain, with all edges listed as (t, t + 1)."""
        n_chains = np.count_nonzero(np.diff(self.topology.node_ptr))
        return self.topology.n_edges == self.topology.n_nodes - n_chains and not self.flipped.any()

    def _shares_matrix(self, scores):
        return len(scores.edge) == 1 and self.is_plain

    @property
    def supports_float32(self):
        return self.is_plain

    @cached_property
    def longest(self):
        """Number of nodes of the longest graph."""
        return int(np.diff(self.topology.node_ptr).max(initial=0))

    def marginals(self, scores, weights=None):
        if not self._shares_matrix(scores):
            return sum_product(self, in_double(scores), weights, _forward_backward, _forward_backward_log)
        if scores.node.dtype == np.float32 and scores.edge.min() < scores.edge.max() - SINGLE_RANGE:
            return self.marginals(in_double(scores), weights)
        t = self.topology
        weights = np.ones(t.n_graphs) if weights is None else np.asarray(weights, np.float64)
        found = direct_marginals(np.empty(t.n_graphs), np.empty_like(scores.node), np.zeros_like(scores.edge))
        unsafe = self._add_marginals(scores, np.arange(t.n_graphs), weights, found)
        if len(unsafe) and scores.node.dtype == np.float32:
            scores = in_double(scores)
            again = found._replace(node=np.empty_like(scores.node), edge=np.zeros_like(scores.edge))
            graphs, unsafe = unsafe, self._add_marginals(scores, unsafe, weights, again)
            nodes = np.isin(t.node_graph, graphs)
            found.node[nodes] = again.node[nodes]
            found.edge[:] += again.edge
        if len(unsafe):
            rows = np.zeros(t.n_edges, np.int32)
            with np.errstate(all="ignore"):  # log 0, seen with NUMBA_DISABLE_JIT=1 only
                _forward_backward_log(*self.arrays, unsafe, scores.node, scores.edge, rows, weights, *found)
        weigh_nodes(t, found.node, weights)
        return found

    def _add_marginals(self, scores, graphs, weights, out):
        """Write marginals of `graphs`, whose steps share a matrix; returns those that are unsafe, left out."""
        t, n_states, dtype = self.topology, scores.node.shape[1], scores.node.dtype
        unsafe = np.zeros(t.n_graphs, bool)
        scratch = aligned_zeros(3 * n_states + 1 + 2 * max(ROWS, self.longest), padded(n_states), dtype=dtype)
        inputs = scores.node, scores.edge[0], weights, SINGLE_RANGE if dtype == np.float32 else np.inf
        results = out.log_partition, out.node, out.edge[0], unsafe
        with np.errstate(all="ignore"):  # log 0, seen with NUMBA_DISABLE_JIT=1 only
            forward_backward_shared(t.node_ptr, graphs, *inputs, scratch, lanes(n_states), *results)
        return np.flatnonzero(unsafe)

    def decode(self, scores):
        if not self._shares_matrix(scores):
            return super().decode(scores)
        labels, n_states = np.empty(self.topology.n_nodes, np.intp), scores.node.shape[1]
        scratch = aligned_zeros(2 * n_states + self.longest, padded(n_states))
        viterbi_shared(self.topology.node_ptr, scores.node, scores.edge[0], scratch, lanes(n_states), labels)
        return exact_decoding(self.topology, scores, labels)

    def _draw(self, node, edge, rows, uniforms, labels):
        _label_backwards(*self.arrays, node, edge, rows, uniforms, labels)


@kernel(fastmath={"contract", "reassoc"})
def _send(potential, flipped, message, out):
    """Out = message @ potential, or potential @ message for a flipped edge: sum over the sender's states."""
    n_states = len(message)
    if flipped:
        for y in range(n_states):
            total = 0.0
            for x in range(n_states):
                total += potential[y, x] * message[x]
            out[y] = total
    else:
        for y in range(n_states):
            out[y] = 0.0
        for x in range(n_states):
            m = message[x]
            for y in range(n_states):
                out[y] += m * potential[x, y]


@kernel(fastmath={"contract", "reassoc"})
def _scale(values, by_max):
    """Divide by the maximum or the sum; return it, and whether a value got too small to be multiplied on."""
    top = 0.0
    if by_max:
        for x in range(len(values)):
            top = max(top, values[x])
    else:
        for x in range(len(values)):
            top += values[x]
    if top == 0.0:
        return top, False
    too_small = False
    inverse = 1.0 / top
    for x in range(len(values)):
        values[x] *= inverse
        too_small |= (values[x] < SMALLEST_MESSAGE) & (values[x] > 0.0)
    return top, too_small


@kernel(fastmath={"contract", "reassoc"})
def _forward_backward(
    node_ptr, step_edge, flipped, node, edge, rows, weights,
    log_partition, node_out, counts, n_iter, residual, converged, unsafe,
):  # fmt: skip
    """Scaled forward-backward; sees finite probabilities only, hence the two fast-math flags.

    Loops that sum store nothing. LLVM compiles a loop that does both twice, with different orders of summation, and
    chooses at run time by a conservative test of whether arrays overlap. The bits would depend on where arrays lie.

    forward[t] = P(y_t | x_1..t); message[t] = potential[t] * backward[t], what node t says to t - 1.
    """
    n_states = node.shape[1]
    longest = 0
    for g in range(len(node_ptr) - 1):
        longest = max(longest, node_ptr[g + 1] - node_ptr[g])
    forward = np.empty((longest, n_states))
    message = np.empty((longest, n_states))
    received = np.empty(n_states)
    pair_total = np.empty(longest)
    for g in range(len(node_ptr) - 1):
        start, length = node_ptr[g], node_ptr[g + 1] - node_ptr[g]
        if unsafe[g] or length == 0:
            continue
        log_z, too_small = 0.0, False
        for t in range(length):
            e = step_edge[start + t - 1] if t else NO_EDGE
            if e == NO_EDGE:
                forward[t] = node[start + t]
            else:
                _send(edge[rows[e]], flipped[start + t - 1], forward[t - 1], received)
                for x in range(n_states):
                    forward[t, x] = received[x] * node[start + t, x]
            total, small = _scale(forward[t], False)
            too_small |= small
            log_z += np.log(total)
        if too_small:
            unsafe[g] = True
            continue
        if log_z == -np.inf:
            log_partition[g] = log_z
            node_out[start : start + length] = np.nan
            continue
        for t in range(length - 1, -1, -1):
            e = step_edge[start + t]
            if e == NO_EDGE or t == length - 1:
                received[:] = 1.0
            else:
                _send(edge[rows[e]], not flipped[start + t], message[t + 1], received)
            for x in range(n_states):
                node_out[start + t, x] = forward[t, x] * received[x]
            total = 0.0
            for x in range(n_states):  # a loop of its own: it stores nothing
                total += node_out[start + t, x]
            pair_total[t] = total
            inverse = 1.0 / total
            for x in range(n_states):
                node_out[start + t, x] *= inverse
                message[t, x] = received[x] * node[start + t, x]
            too_small |= _scale(message[t], True)[1]
        if too_small:
            unsafe[g] = True
            continue
        log_partition[g] = log_z
        for t in range(length - 1):
            e = step_edge[start + t]
            if e == NO_EDGE:
                continue
            factor = weights[g] / pair_total[t]
            count = counts[rows[e]]
            if flipped[start + t]:
                for y in range(n_states):
                    m = factor * message[t + 1, y]
                    for x in range(n_states):
                        count[y, x] += m * forward[t, x]
            else:
                for x in range(n_states):
                    f = factor * forward[t, x]
                    for y in range(n_states):
                        count[x, y] += f * message[t + 1, y]


@kernel
def _send_log(scores, flipped, message, take_max, out):
    """out[y] = log sum (or max) over x of exp(message[x] + scores[x, y]); scores[y, x] for a flipped edge."""
    n_states = len(message)
    for y in range(n_states):
        top = -np.inf
        for x in range(n_states):
            top = max(top, message[x] + (scores[y, x] if flipped else scores[x, y]))
        out[y] = top
        if take_max or top == -np.inf:
            continue
        total = 0.0
        for x in range(n_states):
            total += np.exp(message[x] + (scores[y, x] if flipped else scores[x, y]) - top)
        out[y] = top + np.log(total)


@kernel
def _forward_log(start, length, step_edge, flipped, node, edge, rows, take_max, forward):
    """forward[t, y] = log sum (or max) over the labels before t; the last row of each piece holds its total."""
    for t in range(length):
        e = step_edge[start + t - 1] if t else NO_EDGE
        if e == NO_EDGE:
            forward[t] = 0.0
        else:
            _send_log(edge[rows[e]], flipped[start + t - 1], forward[t - 1], take_max, forward[t])
        for x in range(node.shape[1]):
            forward[t, x] += node[start + t, x]


@kernel
def _log_sum(values):
    top = values.max()
    if top == -np.inf:
        return top
    return top + np.log(np.exp(values - top).sum())


@kernel
def _forward_backward_log(
    node_ptr, step_edge, flipped, graphs, node, edge, rows, weights,
    log_partition, node_out, counts, n_iter, residual, converged,
):  # fmt: skip
    """Forward-backward in the log domain: the plain twin, for any legal scores."""
    n_states = node.shape[1]
    for g in graphs:
        start, length = node_ptr[g], node_ptr[g + 1] - node_ptr[g]
        forward = np.empty((length, n_states))
        received = np.zeros(n_states)
        message = np.zeros(n_states)
        _forward_log(start, length, step_edge, flipped, node, edge, rows, False, forward)
        log_partition[g] = 0.0
        for t in range(length):
            if t == length - 1 or step_edge[start + t] == NO_EDGE:
                log_partition[g] += _log_sum(forward[t])
        if log_partition[g] == -np.inf:
            node_out[start : start + length] = np.nan
            continue
        for t in range(length - 1, -1, -1):
            e = step_edge[start + t]
            if e == NO_EDGE or t == length - 1:
                received[:] = 0.0
            else:
                _send_log(edge[rows[e]], not flipped[start + t], message, False, received)
            total = _log_sum(forward[t] + received)
            for x in range(n_states):
                node_out[start + t, x] = np.exp(forward[t, x] + received[x] - total)
            if e != NO_EDGE and t < length - 1:
                for x in range(n_states):
                    for y in range(n_states):
                        a, b = (y, x) if flipped[start + t] else (x, y)
                        score = forward[t, x] + edge[rows[e], a, b] + message[y]
                        counts[rows[e], a, b] += weights[g] * np.exp(score - total)
            for x in range(n_states):
                message[x] = received[x] + node[start + t, x]


@kernel
def _draw_label(log_values, uniform):
    """Label drawn in proportion to ``exp(log_values)``."""
    cumulated = np.cumsum(np.exp(log_values - log_values.max()))
    return min(np.searchsorted(cumulated, uniform * cumulated[-1], side="right"), len(log_values) - 1)


@kernel
def _label_backwards(node_ptr, step_edge, flipped, node, edge, rows, uniforms, labels):
    """Forward messages, then each label given its successor's: drawn, or best (Viterbi) where `uniforms` is empty."""
    n_states = node.shape[1]
    take_max = uniforms.shape[1] == 0
    longest = 0
    for g in range(len(node_ptr) - 1):
        longest = max(longest, node_ptr[g + 1] - node_ptr[g])
    forward, given = np.empty((longest, n_states)), np.empty(n_states)
    for g in range(len(node_ptr) - 1):
        start, length = node_ptr[g], node_ptr[g + 1] - node_ptr[g]
        _forward_log(start, length, step_edge, flipped, node, edge, rows, take_max, forward)
        for r in range(len(labels)):
            for t in range(length - 1, -1, -1):
                given[:] = forward[t]
                e = step_edge[start + t]
                if e != NO_EDGE and t < length - 1:
                    y = labels[r, start + t + 1]
                    for x in range(n_states):
                        given[x] += edge[rows[e], y, x] if flipped[start + t] else edge[rows[e], x, y]
                if take_max:
                    labels[r, start + t] = np.argmax(given)
                else:
                    labels[r, start + t] = _draw_label(given, uniforms[r, start + t])
