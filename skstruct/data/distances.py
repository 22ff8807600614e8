"""Lengths of the rows of a table, and the contrast that they define."""

import numpy as np
import scipy.sparse as sp

from skstruct.data.tables import is_sparse


def row_norms(x):
    """Euclidean norms of the rows of an array or a CSR matrix, without overflow in squares."""
    values = x.data if is_sparse(x) else x
    exponent = np.frexp(np.abs(values).max(initial=0.0))[1]
    values = np.square(np.ldexp(values, -exponent))  # at most 1; a power of two rounds nothing
    squares = sp.csr_array((values, x.indices, x.indptr), shape=x.shape) if is_sparse(x) else values
    return np.ldexp(np.sqrt(squares.sum(axis=1)), exponent)


def root_mean_square(norms):
    """Square root of the mean of the squares; 0 without numbers."""
    largest = norms.max(initial=0.0)
    return largest * np.sqrt(np.mean(np.square(norms / largest))) if largest > 0 else 0.0


def contrast(norms, scale):
    """Similarity of two nodes at each of the distances `norms`, ``exp(-(norm / scale)**2 / 2)``; 1 if `scale` is 0."""
    return np.exp(-np.square(norms / scale) / 2) if scale > 0 else np.ones(len(norms))
