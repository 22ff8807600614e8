"""The history of a quasi-Newton method: each direction is two matrix-vector products with the last steps."""

import math

import numpy as np
from scipy.linalg import solve_triangular

from skstruct.kernels.jit import kernel

EPS = np.finfo(float).eps
BLOCK = 2**12  # numbers of a vector that stay in the cache while the same part of all pairs is read
GROUP = 2**7  # numbers of a pair with a common scale; a block contains whole groups
LONG = 2**17  # from this number of parameters, pairs are stored in 8 bits
SMALLEST_SCALE = 1e-300


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
