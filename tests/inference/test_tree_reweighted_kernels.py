"""The kernels of tree-reweighted belief propagation, against their twin in the log domain and numpy."""

import os
import subprocess
import sys

import numpy as np
import pytest

from skstruct import Topology
from skstruct.inference import Tree, TreeReweightedBP
from skstruct.inference import _tree_reweighted_log as log_kernels
from skstruct.inference._damping import STAGNATION_SWEEPS
from skstruct.scores import Marginals, Scores, weigh_nodes

TIGHT = {"tol": 1e-13, "max_iter": 2000}


def plain_fixed_point(topology, scores, rho):
    """Log-partition and marginals by synchronous damped updates in numpy, and the reweighted free energy."""
    edge = scores.edge if scores.edge_matrix is None else scores.edge[scores.edge_matrix]
    edge = edge / rho[:, None, None]
    i, j = topology.edges.T
    to_i, to_j = (np.zeros((topology.n_edges, scores.node.shape[1])) for _ in range(2))

    def lse(values, axis):
        top = values.max(axis=axis, keepdims=True)
        return np.log(np.exp(values - top).sum(axis=axis)) + np.squeeze(top, axis)

    def beliefs():
        total = scores.node.copy()
        np.add.at(total, i, rho[:, None] * to_i)
        np.add.at(total, j, rho[:, None] * to_j)
        return total

    for _ in range(1000):
        belief = beliefs()
        new_j = lse((belief[i] - to_i)[:, :, None] + edge, 1)
        new_i = lse((belief[j] - to_j)[:, None, :] + edge, 2)
        to_i, to_j = ((old + new - new.max(axis=1, keepdims=True)) / 2 for old, new in ((to_i, new_i), (to_j, new_j)))
    belief = beliefs()
    log_z = lse(belief, 1)
    belief -= log_z[:, None]
    pair = edge + (belief[i] - to_i)[:, :, None] + (belief[j] - to_j)[:, None, :]
    log_pair = lse(pair, (1, 2))
    return log_z.sum() + rho @ log_pair, np.exp(belief), np.exp(pair - log_pair[:, None, None])


@pytest.mark.usefixtures("orders_of_grids")
@pytest.mark.parametrize("n_states", [2, 3])
@pytest.mark.parametrize(
    "make",
    [
        lambda graphs, rng: graphs.grid(4, 4),
        lambda graphs, rng: graphs.random(15, 30, rng),
        lambda graphs, rng: graphs.complete(7),
    ],
)
def test_fixed_point_of_synchronous_updates_in_numpy(make, n_states, rng, graphs, random_scores):
    topology = make(graphs, rng)
    scores = random_scores(topology, rng, n_states=n_states, edge_scale=0.5)
    plan = TreeReweightedBP(**TIGHT).plan(topology, n_states)
    found = plan.marginals(scores)
    log_partition, node, edge = plain_fixed_point(topology, scores, plan.inner.edge_weights)
    assert found.log_partition[0] == pytest.approx(log_partition, abs=1e-9)
    np.testing.assert_allclose(found.node, node, atol=1e-8)
    np.testing.assert_allclose(found.edge, edge, atol=1e-8)


def twin(plan, scores, weights):
    """The log-domain kernel on all graphs."""
    inner, t = plan.inner, plan.topology
    divided, shared = inner.divided(scores)
    zeros = np.zeros(t.n_graphs)
    out = Marginals(
        log_partition=zeros,
        node=np.zeros(scores.node.shape),
        edge=np.zeros_like(divided.edge),
        n_iter=np.zeros(t.n_graphs, np.intp),
        residual=zeros.copy(),
        converged=np.ones(t.n_graphs, bool),
    )
    graphs = np.arange(t.n_graphs)
    with np.errstate(all="ignore"):  # seen with NUMBA_DISABLE_JIT=1 only, as in the plan
        log_kernels.propagate_weighted_log(
            inner.lists, inner._orders, inner.settings, graphs, divided, weights, out, np.zeros((0, inner.n_states))
        )
    weigh_nodes(t, out.node, weights)
    return out._replace(edge=inner.gathered(out.edge, scores, shared))


def assert_same(found, expected, atol=1e-10):
    np.testing.assert_allclose(found.log_partition, expected.log_partition, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(found.node, expected.node, atol=atol)
    np.testing.assert_allclose(found.edge, expected.edge, atol=atol)


@pytest.mark.parametrize("max_iter", [1, 500])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("n_states", [2, 3, 9])
def test_kernels_equal_the_log_domain_twin(n_states, shared, max_iter, rng, mixed_batch, random_scores):
    topology = mixed_batch
    plan = TreeReweightedBP(tol=1e-13, max_iter=max_iter).plan(topology, n_states)
    scores = random_scores(topology, rng, n_states=n_states, edge_scale=0.5, shared=shared)
    if shared:
        scores = scores._replace(edge=np.concatenate([scores.edge, 0.7 * np.eye(n_states)[None]]))
        scores.edge_matrix[::3] = 1
    if n_states > 1:
        scores.node[[0, 3, 15, 19], [0, n_states - 1, 1, 0]] = -np.inf
    weights = np.array([0.5, 1.0, 3.0, 2.0])
    found = plan.marginals(scores, weights)
    assert_same(found, twin(plan, scores, weights))
    assert found.n_iter[[0, 3]].min() > 1
    assert (found.node[np.isneginf(scores.node)] == 0.0).all()


@pytest.mark.parametrize("n_states", [2, 3])
@pytest.mark.parametrize("lowest", [-30.0, -100.0, -400.0])
def test_ranges_of_the_kernels(n_states, lowest, rng, mixed_batch, random_scores):
    """Square roots, logarithms, and the twin: scores of edges are far apart in each graph of the batch."""
    topology = mixed_batch
    plan = TreeReweightedBP(max_iter=3, tol=1e-13).plan(topology, n_states)
    scores = random_scores(topology, rng, n_states=n_states)
    edges = np.flatnonzero(topology.edge_graph != 1)[::3]
    scores.edge[edges, 0, 1] = lowest * plan.inner.edge_weights[edges]
    scores.node[0] = 1e4 * rng.normal(size=n_states)
    weights = np.ones(4)
    assert_same(plan.marginals(scores, weights), twin(plan, scores, weights), atol=1e-9)


@pytest.mark.parametrize("max_iter", [1, 500])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("n_states", [2, 3])
def test_stars_equal_the_twin(n_states, shared, max_iter, rng, graphs, random_scores):
    """Complete graphs of 4, 3 and 8 nodes, and a grid among them; with 4 and 8 nodes there could be roots."""
    parts, edges = [graphs.complete(4), graphs.complete(3), graphs.grid(3, 3), graphs.complete(8)], []
    node_ptr = np.cumsum([0, *(part.n_nodes for part in parts)])
    for part, start in zip(parts, node_ptr):
        edges.append(part.edges + start)
    topology = Topology(np.concatenate(edges).astype(np.int32), node_ptr, np.cumsum([0, *map(len, edges)]))
    plan = TreeReweightedBP(tol=1e-13, max_iter=max_iter).plan(topology, n_states)
    scores = random_scores(topology, rng, n_states=n_states, edge_scale=0.3, shared=shared)
    scores.node[[1, 5, 20], [0, n_states - 1, 1]] = -np.inf
    weights = np.array([0.5, 1.0, 3.0, 2.0])
    found = plan.marginals(scores, weights)
    assert_same(found, twin(plan, scores, weights))
    assert plan.inner._orders.star.tolist() == [True, True, False, True]
    assert not plan.inner._orders.rooted[[0, 1, 3]].any()
    for g in (0, 1, 3):  # at the fixed point, the bound is the free energy with these weights
        nodes, pairs = slice(*node_ptr[g : g + 2]), slice(*topology.edge_ptr[g : g + 2])
        own = Scores(scores.node[nodes], scores.edge if shared else scores.edge[pairs], None)
        own = own._replace(edge_matrix=scores.edge_matrix[pairs] if shared else None)
        rho = 2.0 / parts[g].n_nodes
        one = TreeReweightedBP(rho, tol=1e-13, max_iter=max_iter).plan(parts[g], n_states).marginals(own)
        if max_iter > 1:
            assert found.log_partition[g] == pytest.approx(one.log_partition[0], rel=1e-11)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("n_states", [2, 3])
def test_out_of_range_and_impossible_graphs_among_others(n_states, shared, rng, mixed_batch, random_scores):
    """The grid has a score of 1e4, the forest a forbidden pair, the cycle a node without an allowed state."""
    topology = mixed_batch
    plan = TreeReweightedBP(tol=1e-12, max_iter=500).plan(topology, n_states)
    scores = random_scores(topology, rng, n_states=n_states, edge_scale=0.3, shared=shared)
    alone = plan.marginals(scores)
    if not shared:
        scores.edge[0, 0, 1] = -1e4
        scores.edge[17, 0, 1] = -np.inf
    scores.node[20] = -np.inf
    weights = np.array([0.5, 1.0, 3.0, 2.0])
    found, expected = plan.marginals(scores, weights), twin(plan, scores, weights)
    assert_same(found._replace(node=found.node[:18]), expected._replace(node=expected.node[:18]))
    assert np.isneginf(found.log_partition).tolist() == [False, False, False, True]
    assert np.isnan(found.node[18:]).all()
    np.testing.assert_array_equal(found.node[12:14], alone.node[12:14])
    if not shared:
        assert found.edge[17, 0, 1] == 0.0
        assert (found.edge[19:] == 0.0).all()


@pytest.mark.parametrize("damping", [0.0, 0.4])
@pytest.mark.parametrize("n_states", [2, 3])
def test_damped_kernels_equal_the_twin(n_states, damping, rng, random_scores):
    """Hubs among strong edges, which oscillate undamped."""
    spokes = [(0, i) for i in range(1, 12)] + [(i, i % 11 + 1) for i in range(1, 12)]
    topology = Topology.from_edges(spokes, 12)
    scores = random_scores(topology, rng, n_states=n_states, edge_scale=3.0)
    plan = TreeReweightedBP(damping=damping, tol=1e-10, max_iter=60).plan(topology, n_states)
    found, expected = plan.marginals(scores), twin(plan, scores, np.ones(1))
    assert abs(found.n_iter[0] - expected.n_iter[0]) < 10
    assert found.n_iter[0] > STAGNATION_SWEEPS
    assert_same(found, expected, atol=1e-7)


def random_pass(topology, rng, n_states):
    """The pieces of a pass of the twin, with messages that are no fixed point."""
    inner = TreeReweightedBP().plan(topology, n_states).inner
    lists, orders = inner.lists, inner._orders
    messages = rng.normal(size=(2 * topology.n_edges, n_states))
    visit, share = orders.node[: topology.n_nodes], orders.share[: topology.n_nodes]
    place = np.empty(topology.n_nodes, np.int64)
    place[visit] = np.arange(topology.n_nodes)

    def bound(scores):
        divided, shared = inner.divided(scores)
        node, star = divided.node[lists.order], orders.star[0]
        graph = log_kernels._Graph(lists.bounds, lists.ends, orders.rho, lists.edge, lists.flipped, node, messages)
        sent, beliefs, centres = np.empty_like(messages), np.empty_like(node), np.empty_like(node)
        if star:
            value = log_kernels._to_centres(graph, divided, beliefs, centres)
        else:
            value = log_kernels._down(graph, divided, visit, place, share, sent, beliefs)
        marginals, counts = np.empty_like(node), np.zeros_like(divided.edge)
        args = visit, np.where(star, -1, place), share, beliefs, 1.0, 1.0, marginals, counts
        log_kernels._up(graph, divided, centres, star, *args)
        gradient = np.empty_like(node)
        gradient[lists.order] = marginals
        return value, gradient, inner.gathered(counts, scores, shared)

    return bound


@pytest.mark.usefixtures("orders_of_grids")
@pytest.mark.parametrize(
    "make",
    [
        lambda graphs, rng: graphs.grid(3, 4),
        lambda graphs, rng: graphs.random(9, 16, rng),
        lambda graphs, rng: graphs.complete(5),
    ],
)
def test_the_bound_has_its_gradient_at_any_messages(make, rng, graphs, random_scores):
    topology = make(graphs, rng)
    scores, bound = random_scores(topology, rng, n_states=3), random_pass(topology, rng, 3)
    _, *gradient = bound(scores)
    for k in range(2):
        direction = rng.normal(size=gradient[k].shape)
        values = [
            bound(Scores(*(a + h * direction if n == k else a for n, a in enumerate(scores[:2]))))[0]
            for h in (1e-3, -1e-3, 2e-3, -2e-3)
        ]
        slope = (8 * (values[0] - values[1]) - (values[2] - values[3])) / 12e-3
        assert slope == pytest.approx((gradient[k] * direction).sum(), abs=1e-8)


def test_stars_of_any_size_are_exact(rng, random_scores):
    """Reverse Cuthill-McKee numbers put the centre of a star among its leaves."""
    topology = Topology.from_edges([(0, i) for i in range(1, 3000)], 3000)
    scores = random_scores(topology, rng)
    found, exact = (b.plan(topology, 2).marginals(scores) for b in (TreeReweightedBP(), Tree()))
    assert found.n_iter[0] == 0
    assert_same(found, exact)


def test_without_compilation():
    """The battery in plain Python, of mean field too."""
    code = (
        "from skstruct.inference import *; from skstruct.testing import check_inference_backend as check\n"
        "check(TreeReweightedBP(max_iter=5), n_models=1, samples=False)\n"
        "check(MeanField(max_iter=20), n_models=1, samples=False)"
    )
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    warnings = [
        "-W",
        "error",
        "-W",
        "ignore:divide by zero:RuntimeWarning",
    ]  # of loopy belief propagation's decoder
    done = subprocess.run([sys.executable, *warnings, "-c", code], env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
