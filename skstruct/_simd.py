"""Vector operations on rows of numbers, kept in vector registers by explicit LLVM code.

Compilers do not vectorise short loops over a number of states that is known at run time only; these primitives
do it by hand, for the few loops where a benchmark shows that it pays. Each has two definitions: a plain Python
function, which says what it computes, is what tests compare with and what runs with ``NUMBA_DISABLE_JIT=1``; and an
emitter, which writes the same with registers.

A row of ``n`` numbers is held in registers of `width` numbers. Where `width` does not divide ``n``, the last register
overlaps the one before: it holds the row's last `width` numbers, so that no row is padded or masked. Element-wise
results agree in the overlap, and may be stored twice; sums leave it out. How many registers of which width is known
when a kernel is compiled, from the type of the tuple ``lanes(n)`` that it is given: there are as many
specialisations of a kernel as `SHAPES`.
"""

import math

from skstruct._jit import primitive

# (width, number of registers), for rows of 1, 2, 3, 4, 5-7, 8, 9-16, ... 57-64 numbers
SHAPES = [(1, 1), (2, 1), (2, 2), (4, 1), (4, 2), *((8, count) for count in range(1, 9))]
LONGEST_ROW = 64
SMALLEST_EXPONENT = -708.0  # exp of less is no normal number, and given as 0


def lanes(n):
    """Tuple whose length tells a compiler how rows of ``1 <= n <= LONGEST_ROW`` numbers are held in registers."""
    return (0,) * (1 + next(k for k, (width, count) in enumerate(SHAPES) if width * count >= n))


class Rows:
    """Writes LLVM code for operations on rows, into the kernel that is being compiled.

    Parameters
    ----------
    context, builder, signature, args
        What numba gives a code generator; the last argument is the `lanes` tuple, and the first array tells the
        length and the type of all rows.
    """

    def __init__(self, context, builder, signature, args):
        from llvmlite import ir
        from numba.core import cgutils, types

        self.ir, self.cgutils, self.builder = ir, cgutils, builder
        self.width, self.count = SHAPES[signature.args[-1].count - 1]
        arrays = [k for k, kind in enumerate(signature.args) if isinstance(kind, types.Array)]
        structs = {k: context.make_array(signature.args[k])(context, builder, args[k]) for k in arrays}
        self.data = {k: array.data for k, array in structs.items()}
        self.length = builder.extract_value(structs[arrays[0]].shape, signature.args[arrays[0]].ndim - 1)
        self.signed = {k: getattr(signature.args[k].dtype, "signed", True) for k in arrays}
        self.int = ir.IntType(64)
        single = signature.args[arrays[0]].dtype == types.float32
        self.element = ir.FloatType() if single else ir.DoubleType()
        self.vector = ir.VectorType(self.element, self.width)
        self.align = 4 if single else 8
        last = builder.sub(self.length, self.integer(self.width))
        self.offsets = [self.integer(v * self.width) for v in range(self.count - 1)] + [last]

    # ------------------------------------------------------------------ constants and scalars
    def integer(self, value):
        """Constant of 64 bits."""
        return self.ir.Constant(self.int, value)

    def constant(self, value):
        """Register full of one constant."""
        return self.ir.Constant(self.vector, [value] * self.width)

    def broadcast(self, value):
        """Register full of one number."""
        kind, index = self.ir.VectorType(value.type, self.width), self.ir.IntType(32)
        undefined = self.ir.Constant(kind, self.ir.Undefined)
        first = self.builder.insert_element(undefined, value, self.ir.Constant(index, 0))
        zeros = self.ir.Constant(self.ir.VectorType(index, self.width), [0] * self.width)
        return self.builder.shuffle_vector(first, undefined, zeros)

    def number(self, array, index):
        """Load ``array[index]`` of a flat array; integers as 64 bits."""
        value = self.builder.load(self.builder.gep(self.data[array], [index]))
        if isinstance(value.type, self.ir.IntType) and value.type.width < 64:
            widen = self.builder.sext if self.signed[array] else self.builder.zext
            value = widen(value, self.int)
        return value

    # ------------------------------------------------------------------ rows
    def row(self, array, index):
        """Pointer to a row of an array."""
        return self.builder.gep(self.data[array], [self.builder.mul(index, self.length)])

    def element_of(self, row, index):
        """Load one number of a row."""
        return self.builder.load(self.builder.gep(row, [index]))

    def load(self, row):
        """Read registers from a row."""
        return [self.builder.load(self._at(row, offset), align=self.align) for offset in self.offsets]

    def store(self, registers, row):
        """Write registers to a row."""
        for register, offset in zip(registers, self.offsets):
            self.builder.store(register, self._at(row, offset), align=self.align)

    def _at(self, row, offset):
        return self.builder.bitcast(self.builder.gep(row, [offset]), self.vector.as_pointer())

    def variables(self, initial):
        """Registers that change in a loop."""
        variables = []
        for register in initial:
            variables.append(self.cgutils.alloca_once(self.builder, self.vector))
            self.builder.store(register, variables[-1])
        return variables

    def loop(self, start, stop, step=1):
        """Emit the body of the with statement for ``start <= index < stop``; gives the index."""
        return self.cgutils.for_range_slice(self.builder, start, stop, self.integer(step))

    # ------------------------------------------------------------------ arithmetic
    def add(self, a, b):
        """Sum of two registers; sums may be reordered."""
        return self.builder.fadd(a, b, flags=("contract", "reassoc"))

    def multiply(self, a, b):
        """Product of two registers."""
        return self.builder.fmul(a, b, flags=("contract",))

    def greater(self, a, b):
        """Element-wise maximum of two registers without nan."""
        return self.builder.select(self.builder.fcmp_ordered(">", a, b), a, b)

    def smaller(self, a, b):
        """Element-wise minimum of two registers without nan."""
        return self.builder.select(self.builder.fcmp_ordered("<", a, b), a, b)

    def reduce(self, registers, combine):
        """Combine all numbers of some registers to one."""
        total = registers[0]
        for register in registers[1:]:
            total = combine(total, register)
        index, half = self.ir.IntType(32), self.width // 2
        while half:
            turned = [(k + half) % self.width for k in range(self.width)]
            mask = self.ir.Constant(self.ir.VectorType(index, self.width), turned)
            total = combine(total, self.builder.shuffle_vector(total, total, mask))
            half //= 2
        return self.builder.extract_element(total, self.ir.Constant(index, 0))

    def sum(self, registers):
        """Sum of a row, its overlap counted once."""
        if self.count > 1:
            places = self.ir.Constant(self.ir.VectorType(self.int, self.width), list(range(self.width)))
            overlap = self.builder.sub(self.integer(self.width * self.count), self.length)
            once = self.builder.icmp_signed(">=", places, self.broadcast(overlap))
            registers = [*registers[:-1], self.builder.select(once, registers[-1], self.constant(0.0))]
        return self.reduce(registers, self.add)

    def times_matrix(self, row, matrix, n_rows):
        """``row @ matrix``: registers of the sum of ``row[i] * matrix[i]``, in two interleaved sums."""
        zero = [self.constant(0.0)] * self.count
        sums = [self.variables(zero), self.variables(zero)]

        def add_product(i, part):
            factor = self.broadcast(self.element_of(row, i))
            line = self.builder.gep(matrix, [self.builder.mul(i, self.length)])
            for variable, register in zip(sums[part], self.load(line)):
                self.builder.store(self.add(self.builder.load(variable), self.multiply(factor, register)), variable)

        even = self.builder.and_(n_rows, self.integer(-2))
        with self.loop(self.integer(0), even, 2) as (i, _):
            add_product(i, 0)
            add_product(self.builder.add(i, self.integer(1)), 1)
        with self.builder.if_then(self.builder.icmp_signed("<", even, n_rows)):
            add_product(even, 0)
        return [self.add(self.builder.load(a), self.builder.load(b)) for a, b in zip(*sums)]

    def exp(self, register):
        """Exponential of numbers <= 0: 2**k times a polynomial on [-log 2 / 2, log 2 / 2]; 0 below the range."""
        b, single = self.builder, self.align == 4
        lowest = -87.0 if single else SMALLEST_EXPONENT
        high, low = (0.693359375, -2.12194440e-4) if single else (0.693145751953125, 1.42860682030941723212e-6)
        n_bits, bias, n_mantissa, degree = (32, 127, 23, 7) if single else (64, 1023, 52, 13)
        in_range = b.fcmp_ordered(">=", register, self.constant(lowest))
        x = b.select(in_range, register, self.constant(lowest))
        integers = self.ir.VectorType(self.ir.IntType(n_bits), self.width)
        half = self.constant(0.5)
        k = b.fptosi(b.fsub(self.multiply(x, self.constant(1.4426950408889634)), half), integers)
        power = b.sitofp(k, self.vector)
        for part in (high, low):
            x = b.fsub(x, b.fmul(power, self.constant(part), flags=("contract",)), flags=("contract",))
        coefficient, polynomial = 1.0, []
        for n in range(1, degree + 1):  # Taylor: below 1e-17 (1e-9) in the interval
            polynomial.append(coefficient)
            coefficient /= n
        value = self.constant(coefficient)
        for coefficient in reversed(polynomial):
            value = self.add(self.multiply(value, x), self.constant(coefficient))
        exponent = b.add(k, self.ir.Constant(integers, [bias] * self.width))
        scale = b.bitcast(b.shl(exponent, self.ir.Constant(integers, [n_mantissa] * self.width)), self.vector)
        return b.select(in_range, b.fmul(value, scale), self.constant(0.0))


# ------------------------------------------------------------------------------------------- primitives
def _emit_add_rows(r, table, columns, start, stop, out, row):
    total = r.variables(r.load(r.row(4, row)))
    with r.loop(start, stop) as (k, _):
        for variable, register in zip(total, r.load(r.row(0, r.number(1, k)))):
            r.builder.store(r.add(r.builder.load(variable), register), variable)
    r.store([r.builder.load(variable) for variable in total], r.row(4, row))


@primitive(_emit_add_rows)
def add_rows(table, columns, start, stop, out, row, lanes):
    """Gather: ``out[row] += table[columns[start:stop]].sum(0)``."""
    for k in range(start, stop):
        for y in range(out.shape[1]):
            out[row, y] += table[columns[k], y]


def _emit_add_scaled_rows(r, table, columns, values, start, stop, out, row):
    total = r.variables(r.load(r.row(5, row)))
    with r.loop(start, stop) as (k, _):
        factor = r.broadcast(r.number(2, k))
        for variable, register in zip(total, r.load(r.row(0, r.number(1, k)))):
            r.builder.store(r.add(r.builder.load(variable), r.multiply(factor, register)), variable)
    r.store([r.builder.load(variable) for variable in total], r.row(5, row))


@primitive(_emit_add_scaled_rows)
def add_scaled_rows(table, columns, values, start, stop, out, row, lanes):
    """Gather: ``out[row] += values[start:stop] @ table[columns[start:stop]]``."""
    for k in range(start, stop):
        for y in range(out.shape[1]):
            out[row, y] += values[k] * table[columns[k], y]


def _emit_add_to_rows(r, source, row, table, columns, start, stop):
    registers = r.load(r.row(0, row))
    with r.loop(start, stop) as (k, _):
        line = r.row(2, r.number(3, k))
        r.store([r.add(a, b) for a, b in zip(r.load(line), registers)], line)


@primitive(_emit_add_to_rows)
def add_to_rows(source, row, table, columns, start, stop, lanes):
    """Scatter: ``table[columns[k]] += source[row]`` for all ``start <= k < stop``."""
    for k in range(start, stop):
        for y in range(source.shape[1]):
            table[columns[k], y] += source[row, y]


def _emit_add_scaled_to_rows(r, source, row, table, columns, values, start, stop):
    registers = r.load(r.row(0, row))
    with r.loop(start, stop) as (k, _):
        line, factor = r.row(2, r.number(3, k)), r.broadcast(r.number(4, k))
        r.store([r.add(a, r.multiply(factor, b)) for a, b in zip(r.load(line), registers)], line)


@primitive(_emit_add_scaled_to_rows)
def add_scaled_to_rows(source, row, table, columns, values, start, stop, lanes):
    """Scatter: ``table[columns[k]] += values[k] * source[row]`` for all ``start <= k < stop``."""
    for k in range(start, stop):
        for y in range(source.shape[1]):
            table[columns[k], y] += values[k] * source[row, y]


def _emit_exp_row(r, scores, row, out, out_row):
    registers = r.load(r.row(0, row))
    top = r.reduce(registers, r.greater)
    infinite = r.ir.Constant(r.element, -math.inf)
    shift = r.builder.select(r.builder.fcmp_ordered("==", top, infinite), r.ir.Constant(r.element, 0.0), top)
    shifted = [r.builder.fsub(register, r.broadcast(shift)) for register in registers]
    finite = [
        r.builder.select(r.builder.fcmp_ordered("==", s, r.constant(-math.inf)), r.constant(0.0), s) for s in shifted
    ]
    r.store([r.exp(s) for s in shifted], r.row(2, out_row))
    return top, r.reduce(finite, r.smaller)


@primitive(_emit_exp_row, returns=2)
def exp_row(scores, row, out, out_row, lanes):
    """``out[out_row] = exp(scores[row] - top)``; returns `top`, the maximum, and the least finite exponent."""
    top = scores[row].max()
    shift = 0.0 if top == -math.inf else top
    low = 0.0
    for y in range(scores.shape[1]):
        exponent = scores[row, y] - shift
        if exponent > -math.inf:
            low = min(low, exponent)
        out[out_row, y] = math.exp(exponent) if exponent >= SMALLEST_EXPONENT else 0.0
    return top, low


def _emit_forward_step(r, message, row, matrix, potential, factor, out_row):
    received = r.times_matrix(r.row(0, row), r.data[2], r.length)
    scale = r.broadcast(factor)
    potentials = r.load(r.row(3, out_row))
    product = [r.multiply(a, r.multiply(b, scale)) for a, b in zip(received, potentials)]
    r.store(product, r.row(0, out_row))
    return (r.sum(product),)


@primitive(_emit_forward_step, returns=1)
def forward_step(message, row, matrix, potential, factor, out_row, lanes):
    """``message[out_row] = (message[row] @ matrix) * potential[out_row] * factor``; returns its sum."""
    total = 0.0
    for y in range(message.shape[1]):
        received = 0.0
        for x in range(message.shape[1]):
            received += message[row, x] * matrix[x, y]
        message[out_row, y] = received * (potential[out_row, y] * factor)
        total += message[out_row, y]
    return total


def _emit_backward_step(r, forward, received, potential, factor, row, matrix, out, out_row):
    given = r.load(r.row(1, r.integer(0)))
    r.store([r.multiply(a, b) for a, b in zip(r.load(r.row(0, row)), given)], r.row(6, out_row))
    scale, line = r.broadcast(factor), r.row(2, row)
    r.store([r.multiply(a, r.multiply(b, scale)) for a, b in zip(r.load(line), given)], line)
    r.store(r.times_matrix(line, r.data[5], r.length), r.row(1, r.integer(0)))


@primitive(_emit_backward_step)
def backward_step(forward, received, potential, factor, row, matrix, out, out_row, lanes):
    """Marginals of a node, and the message that it sends back.

    ``out[out_row] = forward[row] * received[0]``, then ``potential[row] *= received[0] * factor``, then
    ``received[0] = potential[row] @ matrix``.
    """
    n = forward.shape[1]
    for y in range(n):
        out[out_row, y] = forward[row, y] * received[0, y]
        potential[row, y] *= received[0, y] * factor
    for x in range(n):
        received[0, x] = 0.0
    for y in range(n):
        for x in range(n):
            received[0, x] += potential[row, y] * matrix[y, x]


def _emit_add_pairs(r, first, second, length, out):
    n_rows = max(1, 8 // r.count)  # rows of `out` that are held in registers at a time
    blocks = r.builder.mul(r.builder.sdiv(r.length, r.integer(n_rows)), r.integer(n_rows))

    def add_block(x, n_rows):
        lines = [r.row(3, r.builder.add(x, r.integer(k))) for k in range(n_rows)]
        sums = [r.variables(r.load(line)) for line in lines]
        with r.loop(r.integer(1), length) as (t, _):
            after = r.load(r.row(1, t))
            before = r.row(0, r.builder.sub(t, r.integer(1)))
            for k in range(n_rows):
                factor = r.broadcast(r.element_of(before, r.builder.add(x, r.integer(k))))
                for variable, register in zip(sums[k], after):
                    r.builder.store(r.add(r.builder.load(variable), r.multiply(factor, register)), variable)
        for line, variables in zip(lines, sums):
            r.store([r.builder.load(variable) for variable in variables], line)

    with r.loop(r.integer(0), blocks, n_rows) as (x, _):
        add_block(x, n_rows)
    if n_rows > 1:
        with r.loop(blocks, r.length) as (x, _):
            add_block(x, 1)


@primitive(_emit_add_pairs)
def add_pairs(first, second, length, out, lanes):
    """``out += first[: length - 1].T @ second[1:length]``."""
    for t in range(1, length):
        for x in range(first.shape[1]):
            for y in range(first.shape[1]):
                out[x, y] += first[t - 1, x] * second[t, y]


def _emit_best_step(r, scores, row, matrix, out_row):
    lowest = [r.constant(-math.inf)] * r.count
    best = r.variables(lowest)
    source = r.row(0, row)
    with r.loop(r.integer(0), r.length) as (x, _):
        value = r.broadcast(r.element_of(source, x))
        for variable, register in zip(best, r.load(r.row(2, x))):
            r.builder.store(r.greater(r.builder.fadd(value, register), r.builder.load(variable)), variable)
    line = r.row(0, out_row)
    r.store([r.builder.fadd(a, r.builder.load(b)) for a, b in zip(r.load(line), best)], line)


@primitive(_emit_best_step)
def best_step(scores, row, matrix, out_row, lanes):
    """Viterbi: ``scores[out_row] += (scores[row][:, None] + matrix).max(0)``."""
    for y in range(scores.shape[1]):
        best = -math.inf
        for x in range(scores.shape[1]):
            best = max(best, scores[row, x] + matrix[x, y])
        scores[out_row, y] += best
