"""Datasets in folders of .npy files and a JSON file, which can be mapped into memory, are loaded."""

import json
import os
import zlib
from pathlib import Path
from typing import Any, Literal

from skstruct.data.dataset import GraphDataset
from skstruct.data.ragged import RaggedArray
from skstruct.io._array_files import open_regular, read_array
from skstruct.io._table_arrays import PARTS, table_of
from skstruct.version import refuse_newer

FORMAT, FORMAT_VERSION = "skstruct dataset", 1
INDEX = "dataset.json"
MAX_INDEX_BYTES = 2**20  # the file has about 2,000 bytes
STRUCTURE = ("node_ptr", "edge_ptr", "edges")
TABLES = ("node_features", "edge_features")


def checksum_of(content):
    """Checksum of the content of the JSON file without its checksum."""
    return zlib.crc32(json.dumps(content, sort_keys=True).encode())


def load_dataset(
    folder: Any, mmap_mode: Literal["r", "c"] | None = "r", *, verify: bool = True
) -> tuple[GraphDataset, RaggedArray | None]:
    """Load a folder that `save_dataset` or `DatasetWriter` has written.

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

    See Also
    --------
    predict_to_file : Predict a dataset that is larger than memory.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from skstruct.datasets import make_chain
    >>> from skstruct.io import load_dataset, save_dataset
    >>> folder = mkdtemp()
    >>> save_dataset(folder, *make_chain(n_graphs=10, return_X_y=True, random_state=0))
    >>> X, y = load_dataset(folder)
    >>> X.node_features.flags.writeable
    False
    """
    if mmap_mode is not None and (not isinstance(mmap_mode, str) or mmap_mode not in ("r", "c")):
        raise ValueError(f'mmap_mode must be "r", "c" or None, got {mmap_mode!r}')
    folder = folder_path(folder)
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
    if {*content, "crc32"} != expected or checksum != checksum_of(content):
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


def folder_path(folder):
    """Return the path of a folder; refuse what is no path."""
    if not isinstance(folder, str | os.PathLike):
        raise TypeError(f"folder must be a path, got {folder!r}")
    return Path(folder)
