"""What listens to numba while it compiles."""

from functools import cache

from numba.core import event

from skstruct.kernels.compile_garbage import CollectorPause
from skstruct.kernels.compile_interrupts import InterruptKeeper
from skstruct.kernels.compile_notice import CompileNotice


@cache
def listen():
    """Register one listener of each kind in this process."""
    for listener in (CompileNotice(), CollectorPause(), InterruptKeeper()):  # the last one may raise an exception
        event.register("numba:compile", listener)
