"""Marginals of junction trees by messages: blocks of any size, against enumeration and against the plain twin."""

import os
import subprocess
import sys

import numpy as np
import pytest

from skstruct import Topology
from skstruct.inference import JunctionTree
from skstruct.inference import _junction_tree as junction_tree
from skstruct.inference import _junction_tree_kernels as kernels
from skstruct.inference import _junction_tree_wiring as wiring
from skstruct.inference._junction_tree_tables import propagate_log
from skstruct.scores import Scores
from skstruct.testing import check_inference_backend

CYCLES = ["cycle", "grid", "batch"]  # families of graphs of the battery


def grid_edges(height, width):
    number = np.arange(height * width).reshape(height, width)
    down = np.c_[number[:-1].ravel(), number[1:].ravel()]
    return np.concatenate([down, np.c_[number[:, :-1].ravel(), number[:, 1:].ravel()]])


def random_graph(n_nodes, n_edges, rng):
    """Edges in both directions, a node that most others are linked to, and nodes without edges."""
    pairs = rng.integers(0, n_nodes - 2, (n_edges, 2))
    spokes = np.c_[np.zeros(n_nodes // 2, int), np.arange(1, n_nodes // 2 + 1)]
    pairs = np.concatenate([pairs, spokes])
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    first = np.unique(np.sort(pairs, axis=1), axis=0, return_index=True)[1]
    return pairs[first]


def joined(*graphs):
    node_ptr = np.cumsum([0, *(n for _, n in graphs)])
    edges = np.concatenate([np.asarray(edges).reshape(-1, 2) + start for (edges, _), start in zip(graphs, node_ptr)])
    return Topology(edges.astype(np.int32), node_ptr, np.cumsum([0, *(len(edges) for edges, _ in graphs)]))


def random_scores(topology, n_states, rng, scale=1.0, *, n_matrices=None, forbidden=0.0):
    rows = None if n_matrices is None else rng.integers(0, n_matrices, topology.n_edges).astype(np.int32)
    node = scale * rng.normal(size=(topology.n_nodes, n_states))
    edge = scale * rng.normal(size=(topology.n_edges if n_matrices is None else n_matrices, n_states, n_states))
    edge[rng.random(edge.shape) < forbidden] = -np.inf
    node[rng.random(node.shape) < forbidden] = -np.inf
    return Scores(node, edge, rows)


def both(plan, scores, monkeypatch, weights=None):
    """Marginals by the fast kernels, and by the plain twin."""
    with monkeypatch.context() as patch:
        patch.setattr(junction_tree, "propagate", lambda *_: np.ones(plan.topology.n_graphs, bool))  # all are unsafe
        safe = plan.marginals(scores, weights)
    with monkeypatch.context() as patch:
        patch.setattr(junction_tree, "propagate_log", None)  # all graphs are safe
        fast = plan.marginals(scores, weights)
    return fast, safe


def assert_same(fast, safe):
    np.testing.assert_allclose(fast.log_partition, safe.log_partition, rtol=1e-12)
    np.testing.assert_allclose(fast.node, safe.node, rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(fast.edge, safe.edge, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("block", [1, 4, 16])
def test_tables_of_many_blocks_against_enumeration(block, monkeypatch):
    """With small blocks, tables of small graphs have outer axes, with children and edges on them."""
    monkeypatch.setattr(wiring, "BLOCK", block)
    monkeypatch.setattr(kernels, "GROUP", block)
    assert check_inference_backend(JunctionTree(), n_models=2, samples=False, families=CYCLES) > 0


@pytest.mark.parametrize(
    ("n_states", "graph"),
    [
        (2, (grid_edges(11, 11), 121)),  # tables of 16 blocks and more
        (3, (grid_edges(7, 7), 49)),
        (2, (random_graph(60, 70, np.random.default_rng(0)), 60)),
        (5, (grid_edges(3, 8), 24)),
        (17, (grid_edges(2, 6), 12)),  # 17 * 17 > 256: one inner axis
        (300, ([(1, 0), (1, 2)], 4)),
        (1, (grid_edges(4, 4), 16)),
    ],
)
@pytest.mark.parametrize("forbidden", [0.0, 0.05])
def test_messages_equal_the_plain_twin(n_states, graph, forbidden, monkeypatch):
    rng = np.random.default_rng(1)
    others = [(grid_edges(2, 3), 6), (grid_edges(3, 3)[:, ::-1], 9)] if n_states < 20 else []
    topology = joined(*others, graph, ([], 3))
    plan = JunctionTree().plan(topology, n_states)
    weights = rng.random(topology.n_graphs) + 0.5
    for n_matrices in (None, 3):
        scores = random_scores(
            topology, n_states, rng, n_matrices=n_matrices, forbidden=forbidden if n_states > 1 else 0
        )
        fast, safe = both(plan, scores, monkeypatch, weights)
        assert_same(fast, safe)


def test_groups_of_graphs(monkeypatch):
    """Results do not depend on how many graphs share the memory."""
    rng = np.random.default_rng(0)
    topology = joined(*((grid_edges(int(n), 3), 3 * int(n)) for n in rng.integers(1, 5, 40)), ([], 0), ([], 1))
    plan, scores = JunctionTree().plan(topology, 3), random_scores(topology, 3, rng)
    expected = plan.marginals(scores)
    for group in (1, 100, 10**9):
        monkeypatch.setattr(kernels, "GROUP", group)
        found = plan.marginals(scores)
        for a, b in zip(found[:3], expected[:3]):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("scale", [10.0, 60.0, 200.0, 1e4])
def test_scores_whose_products_underflow(scale, monkeypatch):
    """Graphs whose potentials, or products of them, are too far apart are computed in the log domain, and no others."""
    rng = np.random.default_rng(int(scale))
    topology = joined(*[(grid_edges(4, 4), 16), (random_graph(14, 20, rng), 14)] * 4)
    plan = JunctionTree().plan(topology, 3)
    scores = random_scores(topology, 3, rng)
    is_large = np.arange(8) % 4 > 1
    scores.node[is_large[topology.node_graph]] *= scale
    scores.edge[is_large[topology.edge_graph]] *= scale
    graphs = []

    def safe(buckets, chosen, *more):
        graphs.extend(chosen.tolist())
        propagate_log(buckets, chosen, *more)

    with monkeypatch.context() as patch:
        patch.setattr(junction_tree, "propagate_log", safe)
        found = plan.marginals(scores)
        assert set(graphs) <= set(np.flatnonzero(is_large).tolist())
        assert (len(graphs) > 0) == (scale > 10)
        patch.setattr(junction_tree, "propagate", lambda *_: np.ones(8, bool))
        expected = plan.marginals(scores)
    np.testing.assert_allclose(found.log_partition, expected.log_partition, rtol=1e-12)
    np.testing.assert_allclose(found.node, expected.node, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.edge, expected.edge, rtol=1e-9, atol=1e-12)


def test_a_graph_without_allowed_labelling_beside_others(monkeypatch):
    rng = np.random.default_rng(0)
    topology = joined(*[(grid_edges(3, 3), 9)] * 3)
    scores = random_scores(topology, 2, rng)
    scores.edge[topology.edge_graph == 1] = -np.inf
    fast, safe = both(JunctionTree().plan(topology, 2), scores, monkeypatch)
    assert_same(fast, safe)
    assert np.isneginf(fast.log_partition).tolist() == [False, True, False]
    assert np.isnan(fast.node).any(axis=1).tolist() == [False] * 9 + [True] * 9 + [False] * 9


def test_kernels_are_plain_python_too():
    code = (
        "from skstruct.inference import _junction_tree_wiring as wiring, JunctionTree\n"
        "from skstruct.testing import check_inference_backend as check\n"
        "for wiring.BLOCK in (1, 256): check(JunctionTree(), n_models=1, samples=False, families=['grid'])"
    )
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
