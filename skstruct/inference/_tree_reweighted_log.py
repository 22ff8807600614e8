"""Tree-reweighted belief propagation in the log domain, in plain loops: for any legal scores.

The algorithm is that of ``_tree_reweighted_kernels.py``. A message is -inf where a state has no allowed partner. Such a
state is impossible, so that removing it keeps the bound.
"""

from typing import NamedTuple

import numpy as np

from skstruct.inference._damping import OSCILLATION, STAGNATION, STAGNATION_SWEEPS, fill_fractions, halve_fractions
from skstruct.inference._log_domain import log_sum, scale_log
from skstruct.inference._tree_reweighted_bound import REST
from skstruct.kernels.jit import kernel

LEAST_SUM = 1e-250  # the terms that a sum loses to underflow are below rounding while the sum is above this


class _Graph(NamedTuple):
    """One graph and its messages, as in the fast kernels."""

    bounds: np.ndarray  # (n_nodes, 3)
    ends: np.ndarray  # (n_slots, 2)
    rho: np.ndarray  # (n_slots,)
    edge: np.ndarray  # (n_slots,)
    flipped: np.ndarray  # (n_slots,)
    node: np.ndarray  # (n_nodes, n_states) scores
    log_message: np.ndarray  # (n_slots, n_states) maximum 0; -inf: the state has no partner


@kernel
def _belief(graph, i, out):
    """Log-belief of node `i`."""
    for x in range(len(out)):
        out[x] = graph.node[i, x]
        for s in range(graph.bounds[i, 0], graph.bounds[i, 2]):
            out[x] += graph.rho[s] * graph.log_message[s, x]


@kernel
def _pair_scores(graph, scores, s, out):
    """Scores of the edge of slot `s`; rows are the states of the slot's node."""
    e = scores.edge_matrix[graph.edge[s]]
    for x in range(len(out)):
        for y in range(len(out)):
            out[x, y] = scores.edge[e, y, x] if graph.flipped[s] else scores.edge[e, x, y]


@kernel
def _send(belief, message, pair, cavity, out):
    """Message ``out[y] = log sum_x exp(cavity[x] + pair[x, y])``, scaled to maximum 0; returns the maximum before.

    ``cavity = belief - message`` is filled, too.
    """
    n_states, top = len(belief), -np.inf
    for x in range(n_states):
        cavity[x] = belief[x] - message[x] if belief[x] > -np.inf else -np.inf  # never -inf - -inf
        top = max(top, cavity[x])
    for y in range(n_states):
        best, total = -np.inf, 0.0
        for x in range(n_states):
            best = max(best, cavity[x] + pair[x, y])
        if best > -np.inf:
            for x in range(n_states):
                total += np.exp(cavity[x] + pair[x, y] - best)
            best += np.log(total)
        out[y] = best
    return scale_log(out)


@kernel
def _move_belief(held, belief, fraction):
    """Move a log-belief by a fraction of its change, in both arrays; the change that is left, of the scaled belief."""
    top, held_top, left = -np.inf, -np.inf, 0.0
    for x in range(len(held)):
        top = max(top, belief[x])
        held[x] = held[x] + fraction * (belief[x] - held[x]) if belief[x] > -np.inf else -np.inf
        held_top = max(held_top, held[x])
    if top == -np.inf:
        return 0.0
    for x in range(len(held)):
        left = max(left, abs(np.exp(held[x] - held_top) - np.exp(belief[x] - top)))
        belief[x] = held[x]
    return left


@kernel
def _sweeps(graph, scores, held, fraction, most, tol, stagnation):
    """Sweep until no message moves by more than `tol` or changes stagnate, at most `most` times; sweeps, change."""
    n_nodes, n_states = graph.node.shape
    belief, cavity, out, pair = (
        np.empty(n_states),
        np.empty(n_states),
        np.empty(n_states),
        np.empty((n_states, n_states)),
    )
    change, sweep, earlier = 0.0, 0, np.inf
    while sweep < most:
        sweep += 1
        change, total = 0.0, 0.0
        for direction in range(2):
            for step in range(n_nodes):
                i = step if direction == 0 else n_nodes - 1 - step
                first, last = graph.bounds[i, 0], graph.bounds[i, 1]
                if direction == 0:
                    first, last = graph.bounds[i, 1], graph.bounds[i, 2]
                if first == last:
                    continue
                _belief(graph, i, belief)
                if fraction[i] < 1.0:
                    change = max(change, _move_belief(held[i], belief, fraction[i]))
                for s in range(first, last):
                    _pair_scores(graph, scores, s, pair)
                    _send(belief, graph.log_message[s], pair, cavity, out)
                    old, moved = graph.log_message[graph.ends[s, 0]], 0.0
                    for x in range(n_states):
                        moved = max(moved, abs(np.exp(out[x]) - np.exp(old[x])))
                        old[x] = out[x]
                    total += moved
                    change = max(change, moved)
        if change <= tol:
            break
        if sweep % STAGNATION_SWEEPS == 0:
            if total > stagnation * earlier:
                break
            earlier = total
    return sweep, change


@kernel
def _settle(graph, scores, settings):
    """Sweep, then again with damping, from the same messages as the fast kernels: sweeps, last change."""
    fraction, held = np.empty(len(graph.node)), np.empty_like(graph.node)
    sweeps, change = 0, np.inf
    for attempt in range(2):
        if change <= settings.tol:
            continue
        if attempt > 0 and sweeps < settings.max_iter:
            for s in range(len(graph.ends)):
                for x in range(held.shape[1]):
                    graph.log_message[s, x] = 0.0
        for i in range(len(held)):
            _belief(graph, i, held[i])
        fill_fractions(graph.bounds, graph.rho, settings.damping, attempt, fraction)
        limit, stagnation = sweeps + settings.max_iter, STAGNATION if attempt == 0 else OSCILLATION
        while sweeps < limit:
            more, change = _sweeps(graph, scores, held, fraction, limit - sweeps, settings.tol, stagnation)
            sweeps += more
            if change <= settings.tol or attempt == 0:
                break
            halve_fractions(len(held), fraction)
    return sweeps, change


@kernel
def _down(graph, scores, order, place, share, sent, beliefs):
    """Eliminate the nodes, the last one first: log of the bound. Fills `sent`, (n_slots, n_states), and `beliefs`."""
    n_states, bound = graph.node.shape[1], 0.0
    cavity, pair = np.empty(n_states), np.empty((n_states, n_states))
    for step in range(len(order) - 1, -1, -1):
        i, rest = order[step], 1.0
        belief = beliefs[i]
        for x in range(n_states):
            belief[x] = graph.node[i, x]
        for s in range(graph.bounds[i, 0], graph.bounds[i, 2]):
            later = place[graph.ends[s, 1]] - step
            part = share[place[graph.ends[s, 1]]] if later > 0 else 0.0
            for x in range(n_states):
                if graph.log_message[s, x] == -np.inf or (later > 0 and sent[s, x] == -np.inf):
                    belief[x] = -np.inf
                else:
                    belief[x] += (graph.rho[s] - part) * graph.log_message[s, x]
                    if later > 0:
                        belief[x] += part * sent[s, x]
        for s in range(graph.bounds[i, 0], graph.bounds[i, 2]):
            if place[graph.ends[s, 1]] < step:
                _pair_scores(graph, scores, s, pair)
                bound += share[step] * _send(belief, graph.log_message[s], pair, cavity, sent[graph.ends[s, 0]])
                rest -= share[step]
        total = log_sum(belief)
        if total == -np.inf:
            return total
        if abs(rest) > REST:
            bound += rest * total
    return bound


@kernel
def _to_centres(graph, scores, beliefs, marginals):
    """Eliminate the leaves of all stars: mean of the logs of the bounds, and the marginals of the centres."""
    n_nodes, n_states = graph.node.shape
    cavity, out, pair = np.empty(n_states), np.empty(n_states), np.empty((n_states, n_states))
    bound = 0.0
    for i in range(n_nodes):
        _belief(graph, i, beliefs[i])
        for x in range(n_states):
            marginals[i, x] = beliefs[i, x]
    for i in range(n_nodes):
        for s in range(graph.bounds[i, 0], graph.bounds[i, 2]):
            _pair_scores(graph, scores, s, pair)
            r, j = graph.ends[s, 0], graph.ends[s, 1]
            top = _send(beliefs[i], graph.log_message[s], pair, cavity, out)
            if top == -np.inf:
                return top
            bound += top
            for x in range(n_states):
                if graph.log_message[r, x] > -np.inf:  # else the belief is -inf, too
                    marginals[j, x] += out[x] - graph.log_message[r, x]
    for i in range(n_nodes):
        total = log_sum(marginals[i])
        if total == -np.inf:
            return total
        for x in range(n_states):
            marginals[i, x] = np.exp(marginals[i, x] - total)
        bound += total
    return bound / n_nodes


@kernel
def _up(graph, scores, centres, star, order, place, share, beliefs, weight, fraction, marginals, counts):
    """Derivative of the bound, as in the other kernels: node marginals, and pair counts that are added."""
    n_states, picked = graph.node.shape[1], centres if star else marginals
    cavity, out, pair = np.empty(n_states), np.empty(n_states), np.empty((n_states, n_states))
    for step in range(len(order)):
        i, earlier = order[step], 0
        for s in range(graph.bounds[i, 0], graph.bounds[i, 2]):
            earlier += place[graph.ends[s, 1]] < step
        pick, total = min(share[step], 1.0 / max(earlier, 1)), log_sum(beliefs[i])
        for x in range(n_states):
            rest = max(1.0 - earlier * pick, 0.0)
            marginals[i, x] = rest * (centres[i, x] if star else np.exp(beliefs[i, x] - total))
        for s in range(graph.bounds[i, 0], graph.bounds[i, 2]):
            if place[graph.ends[s, 1]] > step:
                continue
            j, e = graph.ends[s, 1], scores.edge_matrix[graph.edge[s]]
            _pair_scores(graph, scores, s, pair)
            top = _send(beliefs[i], graph.log_message[s], pair, cavity, out)
            for y in range(n_states):
                if picked[j, y] == 0.0:
                    continue
                for x in range(n_states):
                    joint = picked[j, y] * np.exp(cavity[x] + pair[x, y] - out[y] - top)
                    marginals[i, x] += pick * joint
                    first, second = (y, x) if graph.flipped[s] else (x, y)
                    counts[e, first, second] += weight * fraction * share[step] / graph.rho[s] * joint


@kernel
def propagate_weighted_log(lists, orders, settings, graphs, scores, weights, out, settled):
    """Fill the `Marginals` `out` for some graphs, as the fast kernels do."""
    n_states = scores.node.shape[1]
    for g in graphs:
        start, end = lists.node_ptr[g], lists.node_ptr[g + 1]
        first_slot, end_slot = 2 * lists.edge_ptr[g], 2 * lists.edge_ptr[g + 1]
        n, order = end - start, lists.order[start:end]
        node, log_message = np.empty((n, n_states)), np.zeros((end_slot - first_slot, n_states))
        for i in range(n):
            for x in range(n_states):
                node[i, x] = scores.node[order[i], x]
        graph = _Graph(
            lists.bounds[start:end],
            lists.ends[first_slot:end_slot],
            orders.rho[first_slot:end_slot],
            lists.edge[first_slot:end_slot],
            lists.flipped[first_slot:end_slot],
            node,
            log_message,
        )
        if len(settled) or not orders.exact[g]:
            sweeps, change = _settle(graph, scores, settings)
            if not orders.exact[g]:
                out.n_iter[g], out.residual[g] = sweeps, change
        if len(settled):
            for s in range(end_slot - first_slot):
                for x in range(n_states):
                    settled[first_slot + s, x] = log_message[s, x]
        sent, beliefs = np.empty_like(log_message), np.empty_like(node)
        marginals, centres = np.empty_like(node), np.empty_like(node)
        place, number, star = np.empty(n, np.int64), orders.number[g], orders.star[g]
        for k in range(number):
            steps = slice(orders.ptr[g] + k * n, orders.ptr[g] + (k + 1) * n)
            visit, share = orders.node[steps], orders.share[steps]
            for step in range(n):
                place[visit[step]] = -1 if star else step
            if star:
                bound = _to_centres(graph, scores, beliefs, centres)
            else:
                bound = _down(graph, scores, visit, place, share, sent, beliefs)
            out.log_partition[g] += bound / number
            if bound == -np.inf:
                break
            args = visit, place, share, beliefs, weights[g], 1.0 / number, marginals, out.edge
            _up(graph, scores, centres, star, *args)
            for i in range(n):
                for x in range(n_states):
                    out.node[order[i], x] += marginals[i, x] / number
