"""Tangents of tree-reweighted belief propagation: exact on forests, and elsewhere the derivative of its marginals."""

import numpy as np
import pytest

from skstruct import Topology
from skstruct.inference import JunctionTree, TreeReweightedBP
from skstruct.scores import Scores
from skstruct.testing._models import random_scores

TIGHT = {"tol": 1e-13, "max_iter": 2000}


def difference(plan, scores, direction, weights, step=1e-3):
    """Central differences of fourth order of log-partition, node marginals and pair counts."""
    found = []
    for h in (step, -step, 2 * step, -2 * step):
        node, edge = (a + h * b for a, b in zip(scores[:2], direction[:2]))
        found.append(plan.marginals(Scores(node, edge, scores.edge_matrix), weights))
    names = ("log_partition", "node", "edge")
    ahead, behind, far, far_behind = ([getattr(f, name) for name in names] for f in found)
    return [(8 * (a - b) - (c - d)) / (12 * step) for a, b, c, d in zip(ahead, behind, far, far_behind)]


@pytest.mark.parametrize("rho", ["orders", 0.6])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("n_states", [2, 3])
def test_derivative_equals_differences_of_the_marginals(n_states, shared, rho, rng, mixed_batch):
    topology = mixed_batch
    plan = TreeReweightedBP(rho=rho, **TIGHT).plan(topology, n_states)
    scores, direction = (random_scores(rng, topology, n_states, (0.5, 0.0), shared) for _ in range(2))
    scores.node[[0, 15], [0, 1]] = -np.inf
    if not shared:
        scores.edge[1, 0, 1] = -np.inf  # the grid is out of the range of the fast kernels
    weights = np.array([0.5, 1.0, 3.0, 2.0])
    mean, found = plan.derivative(scores, direction, weights)
    wanted = difference(plan, scores, direction, weights)
    np.testing.assert_allclose(mean, wanted[0], atol=1e-7)
    np.testing.assert_allclose(found.node, wanted[1], atol=1e-7)
    np.testing.assert_allclose(found.edge, wanted[2], atol=1e-7)
    assert (found.node[np.isneginf(scores.node)] == 0.0).all()


@pytest.mark.parametrize("lowest", [0.0, -400.0])
@pytest.mark.parametrize("n_states", [2, 3])
def test_derivative_is_exact_on_forests(n_states, lowest, rng):
    topology = Topology.from_edges([(3, 0), (3, 1), (2, 3), (5, 4)], 7)
    scores, direction = (random_scores(rng, topology, n_states, (1.0, 0.0), shared=False) for _ in range(2))
    scores.edge[1, 0, 1] = scores.node[5, 1] = lowest
    weights = np.array([2.0])
    mean, found = TreeReweightedBP().plan(topology, n_states).derivative(scores, direction, weights)
    exact = JunctionTree().plan(topology, n_states)
    wanted = difference(exact, scores, direction, weights)
    np.testing.assert_allclose(mean, wanted[0], atol=1e-10)
    np.testing.assert_allclose(found.node, wanted[1], atol=1e-10)
    np.testing.assert_allclose(found.edge, wanted[2], atol=1e-10)


def test_derivative_of_an_impossible_graph_is_nan(rng, mixed_batch):
    topology = mixed_batch
    plan = TreeReweightedBP().plan(topology, 3)
    scores, direction = (random_scores(rng, topology, 3, (1.0, 0.0), shared=False) for _ in range(2))
    scores.node[20] = -np.inf
    mean, found = plan.derivative(scores, direction)
    np.testing.assert_array_equal(np.isnan(mean), [False, False, False, True])
    np.testing.assert_array_equal(np.isnan(found.node).all(axis=1), topology.node_graph == 3)
    assert not np.isnan(found.edge).any()
