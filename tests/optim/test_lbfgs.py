"""L-BFGS on functions with known minima, and on those that make it stumble."""

import numpy as np
import pytest
from scipy.optimize import rosen, rosen_der

from skstruct.optim import LBFGS, OPTIMIZERS, _lbfgs

TARGET = np.array([3.0, -0.5, 0.0, 0.2])


def square(x):
    return 0.5 * ((x - TARGET) ** 2).sum(), x - TARGET


def minimize(fun, coef0, **kwargs):
    return LBFGS().minimize(fun, coef0, **{"l1": None, "max_iter": 200, "tol": 1e-8, **kwargs})


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimiser_finds_a_minimum(name):
    result = OPTIMIZERS[name]().minimize(square, np.zeros(4), l1=None, max_iter=200, tol=1e-6)
    assert result.success
    np.testing.assert_allclose(result.x, TARGET, atol=1e-5)


def test_curved_valley():
    seen = []
    result = minimize(lambda x: (rosen(x), rosen_der(x)), np.array([-1.2, 1.0]), callback=lambda *row: seen.append(row))
    np.testing.assert_allclose(result.x, 1.0, atol=1e-6)
    assert result.success
    assert result.interrupt is None
    assert result.nfev >= result.nit == len(result.loss_curve) == len(seen)
    assert [row[0] for row in seen] == list(range(1, result.nit + 1))
    assert np.array_equal([row[1] for row in seen], result.loss_curve)
    assert (np.diff(result.loss_curve) <= 0).all()
    assert result.loss_curve[-1] == result.fun == rosen(result.x)
    assert seen[-1][2] <= 1e-8


def test_l1_has_a_closed_form():
    """``argmin (x - t)² / 2 + l |x|`` moves t towards zero by l, and stops there."""
    l1 = np.array([1.0, 0.4, 0.1, 0.3])
    result = minimize(square, np.array([1.0, 1.0, -1.0, 5.0]), l1=l1)
    np.testing.assert_allclose(result.x, [2.0, -0.1, 0.0, 0.0], atol=1e-6)
    assert result.x[2] == result.x[3] == 0.0
    expected = 0.5 * (1 + 0.4**2 + 0.2**2) + 2 + 0.4 * 0.1
    assert result.fun == pytest.approx(expected)
    assert result.success


def test_l1_reports_the_projected_gradient():
    norms = []
    minimize(square, np.ones(4), l1=np.full(4, 0.3), callback=lambda number, value, norm: norms.append(norm))
    assert norms[-1] <= 1e-8


def test_parameters_without_l1_are_free():
    result = minimize(square, np.zeros(4), l1=np.array([0.0, 10.0, 0.0, 0.0]))
    np.testing.assert_allclose(result.x, [3.0, 0.0, 0.0, 0.2], atol=1e-6)


def test_max_iter():
    result = minimize(lambda x: (rosen(x), rosen_der(x)), np.array([-1.2, 1.0]), max_iter=4)
    assert not result.success
    assert result.nit == len(result.loss_curve) == 4


def test_start_at_the_minimum():
    result = minimize(square, TARGET)
    assert result.success
    assert result.nit == 0
    np.testing.assert_array_equal(result.x, TARGET)


def test_the_start_is_not_changed():
    start = np.zeros(4)
    start.flags.writeable = False
    for l1 in (None, np.ones(4)):
        minimize(square, start, l1=l1)


class Jumping:
    """A square that jumps up by ten where x[0] passes 2, as a surrogate does where it switches branch."""

    def __init__(self):
        self.values, self.points = [], []

    def __call__(self, x):
        value, gradient = square(x)
        self.values.append(value + 10.0 * (x[0] > 2))
        self.points.append(x.copy())
        return self.values[-1], gradient


@pytest.mark.parametrize("l1", [None, np.full(4, 1e-3)])
def test_a_jump_keeps_the_best_iterate_and_restarts_once(l1, monkeypatch):
    starts = []

    def spy(fun, x0, **kwargs):
        found = original(fun, x0, **kwargs)
        starts.append(x0.copy())
        return found

    original = _lbfgs.minimize
    monkeypatch.setattr(_lbfgs, "minimize", spy)
    jumping = Jumping()
    result = minimize(jumping, np.zeros(4), l1=l1)
    assert not result.success
    assert len(starts) == 2
    values = np.array(jumping.values)
    if l1 is not None:
        values = values + [l1 @ np.abs(x) for x in jumping.points]
    assert result.fun == pytest.approx(values.min())
    assert np.isclose(result.x[0], 2, atol=0.1)
    assert result.x[0] <= 2
    assert (np.diff(result.loss_curve) <= 0).all()


def test_restart_counts_iterations_of_both_runs():
    jumping = Jumping()
    result = minimize(jumping, np.zeros(4))
    assert result.nit == len(result.loss_curve)
    assert result.nfev == len(jumping.values)


def test_max_iter_holds_over_the_restart():
    for max_iter in range(1, 6):
        assert minimize(Jumping(), np.zeros(4), max_iter=max_iter).nit <= max_iter


def test_interrupt_keeps_the_best_iterate():
    calls = []

    def interrupted(x):
        calls.append(x.copy())
        if len(calls) == 8:
            raise KeyboardInterrupt
        return rosen(x), rosen_der(x)

    result = minimize(interrupted, np.array([-1.2, 1.0]))
    assert isinstance(result.interrupt, KeyboardInterrupt)
    assert not result.success
    assert result.fun == min(rosen(x) for x in calls[:7]) == rosen(result.x)


def test_interrupt_before_the_first_evaluation():
    def interrupted(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        minimize(interrupted, np.zeros(2))
