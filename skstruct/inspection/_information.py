"""Covariance of estimated parameters from products of the observed information with vectors."""

from collections.abc import Callable

import numpy as np
from scipy.linalg import cho_factor, cho_solve, eigh
from scipy.sparse import csr_array

CUTOFF = 1e-8  # eigenvalues of the information, scaled to a diagonal of ones, that count as zero
ROUNDING = 1e-13  # the same for the curvature along a direction of conjugate gradients
SOLVED = 1e-8  # residual of a solve, relative to the right-hand side


class NotPositive(ValueError):
    """The information has negative curvature, so that the parameters are not at a minimum of the loss."""

    def __init__(self, curvature: float):
        super().__init__(
            f"the loss has negative curvature (relative size {curvature:.1e}): the weights are no minimum on these "
            "data. Pass the training data, and fit with a smaller tol. If inference is approximate, a small number can "
            "be its error: decrease its tolerance, e.g. crf.set_params(inference=TreeReweightedBP(max_iter=1000, "
            "tol=1e-8)). With missing labels, standard errors may not exist."
        )


class DenseInformation:
    r"""Covariance of all parameters, from the complete matrix.

    :math:`I` is the observed information and :math:`\Lambda` the diagonal matrix of a penalty. The data do not
    determine the null space of :math:`I`. With :math:`P` the projection on its complement, the covariance is that of
    :math:`P \theta`, where :math:`\theta` is normal with the precision :math:`I + \Lambda`. Without a penalty it is the
    pseudo-inverse of :math:`I`.

    The matrix is scaled to a diagonal of ones before the null space is found, because the scales of features are
    arbitrary.

    Parameters
    ----------
    information : ndarray of shape (n, n)
    penalty : ndarray of shape (n,)

    Attributes
    ----------
    undetermined : ndarray of shape (n, n_undetermined)
        Basis of the null space, with as many zeros as possible, in the order of the first parameters.

    Raises
    ------
    NotPositive
        If an eigenvalue is negative.
    """

    def __init__(self, information: np.ndarray, penalty: np.ndarray):
        diagonal = np.diag(information)
        scale = 1.0 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
        values, vectors = eigh((information + information.T) / 2 * scale * scale[:, None])
        if values[0] < -CUTOFF:
            raise NotPositive(values[0])
        is_zero = values <= CUTOFF
        null, rest = vectors[:, is_zero], vectors[:, ~is_zero]
        scaled_penalty = (scale**2 * penalty)[:, None]
        precision = np.diag(values[~is_zero]) + rest.T @ (scaled_penalty * rest)
        if null.shape[1] and penalty.any():  # what the prior says about the null space is integrated out
            both, own = rest.T @ (scaled_penalty * null), null.T @ (scaled_penalty * null)
            precision -= both @ np.linalg.pinv(own, hermitian=True) @ both.T
        basis = scale[:, None] * _sparse_basis(null)
        basis /= np.linalg.norm(basis, axis=0)
        directions = scale[:, None] * rest
        self.factor = cho_factor(precision)
        # A basis with zeros keeps features of different scales apart; rounding errors of an orthonormal basis mix them.
        self.directions = directions - basis @ np.linalg.solve(basis.T @ basis, basis.T @ directions)
        self.undetermined = basis

    def variances(self, combinations: csr_array) -> np.ndarray:
        """Variance of each linear combination of the parameters, (n_combinations,); they are rows of the argument."""
        projected = (combinations @ self.directions).T
        return np.einsum("rk,rk->k", projected, cho_solve(self.factor, projected))


class SolvedInformation:
    """Covariance of a few parameters, by two solves with conjugate gradients for each.

    The first solve removes from a combination of parameters what the data do not determine. Without it the second
    solve would not converge. Time: two times the number of iterations, at most `n`, for each combination, and a product
    in each iteration.

    Parameters
    ----------
    product : callable
        Product of the information with a vector, (n,).
    penalty : ndarray of shape (n,)

    Raises
    ------
    NotPositive
        From `variances`.
    """

    def __init__(self, product: Callable[[np.ndarray], np.ndarray], penalty: np.ndarray):
        self.product, self.penalty = product, penalty

    def variances(self, combinations: csr_array) -> np.ndarray:
        """Variance of each linear combination of the parameters, (n_combinations,); they are rows of the argument."""
        return np.array([self._variance(combinations[[k]].toarray()[0]) for k in range(combinations.shape[0])])

    def _variance(self, combination):
        determined = conjugate_gradients(self.product, self.product(combination))
        if not self.penalty.any():
            return determined @ conjugate_gradients(self.product, determined)
        return determined @ conjugate_gradients(lambda v: self.product(v) + self.penalty * v, determined)


def conjugate_gradients(product: Callable[[np.ndarray], np.ndarray], right: np.ndarray) -> np.ndarray:
    """Solve ``product(x) = right`` for a positive semi-definite matrix, with `right` in its range.

    scipy's `cg` is for positive definite matrices: it reports no negative curvature, and in the null space, where
    rounding errors lead after the last step, it divides by a curvature of zero.
    """
    x, residual = np.zeros_like(right), right.copy()
    direction, size = residual.copy(), residual @ residual
    goal, largest = SOLVED**2 * size, 0.0
    for _ in range(2 * len(right)):
        if size <= goal:
            break
        image = product(direction)
        curvature = direction @ image
        relative = curvature / (direction @ direction)
        largest = max(largest, relative)
        if relative <= ROUNDING * largest:  # the rest of `right` is a rounding error outside of the range
            if relative < -CUTOFF * largest:
                raise NotPositive(relative / largest)
            break
        step = size / curvature
        x += step * direction
        residual -= step * image
        size, before = residual @ residual, size
        direction = residual + size / before * direction
    return x


def _sparse_basis(basis):
    """Reduced echelon form of the columns of an orthonormal basis: many zeros, and the same for any basis of a space.

    Each column has a 1 in the row of its pivot, where all other columns have 0. Pivots are as early as possible.
    """
    smallest = np.sqrt(CUTOFF)
    rows, n_done = basis.T.copy(), 0
    for column in range(rows.shape[1]):
        if n_done == len(rows):
            break
        pivot = n_done + np.abs(rows[n_done:, column]).argmax()
        if abs(rows[pivot, column]) <= smallest:
            continue
        rows[[n_done, pivot]] = rows[[pivot, n_done]]
        rows[n_done] /= rows[n_done, column]
        factors = rows[:, column].copy()
        factors[n_done] = 0.0
        rows -= np.outer(factors, rows[n_done])
        n_done += 1
    rows[np.abs(rows) < smallest] = 0.0
    return rows.T
