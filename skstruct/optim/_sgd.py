"""Averaged stochastic gradient descent: a good solution after a few passes over the data."""

import math
from copy import deepcopy
from dataclasses import dataclass

import numpy as np

from skstruct.components import require_integers, require_number
from skstruct.kernels.jit import kernel
from skstruct.optim._base import Optimizer, OptimizerState, own_generator

PENALTY_STEPS = 10  # per epoch; penalty and average, which cost O(n_coef), are computed so often
SAMPLE = 64  # mini-batches for the choice of the learning rate
MAX_PASSES = 3  # over a smaller sample, if the objective is not smooth
FIRST_RATE = 16.0
MAX_DOUBLINGS = 30  # or halvings, of the learning rate


class AveragedSGD(Optimizer):
    r"""Stochastic gradient descent on mini-batches, and the average of its path [1]_.

    It comes near the minimum in few epochs; an epoch costs little more than one evaluation of the gradient. The result
    is often good enough for prediction, but it does not give several digits of the objective. It needs an objective
    that is a sum over mini-batches (see `StochasticLoss`), and does not support an L1 penalty.

    A step on mini-batch :math:`b` is :math:`w \leftarrow w - \eta_t n \nabla loss_b(w)` where :math:`n` is the number
    of mini-batches, so that the rate :math:`\eta` does not depend on the number of data. It decays as
    :math:`\eta_t = \eta / (1 + \eta n \lambda t)` after :math:`t` epochs with the mean strength :math:`\lambda` of the
    L2 penalty [2]_. A step on the penalty costs O(n_coef), so there are only a few per epoch. If the objective is
    convex, the result is the average over the second half of the epochs. Otherwise, e.g. for a network, the average may
    be much worse than the points that it averages, and the result is the end of the path.

    Parameters
    ----------
    n_epochs : int, default=8
        Number of passes over the data. A smaller `max_iter` ends them earlier. Usual are six to ten, and two or three
        as a start of `LBFGS`.
    learning_rate : float or None, default=None
        :math:`\eta`. None: it is chosen before the start. A pass over a sample of up to 64 mini-batches, or up to three
        passes if there are fewer and the objective is not smooth, is tried with the rate 16. Then the rate is doubled
        or halved while this lowers the objective on the sample [2]_.
    batch_size : int, default=16
        Largest number of graphs in a mini-batch.
    random_state : int, RandomState or None, default=None
        Determines the order of the mini-batches.

    See Also
    --------
    Adam : for maps that are not linear.

    References
    ----------
    .. [1] B. T. Polyak, A. B. Juditsky, "Acceleration of stochastic approximation by averaging", *SIAM J. Control and
       Optimization* 30(4), 1992.
    .. [2] L. Bottou, "Stochastic gradient descent tricks", *Neural Networks: Tricks of the Trade*, 2012.

    Examples
    --------
    The mean of ten numbers, as a least-squares problem with a mini-batch for each:

    >>> import numpy as np
    >>> from skstruct.optim import AveragedSGD
    >>> class Squares:
    ...     numbers, n_batches, l2 = np.arange(10.0), 10, np.zeros(1)
    ...     def __call__(self, coef):
    ...         return ((coef - self.numbers) ** 2).sum() / 2, (coef - self.numbers).sum(keepdims=True)
    ...     def steps(self, batches, coef, rate):
    ...         loss = 0.0
    ...         for number in self.numbers[batches]:
    ...             loss += (coef[0] - number) ** 2 / 2
    ...             coef -= rate * (coef - number)
    ...         return loss
    >>> found = AveragedSGD(n_epochs=100, random_state=0).minimize(Squares(), np.zeros(1), max_iter=100, tol=0)
    >>> bool(abs(found.x[0] - 4.5) < 0.1)
    True
    """

    needs_smooth = False
    stochastic = True
    incremental = True

    def __init__(self, n_epochs=8, *, learning_rate=None, batch_size=16, random_state=None):
        self.n_epochs = n_epochs
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.random_state = random_state

    def check(self, loss, l1):
        """Refuse parameters out of range, an L1 penalty and a function without mini-batches; see `Optimizer`."""
        require_integers(self, "n_epochs", "batch_size")
        if self.learning_rate is not None:
            require_number(self, "learning_rate", lambda rate: 0 < rate < math.inf, "None or a positive number")
        super().check(loss, l1)

    def iterate(self, loss, start, *, l1=None, max_iter, tol):
        """Yield the start, then the average of the path after each epoch; see `Optimizer`.

        The value of a state is the sum of the losses of the steps of its epoch, each before the step, plus the penalty
        at the end of the epoch. This is an estimate of the objective at no cost. Only start and result are evaluated.
        """
        state = start if isinstance(start, _SGDState) else self._start(loss, start)
        if state is not start:
            yield state
        state.message = ""
        if state.n_iter == 0 and state.gradient_norm <= tol:
            state.success, state.message = True, "gradient within tol"
            yield state
            return
        self._set_rate(loss, state)
        is_convex = getattr(loss, "convex", True)  # a plain function declares nothing
        while state.n_iter < min(self.n_epochs, max_iter):
            state = _epoch(loss, state, 1.0 if is_convex and 2 * state.n_iter >= self.n_epochs - 1 else None)
            yield state
        state.value, state.n_evaluations = loss(state.x)[0], state.n_evaluations + 1
        if not state.value < state.start_value:
            state.x, state.value = state.start, state.start_value
            state.message = f"the steps led upwards, with learning_rate={state.rate:.3g}"
        elif max_iter < self.n_epochs:
            state.message = "max_iter reached"
        else:
            state.success, state.message = True, "n_epochs done"
        yield state

    def update(self, loss, start):
        """One epoch, and the average over the path of all calls in which later points have larger weights."""
        state = start if isinstance(start, _SGDState) else self._start(loss, start)
        self._set_rate(loss, state)
        return _epoch(loss, state, 2.0 if getattr(loss, "convex", True) else None)

    def _set_rate(self, loss, state):
        if state.rate is None:
            rng = deepcopy(state.rng)  # the state is unchanged if this is interrupted
            rate = _calibrate(loss, state.coef, rng.permutation(loss.n_batches)[:SAMPLE])
            state.rng, state.rate = rng, rate

    def _start(self, loss, start):
        coef = np.array(start, dtype=np.float64)
        value, gradient = loss(coef)
        return _SGDState(
            x=coef.copy(),
            value=value,
            gradient_norm=float(np.abs(gradient).max(initial=0.0)),
            n_evaluations=1,
            start=coef.copy(),
            start_value=value,
            coef=coef,
            average=coef.copy(),
            rate=self.learning_rate,
            rng=own_generator(self.random_state),
        )


@dataclass(kw_only=True)
class _SGDState(OptimizerState):
    """State after an epoch; `x` is the average of the path, or its end before the averaging starts."""

    start: np.ndarray
    start_value: float
    coef: np.ndarray  # end of the path
    average: np.ndarray
    rate: float | None
    rng: np.random.RandomState
    n_averaged: int = 0


def _epoch(loss, before, growth):
    """Return the state after a pass over the data; an interrupted pass leaves the state before it unchanged.

    The average has equal weights if `growth` is 1, and weights that grow linearly if it is 2; no average if None.
    """
    state = deepcopy(before)
    total, epoch, coef = 0.0, state.n_iter, state.coef
    n_steps = min(PENALTY_STEPS, loss.n_batches)
    decay = state.rate * loss.n_batches * loss.l2.mean()
    for number, batches in enumerate(np.array_split(state.rng.permutation(loss.n_batches), n_steps)):
        step = state.rate * loss.n_batches / (1 + decay * (epoch + number / n_steps))
        total += loss.steps(batches, coef, step)
        state.n_averaged += growth is not None
        fraction = 0.0 if growth is None else growth / (state.n_averaged + growth - 1.0)
        _shrink(coef, loss.l2, step * len(batches) / loss.n_batches, state.average, fraction)
    state.x = (state.average if state.n_averaged else coef).copy()
    state.value, state.gradient_norm = total + _penalty(loss.l2, coef), math.nan
    state.n_iter += 1
    return state


def _calibrate(fun, start, batches):
    """Learning rate with the lowest objective on a sample after one pass over it, by doubling or halving.

    A few steps with a hinge loss can raise the objective at any rate: where all weights are zero, all labellings tie.
    Therefore such a sample is passed over several times if it is small.
    """
    n_passes = 1 if getattr(fun, "smooth", True) else min(math.ceil(SAMPLE / len(batches)), MAX_PASSES)

    def objective(rate):
        coef = start.copy()
        for _ in range(n_passes):
            fun.steps(batches, coef, rate * fun.n_batches)
        return fun.steps(batches, coef, 0.0) + _penalty(fun.l2, coef) * len(batches) / fun.n_batches

    best, lowest = FIRST_RATE, objective(FIRST_RATE)
    for factor in (2.0, 0.5):
        for _ in range(MAX_DOUBLINGS):
            found = objective(best * factor)
            if not found < lowest:
                break
            best, lowest = best * factor, found
        if best > FIRST_RATE:  # a doubled rate was better, so halved ones are not tried
            break
    return best


@kernel
def _shrink(coef, l2, step, average, fraction):
    """Do an implicit step on the penalty, stable at any rate; update the average with the result times `fraction`."""
    for k in range(len(coef)):
        coef[k] /= 1.0 + step * l2[k]
        average[k] += fraction * (coef[k] - average[k])


@kernel(fastmath={"contract", "reassoc"})
def _penalty(l2, coef):
    """``sum(l2 * coef**2) / 2``."""
    total = 0.0
    for k in range(len(coef)):
        total += l2[k] * coef[k] * coef[k]
    return 0.5 * total
