"""Hinge and perceptron: values by enumeration, the Crammer-Singer machine, costs, and the estimator."""

import itertools

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.svm import LinearSVC

from skstruct import GraphCRFClassifier, Topology
from skstruct.datasets import load_letters, make_chain, make_grid
from skstruct.exceptions import InfeasibleGraph
from skstruct.features import LinearFeatures
from skstruct.inference import BACKENDS, LazyPlan
from skstruct.objectives import Hinge, Perceptron
from skstruct.optim import AveragedSGD
from skstruct.scores import MISSING, Scores, Targets

CYCLE = [(0, 1), (1, 2), (2, 3), (0, 3)]
COST = np.array([[0.0, 1.0, 3.0], [0.5, 0.0, 2.0], [1.0, 1.0, 0.0]])


def labellings(scores, edges):
    """All labellings of one graph, and their scores."""
    n_nodes, n_states = scores.node.shape
    found = np.array(list(itertools.product(range(n_states), repeat=n_nodes)))
    node = scores.node[np.arange(n_nodes), found].sum(axis=1)
    return found, node + sum(scores.edge[e][found[:, i], found[:, j]] for e, (i, j) in enumerate(edges))


def evaluate(objective, scores, codes, edges=CYCLE, backend="junction_tree"):
    n_nodes, n_states = scores.node.shape
    inference = LazyPlan(BACKENDS[backend](), Topology.from_edges(edges, n_nodes), n_states)
    return objective.value_and_gradient(inference, scores, Targets(np.asarray(codes), np.ones(1)))


def random_scores(seed, size=1.0):
    rng = np.random.default_rng(seed)
    return Scores(size * rng.normal(size=(4, 3)), size * rng.normal(size=(4, 3, 3)))


@pytest.mark.parametrize("codes", [[0, 1, 2, 0], [0, MISSING, 2, MISSING]])
@pytest.mark.parametrize(("objective", "cost"), [(Hinge(), 1 - np.eye(3)), (Hinge(COST), COST), (Perceptron(), None)])
@pytest.mark.parametrize("size", [1.0, 1e4])
def test_values(objective, cost, codes, size):
    scores, codes = random_scores(0, size), np.array(codes)
    every, score = labellings(scores, CYCLE)
    known = codes != MISSING
    delta = 0.0 if cost is None else cost[codes[known], every[:, known]].sum(axis=1)
    agrees = (every[:, known] == codes[known]).all(axis=1)
    loss, gradient = evaluate(objective, scores, codes)
    assert loss[0] == pytest.approx((score + delta).max() - score[agrees].max(), rel=1e-12)
    best, given = every[(score + delta).argmax()], every[agrees][score[agrees].argmax()]
    np.testing.assert_array_equal(gradient.node, np.eye(3)[best] - np.eye(3)[given])


def test_minus_infinity():
    scores = random_scores(1)
    scores.node[0, 0] = scores.edge[1, 2, 2] = -np.inf
    every, score = labellings(scores, CYCLE)
    loss, _ = evaluate(Hinge(), scores, [1, 1, 0, 2])
    given = (every == [1, 1, 0, 2]).all(axis=1)
    assert loss[0] == pytest.approx((score + (every != [1, 1, 0, 2]).sum(axis=1)).max() - score[given][0])
    with pytest.raises(InfeasibleGraph, match="labels in y are forbidden"):
        evaluate(Hinge(), scores, [0, 1, 0, 2])
    with pytest.raises(InfeasibleGraph, match="labels in y are forbidden"):
        evaluate(Hinge(), scores, [MISSING, 2, 2, MISSING])
    scores.node[0] = -np.inf
    with pytest.raises(InfeasibleGraph, match="no labelling is allowed"):
        evaluate(Hinge(), scores, [0, 1, 0, 2])


def test_approximate_decoding_never_makes_the_loss_negative():
    """Mean field misses better labellings; the given one is then the maximum, with subgradient 0."""
    n_zero = 0
    for seed in range(40):
        scores = random_scores(seed, 3.0)
        every, score = labellings(scores, CYCLE)
        codes = every[score.argmax()]
        exact, _ = evaluate(Perceptron(), scores, codes)
        found, gradient = evaluate(Perceptron(), scores, codes, backend="mean_field")
        assert exact[0] == found[0] == 0
        n_zero += not gradient.node.any() and not gradient.edge.any()
    assert n_zero == 40


@pytest.mark.parametrize(
    ("cost", "problem"),
    [
        (-1.0, r"finite entries >= 0; the cost of class 1 where 0 is right is -1\.0"),
        (np.inf, "finite entries >= 0"),
        (np.ones((2, 2)), r"matrix of shape \(3, 3\).*got shape \(2, 2\)"),
        (np.ones((3, 3)), "diagonal of 0; the cost of the correct class 0 is 1"),
        ("hamming", "a number >= 0, or a matrix.*got 'hamming'"),
    ],
)
def test_costs_that_make_no_sense(cost, problem):
    with pytest.raises(ValueError, match=problem):
        evaluate(Hinge(cost), random_scores(0), [0, 1, 2, 0])


def test_without_edges_it_is_the_machine_of_crammer_and_singer():
    """The objective of liblinear at its optimum is ours, and no lower value is found around it."""
    X, y = load_iris(return_X_y=True)
    X = X - X.mean(axis=0)
    machine = LinearSVC(multi_class="crammer_singer", C=0.3, fit_intercept=False, tol=1e-8, max_iter=100_000).fit(X, y)
    sgd = AveragedSGD(400, random_state=0)
    crf = GraphCRFClassifier(LinearFeatures(fit_intercept=False), objective="hinge", optimizer=sgd, C=0.3).fit(X, y)

    def objective(coef):
        scores = X @ coef.T
        margin = scores + (np.arange(3) != y[:, None]) - scores[np.arange(len(y)), y][:, None]
        return 0.5 * (coef**2).sum() + 0.3 * margin.max(axis=1).sum()

    best = objective(machine.coef_)
    assert crf.loss_curve_[-1] == pytest.approx(objective(crf.coef_), rel=1e-2)
    assert best - 1e-6 <= objective(crf.coef_) <= 1.01 * best


def test_a_cost_and_C_scale_the_weights():
    """The objective of ``k`` times the weights, the cost and C is ``k**2`` times the objective."""
    X, y = make_chain(n_graphs=20, return_X_y=True, random_state=0)
    sgd = AveragedSGD(40, random_state=0)
    one = GraphCRFClassifier(objective=Hinge(), optimizer=sgd, C=0.1).fit(X, y)
    ten = GraphCRFClassifier(objective=Hinge(10.0), optimizer=sgd, C=1.0).fit(X, y)
    assert ten.loss_curve_[-1] == pytest.approx(100 * one.loss_curve_[-1], rel=1e-2)
    assert (ten.predict(X).values == one.predict(X).values).mean() > 0.97


def test_the_estimator_says_what_is_not_possible():
    X, y = make_chain(n_graphs=5, return_X_y=True, random_state=0)
    with pytest.raises(ValueError, match="LBFGS needs a smooth objective"):
        GraphCRFClassifier(objective="hinge").fit(X, y)
    crf = GraphCRFClassifier(objective="hinge", optimizer="sgd", random_state=0).fit(X, y)
    of_probabilities = ["predict_proba", "predict_log_proba", "predict_edge_proba"]
    for name in [*of_probabilities, "sample", "entropy", "log_likelihood", "saliency"]:
        assert not hasattr(crf, name)
        with pytest.raises(AttributeError) as caught:
            getattr(crf, name)
        assert "objective='hinge' trains scores that define no probabilities" in str(caught.value.__cause__)


def test_graphs_with_cycles_and_hidden_labels():
    X, y = make_grid(n_graphs=8, height=6, width=6, return_X_y=True, random_state=0)
    hidden = y.values.astype(int)
    hidden[np.random.default_rng(0).random(len(hidden)) < 0.3] = -1
    crf = GraphCRFClassifier(objective="hinge", optimizer="sgd", missing_label=-1, random_state=0)
    likelihood = GraphCRFClassifier().fit(X, y)
    assert crf.fit(X, type(y)(hidden, y.ptr)).score(X, y) > likelihood.score(X, y) - 0.05


@pytest.mark.parametrize("n_words", [150, 443])
def test_sgd_finds_a_learning_rate_on_few_mini_batches(n_words):
    """One pass over so few words raises the hinge loss at any rate, since all labellings of all words tie at first."""
    X, y = load_letters(return_X_y=True)
    crf = GraphCRFClassifier(objective="hinge", optimizer="sgd", C=1, random_state=0).fit(X[:n_words], y[:n_words])
    n_nodes = X[:n_words].n_nodes  # the objective at zero: a loss of 1 for each node
    assert crf.loss_curve_[-1] < 0.6 * n_nodes
