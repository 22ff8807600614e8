"""L-BFGS that starts with the result of another optimiser."""

import numpy as np

from skstruct.optim import LBFGS, AveragedSGD


def noting(seen):
    """Callback that appends what it sees to a list."""
    return lambda state: seen.append((state.n_iter, state.value, state.gradient_norm))


# ------------------------------------------------------------------------------------------ another optimiser first
class Squares:
    """Least squares as a sum over rows."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.X = rng.normal(size=(60, 4)) / 60**0.5
        self.y = self.X @ np.arange(4.0) + rng.normal(size=60) / 60**0.5
        self.n_batches, self.l2 = 60, np.full(4, 0.1)

    def __call__(self, coef):
        error = self.X @ coef - self.y
        return 0.5 * error @ error + 0.05 * coef @ coef, self.X.T @ error + 0.1 * coef

    def steps(self, batches, coef, rate):
        loss = 0.0
        for b in batches:
            error = self.X[b] @ coef - self.y[b]
            loss += 0.5 * error**2
            coef -= rate * error * self.X[b]
        return loss

    def solution(self):
        return np.linalg.solve(self.X.T @ self.X + 0.1 * np.eye(4), self.X.T @ self.y)


def test_start_with_another_optimiser():
    seen = []
    optimizer = LBFGS(start_with=AveragedSGD(n_epochs=3, random_state=0))
    fun = Squares()
    result = optimizer.minimize(
        fun,
        np.zeros(4),
        l1=None,
        max_iter=100,
        tol=1e-8,
        callback=noting(seen),
    )
    assert result.success
    np.testing.assert_allclose(result.x, fun.solution(), atol=1e-7)
    assert result.nit == len(result.loss_curve) == len(seen) > 3
    assert [row[0] for row in seen] == list(range(1, result.nit + 1))
    first = optimizer.start_with.minimize(fun, np.zeros(4), l1=None, max_iter=100, tol=1e-8)
    assert np.array_equal(result.loss_curve[:3], first.loss_curve)
    assert result.loss_curve[-1] == result.fun == fun(result.x)[0]
    alone = LBFGS().minimize(fun, first.x, l1=None, max_iter=100, tol=1e-8)
    assert result.nfev == first.nfev + alone.nfev


def test_start_with_shares_max_iter():
    optimizer = LBFGS(start_with=AveragedSGD(n_epochs=3, random_state=0))
    for max_iter in (1, 3, 4):
        result = optimizer.minimize(Squares(), np.zeros(4), l1=None, max_iter=max_iter, tol=1e-12)
        assert result.nit == max_iter
        assert not result.success


def test_interrupt_of_the_first_optimiser_ends_the_second():
    def interrupt(state):
        raise KeyboardInterrupt

    optimizer = LBFGS(start_with=AveragedSGD(n_epochs=3, random_state=0))
    result = optimizer.minimize(Squares(), np.zeros(4), l1=None, max_iter=50, tol=1e-8, callback=interrupt)
    assert isinstance(result.interrupt, KeyboardInterrupt)
    assert result.nit == 1


def test_interrupt_before_the_second_optimiser_evaluates_keeps_the_first_result():
    class Interrupted(Squares):
        def __call__(self, coef):
            if len(calls) == 2:
                raise KeyboardInterrupt
            calls.append(1)
            return super().__call__(coef)

    calls = []
    optimizer = LBFGS(start_with=AveragedSGD(n_epochs=3, learning_rate=0.1, random_state=0))
    result = optimizer.minimize(Interrupted(), np.zeros(4), l1=None, max_iter=50, tol=1e-8)
    assert isinstance(result.interrupt, KeyboardInterrupt)
    assert not result.success
    assert result.nit == len(result.loss_curve) == 3
    assert result.fun == Squares()(result.x)[0]
