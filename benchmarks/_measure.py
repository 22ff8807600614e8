"""Timing: one core, engines in turn (A B A B ...), medians and ratios of pairs; and what a case may do."""

import ctypes
import gc
import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

try:
    import resource
except ImportError:  # Windows
    resource = None

SHORTEST = 0.02  # seconds: quicker functions are called several times per sample
BUDGET = {"tiny": 1.0, "small": 5.0, "full": 300.0}  # seconds of one comparison, beyond the first round
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
]

CASES: dict[str, Callable] = {}
_CORES: set[int] = set()  # those that `pin` found allowed


class MissingData(Exception):
    """A file that a case needs is absent."""


class Seconds(float):
    """Time that a function has taken itself, e.g. a part of its run; returned to be used instead of the total."""


def case(function):
    """Enter a function in the table of cases, under ``module.function``."""
    CASES[f"{function.__module__.rpartition('.')[2]}.{function.__name__}"] = function
    return function


@dataclass
class Run:
    """What a case works with: the options, and where its results go."""

    name: str
    size: str = "small"
    data: Path = Path()
    repeats: int = 5
    rows: list[dict] = field(default_factory=list)
    checks: list[dict] = field(default_factory=list)
    sweeps: list[dict] = field(default_factory=list)

    def pick(self, tiny, small, full):
        """Choose by size."""
        return {"tiny": tiny, "small": small, "full": full}[self.size]

    def path(self, name):
        """Path of a data file; ends the case if there is none."""
        path = self.data / name
        if not path.exists():
            raise MissingData(f"{name} is not in the data folder")
        return path

    def peer(self, module, package):
        """Import a program to compare with; None, and a row that says so, if it is not installed."""
        try:
            return import_module(module)
        except ImportError:
            self.record(package, "not installed", None, "")
            return None

    def check(self, what, found, expected, *, rtol=0.0, atol=0.0):
        """Assert that two results agree, and note by how much."""
        found, expected = np.asarray(found, float), np.asarray(expected, float)
        np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol, err_msg=what)
        difference = np.abs(found - expected).max(initial=0.0)
        scale = np.abs(expected).max(initial=0.0)
        self.checks.append(
            {
                "case": self.name,
                "what": what,
                "difference": float(difference),
                "scale": float(scale),
                "rtol": rtol,
                "atol": atol,
            }
        )

    def require(self, what, holds):
        """Assert a statement, and note it."""
        assert holds, what
        self.checks.append({"case": self.name, "what": what})

    def record(self, engine, quantity, value, unit, **more):
        """Add a row of the table."""
        self.rows.append(dict(case=self.name, engine=engine, quantity=quantity, value=value, unit=unit, **more))

    def compare(self, quantity, engines, *, unit="ms", count=None, rate=False, clock=time.process_time):
        """Time functions in turn and add a row for each.

        Parameters
        ----------
        quantity : str
            What is measured, with sizes.
        engines : dict of name to function
            The first is ours; ratios tell how many times longer the others take.
        unit : str
            "ms" or "s", or if `count` is given, e.g. "ns/message" or "tokens/s".
        count : float, default=None
            Units of work in one call.
        rate : bool, default=False
            Whether the value is ``count / seconds`` instead of nanoseconds per unit.
        clock : callable
            The process's CPU time; `time.perf_counter` for threads.

        Returns
        -------
        medians : dict of name to float
            Seconds.
        """
        first, memory, number, total = {}, {}, {}, 0.0
        for name, function in engines.items():
            memory[name] = peak_memory(function)  # also loads and compiles
            start = clock()
            found = function()
            spent = clock() - start
            total += spent
            number[name] = 1 if isinstance(found, Seconds) else max(1, int(SHORTEST / max(spent, 1e-9)))
            first[name] = float(found) if isinstance(found, Seconds) else spent
        rounds = int(np.clip(BUDGET[self.size] / max(total, 1e-9), 0, self.repeats))
        times = {name: [] if rounds > 1 else [value] for name, value in first.items()}
        for _ in range(rounds):
            for name, function in engines.items():
                start = clock()
                for _ in range(number[name]):
                    found = function()
                spent = (clock() - start) / number[name]
                times[name].append(float(found) if isinstance(found, Seconds) else spent)
        ours = np.array(times[next(iter(engines))])

        def value(seconds):
            if count is None:
                return seconds * {"s": 1.0, "ms": 1e3}[unit]
            return count / seconds if rate else 1e9 * seconds / count

        for name, taken in times.items():
            low, high = sorted([value(min(taken)), value(max(taken))])
            self.record(
                name,
                quantity,
                value(float(np.median(taken))),
                unit,
                low=low,
                high=high,
                rounds=len(taken),
                ratio=float(np.median(np.array(taken) / ours)),
                peak_mb=memory[name],
            )
        return {name: float(np.median(taken)) for name, taken in times.items()}

    def sweep(self, quantity, variable, sizes, make, *, clock=time.process_time):
        """Time ``make(size)()`` at all sizes in turn, and fit ``seconds ~ size**exponent``."""
        functions = [make(size) for size in sizes]
        for function in functions:
            function()
        taken = np.empty((max(2, self.repeats // 2), len(sizes)))
        for row in taken:
            for k, function in enumerate(functions):
                row[k] = mean_time(function, clock)
        seconds = np.median(taken, axis=0)
        exponent = np.polyfit(np.log(sizes), np.log(seconds), 1)[0]
        self.sweeps.append(
            {
                "case": self.name,
                "quantity": quantity,
                "variable": variable,
                "sizes": [int(size) for size in sizes],
                "seconds": seconds.tolist(),
                "exponent": float(exponent),
            }
        )


def mean_time(function, clock=time.process_time):
    """Seconds of a call, from as many calls as take `SHORTEST`."""
    calls, start = 0, clock()
    while True:
        function()
        calls += 1
        spent = clock() - start
        if spent >= SHORTEST:
            return spent / calls


def pin():
    """Bind this process, and those it starts, to one core where that is possible; return its number."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    cores = os.sched_getaffinity(0)
    _CORES.update(cores)
    os.sched_setaffinity(0, {max(cores)})
    return max(cores)


def unpin():
    """Allow all cores again, for measurements of threads."""
    if _CORES:
        os.sched_setaffinity(0, _CORES)


def peak_memory(function):
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
        return max(0.0, _resident("VmHWM") - before) / 1e3
    return _maximum() - grown  # only of use to the first engine that reaches a peak


def _resident(key):
    """Read a size in kB from what Linux says of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1])
    raise OSError(key)


def _maximum():
    if resource is None:
        return float("nan")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def environment(core):
    """Versions and machine, without anything that identifies it."""
    found = {"python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}"}
    found["cores"] = os.cpu_count()
    found["pinned"] = core is not None
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
