"""Averaged SGD on logistic regression by mini-batches in plain numpy, whose optimum L-BFGS and scikit-learn give."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from skstruct.optim import LBFGS, OPTIMIZERS, AveragedSGD
from skstruct.optim._sgd import PENALTY_STEPS


class Logistic:
    """Mean loss of multinomial logistic regression, cut into mini-batches of rows, and a penalty."""

    def __init__(self, n_rows=600, n_features=5, n_classes=3, batch_size=4, strength=1.0, seed=0):
        rng = np.random.default_rng(seed)
        self.X = rng.normal(size=(n_rows, n_features))
        truth = rng.normal(size=(n_features, n_classes))
        self.y = (self.X @ truth + rng.gumbel(size=(n_rows, n_classes))).argmax(axis=1)
        self.shape = n_features, n_classes
        self.batches = np.array_split(np.arange(n_rows), -(-n_rows // batch_size))
        self.n_batches = len(self.batches)
        self.l2 = np.full(n_features * n_classes, strength / n_rows)
        self.visited = []

    def loss(self, rows, coef):
        scores = self.X[rows] @ coef.reshape(self.shape)
        scores -= scores.max(axis=1, keepdims=True)
        total = np.exp(scores).sum(axis=1)
        value = (np.log(total) - scores[np.arange(len(rows)), self.y[rows]]).sum()
        surplus = np.exp(scores) / total[:, None] - np.eye(self.shape[1])[self.y[rows]]
        return value / len(self.X), (self.X[rows].T @ surplus).ravel() / len(self.X)

    def __call__(self, coef):
        value, gradient = self.loss(np.arange(len(self.X)), coef)
        return value + 0.5 * (self.l2 * coef) @ coef, gradient + self.l2 * coef

    without_product = ()

    def product(self, coef, d_coef):
        return (self(coef + 1e-5 * d_coef)[1] - self(coef - 1e-5 * d_coef)[1]) / 2e-5

    def batch(self, number, coef):
        return self.loss(self.batches[number], coef)

    def steps(self, batches, coef, rate):
        self.visited.append((np.array(batches), rate))
        value = 0.0
        for b in batches:
            loss, gradient = self.loss(self.batches[b], coef)
            value += loss
            coef -= rate * gradient
        return value


def noting(seen):
    """Callback that appends what it sees to a list."""
    return lambda state: seen.append((state.n_iter, state.value, state.gradient_norm))


def minimize(fun, optimizer=None, **kwargs):
    optimizer = AveragedSGD(random_state=0) if optimizer is None else optimizer
    start = np.zeros(len(fun.l2))
    start.flags.writeable = False
    return optimizer.minimize(fun, start, **{"l1": None, "max_iter": 1000, "tol": 1e-6, **kwargs})


@pytest.mark.parametrize("name", [name for name, row in OPTIMIZERS.items() if not row.needs_piecewise_linear])
def test_every_optimiser_comes_near_the_minimum(name):
    fun = Logistic()
    result = minimize(fun, OPTIMIZERS[name]())
    assert result.success
    assert result.fun == fun(result.x)[0]
    assert result.fun < minimize(fun, LBFGS()).fun + 2e-3
    assert len(result.loss_curve) == result.nit
    assert result.interrupt is None


def test_coefficients_of_logistic_regression():
    fun = Logistic(n_rows=3000, strength=3.0)
    result = minimize(fun, AveragedSGD(n_epochs=30, random_state=0))
    theirs = LogisticRegression(C=1 / 3, fit_intercept=False, tol=1e-8).fit(fun.X, fun.y)
    np.testing.assert_allclose(result.x.reshape(fun.shape).T, theirs.coef_, atol=0.02)


@pytest.mark.parametrize("strength", [0.0, 1.0, 100.0])
def test_strengths_of_the_penalty(strength):
    fun = Logistic(strength=strength)
    best = minimize(fun, LBFGS())
    result = minimize(fun, AveragedSGD(n_epochs=20, random_state=0))
    assert result.fun - best.fun < 0.01 * (fun(np.zeros(15))[0] - best.fun)


def test_parameters_without_penalty():
    """One feature is free, as an intercept is; its weights are large at the optimum, those of the others small."""
    fun = Logistic(strength=50.0)
    fun.l2[:3] = 0.0
    best = minimize(fun, LBFGS())
    result = minimize(fun, AveragedSGD(n_epochs=20, random_state=0))
    assert result.fun - best.fun < 0.01 * (fun(np.zeros(15))[0] - best.fun)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_calibration_adapts_to_the_units_of_the_features(scale):
    """Features in other units, with the penalty in their units: the same problem, but for the learning rate."""
    fun = Logistic()
    expected = minimize(fun).fun
    fun.X *= scale
    fun.l2 *= scale**2
    assert minimize(fun).fun == pytest.approx(expected, rel=5e-3)


def test_calibrated_rate_is_as_good_as_any():
    fun = Logistic(n_rows=300)
    tried = [minimize(fun, AveragedSGD(3, learning_rate=2.0**k, random_state=0)).fun for k in range(-6, 7)]
    best, start = minimize(fun, LBFGS()).fun, fun(np.zeros(15))[0]
    assert minimize(fun, AveragedSGD(3, random_state=0)).fun - best < min(tried) - best + 0.05 * (start - best)


def test_each_epoch_visits_every_batch_once_in_new_order():
    fun = Logistic(n_rows=101, batch_size=3)
    minimize(fun, AveragedSGD(3, learning_rate=0.5, random_state=0))
    assert len(fun.visited) == 3 * PENALTY_STEPS
    orders = [
        np.concatenate([batches for batches, _ in fun.visited[k : k + PENALTY_STEPS]])
        for k in (0, PENALTY_STEPS, 2 * PENALTY_STEPS)
    ]
    for order in orders:
        np.testing.assert_array_equal(np.sort(order), np.arange(fun.n_batches))
    assert not np.array_equal(orders[0], orders[1])


def test_rates_decay_with_the_penalty():
    fun = Logistic(strength=30.0)
    minimize(fun, AveragedSGD(2, learning_rate=0.5, random_state=0))
    rates = np.array([rate for _, rate in fun.visited])
    epochs = np.arange(2 * PENALTY_STEPS) / PENALTY_STEPS
    full = 0.5 * fun.n_batches
    np.testing.assert_allclose(rates, full / (1 + full * fun.l2[0] * epochs), rtol=1e-12)


def test_few_batches():
    for n_rows in (1, 2, 7):
        fun = Logistic(n_rows=n_rows, batch_size=1)
        result = minimize(fun, AveragedSGD(50, random_state=0))
        best = minimize(fun, LBFGS())
        assert result.fun - best.fun < 0.1 * (fun(np.zeros(15))[0] - best.fun)


def test_same_seed_same_bits():
    first, second, third = (minimize(Logistic(), AveragedSGD(3, random_state=seed)).x for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, third)


def test_max_iter_limits_epochs():
    result = minimize(Logistic(), max_iter=2)
    assert result.nit == len(result.loss_curve) == 2
    assert not result.success
    assert "max_iter" in result.message


def test_callback_gets_the_curve():
    seen = []
    result = minimize(Logistic(), callback=noting(seen))
    assert [row[0] for row in seen] == list(range(1, 9))
    np.testing.assert_array_equal([row[1] for row in seen], result.loss_curve)
    assert np.isnan([row[2] for row in seen]).all()
    assert result.loss_curve[-1] < result.loss_curve[0]
    assert result.loss_curve[-1] == pytest.approx(result.fun, rel=0.05)


def test_start_at_the_minimum():
    fun = Logistic()
    best = LBFGS().minimize(fun, np.zeros(15), l1=None, max_iter=1000, tol=1e-8).x
    result = AveragedSGD().minimize(fun, best, l1=None, max_iter=1000, tol=1e-6)
    assert result.success
    assert result.nit == 0
    np.testing.assert_array_equal(result.x, best)


def test_steps_upwards_return_the_start():
    fun = Logistic(strength=100.0)
    best = minimize(fun, LBFGS()).x
    result = AveragedSGD(learning_rate=1e3, random_state=0).minimize(fun, best, l1=None, max_iter=10, tol=1e-12)
    assert not result.success
    assert "learning_rate" in result.message
    np.testing.assert_array_equal(result.x, best)
    assert result.fun == fun(best)[0]


def test_interrupt_keeps_the_last_epoch():
    fun, seen = Logistic(), []

    def callback(state):
        seen.append(state.value)
        if state.n_iter == 6:
            raise KeyboardInterrupt

    result = minimize(fun, callback=callback)
    assert isinstance(result.interrupt, KeyboardInterrupt)
    assert not result.success
    assert result.nit == 6
    assert result.fun == seen[-1]
    np.testing.assert_array_equal(fun(result.x)[0], pytest.approx(seen[-1], rel=0.05))


def test_interrupt_in_the_first_epoch_keeps_the_start():
    class Interrupted(Logistic):
        def steps(self, batches, coef, rate):
            super().steps(batches, coef, rate)
            raise KeyboardInterrupt

    fun = Interrupted()
    result = minimize(fun)
    assert isinstance(result.interrupt, KeyboardInterrupt)
    np.testing.assert_array_equal(result.x, 0.0)
    assert result.fun == fun(result.x)[0]


def test_errors_pass_through():
    class Broken(Logistic):
        def steps(self, batches, coef, rate):
            raise FloatingPointError("scores of graph 3")

    with pytest.raises(FloatingPointError, match="graph 3"):
        minimize(Broken())


def test_refusals_name_the_remedy():
    with pytest.raises(ValueError, match="optimizer='lbfgs'"):
        minimize(Logistic(), l1=np.ones(15))
    with pytest.raises(TypeError, match=r"mini-batches.*optimizer='lbfgs'"):
        AveragedSGD().minimize(lambda x: (0.0, x), np.zeros(2), l1=None, max_iter=5, tol=0.0)


def test_parameters():
    optimizer = LBFGS(start_with=AveragedSGD(n_epochs=2))
    assert clone(optimizer).set_params(start_with__n_epochs=3).start_with.n_epochs == 3


@pytest.mark.parametrize(
    "optimizer",
    [AveragedSGD(6, random_state=0), LBFGS(start_with=AveragedSGD(3, random_state=0))],
    ids=["sgd", "lbfgs"],
)
def test_a_pickled_state_continues_to_the_same_bits(optimizer):
    whole = minimize(Logistic(), optimizer)
    for n_iter in range(whole.nit):
        states = optimizer.iterate(Logistic(), np.zeros(15), max_iter=1000, tol=1e-6)
        stopped = next(state for state in states if state.n_iter == n_iter)
        continued = optimizer.minimize(Logistic(), pickle.loads(pickle.dumps(stopped)), max_iter=1000, tol=1e-6)
        np.testing.assert_array_equal(continued.x, whole.x)
        assert (continued.nit, continued.nfev, continued.fun) == (whole.nit, whole.nfev, whole.fun)


def test_kinks_are_refused_by_name():
    class Hinge(Logistic):
        smooth = False

    with pytest.raises(ValueError, match="LBFGS needs a smooth objective"):
        minimize(Hinge(), LBFGS())
    minimize(Hinge(), AveragedSGD(1))


@pytest.mark.parametrize("convex", [True, False])
def test_only_convex_functions_are_averaged(convex):
    """The average of a path of networks may be much worse than its points."""

    class Declared(Logistic):
        pass

    Declared.convex = convex
    state = minimize(Declared()).state
    assert np.array_equal(state.x, state.coef) == (not convex)
    assert (state.n_averaged > 0) == convex
