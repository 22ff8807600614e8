"""Loopy belief propagation in the log domain: for any legal scores, and for max-product decoding.

These kernels send the same messages as the fast kernels, as logarithms. Nodes and slots are numbered in the batch.
"""

from typing import NamedTuple

import numpy as np

from skstruct.components import require_integers, require_number
from skstruct.inference._log_domain import first_largest, log_sum, scale_log, send_log
from skstruct.kernels.jit import kernel

FALLBACK_DAMPING = 0.5  # for graphs that do not converge undamped; see LoopyBP
DECODING_SWEEPS = 50  # on forests one is exact; elsewhere tree-reweighted sweeps follow
DECODING_TOL = 1e-6


class Settings(NamedTuple):
    """Parameters of the iterations; see `LoopyBP`."""

    damping: float
    max_iter: int
    tol: float


def checked_settings(backend):
    """Settings from the parameters of a backend; those that are out of range are refused by name."""
    require_number(backend, "damping", lambda damping: 0 <= damping < 1, "a number in [0, 1)")
    require_integers(backend, "max_iter")
    require_number(backend, "tol", lambda tol: tol > 0, "a positive number")
    return Settings(float(backend.damping), int(backend.max_iter), float(backend.tol))


@kernel(borrows=True)
def _cavities_log(first, last, begin, end, node, message, without):
    """Sum a node's scores and its messages but one: ``without[s - first]`` for each slot ``first <= s < last``."""
    for x in range(len(node)):
        total = node[x]
        for s in range(begin, end):
            if not first <= s < last:
                total += message[s, x]
        without[last - first - 1, x] = 0.0
        for s in range(last - 1, first, -1):
            without[s - 1 - first, x] = without[s - first, x] + message[s, x]
        for s in range(first, last):
            without[s - first, x] += total
            total += message[s, x]


@kernel(borrows=True)
def _sweeps_log(g, sweep, settings, take_max, scores, message, scratch):
    """Sweep graph `g` until no message moves by more than `tol`: sweeps, last change.

    `scratch`, (> most neighbours of a node, n_states), is overwritten.
    """
    ptr, neighbour, edge, reverse, flipped = sweep.lists
    node, matrices, rows = scores
    order, damping, n_states = sweep.order, settings.damping, node.shape[1]
    start, end = sweep.node_ptr[g], sweep.node_ptr[g + 1]
    out = scratch[len(scratch) - 1]
    change, n_sweeps = 0.0, 0
    while n_sweeps < settings.max_iter:
        n_sweeps += 1
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
                _cavities_log(first, last, begin, stop, node[order[i]], message, scratch)
                for s in range(first, last):
                    send_log(matrices[rows[edge[s]]], not flipped[s], scratch[s - first], take_max, out)
                    scale_log(out)
                    sent = message[reverse[s]]
                    for x in range(n_states):
                        old = sent[x]
                        top = max(out[x], old)
                        if damping > 0.0 and top > -np.inf:
                            mixed = (1.0 - damping) * np.exp(out[x] - top) + damping * np.exp(old - top)
                            out[x] = top + np.log(mixed)
                        change = max(change, abs(np.exp(out[x]) - np.exp(old)))
                        sent[x] = out[x]
        if change <= settings.tol:
            break
    return n_sweeps, change


@kernel(borrows=True)
def _iterate_log(g, sweep, settings, scores, message, scratch):
    """Sweep graph `g`, and again with damping if it does not converge: sweeps, last change."""
    n_iter, change = _sweeps_log(g, sweep, settings, False, scores, message, scratch)
    if not change <= settings.tol:
        damped = Settings(max(settings.damping, FALLBACK_DAMPING), settings.max_iter, settings.tol)
        more, change = _sweeps_log(g, sweep, damped, False, scores, message, scratch)
        n_iter += more
    return n_iter, change


@kernel
def propagate_log(sweep, settings, graphs, scores, weights, out, settled):
    """Fill the `Marginals` `out`, and `settled` if it has rows, for some graphs, as the fast kernels do."""
    order, lists = sweep.order, sweep.lists
    n_slots, n_states = len(lists.neighbour), scores.node.shape[1]
    message, cavity = np.zeros((n_slots, n_states)), np.empty((n_slots + 1, n_states))
    pair = np.empty(n_states * n_states)
    for g in graphs:
        start, end = sweep.node_ptr[g], sweep.node_ptr[g + 1]
        out.n_iter[g], out.residual[g] = _iterate_log(g, sweep, settings, scores, message, cavity)
        out.converged[g] = out.residual[g] <= settings.tol
        if len(settled):
            for s in range(lists.ptr[start], lists.ptr[end]):
                for x in range(n_states):
                    settled[s, x] = message[s, x]
        log_z = 0.0
        for i in range(start, end):
            begin, stop = lists.ptr[i], lists.ptr[i + 1]
            belief = scores.node[order[i]].copy()
            for s in range(begin, stop):
                for x in range(n_states):
                    belief[x] += message[s, x]
            total = log_sum(belief)
            log_z += total
            for x in range(n_states):
                out.node[order[i], x] = np.exp(belief[x] - total)  # nan where no state is allowed
            if begin < stop:
                _cavities_log(begin, stop, begin, stop, scores.node[order[i]], message, cavity[begin:stop])
            for s in range(begin, stop):
                for x in range(n_states):
                    cavity[s, x] -= total
        if log_z == -np.inf:
            out.log_partition[g] = log_z
            for i in range(start, end):
                for x in range(n_states):
                    out.node[order[i], x] = np.nan
            continue
        for i in range(start, end):
            for s in range(lists.ptr[i], lists.ptr[i + 1]):
                if lists.flipped[s]:
                    continue
                e, r = scores.edge_matrix[lists.edge[s]], lists.reverse[s]
                for x in range(n_states):
                    for y in range(n_states):
                        pair[x * n_states + y] = cavity[s, x] + scores.edge[e, x, y] + cavity[r, y]
                total = log_sum(pair)
                log_z += total
                for x in range(n_states):
                    for y in range(n_states):
                        out.edge[e, x, y] += weights[g] * np.exp(pair[x * n_states + y] - total)
        out.log_partition[g] = log_z


@kernel(borrows=True)
def decode_log(sweep, scores, message, scratch, labels):
    """Send undamped max-product messages, then label each node given the labels of its earlier neighbours.

    Python makes `message`, (n_slots, n_states), which is 0, and `scratch`, (> most neighbours of a node, n_states),
    because numba needs longer to compile an allocation than a loop.
    """
    order, lists, n_states, total = sweep.order, sweep.lists, scores.node.shape[1], scratch[0]
    settings = Settings(0.0, DECODING_SWEEPS, DECODING_TOL)
    for g in range(len(sweep.node_ptr) - 1):
        _sweeps_log(g, sweep, settings, True, scores, message, scratch)
        for i in range(sweep.node_ptr[g], sweep.node_ptr[g + 1]):
            for x in range(n_states):
                total[x] = scores.node[order[i], x]
            for s in range(lists.ptr[i], lists.ptr[i + 1]):
                if lists.neighbour[s] < i:
                    e, y = scores.edge_matrix[lists.edge[s]], labels[order[lists.neighbour[s]]]
                    for x in range(n_states):
                        total[x] += scores.edge[e, y, x] if lists.flipped[s] else scores.edge[e, x, y]
                else:
                    for x in range(n_states):
                        total[x] += message[s, x]
            labels[order[i]] = first_largest(total)
