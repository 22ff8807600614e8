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
from skstruct.kernels.powers import send_tangent, weighted_sum
from skstruct.kernels.simd import exp_matrix, exp_row, send


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
                weighted_sum(node, i, tangent, begin, stop, rho, total, lanes)
                for s in range(first, last):
                    r, k = np.int64(ends[s, 0]), np.int64(number[s])
                    moved = send_tangent(
                        tangent, r, s, total, i, cavity, inverse, constant, psi, k, fraction[i], scratch, lanes
                    )
                    change = max(change, moved)
                    if moved > tol:
                        dirty[ends[s, 1]] = 3
                        if fraction[i] != 1.0:
                            dirty[i] |= bit  # it has more to say
        if change <= tol:
            break
        if sweep % STAGNATION_SWEEPS == 0:
            if change > STAGNATION * earlier:
                break
            earlier = change
    return sweep, change


@kernel
def _settle(graph, psi, settings, tol, fraction, lanes):
    """Sweep undamped, then damped, like the messages."""
    scratch = np.empty((1, graph.node.shape[1]))
    sweeps, change, limit = 0, np.inf, settings.max_iter
    for attempt in range(3):
        if change <= tol or not fill_fractions(graph.bounds, graph.rho, settings.damping, attempt, fraction):
            continue
        if attempt == 2:
            limit = sweeps + settings.max_iter
        for s in range(len(graph.ends)):  # tangents may have grown
            for x in range(graph.node.shape[1]):
                graph.tangent[s, x] = 0.0
        while sweeps < limit:  # the last attempt continues where it stagnates
            more, change = _sweeps(graph, psi, scratch, fraction, limit - sweeps, tol, lanes)
            sweeps += more
            if change <= tol or attempt < 2:
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


@kernel
def _constants(graph, rows, flipped, edge, psi):
    """Fill the constants: means of the derivatives `edge` of the edges' scores, given the neighbours' states."""
    n_states = graph.node.shape[1]
    for s in range(len(graph.ends)):
        k = np.int64(graph.number[s])
        for y in range(n_states):
            total = 0.0
            for x in range(n_states):
                change = edge[rows[s], y, x] if flipped[s] else edge[rows[s], x, y]
                total += graph.cavity[s, x] * psi[k, x, y] * change
            graph.constant[s, y] = total * graph.inverse[s, y]


@kernel
def _conclude(graph, rows, flipped, edge, psi, belief, weight, marginals, counts):
    """Derivatives of node marginals and of pair counts, which are added; the mean of the edges' derivatives."""
    n_states, mean = belief.shape[1], 0.0
    pair, change = np.empty((n_states, n_states)), np.empty((n_states, n_states))
    for i in range(len(graph.bounds)):
        begin, stop = np.int64(graph.bounds[i, 0]), np.int64(graph.bounds[i, 2])
        expected = 0.0
        for x in range(n_states):
            graph.total[i, x] = graph.node[i, x]
            for s in range(begin, stop):
                graph.total[i, x] += graph.rho[s] * graph.tangent[s, x]
            expected += np.exp(belief[i, x]) * graph.total[i, x]
        for x in range(n_states):
            marginals[i, x] = np.exp(belief[i, x]) * (graph.total[i, x] - expected)
    for i in range(len(graph.bounds)):
        for s in range(np.int64(graph.bounds[i, 0]), np.int64(graph.bounds[i, 2])):
            if flipped[s]:
                continue  # counted at the first end of the edge
            r, j, k = np.int64(graph.ends[s, 0]), np.int64(graph.ends[s, 1]), np.int64(graph.number[s])
            expected = 0.0
            for x in range(n_states):
                for y in range(n_states):
                    pair[x, y] = graph.cavity[s, x] * psi[k, x, y] * graph.inverse[s, y] * np.exp(belief[j, y])
                    change[x, y] = graph.total[i, x] - graph.tangent[s, x] + graph.total[j, y] - graph.tangent[r, y]
                    change[x, y] += edge[rows[s], x, y]
                    expected += pair[x, y] * change[x, y]
                    mean += graph.rho[s] * pair[x, y] * edge[rows[s], x, y]
            for x in range(n_states):
                for y in range(n_states):
                    counts[rows[s], x, y] += weight * pair[x, y] * (change[x, y] - expected)
    return mean


@kernel
def differentiate(lists, orders, settings, scores, direction, weights, log_message, own_matrices, lanes, out):
    """Derivatives of log-partitions, node marginals and pair counts.

    Parameters
    ----------
    lists : LocalLists
    orders : Orders
    settings : Settings
    scores, direction : Scores
        Edge scores are divided by the weights of their edges.
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
        scale, lowest = 0.0, 0.0
        for s in range(stop - first):
            rows[s] = scores.edge_matrix[lists.edge[first + s]]
            number[s] = rows[s] - base + (size if flipped[s] else 0)
            lowest = min(lowest, low[rows[s] - base])
            for x in range(n_states):
                for y in range(n_states):
                    scale = max(scale, abs(direction.edge[rows[s], x, y]))
        for i in range(end - start):
            for x in range(n_states):
                node[i, x] = direction.node[order[i], x]
                scale = max(scale, abs(node[i, x]))
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
        _settle(graph, psi, settings, settings.tol * scale, fraction, lanes)
        mean[g] = _conclude(graph, rows, flipped, direction.edge, psi, belief, weights[g], marginals, counts)
        for i in range(end - start):
            for x in range(n_states):
                node_out[order[i], x] = marginals[i, x]
                mean[g] += np.exp(belief[i, x]) * node[i, x]


@kernel
def _potentials(edge, out, low, lanes):
    """Potentials of matrices, followed by their transposes, and the lowest score less the largest."""
    n_matrices, n_states = len(edge), edge.shape[1]
    for e in range(n_matrices):
        _, low[e] = exp_matrix(edge, e, out, lanes)
        for x in range(n_states):
            for y in range(n_states):
                out[n_matrices + e, y, x] = out[e, x, y]
