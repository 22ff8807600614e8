"""Vector operations on rows of messages that are raised to powers, as tree-reweighted belief propagation needs them.

They are primitives as in ``simd.py``: the plain function defines the result.
"""

import math

from skstruct.kernels.jit import primitive
from skstruct.kernels.registers import SMALLEST_EXPONENT

LOG_2 = (6.93147180369123816490e-01, 1.90821492927058770002e-10)  # two numbers: k times the first is exact
HALF_ROOT = 4604544271217802189  # bits of sqrt(1 / 2)
# log(1 + f) = f - s * (f - polynomial(s**2) * s**2) with s = f / (2 + f), from FreeBSD's msun; error below 1 ulp
LOG_POLYNOMIAL = (
    6.666666666666735130e-01,
    3.999999999940941908e-01,
    2.857142874366239149e-01,
    2.222219843214978396e-01,
    1.818357216161805012e-01,
    1.531383769920937332e-01,
    1.479819860511658591e-01,
)


def _log(r, register):
    """Logarithm of positive normal numbers: k log 2 + log(1 + f) with 1 + f between sqrt(1 / 2) and sqrt(2)."""
    b = r.builder
    kind = r.ir.VectorType(r.int, r.width)
    mantissa_bits, half_root = (r.ir.Constant(kind, [value] * r.width) for value in (52, HALF_ROOT))
    bits = b.bitcast(register, kind)
    exponent = b.ashr(b.sub(bits, half_root), mantissa_bits)
    f = b.fsub(b.bitcast(b.sub(bits, b.shl(exponent, mantissa_bits)), r.vector), r.constant(1.0))
    k = b.sitofp(exponent, r.vector)
    s = b.fdiv(f, b.fadd(f, r.constant(2.0)))
    z = r.multiply(s, s)
    polynomial = r.constant(LOG_POLYNOMIAL[-1])
    for coefficient in reversed(LOG_POLYNOMIAL[:-1]):
        polynomial = r.add(r.multiply(polynomial, z), r.constant(coefficient))
    less = r.multiply(s, b.fsub(f, r.multiply(z, polynomial)))
    low = b.fsub(r.multiply(k, r.constant(LOG_2[1])), less)
    return b.fadd(r.multiply(k, r.constant(LOG_2[0])), b.fadd(f, low))


def _emit_log_row(r, values, row, out, out_row):
    r.store([_log(r, register) for register in r.load(r.row(0, row), 0)], r.row(2, out_row), 0)


@primitive(_emit_log_row)
def log_row(values, row, out, out_row, lanes):
    """``out[out_row] = log(values[row])``, for positive normal numbers of float64."""
    for x in range(values.shape[1]):
        out[out_row, x] = math.log(values[row, x])


def _weighted_sum(r, node, i, rows, begin, stop, weight):
    """Registers of ``node[i] + weight[begin:stop] @ rows[begin:stop]``; arrays are positions of arguments."""
    total = r.variables(r.load(r.row(node, i), node))
    with r.loop(begin, stop) as (s, _):
        factor = r.broadcast(r.number(weight, s))
        for variable, register in zip(total, r.load(r.row(rows, s), node)):
            r.builder.store(r.add(r.builder.load(variable), r.multiply(factor, register)), variable)
    return [r.builder.load(variable) for variable in total]


def _emit_weighted_sum(r, node, i, rows, begin, stop, weight, out):
    r.store(_weighted_sum(r, 0, i, 2, begin, stop, 5), r.row(6, i), 0)


@primitive(_emit_weighted_sum)
def weighted_sum(node, i, rows, begin, stop, weight, out, lanes):
    """``out[i] = node[i] + weight[begin:stop] @ rows[begin:stop]``."""
    for x in range(node.shape[1]):
        out[i, x] = node[i, x]
        for s in range(begin, stop):
            out[i, x] += weight[s] * rows[s, x]


def _emit_weighted_belief(r, node, i, log_message, begin, stop, weight, out):
    registers = _weighted_sum(r, 0, i, 2, begin, stop, 5)
    top = r.reduce(registers, r.greater)
    r.store([r.exp(r.builder.fsub(register, r.broadcast(top))) for register in registers], r.row(6, i), 0)
    return (top,)


@primitive(_emit_weighted_belief, returns=1)
def weighted_belief(node, i, log_message, begin, stop, weight, out, lanes):
    """``out[i] = exp(b - max(b))`` with ``b = node[i] + weight[begin:stop] @ log_message[begin:stop]``.

    Returns ``max(b)``, which must be finite.
    """
    top = -math.inf
    for x in range(node.shape[1]):
        out[i, x] = node[i, x]
        for s in range(begin, stop):
            out[i, x] += weight[s] * log_message[s, x]
        top = max(top, out[i, x])
    for x in range(node.shape[1]):
        exponent = out[i, x] - top
        out[i, x] = math.exp(exponent) if exponent >= SMALLEST_EXPONENT else 0.0
    return top


def _emit_rooted_belief(r, node, i, message, begin, stop, weight, out):
    one, zero = [r.constant(1.0)] * r.count, r.ir.Constant(r.element, 0.0)
    whole, half, quarter = (r.variables(start) for start in (r.load(r.row(0, i), 0), one, one))

    def times(variables, registers):
        for variable, register in zip(variables, registers):
            r.builder.store(r.multiply(r.builder.load(variable), register), variable)

    def root(register):
        kind = r.ir.FunctionType(r.vector, [r.vector])
        function = r.cgutils.get_or_insert_function(r.builder.module, kind, f"llvm.sqrt.v{r.width}f64")
        return r.builder.call(function, [register])

    any_quarter = r.cgutils.alloca_once_value(r.builder, zero)
    with r.loop(begin, stop) as (s, _):
        registers, power = r.load(r.row(2, s), 0), r.number(5, s)
        is_half = r.builder.fcmp_ordered("==", power, r.ir.Constant(r.element, 0.5))
        with r.builder.if_else(is_half) as (then, otherwise):
            with then:
                times(half, registers)
            with otherwise:
                is_whole = r.builder.fcmp_ordered("==", power, r.ir.Constant(r.element, 1.0))
                with r.builder.if_else(is_whole) as (then, otherwise):
                    with then:
                        times(whole, registers)
                    with otherwise:
                        times(quarter, registers)
                        r.builder.store(power, any_quarter)
    with r.builder.if_then(r.builder.fcmp_ordered(">", r.builder.load(any_quarter), zero)):
        times(half, [root(r.builder.load(variable)) for variable in quarter])
    product = [r.multiply(r.builder.load(a), root(r.builder.load(b))) for a, b in zip(whole, half)]
    r.store(product, r.row(6, i), 0)


@primitive(_emit_rooted_belief)
def rooted_belief(node, i, message, begin, stop, weight, out, lanes):
    """``out[i] = node[i] * (message[begin:stop] ** weight[begin:stop]).prod(0)`` for weights of 1, 1/2 or 1/4."""
    for x in range(node.shape[1]):
        whole, half, quarter = node[i, x], 1.0, 1.0
        for s in range(begin, stop):
            if weight[s] == 1.0:
                whole *= message[s, x]
            elif weight[s] == 0.5:
                half *= message[s, x]
            else:
                quarter *= message[s, x]
        out[i, x] = whole * math.sqrt(half * math.sqrt(quarter))


def _emit_divide_row(r, values, row, divisor, divisor_row, out, out_row):
    pairs = zip(r.load(r.row(0, row), 0), r.load(r.row(2, divisor_row), 0))
    r.store([r.builder.fdiv(a, b) for a, b in pairs], r.row(4, out_row), 0)


@primitive(_emit_divide_row)
def divide_row(values, row, divisor, divisor_row, out, out_row, lanes):
    """``out[out_row] = values[row] / divisor[divisor_row]``."""
    for x in range(values.shape[1]):
        out[out_row, x] = values[row, x] / divisor[divisor_row, x]


def _emit_add_normalized(r, values, row, others, other_row, factor, out, out_row):
    pairs = zip(r.load(r.row(0, row), 0), r.load(r.row(2, other_row), 0))
    products, line = [r.multiply(a, b) for a, b in pairs], r.row(5, out_row)
    total = r.sum(products, 0)
    scale = r.broadcast(r.builder.fdiv(factor, total))
    r.store([r.add(old, r.multiply(scale, each)) for old, each in zip(r.load(line, 0), products)], line, 0)
    return (total,)


@primitive(_emit_add_normalized, returns=1)
def add_normalized(values, row, others, other_row, factor, out, out_row, lanes):
    """``out[out_row] += factor * p / sum(p)`` with ``p = values[row] * others[other_row]``; returns ``sum(p)``."""
    total = 0.0
    for x in range(values.shape[1]):
        total += values[row, x] * others[other_row, x]
    for x in range(values.shape[1]):
        out[out_row, x] += factor / total * values[row, x] * others[other_row, x]
    return total
