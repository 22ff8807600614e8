"""Hostile dataset folders are refused in a child process, whose memory is measured; nothing in them is executed."""

import json
import os
import pickle
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array

from skstruct import GraphDataset, RaggedArray
from skstruct.io import load_dataset, save_dataset

MEGABYTES = 500
CHAINS = GraphDataset.from_sequences([np.eye(3), np.eye(3)[:2]])
BASES = {
    "array": CHAINS.with_edge_features(np.ones((3, 1))),
    "csr": CHAINS.with_node_features(csr_array(CHAINS.node_features)),
    "strings": GraphDataset.from_sequences([["a", "b", "c"], ["d", "e"]]),
    "json": GraphDataset.from_sequences([[{"a": 1}, {"b": 2}, {"c": 3}], [{}, {"d": 4}]]),
}
LOADER = """
import sys
from pathlib import Path
from skstruct.io import load_dataset
for folder in sorted(Path(sys.argv[1]).iterdir()):
    for mmap_mode in ("r", None):
        try:
            load_dataset(folder, mmap_mode)
        except ValueError as error:
            print(folder.name, "refused", len(str(error)), repr(str(error)))
        else:
            print(folder.name, "loaded")
print("peak", Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


class Canary:
    """Its pickle writes a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def write_index(folder, content):
    """Write a JSON file whose checksum is right."""
    content.pop("crc32", None)
    content["crc32"] = zlib.crc32(json.dumps(content, sort_keys=True).encode())
    (folder / "dataset.json").write_text(json.dumps(content))


def in_index(*path_and_value):
    """Replace an entry of the JSON file."""
    *path, last, value = path_and_value

    def change(folder):
        content = inner = json.loads((folder / "dataset.json").read_text())
        for key in path:
            inner = inner[key]
        inner[last] = value
        write_index(folder, content)

    return change


def array(name, values, **changes):
    """Replace an array and its record, both consistent but for `changes` of the record."""

    def change(folder):
        record_of(folder, name, np.asarray(values), changes)

    return change


def record_of(folder, name, values, changes):
    path = folder / f"{name}.npy"
    np.save(path, values, allow_pickle=False)
    data = values.tobytes()
    header = path.read_bytes()[: path.stat().st_size - len(data)]
    record = {"dtype": values.dtype.str, "shape": list(values.shape), "crc32": zlib.crc32(data + header), **changes}
    in_index("arrays", name, record)(folder)


def header_of(name, shape, descr="<f8", data=b""):
    """Replace an array by a header of any shape and dtype, with a record that agrees."""

    def change(folder):
        path = folder / f"{name}.npy"
        with path.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
        crc32 = zlib.crc32(data + path.read_bytes())
        path.write_bytes(path.read_bytes() + data)
        in_index("arrays", name, {"dtype": descr, "shape": list(shape), "crc32": crc32})(folder)

    return change


def content_of(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def pickled(name, as_array):
    def change(folder):
        canary = Canary(folder.parent.parent / "executed")
        if as_array:
            np.save(folder / name, np.array([[canary]] * 5, object), allow_pickle=True)
        else:
            (folder / name).write_bytes(pickle.dumps(canary))

    return change


def all_of(*changes):
    def change(folder):
        for each in changes:
            each(folder)

    return change


def instead(name, make):
    def change(folder):
        (folder / name).unlink()
        make(folder / name)

    return change


NESTED = b"[" * 100_000
CODE = b"{'descr': __import__('os').system('touch executed'), 'fortran_order': False, 'shape': (5, 3)}\n"
NODES = "node_features"
RECORD = {"dtype": "|u1", "shape": [1], "crc32": 0}
CASES = {
    "array: pickle in an array": pickled("node_features.npy", True),
    "array: pickle in an array, recorded": all_of(
        pickled("node_features.npy", True), in_index("arrays", NODES, "dtype", "|O")
    ),
    "array: pickle in place of an array": pickled("edges.npy", False),
    "array: pickle in place of JSON": pickled("dataset.json", False),
    "array: zip in place of an array": content_of("edges.npy", b"PK\3\4" + b"\0" * 200),
    "array: code in a header": content_of("edges.npy", b"\x93NUMPY\1\0" + len(CODE).to_bytes(2, "little") + CODE),
    "array: header of another version": content_of("edges.npy", b"\x93NUMPY\3\0" + b"\xff" * 300),
    "array: header without end": content_of("edges.npy", b"\x93NUMPY\2\0" + b"\xff" * 300),
    "array: path to a parent": in_index("arrays", "../../secret", RECORD),
    "array: path from the root": in_index("arrays", "/etc/passwd", RECORD),
    "array: a further array": in_index("arrays", "further", RECORD),
    "array: unknown kind": in_index(NODES, {"kind": "pickle"}),
    "array: kind that is a list": in_index(NODES, {"kind": ["array"]}),
    "array: no nodes": in_index(NODES, None),
    "array: kind of other arrays": in_index(NODES, {"kind": "csr", "n_columns": 3}),
    "array: record that is no dict": in_index("arrays", NODES, 5),
    "array: records that are a list": in_index("arrays", []),
    "array: record of objects": in_index("arrays", NODES, "dtype", "|O"),
    "array: record of a structure": in_index("arrays", NODES, "dtype", [["a", "<f8"]]),
    "array: record of code": in_index("arrays", NODES, "dtype", "__import__('os')"),
    "array: absurd shape": header_of(NODES, (10**15, 3)),
    "array: absurd shape without data": header_of(NODES, (2**31 + 1, 0)),
    "array: shape whose product overflows": header_of(NODES, (2**61, 8)),
    "array: wide rows without data": header_of(NODES, (0, 2**61)),
    "array: wide strings without data": header_of(NODES, (10**12, 1), "<U0"),
    "array: times": header_of(NODES, (5, 1), "<M8[s]", bytes(40)),
    "array: negative shape": in_index("arrays", NODES, "shape", [-1, 3]),
    "array: shape of floats": in_index("arrays", NODES, "shape", [5.0, 3]),
    "array: no shape": in_index("arrays", NODES, "shape", []),
    "array: features of three dimensions": array(NODES, np.zeros((5, 1, 3))),
    "array: rows are missing": array(NODES, np.zeros((4, 3))),
    "array: edge rows are missing": array("edge_features", np.zeros((1, 1))),
    "array: edges leave the graph": array("edges", np.array([[0, 1], [1, 7], [0, 1]], np.int32)),
    "array: negative edges": array("edges", np.array([[0, 1], [1, -2], [0, 1]], np.int32)),
    "array: edges of three nodes": array("edges", np.zeros((3, 3), np.int32)),
    "array: edges of strings": array("edges", np.full((3, 2), "a")),
    "array: falling offsets": array("node_ptr", np.array([0, 9, 5])),
    "array: large offsets": array("node_ptr", np.array([0, 2**62, 5])),
    "array: offsets beyond 63 bits": array("node_ptr", np.array([0, 2**64 - 1, 5], np.uint64)),
    "array: offsets of NaN": array("node_ptr", np.array([0, np.nan, 5])),
    "array: no offsets": array("node_ptr", np.zeros(0, np.int64)),
    "array: other number of graphs": array("edge_ptr", np.array([0, 1, 2, 3])),
    "array: too few labels": array("y", np.zeros(4)),
    "array: labels without axis": in_index("arrays", "y", "shape", []),
    "array: pipe in place of an array": instead("edges.npy", os.mkfifo),
    "array: pipe in place of JSON": instead("dataset.json", os.mkfifo),
    "array: device in place of an array": instead("edges.npy", lambda path: path.symlink_to("/dev/zero")),
    "array: device in place of JSON": instead("dataset.json", lambda path: path.symlink_to("/dev/zero")),
    "array: folder in place of an array": instead("edges.npy", Path.mkdir),
    "array: nested JSON": content_of("dataset.json", NESTED),
    "array: long JSON": content_of("dataset.json", b"[" + b"[]," * 10**6 + b"[]]"),
    "array: number in place of JSON": content_of("dataset.json", b"7"),
    "array: list in place of JSON": content_of("dataset.json", b'["format"]'),
    "array: JSON that is no text": content_of("dataset.json", b"\xff\xfe\xfd"),
    "array: other format": in_index("format", "zarr"),
    "array: later format": in_index("format_version", 2),
    "array: later version": in_index("skstruct", "99.1.2"),
    "array: no version": in_index("skstruct", None),
    "array: version of many digits": in_index("skstruct", "9" * 5000),
    "array: further key": in_index("further", 1),
    "csr: column out of range": array("node_features.indices", np.array([0, 1, 2, 0, 3], np.int32)),
    "csr: negative column": array("node_features.indices", np.array([0, 1, 2, 0, -1], np.int32)),
    "csr: falling row pointers": array("node_features.indptr", np.array([0, 5, 2, 3, 4, 5], np.int32)),
    "csr: row pointers out of range": array("node_features.indptr", np.array([0, 1, 2, 3, 4, 2**30], np.int32)),
    "csr: row pointers of floats": array("node_features.indptr", np.arange(6.0)),
    "csr: entries without columns": array("node_features.data", np.ones(6)),
    "csr: entries of strings": array("node_features.data", np.full(5, "a")),
    "csr: entries of two dimensions": array("node_features.data", np.ones((5, 1))),
    "csr: negative number of columns": in_index(NODES, "n_columns", -3),
    "csr: number of columns that is a string": in_index(NODES, "n_columns", "3"),
    "csr: no number of columns": in_index(NODES, {"kind": "csr"}),
    "csr: more columns than numbers": in_index(NODES, "n_columns", 2**70),
    "strings: offsets out of range": array("node_features.text_ptr", np.array([0, 1, 2, 3, 4, 10**15])),
    "strings: falling offsets": array("node_features.text_ptr", np.array([0, 4, 2, 3, 4, 5])),
    "strings: offsets of floats": array("node_features.text_ptr", np.linspace(0, 5, 6)),
    "strings: no offsets": array("node_features.text_ptr", np.zeros(0, np.int64)),
    "strings: not in UTF-8": array("node_features.text", np.full(5, 255, np.uint8)),
    "strings: text of floats": array("node_features.text", np.zeros(5)),
    "json: nested rows": all_of(
        array("node_features.text", np.frombuffer(NESTED, np.uint8)),
        array("node_features.text_ptr", np.array([0, 100_000, *[100_000] * 4])),
    ),
    "json: rows that are numbers": all_of(
        array("node_features.text", np.frombuffer(b"12345", np.uint8)), array("node_features.text_ptr", np.arange(6))
    ),
    "json: rows that are no JSON": array("node_features.text", np.frombuffer(b"{" * 34, np.uint8)),
}


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """Lines of a child process that loads all folders, by case."""
    root = tmp_path_factory.mktemp("hostile")
    (root / "folders").mkdir()
    for number, (name, change) in enumerate(CASES.items()):
        folder = root / "folders" / f"{number:03d}"
        base = BASES[name.split(":")[0]]
        save_dataset(folder, base, RaggedArray(np.arange(5), base.node_ptr))
        load_dataset(folder)
        change(folder)
    command = [sys.executable, "-c", LOADER, str(root / "folders")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=root)
    assert done.returncode == 0, done.stderr
    assert not (root / "executed").exists()
    *lines, peak = done.stdout.splitlines()
    found: dict = {}
    for line in lines:
        number, *outcome = line.split(maxsplit=3)
        found.setdefault(list(CASES)[int(number)], []).append(outcome)
    return found, int(peak.split()[1]) // 1024


@pytest.mark.parametrize("name", CASES)
def test_refused(name, outcome):
    attempts = outcome[0][name]
    assert len(attempts) == 2
    for result, length, message in attempts:
        assert result == "refused"
        assert int(length) < 1000, message
        assert f"folders/{list(CASES).index(name):03d}" in message


def test_memory(outcome, figure):
    assert outcome[1] < MEGABYTES
    figure(
        f"hostile dataset folders: {len(CASES)}, all refused, nothing executed, {outcome[1]} MB at most in the process"
    )


def test_the_canary_works(tmp_path):
    """A pickle that is loaded leaves the file that the other tests look for."""
    pickle.loads(pickle.dumps(Canary(tmp_path / "executed")))
    assert (tmp_path / "executed").exists()
