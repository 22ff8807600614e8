"""Models with forbidden states and pairs: an allowed labelling is found where there is one, or the message says so.

The truth is enumeration.
"""

import dataclasses
import itertools

import numpy as np
import pytest

from skstruct import Topology
from skstruct.decoding import DECODERS
from skstruct.exceptions import InfeasibleGraph
from skstruct.functional import decode, entropy, marginals, neg_log_likelihood, sample, top_k
from skstruct.inference import BACKENDS, InferencePlan
from skstruct.inference.allowed import find_allowed
from skstruct.scores import Decoding, Scores, score_labelling

HARD = [(0, 1), (0, 4), (1, 2), (1, 3), (1, 4), (2, 3), (3, 4)]  # six colourings with three colours
PETERSEN = (
    [(i, (i + 1) % 5) for i in range(5)] + [(i, i + 5) for i in range(5)] + [(5 + i, 5 + (i + 2) % 5) for i in range(5)]
)
APPROXIMATE = ["loopy_bp", "mean_field", "tree_reweighted", "gibbs"]


def dodecahedron():
    """LCF notation [10, 7, 4, -4, -7, 10, -4, 7, -7, 4]^2."""
    jumps = [10, 7, 4, -4, -7, 10, -4, 7, -7, 4] * 2
    ring = {frozenset((i, (i + 1) % 20)) for i in range(20)}
    return sorted(tuple(sorted(pair)) for pair in ring | {frozenset((i, (i + j) % 20)) for i, j in enumerate(jumps)})


def differ(n_states):
    return np.where(np.eye(n_states, dtype=bool), -np.inf, 0.0)[None]


def random_model(seed):
    """A small model with many forbidden states and pairs, and all of its labellings that are allowed."""
    rng = np.random.default_rng(seed)
    n_nodes, n_states = int(rng.integers(3, 8)), int(rng.integers(2, 4))
    pairs = np.array(list(itertools.combinations(range(n_nodes), 2)))
    edges = pairs[rng.random(len(pairs)) < rng.uniform(0.4, 1.0)]
    if seed % 2:
        edge = np.repeat(differ(n_states), len(edges), axis=0)
    else:
        edge = rng.normal(size=(len(edges), n_states, n_states))
        edge[rng.random(edge.shape) < rng.uniform(0.2, 0.5)] = -np.inf
    node = rng.normal(size=(n_nodes, n_states))
    node[rng.random(node.shape) < 0.05] = -np.inf
    topology, scores = Topology.from_edges(edges, n_nodes), Scores(node, edge)
    labellings = np.array(list(itertools.product(range(n_states), repeat=n_nodes)))
    total = np.array([score_labelling(topology, scores, labels)[0] for labels in labellings])
    return topology, scores, total


@pytest.mark.parametrize("seed", range(60))
def test_search_is_right_either_way(seed):
    topology, scores, total = random_model(seed)
    labels = np.zeros(topology.n_nodes, np.intp)
    impossible = find_allowed(topology, scores, labels, np.array([0]))
    assert impossible[0] == (total.max() == -np.inf)
    assert impossible[0] or score_labelling(topology, scores, labels)[0] > -np.inf


def check_decoded(found, total):
    """A labelling where one is allowed, and proof where none is."""
    feasible = total.max() > -np.inf
    assert (found.score[0] > -np.inf) == feasible
    assert (found.bound[0] > -np.inf) == feasible
    assert found.bound[0] >= total.max() - 1e-9


@pytest.mark.parametrize("seed", range(60))
def test_every_decoder(seed):
    topology, scores, total = random_model(seed)
    for cls in DECODERS.values():
        if cls().accepts(topology, scores).all():
            check_decoded(cls().decode(topology, scores), total)


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("name", APPROXIMATE)
def test_every_backend(name, seed):
    topology, scores, total = random_model(seed)
    plan = BACKENDS[name]().plan(topology, scores.node.shape[1])
    check_decoded(plan.decode(scores), total)
    if total.max() > -np.inf:
        log_partition = plan.marginals(scores).log_partition[0]
        assert np.isfinite(log_partition)
        if name in ("mean_field", "gibbs"):
            assert log_partition >= total.max() - 1e-9
        drawn = plan.sample(scores, 3, np.random.default_rng(0))
        assert all(score_labelling(topology, scores, labels)[0] > -np.inf for labels in drawn)


@pytest.mark.parametrize("inference", APPROXIMATE)
@pytest.mark.parametrize(
    ("edges", "n_nodes", "n_states"),
    [
        (HARD, 5, 3),
        (dodecahedron(), 20, 3),
        (PETERSEN, 10, 3),
        (list(itertools.combinations(range(9), 2)), 9, 9),
        ([(i, (i + 1) % 200) for i in range(200)], 200, 2),
        ([(i, (i + 1) % 51) for i in range(51)], 51, 3),
        ([(i, j) for i in range(7) for j in range(7, 14)], 14, 2),
    ],
    ids=["hard", "dodecahedron", "petersen", "permutation", "ring", "odd ring", "bipartite"],
)
def test_colourings(edges, n_nodes, n_states, inference):
    node, (i, j) = np.zeros((n_nodes, n_states)), np.array(edges).T
    found = decode(node, edges, differ(n_states), inference)
    assert found.score == 0.0
    labels = sample(node, edges, differ(n_states), 20, inference, random_state=0)
    assert (labels[:, i] != labels[:, j]).all()
    assert np.isfinite(marginals(node, edges, differ(n_states), inference).log_partition)
    assert np.isfinite(entropy(node, edges, differ(n_states), inference))


@pytest.mark.parametrize("seed", range(0, 12, 2))
def test_sudoku(seed):
    """Nine times nine nodes, 810 edges, a third of the labels known."""
    cells = list(itertools.product(range(9), repeat=2))
    edges = [
        (p, q)
        for p, q in itertools.combinations(range(81), 2)
        if cells[p][0] == cells[q][0]
        or cells[p][1] == cells[q][1]
        or (cells[p][0] // 3, cells[p][1] // 3) == (cells[q][0] // 3, cells[q][1] // 3)
    ]
    solved = np.array([(3 * r + r // 3 + c) % 9 for r, c in cells])
    known = np.where(np.random.default_rng(seed).random(81) < 0.35, solved, -1)
    found = decode(np.zeros((81, 9)), edges, differ(9), "loopy_bp", known=known)
    assert found.score == 0.0
    assert (found.labels[known >= 0] == solved[known >= 0]).all()


def test_large_graphs():
    """A torus of 100 x 101 with three colours."""
    n, m = 100, 101
    number = np.arange(n * m).reshape(n, m)
    edges = np.concatenate([np.stack([number, np.roll(number, 1, axis)], -1).reshape(-1, 2) for axis in (0, 1)])
    topology = Topology.from_edges(edges, n * m)
    scores = Scores(np.zeros((n * m, 3)), differ(3), np.zeros(len(edges), np.int32))
    labels = np.zeros(n * m, np.intp)
    assert not find_allowed(topology, scores, labels, np.array([0]))[0]
    assert score_labelling(topology, scores, labels)[0] == 0.0


def test_components_are_independent():
    """Thirty colourable parts before one that is not: revising the parts would take 6**30 steps."""
    edges = np.concatenate([np.array(HARD) + 5 * k for k in range(30)])
    clique = np.array(list(itertools.combinations(range(150, 154), 2)))
    topology = Topology.from_edges(np.concatenate([edges, clique]), 154)
    scores = Scores(np.zeros((154, 3)), differ(3), np.zeros(topology.n_edges, np.int32))
    assert find_allowed(topology, scores, np.zeros(154, np.intp), np.array([0]))[0]


QUERIES = {
    "decode": decode,
    "top_k": lambda *model: top_k(*model[:3], 2, *model[3:]),
    "marginals": marginals,
    "entropy": entropy,
    "sample": lambda *model: sample(*model[:3], 2, *model[3:]),
    "neg_log_likelihood": lambda *model: neg_log_likelihood(*model[:3], [0, 0, 0], *model[3:]),
    "neg_log_likelihood, missing": lambda *model: neg_log_likelihood(*model[:3], [0, -1, -1], *model[3:]),
}
IMPOSSIBLE = {
    "no state": ([[0.0, 0.0], [-np.inf, -np.inf], [0.0, 0.0]], [(0, 1), (1, 2)], np.zeros((1, 2, 2))),
    "no pair": (np.zeros((3, 2)), [(0, 1), (1, 2)], np.stack([np.zeros((2, 2)), np.full((2, 2), -np.inf)])),
    "path": ([[0.0, -np.inf], [0.0, 0.0], [-np.inf, 0.0]], [(0, 1), (1, 2)], np.log(np.eye(2) + 1e-300)[None]),
    "triangle": (np.zeros((3, 2)), [(0, 1), (1, 2), (2, 0)], differ(2)),
    "no edge": ([[0.0, 0.0], [0.0, 0.0], [-np.inf, -np.inf]], [], []),
}
IMPOSSIBLE["path"][2][0, [0, 1], [1, 0]] = -np.inf


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("model", IMPOSSIBLE)
@pytest.mark.parametrize("inference", BACKENDS)
def test_impossible_models_are_errors_in_all_queries(inference, model, query):
    edges = IMPOSSIBLE[model][1]
    if not BACKENDS[inference]().accepts(Topology.from_edges(np.reshape(edges, (-1, 2)).astype(int), 3), 2).all():
        return
    if query == "top_k" and inference in APPROXIMATE:
        return
    message = "graph 0: no labelling is allowed, all score -inf"
    if model == "triangle" and query == "neg_log_likelihood" and inference in ("loopy_bp", "tree_reweighted"):
        message = "graph 0: the labels in y are forbidden"  # which is true, too
    with pytest.raises(InfeasibleGraph, match=message):
        QUERIES[query](*IMPOSSIBLE[model], inference)


@pytest.mark.parametrize("inference", ["loopy_bp", "mean_field", "gibbs"])
def test_what_is_not_proven_is_not_claimed(inference):
    """Ten nodes that must differ in nine states: the search gives up before it has tried all 9! ways."""
    edges = list(itertools.combinations(range(10), 2))
    with pytest.raises(InfeasibleGraph, match=r"graph 0: no allowed labelling was found, which does not prove"):
        sample(np.zeros((10, 9)), edges, differ(9), 2, inference)


class Blind(InferencePlan):
    """A decoder that finds nothing."""

    def decode(self, scores):
        n = len(scores.node)
        return Decoding(np.zeros(n, np.intp), np.full(1, -np.inf), np.full(1, np.inf), np.zeros(1, bool))


@pytest.mark.parametrize("name", ["mean_field", "gibbs"])
def test_a_known_labelling_is_a_start(name):
    topology = Topology.from_edges(HARD, 5)
    scores = Scores(np.zeros((5, 3)), differ(3), np.zeros(len(HARD), np.int32))
    labels = decode(np.zeros((5, 3)), HARD, differ(3), "junction_tree").labels
    plan = dataclasses.replace(BACKENDS[name]().plan(topology, 3).inner, decoder=Blind())
    assert plan.marginals(scores).log_partition[0] == -np.inf
    found = plan.marginals_from(scores, None, labels)
    assert 0.0 <= found.log_partition[0] <= np.log(6) + 1.0
    np.testing.assert_allclose(found.node.sum(axis=1), 1.0)
    with pytest.raises(InfeasibleGraph, match="no allowed labelling was found"):
        plan.require_allowed(scores, np.array([-np.inf]))
