"""The disk cache of compiled code: entries are found by a digest of all that is compiled, and no file ends a call."""

import contextlib
import hashlib
import pickle
from types import CodeType, FunctionType, ModuleType

from numba.core.caching import CompileResultCacheImpl, FunctionCache, IndexDataCacheFile
from numba.core.serialize import dumps


def digest(part):
    """Hash that changes when the code compiled from `part` would, wherever the change was made.

    Parameters
    ----------
    part : kernel or primitive
        Includes what it calls, in any file, and the values of the global names that it uses, but no comments and no
        line numbers.

    Returns
    -------
    digest : str
    """
    return hashlib.sha256(repr(_description(part, {})).encode()).hexdigest()


def global_names(code):
    """List the names that the code of a function looks up outside of itself, and the attributes that it reads."""
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return sorted({*code.co_names, *(name for nested in inner for name in global_names(nested))})


def _description(value, seen):
    """Nested tuples of plain values that tell what would be compiled; `seen` numbers what was described before."""
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
    """Parts of a kernel, primitive, function or class; None for other values."""
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
    except Exception:  # any object: with its address in the digest, the entry is valid in one process
        return repr(value)


class _CheckedCode(CompileResultCacheImpl):
    """Writes compiled code with a checksum, and refuses code that is damaged or belongs to another digest."""

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
    """numba's cache of one function on disk; where it cannot be read or written, the function is compiled anew.

    Disks are full, programs are stopped while they write, and quotas and copies cut files off: numba then fails in each
    call until someone deletes the file. Here a file that cannot be read counts as absent and is written again.

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

    def load_overload(self, signature, target_context):
        """Return the compiled code of a signature, None where there is none that can be used."""
        try:
            return super().load_overload(signature, target_context)
        except Exception:  # unpickling a damaged file raises anything
            return None

    def save_overload(self, signature, result):
        """Keep the compiled code of a signature, if the disk allows it."""
        try:
            super().save_overload(signature, result)
        except Exception:
            with contextlib.suppress(Exception):
                self.flush()  # a damaged index
                super().save_overload(signature, result)
