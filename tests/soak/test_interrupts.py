"""Ctrl-C at random moments of trainings: the best iterate is kept, or the estimator is as it was before."""

import contextlib
import io
import sys
import threading
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from threadpoolctl import threadpool_info

import skstruct
from skstruct import GraphCRFClassifier
from skstruct.datasets import make_chain, make_grid
from skstruct.estimator import fitted_loss
from skstruct.features import LinearFeatures
from skstruct.optim import LBFGS, AveragedSGD

N_INTERRUPTS = 200
PACKAGE = str(Path(skstruct.__file__).parent)
WHOLE_BATCH = ("lbfgs", "owlqn", "newton_cg")  # these optimisers record the value of each iterate, without an average
SETTINGS = {
    "lbfgs": {},
    "lbfgs, two threads": {"n_jobs": 2},
    "lbfgs, early stopping": {"early_stopping": True, "n_iter_no_change": 100},
    "lbfgs, pseudolikelihood": {"objective": "pseudolikelihood"},
    "lbfgs, softmax margin": {"objective": "softmax_margin"},
    "lbfgs, network": {"features": "network"},
    "owlqn": {"l1_ratio": 0.5},
    "newton_cg": {"optimizer": "newton_cg"},
    "marginal, two stages": {"objective": "marginal"},
    "start with sgd": {"optimizer": LBFGS(start_with=AveragedSGD(n_epochs=2))},
    "sgd": {"optimizer": "sgd"},
    "adam": {"optimizer": "adam"},
    "bcfw": {"objective": "hinge", "optimizer": "bcfw", "features": LinearFeatures(fit_intercept=False)},
    "perceptron": {"objective": "perceptron", "optimizer": "averaged_perceptron"},
    "tree-reweighted, two stages": {"inference": "tree_reweighted"},
}
INCREMENTAL = {
    "sgd": {"optimizer": "sgd"},
    "adam": {"optimizer": "adam"},
    "perceptron": {"objective": "perceptron", "optimizer": "averaged_perceptron"},
}


class Moments:
    """Count the calls of functions of skstruct in this thread, and raise KeyboardInterrupt in one of them."""

    def __init__(self, interrupted=None):
        self.interrupted, self.n_calls, self.place = interrupted, 0, ""

    def __enter__(self):
        sys.setprofile(self)

    def __exit__(self, *_):
        sys.setprofile(None)

    def __call__(self, frame, event, _):
        # An interrupt in the first instruction of an `__exit__`, which no Python code can handle, is left out.
        is_counted = event == "call" and frame.f_code.co_name != "__exit__"
        if is_counted and frame.f_code.co_filename.startswith(PACKAGE):
            self.n_calls += 1
            if self.n_calls == self.interrupted:
                self.place = f"{Path(frame.f_code.co_filename).name}:{frame.f_code.co_qualname}"
                raise KeyboardInterrupt


def train(fit, data, moments):
    """Call ``fit``, and return the number of iterations that were reported; an interrupt passes."""
    printed = io.StringIO()
    interrupt = None
    with contextlib.redirect_stdout(printed), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the iterations are few
        try:
            with moments:
                fit(*data)
        except KeyboardInterrupt as error:
            interrupt = error
    rows = [line for line in printed.getvalue().splitlines() if line.split()[0].isdecimal()]
    return len(rows), interrupt


def state(crf):
    return {name: value for name, value in vars(crf).items() if name not in crf.get_params()}


def is_same(before, after):
    return before.keys() == after.keys() and all(before[key] is after[key] for key in before)


def objective(crf, data):
    """Value of the minimised function."""
    with fitted_loss(crf, *data) as fitted:
        coef, penalized = fitted.model.coef, fitted.model.feature_plan.penalized
        penalty = (1 - crf.l1_ratio) / 2 * coef**2 + crf.l1_ratio * np.abs(coef)
        return crf.C * fitted.loss(coef)[0] + penalty @ penalized


def blas_threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


@cache
def whole_training(name):
    """Data, settings and result of a training without an interrupt, and its number of calls."""
    make = make_grid if "tree-reweighted" in name else make_chain
    data, earlier = (make(n_graphs=8, return_X_y=True, random_state=seed) for seed in (0, 1))
    settings = {"C": 10, "max_iter": 8, "tol": 1e-9, "random_state": 0, "verbose": 1, **SETTINGS[name]}
    whole, moments = GraphCRFClassifier(**settings), Moments()
    train(whole.fit, data, Moments())  # compiles
    train(clone(whole).fit, data, moments)
    return data, earlier, settings, whole, moments.n_calls


@cache
def whole_parts(name):
    """Parts of data, settings, weights after each whole call of partial_fit, and its numbers of calls."""
    X, y = make_chain(n_graphs=24, return_X_y=True, random_state=0)
    parts = [(X[part], y[part], np.unique(y.values)) for part in (slice(0, 8), slice(8, 16), slice(16, 24))]
    settings = {"C": 10, "random_state": 0, **INCREMENTAL[name]}
    whole, weights, n_calls = GraphCRFClassifier(**settings), [], []
    train(clone(whole).partial_fit, parts[0], Moments())  # compiles
    for part in parts:
        moments = Moments()
        train(whole.partial_fit, part, moments)
        weights.append(whole._model.coef)
        n_calls.append(moments.n_calls)
    return parts, settings, weights, n_calls


def check_interrupt_of_partial_fit(number):
    """Interrupt the first or a later call of partial_fit; returns whether its result is kept."""
    rng, name = np.random.default_rng(number), list(INCREMENTAL)[number % len(INCREMENTAL)]
    parts, settings, weights, n_calls = whole_parts(name)
    crf, k = GraphCRFClassifier(**settings), int(rng.integers(len(parts)))
    for part in parts[:k]:
        crf.partial_fit(*part)
    before = state(crf)
    moments = Moments(int(rng.integers(1, n_calls[k] + 1)))
    interrupt = train(crf.partial_fit, parts[k], moments)[1]
    context = f"partial_fit, {name}, call {moments.interrupted} of {n_calls[k]}, {moments.place}, part {k}"
    assert interrupt is not None, f"the interrupt was lost: {context}"
    is_kept = not is_same(before, state(crf))
    if is_kept:
        np.testing.assert_array_equal(crf._model.coef, weights[k], err_msg=f"neither before nor after: {context}")
    for part, expected in zip(parts[k + is_kept :], weights[k + is_kept :]):
        crf.partial_fit(*part)
        np.testing.assert_array_equal(crf._model.coef, expected, err_msg=f"the next call differs: {context}")
    return is_kept


def check_interrupt(number):
    """Interrupt a training; returns whether an iterate is kept."""
    rng, name = np.random.default_rng(number), list(SETTINGS)[number % len(SETTINGS)]
    data, earlier, settings, whole, n_calls = whole_training(name)
    crf = GraphCRFClassifier(**settings)
    is_fitted = rng.random() < 0.5
    if is_fitted:
        train(crf.fit, earlier, Moments())
    before, n_threads, n_blas = state(crf), threading.active_count(), blas_threads()
    moments = Moments(int(rng.integers(1, n_calls + 1)))
    n_reported, interrupt = train(crf.fit, data, moments)
    context = f"{name}, call {moments.interrupted} of {n_calls}, {moments.place}, fitted before: {is_fitted}"
    assert interrupt is not None, f"the interrupt was lost: {context}"
    assert threading.active_count() == n_threads, f"threads are left: {context}"
    assert blas_threads() == n_blas, f"BLAS has other numbers of threads: {context}"
    is_kept = not is_same(before, state(crf))
    if is_kept:
        assert len(crf.loss_curve_) == crf.n_iter_, context
        crf.predict(data[0])
        if "two stages" not in name and "start with" not in name:  # these report the iterations of both stages
            assert crf.n_iter_ >= n_reported, f"{crf.n_iter_} of {n_reported} iterations are kept: {context}"
        if n_reported and "two stages" not in name:
            np.testing.assert_array_equal(crf.loss_curve_, whole.loss_curve_[: crf.n_iter_], err_msg=context)
        if name.startswith(WHOLE_BATCH) and "early" not in name:
            assert objective(crf, data) <= crf.loss_curve_[-1] * (1 + 1e-9), f"not the best iterate: {context}"
    else:
        assert n_reported == 0, f"{n_reported} iterations are lost: {context}"
    train(crf.fit, data, Moments())
    np.testing.assert_array_equal(crf._model.coef, whole._model.coef, err_msg=f"the next fit differs: {context}")
    return is_kept


@pytest.mark.slow  # some minutes
def test_interrupts(figure):
    n_kept = sum(map(check_interrupt, range(N_INTERRUPTS)))
    figure(
        f"interrupts of fit: {N_INTERRUPTS} at random moments of {len(SETTINGS)} kinds of training, {n_kept} iterates "
        f"kept, {N_INTERRUPTS - n_kept} estimators unchanged: 0 lost"
    )


def test_interrupts_of_partial_fit(figure):
    n_kept = sum(map(check_interrupt_of_partial_fit, range(N_INTERRUPTS)))
    figure(
        f"interrupts of partial_fit: {N_INTERRUPTS} at random moments with {len(INCREMENTAL)} optimisers, {n_kept} "
        f"results kept, {N_INTERRUPTS - n_kept} estimators unchanged: 0 lost"
    )
