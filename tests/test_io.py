import io
import tracemalloc
import zipfile

import numpy as np
import pytest

from skstruct import Topology
from skstruct.functional import marginals
from skstruct.inference import Enumeration, JunctionTree
from skstruct.io import read_uai, read_uai_log_partition, read_uai_marginals, write_uai
from skstruct.scores import Scores

# Variables of 2, 3 and 2 states; a unary factor, an edge, the same edge reversed, another edge, a constant.
MODEL = """MARKOV
3
2 3 2
5
1 1
2 0 1
2 1 0
2 2 1
0

3
 1.0 0.0 2.0

6
 1 2 3
 4 5 6

6
 1 2  3 4  5 6
6
 2 2 2 2 2 8
1
 10
"""


def read(text, evidence=None):
    return read_uai(io.StringIO(text), None if evidence is None else io.StringIO(evidence))


def test_tables_add_up_by_scope():
    model = read(MODEL)
    assert model.cardinalities.tolist() == [2, 3, 2]
    assert model.edges.tolist() == [[0, 1], [2, 1]]
    np.testing.assert_allclose(np.exp(model.node_scores), [[1, 1, 0], [1, 0, 2], [1, 1, 0]])
    first = np.array([[1.0, 2, 3], [4, 5, 6]]) * np.array([[1.0, 2], [3, 4], [5, 6]]).T
    np.testing.assert_allclose(np.exp(model.edge_scores[0]), np.vstack([first, np.ones(3)]))
    np.testing.assert_allclose(np.exp(model.edge_scores[1]), [[2, 2, 2], [2, 2, 8], [1, 1, 1]])
    assert model.log_constant == pytest.approx(np.log(10))


@pytest.mark.parametrize("evidence", [None, "0", "1 0", "", "1 2 1", "1\n1 2 1", "2\n 0 0\n 2 1\n"])
def test_log_partition_by_hand(evidence):
    model = read(MODEL, evidence)
    known = {2: 1} if evidence and "2 1" in evidence else {}
    if evidence and evidence.startswith("2"):
        known[0] = 0
    unary, pair = [1, 0, 2], np.array([[1, 2, 3], [4, 5, 6]]) * np.array([[1, 3, 5], [2, 4, 6]])
    total = sum(
        unary[b] * pair[a, b] * (8 if (c, b) == (1, 2) else 2)
        for a in range(2)
        for b in range(3)
        for c in range(2)
        if known.get(0, a) == a and known.get(2, c) == c
    )
    found = marginals(model.node_scores, model.edges, model.edge_scores)
    assert found.log_partition == pytest.approx(np.log(total), abs=1e-12)
    assert (found.node[0, 2], found.node[2, 2]) == (0.0, 0.0)


def test_evidence_as_a_dict():
    by_dict, by_file = read_uai(io.StringIO(MODEL), {1: 2}), read(MODEL, "1 1 2")
    np.testing.assert_array_equal(by_dict.node_scores, by_file.node_scores)


def random_model(rng):
    sizes = rng.integers(1, 4, 6)
    node = rng.normal(size=(6, 3)) * 30
    node[np.arange(3) >= sizes[:, None]] = -np.inf
    node[0, 0] = -np.inf
    edges = np.array([(0, 1), (2, 1), (3, 5), (4, 5), (2, 4)])
    edge = rng.normal(size=(5, 3, 3))
    edge[rng.random(edge.shape) < 0.1] = -np.inf
    for matrix, (i, j) in zip(edge, edges):
        matrix[sizes[i] :] = 0.0
        matrix[:, sizes[j] :] = 0.0
    return node, edges, edge, sizes


@pytest.mark.parametrize("seed", range(5))
def test_round_trip(seed, tmp_path):
    node, edges, edge, sizes = random_model(np.random.default_rng(seed))
    path = tmp_path / "model.uai"
    write_uai(path, node, edges, edge, sizes, log_constant=-2.5)
    model = read_uai(path)
    n_states = sizes.max()
    np.testing.assert_allclose(model.node_scores, node[:, :n_states], rtol=1e-14, atol=1e-14)
    np.testing.assert_array_equal(model.edges, edges)
    np.testing.assert_allclose(model.edge_scores, edge[:, :n_states, :n_states], rtol=1e-14, atol=1e-14)
    np.testing.assert_array_equal(model.cardinalities, sizes)
    assert model.log_constant == pytest.approx(-2.5, abs=1e-14)


def test_a_shared_matrix_and_no_edges():
    file = io.StringIO()
    write_uai(file, np.zeros((3, 2)), [(0, 1), (1, 2)], np.eye(2)[None])
    np.testing.assert_allclose(read(file.getvalue()).edge_scores, np.stack([np.eye(2)] * 2), atol=1e-15)
    file = io.StringIO()
    write_uai(file, np.zeros((3, 2)), [], [])
    model = read(file.getvalue())
    assert model.edges.shape == (0, 2)
    assert model.edge_scores.shape == (0, 2, 2)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("MARKOV", "FACTOR", r"text, line 1: expected the type of network, MARKOV or BAYES, got 'FACTOR'"),
        (
            "2 3 2",
            "2 0 2",
            r"line 3: expected the cardinality of variable 1, an integer of at least 1, got '0'",
        ),
        ("1 1\n", "1 x\n", r"line 5: expected variable 0 of factor 0, an integer from 0 to 2, got 'x'"),
        ("2 0 1", "2 0 3", r"line 6: expected variable 1 of factor 1, an integer from 0 to 2, got '3'"),
        ("2 0 1", "2 1 1", r"line 6: factor 1 has variable 1 twice"),
        ("2 0 1", "3 0 1 2", r"line 6: factor 1 has 3 variables, \(0, 1, 2\); skstruct supports .* at most two"),
        ("3\n 1.0", "4\n 1.0", r"line 11: factor 0, over variables \(1,\), has a table of 4 entries, not 3"),
        (" 4 5 6", " 4 y 6", r"line 16: expected a number in the table of factor 1, got 'y'"),
        (" 4 5 6", " 4 -5 6", r"line 16: the table of factor 1 has an entry that is negative or not finite"),
        (" 4 5 6", " 4 nan 6", r"line 16: the table of factor 1 has an entry that is negative or not finite"),
        ("\n 10\n", "\n", r"end of file: expected the table of factor 4, but the file ends"),
        ("\n 10\n", "\n 10 11\n", r"line 23: unexpected '11' after the last factor"),
    ],
)
def test_malformed_models(old, new, message):
    assert MODEL.count(old) == 1
    with pytest.raises(ValueError, match=message):
        read(MODEL.replace(old, new))


@pytest.mark.parametrize(
    ("evidence", "message"),
    [
        ("1 0", None),
        ("1 0 2", "no state 2 of a variable 0"),
        ("1 3 0", "no state 0 of a variable 3"),
        ("2 0 1", "end of file: expected the variable of observation 1"),
        ("2 1 0 1", "2 samples of evidence, or an incomplete pair"),
        ("1 0 one", "expected the state of observation 0, an integer of at least 0, got 'one'"),
    ],
)
def test_malformed_evidence(evidence, message):
    if message is None:
        read(MODEL, evidence)
        return
    with pytest.raises(ValueError, match=message):
        read(MODEL, evidence)


def test_errors_name_the_file(tmp_path):
    path = tmp_path / "broken.uai"
    path.write_text("MARKOV 1")
    with pytest.raises(ValueError, match=r"broken\.uai, end of file: expected the cardinality of variable 0"):
        read_uai(path)


def test_results():
    assert read_uai_log_partition(io.StringIO("PR\n-2.0\n")) == pytest.approx(-2 * np.log(10))
    with pytest.raises(ValueError, match="expected the type of result, PR, got 'MAR'"):
        read_uai_log_partition(io.StringIO("MAR 0"))
    with pytest.raises(ValueError, match="expected marginals of variable 1, but the file ends"):
        read_uai_marginals(io.StringIO("MAR 2  1 1.0  2 0.5"))
    with pytest.raises(ValueError, match=r"line 2: unexpected '0\.5' after the last variable"):
        read_uai_marginals(io.StringIO("MAR 1  1 1.0\n 0.5"))
    assert read_uai_marginals(io.StringIO("MAR 0")).shape == (0, 0)


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
    path.write_text(MODEL)
    with pytest.raises(ValueError, match="edges"):
        write_uai(path, TWO, [(1, 1)], SCORES)
    assert path.read_text() == MODEL


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


def test_max_entries_counts_the_scores():
    """MODEL has 3 x 3 node scores and 2 x 3 x 3 edge scores; its repeated and reversed edge counts once."""
    model = read_uai(io.StringIO(MODEL), max_entries=27)
    assert model.node_scores.size + model.edge_scores.size == 27
    with pytest.raises(
        ValueError, match=r"3 variables of up to 3 states and 2 edges need 27 numbers, .* max_entries=26"
    ):
        read_uai(io.StringIO(MODEL), max_entries=26)
    text = "MAR 2  1 1.0  3 0 0 1"
    assert read_uai_marginals(io.StringIO(text), max_entries=6).shape == (2, 3)
    with pytest.raises(ValueError, match="2 variables of up to 3 states need 6 numbers"):
        read_uai_marginals(io.StringIO(text), max_entries=5)
    for bad in (0, -1, "1e8", None):
        with pytest.raises((TypeError, ValueError), match="max_entries"):
            read_uai(io.StringIO(MODEL), max_entries=bad)


@pytest.mark.parametrize("text", ["2 0 0 0 1", "1\n2 0 0 0 1", "3 0 1 1 2 0 0"])
def test_evidence_that_contradicts_itself(text):
    with pytest.raises(ValueError, match=r"text, line \d: variable 0 is observed in state \d and in state \d"):
        read(MODEL, text)


def test_evidence_that_is_repeated():
    np.testing.assert_array_equal(read(MODEL, "2 0 1 0 1").node_scores, read(MODEL, "1 0 1").node_scores)


@pytest.mark.parametrize(
    "evidence",
    [{"0": 1}, {0: "1"}, {0: 0.5}, {0.0: 1}, {None: 1}, {0: None}, {0: True}, {0: 9}, {9: 0}, {-1: 0}, {0: -1}],
)
def test_malformed_evidence_in_a_dict(evidence):
    with pytest.raises(ValueError, match="evidence"):
        read_uai(io.StringIO(MODEL), evidence)


def test_evidence_of_numpy_integers():
    found = read_uai(io.StringIO(MODEL), {np.int64(0): np.int32(1)})
    np.testing.assert_array_equal(found.node_scores, read(MODEL, "1 0 1").node_scores)


@pytest.mark.parametrize("reader", [read_uai, read_uai_marginals, read_uai_log_partition])
def test_what_is_no_text_file(reader, tmp_path):
    for file in (None, 3, [0, 1], {0: 1}):
        with pytest.raises(TypeError, match="file must be a path or an open text file, got"):
            reader(file)
    with pytest.raises(TypeError, match="must be open as a text file"):
        reader(io.BytesIO(MODEL.encode()))
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


# ------------------------------------------------------------------------------------------ competition files
SIZES = {  # nodes, states, edges
    "CSP_11": (82, 4, 380),
    "DBN_11": (40, 2, 400),
    "Grids_11": (100, 2, 200),
    "Grids_17": (400, 2, 760),
    "ObjectDetection_11": (60, 11, 165),
    "ObjectDetection_25": (60, 21, 135),
    "Segmentation_15": (232, 2, 631),
}


@pytest.fixture(scope="module")
def competition(shared_data):
    with zipfile.ZipFile(shared_data("uai2014-pairwise.zip")) as archive:
        yield lambda name: io.TextIOWrapper(archive.open(name), encoding="ascii")


@pytest.mark.parametrize("name", SIZES)
def test_competition_models_parse(name, competition):
    model = read_uai(competition(f"{name}.uai"), competition(f"{name}.uai.evid"))
    reference = read_uai_marginals(competition(f"{name}.uai.MAR"))
    assert (*model.node_scores.shape, len(model.edges)) == SIZES[name]
    assert reference.shape == model.node_scores.shape
    np.testing.assert_allclose(reference.sum(axis=1), 1, atol=1e-4)
    assert (reference[np.isneginf(model.node_scores)] == 0).all()


def agrees_with_competition(name, competition):
    """Marginals within the six digits of the file, log10 of the partition function likewise."""
    model = read_uai(competition(f"{name}.uai"), competition(f"{name}.uai.evid"))
    topology = Topology.from_edges(model.edges, len(model.node_scores))
    plan = JunctionTree(max_entries=2e8).plan(topology, model.node_scores.shape[1])
    found = plan.marginals(Scores(model.node_scores, model.edge_scores))
    reference = read_uai_marginals(competition(f"{name}.uai.MAR"))
    np.testing.assert_allclose(found.node, reference, rtol=0, atol=1e-6)
    log_partition = read_uai_log_partition(competition(f"{name}.uai.PR"))
    assert found.log_partition[0] + model.log_constant == pytest.approx(log_partition, rel=5.1e-6)


@pytest.mark.parametrize("name", ["Grids_11", "Grids_13", "Segmentation_11", "Segmentation_13", "Segmentation_15"])
def test_junction_tree_agrees_with_the_competition(name, competition):
    agrees_with_competition(name, competition)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["DBN_11", "DBN_15", "Grids_15", "Grids_17", "ObjectDetection_11"])
def test_junction_tree_agrees_with_the_competition_on_wide_models(name, competition):
    agrees_with_competition(name, competition)


def test_unequal_cardinalities_by_enumeration():
    model = read(MODEL)
    topology = Topology.from_edges(model.edges, 3)
    scores = Scores(model.node_scores, model.edge_scores)
    found = Enumeration().plan(topology, 3).marginals(scores)
    by_tree = marginals(model.node_scores, model.edges, model.edge_scores)
    assert found.log_partition[0] == pytest.approx(by_tree.log_partition)
