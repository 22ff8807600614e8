"""Arrays in .npy files, of numbers and strings only, with a record of type, shape and checksum."""

import os
import stat
import zlib
from collections.abc import Iterator
from math import prod
from typing import Any, Literal

import numpy as np

BLOCK_BYTES = 2**22  # of an array that is written or verified at once
READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def is_storable(dtype: np.dtype) -> bool:
    """Whether arrays of a dtype can be saved: booleans, numbers of up to 8 bytes, and strings of a fixed length."""
    return 0 < dtype.itemsize <= 8 if dtype.kind in "biuf" else dtype.kind in "US" and dtype.itemsize > 0


def write_array(path: os.PathLike, array: np.ndarray) -> dict[str, Any]:
    """Write an array to a new .npy file: little-endian, row by row.

    Parameters
    ----------
    path : path
    array : ndarray of booleans, numbers or strings
        It is read in blocks: little memory is needed for an array that is memory-mapped or has another order.

    Returns
    -------
    record : dict
        ``"dtype"``, ``"shape"`` and ``"crc32"``, the checksum of the data followed by the header of the file: an array
        can be written in pieces, and its header last.
    """
    dtype = array.dtype.newbyteorder("<")
    checksum = 0
    with open(path, "xb+") as file:
        header = {"descr": dtype.str, "fortran_order": False, "shape": array.shape}
        np.lib.format.write_array_header_1_0(file, header)
        offset = file.tell()
        for rows in _blocks(array.shape, dtype.itemsize):
            data = np.ascontiguousarray(array[rows], dtype).tobytes()
            checksum = zlib.crc32(data, checksum)
            file.write(data)
        file.seek(0)
        checksum = zlib.crc32(file.read(offset), checksum)
    return {"dtype": dtype.str, "shape": list(array.shape), "crc32": checksum}


def _blocks(shape: tuple[int, ...], itemsize: int) -> Iterator[slice]:
    """Slices of the rows of an array."""
    step = max(1, BLOCK_BYTES // max(1, itemsize * prod(shape[1:])))
    return (slice(start, start + step) for start in range(0, shape[0], step))


def read_array(path: os.PathLike, record: Any, mmap_mode: Literal["r", "c"] | None, verify: bool) -> np.ndarray:
    """Read an array that `write_array` has written, or map it into memory.

    Nothing is allocated before the size of the file agrees with the record. Nothing but the header and numbers or
    characters is read: no objects, and so no pickles.

    Parameters
    ----------
    path : path
    record : dict
        As `write_array` returns it.
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
