"""Tangents of messages between nodes of two states: a tangent is one number, the derivative of a logarithm of odds.

The kernels do the same as those in ``_message_tangents.py``. The tangent that slot `s` of node `i` sends is ``gain[s] *
(d_i - d_s)``, with the derivative ``d_i`` of the log-odds of the node, and the tangent ``d_s`` that it receives.
"""

from typing import NamedTuple

import numpy as np

from skstruct.inference._damping import STAGNATION, STAGNATION_SWEEPS, fill_fractions
from skstruct.kernels.jit import kernel

SMALLEST = 1e-300  # the inverse of a smaller number may be infinite, and a smaller probability moves nothing


class Gains(NamedTuple):
    """Probabilities at the fixed point, by position in the sweep, slot of the batch, and edge."""

    belief: np.ndarray  # (n_nodes, 2) probabilities of the states of each node
    gain: np.ndarray  # (n_slots,) P(node of the slot is 1 | neighbour is 1) - P(node of the slot is 1 | neighbour is 0)
    pair: np.ndarray  # (n_edges, 4) probabilities of pairs; index ``2 * first state + second state``
    allowed: np.ndarray  # (n_graphs,) whether every node has an allowed state

    @classmethod
    def of(cls, topology):
        """Room for the probabilities of a batch."""
        t = topology
        return cls(
            np.empty((t.n_nodes, 2)), np.empty(2 * t.n_edges), np.empty((t.n_edges, 4)), np.ones(t.n_graphs, bool)
        )


class _Graph(NamedTuple):
    """One graph and its tangents."""

    bounds: np.ndarray  # (n_nodes, 3), as in `LocalLists`
    ends: np.ndarray  # (n_slots, 2), as in `LocalLists`
    rho: np.ndarray  # (n_slots,) weights
    gain: np.ndarray  # (n_slots,), as in `Gains`
    constant: np.ndarray  # (n_slots,) part of the tangent that the slot sends, from the derivative of the edge's scores
    node: np.ndarray  # (>= n_nodes,) derivatives of the scores, state 1 less state 0
    tangent: np.ndarray  # (>= n_slots,) of the message to the slot's node
    total: np.ndarray  # (>= n_nodes,) derivatives of log-odds
    dirty: np.ndarray  # (>= n_nodes,) bit 1: the node has news for its higher neighbours; bit 2: for the lower ones


@kernel
def _probability(log_odds):
    """Probability of state 1."""
    if log_odds < 0.0:
        odds = np.exp(log_odds)
        return odds / (1.0 + odds)
    return 1.0 / (1.0 + np.exp(-log_odds))


@kernel
def _difference(high, low):
    """Difference of two probabilities that are given as log-odds, precise also where both are close to 0 or to 1."""
    if high < low:
        return -_difference_of_ordered(low, high)
    return _difference_of_ordered(high, low)


@kernel
def _difference_of_ordered(high, low):
    return 0.0 if high == low else -_probability(high) * _probability(-low) * np.expm1(low - high)


@kernel
def _log_odds(one, zero):
    """Difference of two logarithms; nan if both are -inf."""
    if one == -np.inf and zero > -np.inf:
        return -np.inf
    return one - zero


@kernel
def fill_gains(lists, rho, scores, log_message, out):
    """Fill the `Gains` `out`; the matrices of ``scores.edge`` are rows of four, see `fill_conditionals`."""
    cavity, logs = np.empty(2), np.empty(2)
    for g in range(len(lists.node_ptr) - 1):
        first, first_node = 2 * lists.edge_ptr[g], lists.node_ptr[g]
        for p in range(first_node, lists.node_ptr[g + 1]):
            begin, stop = first + np.int64(lists.bounds[p, 0]), first + np.int64(lists.bounds[p, 2])
            for x in range(2):
                logs[x] = scores.node[lists.order[p], x]
                for s in range(begin, stop):
                    logs[x] += rho[s] * log_message[s, x]
            if logs[0] == -np.inf and logs[1] == -np.inf:
                out.allowed[g] = False
                break
            odds = _log_odds(logs[1], logs[0])
            out.belief[p, 0], out.belief[p, 1] = _probability(-odds), _probability(odds)
            for s in range(begin, stop):
                e, flip = scores.edge_matrix[lists.edge[s]], np.int64(lists.flipped[s])
                for x in range(2):
                    cavity[x] = logs[x] - log_message[s, x] if logs[x] > -np.inf else -np.inf  # never -inf - -inf
                # log-odds of this node, given the states 0 and 1 of the neighbour
                low = _log_odds(cavity[1] + scores.edge[e, 2 - flip], cavity[0] + scores.edge[e, 0])
                high = _log_odds(cavity[1] + scores.edge[e, 3], cavity[0] + scores.edge[e, 1 + flip])
                is_possible = low == low and high == high  # else the neighbour has one state, which does not change
                out.gain[s] = _difference(high, low) if is_possible else 0.0
                if not flip:  # until the neighbour's belief is known, probabilities given its state
                    pair = out.pair[lists.edge[s]]
                    pair[0], pair[2] = (_probability(-low), _probability(low)) if low == low else (0.0, 0.0)
                    pair[1], pair[3] = (_probability(-high), _probability(high)) if high == high else (0.0, 0.0)
        if not out.allowed[g]:
            continue
        for s in range(first, 2 * lists.edge_ptr[g + 1]):
            if not lists.flipped[s]:
                j, pair = first_node + np.int64(lists.ends[s, 1]), out.pair[lists.edge[s]]
                for k in range(4):
                    pair[k] *= out.belief[j, k % 2]


@kernel
def _sweeps(graph, fraction, most, tol):
    """Do as `_sweeps` in ``_message_tangents.py``."""
    bounds, ends, rho, gain, constant, node, tangent, total, dirty = graph
    n_nodes = len(bounds)
    change, sweep, n_sent, earlier = 0.0, 0, 0.0, np.inf
    last_node = np.uint64(max(n_nodes - 1, 0))
    while sweep < most:
        sweep += 1
        change, sum_of_changes = 0.0, 0.0
        for direction in range(2):
            bit = np.uint8(1 + direction)
            for step in range(np.uint64(n_nodes)):
                i = np.uint64(step) if direction == 0 else last_node - np.uint64(step)
                if not dirty[i] & bit:
                    continue
                dirty[i] &= ~bit
                begin, middle, stop = np.uint64(bounds[i, 0]), np.uint64(bounds[i, 1]), np.uint64(bounds[i, 2])
                first = middle if direction == 0 else begin
                last = stop if direction == 0 else middle
                if first == last:
                    continue
                n_sent += last - first
                own, left = node[i], 0.0
                for s in range(begin, stop):
                    own += rho[s] * tangent[s]
                if fraction[i] != 1.0:
                    step_of_total = fraction[i] * (own - total[i])
                    total[i] += step_of_total
                    left = abs(own - total[i])
                    own = total[i]
                    if left > tol:
                        dirty[i] = 3  # it has more to say; many small steps of a damped total add up
                for s in range(first, last):
                    r = ends[s, 0]
                    new = gain[s] * (own - tangent[s]) + constant[s]
                    moved = max(abs(new - tangent[r]), left)
                    tangent[r] = new
                    sum_of_changes += moved
                    change = max(change, moved)
                    dirty[ends[s, 1]] |= np.uint8(3) * np.uint8(moved > tol)
        if change <= tol:
            break
        if n_sent >= STAGNATION_SWEEPS * len(ends):
            if sum_of_changes > STAGNATION * earlier:
                break
            n_sent, earlier = 0.0, sum_of_changes
    return sweep, change


@kernel
def _settle(graph, settings, tol, fraction):
    """Do as `_settle` in ``_message_tangents.py``."""
    sweeps, change = 0, np.inf
    for attempt in range(2):
        if change <= tol:
            continue
        if sweeps < settings.max_iter:  # not where only a few nodes still move
            for s in range(len(graph.ends)):
                graph.tangent[s] = 0.0
            for i in range(len(graph.bounds)):
                graph.dirty[i], graph.total[i] = 3, graph.node[i]
        fill_fractions(graph.bounds, graph.rho, settings.damping, attempt, fraction)
        limit = sweeps + settings.max_iter
        while sweeps < limit:
            more, change = _sweeps(graph, fraction, limit - sweeps, tol)
            sweeps += more
            if change <= tol or attempt == 0:
                break
    return change <= tol


@kernel
def _mean_given(pair, change, x, by_columns):
    """Mean of the numbers `change` in a column or a row of the pairs, weighted by their probabilities."""
    a, b = (x, x + 2) if by_columns else (2 * x, 2 * x + 1)
    total = pair[a] + pair[b]
    return (pair[a] * change[a] + pair[b] * change[b]) / total if total > SMALLEST else 0.0


@kernel
def _node_changes(graph, belief, order, weight, out):
    """Fill the derivatives of log-odds, and write those of node marginals."""
    for i in range(len(graph.bounds)):
        total = graph.node[i]
        for s in range(np.uint64(graph.bounds[i, 0]), np.uint64(graph.bounds[i, 2])):
            total += graph.rho[s] * graph.tangent[s]
        graph.total[i] = total
        change = weight * belief[i, 0] * belief[i, 1] * total
        out[order[i], 0], out[order[i], 1] = -change, change


@kernel
def _pair_changes(graph, edges, flipped, pairs, direction, moves, weight, counts):
    """Add the derivatives of the pair counts; the mean of the edges' derivatives."""
    mean = 0.0
    for i in range(len(graph.bounds)):
        for s in range(np.uint64(graph.bounds[i, 0]), np.uint64(graph.bounds[i, 2])):
            if flipped[s]:
                continue  # counted at the first end of the edge
            e, r, j = edges[s], np.uint64(graph.ends[s, 0]), np.uint64(graph.ends[s, 1])
            row, pair = direction.edge_matrix[e], pairs[e]
            first, second = graph.total[i] - graph.tangent[s], graph.total[j] - graph.tangent[r]
            # changes of the logarithms of the states' probabilities, less their means
            zero, one = -(pair[2] + pair[3]) * first, (pair[0] + pair[1]) * first
            other_zero, other_one = -(pair[1] + pair[3]) * second, (pair[0] + pair[2]) * second
            counts[row, 0] += weight * pair[0] * (zero + other_zero)
            counts[row, 1] += weight * pair[1] * (zero + other_one)
            counts[row, 2] += weight * pair[2] * (one + other_zero)
            counts[row, 3] += weight * pair[3] * (one + other_one)
            if moves:
                moved, direct = direction.edge[row], 0.0
                for k in range(4):
                    direct += pair[k] * moved[k]
                for k in range(4):
                    counts[row, k] += weight * pair[k] * (moved[k] - direct)
                mean += graph.rho[s] * direct
    return mean


@kernel
def differentiate_two_states(lists, rho, settings, found, direction, moves, weights, mean, out, converged):
    """Do as `differentiate`; `found` are `Gains`, and matrices are rows of four."""
    n_graphs = len(lists.node_ptr) - 1
    most_nodes, most_slots = 0, 0
    for g in range(n_graphs):
        most_nodes = max(most_nodes, lists.node_ptr[g + 1] - lists.node_ptr[g])
        most_slots = max(most_slots, 2 * (lists.edge_ptr[g + 1] - lists.edge_ptr[g]))
    constant, tangent = np.zeros(most_slots), np.empty(most_slots)
    node, total = np.empty(most_nodes), np.empty(most_nodes)
    dirty, fraction = np.empty(most_nodes, np.uint8), np.empty(most_nodes)
    for g in range(n_graphs):
        if not found.allowed[g]:
            continue
        start, end = lists.node_ptr[g], lists.node_ptr[g + 1]
        first, stop = 2 * lists.edge_ptr[g], 2 * lists.edge_ptr[g + 1]
        order, edges, flipped = lists.order[start:end], lists.edge[first:stop], lists.flipped[first:stop]
        bounds, ends, belief = lists.bounds[start:end], lists.ends[first:stop], found.belief[start:end]
        graph = _Graph(bounds, ends, rho[first:stop], found.gain[first:stop], constant, node, tangent, total, dirty)
        largest, mean[g] = 0.0, 0.0
        for i in range(end - start):
            a, b = direction.node[order[i], 0], direction.node[order[i], 1]
            node[i] = b - a
            largest = max(largest, max(abs(a), abs(b)))
            mean[g] += belief[i, 0] * a + belief[i, 1] * b
        if moves:
            for s in range(stop - first):
                pair, change = found.pair[edges[s]], direction.edge[direction.edge_matrix[edges[s]]]
                columns = not flipped[s]
                constant[s] = _mean_given(pair, change, 1, columns) - _mean_given(pair, change, 0, columns)
                for k in range(4):
                    largest = max(largest, abs(change[k]))
        converged[g] = _settle(graph, settings, settings.tol * largest, fraction)
        if converged[g]:
            _node_changes(graph, belief, order, weights[g], out.node)
            mean[g] += _pair_changes(graph, edges, flipped, found.pair, direction, moves, weights[g], out.edge)
