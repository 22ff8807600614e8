"""Vector operations on rows of messages and pair potentials, for belief propagation.

They are primitives as in ``simd.py``: the plain function defines the result.
"""

import numpy as np

from skstruct.kernels.jit import primitive


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


def store_matrix_times(r, matrix, line, like, out):
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
    store_matrix_times(r, 2, r.row(0, row), 0, r.row(4, out_row))


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
    store_matrix_times(r, 4, line, 0, line)
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


def _emit_send_any(r, message, target, cavity, k, potential, number, form):
    b, results = r.builder, [r.cgutils.alloca_once(r.builder, r.element) for _ in range(2)]
    matrices, undamped = r.data[4], r.ir.Constant(r.element, 0.0)

    def keep(found):
        for variable, result in zip(results, found):
            b.store(result, variable)
        r.data[4] = matrices  # the other branches select their matrix again

    with b.if_else(b.icmp_signed("==", form, r.integer(0))) as (then, otherwise):
        with then:
            keep(_emit_send(r, message, target, cavity, k, potential, number, undamped))
        with otherwise, b.if_else(b.icmp_signed("==", form, r.integer(1))) as (then, otherwise):
            with then:
                keep(_emit_send_back(r, message, target, cavity, k, potential, number, undamped))
            with otherwise:
                r.select_matrix(4, number)
                same, other = (r.element_of(r.row(4, r.integer(0)), r.integer(y)) for y in range(2))
                keep(_emit_send_potts(r, message, target, cavity, k, other, b.fsub(same, other), undamped))
    return [b.load(variable) for variable in results]


@primitive(_emit_send_any, returns=2)
def send_any(message, target, cavity, k, potential, number, form, lanes):
    """Replace ``message[target]`` like `send` if `form` is 0, `send_back` if it is 1, `send_potts` if it is 2.

    There is no damping. With a Potts matrix, all three compute the same.
    """
    n = message.shape[1]
    raw = np.zeros(n)
    for x in range(n):
        for y in range(n):
            raw[y] += cavity[k, x] * (potential[number, y, x] if form == 1 else potential[number, x, y])
    top, moved = raw.max(), 0.0
    for y in range(n):
        new = raw[y] / top
        moved = max(moved, abs(new - message[target, y]))
        message[target, y] = new
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
