"""Trust-region Newton on functions whose minimum is known, and with a model that is bad far from the minimum."""

import pickle

import numpy as np
import pytest

from skstruct.optim import LBFGS, NewtonCG


class Quadratic:
    """``(x - c) A (x - c) / 2`` with a condition number of 1e8."""

    without_product = ()

    def __init__(self, n=30):
        rng = np.random.default_rng(0)
        basis = np.linalg.qr(rng.normal(size=(n, n)))[0]
        self.matrix, self.centre = basis * np.logspace(-4, 4, n) @ basis.T, rng.normal(size=n)
        self.n_products = 0

    def __call__(self, coef):
        step = coef - self.centre
        return 0.5 * step @ self.matrix @ step, self.matrix @ step

    def product(self, coef, d_coef):
        self.n_products += 1
        return self.matrix @ d_coef


class Rosenbrock:
    """The banana valley, whose Hessian is indefinite in places."""

    without_product = ()

    def __call__(self, coef):
        a, b = coef
        return (1 - a) ** 2 + 100 * (b - a * a) ** 2, np.array([2 * (a - 1) - 400 * a * (b - a * a), 200 * (b - a * a)])

    def product(self, coef, d_coef):
        a, b = coef
        return np.array([[2 - 400 * (b - 3 * a * a), -400 * a], [-400 * a, 200.0]]) @ d_coef


def test_a_badly_scaled_quadratic():
    loss = Quadratic()
    found = NewtonCG().minimize(loss, np.zeros(30), max_iter=200, tol=1e-9)
    assert found.success
    np.testing.assert_allclose(found.x, loss.centre, atol=1e-4)
    assert found.state.n_products == loss.n_products
    assert np.abs(loss(LBFGS().minimize(loss, np.zeros(30), max_iter=200, tol=1e-9).x)[1]).max() > 1e-7


def test_directions_without_positive_curvature():
    loss = Rosenbrock()
    assert np.linalg.eigvalsh([loss.product(np.array([0.0, 1.0]), unit) for unit in np.eye(2)])[0] < 0
    for start in ([-1.2, 1.0], [0.0, 1.0], [3.0, -2.0]):
        found = NewtonCG().minimize(loss, np.array(start), max_iter=100, tol=1e-10)
        np.testing.assert_allclose(found.x, 1.0, atol=1e-8)
        assert (np.diff(found.loss_curve) <= 0).all()


def test_it_ends_where_rounding_errors_begin():
    """With a tolerance of zero the last iterations lower the gradient, not the value."""

    class Shifted(Quadratic):
        def __call__(self, coef):
            value, gradient = super().__call__(coef)
            return value + 1e6, gradient

    found = NewtonCG().minimize(Shifted(5), np.ones(5), max_iter=200, tol=0.0)
    assert found.success
    assert found.nit < 60
    assert found.state.gradient_norm < 1e-3


def test_a_jump_is_no_minimum():
    """As the surrogate of approximate inference can have: no step past the jump lowers the value."""

    class Jump(Quadratic):
        def __call__(self, coef):
            value, gradient = super().__call__(coef)
            return value + 1e9 * bool((coef != 1.0).any()), gradient

    found = NewtonCG().minimize(Jump(5), np.ones(5), max_iter=500, tol=1e-6)
    assert not found.success
    assert found.message == "the value has ceased to fall"
    np.testing.assert_array_equal(found.x, np.ones(5))


def test_few_products_in_an_iteration():
    loss = Quadratic()
    found = NewtonCG(max_products=3).minimize(loss, np.zeros(30), max_iter=10, tol=1e-9)
    assert loss.n_products <= 30
    assert found.fun < loss(np.zeros(30))[0]


def test_a_start_that_is_not_finite():
    found = NewtonCG().minimize(Quadratic(), np.full(30, np.nan), max_iter=10, tol=1e-9)
    assert not found.success
    assert "not finite" in found.message


def test_steps_out_of_the_domain_are_shortened():
    class Barrier:
        without_product = ()

        def __call__(self, coef):
            with np.errstate(invalid="ignore", divide="ignore"):  # outside of the domain
                return float((coef - np.log(coef)).sum()), 1 - 1 / coef

        def product(self, coef, d_coef):
            return d_coef / coef**2

    found = NewtonCG().minimize(Barrier(), np.array([40.0, 0.01]), max_iter=100, tol=1e-10)
    np.testing.assert_allclose(found.x, 1.0, atol=1e-8)


def test_a_state_pickles():
    state = NewtonCG().minimize(Rosenbrock(), np.array([-1.2, 1.0]), max_iter=3, tol=0.0).state
    again = pickle.loads(pickle.dumps(state))
    assert (again.n_iter, again.radius, again.n_products) == (state.n_iter, state.radius, state.n_products)
    np.testing.assert_array_equal(again.gradient, Rosenbrock()(state.x)[1])


def test_refusals():
    loss = Quadratic()
    with pytest.raises(TypeError, match="NewtonCG needs a function with Hessian products"):
        NewtonCG().minimize(lambda coef: loss(coef), np.zeros(30), max_iter=1, tol=0)
    loss.without_product = ["Hinge", "OwnPlan"]
    with pytest.raises(ValueError, match="without support in Hinge and OwnPlan; use optimizer='lbfgs'"):
        NewtonCG().minimize(loss, np.zeros(30), max_iter=1, tol=0)
    with pytest.raises(ValueError, match="max_products must be an integer >= 1, got 0"):
        NewtonCG(max_products=0).minimize(Quadratic(), np.zeros(30), max_iter=1, tol=0)
