"""The functional interface against enumeration in plain Python."""

import numpy as np
import pytest
from scipy.stats import chisquare

from skstruct import Topology
from skstruct import functional as F
from skstruct.exceptions import InfeasibleGraph, UnsupportedTopology
from skstruct.scores import Scores
from skstruct.testing import enumerate_exactly

GRAPHS = {
    "no edge": ([], 3),
    "chain": ([(0, 1), (2, 1), (2, 3)], 4),
    "tree": ([(0, 3), (1, 3), (3, 2)], 4),
    "cycle": ([(0, 1), (1, 2), (2, 3), (3, 0)], 4),
    "repeated edge": ([(0, 1), (1, 0), (1, 2)], 3),
}
N_STATES = 3


@pytest.fixture(params=GRAPHS)
def model(request):
    """Node scores, edges, edge scores, and all labellings with their log-probabilities, best first."""
    rng = np.random.default_rng(7)
    edges, n_nodes = GRAPHS[request.param]
    node = rng.normal(size=(n_nodes, N_STATES))
    node[0, 1] = -np.inf
    edge = rng.normal(size=(len(edges), N_STATES, N_STATES))
    labels = np.array(list(np.ndindex(*[N_STATES] * n_nodes)))
    total = node[np.arange(n_nodes), labels].sum(axis=1)
    for e, (i, j) in enumerate(edges):
        total += edge[e, labels[:, i], labels[:, j]]
    order = np.argsort(-total)
    return node, edges, edge, labels[order], (total - np.logaddexp.reduce(total))[order], total.max()


def test_marginals_and_decode(model):
    node, edges, edge, labels, _, best = model
    truth = enumerate_exactly(Topology.from_edges(edges, len(node)), Scores(node, edge))
    found, decoded = F.marginals(node, edges, edge), F.decode(node, edges, edge)
    assert found.exact
    assert found.converged
    assert found.log_partition == pytest.approx(truth.log_partition[0], abs=1e-10)
    np.testing.assert_allclose(found.node, truth.node, atol=1e-10)
    np.testing.assert_allclose(found.edge, truth.edge, atol=1e-10)
    assert decoded.labels.tolist() == labels[0].tolist()
    assert decoded.optimal
    assert decoded.score == pytest.approx(best) == decoded.bound


def test_entropy_is_the_definition(model):
    node, edges, edge, _, log_probability, _ = model
    finite = log_probability[np.isfinite(log_probability)]
    assert F.entropy(node, edges, edge) == pytest.approx(-(np.exp(finite) * finite).sum(), abs=1e-10)


def test_expectation_is_the_definition(model):
    node, edges, edge, labels, log_probability, _ = model
    rng, p = np.random.default_rng(3), np.exp(log_probability)
    node_values, edge_values = rng.normal(size=node.shape), rng.normal(size=edge.shape)
    t = node_values[np.arange(len(node)), labels].sum(axis=1)
    t += sum(edge_values[e, labels[:, i], labels[:, j]] for e, (i, j) in enumerate(edges))
    value, d_node, d_edge = F.expectation(node, edges, edge, node_values, edge_values)
    assert value == pytest.approx(p @ t, abs=1e-10)
    excess = p * (t - p @ t)
    for i, c in np.ndindex(node.shape):
        assert d_node[i, c] == pytest.approx(excess[labels[:, i] == c].sum(), abs=1e-10)
    for e, (i, j) in enumerate(edges):
        for c, d in np.ndindex(N_STATES, N_STATES):
            expected = excess[(labels[:, i] == c) & (labels[:, j] == d)].sum()
            assert d_edge[e, c, d] == pytest.approx(expected, abs=1e-10)


def test_expectation_on_one_node_is_the_softargmax_derivative():
    """Softargmax ``p = exp(h) / sum(exp(h))`` and its derivatives, written out."""
    rng = np.random.default_rng(0)
    h, t, target = rng.normal(size=5), rng.normal(size=5), 2
    p = np.exp(h) / np.exp(h).sum()

    def gradient(values):
        return F.expectation(h[None], [], [], values[None])[1][0]

    value, d_node, d_edge = F.expectation(h[None], [], [], t[None])
    assert value == pytest.approx(sum(p[k] * t[k] for k in range(5)), abs=1e-15)
    np.testing.assert_allclose(d_node[0], [p[c] * (t[c] - sum(p * t)) for c in range(5)], atol=1e-15)
    assert d_edge.shape == (0, 5, 5)
    jacobian = np.array([gradient(unit) for unit in np.eye(5)])  # d p_k / d h_c
    np.testing.assert_allclose(jacobian, np.diag(p) - np.outer(p, p), atol=1e-15)
    np.testing.assert_allclose(gradient(np.eye(5)[target] / p), np.eye(5)[target] - p, atol=1e-15)  # cross entropy
    np.testing.assert_allclose(gradient(np.log(p)), p * (np.log(p) - p @ np.log(p)), atol=1e-15)  # minus the entropy


@pytest.mark.parametrize("shared_scores", [False, True])
@pytest.mark.parametrize("form", ["own", "shared", "none"])
@pytest.mark.parametrize("inference", ["auto", "loopy_bp"])
def test_gradients_of_an_expectation_are_differences(shared_scores, form, inference):
    rng, edges = np.random.default_rng(1), [(0, 1), (2, 1), (2, 3)]
    node, node_values = rng.normal(size=(2, 4, 3))
    edge = rng.normal(size=(1 if shared_scores else 3, 3, 3))
    edge_values = {"own": rng.normal(size=(3, 3, 3)), "shared": rng.normal(size=(1, 3, 3)), "none": ()}[form]
    values = node_values, edge_values, inference
    _, d_node, d_edge = F.expectation(node, edges, edge, *values)
    assert d_edge.shape == edge.shape
    for tensor, gradient, number in ((node, d_node, 0), (edge, d_edge, 2)):
        for place in list(np.ndindex(tensor.shape))[::5]:
            slope = 0.0
            for step in (1e-5, -1e-5):
                moved = tensor.copy()
                moved[place] += step
                given = (moved, edges, edge) if number == 0 else (node, edges, moved)
                slope += F.expectation(*given, *values)[0] / (2 * step)
            assert gradient[place] == pytest.approx(slope, abs=1e-6)


def test_expectation_given_known_labels():
    agree, count = [[[1.0, 0.0], [0.0, 1.0]]], [[0.0, 1.0], [0.0, 1.0]]
    value, d_node, _ = F.expectation(np.zeros((2, 2)), [(0, 1)], agree, count, known=[1, -1])
    p = np.e / (1 + np.e)
    assert value == pytest.approx(1 + p)
    np.testing.assert_allclose(d_node, [[0, 0], [-p * (1 - p), p * (1 - p)]], atol=1e-15)


def test_expectation_refuses():
    node, edges, edge = np.zeros((2, 2)), [(0, 1)], np.zeros((1, 2, 2))
    with pytest.raises(ValueError, match=r"node_values must have shape \(2, 2\), got \(2,\)"):
        F.expectation(node, edges, edge, [0.0, 1.0])
    with pytest.raises(ValueError, match=r"edge_values must have shape \(1, 2, 2\) or \(1, 2, 2\), got \(2, 2\)"):
        F.expectation(node, edges, edge, node, np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"node_values\[1, 0\] is -inf; values must be finite"):
        F.expectation(node, edges, edge, [[0.0, 0.0], [-np.inf, 0.0]])
    with pytest.raises(InfeasibleGraph, match="no labelling is allowed"):
        F.expectation([[-np.inf, -np.inf], [0.0, 0.0]], edges, edge, node)


@pytest.mark.parametrize("k", [1, 7, 1000])
def test_top_k_is_the_sorted_enumeration(model, k):
    node, edges, edge, labels, log_probability, best = model
    n_allowed = np.isfinite(log_probability).sum()
    found, score = F.top_k(node, edges, edge, k)
    assert len(found) == min(k, n_allowed)
    np.testing.assert_array_equal(found, labels[: len(found)])
    np.testing.assert_allclose(score, best + log_probability[: len(found)] - log_probability[0], atol=1e-10)


def test_samples_follow_the_model(model):
    node, edges, edge, labels, log_probability, _ = model
    drawn = F.sample(node, edges, edge, n_samples=20_000, random_state=0)
    code = N_STATES ** np.arange(len(node))
    counts = np.bincount(drawn @ code, minlength=N_STATES ** len(node))[labels @ code]
    allowed = np.isfinite(log_probability)
    assert counts[~allowed].sum() == 0
    likely = allowed & (np.exp(log_probability) * len(drawn) > 5)  # the usual rule; the others in one cell
    observed = np.append(counts[likely], counts[~likely].sum())
    expected = np.append(np.exp(log_probability[likely]), np.exp(log_probability[~likely]).sum()) * len(drawn)
    assert chisquare(observed[expected > 0], expected[expected > 0]).pvalue > 1e-3
    np.testing.assert_array_equal(drawn, F.sample(node, edges, edge, n_samples=20_000, random_state=0))


def test_known_labels_condition_everything(model):
    node, edges, edge, labels, log_probability, _ = model
    known = np.full(len(node), -1)
    known[-1] = 2
    agree = labels[:, -1] == 2
    conditional = np.exp(log_probability[agree]) / np.exp(log_probability[agree]).sum()
    found = F.marginals(node, edges, edge, known=known)
    for i in range(len(node)):
        expected = np.bincount(labels[agree, i], conditional, N_STATES)
        np.testing.assert_allclose(found.node[i], expected, atol=1e-10)
    assert F.decode(node, edges, edge, known=known).labels.tolist() == labels[agree][0].tolist()
    assert (F.sample(node, edges, edge, 50, known=known, random_state=1)[:, -1] == 2).all()
    assert F.top_k(node, edges, edge, 2, known=known)[0].tolist() == labels[agree][:2].tolist()
    finite = conditional[conditional > 0]
    assert F.entropy(node, edges, edge, known=known) == pytest.approx(-(finite * np.log(finite)).sum(), abs=1e-10)


@pytest.mark.parametrize("shared", [False, True])
def test_neg_log_likelihood_and_both_gradients(model, shared):
    node, edges, edge, _, _, _ = model
    node = np.where(np.isneginf(node), -1.0, node)
    edge = edge[:1] if shared else edge
    y = np.array([0, 2, 1, 0])[: len(node)]
    y_partly = y.copy()
    y_partly[1] = -1
    rng = np.random.default_rng(0)
    for target in (y, y_partly):
        loss, d_node, d_edge = F.neg_log_likelihood(node, edges, edge, target)
        assert d_edge.shape == edge.shape
        known = F.marginals(node, edges, edge, known=target).log_partition
        assert loss == pytest.approx(F.marginals(node, edges, edge).log_partition - known, abs=1e-10)
        v_node, v_edge, h = rng.normal(size=node.shape), rng.normal(size=edge.shape), 1e-5
        up, down = (F.neg_log_likelihood(node + s * v_node, edges, edge + s * v_edge, target)[0] for s in (h, -h))
        assert (up - down) / (2 * h) == pytest.approx((d_node * v_node).sum() + (d_edge * v_edge).sum(), rel=1e-6)


def test_k_best_needs_exact_decoding():
    cycle, n = GRAPHS["cycle"]
    with pytest.raises(UnsupportedTopology, match="'loopy_bp' is approximate"):
        F.top_k(np.zeros((n, 2)), cycle, np.zeros((1, 2, 2)), 2, inference="loopy_bp")


@pytest.mark.parametrize("query", [F.marginals, F.sample, lambda *a: F.neg_log_likelihood(*a, y=[0, 0])])
def test_infeasible_model_is_an_error(query):
    forbid = np.full((1, 2, 2), -np.inf)
    with pytest.raises(InfeasibleGraph, match="graph 0: no labelling is allowed"):
        query(np.zeros((2, 2)), [(0, 1)], forbid)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[0.0, np.nan]], [], []), r"node_scores\[0, 1\] is nan"),
        (([[0.0, np.inf]], [], []), r"node_scores\[0, 1\] is inf"),
        (([0.0, 1.0], [], []), "node_scores must have 2 dimensions"),
        ((np.zeros((2, 2)), [(0, 2)], np.zeros((1, 2, 2))), r"edges\[0\] is \(0, 2\).*0\.\.1"),
        ((np.zeros((2, 2)), [(1, 1)], np.zeros((1, 2, 2))), r"edges\[0\] is \(1, 1\).*two different"),
        (
            (np.zeros((2, 2)), [(0, 1)], np.zeros((1, 3, 3))),
            r"edge_scores must have shape \(1, 2, 2\).*got \(1, 3, 3\)",
        ),
        ((np.zeros((2, 2)), [(0, 1)], np.full((1, 2, 2), np.nan)), r"edge_scores\[0, 0, 0\] is nan"),
        ((np.zeros((2, 2)), [(0, 1)], np.zeros((1, 2, 2)), "no such"), "inference must be one of"),
    ],
)
def test_malformed_scores(arguments, message):
    with pytest.raises(ValueError, match=message):
        F.marginals(*arguments)


@pytest.mark.parametrize(
    ("y", "message"),
    [([0], "y must be 2 integer state codes"), ([0, 2], r"y\[1\] is 2"), ([0.0, 1.0], "integer"), ([0, -2], r"y\[1\]")],
)
def test_malformed_labels(y, message):
    with pytest.raises(ValueError, match=message):
        F.neg_log_likelihood(np.zeros((2, 2)), [], [], y)
    with pytest.raises(ValueError, match=message.replace("y", "known", 1)):
        F.marginals(np.zeros((2, 2)), [], [], known=y)


def test_k_must_be_positive():
    with pytest.raises(ValueError, match="k must be a positive integer, got 0"):
        F.top_k([[0.0]], [], [], 0)
