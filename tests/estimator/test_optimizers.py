"""The estimator with its optimisers: stochastic steps against the whole gradient, seeds, and where they end."""

import numpy as np
import pytest
from sklearn.base import clone

from skstruct import GraphCRFClassifier
from skstruct.estimator import _chunks
from skstruct.features import LinearFeatures
from skstruct.optim import LBFGS, AveragedSGD, Optimizer, OptimizerState

SIZES = np.random.default_rng(0).integers(1, 7, size=120)


class Probe(Optimizer):
    """Hands the function that is minimised to a test."""

    def __init__(self, body):
        self.body = body

    def iterate(self, loss, start, *, l1=None, max_iter, tol):
        self.body(loss)
        yield OptimizerState(start, 0.0, 0.0, success=True)


@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize("features", [LinearFeatures(), LinearFeatures("observed", node_weights="observed")])
def test_minibatches_add_up_to_the_whole(make_data, monkeypatch, storage, features):
    monkeypatch.setattr(_chunks, "MINIBATCH_SCORES", 40)
    X, y = make_data(sizes=SIZES, storage=storage)
    weights = np.random.default_rng(1).random(len(SIZES))

    def body(fun):
        coef = np.random.default_rng(2).normal(size=len(fun.l2)) * fun.feature_plan.free
        penalty = 0.5 * (fun.l2 * coef) @ coef
        assert fun.n_batches > len(SIZES) / Optimizer.batch_size > 3
        value, gradient = fun(coef)
        total, moved = 0.0, np.zeros_like(coef)
        for batch in range(fun.n_batches):
            stepped = coef.copy()
            total += fun.steps([batch], stepped, 1e-3)
            moved += stepped - coef
        assert total + penalty == pytest.approx(value, rel=1e-12)
        np.testing.assert_allclose(moved / -1e-3 + fun.l2 * coef, gradient, atol=1e-9)
        unmoved = coef.copy()
        assert fun.steps(np.arange(fun.n_batches), unmoved, 0.0) == pytest.approx(total, rel=1e-12)
        np.testing.assert_array_equal(unmoved, coef)

    GraphCRFClassifier(features, optimizer=Probe(body)).fit(X, y, sample_weight=weights)


def test_sgd_comes_near_the_optimum(make_data):
    X, y = make_data(sizes=SIZES)
    best = GraphCRFClassifier().fit(X, y)
    found = GraphCRFClassifier(optimizer=AveragedSGD(n_epochs=60), random_state=0).fit(X, y)
    np.testing.assert_allclose(found.predict_proba(X).values, best.predict_proba(X).values, atol=0.02)
    assert best.log_likelihood(X, y).sum() - 1 < found.log_likelihood(X, y).sum()
    assert found.n_iter_ == 60


def test_seed_of_the_estimator_and_of_the_optimiser(make_data):
    X, y = make_data(sizes=SIZES)

    def coef(optimizer, random_state=None):
        crf = GraphCRFClassifier(optimizer=optimizer, random_state=random_state)
        before = crf.get_params()
        found = crf.fit(X, y).coef_
        assert repr(crf.get_params()) == repr(before)  # the user's optimiser is not touched
        return found

    one = coef("sgd", 1)
    np.testing.assert_array_equal(coef("sgd", 1), one)
    np.testing.assert_array_equal(coef(AveragedSGD(random_state=1)), one)
    np.testing.assert_array_equal(coef(AveragedSGD(random_state=1), 2), one)
    assert not np.array_equal(coef("sgd", 2), one)
    warm = LBFGS(start_with=AveragedSGD(n_epochs=2))
    np.testing.assert_array_equal(coef(clone(warm), 1), coef(clone(warm), 1))


def test_warm_start_by_sgd_ends_at_the_same_optimum(make_data):
    X, y = make_data(sizes=SIZES)
    cold = GraphCRFClassifier(tol=1e-8).fit(X, y)
    warm = GraphCRFClassifier(tol=1e-8, optimizer=LBFGS(start_with=AveragedSGD(n_epochs=3)), random_state=0).fit(X, y)
    np.testing.assert_allclose(warm.coef_, cold.coef_, atol=1e-4)


@pytest.mark.parametrize("kind", ["chain", "tree", "cycle"])
@pytest.mark.parametrize("hidden", [False, True])
def test_newton_finds_the_optimum_with_more_digits(make_data, kind, hidden):
    X, y = make_data(kind, sizes=SIZES[:20])
    if hidden:
        y.values[5::4] = -1
    settings = {"missing_label": -1, "tol": 1e-8}
    best = GraphCRFClassifier(**settings).fit(X, y)
    found = GraphCRFClassifier(optimizer="newton_cg", **settings).fit(X, y)
    assert found.loss_curve_[-1] == pytest.approx(best.loss_curve_[-1], rel=1e-9)
    assert found.n_iter_ < best.n_iter_
    again = GraphCRFClassifier(optimizer="newton_cg", n_jobs=2, **settings).fit(X, y)
    np.testing.assert_array_equal(again.coef_, found.coef_)


def test_sgd_refuses_an_l1_penalty(make_data):
    with pytest.raises(ValueError, match="L1 penalty; use optimizer='lbfgs'"):
        GraphCRFClassifier(optimizer="sgd", l1_ratio=0.5).fit(*make_data())
