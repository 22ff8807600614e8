"""Checks of zip archives of untrusted origin: what they would need in memory, before they are read."""

import io
import json
from math import prod
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from skstruct.io._array_files import BLOCK_BYTES, read_header

PARSED = 20  # most bytes in memory for each byte of JSON
COPIES = 3  # of an array while it is read
NODE_BYTES = 3000  # of an object while skops reads it
HEADER_BYTES = 2**16


class Budget:
    """Memory that may still be used.

    Parameters
    ----------
    max_bytes : int
    name : str
        Name of the file, for the message.
    """

    def __init__(self, max_bytes: int, name: str):
        self.max_bytes, self.name, self.used = max_bytes, name, 0

    def spend(self, n_bytes: int) -> None:
        """Count memory; raise a ValueError if it is more than allowed."""
        self.used += n_bytes
        if self.used > self.max_bytes:
            raise ValueError(
                f"{self.name} needs more than max_bytes={self.max_bytes} of memory to load, which is much for its "
                "size; pass a larger max_bytes if you know where it comes from"
            )


def stored_copy(file: Any, budget: Budget) -> Any:
    """Return an archive without compressed entries: the same file, or a copy in memory.

    A compressed entry can be longer than the archive says, and `ZipFile.read` would decompress all of it at once.
    Compressed entries are therefore copied in blocks, up to the size that the archive says.
    """
    with ZipFile(file) as archive:
        entries = archive.infolist()
        if len({entry.filename for entry in entries}) < len(entries):
            raise ValueError("it contains two files of one name")
        for entry in entries:
            if entry.compress_type not in (ZIP_STORED, ZIP_DEFLATED) or entry.flag_bits & 1:
                raise ValueError("it is encrypted, or compressed by a method other than ZIP_STORED and ZIP_DEFLATED")
            is_stored = entry.compress_type == ZIP_STORED
            most = entry.file_size if is_stored else 2 * entry.file_size + 1000  # deflate makes nothing much longer
            if entry.compress_size > most or (is_stored and entry.compress_size < most):
                raise ValueError(f"the sizes of {entry.filename:.100} contradict each other")
        if all(entry.compress_type == ZIP_STORED for entry in entries):
            return file
        budget.spend(sum(entry.file_size for entry in entries))
        copy = io.BytesIO()
        with ZipFile(copy, "w") as stored:
            for entry in entries:
                with archive.open(entry) as source, stored.open(entry.filename, "w") as target:
                    while block := source.read(BLOCK_BYTES):
                        target.write(block)
        return copy


def read_schema(archive: ZipFile, budget: Budget) -> list[dict]:
    """Parse the JSON file of a skops archive.

    Returns
    -------
    nodes : list of dict
        All dicts in the JSON file.
    """
    budget.spend(PARSED * archive.getinfo("schema.json").file_size)
    nodes, found = [json.loads(archive.read("schema.json"))], []
    while nodes:
        node = nodes.pop()
        if isinstance(node, dict):
            found.append(node)
        if isinstance(node, dict | list):
            nodes.extend(node.values() if isinstance(node, dict) else node)
    return found


def check_files(archive: ZipFile, nodes: list[dict], budget: Budget) -> None:
    """Count the memory of all objects, and of the files that they read; check the shapes of arrays."""
    nodes = [node for node in nodes if "__loader__" in node]
    budget.spend(NODE_BYTES * len(nodes))
    seen = set()  # an object that occurs twice is read once
    for node in nodes:
        name, key = node.get("file"), node.get("__id__")
        if not isinstance(name, str) or (key and (name, key) in seen):
            continue
        seen.add((name, key))
        entry = archive.getinfo(name)
        budget.spend(COPIES * entry.file_size)
        if node["__loader__"] == "SparseMatrixNode":
            _check_arrays(archive.read(entry), name, budget)
        elif node["__loader__"] not in ("BytesNode", "BytearrayNode"):
            with archive.open(entry) as file:
                _check_array(file.read(HEADER_BYTES), entry, name)


def _check_arrays(content: bytes, name: str, budget: Budget) -> None:
    """Check the arrays of a sparse matrix, which are an archive in the archive."""
    with ZipFile(io.BytesIO(content)) as inner:
        for entry in inner.infolist():
            budget.spend(COPIES * entry.file_size)
            with inner.open(entry) as file:
                _check_array(file.read(HEADER_BYTES), entry, f"{name}/{entry.filename:.100}")


def _check_array(start: bytes, entry: ZipInfo, name: str) -> None:
    """Compare the shape of an array with its size."""
    file = io.BytesIO(start)
    shape, _, dtype = read_header(file, name)
    if dtype.hasobject or not dtype.itemsize:
        raise ValueError(f"{name} has the dtype {dtype!s:.100}")
    size = prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or file.tell() + size != entry.file_size:
        raise ValueError(f"{name} should have {size} bytes of data by its shape {shape!s:.100}, but has another size")
