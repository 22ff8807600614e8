"""Vector primitives of tangents against their plain twins, for every way of holding a row in registers."""

import numpy as np
import pytest

from skstruct.kernels import tangents
from skstruct.kernels.jit import kernel
from skstruct.kernels.simd import lanes
from skstruct.kernels.tangents import (
    add_pair_tangent,
    send_tangent,
    send_tangent_back,
    send_tangent_potts,
    subtract_tangent,
)

SIZES = [3, 9, 65]  # with and without overlap, and longer than registers hold


@kernel
def run_all(tangent, total, cavity, inverse, constant, psi, scratch, counts, out, lanes):
    """All primitives, each with rows of its own."""
    out[0] = send_tangent(tangent, 0, 4, total, 1, cavity, inverse, constant, 2, psi, 1, scratch, lanes)
    out[1] = send_tangent_back(tangent, 1, 5, total, 2, cavity, inverse, constant, 0, psi, 0, scratch, lanes)
    out[2] = send_tangent_potts(tangent, 2, 3, total, 0, cavity, inverse, constant, 1, 0.5, -0.2, lanes)
    out[3] = subtract_tangent(total, 1, tangent, 4, inverse, scratch, 0, lanes)
    out[4] = subtract_tangent(total, 2, tangent, 5, inverse, scratch, 1, lanes)
    add_pair_tangent(scratch, 0.3, cavity, 4, inverse, total, 2, psi, 1, 0.7, counts, 1, lanes)


@pytest.mark.parametrize("n", SIZES)
def test_primitives_equal_their_plain_twins(n):
    rng = np.random.default_rng(n)
    tangent, total, cavity, inverse = rng.normal(size=(6, n)), rng.normal(size=(3, n)), *rng.uniform(size=(2, 6, n))
    constant, psi, counts = rng.normal(size=(3, n)), rng.uniform(size=(2, n, n)), rng.normal(size=(2, n, n))
    arguments = tangent, total, cavity, inverse, constant, psi, np.zeros((2, n)), counts, np.zeros(5)
    ours, twin = ([array.copy() for array in arguments] for _ in range(2))
    run_all(*ours, lanes(n))
    tangent, total, cavity, inverse, constant, psi, scratch, counts, out = twin
    given = (cavity, inverse, constant)
    out[0] = tangents.send_tangent.function(tangent, 0, 4, total, 1, *given, 2, psi, 1, scratch, ())
    out[1] = tangents.send_tangent_back.function(tangent, 1, 5, total, 2, *given, 0, psi, 0, scratch, ())
    out[2] = tangents.send_tangent_potts.function(tangent, 2, 3, total, 0, *given, 1, 0.5, -0.2, ())
    out[3] = tangents.subtract_tangent.function(total, 1, tangent, 4, inverse, scratch, 0, ())
    out[4] = tangents.subtract_tangent.function(total, 2, tangent, 5, inverse, scratch, 1, ())
    tangents.add_pair_tangent.function(scratch, 0.3, cavity, 4, inverse, total, 2, psi, 1, 0.7, counts, 1, ())
    for a, b in zip(ours, twin):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)
