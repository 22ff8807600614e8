"""Ragged arrays: values per node of many graphs, such as labels, predictions and probabilities."""

import sys
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from skstruct.data.html import MOST_ITEMS, describe
from skstruct.data.indexing import check_axis, numpy_namespace, sample_key
from skstruct.data.label_types import join_labels, label_array, label_kind, one_kind
from skstruct.data.number_arrays import number_array
from skstruct.data.optional import optional_module
from skstruct.data.ragged_arithmetic import ELEMENTWISE, REDUCTIONS, RaggedArithmetic
from skstruct.data.sklearn_callers import refuse_flat_labels
from skstruct.data.target_shapes import refuse_tables
from skstruct.data.topology import take_ranges


class RaggedArray(RaggedArithmetic):
    """One array per graph, stored as one packed array and offsets.

    It is a sequence of ``n_graphs`` arrays. ``y[g]`` is the array of graph ``g``. Slices, masks and index arrays select
    a `RaggedArray`, and ``proba[:, j]`` selects column ``j`` of every graph. ``np.asarray`` returns a 1-D *object*
    array with one array per graph, so that graphs are the samples of scikit-learn's splitters, whatever their sizes.
    Metrics accept `values`, the flat array.

    Operators and functions such as ``np.log`` apply to each value. The other operand is a number, a ragged array with
    graphs of the same sizes, or one number for each column. ``proba * weights`` with one weight per node multiplies all
    columns of a node.

    Parameters
    ----------
    values : array-like of shape (n_nodes, ...)
        Values of all graphs, one after the other.
    ptr : array-like of shape (n_graphs + 1,)
        The values of graph ``g`` are ``values[ptr[g]:ptr[g + 1]]``.

    Raises
    ------
    ValueError
        If `ptr` does not rise from 0 to the number of values.

    Examples
    --------
    >>> from skstruct import RaggedArray
    >>> y = RaggedArray.from_list([["N", "V"], ["D", "N", "V"]])
    >>> len(y), y.values, y.ptr
    (2, array(['N', 'V', 'D', 'N', 'V'], dtype='<U1'), array([0, 2, 5]))
    >>> y[1]
    array(['D', 'N', 'V'], dtype='<U1')
    >>> proba = RaggedArray([[0.5, 0.5], [0.25, 0.75], [0.125, 0.875]], [0, 2, 3])
    >>> proba[:, 0] > 0.2
    RaggedArray([[ True,  True],
                 [False]], n_graphs=2, n_values=3, dtype=bool)
    """

    __hash__ = None  # type: ignore[assignment]  # the way of Python to say that it has no hash
    dtype = np.dtype(object)
    device = "cpu"

    values: np.ndarray
    ptr: np.ndarray

    def __init__(self, values: Any, ptr: Any):
        self.values = values if type(values) is np.ndarray else label_array(values, "values")
        self.ptr = number_array(ptr, "ptr").astype(np.intp, copy=False)
        if self.values.ndim == 0 or self.ptr.ndim != 1 or not len(self.ptr):
            raise ValueError("values need one row per node and ptr one offset per graph and a last one")
        if self.ptr[0] != 0 or self.ptr[-1] != len(self.values) or (np.diff(self.ptr) < 0).any():
            raise ValueError(
                f"ptr must rise from 0 to the number of values, {len(self.values)}; got {self.ptr[0]} to {self.ptr[-1]}"
            )

    @classmethod
    def from_list(cls, arrays: Iterable, name: str = "y", missing_label: Any = None) -> "RaggedArray":
        """Pack one array-like per graph.

        Parameters
        ----------
        arrays : iterable of array-like
            Arrays of equal trailing shape. Strings and numbers must not be mixed.
        name : str, default="y"
            Name of the arrays in messages.
        missing_label : object, default=None
            A label that may occur among labels of another type. None and NaN always may.

        Returns
        -------
        RaggedArray

        Raises
        ------
        ValueError
            If the item of a graph is a scalar or ragged, if strings and numbers are mixed, or if NumPy cannot tell two
            labels apart.
        """
        if not isinstance(arrays, Iterable):
            raise TypeError(f"{name} must hold one array per graph, got a {type(arrays).__name__}")
        arrays = [_as_array(item, name, g) for g, item in enumerate(arrays)]
        ptr = np.concatenate([[0], np.cumsum([len(a) for a in arrays], dtype=np.intp)])
        # the array of an empty list has dtype float64, which must not decide the dtype of the labels
        nonempty = [a for a in arrays if len(a)] or arrays[:1]
        if not nonempty:
            return cls(np.zeros(0), ptr)
        kind = one_kind({label_kind(a, name, missing_label) for a in nonempty} - {None}, name)
        if kind in ("string", "bytes"):  # a missing label of another type must not become a string
            nonempty = [a if a.dtype.kind in "UST" else a.astype(object) for a in nonempty]
        try:
            return cls(join_labels(nonempty, name), ptr)
        except ValueError as error:
            raise ValueError(f"{name} has values of different shapes: {error}") from error

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n_graphs, ...)``, without the axis of the nodes, whose length varies."""
        return (len(self), *self.values.shape[1:])

    @property
    def ndim(self) -> int:
        """Length of `shape`."""
        return self.values.ndim

    @property
    def size(self) -> int:
        """Product of `shape`."""
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return len(self.ptr) - 1

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self.values[a:b] for a, b in zip(self.ptr[:-1], self.ptr[1:]))

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, tuple) and len(key) == 2 and key[1] is not Ellipsis:
            selected = self[key[0]]
            if isinstance(selected, RaggedArray):
                return type(self)(selected.values[:, key[1]], selected.ptr)
            return selected[:, key[1]]
        key = sample_key(key, len(self), "graphs")
        if isinstance(key, int):
            return self.values[self.ptr[key] : self.ptr[key + 1]]
        if isinstance(key, slice):
            ptr = self.ptr[key.start : key.stop + 1]
            return type(self)(self.values[ptr[0] : ptr[-1]], ptr - ptr[0])
        rows, ptr = take_ranges(self.ptr, key)
        return type(self)(self.values[rows], ptr)

    def take(self, indices: Any, axis: int | None = 0) -> "RaggedArray":
        """Select graphs, as ``self[indices]`` does."""
        check_axis(axis, (0, None), "0 (graphs)")
        return self[indices]

    def tolist(self) -> list[list]:
        """List of one list per graph."""
        return [array.tolist() for array in self]

    def copy(self) -> "RaggedArray":
        """Return a ragged array with a copy of the values."""
        return type(self)(self.values.copy(), self.ptr)

    def __array__(self, dtype=None, copy=None):
        if dtype is not None and np.dtype(dtype) != object:
            raise ValueError(
                f"a RaggedArray is not a rectangular array of {np.dtype(dtype)}: graphs differ in size. Use "
                ".values for the values of all nodes, and scorers from skstruct.metrics instead of "
                "scikit-learn's scoring strings"
            )
        refuse_flat_labels(sys._getframe())
        out = np.empty(len(self), dtype=object)
        for g, array in enumerate(self):  # np.array(list(self)) would be 2-D if all graphs have the same size
            out[g] = array
        return out

    def __array_function__(self, func, types, args, kwargs):
        name = func.__name__
        if name in ("concatenate", "concat"):
            if kwargs.get("axis", args[1] if len(args) > 1 else 0) not in (0, None):
                return NotImplemented
            return _concatenate([as_ragged(array) for array in args[0]])
        if name == "take" and args[0] is self:
            return self.take(*args[1:], **kwargs)
        if name == "shape":
            return self.shape
        if name == "ndim":
            return self.ndim
        if name == "array_equal":
            a, b = args[:2]
            ragged = isinstance(a, RaggedArray) and isinstance(b, RaggedArray)
            return ragged and np.array_equal(a.ptr, b.ptr) and np.array_equal(a.values, b.values, **kwargs)
        if func in ELEMENTWISE:
            return self._elementwise(func, args, kwargs)
        if func in REDUCTIONS:
            raise TypeError(
                f"np.{name} of a RaggedArray is not defined. Use np.{name}(y.values) for all nodes, or "
                f"[np.{name}(array) for array in y] for each graph"
            )
        return func(*map(_object_arrays, args), **{key: _object_arrays(value) for key, value in kwargs.items()})

    def __array_namespace__(self, api_version=None):
        return numpy_namespace()

    def __eq__(self, other):
        if isinstance(other, RaggedArray):
            if not np.array_equal(self.ptr, other.ptr):
                return NotImplemented
            other = other.values
        elif np.ndim(other) != 0:
            return NotImplemented
        return type(self)(self.values == other, self.ptr)

    def __ne__(self, other):
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else ~equal

    def to_frame(self, columns: Any = None) -> Any:
        """Convert the values to a data frame with one row per node.

        Parameters
        ----------
        columns : array-like, default=None
            Names of the columns, such as ``classes_`` for probabilities. None: 0, 1, 2, ..., and "value" if there is
            one value per node.

        Returns
        -------
        frame : pandas.DataFrame
            The index has the levels `graph` and `node`.

        Raises
        ------
        ValueError
            If the number of columns is not the number of values per node, or if the values of a node are a matrix.

        Examples
        --------
        >>> from skstruct import RaggedArray
        >>> proba = RaggedArray([[0.5, 0.5], [0.25, 0.75], [0.125, 0.875]], [0, 2, 3])
        >>> proba.to_frame(columns=["N", "V"]).loc[(0, 1)].to_dict()
        {'N': 0.25, 'V': 0.75}
        """
        pandas = optional_module("pandas", "interop", "RaggedArray.to_frame")
        if self.values.ndim > 2:
            raise ValueError(
                f"the values of a node have shape {self.values.shape[1:]}, which is no row of a table; select a row of "
                "each matrix first, such as ragged[:, 0]"
            )
        if columns is None:
            columns = ["value"] if self.values.ndim == 1 else range(self.values.shape[1])
        table = self.values[:, None] if self.values.ndim == 1 else self.values
        if np.ndim(columns) != 1 or len(columns) != table.shape[1]:
            raise ValueError(f"columns must have {table.shape[1]} names, one for each value of a node, got {columns!r}")
        graph = np.repeat(np.arange(len(self)), np.diff(self.ptr))
        node = np.arange(len(table)) - self.ptr[graph]
        index = pandas.MultiIndex.from_arrays([graph, node], names=["graph", "node"])
        return pandas.DataFrame(table, index, list(columns))

    def __repr__(self):
        n, edge = len(self), max(1, 4 - self.ndim)  # values of more dimensions take more lines
        most = 6 if self.ndim == 1 else 2  # graphs that are shown
        margin = " " * len("RaggedArray([")
        shown = range(n) if n <= most else [*range(most // 2), *range(n - most // 2, n)]
        rows = [np.array2string(self[g], separator=", ", threshold=20, edgeitems=edge, prefix=margin) for g in shown]
        if n > most:
            rows.insert(most // 2, "...")
        body = f",\n{margin}".join(rows)
        dtype = repr(self.values.dtype.str) if self.values.dtype.kind in "US" else self.values.dtype
        return f"RaggedArray([{body}], n_graphs={n}, n_values={len(self.values)}, dtype={dtype})"

    def _repr_html_(self):
        facts = {"graphs": len(self), "values": self.values.shape, "dtype": self.values.dtype}
        if self.ndim == 1:
            return describe("RaggedArray", facts, ["graph", "values"], ([g, a] for g, a in enumerate(self)), len(self))
        rows = ([g, i, row] for g, array in enumerate(self) for i, row in enumerate(array))
        columns: list = ["values"]
        if self.ndim == 2:
            n = self.values.shape[1]
            columns = [*range(min(n, MOST_ITEMS)), *(["..."] if n > MOST_ITEMS else [])]
            rows = ([g, i, *row[:MOST_ITEMS]] for g, i, row in rows)
        return describe("RaggedArray", facts, ["graph", "node", *columns], rows, len(self.values))


def as_ragged(y: Any, name: str = "y", missing_label: Any = None) -> RaggedArray:
    """Pack values per node of many graphs, given in any form.

    Parameters
    ----------
    y : RaggedArray, list or tuple of arrays or lists, object array, Series, or 2-D array
        One item per graph. A 2-D array has one row per graph, for graphs of equal size. Labels keep their type.
    name : str, default="y"
        Name of `y` in messages.
    missing_label : object, default=None
        A label that may occur among labels of another type, such as -1 among strings. None and NaN always may.

    Returns
    -------
    RaggedArray

    Raises
    ------
    ValueError
        If `y` has one value per graph instead of an array, or if strings and numbers are mixed.

    Examples
    --------
    >>> from skstruct import as_ragged
    >>> as_ragged([[0, 1, 1], [2]]).values
    array([0, 1, 1, 2])
    """
    if isinstance(y, RaggedArray):
        return y
    refuse_tables(y, name)
    if isinstance(y, np.ndarray) and y.ndim == 2:
        values = label_array(y.ravel(), name)
        label_kind(values, name, missing_label)  # refuses strings and numbers together, as for a list
        return RaggedArray(values, np.arange(len(y) + 1) * y.shape[1])
    if isinstance(y, str | bytes | dict) or not (hasattr(y, "__iter__") or hasattr(y, "__array__")):
        raise TypeError(f"{name} must hold one array per graph, in a RaggedArray or a list, got a {type(y).__name__}")
    if isinstance(y, np.ndarray) and (y.ndim == 0 or (y.ndim == 1 and y.dtype != object)):
        raise ValueError(
            f"{name} has shape {y.shape}, but one array per graph is needed; if it has one value per node, "
            f"pass RaggedArray({name}, X.node_ptr) for a GraphDataset X"
        )
    return RaggedArray.from_list(y, name, missing_label)


def is_ragged(y: Any) -> bool:
    """Whether `y` has one array per graph rather than one number per sample.

    Parameters
    ----------
    y : object
        Labels, weights or predictions.

    Returns
    -------
    bool
        True for a RaggedArray, a 2-D array, and a sequence whose first item is an array or a list.

    Examples
    --------
    >>> from skstruct.data.ragged import is_ragged
    >>> is_ragged([[0, 1], [1]]), is_ragged([0, 1, 1])
    (True, False)
    """
    if isinstance(y, RaggedArray):
        return True
    if isinstance(y, str | bytes | dict) or not hasattr(y, "__len__") or not hasattr(y, "__iter__"):
        return False
    if isinstance(y, np.ndarray) and y.dtype != object:
        return y.ndim == 2
    if np.ndim(y) == 0 if isinstance(y, np.ndarray) else len(y) == 0:
        return False
    first = next(iter(y), None)
    return isinstance(first, np.ndarray | list | tuple) or (hasattr(first, "to_numpy") and hasattr(first, "__len__"))


def _as_array(item, name, graph):
    """Array of one graph."""
    array = label_array(item, f"{name}[{graph}]")
    if array.ndim == 0:
        raise ValueError(
            f"{name}[{graph}] is {item!r}, but one array per graph is needed; if {name} has one value per "
            f"node, pass RaggedArray({name}, X.node_ptr) for a GraphDataset X"
        )
    return array


def _concatenate(arrays):
    """Append ragged arrays."""
    sizes = np.concatenate([np.diff(array.ptr) for array in arrays])
    ptr = np.concatenate([[0], np.cumsum(sizes, dtype=np.intp)])
    nonempty = [array.values for array in arrays if len(array.values)] or [arrays[0].values]
    return RaggedArray(join_labels(nonempty, "y"), ptr)


def _object_arrays(argument):
    """Replace ragged arrays in an argument, or in a list of arguments, by their object arrays."""
    if isinstance(argument, RaggedArray):
        return argument.__array__()
    if isinstance(argument, list | tuple):
        return type(argument)(map(_object_arrays, argument))
    return argument
