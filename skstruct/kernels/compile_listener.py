"""Listeners that act around the outermost of nested compilations."""

from numba.core import event


class OutermostListener(event.Listener):
    """Calls `begin` when a compilation starts and `end` when it ends, except for kernels that a kernel calls."""

    def __init__(self):
        self.depth = 0

    def on_start(self, event):
        """Count nested compilations."""
        if self.depth == 0:
            self.begin()
        self.depth += 1

    def on_end(self, event):
        """Count nested compilations."""
        self.depth -= 1
        if self.depth == 0:
            self.end()

    def begin(self):
        """Act before the compilation."""
        raise NotImplementedError

    def end(self):
        """Act after the compilation, also if it fails."""
        raise NotImplementedError
