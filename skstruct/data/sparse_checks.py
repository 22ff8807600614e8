"""The check that the numbers of rows and columns of a sparse matrix lie within its shape."""

import numpy as np

from skstruct.data.indexing import first_outside


def check_sparse(x, name):
    """Refuse a sparse matrix, of any format, with numbers of rows or columns beyond its shape.

    scipy checks these numbers when it constructs a matrix, but not when they are changed later. Compiled code would
    read and write outside of its arrays.

    Parameters
    ----------
    x : sparse matrix or array
    name : str
        Name of `x` in messages.

    Raises
    ------
    ValueError
        If `x` is not 2-D, or if the number of a row or column is out of range; the message names the row.
    """
    if x.ndim != 2:
        raise ValueError(f"{name} must be 2-D (one row per item, one column per feature), got shape {x.shape}")
    if x.format in COMPRESSED:
        _check_compressed(x, name)
        return
    try:
        x = x.tocoo()
    except ValueError as error:
        raise ValueError(f"{name}, a sparse matrix, has the wrong shape: {error}") from error
    for numbers, size, what in ((x.row, x.shape[0], "row"), (x.col, x.shape[1], "column")):
        k = first_outside(numbers, size)
        if k is not None:
            raise ValueError(_out_of_range(name, f"entry {k}", what, numbers[k], size))


COMPRESSED = {"csr": ("row", "column"), "csc": ("column", "row"), "bsr": ("block row", "block column")}


def _check_compressed(x, name):
    major, minor = COMPRESSED[x.format]
    n_rows, n_columns = (size // block for size, block in zip(x.shape, getattr(x, "blocksize", (1, 1))))
    n_major, n_minor = (n_columns, n_rows) if x.format == "csc" else (n_rows, n_columns)
    ptr, indices = x.indptr, x.indices
    if ptr.dtype.kind not in "iu" or indices.dtype.kind not in "iu":
        raise ValueError(f"{name} has indptr of {ptr.dtype} and indices of {indices.dtype}, which must be integers")
    n_entries = min(len(indices), len(x.data))
    if ptr.shape != (n_major + 1,) or ptr[0] != 0 or ptr[-1] > n_entries or (ptr[1:] < ptr[:-1]).any():
        raise ValueError(
            f"the {major} pointers (indptr) of {name} must be {n_major + 1} numbers that rise from 0 to at most "
            f"{n_entries}, the number of entries; construct the matrix from (values, (rows, columns))"
        )
    k = first_outside(indices[: ptr[-1]], n_minor)
    if k is not None:
        row = f"{major} {np.searchsorted(ptr, k, side='right') - 1}"
        raise ValueError(_out_of_range(name, row, minor, indices[k], n_minor))


def _out_of_range(name, where, what, number, size):
    return (
        f"{name}, a sparse matrix, has the {what} number {number} in {where}, but only {size} {what}s; construct it "
        "from (values, (rows, columns))"
    )
