"""Likelihoods of known labels: hidden nodes are summed exactly where that is possible."""

import itertools

import numpy as np
import pytest

from skstruct import Topology
from skstruct.inference import Auto, LazyPlan, LoopyBP, MeanField, TreeReweightedBP
from skstruct.objectives import Likelihood
from skstruct.scores import MISSING, Scores, Targets, clamp

GRID = [(i, i + 1) for i in range(9) if i % 3 < 2] + [(i, i + 3) for i in range(6)]  # 3 x 3
TWO_GRAPHS = Topology(
    np.array([*GRID, (10, 9), (10, 11), (11, 9), (9, 11)]), np.array([0, 9, 9, 12]), np.array([0, 12, 12, 16])
)


def true_losses(topology, scores, codes):
    """``-log P(known labels)`` of each graph, by enumeration."""
    losses = []
    n_states, rows = scores.node.shape[1], scores.edge_matrix
    for g in range(topology.n_graphs):
        nodes = np.arange(topology.node_ptr[g], topology.node_ptr[g + 1])
        edges = np.arange(topology.edge_ptr[g], topology.edge_ptr[g + 1])
        labels = np.array(list(itertools.product(range(n_states), repeat=len(nodes))), int).reshape(
            -1 if len(nodes) else 1, len(nodes)
        )
        total = scores.node[nodes, labels].sum(axis=1)
        for e in edges:
            i, j = topology.edges[e] - nodes[0]
            total = total + scores.edge[e if rows is None else rows[e]][labels[:, i], labels[:, j]]
        agrees = ((codes[nodes] == MISSING) | (labels == codes[nodes])).all(axis=1)
        losses.append(np.logaddexp.reduce(total) - np.logaddexp.reduce(total[agrees]))
    return np.array(losses)


def problem(seed, size, shared, n_states=2, hidden=0.5):
    rng = np.random.default_rng(seed)
    t = TWO_GRAPHS
    rows = rng.integers(3, size=t.n_edges) if shared else None
    node, edge = (
        rng.normal(size=(n, *shape)) * size
        for n, shape in ((t.n_nodes, (n_states,)), (3 if shared else t.n_edges, (n_states, n_states)))
    )
    codes = rng.integers(n_states, size=t.n_nodes)
    codes[rng.random(t.n_nodes) < hidden] = MISSING
    return t, Scores(node, edge, rows), Targets(codes, rng.uniform(0.5, 2, t.n_graphs))


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("size", [0.5, 3.0])
@pytest.mark.parametrize(
    "backend",
    [TreeReweightedBP(), TreeReweightedBP(max_iter=1), Auto(max_entries=1, approximate=TreeReweightedBP(tol=1e-3))],
    ids=repr,
)
def test_loss_with_hidden_labels_is_an_upper_bound(backend, size, shared):
    for seed in range(6):
        t, scores, targets = problem(seed, size, shared)
        found, _ = Likelihood().value_and_gradient(LazyPlan(backend, t, 2), scores, targets)
        assert (found >= true_losses(t, scores, targets.codes) - 1e-9).all()


@pytest.mark.parametrize("shared", [False, True])
def test_terms_are_exact_given_the_known_labels(shared):
    """Edges from hidden to known nodes and repeated edges in both directions, weights, -inf, an empty graph."""
    for seed in range(4):
        t, scores, targets = problem(seed, 1.0, shared, n_states=3)
        targets.codes[[0, 9]] = 1  # a component without a known label is omitted
        scores.edge[0, 0, 1] = -np.inf
        scores.node[targets.codes == MISSING, 0] = -np.inf
        lazy = LazyPlan(TreeReweightedBP(), t, 3)
        _, given = lazy.given(targets.codes)
        assert lazy.given(targets.codes.copy())[1] is given
        _, exact_given = LazyPlan(Auto(), t, 3).given(targets.codes)
        found, expected = (plan.marginals(scores, targets.graph_weight) for plan in (given, exact_given))
        for name in ("log_partition", "node", "edge"):
            np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=1e-10, err_msg=name)
        rng = np.random.default_rng(seed)
        direction = Scores(rng.normal(size=scores.node.shape), rng.normal(size=scores.edge.shape), scores.edge_matrix)
        (mean, found), (expected_mean, expected) = (
            plan.derivative(scores, direction, targets.graph_weight) for plan in (given, exact_given)
        )
        np.testing.assert_allclose(mean, expected_mean, atol=1e-8)
        np.testing.assert_allclose(found.node, expected.node, atol=1e-8)
        np.testing.assert_allclose(found.edge, expected.edge, atol=1e-8)


def test_components_without_a_label_cancel():
    ring = [(0, 1), (1, 2), (2, 0)]
    t = Topology.from_edges([*ring, *((a + 3, b + 3) for a, b in ring)], 6)
    rng = np.random.default_rng(0)
    scores = Scores(rng.normal(size=(6, 2)), 2 * rng.normal(size=(6, 2, 2)))
    codes = np.array([0, MISSING, 1, MISSING, MISSING, MISSING])
    losses, gradient = Likelihood().value_and_gradient(
        LazyPlan(TreeReweightedBP(), t, 2), scores, Targets(codes, np.ones(1))
    )
    part = Topology.from_edges(ring, 3)
    alone, _ = Likelihood().value_and_gradient(
        LazyPlan(TreeReweightedBP(), part, 2), Scores(scores.node[:3], scores.edge[:3]), Targets(codes[:3], np.ones(1))
    )
    np.testing.assert_allclose(losses, alone, atol=1e-9)
    assert not gradient.node[3:].any()
    assert not gradient.edge[3:].any()


def test_graphs_whose_hidden_nodes_are_wide_subtract_the_same_bound(monkeypatch):
    monkeypatch.setattr("skstruct.inference._known_labels.MAX_ENTRIES", 1)
    t, scores, targets = problem(0, 1.0, False)
    targets.codes[:9] = [1, *[MISSING] * 8]
    lazy = LazyPlan(TreeReweightedBP(), t, 2)
    free, given = (plan.marginals(scores) for plan in lazy.given(targets.codes))
    whole = lazy.plan.marginals(scores), lazy.plan.marginals(clamp(scores, targets.codes))
    difference = whole[0].log_partition - whole[1].log_partition
    assert free.log_partition[0] - given.log_partition[0] == pytest.approx(difference[0], abs=1e-12)
    assert free.log_partition[2] - given.log_partition[2] >= true_losses(t, scores, targets.codes)[2] - 1e-9


@pytest.mark.parametrize("backend", [LoopyBP(), MeanField(), Auto()], ids=repr)
def test_other_backends_compute_both_terms_themselves(backend):
    t, scores, targets = problem(1, 0.5, False)
    lazy = LazyPlan(backend, t, 2)
    free, given = lazy.given(targets.codes)
    assert free is lazy.plan
    clamped = lazy.plan.marginals(clamp(scores, targets.codes))
    np.testing.assert_array_equal(given.marginals(scores).log_partition, clamped.log_partition)
