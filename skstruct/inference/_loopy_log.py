"""Loopy belief propagation in the log domain: for any legal scores, and for max-product decoding.

The plain twin of the fast kernels; messages are the same, as logarithms, and nodes and slots are numbered in the batch.
"""

import numpy as np

from skstruct.kernels.jit import kernel

FALLBACK_DAMPING = 0.5  # for graphs that do not converge undamped; see LoopyBP
DECODING_SWEEPS = 50  # on forests one is exact; elsewhere tree-reweighted sweeps follow


@kernel
def _send_log(scores, transposed, message, take_max, out):
    """out[y] = log sum (or max) over x of exp(scores[y, x] + message[x]), scaled to maximum 0."""
    n_states = len(message)
    highest = -np.inf
    for y in range(n_states):
        top = -np.inf
        for x in range(n_states):
            top = max(top, message[x] + (scores[x, y] if transposed else scores[y, x]))
        if not take_max and top > -np.inf:
            total = 0.0
            for x in range(n_states):
                total += np.exp(message[x] + (scores[x, y] if transposed else scores[y, x]) - top)
            top += np.log(total)
        out[y] = top
        highest = max(highest, top)
    if highest > -np.inf:
        for y in range(n_states):
            out[y] -= highest


@kernel
def _cavities_log(first, last, begin, end, node, message, without):
    """`_cavities` in the log domain."""
    total = node.copy()
    for s in range(begin, end):
        if not first <= s < last:
            total += message[s]
    without[last - first - 1] = 0.0
    for s in range(last - 1, first, -1):
        without[s - 1 - first] = without[s - first] + message[s]
    for s in range(first, last):
        without[s - first] += total
        total += message[s]


@kernel
def _sweeps_log(start, end, order, ptr, neighbour, edges, reverse, flipped, damping, max_iter, tol, take_max,
                node, edge, rows, message):  # fmt: skip
    """`_sweeps` in the log domain, without an active set: the plain twin, for any legal scores."""
    n_states = node.shape[1]
    out = np.empty(n_states)
    change, sweep = 0.0, 0
    while sweep < max_iter:
        sweep += 1
        change = 0.0
        for direction in range(2):
            for step in range(end - start):
                i = start + step if direction == 0 else end - 1 - step
                begin, stop = ptr[i], ptr[i + 1]
                middle = begin
                while middle < stop and neighbour[middle] < i:
                    middle += 1
                first, last = (middle, stop) if direction == 0 else (begin, middle)
                if first == last:
                    continue
                without = np.empty((last - first, n_states))
                _cavities_log(first, last, begin, stop, node[order[i]], message, without)
                for s in range(first, last):
                    _send_log(edge[rows[edges[s]]], not flipped[s], without[s - first], take_max, out)
                    for x in range(n_states):
                        old = message[reverse[s], x]
                        top = max(out[x], old)
                        if damping > 0.0 and top > -np.inf:
                            mixed = (1.0 - damping) * np.exp(out[x] - top) + damping * np.exp(old - top)
                            out[x] = top + np.log(mixed)
                        change = max(change, abs(np.exp(out[x]) - np.exp(old)))
                        message[reverse[s], x] = out[x]
        if change <= tol:
            break
    return sweep, change


@kernel
def _settle_log(g, node_ptr, order, ptr, neighbour, edges, reverse, flipped, damping, max_iter, tol,
                node, edge, rows, message):  # fmt: skip
    """Sweep graph `g`, damped if need be: sweeps and last change."""
    n_iter, change = 0, 0.0
    for attempt in range(2):
        sweeps, change = _sweeps_log(
            node_ptr[g], node_ptr[g + 1], order, ptr, neighbour, edges, reverse, flipped,
            damping if attempt == 0 else max(damping, FALLBACK_DAMPING), max_iter, tol, False,
            node, edge, rows, message,
        )  # fmt: skip
        n_iter += sweeps
        if change <= tol:
            break
    return n_iter, change


@kernel
def _log_sum(values):
    top = values.max()
    if top == -np.inf:
        return top
    return top + np.log(np.exp(values - top).sum())


@kernel
def propagate_log(
    node_ptr, order, ptr, neighbour, edges, reverse, flipped, damping, max_iter, tol,
    graphs, node, edge, rows, weights,
    log_partition, node_out, counts, n_iter, residual, converged,
):  # fmt: skip
    """`propagate` in the log domain."""
    n_states = node.shape[1]
    message = np.zeros((len(neighbour), n_states))
    cavity = np.empty((len(neighbour), n_states))
    pair = np.empty((n_states, n_states))
    for g in graphs:
        start, end = node_ptr[g], node_ptr[g + 1]
        n_iter[g], residual[g] = _settle_log(
            g, node_ptr, order, ptr, neighbour, edges, reverse, flipped, damping, max_iter, tol,
            node, edge, rows, message,
        )  # fmt: skip
        converged[g] = residual[g] <= tol
        log_z = 0.0
        for i in range(start, end):
            belief = node[order[i]].copy()
            for s in range(ptr[i], ptr[i + 1]):
                belief += message[s]
            total = _log_sum(belief)
            log_z += total
            node_out[order[i]] = np.exp(belief - total)  # nan where nothing is allowed
            if ptr[i] < ptr[i + 1]:
                mine = cavity[ptr[i] : ptr[i + 1]]
                _cavities_log(ptr[i], ptr[i + 1], ptr[i], ptr[i + 1], node[order[i]], message, mine)
                mine -= total
        if log_z == -np.inf:
            log_partition[g] = log_z
            for i in range(start, end):
                node_out[order[i]] = np.nan
            continue
        for i in range(start, end):
            for s in range(ptr[i], ptr[i + 1]):
                if flipped[s]:
                    continue
                e = rows[edges[s]]
                for x in range(n_states):
                    for y in range(n_states):
                        pair[x, y] = cavity[s, x] + edge[e, x, y] + cavity[reverse[s], y]
                total = _log_sum(pair.ravel())
                log_z += total
                counts[e] += weights[g] * np.exp(pair - total)
        log_partition[g] = log_z


@kernel
def decode_log(
    node_ptr, order, ptr, neighbour, edges, reverse, flipped,
    node, edge, rows, labels,
):  # fmt: skip
    """Undamped max-product messages, then labels in sweep order, each given those of its earlier neighbours."""
    n_states = node.shape[1]
    message = np.zeros((len(neighbour), n_states))
    total = np.empty(n_states)
    for g in range(len(node_ptr) - 1):
        _sweeps_log(
            node_ptr[g], node_ptr[g + 1], order, ptr, neighbour, edges, reverse, flipped, 0.0, DECODING_SWEEPS, 1e-6,
            True, node, edge, rows, message,
        )  # fmt: skip
        for i in range(node_ptr[g], node_ptr[g + 1]):
            total[:] = node[order[i]]
            for s in range(ptr[i], ptr[i + 1]):
                if neighbour[s] < i:
                    e, y = rows[edges[s]], labels[order[neighbour[s]]]
                    for x in range(n_states):
                        total[x] += edge[e, y, x] if flipped[s] else edge[e, x, y]
                else:
                    total += message[s]
            labels[order[i]] = np.argmax(total)
