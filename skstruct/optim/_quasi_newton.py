"""Limited-memory BFGS where each direction is two matrix-vector products with the history."""

import math
from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import solve_triangular

from skstruct.components import require_integers
from skstruct.kernels.jit import kernel
from skstruct.kernels.simd import aligned_zeros
from skstruct.optim._base import Optimizer, OptimizerState
from skstruct.optim._line_search import line_search

EPS = np.finfo(float).eps
FLAT = 4 * EPS  # at a smaller relative decrease the value has ceased to decrease
STALLED = 1e-3  # if the gradient is larger, a value that has ceased to decrease is no minimum
MAX_SEARCHES = 2
BLOCK = 2**12  # numbers of a vector that stay in the cache while the same part of all pairs is read
GROUP = 2**7  # numbers of a pair with a common scale; a block contains whole groups
LONG = 2**17  # from this number of parameters, pairs are stored in 8 bits
SMALLEST_SCALE = 1e-300


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
    history: "History | None" = None
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


class History:
    r"""The last steps and changes of the gradient, and the inverse Hessian that they define.

    With the steps as columns of :math:`S`, the changes as those of :math:`Y`, oldest first, :math:`R` the upper
    triangle of :math:`S^\top Y`, :math:`D` its diagonal and :math:`\gamma = s^\top y / y^\top y` of the newest, the
    BFGS matrix that is updated from :math:`\gamma I` is [1]_

    .. math:: H g = \gamma (g - Y a) + S c, \quad R a = S^\top g,
              \quad R^\top c = D a - \gamma (Y^\top g - Y^\top Y a),

    which equals the result of the usual recursion of two loops. Here the long vectors are read only in two products of
    a matrix and a vector. One is :math:`S^\top g, Y^\top g`; its differences from one iteration to the next are the new
    entries of :math:`S^\top Y` and :math:`Y^\top Y`. The other one is the sum on the left.

    The pairs would be most of the memory of a training with many weights. From `LONG` parameters, they are stored in 8
    bits, see `RoundedPairs`. Trainings of chains need as many evaluations with 8 bits as with 64 bits. A problem of a
    few dozen badly scaled parameters, whose Hessian the pairs describe almost completely, would need more.

    Parameters
    ----------
    gradient : ndarray of shape (n_coef,)
        At the start.
    n_corrections : int
        Pairs to keep.

    References
    ----------
    .. [1] R. H. Byrd, J. Nocedal, R. B. Schnabel, "Representations of quasi-Newton matrices and their use in limited
       memory methods", *Mathematical Programming* 63, 1994, theorem 2.2.
    """

    def __init__(self, gradient, n_corrections):
        self.gradient = gradient.copy()
        self.pairs = (RoundedPairs if len(gradient) >= LONG else Pairs)(n_corrections, len(gradient))
        self.products = np.zeros((n_corrections, 2))  # of the pairs with the gradient
        self.sy, self.yy = np.zeros((2, n_corrections, n_corrections))
        self.places: list[int] = []  # of the pairs in these arrays, oldest first

    def is_consistent(self, n_coef):
        """Whether the arrays fit each other, and this number of parameters."""
        n = len(self.sy)
        return (
            self.gradient.shape == (n_coef,)
            and self.products.shape == (n, 2)
            and self.sy.shape == self.yy.shape == (n, n)
            and set(self.places) <= set(range(n))
            and self.pairs.is_consistent(n, n_coef)
        )

    def first_step(self):
        """Multiple of the direction to try first: 1 where the curvature is known, else a step of length one."""
        return 1.0 if self.places else (self.gradient @ self.gradient) ** -0.5

    def forget(self):
        """Drop all pairs."""
        self.places.clear()

    def direction(self, vector=None):
        """Minus the inverse Hessian times `vector` (None: the gradient), (n_coef,)."""
        own = vector is None
        vector = self.gradient if own else vector
        if not self.places:
            return -vector
        products = self.products if own else self.pairs.products(vector, self.places)
        k = np.array(self.places)
        r, yy = np.triu(self.sy[np.ix_(k, k)]), self.yy[np.ix_(k, k)]
        gamma = r[-1, -1] / yy[-1, -1]
        a = solve_triangular(r, products[k, 0], check_finite=False)
        c = solve_triangular(r, r.diagonal() * a - gamma * (products[k, 1] - yy @ a), trans="T", check_finite=False)
        direction = -gamma * vector
        self.pairs.add_to(direction, k, np.stack([-c, gamma * a], axis=1))
        return direction

    def remember(self, before, after, gradient, room=None):
        """Add the step from `before` to `after`, where `gradient` is the new gradient, in place of the oldest.

        `room` is an array (n_coef,) that is overwritten, such as the direction of the step.
        """
        s = np.subtract(after, before, out=room)
        slope = s @ self.gradient
        y = np.subtract(gradient, self.gradient, out=self.gradient)
        sy, yy = s @ y, y @ y
        convex = sy > -EPS * slope  # otherwise lost in rounding errors, or no convex direction
        if convex:
            place = self.places.pop(0) if len(self.places) == len(self.sy) else len(self.places)
            self.places.append(place)
            for column, vector in enumerate((s, y)):
                self.pairs.store(place, column, vector)
        self.gradient[:] = gradient
        products = self.pairs.products(self.gradient, self.places)
        if convex:
            k = np.array(self.places[:-1], dtype=int)
            change = products - self.products
            self.sy[k, place] = change[k, 0]
            self.yy[k, place] = self.yy[place, k] = change[k, 1]
            self.sy[place, place], self.yy[place, place] = sy, yy
        self.products = products


class Pairs:
    """Steps (column 0) and changes of the gradient (column 1), in 64 bits."""

    def __init__(self, n_pairs, n_coef):
        self._vectors = np.zeros((2 * n_pairs, n_coef))

    def is_consistent(self, n_pairs, n_coef):
        """Whether there is room for this number of pairs of vectors."""
        return self._vectors.shape == (2 * n_pairs, n_coef)

    def store(self, place, column, vector):
        """Copy a vector."""
        self._vectors[2 * place + column] = vector

    def products(self, vector, places):
        """Products of both vectors of each pair with a vector, (n_pairs, 2); only those at `places` are defined."""
        return (self._vectors @ vector).reshape(-1, 2)

    def add_to(self, out, places, coefs):
        """Add the vectors of the pairs at `places`, multiplied by `coefs`, (n_places, 2)."""
        factors = np.zeros((len(self._vectors) // 2, 2))
        factors[places] = coefs
        out += factors.ravel() @ self._vectors


class RoundedPairs:
    """Do as `Pairs` with integers of 8 bits, where each group of `GROUP` numbers has a scale."""

    def __init__(self, n_pairs, n_coef):
        self._integers = np.empty((n_pairs, 2, n_coef), np.int8)
        self._scales = np.empty((n_pairs, 2, -(-n_coef // GROUP)))

    def is_consistent(self, n_pairs, n_coef):
        """See `Pairs`."""
        n_groups = -(-n_coef // GROUP)
        return self._integers.shape == (n_pairs, 2, n_coef) and self._scales.shape == (n_pairs, 2, n_groups)

    def store(self, place, column, vector):
        """Round a vector."""
        _round(vector, self._integers[place, column], self._scales[place, column])

    def products(self, vector, places):
        """See `Pairs`."""
        products = np.zeros((len(self._integers), 2))
        _multiply_pairs(self._integers, self._scales, np.array(places, dtype=int), vector, products)
        return products

    def add_to(self, out, places, coefs):
        """See `Pairs`."""
        _add_pairs(self._integers, self._scales, places, coefs, out)


# Loops over unsigned numbers of entries compile twice as fast as slices, and run as fast.


@kernel
def _round(vector, out, scales):
    """Write the scale of each group, and the numbers divided by it: integers up to 127."""
    n = np.uintp(len(vector))
    for group in range(len(scales)):
        start = np.uintp(group * GROUP)
        stop = min(start + np.uintp(GROUP), n)
        top = SMALLEST_SCALE
        for k in range(start, stop):
            top = max(top, abs(vector[k]))
        scale = top / 127
        scales[group] = scale
        for k in range(start, stop):
            out[k] = math.floor(vector[k] / scale + 0.5)


@kernel(fastmath={"contract", "reassoc"})
def _multiply_pairs(pairs, scales, places, vector, out):
    """Add to ``out[place]`` the products of both of a pair with a vector."""
    n = np.uintp(len(vector))
    for block in range((len(vector) + BLOCK - 1) // BLOCK):
        first = np.uintp(block * BLOCK)
        last = min(first + np.uintp(BLOCK), n)
        for i in range(len(places)):
            place = np.uintp(places[i])
            for start in range(first, last, np.uintp(GROUP)):
                group = start // np.uintp(GROUP)
                with_s = with_y = 0.0
                for k in range(start, min(start + np.uintp(GROUP), n)):
                    with_s += vector[k] * pairs[place, 0, k]
                    with_y += vector[k] * pairs[place, 1, k]
                out[place, 0] += with_s * scales[place, 0, group]
                out[place, 1] += with_y * scales[place, 1, group]


@kernel(fastmath={"contract", "reassoc"})
def _add_pairs(pairs, scales, places, coefs, out):
    """Add pairs to `out`; `coefs` are in the order of `places`."""
    n = np.uintp(len(out))
    for block in range((len(out) + BLOCK - 1) // BLOCK):
        first = np.uintp(block * BLOCK)
        last = min(first + np.uintp(BLOCK), n)
        for i in range(len(places)):
            place = np.uintp(places[i])
            for start in range(first, last, np.uintp(GROUP)):
                group = start // np.uintp(GROUP)
                of_s, of_y = coefs[i, 0] * scales[place, 0, group], coefs[i, 1] * scales[place, 1, group]
                for k in range(start, min(start + np.uintp(GROUP), n)):
                    out[k] += of_s * pairs[place, 0, k] + of_y * pairs[place, 1, k]
