"""Timing on one core, engines in turn (A B A B ...), medians and ratios of pairs; and the interface of a case."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import numpy as np

from benchmarks._machine import Seconds, rise_of_memory

SHORTEST = 0.02  # seconds: faster functions are called several times per sample
LARGEST_REUSED = 31 << 20  # bytes
BUDGET = {"tiny": 1.0, "small": 5.0, "full": 40.0}  # seconds of one comparison, beyond the first round
CASES: dict[str, "Case"] = {}


class MissingData(Exception):
    """A file that a case requires is absent."""


@dataclass(frozen=True)
class Case:
    """A function that fills a `Run`, and its title in words."""

    title: str
    function: Callable

    @property
    def description(self):
        """The docstring in one line."""
        return " ".join(self.function.__doc__.split())


def case(title):
    """Return a decorator that adds a function to the table of cases, with the name ``module.function``."""
    if not isinstance(title, str):
        raise TypeError("a case has a title in words, such as @case('Letters: training')")

    def add(function):
        CASES[f"{function.__module__.rpartition('.')[2]}.{function.__name__}"] = Case(title, function)
        return function

    return add


@dataclass
class Run:
    """The options of a case, and its results."""

    name: str
    size: str = "small"
    data: Path = Path()
    repeats: int = 5
    rows: list[dict] = field(default_factory=list)
    checks: list[dict] = field(default_factory=list)
    sweeps: list[dict] = field(default_factory=list)
    goals: list[dict] = field(default_factory=list)

    def pick(self, tiny, small, full):
        """Select a value by size."""
        return {"tiny": tiny, "small": small, "full": full}[self.size]

    def path(self, name):
        """Path of a data file. The case ends if it does not exist."""
        path = self.data / name
        if not path.exists():
            raise MissingData(f"{name} is not in the data folder")
        return path

    def peer(self, module, package):
        """Import a program for comparison. If it is not installed, add a row that says so, and return None."""
        try:
            return import_module(module)
        except ImportError:
            self.record(package, "not installed", None, "")
            return None

    def check(self, what, found, expected, *, rtol=0.0, atol=0.0):
        """Assert that two results agree, and record the difference."""
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
        """Assert a statement, and record it."""
        assert holds, what
        self.checks.append({"case": self.name, "what": what})

    def record(self, engine, quantity, value, unit, **more):
        """Add a row of the table."""
        self.rows.append(dict(case=self.name, engine=engine, quantity=quantity, value=value, unit=unit, **more))

    def goal(self, what, found, *, at_least, goal, unit="times"):
        """Compare a result with what was aimed at. Other sizes than ``full`` have no goals.

        Parameters
        ----------
        what : str
            The result in words.
        found : float
            The result.
        at_least, goal : float
            What a release needs, and what is hoped for. A goal below `at_least` means that less is better.
        unit : str, default="times"
            The unit of all three.
        """
        if self.size != "full":
            return
        sign = 1 if goal >= at_least else -1
        state = "below"
        for name, bound in (("at least", at_least), ("goal", goal)):
            if sign * found >= sign * bound:
                state = name
        row = {"case": self.name, "what": what, "found": float(found), "at_least": at_least, "goal": goal}
        self.goals.append(row | {"unit": unit, "state": state})

    def compare(
        self, quantity, engines, *, unit="ms", count=None, rate=False, clock=time.process_time, cold_rounds=None
    ):
        """Measure functions in turn, and add a row for each.

        Parameters
        ----------
        quantity : str
            What is measured, with sizes.
        engines : dict of name to function
            The first one is skstruct. Ratios are times divided by its time.
        unit : str
            "ms" or "s", or if `count` is given, e.g. "ns/message" or "tokens/s".
        count : float, default=None
            Units of work in one call.
        rate : bool, default=False
            Whether the value is ``count / seconds`` instead of nanoseconds per unit.
        clock : callable
            The process's CPU time; `time.perf_counter` for threads.
        cold_rounds : int, default=None
            Number of rounds, without a preceding call, for functions that need minutes and have been compiled. By
            default, a preceding call loads, compiles and measures memory, and the options and the time budget
            determine the number of rounds.

        Returns
        -------
        medians : dict of name to float
            Seconds.
        """
        first, memory, number, total = {}, {}, {}, 0.0
        for name, function in engines.items():
            memory[name] = rise_of_memory(function) if cold_rounds is None else None  # also loads and compiles
            start = clock()
            found = function()
            spent = clock() - start
            total += spent
            number[name] = 1 if isinstance(found, Seconds) else max(1, int(SHORTEST / max(spent, 1e-9)))
            first[name] = float(found) if isinstance(found, Seconds) else spent
        if cold_rounds is None:
            rounds = int(np.clip(BUDGET[self.size] / max(total, 1e-9), 0, self.repeats))
            times = {name: [] if rounds > 1 else [value] for name, value in first.items()}
        else:
            rounds, times = cold_rounds - 1, {name: [value] for name, value in first.items()}
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

    def latency(self, quantity, engines, inputs, calls):
        """Measure single calls, engines in turn on each input: a row for the median, and one for the 99th percentile.

        Parameters
        ----------
        quantity : str
            What is measured.
        engines : dict of name to function
            Each is a function of one input.
        inputs : list
            Inputs of the engines. They are repeated if there are more calls than inputs.
        calls : int
            Number of calls of each engine.

        Returns
        -------
        median : float
            Seconds of the first engine.
        """
        taken = {name: np.empty(calls) for name in engines}
        for k in range(-len(inputs), calls):  # before 0, to load and compile
            item = inputs[k % len(inputs)]
            for name, function in engines.items():
                start = time.perf_counter()
                function(item)
                taken[name][max(k, 0)] = time.perf_counter() - start
        ours = taken[next(iter(engines))]
        for share, of in ((50, "median"), (99, "99th percentile")):
            for name, seconds in taken.items():
                value = float(np.percentile(seconds, share))
                ratio = value / float(np.percentile(ours, share))
                self.record(name, f"{quantity}, {of} of {calls} calls", 1e6 * value, "µs", ratio=ratio)
        return float(np.median(ours))

    def sweep(self, quantity, variable, sizes, make, *, clock=time.process_time):
        """Measure ``make(size)()`` at all sizes in turn, and fit ``seconds ~ size**exponent``.

        The time of a size is the minimum of its rounds, because other programs can only make it longer. New memory from
        the operating system takes longer than the arithmetic in many cases. An array of nearly 32 MB is freed first:
        glibc reuses arrays of up to the size of the largest one that was freed, and of 32 MB at most. Otherwise, the
        time of an array would depend on the arrays before it.
        """
        np.empty(LARGEST_REUSED, np.uint8)
        functions = [make(size) for size in sizes]
        for function in functions:
            function()
        taken = np.empty((2 * self.repeats, len(sizes)))
        for row in taken:
            for k, function in enumerate(functions):
                row[k] = mean_time(function, clock)
        seconds = taken.min(axis=0)
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
    """Seconds per call, from as many calls as last at least `SHORTEST`."""
    calls, start = 0, clock()
    while True:
        function()
        calls += 1
        spent = clock() - start
        if spent >= SHORTEST:
            return spent / calls
