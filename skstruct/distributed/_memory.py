"""How the processes of workers return memory to the operating system."""

import ctypes
import os
import platform

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # names of parameters in malloc.h
KEPT_BYTES = 2**25  # freed memory that a worker keeps; the largest value that glibc accepts for the second parameter


def keep_freed_memory() -> None:
    """Let this process keep some freed memory, if Dask has configured it to keep none.

    Dask starts the processes of workers with the variable MALLOC_TRIM_THRESHOLD_ at 64 kB. Each temporary array is then
    new memory, which the operating system clears page by page. This doubles the time of an evaluation.
    """
    if "MALLOC_TRIM_THRESHOLD_" in os.environ and platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        for parameter in (TRIM_THRESHOLD, MMAP_THRESHOLD):
            libc.mallopt(parameter, KEPT_BYTES)
