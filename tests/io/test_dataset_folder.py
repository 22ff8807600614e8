"""Datasets saved as folders of arrays are loaded as they were; damaged folders are refused."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array, csr_matrix

from skstruct import GraphCRFClassifier, GraphDataset, RaggedArray
from skstruct.io import load_dataset, save_dataset

RNG = np.random.default_rng(0)
DENSE = GraphDataset.from_graphs(
    [(RNG.normal(size=(n, 3)), [(i, i + 1) for i in range(n - 1)]) for n in (4, 1, 0, 3)]
).with_edge_features(RNG.normal(size=(5, 2)))
UNSORTED = csr_matrix(
    (np.arange(1.0, 6.0), np.array([2, 0, 1, 1, 2]), np.array([0, 2, 4, 4, 4, 5, 5, 5, 5])), shape=(8, 3)
)


def with_nodes(table):
    return DENSE.with_node_features(table)


DATASETS = {
    "dense": DENSE,
    "without edge features": DENSE.with_edge_features(None),
    "without edges": DENSE.without_edges(),
    "sparse": with_nodes(csr_array(RNG.normal(size=(8, 3)) * (RNG.random((8, 3)) < 0.5))),
    "sparse and unsorted": with_nodes(UNSORTED),
    "sparse with long indices": with_nodes(
        csr_array((np.ones(1), np.array([2**40]), np.array([0, 1, *[1] * 7])), shape=(8, 2**41))
    ),
    "sparse edges": DENSE.with_edge_features(csr_array(np.eye(5, 4))),
    "fortran order": with_nodes(np.asfortranarray(DENSE.node_features)),
    "every second column": with_nodes(RNG.normal(size=(8, 6))[:, ::2]),
    "big-endian": with_nodes(DENSE.node_features.astype(">f4")),
    "integers": with_nodes(np.arange(16, dtype=np.uint8).reshape(8, 2)),
    "booleans": with_nodes(DENSE.node_features > 0),
    "strings in an array": with_nodes(np.array(list("abcdefgh"))[:, None]),
    "no features": with_nodes(np.zeros((8, 0))),
    "words": GraphDataset.from_sequences([["the", "", "Zoë"], ["\ud800", "a\0"]]),
    "dicts": GraphDataset.from_sequences([[{"w": "the", "n": 2.5, "on": True}], [{"w": ["a", "ö"]}, {}]]),
    "no graphs": DENSE[:0],
    "no words": GraphDataset.from_sequences([[]]),
}


def same_table(found, expected):
    if expected is None or isinstance(expected, list):
        assert found == expected
    elif hasattr(expected, "indptr"):
        assert found.shape == expected.shape
        assert found.dtype == expected.dtype
        assert (found != csr_array(expected)).nnz == 0
        assert found.has_canonical_format
    else:
        assert found.dtype == expected.dtype.newbyteorder("=")
        assert_array_equal(found, expected)


@pytest.mark.parametrize("mmap_mode", ["r", "c", None])
@pytest.mark.parametrize("name", DATASETS)
def test_round_trip(name, mmap_mode, tmp_path):
    X = DATASETS[name]
    save_dataset(tmp_path / "a" / "b", X)
    loaded, y = load_dataset(tmp_path / "a" / "b", mmap_mode)
    assert y is None
    for field in ("node_ptr", "edge_ptr", "edges"):
        assert_array_equal(getattr(loaded, field), getattr(X, field), strict=True)
    same_table(loaded.node_features, X.node_features)
    same_table(loaded.edge_features, X.edge_features)
    save_dataset(tmp_path / "again", loaded)  # also from a memory map
    names = sorted(path.name for path in (tmp_path / "again").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "a" / "b").iterdir())
    for file in names:
        assert (tmp_path / "again" / file).read_bytes() == (tmp_path / "a" / "b" / file).read_bytes()


@pytest.mark.parametrize(
    "values",
    [
        *(list("abcdefgh"), range(8), np.arange(8) > 3, np.linspace(0, 1, 8), np.array(list("abcdefgh"), object)),
        *(np.array([b"a", b"bc"] * 4), RNG.integers(2, size=(8, 3))),
    ],
    ids=["strings", "integers", "booleans", "floats", "objects", "bytes", "indicators"],
)
def test_labels(values, tmp_path):
    save_dataset(tmp_path, DENSE, RaggedArray(values, DENSE.node_ptr))
    for mmap_mode in ("r", None):
        _, y = load_dataset(tmp_path, mmap_mode)
        assert_array_equal(y.ptr, DENSE.node_ptr)
        assert y.values.dtype.kind == np.asarray(list(values)).dtype.kind
        assert_array_equal(y.values, np.asarray(list(values)))


def test_labels_in_lists_and_graphs_in_tuples(tmp_path):
    save_dataset(tmp_path, [([[1.0], [2.0]], [(0, 1)]), ([[3.0]], [])], [["a", "b"], ["c"]])
    X, y = load_dataset(tmp_path)
    assert y.tolist() == [["a", "b"], ["c"]]
    assert X.edges.tolist() == [[0, 1]]


def memory_map(array):
    while isinstance(array, np.ndarray) and not isinstance(array, np.memmap):
        array = array.base
    return array


def test_arrays_are_mapped(tmp_path):
    X = DATASETS["sparse"]
    save_dataset(tmp_path, X, RaggedArray(np.arange(8), X.node_ptr))
    mapped, y = load_dataset(tmp_path)
    arrays = [mapped.node_features.data, mapped.node_features.indices, mapped.node_features.indptr, y.values]
    arrays += [mapped.edges, mapped.edge_features, mapped.node_ptr, mapped.edge_ptr]
    for array in arrays:
        assert str(tmp_path) in str(memory_map(array).filename)
        assert not array.flags.writeable
    changed, _ = load_dataset(tmp_path, "c")
    changed.edge_features[:] = 0.0
    assert (load_dataset(tmp_path)[0].edge_features == X.edge_features).all()
    in_memory, _ = load_dataset(tmp_path, None)
    assert memory_map(in_memory.edges) is None


def test_training_on_mapped_data(tmp_path):
    X, y = DATASETS["sparse"][[0, 1, 3]], [list("abab"), ["a"], list("bba")]
    save_dataset(tmp_path, X, y)
    mapped, labels = load_dataset(tmp_path)
    expected, found = GraphCRFClassifier().fit(X, y), GraphCRFClassifier().fit(mapped, labels)
    assert_array_equal(found.coef_, expected.coef_)
    assert_array_equal(found.predict_proba(mapped).values, expected.predict_proba(X).values)


def test_arrays_are_plain_npy_files(tmp_path):
    save_dataset(tmp_path, DENSE)
    assert_array_equal(np.load(tmp_path / "node_features.npy", allow_pickle=False), DENSE.node_features)
    index = json.loads((tmp_path / "dataset.json").read_text())
    assert index["arrays"]["edges"]["shape"] == [5, 2]


@pytest.mark.parametrize(
    ("X", "y", "error", "message"),
    [
        (with_nodes(np.full((8, 1), None)), None, TypeError, "node_features has the dtype object"),
        (with_nodes(DENSE.node_features * 1j), None, TypeError, "node_features has the dtype complex128"),
        (with_nodes(pd.DataFrame({"a": range(8)})), None, TypeError, "node_features is a data frame"),
        (GraphDataset.from_sequences([[{"a": {1, 2}}]]), None, TypeError, r"node_features: row 0 is \{'a': \{1, 2\}\}"),
        (GraphDataset.from_sequences([[{"a": 1}, {2: 3}]]), None, TypeError, "row 1"),
        (DENSE, [[0] * 4, [0], [], [0] * 2], ValueError, "graph 3 has 2 labels in y, but 3 nodes"),
        (DENSE, [[0] * 4], ValueError, "y has 1 graphs, but X has 4"),
        (DENSE, [["a", None, "b", "c"], ["a"], [], list("abc")], TypeError, "y has the dtype object"),
        ([[0.0]], None, ValueError, "graph 0"),
    ],
)
def test_what_cannot_be_saved(X, y, error, message, tmp_path):
    with pytest.raises(error, match=message):
        save_dataset(tmp_path / "new", X, y)
    assert not (tmp_path / "new").exists()


def test_a_folder_with_files_is_not_overwritten(tmp_path):
    save_dataset(tmp_path, DENSE)
    with pytest.raises(FileExistsError, match="is not empty"):
        save_dataset(tmp_path, DENSE)
    load_dataset(tmp_path)


def test_interrupted_writing(tmp_path, monkeypatch):
    def interrupted(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr("os.replace", interrupted)
    with pytest.raises(OSError, match="No space"):
        save_dataset(tmp_path, DENSE)
    with pytest.raises(ValueError, match="interrupted"):
        load_dataset(tmp_path)


def test_bad_mode_and_missing_folder(tmp_path):
    with pytest.raises(ValueError, match="mmap_mode must be"):
        load_dataset(tmp_path, "r+")
    with pytest.raises(ValueError, match=r"has no file dataset.json"):
        load_dataset(tmp_path / "nowhere")


@pytest.fixture
def saved(tmp_path):
    save_dataset(tmp_path / "saved", DATASETS["sparse"], RaggedArray(list("abcdefgh"), DENSE.node_ptr))
    return tmp_path / "saved"


def files(folder):
    return sorted(folder.iterdir())


def test_flipped_bits(saved):
    rng = np.random.default_rng(1)
    for path in files(saved):
        good = path.read_bytes()
        for position in rng.choice(len(good), 40, replace=False):
            changed = bytearray(good)
            changed[position] ^= 1 << rng.integers(8)
            path.write_bytes(changed)
            with pytest.raises(ValueError, match=saved.name):
                load_dataset(saved)
        path.write_bytes(good)
    load_dataset(saved)


def test_truncated_and_lengthened_files(saved):
    for path in files(saved):
        good = path.read_bytes()
        sizes = [0, 1, 7, 10, len(good) // 2, len(good) - 1]
        for content in [*(good[:size] for size in sizes), good + b"\0", good * 2]:
            path.write_bytes(content)
            for mmap_mode in ("r", None):
                with pytest.raises(ValueError, match=path.name):
                    load_dataset(saved, mmap_mode)
        path.unlink()
        with pytest.raises(ValueError, match=path.name):
            load_dataset(saved)
        path.write_bytes(good)
    load_dataset(saved)


def test_without_checksums(saved):
    path = saved / "node_features.data.npy"
    content = path.read_bytes()
    path.write_bytes(content[:-8] + np.float64(5.0).tobytes())
    with pytest.raises(ValueError, match=r"data\.npy is damaged: its checksum"):
        load_dataset(saved)
    X, _ = load_dataset(saved, verify=False)
    assert X.node_features.data[-1] == 5.0


def test_files_of_two_datasets(saved, tmp_path):
    save_dataset(tmp_path / "other", DATASETS["dense"][::-1])
    shutil.copy(tmp_path / "other" / "node_ptr.npy", saved / "node_ptr.npy")
    with pytest.raises(ValueError, match=r"node_ptr.npy is damaged"):
        load_dataset(saved)


@pytest.mark.parametrize("folder", [None, 5])
def test_a_folder_is_a_path(folder):
    for call in (lambda: save_dataset(folder, [([[1.0]], [])]), lambda: load_dataset(folder)):
        with pytest.raises(TypeError, match=f"folder must be a path, got {folder}"):
            call()


def test_what_is_saved_is_a_list_of_graphs(tmp_path):
    with pytest.raises(TypeError, match="expected a list of graphs, got 5"):
        save_dataset(tmp_path / "new", 5)
    assert not (tmp_path / "new").exists()
