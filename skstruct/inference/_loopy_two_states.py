"""Loopy belief propagation for two states: a message is one number, the ratio of its two entries.

Takes the same graphs as ``_loopy_kernels.py``. Potentials in ``[SMALLEST_POTENTIAL, 1]`` keep every ratio within
``[SMALLEST_POTENTIAL, 1 / SMALLEST_POTENTIAL]``, so that no message is lost; a forbidden state of a node makes its
ratio 0 or infinite.
"""

import numpy as np

from skstruct.inference._loopy_log import FALLBACK_DAMPING
from skstruct.inference._message_passing import SMALLEST_POTENTIAL
from skstruct.kernels.jit import kernel
from skstruct.kernels.simd import exp_row

SMALLEST_SCORE = float(np.log(SMALLEST_POTENTIAL))
LARGE, LOG_LARGE = 1e150, 345.0  # products stay within this factor of 1: two of them are still normal numbers
HUGE = 1e290  # beyond this, a ratio of potentials is as good as infinite


@kernel
def _long_product(product, ratio, begin, stop):
    """Product of a node's ratio and all messages to it, which on the way may leave the range of numbers."""
    excess = 0  # of factors LARGE
    for s in range(begin, stop):
        product *= ratio[s]
        if product > LARGE:
            product /= LARGE
            excess += 1
        elif product < 1.0 / LARGE:
            product *= LARGE
            excess -= 1
    while excess > 0:
        product = min(product * LARGE, HUGE)
        excess -= 1
    while excess < 0:
        product /= LARGE
        excess += 1
    return product


@kernel
def _damped(old, new, damping):
    """Mix two messages that are given as ratios, each scaled to maximum 1 first."""
    old_scale, new_scale = damping / max(old, 1.0), (1.0 - damping) / max(new, 1.0)
    return (new_scale * new + old_scale * old) / (new_scale + old_scale)


@kernel
def _sweeps(n_nodes, bounds, ends, damping, max_iter, tol, longest, node_ratio, sent, ratio, dirty):
    """Sweep one graph until no message moves by more than `tol`: sweeps, last change.

    With p the product of all ratios at a node, it sends ``(off + both * q) / (none + back * q)`` where
    ``q = p / ratio[s]`` leaves the receiver's own message out; multiplied by ``ratio[s]``, nothing is divided twice.
    """
    change, sweep = 0.0, 0
    for k in range(n_nodes):
        dirty[k] = 3
    last_node = np.uint64(n_nodes - 1)
    while sweep < max_iter:
        sweep += 1
        change = 0.0
        for direction in range(2):
            bit = np.uint8(1 + direction)
            for step in range(np.uint64(n_nodes)):
                i = np.uint64(step) if direction == 0 else last_node - np.uint64(step)
                if not dirty[i] & bit:
                    continue
                dirty[i] &= ~bit
                begin, middle, stop = np.uint64(bounds[i, 0]), np.uint64(bounds[i, 1]), np.uint64(bounds[i, 2])
                product = node_ratio[i]
                if stop - begin > longest:
                    product = _long_product(product, ratio, begin, stop)
                else:
                    for s in range(begin, stop):
                        product *= ratio[s]
                product = min(product, HUGE)
                first = middle if direction == 0 else begin
                last = stop if direction == 0 else middle
                for s in range(first, last):
                    own, r = ratio[s], ends[s, 0]
                    new = (sent[s, 1] * own + sent[s, 3] * product) / (sent[s, 0] * own + sent[s, 2] * product)
                    old = ratio[r]
                    if damping > 0.0:
                        new = _damped(old, new, damping)
                    ratio[r] = new
                    moved, scale = abs(new - old), max(max(new, old), 1.0)
                    if moved > change * scale:  # seldom: the division is spared
                        change = moved / scale
                    dirty[ends[s, 1]] |= np.uint8(3) * np.uint8(moved > tol * scale)
        if change <= tol:
            break
    return sweep, change


@kernel
def _node_ratios(start, n_nodes, order, node, node_ratio):
    """Ratio of each node's two potentials; the lowest of their logarithms, -inf where nothing is allowed."""
    lowest = 0.0
    for i in range(n_nodes):
        a, b = node[order[start + i], 0], node[order[start + i], 1]
        if a == -np.inf and b == -np.inf:
            return -np.inf
        node_ratio[i] = np.exp(b - a)
        if a > -np.inf and b > -np.inf:
            lowest = min(lowest, -abs(b - a))
    return lowest


@kernel
def _beliefs(start, n_nodes, order, bounds, node, longest, node_ratio, ratio, cavity, node_out):
    """Beliefs and, per slot, the belief without its message; the log of the products of their sums.

    Both are taken relative to the node's more probable state: ``v <= 1`` is the other's odds.
    """
    log_z, product_z = 0.0, 1.0
    for i in range(n_nodes):
        begin, stop = np.uint64(bounds[i, 0]), np.uint64(bounds[i, 2])
        product = node_ratio[i]
        if stop - begin > longest:
            product = _long_product(product, ratio, begin, stop)
        else:
            for s in range(begin, stop):
                product *= ratio[s]
        better = 1 if product > 1.0 else 0
        v = 1.0 / product if better else product
        out, inverse = order[start + i], 1.0 / (1.0 + v)
        log_z += node[out, better]
        node_out[out, better] = inverse
        node_out[out, 1 - better] = v * inverse
        product_z *= 1.0 + v
        for s in range(begin, stop):
            w = v * ratio[s] if better else v / ratio[s]
            scale = 1.0 / (1.0 + w)
            product_z *= (1.0 + w) * inverse
            cavity[s, better] = scale
            cavity[s, 1 - better] = w * scale
            if not 1.0 / LARGE < product_z < LARGE:
                log_z += np.log(product_z)
                product_z = 1.0
    return log_z + np.log(product_z)


@kernel
def _potential(edge, e, potential, lanes):
    """Exponentiate the matrix of an edge: its largest score, and the lowest exponent, -inf for a forbidden pair."""
    top, low = exp_row(edge, e, potential, e, lanes)
    if min(min(potential[e, 0], potential[e, 1]), min(potential[e, 2], potential[e, 3])) == 0.0:
        low = -np.inf
    return top, low


@kernel
def _pair_counts(n_nodes, first_slot, bounds, ends, edges, flipped, rows, weight, potential, keep, cavity, counts):
    """Add the pair counts of a graph; the log of the product of all sums of cavity * potential * cavity."""
    log_z, product_z = 0.0, 1.0
    for i in range(n_nodes):
        for s in range(np.uint64(bounds[i, 1]), np.uint64(bounds[i, 2])):
            slot = first_slot + np.int64(s)
            r, e = np.int64(ends[s, 0]), rows[edges[slot]]
            first, second = (r, np.int64(s)) if flipped[slot] else (np.int64(s), r)
            a = cavity[first, 0] * potential[e, 0] * cavity[second, 0]
            b = cavity[first, 0] * potential[e, 1] * cavity[second, 1]
            c = cavity[first, 1] * potential[e, 2] * cavity[second, 0]
            d = cavity[first, 1] * potential[e, 3] * cavity[second, 1]
            total = (a + b) + (c + d)
            product_z *= total
            if product_z < 1.0 / LARGE:
                log_z += np.log(product_z)
                product_z = 1.0
            factor = weight / total
            counts[e, 0] = keep * counts[e, 0] + a * factor
            counts[e, 1] = keep * counts[e, 1] + b * factor
            counts[e, 2] = keep * counts[e, 2] + c * factor
            counts[e, 3] = keep * counts[e, 3] + d * factor
    return log_z + np.log(product_z)


@kernel
def propagate_two_states(
    node_ptr, edge_ptr, order, bounds, ends, edges, flipped, damping, max_iter, tol,
    node, edge, rows, weights, own_matrices, lanes,
    log_partition, node_out, counts, n_iter, residual, converged, unsafe,
):  # fmt: skip
    """Do as `propagate` in ``_loopy_kernels.py``. Products of up to `longest` messages need no care."""
    n_graphs = len(node_ptr) - 1
    most_nodes, most_slots = 0, 0
    for g in range(n_graphs):
        most_nodes = max(most_nodes, node_ptr[g + 1] - node_ptr[g])
        most_slots = max(most_slots, 2 * (edge_ptr[g + 1] - edge_ptr[g]))
    node_ratio, dirty = np.empty(most_nodes), np.empty(most_nodes, np.uint8)
    ratio = np.empty(most_slots)
    sent = np.empty((most_slots, 4))  # potentials in the order in which the sweeps read them; in the end, cavities
    potential = counts if own_matrices else np.empty(edge.shape)
    n_shared = 0 if own_matrices else len(edge)
    top, low = np.empty(n_shared), np.empty(n_shared)
    for e in range(n_shared):
        top[e], low[e] = _potential(edge, e, potential, lanes)
    for g in range(n_graphs):
        start, size = node_ptr[g], node_ptr[g + 1] - node_ptr[g]
        first_slot, n_slots = 2 * edge_ptr[g], 2 * (edge_ptr[g + 1] - edge_ptr[g])
        lowest_node = _node_ratios(start, size, order, node, node_ratio)
        shift, lowest = 0.0, 0.0
        for e in range(edge_ptr[g], edge_ptr[g + 1]):
            highest, least = _potential(edge, e, potential, lanes) if own_matrices else (top[rows[e]], low[rows[e]])
            shift += highest
            lowest = min(lowest, least)
        possible = lowest_node > -np.inf
        unsafe[g] = possible and min(lowest, lowest_node) < SMALLEST_SCORE
        if not possible:
            log_partition[g] = -np.inf
        if unsafe[g] or not possible:
            continue
        for s in range(n_slots):
            e, flip = rows[edges[first_slot + s]], np.int64(flipped[first_slot + s])
            ratio[s] = 1.0
            sent[s, 0], sent[s, 3] = potential[e, 0], potential[e, 3]
            sent[s, 1], sent[s, 2] = potential[e, 1 + flip], potential[e, 2 - flip]
        mine, its = bounds[start : start + size], ends[first_slot : first_slot + n_slots]
        longest = np.uint64(LOG_LARGE / max(-lowest, 1e-3))
        for attempt in range(2):
            mix = damping if attempt == 0 else max(damping, FALLBACK_DAMPING)
            sweeps, residual[g] = _sweeps(
                size, mine, its, mix, max_iter, tol, longest, node_ratio, sent, ratio, dirty
            )  # fmt: skip
            n_iter[g] += sweeps
            if residual[g] <= tol:
                break
        converged[g] = residual[g] <= tol
        log_z = _beliefs(start, size, order, mine, node, longest, node_ratio, ratio, sent, node_out)
        keep = 0.0 if own_matrices else 1.0
        log_z += _pair_counts(
            size, first_slot, mine, its, edges, flipped, rows, weights[g], potential, keep, sent, counts
        )  # fmt: skip
        log_partition[g] = shift + log_z
