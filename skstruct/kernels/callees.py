"""Kernels that kernels call. They are compiled as part of the kernels that Python calls.

By default, numba also compiles each called function alone: it optimises the function, generates machine code, and
writes a wrapper with which Python calls it. Each caller contains a copy, which numba optimises again, and again in the
callers of the caller. Here numba translates a called function to the code of LLVM and stops. The kernel that Python
calls contains all functions that it needs. They are optimised once, and the disk cache stores this kernel only.
"""

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.registry import CPUDispatcher
from numba.core.sigutils import normalize_signature


class _Library(JITCodeLibrary):
    """Code of a function and of the functions that it calls, which is optimised in another library."""

    def _optimize_final_module(self):
        pass

    def _finalize_final_module(self):
        self._finalized = True


class _Translator(Compiler):
    """The compiler of numba without its last steps."""

    def __init__(self, typing_context, target_context, library, *args):
        super().__init__(typing_context, target_context, library, *args)
        self.state.library = _Library(target_context.codegen(), "callee")
        self.state.flags.no_compile = self.state.flags.no_cpython_wrapper = True


class Callee(CPUDispatcher):
    """A kernel as other kernels call it.

    Parameters
    ----------
    source : kernel
    options : dict
        Options of ``numba.jit``.
    """

    def __init__(self, source, options):
        super().__init__(source.function, targetoptions=options, pipeline_class=_Translator)
        self.made_from = source

    def __call__(self, *args):
        """Call the kernel from Python."""
        return self.made_from(*args)

    def add_overload(self, result):
        """Keep the code for a signature; numba calls this after each translation."""
        self.overloads[tuple(result.signature.args)] = result
        self.targetctx.insert_user_function(result.library, result.fndesc, [result.library])

    def get_overload(self, signature):
        """Key under which callers find the code for a signature, see `add_overload`."""
        return self.overloads[tuple(normalize_signature(signature)[0])].library
