"""The machine: binding to one core, memory of this process, and the environment of the results.

The module imports the standard library only, so that it adds little to the memory of a measured process.
"""

import ctypes
import gc
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

try:
    import resource
except ImportError:  # Windows
    resource = None

PACKAGES = [
    "skstruct",
    "numpy",
    "scipy",
    "scikit-learn",
    "numba",
    "python-crfsuite",
    "sklearn-crfsuite",
    "pgmpy",
    "PyMaxflow",
    "torch",
    "pytorch-crf",
]
VECTORS = {"avx512f": "AVX-512", "avx2": "AVX2", "avx": "AVX", "neon": "NEON"}  # in decreasing width
_CORES: set[int] = set()  # allowed cores before `pin`


class Seconds(float):
    """Time that a function has measured itself, such as the time of one step. It replaces the total time."""


def pin():
    """Bind this process and its children to one core, if possible, and return the number of the core."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    cores = os.sched_getaffinity(0)
    _CORES.update(cores)
    os.sched_setaffinity(0, {max(cores)})
    return max(cores)


def unpin():
    """Allow all cores again, for measurements of threads, and return their number."""
    if _CORES:
        os.sched_setaffinity(0, _CORES)
    return len(_CORES) or os.cpu_count() or 1


def rise_of_memory(function):
    """Call a function and return the increase of the resident memory in MB; nan where it cannot be measured."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)  # glibc: returns free memory, whose reuse would not be visible
        Path("/proc/self/clear_refs").write_text("5")  # Linux: resets the peak to what is resident now
        before = _resident("VmRSS")
    except (OSError, AttributeError, TypeError):
        before = None
    grown = _maximum()
    function()
    if before is not None:
        return max(0.0, _resident("VmHWM") - before)
    return _maximum() - grown  # valid only for the first engine that reaches a peak


def peak_memory():
    """Largest resident size of this process so far, in MB; nan where it cannot be measured."""
    try:
        return _resident("VmHWM")  # Linux: unlike `ru_maxrss`, without the peak of the process that started this one
    except (OSError, KeyError):
        return _maximum()


def anonymous_memory(process):
    """Anonymous memory of a process in MB, given its number or "self" (Linux); 0 if it has ended."""
    try:
        return _resident("RssAnon", process)
    except (OSError, KeyError):
        return 0.0


def _resident(key, process="self"):
    """Read a memory size in MB from the status file of a process (Linux)."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise KeyError(key)


def _maximum():
    if resource is None:
        return float("nan")
    unit = 1 if sys.platform == "darwin" else 1024  # bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def environment(core):
    """Versions and properties of the machine that do not identify it."""
    from llvmlite.binding import get_host_cpu_features

    features = get_host_cpu_features()
    found = {"python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}"}
    found["vectors"] = next((name for flag, name in VECTORS.items() if features.get(flag)), "unknown")
    found["cores"] = os.cpu_count()
    found["pinned"] = core is not None
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
