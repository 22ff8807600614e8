"""Vector operations on tangents of messages: derivatives of their logarithms along a direction.

The state `x` of the sender of a message has, given the state `y` of its receiver, the probability ``cavity[x] *
psi[x, y] * inverse[y]``. The tangent of a message is a mean with these probabilities. They are primitives as in
``simd.py``: the plain function defines the result.
"""

import numpy as np

from skstruct.kernels.jit import primitive
from skstruct.kernels.messages import store_matrix_times


def _change(r, total, i, tangent, s, like):
    """Registers of ``total[i] - tangent[s]``; arrays are positions of arguments."""
    return [r.builder.fsub(a, b) for a, b in zip(r.load(r.row(total, i), like), r.load(r.row(tangent, s), like))]


def _weighed(r, s, i):
    """Registers of ``cavity[s] * (total[i] - tangent[s])`` of the senders below."""
    return [r.multiply(a, b) for a, b in zip(r.load(r.row(5, s), 0), _change(r, 3, i, 0, s, 0))]


def _replace_tangent(r, raw, target, s, at):
    """Store the tangent that a sender below computes; its largest change."""
    factors, constants = r.load(r.row(6, s), 0), r.load(r.row(7, at), 0)
    new = [r.add(r.multiply(a, b), c) for a, b, c in zip(raw, factors, constants)]
    first = r.broadcast(r.builder.extract_element(new[0], r.ir.Constant(r.ir.IntType(32), 0)))
    new, line, moved = [r.builder.fsub(a, first) for a in new], r.row(0, target), []
    for register, old in zip(new, r.load(line, 0)):
        step = r.builder.fsub(register, old)
        moved.append(r.greater(step, r.builder.fneg(step)))
    r.store(new, line, 0)
    return (r.reduce(moved, r.greater),)


def _emit_send_tangent(r, tangent, target, s, total, i, cavity, inverse, constant, at, psi, number, scratch):
    r.select_matrix(9, number)
    line = r.row(11, r.integer(0))
    r.store(_weighed(r, s, i), line, 0)
    return _replace_tangent(r, r.times_matrix(line, 9), target, s, at)


@primitive(_emit_send_tangent, returns=1)
def send_tangent(tangent, target, s, total, i, cavity, inverse, constant, at, psi, number, scratch, lanes):
    """Replace ``tangent[target]`` by the tangent of the message of slot `s` of node `i`, and return its largest change.

    That is ``(cavity[s] * (total[i] - tangent[s])) @ psi[number] * inverse[s] + constant[at]``, less its first number:
    constants have no meaning. The first row of `scratch` is overwritten.
    """
    n, moved = tangent.shape[1], 0.0
    new = np.zeros(n)
    for y in range(n):
        for x in range(n):
            new[y] += cavity[s, x] * (total[i, x] - tangent[s, x]) * psi[number, x, y]
        new[y] = new[y] * inverse[s, y] + constant[at, y]
    for y in range(n - 1, -1, -1):
        new[y] -= new[0]
        moved = max(moved, abs(new[y] - tangent[target, y]))
        tangent[target, y] = new[y]
    return moved


def _emit_send_tangent_back(r, tangent, target, s, total, i, cavity, inverse, constant, at, psi, number, scratch):
    r.select_matrix(9, number)
    line = r.row(11, r.integer(0))
    r.store(_weighed(r, s, i), line, 0)
    store_matrix_times(r, 9, line, 0, line)
    return _replace_tangent(r, r.load(line, 0), target, s, at)


@primitive(_emit_send_tangent_back, returns=1)
def send_tangent_back(tangent, target, s, total, i, cavity, inverse, constant, at, psi, number, scratch, lanes):
    """Like `send_tangent`, with the transpose of ``psi[number]``."""
    n, moved = tangent.shape[1], 0.0
    new = np.zeros(n)
    for y in range(n):
        for x in range(n):
            new[y] += cavity[s, x] * (total[i, x] - tangent[s, x]) * psi[number, y, x]
        new[y] = new[y] * inverse[s, y] + constant[at, y]
    for y in range(n - 1, -1, -1):
        new[y] -= new[0]
        moved = max(moved, abs(new[y] - tangent[target, y]))
        tangent[target, y] = new[y]
    return moved


def _emit_send_tangent_potts(r, tangent, target, s, total, i, cavity, inverse, constant, at, other, gain):
    given = _weighed(r, s, i)
    base, factor = r.broadcast(r.builder.fmul(r.sum(given, 0), other)), r.broadcast(gain)
    return _replace_tangent(r, [r.add(base, r.multiply(factor, a)) for a in given], target, s, at)


@primitive(_emit_send_tangent_potts, returns=1)
def send_tangent_potts(tangent, target, s, total, i, cavity, inverse, constant, at, other, gain, lanes):
    """Like `send_tangent`, with a Potts matrix: `other` off the diagonal and ``other + gain`` on the diagonal."""
    n, moved, base = tangent.shape[1], 0.0, 0.0
    new = np.zeros(n)
    for x in range(n):
        base += cavity[s, x] * (total[i, x] - tangent[s, x])
    for y in range(n):
        new[y] = other * base + gain * cavity[s, y] * (total[i, y] - tangent[s, y])
        new[y] = new[y] * inverse[s, y] + constant[at, y]
    for y in range(n - 1, -1, -1):
        new[y] -= new[0]
        moved = max(moved, abs(new[y] - tangent[target, y]))
        tangent[target, y] = new[y]
    return moved


def _emit_subtract_tangent(r, total, i, tangent, s, belief, out, out_row):
    change = _change(r, 0, i, 2, s, 0)
    r.store(change, r.row(5, out_row), 0)
    return (r.sum([r.multiply(a, b) for a, b in zip(change, r.load(r.row(4, i), 0))], 0),)


@primitive(_emit_subtract_tangent, returns=1)
def subtract_tangent(total, i, tangent, s, belief, out, out_row, lanes):
    """``out[out_row] = total[i] - tangent[s]``; returns its mean, weighted by ``belief[i]``."""
    mean = 0.0
    for x in range(total.shape[1]):
        out[out_row, x] = total[i, x] - tangent[s, x]
        mean += belief[i, x] * out[out_row, x]
    return mean


def _emit_add_pair_tangent(r, change, mean, cavity, s, inverse, belief, j, psi, number, factor, counts, row):
    r.select_matrix(7, number)
    r.select_matrix(10, row)
    first, before, centre = r.row(0, r.integer(0)), r.row(2, s), r.broadcast(mean)
    after = [r.multiply(a, b) for a, b in zip(r.load(r.row(4, s), 0), r.load(r.row(5, j), 0))]
    second = [r.builder.fsub(a, centre) for a in r.load(r.row(0, r.integer(1)), 0)]
    moved = [r.multiply(a, b) for a, b in zip(after, second)]
    with r.loop(r.integer(0), r.lengths[0]) as (x, _):
        share = r.builder.fmul(r.element_of(before, x), factor)
        scale, along = r.broadcast(share), r.broadcast(r.builder.fmul(share, r.element_of(first, x)))
        line, sums = r.row(10, x), []
        for old, potential, a, b in zip(r.load(line, 0), r.load(r.row(7, x), 0), after, moved):
            sums.append(r.add(old, r.multiply(potential, r.add(r.multiply(along, a), r.multiply(scale, b)))))
        r.store(sums, line, 0)


@primitive(_emit_add_pair_tangent)
def add_pair_tangent(change, mean, cavity, s, inverse, belief, j, psi, number, factor, counts, row, lanes):
    """Add the derivatives of the probabilities of a pair to ``counts[row]``.

    They are ``factor * P[x, y] * (change[0, x] + change[1, y] - mean)`` with the probabilities ``P[x, y] =
    cavity[s, x] * psi[number, x, y] * inverse[s, y] * belief[j, y]``.
    """
    for x in range(change.shape[1]):
        for y in range(change.shape[1]):
            pair = factor * cavity[s, x] * psi[number, x, y] * inverse[s, y] * belief[j, y]
            counts[row, x, y] += pair * (change[0, x] + change[1, y] - mean)
