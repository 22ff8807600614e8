"""Objectives in the estimator: weights of nodes and classes, starts, special cases, and what is refused."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from skstruct import GraphCRFClassifier, RaggedArray
from skstruct.datasets import make_chain
from skstruct.features import LinearFeatures
from skstruct.inference import LoopyBP
from skstruct.objectives import OBJECTIVES, ExpectedLoss, Hinge, Likelihood, Marginal, Pseudolikelihood, SoftmaxMargin
from skstruct.optim import LBFGS, AveragedSGD, Optimizer

NODE_WEIGHTED = [name for name, row in OBJECTIVES.items() if row.node_weighted]
ONE_NUMBER = [name for name, row in OBJECTIVES.items() if row.smooth and not row.node_weighted]


@pytest.fixture(scope="module")
def chains():
    return make_chain(n_graphs=20, n_nodes=5, return_X_y=True, random_state=0)


def weights_like(y, seed=0):
    """Weights of nodes, some of them 0, and the first graph without any."""
    values = np.random.default_rng(seed).integers(0, 3, len(y.values)).astype(float)
    values[: y.ptr[1]] = 0.0
    return RaggedArray(values, y.ptr)


@pytest.mark.parametrize("name", NODE_WEIGHTED)
def test_a_weight_of_zero_is_a_term_less(chains, name):
    """The label of a node of weight 0 has no term; a neighbour's label counts for the pseudolikelihood all the same."""
    X, y = chains
    crf = GraphCRFClassifier(objective=name, missing_label=-1, tol=1e-8)
    weights = weights_like(y)
    loss = crf.fit(X, y, weights).loss_curve_[-1]
    assert loss < crf.fit(X, y).loss_curve_[-1]
    if name != "pseudolikelihood":  # these do not read the labels of the nodes without a term
        hidden = RaggedArray(np.where(weights.values > 0, y.values, -1), y.ptr)
        assert crf.fit(X, hidden, weights).loss_curve_[-1] == pytest.approx(loss, rel=1e-6)


@pytest.mark.parametrize("name", NODE_WEIGHTED)
def test_equal_weights_of_nodes_are_weights_of_graphs(chains, name):
    X, y = chains
    by_graph = np.random.default_rng(0).integers(0, 3, len(X)).astype(float)
    by_node = RaggedArray(np.repeat(by_graph, np.diff(y.ptr)), y.ptr)
    crf = GraphCRFClassifier(objective=name)
    np.testing.assert_allclose(crf.fit(X, y, by_graph).coef_, crf.fit(X, y, by_node).coef_, atol=1e-6)
    twice = np.arange(len(X)).repeat(by_graph.astype(int))
    np.testing.assert_allclose(crf.coef_, crf.fit(X[twice], y[twice]).coef_, atol=1e-3)


@pytest.mark.parametrize("name", NODE_WEIGHTED)
def test_class_weights_are_weights_of_nodes(chains, name):
    X, y = chains
    by_class = {0: 1.0, 1: 3.0, 2: 0.5}
    by_node = RaggedArray(np.array([by_class[label] for label in y.values.tolist()]), y.ptr)
    crf = GraphCRFClassifier(objective=name)
    expected = crf.fit(X, y, by_node).coef_
    np.testing.assert_allclose(crf.set_params(class_weight=by_class).fit(X, y).coef_, expected, atol=1e-6)
    counts = np.bincount(y.values)
    balanced = RaggedArray((len(y.values) / (3 * counts))[y.values], y.ptr)
    expected = crf.set_params(class_weight=None).fit(X, y, balanced).coef_
    np.testing.assert_allclose(crf.set_params(class_weight="balanced").fit(X, y).coef_, expected, atol=1e-6)


@pytest.mark.parametrize("name", ONE_NUMBER)
def test_weights_of_nodes_are_refused_by_name(chains, name):
    X, y = chains
    with pytest.raises(ValueError, match=r"nodes of graph 1: the loss of objective=.*'marginal', 'pseudolikelihood'"):
        GraphCRFClassifier(objective=name).fit(X, y, weights_like(y))


@pytest.mark.parametrize("objective", ["likelihood", "marginal", "pseudolikelihood", SoftmaxMargin(0.0)])
@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_tables_are_logistic_regression(objective, class_weight):
    X, y = load_iris(return_X_y=True)
    weights = np.random.default_rng(0).integers(0, 4, len(y)).astype(float)
    theirs = LogisticRegression(C=0.7, tol=1e-9, max_iter=5000, class_weight=class_weight).fit(X, y, weights)
    crf = GraphCRFClassifier(objective=objective, C=0.7, tol=1e-9, class_weight=class_weight).fit(X, y, weights)
    np.testing.assert_allclose(crf.coef_, theirs.coef_, atol=1e-5)
    np.testing.assert_allclose(crf.intercept_ - crf.intercept_[0], theirs.intercept_ - theirs.intercept_[0], atol=1e-4)


def test_a_softmax_margin_without_cost_is_the_likelihood(chains):
    X, y = chains
    ours, likelihood = (GraphCRFClassifier(objective=o).fit(X, y) for o in (SoftmaxMargin(0), "likelihood"))
    np.testing.assert_array_equal(ours.coef_, likelihood.coef_)


# ---- starts
class Stages(Optimizer):
    """Records the objectives and starts that it is called with; the minimum of a stage is its number everywhere."""

    needs_smooth = False

    def __init__(self, seen):
        self.seen = seen

    def minimize(self, loss, start, **settings):
        result = Optimizer.minimize(self, loss, start, **settings)
        result.x, result.success = np.full_like(start, len(self.seen)), True
        return result

    def iterate(self, loss, start, *, l1=None, max_iter, tol):
        self.seen.append((loss.losses[0].objective, start.copy()))
        yield from LBFGS().iterate(loss, start, l1=l1, max_iter=1, tol=tol)


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        (Likelihood(), [Likelihood]),
        (Marginal(), [Likelihood, Marginal]),
        (Marginal(None), [Marginal]),
        (ExpectedLoss(start_with=Pseudolikelihood()), [Pseudolikelihood, ExpectedLoss]),
        (ExpectedLoss(start_with="marginal"), [Likelihood, Marginal, ExpectedLoss]),
    ],
)
def test_objectives_that_are_not_convex_start_at_another_solution(chains, objective, expected):
    X, y = chains
    seen = []
    crf = GraphCRFClassifier(objective=objective, optimizer=Stages(seen), warm_start=True).fit(X, y)
    assert [type(one) for one, _ in seen] == expected
    for stage, (_, start) in enumerate(seen):
        assert (start == stage).all()
    assert crf.n_evaluations_ >= len(expected)
    crf.fit(X, y)  # a warm start replaces the other solution
    assert [type(one) for one, _ in seen[len(expected) :]] == [type(objective)]


@pytest.mark.parametrize("name", ["marginal", "expected_loss"])
def test_the_loss_falls_from_the_start(chains, name):
    X, y = chains
    objective = OBJECTIVES[name]()
    crf = GraphCRFClassifier(objective=name).fit(X, y)
    start = GraphCRFClassifier().fit(X, y)
    p = start.predict_proba(X).values[np.arange(len(y.values)), y.values]
    terms = -np.log(p) if name == "marginal" else 1 - p
    at_start = terms.sum() + 0.5 * ((start.coef_**2).sum() + (start.edge_coef_**2).sum())
    assert crf.loss_curve_[-1] < at_start
    assert crf.loss_curve_[0] <= at_start + 1e-6
    assert not objective.convex


def test_a_wrong_start_is_refused(chains):
    X, y = chains
    with pytest.raises(ValueError, match=r"start_with must be one of.*'likelihood'.*got 'newton'"):
        GraphCRFClassifier(objective=Marginal("newton")).fit(X, y)
    with pytest.raises(TypeError, match=r"start_with must be one of.*belongs to the parameter"):
        GraphCRFClassifier(objective=Marginal(Stages([]))).fit(X, y)


# ---- inference
def test_32_bits_need_no_plan(make_data):
    """The tree backend refuses cycles; an objective without inference does not ask it about its precision."""
    X, y = make_data("cycle", sizes=(4, 5, 6), storage="csr")
    double, single = (
        GraphCRFClassifier(LinearFeatures(dtype=dtype), "tree", "pseudolikelihood", tol=1e-5).fit(X, y)
        for dtype in ("float64", "float32")
    )
    np.testing.assert_allclose(single.coef_, double.coef_, atol=5e-3)


@pytest.mark.parametrize("name", sorted({*OBJECTIVES} - {"perceptron"}))  # SGD returns zero weights for the perceptron
def test_32_bits(chains, name):
    X, y = chains
    optimizer = "lbfgs" if OBJECTIVES[name].smooth else AveragedSGD(2, learning_rate=0.1, random_state=0)
    losses = [
        GraphCRFClassifier(LinearFeatures(dtype=dtype), objective=name, optimizer=optimizer, tol=1e-4)
        .fit(X, y)
        .loss_curve_[-1]
        for dtype in ("float64", "float32")
    ]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


def test_the_perceptron_names_its_optimiser(chains):
    """Zero weights have the lowest loss, and optimisers that compare values return them."""
    with pytest.raises(ValueError, match="use optimizer='sgd', or 'averaged_perceptron' for objective='perceptron'"):
        GraphCRFClassifier(objective="perceptron").fit(*chains)
    for objective in ("perceptron", Hinge(cost=0)):
        for optimizer in ("sgd", "adam"):
            with pytest.warns(ConvergenceWarning, match="The best iterate is kept. .* use optimizer='averaged_perc"):
                GraphCRFClassifier(objective=objective, optimizer=optimizer).fit(*chains)


def test_no_warning_about_marginals_that_are_not_used(make_data):
    X, y = make_data("cycle", sizes=(5, 6, 7))
    inference = LoopyBP(max_iter=1)
    with pytest.warns(ConvergenceWarning, match="inference did not converge"):
        GraphCRFClassifier(inference=inference).fit(X, y)
    GraphCRFClassifier(inference=inference, objective="hinge", optimizer="sgd", random_state=0).fit(X, y)


def test_the_pseudolikelihood_trains_graphs_that_the_backend_refuses(make_data):
    X, y = make_data("cycle", sizes=(4, 5, 6))
    exact = GraphCRFClassifier(objective="pseudolikelihood").fit(X, y)
    other = GraphCRFClassifier(objective="pseudolikelihood", inference="chain").fit(X, y)
    np.testing.assert_array_equal(other.coef_, exact.coef_)


def test_repeated_nodes_of_a_view_are_weights(chains):
    X, y = chains
    samples = np.r_[np.arange(X.n_nodes), 0, 0, 7]
    crf = GraphCRFClassifier(objective="marginal")
    repeated = crf.fit(X.nodes[samples], y.values[samples]).coef_
    weights = RaggedArray(np.bincount(samples).astype(float), y.ptr)
    np.testing.assert_allclose(repeated, crf.fit(X, y, weights).coef_, atol=1e-6)
    with pytest.raises(ValueError, match="sample_weight differs between the nodes of graph 0"):
        GraphCRFClassifier().fit(X.nodes[samples], y.values[samples])
