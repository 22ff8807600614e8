"""Vector primitives against their plain twins, for every way of holding a row in registers."""

import numpy as np
import pytest

from skstruct.kernels import chains, messages, simd
from skstruct.kernels.chains import (
    add_pairs,
    backward_steps,
    backward_tangent,
    best_step,
    forward_steps,
    forward_tangent,
)
from skstruct.kernels.jit import kernel
from skstruct.kernels.messages import multiply_row_back
from skstruct.kernels.registers import SHAPES, register_shape
from skstruct.kernels.simd import (
    LONGEST_ROW,
    add_scaled_to_rows,
    add_to_rows,
    aligned_zeros,
    exp_row,
    lanes,
    multiply_row,
    padded,
    sum_rows,
    sum_scaled_rows,
)

SIZES = [2, 3, 4, 5, 7, 8, 9, 26, 27, 64, 65]  # with and without overlap; each shape compiles for seconds
SINGLE = [3, 9, 26, 65]
IN_BOTH = [*((n, np.float64) for n in SIZES), *((n, np.float32) for n in SINGLE)]
RTOL = {np.float64: 1e-12, np.float32: 2e-5}  # sums of 26 numbers in another order
PRIMITIVES = {**vars(simd), **vars(chains), **vars(messages)}


# Kernels that only pass their arguments on.
@kernel
def run_sum_rows(table, columns, start, stop, initial, out, row, lanes):
    sum_rows(table, columns, start, stop, initial, out, row, lanes)


@kernel
def run_sum_scaled_rows(table, columns, values, start, stop, initial, out, row, lanes):
    sum_scaled_rows(table, columns, values, start, stop, initial, out, row, lanes)


@kernel
def run_add_to_rows(source, row, table, columns, start, stop, lanes):
    add_to_rows(source, row, table, columns, start, stop, lanes)


@kernel
def run_add_scaled_to_rows(source, row, table, columns, values, start, stop, lanes):
    add_scaled_to_rows(source, row, table, columns, values, start, stop, lanes)


@kernel
def run_exp_row(scores, row, out, out_row, lanes):
    return exp_row(scores, row, out, out_row, lanes)


@kernel
def run_multiply_row(source, row, matrix, number, out, out_row, lanes):
    multiply_row(source, row, matrix, number, out, out_row, lanes)


@kernel
def run_multiply_row_back(source, row, matrix, number, out, out_row, lanes):
    multiply_row_back(source, row, matrix, number, out, out_row, lanes)


@kernel
def run_forward_steps(message, row, matrix, number, potential, total, out_row, count, lanes):
    forward_steps(message, row, matrix, number, potential, total, out_row, count, lanes)


@kernel
def run_backward_steps(
    forward, received, potential, total, before, row, matrix, number, out, first, t, slot, count, lanes
):
    backward_steps(forward, received, potential, total, before, row, matrix, number, out, first, t, slot, count, lanes)


@kernel
def run_forward_tangent(
    message, tangent, row, matrix, change, number, moves, potential, direction, factor, out_row, lanes
):
    return forward_tangent(
        message, tangent, row, matrix, change, number, moves, potential, direction, factor, out_row, lanes
    )


@kernel
def run_backward_tangent(
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
    backward_tangent(
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
    )


@kernel
def run_add_pairs(first, i, second, j, count, out, number, lanes):
    add_pairs(first, i, second, j, count, out, number, lanes)


@kernel
def run_best_step(scores, row, matrix, number, out_row, lanes):
    best_step(scores, row, matrix, number, out_row, lanes)


def compare(name, *args, rtol=1e-12):
    """Run a primitive in a kernel and its plain twin on copies; results and arrays must agree."""
    ours = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
    twin = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
    found, expected = globals()[f"run_{name}"](*ours), PRIMITIVES[name].function(*twin)
    if expected is not None:
        np.testing.assert_allclose(found, expected, rtol=rtol)
    changed = False
    for a, b, before in zip(ours, twin, args):
        if isinstance(a, np.ndarray):
            np.testing.assert_allclose(a, b, rtol=rtol)
            changed |= not np.array_equal(a, before)
    assert changed


@pytest.mark.parametrize(
    ("n", "index_type", "dtype"),
    [
        *((n, np.int32, np.float64) for n in SIZES),
        *((n, np.int32, np.float32) for n in SINGLE),
        (3, np.uint32, np.float64),
        (26, np.int64, np.float64),
    ],
)
def test_gather_and_scatter(n, index_type, dtype):
    rng, rtol = np.random.default_rng(n), RTOL[dtype]
    initial, out = rng.random(n).astype(dtype), rng.random((3, n)).astype(dtype)
    columns, values = rng.integers(0, 9, 12).astype(index_type), rng.random(12)  # with repeats; always in 64 bits
    for length in {n, padded(n), padded(n, dtype)}:
        table = rng.random((9, length)).astype(dtype)
        for stop in (2, 10, 11):  # none, an even and an odd number of rows
            compare("sum_rows", table, columns, 2, stop, initial, out, 1, lanes(n), rtol=rtol)
            compare("sum_scaled_rows", table, columns, values, 2, stop, initial, out, 1, lanes(n), rtol=rtol)
        compare("add_to_rows", out, 1, table, columns, 2, 11, lanes(n), rtol=rtol)
        compare("add_scaled_to_rows", out, 1, table, columns, values, 2, 11, lanes(n), rtol=rtol)


@pytest.mark.parametrize(("n", "dtype"), IN_BOTH)
@pytest.mark.parametrize("scale", [0.0, 1.0, 20.0, 1e4])
def test_exponentials(n, scale, dtype):
    rng, rtol = np.random.default_rng(n), 4e-15 if dtype == np.float64 else 2e-5  # exponents up to 87 are rounded, too
    scores, out = scale * rng.normal(size=(3, n)).astype(dtype), np.full((2, padded(n)), 7.0, dtype)
    scores[2, 0] = -np.inf
    for row in (0, 2):
        compare("exp_row", scores, row, out, 1, lanes(n), rtol=rtol)
    top, low = run_exp_row(scores, 0, out, 1, lanes(n))
    assert top == scores[0].max()
    assert low == scores[0].min() - dtype(top)
    assert (out[1, n:] == 7.0).all()  # what is beyond a row is kept


@pytest.mark.parametrize("n", SIZES)
def test_a_row_that_is_all_forbidden(n):
    scores, out = np.full((1, n), -np.inf), np.ones((1, n))
    assert run_exp_row(scores, 0, out, 0, lanes(n)) == (-np.inf, -np.inf)
    assert not out.any()


@pytest.mark.parametrize(("n", "dtype"), IN_BOTH)
@pytest.mark.parametrize("is_padded", [False, True])
def test_forward_backward(n, is_padded, dtype):
    rng, rtol = np.random.default_rng(n), RTOL[dtype]
    length = padded(n) if is_padded else n

    def rows(n_rows):
        array = aligned_zeros(n_rows, length, dtype=dtype)
        array[:, :n] = rng.random((n_rows, n)) + 0.1
        return array

    forward, potential, received = rows(14), rows(14), rows(8)
    matrices, out = rows(3 * n).reshape(3, n, length), np.zeros((20, n), dtype)
    total, first = rng.random(14).astype(dtype), np.array([0, 12, 5, 15, 9, 1, 11, 2])
    total[1] = 0.0
    for count in (1, 7):  # a row alone; with blocks of four and of two, and more
        compare("forward_steps", forward, 0, matrices, 2, potential, total, 7, count, lanes(n), rtol=rtol)
        given = forward, received, potential, total, 0, 7, matrices, 1, out, first, 3, 1, count
        compare("backward_steps", *given, lanes(n), rtol=rtol)
    compare("add_pairs", forward, 1, potential, 4, 6, matrices, 1, lanes(n), rtol=rtol)


@pytest.mark.parametrize("n", [3, 26, 65])
@pytest.mark.parametrize("is_padded", [False, True])
def test_tangents_of_forward_backward(n, is_padded):
    rng = np.random.default_rng(n)
    length = padded(n) if is_padded else n

    def rows(n_rows):
        array = aligned_zeros(n_rows, length)
        array[:, :n] = rng.random((n_rows, n)) + 0.1
        return array

    message, tangent, potential, direction = (rows(4) for _ in range(4))
    matrix, change = (rows(3 * n).reshape(3, n, length) for _ in range(2))
    received, moved, out = rows(1), rows(1), np.zeros((2, n))
    compare("multiply_row", message, 1, matrix, 2, tangent, 0, lanes(n))
    if not is_padded:
        compare("multiply_row_back", message, 1, matrix, 2, tangent, 0, lanes(n))
    for moves in (0, 1):
        given = message, tangent, 1, matrix, change, 2, moves, potential, direction, 0.7, 2
        compare("forward_tangent", *given, lanes(n))
        given = message, tangent, received, moved, potential, direction, 0.7, 2, matrix, change, 1, moves, out, 1
        compare("backward_tangent", *given, lanes(n), rtol=1e-11)


@pytest.mark.parametrize("n", SIZES)
def test_best_step(n):
    rng = np.random.default_rng(n)
    scores, matrices = rng.normal(size=(2, padded(n))), rng.normal(size=(2, n, padded(n)))
    scores[0, 0] = matrices[1, n - 1, 0] = -np.inf
    compare("best_step", scores, 0, matrices, 1, 1, lanes(n), rtol=0)


def test_rows_fit_their_registers():
    for n in range(2, LONGEST_ROW + 1):
        width, count = SHAPES[len(lanes(n)) - 1]
        assert width <= n <= width * count == padded(n)
        assert n < 2 * width or width == 8  # the widest that fits
        width, count = register_shape(len(lanes(n)), True)
        assert width <= n <= width * count == padded(n, np.float32)
    for n in (1, LONGEST_ROW + 1):
        assert lanes(n) == ()
        assert padded(n) == padded(n, np.float32) == n


def test_alignment():
    for shape, dtype in [((3,), np.float64), ((5, 7), np.float64), ((1, 1), np.float32), ((5, 7), np.float32)]:
        found = aligned_zeros(*shape, dtype=dtype)
        assert found.shape == shape
        assert found.dtype == dtype
        assert not found.any()
        assert found.ctypes.data % 64 == 0
