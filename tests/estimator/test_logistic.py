"""One-node graphs: the estimator is multinomial logistic regression, whatever form the graphs have."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import scale

from skstruct import GraphCRFClassifier, GraphDataset, RaggedArray
from skstruct.features import LinearFeatures

TIGHT = {"tol": 1e-10, "max_iter": 10000}
LOGISTIC_TIGHT = {"tol": 1e-9, "max_iter": 10000}


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True)
    keep = np.r_[0:50, 50:85, 100:120]  # classes of different size
    return scale(X[keep]), np.array(["setosa", "versicolor", "virginica"])[y[keep]]


@pytest.fixture(scope="module")
def weights(iris):
    return np.random.default_rng(0).integers(0, 4, size=len(iris[1])) / 2


def same_model(ours, theirs, X, table):
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-4)
    # an unpenalised intercept of all classes at once changes nothing: compare contrasts
    np.testing.assert_allclose(
        ours.intercept_ - ours.intercept_.mean(), theirs.intercept_ - theirs.intercept_.mean(), atol=1e-4
    )
    proba = ours.predict_proba(X)
    proba = proba.values if isinstance(proba, RaggedArray) else proba
    np.testing.assert_allclose(proba, theirs.predict_proba(table), atol=1e-5)


@pytest.mark.parametrize("C", [0.1, 1.0, 30.0])
@pytest.mark.parametrize("storage", ["dense", "csr"])
def test_same_as_logistic_regression(iris, C, storage, to_csr):
    X, y = iris
    X = to_csr(X) if storage == "csr" else X
    same_model(GraphCRFClassifier(C=C, **TIGHT).fit(X, y), LogisticRegression(C=C, **LOGISTIC_TIGHT).fit(X, y), X, X)


@pytest.mark.parametrize("inference", ["auto", "edgeless", "chain", "tree", "loopy_bp", "enumeration"])
def test_every_backend_is_exact_on_one_node(iris, inference):
    X, y = iris
    X, y = X[::4], y[::4]
    ours = GraphCRFClassifier(inference=inference, **TIGHT).fit(X, y)
    same_model(ours, LogisticRegression(**LOGISTIC_TIGHT).fit(X, y), X, X)


def test_graphs_without_edges(iris):
    X, y = iris
    ptr = np.array([0, 7, 7, 30, 31, len(X)])  # one of them is empty
    graphs, labels = GraphDataset(X, node_ptr=ptr), RaggedArray(y, ptr)
    table = GraphCRFClassifier(**TIGHT).fit(X, y)
    ours = GraphCRFClassifier(**TIGHT).fit(graphs, labels)
    same_model(ours, table, graphs, X)
    assert ours.score(graphs, labels) == table.score(X, y)
    np.testing.assert_allclose(ours.log_likelihood(graphs, labels).sum(), table.log_likelihood(X, y).sum())


@pytest.mark.parametrize("class_weight", [None, {"setosa": 0.2, "virginica": 5.0}, "balanced"])
@pytest.mark.parametrize("weighted", [False, True])
def test_weights(iris, weights, class_weight, weighted):
    X, y = iris
    sample_weight = weights if weighted else None
    ours = GraphCRFClassifier(class_weight=class_weight, **TIGHT).fit(X, y, sample_weight)
    theirs = LogisticRegression(class_weight=class_weight, **LOGISTIC_TIGHT)
    if class_weight == "balanced" and weighted:  # by sums of weights, in every version of scikit-learn
        totals = {label: weights[y == label].sum() for label in np.unique(y)}
        theirs.set_params(class_weight={label: weights.sum() / (3 * total) for label, total in totals.items()})
    same_model(ours, theirs.fit(X, y, sample_weight), X, X)


def test_no_intercept(iris):
    X, y = iris
    ours = GraphCRFClassifier(LinearFeatures(fit_intercept=False), **TIGHT).fit(X + 0.5, y)
    theirs = LogisticRegression(fit_intercept=False, **LOGISTIC_TIGHT).fit(X + 0.5, y)
    same_model(ours, theirs, X + 0.5, X + 0.5)
    np.testing.assert_array_equal(ours.intercept_, np.zeros(3))


def test_two_classes_need_half_the_C(iris):
    """Two weight vectors w/2 and -w/2 are charged half the penalty of LogisticRegression's one vector w."""
    X, y = iris
    X, y = X[50:], y[50:]
    ours = GraphCRFClassifier(C=1.5, **TIGHT).fit(X, y)
    theirs = LogisticRegression(C=2 * 1.5, **LOGISTIC_TIGHT).fit(X, y)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-5)
    np.testing.assert_allclose(ours.coef_, np.vstack([-theirs.coef_, theirs.coef_]) / 2, atol=1e-4)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.3])
@pytest.mark.parametrize("storage", ["dense", "csr"])
def test_l1_optimality(iris, l1_ratio, storage, to_csr):
    """Zero is subgradient: ``C dloss + (1 - rho) w = -rho sign(w)``, or at most rho in size where w = 0."""
    X, y = iris
    C = 0.5
    given = to_csr(X) if storage == "csr" else X
    ours = GraphCRFClassifier(C=C, l1_ratio=l1_ratio, **TIGHT).fit(given, y)
    error = softmax(X @ ours.coef_.T + ours.intercept_, axis=1) - (y[:, None] == ours.classes_)
    gradient = C * error.T @ X + (1 - l1_ratio) * ours.coef_
    zero = ours.coef_ == 0
    assert 1 <= zero.sum() <= 10
    np.testing.assert_allclose(gradient[~zero], -l1_ratio * np.sign(ours.coef_[~zero]), atol=1e-5)
    assert (np.abs(gradient[zero]) <= l1_ratio + 1e-5).all()
    np.testing.assert_allclose(error.sum(axis=0), 0, atol=1e-5)  # intercepts are free


@pytest.mark.parametrize("l1_ratio", [1.0, 0.3])
def test_l1_same_as_saga(iris, l1_ratio):
    X, y = iris
    ours = GraphCRFClassifier(C=0.5, l1_ratio=l1_ratio, **TIGHT).fit(X, y)
    theirs = LogisticRegression(C=0.5, l1_ratio=l1_ratio, solver="saga", tol=1e-7, max_iter=20000)
    if "penalty" in LogisticRegression().get_params() and LogisticRegression().penalty == "l2":
        theirs.set_params(penalty="elasticnet")  # scikit-learn before 1.8
    theirs.fit(X, y)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-4)


def test_stronger_l1_gives_more_zeros(iris):
    X, y = iris
    zeros = [(GraphCRFClassifier(C=C, l1_ratio=1.0).fit(X, y).coef_ == 0).sum() for C in (10, 1, 0.1, 0.001)]
    assert zeros == sorted(zeros)
    assert zeros[0] < zeros[-1] == X.shape[1] * 3
