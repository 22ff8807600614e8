"""Marginal, pseudolikelihood, expected loss: values by enumeration, node weights, hidden and forbidden labels."""

import itertools

import numpy as np
import pytest

from skstruct import Topology
from skstruct.exceptions import InfeasibleGraph
from skstruct.inference import BACKENDS, LazyPlan
from skstruct.objectives import ExpectedLoss, Likelihood, Marginal, Pseudolikelihood, SoftmaxMargin
from skstruct.scores import MISSING, Scores, Targets

GRAPHS = {
    "edgeless": ([], ["edgeless"]),
    "chain": ([(0, 1), (1, 2), (2, 3)], ["chain", "tree", "junction_tree", "loopy_bp", "enumeration", "auto"]),
    "star": ([(2, 0), (1, 2), (2, 3)], ["tree", "loopy_bp"]),
    "cycle": ([(0, 1), (1, 2), (2, 3), (0, 3)], ["junction_tree", "enumeration", "auto"]),
}
COST = np.array([[0.0, 1.0, 3.0], [0.5, 0.0, 2.0], [1.0, 1.0, 0.0]])
CODES = [np.array([0, 1, 2, 0]), np.array([0, MISSING, 2, MISSING])]
WEIGHTS = [None, np.array([1.0, 0.5, 3.0, 0.0])]


def make_scores(graph, seed=0, size=1.0):
    rng, n_edges = np.random.default_rng(seed), len(GRAPHS[graph][0])
    return Scores(size * rng.normal(size=(4, 3)), size * rng.normal(size=(n_edges, 3, 3)))


def evaluate(objective, graph, scores, codes, weights=None, backend="enumeration"):
    inference = LazyPlan(BACKENDS[backend](), Topology.from_edges(GRAPHS[graph][0], 4), 3)
    return objective.value_and_gradient(inference, scores, Targets(np.asarray(codes), np.ones(1), weights))


def node_marginals(graph, scores):
    every = np.array(list(itertools.product(range(3), repeat=4)))
    total = scores.node[np.arange(4), every].sum(axis=1)
    total = total + sum(scores.edge[e][every[:, i], every[:, j]] for e, (i, j) in enumerate(GRAPHS[graph][0]))
    p = np.exp(total - total.max())
    return np.array([[p[every[:, i] == c].sum() for c in range(3)] for i in range(4)]) / p.sum()


def by_definition(objective, graph, scores, codes):
    """Terms of the nodes, 0 where there is none."""
    terms = np.zeros(4)
    p = node_marginals(graph, scores)
    for i in np.flatnonzero(codes != MISSING):
        if isinstance(objective, Pseudolikelihood):
            local = scores.node[i].copy()
            for e, (a, b) in enumerate(GRAPHS[graph][0]):
                if a == i and codes[b] != MISSING:
                    local += scores.edge[e][:, codes[b]]
                if b == i and codes[a] != MISSING:
                    local += scores.edge[e][codes[a]]
            terms[i] = np.log(np.exp(local).sum()) - local[codes[i]]
        elif isinstance(objective, Marginal):
            terms[i] = -np.log(p[i, codes[i]])
        else:
            terms[i] = p[i] @ (COST if np.ndim(objective.cost) else 1 - np.eye(3))[codes[i]]
    return terms


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("codes", CODES)
@pytest.mark.parametrize("objective", [Marginal(), Pseudolikelihood(), ExpectedLoss(), ExpectedLoss(COST)])
@pytest.mark.parametrize(
    ("graph", "backend"), [(graph, name) for graph, (_, names) in GRAPHS.items() for name in names]
)
def test_values_and_differences(objective, graph, backend, codes, weights):
    scores = make_scores(graph)
    loss, gradient = evaluate(objective, graph, scores, codes, weights, backend)
    terms = by_definition(objective, graph, scores, codes)
    accuracy = 1e-6 if backend == "loopy_bp" else 1e-9
    assert loss[0] == pytest.approx((terms if weights is None else weights * terms).sum(), rel=accuracy)
    rng, step = np.random.default_rng(1), 1e-5
    for _ in range(3):
        node, edge = rng.normal(size=scores.node.shape), rng.normal(size=scores.edge.shape)
        ahead, behind = (
            evaluate(objective, graph, Scores(scores.node + s * node, scores.edge + s * edge), codes, weights)[0][0]
            for s in (step, -step)
        )
        slope = (gradient.node * node).sum() + (gradient.edge * edge).sum()
        assert slope == pytest.approx((ahead - behind) / (2 * step), abs=1e-6)


@pytest.mark.parametrize("codes", CODES)
@pytest.mark.parametrize("objective", [Likelihood(), SoftmaxMargin(COST), Pseudolikelihood()])
@pytest.mark.parametrize(
    ("graph", "backend"), [(graph, name) for graph, (_, names) in GRAPHS.items() for name in names]
)
def test_gradients_and_hessians_by_differences(objective, graph, backend, codes):
    scores, step = make_scores(graph), 1e-5
    inference = LazyPlan(BACKENDS[backend](), Topology.from_edges(GRAPHS[graph][0], 4), 3)
    targets = Targets(codes, np.array([2.0]), np.array([1.0, 0.5, 3.0, 0.0]))
    rng = np.random.default_rng(1)
    for _ in range(2):
        along = Scores(rng.normal(size=scores.node.shape), rng.normal(size=scores.edge.shape))
        (loss, ahead), (other, behind) = (
            objective.value_and_gradient(
                inference, Scores(scores.node + s * along.node, scores.edge + s * along.edge), targets
            )
            for s in (step, -step)
        )
        _, gradient = objective.value_and_gradient(inference, scores, targets)
        slope = (gradient.node * along.node).sum() + (gradient.edge * along.edge).sum()
        assert slope == pytest.approx(2.0 * (loss - other)[0] / (2 * step), abs=1e-6)
        product = objective.hessian_product(inference, scores, targets, along)
        np.testing.assert_allclose(product.node, (ahead.node - behind.node) / (2 * step), atol=1e-6)
        np.testing.assert_allclose(product.edge, (ahead.edge - behind.edge) / (2 * step), atol=1e-6)


@pytest.mark.parametrize("objective", [Marginal(), Pseudolikelihood(), ExpectedLoss(), Likelihood(), SoftmaxMargin()])
@pytest.mark.parametrize("graph", GRAPHS)
def test_large_scores(objective, graph):
    """Probabilities underflow, and losses and gradients are finite."""
    for seed in range(5):
        scores = make_scores(graph, seed, 1e4)
        loss, gradient = evaluate(objective, graph, scores, CODES[0])
        assert np.isfinite(loss).all()
        assert np.isfinite(gradient.node).all()
        assert np.isfinite(gradient.edge).all()


def test_the_tangent_of_the_logarithm():
    """Where the probability is too small, the loss continues with the slope of its logarithm."""
    for distance, loss in ((25.0, 25.0), (100.0, 1.0 + 12 * np.log(10)), (5000.0, 1.0 + 12 * np.log(10))):
        scores = Scores(np.array([[0.0, distance, -np.inf]] * 4), np.zeros((0, 3, 3)))
        found, gradient = evaluate(Marginal(), "edgeless", scores, [0, 1, 1, 1], backend="edgeless")
        assert found[0] == pytest.approx(loss, rel=1e-10)
        assert np.isfinite(gradient.node).all()


@pytest.mark.parametrize("backend", ["chain", "tree", "junction_tree", "enumeration", "loopy_bp"])
def test_small_probabilities(backend):
    """The gradient is ``mu - (mu given the label)``, summed over nodes; probabilities are as small as 1e-12."""
    smallest = 1.0
    for seed in range(20):
        scores, codes = make_scores("chain", seed, 6.0), np.random.default_rng(seed).integers(0, 3, 4)
        p = node_marginals("chain", scores)
        if p[np.arange(4), codes].min() < 1e-12:
            continue
        smallest = min(smallest, p[np.arange(4), codes].min())
        expected = np.zeros((4, 3))
        for i, label in enumerate(codes):
            others = np.zeros((4, 3))
            others[i] = -np.inf
            others[i, label] = 0.0
            expected += p - node_marginals("chain", scores._replace(node=scores.node + others))
        _, gradient = evaluate(Marginal(), "chain", scores, codes, backend=backend)
        np.testing.assert_allclose(gradient.node, expected, atol=1e-6)
    assert smallest < 1e-9


def test_forbidden_labels():
    scores = make_scores("cycle")
    scores.edge[1, 1, 2] = -np.inf
    forbidden = [0, 1, 2, 0]
    for objective in (Marginal(), ExpectedLoss(), Pseudolikelihood()):
        assert np.isfinite(evaluate(objective, "cycle", scores, [0, 0, 2, 0])[0]).all()
    with pytest.raises(InfeasibleGraph, match="graph 0: the label of node 1 is forbidden given the labels"):
        evaluate(Pseudolikelihood(), "cycle", scores, forbidden)
    loss, _ = evaluate(Pseudolikelihood(), "cycle", scores, forbidden, np.array([1.0, 0.0, 0.0, 1.0]))
    assert np.isfinite(loss).all()  # the nodes whose labels are forbidden have no term
    assert np.isfinite(evaluate(Marginal(), "cycle", scores, forbidden)[0]).all()  # each label is possible
    assert np.isfinite(evaluate(ExpectedLoss(), "cycle", scores, forbidden)[0]).all()
    scores.node[0, 0] = -np.inf
    with pytest.raises(InfeasibleGraph, match="labels in y are forbidden"):
        evaluate(Marginal(), "cycle", scores, forbidden)
    scores.node[0] = -np.inf
    for objective in (Marginal(), ExpectedLoss()):
        with pytest.raises(InfeasibleGraph, match="no labelling is allowed"):
            evaluate(objective, "cycle", scores, forbidden)


def test_the_expected_loss_of_one_node():
    """``p_k (cost_k - sum_j p_j cost_j)``, the derivative of the softmax."""
    scores = make_scores("edgeless")
    loss, gradient = evaluate(ExpectedLoss(COST), "edgeless", scores, CODES[0], backend="edgeless")
    p = np.exp(scores.node) / np.exp(scores.node).sum(axis=1, keepdims=True)
    cost = COST[CODES[0]]
    mean = (p * cost).sum(axis=1, keepdims=True)
    assert loss[0] == pytest.approx(mean.sum(), rel=1e-12)
    np.testing.assert_allclose(gradient.node, p * (cost - mean), atol=1e-12)


def test_without_edges_marginal_and_pseudolikelihood_are_the_likelihood():
    scores = make_scores("edgeless")
    expected, d = evaluate(Likelihood(), "edgeless", scores, CODES[0], backend="edgeless")
    for objective in (Marginal(), Pseudolikelihood(), SoftmaxMargin(0.0)):
        loss, gradient = evaluate(objective, "edgeless", scores, CODES[0], backend="edgeless")
        np.testing.assert_allclose(loss, expected, rtol=1e-12)
        np.testing.assert_allclose(gradient.node, d.node, atol=1e-12)


@pytest.mark.parametrize("codes", CODES)
def test_softmax_margin(codes):
    """By enumeration; with cost 0 it is the likelihood."""
    scores = make_scores("cycle")
    known = codes != MISSING
    every = np.array(list(itertools.product(range(3), repeat=4)))
    total = scores.node[np.arange(4), every].sum(axis=1)
    total = total + sum(scores.edge[e][every[:, i], every[:, j]] for e, (i, j) in enumerate(GRAPHS["cycle"][0]))
    cost = COST[codes[known], every[:, known]].sum(axis=1)
    agrees = (every[:, known] == codes[known]).all(axis=1)
    loss, _ = evaluate(SoftmaxMargin(COST), "cycle", scores, codes)
    assert loss[0] == pytest.approx(np.log(np.exp(total + cost).sum()) - np.log(np.exp(total[agrees]).sum()), rel=1e-12)
    for found, expected in zip(*(evaluate(o, "cycle", scores, codes) for o in (SoftmaxMargin(0), Likelihood()))):
        np.testing.assert_array_equal(found[0], expected[0])


def test_the_pseudolikelihood_makes_no_plan():
    inference = LazyPlan(BACKENDS["tree"](), Topology.from_edges(GRAPHS["cycle"][0], 4), 3)
    Pseudolikelihood().value_and_gradient(inference, make_scores("cycle"), Targets(CODES[0], np.ones(1)))
    assert not inference.is_planned


def test_codes_and_matrices_that_do_not_exist():
    scores = make_scores("cycle")
    for objective in (Marginal(), ExpectedLoss(), Pseudolikelihood(), SoftmaxMargin()):
        with pytest.raises(ValueError, match="y of graph 0, node 2 is 7"):
            evaluate(objective, "cycle", scores, [0, 0, 7, 0])
    wrong = scores._replace(edge_matrix=np.array([0, 1, 2, 9]))
    with pytest.raises(ValueError, match=r"edge_matrix\[3\] is 9"):
        evaluate(Pseudolikelihood(), "cycle", wrong, CODES[0])
