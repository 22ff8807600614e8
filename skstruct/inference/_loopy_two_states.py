"""Loopy belief propagation for two states: a message is one number, the ratio of its two entries.

The kernels accept the same graphs as ``_loopy_kernels.py``. Potentials in ``[SMALLEST_POTENTIAL, 1]`` keep every ratio
within ``[SMALLEST_POTENTIAL, 1 / SMALLEST_POTENTIAL]``, so that no message is lost. A forbidden state of a node makes
the ratio of the node 0 or infinite.
"""

from typing import NamedTuple

import numpy as np

from skstruct.inference._loopy_kernels import SMALLEST_SCORE
from skstruct.inference._loopy_log import FALLBACK_DAMPING
from skstruct.kernels.jit import kernel
from skstruct.kernels.simd import exp_row

LARGE, LOG_LARGE = 1e150, 345.0  # products stay within this factor of 1: two of them are still normal numbers
HUGE = 1e290  # beyond this, a ratio of potentials is as good as infinite


class _Graph(NamedTuple):
    """One graph and its messages."""

    bounds: np.ndarray  # (n_nodes, 3), as in `LocalLists`
    ends: np.ndarray  # (n_slots, 2), as in `LocalLists`
    edge: np.ndarray  # (n_slots,), as in `LocalLists`
    flipped: np.ndarray  # (n_slots,), as in `LocalLists`
    node_ratio: np.ndarray  # (>= n_nodes,) potential of state 1 over that of state 0
    ratio: np.ndarray  # (>= n_slots,) the message to the slot's node: entry of state 1 over that of state 0
    sent: np.ndarray  # (>= n_slots, 4) potentials as the sweeps read them; after the sweeps, cavities in two columns
    dirty: np.ndarray  # (>= n_nodes,) bit 1: the node has news for its higher neighbours; bit 2: for the lower ones


class TwoStateWorkspace(NamedTuple):
    """Where `propagate_two_states` has one graph at a time, and the potentials; see `Workspace`."""

    node_ratio: np.ndarray
    ratio: np.ndarray
    sent: np.ndarray
    dirty: np.ndarray
    potential: np.ndarray  # (n_matrices, 4)
    top: np.ndarray  # (n_matrices,) largest score of shared matrices; without entries if each edge has a matrix
    low: np.ndarray  # (n_matrices,) lowest score less the largest, of the same

    @classmethod
    def of(cls, largest, edge, own_potential):
        """Arrays for graphs of at most so many nodes and slots; `own_potential` is the place of the edges' potentials.

        It is None if edges share matrices.
        """
        n_nodes, n_slots = largest
        sizes = np.empty((2, len(edge) if own_potential is None else 0))
        potential = np.empty((len(edge), 4)) if own_potential is None else own_potential
        graph = np.empty(n_nodes), np.empty(n_slots), np.empty((n_slots, 4)), np.empty(n_nodes, np.uint8)
        return cls(*graph, potential, *sizes)


@kernel(borrows=True)
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


@kernel(borrows=True)
def _sweeps(graph, settings, damping, longest):
    """Sweep a graph until no message moves by more than `tol`: sweeps, last change.

    With p the product of all ratios at a node, it sends ``(off + both * q) / (none + back * q)`` where
    ``q = p / ratio[s]`` leaves the receiver's own message out; multiplied by ``ratio[s]``, nothing is divided twice.
    """
    bounds, ends, _, _, node_ratio, ratio, sent, dirty = graph
    n_nodes, tol = len(bounds), settings.tol
    change, sweep = 0.0, 0
    for k in range(n_nodes):
        dirty[k] = 3
    last_node = np.uint64(max(n_nodes - 1, 0))
    while sweep < settings.max_iter:
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
                    if moved > change * scale:  # rare, so that most divisions are avoided
                        change = moved / scale
                    dirty[ends[s, 1]] |= np.uint8(3) * np.uint8(moved > tol * scale)
        if change <= tol:
            break
    return sweep, change


@kernel(borrows=True)
def _node_ratios(order, node, node_ratio):
    """Ratio of each node's two potentials; the lowest of their logarithms, -inf if a node has no allowed state."""
    lowest = 0.0
    for i in range(len(order)):
        a, b = node[order[i], 0], node[order[i], 1]
        if a == -np.inf and b == -np.inf:
            return -np.inf
        node_ratio[i] = np.exp(b - a)
        if a > -np.inf and b > -np.inf:
            lowest = min(lowest, -abs(b - a))
    return lowest


@kernel(borrows=True)
def _beliefs(graph, longest, order, node, node_out):
    """Beliefs and, in ``graph.sent``, each slot's cavity, the belief without its message; log of the sums' product.

    Both are relative to the node's more probable state; ``v <= 1`` is the odds of the other state.
    """
    bounds, node_ratio, ratio, cavity = graph.bounds, graph.node_ratio, graph.ratio, graph.sent
    log_z, product_z = 0.0, 1.0
    for i in range(len(bounds)):
        begin, stop = np.uint64(bounds[i, 0]), np.uint64(bounds[i, 2])
        product = node_ratio[i]
        if stop - begin > longest:
            product = _long_product(product, ratio, begin, stop)
        else:
            for s in range(begin, stop):
                product *= ratio[s]
        better = 1 if product > 1.0 else 0
        v = 1.0 / product if better else product
        out, inverse = order[i], 1.0 / (1.0 + v)
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


@kernel(borrows=True)
def _potential(edge, e, potential, lanes):
    """Exponentiate the matrix of an edge: its largest score, and the lowest exponent, -inf for a forbidden pair."""
    top, low = exp_row(edge, e, potential, e, lanes)
    if min(min(potential[e, 0], potential[e, 1]), min(potential[e, 2], potential[e, 3])) == 0.0:
        low = -np.inf
    return top, low


@kernel(borrows=True)
def _pair_counts(graph, edge_matrix, potential, weight, keep, counts):
    """Add the pair counts of a graph; the log of the product of all sums of cavity * potential * cavity."""
    bounds, ends, edge, flipped, cavity = graph.bounds, graph.ends, graph.edge, graph.flipped, graph.sent
    log_z, product_z = 0.0, 1.0
    for i in range(len(bounds)):
        for s in range(np.uint64(bounds[i, 1]), np.uint64(bounds[i, 2])):
            r, e = np.int64(ends[s, 0]), edge_matrix[edge[s]]
            first, second = (r, np.int64(s)) if flipped[s] else (np.int64(s), r)
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


@kernel(borrows=True)
def propagate_two_states(lists, settings, scores, weights, own_matrices, lanes, work, out, out_of_range, settled):
    """Do as `propagate` in ``_loopy_kernels.py``; the matrices of ``scores.edge`` and ``out.edge`` are rows of four.

    Products of up to `longest` messages stay in the range of numbers.
    """
    node_ratio, ratio, sent, dirty, potential, top, low = work
    for e in range(len(top)):
        top[e], low[e] = _potential(scores.edge, e, potential, lanes)
    keep = 0.0 if own_matrices else 1.0
    for g in range(len(lists.node_ptr) - 1):
        start, end = lists.node_ptr[g], lists.node_ptr[g + 1]
        first_slot, end_slot = 2 * lists.edge_ptr[g], 2 * lists.edge_ptr[g + 1]
        order = lists.order[start:end]
        lowest_node = _node_ratios(order, scores.node, node_ratio)
        shift, lowest = 0.0, 0.0
        for e in range(lists.edge_ptr[g], lists.edge_ptr[g + 1]):
            row = scores.edge_matrix[e]
            highest, least = _potential(scores.edge, e, potential, lanes) if own_matrices else (top[row], low[row])
            shift += highest
            lowest = min(lowest, least)
        if lowest_node == -np.inf:
            out_of_range[g] = False
            out.log_partition[g] = -np.inf
            continue
        out_of_range[g] = min(lowest, lowest_node) < SMALLEST_SCORE
        if out_of_range[g]:
            continue
        graph = _Graph(
            lists.bounds[start:end],
            lists.ends[first_slot:end_slot],
            lists.edge[first_slot:end_slot],
            lists.flipped[first_slot:end_slot],
            node_ratio,
            ratio,
            sent,
            dirty,
        )
        for s in range(end_slot - first_slot):
            e, flip = scores.edge_matrix[graph.edge[s]], np.int64(graph.flipped[s])
            ratio[s] = 1.0
            sent[s, 0], sent[s, 3] = potential[e, 0], potential[e, 3]
            sent[s, 1], sent[s, 2] = potential[e, 1 + flip], potential[e, 2 - flip]
        longest = np.uint64(LOG_LARGE / max(-lowest, 1e-3))
        for attempt in range(2):
            damping = settings.damping if attempt == 0 else max(settings.damping, FALLBACK_DAMPING)
            sweeps, out.residual[g] = _sweeps(graph, settings, damping, longest)
            out.n_iter[g] += sweeps
            if out.residual[g] <= settings.tol:
                break
        out.converged[g] = out.residual[g] <= settings.tol
        if len(settled):
            for s in range(end_slot - first_slot):
                settled[first_slot + s, 0], settled[first_slot + s, 1] = 0.0, np.log(ratio[s])
        log_z = _beliefs(graph, longest, order, scores.node, out.node)
        log_z += _pair_counts(graph, scores.edge_matrix, potential, weights[g], keep, out.edge)
        out.log_partition[g] = shift + log_z
