"""The history against the recursion of two loops, and against BFGS updates of a dense matrix."""

import tracemalloc

import numpy as np
import pytest

from skstruct.optim import LBFGS, _history
from skstruct.optim._history import BLOCK, GROUP, History, Pairs, RoundedPairs


def two_loops(gradient, pairs):
    """Minus the inverse Hessian times the gradient, as in Nocedal and Wright, algorithm 7.4."""
    q, alphas = gradient.copy(), []
    for s, y in reversed(pairs):
        alphas.append(s @ q / (s @ y))
        q -= alphas[-1] * y
    if pairs:
        s, y = pairs[-1]
        q *= (s @ y) / (y @ y)
    for (s, y), alpha in zip(pairs, reversed(alphas)):
        q += (alpha - y @ q / (s @ y)) * s
    return -q


def dense(gradient, pairs):
    """The same by updates of the matrix itself."""
    if not pairs:
        return -gradient
    (s, y), one = pairs[-1], np.eye(len(gradient))
    inverse = (s @ y) / (y @ y) * one
    for s, y in pairs:
        left = one - np.outer(s, y) / (s @ y)
        inverse = left @ inverse @ left.T + np.outer(s, s) / (s @ y)
    return -inverse @ gradient


@pytest.fixture
def walk():
    """Points and gradients of a convex quadratic, integers that 32 bits hold; a step in ten goes nowhere."""
    rng = np.random.default_rng(0)
    root = rng.integers(-3, 4, size=(12, 12))
    hessian = root @ root.T + np.eye(12)
    points = np.cumsum(rng.integers(-9, 10, size=(30, 12)) * (rng.random((30, 1)) > 0.1), axis=0)
    return points.astype(float), points @ hessian


@pytest.mark.parametrize("size", [1.0, 2.0**-200, 2.0**200])
@pytest.mark.parametrize("n_corrections", [1, 3, 6, 12])
def test_directions_equal_those_of_the_two_loops_and_of_dense_updates(walk, n_corrections, size):
    points, gradients = walk[0] * size, walk[1]
    history, pairs = History(gradients[0], n_corrections), []
    for k in range(1, len(points)):
        s, y = points[k] - points[k - 1], gradients[k] - gradients[k - 1]
        history.remember(points[k - 1], points[k], gradients[k])
        pairs = [*pairs, (s, y)][-n_corrections:] if s.any() else pairs
        direction = history.direction()
        scale = np.abs(direction).max()
        np.testing.assert_allclose(direction, two_loops(gradients[k], pairs), rtol=0, atol=1e-9 * scale)
        np.testing.assert_allclose(direction, dense(gradients[k], pairs), rtol=0, atol=1e-9 * scale)
        np.testing.assert_array_equal(history.gradient, gradients[k])


@pytest.mark.parametrize(("stored", "n_bits"), [(Pairs, 53), (RoundedPairs, 8)])
@pytest.mark.parametrize("n_coef", [0, 1, GROUP, BLOCK, 2 * BLOCK + 3])
def test_sums_of_pairs(n_coef, stored, n_bits):
    rng = np.random.default_rng(0)
    vectors, vector = rng.normal(size=(4, 2, n_coef)), rng.normal(size=n_coef)
    pairs, places, coefs = stored(4, n_coef), [3, 0, 1], rng.normal(size=(3, 2))
    for place in places:
        for column in range(2):
            pairs.store(place, column, vectors[place, column])
    sizes = np.abs(vectors).max(initial=1.0) * 2.0**-n_bits * np.abs(vector).sum() + 1e-10
    np.testing.assert_allclose(pairs.products(vector, places)[places], vectors[places] @ vector, rtol=0, atol=sizes)
    total = vector.copy()
    pairs.add_to(total, np.array(places), coefs)
    expected = vector + np.einsum("pq,pqk->k", coefs, vectors[places])
    error = np.abs(vectors).max(initial=1.0) * 2.0**-n_bits * np.abs(coefs).sum()
    np.testing.assert_allclose(total, expected, rtol=0, atol=error + 1e-12)


@pytest.mark.parametrize("size", [0.0, 1e-280, 1.0, 1e280])
def test_the_error_of_rounding_is_relative_to_the_largest_of_a_group(size):
    vector = np.random.default_rng(0).normal(size=2 * GROUP + 3) * size
    vector[:GROUP] *= 1e-20  # no matter how large the numbers of other groups are
    pairs, rounded = RoundedPairs(1, len(vector)), np.zeros(len(vector))
    for column in range(2):
        pairs.store(0, column, vector)
    pairs.add_to(rounded, np.array([0]), np.array([[1.0, 0.0]]))
    for k in range(0, len(vector), GROUP):
        part = slice(k, k + GROUP)
        largest = np.abs(vector[part]).max()
        np.testing.assert_allclose(rounded[part], vector[part], rtol=0, atol=max(0.505 / 127 * largest, 1e-300))


def test_many_parameters_need_as_many_evaluations_with_8_bits(monkeypatch):
    rng = np.random.default_rng(0)
    factors = np.geomspace(1, 1e4, 5000)[rng.permutation(5000)]
    centre = rng.normal(size=5000)

    def loss(coef):
        return 0.5 * float(factors @ (coef - centre) ** 2), factors * (coef - centre)

    def train():
        result = LBFGS().minimize(loss, np.zeros(5000), max_iter=2000, tol=1e-3)
        assert result.success
        np.testing.assert_allclose(result.x, centre, rtol=0, atol=1e-3)
        return result.nfev, result.state.history.pairs

    expected, pairs = train()
    assert isinstance(pairs, Pairs)
    monkeypatch.setattr(_history, "LONG", 5000)
    found, pairs = train()
    assert isinstance(pairs, RoundedPairs)
    assert found <= 1.2 * expected


def test_memory_is_that_of_five_vectors_and_the_rounded_pairs():
    # the best point, a trial, its gradient, the gradient before, and the direction; the start needs none
    n_coef, scale = 2**18, 0.01
    n_trials = []

    def square(coef):
        n_trials.append(coef[0])
        gradient = coef - 1.0
        value = 0.5 * scale * (gradient @ gradient)
        gradient *= scale
        return value, gradient

    def minimize(max_iter):
        return LBFGS(3).minimize(square, np.broadcast_to(0.0, n_coef), max_iter=max_iter, tol=1e-9)

    minimize(max_iter=2)  # loads code
    tracemalloc.start()
    try:
        result = minimize(max_iter=20)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert result.success
    assert len(n_trials) > 4  # the first step is too short
    np.testing.assert_allclose(result.x[[0, -1]], 1.0, rtol=1e-6)
    assert peak < (5 + 2 * 3 / 8 + 0.25) * 8 * n_coef


def test_forgotten_pairs_are_those_of_a_new_history(walk):
    points, gradients = walk
    history = History(gradients[0], 3)
    for k in range(1, 8):
        history.remember(points[k - 1], points[k], gradients[k])
    history.forget()
    new = History(gradients[7], 3)
    for k in range(8, 14):
        np.testing.assert_array_equal(history.direction(), new.direction())
        assert history.first_step() == new.first_step()
        for either in (history, new):
            either.remember(points[k - 1], points[k], gradients[k])


def test_a_single_pair_to_the_last_bits(walk):
    points, gradients = walk
    history = History(gradients[0], 4)
    np.testing.assert_array_equal(history.direction(), -gradients[0])
    assert history.first_step() == pytest.approx(1 / np.linalg.norm(gradients[0]))
    history.remember(points[0], points[1], gradients[1])
    expected = two_loops(gradients[1], [(points[1] - points[0], gradients[1] - gradients[0])])
    np.testing.assert_allclose(history.direction(), expected, rtol=1e-12)
    assert history.first_step() == 1


def test_negative_curvature_is_left_out(walk):
    points, gradients = walk
    history = History(gradients[0], 4)
    history.remember(points[0], points[1], gradients[1])
    history.remember(points[1], points[2], gradients[1] - (points[2] - points[1]))
    only = [(points[1] - points[0], gradients[1] - gradients[0])]
    expected = two_loops(gradients[1] - (points[2] - points[1]), only)
    np.testing.assert_allclose(history.direction(), expected, rtol=1e-10)
