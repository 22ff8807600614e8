"""Descriptions in HTML for notebooks: a line of facts, and a table of the first rows."""

from collections.abc import Iterable
from html import escape
from itertools import islice
from typing import Any

import numpy as np

from skstruct.data.tables import is_frame, is_sparse, n_columns, n_rows, take_rows

MOST_ROWS = 10  # of a table
MOST_ITEMS = 10  # of an array in a cell, and of the columns of a table
MOST_CHARACTERS = 100  # of a cell


def describe(title: str, facts: dict[str, Any], header: list, rows: Iterable[list], n_all: int) -> str:
    """Describe an object by facts and by the first rows of a table.

    Parameters
    ----------
    title : str
        Name of the class.
    facts : dict of {str: object}
    header : list
        Names of the columns of the table.
    rows : iterable of list
        No more than `MOST_ROWS` rows are read.
    n_all : int
        Number of all rows.

    Returns
    -------
    html : str
        Texts are escaped.
    """
    lines = [f"<div><p><b>{escape(title)}</b> {escape(', '.join(f'{k}: {v}' for k, v in facts.items()))}</p>"]
    if n_all:
        lines.append(f"<table><thead><tr>{_cells('th', header)}</tr></thead><tbody>")
        lines += [f"<tr>{_cells('td', row)}</tr>" for row in islice(rows, MOST_ROWS)]
        lines.append("</tbody></table>")
    if n_all > MOST_ROWS:
        lines.append(f"<p>and {n_all - MOST_ROWS} more rows</p>")
    return "\n".join([*lines, "</div>"])


def _cells(tag, values):
    return "".join(f"<{tag}>{escape(_text(value))}</{tag}>" for value in values)


def _text(value):
    """Text of a value on one line."""
    if isinstance(value, np.ndarray):
        value = np.array2string(value, precision=4, separator=", ", threshold=MOST_ITEMS, edgeitems=MOST_ITEMS // 2)
    elif isinstance(value, float | np.floating):
        value = f"{value:.4g}"
    text = " ".join(str(value).split())
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 3]}..."


def sizes(ptr: np.ndarray) -> str:
    """Total and range of the sizes of graphs, given as offsets: "243, 4 to 9 per graph"."""
    counts = np.diff(ptr)
    return f"{ptr[-1]}, {counts.min()} to {counts.max()} per graph" if len(counts) else "0"


def kind_of_table(table: Any) -> str:
    """Columns and type of a table of features, such as "2 float64"."""
    if table is None or not n_rows(table):
        return "none"
    if isinstance(table, list):
        return type(table[0]).__name__
    if is_frame(table):
        names = list(map(str, table.columns))
        return f"{len(names)} ({', '.join(names[:MOST_ITEMS])}{', ...' if len(names) > MOST_ITEMS else ''})"
    return f"{n_columns(table)} {table.dtype}{', sparse' if is_sparse(table) else ''}"


def row_of_table(table: Any, i: int) -> Any:
    """Row `i` of a table of features, for a cell: the columns of data frames and sparse matrices have their names."""
    row = take_rows(table, np.array([i]))
    if is_sparse(row):
        return dict(zip(row.indices.tolist(), row.data.tolist()))
    return dict(zip(row.columns, row.to_numpy()[0].tolist())) if is_frame(row) else row[0]
