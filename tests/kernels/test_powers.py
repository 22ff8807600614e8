"""Vector primitives of powers against their plain twins, for every way of holding a row in registers."""

import numpy as np
import pytest

from skstruct.kernels import powers
from skstruct.kernels.jit import kernel
from skstruct.kernels.powers import (
    add_normalized,
    divide_row,
    log_row,
    rooted_belief,
    weighted_belief,
    weighted_sum,
)
from skstruct.kernels.simd import ONE_LANE, lanes

SIZES = [1, 3, 9, 65]  # with and without overlap, and longer than registers hold


@kernel
def run_all(node, message, log_message, weight, powers_of_2, out, lanes):
    """All primitives, each with rows of its own."""
    log_row(message, 0, out, 0, lanes)
    top = weighted_belief(node, 1, log_message, 1, 4, weight, out, lanes)
    rooted_belief(node, 2, message, 0, 5, powers_of_2, out, lanes)
    rooted_belief(node, 3, message, 0, 2, powers_of_2, out, lanes)
    divide_row(node, 0, message, 2, out, 4, lanes)
    weighted_sum(node, 5, message, 1, 4, weight, out, lanes)
    return top, add_normalized(node, 1, node, 2, 0.7, out, 5, lanes)


@kernel
def run_divide_row(values, divisor, out, lanes):
    divide_row(values, 0, divisor, 0, out, 0, lanes)


@pytest.mark.parametrize("n", SIZES)
def test_division_by_zero_is_no_error(n):
    """Also in rows longer than registers hold, for which the plain function is compiled."""
    values, out = np.resize([0.0, 1.0, -1.0], (1, n)), np.zeros((1, n))
    run_divide_row(values, np.zeros((1, n)), out, lanes(n))
    np.testing.assert_array_equal(out, np.resize([np.nan, np.inf, -np.inf], (1, n)))


@pytest.mark.parametrize("n", SIZES)
def test_primitives_equal_their_plain_twins(n):
    rng = np.random.default_rng(n)
    message = rng.uniform(1e-3, 1.0, (6, n)) ** rng.integers(1, 40, (6, 1))
    message[0] = np.resize([1.0, 1e-300, 0.5**0.5, 2**0.5, 1 - 1e-16, 1e300], n)
    arguments = (
        rng.uniform(0.5, 2.0, (6, n)),
        message,
        np.log(message),
        rng.uniform(0.1, 1.0, 6),
        np.array([0.5, 1.0, 0.25, 0.5, 0.25, 1.0]),
        np.zeros((6, n)),
    )
    ours, twin = ([array.copy() for array in arguments] for _ in range(2))
    found = run_all(*ours, lanes(n) if n > 1 else ONE_LANE)
    node, message, log_message, weight, powers_of_2, out = twin
    powers.log_row.function(message, 0, out, 0, ())
    top = powers.weighted_belief.function(node, 1, log_message, 1, 4, weight, out, ())
    powers.rooted_belief.function(node, 2, message, 0, 5, powers_of_2, out, ())
    powers.rooted_belief.function(node, 3, message, 0, 2, powers_of_2, out, ())
    powers.divide_row.function(node, 0, message, 2, out, 4, ())
    powers.weighted_sum.function(node, 5, message, 1, 4, weight, out, ())
    total = powers.add_normalized.function(node, 1, node, 2, 0.7, out, 5, ())
    np.testing.assert_allclose(found, (top, total), rtol=1e-12)
    for a, b in zip(ours, twin):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
