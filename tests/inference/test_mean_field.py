"""Naive mean field: a lower bound that only goes up, also with hard constraints."""

import itertools

import numpy as np
import pytest

from skstruct import Topology
from skstruct.inference import JunctionTree, MeanField
from skstruct.kernels.expectations import expected_scores, replace_distribution
from skstruct.kernels.jit import kernel
from skstruct.kernels.simd import lanes
from skstruct.scores import Scores, score_labelling
from skstruct.testing import enumerate_exactly

SQUARE = Topology.from_edges([(0, 1), (1, 2), (2, 3), (3, 0), (0, 2)], 4)


def random_scores(rng, n_states=3, scale=1.0, forbidden=0.0):
    edge = scale * rng.normal(size=(SQUARE.n_edges, n_states, n_states))
    edge[rng.random(edge.shape) < forbidden] = -np.inf
    return Scores(rng.normal(size=(SQUARE.n_nodes, n_states)), edge)


def free_energy(q, scores):
    """Expected score plus entropy of a product distribution, written out."""
    value = 0.0
    for i, x in np.ndindex(q.shape):
        if q[i, x] > 0:
            value += q[i, x] * (scores.node[i, x] - np.log(q[i, x]))
    for e, (i, j) in enumerate(SQUARE.edges):
        for x, y in np.ndindex(scores.edge.shape[1:]):
            if q[i, x] * q[j, y] > 0:
                value += q[i, x] * q[j, y] * scores.edge[e, x, y]
    return value


@pytest.mark.parametrize("forbidden", [0.0, 0.2])
@pytest.mark.parametrize("scale", [0.5, 3.0, 1e4])
def test_every_sweep_raises_the_bound(scale, forbidden, rng):
    for _ in range(10):
        scores = random_scores(rng, scale=scale, forbidden=forbidden)
        truth = enumerate_exactly(SQUARE, scores).log_partition[0]
        values = [
            MeanField(max_iter=n).plan(SQUARE, 3).marginals(scores).log_partition[0] for n in (1, 2, 3, 5, 10, 100)
        ]
        slack = 1e-9 * (1 + abs(truth) if np.isfinite(truth) else 1)
        if np.isfinite(truth):
            assert (np.diff(values) >= -slack).all()
        assert (np.array(values) <= truth + slack).all()


@pytest.mark.parametrize("forbidden", [0.0, 0.2])
def test_value_is_that_of_its_own_marginals(forbidden, rng):
    for _ in range(10):
        scores = random_scores(rng, forbidden=forbidden)
        plan = MeanField().plan(SQUARE, 3)
        found = plan.marginals(scores)
        assert found.converged[0]
        assert found.log_partition[0] == pytest.approx(free_energy(found.node, scores), rel=1e-12)
        i, j = SQUARE.edges.T
        wanted = found.node[i][:, :, None] * found.node[j][:, None, :]
        np.testing.assert_allclose(plan.edge_marginals(scores), wanted, atol=1e-15)


@pytest.mark.parametrize("forbidden", [0.0, 0.2])
def test_marginals_are_the_gradient_of_the_bound(forbidden, rng, check_gradient_of_log_partition):
    scores = random_scores(rng, scale=0.5, forbidden=forbidden)
    plan = MeanField(tol=1e-14).plan(SQUARE, 3)
    check_gradient_of_log_partition(plan, scores)


def test_feasible_models_have_a_finite_bound(rng):
    """A proper colouring with three states: a uniform start would put mass on forbidden pairs everywhere."""
    n = 12
    edges = [(i, (i + 1) % n) for i in range(n)] + [(i, (i + 2) % n) for i in range(0, n, 3)]
    topology = Topology.from_edges(edges, n)
    differ = np.where(np.eye(3, dtype=bool), -np.inf, 0.0)[None]
    scores = Scores(rng.normal(size=(n, 3)), differ, np.zeros(len(edges), np.int32))
    found = MeanField().plan(topology, 3).marginals(scores)
    assert np.isfinite(found.log_partition[0])
    np.testing.assert_allclose(found.node.sum(axis=1), 1.0)
    assert found.edge[0, np.arange(3), np.arange(3)] == pytest.approx(0.0, abs=0)


def test_infeasible_graph_spares_the_others():
    """An odd cycle has no proper colouring with two states; the even one beside it has two."""
    edges = [(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 6), (6, 3)]
    topology = Topology(np.array(edges, np.int32), np.array([0, 3, 7]), np.array([0, 3, 7]))
    differ = np.where(np.eye(2, dtype=bool), -np.inf, 0.0)[None]
    found = MeanField().plan(topology, 2).marginals(Scores(np.zeros((7, 2)), differ, np.zeros(7, np.int32)))
    assert found.log_partition[0] == -np.inf
    assert np.isnan(found.node[:3]).all()
    assert found.log_partition[1] == pytest.approx(0.0)  # one of the two, as no path of products joins them
    np.testing.assert_array_equal(np.sort(found.node[3:], axis=1), [[0.0, 1.0]] * 4)


def test_exact_without_edges(rng):
    node = rng.normal(size=(5, 4))
    found = MeanField().plan(Topology.from_edges([], 5), 4).marginals(Scores(node, np.zeros((0, 4, 4))))
    assert found.log_partition[0] == pytest.approx(np.logaddexp.reduce(node, axis=1).sum(), rel=1e-12)


@pytest.mark.parametrize("n_graphs", [0, 2])
def test_graphs_without_nodes(n_graphs):
    zeros = np.zeros(n_graphs + 1, int)
    plan = MeanField().plan(Topology(np.zeros((0, 2), np.int32), zeros, zeros), 2)
    found = plan.marginals(Scores(np.zeros((0, 2)), np.zeros((0, 2, 2))))
    np.testing.assert_array_equal(found.log_partition, np.zeros(n_graphs))


@pytest.mark.parametrize(("parameter", "value"), [("max_iter", 0), ("tol", 0.0), ("tol", np.nan)])
def test_bad_parameters(parameter, value):
    with pytest.raises(ValueError, match=f"MeanField: {parameter} must"):
        MeanField(**{parameter: value}).plan(SQUARE, 3)


def random_model(seed):
    """A small graph with scores of many sizes: of both signs, all equal, or one matrix for each edge."""
    rng = np.random.default_rng(seed)
    n_nodes, n_states = int(rng.integers(3, 8)), int(rng.integers(2, 4))
    pairs = np.array(list(itertools.combinations(range(n_nodes), 2)))
    edges = pairs[rng.random(len(pairs)) < rng.uniform(0.4, 1.0)]
    scale, shape = rng.choice([0.3, 1.0, 3.0, 10.0]), (len(edges), 1, 1)
    edge = [
        scale * rng.normal(size=(len(edges), n_states, n_states)),
        scale * np.ones(shape) * np.eye(n_states),
        -scale * np.ones(shape) * np.eye(n_states),
        scale * rng.normal(size=shape) * np.eye(n_states),
    ][seed % 4]
    node = rng.choice([0.0, 0.1, 1.0]) * rng.normal(size=(n_nodes, n_states))
    return Topology.from_edges(edges, n_nodes), Scores(node, edge)


@pytest.mark.parametrize("seed", range(80))
def test_the_bound_is_between_the_best_score_and_the_log_partition(seed):
    topology, scores = random_model(seed)
    truth = enumerate_exactly(topology, scores)
    plan = MeanField().plan(topology, scores.node.shape[1])
    slack = 1e-9 * (1 + abs(truth.log_partition[0]))
    assert truth.best_score[0] - slack <= plan.marginals(scores).log_partition[0] <= truth.log_partition[0] + slack
    for labels in np.random.default_rng(seed).integers(0, scores.node.shape[1], (5, topology.n_nodes)):
        found = plan.marginals_from(scores, None, labels)
        assert score_labelling(topology, scores, labels)[0] - slack <= found.log_partition[0]
        assert found.log_partition[0] <= truth.log_partition[0] + slack


@pytest.mark.parametrize("coupling", [0.3, 0.5, 0.9, 2.0])
@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("n_states", [2, 3])
def test_uniform_distributions_are_left_where_they_are_a_saddle_point(coupling, sign, n_states):
    """A torus without node scores: exactly uniform distributions are a fixed point whatever the coupling.

    With two states, ``log Z >= n * (2 * coupling * m**2 + H(m))`` at all magnetisations m.
    """
    number = np.arange(16).reshape(4, 4)
    edges = np.concatenate([np.stack([number, np.roll(number, 1, axis)], -1).reshape(-1, 2) for axis in (0, 1)])
    edge = sign * coupling * (2 * np.eye(n_states) - 1)[None]
    scores = Scores(np.zeros((16, n_states)), edge, np.zeros(32, np.int32))
    topology = Topology.from_edges(edges, 16)
    found = MeanField().plan(topology, n_states).marginals(scores).log_partition[0]
    exact = JunctionTree().plan(topology, n_states).marginals(scores).log_partition[0]
    assert found <= exact + 1e-9
    if n_states == 2:  # an even torus: the sign does not matter
        m = np.linspace(0, 1, 1001)[:-1]
        entropy = -((1 + m) * np.log((1 + m) / 2) + (1 - m) * np.log((1 - m) / 2)) / 2
        assert found >= 16 * (2 * coupling * m**2 + entropy).max() - 1e-9
    assert found >= JunctionTree().plan(topology, n_states).decode(scores).score[0]


def test_each_graph_of_a_batch_keeps_its_better_start():
    topology, scores = random_model(1)
    weak = Scores(scores.node, 0.1 * scores.edge)
    both = Topology(
        np.concatenate([topology.edges, topology.edges + topology.n_nodes]),
        np.array([0, topology.n_nodes, 2 * topology.n_nodes]),
        np.array([0, topology.n_edges, 2 * topology.n_edges]),
    )
    plans = [MeanField().plan(t, scores.node.shape[1]) for t in (topology, both)]
    found = plans[1].marginals(Scores(*(np.concatenate(parts) for parts in zip(scores[:2], weak[:2]))))
    for g, alone in enumerate(map(plans[0].marginals, (scores, weak))):
        assert found.log_partition[g] == alone.log_partition[0]
        assert found.n_iter[g] == alone.n_iter[0]
        np.testing.assert_array_equal(found.node[both.node_graph == g], alone.node)
        np.testing.assert_array_equal(found.edge[both.edge_graph == g], alone.edge)


def ascended(q, topology, scores, max_iter=1000, tol=1e-6):
    """Bound after plain coordinate ascent from `q`, node by node."""
    q, ends = q.copy(), [[] for _ in range(topology.n_nodes)]
    for (i, j), matrix in zip(topology.edges, scores.edge):
        ends[i].append((j, matrix))
        ends[j].append((i, matrix.T))
    for _ in range(max_iter):
        change = 0.0
        for i, incoming in enumerate(ends):
            field = scores.node[i] + sum(matrix @ q[j] for j, matrix in incoming)
            new = np.exp(field - field.max())
            new /= new.sum()
            change, q[i] = max(change, np.abs(new - q[i]).max()), new
        if change <= tol:
            break
    i, j = topology.edges.T
    pairs = (q[i][:, None] @ scores.edge @ q[j][:, :, None]).sum()
    return (q * scores.node).sum() + pairs - (q * np.log(np.maximum(q, 1e-300))).sum()


@pytest.mark.parametrize("kind", ["normal", "attraction", "repulsion", "mixed signs"])
@pytest.mark.parametrize("coupling", [0.3, 1.0, 3.0])
def test_the_bound_is_not_below_that_of_plain_ascent_from_two_starts(coupling, kind):
    """The starts are almost uniform distributions and a labelling; the result is the same or better."""
    rng, n_nodes, better = np.random.default_rng(5), 30, 0
    for n_states in (2, 3, 9):
        pairs = np.array(list(itertools.combinations(range(n_nodes), 2)))
        topology = Topology.from_edges(pairs[rng.permutation(len(pairs))[:70]], n_nodes)
        strength = {"normal": 0.0, "attraction": 1.0, "repulsion": -1.0, "mixed signs": rng.normal(size=(70, 1, 1))}
        edge = coupling * strength[kind] * np.ones((70, 1, 1)) * np.eye(n_states)
        edge += coupling * (kind == "normal") * rng.normal(size=edge.shape)
        scores = Scores(rng.normal(size=(n_nodes, n_states)), edge)
        plan = MeanField().plan(topology, n_states)
        found, identity = plan.marginals(scores), np.eye(n_states)
        uniform = 0.95 / n_states + 0.05 * identity[scores.node.argmax(axis=1)]
        plain = max(ascended(q, topology, scores) for q in (uniform, identity[plan.decode(scores).labels]))
        assert found.converged[0]
        assert found.log_partition[0] >= plain - 1e-6 * abs(plain)
        better += found.log_partition[0] > plain + 1e-6 * abs(plain)
    assert coupling > 0.3 or not better  # weak couplings: one optimum


def test_the_result_is_a_fixed_point_at_every_tolerance():
    """On a wide graph, where most nodes are not updated in most sweeps."""
    rng, side = np.random.default_rng(6), 20
    number = np.arange(side * side).reshape(side, side)
    edges = np.concatenate(
        [np.c_[number[1:].ravel(), number[:-1].ravel()], np.c_[number[:, 1:].ravel(), number[:, :-1].ravel()]]
    )
    topology = Topology.from_edges(edges, side * side)
    for n_matrices, rows in ((len(edges), None), (1, np.zeros(len(edges), np.int32))):
        scores = Scores(rng.normal(size=(side * side, 4)), 0.7 * rng.normal(size=(n_matrices, 4, 4)), rows)
        for tol in (1e-3, 1e-6, 1e-10):
            found = MeanField(tol=tol).plan(topology, 4).marginals(scores)
            field, matrices = scores.node.copy(), np.broadcast_to(scores.edge, (len(edges), 4, 4))
            np.add.at(field, edges[:, 0], (matrices @ found.node[edges[:, 1], :, None])[:, :, 0])
            np.add.at(field, edges[:, 1], (found.node[edges[:, 0], None] @ matrices)[:, 0])
            expected = np.exp(field - field.max(axis=1, keepdims=True))
            expected /= expected.sum(axis=1, keepdims=True)
            np.testing.assert_allclose(found.node, expected, atol=10 * tol)
            assert found.residual[0] <= tol


@kernel
def update(node, q, neighbour, matrix, number, out, lanes):
    expected_scores(node, 1, q, neighbour, matrix, number, 1, 4, out, lanes)
    return replace_distribution(out, q, 2, lanes)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 11, 21, 70])
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_primitives(n, scale, rng):
    """Against numpy; entries -inf that meet no probability do not count."""
    node, matrix, q = scale * rng.normal(size=(2, n)), scale * rng.normal(size=(3, n, n)), rng.random((5, n))
    if n > 1:
        q[3, 1], matrix[2, 1], node[1, 0] = 0.0, -np.inf, -np.inf
    neighbour, number = np.array([0, 3, 4, 0, 1], np.int32), np.array([0, 2, 1, 0, 1])
    out, before = np.empty((1, n)), q.copy()
    moved = update(node, q, neighbour, matrix, number, out, lanes(n))
    expected = node[1] + np.where(np.arange(n) == 1, 0.0, before[3]) @ np.where(matrix[2] > -np.inf, matrix[2], 0.0)
    expected += before[4] @ matrix[1] + before[0] @ matrix[0]
    np.testing.assert_allclose(out[0], expected, rtol=1e-10)
    new = np.exp(out[0] - out[0].max())
    new /= new.sum()
    np.testing.assert_allclose(q[2], new, rtol=1e-12, atol=1e-300)
    assert moved == pytest.approx(np.abs(new - before[2]).max(), rel=1e-10)
    np.testing.assert_array_equal(np.delete(q, 2, axis=0), np.delete(before, 2, axis=0))
