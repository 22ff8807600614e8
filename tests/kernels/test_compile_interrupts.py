"""A KeyboardInterrupt in a function that LLVM calls, which Python cannot raise there."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from skstruct.kernels.compile_interrupts import InterruptKeeper
from skstruct.kernels.jit import kernel

numba = pytest.importorskip("numba")
engine = pytest.importorskip("llvmlite.binding.executionengine").ExecutionEngine


def add_three(values):
    for k in range(len(values)):
        values[k] += 3.0


@pytest.fixture
def interrupt(monkeypatch):
    """``interrupt(number)`` makes the call of a function by LLVM with this number fail, and returns the calls."""
    find, calls = engine._find_module_ptr, []

    def set_number(number):
        def find_or_fail(self, pointer):
            calls.append(pointer)
            if len(calls) == number:
                raise KeyboardInterrupt
            return find(self, pointer)

        calls.clear()
        monkeypatch.setattr(engine, "_find_module_ptr", find_or_fail)
        return calls

    return set_number


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")
@pytest.mark.parametrize("is_cached", [False, True])
def test_interrupts_are_raised(interrupt, is_cached, tmp_path, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))

    def fresh():
        found = kernel(add_three)
        if not is_cached:
            found.compiled._cache = numba.core.caching.NullCache()
        return found

    values = np.zeros(2)
    fresh()(values)  # the first compilation of a process also compiles functions of numba
    calls = interrupt(0)
    for path in tmp_path.rglob("*.nb?"):
        path.unlink()
    fresh()(values)
    n_calls = len(calls)
    assert n_calls >= 2
    for number in range(1, n_calls + 1):
        for path in tmp_path.rglob("*.nb?"):
            path.unlink()
        interrupted, values = fresh(), np.zeros(2)
        interrupt(number)
        with pytest.raises(KeyboardInterrupt):
            interrupted(values)
        interrupted(values)
        assert values.tolist() in ([3.0, 3.0], [6.0, 6.0])  # numba may raise after the first run


def test_other_errors_are_reported_as_before(monkeypatch):
    seen, keeper = [], InterruptKeeper()
    monkeypatch.setattr("sys.unraisablehook", seen.append)
    before = sys.unraisablehook
    keeper.on_start(None)
    keeper.on_start(None)  # a kernel that the kernel calls
    error, interrupt = (SimpleNamespace(exc_value=kind()) for kind in (ZeroDivisionError, KeyboardInterrupt))
    sys.unraisablehook(error)
    sys.unraisablehook(interrupt)
    keeper.on_end(None)
    with pytest.raises(KeyboardInterrupt):
        keeper.on_end(None)
    assert seen == [error]
    assert sys.unraisablehook is before
    keeper.on_start(None)
    keeper.on_end(None)
