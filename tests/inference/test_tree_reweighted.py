"""Tree-reweighted belief propagation: its bound and the gradient of the bound, for weights from orders and others."""

import numpy as np
import pytest

from skstruct import Topology
from skstruct.inference import JunctionTree, LoopyBP, MeanField, Tree, TreeReweightedBP
from skstruct.scores import Scores
from skstruct.testing import check_inference_backend, enumerate_exactly

TIGHT = {"tol": 1e-13, "max_iter": 2000}
SMALL = [lambda graphs: graphs.grid(3, 3), lambda graphs: graphs.cycle(5), lambda graphs: graphs.complete(5)]


@pytest.mark.parametrize("make", SMALL)
@pytest.mark.parametrize("edge_scale", [0.3, 1.0, 5.0, 100.0])
@pytest.mark.parametrize("max_iter", [1, 100])
def test_bounds_never_cross(make, edge_scale, max_iter, rng, graphs, random_scores):
    """Mean field <= enumeration <= tree-reweighted, converged or not."""
    topology = make(graphs)
    above, below = (b(max_iter=max_iter).plan(topology, 2) for b in (TreeReweightedBP, MeanField))
    for trial in range(20):
        scores = random_scores(topology, rng, edge_scale=edge_scale, shared=trial % 2 == 0)
        truth = enumerate_exactly(topology, scores).log_partition[0]
        slack = 1e-9 * (1 + abs(truth))
        assert below.marginals(scores).log_partition[0] <= truth + slack
        assert above.marginals(scores).log_partition[0] >= truth - slack


@pytest.mark.usefixtures("orders_of_grids")
@pytest.mark.parametrize("coupling", [-3.0, -1.0, 0.3, 1.0, 3.0])
def test_bounds_never_cross_on_a_larger_grid(coupling, rng, graphs):
    topology = graphs.grid(8, 8)
    scores = Scores(rng.normal(size=(64, 3)), coupling * np.eye(3)[None], np.zeros(topology.n_edges, np.int32))
    below, truth, above = (
        backend.plan(topology, 3).marginals(scores).log_partition[0]
        for backend in (MeanField(), JunctionTree(), TreeReweightedBP())
    )
    assert below <= truth + 1e-8
    assert above >= truth - 1e-8


def test_exact_on_forests(rng, graphs, random_scores):
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
    assert not TreeReweightedBP().plan(graphs.cycle(4), 2).exact


@pytest.mark.usefixtures("orders_of_grids")
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("rho", ["orders", 0.5])
def test_marginals_are_the_gradient_of_the_bound(
    rho, shared, rng, check_gradient_of_log_partition, graphs, random_scores
):
    topology = graphs.grid(4, 5)
    plan = TreeReweightedBP(rho=rho, **TIGHT).plan(topology, 3)
    scores = random_scores(topology, rng, n_states=3, edge_scale=0.7, shared=shared)
    found = plan.marginals(scores)
    assert found.converged.all()
    check_gradient_of_log_partition(plan, scores)


@pytest.mark.usefixtures("orders_of_grids")
def test_converged_marginals_agree_along_edges(rng, graphs, random_scores):
    topology = graphs.grid(4, 4)
    plan = TreeReweightedBP(**TIGHT).plan(topology, 3)
    scores = random_scores(topology, rng, n_states=3)
    node, pairs = plan.marginals(scores).node, plan.edge_marginals(scores)
    np.testing.assert_allclose(pairs.sum(axis=2), node[topology.edges[:, 0]], atol=1e-9)
    np.testing.assert_allclose(pairs.sum(axis=1), node[topology.edges[:, 1]], atol=1e-9)


@pytest.mark.usefixtures("orders_of_grids")
@pytest.mark.parametrize("make", SMALL)
def test_the_bound_is_convex_along_lines(make, rng, graphs, random_scores):
    plan = TreeReweightedBP(**TIGHT).plan(make(graphs), 3)
    for _ in range(5):
        a, b = (random_scores(make(graphs), rng, n_states=3) for _ in range(2))
        middle = Scores((a.node + b.node) / 2, (a.edge + b.edge) / 2)
        low, at_a, at_b = (plan.marginals(scores).log_partition[0] for scores in (middle, a, b))
        assert low <= (at_a + at_b) / 2 + 1e-9


def test_uniform_scores_give_the_number_of_labellings(graphs):
    topology = graphs.complete(6)
    plan = TreeReweightedBP().plan(topology, 3)
    found = plan.marginals(Scores(np.zeros((6, 3)), np.zeros((15, 3, 3))))
    assert found.log_partition[0] == pytest.approx(6 * np.log(3), rel=1e-12)


def test_rho_1_is_loopy_belief_propagation(rng, graphs, random_scores):
    topology = graphs.grid(4, 4)
    scores = random_scores(topology, rng, n_states=3, edge_scale=0.5)
    one, loopy = (b.plan(topology, 3).marginals(scores) for b in (TreeReweightedBP(rho=1, **TIGHT), LoopyBP(**TIGHT)))
    np.testing.assert_allclose(one.log_partition, loopy.log_partition, rtol=1e-10)
    np.testing.assert_allclose(one.node, loopy.node, atol=1e-10)
    np.testing.assert_allclose(one.edge, loopy.edge, atol=1e-10)


def test_smaller_rho_bounds_more_loosely(rng, graphs, random_scores):
    topology = graphs.grid(3, 3)
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


@pytest.mark.usefixtures("orders_of_grids")
def test_battery_of_small_grids():
    assert check_inference_backend(TreeReweightedBP(), families=["grid", "grid, repeated edge", "batch"]) > 0


def test_strong_repulsion_is_damped_or_flagged(rng, graphs):
    topology = graphs.complete(8)
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
def test_bad_parameters(parameter, value, graphs):
    with pytest.raises(ValueError, match=f"TreeReweightedBP: {parameter} must"):
        TreeReweightedBP(**{parameter: value}).plan(graphs.cycle(3), 2)
