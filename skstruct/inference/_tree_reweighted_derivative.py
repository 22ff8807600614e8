"""Derivatives of tree-reweighted marginals along a direction: tangents of the messages at their fixed point.

With ``c_s(x) = b_i(x) / m_s(x)`` for slot `s` of node `i`, the message to its neighbour is ``sum_x c_s(x) psi(x, y)``.
Let ``d`` be the derivative of a logarithm. Then ``d b_i = d score_i + sum_s rho_s d m_s``, and the tangent of a message
is the mean of ``d b_i - d m_s + d score / rho`` over `x` given `y`. These linear equations are iterated in the same
sweeps as the messages, and converge at the same rate. The beliefs of nodes and pairs at the fixed point then give the
derivatives of all marginals.
"""

from typing import NamedTuple

import numpy as np

from skstruct.inference._log_domain import log_sum
from skstruct.inference._tree_reweighted_kernels import LOWEST, STAGNATION, STAGNATION_SWEEPS, fill_fractions
from skstruct.kernels.jit import kernel
from skstruct.kernels.messages import send
from skstruct.kernels.powers import send_tangent, weighted_sum
from skstruct.kernels.simd import exp_matrix, exp_row


class _Graph(NamedTuple):
    """One graph and its tangents."""

    bounds: np.ndarray  # (n_nodes, 3), as in `LocalLists`
    ends: np.ndarray  # (n_slots, 2), as in `LocalLists`
    rho: np.ndarray  # (n_slots,), as in `Orders`
    number: np.ndarray  # (>= n_slots,) matrix of the slot, whose rows are the states of the slot's node
    cavity: np.ndarray  # (>= n_slots, n_states) c_s, times a factor
    inverse: np.ndarray  # (>= n_slots, n_states) 1 / sum_x c_s(x) psi(x, y); 0 if no x is allowed
    constant: np.ndarray  # (>= n_slots, n_states) mean of the derivative of the edge's score, given y
    node: np.ndarray  # (>= n_nodes, n_states) derivatives of the scores
    tangent: np.ndarray  # (>= n_slots, n_states) of the message to the slot's node
    total: np.ndarray  # (>= n_nodes, n_states) d b_i
    dirty: np.ndarray  # (>= n_nodes,) bit 1: the node has news for its higher neighbours; bit 2: for the lower ones


@kernel
def _move_total(graph, i, fraction):
    """Move ``d b_i`` by a fraction of its change; the change that is left."""
    left = 0.0
    for x in range(graph.node.shape[1]):
        new = graph.node[i, x]
        for s in range(graph.bounds[i, 0], graph.bounds[i, 2]):
            new += graph.rho[s] * graph.tangent[s, x]
        step = fraction * (new - graph.total[i, x])
        graph.total[i, x] += step
        left = max(left, abs(new - graph.total[i, x]))
    return left


@kernel
def _sweeps(graph, psi, scratch, fraction, most, tol, lanes):
    """Sweep until no tangent moves by more than `tol` or changes stagnate, at most `most` times; sweeps, change."""
    bounds, ends, rho, number, cavity, inverse, constant, node, tangent, total, dirty = graph
    n_nodes = len(bounds)
    change, sweep, earlier = 0.0, 0, np.inf
    for i in range(n_nodes):
        dirty[i] = 3
    while sweep < most:
        sweep += 1
        change = 0.0
        for direction in range(2):
            bit = np.uint8(1 + direction)
            for step in range(n_nodes):
                i = step if direction == 0 else n_nodes - 1 - step
                if not dirty[i] & bit:
                    continue
                dirty[i] &= ~bit
                begin, middle, stop = np.int64(bounds[i, 0]), np.int64(bounds[i, 1]), np.int64(bounds[i, 2])
                first = middle if direction == 0 else begin
                last = stop if direction == 0 else middle
                if first == last:
                    continue
                left = 0.0
                if fraction[i] == 1.0:
                    weighted_sum(node, i, tangent, begin, stop, rho, total, lanes)
                else:
                    left = _move_total(graph, i, fraction[i])
                    if left > tol:
                        dirty[i] = 3  # it has more to say
                for s in range(first, last):
                    r, k = np.int64(ends[s, 0]), np.int64(number[s])
                    moved = send_tangent(tangent, r, s, total, i, cavity, inverse, constant, psi, k, scratch, lanes)
                    moved = max(moved, left)  # many small steps of a damped belief add up
                    change = max(change, moved)
                    if moved > tol:
                        dirty[ends[s, 1]] = 3
        if change <= tol:
            break
        if sweep % STAGNATION_SWEEPS == 0:
            if change > STAGNATION * earlier:
                break
            earlier = change
    return sweep, change


@kernel
def _settle(graph, psi, settings, tol, fraction, lanes):
    """Sweep, then again with damping, like the messages."""
    scratch = np.empty((1, graph.node.shape[1]))
    sweeps, change = 0, np.inf
    for attempt in range(2):
        if change <= tol:
            continue
        for s in range(len(graph.ends)):  # without damping, tangents may have grown
            for x in range(graph.node.shape[1]):
                graph.tangent[s, x] = 0.0
        for i in range(len(graph.bounds)):
            for x in range(graph.node.shape[1]):
                graph.total[i, x] = graph.node[i, x]
        fill_fractions(graph.bounds, graph.rho, settings.damping, attempt, fraction)
        limit = settings.max_iter if attempt == 0 else sweeps + settings.max_iter
        while sweeps < limit:
            more, change = _sweeps(graph, psi, scratch, fraction, limit - sweeps, tol, lanes)
            sweeps += more
            if change <= tol or attempt == 0:
                break


@kernel
def _log_beliefs(graph, scores, order, log_message, out):
    """Logarithms of the normalised beliefs of the nodes; whether each node has an allowed state."""
    for i in range(len(graph.bounds)):
        for x in range(out.shape[1]):
            out[i, x] = scores.node[order[i], x]
            for s in range(graph.bounds[i, 0], graph.bounds[i, 2]):
                out[i, x] += graph.rho[s] * log_message[s, x]
        total = log_sum(out[i])
        if total == -np.inf:
            return False
        for x in range(out.shape[1]):
            out[i, x] -= total
    return True


@kernel
def _cavities(graph, psi, belief, log_message, lanes):
    """Fill the cavities and the inverse sums of a graph whose potentials are in range."""
    n_states = belief.shape[1]
    logs = np.empty((1, n_states))
    for i in range(len(graph.bounds)):
        for s in range(np.int64(graph.bounds[i, 0]), np.int64(graph.bounds[i, 2])):
            for x in range(n_states):
                logs[0, x] = belief[i, x] - log_message[s, x]
                graph.inverse[s, x] = 1.0
            exp_row(logs, 0, graph.cavity, s, lanes)
            top, _ = send(graph.inverse, s, graph.cavity, s, psi, np.int64(graph.number[s]), 0.0, lanes)
            for y in range(n_states):
                graph.inverse[s, y] = 1.0 / (top * graph.inverse[s, y])


@kernel
def _conditionals(graph, rows, flipped, edge, belief, log_message, psi):
    """Do as `_cavities` for any legal scores: `psi` are the probabilities of slots' states given the neighbours'."""
    n_states = belief.shape[1]
    for i in range(len(graph.bounds)):
        for s in range(np.int64(graph.bounds[i, 0]), np.int64(graph.bounds[i, 2])):
            graph.number[s] = s
            for y in range(n_states):
                graph.cavity[s, y] = graph.inverse[s, y] = 1.0
                top, total = -np.inf, 0.0
                for x in range(n_states):
                    score = edge[rows[s], y, x] if flipped[s] else edge[rows[s], x, y]
                    if belief[i, x] > -np.inf:  # never -inf - -inf
                        psi[s, x, y] = belief[i, x] - log_message[s, x] + score
                    else:
                        psi[s, x, y] = -np.inf
                    top = max(top, psi[s, x, y])
                for x in range(n_states):
                    psi[s, x, y] = np.exp(psi[s, x, y] - top) if top > -np.inf else 0.0
                    total += psi[s, x, y]
                for x in range(n_states):
                    psi[s, x, y] *= 1.0 / total if total > 0.0 else 0.0


@kernel(fastmath={"contract", "reassoc"})  # all numbers are finite
def _constants(graph, rows, flipped, edge, psi):
    """Fill the constants: means of the derivatives `edge` of the edges' scores, given the neighbours' states."""
    n_states = graph.node.shape[1]
    for s in range(len(graph.ends)):
        k, row = np.int64(graph.number[s]), rows[s]
        for y in range(n_states):
            graph.constant[s, y] = 0.0
        for x in range(n_states):
            factor = graph.cavity[s, x]
            for y in range(n_states):
                graph.constant[s, y] += factor * psi[k, x, y] * (edge[row, y, x] if flipped[s] else edge[row, x, y])
        for y in range(n_states):
            graph.constant[s, y] *= graph.inverse[s, y]


@kernel
def _node_changes(graph, probability, marginals):
    """Fill the derivatives of log-beliefs and of node marginals."""
    n_states = probability.shape[1]
    for i in range(len(graph.bounds)):
        expected = 0.0
        for x in range(n_states):
            graph.total[i, x] = graph.node[i, x]
        for s in range(np.int64(graph.bounds[i, 0]), np.int64(graph.bounds[i, 2])):
            for x in range(n_states):
                graph.total[i, x] += graph.rho[s] * graph.tangent[s, x]
        for x in range(n_states):
            expected += probability[i, x] * graph.total[i, x]
        for x in range(n_states):
            marginals[i, x] = probability[i, x] * (graph.total[i, x] - expected)


@kernel(fastmath={"contract", "reassoc"})  # all numbers are finite
def _pair_changes(graph, rows, flipped, edge, psi, probability, weight, counts):
    """Add the derivatives of the pair counts; the mean of the edges' derivatives."""
    n_states, mean = probability.shape[1], 0.0
    after, second = np.empty(n_states), np.empty(n_states)
    for i in range(len(graph.bounds)):
        for s in range(np.int64(graph.bounds[i, 0]), np.int64(graph.bounds[i, 2])):
            if flipped[s]:
                continue  # counted at the first end of the edge
            r, j, k, row = np.int64(graph.ends[s, 0]), np.int64(graph.ends[s, 1]), np.int64(graph.number[s]), rows[s]
            for y in range(n_states):
                after[y] = graph.inverse[s, y] * probability[j, y]
                second[y] = graph.total[j, y] - graph.tangent[r, y]
            expected, direct = 0.0, 0.0
            for x in range(n_states):
                before, first = graph.cavity[s, x], graph.total[i, x] - graph.tangent[s, x]
                for y in range(n_states):
                    pair = before * psi[k, x, y] * after[y]
                    direct += pair * edge[row, x, y]
                    expected += pair * (first + second[y])
            mean += graph.rho[s] * direct
            for x in range(n_states):
                before = weight * graph.cavity[s, x]
                first = graph.total[i, x] - graph.tangent[s, x] - (expected + direct)
                for y in range(n_states):
                    change = first + second[y] + edge[row, x, y]
                    counts[row, x, y] += before * psi[k, x, y] * after[y] * change
    return mean


@kernel
def differentiate(lists, orders, settings, scores, direction, scale, weights, log_message, own_matrices, lanes, out):
    """Derivatives of log-partitions, node marginals and pair counts.

    Parameters
    ----------
    lists : LocalLists
    orders : Orders
    settings : Settings
    scores, direction : Scores
        Edge scores are divided by the weights of their edges.
    scale : ndarray of shape (n_graphs,)
        Factor of the tolerance.
    weights : ndarray of shape (n_graphs,)
        Factors of the pair counts.
    log_message : ndarray of shape (n_slots, n_states)
        At the fixed point.
    own_matrices : bool
        Whether edge ``e`` is the only one with matrix ``e``.
    lanes : tuple
        From `simd.lanes`.
    out : tuple of (ndarray of shape (n_graphs,), Scores)
        Output, which is added to.
    """
    mean, (node_out, counts, _) = out
    n_graphs, n_states, n_matrices = len(lists.node_ptr) - 1, scores.node.shape[1], len(scores.edge)
    most_nodes, most_edges = 0, 0
    for g in range(n_graphs):
        most_nodes = max(most_nodes, lists.node_ptr[g + 1] - lists.node_ptr[g])
        most_edges = max(most_edges, lists.edge_ptr[g + 1] - lists.edge_ptr[g])
    number, rows = np.empty(2 * most_edges, np.int64), np.empty(2 * most_edges, np.int64)
    cavity, inverse = np.empty((2 * most_edges, n_states)), np.empty((2 * most_edges, n_states))
    constant, tangent = np.empty((2 * most_edges, n_states)), np.empty((2 * most_edges, n_states))
    node, total = np.empty((most_nodes, n_states)), np.empty((most_nodes, n_states))
    belief, marginals = np.empty((most_nodes, n_states)), np.empty((most_nodes, n_states))
    dirty, fraction = np.empty(most_nodes, np.uint8), np.empty(most_nodes)
    shared = np.empty((2 * (most_edges if own_matrices else n_matrices), n_states, n_states))
    low = np.empty(len(shared))
    for g in range(n_graphs):
        start, end = lists.node_ptr[g], lists.node_ptr[g + 1]
        first, stop = 2 * lists.edge_ptr[g], 2 * lists.edge_ptr[g + 1]
        order, flipped, messages = lists.order[start:end], lists.flipped[first:stop], log_message[first:stop]
        bounds, ends, rho = lists.bounds[start:end], lists.ends[first:stop], orders.rho[first:stop]
        graph = _Graph(bounds, ends, rho, number, cavity, inverse, constant, node, tangent, total, dirty)
        base, size = 0, n_matrices
        if own_matrices:
            base, size = lists.edge_ptr[g], lists.edge_ptr[g + 1] - lists.edge_ptr[g]
        if own_matrices or g == 0:
            _potentials(scores.edge[base : base + size], shared, low, lanes)
        lowest = 0.0
        for s in range(stop - first):
            rows[s] = scores.edge_matrix[lists.edge[first + s]]
            number[s] = rows[s] - base + (size if flipped[s] else 0)
            lowest = min(lowest, low[rows[s] - base])
        for i in range(end - start):
            for x in range(n_states):
                node[i, x] = direction.node[order[i], x]
        if not _log_beliefs(graph, scores, order, messages, belief):
            mean[g] = np.nan
            for i in range(end - start):
                for x in range(n_states):
                    node_out[order[i], x] = np.nan
            continue
        psi = shared
        if lowest >= LOWEST:
            _cavities(graph, psi, belief, messages, lanes)
        else:
            psi = np.empty((stop - first, n_states, n_states))
            _conditionals(graph, rows, flipped, scores.edge, belief, messages, psi)
        _constants(graph, rows, flipped, direction.edge, psi)
        _settle(graph, psi, settings, settings.tol * scale[g], fraction, lanes)
        for i in range(end - start):
            for x in range(n_states):
                belief[i, x] = np.exp(belief[i, x])
                mean[g] += belief[i, x] * node[i, x]
        _node_changes(graph, belief, marginals)
        mean[g] += _pair_changes(graph, rows, flipped, direction.edge, psi, belief, weights[g], counts)
        for i in range(end - start):
            for x in range(n_states):
                node_out[order[i], x] = marginals[i, x]


@kernel
def _potentials(edge, out, low, lanes):
    """Potentials of matrices, followed by their transposes, and the lowest score less the largest."""
    n_matrices, n_states = len(edge), edge.shape[1]
    for e in range(n_matrices):
        _, low[e] = exp_matrix(edge, e, out, lanes)
        for x in range(n_states):
            for y in range(n_states):
                out[n_matrices + e, y, x] = out[e, x, y]
