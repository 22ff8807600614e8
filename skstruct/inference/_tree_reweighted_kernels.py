"""Tree-reweighted belief propagation with probabilities: the fast kernels, for three states and more.

With weights ``rho`` of the edges and edge potentials ``psi = exp(score / rho)``, scaled to maximum 1, node `i` has the
belief ``b_i = exp(score_i) prod_s m_s ** rho_s``, a product over its slots. The message that it sends to the neighbour
of slot `s` is ``sum_x b_i(x) / m_s(x) psi(x, y)``, scaled to maximum 1. Powers are computed by
logarithms, and by square roots where all weights are 1, 1/2 or 1/4, as on grids, which takes half the time. The bound
and its derivative follow from the messages, see ``_tree_reweighted_bound.py``.

Graphs are accepted if the logarithms of their potentials are at least `LOWEST`. Then everything that underflows is too
small to matter: beliefs below 1e-308 are divided by messages above 1e-140 and compete with sums above 1e-140.
"""

from typing import NamedTuple

import numpy as np

from skstruct.inference._damping import OSCILLATION, STAGNATION, STAGNATION_SWEEPS, fill_fractions, halve_fractions
from skstruct.inference._edge_potentials import exponentiate_edges
from skstruct.inference._tree_reweighted_bound import pass_down, pass_to_centres, pass_up
from skstruct.kernels.jit import kernel
from skstruct.kernels.messages import send_any
from skstruct.kernels.powers import divide_row, log_row, rooted_belief, weighted_belief, weighted_sum
from skstruct.kernels.simd import exp_row

LOWEST = -322.0  # log of 1e-140
LOWEST_ROOTED = -85.0  # a product of 8 messages is a normal number before its root is computed


class _Graph(NamedTuple):
    """One graph and its messages. The last row of the messages is scratch space."""

    bounds: np.ndarray  # (n_nodes, 3), as in `LocalLists`
    ends: np.ndarray  # (n_slots, 2), as in `LocalLists`
    rho: np.ndarray  # (n_slots,), as in `Orders`
    number: np.ndarray  # (n_slots,) of the matrix
    form: np.ndarray  # (n_slots,) of the matrix, as in `send_any`: 0 if the sender's states are its rows
    node: np.ndarray  # (>= n_nodes, n_states) scores, less the maximum of the node
    potential: np.ndarray  # (>= n_nodes, n_states) their exponentials
    message: np.ndarray  # (> n_slots, n_states) to the slot's node, scaled to maximum 1
    log_message: np.ndarray  # (> n_slots, n_states)
    belief: np.ndarray  # (>= n_nodes, n_states)
    held: np.ndarray  # (>= n_nodes, n_states) damped log-beliefs
    cavity: np.ndarray  # (3, n_states) scratch space
    dirty: np.ndarray  # (>= n_nodes,) bit 1: the node has news for its higher neighbours; bit 2: for the lower ones


class Workspace(NamedTuple):
    """Where `propagate_weighted` has one graph at a time: the arrays of a `_Graph` that it fills, and more.

    Python makes these arrays, because numba needs longer to compile an allocation than a loop.
    """

    node: np.ndarray
    potential: np.ndarray
    belief: np.ndarray
    held: np.ndarray
    marginals: np.ndarray  # (>= n_nodes, n_states) of the nodes, in one order
    message: np.ndarray
    log_message: np.ndarray
    passed: np.ndarray  # as `message`, for the passes in an order; without rows if each graph has one order
    log_passed: np.ndarray
    dirty: np.ndarray
    fraction: np.ndarray  # (>= n_nodes,) by which log-beliefs move
    place: np.ndarray  # (>= n_nodes,) of each node in an order
    number: np.ndarray
    form: np.ndarray
    cavity: np.ndarray

    @classmethod
    def of(cls, largest, several_orders, n_states):
        """Arrays for graphs of at most so many nodes and slots."""
        n_nodes, n_slots = largest
        nodes, messages = np.empty((5, n_nodes, n_states)), np.ones((2, n_slots + 1, n_states))
        passed = np.ones((2, n_slots + 1 if several_orders else 0, n_states))
        dirty, fraction, place = np.empty(n_nodes, np.uint8), np.empty(n_nodes), np.empty(n_nodes, np.int64)
        matrix, cavity = np.empty((2, n_slots), np.int64), np.empty((3, n_states))
        return cls._make([*nodes, *messages, *passed, dirty, fraction, place, *matrix, cavity])


@kernel(borrows=True)
def _move_belief(graph, i, begin, stop, fraction, lanes):
    """Move the log-belief of node `i` by a fraction of its change; the change that is left, of the scaled belief."""
    node, log_message, belief, held, cavity = graph.node, graph.log_message, graph.belief, graph.held, graph.cavity
    n_states, left = node.shape[1], 0.0
    weighted_sum(node, i, log_message, begin, stop, graph.rho, belief, lanes)
    exp_row(belief, i, cavity, 0, lanes)
    for x in range(n_states):
        if belief[i, x] > -np.inf:  # never -inf - -inf
            held[i, x] += fraction * (belief[i, x] - held[i, x])
    exp_row(held, i, belief, i, lanes)
    for x in range(n_states):
        left = max(left, abs(belief[i, x] - cavity[0, x]))
    return left


@kernel(borrows=True)
def _sweeps(graph, matrices, fraction, most, tol, stagnation, rooted, lanes):
    """Sweep until no message moves by more than `tol`, or changes stagnate, at most `most` times: sweeps, last change.

    The log-belief of node `i` moves by ``fraction[i]`` of its change; with `rooted`, all fractions must be 1.

    Changes stagnate if their sum does not fall below the fraction `stagnation` of the former sum while as many messages
    are sent as in a few complete sweeps. The largest change is no measure: on large graphs a few strong changes travel
    far, and their neighbours only wait.
    """
    bounds, ends, rho, number, form, node, potential, message, log_message, belief, _, cavity, dirty = graph
    psi, n_nodes = matrices.potential, len(bounds)
    change, sweep, n_sent, earlier = 0.0, 0, 0.0, np.inf
    while sweep < most:
        sweep += 1
        change, total = 0.0, 0.0
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
                left, before = 0.0, np.int64(ends[first, 0])
                if rooted:
                    rooted_belief(potential, i, message, begin, stop, rho, belief, lanes)
                elif fraction[i] == 1.0:
                    weighted_belief(node, i, log_message, begin, stop, rho, belief, lanes)
                else:
                    left = _move_belief(graph, i, begin, stop, fraction[i], lanes)
                    if left > tol:
                        dirty[i] = 3  # it has more to say
                for s in range(first, last):
                    r = np.int64(ends[s, 0])
                    divide_row(belief, i, message, s, cavity, 0, lanes)
                    _, moved = send_any(message, r, cavity, 0, psi, number[s], form[s], lanes)
                    if not rooted and s > first:  # one message later: its registers, which overlap, are in memory
                        log_row(message, before, log_message, before, lanes)
                    before = r
                    moved = max(moved, left)  # many small steps of a damped belief add up
                    total += moved
                    change = max(change, moved)
                    if moved > tol:
                        dirty[ends[s, 1]] = 3
                if not rooted:
                    log_row(message, before, log_message, before, lanes)
        if change <= tol:
            break
        if n_sent >= STAGNATION_SWEEPS * len(ends):
            if total > stagnation * earlier:
                break
            n_sent, earlier = 0.0, total
    return sweep, change


@kernel(borrows=True)
def _start(graph, rooted):
    """Let all messages be uniform, and all nodes have news. Logarithms are not read if roots are sufficient."""
    for i in range(len(graph.bounds)):
        graph.dirty[i] = 3
    for s in range(len(graph.ends)):
        for x in range(graph.message.shape[1]):
            graph.message[s, x] = 1.0
    for s in range(0 if rooted else len(graph.ends)):
        for x in range(graph.message.shape[1]):
            graph.log_message[s, x] = 0.0


@kernel(borrows=True)
def _settle(graph, matrices, settings, rooted, fraction, lanes):
    """Sweep, then again with damping: sweeps, last change.

    If changes stagnate, damped sweeps start anew, because messages that oscillate are far from the fixed point. If
    sweeps end before that, only a few nodes still move, and damped sweeps continue. Where changes do not decrease in
    damped sweeps, these continue with smaller steps.
    """
    sweeps, change = 0, np.inf
    for attempt in range(2):
        if change <= settings.tol:
            continue
        had_roots = rooted
        rooted &= attempt == 0
        if attempt > 0 and sweeps < settings.max_iter:
            _start(graph, rooted)
        elif attempt > 0 and had_roots:
            for s in range(len(graph.ends)):
                log_row(graph.message, s, graph.log_message, s, lanes)
        if not rooted:
            for i in range(len(graph.bounds)):
                begin, stop = np.int64(graph.bounds[i, 0]), np.int64(graph.bounds[i, 2])
                weighted_sum(graph.node, i, graph.log_message, begin, stop, graph.rho, graph.held, lanes)
        fill_fractions(graph.bounds, graph.rho, settings.damping, attempt, fraction)
        limit, stagnation = sweeps + settings.max_iter, STAGNATION if attempt == 0 else OSCILLATION
        while sweeps < limit:
            most = limit - sweeps
            more, change = _sweeps(graph, matrices, fraction, most, settings.tol, stagnation, rooted, lanes)
            sweeps += more
            if change <= settings.tol or attempt == 0:
                break
            halve_fractions(len(graph.bounds), fraction)
    return sweeps, change


@kernel(borrows=True)
def _load(graph, order, node_scores):
    """Fill the node scores of a graph: sum of the maxima, -inf if a node has no state."""
    constant = 0.0
    for i in range(len(graph.bounds)):
        top = -np.inf
        for x in range(node_scores.shape[1]):
            top = max(top, node_scores[order[i], x])
        constant += top
        for x in range(node_scores.shape[1]):
            graph.node[i, x] = node_scores[order[i], x] - top
    return constant


@kernel(borrows=True)
def propagate_weighted(
    lists, orders, settings, stars, scores, weights, own_matrices, lanes, matrices, work, out, out_of_range, settled
):
    """Messages, the bound, and its derivative, for graphs whose potentials are in range.

    Parameters
    ----------
    lists : LocalLists
    orders : Orders
    settings : Settings
    stars : ndarray of shape (n_graphs,) or None
        ``orders.star``. None: no graph has stars, and numba leaves out the code for them.
    scores : Scores
        Edge scores are divided by the weights of their edges.
    weights : ndarray of shape (n_graphs,)
        Factors of the pair counts.
    own_matrices : bool
        Whether edge ``e`` is the only one with matrix ``e``. ``out.edge`` is ``scores.edge`` then. Potentials, and
        later counts, replace the scores; counts of a graph that is out of range are not filled.
    lanes : tuple
        From `simd.lanes`.
    matrices : EdgePotentials
        Output. Their array may be ``out.edge`` with `own_matrices` and one order for each graph: each potential is then
        read before counts replace it.
    work : Workspace
    out : Marginals
        Output, which is added to. Pair counts are those of the matrices of `scores`.
    out_of_range : ndarray of shape (n_graphs,)
        Output: graphs whose marginals are not computed.
    settled : ndarray of shape (n_slots, n_states)
        Output: logarithms of the messages. If it has no row, it is not filled.
    """
    n_graphs, n_states, n_matrices = len(lists.node_ptr) - 1, scores.node.shape[1], len(scores.edge)
    node, potential, belief, held, marginals, message, log_message, passed, log_passed = work[:9]
    dirty, fraction, place, number, form, cavity = work[9:]
    several_orders = len(passed) > 0
    if not several_orders:
        passed, log_passed = message, log_message
    exponentiate_edges(scores.edge, own_matrices, matrices, lanes)
    for g in range(n_graphs):
        start, end = lists.node_ptr[g], lists.node_ptr[g + 1]
        first_slot, end_slot = 2 * lists.edge_ptr[g], 2 * lists.edge_ptr[g + 1]
        n, order = end - start, lists.order[start:end]
        bounds, ends, rho = lists.bounds[start:end], lists.ends[first_slot:end_slot], orders.rho[first_slot:end_slot]
        flipped, rest = lists.flipped[first_slot:end_slot], (belief, held, cavity, dirty)
        graph = _Graph(bounds, ends, rho, number, form, node, potential, message, log_message, *rest)
        passing = _Graph(bounds, ends, rho, number, form, node, potential, passed, log_passed, *rest)
        constant, lowest = _load(graph, order, scores.node), 0.0
        for s in range(end_slot - first_slot):
            row = scores.edge_matrix[lists.edge[first_slot + s]]
            number[s], form[s] = row, np.int64(flipped[s])
            if not own_matrices and flipped[s]:
                number[s], form[s] = n_matrices + row, 0
            if matrices.potts[row]:
                form[s] = 2
            constant += 0.5 * rho[s] * matrices.top[row]
            lowest = min(lowest, matrices.low[row])
        if constant == -np.inf:  # a node without an allowed state
            out.log_partition[g] = -np.inf
            continue
        out_of_range[g] = lowest < LOWEST
        if out_of_range[g]:
            continue
        rooted = orders.rooted[g] and settings.damping == 0.0 and lowest >= LOWEST_ROOTED
        _start(graph, rooted)
        for i in range(n if rooted else 0):
            exp_row(node, i, potential, i, lanes)
        if len(settled) or not orders.exact[g]:
            sweeps, change = _settle(graph, matrices, settings, rooted, fraction, lanes)
            if not orders.exact[g]:
                out.n_iter[g], out.residual[g] = sweeps, change
        if len(settled):
            for s in range(end_slot - first_slot):
                log_row(message, s, settled, first_slot + s, lanes)
        n_orders, star = orders.number[g], False
        if stars is not None:
            star = stars[g]
        for k in range(n_orders):
            steps = slice(orders.ptr[g] + k * n, orders.ptr[g] + (k + 1) * n)
            visit, share = orders.node[steps], orders.share[steps]
            for step in range(n):
                place[visit[step]] = -1 if star else step
            if several_orders:
                for s in range(end_slot - first_slot):
                    for x in range(n_states):
                        passed[s, x], log_passed[s, x] = message[s, x], log_message[s, x]
            keep = 0.0 if own_matrices and k == 0 else 1.0
            bound, elimination = 0.0, passing
            if not star:
                bound = pass_down(passing, matrices, visit, place, share, log_message, rooted, lanes)
            if stars is not None and star:
                bound, elimination = pass_to_centres(graph, matrices, passed, log_passed, held, lanes), graph
                if own_matrices:  # each edge is in two stars
                    keep = 1.0
                    for e in range(lists.edge_ptr[g], lists.edge_ptr[g + 1]):
                        for x in range(n_states):
                            for y in range(n_states):
                                out.edge[e, x, y] = 0.0
            out.log_partition[g] += (constant + bound) / n_orders
            args = visit, place, share, weights[g], 1.0 / n_orders, keep, marginals, out.edge, lanes
            pass_up(elimination, matrices, flipped, passed, held, star, *args)
            for i in range(n):
                for x in range(n_states):
                    out.node[order[i], x] += marginals[i, x] / n_orders
