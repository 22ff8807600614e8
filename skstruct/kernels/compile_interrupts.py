"""Ctrl-C during a compilation ends the call, also if it arrives while LLVM runs.

LLVM calls Python functions of llvmlite to hand over compiled code. Python raises the KeyboardInterrupt in the first of
them, and no exception can pass through LLVM: Python reports it to `sys.unraisablehook` and goes on.
"""

import sys

from skstruct.kernels.compile_listener import OutermostListener


class InterruptKeeper(OutermostListener):
    """Keeps a KeyboardInterrupt that cannot pass through LLVM, and raises it at the end of the compilation.

    The compiled kernel is complete. The next call uses it.
    """

    def __init__(self):
        super().__init__()
        self.lost, self.others = None, sys.unraisablehook

    def begin(self):
        """Begin to watch."""
        self.others, sys.unraisablehook = sys.unraisablehook, self.keep

    def keep(self, unraisable):
        """Keep an interrupt; leave everything else to the hook that was set before."""
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            self.lost = unraisable.exc_value
        else:
            self.others(unraisable)

    def end(self):
        """Stop watching, and raise the interrupt if there was one."""
        sys.unraisablehook = self.others
        lost, self.lost = self.lost, None
        if lost is not None:
            raise lost
