"""No garbage collection during a compilation.

A compilation creates some hundred thousand objects and keeps most of them until its end. So Python's collector of
reference cycles runs often, finds little, and takes a sixth of the time.
"""

import gc

from skstruct.kernels.compile_listener import OutermostListener


class CollectorPause(OutermostListener):
    """Switches the collector off, and on again if it was on."""

    was_on = False

    def begin(self):
        """Switch the collector off."""
        self.was_on = gc.isenabled()
        gc.disable()

    def end(self):
        """Switch the collector on if it was on."""
        if self.was_on:
            gc.enable()
