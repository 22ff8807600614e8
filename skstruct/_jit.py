"""The decorator of all compiled kernels: numba is imported and the kernel compiled when it first runs."""

from functools import cached_property, update_wrapper
from typing import Any


class kernel:
    """Compile a function with ``numba.njit(nogil=True, cache=True)`` at its first call.

    Importing skstruct, and models without edges, then never pay for numba. Kernels may call kernels of the
    same file only, since numba's disk cache does not notice a change in another file. Where no place for the
    disk cache can be found (a read-only installation and home), the kernel is compiled anew in each process.

    Parameters
    ----------
    function : callable
        Takes arrays and scalars.
    fastmath : set of str, default=()
        LLVM flags for kernels that see finite numbers only. ``nnan`` and ``ninf`` are never right here, since
        -inf is a legal score.
    """

    def __init__(self, function=None, *, fastmath=()):
        self.function = function
        self.fastmath = set(fastmath)
        if function is not None:
            update_wrapper(self, function)

    def __call__(self, *args):
        if self.function is None:  # used as @kernel(fastmath=...)
            return kernel(args[0], fastmath=self.fastmath)
        return self.compiled(*args)

    @cached_property
    def compiled(self):
        """The numba dispatcher; the kernels that it may call become dispatchers too, as numba must see them."""
        module = self.function.__globals__
        for name, callee in list(module.items()):
            if isinstance(callee, kernel) and callee.__module__ == self.__module__:
                module[name] = callee._dispatcher
        return self._dispatcher

    @cached_property
    def _dispatcher(self):
        import numba

        options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": self.fastmath or False}
        try:
            return numba.njit(cache=True, **options)(self.function)
        except RuntimeError:  # "cannot cache function: no locator available"
            return numba.njit(**options)(self.function)
