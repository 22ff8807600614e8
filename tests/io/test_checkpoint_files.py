"""Checkpoints that are damaged or of a newer version, and files that cannot be written."""

import errno
import os
import zipfile

import pytest
from sklearn.base import clone

from skstruct import GraphCRFClassifier
from skstruct.io import Checkpoints, load_model

pytest.importorskip("skops.io")


def damage(path, how):
    content = bytearray(path.read_bytes())
    if how == "truncated":
        content = content[: len(content) // 2]
    elif how == "empty":
        content = b""
    else:
        content[len(content) // 3] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("how", ["truncated", "empty", "one bit"])
def test_damaged(how, chains, tmp_path, same):
    whole = GraphCRFClassifier(tol=1e-2).fit(*chains)
    crf = GraphCRFClassifier(tol=1e-2, checkpoints=Checkpoints(tmp_path, n_iter=1)).fit(*chains)
    older, newest = sorted(tmp_path.iterdir())
    damage(newest, how)
    with pytest.warns(UserWarning, match=f"{newest.name}.* The older .*{older.name} is used"):
        same(clone(crf).fit(*chains), whole)
    newest.unlink()
    for path in tmp_path.iterdir():
        damage(path, how)
    files = sorted(tmp_path.iterdir())
    with pytest.raises(ValueError, match=f"no checkpoint in {tmp_path} can be loaded: .*delete the checkpoints"):
        clone(crf).fit(*chains)
    assert sorted(tmp_path.iterdir()) == files


def test_of_a_newer_version(chains, tmp_path):
    crf = GraphCRFClassifier(tol=1e-2, checkpoints=Checkpoints(tmp_path, keep=1)).fit(*chains)
    (path,) = tmp_path.iterdir()
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    contents["schema.json"] = contents["schema.json"].replace(b'"\\"0.1.0.dev0\\""', b'"\\"99.0\\""')
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    with pytest.raises(ValueError, match=r"saved by skstruct 99\.0, which is newer"):
        clone(crf).fit(*chains)


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), MemoryError()], ids=repr)
def test_a_full_disk(error, chains, tmp_path, monkeypatch, same):
    """The training goes on, tries again, and keeps the last checkpoint that is whole."""
    whole = GraphCRFClassifier(tol=1e-2).fit(*chains)
    calls, fsync = [], os.fsync

    def full(descriptor):
        calls.append(1)
        if len(calls) in (2, 3):
            raise error
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    crf = GraphCRFClassifier(tol=1e-2, checkpoints=Checkpoints(tmp_path, n_iter=1, keep=99))
    with pytest.warns(
        UserWarning, match="could not be written, (OSError.*No space left on device|MemoryError).* goes on"
    ):
        same(crf.fit(*chains), whole)
    saved = [load_model(path).n_iter_ for path in sorted(tmp_path.iterdir())]
    assert saved == [1, *range(4, crf.n_iter_ + 1)]  # and no partial files


def test_a_file_size_that_the_system_refuses(chains, tmp_path, same):
    resource = pytest.importorskip("resource", reason="limits exist on POSIX")
    whole = GraphCRFClassifier(tol=1e-2).fit(*chains)
    crf = GraphCRFClassifier(tol=1e-2, checkpoints=Checkpoints(tmp_path))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.warns(UserWarning, match="could not be written, .*File too large"):
            crf.fit(*chains)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    same(crf, whole)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made(chains, tmp_path, same):
    (tmp_path / "file").write_text("")
    crf = GraphCRFClassifier(tol=1e-2, checkpoints=Checkpoints(tmp_path / "file" / "folder"))
    with pytest.warns(UserWarning, match="could not be written, .*Not a directory"):
        crf.fit(*chains)
    same(crf, GraphCRFClassifier(tol=1e-2).fit(*chains))


def test_partial_files_are_removed(chains, tmp_path):
    (tmp_path / "checkpoint-00000001.skops.123.partial").write_bytes(b"PK")
    GraphCRFClassifier(tol=1e-2, checkpoints=Checkpoints(tmp_path)).fit(*chains)
    assert all(path.suffix == ".skops" for path in tmp_path.iterdir())
