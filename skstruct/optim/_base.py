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
            ``fun(coef) -> value, gradient`` of the smooth part. It must not keep `coef`, which may change after the
            call. Stochastic optimisers need a `StochasticFunction`.
        coef0 : ndarray of shape (n_coef,)
        l1 : ndarray of shape (n_coef,) or None
        max_iter : int
        tol : float
            Stop when no component of the (projected) gradient exceeds it.
        callback : callable, default=None
            Called with ``(iteration, value, gradient_norm)`` after each iteration; the norm is nan where the optimiser
            does not know it.

        Returns
        -------
        result : OptimizeResult
            Best iterate `x` with its `fun`, iterations `nit`, evaluations `nfev`, `success`, `message`,
            `loss_curve` (value after each iteration) and `interrupt` (the KeyboardInterrupt that ended it, or
            None).
        """


class StochasticFunction(Protocol):
    r"""A sum over mini-batches, with an L2 penalty, :math:`\sum_b loss_b(w) + \frac12 \sum_j \lambda_j w_j^2`.

    Attributes
    ----------
    n_batches : int
        Mini-batches; in the training of the estimator, of up to sixteen graphs each.
    l2 : ndarray of shape (n_coef,)
        :math:`\lambda`, at least 0.
    """

    n_batches: int
    l2: np.ndarray

    def __call__(self, coef: np.ndarray) -> tuple[float, np.ndarray]:
        """Value and gradient of the whole sum, penalty included; see `Optimizer.minimize`."""

    def steps(self, batches: np.ndarray, coef: np.ndarray, rate: float) -> float:
        """Take a gradient step on each of some mini-batches, one after the other.

        Each step is ``coef -= rate * gradient`` with the gradient of ``loss_b`` at the current `coef`, without penalty.
        It should cost what the mini-batch costs, not O(n_coef).

        Parameters
        ----------
        batches : ndarray of int
            Numbers of mini-batches, in the order of the steps.
        coef : ndarray of shape (n_coef,)
            Changed in place.
        rate : float
            0 or more; 0 asks for the loss only.

        Returns
        -------
        loss : float
            Sum of ``loss_b``, each at the `coef` before its step.
        """
