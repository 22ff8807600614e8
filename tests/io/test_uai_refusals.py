"""UAI files and tensors that cannot be read or written, and sizes that are refused before they need memory."""

import io
import tracemalloc

import numpy as np
import pytest

from skstruct.functional import marginals
from skstruct.io import read_uai, read_uai_log_partition, read_uai_marginals, write_uai


def read(text, evidence=None):
    return read_uai(io.StringIO(text), None if evidence is None else io.StringIO(evidence))


def test_refusals_to_write():
    def write(node=((0.0, 0.0),) * 2, edges=((0, 1),), edge=(((0.0, 0.0), (0.0, 0.0)),), sizes=None):
        write_uai(io.StringIO(), node, edges, edge, sizes)

    with pytest.raises(ValueError, match=r"node_scores\[1\] has an entry that is nan, inf or beyond \+-700"):
        write(node=[[0.0, 0.0], [800.0, 0.0]])
    with pytest.raises(ValueError, match=r"edge_scores\[0\] has an entry that is nan, inf or beyond \+-700"):
        write(edge=[[[0.0, -701.0], [0.0, 0.0]]])


TWO, PAIR, SCORES = np.zeros((2, 2)), [(0, 1)], np.zeros((1, 2, 2))


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ((TWO, [(0, -1)], SCORES), r"edges\[0\] is \(0, -1\); an edge joins two different nodes among 0..1"),
        ((TWO, [(0, 1), (1, 1)], SCORES), r"edges\[1\] is \(1, 1\); an edge joins two different nodes"),
        ((TWO, [(0, 2)], SCORES), r"edges\[0\] is \(0, 2\)"),
        ((TWO, [(0, 2**32 + 1)], SCORES), "the node number 4294967297, beyond the limit"),
        ((TWO, [(0.5, 1)], SCORES), "edges must hold integers"),
        ((TWO, [(np.nan, 1)], SCORES), "edges must hold integers"),
        ((TWO, [(True, False)], SCORES), "edges must hold integers"),
        ((TWO, [("0", "1")], SCORES), "edges must hold integers"),
        ((TWO, [0, 1], SCORES), r"shape \(n_edges, 2\), got shape \(2,\)"),
        ((TWO, [(0, 1, 1)], SCORES), r"shape \(n_edges, 2\), got shape \(1, 3\)"),
        ((TWO, [(0, 1), (1,)], SCORES), r"edges must be pairs of node numbers"),
        ((np.zeros((0, 2)), PAIR, SCORES), r"edges\[0\] is \(0, 1\)"),
        ((TWO, PAIR, [[[0.0, np.nan], [0.0, 0.0]]]), r"edge_scores\[0, 0, 1\] is nan"),
        ((TWO, PAIR, [[[0.0, np.inf], [0.0, 0.0]]]), r"edge_scores\[0, 0, 1\] is inf"),
        ((TWO, PAIR, [[0.0, 0.0], [0.0, 0.0]]), "edge_scores must have 3 dimensions"),
        ((TWO, PAIR, np.zeros((4, 1, 1))), r"edge_scores must have shape \(1, 2, 2\).* got \(4, 1, 1\)"),
        ((TWO, PAIR, np.zeros((1, 4, 1))), r"edge_scores must have shape \(1, 2, 2\)"),
        ((TWO, PAIR, []), r"edge_scores must have shape \(1, 2, 2\)"),
        ((TWO, PAIR * 3, np.zeros((2, 2, 2))), r"edge_scores must have shape \(3, 2, 2\).* got \(2, 2, 2\)"),
        ((TWO, PAIR, "scores"), "edge_scores must be an array of numbers"),
        (([0.0, 0.0], PAIR, SCORES), r"node_scores must have 2 dimensions, got shape \(2,\)"),
        (([[0.0, np.nan], [0.0, 0.0]], PAIR, SCORES), r"node_scores\[0, 1\] is nan"),
        (([[0.0, np.inf], [0.0, 0.0]], PAIR, SCORES), r"node_scores\[0, 1\] is inf"),
        (([[0.0], [0.0, 0.0]], PAIR, SCORES), "node_scores must be an array of numbers"),
        (([["a", "b"]], [], []), "node_scores must be an array of numbers"),
        ((None, [], []), "node_scores must have 2 dimensions"),
    ],
)
@pytest.mark.parametrize("call", [marginals, lambda *tensors: write_uai(io.StringIO(), *tensors)], ids=["use", "write"])
def test_tensors_are_checked_alike_in_use_and_in_writing(call, tensors, message):
    with pytest.raises(ValueError, match=message):
        call(*tensors)


@pytest.mark.parametrize(
    "sizes", [[2, 3], [0, 2], [2], [2, 2, 2], [1.5, 2], [True, 2], [2, -1], ["2", 2], 2, [[1], [2, 2]]]
)
def test_cardinalities_that_are_refused(sizes):
    with pytest.raises(ValueError, match="cardinalities must be 2 integers from 1 to 2, got"):
        write_uai(io.StringIO(), TWO, PAIR, SCORES, sizes)


@pytest.mark.parametrize(
    ("constant", "error"), [("1", TypeError), ([1.0], TypeError), (np.nan, ValueError), (np.inf, ValueError)]
)
def test_constants_that_are_refused(constant, error):
    with pytest.raises(error, match="log_constant"):
        write_uai(io.StringIO(), TWO, PAIR, SCORES, log_constant=constant)


def test_a_refused_model_leaves_the_file_alone(tmp_path):
    path = tmp_path / "model.uai"
    path.write_text("MARKOV")
    with pytest.raises(ValueError, match="edges"):
        write_uai(path, TWO, [(1, 1)], SCORES)
    assert path.read_text() == "MARKOV"


@pytest.mark.parametrize(
    ("word", "log"),
    [
        ("1e-400", -400 * np.log(10)),
        ("0.5e-399", np.log(5) - 400 * np.log(10)),
        ("1" + 400 * "0" + "e-800", -400 * np.log(10)),
        ("1e400", 400 * np.log(10)),
        ("1e-320", -320 * np.log(10)),  # as a float it has three digits
        ("5e-324", np.log(5) - 324 * np.log(10)),
        ("1e-99999", -99999 * np.log(10)),
        ("2.5e-308", np.log(2.5) - 308 * np.log(10)),
        ("0", -np.inf),
        ("0e-400", -np.inf),
        ("-0.0", -np.inf),
    ],
)
def test_potentials_beyond_floats(word, log):
    model = read(f"MARKOV 2 2 2 2 1 0 2 0 1  2 1 {word}  4 1 1 {word} 1")
    np.testing.assert_allclose([model.node_scores[0, 1], model.edge_scores[0, 1, 0]], log, rtol=1e-15)
    assert read(f"MARKOV 1 2 2  0  1 0  1 {word}  2 1 1").log_constant == pytest.approx(log, rel=1e-15)


@pytest.mark.parametrize(
    "word", ["-1", "-1e-400", "-1e400", "nan", "inf", "-inf", "1e-99999999999999999999999", "x", "1,0"]
)
def test_potentials_that_are_refused(word):
    with pytest.raises(ValueError, match=r"text, line 2: .*the table of factor 0"):
        read(f"MARKOV 1 2 1 1 0\n 2 1 {word}")


@pytest.mark.parametrize(
    "text",
    [
        "MARKOV 1 1000000000 0",
        "BAYES 1 1000000000 0",
        f"MARKOV 300 5000 {'2 ' * 299} 299 " + " ".join(f"2 {i} {i + 1}" for i in range(299)),
        f"MARKOV 2 2 2 20000 {'2 1 0 ' * 20000}",  # not one too many: the tables are missing
        f"MARKOV 20001 20000 {'1 ' * 20000} 0",
        "MARKOV 2 10000000 10000000 1 2 0 1 100000000000000",
        "MARKOV 1 1000000000000000000 1 1 0 1",
        "MARKOV 1 99999999999999999999999999 0",
        f"MARKOV 1 {'9' * 5000} 0",
        "MARKOV 99999999999999999999 1",
        "MARKOV 1 --2 0",
        "MARKOV 1 2 9223372036854775808",
        "MARKOV 1 2 1 1 0 9223372036854775808",
    ],
)
def test_small_files_do_not_ask_for_memory(text):
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"numbers, .* GiB, more than max_entries=1e\+08; raise it|expected"):
            read(text)
        assert tracemalloc.get_traced_memory()[1] < 5e7
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("reader", [read_uai, read_uai_marginals, read_uai_log_partition])
def test_what_is_no_text_file(reader, tmp_path):
    for file in (None, 3, [0, 1], {0: 1}):
        with pytest.raises(TypeError, match="file must be a path or an open text file, got"):
            reader(file)
    with pytest.raises(TypeError, match="must be open as a text file"):
        reader(io.BytesIO(b"MARKOV"))
    path = tmp_path / "binary"
    path.write_bytes(b"MARKOV \xff\xfe")
    with pytest.raises(ValueError, match=r"binary.* is not a text file"), path.open(encoding="utf-8") as file:
        reader(file)


@pytest.mark.parametrize("value", ["-0.1", "1.5", "nan", "inf"])
def test_marginals_that_are_refused(value):
    with pytest.raises(ValueError, match="variable 1 has a marginal that is not between 0 and 1"):
        read_uai_marginals(io.StringIO(f"MAR 2  1 1  2 {value} 0.5"))


@pytest.mark.parametrize("value", ["nan", "inf", "1e400"])
def test_log_partitions_that_are_refused(value):
    with pytest.raises(ValueError, match="the log-partition is"):
        read_uai_log_partition(io.StringIO(f"PR {value}"))
    assert read_uai_log_partition(io.StringIO("PR -inf")) == -np.inf
