"""Datasets are written to folders of .npy files and a JSON file, at once or in pieces."""

import json
import os
from typing import Any

import numpy as np

from skstruct.data.graph_input import as_dataset
from skstruct.data.ragged import as_ragged
from skstruct.data.structure import MAX_EDGES, MAX_NODES
from skstruct.io._array_files import ArrayWriter, is_storable
from skstruct.io._dataset_folder import (
    FORMAT,
    FORMAT_VERSION,
    INDEX,
    STRUCTURE,
    TABLES,
    checksum_of,
    folder_path,
)
from skstruct.io._table_arrays import table_arrays
from skstruct.version import VERSION

OFFSETS = ("node_ptr", "edge_ptr", ".indptr", ".text_ptr")  # ends of the names of arrays of offsets
INDEX_TYPES = {np.dtype(t): np.iinfo(t).max for t in (np.int32, np.int64)}  # of offsets, with their largest number


def save_dataset(folder: Any, X: Any, y: Any = None) -> None:
    """Save graphs, and labels, as a folder of ``.npy`` files and a JSON file.

    The folder contains no pickles. Other programs can read its arrays by any reader of ``.npy`` files. The file
    ``dataset.json`` is written last: a folder whose writing was interrupted has no such file, and cannot be loaded.

    Parameters
    ----------
    folder : path
        It must not exist, or must be empty: other datasets may be mapped to the files of a folder.
    X : GraphDataset, NodeView, or list of graphs
        Features are arrays of numbers or strings, sparse matrices, or lists of strings or of dicts.
    y : RaggedArray or list of array-like, default=None
        Labels of the nodes: booleans, numbers or strings.

    Raises
    ------
    FileExistsError
        If the folder contains files.
    TypeError
        If features or labels are objects of another type, for example in a data frame.
    ValueError
        If `y` does not fit the graphs.

    See Also
    --------
    load_dataset : Load the folder.
    DatasetWriter : Write a folder in pieces.

    Notes
    -----
    The files, whose rows are those of a `GraphDataset`, are

    =============================================  ================================================================
    ``node_ptr.npy``, ``edge_ptr.npy``             offsets of the nodes and edges of each graph
    ``edges.npy``                                  pairs of node numbers within the graph
    ``node_features.npy``                          features of the nodes, if they are an array
    ``node_features.data.npy``, ``.indices.npy``,  the three arrays of a CSR matrix
    ``.indptr.npy``
    ``node_features.text.npy``, ``.text_ptr.npy``  UTF-8 bytes of strings, or of the JSON of dicts, and offsets of rows
    ``edge_features...``                           likewise, if there are edge features
    ``y.npy``                                      labels of the nodes, if there are labels
    ``dataset.json``                               versions, kinds of features, and dtype, shape and CRC-32 checksum of
                                                   each array
    =============================================  ================================================================

    Arrays are little-endian and grow along their first axis.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from skstruct import GraphDataset
    >>> from skstruct.io import load_dataset, save_dataset
    >>> X = GraphDataset.from_sequences([[[1.0], [2.0]], [[3.0], [4.0], [5.0]]])
    >>> folder = mkdtemp()
    >>> save_dataset(folder, X, [["a", "b"], ["b", "a", "a"]])
    >>> X, y = load_dataset(folder)
    >>> X, y.tolist()
    (GraphDataset(n_graphs=2, n_nodes=5, n_edges=3, n_features=1), [['a', 'b'], ['b', 'a', 'a']])
    """
    with DatasetWriter(folder) as writer:
        writer.write(X, y)


class DatasetWriter:
    """Write a dataset to a folder in pieces, each of which fits into memory.

    The folder has the format of `save_dataset`, and `load_dataset` loads it as one dataset. A piece consists of graphs
    and their labels. Memory is that of one piece.

    The file ``dataset.json`` is written last, by `close`. A folder whose writing was interrupted has no such file, and
    `load_dataset` and `DatasetWriter` refuse it: delete it, and write it again. At the end of a ``with`` block the
    writer is closed; if an error has ended the block, the folder stays without ``dataset.json``.

    Parameters
    ----------
    folder : path
        It must not exist, or must be empty. The first call of `write` makes it.

    Attributes
    ----------
    n_graphs, n_nodes, n_edges : int
        Numbers of graphs, nodes and edges that have been written.

    Raises
    ------
    FileExistsError
        If the folder contains files.

    See Also
    --------
    save_dataset : Write a dataset at once.
    load_dataset : Load the folder.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from skstruct.datasets import make_chain
    >>> from skstruct.io import DatasetWriter, load_dataset
    >>> folder = mkdtemp()
    >>> with DatasetWriter(folder) as writer:
    ...     for seed in range(3):
    ...         writer.write(*make_chain(n_graphs=10, return_X_y=True, random_state=seed))
    >>> X, y = load_dataset(folder)
    >>> len(X), len(y)
    (30, 30)
    """

    def __init__(self, folder: Any):
        self.folder = folder_path(folder)
        self.n_graphs = self.n_nodes = self.n_edges = 0
        self.closed = False
        self._n_pieces = 0
        self._arrays: dict[str, ArrayWriter] = {}
        self._kinds: dict[str, Any] = {}  # of tables that have rows
        self._ends: dict[str, int] = {}  # last number in each array of offsets
        self._without_rows: dict[str, Any] = {}  # kinds and arrays of tables in pieces where they have no rows
        self._refuse_files()

    def _refuse_files(self):
        if self.folder.exists() and any(self.folder.iterdir()):
            raise FileExistsError(
                f"{self.folder} is not empty; save to a new folder, or delete the files of this one first"
            )

    def write(self, X: Any, y: Any = None) -> None:
        """Append graphs, and their labels.

        Parameters
        ----------
        X : GraphDataset, NodeView, or list of graphs
            As in `save_dataset`. All pieces have the same kind of features, and the same number of features. Types of
            numbers and strings may become wider from piece to piece, but not change their kind.
        y : RaggedArray or list of array-like, default=None
            Labels of the nodes, for all pieces or for none.

        Raises
        ------
        TypeError
            If features or labels are objects of another type, for example in a data frame.
        ValueError
            If `y` does not fit the graphs, or if the piece differs from earlier pieces. Nothing is then written, and
            the writer can be used further.
        """
        if self.closed:
            raise ValueError(f"the writer of {self.folder} is closed")
        dataset = as_dataset(X)
        arrays = {name: getattr(dataset, name) for name in STRUCTURE}
        kinds = {}
        for name, n_rows, kind, parts in self._tables(dataset, y):
            if n_rows:
                kinds[name] = kind
                arrays |= parts
            else:  # such a table does not show its kind
                self._without_rows.setdefault(name, (kind, parts))
        ends = {name: self._ends.get(name, 0) + int(a[-1]) for name, a in arrays.items() if name.endswith(OFFSETS)}
        self._continue_offsets(arrays, ends)
        self._check(dataset, kinds, arrays)
        if not self._n_pieces:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._refuse_files()
        try:
            self._append(arrays)
        except BaseException:  # such as a full disk, or Ctrl-C: the arrays do not fit each other any more
            self._abandon()
            raise
        self._kinds |= kinds
        self._ends |= ends
        self._n_pieces += 1
        self.n_graphs += len(dataset)
        self.n_nodes += dataset.n_nodes
        self.n_edges += dataset.n_edges

    def _tables(self, dataset, y):
        """Name, number of rows, kind, and arrays of each table."""
        for name, n_rows in zip(TABLES, (dataset.n_nodes, dataset.n_edges)):
            kind, parts = table_arrays(getattr(dataset, name), name)
            yield name, n_rows, kind, {name + part: array for part, array in parts.items()}
        labels = {} if y is None else {"y": _labels(y, dataset)}
        yield "y", dataset.n_nodes, {"kind": "array"} if labels else None, labels

    def _continue_offsets(self, arrays, ends):
        """Let offsets continue those of earlier pieces; numbers of a CSR matrix become longer if they must."""
        for name in ends.keys() & self._ends.keys():
            array = arrays[name]
            dtype = array.dtype if ends[name] <= INDEX_TYPES[array.dtype] else np.dtype(np.int64)
            arrays[name] = (array[1:].astype(np.int64) + self._ends[name]).astype(dtype)
            indices = name.removesuffix("indptr") + "indices"
            if name != indices and indices in arrays:  # of the type of `indptr`
                arrays[indices] = arrays[indices].astype(dtype, copy=False)

    def _check(self, dataset, kinds, arrays):
        """Refuse a piece that differs from earlier ones."""
        sizes = self.n_nodes + dataset.n_nodes, self.n_edges + dataset.n_edges
        if sizes[0] >= MAX_NODES or sizes[1] >= MAX_EDGES:
            raise ValueError(
                f"a dataset has at most 2**31 - 1 nodes and 2**30 - 1 edges, got {sizes[0]} and {sizes[1]} with piece "
                f"{self._n_pieces}; write several datasets"
            )
        for name, kind in kinds.items():
            if name in self._kinds and self._kinds[name] != kind:
                raise ValueError(
                    f"{name} of piece {self._n_pieces}: {_describe(kind)}; of earlier pieces: "
                    f"{_describe(self._kinds[name])}. All pieces must have the same"
                )
        try:
            for name, array in arrays.items():
                if name in self._arrays:
                    self._arrays[name].dtype_with(array)
        except ValueError as error:
            raise ValueError(f"piece {self._n_pieces}: {error}") from error

    def _append(self, arrays):
        for name in arrays:
            if name not in self._arrays:
                self._arrays[name] = ArrayWriter(self.folder / f"{name}.npy")
        for name, array in arrays.items():
            self._arrays[name].append(array)

    def close(self) -> None:
        """Complete the folder. A second call does nothing.

        Raises
        ------
        ValueError
            If nothing has been written.
        """
        if self.closed:
            return
        if not self._n_pieces:
            self.closed = True
            raise ValueError(f"nothing was written to {self.folder}; a dataset has at least one piece")
        try:
            for name, (kind, parts) in self._without_rows.items():
                if name not in self._kinds:
                    self._kinds[name] = kind
                    self._append(parts)
            records = {name: self._arrays[name].close() for name in self._arrays}
            kinds = {name: self._kinds[name] for name in TABLES}
            _write_index(self.folder, {**kinds, "arrays": records})
        finally:
            self._abandon()

    def _abandon(self):
        """Close the files."""
        self.closed = True
        for array in self._arrays.values():
            array.file.close()

    def __enter__(self):
        return self

    def __exit__(self, error, *_):
        if error is None:
            self.close()
        else:
            self._abandon()

    def __repr__(self):
        counts = f"n_graphs={self.n_graphs}, n_nodes={self.n_nodes}, n_edges={self.n_edges}"
        return f"DatasetWriter({str(self.folder)!r}, {counts}, closed={self.closed})"


def _describe(kind):
    return "none" if kind is None else ", ".join(f"{name} {value}" for name, value in kind.items())


def _labels(y, dataset):
    """Labels of the nodes as an array that can be stored."""
    y = as_ragged(y)
    if not np.array_equal(y.ptr, dataset.node_ptr):
        if len(y) != len(dataset):
            raise ValueError(f"y has {len(y)} graphs, but X has {len(dataset)}")
        g = int(np.flatnonzero(np.diff(y.ptr) != np.diff(dataset.node_ptr))[0])
        sizes = len(y[g]), int(np.diff(dataset.node_ptr)[g])
        raise ValueError(f"graph {g} has {sizes[0]} labels in y, but {sizes[1]} nodes in X")
    values = y.values
    if values.dtype == object and all(isinstance(value, str) for value in values.ravel().tolist()):
        values = values.astype(str)
    if not is_storable(values.dtype):
        raise TypeError(
            f"y has the dtype {values.dtype}; labels must be booleans, numbers or strings to be saved. Replace missing "
            "labels by a number or a string, and name it in missing_label"
        )
    return values


def _write_index(folder, content):
    """Write the JSON file under another name, and rename it: it is whole, or it does not exist."""
    content = {"format": FORMAT, "format_version": FORMAT_VERSION, "skstruct": VERSION, **content}
    content["crc32"] = checksum_of(content)
    temporary = folder / f"{INDEX}.partial"
    temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
    os.replace(temporary, folder / INDEX)
