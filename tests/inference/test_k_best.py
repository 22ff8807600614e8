"""The k best labellings of forests against enumeration, and against the general method."""

import itertools

import numpy as np
import pytest

from skstruct import GraphCRFClassifier, Topology
from skstruct import functional as F
from skstruct.exceptions import InfeasibleGraph, UnsupportedTopology
from skstruct.inference import Auto, Chain, JunctionTree, Tree, queries
from skstruct.inference._k_best_partition import k_best_by_partition
from skstruct.scores import Scores

FORESTS = {
    "no node": ([], 0),
    "one node": ([], 1),
    "no edge": ([], 3),
    "pair": ([(1, 0)], 2),
    "chain": ([(0, 1), (1, 2), (2, 3), (3, 4)], 5),
    "chain with reversed edges": ([(1, 0), (1, 2), (3, 2), (3, 4)], 5),
    "chain with a gap": ([(0, 1), (2, 3), (3, 4)], 5),
    "path in another order": ([(3, 0), (0, 4), (4, 1), (1, 2)], 5),
    "star": ([(0, 1), (0, 2), (0, 3), (0, 4)], 5),
    "star around the last node": ([(0, 4), (4, 1), (2, 4), (3, 4)], 5),
    "tree": ([(2, 0), (2, 1), (2, 3), (3, 4), (3, 5)], 6),
    "two trees and a node": ([(0, 3), (3, 5), (1, 4)], 6),
    "repeated edges": ([(0, 1), (1, 0), (1, 2), (1, 2), (3, 2)], 4),
}


def random_scores(rng, node, edge):
    return rng.normal(size=node), rng.normal(size=edge)


def ties(rng, node, edge):
    return rng.integers(0, 2, node).astype(float), rng.integers(0, 2, edge).astype(float)


def zeros(rng, node, edge):
    return np.zeros(node), np.zeros(edge)


def forbidden(rng, node, edge):
    node, edge = random_scores(rng, node, edge)
    node[rng.random(node.shape) < 0.2] = -np.inf
    edge[rng.random(edge.shape) < 0.3] = -np.inf
    return node, edge


def one_state_each(rng, node, edge):
    node, edge = random_scores(rng, node, edge)
    node[:, 1:] = -np.inf
    return node, edge


def infeasible(rng, node, edge):
    node, edge = random_scores(rng, node, edge)
    node[-1:] = -np.inf
    return node, edge


def far_apart(rng, node, edge):
    return 1e4 * rng.choice([-1.0, 0.0, 1.0], node), 1e4 * rng.choice([-1.0, 0.0, 1.0], edge)


def large(rng, node, edge):
    return 1e6 * rng.normal(size=node), 1e-3 * rng.normal(size=edge)


def enumerated(edges, node, edge):
    """Scores of all allowed labellings, falling."""
    found = []
    for labels in itertools.product(range(node.shape[1]), repeat=len(node)):
        total = sum(node[i, y] for i, y in enumerate(labels))
        total += sum(edge[e, labels[i], labels[j]] for e, (i, j) in enumerate(edges))
        if total > -np.inf:
            found.append(total)
    return sorted(found, reverse=True)


def check(edges, node, edge, labels, score, expected):
    """The scores are the best ones, and belong to different labellings; then the best one is repeated."""
    assert len(labels) == len(score) >= len(expected)
    assert np.isneginf(score[len(expected) :]).all()
    assert not len(expected) or (labels[len(expected) :] == labels[0]).all()
    labels, score = labels[: len(expected)], score[: len(expected)]
    atol = 1e-12 + 1e-15 * np.abs(expected).max(initial=0.0)  # scores are differences to the best one
    np.testing.assert_allclose(score, expected, rtol=1e-12, atol=atol)
    assert (np.diff(score) <= 0).all()
    assert len({tuple(row) for row in labels}) == len(labels)
    own = node[np.arange(len(node)), labels].sum(axis=1)
    for e, (i, j) in enumerate(edges):
        own = own + edge[e, labels[:, i], labels[:, j]]
    np.testing.assert_allclose(own, score, rtol=1e-12, atol=atol)


@pytest.mark.parametrize("k", [1, 2, 7, 40, 10_000])
@pytest.mark.parametrize("kind", [random_scores, ties, zeros, forbidden, one_state_each, infeasible, far_apart, large])
@pytest.mark.parametrize("name", FORESTS)
def test_enumeration(name, kind, k):
    edges, n_nodes = FORESTS[name]
    node, edge = kind(np.random.default_rng(11), (n_nodes, 3), (len(edges), 3, 3))
    scores = Scores(node, edge)
    labels, score = Tree().plan(Topology.from_edges(edges, n_nodes), 3).k_best(scores, k)
    check(edges, node, edge, labels, score[0], enumerated(edges, node, edge)[:k])


@pytest.mark.parametrize("kind", [random_scores, ties, forbidden])
@pytest.mark.parametrize("name", FORESTS)
def test_general_method(name, kind):
    edges, n_nodes = FORESTS[name]
    scores = Scores(*kind(np.random.default_rng(12), (n_nodes, 2), (len(edges), 2, 2)))
    topology = Topology.from_edges(edges, n_nodes)
    plan = Auto().plan(topology, 2)
    labels, score = k_best_by_partition(plan, scores, 6)
    check(edges, *scores[:2], labels, score[0], enumerated(edges, *scores[:2])[:6])
    np.testing.assert_allclose(plan.k_best(scores, 6)[1], score, atol=1e-12)


@pytest.mark.parametrize("n_states", [1, 2, 5])
@pytest.mark.parametrize("seed", range(4))
def test_general_method_on_random_forests(seed, n_states):
    """Shared matrices; 25 nodes, each with an edge to an earlier one or a tree of its own."""
    rng = np.random.default_rng(seed)
    n, number = 25, rng.permutation(25)
    edges = [(i, rng.integers(i)) for i in range(1, n) if rng.random() < 0.85]
    edges = number[[edge if rng.random() < 0.5 else edge[::-1] for edge in edges]]
    scores = Scores(
        rng.normal(size=(n, n_states)), rng.normal(size=(2, n_states, n_states)), rng.integers(0, 2, len(edges))
    )
    topology = Topology.from_edges(edges, n)
    plan = Auto().plan(topology, n_states)
    expected, found = k_best_by_partition(plan, scores, 20), plan.k_best(scores, 20)
    np.testing.assert_allclose(found[1], expected[1], atol=1e-12)
    np.testing.assert_array_equal(found[0], expected[0])


def joined(topologies):
    """Batch of several graphs."""
    node_ptr, edge_ptr = (np.cumsum([0, *sizes]) for sizes in zip(*((t.n_nodes, t.n_edges) for t in topologies)))
    edges = np.concatenate([t.edges + start for t, start in zip(topologies, node_ptr)])
    return Topology(edges.astype(np.int32), node_ptr, edge_ptr)


SQUARE = ([(0, 1), (1, 2), (2, 3), (3, 0)], 4)
CHAINS = [FORESTS[name] for name in ("no node", "one node", "no edge", "chain", "chain with a gap", "pair")]


@pytest.mark.parametrize(
    ("backend", "shapes"),
    [(Chain(), CHAINS), (Tree(), FORESTS.values()), (JunctionTree(), FORESTS.values())]
    + [(backend, [*FORESTS.values(), SQUARE]) for backend in (JunctionTree(), Auto())],
)
def test_batches(backend, shapes):
    """Each graph of a batch against enumeration, some of them without an allowed labelling."""
    shapes = [*shapes, *shapes]
    alone = [Topology.from_edges(edges, n) for edges, n in shapes]
    batch, rng = joined(alone), np.random.default_rng(1)
    node, edge = forbidden(rng, (batch.n_nodes, 2), (batch.n_edges, 2, 2))
    node[batch.node_ptr[5]] = -np.inf
    labels, score = backend.plan(batch, 2).k_best(Scores(node, edge), 7)
    for g, (edges, _) in enumerate(shapes):
        nodes, own = (slice(ptr[g], ptr[g + 1]) for ptr in (batch.node_ptr, batch.edge_ptr))
        expected = enumerated(edges, node[nodes], edge[own])[:7]
        check(edges, node[nodes], edge[own], labels[:, nodes], score[g], expected)
        again = backend.plan(alone[g], 2).k_best(Scores(node[nodes], edge[own]), 7)
        np.testing.assert_array_equal(again[0], labels[:, nodes])
        np.testing.assert_allclose(again[1][0], score[g], atol=1e-12)


def test_the_first_graph_with_approximate_inference_is_named():
    complete = ([(i, j) for i in range(30) for j in range(i)], 30)
    batch = joined([Topology.from_edges(edges, n) for edges, n in (SQUARE, complete, SQUARE, complete)])
    scores = Scores(np.zeros((batch.n_nodes, 2)), np.zeros((batch.n_edges, 2, 2)))
    with pytest.raises(UnsupportedTopology, match=r"graph 1: .*'loopy_bp' is approximate"):
        queries.top_k(Auto().plan(batch, 2), scores, 2)


def test_more_labellings_than_there_are():
    labels, score = F.top_k(np.zeros((2, 2)), [(0, 1)], np.zeros((1, 2, 2)), 2**31 - 1)
    assert sorted(labels.tolist()) == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert score.tolist() == [0.0] * 4


@pytest.mark.parametrize("shape", ["chain", "star", "binary tree"])
def test_long_graphs_with_few_allowed_labellings(shape):
    """20,000 nodes of which six have a choice."""
    n, rng = 20_000, np.random.default_rng(0)
    later = np.arange(1, n)
    parent = {"chain": later - 1, "star": 0 * later, "binary tree": (later - 1) // 2}[shape]
    edges = np.stack([parent, later], axis=1)
    node, edge = rng.integers(-9, 9, (n, 2)).astype(float), rng.integers(-9, 9, (1, 2, 2)).astype(float)
    free = np.array([0, 5, 6, 9_000, 9_001, n - 1])
    fixed = rng.integers(0, 2, n)
    expected = []
    for choice in itertools.product(range(2), repeat=len(free)):
        labels = fixed.copy()
        labels[free] = choice
        expected.append(node[np.arange(n), labels].sum() + edge[0, labels[edges[:, 0]], labels[edges[:, 1]]].sum())
    node[np.setdiff1d(np.arange(n), free), 1 - fixed[np.setdiff1d(np.arange(n), free)]] = -np.inf
    labels, score = F.top_k(node, edges, edge, 100)
    assert score.tolist() == sorted(expected, reverse=True)  # integers: exact
    assert len({tuple(row) for row in labels[:, free]}) == 64


def test_known_labels_and_models_without_a_labelling():
    edges = [(0, 1), (1, 2)]
    node, edge = random_scores(np.random.default_rng(3), (3, 2), (2, 2, 2))
    labels, _ = F.top_k(node, edges, edge, 9, known=[-1, 1, -1])
    assert sorted(map(tuple, labels)) == [(0, 1, 0), (0, 1, 1), (1, 1, 0), (1, 1, 1)]
    with pytest.raises(InfeasibleGraph, match="graph 0: no labelling is allowed"):
        F.top_k(np.full((3, 2), -np.inf), edges, edge, 9)


def test_classifier_on_graphs_of_all_kinds():
    """Forests and a cycle in one call, against enumeration of each."""
    rng = np.random.default_rng(4)
    shapes = [*FORESTS.values(), ([(0, 1), (1, 2), (2, 3), (3, 0)], 4)]
    X = [(rng.normal(size=(n, 2)), edges) for edges, n in shapes]
    y = [rng.integers(0, 2, n) for _, n in shapes]
    crf = GraphCRFClassifier(C=3.0).fit(X, y)
    labels, log_likelihood = crf.predict_top_k(X, 5)
    node, edge = crf.scores(X)
    for g, (edges, _) in enumerate(shapes):
        expected = enumerated(edges, node[g], edge[g])
        log_z = np.logaddexp.reduce(expected)
        n_found = min(5, len(expected))
        check(edges, node[g], edge[g], labels[g].T[:n_found], log_likelihood[g, :n_found] + log_z, expected[:n_found])
        assert np.isneginf(log_likelihood[g, n_found:]).all()
