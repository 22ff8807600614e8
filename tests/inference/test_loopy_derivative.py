"""Tangents of loopy belief propagation: exact on forests, and elsewhere the derivative of its own marginals."""

import numpy as np
import pytest

from skstruct import Topology
from skstruct.inference import InferencePlan, JunctionTree, LoopyBP, TreeReweightedBP, _fixed_point
from skstruct.scores import Scores
from skstruct.testing import FAMILIES, enumerate_covariances
from skstruct.testing._models import SCORES, chosen_families, random_scores

TIGHT = LoopyBP(tol=1e-13, max_iter=2000)


def grid(height, width):
    at = np.arange(height * width).reshape(height, width)
    across, down = np.c_[at[:, :-1].ravel(), at[:, 1:].ravel()], np.c_[at[:-1].ravel(), at[1:].ravel()]
    return Topology.from_edges(np.concatenate([across, down[:, ::-1]]), height * width)


def model(topology, n_states, n_matrices, scale=1.0):
    rng = np.random.default_rng(n_states)
    rows = None if n_matrices is None else rng.integers(n_matrices, size=topology.n_edges).astype(np.int32)
    n = n_matrices or topology.n_edges
    shapes = (topology.n_nodes, n_states), (n, n_states, n_states)
    scores, direction = (Scores(*(rng.normal(size=shape) for shape in shapes), rows) for _ in range(2))
    return scores._replace(edge=scale * scores.edge), direction


def differences(plan, scores, direction, weights):
    """Derivatives of the plan's own marginals by the default of the base class."""
    return InferencePlan.derivative(plan, scores, direction, weights)


def compare(found, expected, accuracy):
    for a, b in zip((found[0], found[1].node, found[1].edge), (expected[0], expected[1].node, expected[1].edge)):
        np.testing.assert_allclose(a, b, rtol=0, atol=accuracy * max(1.0, np.abs(b).max()))


@pytest.mark.parametrize("n_states", [2, 3, 12])
@pytest.mark.parametrize("n_matrices", [1, 2, None])
def test_it_is_the_derivative_of_the_marginals(n_states, n_matrices):
    topology = grid(4, 4)
    plan = TIGHT.plan(topology, n_states)
    scores, direction = model(topology, n_states, n_matrices, 0.7)
    weights = np.array([2.0])
    compare(plan.derivative(scores, direction, weights), differences(plan, scores, direction, weights), 1e-8)


@pytest.mark.parametrize("n_states", [2, 3])
def test_forbidden_states_and_scores_that_are_far_apart(n_states):
    topology = grid(3, 4)
    plan = TIGHT.plan(topology, n_states)
    scores, direction = model(topology, n_states, None, 0.5)
    scores.node[3, 0] = scores.edge[2, 0, 1] = -np.inf
    scores.node[5, 0] = 500.0  # out of the range of the fast kernels
    found = plan.derivative(scores, direction)
    compare(found, differences(plan, scores, direction, None), 1e-7)
    assert found[1].node[3, 0] == found[1].edge[2, 0, 1] == 0.0


@pytest.mark.parametrize("family", [name for name in FAMILIES if "forest" in name or "chain" in name or "star" in name])
def test_exact_on_forests_with_default_settings(family):
    for _, topology, rng in chosen_families([family], 0):
        for kind in SCORES:
            scores = random_scores(rng, topology, 3 if topology.n_nodes < 6 else 2, SCORES[kind], False)
            direction = Scores(rng.normal(size=scores.node.shape), rng.normal(size=scores.edge.shape))
            mean, covariances = enumerate_covariances(topology, scores, direction)
            if np.isfinite(mean).all():
                plan = LoopyBP().plan(topology, scores.node.shape[1])
                compare(plan.derivative(scores, direction), (mean, covariances), 1e-8)


@pytest.mark.parametrize("backend", [TIGHT, TreeReweightedBP(tol=1e-13, max_iter=2000)])
@pytest.mark.parametrize("n_matrices", [1, None])
def test_tangents_of_two_states_equal_those_of_any_number(backend, n_matrices, monkeypatch):
    topology = grid(4, 5)
    plan = backend.plan(topology, 2)
    scores, direction = model(topology, 2, n_matrices, 0.7)
    scores.node[[3, 7]] = [[-np.inf, 0.0], [0.0, 30.0]]
    found = plan.derivative(scores, direction)
    monkeypatch.setattr(_fixed_point, "FixedPointOfTwoStates", _fixed_point.FixedPoint)
    compare(found, plan.derivative(scores, direction), 1e-11)


@pytest.mark.parametrize("n_states", [2, 3])
def test_potts_matrices_are_matrices(n_states):
    topology = grid(4, 4)
    scores, direction = model(topology, n_states, 1)
    direction.edge[0] = np.where(np.eye(n_states) > 0, 0.3, -0.2)
    plan, edge = TIGHT.plan(topology, n_states), np.eye(n_states)[None]
    found = plan.derivative(scores._replace(edge=edge), direction)
    edge = edge + 1e-12 * np.arange(n_states)  # no Potts matrix any more
    compare(found, plan.derivative(scores._replace(edge=edge), direction), 1e-10)


@pytest.mark.parametrize("n_states", [2, 3])
def test_huge_scores(n_states):
    """Scores of 1e4 decide almost all states: derivatives are finite, and equal those of the junction tree."""
    topology = grid(3, 3)
    scores, direction = model(topology, n_states, None, 1e4)
    scores.node[:] = 1e4 * np.round(scores.node, 2)
    scores.node[4] = [0.0, 0.5, 1.0][:n_states]
    for pair in np.flatnonzero((topology.edges == 4).any(axis=1)):
        scores.edge[pair] = 0.0  # a free node among nodes whose states are decided
    mean, found = LoopyBP().plan(topology, n_states).derivative(scores, direction)
    assert np.isfinite(mean).all()
    compare((mean, found), JunctionTree().plan(topology, n_states).derivative(scores, direction), 1e-6)


def test_default_settings_are_as_accurate_as_the_messages():
    topology = grid(6, 6)
    scores, direction = model(topology, 3, None, 0.7)
    found, best = (backend.plan(topology, 3).derivative(scores, direction) for backend in (LoopyBP(), TIGHT))
    compare(found, best, 1e-3)


def test_where_tangents_do_not_converge_there_are_differences():
    """Strong frustrated couplings: messages do not converge, and tangents may grow without limit."""
    edges = grid(6, 6).edges
    topology = Topology(np.concatenate([edges, 36 + edges]), [0, 36, 72], [0, 60, 120])
    rng = np.random.default_rng(0)
    coupling = rng.normal(size=(120, 1, 1)) * np.array([[1.0, -1.0], [-1.0, 1.0]])
    coupling[:60] *= 0.3
    coupling[60:] *= 5.0  # the second graph
    scores, direction = Scores(0.1 * rng.normal(size=(72, 2)), coupling), Scores(np.ones((72, 2)), coupling)
    plan = LoopyBP(max_iter=30).plan(topology, 2)
    assert plan.marginals(scores).converged.tolist() == [True, False]
    mean, found = plan.derivative(scores, direction)
    assert np.isfinite(mean).all()
    assert np.isfinite(found.node).all()
    np.testing.assert_allclose(found.node.sum(axis=1), 0.0, atol=1e-6)
    alone = LoopyBP(max_iter=30).plan(Topology.from_edges(edges, 36), 2)
    own = [Scores(each.node[36:], each.edge[60:]) for each in (scores, direction)]
    expected = differences(alone, *own, None)[1]
    np.testing.assert_array_equal(found.node[36:], expected.node)
    np.testing.assert_array_equal(found.edge[60:], expected.edge)


def test_probabilities_that_are_almost_zero():
    """A state with the probability exp(-740), whose inverse is infinite."""
    topology = Topology.from_edges([(0, 1), (1, 2), (2, 0)], 3)
    scores, direction = model(topology, 2, 1, 0.1)
    scores.node[1] = [740.0, 0.0]
    mean, found = LoopyBP().plan(topology, 2).derivative(scores, direction)
    scores.node[1] = [0.0, -np.inf]
    expected = LoopyBP().plan(topology, 2).derivative(scores, direction)
    compare((mean, found), expected, 1e-4)


def test_a_graph_without_an_allowed_labelling():
    topology = Topology.from_edges([(0, 1), (1, 2), (2, 0)], 3)
    scores, direction = model(topology, 2, 1)
    scores.node[1] = -np.inf
    mean, found = LoopyBP().plan(topology, 2).derivative(scores, direction)
    assert np.isnan(mean).all()
    assert np.isnan(found.node).all()
