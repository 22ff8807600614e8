"""Chains in 32 bits, against the same in 64 bits, which the conformance tests compare with enumeration."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from skstruct import Topology
from skstruct.inference import Chain, Tree
from skstruct.scores import Scores, in_double

LENGTHS = [3, 0, 1, 70, 12, 2]


def chains(lengths=LENGTHS):
    edges = [[(t, t + 1) for t in range(n - 1)] for n in lengths]
    node_ptr, edge_ptr = (np.cumsum([0, *map(len, part)]) for part in ([range(n) for n in lengths], edges))
    edges = [np.reshape(part, (-1, 2)) + first for part, first in zip(edges, node_ptr)]
    return Topology(np.concatenate(edges).astype(np.int32), node_ptr, edge_ptr)


def make_scores(n_states, node_scale, edge_scale=1.0, lengths=LENGTHS):
    rng, t = np.random.default_rng(n_states), chains(lengths)
    node = node_scale * rng.normal(size=(t.n_nodes, n_states))
    edge = edge_scale * rng.normal(size=(1, n_states, n_states))
    return t, Scores(node.astype(np.float32), edge.astype(np.float32), np.zeros(t.n_edges, np.int32))


def compare(plan, scores, rtol):
    """Marginals in 32 bits are those in 64 bits, to `rtol` of the largest."""
    weights = np.arange(1.0, plan.topology.n_graphs + 1)
    found, expected = plan.marginals(scores, weights), plan.marginals(in_double(scores), weights)
    np.testing.assert_allclose(found.log_partition, expected.log_partition, rtol=rtol)
    np.testing.assert_allclose(found.node, expected.node, atol=rtol)
    np.testing.assert_allclose(found.edge, expected.edge, atol=rtol * expected.edge.max())
    return found


@pytest.mark.parametrize("n_states", [3, 9, 65])
def test_marginals_within_range(n_states):
    t, scores = make_scores(n_states, node_scale=2.0)
    found = compare(Chain().plan(t, n_states), scores, rtol=2e-5)
    assert found.node.dtype == np.float32


@pytest.mark.parametrize("node_scale", [30.0, 1e4])
def test_graphs_out_of_range_are_computed_in_double(node_scale):
    t, scores = make_scores(3, node_scale=1.0)
    scores.node[-2:] *= node_scale  # those of the last graph
    scores.node[0, 0] = -np.inf  # and of the first one
    found = compare(Chain().plan(t, 3), scores, rtol=2e-5)
    assert found.node[0, 0] == 0.0


@pytest.mark.parametrize("lowest", [-50.0, -1e4, -np.inf])
def test_edges_out_of_range_are_computed_in_double(lowest):
    t, scores = make_scores(3, node_scale=2.0)
    scores.edge[0, 1, 2] = lowest
    found = compare(Chain().plan(t, 3), scores, rtol=1e-12)
    assert found.node.dtype == np.float64


def test_no_labelling_is_allowed():
    t, scores = make_scores(3, node_scale=1.0)
    scores.node[0] = -np.inf
    found = Chain().plan(t, 3).marginals(scores)
    assert found.log_partition[0] == -np.inf
    assert np.isnan(found.node[:3]).all()
    assert np.isfinite(found.log_partition[1:]).all()
    assert np.isfinite(found.node[3:]).all()
    scores.edge[:] = -np.inf
    assert (Chain().plan(t, 3).marginals(scores).log_partition > -np.inf).sum() == 2  # of one node, and of none


def test_who_supports_float32_precision():
    assert Chain().plan(chains(), 3).supports_float32
    assert not Chain().plan(Topology.from_edges([(1, 0)], 2), 3).supports_float32  # its matrices are stacked
    assert not getattr(Tree().plan(chains(), 3), "supports_float32", False)


@pytest.mark.parametrize("n_matrices", [3, None])
def test_several_matrices(n_matrices):
    t, scores = make_scores(3, node_scale=2.0)
    rng = np.random.default_rng(0)
    edge = rng.normal(size=(n_matrices or t.n_edges, 3, 3)).astype(np.float32)
    rows = None if n_matrices is None else rng.integers(0, n_matrices, t.n_edges)
    found = compare(Chain().plan(t, 3), Scores(scores.node, edge, rows), rtol=2e-5)
    assert found.node.dtype == found.edge.dtype == np.float32


def test_plain_python_keeps_sums_in_64_bits():
    code = "import test_single_precision as test; test.test_marginals_within_range(17)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
