"""The function that an optimiser minimises: a sum of losses, and the L2 penalty."""

from functools import cached_property

import numpy as np

from skstruct.features import FeaturePlan
from skstruct.kernels.jit import kernel
from skstruct.objectives import Objective


class PenalizedLoss:
    """``f(coef) = factor * sum_g weights[g] * loss_g(coef) + sum(l2 * coef**2) / 2``, with its gradient.

    A subclass implements the sum of the losses, `total`, wherever its data are. It is a `SecondOrderLoss` if it
    implements `total_product`, and a `StochasticLoss` if it implements `n_batches`, `batch` and `steps`.

    Parameters
    ----------
    feature_plan : FeaturePlan
    objective : Objective
        Definition of ``loss_g``.
    is_complete : bool
        Whether all labels are known.
    factor : float
    l2 : float
        Factor of the penalty.
    """

    def __init__(self, feature_plan: FeaturePlan, objective: Objective, is_complete: bool, factor: float, l2: float):
        self.feature_plan, self.factor = feature_plan, factor
        self.smooth, self.convex = objective.smooth, objective.convex and feature_plan.linear
        self.without_product = [type(objective).__name__] * (not objective.has_hessian)
        self.without_product += [type(feature_plan).__name__] * (not feature_plan.has_tangent)
        self.piecewise_linear = objective.piecewise_linear and feature_plan.linear and is_complete
        self.probabilistic = objective.probabilistic
        self.free, self._l2 = feature_plan.free, l2
        self._l2_runs = _runs(l2 * feature_plan.penalized)

    def total(self, coef: np.ndarray) -> tuple[float, np.ndarray]:
        """Weighted sum of the losses, and its gradient, (n_coef,), in an array that belongs to the caller."""
        raise NotImplementedError

    def total_product(self, coef: np.ndarray, d_coef: np.ndarray) -> np.ndarray:
        """Product of the Hessian of the weighted sum at `coef` with `d_coef`, (n_coef,)."""
        raise NotImplementedError

    def release(self) -> None:
        """Free the memory that is kept for the next evaluation; by default there is none."""

    def __call__(self, coef: np.ndarray) -> tuple[float, np.ndarray]:
        """Value and gradient, (n_coef,)."""
        value, gradient = self.total(coef)
        gradient = gradient.astype(np.float64, copy=False)
        penalty = _penalise(gradient, self.factor, self.free, *self._l2_runs, coef)
        return self.factor * value + 0.5 * penalty, gradient

    def value(self, coef: np.ndarray) -> float:
        """Value alone, at a point where the function may have been evaluated before."""
        return self(coef)[0]

    def product(self, coef: np.ndarray, d_coef: np.ndarray) -> np.ndarray:
        """Product of the Hessian at `coef` with `d_coef`, (n_coef,)."""
        return self.factor * self.total_product(coef, d_coef) * self.free + self.l2 * d_coef

    @cached_property
    def l2(self) -> np.ndarray:
        """Factor of each parameter in the penalty, (n_coef,); 0 if it is not free."""
        return self._l2 * (self.feature_plan.penalized * self.free)


def _runs(values):
    """Values of the runs of equal numbers, and the end of each run."""
    ends = np.append(np.flatnonzero(values[1:] != values[:-1]) + 1, len(values))
    ends = ends[ends > 0]
    return values[ends - 1], ends


@kernel(fastmath={"contract", "reassoc"}, borrows=True)
def _penalise(gradient, factor, free, l2, ends, coef):
    """``gradient = free * (factor * gradient + l2 * coef)``, in place; returns ``sum(l2 * coef**2)``.

    `l2` has a number for each run of parameters. Parameters that are not free have no part in either.
    """
    total = 0.0
    start = np.uintp(0)
    for run in range(len(ends)):
        for k in range(start, np.uintp(ends[run])):
            term = l2[run] * coef[k] if free[k] else 0.0
            gradient[k] = factor * gradient[k] + term if free[k] else 0.0
            total += term * coef[k]
        start = np.uintp(ends[run])
    return total
