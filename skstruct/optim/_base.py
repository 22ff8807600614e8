"""What an optimiser is: it minimises ``fun(coef) -> value, gradient`` and always returns its best iterate."""

from typing import Protocol

import numpy as np
from scipy.optimize import OptimizeResult


class Optimizer(Protocol):
    """Holds the parameters of an algorithm; a ``BaseEstimator``."""

    def minimize(
        self, fun, coef0: np.ndarray, *, l1: np.ndarray | None, max_iter: int, tol: float, callback=None
    ) -> OptimizeResult:
        """Minimise ``fun(coef) + sum(l1 * abs(coef))``.

        Parameters
        ----------
        fun : callable
            ``fun(coef) -> value, gradient`` of the smooth part.
        coef0 : ndarray of shape (n_coef,)
        l1 : ndarray of shape (n_coef,) or None
        max_iter : int
        tol : float
            Stop when no component of the (projected) gradient exceeds it.
        callback : callable, default=None
            Called with ``(iteration, value, gradient_norm)`` after each iteration.

        Returns
        -------
        result : OptimizeResult
            Best iterate `x` with its `fun`, iterations `nit`, evaluations `nfev`, `success`, `message`,
            `loss_curve` (value after each iteration) and `interrupt` (the KeyboardInterrupt that ended it, or
            None).
        """
