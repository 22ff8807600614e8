"""Fast kernels against their plain log-domain twins, gradients, and scale."""

import os
import subprocess
import sys

import numpy as np
import pytest

from skstruct import Topology
from skstruct.inference import Chain, LoopyBP, Tree
from skstruct.inference import _chain as chain
from skstruct.inference import _message_passing as message_passing
from skstruct.inference._rooted_forest import ROOT
from skstruct.scores import Scores

N_STATES = 4


def chain_edges(n):
    return [(t, t + 1) if t % 3 else (t + 1, t) for t in range(n - 1)]


def tree_edges(n, rng):
    number = rng.permutation(n)
    return [(number[i], number[rng.integers(0, i)]) for i in range(1, n)]


def grid_edges(height, width):
    number = np.arange(height * width).reshape(height, width)
    down = np.c_[number[:-1].ravel(), number[1:].ravel()]
    return np.concatenate([down, np.c_[number[:, :-1].ravel(), number[:, 1:].ravel()]])


def random_scores(topology, rng, n_states=N_STATES, scale=1.0, shared=False):
    n_matrices = 1 if shared else topology.n_edges
    node = scale * rng.normal(size=(topology.n_nodes, n_states))
    edge = scale * rng.normal(size=(n_matrices, n_states, n_states))
    return Scores(node, edge, np.zeros(topology.n_edges, np.int32) if shared else None)


def plans(rng):
    yield Chain().plan(Topology.from_edges(chain_edges(30), 30), N_STATES)
    yield Tree().plan(Topology.from_edges(tree_edges(40, rng), 40), N_STATES)
    yield LoopyBP(tol=1e-13, max_iter=1000).plan(Topology.from_edges(tree_edges(25, rng), 25), N_STATES)
    yield LoopyBP(tol=1e-13, max_iter=1000).plan(Topology.from_edges(grid_edges(4, 5), 20), N_STATES)


@pytest.mark.parametrize("shared", [False, True])
def test_fast_kernel_equals_log_domain_twin(shared, rng, monkeypatch):
    """For chains see below, for loopy belief propagation test_loopy.py."""
    plan = Tree().plan(Topology.from_edges(tree_edges(40, rng), 40), N_STATES)
    scores = random_scores(plan.topology, rng, scale=0.5, shared=shared)
    fast = plan.marginals(scores, np.array([2.0]))
    monkeypatch.setattr(message_passing, "SMALLEST_POTENTIAL", 1.0)  # no range is safe: all graphs go to the twin
    safe = plan.marginals(scores, np.array([2.0]))
    assert fast.converged.all()
    assert safe.converged.all()
    same_marginals(fast, safe)


def same_marginals(fast, safe):
    np.testing.assert_allclose(fast.log_partition, safe.log_partition, rtol=1e-12)
    np.testing.assert_allclose(fast.node, safe.node, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(fast.edge, safe.edge, rtol=1e-10, atol=1e-13)


def same_derivative(found, expected):
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-10)
    np.testing.assert_allclose(found[1].node, expected[1].node, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(found[1].edge, expected[1].edge, rtol=1e-9, atol=1e-10)


def many_chains(kind, rng, longest=90):
    """Chains of several lengths, the longest one longer than the kernel's buffer, with edges in any order."""
    sizes = [5, 1, 0, longest, 3, longest // 3]
    ptr, edges, edge_ptr = np.cumsum([0, *sizes]), [], [0]
    for start, n in zip(ptr, sizes):
        low = start + rng.permutation(max(n - 1, 0))
        pairs = np.c_[low, low + 1]
        if kind != "plain":
            pairs = np.where(rng.random((len(pairs), 1)) < 0.5, pairs, pairs[:, ::-1])
        if kind == "gaps":
            pairs = pairs[rng.random(len(pairs)) < 0.7]
        edges.append(pairs)
        edge_ptr.append(edge_ptr[-1] + len(pairs))
    return Topology(np.concatenate(edges).astype(np.int32), ptr, np.array(edge_ptr))


@pytest.mark.parametrize("kind", ["plain", "reversed", "gaps"])
@pytest.mark.parametrize("n_matrices", [1, 3, None])
@pytest.mark.parametrize("n_states", [2, 9, 70])  # 70: more than registers hold
def test_fast_chain_kernel_equals_log_domain_twin(kind, n_matrices, n_states, rng, monkeypatch):
    topology = many_chains(kind, rng, 90 if n_states < 70 else 4)
    n_edges = topology.n_edges
    node = rng.normal(size=(topology.n_nodes, n_states))
    edge = rng.normal(size=(n_matrices or n_edges, n_states, n_states))
    edge[0, 0, 0] = node[1, 0] = -np.inf
    rows = None if n_matrices is None else rng.integers(0, n_matrices, n_edges).astype(np.int32)
    scores, weights = Scores(node, edge, rows), rng.random(topology.n_graphs) + 0.5
    direction = Scores(rng.normal(size=node.shape), rng.normal(size=edge.shape))
    plan, trees = Chain().plan(topology, n_states), Tree().plan(topology, n_states)
    with monkeypatch.context() as patch:
        patch.setattr(message_passing, "SMALLEST_POTENTIAL", 1.0)
        safe, derivative = trees.marginals(scores, weights), trees.derivative(scores, direction, weights)
        patch.setattr(chain, "two_passes_log", None)  # all graphs are safe
        patch.setattr(chain.Chain, "_plan", None)
        same_marginals(plan.marginals(scores, weights), safe)
        same_derivative(plan.derivative(scores, direction, weights), derivative)
    same_derivative(trees.derivative(scores, direction, weights), derivative)
    far = scores._replace(node=400 * node)  # not safe
    same_marginals(plan.marginals(far, weights), trees.marginals(far, weights))
    same_derivative(plan.derivative(far, direction, weights), trees.derivative(far, direction, weights))
    np.testing.assert_array_equal(plan.decode(scores).labels, trees.decode(scores).labels)
    np.testing.assert_allclose(plan.decode(far).score, trees.decode(far).score, rtol=1e-12)


def test_a_chain_as_a_tree(rng):
    """Samples of chains are those of trees with the last node as the root."""
    topology = many_chains("gaps", rng)
    forest = Chain().plan(topology, 3).as_trees.wiring
    assert sorted(forest.order) == list(range(topology.n_nodes))
    found = set()
    for p, (q, e) in enumerate(zip(forest.parent, forest.edge)):
        if q != ROOT:
            found.add(e)
            child, parent = forest.order[[p, q]]
            assert parent == child + 1
            assert q < p
            assert forest.children[q, 0] <= p < forest.children[q, 1]
            np.testing.assert_array_equal(topology.edges[e], [child, parent] if forest.flipped[p] else [parent, child])
    assert len(found) == topology.n_edges == np.diff(forest.children).sum()


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("number", range(4))
def test_marginals_are_the_gradient_of_the_log_partition(number, shared, rng, check_gradient_of_log_partition):
    """Of the backend's own log-partition: the exact one, or Bethe's at a fixed point. Central differences."""
    plan = list(plans(rng))[number]
    scores = random_scores(plan.topology, rng, scale=0.5, shared=shared)
    check_gradient_of_log_partition(plan, scores)


def test_mass_that_underflows_in_the_probability_domain_is_not_lost(rng):
    """Two classes of states that never mix: the unlikely class is forced at the last node only."""
    n = 2000
    node = np.zeros((n, 2))
    node[:-1, 1] = -5.0  # e^-9995 in all, far below the range of float64
    node[-1, 0] = -np.inf
    stay = np.array([[[0.0, -np.inf], [-np.inf, 0.0]]])
    topology = Topology.from_edges([(t, t + 1) for t in range(n - 1)], n)
    for backend in (Chain(), Tree(), LoopyBP()):
        found = backend.plan(topology, 2).marginals(Scores(node, stay, np.zeros(n - 1, np.int32)))
        assert found.log_partition[0] == pytest.approx(-5.0 * (n - 1), rel=1e-12)
        np.testing.assert_allclose(found.node[:, 1], 1.0, atol=1e-12)


@pytest.mark.parametrize("backend", [Tree(), LoopyBP()], ids=repr)
@pytest.mark.parametrize("scale", [0.1, 3.0])
def test_hub_of_degree_2000(backend, scale, rng):
    n = 2001
    topology = Topology.from_edges([(1000, i) for i in range(n) if i != 1000], n)
    scores = random_scores(topology, rng, n_states=2, scale=scale)
    found = backend.plan(topology, scores.node.shape[1]).marginals(scores)
    # independent: given the hub's state all leaves are free
    leaves = np.delete(np.arange(n), 1000)
    given = scores.node[1000] + np.logaddexp.reduce(scores.edge + scores.node[leaves][:, None, :], axis=2).sum(axis=0)
    log_partition = np.logaddexp.reduce(given)
    assert found.log_partition[0] == pytest.approx(log_partition, rel=1e-11)
    np.testing.assert_allclose(found.node[1000], np.exp(given - log_partition), atol=1e-9)


@pytest.mark.parametrize("backend", [Chain(), Tree()], ids=repr)
def test_chain_of_a_million_nodes(backend, rng):
    """No recursion, finite, and equal to powers of the transfer matrix."""
    n = 1_000_000
    topology = Topology.from_edges(np.c_[np.arange(n - 1), np.arange(1, n)], n)
    edge = rng.normal(size=(1, 2, 2))
    scores = Scores(np.zeros((n, 2)), edge, np.zeros(n - 1, np.int32))
    found = backend.plan(topology, scores.node.shape[1]).marginals(scores)
    values, vectors = np.linalg.eig(np.exp(edge[0]))
    top = np.argmax(values.real)
    right = vectors[:, top].real
    left = np.linalg.inv(vectors)[top].real
    log_partition = (n - 1) * np.log(values[top].real) + np.log(right.sum() * left.sum())
    assert found.log_partition[0] == pytest.approx(log_partition, rel=1e-10)
    assert np.isfinite(found.node).all()
    assert backend.plan(topology, scores.node.shape[1]).decode(scores).optimal.all()


def test_loopy_is_exact_on_forests_with_default_settings(rng):
    for _ in range(30):
        n = int(rng.integers(2, 40))
        topology = Topology.from_edges(tree_edges(n, rng)[: n - int(rng.integers(1, 3))], n)
        scores = random_scores(topology, rng, scale=2.0)
        loopy, tree = (
            backend.plan(topology, scores.node.shape[1]).marginals(scores) for backend in (LoopyBP(), Tree())
        )
        np.testing.assert_allclose(loopy.log_partition, tree.log_partition, atol=1e-8)
        np.testing.assert_allclose(loopy.node, tree.node, atol=1e-8)
        np.testing.assert_allclose(loopy.edge, tree.edge, atol=1e-8)
        assert loopy.n_iter[0] <= 2


def test_loopy_reports_what_does_not_converge(rng):
    """A frustrated grid with strong couplings and few sweeps: damped, then flagged with its residual."""
    topology = Topology.from_edges(grid_edges(8, 8), 64)
    coupling = 3.0 * rng.normal(size=(topology.n_edges, 1, 1)) * np.array([[1.0, -1.0], [-1.0, 1.0]])
    scores = Scores(0.1 * rng.normal(size=(64, 2)), coupling)
    found = LoopyBP(max_iter=3).plan(topology, scores.node.shape[1]).marginals(scores)
    assert not found.converged[0]
    assert found.n_iter[0] == 6
    assert found.residual[0] > 1e-5
    np.testing.assert_allclose(found.node.sum(axis=1), 1.0)


def test_damping_lets_an_oscillation_settle():
    """A ring of strong repulsion with an odd number of nodes, pushed at one node."""
    n = 5
    topology = Topology.from_edges([(i, (i + 1) % n) for i in range(n)], n)
    node = np.zeros((n, 2))
    node[0, 0] = 0.1
    scores = Scores(node, np.array([[[-3.0, 3.0], [3.0, -3.0]]]), np.zeros(n, np.int32))
    found = LoopyBP(damping=0.5, max_iter=500).plan(topology, scores.node.shape[1]).marginals(scores)
    assert found.converged[0]


@pytest.mark.parametrize(
    ("parameter", "value"), [("damping", 1.0), ("damping", -0.1), ("max_iter", 0), ("tol", 0.0), ("tol", np.nan)]
)
def test_loopy_refuses_bad_parameters(parameter, value):
    with pytest.raises(ValueError, match=f"LoopyBP: {parameter} must"):
        LoopyBP(**{parameter: value}).plan(Topology.from_edges([(0, 1)], 2), 2)


def test_tree_reweighted_decoding_is_certified_on_easy_grids(rng):
    """Attractive pairs and a clear field: the bound is tight, so the labels are proven optimal."""
    topology = Topology.from_edges(grid_edges(20, 20), 400)
    scores = Scores(3 * rng.normal(size=(400, 3)), np.eye(3)[None] * 0.3, np.zeros(topology.n_edges, np.int32))
    found = LoopyBP().plan(topology, scores.node.shape[1]).decode(scores)
    assert found.optimal[0]
    assert found.bound[0] == found.score[0]


def test_kernels_are_plain_python_too():
    """The same battery without compilation."""
    code = (
        "from skstruct.inference import *; from skstruct.testing import check_inference_backend as check\n"
        "for backend in (Chain(), Tree(), LoopyBP(max_iter=20)): check(backend, n_models=1, samples=False)"
    )
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


PLAIN_PYTHON = """
import numpy as np
from skstruct import Topology
from skstruct.inference import Chain
from skstruct.scores import Scores
topology = Topology(np.zeros((0, 2), np.int32), np.arange(101), np.zeros(101, np.intp))
scores = Scores(np.zeros((100, {n_states})), np.zeros((0, {n_states}, {n_states})), np.zeros(0, np.int32))
Chain().plan(topology, {n_states}).marginals(scores)
"""


@pytest.mark.parametrize("n_states", [2, 3, 70])
def test_graphs_of_one_node_without_any_matrix(n_states):
    """Many of them share the rows of a pass; there is no matrix whose pairs could be counted."""
    rng = np.random.default_rng(0)
    topology = Topology(np.zeros((0, 2), np.int32), np.arange(301), np.zeros(301, np.intp))
    scores = Scores(rng.normal(size=(300, n_states)), np.zeros((0, n_states, n_states)), np.zeros(0, np.int32))
    found = Chain().plan(topology, n_states).marginals(scores)
    potential = np.exp(scores.node)
    np.testing.assert_allclose(found.node, potential / potential.sum(axis=1, keepdims=True), rtol=1e-12)
    np.testing.assert_allclose(found.log_partition, np.log(potential.sum(axis=1)), rtol=1e-10)
    assert found.edge.shape == (0, n_states, n_states)
    outcome = subprocess.run(
        [sys.executable, "-c", PLAIN_PYTHON.format(n_states=n_states)],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
    )
    assert outcome.returncode == 0, outcome.stderr  # an index out of range is an error there


@pytest.mark.parametrize("shape", [(40, 3), (40, 3, 3), (0, 2), (0, 2, 2)])
def test_potentials_leave_out_the_maxima(shape, rng):
    """By the definition, in numpy."""
    scores = 100 * rng.normal(size=shape)
    scores[rng.random(shape) < 0.3] = -np.inf
    scores[:2] = -np.inf
    potential, shift, low = message_passing.exponentiate(scores)
    rows = scores.reshape(len(scores), shape[1] ** (len(shape) - 1))
    top = rows.max(axis=1)
    expected = np.where(np.isneginf(top), 0.0, top)
    np.testing.assert_array_equal(shift, expected)
    np.testing.assert_allclose(potential.reshape(rows.shape), np.exp(rows - expected[:, None]), rtol=1e-14)
    lowest = np.where(np.isneginf(rows), np.inf, rows - expected[:, None]).min(axis=1)
    np.testing.assert_allclose(low, np.exp(np.minimum(lowest, 0.0)), rtol=1e-14)
