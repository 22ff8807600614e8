"""The decorators of all compiled code: numba is imported and a kernel compiled when it first runs."""

from functools import cached_property, update_wrapper
from inspect import Parameter, Signature, signature
from typing import Any


class kernel:
    """Compile a function with ``numba.njit(nogil=True, cache=True)`` at its first call.

    Importing skstruct then never pays for numba. Kernels may call kernels of the same file only, since numba's disk
    cache does not notice a change in another file. Where no place for the disk cache can be found (a read-only
    installation and home), the kernel is compiled anew in each process.

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
            elif isinstance(callee, primitive):
                module[name] = callee.intrinsic
        return self._dispatcher

    @cached_property
    def _dispatcher(self):
        import numba

        options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": self.fastmath or False}
        try:
            return numba.njit(cache=True, **options)(self.function)
        except RuntimeError:  # "cannot cache function: no locator available"
            return numba.njit(**options)(self.function)


class primitive:
    """An operation with two definitions: a plain function, and an emitter of LLVM code for kernels.

    Parameters
    ----------
    emit : callable
        ``emit(rows, *args)`` writes the code with a `skstruct._registers.Rows`; of `args` it uses the scalars, integers
        of 64 bits and floating-point numbers of the arrays' type. Returns the numbers to be returned. With an empty
        tuple as the last argument, the plain function is compiled instead.
    returns : int, default=0
        How many numbers of the first array's type the operation returns.
    """

    def __init__(self, emit, returns=0):
        self.emit, self.returns = emit, returns

    def __call__(self, function):
        self.function = function
        update_wrapper(self, function)
        return self

    @cached_property
    def intrinsic(self):
        """What numba compiles; the plain function if it compiles nothing."""
        from numba import config, extending, types

        if vars(config)["DISABLE_JIT"]:
            return self.function

        def generate(context, builder, types_, args):
            from skstruct._registers import Rows

            if not types_.args[-1].count:
                return context.compile_internal(builder, self.function, types_, args)
            found = self.emit(Rows(context, builder, types_, args), *args[:-1])
            if not self.returns:
                return context.get_dummy_value()
            if self.returns == 1:
                return found[0]
            return context.make_tuple(builder, types_.return_type, found)

        def define(typing_context, *kinds):
            number = next(kind.dtype for kind in kinds if isinstance(kind, types.Array))
            taken = [
                types.int64 if isinstance(kind, types.Integer) else number if isinstance(kind, types.Float) else kind
                for kind in kinds
            ]
            result = [types.void, number][self.returns] if self.returns < 2 else types.UniTuple(number, self.returns)
            return result(*taken), generate

        # numba reads names of arguments off this
        arguments = signature(self.function)
        context = Parameter("typing_context", Parameter.POSITIONAL_OR_KEYWORD)
        vars(define)["__signature__"] = Signature([context, *arguments.parameters.values()])
        define.__name__ = self.function.__name__
        return extending.intrinsic(define)
