"""Text files as numbered lines, and files of models with the format of their data."""

import gzip
import json
import os
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from skstruct.data.optional import optional_module
from skstruct.io import load_model

SETTINGS = "command_line.json"  # in the archive of a model, beside what skops writes
MAX_SETTINGS = 2**20  # bytes


def numbered_lines(path: str) -> Iterator[tuple[str, str]]:
    """Lines of a UTF-8 file without their ends, each with its place for messages, such as ``"train.txt, line 7"``.

    "-" is the standard input. A file whose name ends with ``.gz`` is decompressed.
    """
    name = name_of(path)
    try:
        with _opened(path) as file:
            for number, line in enumerate(file, 1):
                yield f"{name}, line {number}", line.rstrip("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{name} is not a text file in UTF-8: {error}") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{name} cannot be decompressed: {error}") from error


def name_of(path: str) -> str:
    """Name of a file for messages."""
    return "standard input" if path == "-" else path


def _opened(path):
    if path == "-":
        if hasattr(sys.stdin, "reconfigure"):  # not a stand-in
            sys.stdin.reconfigure(encoding="utf-8-sig")
        return nullcontext(sys.stdin)
    if path.endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8-sig")
    return open(path, encoding="utf-8-sig")


def check_output(path: str, inputs: Iterable[str]) -> None:
    """Raise an OSError if a file cannot be written, or is also an input: before a long training, not after it."""
    folder = Path(path).absolute().parent
    if Path(path).is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise OSError(f"{path} cannot be written: name a file in an existing folder that you may write to")
    for name in inputs:
        if Path(path).exists() and Path(name).exists() and Path(path).samefile(name):
            raise OSError(f"{path} cannot be written, because it is also read; name another file")


def save(model: Any, path: str, settings: dict) -> None:
    """Write a fitted model and the settings of the command line. An older file is replaced when the new one is whole.

    Parameters
    ----------
    model : Pipeline
    path : str
    settings : dict
        Anything that is JSON.
    """
    skops = optional_module("skops.io", "cli", "The command line")
    part = Path(f"{path}.part")
    try:
        skops.dump(model, part)
        with ZipFile(part, "a") as archive:
            archive.writestr(SETTINGS, json.dumps(settings))
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def load(path: str) -> tuple[Any, dict]:
    """Load a model, after all checks of `load_model`, and its settings; {} if Python code has saved it."""
    model = load_model(path)
    with ZipFile(path) as archive:
        if SETTINGS not in archive.namelist():
            return model, {}
        if archive.getinfo(SETTINGS).file_size > MAX_SETTINGS:
            raise ValueError(f"{path}: {SETTINGS} is too long")
        with archive.open(SETTINGS) as file:
            settings = json.loads(file.read(MAX_SETTINGS))
    if not isinstance(settings, dict):
        raise ValueError(f"{path}: {SETTINGS} must contain a JSON object, got {settings!r:.100}")
    return model, settings
