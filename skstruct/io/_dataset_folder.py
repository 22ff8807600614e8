"""Datasets as folders of .npy files and a JSON file, which can be mapped into memory."""

import json
import os
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np

from skstruct.data.dataset import GraphDataset
from skstruct.data.graph_input import as_dataset
from skstruct.data.ragged import RaggedArray, as_ragged
from skstruct.io._array_files import is_storable, open_regular, read_array, write_array
from skstruct.io._table_arrays import PARTS, table_arrays, table_of
from skstruct.version import VERSION, refuse_newer

FORMAT, FORMAT_VERSION = "skstruct dataset", 1
INDEX = "dataset.json"
MAX_INDEX_BYTES = 2**20  # the file has about 2,000 bytes
STRUCTURE = ("node_ptr", "edge_ptr", "edges")
TABLES = ("node_features", "edge_features")


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
    dataset = as_dataset(X)
    arrays = {name: getattr(dataset, name) for name in STRUCTURE}
    kinds: dict[str, Any] = {}
    for name in TABLES:
        kinds[name], parts = table_arrays(getattr(dataset, name), name)
        arrays |= {name + part: array for part, array in parts.items()}
    if y is not None:
        arrays["y"] = _labels(y, dataset)
    folder = _path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty; save to a new folder, or delete the files of this one first")
    records = {name: write_array(folder / f"{name}.npy", array) for name, array in arrays.items()}
    _write_index(folder, {**kinds, "arrays": records})


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
    content["crc32"] = _checksum(content)
    temporary = folder / f"{INDEX}.partial"
    temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
    os.replace(temporary, folder / INDEX)


def _checksum(content):
    return zlib.crc32(json.dumps(content, sort_keys=True).encode())


def load_dataset(
    folder: Any, mmap_mode: Literal["r", "c"] | None = "r", *, verify: bool = True
) -> tuple[GraphDataset, RaggedArray | None]:
    """Load a folder that `save_dataset` has written.

    Nothing in the folder is executed, and no pickles are read. A folder from elsewhere can therefore be loaded: a file
    that is damaged, or differs from the saved one, ends in an error. Memory beyond that of the arrays is allocated
    only in proportion to the numbers of graphs and edges.

    Parameters
    ----------
    folder : path
    mmap_mode : {"r", "c"} or None, default="r"
        "r" maps the arrays into memory, read-only: they are read from the disk when they are used, and may be larger
        than memory. "c" allows changes, which are not written to the disk. None reads the arrays into memory. Lists of
        strings or dicts are always read into memory. Do not change the files while a dataset is mapped to them.
    verify : bool, default=True
        Whether to compare checksums, which reads all files once, at about 1 GB/s. With False, the types and shapes of
        all arrays, the edges and the columns of sparse features are checked, but changed values of features and labels
        are not noticed.

    Returns
    -------
    X : GraphDataset
    y : RaggedArray or None
        None if no labels were saved.

    Raises
    ------
    ValueError
        If the folder is no complete dataset, a file is damaged, or a newer version of skstruct has written it. The
        message names the file.
    """
    if mmap_mode not in ("r", "c", None):
        raise ValueError(f'mmap_mode must be "r", "c" or None, got {mmap_mode!r}')
    folder = _path(folder)
    index = _read_index(folder)
    records = index["arrays"]
    arrays = {name: read_array(folder / f"{name}.npy", records[name], mmap_mode, verify) for name in records}
    try:
        tables = {name: table_of(index[name], name, arrays) for name in TABLES}
        dataset = GraphDataset(**tables, **{name: arrays[name] for name in STRUCTURE})
        return dataset, RaggedArray(arrays["y"], dataset.node_ptr) if "y" in arrays else None
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"{folder} is no valid dataset: {error}") from error


def _read_index(folder):
    """Content of the JSON file, whose keys, kinds and versions are checked."""
    path = folder / INDEX
    if not path.exists():
        raise ValueError(f"{folder} has no file {INDEX}: it is no saved dataset, or writing it was interrupted")
    with open_regular(path) as file:
        text = file.read(MAX_INDEX_BYTES + 1)
    if len(text) > MAX_INDEX_BYTES:
        raise ValueError(f"{path} has more than {MAX_INDEX_BYTES} bytes, which is too much for a dataset")
    try:
        content = json.loads(text)
        if content["format"] != FORMAT:
            raise ValueError(f"the format is {content['format']!s:.50}")
        version = content["format_version"], content["skstruct"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"{path} does not describe a dataset: {type(error).__name__}: {error!s:.200}") from error
    refuse_newer(version[1], str(folder))
    if version[0] != FORMAT_VERSION:
        raise ValueError(f"{path} has the format version {version[0]!r:.50}, but {FORMAT_VERSION} is known")
    expected = {"format", "format_version", "skstruct", *TABLES, "arrays", "crc32"}
    checksum = content.pop("crc32", None)
    if {*content, "crc32"} != expected or checksum != _checksum(content):
        raise ValueError(f"{path} is damaged: its checksum or its keys are wrong")
    _check_names(path, content)
    return content


def _check_names(path, content):
    """Refuse a JSON file that does not list the arrays of its kinds of features."""
    try:
        names = {name + part for name in TABLES if content[name] for part in PARTS[content[name]["kind"]]}
        good = names | {*STRUCTURE} == {*content["arrays"]} - {"y"} and content["node_features"] is not None
    except (TypeError, KeyError):
        good = False
    if not good:
        raise ValueError(f"{path} does not list the arrays of a dataset")


def _path(folder):
    if not isinstance(folder, str | os.PathLike):
        raise TypeError(f"folder must be a path, got {folder!r}")
    return Path(folder)
