"""Python's garbage collector is off during a compilation only."""

import gc

import numpy as np
import pytest

from skstruct.kernels.compile_garbage import CollectorPause
from skstruct.kernels.jit import kernel

numba = pytest.importorskip("numba")


@pytest.fixture
def collector():
    """Leave the collector as it was."""
    was_on = gc.isenabled()
    yield
    (gc.enable if was_on else gc.disable)()


@pytest.mark.parametrize("is_on", [True, False])
def test_collector_is_as_before(collector, is_on):
    (gc.enable if is_on else gc.disable)()
    pause = CollectorPause()
    pause.on_start(None)
    pause.on_start(None)  # a kernel that the kernel calls
    pause.on_end(None)
    assert not gc.isenabled()
    pause.on_end(None)
    assert gc.isenabled() == is_on


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")
def test_collector_is_on_after_an_error(collector, monkeypatch):
    seen = []
    monkeypatch.setattr(CollectorPause, "end", lambda self: (seen.append(gc.isenabled()), gc.enable()))

    @kernel
    def impossible(values):
        return values.no_such_attribute

    gc.enable()
    with pytest.raises(numba.TypingError, match="no_such_attribute"):
        impossible(np.zeros(1))
    assert seen == [False]
    assert gc.isenabled()
