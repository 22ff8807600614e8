"""Ctrl-C during a compilation ends the call, also if it arrives while LLVM runs.

LLVM calls Python functions of llvmlite to hand over compiled code. Python raises the KeyboardInterrupt in the first of
them, and no exception can pass through LLVM: Python reports it to `sys.unraisablehook` and goes on.
"""

import sys

from numba.core import event


class InterruptKeeper(event.Listener):
    """Keeps a KeyboardInterrupt that cannot pass through LLVM, and raises it at the end of the compilation.

    The compiled kernel is complete. The next call uses it.
    """

    def __init__(self):
        self.depth, self.lost = 0, None
        self.others = sys.unraisablehook

    def on_start(self, event):
        """Begin to watch, unless a kernel that calls this one is being compiled."""
        if self.depth == 0:
            self.others, sys.unraisablehook = sys.unraisablehook, self.keep
        self.depth += 1

    def keep(self, unraisable):
        """Keep an interrupt; leave everything else to the hook that was set before."""
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            self.lost = unraisable.exc_value
        else:
            self.others(unraisable)

    def on_end(self, event):
        """Stop watching, and raise the interrupt if there was one."""
        self.depth -= 1
        if self.depth == 0:
            sys.unraisablehook = self.others
            lost, self.lost = self.lost, None
            if lost is not None:
                raise lost
