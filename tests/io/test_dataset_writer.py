"""Datasets that are written in pieces are those that are written at once; interrupted folders are refused."""

import os
import signal
import subprocess
import sys
import time
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array, csr_matrix

from skstruct import GraphDataset, RaggedArray
from skstruct.io import DatasetWriter, load_dataset, save_dataset
from skstruct.io import _dataset_writer as module

RNG = np.random.default_rng(0)
PTR = [0, 4, 5, 5, 8, 10]
DENSE = GraphDataset.from_graphs(
    [(RNG.normal(size=(n, 3)), [(i, i + 1) for i in range(n - 1)]) for n in np.diff(PTR)]
).with_edge_features(RNG.normal(size=(6, 2)))
TABLES = {
    "dense": DENSE.node_features,
    "sparse": csr_array(np.where(RNG.random((10, 3)) < 0.5, RNG.normal(size=(10, 3)), 0.0)),
    "unsorted": csr_matrix((np.arange(6.0), np.array([2, 0, 1, 1, 2, 0]), np.array([0, 2, 4, *[4] * 4, 5, 5, 6, 6]))),
    "strings": ["the", "", "Zoë", "a\0", "\ud800", "f", "g", "h", "i", "j"],
    "dicts": [{"w": "the", "n": i} for i in range(10)],
    "strings in an array": np.array([["a"], ["b"], ["cd"], ["e"], ["f"], ["ghi"], ["j"], ["k"], ["l"], ["m"]]),
    "no columns": np.zeros((10, 0)),
}
LABELS = RaggedArray(["a", "b", "a", "a", "longer", "a", "b", "b", "the longest", "a"], PTR)
CUTS = {"one by one": [0, 1, 2, 3, 4, 5], "two": [0, 3, 5], "all": [0, 5], "with an empty piece": [0, 0, 2, 2, 5]}


def write(folder, X, y, cuts):
    with DatasetWriter(folder) as writer:
        for start, stop in pairwise(cuts):
            writer.write(X[start:stop], None if y is None else y[start:stop])
    return writer


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("cuts", CUTS)
@pytest.mark.parametrize("name", TABLES)
def test_pieces_make_the_same_files(name, cuts, tmp_path):
    X = DENSE.with_node_features(TABLES[name])
    save_dataset(tmp_path / "whole", X, LABELS)
    writer = write(tmp_path / "pieces", X, LABELS, CUTS[cuts])
    assert contents(tmp_path / "pieces") == contents(tmp_path / "whole")
    assert (writer.n_graphs, writer.n_nodes, writer.n_edges, writer.closed) == (5, 10, 6, True)


@pytest.mark.parametrize("X", [DENSE.with_edge_features(None), DENSE.without_edges(), DENSE[:0]])
def test_without_edges_and_labels(X, tmp_path):
    save_dataset(tmp_path / "whole", X)
    write(tmp_path / "pieces", X, None, [0, len(X) // 2, len(X)])
    assert contents(tmp_path / "pieces") == contents(tmp_path / "whole")


def test_pieces_without_edges_do_not_show_edge_features(tmp_path):
    X = GraphDataset.from_nodes(np.ones((2, 3)))
    with DatasetWriter(tmp_path / "new") as writer:
        for piece in (X, DENSE, X):
            writer.write(piece)
    loaded, _ = load_dataset(tmp_path / "new")
    assert_array_equal(loaded.edge_features, DENSE.edge_features)
    assert len(loaded) == 9


def test_types_become_wider(tmp_path):
    pieces = [(np.float32, np.int16), (np.float64, np.int64), (np.float32, np.int8)]
    with DatasetWriter(tmp_path / "new") as writer:
        for k, (floats, integers) in enumerate(pieces):
            writer.write(
                DENSE.with_node_features(np.full((10, 3), k + 0.5, floats)), RaggedArray(np.full(10, k, integers), PTR)
            )
    X, y = load_dataset(tmp_path / "new")
    assert (X.node_features.dtype, y.values.dtype) == (np.float64, np.int64)
    assert_array_equal(X.node_features, np.repeat([0.5, 1.5, 2.5], 10)[:, None] * np.ones(3))
    assert_array_equal(y.values, np.repeat([0, 1, 2], 10))


def test_indices_of_64_bits_where_32_are_too_few(tmp_path, monkeypatch):
    small = csr_array((np.ones(2), np.array([0, 1], np.int32), np.array([0, 1, 2], np.int32)), shape=(2, 2))
    monkeypatch.setattr(module, "INDEX_TYPES", {np.dtype(np.int32): 3, np.dtype(np.int64): 2**63 - 1})
    with DatasetWriter(tmp_path / "new") as writer:
        for _ in range(3):
            writer.write(GraphDataset.from_nodes(small))
    X, _ = load_dataset(tmp_path / "new")
    assert X.node_features.indices.dtype == X.node_features.indptr.dtype == np.int64
    assert_array_equal(X.node_features.toarray(), np.tile(np.eye(2), (3, 1)))


def test_a_matrix_with_room_to_grow(tmp_path):
    table = csr_array((np.ones(4), np.array([0, 1, 0, 0]), np.array([0, 1, 2])), shape=(2, 2))
    write(tmp_path / "new", GraphDataset.from_nodes(table), None, [0, 1, 2])
    assert_array_equal(load_dataset(tmp_path / "new")[0].node_features.toarray(), np.eye(2))


WITH_Y = (DENSE, LABELS)
DIFFERENT = [
    ((DENSE[:, :2], LABELS), "array node_features has .* rows of shape .2,., but float64 and .3,. in earlier pieces"),
    ((DENSE.with_node_features(TABLES["sparse"]), LABELS), "node_features of piece 1: kind csr, n_columns 3; of earl"),
    ((DENSE.with_node_features(np.ones((10, 3), int)), LABELS), "array node_features has the dtype int64"),
    ((DENSE.with_edge_features(None), LABELS), "edge_features of piece 1: none; of earlier pieces: kind array"),
    ((DENSE, None), "y of piece 1: none; of earlier pieces: kind array"),
    ((DENSE, RaggedArray(np.arange(10), PTR)), "piece 1: the array y has the dtype int64"),
    ((DENSE, LABELS[:3]), "y has 3 graphs, but X has 5"),
]


@pytest.mark.parametrize(("piece", "message"), DIFFERENT, ids=range(len(DIFFERENT)))
def test_a_piece_that_differs_is_refused_and_the_writer_goes_on(piece, message, tmp_path):
    with DatasetWriter(tmp_path / "new") as writer:
        writer.write(*WITH_Y)
        with pytest.raises(ValueError, match=message):
            writer.write(*piece)
        writer.write(*WITH_Y)
    X, y = load_dataset(tmp_path / "new")
    assert len(X) == len(y) == 10


def test_objects_are_refused(tmp_path):
    with DatasetWriter(tmp_path / "new") as writer:
        with pytest.raises(TypeError, match="node_features is a data frame"):
            writer.write(GraphDataset.from_nodes(pd.DataFrame({"a": [1.0]})))
        assert not (tmp_path / "new").exists()
        writer.write(DENSE)


def test_too_many_nodes(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_NODES", 20)
    with DatasetWriter(tmp_path / "new") as writer:
        writer.write(DENSE)
        with pytest.raises(ValueError, match="got 20 and 12 with piece 1; write several datasets"):
            writer.write(DENSE)
    assert len(load_dataset(tmp_path / "new")[0]) == 5


def test_an_error_in_the_block_leaves_a_folder_that_is_refused(tmp_path):
    writer = DatasetWriter(tmp_path / "new")
    with pytest.raises(TypeError, match="data frame"), writer:
        writer.write(DENSE) or writer.write(GraphDataset.from_nodes(pd.DataFrame({"a": [1.0]})))
    with pytest.raises(ValueError, match="writing it was interrupted"):
        load_dataset(tmp_path / "new")
    with pytest.raises(FileExistsError, match="is not empty"):
        DatasetWriter(tmp_path / "new")
    with pytest.raises(ValueError, match="is closed"):
        writer.write(DENSE)


def test_a_full_disk_ends_the_writer(tmp_path, monkeypatch):
    writer = DatasetWriter(tmp_path / "new")
    writer.write(DENSE)
    with monkeypatch.context() as context:
        context.setattr(module.ArrayWriter, "append", lambda *_: (_ for _ in ()).throw(OSError("No space left")))
        with pytest.raises(OSError, match="No space"):
            writer.write(DENSE)
    with pytest.raises(ValueError, match="is closed"):
        writer.write(DENSE)
    writer.close()
    with pytest.raises(ValueError, match="interrupted"):
        load_dataset(tmp_path / "new")


def test_nothing_written_and_closed_twice(tmp_path):
    writer = DatasetWriter(tmp_path / "new")
    with pytest.raises(ValueError, match="nothing was written"):
        writer.close()
    with DatasetWriter(tmp_path / "new") as writer:
        writer.write(DENSE)
        writer.close()
    assert repr(writer) == f"DatasetWriter({str(tmp_path / 'new')!r}, n_graphs=5, n_nodes=10, n_edges=6, closed=True)"


def test_two_writers_of_one_folder(tmp_path):
    first, second = DatasetWriter(tmp_path / "new"), DatasetWriter(tmp_path / "new")
    first.write(DENSE)
    with pytest.raises(FileExistsError, match="is not empty"):
        second.write(DENSE)
    first.close()
    load_dataset(tmp_path / "new")


KILLED = """
import sys, numpy as np
from skstruct import GraphDataset
from skstruct.io import DatasetWriter
X = GraphDataset.from_sequences([np.ones((50, 20))] * 20)
with DatasetWriter(sys.argv[1]) as writer:
    while True:
        writer.write(X, [[0] * 50] * 20)
        print("written", flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="kills a process by a signal")
def test_a_killed_process_leaves_a_folder_that_is_refused(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path / "new")], stdout=subprocess.PIPE)
    for _ in range(3):
        child.stdout.readline()
    time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    with pytest.raises(ValueError, match="writing it was interrupted"):
        load_dataset(tmp_path / "new")
