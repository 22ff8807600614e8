"""Writes LLVM code for operations on rows of numbers that are held in vector registers.

A row of ``n`` numbers is held in registers of `width` numbers. Where `width` does not divide ``n``, the last register
overlaps the one before: it holds the row's last `width` numbers, so that no row needs to be padded or masked.
Element-wise results agree in the overlap, and may be stored twice; sums leave it out.
"""

# (width, number of registers), for rows of 1, 2, 3, 4, 5-7, 8, 9-16, ... 57-64 numbers
SHAPES = [(1, 1), (2, 1), (2, 2), (4, 1), (4, 2), *((8, count) for count in range(1, 9))]
SMALLEST_EXPONENT, SMALLEST_EXPONENT_32 = -708.0, -87.0  # exp of less is no normal number, and given as 0


class Rows:
    """Writes LLVM code for operations on rows, into the kernel that is being compiled.

    Parameters
    ----------
    context, builder, signature, args
        What numba gives a code generator; the last argument is the `lanes` tuple, and the first array tells the
        type of all numbers. Arrays are known by the place of their argument.
    """

    def __init__(self, context, builder, signature, args):
        from llvmlite import ir
        from numba.core import cgutils, types

        self.ir, self.cgutils, self.builder = ir, cgutils, builder
        self.width, self.count = SHAPES[signature.args[-1].count - 1]
        arrays = [k for k, kind in enumerate(signature.args) if isinstance(kind, types.Array)]
        self.data, self.lengths = {}, {}
        for k in arrays:
            array = context.make_array(signature.args[k])(context, builder, args[k])
            self.data[k] = array.data
            self.lengths[k] = builder.extract_value(array.shape, signature.args[k].ndim - 1)
        self.signed = {k: getattr(signature.args[k].dtype, "signed", True) for k in arrays}
        self.int = ir.IntType(64)
        single = signature.args[arrays[0]].dtype == types.float32
        self.element = ir.FloatType() if single else ir.DoubleType()
        self.vector = ir.VectorType(self.element, self.width)
        self.align = 4 if single else 8

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
        """Load ``array[index]`` of a flat array; integers as 64 bits, other numbers as those of the rows."""
        value = self.builder.load(self.builder.gep(self.data[array], [index]))
        if isinstance(value.type, self.ir.DoubleType) and self.align == 4:
            value = self.builder.fptrunc(value, self.element)
        if isinstance(value.type, self.ir.IntType) and value.type.width < 64:
            widen = self.builder.sext if self.signed[array] else self.builder.zext
            value = widen(value, self.int)
        return value

    # ------------------------------------------------------------------ rows
    def row(self, array, index):
        """Pointer to a row of an array."""
        return self.builder.gep(self.data[array], [self.builder.mul(index, self.lengths[array])])

    def element_of(self, row, index):
        """Load one number of a row."""
        return self.builder.load(self.builder.gep(row, [index]))

    def load(self, row, like):
        """Read registers from a row; they lie as in rows of the length of the array `like`."""
        return [self.builder.load(at, align=self.align) for at in self._places(row, like)]

    def store(self, registers, row, like):
        """Write registers to a row; they lie as in rows of the length of the array `like`."""
        for register, at in zip(registers, self._places(row, like)):
            self.builder.store(register, at, align=self.align)

    def _places(self, row, like):
        starts = [self.integer(v * self.width) for v in range(self.count - 1)]
        starts.append(self.builder.sub(self.lengths[like], self.integer(self.width)))
        return [self.builder.bitcast(self.builder.gep(row, [at]), self.vector.as_pointer()) for at in starts]

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

    def sum(self, registers, like):
        """Sum of a row, its overlap counted once."""
        if self.count > 1:
            places = self.ir.Constant(self.ir.VectorType(self.int, self.width), list(range(self.width)))
            overlap = self.builder.sub(self.integer(self.width * self.count), self.lengths[like])
            once = self.builder.icmp_signed(">=", places, self.broadcast(overlap))
            registers = [*registers[:-1], self.builder.select(once, registers[-1], self.constant(0.0))]
        return self.reduce(registers, self.add)

    def times_matrix(self, row, matrix, n_rows):
        """``row[:n_rows] @ matrix[:n_rows]`` in registers, as two interleaved sums."""
        zero = [self.constant(0.0)] * self.count
        sums = [self.variables(zero), self.variables(zero)]

        def add_product(i, part):
            factor = self.broadcast(self.element_of(row, i))
            for variable, register in zip(sums[part], self.load(self.row(matrix, i), matrix)):
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
        lowest = SMALLEST_EXPONENT_32 if single else SMALLEST_EXPONENT
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
