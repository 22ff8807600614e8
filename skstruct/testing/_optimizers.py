"""The conformance battery of optimisers."""

import pickle

import numpy as np
from scipy.optimize import minimize

from skstruct.optim import Optimizer

__all__ = ["check_optimizer"]

N_ROWS, N_COEF = 60, 5


class LeastSquares:
    """``|X w - y|**2 / 2 + 0.05 |w|**2``, smooth and strictly convex; each row of `X` is a mini-batch."""

    smooth = True
    without_product = ()

    def __init__(self, random_state):
        rng = np.random.default_rng(random_state)
        self.X = rng.normal(size=(N_ROWS, N_COEF)) / N_ROWS**0.5
        self.y = self.X @ np.array([3.0, -2.0, 0.0, 0.5, 0.0]) + 0.1 * rng.normal(size=N_ROWS) / N_ROWS**0.5
        self.n_batches, self.l2 = N_ROWS, np.full(N_COEF, 0.1)
        self.n_calls = 0
        self.fails_at: int | None = None  # number of the call that raises KeyboardInterrupt

    def _count(self):
        self.n_calls += 1
        if self.n_calls == self.fails_at:
            raise KeyboardInterrupt

    def __call__(self, coef):
        self._count()
        error = self.X @ coef - self.y
        return 0.5 * (error @ error) + 0.05 * (coef @ coef), self.X.T @ error + 0.1 * coef

    def batch(self, number, coef):
        """Value and gradient of a row."""
        self._count()
        error = self.X[number] @ coef - self.y[number]
        return 0.5 * error**2, error * self.X[number]

    def steps(self, batches, coef, rate):
        """Gradient steps on some rows."""
        total = 0.0
        for number in batches:
            value, gradient = self.batch(number, coef)
            coef -= rate * gradient
            total += value
        return total

    def product(self, coef, d_coef):
        """Product of the Hessian with a vector."""
        return self.X.T @ (self.X @ d_coef) + 0.1 * d_coef

    def solution(self):
        """The minimum, by a direct solver."""
        return np.linalg.solve(self.X.T @ self.X + 0.1 * np.eye(N_COEF), self.X.T @ self.y)


class SupportVectors(LeastSquares):
    """Mean hinge loss of a support vector machine of two classes, ``mean(max(0, 1 - X w)) + 0.05 |w|**2``."""

    smooth = False
    convex = True
    piecewise_linear = True

    def __init__(self, random_state):
        super().__init__(random_state)
        sides = np.where(self.y + 0.2 * np.random.default_rng(random_state).normal(size=N_ROWS) > 0, 1.0, -1.0)
        self.X *= N_ROWS**0.5 * sides[:, None]
        self.free = np.ones(N_COEF, bool)

    def __call__(self, coef):
        self._count()
        slack = np.maximum(1 - self.X @ coef, 0)
        return slack.mean() + 0.05 * (coef @ coef), 0.1 * coef - self.X[slack > 0].sum(axis=0) / N_ROWS

    def batch(self, number, coef):
        """Value and subgradient of a row."""
        self._count()
        slack = max(1 - self.X[number] @ coef, 0.0)
        return slack / N_ROWS, -self.X[number] * (slack > 0) / N_ROWS

    def solution(self):
        """The minimum, by a general solver for the dual, which is a quadratic function on a box."""

        def dual(a):
            w = self.X.T @ a / 0.1
            return 0.05 * (w @ w) - a.sum(), self.X @ w - 1

        options = {"maxiter": 10_000, "ftol": 1e-15, "gtol": 1e-10}
        found = minimize(dual, np.zeros(N_ROWS), jac=True, bounds=[(0, 1 / N_ROWS)] * N_ROWS, options=options)
        return self.X.T @ found.x / 0.1


def check_optimizer(
    optimizer: Optimizer,
    max_iter: int = 500,
    tol: float = 1e-6,
    accuracy: float | None = None,
    random_state: int = 0,
) -> None:
    """Run the whole battery on an optimiser.

    The laws are checked on a least-squares problem with mini-batches, or on a support vector machine if the optimiser
    needs a loss that is piecewise linear:

    - The result is near the minimum, and its value is the value at its parameters.
    - The start is not changed.
    - States count iterations and keep their parameters. They can be pickled, and an optimiser that continues from one
      reaches the same result, bit by bit.
    - `max_iter` and a callback end the iteration.
    - Ctrl-C keeps the best iterate.
    - An L1 term is either refused or minimised.
    - Functions with kinks, functions that are not piecewise linear, and functions without mini-batches are refused as
      declared.

    Parameters
    ----------
    optimizer : Optimizer
        An optimiser that draws random numbers needs a fixed seed.
    max_iter : int, default=500
    tol : float, default=1e-6
    accuracy : float, default=None
        Largest distance of the objective from its minimum, relative to the distance at the start. None: 1e-8, or 1e-2
        for a stochastic optimiser.
    random_state : int, default=0
        Seed of the problem.

    Raises
    ------
    AssertionError
        The message names the law that is broken.

    Examples
    --------
    >>> from skstruct.optim import LBFGS
    >>> from skstruct.testing import check_optimizer
    >>> check_optimizer(LBFGS())
    """
    accuracy = (1e-2 if optimizer.stochastic else 1e-8) if accuracy is None else accuracy
    settings = {"max_iter": max_iter, "tol": tol}
    problem = _Problem(optimizer, _loss_for(optimizer)(random_state), settings)
    before = optimizer.get_params()
    whole = _check_result(problem, accuracy)
    _check_states(problem, whole)
    _check_ends(problem, whole)
    _check_interrupt(problem, random_state)
    _check_l1(problem, accuracy)
    _check_refusals(problem, random_state)
    assert optimizer.get_params() == before, f"{optimizer!r} changed its own parameters"


def _loss_for(optimizer):
    return SupportVectors if optimizer.needs_piecewise_linear else LeastSquares


class _Problem:
    """An optimiser with a problem and its settings."""

    def __init__(self, optimizer, loss, settings):
        self.optimizer, self.loss, self.settings = optimizer, loss, settings
        self.start = np.linspace(-1.0, 1.0, N_COEF)
        self.start.flags.writeable = False

    def minimize(self, start=None, **changes):
        start = self.start if start is None else start
        return self.optimizer.minimize(self.loss, start, **{**self.settings, **changes})

    def states(self, **changes):
        return self.optimizer.iterate(self.loss, self.start, **{**self.settings, **changes})


def _check_result(problem, accuracy):
    loss, result = problem.loss, problem.minimize()
    lowest, first = loss(loss.solution())[0], loss(problem.start)[0]
    assert result.fun <= lowest + accuracy * (first - lowest), f"ended at {result.fun}, the minimum is {lowest}"
    assert np.isclose(result.fun, loss(result.x)[0], rtol=1e-12), (
        "the value is not the value at the returned parameters"
    )
    assert len(result.loss_curve) == result.nit, f"{result.nit} iterations, {len(result.loss_curve)} values"
    assert result.message, "the last state has no message"
    assert result.interrupt is None
    return result


def _check_states(problem, whole):
    numbers, kept = [], []
    for state in problem.states():
        numbers.append(state.n_iter)
        kept.append((state.x, state.x.copy()))
        assert state.x.shape == problem.start.shape, f"parameters of the shape {state.x.shape}"
    assert numbers[0] == 0, f"the first state has n_iter {numbers[0]}; it is the start, 0"
    assert set(np.diff(numbers)) <= {0, 1}, f"iterations are counted as {numbers[:10]}"
    assert all(np.array_equal(x, copy) for x, copy in kept), "parameters of an earlier state were changed"
    for n_iter in {0, 1, whole.nit // 2}:
        stopped = next(state for state in problem.states() if state.n_iter == n_iter)
        continued = problem.minimize(pickle.loads(pickle.dumps(stopped)))
        assert np.array_equal(continued.x, whole.x), f"continued after iteration {n_iter}, it ended elsewhere"
        assert continued.nit == whole.nit, f"continued after iteration {n_iter}, it counted {continued.nit}"


def _check_ends(problem, whole):
    if whole.nit > 1:
        short = problem.minimize(max_iter=1)
        assert short.nit == 1, f"max_iter=1 gave {short.nit} iterations"
        assert not short.success, "max_iter=1 ended with success"
    stopped = problem.minimize(callback=lambda state: state.n_iter == 1)
    assert stopped.nit == 1, f"a callback that stops after iteration 1 gave {stopped.nit} iterations"


def _check_interrupt(problem, random_state):
    for fails_at in (2, 4, 9):
        loss = _loss_for(problem.optimizer)(random_state)
        loss.fails_at = fails_at
        result = _Problem(problem.optimizer, loss, problem.settings).minimize()
        if result.interrupt is None:  # the optimiser ended before that call
            continue
        assert not result.success, "an interrupted run ended with success"
        assert loss(result.x)[0] <= loss(problem.start)[0] * (1 + 1e-12), "an interrupt lost the best iterate"


def _check_l1(problem, accuracy):
    l1 = np.full(N_COEF, 0.2)
    if not problem.optimizer.accepts_l1:
        _refuses(lambda: problem.minimize(l1=l1), "an L1 term, which accepts_l1 denies")
        return
    result = problem.minimize(l1=l1)
    subgradient = problem.loss(result.x)[1] + l1 * np.sign(result.x)
    zero = result.x == 0
    assert zero.any(), "an L1 term gave no zeros: it was ignored"
    slack = np.sqrt(accuracy)
    assert np.abs(subgradient[~zero]).max(initial=0.0) <= slack, "not at the minimum with the L1 term"
    assert np.abs(subgradient[zero]).max(initial=0.0) <= l1[0] + slack, "a parameter is zero that should not be"


def _check_refusals(problem, random_state):
    if problem.optimizer.needs_smooth:
        kinked = LeastSquares(random_state)
        kinked.smooth = False
        _refuses(
            lambda: _Problem(problem.optimizer, kinked, problem.settings).minimize(),
            "a function with kinks, which needs_smooth denies",
        )
    if problem.optimizer.needs_piecewise_linear:
        curved = LeastSquares(random_state)
        _refuses(
            lambda: _Problem(problem.optimizer, curved, problem.settings).minimize(),
            "a function that is not piecewise linear, which needs_piecewise_linear denies",
        )
    if problem.optimizer.stochastic:
        whole = _loss_for(problem.optimizer)(random_state)
        _refuses(
            lambda: _Problem(problem.optimizer, lambda coef: whole(coef), problem.settings).minimize(),
            "a function without mini-batches, which stochastic denies",
        )


def _refuses(call, what):
    try:
        call()
    except (ValueError, TypeError):
        return
    raise AssertionError(f"accepted {what}")
