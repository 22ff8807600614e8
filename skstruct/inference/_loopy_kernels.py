"""Loopy belief propagation with probabilities: the fast kernels, for three states and more.

They take graphs whose potentials lie in ``[SMALLEST_POTENTIAL, 1]``, apart from forbidden states of nodes (0). Then
every message, scaled to maximum 1, is positive, and an entry of a product that underflows is too small to matter;
only a product that loses its maximum does, and its graph is left to the log-domain twin (``_loopy_log.py``).

Index arrays count nodes and slots from the start of their graph: ``bounds[i]`` are the first slot of a node, that of
its first higher neighbour, and the end; ``ends[s]`` are the slot at the other end of the edge, and the neighbour.
Scratch arrays are as large as the largest graph, so that those of small graphs stay in the cache.
"""

import numpy as np

from skstruct.inference._loopy_log import FALLBACK_DAMPING
from skstruct.inference._message_passing import SMALLEST_POTENTIAL
from skstruct.kernels.jit import kernel
from skstruct.kernels.simd import add_pair, exp_matrix, exp_row, leave_one_out, pair_total, send, send_back, send_potts

SMALLEST_SCORE = float(np.log(SMALLEST_POTENTIAL))
SMALLEST_TOP = 1e-150  # a product scaled on its way whose maximum falls below this has lost information


@kernel
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


@kernel
def _long_cavities(begin, first, last, stop, node, i, message, rescale_every, out, at):
    """Do as `leave_one_out`, with products that are scaled on their way; whether one lost its maximum."""
    n_states, size, total = node.shape[1], last - first, out[at + last - first]
    lost = False
    for x in range(n_states):
        total[x] = node[i, x]  # the running product
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
        out[at + size - 1, x] = 1.0
    for k in range(size - 1, 0, -1):
        for x in range(n_states):
            out[at + k - 1, x] = out[at + k, x] * message[first + k, x]
        if (size - k) % rescale_every == 0:
            lost |= _rescale(out[at + k - 1]) < SMALLEST_TOP
    for k in range(size):
        for x in range(n_states):
            out[at + k, x] *= total[x]
            total[x] *= message[first + k, x]
        lost |= _rescale(out[at + k]) < SMALLEST_TOP
        if (k + 1) % rescale_every == 0:
            lost |= _rescale(total) < SMALLEST_TOP
    return lost


@kernel
def _sweeps(n_nodes, bounds, ends, matrix, damping, max_iter, tol, longest,
            node, potential, potts, message, dirty, cavity, lanes):  # fmt: skip
    """Sweep one graph until no message moves by more than `tol`: sweeps, last change, whether it is unsafe.

    dirty[i] has bit 1 set while i has news for its higher neighbours, bit 2 for the lower ones; matrix[s] is twice
    the number of a matrix, plus 1 if the sender's states are its columns.
    """
    change, sweep = 0.0, 0
    for i in range(n_nodes):
        dirty[i] = 3
    while sweep < max_iter:
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
                if stop - begin <= longest:
                    leave_one_out(message, begin, first, last, stop, node, i, cavity, 0, lanes)
                elif _long_cavities(
                    begin, first, last, stop, node, i, message, max(longest // 2, 1), cavity, np.int64(0)
                ):
                    return sweep, change, True
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


@kernel
def _log_sums(begin, stop, node, i, message, cavity, at):
    """Log of the sum of node[i] * all messages, less that of ``cavity[at + s - begin] * message[s]`` of each slot."""
    n_states = node.shape[1]
    log_z, belief = 0.0, cavity[at + stop - begin]
    for x in range(n_states):
        belief[x] = node[i, x]
    for s in range(begin, stop):
        total = 0.0
        for x in range(n_states):
            total += cavity[at + s - begin, x] * message[s, x]
            belief[x] *= message[s, x]
        log_z += np.log(_rescale(belief)) - np.log(total)
    total = 0.0
    for x in range(n_states):
        total += belief[x]
    return log_z + np.log(total)


@kernel
def _beliefs(start, n_nodes, order, bounds, longest, node, message, cavity, node_out, lanes):
    """Beliefs and, per slot, the belief without its message; the log of Z_i without the slots' share; if unsafe.

    The cavity of slot s of node i is row s + i: the product of all messages follows those of a node's slots.
    """
    n_states = node.shape[1]
    log_z = 0.0
    for i in range(n_nodes):
        begin, stop = np.int64(bounds[i, 0]), np.int64(bounds[i, 2])
        at, belief = begin + i, stop + i
        short = stop - begin <= longest
        if short:
            leave_one_out(message, begin, begin, stop, stop, node, i, cavity, at, lanes)
        else:
            if _long_cavities(begin, begin, stop, stop, node, i, message, max(longest // 2, 1), cavity, at):
                return log_z, True
            log_z += _log_sums(begin, stop, node, i, message, cavity, at)
        total = 0.0
        for x in range(n_states):
            total += cavity[belief, x]
        if short:
            log_z += (1 - (stop - begin)) * np.log(total)
        inverse = 1.0 / total
        for x in range(n_states):
            node_out[order[start + i], x] = cavity[belief, x] * inverse
    return log_z, False


@kernel
def _pair_counts(n_nodes, bounds, ends, matrix, rows, edges, flipped, weight, potential, keep, cavity, counts, lanes):
    """Add the pair counts of a graph; the sum of log(cavity_i psi cavity_j)."""
    log_z = 0.0
    for i in range(n_nodes):
        for s in range(np.int64(bounds[i, 0]), np.int64(bounds[i, 2])):
            if flipped[s]:
                continue
            row, number = np.int64(rows[edges[s]]), np.int64(matrix[s] >> np.uint32(1))
            mine, other = s + i, np.int64(ends[s, 0]) + np.int64(ends[s, 1])
            total = pair_total(cavity, mine, other, potential, number, lanes)
            log_z += np.log(total)
            add_pair(cavity, mine, other, potential, number, weight / total, keep, counts, row, lanes)
    return log_z


@kernel
def _potentials(edge, own_matrices, potential, top, low, potts, lanes):
    """Exponentiate the matrices and, unless each has one edge only, append their transposes."""
    n_matrices, n_states = len(edge), edge.shape[1]
    for e in range(n_matrices):
        top[e], low[e] = exp_matrix(edge, e, potential, lanes)
        potts[e] = n_states > 2
        for x in range(n_states):
            if not potts[e]:
                break
            for y in range(n_states):
                potts[e] &= potential[e, x, y] == (potential[e, 0, 0] if x == y else potential[e, 0, 1])
        if not own_matrices:
            potts[n_matrices + e] = potts[e]
            for x in range(n_states):
                for y in range(n_states):
                    potential[n_matrices + e, y, x] = potential[e, x, y]


@kernel
def propagate(
    node_ptr, edge_ptr, order, bounds, ends, edges, flipped, damping, max_iter, tol,
    node_scores, edge, rows, weights, own_matrices, lanes,
    log_partition, node_out, counts, n_iter, residual, converged, unsafe,
):  # fmt: skip
    """Sum-product messages, then beliefs: Z_Bethe = prod_i Z_i prod_(i,j) q_i psi q_j.

    Z_i sums the belief of node i; q_i is the belief without j's message, divided by Z_i.

    Where each edge has a matrix of its own, potentials are kept in `counts`, which take their place in
    the end: large tables are read and written once.
    """
    n_graphs, n_states = len(node_ptr) - 1, node_scores.shape[1]
    most_nodes, most_slots, widest = 0, 0, np.int64(0)
    for g in range(n_graphs):
        most_nodes = max(most_nodes, node_ptr[g + 1] - node_ptr[g])
        most_slots = max(most_slots, 2 * (edge_ptr[g + 1] - edge_ptr[g]))
    for i in range(len(bounds)):
        widest = max(widest, np.int64(bounds[i, 2]) - np.int64(bounds[i, 0]))
    node, dirty = np.empty((most_nodes, n_states)), np.empty(most_nodes, np.uint8)
    message, matrix = np.empty((most_slots, n_states)), np.empty(most_slots, np.uint32)
    cavity = np.empty((most_slots + most_nodes + widest, n_states))
    n_matrices = len(edge)
    potential = counts if own_matrices else np.empty((2 * n_matrices, n_states, n_states))
    top, low, potts = np.empty(n_matrices), np.empty(n_matrices), np.empty(len(potential), np.bool_)
    _potentials(edge, own_matrices, potential, top, low, potts, lanes)
    keep = 0.0 if own_matrices else 1.0
    for g in range(n_graphs):
        start, size = node_ptr[g], node_ptr[g + 1] - node_ptr[g]
        shift, lowest, lowest_node, possible = 0.0, 0.0, 0.0, True
        for i in range(size):
            node_top, node_low = exp_row(node_scores, order[start + i], node, i, lanes)
            shift += node_top
            lowest_node = min(lowest_node, node_low)
            possible &= node_top > -np.inf
        for e in range(edge_ptr[g], edge_ptr[g + 1]):
            shift += top[rows[e]]
            lowest = min(lowest, low[rows[e]])
        unsafe[g] = possible and min(lowest, lowest_node) < SMALLEST_SCORE
        first_slot, n_slots = 2 * edge_ptr[g], 2 * (edge_ptr[g + 1] - edge_ptr[g])
        for s in range(n_slots):
            e, flip = rows[edges[first_slot + s]], np.int64(flipped[first_slot + s])
            matrix[s] = 2 * e + flip if own_matrices else 2 * (e + flip * n_matrices)
            for x in range(n_states):
                message[s, x] = 1.0
        mine, its = bounds[start : start + size], ends[first_slot : first_slot + n_slots]
        longest = np.int64(SMALLEST_SCORE / min(lowest, -1e-3))  # factors whose product needs no scaling
        if not possible:  # a node without an allowed state
            log_partition[g] = -np.inf
        if possible and not unsafe[g]:
            for attempt in range(2):
                mix = damping if attempt == 0 else max(damping, FALLBACK_DAMPING)
                sweeps, residual[g], unsafe[g] = _sweeps(
                    size, mine, its, matrix, mix, max_iter, tol, longest,
                    node, potential, potts, message, dirty, cavity, lanes,
                )  # fmt: skip
                n_iter[g] += sweeps
                if unsafe[g] or residual[g] <= tol:
                    break
            converged[g] = residual[g] <= tol
        if possible and not unsafe[g]:
            log_z, unsafe[g] = _beliefs(start, size, order, mine, longest, node, message, cavity, node_out, lanes)
            log_partition[g] = shift + log_z
        if possible and not unsafe[g]:
            log_partition[g] += _pair_counts(
                size, mine, its, matrix, rows, edges[first_slot : first_slot + n_slots],
                flipped[first_slot : first_slot + n_slots], weights[g], potential, keep, cavity, counts, lanes,
            )  # fmt: skip
