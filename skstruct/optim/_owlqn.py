"""L-BFGS with an L1 term: each step stays in one orthant, where the L1 term is linear (OWL-QN)."""

import numpy as np

from skstruct.kernels.jit import kernel
from skstruct.kernels.simd import aligned_zeros
from skstruct.optim._history import History
from skstruct.optim._quasi_newton import FLAT, QuasiNewton

DECREASE = 1e-4  # fraction of the predicted decrease that a step has to reach (Armijo's condition)
MAX_TRIALS = 30
NEAR = 5e-3  # relative decrease of the value in an iteration, below which the direction is that of L-BFGS


class OWLQN(QuasiNewton):
    """Orthant-wise limited-memory quasi-Newton method for an L1 penalty [1]_.

    The L1 term has kinks where a parameter is zero, and is linear within an orthant. Each step stays in one orthant, so
    that parameters become exactly zero. Parameters without an L1 term, such as intercepts, are not restricted. With an
    L2 penalty as well (``0 < l1_ratio < 1``), the optimum is that of the elastic net. ``optimizer="lbfgs"`` is this
    algorithm if there is an L1 penalty.

    Parameters
    ----------
    n_corrections : int, default=10
        Number of pairs of steps and gradient changes that approximate the curvature, as in `LBFGS`.
    start_with : Optimizer or None, default=None
        An optimiser that runs first, and whose result is the start. It has to support the L1 penalty.

    See Also
    --------
    LBFGS : the same without an L1 penalty, with a line search that finds steps of better curvature.

    References
    ----------
    .. [1] G. Andrew, J. Gao, "Scalable training of L1-regularized log-linear models", ICML 2007.

    Examples
    --------
    >>> import numpy as np
    >>> from skstruct.optim import OWLQN
    >>> def square(coef):
    ...     return ((coef - [3, 0.1]) ** 2).sum(), 2 * (coef - [3, 0.1])
    >>> OWLQN().minimize(square, np.ones(2), l1=np.ones(2), max_iter=50, tol=1e-6).x.round(3)
    array([2.5, 0. ])
    """

    def _search(self, loss, state, max_iter, tol, l1):
        l1 = np.zeros(len(state.x)) if l1 is None else l1
        return descend_orthantwise(loss, state, int(self.n_corrections), max_iter, tol, l1)


def descend_orthantwise(loss, state, n_corrections, max_iter, tol, l1):
    r"""Search for a minimum of ``loss(coef) + sum(l1 * abs(coef))``; yield after each iteration.

    The subgradient of smallest norm, :math:`v`, takes the place of the gradient [1]_. The direction :math:`-H v` keeps
    the components that descend. A trial point whose component leaves the orthant of the start (of :math:`-v` where the
    start is zero) has a zero there, so that parameters become exactly zero. Components without an L1 term are not
    restricted. The history holds gradients of the smooth part.

    Unlike in [1]_, the direction also keeps the components that ascend, where the parameter is not zero, as soon as an
    iteration lowers the value by less than the fraction `NEAR`. The direction is then that of L-BFGS among these
    parameters. Without the ascending components it needs two to three times as many iterations for a value within
    0.1 % of the minimum. With them from the start, the first digit needs a third more iterations.

    Parameters
    ----------
    loss, state, n_corrections, max_iter, tol
        As for `skstruct.optim._quasi_newton.descend`; the values and norms of `state` include the L1 term.
    l1 : ndarray of shape (n_coef,)

    Returns
    -------
    converged : bool
    message : str

    References
    ----------
    .. [1] G. Andrew, J. Gao, "Scalable training of L1-regularized log-linear models", ICML 2007.
    """
    subgradient, spare = (aligned_zeros(len(state.x)) for _ in range(2))
    if state.history is None:
        state.point = state.unused(None)
        state.point[:] = state.x
        value, gradient = loss(state.point)
        state.point_value = value + l1 @ np.abs(state.point)
        state.point_norm = _subgradient(state.point, gradient, l1, subgradient)
        state.keep_best(state.point, state.point_value, state.point_norm)
        if not (np.isfinite(state.point_value) and np.isfinite(gradient).all()):
            return False, "value or gradient is not finite at the start"
        state.history = History(gradient, n_corrections)
        if state.n_iter == 0:
            yield state
    else:
        _subgradient(state.point, state.history.gradient, l1, subgradient)
    history = state.history
    while True:
        if state.point_norm <= tol:
            return True, "gradient within tol"
        if state.flat:
            return True, "the value has ceased to fall"
        if state.n_iter >= max_iter:
            return False, "max_iter reached"
        direction = history.direction(subgradient)
        slope = _drop_ascent(state.point, direction, subgradient, l1, state.near)
        found = None
        if slope < 0:
            found = _backtrack(loss, state, direction, subgradient, l1, spare)
        if found is None:
            if not history.places:
                return False, "line search without a lower value"
            history.forget()
            continue
        trial, value, gradient, state.point_norm = found
        history.remember(state.point, trial, gradient, direction)
        fall = state.point_value - value
        state.near = fall <= NEAR * abs(state.point_value)
        state.flat = fall <= FLAT * max(abs(state.point_value), abs(value), 1.0)
        state.point, subgradient, spare = trial, spare, subgradient
        state.point_value = value
        state.n_iter += 1
        yield state


def _backtrack(loss, state, direction, subgradient, l1, spare):
    """Shorten the step from ``state.point`` until it lowers the value enough.

    Returns the point, its value, the smooth gradient and the norm of the subgradient, or None. The subgradient is in
    `spare`.
    """
    trial = None
    step = 1.0 if state.history.places else (subgradient @ subgradient) ** -0.5
    for _ in range(MAX_TRIALS):
        trial = state.unused(trial)
        penalty, change = _step_in_orthant(state.point, direction, subgradient, step, l1, trial)
        smooth, gradient = loss(trial)
        value = smooth + penalty
        norm = _subgradient(trial, gradient, l1, spare)
        state.keep_best(trial, value, norm)
        # clipped components can predict a rise, which a shorter step clips less
        if value <= state.point_value + DECREASE * min(change, 0.0) and np.isfinite(gradient).all():
            return trial, value, gradient, norm
        step *= 0.5  # a parabola, which knows nothing of the orthant, would shorten too much
    return None


@kernel
def _subgradient(x, gradient, l1, out):
    """Write the subgradient of smallest norm to `out`; returns its largest absolute component."""
    top = 0.0
    for k in range(len(x)):
        value = gradient[k]
        if x[k] > 0:
            value += l1[k]
        elif x[k] < 0:
            value -= l1[k]
        elif value + l1[k] < 0:
            value += l1[k]
        elif value - l1[k] > 0:
            value -= l1[k]
        else:
            value = 0.0
        out[k] = value
        top = max(top, abs(value))
    return top


@kernel
def _drop_ascent(x, direction, subgradient, l1, only_at_zero):
    """Set components of `direction` with an L1 term that do not descend to zero; returns the slope along the rest.

    With `only_at_zero`, the components of parameters that are not zero are kept.
    """
    slope = 0.0
    for k in range(len(direction)):
        can_drop = l1[k] > 0 and (x[k] == 0 or not only_at_zero)
        if can_drop and direction[k] * subgradient[k] >= 0:
            direction[k] = 0.0
        slope += direction[k] * subgradient[k]
    return slope


@kernel
def _step_in_orthant(x, direction, subgradient, step, l1, out):
    """Write the trial point to `out`; returns its L1 term and the change of the value that the slope predicts."""
    penalty = change = 0.0
    for k in range(len(x)):
        moved = x[k] + step * direction[k]
        orthant = x[k] if x[k] != 0 else -subgradient[k]
        if l1[k] > 0 and moved * orthant < 0:
            moved = 0.0
        out[k] = moved
        penalty += l1[k] * abs(moved)
        change += subgradient[k] * (moved - x[k])
    return penalty, change
