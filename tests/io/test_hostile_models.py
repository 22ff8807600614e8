"""Damaged and hostile model files are refused in a child process, whose memory is measured; nothing is executed."""

import io
import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array, save_npz
from sklearn.pipeline import make_pipeline

from skstruct import GraphCRFClassifier
from skstruct.features import LinearFeatures
from skstruct.io import load_model
from skstruct.preprocessing import TokenTemplates

skops = pytest.importorskip("skops.io")

MEGABYTES = 500
SENTENCES = [["the", "dog", "barks"], ["a", "dog"], ["the", "cat", "sleeps"]]
TAGS = [["D", "N", "V"], ["D", "N"], ["D", "N", "V"]]
LOADER = """
import sys
from pathlib import Path
from skstruct.io import load_model
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        load_model(path)
    except ValueError as error:
        print(path.name, "refused", len(str(error)), repr(str(error)))
    else:
        print(path.name, "loaded")
print("peak", Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


@pytest.fixture(scope="module")
def good():
    """Contents of the files in the archive of a fitted pipeline, by name."""
    crf = GraphCRFClassifier(LinearFeatures("observed", node_weights="observed"))
    data = skops.dumps(make_pipeline(TokenTemplates(["w[-1..0]", "w[-1]|w[0]"]), crf).fit(SENTENCES, TAGS))
    load_model(io.BytesIO(data)).predict(SENTENCES)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(files, compression=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def attribute(schema, name):
    """State of the attribute called `name`, wherever it is."""
    found = [schema]
    while found:
        node = found.pop()
        if isinstance(node, dict):
            if name in node and isinstance(node[name], dict) and "__loader__" in node[name]:
                return node[name]
            found.extend(node.values())
        elif isinstance(node, list):
            found.extend(node)
    raise KeyError(name)


def schema_of(change):
    """Change the JSON file."""

    def build(files):
        schema = json.loads(files["schema.json"])
        new = change(schema)
        return zipped({**files, "schema.json": json.dumps(schema if new is None else new)})

    return build


def root(loader, module, name, **content):
    """Put another object in place of the model."""
    node = {"__loader__": loader, "__module__": module, "__class__": name, **content}
    return schema_of(lambda schema: {**node, "protocol": schema["protocol"]})


def json_node(value):
    return {"__loader__": "JsonNode", "__module__": "builtins", "__class__": "str", "content": json.dumps(value)}


def list_of(*nodes, name="list"):
    loader = f"{name.title()}Node"
    return {"__loader__": loader, "__module__": "builtins", "__class__": name, "content": list(nodes)}


def replaced(name, node):
    def change(schema):
        state = attribute(schema, name)
        state.clear()
        state.update(node)

    return schema_of(change)


def array_at(find, change):
    """Change the values of an array, whose state `find` finds in the schema."""

    def build(files):
        file = find(json.loads(files["schema.json"]))["file"]
        out = io.BytesIO()
        np.save(out, change(np.load(io.BytesIO(files[file]))), allow_pickle=False)
        return zipped({**files, file: out.getvalue()})

    return build


def array(name, change):
    """Change the values of an attribute that is an array."""
    return array_at(lambda schema: attribute(schema, name), change)


def codes(change):
    """Change the codes of words."""
    return array_at(lambda schema: next(iter(attribute(schema, "codes")["content"].values())), change)


def file_of(name, content):
    """Change the bytes of the file of an array."""

    def build(files):
        file = attribute(json.loads(files["schema.json"]), name)["file"]
        return zipped({**files, file: content})

    return build


def header(shape, descr="<f8", fortran_order=False):
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": descr, "fortran_order": fortran_order, "shape": shape})
    return out.getvalue()


def pickled_array(canary):
    out = io.BytesIO()
    np.save(out, np.array([canary], object), allow_pickle=True)
    return out.getvalue()


class Canary:
    """Its pickle makes the file "executed" in the working folder when it is loaded."""

    def __reduce__(self):
        return os.mkdir, ("executed",)


def first(value):
    def change(old):
        new = old.copy()
        new.flat[0] = value
        return new

    return change


def zeros(n_megabytes):
    """Deflated stream of zeros."""
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    return b"".join(packer.compress(bytes(2**20)) for _ in range(n_megabytes)) + packer.flush()


def bomb(name, *blocks):
    """Compress a file that is much larger than the model, of blocks and their numbers of repetitions."""

    def build(files):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for other, content in files.items():
                if other != name:
                    archive.writestr(other, content)
            with archive.open(name, "w") as file:
                for block, repetitions in blocks:
                    for _ in range(repetitions):
                        file.write(block)
        return out.getvalue()

    return build


def lying_bomb(files):
    """An array whose stream is 600 MB long, while the archive says that it is short."""
    file = attribute(json.loads(files["schema.json"]), "intercept_")["file"]
    short, stream = files[file], zeros(600)
    others = zipped({name: content for name, content in files.items() if name != file})
    end = others.rindex(b"PK\5\6")
    n, size, start = struct.unpack("<HII", others[end + 10 : end + 20])
    sizes = zlib.crc32(bytes(len(short))), len(stream), len(short), len(file), 0
    fields = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 33, *sizes)
    local = b"PK\3\4" + fields + file.encode() + stream
    central = b"PK\1\2\x14\0" + fields + bytes(10) + struct.pack("<I", start) + file.encode()
    ending = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, n + 1, n + 1, size + len(central), start + len(local), 0)
    return others[:start] + local + others[start : start + size] + central + ending


def sparse_bomb(files):
    """A sparse matrix whose archive in the archive is a bomb."""
    parts = {f"{name}.npy": header((0,)) for name in ("indices", "indptr", "format", "shape")}
    return file_of("coef_", bomb("data.npy", (header((2**26,)), 1), (bytes(2**20), 2**9))(parts))(files)


def sparse_pickle(files):
    out = io.BytesIO()
    save_npz(out, csr_array(np.eye(2)))
    with zipfile.ZipFile(out) as archive:
        inner = {name: archive.read(name) for name in archive.namelist()}
    return file_of("coef_", zipped({**inner, "data.npy": pickled_array(Canary())}))(files)


def repeated(files):
    """One array of 1 MB, which 3,000 objects read."""
    content = header((2**17,)) + bytes(2**20)
    node = {"__loader__": "NdArrayNode", "__module__": "numpy", "__class__": "ndarray", "type": "numpy", "file": "a"}
    schema = {**list_of(*[node] * 3000), "protocol": 2}
    return zipped({**files, "a": content, "schema.json": json.dumps(schema)}, zipfile.ZIP_DEFLATED)


def twice(files):
    data = zipped({**files, "schema.jsom": b"{}"})
    return data.replace(b"schema.jsom", b"schema.json")


def encrypted(files):
    data = bytearray(zipped(files))
    at = data.rindex(b"PK\1\2")
    data[at + 8] |= 1
    return bytes(data)


def stored_sizes(files):
    """The archive says that a file is longer than its bytes."""
    data = bytearray(zipped(files))
    at = data.rindex(b"PK\1\2")
    data[at + 24 : at + 28] = struct.pack("<I", 2**31)
    return bytes(data)


def nested(files):
    return zipped({**files, "schema.json": b'{"a":' * 100_000})


def nested_nodes(files):
    node = json_node(1)
    for _ in range(400):
        node = list_of(node)
    return zipped({**files, "schema.json": json.dumps({**node, "protocol": 2})})


def many_nodes(files):
    node = {"__loader__": "ObjectNode", "__module__": "a", "__class__": "A"}
    return zipped({**files, "schema.json": json.dumps({**list_of(*[node] * 10**6), "protocol": 2})}, 8)


def version(value):
    def change(schema):
        attribute(schema, "_skstruct_version")["content"] = value

    return schema_of(change)


SHELL = {"__loader__": "FunctionNode", "__module__": "posix", "__class__": "system"}
CASES = {
    "nothing": lambda files: b"",
    "no archive": lambda files: b"no archive" * 100,
    "end of the archive alone": lambda files: b"PK\5\6" + bytes(18),
    "without schema": lambda files: zipped({name: files[name] for name in files if name != "schema.json"}),
    "without arrays": lambda files: zipped({"schema.json": files["schema.json"]}),
    "pickle in place of the archive": lambda files: pickle.dumps(Canary()),
    "pickle in place of the schema": lambda files: zipped({**files, "schema.json": pickle.dumps(Canary())}),
    "pickle in an array": file_of("intercept_", pickled_array(Canary())),
    "pickle in place of an array": file_of("intercept_", pickle.dumps(Canary())),
    "pickle in a sparse matrix": sparse_pickle,
    "archive in place of an array": file_of("intercept_", zipped({"a.npy": header((0,))})),
    "function of the shell": root("FunctionNode", "posix", "system"),
    "function of the shell as an attribute": replaced("intercept_", SHELL),
    "type that runs code": root("TypeNode", "builtins", "eval"),
    "call of a type": root(
        "ConstructorFromReduceNode", "subprocess", "Popen", content=list_of(json_node("mkdir executed"))
    ),
    "call of a function": root(
        "ConstructorFromReduceNode", "os", "mkdir", content=list_of(json_node("executed"), name="tuple")
    ),
    "object of another module": root("ObjectNode", "antigravity", "A"),
    "list of another class": root("ListNode", "os", "mkdir", content=[json_node("e"), json_node("x")]),
    "keys that call": schema_of(
        lambda schema: attribute(schema, "steps").update(
            __loader__="DictNode", __class__="dict", key_types=list_of(SHELL), content={"mkdir executed": json_node(1)}
        )
    ),
    "operator that calls": root(
        "OperatorFuncNode", "operator", "methodcaller", attrs=list_of(json_node("fit"), name="tuple")
    ),
    "partial function": root(
        *("PartialNode", "functools", "partial"),
        content={"func": SHELL, **{key: list_of() for key in ("args", "kwds", "namespace")}},
    ),
    "method": root("MethodNode", "builtins", "str", content={"func": "format", "obj": json_node("{}")}),
    "unknown loader": root("CodeNode", "builtins", "str"),
    "node without type": schema_of(lambda schema: {"__loader__": "ObjectNode", "protocol": 2}),
    "reference to nothing": root("CachedNode", "builtins", "str", __id__=5),
    "later protocol": schema_of(lambda schema: {**schema, "protocol": 10**6}),
    "protocol of another type": schema_of(lambda schema: {**schema, "protocol": [2]}),
    "schema that is a list": schema_of(lambda schema: [schema]),
    "schema that is no JSON": lambda files: zipped({**files, "schema.json": files["schema.json"][:-5]}),
    "nested schema": nested,
    "nested objects": nested_nodes,
    "file of a parent": replaced(
        "intercept_",
        {"__loader__": "NdArrayNode", "__module__": "numpy", "__class__": "ndarray", "type": "numpy", "file": "../a"},
    ),
    "file from the root": replaced(
        "intercept_", {"__loader__": "BytesNode", "__module__": "builtins", "__class__": "bytes", "file": "/etc/passwd"}
    ),
    "bomb in the schema": bomb("schema.json", (b"{", 1), (b" " * 2**20, 512)),
    "bomb in JSON lists": bomb("schema.json", (b"[", 1), (b"[]," * 2**20, 100), (b"[]]", 1)),
    "bomb in a further file": bomb("further", (bytes(2**20), 512)),
    "bomb of a false size": lying_bomb,
    "bomb in a sparse matrix": sparse_bomb,
    "bomb of repetitions": repeated,
    "bomb of objects": many_nodes,
    "two files of one name": twice,
    "encrypted": encrypted,
    "other compression": lambda files: zipped(files, zipfile.ZIP_LZMA),
    "sizes that differ": stored_sizes,
    "absurd shape": file_of("intercept_", header((10**15,))),
    "absurd shape of small items": file_of("intercept_", header((2**33,), "|i1") + bytes(8)),
    "shape whose product overflows": file_of("intercept_", header((2**61, 8))),
    "negative shape": file_of("intercept_", header((-1,)) + bytes(8)),
    "strings of no length": file_of("intercept_", header((10**12,), "<U0")),
    "structured dtype": file_of("intercept_", header((2,), [("a", "|O")]) + bytes(16)),
    "long header": file_of("intercept_", b"\x93NUMPY\2\0\xff\xff\xff\x7f" + b"{" * 10**5),
    "later version": version('"17.0"'),
    "version of another type": version('["0.1"]'),
    "version that is no JSON": version("0.1."),
    "parameters are missing": array("coef", lambda old: old[:-1]),
    "parameters of two dimensions": array("coef", lambda old: old[None]),
    "rows out of range": array("places", first(10**6)),
    "negative rows": array("places", first(-7)),
    "number of weights out of range": array("places", lambda old: np.full_like(old, 10**6)),
    "places of fewer features": array("places", lambda old: old[:-1]),
    "labels out of range": array("pair_labels", lambda old: np.full_like(old, 60_000)),
    "labels of another type": array("pair_labels", lambda old: old.astype(np.int64)),
    "free entries are missing": array_at(
        lambda schema: attribute(attribute(schema, "nodes"), "free"), lambda old: old[:-1]
    ),
    "row of an empty table": array("places", lambda old: np.full_like(old, [1, -1])),
    "vocabulary is too short": array("keys", lambda old: old[:-1]),
    "vocabulary of floats": array("keys", lambda old: old.astype(float)),
    "other numbers of terms": array("sizes", first(0)),
    "templates of other terms": replaced("templates_", list_of(json_node("w[0]"))),
    "templates that are not parsed": replaced("templates_", list_of(json_node("w.code()[0]"))),
    "codes out of range": codes(first(7)),
    "codes of fewer words": codes(lambda old: old[:-1]),
    "codes of floats": codes(lambda old: old.astype(float)),
    "words that are no text": array_at(lambda schema: attribute(schema, "values")["content"][0], first(255)),
    "offsets of words out of range": array_at(lambda schema: attribute(schema, "values")["content"][1], first(99)),
}


@pytest.fixture(scope="module")
def outcome(good, tmp_path_factory):
    """Lines of a child process that loads all files, by case, and its memory in MB."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "files").mkdir()
    for number, build in enumerate(CASES.values()):
        (folder / "files" / f"{number:03d}.skops").write_bytes(build(good))
    command = [sys.executable, "-c", LOADER, str(folder / "files")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in folder.iterdir()] == ["files"]
    *lines, peak = done.stdout.splitlines()
    found = {}
    for line in lines:
        name, *result = line.split(maxsplit=3)
        found[list(CASES)[int(Path(name).stem)]] = result
    return found, int(peak.split()[1]) // 1024


@pytest.mark.parametrize("name", CASES)
def test_refused(name, outcome):
    result, length, message = outcome[0][name]
    assert result == "refused"
    assert int(length) < 1000, message
    assert f"{list(CASES).index(name):03d}.skops" in message


def test_memory(outcome, figure):
    assert outcome[1] < MEGABYTES
    figure(f"hostile model files: {len(CASES)}, all refused, nothing executed, {outcome[1]} MB at most in the process")


def test_flipped_bits(good, tmp_path):
    """A flipped bit is found, or does not matter: dates, for example, are in no checksum of an archive."""
    data, rng = zipped(good), np.random.default_rng(0)
    expected = load_model(io.BytesIO(data)).predict_proba(SENTENCES)
    refused = 0
    for position in rng.choice(len(data), 150, replace=False):
        changed = bytearray(data)
        changed[position] ^= 1 << rng.integers(8)
        try:
            model = load_model(io.BytesIO(changed))
        except ValueError:
            refused += 1
        else:
            assert (model.predict_proba(SENTENCES).values == expected.values).all()
    assert refused > 100


def test_truncated(good, tmp_path):
    data, path = zipped(good), tmp_path / "model.skops"
    for size in [0, 1, 100, *range(1000, len(data), 3000), len(data) - 1]:
        path.write_bytes(data[:size])
        with pytest.raises(ValueError, match=r"model\.skops"):
            load_model(path)


def test_compressed_files_and_limits(good, tmp_path):
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        path = tmp_path / "model.skops"
        path.write_bytes(zipped(good, method))
        assert load_model(path).predict(SENTENCES).tolist() == TAGS
        with pytest.raises(ValueError, match=r"needs more than max_bytes=100000 of memory"):
            load_model(path, max_bytes=100_000)
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "nowhere.skops")


def test_states_of_two_models(good):
    """Parts that do not fit each other are refused before compiled code reads them."""
    model = load_model(io.BytesIO(zipped(good)))
    object.__setattr__(model[-1]._model, "classes", np.array(["D", "N"]))
    with pytest.raises(ValueError, match="scores of 3 states, but there are 2 classes"):
        model.predict(SENTENCES)
