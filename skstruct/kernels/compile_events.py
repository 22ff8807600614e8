"""What listens to numba while it compiles."""

from functools import cache

from numba.core import event

from skstruct.kernels.compile_interrupts import InterruptKeeper
from skstruct.kernels.compile_notice import CompileNotice


@cache
def listen():
    """Register one listener of each kind in this process."""
    for listener in (CompileNotice(), InterruptKeeper()):
        event.register("numba:compile", listener)
