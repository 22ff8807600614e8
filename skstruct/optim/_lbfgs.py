"""Limited-memory BFGS, guarded; scipy's L-BFGS-B where there is an L1 penalty."""

from numbers import Integral
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult, minimize
from sklearn.base import BaseEstimator

from skstruct.optim._quasi_newton import FLAT, descend

STALLED = 1e-3  # gradient above which a value that has ceased to fall is no minimum


class LBFGS(BaseEstimator):
    """Limited-memory quasi-Newton method [1]_.

    It stops when the gradient is within `tol`, or when the value has ceased to fall. The best iterate is kept
    whatever ends the run, Ctrl-C too. After an end without a minimum, which a surrogate objective with a jump can
    cause, the memory is cleared and the search restarted once. The function may be infinite outside of a domain.

    An L1 penalty is handled exactly by splitting ``coef = plus - minus`` with both parts bounded by zero, so that
    weights become exactly zero; that is left to scipy's L-BFGS-B [2]_, which knows bounds but takes three times as long
    per iteration where there are many parameters.

    Parameters
    ----------
    n_corrections : int, default=10
        Pairs of steps and gradient changes that approximate the curvature. A pair takes the memory of one vector of
        parameters, as it has 32 bits. Ten rather than six save about a tenth of the evaluations in trainings of chain
        models.
    start_with : Optimizer or None, default=None
        Runs first, and its result is the start: ``AveragedSGD(n_epochs=2)`` saves a part of the evaluations where
        there are many data and weights. Its iterations count, and precede in `loss_curve`.

    See Also
    --------
    AveragedSGD : sooner near the minimum, later at it.

    References
    ----------
    .. [1] J. Nocedal, S. J. Wright, *Numerical Optimization*, Springer, 2006, chapter 7.
    .. [2] R. H. Byrd, P. Lu, J. Nocedal, C. Zhu, "A limited memory algorithm for bound constrained
       optimization", *SIAM J. Scientific Computing* 16(5), 1995.

    Examples
    --------
    >>> import numpy as np
    >>> from skstruct.optim import LBFGS
    >>> def square(coef):
    ...     return ((coef - 3) ** 2).sum(), 2 * (coef - 3)
    >>> result = LBFGS().minimize(square, np.zeros(2), l1=None, max_iter=50, tol=1e-6)
    >>> result.x.round(3), result.success
    (array([3., 3.]), True)
    """

    def __init__(self, n_corrections=10, *, start_with=None):
        self.n_corrections = n_corrections
        self.start_with = start_with

    def minimize(self, fun, coef0, *, l1, max_iter, tol, callback=None):
        """Minimise ``fun(coef) + sum(l1 * abs(coef))``; see `Optimizer`.

        Raises
        ------
        ValueError
            If a parameter is out of range.
        """
        if not isinstance(self.n_corrections, Integral) or self.n_corrections < 1:
            raise ValueError(f"LBFGS: n_corrections must be an integer >= 1, got {self.n_corrections!r}.")
        if self.start_with is not None and not hasattr(self.start_with, "minimize"):
            raise ValueError(f"LBFGS: start_with must be None or an optimiser, got {self.start_with!r}.")
        if self.start_with is None:
            return self._minimize(fun, coef0, l1, max_iter, tol, callback)
        first = self.start_with.minimize(fun, coef0, l1=l1, max_iter=max_iter, tol=tol, callback=callback)
        if first.interrupt is not None:
            return first
        if first.nit >= max_iter:
            return OptimizeResult({**first, "success": False, "message": "max_iter reached"})

        def go_on(iteration, value, gradient_norm):
            callback(first.nit + iteration, value, gradient_norm)

        try:
            result = self._minimize(fun, first.x, l1, max_iter - first.nit, tol, callback and go_on)
        except KeyboardInterrupt as error:  # before the first evaluation
            return OptimizeResult({**first, "success": False, "message": "interrupted", "interrupt": error})
        result.update(nit=first.nit + result.nit, nfev=first.nfev + result.nfev)
        result.loss_curve = np.concatenate([first.loss_curve, result.loss_curve])
        return result

    def _minimize(self, fun, coef0, l1, max_iter, tol, callback):
        if l1 is None:
            run = _Run(fun, callback, bounded=False)
            found = self._run(run, coef0, max_iter, tol)
            return OptimizeResult({**found, "x": run.best_x})
        n = len(coef0)

        def split_fun(parts):
            value, gradient = fun(parts[:n] - parts[n:])
            return value + l1 @ (parts[:n] + parts[n:]), np.concatenate([gradient + l1, l1 - gradient])

        run = _Run(split_fun, callback, bounded=True)
        found = self._run(run, np.concatenate([np.maximum(coef0, 0), np.maximum(-coef0, 0)]), max_iter, tol)
        return OptimizeResult({**found, "x": run.best_x[:n] - run.best_x[n:]})

    def _run(self, run, start, max_iter, tol):
        search = _descend_bounded if run.bounded else descend
        n_iter, success, message, interrupt = 0, False, "", None
        try:
            for _ in range(2):
                steps, converged, message = search(run, start, self.n_corrections, max_iter - n_iter, tol)
                n_iter, start = n_iter + steps, run.best_x.copy()
                # at a jump the value can also cease to fall, which is no convergence
                success = converged and run.best_norm <= max(tol, STALLED)
                if success or n_iter >= max_iter:
                    break
        except KeyboardInterrupt as error:
            if run.best_x is None:
                raise
            interrupt, message = error, "interrupted"
        return {
            "fun": run.best_value,
            "nit": max(n_iter, len(run.loss_curve)),
            "nfev": run.n_evaluations,
            "success": success,
            "message": message,
            "loss_curve": np.array(run.loss_curve),
            "interrupt": interrupt,
        }


def _descend_bounded(run, start, n_corrections, max_iter, tol):
    """Minimise with no parameter below zero, by scipy's L-BFGS-B; arguments and result as of `descend`."""
    found = minimize(
        run,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None)] * len(start),
        callback=run.finish_iteration,
        options={
            "maxiter": max_iter,
            "maxfun": 20 * max_iter,
            "maxcor": n_corrections,
            "gtol": tol,
            "ftol": FLAT,
            "maxls": 50,
        },
    )
    return found.nit, bool(found.success), str(found.message)


class _Run:
    """Counts evaluations of a function and remembers the best; `bounded` if no parameter may be negative."""

    def __init__(self, fun, callback, bounded):
        self.fun = fun
        self.callback = callback
        self.bounded = bounded
        self.n_evaluations = 0
        self.best_x: np.ndarray | Any = None
        self.best_value = self.best_norm = self.norm = np.inf
        self.loss_curve = []

    def __call__(self, x):
        value, gradient = self.fun(x)
        self.n_evaluations += 1
        projected = np.minimum(x, gradient) if self.bounded else gradient
        self.norm = float(max(projected.max(initial=0.0), -projected.min(initial=0.0)))
        if value < self.best_value or self.best_x is None:
            if self.best_x is None:
                self.best_x = np.empty_like(x)
            self.best_x[:], self.best_value, self.best_norm = x, value, self.norm
        return value, gradient

    def finish_iteration(self, _=None):
        self.loss_curve.append(self.best_value)
        if self.callback is not None:
            self.callback(len(self.loss_curve), self.best_value, self.best_norm)
