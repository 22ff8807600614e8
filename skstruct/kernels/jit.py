"""The decorators of compiled code. numba is imported, and a kernel compiled, when a kernel first runs."""

import time
from contextlib import suppress
from functools import cached_property, update_wrapper
from inspect import Parameter, Signature, signature
from threading import local

import numpy as np

MOST_INTERPRETED = 20_000  # elements in the arrays of the arguments


class _Interpretation(local):
    """CPU time of this thread until which its kernels are interpreted, or 0."""

    deadline = 0.0


class _TooSlowError(Exception):
    """The interpreter has taken too long."""


_INTERPRETATION = _Interpretation()


class kernel:
    """Compile a function with ``numba.njit(nogil=True, cache=True)`` at its first call.

    ``import skstruct`` is fast because it does not import numba. A kernel may call kernels and primitives of any file
    that it imports by name. The disk cache notices a change in any of them. If the disk cache cannot be used (read-only
    installation and home directory, full disk), each process compiles the kernel again.

    Parameters
    ----------
    function : callable
        Function of arrays and scalars.
    fastmath : set of str, default=()
        LLVM flags for kernels whose numbers are all finite. ``nnan`` and ``ninf`` must not be used, since -inf is a
        legal score.
    inline : bool, default=False
        Whether each caller gets a copy of the code. A call passes an array as seven numbers or more, so that calls with
        a few arrays take 10 to 40 ns. This is for short functions in inner loops.
    borrows : bool, default=False
        Whether the function uses the arrays of its caller only. numba then counts no references to them, and compiles
        in 5 to 25 % less time. It refuses functions that make or return arrays, and some operations that may make one,
        such as ``ravel``. This is for kernels that a first `fit` waits for.
    patience : float, default=0.0
        Seconds of CPU time, in total, for which Python interprets the function and the kernels that it calls, if the
        arrays are small and there is no compiled code. A call that takes longer is repeated with compiled code. This is
        for kernels that run once per graph and take longer to compile. Their results must be the same to the bit, and
        must not depend on earlier contents of the arrays that they write.
    """

    def __init__(self, function=None, *, fastmath=(), inline=False, borrows=False, patience=0.0):
        self.function = function
        self.fastmath, self.inline, self.borrows, self.patience = set(fastmath), inline, borrows, patience
        if function is not None:
            update_wrapper(self, function)

    def __call__(self, *args):
        """Run the code, usually compiled; as a decorator with arguments, return the kernel."""
        if self.function is None:  # used as @kernel(fastmath=...)
            options = {"fastmath": self.fastmath, "inline": self.inline, "borrows": self.borrows}
            return kernel(args[0], **options, patience=self.patience)
        if _INTERPRETATION.deadline:
            if time.thread_time() > _INTERPRETATION.deadline:
                raise _TooSlowError
            return self.function(*args)
        if self.patience > 0.0 and _n_elements(args) <= MOST_INTERPRETED:
            if self._has_code:
                self.patience = 0.0
            else:
                with suppress(_TooSlowError):
                    return self._interpreted(*args)
        return self.compiled(*args)

    def _interpreted(self, *args):
        """Interpret this kernel and the kernels that it calls."""
        start = time.thread_time()
        _INTERPRETATION.deadline = start + self.patience
        try:
            return self.function(*args)
        finally:
            _INTERPRETATION.deadline = 0.0
            self.patience -= time.thread_time() - start

    @property
    def _has_code(self):
        """Whether compiled code is in memory or in the disk cache."""
        dispatcher = self._dispatcher
        return bool(getattr(dispatcher, "overloads", True)) or getattr(dispatcher._cache, "has_code", False)

    @property
    def ingredients(self):
        """Objects that determine the compiled code."""
        return self.function, sorted(self.fastmath), self.inline, self.borrows

    @cached_property
    def compiled(self):
        """The numba dispatcher.

        numba can call dispatchers and intrinsics only. They replace the kernels and primitives that this kernel calls,
        directly or indirectly, in the modules of the callers. Python functions of these modules can call them as well.
        """
        from skstruct.kernels.code_cache import global_names

        callers = [self]
        for caller in callers:  # the loop appends to the list
            namespace = caller.function.__globals__
            for name in global_names(caller.function.__code__):
                callee = namespace.get(name)
                if isinstance(callee, kernel):
                    namespace[name] = callee._callee
                    callers.append(callee)
                elif isinstance(callee, primitive):
                    namespace[name] = callee.intrinsic
        return self._dispatcher

    @property
    def _options(self):
        """Options of numba. Kernels are called from Python and from kernels, never from C."""
        return {
            "nopython": True,
            "nogil": True,
            "error_model": "numpy",
            "fastmath": self.fastmath or False,
            "forceinline": self.inline,
            "_nrt": not self.borrows,
            "no_cfunc_wrapper": True,
        }

    @cached_property
    def _callee(self):
        """What kernels call."""
        from numba import config

        if vars(config)["DISABLE_JIT"]:
            return self.function
        from skstruct.kernels.callees import Callee

        return Callee(self, self._options)

    @cached_property
    def _dispatcher(self):
        import numba

        from skstruct.kernels.code_cache import CodeCache, digest
        from skstruct.kernels.compile_events import listen

        listen()
        dispatcher = numba.jit(**self._options)(self.function)
        if not numba.config.DISABLE_JIT:
            dispatcher.made_from = self
            with suppress(OSError, RuntimeError):  # "cannot cache function: no locator available"
                dispatcher._cache = CodeCache(self.function, digest(self))
        return dispatcher


def _n_elements(args):
    """Sum of the sizes of the arrays in nested tuples."""
    return sum(arg.size if isinstance(arg, np.ndarray) else _n_elements(arg) for arg in args if np.iterable(arg))


class primitive:
    """An operation with two definitions: a plain function, and an emitter of LLVM code for kernels.

    Parameters
    ----------
    emit : callable
        ``emit(rows, *args)`` writes the code with a `registers.Rows`, and returns the results of the operation. The
        scalars in `args` are integers of 64 bits and floating-point numbers of the type of the arrays. If the last
        argument of the operation is an empty tuple, the plain function is compiled instead.
    returns : int, default=0
        Number of results. They have the type of the first array.
    """

    def __init__(self, emit, returns=0):
        self.emit, self.returns = emit, returns

    def __call__(self, function):
        """Decorate the plain function."""
        self.function = function
        update_wrapper(self, function)
        return self

    @property
    def ingredients(self):
        """Objects that determine the compiled code."""
        from skstruct.kernels.registers import Rows

        writers = [function for function in vars(Rows).values() if callable(function)]
        return self.function, self.emit, self.returns, writers, vars(primitive)["intrinsic"].func

    @cached_property
    def intrinsic(self):
        """The intrinsic that numba compiles, or the plain function if compilation is switched off."""
        from numba import config, extending, types
        from numba.core.compiler import Flags

        if vars(config)["DISABLE_JIT"]:
            return self.function

        def generate(context, builder, types_, args):
            from skstruct.kernels.registers import Rows

            if not types_.args[-1].count:
                flags = Flags()
                flags.nrt, flags.error_model = True, "numpy"  # as of kernels: division by zero is no error
                code = context.compile_subroutine(builder, self.function, types_, flags=flags)
                return context.call_internal(builder, code.fndesc, types_, args)
            found = self.emit(Rows(context, builder, types_, args), *args[:-1])
            if not self.returns:
                return context.get_dummy_value()
            if self.returns == 1:
                return found[0]
            return context.make_tuple(builder, types_.return_type, found)

        def define(typing_context, *kinds):
            number = next(kind.dtype for kind in kinds if isinstance(kind, types.Array))
            converted = [
                types.int64 if isinstance(kind, types.Integer) else number if isinstance(kind, types.Float) else kind
                for kind in kinds
            ]
            result = [types.void, number][self.returns] if self.returns < 2 else types.UniTuple(number, self.returns)
            return result(*converted), generate

        # numba reads the names of the arguments from __signature__
        arguments = signature(self.function)
        context = Parameter("typing_context", Parameter.POSITIONAL_OR_KEYWORD)
        vars(define)["__signature__"] = Signature([context, *arguments.parameters.values()])
        define.__name__ = self.function.__name__
        intrinsic = extending.intrinsic(define)
        intrinsic.made_from = self
        return intrinsic
