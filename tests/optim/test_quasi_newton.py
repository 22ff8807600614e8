"""The history against the recursion of two loops, and against BFGS updates of a dense matrix."""

import numpy as np
import pytest

from skstruct.optim._quasi_newton import History


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
    """Points and gradients of a convex quadratic; a step in ten goes nowhere."""
    rng = np.random.default_rng(0)
    root = rng.normal(size=(12, 12))
    hessian = root @ root.T + 0.1 * np.eye(12)
    points = np.cumsum(rng.normal(size=(30, 12)) * (rng.random((30, 1)) > 0.1), axis=0)
    return points, points @ hessian


@pytest.mark.parametrize("n_corrections", [1, 3, 6, 12])
def test_directions_equal_those_of_the_two_loops_and_of_dense_updates(walk, n_corrections):
    points, gradients = walk
    history, pairs = History(gradients[0], n_corrections), []
    for k in range(1, len(points)):
        s, y = points[k] - points[k - 1], gradients[k] - gradients[k - 1]
        history.remember(points[k - 1], points[k], gradients[k])
        pairs = (pairs[1:] if len(pairs) == n_corrections else pairs) + ([(s, y)] if s.any() else [])
        direction = history.direction()
        scale = np.abs(direction).max()
        np.testing.assert_allclose(direction, two_loops(gradients[k], pairs), rtol=0, atol=1e-9 * scale)
        np.testing.assert_allclose(direction, dense(gradients[k], pairs), rtol=0, atol=1e-9 * scale)
        np.testing.assert_array_equal(history.gradient, gradients[k])


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
