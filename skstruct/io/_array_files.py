"""Arrays in .npy files, of numbers and strings only, with a record of type, shape and checksum."""

import os
import stat
import zlib
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np

BLOCK_BYTES = 2**22  # of an array that is written or verified at once
READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def is_storable(dtype: np.dtype) -> bool:
    """Whether arrays of a dtype can be saved: booleans, numbers of up to 8 bytes, and strings of a fixed length."""
    return 0 < dtype.itemsize <= 8 if dtype.kind in "biuf" else dtype.kind in "US" and dtype.itemsize > 0


class ArrayWriter:
    """Writes an array to a new .npy file, little-endian, in pieces of consecutive rows.

    The header is written last, by `close`. Memory is that of a block, also for pieces that are memory-mapped or have
    another order.

    Parameters
    ----------
    path : path
        There must be no such file.
    """

    def __init__(self, path: os.PathLike):
        self.path = Path(path)
        self.file = self.path.open("xb+")
        self.dtype: Any = None  # that of the file; None: no piece has been written
        self.shape: tuple[int, ...] = (0,)
        self.checksum = self.offset = 0

    def dtype_with(self, array: np.ndarray) -> np.dtype:
        """Dtype of the whole array after `array` is appended: the wider one of two dtypes of the same kind.

        Raises
        ------
        ValueError
            If the kind of the dtype, or the shape of a row, differs from that of earlier pieces.
        """
        if self.dtype is None:
            return array.dtype.newbyteorder("<")
        if array.dtype.kind != self.dtype.kind or array.shape[1:] != self.shape[1:]:
            raise ValueError(
                f"the array {self.path.stem} has the dtype {array.dtype} and rows of shape {array.shape[1:]}, but "
                f"{self.dtype} and {self.shape[1:]} in earlier pieces; convert it"
            )
        return np.promote_types(array.dtype, self.dtype).newbyteorder("<")

    def append(self, array: np.ndarray) -> None:
        """Append rows; if their dtype is wider than that of earlier rows, the file is written again."""
        dtype = self.dtype_with(array)
        if self.dtype is None:
            self._begin(dtype, array.shape[1:])
        elif dtype != self.dtype:
            self._widen(dtype)
        self._write(array)

    def _begin(self, dtype, row_shape):
        self.dtype, self.shape, self.checksum = dtype, (0, *row_shape), 0
        self._write_header()
        self.offset = self.file.tell()

    def _write_header(self):
        header = {"descr": self.dtype.str, "fortran_order": False, "shape": self.shape}
        np.lib.format.write_array_header_1_0(self.file, header)  # any number of rows has a header of the same length

    def _write(self, array):
        for rows in _blocks(array.shape, self.dtype.itemsize):
            data = np.ascontiguousarray(array[rows], self.dtype).tobytes()
            self.checksum = zlib.crc32(data, self.checksum)
            self.file.write(data)
        self.shape = (self.shape[0] + len(array), *self.shape[1:])

    def _widen(self, dtype):
        """Write the rows again with another dtype."""
        narrow = self.path.with_name(f"{self.path.name}.narrow")
        self.file.close()
        os.replace(self.path, narrow)
        old_dtype, shape = self.dtype, self.shape
        with open(narrow, "rb") as old:
            old.seek(self.offset)
            self.file = self.path.open("xb+")
            self._begin(dtype, shape[1:])
            for rows in _blocks(shape, old_dtype.itemsize):
                n = min(rows.stop, shape[0]) - rows.start
                self._write(np.fromfile(old, old_dtype, n * prod(shape[1:])).reshape(n, *shape[1:]))
        os.remove(narrow)

    def close(self) -> dict[str, Any]:
        """Complete the file.

        Returns
        -------
        record : dict
            ``"dtype"``, ``"shape"`` and ``"crc32"``, the checksum of the data followed by the header of the file.
        """
        assert self.dtype is not None, "no piece has been written"
        with self.file:
            self.file.seek(0)
            self._write_header()
            self.file.seek(0)
            checksum = zlib.crc32(self.file.read(self.offset), self.checksum)
        return {"dtype": self.dtype.str, "shape": list(self.shape), "crc32": checksum}


def _blocks(shape: tuple[int, ...], itemsize: int) -> Iterator[slice]:
    """Slices of the rows of an array."""
    step = max(1, BLOCK_BYTES // max(1, itemsize * prod(shape[1:])))
    return (slice(start, start + step) for start in range(0, shape[0], step))


def read_array(path: os.PathLike, record: Any, mmap_mode: Literal["r", "c"] | None, verify: bool) -> np.ndarray:
    """Read an array that `ArrayWriter` has written, or map it into memory.

    Nothing is allocated before the size of the file agrees with the record. Nothing but the header and numbers or
    characters is read: no objects, and so no pickles.

    Parameters
    ----------
    path : path
    record : dict
        As `ArrayWriter.close` returns it.
    mmap_mode : {"r", "c"} or None
        None reads the array into memory.
    verify : bool
        Whether to compare the checksum, which reads the whole file.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If the file is missing, or is not what the record says.
    """
    dtype, shape, checksum = _checked_record(path, record)
    size = prod(shape) * dtype.itemsize
    if not os.path.exists(path):
        raise ValueError(f"{path} is missing")
    with open_regular(path) as file:
        offset = _check_header(file, path, dtype, shape)
        found = os.fstat(file.fileno()).st_size - offset
        if found != size:
            problem = "it is truncated" if found < size else "bytes were added"
            raise ValueError(f"{path} has {found} bytes of data, but {size} were saved: {problem}")
        if verify:
            _verify(file, path, offset, checksum)
        if not size:
            return np.zeros(shape, dtype)
        if mmap_mode is not None:
            return np.asarray(np.memmap(file, dtype, mmap_mode, offset, shape))
        file.seek(offset)
        return np.fromfile(file, dtype, prod(shape)).reshape(shape)


def open_regular(path: os.PathLike):
    """Open a file to read bytes; pipes and devices, whose reading may never end, are refused."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ValueError(f"{path} is not a regular file")
    return open(path, "rb")


def _checked_record(path, record):
    """Dtype, shape and checksum of a record that may be malformed."""
    try:
        dtype, shape, checksum = np.dtype(record["dtype"]), tuple(record["shape"]), record["crc32"]
        good = dtype.str == record["dtype"] and is_storable(dtype) and dtype.isnative and len(record) == 3
        good = good and 1 <= len(shape) <= 8 and all(type(n) is int and n >= 0 for n in shape)
        good = good and prod(max(n, 1) for n in shape) * dtype.itemsize < 2**63  # also where a 0 makes the array empty
    except (TypeError, KeyError, ValueError, AttributeError):
        good = False
    if not good or type(checksum) is not int:
        raise ValueError(f"the record of {path} is malformed: {record!s:.200}")
    return dtype, shape, checksum


def read_header(file: Any, name: Any) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether the order is that of Fortran, and dtype of a .npy file, which is left where the data begin."""
    try:
        return READERS[np.lib.format.read_magic(file)](file)
    except Exception as error:  # the parser of a damaged header can raise nearly anything
        raise ValueError(f"{name} has no valid .npy header: {error!s:.200}") from error


def _check_header(file, path, dtype, shape):
    """Compare the header with dtype and shape, and return where the data begin."""
    header = read_header(file, path)
    if header != (shape, False, dtype):
        raise ValueError(
            f"{path} has the header {header!s:.200}, but an array of shape {shape} and dtype {dtype} was saved"
        )
    return file.tell()


def _verify(file, path, offset, checksum):
    found = 0
    file.seek(offset)
    while block := file.read(BLOCK_BYTES):
        found = zlib.crc32(block, found)
    file.seek(0)
    found = zlib.crc32(file.read(offset), found)
    if found != checksum:
        raise ValueError(f"{path} is damaged: its checksum is {found}, but {checksum} was saved")
