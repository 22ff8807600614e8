import logging

import numba
import numpy as np
import pytest

from skstruct.kernels.compile_notice import CompileNotice
from skstruct.kernels.jit import kernel


class Event:
    def __init__(self, dispatcher):
        self.data = {"dispatcher": dispatcher}


@kernel
def add_one(x):
    return x + 1


@pytest.mark.parametrize(("step", "n_lines"), [(0.6, 0), (0.7, 1)])
def test_one_line_after_two_seconds(monkeypatch, caplog, step, n_lines):
    """A kernel of two steps, which calls another one, then two kernels of one step each."""
    clock = iter(step * np.arange(100.0))
    monkeypatch.setattr("skstruct.kernels.compile_notice.time.perf_counter", lambda: next(clock))
    notice, ours, other = CompileNotice(), Event(add_one._dispatcher), Event(numba.njit(lambda x: x))
    if numba.config.DISABLE_JIT:
        ours.data["dispatcher"] = type("Dispatcher", (), {"made_from": add_one})
    with caplog.at_level(logging.WARNING, logger="skstruct"):
        for act in (notice.on_start, notice.on_start, notice.on_end):
            act(ours)
        notice.on_start(other)
        notice.on_end(other)
        notice.on_end(ours)
        for _ in range(2):
            notice.on_start(ours)
            notice.on_end(ours)
    assert len(caplog.records) == n_lines
    if n_lines:
        assert "add_one" in caplog.text
        assert "2 s" in caplog.text


def test_numba_reports_compilations(monkeypatch):
    if numba.config.DISABLE_JIT:
        pytest.skip("nothing is compiled")
    seen = []
    monkeypatch.setattr(CompileNotice, "on_start", lambda self, event: seen.append(event.data["dispatcher"].made_from))
    monkeypatch.setattr(CompileNotice, "on_end", lambda self, event: None)
    plain = kernel(add_one.function)
    plain._dispatcher._cache = numba.core.caching.NullCache()
    assert plain(1) == 2
    assert seen == [plain]
