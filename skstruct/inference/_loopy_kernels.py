"""Loopy belief propagation with probabilities: the fast kernels, for three states and more.

They accept graphs whose potentials lie in ``[SMALLEST_POTENTIAL, 1]``; the potential of a state of a node may also be 0
(forbidden). Then every message, scaled to maximum 1, is positive, and an entry of a product that underflows is too
small to matter. Only a product whose maximum underflows is wrong. A graph with such a product or such potentials is out
of range: its marginals are computed by ``_loopy_log.py``.

The records count nodes and slots from the start of their graph. Scratch arrays are as large as the largest graph, so
that the arrays of small graphs stay in the cache.
"""

from typing import NamedTuple

import numpy as np

from skstruct.inference._edge_potentials import exponentiate_edges
from skstruct.inference._loopy_log import FALLBACK_DAMPING
from skstruct.inference._message_passing import SMALLEST_POTENTIAL
from skstruct.kernels.jit import kernel
from skstruct.kernels.messages import add_pair, leave_one_out, pair_total, send, send_back, send_potts
from skstruct.kernels.powers import log_row
from skstruct.kernels.simd import exp_row

SMALLEST_SCORE = float(np.log(SMALLEST_POTENTIAL))
FEW_NEIGHBOURS = 20  # products of so few messages rarely need rescaling
SMALLEST_TOP = 1e-150  # a product, scaled after some factors, whose maximum falls below this has lost information


class _Graph(NamedTuple):
    """One graph and its messages. Slot ``s`` of node ``i`` has its cavity in row ``s + i``, see `_beliefs`."""

    bounds: np.ndarray  # (n_nodes, 3), as in `LocalLists`
    ends: np.ndarray  # (n_slots, 2), as in `LocalLists`
    matrix: np.ndarray  # (n_slots,) twice the number of a matrix, plus 1 if the sender's states are its columns
    node: np.ndarray  # (>= n_nodes, n_states) potentials
    message: np.ndarray  # (>= n_slots, n_states) to the slot's node, scaled to maximum 1
    dirty: np.ndarray  # (>= n_nodes,) bit 1: the node has news for its higher neighbours; bit 2: for the lower ones
    cavity: np.ndarray  # (>= n_slots + n_nodes, n_states) products of a node's potential and all messages but one


class Workspace(NamedTuple):
    """Where `propagate` has one graph at a time: the arrays of a `_Graph` that it fills.

    Python makes these arrays, because numba needs longer to compile an allocation than a loop.
    """

    matrix: np.ndarray
    node: np.ndarray
    message: np.ndarray
    dirty: np.ndarray
    cavity: np.ndarray
    widest: int  # most neighbours of a node

    @classmethod
    def of(cls, largest, widest, n_states):
        """Arrays for graphs of at most so many nodes and slots."""
        n_nodes, n_slots = largest
        matrix, dirty = np.empty(n_slots, np.uint32), np.empty(n_nodes, np.uint8)
        node, message, cavity = (np.empty((n, n_states)) for n in (n_nodes, n_slots, n_slots + n_nodes + widest))
        return cls(matrix, node, message, dirty, cavity, widest)


@kernel(borrows=True)
def _rescale(values):
    """Divide by the maximum, which is returned, unless it is 0."""
    top = 0.0
    for x in range(len(values)):
        top = max(top, values[x])
    if top == 0.0:
        return top
    inverse = 1.0 / top
    for x in range(len(values)):
        values[x] *= inverse
    return top


@kernel(borrows=True)
def _long_cavities(graph, i, first, last, at, rescale_every):
    """Do as `leave_one_out` with products that are rescaled after some factors; whether a product lost its maximum."""
    message, cavity = graph.message, graph.cavity
    begin, stop = np.int64(graph.bounds[i, 0]), np.int64(graph.bounds[i, 2])
    n_states, size, total = message.shape[1], last - first, cavity[at + last - first]
    lost = False
    for x in range(n_states):
        total[x] = graph.node[i, x]  # the running product
    factors = 0
    for s in range(begin, stop):
        if first <= s < last:
            continue
        for x in range(n_states):
            total[x] *= message[s, x]
        factors += 1
        if factors % rescale_every == 0:
            lost |= _rescale(total) < SMALLEST_TOP
    lost |= _rescale(total) < SMALLEST_TOP
    for x in range(n_states):
        cavity[at + size - 1, x] = 1.0
    for k in range(size - 1, 0, -1):
        for x in range(n_states):
            cavity[at + k - 1, x] = cavity[at + k, x] * message[first + k, x]
        if (size - k) % rescale_every == 0:
            lost |= _rescale(cavity[at + k - 1]) < SMALLEST_TOP
    for k in range(size):
        for x in range(n_states):
            cavity[at + k, x] *= total[x]
            total[x] *= message[first + k, x]
        lost |= _rescale(cavity[at + k]) < SMALLEST_TOP
        if (k + 1) % rescale_every == 0:
            lost |= _rescale(total) < SMALLEST_TOP
    return lost


@kernel(borrows=True)
def _sweeps(graph, matrices, settings, damping, longest, rescale, lanes):
    """Sweep a graph until no message moves by more than `tol`: sweeps, last change, whether it is out of range.

    Products of up to `longest` messages need no rescaling. If `rescale` is None, there are no others.
    """
    bounds, ends, matrix, node, message, dirty, cavity = graph
    potential, potts = matrices.potential, matrices.potts
    n_nodes, tol = len(bounds), settings.tol
    change, sweep = 0.0, 0
    for i in range(n_nodes):
        dirty[i] = 3
    while sweep < settings.max_iter:
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
                is_long = False
                if rescale is not None:
                    is_long = stop - begin > longest
                    if is_long and _long_cavities(graph, i, first, last, np.int64(0), max(longest // 2, 1)):
                        return sweep, change, True
                if not is_long:
                    leave_one_out(message, begin, first, last, stop, node, i, cavity, 0, lanes)
                for s in range(first, last):
                    k, r, number = s - first, np.int64(ends[s, 0]), np.int64(matrix[s] >> np.uint32(1))
                    if potts[number]:
                        other = potential[number, 0, 1]
                        gain = potential[number, 0, 0] - other
                        top, moved = send_potts(message, r, cavity, k, other, gain, damping, lanes)
                    elif matrix[s] & np.uint32(1):
                        top, moved = send_back(message, r, cavity, k, potential, number, damping, lanes)
                    else:
                        top, moved = send(message, r, cavity, k, potential, number, damping, lanes)
                    if not top >= SMALLEST_TOP:
                        return sweep, change, True
                    change = max(change, moved)
                    if moved > tol:
                        dirty[ends[s, 1]] = 3
        if change <= tol:
            break
    return sweep, change, False


@kernel(borrows=True)
def _log_sums(graph, i, at):
    """Log of the sum of node[i] * all messages, less that of ``cavity[at + k] * message`` of each slot."""
    message, n_states = graph.message, graph.message.shape[1]
    begin, stop = np.int64(graph.bounds[i, 0]), np.int64(graph.bounds[i, 2])
    log_z, belief = 0.0, graph.cavity[at + stop - begin]
    for x in range(n_states):
        belief[x] = graph.node[i, x]
    for s in range(begin, stop):
        total = 0.0
        for x in range(n_states):
            total += graph.cavity[at + s - begin, x] * message[s, x]
            belief[x] *= message[s, x]
        log_z += np.log(_rescale(belief)) - np.log(total)
    total = 0.0
    for x in range(n_states):
        total += belief[x]
    return log_z + np.log(total)


@kernel(borrows=True)
def _beliefs(graph, longest, rescale, order, node_out, lanes):
    """Beliefs and cavities; the log of the product of Z_i over the sums of its cavities, and if out of range.

    The cavity of slot s of node i is row s + i: the product of all messages follows those of a node's slots.
    """
    bounds, node, message, cavity = graph.bounds, graph.node, graph.message, graph.cavity
    n_states = message.shape[1]
    log_z = 0.0
    for i in range(len(bounds)):
        begin, stop = np.int64(bounds[i, 0]), np.int64(bounds[i, 2])
        at, belief = begin + i, stop + i
        short = True
        if rescale is not None:
            short = stop - begin <= longest
            if not short:
                if _long_cavities(graph, i, begin, stop, at, max(longest // 2, 1)):
                    return log_z, True
                log_z += _log_sums(graph, i, at)
        if short:
            leave_one_out(message, begin, begin, stop, stop, node, i, cavity, at, lanes)
        total = 0.0
        for x in range(n_states):
            total += cavity[belief, x]
        if short:
            log_z += (1 - (stop - begin)) * np.log(total)
        inverse = 1.0 / total
        for x in range(n_states):
            node_out[order[i], x] = cavity[belief, x] * inverse
    return log_z, False


@kernel(borrows=True)
def _pair_counts(graph, matrices, weight, keep, counts, lanes):
    """Add the pair counts of a graph; the sum of log(cavity_i psi cavity_j)."""
    bounds, ends, matrix, cavity, potential = graph.bounds, graph.ends, graph.matrix, graph.cavity, matrices.potential
    log_z = 0.0
    for i in range(len(bounds)):
        for s in range(np.int64(bounds[i, 0]), np.int64(bounds[i, 2])):
            number = np.int64(matrix[s] >> np.uint32(1))
            if matrix[s] & np.uint32(1) or number >= len(counts):
                continue  # counted at the first end of the edge
            first, second = s + i, np.int64(ends[s, 0]) + np.int64(ends[s, 1])
            total = pair_total(cavity, first, second, potential, number, lanes)
            log_z += np.log(total)
            add_pair(cavity, first, second, potential, number, weight / total, keep, counts, number, lanes)
    return log_z


@kernel(borrows=True)
def propagate(
    lists, settings, scores, weights, own_matrices, lanes, matrices, work, out, out_of_range, settled, rescale
):
    """Sum-product messages, then beliefs: Z_Bethe = prod_i Z_i prod_(i,j) q_i psi q_j.

    Z_i sums the belief of node i; q_i is the belief without j's message, divided by Z_i. Where each edge has a matrix
    of its own, potentials are kept in ``out.edge`` until counts replace them: large tables are read and written once.

    Parameters
    ----------
    lists : LocalLists
    settings : Settings
    scores : Scores
    weights : ndarray of shape (n_graphs,)
        Factors of the pair counts.
    own_matrices : bool
        Whether edge ``e`` is the only one with matrix ``e``.
    lanes : tuple
        From `simd.lanes`.
    matrices : EdgePotentials
        Output. Their array may be ``out.edge`` with `own_matrices`.
    work : Workspace
    out : Marginals
        Output. ``out.edge`` is overwritten with `own_matrices`, else added to.
    out_of_range : ndarray of shape (n_graphs,)
        Output: graphs whose marginals are not computed.
    settled : ndarray of shape (n_slots, n_states)
        Output: logarithms of the messages. If it has no row, it is not filled.
    rescale : True or None
        Whether products of messages are rescaled where necessary. None: numba leaves out the code for it.

    Returns
    -------
    refused : bool
        Whether nothing is computed, because a product of messages may need rescaling and `rescale` is None.
    """
    n_graphs, n_states, n_matrices = len(lists.node_ptr) - 1, scores.node.shape[1], len(scores.edge)
    matrix, node, message, dirty, cavity, widest = work
    exponentiate_edges(scores.edge, own_matrices, matrices, lanes)
    if rescale is None:
        lowest_in_range = -1e-3
        for e in range(n_matrices):
            if matrices.low[e] >= SMALLEST_SCORE:
                lowest_in_range = min(lowest_in_range, matrices.low[e])
        if widest > np.int64(SMALLEST_SCORE / lowest_in_range):
            return True
    keep = 0.0 if own_matrices else 1.0
    for g in range(n_graphs):
        start, end = lists.node_ptr[g], lists.node_ptr[g + 1]
        order, bounds = lists.order[start:end], lists.bounds[start:end]
        shift, lowest, lowest_node, possible = 0.0, 0.0, 0.0, True
        for i in range(end - start):
            node_top, node_low = exp_row(scores.node, order[i], node, i, lanes)
            shift += node_top
            lowest_node = min(lowest_node, node_low)
            possible &= node_top > -np.inf
        for e in range(lists.edge_ptr[g], lists.edge_ptr[g + 1]):
            row = scores.edge_matrix[e]
            shift += matrices.top[row]
            lowest = min(lowest, matrices.low[row])
        first_slot, n_slots = 2 * lists.edge_ptr[g], 2 * (lists.edge_ptr[g + 1] - lists.edge_ptr[g])
        for s in range(n_slots):
            row, flip = scores.edge_matrix[lists.edge[first_slot + s]], np.int64(lists.flipped[first_slot + s])
            matrix[s] = 2 * row + flip if own_matrices else 2 * (row + flip * n_matrices)
            for x in range(n_states):
                message[s, x] = 1.0
        if not possible:  # a node without an allowed state
            out_of_range[g] = False
            out.log_partition[g] = -np.inf
            continue
        out_of_range[g] = min(lowest, lowest_node) < SMALLEST_SCORE
        if out_of_range[g]:
            continue
        graph = _Graph(bounds, lists.ends[first_slot : first_slot + n_slots], matrix, node, message, dirty, cavity)
        longest = np.int64(SMALLEST_SCORE / min(lowest, -1e-3))
        for attempt in range(2):
            damping = settings.damping if attempt == 0 else max(settings.damping, FALLBACK_DAMPING)
            found = _sweeps(graph, matrices, settings, damping, longest, rescale, lanes)
            sweeps, out.residual[g], out_of_range[g] = found
            out.n_iter[g] += sweeps
            if out_of_range[g] or out.residual[g] <= settings.tol:
                break
        out.converged[g] = out.residual[g] <= settings.tol
        if out_of_range[g]:
            continue
        if len(settled):
            for s in range(n_slots):
                log_row(message, s, settled, first_slot + s, lanes)
        log_z, out_of_range[g] = _beliefs(graph, longest, rescale, order, out.node, lanes)
        if out_of_range[g]:
            continue
        out.log_partition[g] = shift + log_z
        out.log_partition[g] += _pair_counts(graph, matrices, weights[g], keep, out.edge, lanes)
    return False
