"""UAI files: models, evidence and results."""

import io

import numpy as np
import pytest

from skstruct import Topology
from skstruct.functional import marginals
from skstruct.inference import Enumeration
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


def test_unequal_cardinalities_by_enumeration():
    model = read(MODEL)
    topology = Topology.from_edges(model.edges, 3)
    scores = Scores(model.node_scores, model.edge_scores)
    found = Enumeration().plan(topology, 3).marginals(scores)
    by_tree = marginals(model.node_scores, model.edges, model.edge_scores)
    assert found.log_partition[0] == pytest.approx(by_tree.log_partition)


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
