"""The map of multi-label classification: its scores written out, its adjoint and tangent, slices, statistics."""

import pickle

import numpy as np
import pytest
from scipy.sparse import csr_array

from skstruct.data.label_graphs import LabelGraphs
from skstruct.features import LabelFeatures
from skstruct.scores import Scores

EDGES = [(0, 2), (1, 2)]


@pytest.fixture(params=["dense", "csr"])
def case(request):
    rng = np.random.default_rng(0)
    X = np.where(rng.random((6, 4)) < 0.4, 0.0, rng.normal(size=(6, 4)))
    graphs = LabelGraphs(X if request.param == "dense" else csr_array(X), 3, EDGES)
    codes = rng.integers(2, size=18)
    codes[:3], codes[3:6] = 0, 1  # every label has both states
    plan = LabelFeatures().plan(graphs, np.arange(2), codes)
    return X, graphs, codes, plan, rng.normal(size=plan.n_coef)


def test_scores(case):
    X, graphs, _, plan, coef = case
    scores, _ = plan.scores(plan.prepare(graphs), coef)
    w, b, u = coef[:12].reshape(3, 4), coef[12:15], coef[15:]
    for g in range(6):
        for label in range(3):
            np.testing.assert_allclose(scores.node[3 * g + label], [0, X[g] @ w[label] + b[label]], atol=1e-12)
        for e in range(2):
            np.testing.assert_array_equal(scores.edge[scores.edge_matrix[2 * g + e]], [[0, 0], [0, u[e]]])
    attributes = plan.attributes(coef)
    np.testing.assert_array_equal(attributes["coef_"], w)
    np.testing.assert_array_equal(attributes["intercept_"], b)
    np.testing.assert_array_equal(attributes["edge_coef_"], u)
    np.testing.assert_array_equal(plan.penalized, [1.0] * 12 + [0.0] * 3 + [0.1] * 2)


def test_pullback_is_the_adjoint_of_the_tangent(case):
    _, graphs, _, plan, coef = case
    rng = np.random.default_rng(1)
    scores, context = plan.scores(plan.prepare(graphs), coef)
    d_coef, d_scores = rng.normal(size=plan.n_coef), Scores(*(rng.normal(size=a.shape) for a in scores[:2]))
    gradient = np.ones(plan.n_coef)
    plan.pullback(context, d_scores, gradient)
    tangent = plan.tangent(context, d_coef)
    forward = (tangent.node * d_scores.node).sum() + (tangent.edge * d_scores.edge).sum()
    np.testing.assert_allclose((gradient - 1) @ d_coef, forward, rtol=1e-12)
    ahead, _ = plan.scores(context, coef + d_coef)
    np.testing.assert_allclose(ahead.node - scores.node, tangent.node, atol=1e-12)


def test_some_graphs(case):
    _, graphs, _, plan, coef = case
    whole, _ = plan.scores(plan.prepare(graphs), coef)
    for key, rows in ((slice(1, 3), [1, 2]), (np.array([4, 0]), [4, 0]), (np.arange(6) > 3, [4, 5])):
        part = graphs[key]
        assert (len(part), part.n_nodes, part.n_edges) == (2, 6, 4)
        assert part.topology.edges.tolist() == [[0, 2], [1, 2], [3, 5], [4, 5]]
        alone, _ = plan.scores(plan.prepare(part), coef)
        np.testing.assert_allclose(alone.node, whole.node.reshape(6, 3, 2)[rows].reshape(6, 2), atol=1e-12)


def test_without_edges(case):
    """The parameters stay the same, and those of edges have no effect."""
    _, graphs, _, plan, coef = case
    scores, context = plan.scores(plan.prepare(graphs.without_edges()), coef)
    np.testing.assert_array_equal(scores.node, plan.scores(plan.prepare(graphs), coef)[0].node)
    assert len(scores.edge_matrix) == 0
    gradient = np.zeros(plan.n_coef)
    plan.pullback(context, Scores(np.ones_like(scores.node), np.zeros_like(scores.edge)), gradient)
    np.testing.assert_array_equal(gradient[15:], 0)


def test_statistics_of_pieces(case):
    _, graphs, codes, plan, _ = case
    feature_map, classes = LabelFeatures(), np.arange(2)
    parts = [
        feature_map.collect(graphs[s], codes[3 * s.start : 3 * s.stop], classes) for s in (slice(0, 2), slice(2, 6))
    ]
    assert feature_map.plan_from(feature_map.merge(*parts), classes) == plan
    assert pickle.loads(pickle.dumps(plan)) == plan


def test_a_label_without_one_of_its_states(case):
    _, graphs, codes, _, coef = case
    codes = codes.copy()
    codes[::3], codes[1::3] = 0, -1  # never present; unknown
    plan = LabelFeatures().plan(graphs, np.arange(2), codes)
    scores, context = plan.scores(plan.prepare(graphs), coef)
    assert np.isneginf(scores.node[::3, 1]).all()
    assert np.isfinite(scores.node[1::3]).all()
    assert np.isfinite(plan.tangent(context, coef).node).all()
    assert plan.attributes(coef)["intercept_"][0] == -np.inf
