"""The disk cache of compiled code. A digest of the code finds an entry, and a damaged file never ends a call.

numba's own cache looks at the file of a kernel only, and misses changes of functions that the kernel calls.
"""

import contextlib
import hashlib
import pickle
from types import CodeType, FunctionType, ModuleType

from numba.core.caching import CompileResultCacheImpl, FunctionCache, IndexDataCacheFile
from numba.core.serialize import dumps


def digest(source):
    """Hash that changes whenever the code compiled from `source` changes.

    Parameters
    ----------
    source : kernel or primitive
        The hash also depends on the functions that it calls, in any file, and on the values of the global names that it
        uses. It does not depend on comments and line numbers.

    Returns
    -------
    digest : str
    """
    return hashlib.sha256(repr(_description(source, {})).encode()).hexdigest()


def global_names(code):
    """List the global names and the attributes that the code of a function reads."""
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return sorted({*code.co_names, *(name for nested in inner for name in global_names(nested))})


def _description(value, seen):
    """Nested tuples of plain values that determine the compiled code; `seen` numbers the objects described before."""
    value = getattr(value, "made_from", value)
    if isinstance(value, int | float | complex | str | bytes | type(None) | type(...)):
        return value
    if isinstance(value, ModuleType):
        return value.__name__
    if isinstance(value, tuple | list):
        return tuple(_description(item, seen) for item in value)
    if isinstance(value, set | frozenset):
        return "set", tuple(sorted(repr(_description(item, seen)) for item in value))
    if isinstance(value, CodeType):
        return value.co_code, _description((value.co_consts, value.co_names, value.co_varnames), seen)
    if id(value) in seen:
        return "seen", seen[id(value)]
    ingredients = _ingredients(value)
    if ingredients is None:
        return _pickled(value)
    seen[id(value)] = len(seen)
    return type(value).__name__, _description(ingredients, seen)


def _ingredients(value):
    """Objects that determine a kernel, primitive, function or class; None for other values."""
    if hasattr(value, "ingredients"):
        return value.ingredients
    if isinstance(value, FunctionType):
        used = [(name, value.__globals__[name]) for name in global_names(value.__code__) if name in value.__globals__]
        closure = [cell.cell_contents for cell in value.__closure__ or ()]
        return value.__code__, value.__defaults__, closure, used
    if isinstance(value, type):
        return value.__module__, value.__qualname__, getattr(value, "_fields", ())
    return None


def _pickled(value):
    try:
        return pickle.dumps(value)
    except Exception:  # pickle can raise anything; a repr with an address makes the entry valid in this process only
        return repr(value)


class _CheckedCode(CompileResultCacheImpl):
    """Writer and reader of compiled code with a checksum; damaged code and code of another digest are refused."""

    digest: str

    def reduce(self, result):
        code = dumps(super().reduce(result))
        return self._checksum(code), code

    def rebuild(self, target_context, data):
        checksum, code = data
        if checksum != self._checksum(code):
            raise ValueError("compiled code is damaged or of another version")
        return super().rebuild(target_context, pickle.loads(code))

    def _checksum(self, code):
        return hashlib.sha256(self.digest.encode() + code).digest()


class CodeCache(FunctionCache):
    """numba's cache of one function on disk; if it cannot be read or written, the function is compiled again.

    Full disks, quotas, and programs that are stopped while they write leave incomplete files. With such a file, numba
    fails in each call until the file is deleted. Here a file that cannot be read counts as absent and is written again.

    Parameters
    ----------
    function : callable
    digest : str
        `digest` of the kernel.
    """

    _impl_class = _CheckedCode

    def __init__(self, function, digest):
        super().__init__(function)
        self._impl.digest = digest
        self._cache_file = IndexDataCacheFile(self._cache_path, self._impl.filename_base, digest)

    @property
    def has_code(self):
        """Whether there is a file with compiled code of this digest."""
        try:
            return bool(self._cache_file._load_index())
        except Exception:  # as in `load_overload`
            return False

    def load_overload(self, signature, target_context):
        """Return the compiled code of a signature, or None if there is no usable code."""
        try:
            found = super().load_overload(signature, target_context)
        except Exception:  # unpickling a damaged file can raise any exception
            return None
        # Processes that compile at the same time may write different signatures to the same file.
        return found if found is not None and found.signature.args == tuple(signature) else None

    def save_overload(self, signature, result):
        """Write the compiled code of a signature, if that is possible."""
        try:
            super().save_overload(signature, result)
        except Exception:  # a damaged index or a full disk can raise any exception; the code works without its file
            with contextlib.suppress(Exception):
                self.flush()  # removes a damaged index
                super().save_overload(signature, result)
