"""States from files are checked before compiled code, which does not check bounds, reads them."""

import pickle
from copy import deepcopy

import numpy as np
import pytest

from skstruct import GraphCRFClassifier
from skstruct.datasets import make_chain
from skstruct.features import LinearFeatures
from skstruct.optim import OPTIMIZERS
from skstruct.optim import _history as history

DAMAGED = "the state of an optimiser is damaged"


def fitted(optimizer, **parameters):
    """An estimator whose training has been stopped."""
    X, y = make_chain(n_graphs=20, return_X_y=True, random_state=0)
    crf = GraphCRFClassifier(objective="hinge" if optimizer in ("bcfw", "averaged_perceptron") else "likelihood")
    crf.set_params(features=LinearFeatures(fit_intercept=False), optimizer=optimizer, random_state=0)  # BCFW needs it
    crf.set_params(warm_start=True, max_iter=2, **parameters)
    with pytest.warns(UserWarning, match="stopped after"):
        crf.fit(X, y)
    return crf, X, y


def arrays_in(value):
    """Pairs of an object and the name of an array in it."""
    for name, part in vars(value).items():
        if isinstance(part, np.ndarray):
            yield value, name
        elif hasattr(part, "is_consistent"):
            yield from arrays_in(part)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("long", [2**17, 1])
def test_arrays_of_other_lengths(optimizer, long, monkeypatch):
    monkeypatch.setattr(history, "LONG", long)
    state = fitted(optimizer)[0]._progress.state
    pickle.loads(pickle.dumps(state))
    n = len(list(arrays_in(state)))
    assert n
    for number in range(n):
        damaged = deepcopy(state)
        owner, name = list(arrays_in(damaged))[number]
        vars(owner)[name] = getattr(owner, name)[..., :-1]
        with pytest.raises(ValueError, match=DAMAGED):
            pickle.loads(pickle.dumps(damaged))


@pytest.mark.parametrize("places", [[10], [-1], ["a"]])
def test_places_of_pairs(places):
    state = fitted("lbfgs")[0]._progress.state
    state.history.places = places
    with pytest.raises(ValueError, match=DAMAGED):
        pickle.loads(pickle.dumps(state))


def test_best_iterate_of_another_length():
    progress = fitted("lbfgs", early_stopping=True)[0]._progress
    pickle.loads(pickle.dumps(progress))
    progress.validation.best_coef = progress.validation.best_coef[:-1]
    with pytest.raises(ValueError, match="the state of a training is damaged"):
        pickle.loads(pickle.dumps(progress))


def test_state_of_another_model():
    """A state of another number of parameters does not continue; the training starts at the weights of the model."""
    crf, X, y = fitted("lbfgs")
    other = deepcopy(crf)
    object.__setattr__(crf._progress, "state", deepcopy(crf._progress.state))
    for owner, name in arrays_in(crf._progress.state):
        vars(owner)[name] = getattr(owner, name)[..., :-1]
    other._progress = None
    for estimator in (crf, other):
        estimator.set_params(max_iter=100).fit(X, y)
    assert (crf._model.coef == other._model.coef).all()
