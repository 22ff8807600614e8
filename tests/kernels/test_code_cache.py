"""The disk cache of compiled code: damaged files and full disks end no call, and no old code outlives an edit."""

import contextlib
import importlib
import os
import subprocess
import sys

import numpy as np
import pytest

from skstruct.kernels import registers, simd
from skstruct.kernels.code_cache import digest
from skstruct.kernels.jit import kernel, primitive

numba = pytest.importorskip("numba")
jit = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")

RIGHT = [3.0, 4.0, 5.0]


def add_three(values):
    for k in range(len(values)):
        values[k] += 3.0


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Directory of the disk cache in this process."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    return tmp_path


def run():
    """Run the kernel as a new process would; returns how often compiled code was found in the cache."""
    fresh, values = kernel(add_three), np.arange(3.0)
    fresh(values)
    np.testing.assert_array_equal(values, RIGHT)
    return sum(fresh.compiled.stats.cache_hits.values())


DAMAGES = {
    "empty": lambda content: b"",
    "cut off": lambda content: content[: len(content) // 2],
    "cut off by a byte": lambda content: content[:-1],
    "zeros": lambda content: bytes(len(content)),
    "zeros at the end": lambda content: content[: len(content) // 2] + bytes(len(content) - len(content) // 2),
    "other bits": lambda content: content[:-200] + bytes(255 - b for b in content[-200:-100]) + content[-100:],
    "text": lambda content: b"<html>quota exceeded</html>",
    "another pickle": lambda content: b"\x80\x04N.",
}


@jit
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
def test_damaged_file_is_written_again(cache, suffix, damage):
    assert run() == 0
    assert run() == 1
    (path,) = cache.rglob(f"*{suffix}")
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    run()
    assert run() == 1


@jit
@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
def test_file_that_cannot_be_replaced(cache, suffix):
    run()
    (path,) = cache.rglob(f"*{suffix}")
    path.unlink()
    (path / "in_the_way").mkdir(parents=True)
    assert run() == run() == 0


@jit
def test_processes_that_write_at_the_same_time(cache):
    """Both find an empty index and write the same file: the index that lasts may name the code of the other one."""
    run()
    (data,) = cache.rglob("*.nbc")
    index, code = next(cache.rglob("*.nbi")), data.read_bytes()
    kept = index.read_bytes()
    index.unlink()
    kernel(add_three)(np.arange(3.0, dtype=np.float32))
    assert data.read_bytes() != code
    index.write_bytes(kept)
    assert run() == 0
    assert run() == 1


@jit
def test_no_directory_for_the_cache(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "file"))
    run()  # numba's next place, or none


# ------------------------------------------------------------------------------------------------ full disks
LIBRARY = "from skstruct.kernels.jit import kernel\nOFFSET = 1.0\n@kernel\ndef add(a, b):\n    return a + b + OFFSET\n"
PROGRAM = """if True:
    from library import add
    from skstruct.kernels.jit import kernel

    @kernel
    def total(values):
        found = 0.0
        for value in values:
            found = add(found, value)
        return found
"""


@pytest.fixture
def program(cache, monkeypatch):
    """Two files with kernels, where those of the second call those of the first, and how to run them as if anew."""
    monkeypatch.syspath_prepend(cache)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # files that are written within a second look the same

    def run(library=LIBRARY, limit=None):
        for name, text in {"library": library, "program": PROGRAM}.items():
            (cache / f"{name}.py").write_text(text)
            sys.modules.pop(name, None)
        total = importlib.import_module("program").total
        with contextlib.nullcontext() if limit is None else full_disk(limit):
            value = total(np.ones(4))
        return value, sum(total.compiled.stats.cache_hits.values())

    yield run
    for name in ("library", "program"):
        sys.modules.pop(name, None)


@contextlib.contextmanager
def full_disk(limit):
    """Let writing fail after `limit` bytes of a file, as on a full disk."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@jit
@pytest.mark.parametrize("limit", [0, 100, 2000])  # neither file, the index cut off, the index only
def test_full_disk(program, limit):
    assert program(LIBRARY, limit) == program(LIBRARY, limit) == (8.0, 0)
    assert program() == (8.0, 0)  # space was made
    assert program() == (8.0, 1)


@jit
@pytest.mark.parametrize(
    "edit",
    [
        ("OFFSET = 1.0", "OFFSET = 2.0"),
        ("a + b + OFFSET", "a + b + 2.0 * OFFSET"),
        ("a + b + OFFSET", "b + 2.0"),
    ],
)
def test_edit_of_another_file_is_noticed(program, edit):
    """Also where the disk was full in between: then the index names code of the first version."""
    edited = LIBRARY.replace(*edit)
    right = 3.0 if edit[1].startswith("b") else 12.0
    assert program() == (8.0, 0)
    assert program(edited, 2000) == (right, 0)
    assert program(edited) == (right, 0)
    assert program(edited) == (right, 1)
    assert program("# a comment\n" + edited) == (right, 1)


# -------------------------------------------------------------------------------------------------- digests


def source(
    offset=1.0, scale="2.0", fastmath="()", inline="False", borrows="False", plain="array[0]", emitted="0", default="0"
):
    """Text of a file with a primitive, a kernel that calls another one, and values that they use."""
    return f"""if True:
        OFFSET, NAMES, UNUSED = {offset}, ("a", "b"), {offset!r}
        def _emit(r, array):
            return (r.number(0, r.integer({emitted})),)
        @primitive(_emit, returns=1)
        def first(array, lanes):
            return {plain}
        @kernel
        def inner(array, k={default}):
            return [x * {scale} for x in array][k]
        @kernel(fastmath={fastmath}, inline={inline}, borrows={borrows})
        def outer(array):
            return inner(array) + first(array, ()) + OFFSET + len(NAMES)
    """


def outer(text):
    namespace = {"kernel": kernel, "primitive": primitive, "__name__": "edited"}
    exec(text, namespace)
    return namespace["outer"]


@pytest.mark.parametrize(
    "edit",
    [
        {"offset": 2.0},
        {"offset": -1.0},
        {"offset": "np.float32(1.0)"},
        {"scale": "3.0"},
        {"scale": "2"},
        {"fastmath": "{'contract'}"},
        {"inline": "True"},
        {"borrows": "True"},
        {"plain": "array[1]"},
        {"plain": "array[0] + 0.0"},
        {"emitted": "1"},
        {"default": "1"},
    ],
)
def test_digest_notices(edit):
    header = "import numpy as np\n"
    assert digest(outer(header + source(**edit))) != digest(outer(header + source()))


@pytest.mark.parametrize(
    "change", [lambda text: "# comment\n\n\n" + text, lambda text: text.replace("'a'", '"a"') + "\nNEW = 3\n"]
)
def test_digest_is_the_same(change):
    assert digest(outer(change(source()))) == digest(outer(source()))


def test_digest_does_not_depend_on_hashes_of_strings():
    code = (
        "from skstruct.kernels.code_cache import digest\n"
        "from skstruct.inference._loopy_kernels import propagate\n"
        "print(digest(propagate))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in "12"
    }
    assert len(found) == 1


def test_digest_notices_registers(monkeypatch):
    before = digest(simd.sum_rows)
    monkeypatch.setattr(registers.Rows, "add", registers.Rows.multiply)
    assert digest(simd.sum_rows) != before


@jit
def test_digest_is_the_same_once_compiled():
    part = outer(source(scale="7.0"))
    before = digest(part)
    assert part(np.arange(1.0, 4.0)) == 7.0 + 1.0 + 1.0 + 2
    assert digest(part) == before
