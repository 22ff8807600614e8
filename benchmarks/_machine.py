"""The machine: one core for all that is timed, memory of this process, and what the results depend on.

Imports the standard library only, so that a process that is measured has no more in its memory.
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
VECTORS = {"avx512f": "AVX-512", "avx2": "AVX2", "avx": "AVX", "neon": "NEON"}  # the widest first
_CORES: set[int] = set()  # those that `pin` found allowed


class Seconds(float):
    """Time that a function has taken itself, e.g. a part of its run; returned to be used instead of the total."""


def pin():
    """Bind this process, and those it starts, to one core where that is possible; return its number."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    cores = os.sched_getaffinity(0)
    _CORES.update(cores)
    os.sched_setaffinity(0, {max(cores)})
    return max(cores)


def unpin():
    """Allow all cores again, for measurements of threads; return how many there are."""
    if _CORES:
        os.sched_setaffinity(0, _CORES)
    return len(_CORES) or os.cpu_count() or 1


def rise_of_memory(function):
    """Call a function and return how far resident memory rose meanwhile, in MB; nan where nothing tells."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)  # glibc: what is free shall not be used again unseen
        Path("/proc/self/clear_refs").write_text("5")  # Linux: resets the peak to what is resident now
        before = _resident("VmRSS")
    except (OSError, AttributeError, TypeError):
        before = None
    grown = _maximum()
    function()
    if before is not None:
        return max(0.0, _resident("VmHWM") - before)
    return _maximum() - grown  # only of use to the first engine that reaches a peak


def peak_memory():
    """Largest resident size of this process so far, in MB; nan where nothing tells."""
    try:
        return _resident("VmHWM")  # Linux: unlike `ru_maxrss`, without the peak of the process that started this one
    except OSError:
        return _maximum()


def _resident(key):
    """Read a size in MB from what Linux says of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise OSError(key)


def _maximum():
    if resource is None:
        return float("nan")
    unit = 1 if sys.platform == "darwin" else 1024  # bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def environment(core):
    """Versions and machine, without anything that identifies it."""
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
