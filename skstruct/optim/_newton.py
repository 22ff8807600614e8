"""Newton's method with a trust region, whose steps conjugate gradients find from products with the Hessian."""

from dataclasses import dataclass, field

import numpy as np

from skstruct.components import require_integers
from skstruct.optim._base import Optimizer, OptimizerState

FORCING = 0.25  # largest remaining fraction of the gradient at which conjugate gradients stop
ACCEPT = 1e-4  # least fraction of the predicted decrease that a step has to reach
POOR, GOOD = 0.25, 0.75  # a smaller fraction shrinks the trust region; a larger one enlarges it
SHRINK, ENLARGE = 0.25, 2.5
STALLED = 1e-3  # if the gradient is larger, a value that has ceased to fall is no minimum
NOISE = 1e-13  # relative error of a value: for a smaller predicted decrease the gradients decide


class NewtonCG(Optimizer):
    r"""Newton's method in a trust region, with conjugate gradients for the steps [1]_.

    A step minimises the quadratic model :math:`g^\top s + s^\top H s / 2` within a ball. Conjugate gradients need only
    products of the Hessian with vectors. They stop at the boundary of the ball, in a direction without positive
    curvature, or when the gradient of the model is small enough. The ball grows and shrinks with the accuracy of the
    model.

    It finds optima with many digits in few iterations, each of which needs an evaluation and about twenty products. A
    product costs 1.2 to 2 times as much as an evaluation. `LBFGS` is usually faster to the default tolerance. Newton's
    method is better for tight tolerances, as for standard errors, and for badly scaled problems.

    The objective must implement ``hessian_product``, and the plan of the feature map ``tangent``. For a map that is not
    linear, the Gauss-Newton matrix takes the place of the Hessian.

    Parameters
    ----------
    max_products : int, default=250
        Largest number of Hessian products of an iteration.

    See Also
    --------
    LBFGS : needs no Hessian products.

    References
    ----------
    .. [1] C.-J. Lin, J. J. Moré, "Newton's method for large bound-constrained optimization problems", *SIAM J.
       Optimization* 9(4), 1999; T. Steihaug, "The conjugate gradient method and trust regions in large scale
       optimization", *SIAM J. Numerical Analysis* 20(3), 1983.

    Examples
    --------
    >>> import numpy as np
    >>> from skstruct.optim import NewtonCG
    >>> class Square:
    ...     without_product = ()
    ...     def __call__(self, coef):
    ...         return ((coef - 3) ** 2).sum(), 2 * (coef - 3)
    ...     def product(self, coef, d_coef):
    ...         return 2 * d_coef
    >>> result = NewtonCG().minimize(Square(), np.zeros(2), max_iter=50, tol=1e-6)
    >>> result.x.round(3), result.success
    (array([3., 3.]), True)
    """

    def __init__(self, max_products=250):
        self.max_products = max_products

    def check(self, loss, l1):
        """Refuse also a function without Hessian products; see `Optimizer`."""
        super().check(loss, l1)
        require_integers(self, "max_products")
        if not hasattr(loss, "product"):
            raise TypeError(f"NewtonCG needs a function with Hessian products, got {loss!r}; use optimizer='lbfgs'.")
        if loss.without_product:
            missing = " and ".join(loss.without_product)
            raise ValueError(f"NewtonCG needs Hessian products, without support in {missing}; use optimizer='lbfgs'.")

    def iterate(self, loss, start, *, l1=None, max_iter, tol):
        """Yield the start, then the state after each step; see `Optimizer`."""
        if isinstance(start, NewtonState):
            state = start
        else:
            x = np.array(start, np.float64)
            value, gradient = loss(x)
            norm = float(np.linalg.norm(gradient))
            state = NewtonState(x=x, value=float(value), gradient_norm=_largest(gradient), n_evaluations=1)
            state.gradient, state.radius, state.first_norm = gradient, norm, norm
            yield state
        state.message = ""
        while not (message := self._end(state, max_iter, tol)):
            self._step(loss, state)
            yield state
        state.success = state.gradient_norm <= (max(tol, STALLED) if state.flat else tol)
        state.message = message
        yield state

    def _end(self, state, max_iter, tol):
        """Why the iterations end; empty if they go on."""
        if not (np.isfinite(state.value) and np.isfinite(state.gradient).all()):
            return "value or gradient is not finite at the start"
        if state.gradient_norm <= tol:
            return "gradient within tol"
        if state.flat:
            return "the value has ceased to fall"
        return "max_iter reached" if state.n_iter >= max_iter else ""

    def _step(self, loss, state):
        """Do an iteration: a step, which is tried and accepted or not, and a new radius."""
        step, predicted, n_products = _conjugate_gradients(loss, state, int(self.max_products))
        trial = state.x + step
        value, gradient = loss(trial)
        decrease, length, noise = state.value - value, float(np.linalg.norm(step)), NOISE * max(abs(state.value), 1.0)
        state.n_iter += 1
        state.n_evaluations += 1
        state.n_products += n_products
        if predicted > noise:
            fraction = decrease / predicted if np.isfinite(value) else -np.inf
        else:  # values differ by rounding errors
            is_better = decrease >= -noise and _largest(gradient) < 0.5 * state.gradient_norm
            fraction, state.flat = (1.0, False) if is_better else (0.0, True)
        if state.n_iter == 1:
            state.radius = min(state.radius, length)
        if fraction < POOR:
            state.radius = SHRINK * min(state.radius, length)
        elif fraction > GOOD:
            state.radius = max(state.radius, ENLARGE * length)
        if fraction > ACCEPT and np.isfinite(gradient).all():
            state.x, state.value, state.gradient = trial, float(value), gradient
            state.gradient_norm = _largest(gradient)


@dataclass(kw_only=True)
class NewtonState(OptimizerState):
    """State of `NewtonCG`.

    Attributes
    ----------
    gradient : ndarray of shape (n_coef,)
        At `x`.
    radius : float
        Of the trust region.
    first_norm : float
        Euclidean norm of the gradient at the start.
    n_products : int
        Hessian products since the start.
    flat : bool
        Whether a step can no longer lower the value by more than rounding errors.
    """

    gradient: np.ndarray = field(default_factory=lambda: np.zeros(0))
    radius: float = 0.0
    first_norm: float = 0.0
    n_products: int = 0
    flat: bool = False


def _largest(gradient):
    """Largest absolute component; 0 without components."""
    return float(np.abs(gradient).max(initial=0.0))


def _conjugate_gradients(loss, state, max_products):
    """Step that minimises the quadratic model in the trust region, the predicted decrease, and how many products."""
    step, residual = np.zeros_like(state.x), -state.gradient
    direction, square = residual.copy(), float(residual @ residual)
    norm = square**0.5
    enough, n_products = min(FORCING, (norm / state.first_norm) ** 0.5) * norm, 0
    while square**0.5 > enough and n_products < max_products:
        product = loss.product(state.x, direction)
        n_products += 1
        curvature = float(direction @ product)
        multiple = square / curvature if curvature > 0 else np.inf
        to_boundary = _multiple_to_boundary(step, direction, state.radius)
        step += min(multiple, to_boundary) * direction
        residual -= min(multiple, to_boundary) * product
        if multiple >= to_boundary:
            break
        square, last = float(residual @ residual), square
        direction *= square / last
        direction += residual
    return step, 0.5 * float(step @ (residual - state.gradient)), n_products


def _multiple_to_boundary(step, direction, radius):
    """Positive multiple of the direction that leads from a step inside the ball to its boundary."""
    a, b, c = float(direction @ direction), float(step @ direction), radius * radius - float(step @ step)
    return (-b + (b * b + a * max(c, 0.0)) ** 0.5) / a
