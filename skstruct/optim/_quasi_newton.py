"""Limited-memory BFGS where each direction is two matrix-vector products with the history."""

import numpy as np
from scipy.linalg import solve_triangular

from skstruct._jit import kernel
from skstruct._simd import aligned_zeros
from skstruct.optim._line_search import line_search

EPS = np.finfo(float).eps
FLAT = 4 * EPS  # relative decrease below which the value has ceased to fall
BLOCK = 2**12  # numbers of a vector that stay in cache while those of all pairs pass by


def descend(run, start, n_corrections, max_iter, tol):
    """Minimise a smooth function with L-BFGS.

    Beside the function, an iteration reads the history twice and some fifteen vectors of parameters once, all at the
    speed of memory.

    Parameters
    ----------
    run : callable
        ``run(coef) -> value, gradient``; then ``run.norm`` is the largest component of the gradient. `coef` changes
        after the call, and so may the gradient. ``run.finish_iteration()`` is called after each iteration.
    start : ndarray of shape (n_coef,)
    n_corrections, max_iter : int
    tol : float
        Stop when no component of the gradient exceeds it.

    Returns
    -------
    n_iter : int
    converged : bool
        The gradient is small, or the value has ceased to fall.
    message : str
    """
    x, trial = aligned_zeros(len(start)), aligned_zeros(len(start))  # as features are summed fastest
    x[:] = start
    value, gradient = run(x)
    if not (np.isfinite(value) and np.isfinite(gradient).all()):
        return 0, False, "value or gradient is not finite at the start"
    if run.norm <= tol:
        return 0, True, "gradient within tol at the start"
    history = History(gradient, n_corrections)
    del gradient  # a vector of memory
    n_iter = 0
    while n_iter < max_iter:
        line = _Line(run, x, history.direction(), trial)
        slope = history.gradient @ line.direction
        step, found = line_search(line, value, slope, history.first_step()) if slope < 0 else (0.0, value)
        if not step:  # a jump lies ahead; a fresh direction may avoid it
            if not history.places:
                return n_iter, False, "line search without a lower value"
            history.forget()
            continue
        history.remember(x, trial, line.gradient)
        flat = value - found <= FLAT * max(abs(value), abs(found), 1.0)
        x, trial, value = trial, x, found
        n_iter += 1
        run.finish_iteration()
        if run.norm <= tol:
            return n_iter, True, "gradient within tol"
        if flat:
            return n_iter, True, "the value has ceased to fall"
    return n_iter, False, "max_iter reached"


class _Line:
    """A function along a direction; `trial` and `gradient` are those of the last evaluation."""

    def __init__(self, run, x, direction, trial):
        self.run, self.x, self.direction, self.trial = run, x, direction, trial
        self.gradient = None

    def __call__(self, step):
        np.multiply(self.direction, step, out=self.trial)
        self.trial += self.x
        value, self.gradient = self.run(self.trial)
        return float(value), float(self.gradient @ self.direction)


class History:
    r"""The last steps and changes of the gradient, and the inverse Hessian that they stand for.

    With the steps as columns of :math:`S`, the changes as those of :math:`Y`, oldest first, :math:`R` the upper
    triangle of :math:`S^\top Y`, :math:`D` its diagonal and :math:`\gamma = s^\top y / y^\top y` of the newest, the
    BFGS matrix that is updated from :math:`\gamma I` is [1]_

    .. math:: H g = \gamma (g - Y a) + S c, \quad R a = S^\top g,
              \quad R^\top c = D a - \gamma (Y^\top g - Y^\top Y a),

    which is what the usual recursion of two loops computes, step by step. Here the long vectors are read in two
    products of a matrix and a vector only, at the speed of memory: :math:`S^\top g, Y^\top g`, whose differences from
    one iteration to the next give the new entries of :math:`S^\top Y` and :math:`Y^\top Y`, and the sum on the left.

    The pairs, which are most of the memory of a training with many weights, are kept in 32 bits: a direction that is
    rounded in the eighth digit is as good. All that is computed with them has 64 bits.

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
        self.pairs = np.empty((n_corrections, 2, len(gradient)), np.float32)  # step and change, each ...
        self.scales = np.ones((n_corrections, 2))  # ... over a power of two, so that it fits into 32 bits
        self.products = np.zeros((n_corrections, 2))  # of the pairs with the gradient
        self.sy, self.yy = np.zeros((2, n_corrections, n_corrections))
        self.places: list[int] = []  # of the pairs in these arrays, oldest first
        self._direction = np.empty(len(gradient))

    def first_step(self):
        """Multiple of the direction to try first: 1 where the curvature is known, else a step of length one."""
        return 1.0 if self.places else (self.gradient @ self.gradient) ** -0.5

    def forget(self):
        """Drop all pairs."""
        self.places.clear()

    def direction(self):
        """Minus the inverse Hessian times the gradient, (n_coef,); overwritten by the next call."""
        if not self.places:
            return np.negative(self.gradient, out=self._direction)
        k = np.array(self.places)
        r, yy = np.triu(self.sy[np.ix_(k, k)]), self.yy[np.ix_(k, k)]
        gamma = r[-1, -1] / yy[-1, -1]
        a = solve_triangular(r, self.products[k, 0], check_finite=False)
        c = solve_triangular(
            r, r.diagonal() * a - gamma * (self.products[k, 1] - yy @ a), trans="T", check_finite=False
        )
        np.multiply(self.gradient, -gamma, out=self._direction)
        _add_pairs(self.pairs, k, np.stack([-c, gamma * a], axis=1) * self.scales[k], self._direction)
        return self._direction

    def remember(self, before, after, gradient):
        """Add the step from `before` to `after`, where `gradient` is the new gradient, in place of the oldest."""
        s = np.subtract(after, before, out=self._direction)
        slope = s @ self.gradient
        y = np.subtract(gradient, self.gradient, out=self.gradient)
        sy, yy = s @ y, y @ y
        convex = sy > -EPS * slope  # otherwise lost in rounding errors, or no convex direction
        if convex:
            place = self.places.pop(0) if len(self.places) == len(self.sy) else len(self.places)
            self.places.append(place)
            for column, vector in enumerate((s, y)):
                self.scales[place, column] = np.ldexp(0.5, np.frexp(max(vector.max(), -vector.min()))[1])
                np.divide(vector, self.scales[place, column], out=self.pairs[place, column], casting="same_kind")
        self.gradient[:] = gradient
        products = np.zeros_like(self.products)
        _multiply_pairs(self.pairs, np.array(self.places, dtype=int), self.gradient, products)
        products *= self.scales
        if convex:
            k = np.array(self.places[:-1], dtype=int)
            change = products - self.products
            self.sy[k, place] = change[k, 0]
            self.yy[k, place] = self.yy[place, k] = change[k, 1]
            self.sy[place, place], self.yy[place, place] = sy, yy
        self.products = products


@kernel(fastmath={"contract", "reassoc"})
def _multiply_pairs(pairs, places, vector, out):
    """Add to ``out[place]`` the products of both of a pair with a vector."""
    for start in range(0, len(vector), BLOCK):
        v = vector[start : start + BLOCK]
        for place in places:
            s, y = pairs[place, 0, start : start + BLOCK], pairs[place, 1, start : start + BLOCK]
            with_s = with_y = 0.0
            for k in range(len(v)):
                with_s += v[k] * s[k]
                with_y += v[k] * y[k]
            out[place, 0] += with_s
            out[place, 1] += with_y


@kernel(fastmath={"contract", "reassoc"})
def _add_pairs(pairs, places, coefs, out):
    """Add pairs to `out`; `coefs` are in the order of `places`."""
    for start in range(0, len(out), BLOCK):
        total = out[start : start + BLOCK]
        for i in range(len(places)):
            s, y = pairs[places[i], 0, start : start + BLOCK], pairs[places[i], 1, start : start + BLOCK]
            of_s, of_y = coefs[i]
            for k in range(len(total)):
                total[k] += of_s * s[k] + of_y * y[k]
