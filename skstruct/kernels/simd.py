"""Vector operations on rows of numbers, in explicit LLVM code for vector registers.

Compilers do not vectorise short loops over a number of states that is known only at run time. These primitives do it,
for the few loops where a benchmark shows a gain. Each has two definitions. The plain Python function defines the
result: tests compare with it, and it runs with ``NUMBA_DISABLE_JIT=1``. The emitter writes LLVM code that computes the
same in registers.

``registers.py`` describes how registers contain a row of ``n`` numbers, where ``n`` need not be a multiple of their
width. Arrays that are read most often are padded with zeros to ``padded(n)`` nevertheless, and start at a cache line
(`aligned_zeros`): reading a register from two cache lines takes twice the time.

The number of registers and their width are known when a kernel is compiled, from the type of its argument
``lanes(n)``, a tuple. A kernel has a specialisation for each of `SHAPES`, and one that compiles the plain functions,
for rows longer than `LONGEST_ROW`.
"""

import math
from functools import cache

import numpy as np

from skstruct.kernels.jit import primitive
from skstruct.kernels.registers import SHAPES, SMALLEST_EXPONENT, SMALLEST_EXPONENT_32

LONGEST_ROW = 64
CACHE_LINE = 64  # bytes


@cache
def lanes(n):
    """Tuple whose length determines the registers for rows of `n` numbers; empty for long rows."""
    width = min(8, 1 << (n.bit_length() - 1))
    return (0,) * (1 + SHAPES.index((width, -(-n // width)))) if n <= LONGEST_ROW else ()


@cache
def padded(n):
    """Length of rows of `n` numbers after padding to whole registers."""
    width, count = SHAPES[len(lanes(n)) - 1] if n <= LONGEST_ROW else (1, n)
    return width * count


def aligned_zeros(*shape, dtype=np.float64):
    """Zeros that start at a cache line."""
    size, in_line = math.prod(shape), CACHE_LINE // np.dtype(dtype).itemsize
    raw = np.zeros(size + in_line, dtype)
    start = -(raw.__array_interface__["data"][0] * in_line // CACHE_LINE) % in_line
    return raw[start : start + size].reshape(shape)


# ------------------------------------------------------------------------------------------- primitives
def _emit_prefetch(r, array, index):
    byte, flag = r.ir.IntType(8).as_pointer(), r.ir.IntType(32)
    kind = r.ir.FunctionType(r.ir.VoidType(), [byte, flag, flag, flag])
    function = r.cgutils.get_or_insert_function(r.builder.module, kind, "llvm.prefetch.p0")
    address = r.builder.bitcast(r.builder.gep(r.data[0], [index]), byte)
    r.builder.call(function, [address, *(r.ir.Constant(flag, value) for value in (0, 3, 1))])  # read, keep, data


@primitive(_emit_prefetch)
def prefetch(array, index, lanes):
    """Tell the processor to load ``array[index]`` into the cache; no value changes."""


def _emit_add_rows(r, table, columns, start, stop, out):
    line = r.row(4, r.integer(0))
    total = r.variables(r.load(line, 4))
    with r.loop(start, stop) as (k, _):
        for variable, register in zip(total, r.load(r.row(0, r.number(1, k)), 4)):
            r.builder.store(r.add(r.builder.load(variable), register), variable)
    r.store([r.builder.load(variable) for variable in total], line, 4)


@primitive(_emit_add_rows)
def add_rows(table, columns, start, stop, out, lanes):
    """Gather: ``out[0] += table[columns[start:stop]].sum(0)``."""
    for k in range(start, stop):
        for y in range(out.shape[1]):
            out[0, y] += table[columns[k], y]


def _emit_add_scaled_rows(r, table, columns, values, start, stop, out):
    line = r.row(5, r.integer(0))
    total = r.variables(r.load(line, 5))
    with r.loop(start, stop) as (k, _):
        factor = r.broadcast(r.number(2, k))
        for variable, register in zip(total, r.load(r.row(0, r.number(1, k)), 5)):
            r.builder.store(r.add(r.builder.load(variable), r.multiply(factor, register)), variable)
    r.store([r.builder.load(variable) for variable in total], line, 5)


@primitive(_emit_add_scaled_rows)
def add_scaled_rows(table, columns, values, start, stop, out, lanes):
    """Gather: ``out[0] += values[start:stop] @ table[columns[start:stop]]``."""
    for k in range(start, stop):
        for y in range(out.shape[1]):
            out[0, y] += values[k] * table[columns[k], y]


def _emit_add_to_rows(r, source, table, columns, start, stop):
    registers = r.load(r.row(0, r.integer(0)), 0)
    with r.loop(start, stop) as (k, _):
        line = r.row(1, r.number(2, k))
        r.store([r.add(a, b) for a, b in zip(r.load(line, 0), registers)], line, 0)


@primitive(_emit_add_to_rows)
def add_to_rows(source, table, columns, start, stop, lanes):
    """Scatter: ``table[columns[k]] += source[0]`` for all ``start <= k < stop``."""
    for k in range(start, stop):
        for y in range(source.shape[1]):
            table[columns[k], y] += source[0, y]


def _emit_add_scaled_to_rows(r, source, table, columns, values, start, stop):
    registers = r.load(r.row(0, r.integer(0)), 0)
    with r.loop(start, stop) as (k, _):
        line, factor = r.row(1, r.number(2, k)), r.broadcast(r.number(3, k))
        r.store([r.add(a, r.multiply(factor, b)) for a, b in zip(r.load(line, 0), registers)], line, 0)


@primitive(_emit_add_scaled_to_rows)
def add_scaled_to_rows(source, table, columns, values, start, stop, lanes):
    """Scatter: ``table[columns[k]] += values[k] * source[0]`` for all ``start <= k < stop``."""
    for k in range(start, stop):
        for y in range(source.shape[1]):
            table[columns[k], y] += values[k] * source[0, y]


def _emit_exp_row(r, scores, row, out, out_row):
    registers = r.load(r.row(0, row), 0)
    top = r.reduce(registers, r.greater)
    infinite = r.ir.Constant(r.element, -math.inf)
    shift = r.builder.select(r.builder.fcmp_ordered("==", top, infinite), r.ir.Constant(r.element, 0.0), top)
    shifted = [r.builder.fsub(register, r.broadcast(shift)) for register in registers]
    r.store([r.exp(s) for s in shifted], r.row(2, out_row), 0)
    return top, r.reduce(shifted, r.smaller)


@primitive(_emit_exp_row, returns=2)
def exp_row(scores, row, out, out_row, lanes):
    """``out[out_row] = exp(scores[row] - top)``; returns `top`, the maximum, and the smallest exponent.

    If rows of `out` are longer than rows of `scores`, their other entries do not change.
    """
    top = -math.inf
    for y in range(scores.shape[1]):
        top = max(top, scores[row, y])
    shift = 0.0 if top == -math.inf else top
    smallest = SMALLEST_EXPONENT if scores.itemsize == 8 else SMALLEST_EXPONENT_32
    low = 0.0
    for y in range(scores.shape[1]):
        exponent = scores[row, y] - shift
        low = min(low, exponent)
        out[out_row, y] = math.exp(exponent) if exponent >= smallest else 0.0
    return top, low


def _emit_multiply_row(r, source, row, matrix, number, out, out_row):
    r.select_matrix(2, number)
    r.store(r.times_matrix(r.row(0, row), 2), r.row(4, out_row), 4)


@primitive(_emit_multiply_row)
def multiply_row(source, row, matrix, number, out, out_row, lanes):
    """``out[out_row] = source[row, :n] @ matrix[number]``, where each matrix has ``n`` rows."""
    for y in range(out.shape[1]):
        total = 0.0
        for x in range(matrix.shape[1]):
            total += source[row, x] * matrix[number, x, y]
        out[out_row, y] = total


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


# ---------------------------------------------------------------------- messages of loopy belief propagation
def _without_overlap(r, registers, like):
    """Registers of a row, with zeros where the last register overlaps the register before it."""
    if r.count == 1:
        return registers
    positions = r.ir.Constant(r.ir.VectorType(r.int, r.width), list(range(r.width)))
    overlap = r.builder.sub(r.integer(r.width * r.count), r.lengths[like])
    once = r.builder.icmp_signed(">=", positions, r.broadcast(overlap))
    return [*registers[:-1], r.builder.select(once, registers[-1], r.constant(0.0))]


def _sums_of(r, registers):
    """One register that contains the sum of each of the `width` registers."""
    size = r.width  # each register contains groups of `size` numbers whose sums are still to be computed
    while size > 1:
        half = size // 2
        low = [v * r.width + g + k for g in range(0, r.width, size) for v in range(2) for k in range(half)]
        kind = r.ir.VectorType(r.ir.IntType(32), r.width)
        masks = [r.ir.Constant(kind, [index + shift for index in low]) for shift in (0, half)]
        registers = [
            r.add(*(r.builder.shuffle_vector(a, b, mask) for mask in masks))
            for a, b in zip(registers[:half], registers[half:])
        ]
        size = half
    return registers[0]


def _emit_exp_matrix(r, scores, number, out):
    r.select_matrix(0, number)
    r.select_matrix(2, number)
    n, infinite = r.lengths[0], r.ir.Constant(r.element, -math.inf)
    tops = r.variables([r.constant(-math.inf)] * r.count)
    lows = r.variables([r.constant(0.0)] * r.count)
    with r.loop(r.integer(0), n) as (x, _):
        for variable, register in zip(tops, r.load(r.row(0, x), 0)):
            r.builder.store(r.greater(r.builder.load(variable), register), variable)
    top = r.reduce([r.builder.load(variable) for variable in tops], r.greater)
    shift = r.broadcast(
        r.builder.select(r.builder.fcmp_ordered("==", top, infinite), r.ir.Constant(r.element, 0.0), top)
    )
    with r.loop(r.integer(0), n) as (x, _):
        shifted = [r.builder.fsub(register, shift) for register in r.load(r.row(0, x), 0)]
        for variable, register in zip(lows, shifted):
            r.builder.store(r.smaller(r.builder.load(variable), register), variable)
        r.store([r.exp(register) for register in shifted], r.row(2, x), 0)
    return top, r.reduce([r.builder.load(variable) for variable in lows], r.smaller)


@primitive(_emit_exp_matrix, returns=2)
def exp_matrix(scores, number, out, lanes):
    """``out[number] = exp(scores[number] - top)``; returns `top`, the maximum, and the smallest exponent.

    Longer rows of `out` keep what is beyond.
    """
    n = scores.shape[1]
    top = scores[number].max()
    smallest = SMALLEST_EXPONENT if scores.itemsize == 8 else SMALLEST_EXPONENT_32
    shift = 0.0 if top == -math.inf else top
    low = 0.0
    for x in range(n):
        for y in range(n):
            exponent = scores[number, x, y] - shift
            low = min(low, exponent)
            out[number, x, y] = math.exp(exponent) if exponent >= smallest else 0.0
    return top, low


def _emit_leave_one_out(r, message, begin, first, last, stop, node, i, out, at):
    def times(variables, row):
        for variable, register in zip(variables, r.load(row, 0)):
            r.builder.store(r.multiply(r.builder.load(variable), register), variable)

    def value(variables):
        return [r.builder.load(variable) for variable in variables]

    total = r.variables(r.load(r.row(5, i), 0))
    for start, end in ((begin, first), (last, stop)):
        with r.loop(start, end) as (s, _):
            times(total, r.row(0, s))
    after = r.variables([r.constant(1.0)] * r.count)
    size = r.builder.sub(last, first)
    with r.loop(r.integer(0), size) as (k, _):
        from_end = r.builder.sub(r.builder.sub(size, k), r.integer(1))
        r.store(value(after), r.row(7, r.builder.add(at, from_end)), 0)
        times(after, r.row(0, r.builder.add(first, from_end)))
    with r.loop(r.integer(0), size) as (k, _):
        line = r.row(7, r.builder.add(at, k))
        r.store([r.multiply(a, b) for a, b in zip(value(total), r.load(line, 0))], line, 0)
        times(total, r.row(0, r.builder.add(first, k)))
    r.store(value(total), r.row(7, r.builder.add(at, size)), 0)


@primitive(_emit_leave_one_out)
def leave_one_out(message, begin, first, last, stop, node, i, out, at, lanes):
    """Write the products of a row and all messages but one to successive rows of `out`, from row `at` on.

    ``out[at + s - first] = node[i] * message[begin:stop, but for s].prod(0)`` for ``first <= s < last``. The
    product with all messages follows, in ``out[at + last - first]``. Products before and after `s` are multiplied: a
    division by ``message[s]`` would be 0 / 0 where it is 0.
    """
    size = last - first
    for x in range(message.shape[1]):
        total = node[i, x]
        for s in range(begin, first):
            total *= message[s, x]
        for s in range(last, stop):
            total *= message[s, x]
        after = 1.0
        for k in range(size - 1, -1, -1):
            out[at + k, x] = after
            after *= message[first + k, x]
        for k in range(size):
            out[at + k, x] *= total
            total *= message[first + k, x]
        out[at + size, x] = total


def _replace_message(r, raw, target, damping):
    """Scale a message to maximum 1, mix it with the old message and store it.

    Returns the maximum before it is scaled, and the largest change of the message.
    """
    top = r.reduce(raw, r.greater)
    inverse, fraction = r.broadcast(r.builder.fdiv(r.ir.Constant(r.element, 1.0), top)), r.broadcast(damping)
    line, changes, mixed = r.row(0, target), [], []
    for register, old in zip(raw, r.load(line, 0)):
        new = r.multiply(register, inverse)
        mixed.append(r.add(new, r.multiply(fraction, r.builder.fsub(old, new))))
        change = r.builder.fsub(mixed[-1], old)
        changes.append(r.greater(change, r.builder.fneg(change)))
    r.store(mixed, line, 0)
    return top, r.reduce(changes, r.greater)


def _emit_send(r, message, target, cavity, k, potential, number, damping):
    r.select_matrix(4, number)
    return _replace_message(r, r.times_matrix(r.row(2, k), 4), target, damping)


@primitive(_emit_send, returns=2)
def send(message, target, cavity, k, potential, number, damping, lanes):
    """Replace ``message[target]`` by ``cavity[k] @ potential[number]``, scaled to maximum 1.

    ``damping`` is the fraction of the old message in the new message. Returns the maximum before it is scaled, and the
    largest change of the message. The row of `cavity` may be overwritten.
    """
    n = message.shape[1]
    raw = np.zeros(n)
    for x in range(n):
        for y in range(n):
            raw[y] += cavity[k, x] * potential[number, x, y]
    top, moved = raw.max(), 0.0
    for y in range(n):
        old = message[target, y]
        new = raw[y] / top
        new += damping * (old - new)
        moved = max(moved, abs(new - old))
        message[target, y] = new
    return top, moved


def _store_matrix_times(r, matrix, line, like, out):
    """Store ``matrix @ line`` to the row `out`, which may be `line`; rows have the length of the rows of `like`."""
    factors = _without_overlap(r, r.load(line, like), like)
    last = r.builder.sub(r.lengths[like], r.integer(r.width))
    with r.loop(r.integer(0), r.integer(r.count)) as (block, _):
        # `width` rows at a time; the last group of rows overlaps the group before it, as registers do
        at = r.builder.mul(block, r.integer(r.width))
        at = r.builder.select(r.builder.icmp_signed("<", at, last), at, last)
        sums = []
        for x in range(r.width):
            entries = r.load(r.row(matrix, r.builder.add(at, r.integer(x))), like)
            total = r.multiply(entries[0], factors[0])
            for entry, factor in zip(entries[1:], factors[1:]):
                total = r.add(total, r.multiply(entry, factor))
            sums.append(total)
        address = r.builder.bitcast(r.builder.gep(out, [at]), r.vector.as_pointer())
        r.builder.store(_sums_of(r, sums), address, align=r.align)


def _emit_multiply_row_back(r, source, row, matrix, number, out, out_row):
    r.select_matrix(2, number)
    _store_matrix_times(r, 2, r.row(0, row), 0, r.row(4, out_row))


@primitive(_emit_multiply_row_back)
def multiply_row_back(source, row, matrix, number, out, out_row, lanes):
    """``out[out_row] = matrix[number] @ source[row]``; rows are not padded."""
    for x in range(out.shape[1]):
        total = 0.0
        for y in range(matrix.shape[2]):
            total += matrix[number, x, y] * source[row, y]
        out[out_row, x] = total


def _emit_send_back(r, message, target, cavity, k, potential, number, damping):
    r.select_matrix(4, number)
    line = r.row(2, k)
    _store_matrix_times(r, 4, line, 0, line)
    return _replace_message(r, r.load(line, 0), target, damping)


@primitive(_emit_send_back, returns=2)
def send_back(message, target, cavity, k, potential, number, damping, lanes):
    """Like `send`, with ``potential[number] @ cavity[k]``."""
    n = message.shape[1]
    raw = np.zeros(n)
    for x in range(n):
        for y in range(n):
            raw[x] += potential[number, x, y] * cavity[k, y]
    top, moved = raw.max(), 0.0
    for x in range(n):
        old = message[target, x]
        new = raw[x] / top
        new += damping * (old - new)
        moved = max(moved, abs(new - old))
        message[target, x] = new
    return top, moved


def _emit_send_potts(r, message, target, cavity, k, other, gain, damping):
    given, factor = r.load(r.row(2, k), 0), r.broadcast(gain)
    base = r.broadcast(r.builder.fmul(r.sum(given, 0), other))
    return _replace_message(r, [r.add(base, r.multiply(factor, a)) for a in given], target, damping)


@primitive(_emit_send_potts, returns=2)
def send_potts(message, target, cavity, k, other, gain, damping, lanes):
    """Like `send`, with a Potts matrix: `other` off the diagonal and ``other + gain`` on the diagonal."""
    total, largest, moved = cavity[k].sum(), cavity[k].max(), 0.0
    top = other * total + gain * largest if gain > 0.0 else other * total + gain * cavity[k].min()
    for x in range(message.shape[1]):
        old = message[target, x]
        new = (other * total + gain * cavity[k, x]) / top
        new += damping * (old - new)
        moved = max(moved, abs(new - old))
        message[target, x] = new
    return top, moved


def _emit_pair_total(r, cavity, s, t, potential, number):
    r.select_matrix(3, number)
    received = r.times_matrix(r.row(0, s), 3)
    return (r.sum([r.multiply(a, b) for a, b in zip(received, r.load(r.row(0, t), 0))], 0),)


@primitive(_emit_pair_total, returns=1)
def pair_total(cavity, s, t, potential, number, lanes):
    """``cavity[s] @ potential[number] @ cavity[t]``."""
    total = 0.0
    for x in range(cavity.shape[1]):
        for y in range(cavity.shape[1]):
            total += cavity[s, x] * potential[number, x, y] * cavity[t, y]
    return total


def _emit_add_pair(r, cavity, s, t, potential, number, factor, keep, counts, row):
    r.select_matrix(3, number)
    r.select_matrix(7, row)
    before, after, kept = r.row(0, s), r.load(r.row(0, t), 0), r.broadcast(keep)
    with r.loop(r.integer(0), r.lengths[0]) as (x, _):
        scale = r.broadcast(r.builder.fmul(r.element_of(before, x), factor))
        line = r.row(7, x)
        r.store(
            [
                r.add(r.multiply(kept, old), r.multiply(r.multiply(scale, psi), b))
                for old, psi, b in zip(r.load(line, 0), r.load(r.row(3, x), 0), after)
            ],
            line,
            0,
        )


@primitive(_emit_add_pair)
def add_pair(cavity, s, t, potential, number, factor, keep, counts, row, lanes):
    """``counts[row] = keep * counts[row] + factor * outer(cavity[s], cavity[t]) * potential[number]``.

    `counts` may be `potential`.
    """
    for x in range(cavity.shape[1]):
        for y in range(cavity.shape[1]):
            pair = factor * cavity[s, x] * potential[number, x, y] * cavity[t, y]
            counts[row, x, y] = keep * counts[row, x, y] + pair
