"""Tree-reweighted belief propagation: its bound, its forests, its gradient."""

import itertools
import os
import subprocess
import sys

import numpy as np
import pytest

from skstruct import Topology
from skstruct.inference import JunctionTree, LoopyBP, MeanField, Tree, TreeReweightedBP
from skstruct.inference._tree_reweighted import spanning_forests
from skstruct.scores import Scores
from skstruct.testing import check_inference_backend, enumerate_exactly

TIGHT = {"tol": 1e-13, "max_iter": 2000}


def grid(height, width):
    number = np.arange(height * width).reshape(height, width)
    down = np.c_[number[:-1].ravel(), number[1:].ravel()]
    edges = np.concatenate([down, np.c_[number[:, :-1].ravel(), number[:, 1:].ravel()]])
    return Topology.from_edges(edges, height * width)


def cycle(n):
    return Topology.from_edges([(i, (i + 1) % n) for i in range(n)], n)


def complete(n):
    return Topology.from_edges(list(itertools.combinations(range(n), 2)), n)


def random_scores(topology, rng, n_states=2, node_scale=1.0, edge_scale=1.0, shared=False):
    edge = edge_scale * rng.normal(size=(1 if shared else topology.n_edges, n_states, n_states))
    node = node_scale * rng.normal(size=(topology.n_nodes, n_states))
    return Scores(node, edge, np.zeros(topology.n_edges, np.int32) if shared else None)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


TOPOLOGIES = {"grid": grid(3, 3), "cycle": cycle(5), "complete": complete(5)}


@pytest.mark.parametrize("name", TOPOLOGIES)
@pytest.mark.parametrize("edge_scale", [0.3, 1.0, 5.0, 100.0])
@pytest.mark.parametrize("max_iter", [1, 100])
def test_bounds_never_cross(name, edge_scale, max_iter, rng):
    """Mean field <= enumeration <= tree-reweighted, settled or not."""
    topology = TOPOLOGIES[name]
    above, below = (b(max_iter=max_iter).plan(topology, 2) for b in (TreeReweightedBP, MeanField))
    for trial in range(20):
        scores = random_scores(topology, rng, edge_scale=edge_scale, shared=trial % 2 == 0)
        truth = enumerate_exactly(topology, scores).log_partition[0]
        slack = 1e-9 * (1 + abs(truth))
        assert below.marginals(scores).log_partition[0] <= truth + slack
        assert above.marginals(scores).log_partition[0] >= truth - slack


@pytest.mark.parametrize("coupling", [-3.0, -1.0, 0.3, 1.0, 3.0])
def test_bounds_never_cross_on_a_larger_grid(coupling, rng):
    topology = grid(8, 8)
    scores = Scores(rng.normal(size=(64, 3)), coupling * np.eye(3)[None], np.zeros(topology.n_edges, np.int32))
    below, truth, above = (
        backend.plan(topology, 3).marginals(scores).log_partition[0]
        for backend in (MeanField(), JunctionTree(), TreeReweightedBP())
    )
    assert below <= truth + 1e-8
    assert above >= truth - 1e-8


def test_exact_on_forests(rng):
    for _ in range(20):
        n = int(rng.integers(2, 40))
        edges = [(i, int(rng.integers(0, i))) for i in range(1, n) if i % 7]
        topology = Topology.from_edges(edges, n)
        scores = random_scores(topology, rng, n_states=3, edge_scale=2.0)
        plan = TreeReweightedBP().plan(topology, 3)
        found, exact = plan.marginals(scores), Tree().plan(topology, 3).marginals(scores)
        assert plan.exact
        np.testing.assert_allclose(found.log_partition, exact.log_partition, atol=1e-8)
        np.testing.assert_allclose(found.node, exact.node, atol=1e-8)
        np.testing.assert_allclose(found.edge, exact.edge, atol=1e-8)
    assert not TreeReweightedBP().plan(cycle(4), 2).exact


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("rho", ["trees", 0.5])
def test_marginals_are_the_gradient_of_the_bound(rho, shared, rng):
    topology = grid(4, 5)
    plan = TreeReweightedBP(rho=rho, **TIGHT).plan(topology, 3)
    scores = random_scores(topology, rng, n_states=3, edge_scale=0.7, shared=shared)
    found = plan.marginals(scores)
    assert found.converged.all()
    step = 1e-5
    for tensor, gradient in (("node", found.node), ("edge", found.edge)):
        direction = rng.normal(size=gradient.shape)
        up, down = (
            plan.marginals(scores._replace(**{tensor: getattr(scores, tensor) + h * direction})).log_partition
            for h in (step, -step)
        )
        assert (up - down)[0] / (2 * step) == pytest.approx((gradient * direction).sum(), rel=1e-6, abs=1e-7)


def test_settled_marginals_agree_along_edges(rng):
    topology = grid(4, 4)
    plan = TreeReweightedBP(**TIGHT).plan(topology, 3)
    scores = random_scores(topology, rng, n_states=3)
    node, pairs = plan.marginals(scores).node, plan.edge_marginals(scores)
    np.testing.assert_allclose(pairs.sum(axis=2), node[topology.edges[:, 0]], atol=1e-9)
    np.testing.assert_allclose(pairs.sum(axis=1), node[topology.edges[:, 1]], atol=1e-9)


@pytest.mark.parametrize("n", [3, 4, 6, 12])
def test_forests_of_a_cycle_leave_each_edge_out_equally_often(n):
    np.testing.assert_allclose(spanning_forests(cycle(n)).rho, (n - 1) / n)


@pytest.mark.parametrize(
    ("make", "sizes"), [(cycle, [5]), (cycle, [30]), (complete, [4]), (complete, [9]), (grid, [6, 7])]
)
def test_forests_cover_and_span(make, sizes):
    topology = make(*sizes)
    forests = spanning_forests(topology)
    n, e = topology.n_nodes, topology.n_edges
    assert forests.copies.is_forest.all()
    assert (np.diff(forests.copies.edge_ptr) == n - 1).all()
    np.testing.assert_array_equal(np.bincount(forests.edge, minlength=e), forests.used)
    assert (forests.used > 0).all()
    assert forests.rho.sum() == pytest.approx(n - 1)
    assert np.abs(forests.rho - (n - 1) / e).max() < 0.1
    ends, copied = topology.edges[forests.edge], forests.node[forests.copies.edges]
    np.testing.assert_array_equal(ends, copied)


def test_bridges_are_in_every_forest():
    lollipop = Topology.from_edges([(0, 1), (1, 2), (2, 0), (2, 3)], 4)
    np.testing.assert_allclose(spanning_forests(lollipop).rho, [2 / 3, 2 / 3, 2 / 3, 1])


def test_a_graph_has_the_same_forests_in_any_batch(rng):
    square, triangles = cycle(4), complete(5)
    shift = square.n_nodes
    both = Topology(
        np.concatenate([square.edges, triangles.edges + shift]).astype(np.int32),
        np.array([0, shift, shift + 5]),
        np.array([0, 4, 14]),
    )
    scores = random_scores(both, rng)
    found = TreeReweightedBP().plan(both, 2).marginals(scores)
    for g, alone in enumerate((square, triangles)):
        nodes, edges = slice(*both.node_ptr[g : g + 2]), slice(*both.edge_ptr[g : g + 2])
        np.testing.assert_array_equal(spanning_forests(alone).rho, spanning_forests(both).rho[edges])
        one = TreeReweightedBP().plan(alone, 2).marginals(Scores(scores.node[nodes], scores.edge[edges]))
        np.testing.assert_allclose(one.log_partition[0], found.log_partition[g], rtol=1e-12)


def test_uniform_scores_give_the_number_of_labellings():
    topology = complete(6)
    plan = TreeReweightedBP().plan(topology, 3)
    found = plan.marginals(Scores(np.zeros((6, 3)), np.zeros((15, 3, 3))))
    assert found.log_partition[0] == pytest.approx(6 * np.log(3), rel=1e-12)


def test_rho_1_is_loopy_belief_propagation(rng):
    topology = grid(4, 4)
    scores = random_scores(topology, rng, n_states=3, edge_scale=0.5)
    one, loopy = (b.plan(topology, 3).marginals(scores) for b in (TreeReweightedBP(rho=1, **TIGHT), LoopyBP(**TIGHT)))
    np.testing.assert_allclose(one.log_partition, loopy.log_partition, rtol=1e-10)
    np.testing.assert_allclose(one.node, loopy.node, atol=1e-10)
    np.testing.assert_allclose(one.edge, loopy.edge, atol=1e-10)


def test_smaller_rho_bounds_more_loosely(rng):
    topology = grid(3, 3)
    scores = random_scores(topology, rng)
    values = [
        TreeReweightedBP(rho=rho, **TIGHT).plan(topology, 2).marginals(scores).log_partition[0]
        for rho in (0.3, 0.5, 0.8)
    ]
    truth = enumerate_exactly(topology, scores).log_partition[0]
    assert values[0] > values[1] > truth  # 0.5 is within the spanning tree polytope of this grid's subgraphs
    assert values[1] > values[2]


def test_a_number_promises_no_bound():
    assert TreeReweightedBP().bound == "upper"
    assert TreeReweightedBP(rho=0.8).bound is None


@pytest.mark.parametrize("rho", [0.3, 0.8, 1.0])
def test_battery_with_a_number(rho):
    assert check_inference_backend(TreeReweightedBP(rho=rho), n_models=1) > 20


def test_strong_repulsion_is_damped_or_flagged(rng):
    topology = complete(8)
    scores = Scores(0.1 * rng.normal(size=(8, 2)), np.array([[[-4.0, 4.0], [4.0, -4.0]]]), np.zeros(28, np.int32))
    found = TreeReweightedBP(max_iter=2).plan(topology, 2).marginals(scores)
    assert found.n_iter[0] <= 4
    assert found.converged[0] == (found.residual[0] <= 1e-5)
    assert TreeReweightedBP(max_iter=500).plan(topology, 2).marginals(scores).converged[0]


def test_empty_batch():
    topology = Topology(np.zeros((0, 2), np.int32), np.array([0]), np.array([0]))
    found = TreeReweightedBP().plan(topology, 2).marginals(Scores(np.zeros((0, 2)), np.zeros((0, 2, 2))))
    assert found.log_partition.shape == (0,)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("rho", "tree"),
        ("rho", 0.0),
        ("rho", 1.1),
        ("rho", np.nan),
        ("damping", 1.0),
        ("max_iter", 0),
        ("tol", 0.0),
    ],
)
def test_bad_parameters(parameter, value):
    with pytest.raises(ValueError, match=f"TreeReweightedBP: {parameter} must"):
        TreeReweightedBP(**{parameter: value}).plan(cycle(3), 2)


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
