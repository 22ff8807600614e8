"""Vector operations of mean field: expected scores of the states of a node, and the distribution that follows.

They are primitives as in ``simd.py``: the plain function defines the result. All numbers are in the log domain, and no
range of scores needs another kernel.
"""

import math

from skstruct.kernels.jit import primitive


def _emit_expected_scores(r, node, i, q, neighbour, matrix, number, begin, stop, out):
    total = r.variables(r.load(r.row(0, i), 0))
    with r.loop(begin, stop) as (s, _):
        given = r.row(2, r.number(3, s))
        first = r.builder.mul(r.number(5, s), r.heights[4])
        with r.loop(r.integer(0), r.lengths[2]) as (y, _):
            probability = r.element_of(given, y)
            with r.builder.if_then(r.builder.fcmp_ordered("!=", probability, r.ir.Constant(r.element, 0.0))):
                factor = r.broadcast(probability)
                for variable, register in zip(total, r.load(r.row(4, r.builder.add(first, y)), 0)):
                    r.builder.store(r.add(r.builder.load(variable), r.multiply(factor, register)), variable)
    r.store([r.builder.load(variable) for variable in total], r.row(8, r.integer(0)), 0)


@primitive(_emit_expected_scores)
def expected_scores(node, i, q, neighbour, matrix, number, begin, stop, out, lanes):
    """``out[0] = node[i] + sum of q[neighbour[s]] @ matrix[number[s]]`` over ``begin <= s < stop``; 0 * -inf is 0."""
    for x in range(node.shape[1]):
        out[0, x] = node[i, x]
    for s in range(begin, stop):
        for y in range(node.shape[1]):
            if q[neighbour[s], y] != 0.0:
                for x in range(node.shape[1]):
                    out[0, x] += q[neighbour[s], y] * matrix[number[s], y, x]


def _emit_replace_distribution(r, scores, q, i):
    registers, line, changes = r.load(r.row(0, r.integer(0)), 0), r.row(1, i), []
    top = r.broadcast(r.reduce(registers, r.greater))
    powers = [r.exp(r.builder.fsub(register, top)) for register in registers]
    inverse = r.broadcast(r.builder.fdiv(r.ir.Constant(r.element, 1.0), r.sum(powers, 0)))
    new = [r.multiply(power, inverse) for power in powers]
    for after, before in zip(new, r.load(line, 0)):
        change = r.builder.fsub(after, before)
        changes.append(r.greater(change, r.builder.fneg(change)))
    r.store(new, line, 0)
    return (r.reduce(changes, r.greater),)


@primitive(_emit_replace_distribution, returns=1)
def replace_distribution(scores, q, i, lanes):
    """``q[i] = exp(scores[0]) / exp(scores[0]).sum()``, whose maximum must be finite; returns the largest change."""
    top, total, moved = scores[0].max(), 0.0, 0.0
    for x in range(q.shape[1]):
        total += math.exp(scores[0, x] - top)
    for x in range(q.shape[1]):
        new = math.exp(scores[0, x] - top) / total
        moved = max(moved, abs(new - q[i, x]))
        q[i, x] = new
    return moved
