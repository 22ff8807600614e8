"""partial_fit: the contract of scikit-learn, and passes over parts of the data against passes over the whole."""

import pickle
from inspect import signature

import numpy as np
import pytest
from sklearn.linear_model import SGDClassifier
from sklearn.utils.estimator_checks import (
    check_dict_unchanged,
    check_estimators_partial_fit_n_features,
    check_fit2d_1feature,
    check_n_features_in_after_fitting,
)

from skstruct import GraphCRFClassifier
from skstruct.datasets import make_chain
from skstruct.io import Checkpoints
from skstruct.optim import LBFGS, OPTIMIZERS, Adam, AveragedSGD

INCREMENTAL = [name for name, row in OPTIMIZERS.items() if row.incremental]
CLASSES = [0, 1, 2]


@pytest.fixture(scope="module")
def chains():
    return make_chain(n_graphs=90, return_X_y=True, random_state=0)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimisers_that_cannot_continue_have_no_partial_fit(name):
    crf = GraphCRFClassifier(optimizer=name)
    assert hasattr(crf, "partial_fit") == OPTIMIZERS[name].incremental


def test_what_is_no_optimiser_has_none():
    assert not hasattr(GraphCRFClassifier(optimizer="nonsense"), "partial_fit")
    with pytest.raises(ValueError, match="optimizer must be one of"):
        GraphCRFClassifier(optimizer="nonsense").fit([[0.0], [1.0]], [0, 1])


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_checks_of_scikit_learn(name):
    for check in (
        check_estimators_partial_fit_n_features,
        check_n_features_in_after_fitting,
        check_fit2d_1feature,
        check_dict_unchanged,
    ):
        check("GraphCRFClassifier", GraphCRFClassifier(optimizer=name, random_state=0))


def test_the_message_names_the_optimisers():
    assert {"sgd", "adam"} <= set(INCREMENTAL)
    for optimizer in ("lbfgs", LBFGS()):
        with pytest.raises(AttributeError) as caught:
            GraphCRFClassifier(optimizer=optimizer).partial_fit([[0.0]], [0], [0, 1])
        assert "one of ['sgd', 'adam'" in f"{caught.value.__cause__}"


@pytest.mark.parametrize("optimizer", [AveragedSGD(), Adam(learning_rate=0.05)], ids=["sgd", "adam"])
def test_parts_of_the_data_are_as_good_as_the_whole(chains, optimizer):
    X, y = chains
    best = GraphCRFClassifier().fit(X, y)
    crf = GraphCRFClassifier(optimizer=optimizer, C=3, random_state=0)
    for _ in range(20):
        for start in (0, 30, 60):
            part = slice(start, start + 30)
            crf.partial_fit(X[part], y[part], CLASSES)
    assert crf.n_iter_ == len(crf.loss_curve_) == 60
    assert crf.log_likelihood(X, y).sum() > best.log_likelihood(X, y).sum() - 5
    assert crf.score(X, y) > best.score(X, y) - 0.02


@pytest.mark.parametrize("name", INCREMENTAL)
def test_a_pickled_estimator_continues_to_the_same_bits(chains, name):
    X, y = chains
    objective = "perceptron" if name == "averaged_perceptron" else "likelihood"
    one, other = (GraphCRFClassifier(objective=objective, optimizer=name, random_state=0) for _ in range(2))
    for number in range(3):
        part = slice(30 * number, 30 * number + 30)
        one.partial_fit(X[part], y[part], CLASSES)
        other = pickle.loads(pickle.dumps(other)).partial_fit(X[part], y[part], CLASSES if number == 0 else None)
    np.testing.assert_array_equal(one.coef_, other.coef_)
    np.testing.assert_array_equal(one.loss_curve_, other.loss_curve_)


def test_classes(chains):
    X, y = chains
    crf = GraphCRFClassifier(optimizer="sgd", random_state=0)
    with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
        crf.partial_fit(X, y)
    assert not hasattr(crf, "classes_")
    crf.partial_fit(X[:10], y[:10], [2, 0, 1, 7])
    assert crf.classes_.tolist() == [0, 1, 2, 7]
    crf.partial_fit(X, y)
    before = dict(vars(crf))
    with pytest.raises(ValueError, match=r"classes=\[0, 1, 2\] is not the same as on the last call to partial_fit"):
        crf.partial_fit(X, y, CLASSES)
    assert vars(crf) == before
    by_parameter = GraphCRFClassifier(optimizer="sgd", classes=CLASSES, random_state=0).partial_fit(X, y)
    assert by_parameter.classes_.tolist() == CLASSES
    with pytest.raises(ValueError, match=r"y\[0\]\[0\] is 9, which is not among the 3 classes"):
        by_parameter.partial_fit(X[:1], [[9] * len(y[0])])


def test_it_continues_after_fit(chains):
    X, y = chains
    crf = GraphCRFClassifier(optimizer=AveragedSGD(4), random_state=0).fit(X, y)
    value = crf.log_likelihood(X, y).sum()
    curve = crf.loss_curve_
    crf.partial_fit(X, y)
    assert crf.n_iter_ == 5
    np.testing.assert_array_equal(crf.loss_curve_[:4], curve)
    assert crf.log_likelihood(X, y).sum() > value - 3


@pytest.mark.parametrize("name", INCREMENTAL)
def test_a_few_graphs_after_fit_change_little(name):
    """The state of a complete training is kept: a new one would begin with large steps, and average few of them."""
    X, y = make_chain(n_graphs=300, return_X_y=True, random_state=0)
    objective = "perceptron" if name == "averaged_perceptron" else "likelihood"
    crf = GraphCRFClassifier(optimizer=name, objective=objective, random_state=0).fit(X[:200], y[:200])
    accuracy = crf.score(X[200:], y[200:])
    for part in (slice(0, 3), slice(3, 6)):
        crf.partial_fit(X[part], y[part])
        assert crf.score(X[200:], y[200:]) > accuracy - 0.01


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"early_stopping": True}, "does not support early_stopping=True"),
        ({"transductive": True}, "does not support transductive=True"),
        ({"class_weight": "balanced"}, "does not support class_weight='balanced'"),
        ({"checkpoints": Checkpoints("folder")}, r"does not support checkpoints=Checkpoints\(.*save the estimator"),
        ({"l1_ratio": 0.5}, "does not support an L1 penalty"),
        ({"C": 0}, "C must be a positive number"),
    ],
)
def test_refusals_change_nothing(chains, parameters, problem):
    crf = GraphCRFClassifier(optimizer="sgd", **parameters)
    before = dict(vars(crf))
    with pytest.raises(ValueError, match=problem):
        crf.partial_fit(*chains, classes=CLASSES)
    assert vars(crf) == before


def test_features_of_later_parts(chains):
    X, y = chains
    crf = GraphCRFClassifier(optimizer="sgd", random_state=0).partial_fit(X, y, CLASSES)
    before = dict(vars(crf))
    with pytest.raises(ValueError, match="features"):
        crf.partial_fit(X.select_features(slice(0, 1)), y)
    with pytest.raises(ValueError, match="X has 1 edge features"):
        crf.partial_fit(X.with_edge_features(np.ones((X.n_edges, 1))), y)
    assert vars(crf) == before


def test_signature_is_that_of_scikit_learn():
    ours, theirs = (signature(e.partial_fit) for e in (GraphCRFClassifier(optimizer="sgd"), SGDClassifier()))
    assert list(ours.parameters) == list(theirs.parameters)
