"""Vector operations for recursions along chains: forward-backward with its tangents, pair counts, Viterbi.

They are primitives as in ``simd.py``: the plain function defines the result.
"""

import math

from skstruct.kernels.jit import primitive


def _in_blocks(r, count, emit):
    """Call ``emit(numbers)`` for blocks of `count` rows, which share the registers of a matrix, and for rows alone."""
    size = 4 if r.count <= 4 else 2  # of a block: sums and matrix then fit into 32 registers
    blocks = r.builder.and_(count, r.integer(-size))
    with r.loop(r.integer(0), blocks, size) as (k, _):
        emit([r.builder.add(k, r.integer(i)) for i in range(size)])
    with r.loop(blocks, count) as (k, _):
        emit([k])


def _inverse(r, total, index):
    """``1 / total[index]`` in a register; 0 if the total is 0."""
    value, zero = r.number(total, index), r.ir.Constant(r.element, 0.0)
    inverse = r.builder.fdiv(r.ir.Constant(r.element, 1.0), value)
    return r.broadcast(r.builder.select(r.builder.fcmp_ordered(">", value, zero), inverse, zero))


def _emit_forward_steps(r, message, row, matrix, number, potential, total, out_row, count):
    r.select_matrix(2, number)

    def emit(slots):
        before, after = ([r.builder.add(first, k) for k in slots] for first in (row, out_row))
        received = r.each_times_matrix([r.row(0, i) for i in before], 2)
        for k, i, j in zip(range(len(slots)), before, after):
            scale, potentials = _inverse(r, 5, i), r.load(r.row(4, j), 0)
            product = [r.multiply(a, r.multiply(b, scale)) for a, b in zip(received[k], potentials)]
            r.store(product, r.row(0, j), 0)
            r.builder.store(r.sum(product, 0), r.builder.gep(r.data[5], [j]))

    _in_blocks(r, count, emit)


@primitive(_emit_forward_steps)
def forward_steps(message, row, matrix, number, potential, total, out_row, count, lanes):
    """Messages of `count` successive rows, from those of as many rows from `row` on; `total` are sums of messages.

    For ``k < count``, ``message[out_row + k]`` becomes ``(message[row + k, :n] @ matrix[number]) * potential[out_row +
    k] / total[row + k]``, or 0 if the total is 0. Each matrix has ``n`` rows.
    """
    for i, j in zip(range(row, row + count), range(out_row, out_row + count)):
        factor = 1.0 / total[i] if total[i] > 0.0 else 0.0
        total[j] = 0.0
        for y in range(message.shape[1]):
            received = 0.0
            for x in range(matrix.shape[1]):
                received += message[i, x] * matrix[number, x, y]
            message[j, y] = received * (potential[j, y] * factor)
            total[j] += message[j, y]


def _emit_backward_steps(
    r, forward, received, potential, total, before, row, matrix, number, out, first, t, slot, count
):
    r.select_matrix(6, number)

    def emit(slots):
        lines = []
        for k in slots:
            i, k = r.builder.add(row, k), r.builder.add(slot, k)
            message, arrived = r.row(2, i), r.row(1, k)
            marginals = [r.multiply(a, b) for a, b in zip(r.load(r.row(0, i), 0), r.load(arrived, 0))]
            r.store_part(marginals, r.row(8, r.builder.add(r.number(9, k), t)), r.lengths[8], 0)
            scale = _inverse(r, 3, r.builder.add(before, r.builder.sub(i, row)))
            pairs = zip(r.load(message, 0), r.load(arrived, 0))
            r.store([r.multiply(a, r.multiply(b, scale)) for a, b in pairs], message, 0)
            lines.append((message, arrived))
        for registers, (_, arrived) in zip(r.each_times_matrix([message for message, _ in lines], 6), lines):
            r.store(registers, arrived, 0)

    _in_blocks(r, count, emit)


@primitive(_emit_backward_steps)
def backward_steps(forward, received, potential, total, before, row, matrix, number, out, first, t, slot, count, lanes):
    """Marginals of `count` nodes, and the messages that they send back; rows of `out` may be shorter than the others.

    For ``k < count``, with ``i = row + k`` and ``s = slot + k``, ``out[first[s] + t] = forward[i] * received[s]``, then
    ``potential[i] *= received[s] / total[before + k]``, or 0 if the total is 0, then ``received[s] = potential[i, :n] @
    matrix[number]``, where each matrix has ``n`` rows.
    """
    for k in range(count):
        i, s = row + k, slot + k
        factor = 1.0 / total[before + k] if total[before + k] > 0.0 else 0.0
        for y in range(out.shape[1]):
            out[first[s] + t, y] = forward[i, y] * received[s, y]
        for y in range(forward.shape[1]):
            potential[i, y] *= received[s, y] * factor
            received[s, y] = 0.0
        for y in range(matrix.shape[1]):
            for x in range(forward.shape[1]):
                received[s, x] += potential[i, y] * matrix[number, y, x]


def _emit_forward_tangent(
    r, message, tangent, row, matrix, change, number, moves, potential, direction, factor, out_row
):
    for stack in (3, 4):
        r.select_matrix(stack, number)
    received, moved = r.times_matrix_tangent(r.row(0, row), r.row(1, row), 3, 4, moves)
    scale = r.broadcast(factor)
    scaled = [r.multiply(p, scale) for p in r.load(r.row(7, out_row), 0)]
    product = [r.multiply(a, b) for a, b in zip(received, scaled)]
    along = r.load(r.row(8, out_row), 0)
    r.store(product, r.row(0, out_row), 0)
    r.store(
        [r.add(r.multiply(a, b), r.multiply(c, d)) for a, b, c, d in zip(moved, scaled, product, along)],
        r.row(1, out_row),
        0,
    )
    return (r.sum(product, 0),)


@primitive(_emit_forward_tangent, returns=1)
def forward_tangent(message, tangent, row, matrix, change, number, moves, potential, direction, factor, out_row, lanes):
    """A step forward, and the tangent of the message where `factor` is constant; all rows have the same length.

    ``received = message[row, :n] @ matrix[number]``, and ``moved = tangent[row, :n] @ matrix[number] + message[row, :n]
    @ change[number]``, where the second term is left out if `moves` is 0. Then ``message[out_row] = received *
    potential[out_row] * factor``, whose sum is returned, and ``tangent[out_row] = moved * potential[out_row] *
    factor + message[out_row] * direction[out_row]``.
    """
    total = 0.0
    for y in range(message.shape[1]):
        received, moved = 0.0, 0.0
        for x in range(matrix.shape[1]):
            received += message[row, x] * matrix[number, x, y]
            moved += tangent[row, x] * matrix[number, x, y]
            if moves:
                moved += message[row, x] * change[number, x, y]
        scaled = potential[out_row, y] * factor
        message[out_row, y] = received * scaled
        tangent[out_row, y] = moved * scaled + message[out_row, y] * direction[out_row, y]
        total += message[out_row, y]
    return total


def _emit_backward_tangent(
    r,
    forward,
    tangent,
    received,
    moved,
    potential,
    direction,
    factor,
    row,
    matrix,
    change,
    number,
    moves,
    out,
    out_row,
):
    for stack in (8, 9):
        r.select_matrix(stack, number)
    lines, arrived = [r.row(k, row) for k in (0, 1, 4, 5)], [r.row(k, r.integer(0)) for k in (2, 3)]
    parts = zip(*(r.load(line, 0) for line in (lines[1], arrived[0], lines[0], arrived[1])))
    found = [r.add(r.multiply(a, b), r.multiply(c, d)) for a, b, c, d in parts]
    r.store_part(found, r.row(12, out_row), r.lengths[12], 0)
    scale = r.broadcast(factor)
    scaled = [r.multiply(p, scale) for p in r.load(lines[2], 0)]
    sent = [r.multiply(a, b) for a, b in zip(scaled, r.load(arrived[0], 0))]
    parts = zip(scaled, r.load(arrived[1], 0), sent, r.load(lines[3], 0))
    r.store([r.add(r.multiply(a, b), r.multiply(c, d)) for a, b, c, d in parts], lines[3], 0)
    r.store(sent, lines[2], 0)
    for registers, line in zip(r.times_matrix_tangent(lines[2], lines[3], 8, 9, moves), arrived):
        r.store(registers, line, 0)


@primitive(_emit_backward_tangent)
def backward_tangent(
    forward,
    tangent,
    received,
    moved,
    potential,
    direction,
    factor,
    row,
    matrix,
    change,
    number,
    moves,
    out,
    out_row,
    lanes,
):
    """Derivative of the marginals of a node, and the message that it sends back, with its tangent.

    Rows of `out` may be shorter than the others.

    ``out[out_row] = tangent[row] * received[0] + forward[row] * moved[0]``. The message and its tangent replace
    ``potential[row]`` and ``direction[row]``. Their products with the matrix, as in `forward_tangent`, replace
    `received` and `moved`.
    """
    n = matrix.shape[1]
    for y in range(forward.shape[1]):
        if y < out.shape[1]:
            out[out_row, y] = tangent[row, y] * received[0, y] + forward[row, y] * moved[0, y]
        scaled = potential[row, y] * factor
        potential[row, y] = scaled * received[0, y]
        direction[row, y] = scaled * moved[0, y] + potential[row, y] * direction[row, y]
    for x in range(forward.shape[1]):
        received[0, x] = moved[0, x] = 0.0
        for y in range(n):
            received[0, x] += potential[row, y] * matrix[number, y, x]
            moved[0, x] += direction[row, y] * matrix[number, y, x]
            if moves:
                moved[0, x] += potential[row, y] * change[number, y, x]


def _emit_add_pairs(r, first, i, second, j, count, out, number):
    r.select_matrix(5, number)
    n, n_rows = r.heights[5], max(1, 12 // r.count)  # rows of `out` that are held in registers at a time
    blocks = r.builder.mul(r.builder.sdiv(n, r.integer(n_rows)), r.integer(n_rows))

    def add_block(x, n_rows):
        lines = [r.row(5, r.builder.add(x, r.integer(k))) for k in range(n_rows)]
        sums = [r.variables(r.load(line, 5)) for line in lines]
        with r.loop(r.integer(0), count) as (t, _):
            before, after = r.row(0, r.builder.add(i, t)), r.load(r.row(2, r.builder.add(j, t)), 5)
            for k in range(n_rows):
                factor = r.broadcast(r.element_of(before, r.builder.add(x, r.integer(k))))
                for variable, register in zip(sums[k], after):
                    r.builder.store(r.add(r.builder.load(variable), r.multiply(factor, register)), variable)
        for line, variables in zip(lines, sums):
            r.store([r.builder.load(variable) for variable in variables], line, 5)

    with r.loop(r.integer(0), blocks, n_rows) as (x, _):
        add_block(x, n_rows)
    if n_rows > 1:
        with r.loop(blocks, n) as (x, _):
            add_block(x, 1)


@primitive(_emit_add_pairs)
def add_pairs(first, i, second, j, count, out, number, lanes):
    """``out[number] += first[i : i + count, :n].T @ second[j : j + count]``, where each matrix has ``n`` rows."""
    for t in range(count):
        for x in range(out.shape[1]):
            for y in range(out.shape[2]):
                out[number, x, y] += first[i + t, x] * second[j + t, y]


def _emit_best_step(r, scores, row, matrix, number, out_row):
    r.select_matrix(2, number)
    best = r.variables([r.constant(-math.inf)] * r.count)
    source = r.row(0, row)
    with r.loop(r.integer(0), r.heights[2]) as (x, _):
        value = r.broadcast(r.element_of(source, x))
        for variable, register in zip(best, r.load(r.row(2, x), 0)):
            r.builder.store(r.greater(r.builder.fadd(value, register), r.builder.load(variable)), variable)
    line = r.row(0, out_row)
    r.store([r.builder.fadd(a, r.builder.load(b)) for a, b in zip(r.load(line, 0), best)], line, 0)


@primitive(_emit_best_step)
def best_step(scores, row, matrix, number, out_row, lanes):
    """Viterbi: ``scores[out_row] += (scores[row, :n, None] + matrix[number]).max(0)``; each matrix has ``n`` rows."""
    for y in range(scores.shape[1]):
        best = -math.inf
        for x in range(matrix.shape[1]):
            best = max(best, scores[row, x] + matrix[number, x, y])
        scores[out_row, y] += best
