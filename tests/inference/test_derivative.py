"""Derivatives of log-partition and marginals along a direction: means and covariances by listing all labellings."""

import itertools

import numpy as np
import pytest

from skstruct import Topology
from skstruct.inference import BACKENDS
from skstruct.scores import Scores

GRAPHS = {
    "chain": [(0, 1), (1, 2), (3, 2)],
    "tree": [(3, 0), (3, 1), (2, 3)],
    "cycle": [(0, 1), (1, 2), (2, 3), (0, 3)],
    "repeated edges": [(0, 1), (1, 0), (1, 2)],
}
EXACT = {"chain": ["auto", "chain", "tree"], "tree": ["auto", "tree", "loopy_bp"], "cycle": ["auto", "junction_tree"]}
EXACT["repeated edges"] = ["auto", "tree", "enumeration"]


def covariances(edges, scores, direction, weight):
    """E[t], and the covariances of t with the indicators of states and of pairs, t being the score by `direction`."""
    n_nodes, n_states = scores.node.shape
    labellings = np.array(list(itertools.product(range(n_states), repeat=n_nodes)))

    def totals(part):
        node = part.node[np.arange(n_nodes), labellings].sum(axis=1)
        rows = part.edge if part.edge_matrix is None else part.edge[part.edge_matrix]
        return node + sum(rows[e][labellings[:, i], labellings[:, j]] for e, (i, j) in enumerate(edges))

    score, t = totals(scores), totals(direction)
    p = np.exp(score - score.max())
    p /= p.sum()
    excess = p * (t - p @ t)
    node, edge = np.zeros_like(scores.node), np.zeros_like(scores.edge)
    for i in range(n_nodes):
        np.add.at(node[i], labellings[:, i], weight * excess)
    for e, (i, j) in enumerate(edges):
        row = e if scores.edge_matrix is None else scores.edge_matrix[e]
        np.add.at(edge[row], (labellings[:, i], labellings[:, j]), weight * excess)
    return p @ t, node, edge


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(("graph", "backend"), [(graph, name) for graph, names in EXACT.items() for name in names])
def test_covariances(graph, backend, shared):
    rng, edges = np.random.default_rng(0), GRAPHS[graph]
    n_matrices, rows = (1, np.zeros(len(edges), np.int32)) if shared else (len(edges), None)
    scores, direction = (Scores(rng.normal(size=(4, 3)), rng.normal(size=(n_matrices, 3, 3)), rows) for _ in range(2))
    plan = BACKENDS[backend]().plan(Topology.from_edges(edges, 4), 3)
    for size, weight in ((1.0, 1.0), (1e-6, 2.0), (1e5, 0.5)):
        along = Scores(size * direction.node, size * direction.edge, rows)
        mean, found = plan.derivative(scores, along, np.array([weight]))
        expected = covariances(edges, scores, along, weight)
        np.testing.assert_allclose(mean, expected[0], rtol=1e-8)
        np.testing.assert_allclose(found.node, expected[1], rtol=0, atol=1e-9 * size)
        np.testing.assert_allclose(found.edge, expected[2], rtol=0, atol=1e-9 * size)


def test_no_direction_no_change():
    plan = BACKENDS["tree"]().plan(Topology.from_edges([(0, 1)], 2), 2)
    zero = Scores(np.zeros((2, 2)), np.zeros((1, 2, 2)))
    mean, found = plan.derivative(zero, zero)
    assert mean[0] == 0
    assert not found.node.any()
    assert not found.edge.any()
