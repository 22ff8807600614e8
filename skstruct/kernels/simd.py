"""Vector operations on rows of numbers, in explicit LLVM code for vector registers.

Compilers do not vectorise short loops over a number of states that is known only at run time. These primitives do it,
for the few loops where a benchmark shows a gain. This file contains the operations that several algorithms use.
``chains.py``, ``messages.py``, ``powers.py`` and ``tangents.py`` contain those of one algorithm each.

Each primitive has two definitions. The plain Python function defines the result: tests compare with it, and it runs
with ``NUMBA_DISABLE_JIT=1``. The emitter writes LLVM code that computes the same in registers.

``registers.py`` describes how registers contain a row of ``n`` numbers, where ``n`` need not be a multiple of their
width. Arrays that are read most often are padded with zeros to ``padded(n)`` nevertheless, and start at a cache line
(`aligned_zeros`): reading a register from two cache lines takes twice the time.

The number of registers and their width are known when a kernel is compiled, from the type of its argument
``lanes(n)``, a tuple. A kernel has a specialisation for each of `SHAPES`, and one that compiles the plain functions,
for rows of one number and rows longer than `LONGEST_ROW`.
"""

import math
from functools import cache

import numpy as np

from skstruct.kernels.jit import primitive
from skstruct.kernels.registers import SHAPES, SMALLEST_EXPONENT, SMALLEST_EXPONENT_32, register_shape

LONGEST_ROW = 64
ONE_LANE = (0,)  # a register of one number, for `log_row` as a logarithm that is faster than that of a library
CACHE_LINE = 64  # bytes


@cache
def lanes(n):
    """Tuple whose length determines the registers for rows of `n` numbers; empty for one number and for long rows."""
    if not 1 < n <= LONGEST_ROW:
        return ()
    width = min(8, 1 << (n.bit_length() - 1))
    return (0,) * (1 + SHAPES.index((width, -(-n // width))))


@cache
def padded(n, dtype=np.float64):
    """Length of rows of `n` numbers after padding to whole registers."""
    shape = lanes(n)
    width, count = register_shape(len(shape), np.dtype(dtype) == np.float32) if shape else (1, n)
    return width * count


def aligned_zeros(*shape, dtype=np.float64):
    """Zeros that start at a cache line."""
    size, in_line = math.prod(shape), CACHE_LINE // np.dtype(dtype).itemsize
    raw = np.zeros(size + in_line, dtype)
    start = -(raw.__array_interface__["data"][0] * in_line // CACHE_LINE) % in_line
    return raw[start : start + size].reshape(shape)


def _emit_prefetch(r, array, index):
    byte, flag = r.ir.IntType(8).as_pointer(), r.ir.IntType(32)
    kind = r.ir.FunctionType(r.ir.VoidType(), [byte, flag, flag, flag])
    function = r.cgutils.get_or_insert_function(r.builder.module, kind, "llvm.prefetch.p0")
    address = r.builder.bitcast(r.builder.gep(r.data[0], [index]), byte)
    r.builder.call(function, [address, *(r.ir.Constant(flag, value) for value in (0, 3, 1))])  # read, keep, data


@primitive(_emit_prefetch)
def prefetch(array, index, lanes):
    """Tell the processor to load ``array[index]`` into the cache; no value changes."""


def _sum_rows(r, columns, start, stop, initial, row, factor):
    """Emit the sum of some rows, each times ``factor(k)``; even and odd rows have sums of their own."""
    sums = [r.load_part(r.row(initial, r.integer(0)), r.lengths[row[0]], 0), [r.constant(0.0)] * r.count]
    sums = [r.variables(registers) for registers in sums]

    def add(k, total):
        for variable, register in zip(total, r.load(r.row(0, r.number(columns, k)), 0)):
            term = register if factor is None else r.multiply(r.broadcast(factor(k)), register)
            r.builder.store(r.add(r.builder.load(variable), term), variable)

    even = r.builder.add(start, r.builder.and_(r.builder.sub(stop, start), r.integer(-2)))
    with r.loop(start, even, 2) as (k, _):
        add(k, sums[0])
        add(r.builder.add(k, r.integer(1)), sums[1])
    with r.builder.if_then(r.builder.icmp_signed("<", even, stop)):
        add(even, sums[0])
    total = [r.add(r.builder.load(a), r.builder.load(b)) for a, b in zip(*sums)]
    r.store_part(total, r.row(*row), r.lengths[row[0]], 0)


def _emit_sum_rows(r, table, columns, start, stop, initial, out, row):
    _sum_rows(r, 1, start, stop, 4, (5, row), None)


@primitive(_emit_sum_rows)
def sum_rows(table, columns, start, stop, initial, out, row, lanes):
    """Gather: ``out[row] = initial + table[columns[start:stop], :n].sum(0)`` for rows of `out` of length ``n``."""
    for y in range(out.shape[1]):
        out[row, y] = initial[y]
    for k in range(start, stop):
        for y in range(out.shape[1]):
            out[row, y] += table[columns[k], y]


def _emit_sum_scaled_rows(r, table, columns, values, start, stop, initial, out, row):
    _sum_rows(r, 1, start, stop, 5, (6, row), lambda k: r.number(2, k))


@primitive(_emit_sum_scaled_rows)
def sum_scaled_rows(table, columns, values, start, stop, initial, out, row, lanes):
    """Gather: ``out[row] = initial + values[start:stop] @ table[columns[start:stop], :n]``; see `sum_rows`."""
    for y in range(out.shape[1]):
        out[row, y] = initial[y]
    for k in range(start, stop):
        for y in range(out.shape[1]):
            out[row, y] += values[k] * table[columns[k], y]


def _add_to_rows(r, row, columns, start, stop, factor):
    """Emit the sum of a row, times ``factor(k)``, and each of some rows of a table."""
    registers = r.load_part(r.row(0, row), r.lengths[0], 2)
    with r.loop(start, stop) as (k, _):
        line = r.row(2, r.number(columns, k))
        terms = registers if factor is None else [r.multiply(r.broadcast(factor(k)), b) for b in registers]
        r.store([r.add(a, b) for a, b in zip(r.load(line, 2), terms)], line, 2)


def _emit_add_to_rows(r, source, row, table, columns, start, stop):
    _add_to_rows(r, row, 3, start, stop, None)


@primitive(_emit_add_to_rows)
def add_to_rows(source, row, table, columns, start, stop, lanes):
    """Scatter: ``table[columns[k], :n] += source[row]`` for all ``start <= k < stop``; rows have the length ``n``."""
    for k in range(start, stop):
        for y in range(source.shape[1]):
            table[columns[k], y] += source[row, y]


def _emit_add_scaled_to_rows(r, source, row, table, columns, values, start, stop):
    _add_to_rows(r, row, 3, start, stop, lambda k: r.number(4, k))


@primitive(_emit_add_scaled_to_rows)
def add_scaled_to_rows(source, row, table, columns, values, start, stop, lanes):
    """Scatter: ``table[columns[k], :n] += values[k] * source[row]`` for all ``start <= k < stop``."""
    for k in range(start, stop):
        for y in range(source.shape[1]):
            table[columns[k], y] += values[k] * source[row, y]


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
