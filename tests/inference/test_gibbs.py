"""Gibbs sampling: estimates, their errors, samples, seeds, hard constraints."""

import itertools
import os
import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import chi2
from scipy.stats import t as student

from skstruct import Topology
from skstruct.exceptions import InfeasibleGraph
from skstruct.inference import Gibbs, JunctionTree
from skstruct.scores import Scores, score_labelling
from skstruct.testing import enumerate_exactly

LATTICE = Topology.from_edges([(0, 1), (1, 2), (3, 4), (4, 5), (0, 3), (1, 4), (2, 5)], 6)


@pytest.fixture
def scores():
    rng = np.random.default_rng(0)
    return Scores(rng.normal(size=(6, 2)), rng.normal(size=(LATTICE.n_edges, 2, 2)))


def test_samples_have_the_joint_distribution(scores):
    """Chi-square over all 64 labellings, against the truth."""
    n_samples = 20_000
    labels = Gibbs().plan(LATTICE, 2).sample(scores, n_samples, np.random.default_rng(1))
    assert labels.shape == (n_samples, 6)
    states = np.array(list(itertools.product(range(2), repeat=6)))
    log_probability = np.array([score_labelling(LATTICE, scores, each)[0] for each in states])
    log_probability -= enumerate_exactly(LATTICE, scores).log_partition[0]
    expected = n_samples * np.exp(log_probability)
    count = np.bincount(labels @ 2 ** np.arange(5, -1, -1), minlength=64)
    common = expected >= 5
    statistic = ((count - expected) ** 2 / expected)[common].sum()
    assert common.sum() > 30
    assert chi2.sf(statistic, common.sum()) > 1e-3
    assert count[~common].sum() < 2 * expected[~common].sum() + 20


def test_standard_errors_are_calibrated(scores):
    """The share of estimates within Student's interval is what it says, over seeds."""
    truth = enumerate_exactly(LATTICE, scores).node[:, 0]
    n_chains, n_seeds = 10, 60
    z = np.empty((n_seeds, 6))
    for seed in range(n_seeds):
        plan = Gibbs(n_samples=50, burn_in=20, n_chains=n_chains, random_state=seed).plan(LATTICE, 2)
        z[seed] = (plan.marginals(scores).node[:, 0] - truth) / plan.standard_errors(scores)[:, 0]
    for level in (0.5, 0.95):
        within = np.abs(z) < student.ppf(0.5 + level / 2, n_chains - 1)
        assert within.mean() == pytest.approx(level, abs=0.06)


def test_errors_fall_with_the_root_of_the_number_of_sweeps(scores):
    few, many = (Gibbs(n_samples=n).plan(LATTICE, 2).standard_errors(scores)[:, 0].mean() for n in (100, 1600))
    assert many == pytest.approx(few / 4, rel=0.4)


def test_log_partition_weights_are_unbiased(scores):
    """The mean of Z over seeds, after very few annealing sweeps, and its spread."""
    truth = enumerate_exactly(LATTICE, scores).log_partition[0]
    plans = (Gibbs(n_samples=1, burn_in=3, random_state=seed).plan(LATTICE, 2) for seed in range(500))
    ratio = np.array([np.exp(plan.marginals(scores).log_partition[0] - truth) for plan in plans])
    assert abs(ratio.mean() - 1) < 4 * ratio.std() / np.sqrt(len(ratio))
    assert Gibbs().plan(LATTICE, 2).marginals(scores).log_partition[0] == pytest.approx(truth, abs=0.05)


def test_accuracy_on_a_grid():
    number = np.arange(100).reshape(10, 10)
    edges = np.concatenate(
        [np.c_[number[:-1].ravel(), number[1:].ravel()], np.c_[number[:, :-1].ravel(), number[:, 1:].ravel()]]
    )
    topology = Topology.from_edges(edges, 100)
    node = np.random.default_rng(0).normal(size=(100, 2))
    scores = Scores(node, 0.7 * np.eye(2)[None], np.zeros(len(edges), np.int32))
    plan = Gibbs().plan(topology, 2)
    found, exact = (each.marginals(scores) for each in (plan, JunctionTree().plan(topology, 2)))
    assert found.converged[0]
    assert found.residual[0] == plan.standard_errors(scores).max()
    assert np.abs(found.node - exact.node).max() < 0.05
    assert found.log_partition[0] == pytest.approx(exact.log_partition[0], abs=0.3)
    np.testing.assert_allclose(found.edge, exact.edge, rtol=0.02)


def test_same_seed_same_numbers_in_any_batch(scores):
    alone = Gibbs(random_state=3).plan(LATTICE, 2)
    first, second = alone.marginals(scores), alone.marginals(scores)
    np.testing.assert_array_equal(first.node, second.node)
    other = Gibbs(random_state=4).plan(LATTICE, 2).marginals(scores)
    assert (first.node != other.node).any()
    edges = np.concatenate([[(0, 1)], LATTICE.edges + 2]).astype(np.int32)
    both = Topology(edges, np.array([0, 2, 8]), np.array([0, 1, 8]))
    node = np.concatenate([np.ones((2, 2)), scores.node])
    edge = np.concatenate([np.ones((1, 2, 2)), scores.edge])
    found = Gibbs(random_state=3).plan(both, 2).marginals(Scores(node, edge))
    np.testing.assert_array_equal(found.node[2:], first.node)
    assert found.log_partition[1] == first.log_partition[0]


def test_copies_of_a_graph_are_sampled_independently():
    edges = np.concatenate([LATTICE.edges, LATTICE.edges + 6]).astype(np.int32)
    plan = Gibbs().plan(Topology(edges, np.array([0, 6, 12]), np.array([0, 7, 14])), 2)
    labels = plan.sample(Scores(np.zeros((12, 2)), np.zeros((14, 2, 2))), 500, np.random.default_rng(0))
    assert (labels[:, :6] == labels[:, 6:]).mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("n", [1, 7])
def test_colouring_is_proper_and_sweeps_visit_colour_by_colour(n):
    rng = np.random.default_rng(n)
    pairs = np.array([pair for pair in itertools.combinations(range(5 * n), 2) if rng.random() < 0.3])
    topology = Topology.from_edges(pairs, 5 * n)
    plan = Gibbs().plan(topology, 2)
    i, j = topology.edges.T
    assert (plan.colours[i] != plan.colours[j]).all()
    assert plan.colours.max() <= np.bincount(topology.edges.ravel(), minlength=5 * n).max()
    order = plan.blocks.order
    np.testing.assert_array_equal(np.sort(order), np.arange(5 * n))
    assert (np.diff(plan.colours[order]) >= 0).all()


def test_a_grid_has_two_colours():
    assert Gibbs().plan(LATTICE, 2).colours.tolist() == [0, 1, 0, 1, 0, 1]


def differing(n_states):
    return np.where(np.eye(n_states, dtype=bool), -np.inf, 0.0)[None]


def test_forbidden_pairs_never_occur():
    """Proper colourings of the lattice with three states, which single-node updates connect."""
    scores = Scores(np.zeros((6, 3)), differing(3), np.zeros(LATTICE.n_edges, np.int32))
    plan = Gibbs(n_samples=500).plan(LATTICE, 3)
    labels = plan.sample(scores, 300, np.random.default_rng(0))
    i, j = LATTICE.edges.T
    assert (labels[:, i] != labels[:, j]).all()
    found, truth = plan.marginals(scores), enumerate_exactly(LATTICE, scores)
    np.testing.assert_allclose(found.node, 1 / 3, atol=0.05)
    assert found.log_partition[0] == pytest.approx(truth.log_partition[0], abs=0.3)


def test_infeasible_graphs_are_told_apart():
    edges = np.array([(0, 1), (1, 2), (2, 0), (3, 4)], np.int32)
    topology = Topology(edges, np.array([0, 3, 5]), np.array([0, 3, 4]))
    scores = Scores(np.zeros((5, 2)), differing(2), np.zeros(4, np.int32))
    plan = Gibbs().plan(topology, 2)
    found = plan.marginals(scores)
    assert found.log_partition[0] == -np.inf
    assert np.isnan(found.node[:3]).all()
    assert found.log_partition[1] == pytest.approx(np.log(2), abs=0.3)
    with pytest.raises(InfeasibleGraph, match="graph 0"):
        plan.sample(scores, 3, np.random.default_rng(0))


def test_huge_scores_are_finite(scores):
    found = Gibbs().plan(LATTICE, 2).marginals(Scores(1e4 * scores.node, 1e4 * scores.edge))
    assert np.isfinite(found.log_partition).all()
    assert np.isfinite(found.node).all()


def test_chains_in_different_modes_are_flagged():
    """All nodes in state 0, or states 1 and 2 in turn: no exchange of two states leads from one to the other."""
    scores = Scores(np.zeros((6, 3)), 30 * np.eye(3)[[0, 2, 1]][None], np.zeros(LATTICE.n_edges, np.int32))
    found = Gibbs().plan(LATTICE, 3).marginals(scores)
    assert not found.converged[0]
    assert found.residual[0] > 0.1


def test_strong_scores_tie_nodes_together():
    """Two labellings with all the mass, and no way between for single nodes."""
    scores = Scores(np.zeros((6, 2)), 30 * np.eye(2)[None], np.zeros(LATTICE.n_edges, np.int32))
    found = Gibbs().plan(LATTICE, 2).marginals(scores)
    np.testing.assert_allclose(found.node, 0.5, atol=0.05)


def ring(n):
    return Topology.from_edges([(i, (i + 1) % n) for i in range(n)], n)


def bipartite(n):
    return Topology.from_edges([(i, n + j) for i in range(n) for j in range(n)], 2 * n)


@pytest.mark.parametrize(
    ("topology", "n_graphs", "tolerance"),
    [
        (ring(4), 1, 0.5),
        (bipartite(5), 1, 1.0),
        (LATTICE, 1, 0.5),
        (ring(6), 3, 0.5),
        (ring(50), 1, 1e-12),  # annealing fails, and the sum of the labellings that were visited is exact
        (ring(200), 1, 1e-12),
    ],
    ids=["ring of 4", "bipartite", "lattice", "three rings", "ring of 50", "ring of 200"],
)
def test_the_two_colourings_are_both_visited(topology, n_graphs, tolerance):
    """No change of a single node is allowed; states have probability 1/2, and log Z is log 2 per connected part."""
    n = topology.n_nodes
    edges = np.concatenate([topology.edges + n * k for k in range(n_graphs)])
    topology = Topology.from_edges(edges, n * n_graphs)
    scores = Scores(np.zeros((n * n_graphs, 2)), differing(2), np.zeros(len(edges), np.int32))
    plan = Gibbs().plan(topology, 2)
    found = plan.marginals(scores)
    np.testing.assert_allclose(found.node, 0.5, atol=0.05)
    np.testing.assert_allclose(found.edge[0], len(edges) * np.array([[0.0, 0.5], [0.5, 0.0]]), atol=0.05 * len(edges))
    assert found.log_partition[0] == pytest.approx(n_graphs * np.log(2), abs=tolerance)
    labels = plan.sample(scores, 400, np.random.default_rng(0))
    np.testing.assert_allclose(labels.mean(axis=0), 0.5, atol=0.1)


@pytest.mark.parametrize("forbidden", [0.0, 0.25])
@pytest.mark.parametrize("seed", range(6))
def test_exchanges_keep_the_distribution(seed, forbidden):
    """Matrices that exchanging two states changes; by enumeration, within the standard errors of a hundred chains."""
    rng = np.random.default_rng(seed)
    edge = 2 * rng.normal(size=(LATTICE.n_edges, 3, 3))
    edge[rng.random(edge.shape) < forbidden] = -np.inf
    scores = Scores(0.5 * rng.normal(size=(6, 3)), edge)
    plan = Gibbs(n_chains=100).plan(LATTICE, 3)
    found, truth = plan.marginals(scores), enumerate_exactly(LATTICE, scores)
    assert (np.abs(found.node - truth.node) <= 5 * plan.standard_errors(scores) + 1e-3).all()
    assert found.log_partition[0] == pytest.approx(truth.log_partition[0], abs=0.3)


@pytest.mark.parametrize("n", [6, 50, 200])
@pytest.mark.parametrize("penalty", [20.0, 1e3, 1e9])
@pytest.mark.parametrize("n_chains", [2, 10])
def test_chains_that_penalties_freeze_are_flagged(n, penalty, n_chains):
    """Either the answer is right, or `converged` is False; log Z is at least the score of a colouring, 0."""
    topology = ring(n)
    scores = Scores(np.zeros((n, 2)), -penalty * np.eye(2)[None], np.zeros(n, np.int32))
    found = Gibbs(n_chains=n_chains).plan(topology, 2).marginals(scores)
    assert found.log_partition[0] >= 0.0
    if found.converged[0]:
        np.testing.assert_allclose(found.node, 0.5, atol=0.15)
        assert found.log_partition[0] == pytest.approx(np.log(2), abs=3.0)  # unbiased, of ten weights or of two


@pytest.mark.parametrize("scale", [0.0, 1.0, 10.0, 1e3, 1e6])
@pytest.mark.parametrize("seed", range(4))
def test_log_partition_is_not_below_a_score(scale, seed):
    """Of the best labelling, which the decoder finds on this graph."""
    rng = np.random.default_rng(seed)
    scores = Scores(scale * rng.normal(size=(6, 3)), scale * rng.normal(size=(LATTICE.n_edges, 3, 3)))
    truth = enumerate_exactly(LATTICE, scores)
    found = Gibbs(n_samples=3, burn_in=2).plan(LATTICE, 3).marginals(scores)
    assert found.log_partition[0] >= truth.best_score[0] - 1e-9 * (1 + scale)
    assert not found.converged[0] or found.log_partition[0] == pytest.approx(truth.log_partition[0], abs=1.0)


@pytest.mark.parametrize("n_graphs", [0, 2])
def test_graphs_without_nodes(n_graphs):
    zeros = np.zeros(n_graphs + 1, int)
    plan = Gibbs().plan(Topology(np.zeros((0, 2), np.int32), zeros, zeros), 2)
    empty = Scores(np.zeros((0, 2)), np.zeros((0, 2, 2)))
    np.testing.assert_allclose(plan.marginals(empty).log_partition, np.zeros(n_graphs), atol=1e-15)
    assert plan.sample(empty, 4, np.random.default_rng(0)).shape == (4, 0)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("n_samples", 0),
        ("burn_in", 0),
        ("n_chains", 1),
        ("thin", 0),
        ("n_samples", 1.5),
        ("tol", 0.0),
        ("random_state", -1),
        ("random_state", None),
    ],
)
def test_bad_parameters(parameter, value):
    with pytest.raises(ValueError, match=f"Gibbs: {parameter} must"):
        Gibbs(**{parameter: value}).plan(LATTICE, 2)


def test_random_numbers_are_the_same_without_compilation():
    """All kernels, among them 64-bit arithmetic that overflows; run by this file itself, compiled and not."""
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-W", "error", __file__]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.array(done.stdout.split(), float), everything(), rtol=1e-12)


def everything():
    """Sum up what a small plan returns."""
    rng = np.random.default_rng(0)
    scores = Scores(rng.normal(size=(6, 3)), rng.normal(size=(LATTICE.n_edges, 3, 3)))
    scores.edge[rng.random(scores.edge.shape) < 0.1] = -np.inf
    plan = Gibbs(n_samples=5, burn_in=5, n_chains=3).plan(LATTICE, 3)
    found, labels = plan.marginals(scores), plan.sample(scores, 4, rng)
    return np.concatenate([found.log_partition, found.residual, found.node.ravel(), found.edge.ravel(), labels.ravel()])


if __name__ == "__main__":
    print(*everything().tolist())
