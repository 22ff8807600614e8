"""A writer of LLVM code for operations on rows of numbers in vector registers.

A register contains `width` numbers, and several registers contain a row of ``n`` numbers. If `width` does not divide
``n``, the last register overlaps the register before it: it contains the last `width` numbers of the row, so that no
row needs to be padded or masked. Element-wise results are equal in the overlap and are stored twice. Sums count the
overlap once.
"""

# (width, number of registers), for a single number, and for rows of 2, 3, 4, 5-7, 8, 9-16, ... 57-64 numbers
SHAPES = [(1, 1), (2, 1), (2, 2), (4, 1), (4, 2), *((8, count) for count in range(1, 9))]
SHORTEST_OF_16 = 3  # registers of 8 numbers; so many of 32 bits, or more, become half as many registers of 16 numbers
SMALLEST_EXPONENT, SMALLEST_EXPONENT_32 = -708.0, -87.0  # exp of smaller numbers is not a normal number: 0 instead


def register_shape(n_lanes, is_single):
    """Width and number of registers for rows whose `lanes` tuple has the length `n_lanes`."""
    width, count = SHAPES[n_lanes - 1]
    return (16, -(-count // 2)) if is_single and count >= SHORTEST_OF_16 else (width, count)


class Rows:
    """Writer of LLVM code for operations on rows, into the kernel that is being compiled.

    Parameters
    ----------
    context, builder, signature, args
        Arguments that numba passes to a code generator. The last of `args` is the `lanes` tuple. All numbers have the
        type of the first array. Methods refer to an array by the position of its argument.
    """

    def __init__(self, context, builder, signature, args):
        from llvmlite import ir
        from numba.core import cgutils, types

        self.ir, self.cgutils, self.builder = ir, cgutils, builder
        arrays = [k for k, kind in enumerate(signature.args) if isinstance(kind, types.Array)]
        self.data, self.lengths, self.heights = {}, {}, {}
        for k in arrays:
            array = context.make_array(signature.args[k])(context, builder, args[k])
            self.data[k] = array.data
            n_axes = signature.args[k].ndim
            self.lengths[k] = builder.extract_value(array.shape, n_axes - 1)
            self.heights[k] = builder.extract_value(array.shape, max(n_axes - 2, 0))
        self.signed = {k: getattr(signature.args[k].dtype, "signed", True) for k in arrays}
        self.int = ir.IntType(64)
        single = signature.args[arrays[0]].dtype == types.float32
        self.width, self.count = register_shape(signature.args[-1].count, single)
        self.element = ir.FloatType() if single else ir.DoubleType()
        self.vector = ir.VectorType(self.element, self.width)
        self.align = 4 if single else 8

    # ------------------------------------------------------------------ constants and scalars
    def integer(self, value):
        """Constant of 64 bits."""
        return self.ir.Constant(self.int, value)

    def constant(self, value):
        """Register whose numbers all are one constant."""
        return self.ir.Constant(self.vector, [value] * self.width)

    def broadcast(self, value):
        """Register whose numbers all are one value."""
        kind, index = self.ir.VectorType(value.type, self.width), self.ir.IntType(32)
        undefined = self.ir.Constant(kind, self.ir.Undefined)
        first = self.builder.insert_element(undefined, value, self.ir.Constant(index, 0))
        zeros = self.ir.Constant(self.ir.VectorType(index, self.width), [0] * self.width)
        return self.builder.shuffle_vector(first, undefined, zeros)

    def number(self, array, index):
        """Load ``array[index]`` of a flat array; integers become 64 bits, other numbers the type of the rows."""
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

    def select_matrix(self, array, number):
        """From here on, let rows of an array, a stack of matrices, be those of one matrix."""
        self.data[array] = self.row(array, self.builder.mul(number, self.heights[array]))

    def element_of(self, row, index):
        """Load one number of a row."""
        return self.builder.load(self.builder.gep(row, [index]))

    def load(self, row, like):
        """Read the registers of a row, which has the length of the rows of the array `like`."""
        return [self.builder.load(at, align=self.align) for at in self._addresses(row, like)]

    def store(self, registers, row, like):
        """Write the registers of a row, which has the length of the rows of the array `like`."""
        for register, at in zip(registers, self._addresses(row, like)):
            self.builder.store(register, at, align=self.align)

    def load_part(self, row, length, like):
        """Read a row of `length` numbers into the registers of longer rows, those of `like`, that end with zeros."""
        *whole, last = self._addresses(row, like)
        function = self._masked("load", self.vector, [last.type], [self.vector])
        mask = self._present(length, like)
        found = self.builder.call(function, [last, self._alignment, mask, self.constant(0.0)])
        return [*(self.builder.load(at, align=self.align) for at in whole), found]

    def store_part(self, registers, row, length, like):
        """Write the first `length` numbers in the registers of longer rows, those of `like`, to a row."""
        *whole, last = self._addresses(row, like)
        for register, at in zip(registers, whole):
            self.builder.store(register, at, align=self.align)
        function = self._masked("store", self.ir.VoidType(), [self.vector, last.type], [])
        self.builder.call(function, [registers[-1], last, self._alignment, self._present(length, like)])

    def _masked(self, name, result, first, more):
        """The LLVM function that accesses the numbers of a register that a mask selects."""
        kind = "f32" if self.align == 4 else "f64"
        arguments = [*first, self.ir.IntType(32), self.ir.VectorType(self.ir.IntType(1), self.width), *more]
        function = self.ir.FunctionType(result, arguments)
        name = f"llvm.masked.{name}.v{self.width}{kind}.p0"
        return self.cgutils.get_or_insert_function(self.builder.module, function, name)

    @property
    def _alignment(self):
        return self.ir.Constant(self.ir.IntType(32), self.align)

    def _present(self, length, like):
        """Which numbers of the last register of a row belong to its first `length` numbers."""
        positions = self.ir.Constant(self.ir.VectorType(self.int, self.width), list(range(self.width)))
        start = self.builder.sub(self.lengths[like], self.integer(self.width))
        return self.builder.icmp_signed("<", positions, self.broadcast(self.builder.sub(length, start)))

    def _addresses(self, row, like):
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
        """Context whose body is emitted as a loop over ``start <= index < stop``; its value starts with the index."""
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
        """Combine all numbers of several registers to one number."""
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
        """Sum of a row, in which the overlap counts once."""
        if self.count > 1:
            positions = self.ir.Constant(self.ir.VectorType(self.int, self.width), list(range(self.width)))
            overlap = self.builder.sub(self.integer(self.width * self.count), self.lengths[like])
            once = self.builder.icmp_signed(">=", positions, self.broadcast(overlap))
            registers = [*registers[:-1], self.builder.select(once, registers[-1], self.constant(0.0))]
        return self.reduce(registers, self.add)

    def times_matrix(self, row, matrix):
        """``row[:n_rows] @ matrix`` in registers, where the matrix has `n_rows` rows."""
        return self.each_times_matrix([row], matrix)[0]

    def each_times_matrix(self, rows, matrix):
        """`times_matrix` of each of some rows, which reads the matrix once.

        An addition must not wait for the result of the one before: it is of another row, or even and odd rows of the
        matrix have sums of their own.
        """
        n_rows, n_sums = self.heights[matrix], 2 if len(rows) == 1 else 1
        zero = [self.constant(0.0)] * self.count
        sums = [[self.variables(zero) for _ in range(n_sums)] for _ in rows]

        def add_products(i, number):
            registers = self.load(self.row(matrix, i), matrix)
            for row, totals in zip(rows, sums):
                factor = self.broadcast(self.element_of(row, i))
                for variable, register in zip(totals[number], registers):
                    self.builder.store(self.add(self.builder.load(variable), self.multiply(factor, register)), variable)

        even = self.builder.and_(n_rows, self.integer(-2))
        with self.loop(self.integer(0), even, 2) as (i, _):
            add_products(i, 0)
            add_products(self.builder.add(i, self.integer(1)), n_sums - 1)
        with self.builder.if_then(self.builder.icmp_signed("<", even, n_rows)):
            add_products(even, 0)
        found = []
        for totals in sums:
            parts = [[self.builder.load(variable) for variable in total] for total in totals]
            found.append(parts[0] if n_sums == 1 else [self.add(a, b) for a, b in zip(*parts)])
        return found

    def times_matrix_tangent(self, row, d_row, matrix, d_matrix, moves):
        """``row @ matrix`` and its tangent ``d_row @ matrix + row @ d_matrix``, as `times_matrix`; one pass.

        The second term of the tangent is left out if `moves` is 0.
        """
        value, tangent = (self.variables([self.constant(0.0)] * self.count) for _ in range(2))

        def add_products(has_second_term):
            with self.loop(self.integer(0), self.heights[matrix]) as (i, _):
                factor, d_factor = (self.broadcast(self.element_of(each, i)) for each in (row, d_row))
                registers = self.load(self.row(matrix, i), matrix)
                for a, b, register in zip(value, tangent, registers):
                    self.builder.store(self.add(self.builder.load(a), self.multiply(factor, register)), a)
                    self.builder.store(self.add(self.builder.load(b), self.multiply(d_factor, register)), b)
                if has_second_term:
                    for b, register in zip(tangent, self.load(self.row(d_matrix, i), matrix)):
                        self.builder.store(self.add(self.builder.load(b), self.multiply(factor, register)), b)

        is_moved = self.builder.icmp_signed("!=", moves, self.integer(0))
        with self.builder.if_else(is_moved) as (then, otherwise):
            with then:
                add_products(True)
            with otherwise:
                add_products(False)
        return [[self.builder.load(variable) for variable in variables] for variables in (value, tangent)]

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
        for digits in (high, low):  # log 2 in two numbers: k times the first is exact, so that no digits are lost
            x = b.fsub(x, b.fmul(power, self.constant(digits), flags=("contract",)), flags=("contract",))
        coefficient, polynomial = 1.0, []
        for n in range(1, degree + 1):  # Taylor polynomial: its error in the interval is below 1e-17, single 1e-9
            polynomial.append(coefficient)
            coefficient /= n
        value = self.constant(coefficient)
        for coefficient in reversed(polynomial):
            value = self.add(self.multiply(value, x), self.constant(coefficient))
        exponent = b.add(k, self.ir.Constant(integers, [bias] * self.width))
        scale = b.bitcast(b.shl(exponent, self.ir.Constant(integers, [n_mantissa] * self.width)), self.vector)
        return b.select(in_range, b.fmul(value, scale), self.constant(0.0))
