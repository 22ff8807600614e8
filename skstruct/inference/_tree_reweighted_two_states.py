"""Tree-reweighted belief propagation for two states: a message is one number, the ratio of its two entries.

The kernels do the same as those in ``_tree_reweighted_kernels.py``, for the same graphs. Messages are scaled such that
the entry of state 0 is 1.
"""

from typing import NamedTuple

import numpy as np

from skstruct.inference._damping import OSCILLATION, STAGNATION, STAGNATION_SWEEPS, fill_fractions, halve_fractions
from skstruct.inference._tree_reweighted_bound import REST
from skstruct.inference._tree_reweighted_kernels import LOWEST
from skstruct.kernels.jit import kernel
from skstruct.kernels.powers import log_row
from skstruct.kernels.simd import ONE_LANE, exp_row, lanes

TWO_LANES, FOUR_LANES = lanes(2), lanes(4)
LOWEST_ROOTED = -40.0  # ratios of messages, raised to powers that sum to 4, are within exp(160) of 1
WIDEST = 500.0  # with square roots, scores of a node that are further apart are moved to this distance: e^-340 is lost


class _Graph(NamedTuple):
    """One graph and its messages."""

    bounds: np.ndarray  # (n_nodes, 3), as in `LocalLists`
    ends: np.ndarray  # (n_slots, 2), as in `LocalLists`
    rho: np.ndarray  # (n_slots,), as in `Orders`
    row: np.ndarray  # (n_slots,) number of the edge's matrix
    flipped: np.ndarray  # (n_slots,), as in `LocalLists`
    sent: np.ndarray  # (>= n_slots, 4) potentials; index ``2 * own state + other state``
    node: np.ndarray  # (>= n_nodes, 2) scores, less the maximum of the node
    odds: np.ndarray  # (>= n_nodes,) potential of state 1 over that of state 0, for square roots
    ratio: np.ndarray  # (>= n_slots, 1) the message to the slot's node: entry of state 1 over that of state 0
    log_ratio: np.ndarray  # (>= n_slots, 1)
    belief: np.ndarray  # (>= n_nodes, 2)
    held: np.ndarray  # (>= n_nodes,) damped log-odds of state 1
    dirty: np.ndarray  # (>= n_nodes,) bit 1: the node has news for its higher neighbours; bit 2: for the lower ones


class TwoStateWorkspace(NamedTuple):
    """Where `propagate_weighted_two_states` has one graph at a time, and the potentials; see `Workspace`."""

    node: np.ndarray
    belief: np.ndarray
    marginals: np.ndarray  # (>= n_nodes, 2) of the nodes, in one order
    total: np.ndarray  # (>= n_nodes, 2) of the centres of stars
    centres: np.ndarray  # (>= n_nodes, 2), too
    ratio: np.ndarray
    log_ratio: np.ndarray
    passed: np.ndarray  # as `ratio`, for the passes in an order
    log_passed: np.ndarray
    sent: np.ndarray
    odds: np.ndarray
    fraction: np.ndarray  # (>= n_nodes,) by which log-beliefs move
    held: np.ndarray
    dirty: np.ndarray
    place: np.ndarray  # (>= n_nodes,) of each node in an order
    row: np.ndarray
    potential: np.ndarray  # (n_matrices, 4)
    top: np.ndarray  # (n_matrices,) largest score
    low: np.ndarray  # (n_matrices,) lowest score less the largest
    one: np.ndarray  # (1, 1) scratch space
    two: np.ndarray  # (1, 2) scratch space

    @classmethod
    def of(cls, largest, n_matrices):
        """Arrays for graphs of at most so many nodes and slots."""
        n_nodes, n_slots = largest
        nodes, messages, sent = np.empty((5, n_nodes, 2)), np.empty((4, n_slots, 1)), np.empty((n_slots, 4))
        of_nodes = *np.empty((3, n_nodes)), np.empty(n_nodes, np.uint8), np.empty(n_nodes, np.int64)
        of_matrices = np.empty((n_matrices, 4)), *np.empty((2, n_matrices))
        rest = np.empty(n_slots, np.int64), *of_matrices, np.empty((1, 1)), np.empty((1, 2))
        return cls._make([*nodes, *messages, sent, *of_nodes, *rest])


@kernel(borrows=True)
def _rooted_odds(graph, i, begin, stop):
    """Odds of state 1 of node `i`, where all weights are 1, 1/2 or 1/4."""
    whole, half, quarter = graph.odds[i], 1.0, 1.0
    for s in range(begin, stop):
        weight = graph.rho[s]
        if weight == 0.5:
            half *= graph.ratio[s, 0]
        elif weight == 1.0:
            whole *= graph.ratio[s, 0]
        else:
            quarter *= graph.ratio[s, 0]
    return whole * np.sqrt(half if quarter == 1.0 else half * np.sqrt(quarter))


@kernel(borrows=True)
def _received(graph, begin, stop):
    """Log of the product of the messages of some slots, to the power of their weights; that of state 0 is 0."""
    total = 0.0
    for s in range(begin, stop):
        total += graph.rho[s] * graph.log_ratio[s, 0]
    return total


@kernel(borrows=True)
def _sweeps(graph, fraction, most, tol, stagnation, rooted):
    """Sweep until no message moves by more than `tol`, or changes stagnate, at most `most` times: sweeps, last change.

    The node sends ``(a * psi[0, y] + b * psi[1, y] / ratio[s])``; multiplied by ``ratio[s]``, nothing is divided twice.
    """
    bounds, ends, rho, _, _, sent, node, _, ratio, log_ratio, _, held, dirty = graph
    n_nodes = len(bounds)
    change, sweep, n_sent, earlier = 0.0, 0, 0.0, np.inf
    last_node = np.uint64(max(n_nodes - 1, 0))
    while sweep < most:
        sweep += 1
        change, total = 0.0, 0.0
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
                left = 0.0
                if rooted:  # as `_rooted_odds`; a call would take as long as a message
                    whole, half, quarter = graph.odds[i], 1.0, 1.0
                    for s in range(begin, stop):
                        if rho[s] == 0.5:
                            half *= ratio[s, 0]
                        elif rho[s] == 1.0:
                            whole *= ratio[s, 0]
                        else:
                            quarter *= ratio[s, 0]
                    a, b = 1.0, whole * np.sqrt(half if quarter == 1.0 else half * np.sqrt(quarter))
                else:
                    odds = node[i, 1] - node[i, 0]
                    for s in range(begin, stop):
                        odds += rho[s] * log_ratio[s, 0]
                    if fraction[i] != 1.0 and abs(odds) < np.inf:
                        held[i] += fraction[i] * (odds - held[i])
                        left = abs(1.0 / (1.0 + np.exp(-odds)) - 1.0 / (1.0 + np.exp(-held[i])))
                        change = max(change, left)
                        if left > tol:
                            dirty[i] = 3  # it has more to say; many small steps of a damped belief add up
                        odds = held[i]
                    a, b = (1.0, np.exp(odds)) if odds <= 0.0 else (np.exp(-odds), 1.0)
                for s in range(first, last):
                    r, own = ends[s, 0], a * ratio[s, 0]
                    new = (sent[s, 1] * own + sent[s, 3] * b) / (sent[s, 0] * own + sent[s, 2] * b)
                    old = ratio[r, 0]
                    ratio[r, 0] = new
                    if not rooted:
                        log_row(ratio, r, log_ratio, r, ONE_LANE)
                    moved = abs(new - old) / max(max(new, old), 1.0)
                    total += moved
                    change = max(change, moved)
                    dirty[ends[s, 1]] |= np.uint8(3) * np.uint8(moved > tol or left > tol)
        if change <= tol:
            break
        if n_sent >= STAGNATION_SWEEPS * len(ends):
            if total > stagnation * earlier:
                break
            n_sent, earlier = 0.0, total
    return sweep, change


@kernel(borrows=True)
def _settle(graph, settings, rooted, fraction):
    """Sweep, then again with damping, from the same messages as the other kernels: sweeps, last change."""
    sweeps, change = 0, np.inf
    for i in range(len(graph.bounds)):
        graph.dirty[i] = 3
    for attempt in range(2):
        if change <= settings.tol:
            continue
        if attempt > 0 and sweeps < settings.max_iter:
            for i in range(len(graph.bounds)):
                graph.dirty[i] = 3
            for s in range(len(graph.ends)):
                graph.ratio[s, 0], graph.log_ratio[s, 0] = 1.0, 0.0
        elif attempt > 0 and rooted:
            for s in range(len(graph.ends)):
                log_row(graph.ratio, s, graph.log_ratio, s, ONE_LANE)
        rooted &= attempt == 0
        if not rooted:
            for i in range(len(graph.bounds)):
                begin, stop = np.uint64(graph.bounds[i, 0]), np.uint64(graph.bounds[i, 2])
                graph.held[i] = graph.node[i, 1] - graph.node[i, 0] + _received(graph, begin, stop)
        fill_fractions(graph.bounds, graph.rho, settings.damping, attempt, fraction)
        limit, stagnation = sweeps + settings.max_iter, STAGNATION if attempt == 0 else OSCILLATION
        while sweeps < limit:
            more, change = _sweeps(graph, fraction, limit - sweeps, settings.tol, stagnation, rooted)
            sweeps += more
            if change <= settings.tol or attempt == 0:
                break
            halve_fractions(len(graph.bounds), fraction)
    return sweeps, change


@kernel(borrows=True)
def _down(graph, order, place, share, settled, rooted, scratch):
    """Eliminate the nodes, the last one first: log of the bound. Fills the graph's beliefs, and overwrites messages."""
    bounds, ends, rho, _, _, sent, node, _, ratio, log_ratio, belief, _, _ = graph
    bound = 0.0
    for step in range(len(order) - 1, -1, -1):
        i = np.int64(order[step])
        begin, stop = np.uint64(bounds[i, 0]), np.uint64(bounds[i, 2])
        if rooted:
            peak, a, b = max(node[i, 0], node[i, 1] - WIDEST), 1.0, _rooted_odds(graph, i, begin, stop)
            a = 0.0 if node[i, 0] == -np.inf else a  # exact zeros for forbidden states
            b = 0.0 if node[i, 1] == -np.inf else b
        else:
            second = node[i, 1] + _received(graph, begin, stop)
            peak = max(node[i, 0], second)
            a, b = np.exp(node[i, 0] - peak), np.exp(second - peak)
        belief[i, 0], belief[i, 1] = a, b
        rest = 1.0
        for s in range(begin, stop):
            if place[ends[s, 1]] > step:
                continue
            r, own = np.int64(ends[s, 0]), a * ratio[s, 0]
            low = sent[s, 0] * own + sent[s, 2] * b
            scratch[0, 0] = low / ratio[s, 0]
            log_row(scratch, 0, scratch, 0, ONE_LANE)
            bound += share[step] * (peak + scratch[0, 0])
            rest -= share[step]
            ratio[r, 0] = (sent[s, 1] * own + sent[s, 3] * b) / low
            if not rooted:
                log_row(ratio, r, log_ratio, r, ONE_LANE)
                log_ratio[r, 0] = settled[r, 0] + share[step] / rho[s] * (log_ratio[r, 0] - settled[r, 0])
        if abs(rest) > REST:
            bound += rest * (peak + np.log(a + b))
    return bound


@kernel(borrows=True)
def _to_centres(graph, total, marginals, scratch):
    """Eliminate the leaves of all stars: mean of the logs of the bounds, and the marginals of the centres.

    Fills the graph's beliefs, and `total`, (n_nodes, 2), with the log-beliefs of the centres.
    """
    bounds, ends, _, _, _, sent, node, _, ratio, log_ratio, belief, _, _ = graph
    bound = 0.0
    for i in range(len(bounds)):
        total[i, 0] = node[i, 0]
        total[i, 1] = node[i, 1] + _received(graph, np.uint64(bounds[i, 0]), np.uint64(bounds[i, 2]))
        peak = max(total[i, 0], total[i, 1])
        belief[i, 0], belief[i, 1] = np.exp(total[i, 0] - peak), np.exp(total[i, 1] - peak)
        bound += (len(bounds) - 1) * peak
    for i in range(len(bounds)):
        for s in range(np.uint64(bounds[i, 0]), np.uint64(bounds[i, 2])):
            r, j, own = np.int64(ends[s, 0]), np.int64(ends[s, 1]), belief[i, 0] * ratio[s, 0]
            low = sent[s, 0] * own + sent[s, 2] * belief[i, 1]
            scratch[0, 0], scratch[0, 1] = low / ratio[s, 0], (sent[s, 1] * own + sent[s, 3] * belief[i, 1]) / low
            log_row(scratch, 0, scratch, 0, TWO_LANES)
            bound += scratch[0, 0]
            total[j, 1] += scratch[0, 1] - log_ratio[r, 0]
    for i in range(len(bounds)):
        peak = max(total[i, 0], total[i, 1])
        a, b = np.exp(total[i, 0] - peak), np.exp(total[i, 1] - peak)
        marginals[i, 0], marginals[i, 1] = a / (a + b), b / (a + b)
        bound += peak + np.log(a + b)
    return bound / len(bounds)


@kernel(borrows=True)
def _up(graph, centres, star, order, place, share, weight, fraction, marginals, counts):
    """Derivative of the bound, as in the other kernels: node marginals, and pair counts that are added."""
    picked, unpicked = (centres, centres) if star else (marginals, graph.belief)
    bounds, ends, rho, row, flipped, sent, _, _, ratio, _, belief, _, _ = graph
    for step in range(len(order)):
        i = np.int64(order[step])
        begin, stop, earlier = np.int64(bounds[i, 0]), np.int64(bounds[i, 2]), 0
        for s in range(begin, stop):
            earlier += place[ends[s, 1]] < step
        pick = min(share[step], 1.0 / max(earlier, 1))  # less than the share if weights are no probabilities
        rest = max(1.0 - earlier * pick, 0.0) / (unpicked[i, 0] + unpicked[i, 1])
        first, second = rest * unpicked[i, 0], rest * unpicked[i, 1]
        for s in range(begin, stop):
            if place[ends[s, 1]] > step:
                continue
            j, own, b = np.int64(ends[s, 1]), belief[i, 0] * ratio[s, 0], belief[i, 1]
            p = picked[j, 0] / (own * sent[s, 0] + b * sent[s, 2])
            q = picked[j, 1] / (own * sent[s, 1] + b * sent[s, 3])
            both_0, own_1, other_1, both_1 = (
                own * sent[s, 0] * p,
                b * sent[s, 2] * p,
                own * sent[s, 1] * q,
                b * sent[s, 3] * q,
            )
            first += pick * (both_0 + other_1)
            second += pick * (own_1 + both_1)
            factor, e, flip = weight * fraction * share[step] / rho[s], row[s], np.int64(flipped[s])
            counts[e, 0] += factor * both_0
            counts[e, 1 + flip] += factor * other_1
            counts[e, 2 - flip] += factor * own_1
            counts[e, 3] += factor * both_1
        marginals[i, 0], marginals[i, 1] = first, second


@kernel(borrows=True)
def _exponentiate(edge, potential, top, low):
    """Potentials of the matrices, their largest score, and the lowest score less the largest."""
    for e in range(len(edge)):
        top[e], low[e] = exp_row(edge, e, potential, e, FOUR_LANES)


@kernel(borrows=True)
def _load(graph, order, node_scores):
    """Fill the node scores of a graph and start its messages: sum of the maxima, -inf if a node has no state."""
    constant = 0.0
    for i in range(len(graph.bounds)):
        a, b = node_scores[order[i], 0], node_scores[order[i], 1]
        top = max(a, b)
        constant += top
        graph.node[i, 0], graph.node[i, 1] = a - top, b - top
        graph.odds[i] = np.exp(min(max(b - a, -WIDEST), WIDEST))
    for s in range(len(graph.ends)):
        graph.ratio[s, 0], graph.log_ratio[s, 0] = 1.0, 0.0
    return constant


@kernel(borrows=True)
def propagate_weighted_two_states(lists, orders, settings, scores, weights, work, out, out_of_range, settled):
    """Do as `propagate_weighted`; the matrices of ``scores.edge`` and ``out.edge`` are rows of four."""
    node, belief, marginals, total, centres, ratio, log_ratio, passed, log_passed, sent = work[:10]
    odds, fraction, held, dirty, place, rows, potential, top, low, one, two = work[10:]
    _exponentiate(scores.edge, potential, top, low)
    for g in range(len(lists.node_ptr) - 1):
        start, end = lists.node_ptr[g], lists.node_ptr[g + 1]
        first, stop = 2 * lists.edge_ptr[g], 2 * lists.edge_ptr[g + 1]
        n, order = end - start, lists.order[start:end]
        bounds, ends, rho, flipped = (
            lists.bounds[start:end],
            lists.ends[first:stop],
            orders.rho[first:stop],
            lists.flipped[first:stop],
        )
        graph = _Graph(bounds, ends, rho, rows, flipped, sent, node, odds, ratio, log_ratio, belief, held, dirty)
        passing = _Graph(bounds, ends, rho, rows, flipped, sent, node, odds, passed, log_passed, belief, held, dirty)
        constant, lowest = _load(graph, order, scores.node), 0.0
        for s in range(stop - first):
            e, flip = scores.edge_matrix[lists.edge[first + s]], np.int64(flipped[s])
            rows[s] = e
            sent[s, 0], sent[s, 3] = potential[e, 0], potential[e, 3]
            sent[s, 1], sent[s, 2] = potential[e, 1 + flip], potential[e, 2 - flip]
            constant += 0.5 * rho[s] * top[e]
            lowest = min(lowest, low[e])
        if constant == -np.inf:  # a node without an allowed state
            out.log_partition[g] = -np.inf
            continue
        out_of_range[g] = lowest < LOWEST
        if out_of_range[g]:
            continue
        rooted = orders.rooted[g] and settings.damping == 0.0 and lowest >= LOWEST_ROOTED
        if len(settled) or not orders.exact[g]:
            sweeps, change = _settle(graph, settings, rooted, fraction)
            if not orders.exact[g]:
                out.n_iter[g], out.residual[g] = sweeps, change
        if len(settled):
            for s in range(stop - first):
                settled[first + s, 0], settled[first + s, 1] = 0.0, np.log(ratio[s, 0])
        number, star = orders.number[g], orders.star[g]
        for k in range(number):
            steps = slice(orders.ptr[g] + k * n, orders.ptr[g] + (k + 1) * n)
            visit, share = orders.node[steps], orders.share[steps]
            for step in range(n):
                place[visit[step]] = -1 if star else step
            for s in range(stop - first):
                passed[s, 0], log_passed[s, 0] = ratio[s, 0], log_ratio[s, 0]
            if star:
                bound, elimination = _to_centres(graph, total, centres, two), graph
            else:
                bound, elimination = _down(passing, visit, place, share, log_ratio, rooted, one), passing
            out.log_partition[g] += (constant + bound) / number
            _up(elimination, centres, star, visit, place, share, weights[g], 1.0 / number, marginals, out.edge)
            for i in range(n):
                out.node[order[i], 0] += marginals[i, 0] / number
                out.node[order[i], 1] += marginals[i, 1] / number
