"""A training that was stopped, pickled and continued ends where an uninterrupted one ends."""

import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skstruct import GraphCRFClassifier
from skstruct.datasets import make_chain
from skstruct.objectives import Likelihood
from skstruct.optim import LBFGS, Adam, AveragedSGD

FITTED = ("coef_", "intercept_", "edge_coef_", "loss_curve_")
OPTIMIZERS = {
    "lbfgs": {"C": 10},
    "l1": {"C": 10, "l1_ratio": 0.3},
    "start": {"C": 10, "optimizer": LBFGS(start_with=AveragedSGD(3))},
    "sgd": {"optimizer": AveragedSGD(6)},
    "adam": {"optimizer": Adam(6)},
}


@pytest.fixture(scope="module")
def chains():
    return make_chain(n_graphs=60, return_X_y=True, random_state=0)


def fit(crf, data):
    """Fit without warnings about an early end, and pickle."""
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):  # trainings are stopped on purpose
        crf.fit(*data)
    return pickle.loads(pickle.dumps(crf))


def same(first, second):
    for name in FITTED:
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


class Interrupted(Likelihood):
    """A likelihood that Ctrl-C interrupts in call number `fails_at`."""

    def __init__(self, calls, fails_at):
        self.calls = calls
        self.fails_at = fails_at

    def value_and_gradient(self, inference, scores, targets):
        self.calls.append(1)
        if len(self.calls) == self.fails_at:
            raise KeyboardInterrupt
        return super().value_and_gradient(inference, scores, targets)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("max_iter", [1, 2, 5])
def test_stopped_by_max_iter(chains, name, max_iter):
    params = {"random_state": 0, "tol": 1e-5, **OPTIMIZERS[name]}
    whole = fit(GraphCRFClassifier(**params), chains)
    crf = fit(GraphCRFClassifier(max_iter=max_iter, warm_start=True, **params), chains)
    assert crf.n_iter_ == max_iter
    crf = fit(crf.set_params(max_iter=1000), chains)
    same(crf, whole)
    assert crf.n_iter_ == whole.n_iter_
    assert crf._progress is None or crf._progress.is_complete  # for `partial_fit`


@pytest.mark.parametrize("name", [*OPTIMIZERS, "newton_cg"])
def test_iterations_one_by_one(chains, name):
    """`max_iter` iterations are made in each call."""
    params = {"random_state": 0, "tol": 1e-5, **OPTIMIZERS.get(name, {"optimizer": name})}
    whole = fit(GraphCRFClassifier(**params), chains)
    crf = GraphCRFClassifier(max_iter=1, warm_start=True, **params)
    for n_iter in range(1, 5):
        crf = fit(crf, chains)
        np.testing.assert_array_equal(crf.loss_curve_, whole.loss_curve_[:n_iter])


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("fails_at", [3, 10, 17, 24])
def test_ctrl_c(chains, name, fails_at):
    params = {"random_state": 0, "tol": 1e-5, **OPTIMIZERS[name]}
    whole = fit(GraphCRFClassifier(**params), chains)
    calls = []
    crf = GraphCRFClassifier(objective=Interrupted(calls, fails_at), **params)
    with pytest.raises(KeyboardInterrupt):
        crf.fit(*chains)
    crf = pickle.loads(pickle.dumps(crf)).set_params(objective="likelihood", warm_start=True)
    assert crf._progress is not None
    crf = fit(crf, chains)
    same(crf, whole)


def test_early_stopping_continues_with_its_scores(chains):
    params = {"C": 1e3, "early_stopping": True, "random_state": None, "warm_start": True}
    crf = fit(GraphCRFClassifier(n_iter_no_change=2, **params), chains)
    held_out = crf._progress.validation.held_out
    whole = GraphCRFClassifier(n_iter_no_change=12, **params)
    whole._progress = None
    first = crf.n_iter_
    crf = fit(crf.set_params(n_iter_no_change=12), chains)
    assert crf.n_iter_ > first
    np.testing.assert_array_equal(crf._progress.validation.held_out, held_out)  # although there is no seed
    seed = 3
    whole = fit(GraphCRFClassifier(n_iter_no_change=12, **{**params, "random_state": seed}), chains)
    parts = fit(GraphCRFClassifier(n_iter_no_change=2, **{**params, "random_state": seed}), chains)
    parts = fit(parts.set_params(n_iter_no_change=12), chains)
    same(parts, whole)
    np.testing.assert_array_equal(parts.validation_scores_, whole.validation_scores_)


@pytest.mark.parametrize("change", ["C", "data", "optimizer", "l1_ratio"])
def test_another_problem_starts_at_the_solution(chains, change):
    """The state belongs to another function; the weights are a good start."""
    X, y = chains
    crf = fit(GraphCRFClassifier(max_iter=8, warm_start=True), chains)
    start = crf._model.coef
    changes = {"C": {"C": 0.5}, "l1_ratio": {"l1_ratio": 0.5}, "optimizer": {"optimizer": "owlqn"}, "data": {}}
    data = (X[:40], y[:40]) if change == "data" else chains
    crf.set_params(max_iter=1, **changes[change])
    crf = fit(crf, data)
    assert crf.n_iter_ == 1
    fresh = clone(crf)
    fresh._model = GraphCRFClassifier().fit(X, y)._model.__class__(crf._model.feature_plan, start, None, crf.classes_)
    same(fit(fresh, data), crf)


def test_a_finished_training_starts_again(chains):
    crf = fit(GraphCRFClassifier(optimizer=AveragedSGD(3), warm_start=True, random_state=0), chains)
    before = crf.coef_.copy()
    crf = fit(crf, chains)
    assert crf.n_iter_ == 3
    assert not np.array_equal(crf.coef_, before)


def test_an_error_leaves_the_state(chains):
    """The state is copied before the optimiser changes it."""
    crf = fit(GraphCRFClassifier(C=10, max_iter=4, warm_start=True), chains)
    bits = pickle.dumps(crf._progress.state)

    class Failing(Likelihood):
        calls = 0

        def value_and_gradient(self, *args):
            Failing.calls += 1
            if Failing.calls == 4:
                raise FloatingPointError
            return super().value_and_gradient(*args)

    with pytest.raises(FloatingPointError):
        crf.set_params(objective=Failing()).fit(*chains)
    assert pickle.dumps(crf._progress.state) == bits


def test_without_warm_start_nothing_is_continued(chains):
    crf = fit(GraphCRFClassifier(C=10, max_iter=4), chains)
    first = crf.coef_
    np.testing.assert_array_equal(fit(crf, chains).coef_, first)
