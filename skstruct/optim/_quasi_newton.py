"""Limited-memory BFGS where each direction is two matrix-vector products with the history."""

import numpy as np
from scipy.linalg import solve_triangular

from skstruct.optim._line_search import line_search

EPS = np.finfo(float).eps
FLAT = 4 * EPS  # relative decrease below which the value has ceased to fall


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
    x, trial = start.astype(np.float64), np.empty(len(start))
    value, gradient = run(x)
    if not (np.isfinite(value) and np.isfinite(gradient).all()):
        return 0, False, "value or gradient is not finite at the start"
    if run.norm <= tol:
        return 0, True, "gradient within tol at the start"
    history = History(gradient, n_corrections)
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
        self.rows = np.empty((1 + 2 * n_corrections, len(gradient)))  # gradient, then pairs of step and change
        self.rows[0] = gradient
        self.products = np.zeros(len(self.rows))  # of the rows with the gradient
        self.products[0] = gradient @ gradient
        self.sy, self.yy = np.zeros((2, n_corrections, n_corrections))  # by place in `rows`, as is `places`
        self.places: list[int] = []  # of the pairs, oldest first
        self.n_used = 1  # rows that have been written
        self._direction = np.empty(len(gradient))

    @property
    def gradient(self):
        """The current gradient, (n_coef,)."""
        return self.rows[0]

    def first_step(self):
        """Multiple of the direction to try first: 1 where the curvature is known, else a step of length one."""
        return 1.0 if self.places else self.products[0] ** -0.5

    def forget(self):
        """Drop all pairs."""
        self.places.clear()

    def direction(self):
        """Minus the inverse Hessian times the gradient, (n_coef,); overwritten by the next call."""
        coefs = np.zeros(self.n_used)
        coefs[0] = -1.0
        if self.places:
            k = np.array(self.places)
            r, yy = np.triu(self.sy[np.ix_(k, k)]), self.yy[np.ix_(k, k)]
            gamma = r[-1, -1] / yy[-1, -1]
            a = solve_triangular(r, self.products[1 + 2 * k], check_finite=False)
            c = solve_triangular(
                r, r.diagonal() * a - gamma * (self.products[2 + 2 * k] - yy @ a), trans="T", check_finite=False
            )
            coefs[0], coefs[1 + 2 * k], coefs[2 + 2 * k] = -gamma, -c, gamma * a
        return np.dot(coefs, self.rows[: self.n_used], out=self._direction)

    def remember(self, before, after, gradient):
        """Add the step from `before` to `after`, where `gradient` is the new gradient, in place of the oldest."""
        if len(self.places) == len(self.sy):
            place = self.places.pop(0)
        else:
            place = next(place for place in range(len(self.sy)) if place not in self.places)
        self.n_used = max(self.n_used, 3 + 2 * place)
        s, y = self.rows[1 + 2 * place : 3 + 2 * place]
        np.subtract(after, before, out=s)
        np.subtract(gradient, self.gradient, out=y)
        sy, yy = s @ y, y @ y
        self.rows[0] = gradient
        products = np.zeros(len(self.rows))
        np.dot(self.rows[: self.n_used], gradient, out=products[: self.n_used])
        if sy > EPS * (sy - products[1 + 2 * place]):  # otherwise lost in rounding errors, or no convex direction
            k = np.array(self.places, dtype=int)
            change = products - self.products
            self.sy[k, place] = change[1 + 2 * k]
            self.yy[k, place] = self.yy[place, k] = change[2 + 2 * k]
            self.sy[place, place], self.yy[place, place] = sy, yy
            self.places.append(place)
        self.products = products
