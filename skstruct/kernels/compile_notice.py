"""A line in the log once the compilation of kernels takes long, so that nobody takes a first call for a hang.

The line goes to the logger "skstruct" with the level WARNING. Python shows this level on the standard error stream
without any configuration, and applications can redirect or silence it. INFO would be invisible, a Python warning would
fail where warnings are errors although nothing is wrong, and ``verbose`` is off in the calls that need the line.
"""

import logging
import time

from numba.core import event

SLOW = 2.0  # seconds of compilation in this process until the line appears
LOGGER = logging.getLogger("skstruct")


class CompileNotice(event.Listener):
    """Sums the time in which kernels are compiled, and logs one line when a kernel begins after `SLOW` seconds.

    numba compiles under a lock, in one thread at a time. Kernels that a kernel calls are compiled within its time.
    """

    def __init__(self):
        self.seconds, self.begin, self.depth, self.is_told = 0.0, 0.0, 0, False

    def on_start(self, event):
        """Begin to count, unless a kernel that calls this one is being counted."""
        source = getattr(event.data["dispatcher"], "made_from", None)
        if source is None:  # a function of another package
            return
        now = time.perf_counter()
        if self.depth == 0:
            self.begin = now
        self.depth += 1
        taken = self.seconds + now - self.begin
        if taken > SLOW and not self.is_told:
            self.is_told = True
            LOGGER.warning(
                "skstruct has compiled functions for %.0f s and continues with %s.%s. Compiled code is stored on disk "
                "if possible, so that later processes start faster.",
                taken,
                source.function.__module__,
                source.function.__name__,
            )

    def on_end(self, event):
        """Stop counting."""
        if getattr(event.data["dispatcher"], "made_from", None) is None:
            return
        self.depth -= 1
        if self.depth == 0:
            self.seconds += time.perf_counter() - self.begin
