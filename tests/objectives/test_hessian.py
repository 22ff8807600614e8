"""Hessian products of the likelihood against differences of its gradient: hidden labels, weights, and all backends."""

import numpy as np
import pytest

from skstruct.inference import Auto, Chain, JunctionTree, LazyPlan, LoopyBP, Tree
from skstruct.objectives import Likelihood
from skstruct.scores import MISSING, Scores, Targets
from skstruct.testing._models import chosen_families, random_scores

CASES = [
    (Chain(), "chain with gaps and reversed edges"),
    (Tree(), "batch of forests"),
    (JunctionTree(), "batch"),
    (Auto(), "batch"),
    (Auto(), "grid, repeated edge"),
    (LoopyBP(tol=1e-13, max_iter=2000), "batch"),
]


@pytest.mark.parametrize("n_hidden", [0, 0.4, 1])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(("backend", "family"), CASES, ids=[f"{b.name}-{family}" for b, family in CASES])
def test_hessian_products(backend, family, shared, n_hidden):
    ((_, topology, rng),) = chosen_families([family], 0)
    scores = random_scores(rng, topology, 2, (0.7, 0.0), shared)
    direction = Scores(rng.normal(size=scores.node.shape), rng.normal(size=scores.edge.shape), scores.edge_matrix)
    codes = rng.integers(2, size=topology.n_nodes)
    codes[rng.random(topology.n_nodes) < n_hidden] = MISSING
    targets, inference = Targets(codes, rng.random(topology.n_graphs) + 0.5), LazyPlan(backend, topology, 2)

    def gradient(step):
        node, edge = (a + step * b for a, b in zip(scores[:2], direction[:2]))
        return Likelihood().value_and_gradient(inference, Scores(node, edge, scores.edge_matrix), targets)[1]

    found, (ahead, behind) = (
        Likelihood().hessian_product(inference, scores, targets, direction),
        (gradient(1e-5), gradient(-1e-5)),
    )
    np.testing.assert_allclose(found.node, (ahead.node - behind.node) / 2e-5, atol=1e-8)
    np.testing.assert_allclose(found.edge, (ahead.edge - behind.edge) / 2e-5, atol=1e-8)
    curvature = (found.node * direction.node).sum() + (found.edge * direction.edge).sum()
    if n_hidden == 0:
        assert curvature > 0  # convex
    if n_hidden == 1:
        assert abs(curvature) < 1e-9  # no label: a constant
