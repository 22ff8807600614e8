"""Tables of features as plain arrays, and back."""

import json
from typing import Any

import numpy as np
import scipy.sparse as sp

from skstruct.data.packed_texts import pack_texts, unpack_texts
from skstruct.data.sparse_checks import check_sparse
from skstruct.data.tables import is_frame, is_sparse
from skstruct.io._array_files import is_storable

PARTS = {  # ends of the names of the arrays of each kind of table
    "array": ("",),
    "csr": (".data", ".indices", ".indptr"),
    "strings": (".text", ".text_ptr"),
    "json": (".text", ".text_ptr"),
}


def table_arrays(table: Any, name: str) -> tuple[dict[str, Any] | None, dict[str, np.ndarray]]:
    """Convert a table of a dataset to arrays.

    Parameters
    ----------
    table : ndarray, CSR matrix, list of strings or dicts, or None
    name : str
        Name of the table in messages.

    Returns
    -------
    kind : dict or None
        What `table_of` needs beside the arrays.
    arrays : dict of {str: ndarray}
        By the end of the name.

    Raises
    ------
    TypeError
        If the table contains objects that cannot be stored.
    """
    if table is None:
        return None, {}
    if isinstance(table, list):
        kind = "strings" if all(isinstance(row, str) for row in table) else "json"
        packed = pack_texts([_text(row, i, kind, name) for i, row in enumerate(table)])
        return {"kind": kind}, dict(zip(PARTS[kind], packed))
    if is_sparse(table):
        if not table.has_canonical_format:
            table = table.copy()
            table.sum_duplicates()
        _check_dtype(table.dtype, name)
        n_stored = table.indptr[-1]  # the arrays may be longer
        index = np.promote_types(table.indices.dtype, table.indptr.dtype)
        indices, indptr = (array.astype(index, copy=False) for array in (table.indices[:n_stored], table.indptr))
        arrays = {".data": table.data[:n_stored], ".indices": indices, ".indptr": indptr}
        return {"kind": "csr", "n_columns": int(table.shape[1])}, arrays
    if is_frame(table):
        raise TypeError(
            f"{name} is a data frame, whose columns can hold any objects; convert it to numbers first, for example by "
            "a NodeTransformer or by to_numpy()"
        )
    _check_dtype(table.dtype, name)
    return {"kind": "array"}, {"": table}


def _check_dtype(dtype, name):
    if not is_storable(dtype):
        raise TypeError(
            f"{name} has the dtype {dtype}, but only booleans, numbers and strings can be saved; convert it"
        )


def _text(row, i, kind, name):
    if kind == "strings":
        return row
    try:
        text = json.dumps(row)
        same = json.loads(text) == row
    except (TypeError, ValueError, RecursionError):
        same = False
    if not same:
        raise TypeError(f"{name}: row {i} is {row!r:.100}, which JSON cannot represent; use strings, numbers and lists")
    return text


def table_of(kind: dict[str, Any] | None, name: str, arrays: dict[str, np.ndarray]) -> Any:
    """Undo `table_arrays`; a malformed table is refused.

    Parameters
    ----------
    kind : dict or None
    name : str
        Name of the table.
    arrays : dict of {str: ndarray}
        By the whole name.

    Returns
    -------
    table : ndarray, CSR array, list or None
    """
    if kind is None:
        return None
    parts = [arrays[name + part] for part in PARTS[kind["kind"]]]
    if kind["kind"] == "array":
        return parts[0]
    if kind["kind"] == "csr":
        return _sparse(name, kind.get("n_columns"), *parts)
    try:
        texts = unpack_texts(*parts)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    if kind["kind"] == "strings":
        return texts
    try:
        return [json.loads(text) for text in texts]
    except RecursionError as error:
        raise ValueError(f"{name} has a row of JSON that is nested too deeply") from error


def _sparse(name, n_columns, data, indices, indptr):
    n_rows = len(indptr) - 1
    if type(n_columns) is not int or not 0 <= n_columns < 2**62 or n_rows < 0:
        raise ValueError(f"{name} has {n_rows} rows and {n_columns!r} columns")
    if data.ndim != 1 or data.shape != indices.shape or indices.dtype != indptr.dtype or data.dtype.kind in "US":
        raise ValueError(f"the arrays of {name} are not those of a CSR matrix")
    table = sp.csr_array((n_rows, n_columns), dtype=data.dtype)  # the constructor would copy arrays if given here
    table.data, table.indices, table.indptr = data, indices, indptr
    check_sparse(table, name)
    return table
