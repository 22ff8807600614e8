"""Derivatives of the marginals of message passing along a direction: tangents of the messages at their fixed point.

The same equations hold for forests and loopy belief propagation, where all weights ``rho`` are 1, and for
tree-reweighted belief propagation, whose edge scores are divided by ``rho``. With ``c_s(x) = b_i(x) / m_s(x)`` for slot
`s` of node `i`, the message to the neighbour is ``sum_x c_s(x) psi(x, y)``. Let ``d`` be the derivative of a logarithm,
up to a constant. Then ``d b_i = d score_i + sum_s rho_s d m_s``, and the tangent of a message is the mean of ``d b_i -
d m_s + d score`` over `x` given `y`. These linear equations are iterated in the same sweeps as the messages, converge
at the same rate, and are solved by one sweep on a forest. Derivatives of marginals are covariances. All numbers are
averages of the direction: nothing can overflow, whatever the scores are.
"""

from typing import NamedTuple

import numpy as np

from skstruct.inference._damping import STAGNATION, STAGNATION_SWEEPS, fill_fractions
from skstruct.kernels.jit import kernel
from skstruct.kernels.powers import weighted_sum
from skstruct.kernels.tangents import (
    add_pair_tangent,
    send_tangent,
    send_tangent_back,
    send_tangent_potts,
    subtract_tangent,
)


class _Graph(NamedTuple):
    """One graph, the probabilities of its slots, and its tangents."""

    bounds: np.ndarray  # (n_nodes, 3), as in `LocalLists`
    ends: np.ndarray  # (n_slots, 2), as in `LocalLists`
    rho: np.ndarray  # (n_slots,) weights
    cavity: np.ndarray  # (n_slots, n_states), and the next four, as in `Conditionals`
    inverse: np.ndarray
    matrix: np.ndarray
    psi: np.ndarray
    potts: np.ndarray
    constant: np.ndarray  # (> n_slots, n_states) mean of the derivative of the edge's score given y, or one row of 0
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
def _sweeps(graph, fraction, most, tol, lanes):
    """Sweep until no tangent moves by more than `tol` or changes stagnate, at most `most` times; sweeps, change.

    As in the sweeps of the messages, a node sends again only if a tangent that it receives has changed.
    """
    bounds, ends, rho, cavity, inverse, matrix, psi, potts, constant, node, tangent, total, dirty = graph
    n_nodes, moves, scratch = len(bounds), len(constant) > 1, np.empty((1, node.shape[1]))
    change, sweep, n_sent, earlier = 0.0, 0, 0.0, np.inf
    while sweep < most:
        sweep += 1
        change, sum_of_changes = 0.0, 0.0
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
                n_sent += last - first
                left = 0.0
                if fraction[i] == 1.0:
                    weighted_sum(node, i, tangent, begin, stop, rho, total, lanes)
                else:
                    left = _move_total(graph, i, fraction[i])
                    if left > tol:
                        dirty[i] = 3  # it has more to say
                for s in range(first, last):
                    r, k, at = np.int64(ends[s, 0]), np.int64(matrix[s] >> np.uint32(1)), s if moves else 0
                    # not in a function: a call with so many arrays takes longer than the work
                    if potts[k]:
                        off = psi[k, 0, 1]
                        gain = psi[k, 0, 0] - off
                        moved = send_tangent_potts(
                            tangent, r, s, total, i, cavity, inverse, constant, at, off, gain, lanes
                        )
                    elif matrix[s] & np.uint32(1):
                        moved = send_tangent_back(
                            tangent, r, s, total, i, cavity, inverse, constant, at, psi, k, scratch, lanes
                        )
                    else:
                        moved = send_tangent(
                            tangent, r, s, total, i, cavity, inverse, constant, at, psi, k, scratch, lanes
                        )
                    moved = max(moved, left)  # many small steps of a damped belief add up
                    sum_of_changes += moved
                    change = max(change, moved)
                    if moved > tol:
                        dirty[ends[s, 1]] = 3
        if change <= tol:
            break
        if n_sent >= STAGNATION_SWEEPS * len(ends):
            if sum_of_changes > STAGNATION * earlier:
                break
            n_sent, earlier = 0.0, sum_of_changes
    return sweep, change


@kernel
def _settle(graph, settings, tol, fraction, lanes):
    """Sweep, then again with damping: anew if changes stagnate, like the messages; whether the tangents converge."""
    sweeps, change = 0, np.inf
    for attempt in range(2):
        if change <= tol:
            continue
        if sweeps < settings.max_iter:  # not where only a few nodes still move
            for s in range(len(graph.ends)):
                for x in range(graph.node.shape[1]):
                    graph.tangent[s, x] = 0.0
            for i in range(len(graph.bounds)):
                graph.dirty[i] = 3
                for x in range(graph.node.shape[1]):
                    graph.total[i, x] = graph.node[i, x]
        fill_fractions(graph.bounds, graph.rho, settings.damping, attempt, fraction)
        limit = sweeps + settings.max_iter
        while sweeps < limit:
            more, change = _sweeps(graph, fraction, limit - sweeps, tol, lanes)
            sweeps += more
            if change <= tol or attempt == 0:
                break
    return change <= tol


@kernel(fastmath={"contract", "reassoc"})  # all numbers are finite
def _fill_constants(graph, edges, flipped, direction):
    """Fill means of the derivatives of the edges' scores, given the neighbours' states; the largest derivative."""
    n_states, largest = graph.node.shape[1], 0.0
    for s in range(len(graph.ends)):
        change = direction.edge[direction.edge_matrix[edges[s]]]
        table, turned = graph.psi[graph.matrix[s] >> np.uint32(1)], graph.matrix[s] & np.uint32(1)
        for y in range(n_states):
            graph.constant[s, y] = 0.0
        for x in range(n_states):
            for y in range(n_states):
                psi, moved = table[y, x] if turned else table[x, y], change[y, x] if flipped[s] else change[x, y]
                graph.constant[s, y] += graph.cavity[s, x] * psi * moved
                largest = max(largest, abs(moved))
        for y in range(n_states):
            graph.constant[s, y] *= graph.inverse[s, y]
    return largest


@kernel
def _node_changes(graph, belief, order, weight, out, lanes):
    """Fill the derivatives of log-beliefs, and write those of node marginals; the mean of the nodes' derivatives."""
    n_states, mean = belief.shape[1], 0.0
    for i in range(len(graph.bounds)):
        expected = 0.0
        begin, stop = np.int64(graph.bounds[i, 0]), np.int64(graph.bounds[i, 2])
        weighted_sum(graph.node, i, graph.tangent, begin, stop, graph.rho, graph.total, lanes)
        for x in range(n_states):
            expected += belief[i, x] * graph.total[i, x]
            mean += belief[i, x] * graph.node[i, x]
        for x in range(n_states):
            out[order[i], x] = weight * belief[i, x] * (graph.total[i, x] - expected)
    return mean


@kernel
def _pair_changes(graph, edges, flipped, belief, direction, weight, counts, lanes):
    """Add the derivatives of the pair counts; the mean of the edges' derivatives."""
    bounds, ends, rho, cavity, inverse, matrix, psi, _, constant, _, tangent, total, _ = graph
    n_states, mean, moves = belief.shape[1], 0.0, len(constant) > 1
    change = np.empty((2, n_states))
    for i in range(len(bounds)):
        for s in range(np.int64(bounds[i, 0]), np.int64(bounds[i, 2])):
            if flipped[s]:
                continue  # counted at the first end of the edge
            r, j, k = np.int64(ends[s, 0]), np.int64(ends[s, 1]), np.int64(matrix[s] >> np.uint32(1))
            row = np.int64(direction.edge_matrix[edges[s]])
            expected = subtract_tangent(total, i, tangent, s, belief, change, 0, lanes)
            expected += subtract_tangent(total, j, tangent, r, belief, change, 1, lanes)
            if moves:
                direct = 0.0
                for y in range(n_states):
                    direct += belief[j, y] * constant[s, y]
                    after = weight * inverse[s, y] * belief[j, y]
                    for x in range(n_states):
                        counts[row, x, y] += cavity[s, x] * psi[k, x, y] * after * direction.edge[row, x, y]
                mean += rho[s] * direct
                expected += direct
            add_pair_tangent(change, expected, cavity, s, inverse, belief, j, psi, k, weight, counts, row, lanes)
    return mean


@kernel
def differentiate(lists, rho, settings, found, direction, moves, weights, lanes, mean, out, converged):
    """Derivatives of log-partitions, node marginals and pair counts.

    Parameters
    ----------
    lists : LocalLists
    rho : ndarray of shape (n_slots,)
        Weights of the edges of the slots.
    settings : Settings
        The tolerance is relative to the largest number of the direction in a graph.
    found : Conditionals
    direction : Scores
        Edge scores are divided by the weights of their edges.
    moves : bool
        Whether the edge scores of the direction are not 0.
    weights : ndarray of shape (n_graphs,)
        Factors of the derivatives of marginals and pair counts.
    lanes : tuple
        From `simd.lanes`.
    mean : ndarray of shape (n_graphs,)
        Output: the mean of the direction's score.
    out : Scores
        Output; derivatives of pair counts are added.
    converged : ndarray of bool, (n_graphs,)
        Output. Nothing is written to `out` for a graph whose tangents do not converge.
    """
    n_graphs, n_states = len(lists.node_ptr) - 1, found.belief.shape[1]
    most_nodes, most_slots = 0, 0
    for g in range(n_graphs):
        most_nodes = max(most_nodes, lists.node_ptr[g + 1] - lists.node_ptr[g])
        most_slots = max(most_slots, 2 * (lists.edge_ptr[g + 1] - lists.edge_ptr[g]))
    constant, tangent = np.zeros((most_slots + 1 if moves else 1, n_states)), np.empty((most_slots, n_states))
    node, total = np.empty((most_nodes, n_states)), np.empty((most_nodes, n_states))
    dirty, fraction = np.empty(most_nodes, np.uint8), np.empty(most_nodes)
    for g in range(n_graphs):
        if not found.allowed[g]:
            continue
        start, end = lists.node_ptr[g], lists.node_ptr[g + 1]
        first, stop = 2 * lists.edge_ptr[g], 2 * lists.edge_ptr[g + 1]
        order, flipped, edges = lists.order[start:end], lists.flipped[first:stop], lists.edge[first:stop]
        belief, largest = found.belief[start:end], 0.0
        graph = _Graph(
            lists.bounds[start:end],
            lists.ends[first:stop],
            rho[first:stop],
            found.cavity[first:stop],
            found.inverse[first:stop],
            found.matrix[first:stop],
            found.psi,
            found.potts,
            constant,
            node,
            tangent,
            total,
            dirty,
        )
        for i in range(end - start):
            for x in range(n_states):
                node[i, x] = direction.node[order[i], x]
                largest = max(largest, abs(node[i, x]))
        if moves:
            largest = max(largest, _fill_constants(graph, edges, flipped, direction))
        converged[g] = _settle(graph, settings, settings.tol * largest, fraction, lanes)
        if converged[g]:
            mean[g] = _node_changes(graph, belief, order, weights[g], out.node, lanes)
            mean[g] += _pair_changes(graph, edges, flipped, belief, direction, weights[g], out.edge, lanes)
