"""The averaged perceptron: a step for each mistake, and the average of all iterates."""

import math
from copy import deepcopy
from dataclasses import dataclass

import numpy as np

from skstruct.components import require_integers
from skstruct.optim._base import Optimizer, OptimizerState, own_generator

AVERAGED = 100  # points of an epoch that are averaged, as each costs O(n_coef)


class AveragedPerceptron(Optimizer):
    r"""Averaged structured perceptron [1]_, for ``objective="perceptron"``.

    Each graph is decoded with the current parameters. If a label is wrong, the features of the labels are added, and
    those of the decoded labelling are subtracted. The result is the average of the parameters over all steps of all
    epochs. With ``objective="hinge"`` the cost-augmented labelling takes the place of the decoded one; this is the
    perceptron with margin.

    The algorithm counts mistakes, and does not minimise: it uses no penalty, so that `C` has no influence on
    predictions, and it does not compare values of the objective. Its regularisation is the average over few epochs.
    The scores have no scale, and define no probabilities. It needs a loss that is a maximum of linear functions, with a
    linear feature map and all labels known. An L1 penalty is not supported.

    Parameters
    ----------
    n_epochs : int, default=10
        Number of passes over the data, if `max_iter` is not smaller. Usual are five to twenty.
    batch_size : int, default=1
        Largest number of graphs that are decoded with the same parameters.
    random_state : int, RandomState or None, default=None
        Determines the order of the graphs.

    See Also
    --------
    BCFW : minimises the structured hinge, with a penalty.

    References
    ----------
    .. [1] M. Collins, "Discriminative training methods for hidden Markov models: theory and experiments with perceptron
       algorithms", EMNLP 2002.

    Examples
    --------
    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.datasets import make_chain
    >>> X, y = make_chain(n_graphs=50, return_X_y=True, random_state=0)
    >>> crf = GraphCRFClassifier(objective="perceptron", optimizer="averaged_perceptron", random_state=0).fit(X, y)
    >>> bool(crf.score(X, y) > 0.8)
    True
    """

    needs_smooth = False
    needs_piecewise_linear = True
    stochastic = True
    incremental = True

    def __init__(self, n_epochs=10, *, batch_size=1, random_state=None):
        self.n_epochs = n_epochs
        self.batch_size = batch_size
        self.random_state = random_state

    def check(self, loss, l1):
        """Refuse parameters out of range, and losses that are no maxima of linear functions; see `Optimizer`."""
        require_integers(self, "n_epochs", "batch_size")
        super().check(loss, l1)

    def iterate(self, loss, start, *, l1=None, max_iter, tol):
        """Yield the start, then the average after each epoch; see `Optimizer`.

        The value of a state is the sum of the losses of the steps of its epoch, each before the step, plus the penalty
        of the average. `tol` is not used.
        """
        state = start if isinstance(start, _PerceptronState) else self._start(start, loss(start)[0])
        if state is not start:
            yield state
        while state.n_iter < min(self.n_epochs, max_iter):
            state = _epoch(loss, state)
            yield state
        state.value, state.n_evaluations = loss(state.x)[0], state.n_evaluations + 1
        state.success = state.n_iter >= self.n_epochs
        state.message = "n_epochs done" if state.success else "max_iter reached"
        yield state

    def update(self, loss, start):
        """One epoch; the average is that of all epochs. See `Optimizer`."""
        return _epoch(loss, start if isinstance(start, _PerceptronState) else self._start(start, math.nan))

    def _start(self, start, value):
        coef = np.array(start, np.float64)
        rng = own_generator(self.random_state)
        return _PerceptronState(coef, value, math.nan, n_evaluations=1, coef=coef, rng=rng)


@dataclass(kw_only=True)
class _PerceptronState(OptimizerState):
    """State after an epoch; `x` is the average of the path, and `coef` its end."""

    coef: np.ndarray
    rng: np.random.RandomState
    n_averaged: int = 0


def _epoch(loss, before):
    """Return the state after a pass over the data; an interrupted pass leaves the state before it unchanged."""
    state, n = deepcopy(before), loss.n_batches
    state.message, state.value = "", 0.0
    average = state.x.copy()
    for batches in np.array_split(state.rng.permutation(n), min(AVERAGED, n)):
        # The length of the steps scales all parameters, and changes no prediction.
        state.value += loss.steps(batches, state.coef, float(n))
        state.n_averaged += 1
        average += (state.coef - average) / state.n_averaged
    state.value += 0.5 * float(loss.l2 @ average**2)
    state.x = average
    state.n_iter += 1
    return state
