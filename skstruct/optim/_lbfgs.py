"""Limited-memory BFGS: scipy's L-BFGS-B, guarded."""

from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult, minimize
from sklearn.base import BaseEstimator

STALLED = 1e-3  # gradient above which a value that has ceased to fall is no minimum


class LBFGS(BaseEstimator):
    """Limited-memory quasi-Newton method [1]_ on scipy's L-BFGS-B.

    Around it: the best iterate is kept whatever ends the run, Ctrl-C too; after an end without a minimum,
    which a surrogate objective with a jump can cause, the memory is cleared and the search restarted once. An
    L1 penalty is handled exactly by splitting ``coef = plus - minus`` with both parts bounded by zero, so
    that weights become exactly zero.

    Parameters
    ----------
    n_corrections : int, default=10
        Pairs of steps and gradient changes that approximate the curvature.

    References
    ----------
    .. [1] R. H. Byrd, P. Lu, J. Nocedal, C. Zhu, "A limited memory algorithm for bound constrained
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

    def __init__(self, n_corrections=10):
        self.n_corrections = n_corrections

    def minimize(self, fun, coef0, *, l1, max_iter, tol, callback=None):
        """Minimise ``fun(coef) + sum(l1 * abs(coef))``; see `Optimizer`."""
        if l1 is None:
            run = _Run(fun, callback, bounded=False)
            best = self._run(run, coef0, max_iter, tol)
            return OptimizeResult({**best, "x": run.best_x})
        n = len(coef0)

        def split_fun(parts):
            value, gradient = fun(parts[:n] - parts[n:])
            return value + l1 @ (parts[:n] + parts[n:]), np.concatenate([gradient + l1, l1 - gradient])

        run = _Run(split_fun, callback, bounded=True)
        best = self._run(run, np.concatenate([np.maximum(coef0, 0), np.maximum(-coef0, 0)]), max_iter, tol)
        return OptimizeResult({**best, "x": run.best_x[:n] - run.best_x[n:]})

    def _run(self, run, start, max_iter, tol):
        n_iter, success, message, interrupt = 0, False, "", None
        try:
            for _ in range(2):
                found = minimize(
                    run,
                    start,
                    jac=True,
                    method="L-BFGS-B",
                    bounds=[(0, None)] * len(start) if run.bounded else None,
                    callback=run.finish_iteration,
                    options={
                        "maxiter": max_iter - n_iter,
                        "maxfun": 20 * max_iter,
                        "maxcor": self.n_corrections,
                        "gtol": tol,
                        "ftol": 4 * np.finfo(float).eps,
                        "maxls": 50,
                    },
                )
                n_iter += found.nit
                # at a jump the value can also cease to fall, which scipy takes for convergence
                success = bool(found.success and run.best_norm <= max(tol, STALLED))
                message, start = str(found.message), run.best_x
                if success or found.status == 1 or n_iter >= max_iter:  # 1: limit of evaluations
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


class _Run:
    """Counts evaluations of a function and remembers the best; `bounded` if no parameter may be negative."""

    def __init__(self, fun, callback, bounded):
        self.fun = fun
        self.callback = callback
        self.bounded = bounded
        self.n_evaluations = 0
        self.best_x: np.ndarray | Any = None
        self.best_value = self.best_norm = np.inf
        self.loss_curve = []

    def __call__(self, x):
        value, gradient = self.fun(x)
        self.n_evaluations += 1
        if value < self.best_value or self.best_x is None:
            projected = np.minimum(x, gradient) if self.bounded else gradient
            self.best_x, self.best_value, self.best_norm = x.copy(), value, np.abs(projected).max(initial=0.0)
        return value, gradient

    def finish_iteration(self, _):
        self.loss_curve.append(self.best_value)
        if self.callback is not None:
            self.callback(len(self.loss_curve), self.best_value, self.best_norm)
