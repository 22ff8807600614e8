"""L-BFGS on functions with known minima, and on those that make it stumble."""

import pickle

import numpy as np
import pytest
from scipy.optimize import minimize as scipy_minimize
from scipy.optimize import rosen, rosen_der

from skstruct.optim import LBFGS

"""L-BFGS on functions with known minima, and on those that make it stumble."""


TARGET = np.array([3.0, -0.5, 0.0, 0.2])


def square(x):
    return 0.5 * ((x - TARGET) ** 2).sum(), x - TARGET


def noting(seen):
    """Callback that appends what it sees to a list."""
    return lambda state: seen.append((state.n_iter, state.value, state.gradient_norm))


def minimize(fun, coef0, **kwargs):
    return LBFGS().minimize(fun, coef0, **{"l1": None, "max_iter": 200, "tol": 1e-8, **kwargs})


def test_curved_valley():
    seen = []
    result = minimize(
        lambda x: (rosen(x), rosen_der(x)),
        np.array([-1.2, 1.0]),
        callback=noting(seen),
    )
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
    minimize(square, np.ones(4), l1=np.full(4, 0.3), callback=lambda state: norms.append(state.gradient_norm))
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
def test_a_jump_keeps_the_best_iterate_and_restarts_once(l1):
    jumping = Jumping()
    result = minimize(jumping, np.zeros(4), l1=l1)
    assert not result.success
    assert result.state.n_searches == 2
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


# ------------------------------------------------------------------------------------ next to scipy's L-BFGS-B
def logistic(n_rows, n_features, n_classes, seed):
    """Loss and gradient of multinomial logistic regression with a penalty, per row."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, n_features)) * 10 ** rng.uniform(-1, 0.5, n_features)
    y = (X @ rng.normal(size=(n_features, n_classes)) + rng.gumbel(size=(n_rows, n_classes))).argmax(axis=1)

    def fun(coef):
        scores = X @ coef.reshape(n_features, n_classes)
        scores -= scores.max(axis=1, keepdims=True)
        total = np.exp(scores).sum(axis=1)
        loss = (np.log(total) - scores[np.arange(n_rows), y]).sum() + 0.5 * coef @ coef
        surplus = np.exp(scores) / total[:, None] - np.eye(n_classes)[y]
        return loss / n_rows, ((X.T @ surplus).ravel() + coef) / n_rows

    return fun, X, y


def quadratic(n, condition, seed):
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(n, n)))[0]
    hessian = basis * np.geomspace(1, condition, n) @ basis.T
    target = rng.normal(size=n)
    return lambda x: (0.5 * (x - target) @ hessian @ (x - target) - 1, hessian @ (x - target))


PROBLEMS = {
    "ball": (square, np.zeros(4)),
    "easy quadratic": (quadratic(30, 10, 0), np.zeros(30)),
    "hard quadratic": (quadratic(50, 1e4, 1), np.zeros(50)),
    "valley of 2": (lambda x: (rosen(x), rosen_der(x)), np.array([-1.2, 1.0])),
    "valley of 20": (lambda x: (rosen(x), rosen_der(x)), np.full(20, 0.3)),
    "logistic": (logistic(200, 10, 4, 2)[0], np.zeros(40)),
    "far start": (logistic(200, 10, 4, 2)[0], np.full(40, 30.0)),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_same_optimum_as_scipy_in_as_many_evaluations(name):
    fun, start = PROBLEMS[name]
    options = {"gtol": 1e-6, "ftol": 0, "maxiter": 5000, "maxfun": 50000, "maxcor": 10}
    theirs = scipy_minimize(fun, start, jac=True, method="L-BFGS-B", options=options)
    ours = minimize(fun, start, tol=1e-6, max_iter=5000)
    assert ours.success
    assert np.abs(fun(ours.x)[1]).max() <= 1e-6
    assert ours.fun == pytest.approx(theirs.fun, rel=1e-6, abs=1e-8)
    assert ours.nfev <= 1.1 * theirs.nfev + 5


def test_logistic_regression():
    from sklearn.linear_model import LogisticRegression

    fun, X, y = logistic(200, 6, 3, 5)
    result = minimize(fun, np.zeros(18), tol=1e-9)
    theirs = LogisticRegression(C=1.0, fit_intercept=False, tol=1e-10, max_iter=10000).fit(X, y)
    np.testing.assert_allclose(result.x.reshape(6, 3).T, theirs.coef_, atol=1e-5)


# --------------------------------------------------------------------------------------------- awkward functions
def test_infinite_outside_of_a_domain():
    """``sum(x - log x)`` from far away, so that whole steps leave the domain."""

    def barrier(x):
        if (x <= 0).any():
            return np.inf, np.full(len(x), np.nan)
        return (x - np.log(x)).sum(), 1 - 1 / x

    result = minimize(barrier, np.array([1e-3, 0.5, 20.0, 300.0]))
    assert result.success
    np.testing.assert_allclose(result.x, 1.0, atol=1e-7)


def test_no_parameters():
    result = minimize(lambda x: (1.5, x), np.zeros(0))
    assert result.success
    assert result.fun == 1.5
    assert result.x.shape == (0,)
    assert result.nit == 0


@pytest.mark.parametrize(
    ("value", "gradient"), [(1.0, np.nan), (np.nan, 1.0), (np.inf, 1.0), (1.0, np.inf), (np.inf, np.nan)]
)
def test_a_start_that_is_not_finite_is_a_failure(value, gradient):
    result = minimize(lambda x: (value, np.full(2, gradient)), np.ones(2))
    assert not result.success
    assert "not finite" in result.message
    np.testing.assert_array_equal(result.x, 1.0)


def test_a_gradient_that_becomes_nan_ends_before_it():
    """Beyond x[0] = 1 the gradient is nan: the search goes there and no further."""

    def fun(x):
        value, gradient = square(x)
        return value, gradient if x[0] < 1 else np.full(4, np.nan)

    result = minimize(fun, np.zeros(4))
    assert not result.success
    assert np.isfinite(result.fun)
    assert np.isfinite(result.x).all()


def test_a_function_without_a_minimum_stops():
    result = minimize(lambda x: (-x.sum(), -np.ones(3)), np.zeros(3), max_iter=20)
    assert not result.success


def test_tol_zero_ends_when_the_value_ceases_to_fall():
    result = minimize(PROBLEMS["logistic"][0], np.zeros(40), tol=0.0, max_iter=5000)
    assert result.success
    assert result.nit < 5000
    assert np.abs(PROBLEMS["logistic"][0](result.x)[1]).max() < 1e-6


def test_noise_of_the_value_does_not_hinder():
    """Errors of the thirteenth digit, as of sums over many graphs; the gradient is exact."""
    rng = np.random.default_rng(0)
    fun = PROBLEMS["logistic"][0]

    def noisy(x):
        value, gradient = fun(x)
        return value * (1 + 1e-13 * rng.uniform(-1, 1)), gradient

    result = minimize(noisy, np.zeros(40), tol=1e-7, max_iter=1000)
    assert result.success
    assert np.abs(fun(result.x)[1]).max() < 1e-5


@pytest.mark.parametrize("l1", [None, np.full(40, 1e-3)])
def test_the_function_may_use_its_arrays_again(l1):
    fun = PROBLEMS["logistic"][0]
    kept = np.empty(40)

    def reusing(x):
        value, kept[:] = fun(x)
        return value, kept

    result, expected = minimize(reusing, np.zeros(40), l1=l1), minimize(fun, np.zeros(40), l1=l1)
    np.testing.assert_array_equal(result.x, expected.x)
    assert result.nfev == expected.nfev


# -------------------------------------------------------------------------------------------- stop and continue
def l1_of(n_coef, strength):
    return None if strength is None else np.full(n_coef, strength)


@pytest.mark.parametrize("strength", [None, 1e-3])
@pytest.mark.parametrize("name", ["valley of 20", "logistic", "hard quadratic"])
def test_a_pickled_state_continues_to_the_same_bits(name, strength):
    fun, start = PROBLEMS[name]
    l1 = l1_of(len(start), strength)
    whole = minimize(fun, start, l1=l1)
    for n_iter in (0, 1, 7, whole.nit):
        stopped = next(s for s in LBFGS().iterate(fun, start, l1=l1, max_iter=200, tol=1e-8) if s.n_iter == n_iter)
        continued = minimize(fun, pickle.loads(pickle.dumps(stopped)), l1=l1)
        np.testing.assert_array_equal(continued.x, whole.x)
        assert (continued.nit, continued.nfev, continued.fun) == (whole.nit, whole.nfev, whole.fun)
        np.testing.assert_array_equal(continued.loss_curve, whole.loss_curve[n_iter:])


def test_a_larger_max_iter_continues():
    fun, start = PROBLEMS["logistic"]
    short = minimize(fun, start, max_iter=5)
    assert short.message == "max_iter reached"
    whole = minimize(fun, start)
    np.testing.assert_array_equal(minimize(fun, short.state).x, whole.x)
    again = minimize(fun, whole.state)
    assert again.success
    assert again.nfev == whole.nfev


def test_the_callback_stops():
    fun, start = PROBLEMS["logistic"]
    result = minimize(fun, start, callback=lambda state: state.n_iter == 4)
    assert result.nit == len(result.loss_curve) == 4
    assert result.message == "stopped by the callback"
    assert not result.success
    assert result.fun == fun(result.x)[0]


def test_the_states_keep_their_best_points():
    fun, start = PROBLEMS["valley of 20"]
    states = [(s.x, s.x.copy()) for s in LBFGS().iterate(fun, start, max_iter=50, tol=1e-8)]
    assert len(states) > 10
    for kept, copied in states:
        np.testing.assert_array_equal(kept, copied)


@pytest.mark.parametrize("strength", [1e-4, 1e-2, 0.3])
def test_l1_ends_at_the_optimum_of_the_split_problem(strength):
    """``coef = plus - minus`` with both parts bounded by zero, by scipy's L-BFGS-B."""
    fun, start = PROBLEMS["logistic"]
    n, l1 = len(start), np.full(len(start), strength)

    def split(parts):
        value, gradient = fun(parts[:n] - parts[n:])
        return value + l1 @ (parts[:n] + parts[n:]), np.concatenate([gradient + l1, l1 - gradient])

    options = {"gtol": 1e-9, "ftol": 0, "maxiter": 5000, "maxfun": 50000}
    theirs = scipy_minimize(split, np.zeros(2 * n), jac=True, bounds=[(0, None)] * (2 * n), options=options)
    ours = minimize(fun, start, l1=l1, max_iter=2000)
    assert ours.success
    assert ours.fun == pytest.approx(theirs.fun, rel=1e-9)
    np.testing.assert_allclose(ours.x, theirs.x[:n] - theirs.x[n:], atol=1e-5)
    subgradient = fun(ours.x)[1]
    assert (np.abs(subgradient[ours.x == 0]) <= strength + 1e-7).all()
