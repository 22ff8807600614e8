"""Limited-memory BFGS: the searches of `LBFGS` and `OWLQN`, and their states."""

from dataclasses import dataclass, field

import numpy as np

from skstruct.components import require_integers
from skstruct.kernels.simd import aligned_zeros
from skstruct.optim._base import Optimizer, OptimizerState
from skstruct.optim._history import EPS, History
from skstruct.optim._line_search import line_search

FLAT = 4 * EPS  # at a smaller relative decrease the value has ceased to decrease
STALLED = 1e-3  # if the gradient is larger, a value that has ceased to decrease is no minimum
MAX_SEARCHES = 2


class QuasiNewton(Optimizer):
    """Base class of the optimisers with a `History`: an optimiser of the start, then one or two searches.

    A subclass implements ``_search(loss, state, max_iter, tol, l1)``, which returns an iterator as `descend` does.

    Parameters
    ----------
    n_corrections : int, default=10
    start_with : Optimizer or None, default=None
    """

    def __init__(self, n_corrections=10, *, start_with=None):
        self.n_corrections = n_corrections
        self.start_with = start_with

    @property
    def accepts_l1(self):
        """Whether the optimiser of the start accepts an L1 term; without one, True."""
        return self.start_with is None or self.start_with.accepts_l1

    def check(self, loss, l1):
        """Refuse also what the optimiser of the start cannot minimise; see `Optimizer`."""
        name = type(self).__name__
        require_integers(self, "n_corrections")
        if self.start_with is not None:
            if not isinstance(self.start_with, Optimizer):
                raise ValueError(f"{name}: start_with must be None or an optimiser, got {self.start_with!r}.")
            self.start_with.check(loss, l1)
        super().check(loss, l1)

    def iterate(self, loss, start, *, l1=None, max_iter, tol):
        """Yield the states of `start_with`, then those of the searches; see `Optimizer`."""
        if isinstance(start, LBFGSState):
            state = start
        elif self.start_with is None:
            state = LBFGSState.at(start)
        else:
            for first in self.start_with.iterate(loss, start, l1=l1, max_iter=max_iter, tol=tol):
                if not first.message:
                    yield first
            if first.n_iter >= max_iter:
                first.success, first.message = False, "max_iter reached"
                yield first
                return
            state = LBFGSState.at(first.x)
            state.n_iter, state.n_evaluations = first.n_iter, first.n_evaluations
        message, state.message = state.message, ""
        while not state.success:
            state.n_searches += state.history is None
            converged, message = yield from self._search(loss, state, max_iter, tol, l1)
            # where the function jumps, the value can cease to decrease far from a minimum
            state.success = converged and state.gradient_norm <= max(tol, STALLED)
            if state.n_searches == MAX_SEARCHES or state.n_iter >= max_iter:
                break
            if not state.success:
                state.history, state.flat = None, False
        state.message = message
        yield state


@dataclass(kw_only=True)
class LBFGSState(OptimizerState):
    """State of a search with `History`; `x` is the best point evaluated, `point` the one that the search has reached.

    Attributes
    ----------
    point : ndarray of shape (n_coef,)
    point_value, point_norm : float
        Value and largest component of the (sub)gradient at `point`.
    history : History or None
        None before the first evaluation of a search.
    flat : bool
        Whether the last iteration did not lower the value.
    near : bool
        Whether the last iteration lowered the value by a small fraction only; read by `OWLQN`.
    n_searches : int
        Number of searches begun. A second one, from `x`, follows a failed one.
    """

    point: np.ndarray = field(default_factory=lambda: np.zeros(0))
    point_value: float = np.inf
    point_norm: float = np.inf
    history: History | None = None
    flat: bool = False
    near: bool = False
    n_searches: int = 0

    def is_consistent(self):
        """See `OptimizerState`; the history has the same number of parameters."""
        return super().is_consistent() and (self.history is None or self.history.is_consistent(len(self.x)))

    @classmethod
    def at(cls, start):
        """State before the first evaluation; `start` is not copied, and must not change."""
        return cls(x=np.asarray(start, np.float64), value=np.inf, gradient_norm=np.inf)

    def keep_best(self, x, value, gradient_norm):
        """Count an evaluation, and keep its point if no value was lower; see `unused`."""
        self.n_evaluations += 1
        if value < self.value or self.gradient_norm == np.inf:  # at the start even a value that is not finite
            self.x, self.value, self.gradient_norm = x, value, gradient_norm

    def unused(self, array):
        """Return `array`, or a new one if it is None or the best point, which must not change."""
        # features are summed fastest from aligned vectors
        return aligned_zeros(len(self.x)) if array is None or array is self.x else array


def descend(loss, state, n_corrections, max_iter, tol):
    """Search for a minimum of a smooth function by L-BFGS; yield after each iteration.

    Besides the function, an iteration reads the history twice and about fifteen vectors of parameters once.

    Parameters
    ----------
    loss : callable
        ``loss(coef) -> value, gradient``. `coef` changes after the call, and so may the gradient.
    state : LBFGSState
        The search starts at ``state.point`` if there is a history, else at ``state.x``.
    n_corrections, max_iter : int
    tol : float
        Stop when no component of the gradient exceeds it.

    Returns
    -------
    converged : bool
        The gradient is small, or the value has ceased to decrease.
    message : str
    """

    def evaluate(x):
        value, gradient = loss(x)
        norm = largest(gradient)
        state.keep_best(x, value, norm)
        return value, gradient, norm

    if state.history is None:
        x, state.point = state.unused(None), state.x  # the start may need no memory, see `FeaturePlan.initial_coef`
        x[:] = state.point
        state.point_value, gradient, state.point_norm = evaluate(x)
        if not (np.isfinite(state.point_value) and np.isfinite(gradient).all()):
            return False, "value or gradient is not finite at the start"
        state.history = History(gradient, n_corrections)
        del x, gradient  # vectors of memory
        if state.n_iter == 0:
            yield state
    history = state.history
    while True:
        if state.point_norm <= tol:
            return True, "gradient within tol"
        if state.flat:
            return True, "the value has ceased to fall"
        if state.n_iter >= max_iter:
            return False, "max_iter reached"
        line = _Line(evaluate, state, history.direction())
        slope, value = history.gradient @ line.direction, state.point_value
        step, found = line_search(line, value, slope, history.first_step()) if slope < 0 else (0.0, value)
        if not step:  # a jump lies ahead; a fresh direction may avoid it
            if not history.places:
                return False, "line search without a lower value"
            history.forget()
            continue
        history.remember(state.point, line.trial, line.gradient, line.direction)
        state.flat = value - found <= FLAT * max(abs(value), abs(found), 1.0)
        state.point, state.point_value, state.point_norm = line.trial, found, line.norm
        del line
        state.n_iter += 1
        yield state


def largest(gradient):
    """Largest absolute component; 0 without components."""
    return float(max(gradient.max(initial=0.0), -gradient.min(initial=0.0)))


class _Line:
    """A function from a point along a direction; `trial`, `gradient`, `norm` are those of the last evaluation."""

    def __init__(self, evaluate, state, direction):
        self.evaluate, self.state, self.direction = evaluate, state, direction
        self.trial, self.gradient, self.norm = None, None, np.inf

    def __call__(self, step):
        self.trial, self.gradient = self.state.unused(self.trial), None  # a vector of memory
        np.multiply(self.direction, step, out=self.trial)
        self.trial += self.state.point
        value, self.gradient, self.norm = self.evaluate(self.trial)
        return float(value), float(self.gradient @ self.direction)
