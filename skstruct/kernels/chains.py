"""Vector operations for recursions along chains: forward-backward with its tangents, pair counts, Viterbi.

They are primitives as in ``simd.py``: the plain function defines the result.
"""

import math

from skstruct.kernels.jit import primitive


def _emit_forward_step(r, message, row, matrix, number, potential, factor, out_row):
    r.select_matrix(2, number)
    received = r.times_matrix(r.row(0, row), 2)
    scale = r.broadcast(factor)
    potentials = r.load(r.row(4, out_row), 0)
    product = [r.multiply(a, r.multiply(b, scale)) for a, b in zip(received, potentials)]
    r.store(product, r.row(0, out_row), 0)
    return (r.sum(product, 0),)


@primitive(_emit_forward_step, returns=1)
def forward_step(message, row, matrix, number, potential, factor, out_row, lanes):
    """``message[out_row] = (message[row, :n] @ matrix[number]) * potential[out_row] * factor``; returns its sum.

    Each matrix has ``n`` rows.
    """
    total = 0.0
    for y in range(message.shape[1]):
        received = 0.0
        for x in range(matrix.shape[1]):
            received += message[row, x] * matrix[number, x, y]
        message[out_row, y] = received * (potential[out_row, y] * factor)
        total += message[out_row, y]
    return total


def _emit_backward_step(r, forward, received, potential, factor, row, matrix, number, out, out_row):
    r.select_matrix(5, number)
    message, arrived = r.row(2, row), r.row(1, r.integer(0))
    marginals = [r.multiply(a, b) for a, b in zip(r.load(r.row(0, row), 7), r.load(arrived, 7))]
    r.store(marginals, r.row(7, out_row), 7)
    scale = r.broadcast(factor)
    pairs = zip(r.load(message, 0), r.load(arrived, 0))
    r.store([r.multiply(a, r.multiply(b, scale)) for a, b in pairs], message, 0)
    r.store(r.times_matrix(message, 5), arrived, 0)


@primitive(_emit_backward_step)
def backward_step(forward, received, potential, factor, row, matrix, number, out, out_row, lanes):
    """Marginals of a node, and the message that it sends back; rows of `out` may be shorter than the others.

    ``out[out_row] = forward[row] * received[0]``, then ``potential[row] *= received[0] * factor``, then
    ``received[0] = potential[row, :n] @ matrix[number]``, where each matrix has ``n`` rows.
    """
    for y in range(out.shape[1]):
        out[out_row, y] = forward[row, y] * received[0, y]
    for y in range(forward.shape[1]):
        potential[row, y] *= received[0, y] * factor
        received[0, y] = 0.0
    for y in range(matrix.shape[1]):
        for x in range(forward.shape[1]):
            received[0, x] += potential[row, y] * matrix[number, y, x]


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
    """`forward_step`, and the tangent of the message where `factor` is constant; all rows have the same length.

    ``moved = tangent[row, :n] @ matrix[number] + message[row, :n] @ change[number]``, where the second term is left out
    if `moves` is 0; then ``tangent[out_row] = moved * potential[out_row] * factor + message[out_row] *
    direction[out_row]``.
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
    mean,
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
    for stack in (9, 10):
        r.select_matrix(stack, number)
    less, lines = r.broadcast(mean), [r.row(k, row) for k in (0, 1, 5, 6)]
    arrived = [r.row(k, r.integer(0)) for k in (3, 4)]

    def centred(like):
        pairs = zip(r.load(lines[1], like), r.load(lines[0], like))
        return [r.builder.fsub(a, r.multiply(less, b), flags=("contract",)) for a, b in pairs]

    parts = zip(centred(13), r.load(arrived[0], 13), r.load(lines[0], 13), r.load(arrived[1], 13))
    r.store([r.add(r.multiply(a, b), r.multiply(c, d)) for a, b, c, d in parts], r.row(13, out_row), 13)
    r.store(centred(0), lines[1], 0)
    scale = r.broadcast(factor)
    scaled = [r.multiply(p, scale) for p in r.load(lines[2], 0)]
    sent = [r.multiply(a, b) for a, b in zip(scaled, r.load(arrived[0], 0))]
    parts = zip(scaled, r.load(arrived[1], 0), sent, r.load(lines[3], 0))
    r.store([r.add(r.multiply(a, b), r.multiply(c, d)) for a, b, c, d in parts], lines[3], 0)
    r.store(sent, lines[2], 0)
    for registers, line in zip(r.times_matrix_tangent(lines[2], lines[3], 9, 10, moves), arrived):
        r.store(registers, line, 0)


@primitive(_emit_backward_tangent)
def backward_tangent(
    forward,
    tangent,
    mean,
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
    """`backward_step` with tangents; ``out[out_row]`` is the derivative of the marginals. Rows of `out` may be shorter.

    ``tangent[row] -= mean * forward[row]``, then ``out[out_row] = tangent[row] * received[0] + forward[row] *
    moved[0]``. The message and its tangent replace ``potential[row]`` and ``direction[row]``. Their products with the
    matrix, as in `forward_tangent`, replace `received` and `moved`.
    """
    n = matrix.shape[1]
    for y in range(forward.shape[1]):
        tangent[row, y] -= mean * forward[row, y]
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


def _emit_add_pairs(r, first, second, length, out, number):
    r.select_matrix(3, number)
    n, n_rows = r.heights[3], max(1, 8 // r.count)  # rows of `out` that are held in registers at a time
    blocks = r.builder.mul(r.builder.sdiv(n, r.integer(n_rows)), r.integer(n_rows))

    def add_block(x, n_rows):
        lines = [r.row(3, r.builder.add(x, r.integer(k))) for k in range(n_rows)]
        sums = [r.variables(r.load(line, 3)) for line in lines]
        with r.loop(r.integer(1), length) as (t, _):
            after = r.load(r.row(1, t), 3)
            before = r.row(0, r.builder.sub(t, r.integer(1)))
            for k in range(n_rows):
                factor = r.broadcast(r.element_of(before, r.builder.add(x, r.integer(k))))
                for variable, register in zip(sums[k], after):
                    r.builder.store(r.add(r.builder.load(variable), r.multiply(factor, register)), variable)
        for line, variables in zip(lines, sums):
            r.store([r.builder.load(variable) for variable in variables], line, 3)

    with r.loop(r.integer(0), blocks, n_rows) as (x, _):
        add_block(x, n_rows)
    if n_rows > 1:
        with r.loop(blocks, n) as (x, _):
            add_block(x, 1)


@primitive(_emit_add_pairs)
def add_pairs(first, second, length, out, number, lanes):
    """``out[number] += first[: length - 1, :n].T @ second[1:length]``, where each matrix has ``n`` rows."""
    for t in range(1, length):
        for x in range(out.shape[1]):
            for y in range(out.shape[2]):
                out[number, x, y] += first[t - 1, x] * second[t, y]


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
