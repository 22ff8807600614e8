"""Loopy belief propagation with probabilities: the fast kernels.

They take graphs whose potentials lie in ``[SMALLEST_POTENTIAL, 1]``, apart from forbidden states of nodes (0). Then
every message, scaled to maximum 1, is positive, and an entry of a product that underflows is too small to matter;
only a product that loses its maximum does, and its graph is left to the log-domain twin (``_loopy_log.py``).
"""

import numpy as np

from skstruct._jit import kernel
from skstruct.inference._loopy_log import FALLBACK_DAMPING

SMALLEST_TOP = 1e-150  # a product scaled on its way whose maximum falls below this has lost information
RESCALE_EVERY = 2  # factors of at least 1e-75 between two rescalings
LARGEST_RATIO = 1e150  # of the potentials of a node with two states, one of them forbidden


@kernel
def _rescale(values):
    """Divide by the maximum, which is returned."""
    top = 0.0
    for x in range(len(values)):
        top = max(top, values[x])
    inverse = 1.0 / top
    for x in range(len(values)):
        values[x] *= inverse
    return top


@kernel(fastmath={"contract", "reassoc"})
def _send(edge, row, transposed, is_potts, cavity, k, out):
    """Out = potential @ cavity[k], or cavity[k] @ potential if transposed; the maximum of `out` is returned."""
    n_states = len(out)
    if is_potts:  # all entries equal but the diagonal: O(n_states)
        other, gain, total = edge[row, 0, 1], edge[row, 0, 0] - edge[row, 0, 1], 0.0
        for x in range(n_states):
            total += cavity[k, x]
        for x in range(n_states):
            out[x] = other * total + gain * cavity[k, x]
    elif transposed:
        q = cavity[k, 0]
        for y in range(n_states):
            out[y] = q * edge[row, 0, y]
        for x in range(1, n_states):
            q = cavity[k, x]
            for y in range(n_states):
                out[y] += q * edge[row, x, y]
    else:
        for y in range(n_states):
            total = 0.0
            for x in range(n_states):
                total += edge[row, y, x] * cavity[k, x]
            out[y] = total
    top = out[0]
    for x in range(1, n_states):
        top = max(top, out[x])
    return top


@kernel
def _cavities(first, last, begin, stop, node, i, message, rescale_every, without):
    """without[s - first] = node[i] * all messages in slots [begin, stop) but s, for s in [first, last).

    Products of prefix and suffix: no division. Returns whether a product lost its maximum.
    """
    n_states, size = node.shape[1], last - first
    lost = False
    for x in range(n_states):
        without[size, x] = node[i, x]  # row `size` holds the running product
    factors = 0
    for s in range(begin, stop):
        if first <= s < last:
            continue
        for x in range(n_states):
            without[size, x] *= message[s, x]
        factors += 1
        if factors % rescale_every == 0:
            lost |= _rescale(without[size]) < SMALLEST_TOP
    if factors > 1:
        lost |= _rescale(without[size]) < SMALLEST_TOP
    for x in range(n_states):
        without[size - 1, x] = 1.0
    for k in range(size - 1, 0, -1):
        for x in range(n_states):
            without[k - 1, x] = without[k, x] * message[first + k, x]
        if (size - k) % rescale_every == 0:
            lost |= _rescale(without[k - 1]) < SMALLEST_TOP
    for k in range(size):
        for x in range(n_states):
            without[k, x] *= without[size, x]
        if k < size - 1:
            for x in range(n_states):
                without[size, x] *= message[first + k, x]
            if (k + 1) % rescale_every == 0:
                lost |= _rescale(without[size]) < SMALLEST_TOP
    return lost


@kernel
def _sweeps(start, end, order, ptr, middle, neighbour, edges, reverse, flipped, damping, max_iter, tol,
            node, edge, rows, potts, rescale_every, message, dirty, without, out):  # fmt: skip
    """Sweep one graph until no message moves by more than `tol`: sweeps, last change, whether it is unsafe.

    dirty[i] has bit 1 set while i has news for its higher neighbours, bit 2 for the lower ones.
    """
    n_states = node.shape[1]
    change, sweep = 0.0, 0
    for i in range(start, end):
        dirty[i] = 3
    while sweep < max_iter:
        sweep += 1
        change = 0.0
        for direction in range(2):
            bit = 1 + direction
            for step in range(end - start):
                i = start + step if direction == 0 else end - 1 - step
                if not dirty[i] & bit:
                    continue
                dirty[i] &= 3 - bit
                first = middle[i] if direction == 0 else ptr[i]
                last = ptr[i + 1] if direction == 0 else middle[i]
                if first == last:
                    continue
                if _cavities(first, last, ptr[i], ptr[i + 1], node, order[i], message, rescale_every, without):
                    return sweep, change, True
                for s in range(first, last):
                    row = rows[edges[s]]
                    top = _send(edge, row, not flipped[s], potts[row], without, s - first, out)
                    if top < SMALLEST_TOP:
                        return sweep, change, True
                    inverse, moved, r = 1.0 / top, 0.0, reverse[s]
                    for x in range(n_states):
                        old = message[r, x]
                        new = out[x] * inverse
                        new += damping * (old - new)
                        moved = max(moved, abs(new - old))
                        message[r, x] = new
                    change = max(change, moved)
                    if moved > tol:
                        dirty[neighbour[s]] = 3
        if change <= tol:
            break
    return sweep, change, False


@kernel
def _sweeps_two_states(start, end, ptr, middle, neighbour, edges, reverse, flipped, damping, max_iter, tol,
                       node_ratio, edge, rows, ratio, dirty, suffix):  # fmt: skip
    """`_sweeps` for two states: a message is one number, the ratio of its two entries."""
    change, sweep = 0.0, 0
    for i in range(start, end):
        dirty[i] = 3
    while sweep < max_iter:
        sweep += 1
        change = 0.0
        for direction in range(2):
            bit = 1 + direction
            for step in range(end - start):
                i = start + step if direction == 0 else end - 1 - step
                if not dirty[i] & bit:
                    continue
                dirty[i] &= 3 - bit
                begin, split, stop = ptr[i], middle[i], ptr[i + 1]
                first = split if direction == 0 else begin
                last = stop if direction == 0 else split
                if first == last:
                    continue
                product = node_ratio[i]
                for s in range(begin, first):
                    product *= ratio[s]
                for s in range(last, stop):
                    product *= ratio[s]
                behind = 1.0
                for s in range(last - 1, first - 1, -1):
                    suffix[s - first] = behind
                    behind *= ratio[s]
                for s in range(first, last):
                    q = product * suffix[s - first]
                    product *= ratio[s]
                    psi = edge[rows[edges[s]]]
                    off = psi[1, 0] if flipped[s] else psi[0, 1]
                    back = psi[0, 1] if flipped[s] else psi[1, 0]
                    new = (off + psi[1, 1] * q) / (psi[0, 0] + back * q)
                    if not (1.0 / LARGEST_RATIO < new < LARGEST_RATIO):  # also nan
                        return sweep, change, True
                    r = reverse[s]
                    old = ratio[r]
                    if damping > 0.0:
                        new = _damped(old, new, damping)
                    moved = abs(new - old) / max(new, old, 1.0)
                    if new < 1.0 and old < 1.0:
                        moved = abs(new - old)
                    ratio[r] = new
                    change = max(change, moved)
                    if moved > tol:
                        dirty[neighbour[s]] = 3
        if change <= tol:
            break
    return sweep, change, False


@kernel
def _damped(old, new, damping):
    """Mix two messages that are given as ratios, each scaled to maximum 1 first."""
    old_scale, new_scale = damping / max(old, 1.0), (1.0 - damping) / max(new, 1.0)
    return (new_scale * new + old_scale * old) / (new_scale + old_scale)


@kernel
def _settle(start, end, order, ptr, middle, neighbour, edges, reverse, flipped, damping, max_iter, tol,
            node, edge, rows, potts, rescale_every, message, dirty, without, out,
            node_ratio, ratio, suffix):  # fmt: skip
    """Sweep one graph, damped if it does not converge: sweeps, last change, whether it is unsafe."""
    n_iter, change, lost = 0, 0.0, False
    for attempt in range(2):
        mix = damping if attempt == 0 else max(damping, FALLBACK_DAMPING)
        if node.shape[1] == 2:
            sweeps, change, lost = _sweeps_two_states(
                start, end, ptr, middle, neighbour, edges, reverse, flipped, mix, max_iter, tol,
                node_ratio, edge, rows, ratio, dirty, suffix,
            )  # fmt: skip
        else:
            sweeps, change, lost = _sweeps(
                start, end, order, ptr, middle, neighbour, edges, reverse, flipped, mix, max_iter, tol,
                node, edge, rows, potts, rescale_every, message, dirty, without, out,
            )  # fmt: skip
        n_iter += sweeps
        if lost or change <= tol:
            break
    if node.shape[1] == 2 and not lost:
        for s in range(ptr[start], ptr[end]):
            message[s, 0] = 1.0 / max(ratio[s], 1.0)
            message[s, 1] = ratio[s] / max(ratio[s], 1.0)
    return n_iter, change, lost


@kernel
def _node_beliefs(start, end, order, ptr, node, message, rescale_every, cavity, without, node_out):
    """Beliefs and, per slot, the belief without its message, divided by Z_i; the sum of log Z_i; if unsafe."""
    n_states = node.shape[1]
    log_z, lost = 0.0, False
    for i in range(start, end):
        begin, stop = ptr[i], ptr[i + 1]
        belief = node_out[order[i]]
        belief[:] = node[order[i]]
        for s in range(begin, stop):
            for x in range(n_states):
                belief[x] *= message[s, x]
            if (s - begin + 1) % rescale_every == 0:
                top = _rescale(belief)
                lost |= top < SMALLEST_TOP
                log_z += np.log(top)
        total = belief.sum()
        lost |= total < SMALLEST_TOP
        log_z += np.log(total)
        for x in range(n_states):
            belief[x] /= total
        if begin == stop:
            continue
        lost |= _cavities(begin, stop, begin, stop, node, order[i], message, rescale_every, without)
        for s in range(begin, stop):
            total = 0.0
            for x in range(n_states):
                total += without[s - begin, x] * message[s, x]
            lost |= total < SMALLEST_TOP
            for x in range(n_states):
                cavity[s, x] = without[s - begin, x] / total
    return log_z, lost


@kernel(fastmath={"contract", "reassoc"})
def _pair_counts(start, end, ptr, edges, reverse, flipped, edge, rows, weight, cavity, counts):
    """Add the pair counts of a graph, without the edges' potentials; the sum of log(q_i psi q_j)."""
    n_states = cavity.shape[1]
    log_z = 0.0
    for s in range(ptr[start], ptr[end]):
        if flipped[s]:
            continue
        row, r = rows[edges[s]], reverse[s]
        total = 0.0
        for x in range(n_states):
            received = 0.0
            for y in range(n_states):
                received += edge[row, x, y] * cavity[r, y]
            total += received * cavity[s, x]
        log_z += np.log(total)
        factor = weight / total
        for x in range(n_states):
            f = cavity[s, x] * factor
            for y in range(n_states):
                counts[row, x, y] += f * cavity[r, y]
    return log_z


@kernel
def propagate(
    node_ptr, order, ptr, neighbour, edges, reverse, flipped, damping, max_iter, tol,
    node, edge, rows, weights,
    log_partition, node_out, counts, n_iter, residual, converged, unsafe,
):  # fmt: skip
    """Sum-product messages, then beliefs: Z_Bethe = prod_i Z_i prod_(i,j) q_i psi q_j.

    Z_i sums the belief of node i; q_i is the belief without j's message, divided by Z_i.
    """
    n_nodes, n_states = node.shape
    widest = 1
    middle = np.empty(n_nodes, np.int64)  # first slot of a higher-numbered neighbour
    for i in range(n_nodes):
        widest = max(widest, ptr[i + 1] - ptr[i])
        m = ptr[i]
        while m < ptr[i + 1] and neighbour[m] < i:
            m += 1
        middle[i] = m
    potts = np.zeros(len(edge), np.bool_)
    for row in range(len(edge)):
        potts[row] = n_states > 2 and _is_potts(edge[row])
    rescale_every = RESCALE_EVERY
    lowest = edge.min() if edge.size else 1.0
    while rescale_every < 16 and lowest ** (2 * rescale_every) > SMALLEST_TOP:
        rescale_every *= 2
    two = n_states == 2
    message = np.ones((len(neighbour), n_states))
    cavity = np.empty((len(neighbour), n_states))
    without = np.empty((widest + 1, n_states))
    out, dirty = np.empty(n_states), np.empty(n_nodes, np.uint8)
    ratio, suffix = np.ones(len(neighbour) if two else 0), np.empty(widest)
    node_ratio = np.empty(n_nodes if two else 0)
    for i in range(len(node_ratio)):
        a, b = node[order[i], 0], node[order[i], 1]
        node_ratio[i] = min(max(b / a if a > 0.0 else LARGEST_RATIO, 1.0 / LARGEST_RATIO), LARGEST_RATIO)
    for g in range(len(node_ptr) - 1):
        if unsafe[g]:
            continue
        start, end = node_ptr[g], node_ptr[g + 1]
        for i in range(start, end):
            if node[order[i]].max() == 0.0:
                log_partition[g] = -np.inf  # a node without an allowed state
        if log_partition[g] == -np.inf:
            for i in range(start, end):
                node_out[order[i]] = np.nan
            continue
        n_iter[g], residual[g], lost = _settle(
            start, end, order, ptr, middle, neighbour, edges, reverse, flipped, damping, max_iter, tol,
            node, edge, rows, potts, rescale_every, message, dirty, without, out, node_ratio, ratio, suffix,
        )  # fmt: skip
        converged[g] = residual[g] <= tol
        if not lost:
            log_z, lost = _node_beliefs(start, end, order, ptr, node, message, rescale_every, cavity, without, node_out)
            log_partition[g] = log_z
        if lost:
            unsafe[g] = True
            continue
        log_partition[g] += _pair_counts(
            start, end, ptr, edges, reverse, flipped, edge, rows, weights[g], cavity, counts
        )


@kernel
def _is_potts(matrix):
    for x in range(len(matrix)):
        for y in range(len(matrix)):
            if matrix[x, y] != (matrix[0, 0] if x == y else matrix[0, 1]):
                return False
    return True
