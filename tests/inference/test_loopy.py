"""Fast kernels of loopy belief propagation against their plain twins, on graphs with and without cycles."""

import numpy as np
import pytest

from skstruct import Topology
from skstruct.data.adjacency import adjacency
from skstruct.inference import LoopyBP, Tree, _loopy
from skstruct.inference._loopy_kernels import propagate
from skstruct.inference._loopy_log import propagate_log
from skstruct.inference._loopy_order import spread_numbers, sweep_numbers
from skstruct.kernels.jit import kernel
from skstruct.kernels.messages import add_pair, leave_one_out, pair_total, send, send_any, send_back, send_potts
from skstruct.kernels.simd import exp_matrix, lanes
from skstruct.scores import Marginals, Scores, weigh_nodes, with_rows

SIZES = [1, 2, 3, 9, 16, 65]  # test_simd.py has all ways of holding a row; each compiles for seconds
GRID = [(0, 1), (2, 1), (3, 0), (4, 1), (5, 2), (3, 4), (4, 5), (6, 3), (7, 4), (5, 8), (7, 6), (7, 8)]
HUB = [(20, i) if i % 2 else (i, 20) for i in range(41) if i != 20]


def batch():
    """A grid, a graph without edges, a tree with two components, and a ring."""
    tree = [(9 + 4, 9 + 3), (9 + 3, 9 + 5), (9 + 7, 9 + 6)]
    ring = [(17, 18), (19, 18), (19, 17)]
    edges = np.array([*GRID, *tree, *ring], np.int32)
    return Topology(edges, np.array([0, 9, 12, 17, 20]), np.array([0, 12, 12, 15, 18]))


def random_scores(topology, n_states, rng, *, shared=False, scale=1.0):
    n_matrices = 2 if shared else topology.n_edges
    node = scale * rng.normal(size=(topology.n_nodes, n_states))
    edge = scale * rng.normal(size=(n_matrices, n_states, n_states))
    return Scores(node, edge, np.arange(topology.n_edges, dtype=np.int32) % 2 if shared else None)


def twin(plan, scores, weights):
    """The log-domain kernel on all graphs."""
    t = plan.topology
    out = Marginals(
        log_partition=np.zeros(t.n_graphs),
        node=np.empty_like(scores.node),
        edge=np.zeros_like(scores.edge),
        n_iter=np.zeros(t.n_graphs, np.intp),
        residual=np.zeros(t.n_graphs),
        converged=np.ones(t.n_graphs, bool),
    )
    given, settled = with_rows(scores, t.n_edges), np.zeros((0, plan.n_states))
    with np.errstate(all="ignore"):  # seen with NUMBA_DISABLE_JIT=1 only, as in the plan
        propagate_log(plan.sweep, plan.settings, np.arange(t.n_graphs), given, weights, out, settled)
    weigh_nodes(t, out.node, weights)
    return out


def assert_same(found, expected, atol=1e-10):
    np.testing.assert_allclose(found.log_partition, expected.log_partition, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(found.node, expected.node, atol=atol)
    np.testing.assert_allclose(found.edge, expected.edge, atol=atol)


# ------------------------------------------------------------------------------------------- whole runs
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("n_states", SIZES)
def test_kernels_equal_the_log_domain_twin(n_states, shared, rng):
    plan = LoopyBP(tol=1e-13, max_iter=1000).plan(batch(), n_states)
    scores = random_scores(plan.topology, n_states, rng, shared=shared, scale=0.5)
    weights = np.array([0.5, 1.0, 3.0, 2.0])
    found, expected = plan.marginals(scores, weights), twin(plan, scores, weights)
    assert found.converged.all()
    assert expected.converged.all()
    assert_same(found, expected)
    assert np.abs(found.n_iter - expected.n_iter).max() <= 2  # rounding near the tolerance


@pytest.mark.parametrize("n_states", SIZES)
def test_exact_on_a_tree_with_forbidden_states_and_a_potts_matrix(n_states, rng):
    topology = Topology.from_edges([(0, 3), (1, 3), (3, 4), (2, 4), (4, 6), (5, 6)], 7)
    scores = random_scores(topology, n_states, rng, scale=2.0)
    scores.edge[2] = 0.7 * np.eye(n_states)
    scores.edge[3] = -0.7 * np.eye(n_states)
    if n_states > 1:
        scores.node[[0, 3, 5], [0, n_states - 1, 1]] = -np.inf
    loopy, tree = (backend.plan(topology, n_states).marginals(scores) for backend in (LoopyBP(), Tree()))
    assert_same(loopy, tree)
    assert (loopy.node[np.isneginf(scores.node)] == 0.0).all()


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("n_states", [2, 3, 9])
def test_out_of_range_and_impossible_graphs_among_others(n_states, shared, rng):
    """The grid has a score of 1e4, the tree a forbidden pair, the ring a node without an allowed state."""
    topology = batch()
    plan = LoopyBP(tol=1e-12, max_iter=500).plan(topology, n_states)
    scores = random_scores(topology, n_states, rng, shared=shared, scale=0.3)
    alone = plan.marginals(scores)
    scores.node[0, 0] = 1e4
    if not shared:
        scores.edge[12, 0, 1] = -np.inf
    scores.node[18] = -np.inf
    weights = np.array([0.5, 1.0, 3.0, 2.0])
    found, expected = plan.marginals(scores, weights), twin(plan, scores, weights)
    assert_same(found, expected)
    assert np.isneginf(found.log_partition).tolist() == [False, False, False, True]
    assert np.isnan(found.node[17:]).all()
    np.testing.assert_array_equal(found.node[9:12], alone.node[9:12])
    if not shared:
        assert found.edge[12, 0, 1] == 0.0
        assert (found.edge[15:] == 0.0).all()


@pytest.mark.parametrize("n_states", [2, 3, 9])
@pytest.mark.parametrize("scale", [1e4, -1e4])
def test_large_scores(n_states, scale, rng):
    topology = Topology.from_edges(HUB, 41)
    scores = random_scores(topology, n_states, rng)
    scores.node[:, 0] += scale
    scores.edge[::3, 0, 1] -= scale
    loopy, tree = (backend.plan(topology, n_states).marginals(scores) for backend in (LoopyBP(), Tree()))
    assert_same(loopy, tree, atol=1e-9)


@pytest.mark.parametrize("n_states", [2, 3, 9])
def test_messages_to_a_hub_that_contradict_each_other(n_states, rng):
    """Evidence of e^-100 from each of 20 nodes, then of e^100 from as many, in the order of the product."""
    topology = Topology.from_edges(HUB, 41)
    scores = random_scores(topology, n_states, rng, scale=0.1)
    for e, (i, j) in enumerate(topology.edges):
        against = np.where(np.arange(n_states) == (min(i, j) < 20), 0.0, -100.0)  # states of the hub
        scores.edge[e] += against[:, None] if i == 20 else against
    loopy, tree = (backend.plan(topology, n_states).marginals(scores) for backend in (LoopyBP(), Tree()))
    assert_same(loopy, tree, atol=1e-9)


@pytest.mark.parametrize("n_states", [2, 3])
def test_hub_of_degree_2000(n_states, rng):
    n = 2001
    topology = Topology.from_edges([(1000, i) for i in range(n) if i != 1000], n)
    for scale in (0.1, 3.0):
        scores = random_scores(topology, n_states, rng, scale=scale)
        loopy, tree = (backend.plan(topology, n_states).marginals(scores) for backend in (LoopyBP(), Tree()))
        assert_same(loopy, tree, atol=1e-9)


@pytest.mark.parametrize("cycle", [False, True])
def test_only_labels_of_graphs_with_cycles_are_improved(cycle, rng, monkeypatch):
    """The kernel is not called for forests, so that nothing is compiled for them."""
    topology, calls = Topology.from_edges([(0, 1), (1, 2), (2, 0)][: 3 if cycle else 2], 3), []
    monkeypatch.setattr(_loopy, "improve_labels", lambda *args: calls.append(args))
    scores = random_scores(topology, 3, rng)
    found = LoopyBP().plan(topology, 3).decode(scores)
    assert len(calls) == cycle
    if not cycle:
        np.testing.assert_array_equal(found.labels, Tree().plan(topology, 3).decode(scores).labels)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(("scale", "refused"), [(1.0, False), (12.0, True), (3000.0, False)])
def test_code_that_rescales_products_is_used_where_it_is_needed(shared, scale, refused, rng, monkeypatch):
    """All graphs of the last case are out of the range of both."""
    topology, calls = batch(), []
    scores = random_scores(topology, 3, rng, shared=shared, scale=scale)

    def record(*args):
        calls.append(args[-1])
        return propagate(*args)

    monkeypatch.setattr(_loopy, "propagate", record)
    found = LoopyBP().plan(topology, 3).marginals(scores)
    assert calls == ([None, True] if refused else [None])
    monkeypatch.setattr(_loopy, "FEW_NEIGHBOURS", 0)
    expected = LoopyBP().plan(topology, 3).marginals(scores)
    assert calls[-1]
    for a, b in zip(found, expected):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("n_states", [2, 9])
def test_shared_matrices_and_repeated_edges_are_as_if_written_out(n_states, rng):
    topology = batch()
    scores = random_scores(topology, n_states, rng, shared=True, scale=0.5)
    plan = LoopyBP(tol=1e-12, max_iter=500).plan(topology, n_states)
    shared = plan.marginals(scores)
    each = plan.marginals(Scores(scores.node, scores.edge[scores.edge_matrix]))
    np.testing.assert_allclose(shared.log_partition, each.log_partition, rtol=1e-12)
    for m in range(2):
        np.testing.assert_allclose(shared.edge[m], each.edge[scores.edge_matrix == m].sum(axis=0), atol=1e-10)
    twice = Topology(np.repeat(topology.edges, 2, axis=0), topology.node_ptr, 2 * topology.edge_ptr)
    halves = Scores(scores.node, np.repeat(scores.edge[scores.edge_matrix], 2, axis=0) / 2)
    found = LoopyBP(tol=1e-12, max_iter=500).plan(twice, n_states).marginals(halves)
    np.testing.assert_allclose(found.log_partition, each.log_partition, rtol=1e-12)
    np.testing.assert_allclose(found.edge[::2], each.edge, atol=1e-10)


@pytest.mark.parametrize("n_states", [2, 9])
def test_damped_fall_back_is_that_of_the_twin(n_states, rng):
    """Too few sweeps to converge: as many damped ones follow, and the last change is told."""
    plan = LoopyBP(max_iter=2, tol=1e-9).plan(batch(), n_states)
    scores = random_scores(plan.topology, n_states, rng, scale=0.7)
    found, expected = plan.marginals(scores), twin(plan, scores, np.ones(4))
    assert found.n_iter[0] == 4
    assert found.converged.tolist() == expected.converged.tolist() == [False, True, True, False]
    if n_states > 2:  # two states measure the change of ratios
        np.testing.assert_allclose(found.residual[[0, 3]], expected.residual[[0, 3]], rtol=1e-6)
    assert (found.residual[[0, 3]] >= expected.residual[[0, 3]] * (1 - 1e-6)).all()
    np.testing.assert_allclose(found.node, expected.node, atol=1e-6)


def test_the_same_plan_gives_the_same_numbers_again_and_leaves_scores_alone(rng):
    for n_states in (2, 9):
        plan = LoopyBP().plan(batch(), n_states)
        scores = random_scores(plan.topology, n_states, rng)
        for array in scores[:2]:
            array.setflags(write=False)
        first, second = plan.marginals(scores), plan.marginals(scores)
        np.testing.assert_array_equal(first.edge, second.edge)
        np.testing.assert_array_equal(first.log_partition, second.log_partition)


def test_spread_numbers_keep_the_direction_of_edges_and_separate_neighbours():
    side = 12
    cells = np.arange(side * side).reshape(side, side)
    edges = np.concatenate(
        [np.c_[cells[1:].ravel(), cells[:-1].ravel()], np.c_[cells[:, 1:].ravel(), cells[:, :-1].ravel()]]
    )
    topology = Topology.from_edges(edges, side * side)
    number = sweep_numbers(topology)
    spread = spread_numbers(topology, number)
    i, j = edges.T
    assert sorted(spread) == list(range(side * side))
    assert ((number[i] < number[j]) == (spread[i] < spread[j])).all()
    assert (np.abs(spread[i] - spread[j]) > 1).mean() > 0.9  # along rows it would be half
    lists = adjacency(spread[edges], side * side)
    assert np.diff(lists.ptr).sum() == 2 * len(edges)


# ------------------------------------------------------------------------------------------- primitives
@kernel
def run(which, rows, out, table, node, lanes):
    if which == 0:
        return exp_matrix(table, 1, out, lanes)
    if which == 1:
        leave_one_out(rows, 0, 2, 5, 6, node, 1, node, 2, lanes)
    elif which == 2:
        return send(rows, 3, node, 1, table, 2, 0.25, lanes)
    elif which == 3:
        return send_back(rows, 3, node, 1, table, 2, 0.25, lanes)
    elif which == 4:
        return send_potts(rows, 3, node, 1, 0.3, 0.5, 0.0, lanes)
    elif which == 5:
        return pair_total(node, 1, 2, table, 1, lanes), 0.0
    elif which == 6:
        add_pair(node, 1, 2, table, 1, 0.7, 0.5, out, 0, lanes)
    else:
        return send_any(rows, 3, node, 1, table, 2, which - 7, lanes)
    return 0.0, 0.0


@pytest.mark.parametrize("n", SIZES)
def test_primitives(n, rng):
    """Each against one line of numpy."""
    rows, out, table, node = rng.random((7, n)), rng.random((2, n, n)), rng.random((3, n, n)), rng.random((6, n))
    potts = np.full((n, n), 0.3) + 0.5 * np.eye(n)

    def call(which, table=table):
        arrays = [array.copy() for array in (rows, out, table, node)]
        return run(which, *arrays, lanes(n)), *arrays

    def assert_sent(which, raw, damping=0.0, table=table):
        (top, moved), message, *_ = call(which, table)
        expected = (1 - damping) * raw / raw.max() + damping * rows[3]
        np.testing.assert_allclose(message[3], expected, rtol=1e-12)
        np.testing.assert_allclose([top, moved], [raw.max(), np.abs(expected - rows[3]).max()], rtol=1e-10)
        np.testing.assert_array_equal(np.delete(message, 3, axis=0), np.delete(rows, 3, axis=0))

    assert_sent(2, node[1] @ table[2], 0.25)
    assert_sent(3, table[2] @ node[1], 0.25)
    assert_sent(4, potts @ node[1])
    assert_sent(7, node[1] @ table[2])
    assert_sent(8, table[2] @ node[1])
    if n > 1:
        assert_sent(9, potts @ node[1], table=np.stack([potts] * 3))
    (top, low), _, exponentials, *_ = call(0)
    assert (top, low) == (table[1].max(), table[1].min() - table[1].max())
    np.testing.assert_allclose(exponentials[1], np.exp(table[1] - top), rtol=1e-14)
    np.testing.assert_array_equal(exponentials[0], out[0])
    *_, products = call(1)
    for k, s in enumerate((2, 3, 4, None)):
        kept = [t for t in range(6) if t != s]
        np.testing.assert_allclose(products[2 + k], node[1] * rows[kept].prod(axis=0), rtol=1e-13)
    (total, _), *_ = call(5)
    assert total == pytest.approx(node[1] @ table[1] @ node[2], rel=1e-13)
    _, _, counts, *_ = call(6)
    np.testing.assert_allclose(counts[0], 0.5 * out[0] + 0.7 * np.outer(node[1], node[2]) * table[1], rtol=1e-13)
    np.testing.assert_array_equal(counts[1], out[1])
