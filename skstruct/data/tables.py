"""Tables of features in any form: arrays, CSR matrices, data frames, lists of dicts or strings.

Node features and edge features are stacked tables with one row per node or edge. The functions of this module count,
select, stack and join rows and columns of any form of table. Data-frame libraries are imported only where frames of
that library are joined.
"""

import numbers
from copy import copy

import numpy as np
import scipy.sparse as sp

from skstruct.data.missing import is_blank, missing_mask
from skstruct.data.sparse_checks import check_sparse

COMPARED = 2**16  # rows that are compared at once
ROWS_PER_KIND = 4  # with fewer rows for each distinct one, sharing what is computed from a row gains little


def is_sparse(x) -> bool:
    """Whether `x` is a scipy matrix or array of any sparse format."""
    return sp.issparse(x)


def is_frame(x):
    """Whether `x` is a pandas or polars data frame."""
    return hasattr(x, "columns") and (hasattr(x, "iloc") or hasattr(x, "with_columns"))


def is_raw(x):
    """Whether `x` is a list or tuple of dicts or strings, which a vectorizer can turn into numbers."""
    return isinstance(x, list | tuple) and len(x) > 0 and isinstance(x[0], dict | str)


def as_table(x, name):
    """Return `x` as an ndarray of two dimensions, a CSR matrix, a data frame or a list of dicts or strings.

    Parameters
    ----------
    x : array-like
        A table of one of these kinds, a sparse matrix of another format, or nested lists of numbers.
    name : str
        Name of `x` in messages, such as ``"node_features of graph 17"``.

    Raises
    ------
    ValueError
        If `x` is not a table: if it is not 2-D, or if its rows have different lengths.
    """
    if is_frame(x):
        return x
    if is_sparse(x):
        check_sparse(x, name)
        return x.tocsr()
    if isinstance(x, list | tuple) and not len(x):
        return []  # no row tells which kind of table it is
    if is_raw(x):
        odd = next((i for i, row in enumerate(x) if not isinstance(row, dict | str)), None)
        if odd is not None:
            raise ValueError(f"{name} mixes dicts or strings with others: row {odd} is a {type(x[odd]).__name__}")
        return list(x)
    refuse_masked(x, name)
    try:
        array = np.asarray(x)
    except ValueError as error:
        raise ValueError(f"{name} must have rows of equal length: {error}") from error
    if array.ndim != 2:
        raise ValueError(
            f"{name} must be 2-D (one row per item, one column per feature), got {array.ndim}-D of shape "
            f"{array.shape}; a single feature is a column: x.reshape(-1, 1)"
        )
    if array.dtype.kind == "V":
        raise ValueError(f"{name} must contain real numbers, strings or objects, got an array of {array.dtype}")
    if array.dtype == object and not isinstance(x, np.ndarray):
        if any(not isinstance(value, numbers.Real | np.bool_) and not is_blank(value) for value in array.ravel()):
            raise ValueError(
                f"{name} mixes numbers with other objects; pass a data frame for columns of different types"
            )
        return as_floats(array)
    return array


def refuse_masked(x, name):
    """Refuse an array with masked values, also as an item of a list: NumPy drops masks without a warning."""
    for item in x if isinstance(x, list | tuple) else [x]:
        if isinstance(item, np.ma.MaskedArray) and np.ma.is_masked(item):
            raise ValueError(
                f"{name} has {np.ma.count_masked(item)} masked values, and masks are not supported; fill them first, "
                "for example by np.ma.filled(x, np.nan) and an imputer"
            )


def as_floats(x):
    """Return a table of numbers; float64 with NaN for None and ``pandas.NA`` where its dtype can contain these.

    Parameters
    ----------
    x : ndarray, sparse matrix or data frame
        The result has the same kind and the same names of columns.

    Raises
    ------
    TypeError, ValueError, OverflowError
        If a value is not a number.
    """
    if is_sparse(x):
        return x
    values = x.to_numpy() if is_frame(x) else x
    if values.dtype.kind in "biufc":
        with np.errstate(over="ignore"):  # long doubles beyond the range of floats become infinite
            return values.astype(np.float64) if values.dtype == np.longdouble != np.float64 else x
    if values.dtype.kind in "mM":
        raise TypeError(f"they are times ({values.dtype})")
    try:
        values = values.astype(np.float64)
    except TypeError:  # pandas.NA; for other objects, the second conversion raises TypeError again
        missing = missing_mask(values.ravel(), np.nan).reshape(values.shape)
        values = np.where(missing, np.nan, values).astype(np.float64)
    if hasattr(x, "iloc"):
        return type(x)(values, index=x.index, columns=x.columns)
    return type(x)(values, schema=x.columns) if is_frame(x) else values


def n_rows(x):
    """Return the number of rows of a table."""
    return len(x) if isinstance(x, list) else x.shape[0]


def n_columns(x):
    """Return the number of columns of a table, None for a list."""
    return None if isinstance(x, list) else x.shape[1]


def mapped_bytes(x):
    """Return how many bytes of a table are in files that are mapped into memory."""
    arrays = (x.data, x.indices, x.indptr) if is_sparse(x) else (x,)
    return sum(array.nbytes for array in arrays if _is_mapped(array))


def _is_mapped(x):
    while isinstance(x, np.ndarray):
        if isinstance(x, np.memmap):
            return True
        x = x.base
    return False


def take_rows(x, rows):
    """Rows of a table by a slice of step 1 (a view if the table supports views) or by an integer array."""
    if isinstance(x, list):
        return x[rows] if isinstance(rows, slice) else [x[i] for i in rows]
    if is_sparse(x) and isinstance(rows, slice):
        return _csr_view(x, rows.start, rows.stop)
    if hasattr(x, "iloc"):
        return x.iloc[rows]
    return x[rows]


def _csr_view(x, start, stop):
    """Consecutive rows of a CSR matrix as a view of its arrays; slicing by scipy copies the arrays."""
    first, last = x.indptr[start], x.indptr[stop]
    view = copy(x)  # shares the arrays, and takes a tenth of the time of the constructor
    view.data, view.indices = x.data[first:last], x.indices[first:last]
    view.indptr = x.indptr[start : stop + 1] - first
    view.resize((stop - start, x.shape[1]))
    return view


def csr_of_sorted(data, indices, indptr, n_columns):
    """CSR array of arrays in which the columns of each row rise, which is not checked."""
    x = sp.csr_array((len(indptr) - 1, n_columns), dtype=data.dtype)  # the constructor would check arrays if given here
    x.data, x.indices, x.indptr = data, indices, indptr
    x.has_canonical_format = True
    return x


def take_columns(x, columns):
    """Columns of a table by position, mask or slice, and columns of a data frame also by name."""
    if isinstance(x, list):
        raise IndexError("features of dicts or strings have no columns yet: apply a NodeTransformer with a vectorizer")
    try:
        return _take_columns(x, columns)
    except (ValueError, IndexError) as error:
        raise IndexError(f"columns {columns!r} cannot be selected from a table with {x.shape[1]}: {error}") from error


def _take_columns(x, columns):
    columns = columns if isinstance(columns, slice) else np.atleast_1d(columns)
    if not isinstance(columns, slice) and columns.ndim > 1:
        raise IndexError(f"columns are in a list, not in an array of shape {columns.shape}")
    if not isinstance(columns, slice) and not columns.size:
        columns = columns.astype(np.intp)
    if is_frame(x) and not isinstance(columns, slice) and columns.dtype.kind in "UOT":
        return x[list(columns)]
    if hasattr(x, "iloc"):
        return x.iloc[:, columns]
    if is_frame(x):
        return x[:, columns if isinstance(columns, slice) else np.arange(x.shape[1])[columns].tolist()]
    return x[:, columns]


def column(x, j):
    """Column `j` of a table as a new 1-D array."""
    if is_sparse(x):
        return x[:, [j]].toarray().ravel()
    return np.array(x.iloc[:, j] if hasattr(x, "iloc") else x[:, j])


def with_column(x, j, values):
    """Return a copy of a table with column `j` replaced."""
    if is_sparse(x):
        blocks = [x[:, :j], sp.csr_array(np.reshape(values, (-1, 1))), x[:, j + 1 :]]
        return type(x)(sp.hstack(blocks, format="csr"))
    copy = x.clone() if hasattr(x, "clone") else x.copy()
    if hasattr(copy, "iloc"):
        copy.isetitem(j, values)
    elif is_frame(copy):
        copy.replace_column(j, type(copy[:, j])(copy.columns[j], values))
    else:
        copy[:, j] = values
    return copy


def stack_rows(tables, name):
    """Stack the tables of all graphs; the result is sparse if any of them is.

    Parameters
    ----------
    tables : list of tables
        As :func:`as_table` returns them, one per graph.
    name : str
        ``"node features"`` or ``"edge features"``.

    Raises
    ------
    ValueError
        If kinds of tables are mixed, or numbers or names of columns differ between graphs; the message names the graph.
    """
    # the table of a graph without nodes can be an empty list, which says nothing about kind and columns
    nonempty = [(g, x) for g, x in enumerate(tables) if n_rows(x)] or list(enumerate(tables[:1]))
    first_graph, first = nonempty[0]
    if len(nonempty) == 1:
        return first
    kind = _kind(first)
    odd = next((g for g, x in nonempty if _kind(x) != kind), None)
    if odd is not None:
        raise ValueError(
            f"{name} of graph {odd} are a {type(tables[odd]).__name__} but those of graph {first_graph} are "
            f"a {type(first).__name__}; pass one kind of table for all graphs"
        )
    tables = [x for _, x in nonempty]
    if kind == "list":
        return [row for x in tables for row in x]
    other = next(((g, x) for g, x in nonempty if x.shape[1] != first.shape[1]), None)
    if other is not None:
        raise ValueError(
            f"graph {other[0]} has {other[1].shape[1]} {name} but graph {first_graph} has {first.shape[1]}; "
            "all graphs must have the same ones"
        )
    if kind == "frame":
        return _stack_frames(nonempty, name)
    if any(is_sparse(x) for x in tables):
        return sp.vstack(tables, format="csr")
    return np.concatenate(tables)


def _kind(x):
    """Kind of a table; tables of one kind can be stacked."""
    return "list" if isinstance(x, list) else "frame" if is_frame(x) else "matrix"


def _stack_frames(frames, name):
    """Concatenate data frames of one library and with the same columns, given as (graph number, frame)."""
    first_graph, first = frames[0]
    for g, x in frames:
        if type(x) is not type(first) or list(x.columns) != list(first.columns):
            raise ValueError(
                f"{name} of graph {g} have the columns {list(x.columns)} but those of graph {first_graph} "
                f"have {list(first.columns)}; all graphs must have the same ones, in the same order"
            )
    if hasattr(first, "iloc"):
        import pandas as pd

        return pd.concat([x for _, x in frames], ignore_index=True)
    import polars as pl

    return pl.concat([x for _, x in frames], how="vertical_relaxed")  # integers and floats together become floats


def join_columns(tables):
    """Put the columns of several tables of the same rows side by side; the result is sparse if any of them is."""
    if any(isinstance(x, list) for x in tables):
        raise ValueError("lists of dicts or strings cannot be joined; apply vectorizers first")
    if any(is_sparse(x) for x in tables):
        return sp.hstack(tables, format="csr")
    if all(hasattr(x, "iloc") for x in tables):
        import pandas as pd

        return pd.concat([x.set_axis(tables[0].index) for x in tables], axis=1)
    if all(is_frame(x) for x in tables):
        import polars as pl

        return pl.concat(tables, how="horizontal")
    return np.hstack([np.asarray(x) for x in tables])


def tables_equal(a, b):
    """Whether two tables have equal entries; a table can be None."""
    if a is None or b is None or isinstance(a, list) or isinstance(b, list):
        return type(a) is type(b) and a == b
    if is_frame(a) or is_frame(b):
        if hasattr(a, "iloc") and hasattr(b, "iloc"):  # the index has no meaning: rows are identified by position
            a, b = a.reset_index(drop=True), b.reset_index(drop=True)
        return type(a) is type(b) and bool(a.equals(b))
    if a.shape != b.shape:
        return False
    if is_sparse(a) or is_sparse(b):
        return bool((abs(sp.csr_array(a) - sp.csr_array(b)) > 0).nnz == 0)
    return bool(np.array_equal(a, b))


def few_distinct_rows(x):
    """Find the distinct rows of an array or a CSR matrix, if there are few.

    Rows are told apart by their products with one random vector, which takes linear time and memory, and compared
    afterwards. Where rounding makes equal rows look different, both are kept.

    Parameters
    ----------
    x : ndarray or CSR matrix of shape (n_rows, n_columns)

    Returns
    -------
    found : tuple or None
        None if there is more than one distinct row for each `ROWS_PER_KIND` rows. Otherwise:

        - rows, (n_distinct, n_columns): a table of the kind of `x`
        - number, (n_rows,), int32: row ``i`` of `x` is row ``number[i]`` of it.
    """
    key = x @ np.random.default_rng(0).random(x.shape[1])
    _, first, number = np.unique(key, return_index=True, return_inverse=True)
    if len(first) * ROWS_PER_KIND > len(key):
        return None
    rows = x[first]
    starts = range(0, len(number), COMPARED)  # all rows at once would be a copy of the table
    blocks = (slice(start, min(start + COMPARED, len(number))) for start in starts)
    same = all(tables_equal(take_rows(x, block), rows[number[block]]) for block in blocks)
    return (rows, number.astype(np.int32)) if same else None


def first_nonfinite(x):
    """Find row and column of the first NaN or infinity of an array or a CSR matrix; None if there is none."""
    values = x.data if is_sparse(x) else x
    # a finite sum proves that all values are finite, without an array for a mask; an overflow costs a second pass
    with np.errstate(over="ignore", invalid="ignore"):  # of the sum
        if values.dtype.kind not in "fc" or np.isfinite(values.sum()):
            return None
    if not is_sparse(x):
        rows, columns = np.nonzero(~np.isfinite(x))
        return (int(rows[0]), int(columns[0])) if len(rows) else None
    bad = np.flatnonzero(~np.isfinite(values))
    if not len(bad):
        return None
    return int(np.searchsorted(x.indptr, bad[0], side="right") - 1), int(x.indices[bad[0]])
