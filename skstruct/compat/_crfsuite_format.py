"""The format of the model files of CRFsuite. Every number of a file is checked before it is used.

A file consists of a header, a table of weights, and two tables of names: of the labels, and of the attributes. A table
of names is a "constant quark database" (CQDB). Its end is a list of the positions of the names, in the order of their
numbers. All numbers are little-endian.
"""

from os import PathLike
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array

MAGIC = b"lCRF"
HEADER = np.dtype(
    [  # weights, labels and attributes are the positions of their tables
        ("magic", "S4"),
        ("size", "<u4"),
        ("type", "S4"),
        ("version", "<u4"),
        ("reserved", "<u4"),
        ("n_labels", "<u4"),
        ("n_attributes", "<u4"),
        ("weights", "<u4"),
        ("labels", "<u4"),
        ("attributes", "<u4"),
        ("others", "<u4", 2),
    ]
)
WEIGHT = np.dtype([("kind", "<u4"), ("source", "<u4"), ("label", "<u4"), ("weight", "<f8")])
WEIGHTS = np.dtype([("name", "S4"), ("size", "<u4"), ("number", "<u4")])  # before the weights
NAMES = np.dtype([("name", "S4"), ("others", "<u4", 3), ("number", "<u4"), ("list", "<u4")])  # before a table of names
NAME = np.dtype([("number", "<i4"), ("length", "<u4")])  # before a name, whose length includes a null character
STATE, TRANSITION = 0, 1  # kinds of weights


def is_crfsuite(path: str | PathLike) -> bool:
    """Whether a file begins like a model of CRFsuite."""
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def read_model(path: str | PathLike) -> tuple[list[str], list[str], csr_array, np.ndarray]:
    """Read a model file.

    Parameters
    ----------
    path : path

    Returns
    -------
    labels : list of str
        In the order of their numbers.
    attributes : list of str
        In the order of their numbers.
    states : csr_array of shape (n_labels, n_attributes)
        Weights.
    transitions : ndarray of shape (n_labels, n_labels)
        Weights. Rows are the labels of the first token.

    Raises
    ------
    ValueError
        If the file is no model of CRFsuite, or is damaged.
    """
    data = Path(path).read_bytes()
    if not data.startswith(MAGIC):
        raise ValueError(f"{path} is no model file of CRFsuite: it does not begin with {MAGIC!r}")
    try:
        return _content(data)
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def _content(data):
    header = _records(data, 0, HEADER, 1)[0]
    if header["size"] != len(data):
        raise ValueError(f"it has {len(data)} bytes instead of {header['size']}")
    labels = _names(data, int(header["labels"]), int(header["n_labels"]))
    attributes = _names(data, int(header["attributes"]), int(header["n_attributes"]))
    if not labels:
        raise ValueError("it has no labels")
    start = int(header["weights"])
    number = int(_records(data, start, WEIGHTS, 1)[0]["number"])
    weights = _records(data, start + WEIGHTS.itemsize, WEIGHT, number)
    if not np.isfinite(weights["weight"]).all():
        raise ValueError("a weight is not finite")
    states, transitions = (
        _matrix(weights[weights["kind"] == kind], len(names), len(labels))
        for kind, names in ((STATE, attributes), (TRANSITION, labels))
    )
    return labels, attributes, csr_array(states.T), transitions.toarray()


def _matrix(weights, n_sources, n_labels):
    """Weights by source and label."""
    if (weights["source"] >= n_sources).any() or (weights["label"] >= n_labels).any():
        raise ValueError("a weight belongs to a name that is not in the file")
    ends = weights["source"].astype(np.int32), weights["label"].astype(np.int32)
    return csr_array((weights["weight"], ends), shape=(n_sources, n_labels))


def _names(data, start, number):
    """Names in the order of their numbers."""
    table = _records(data, start, NAMES, 1)[0]
    if table["number"] < number:
        raise ValueError(f"it has {table['number']} names instead of {number}")
    names = []
    for k, at in enumerate(_records(data, start + int(table["list"]), np.dtype("<u4"), number).tolist()):
        record = _records(data, start + at, NAME, 1)[0]
        name = _records(data, start + at + NAME.itemsize, np.dtype("u1"), int(record["length"])).tobytes()
        if record["number"] != k or not name.endswith(b"\0"):
            raise ValueError(f"the position of name {k} is wrong")
        names.append(name[:-1].decode())
    if len(set(names)) < len(names):
        raise ValueError("a name occurs twice")
    return names


def _records(data, start, dtype, number):
    """Records of the file, (number,)."""
    if start + number * dtype.itemsize > len(data):
        raise ValueError(f"it is too short for {number} records of {dtype.itemsize} bytes at byte {start}")
    return np.frombuffer(data, dtype, number, start)
