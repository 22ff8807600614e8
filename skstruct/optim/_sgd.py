"""Averaged stochastic gradient descent: a good solution after a few passes over the data."""

import math
from numbers import Integral, Real

import numpy as np
from scipy.optimize import OptimizeResult
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from skstruct._jit import kernel

PARTS = 10  # of an epoch; all that touches every parameter, penalty and average, happens between parts
SAMPLE = 64  # mini-batches that judge a learning rate
FIRST_RATE = 16.0
MAX_DOUBLINGS = 30  # or halvings of a learning rate


class AveragedSGD(BaseEstimator):
    r"""Stochastic gradient descent, a mini-batch at a time, and the average of its path [1]_.

    In few epochs, each hardly dearer than one evaluation of the gradient, it comes near the minimum: as near as
    prediction needs, often, but not to several digits of the objective. It needs an objective that can be cut into
    mini-batches (see `StochasticFunction`), and no L1 penalty.

    A step on mini-batch :math:`b` is :math:`w \leftarrow w - \eta_t n \nabla loss_b(w)` where :math:`n` is the number
    of mini-batches, so that the rate :math:`\eta` does not depend on the number of data. It decays as
    :math:`\eta_t = \eta / (1 + \eta n \lambda t)` after :math:`t` epochs with the mean strength :math:`\lambda` of the
    L2 penalty [2]_. The penalty itself costs O(n_coef) and is therefore applied a few times per epoch only. The result
    is the average over the second half of the epochs.

    Parameters
    ----------
    n_epochs : int, default=8
        Passes over the data; `max_iter` limits them too. Six to ten are usual, two or three for a start of `LBFGS`.
    learning_rate : float or None, default=None
        :math:`\eta`. None: chosen before the start. A pass over a sample of up to 64 mini-batches is tried with
        16, and with rates doubled or halved for as long as that lowers the objective on the sample [2]_.
    random_state : int, RandomState or None, default=None
        Order of the mini-batches.

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
    >>> found = AveragedSGD(n_epochs=100, random_state=0).minimize(Squares(), np.zeros(1), l1=None, max_iter=100, tol=0)
    >>> bool(abs(found.x[0] - 4.5) < 0.1)
    True
    """

    def __init__(self, n_epochs=8, *, learning_rate=None, random_state=None):
        self.n_epochs = n_epochs
        self.learning_rate = learning_rate
        self.random_state = random_state

    def minimize(self, fun, coef0, *, l1, max_iter, tol, callback=None):
        """Come near the minimum of a `StochasticFunction`; see `Optimizer`.

        An iteration is an epoch. `loss_curve` and the callback get the loss of its steps, each before the step, with
        the penalty at its end: an estimate of the objective, which costs nothing. Only start and result are evaluated;
        the callback's norm is nan.

        Raises
        ------
        TypeError
            If `fun` has no mini-batches.
        ValueError
            If there is an L1 penalty, or a parameter is out of range.
        """
        if not isinstance(self.n_epochs, Integral) or self.n_epochs < 1:
            raise ValueError(f"AveragedSGD: n_epochs must be an integer >= 1, got {self.n_epochs!r}.")
        rate = self.learning_rate
        if rate is not None and not (isinstance(rate, Real) and 0 < float(rate) < math.inf):
            raise ValueError(f"AveragedSGD: learning_rate must be None or a positive number, got {rate!r}.")
        if l1 is not None:
            raise ValueError("AveragedSGD does not take an L1 penalty; use optimizer='lbfgs'.")
        if not hasattr(fun, "steps"):
            raise TypeError(f"AveragedSGD needs a function with mini-batches, got {fun!r}; use optimizer='lbfgs'.")
        rng = check_random_state(self.random_state)
        coef = np.array(coef0, dtype=np.float64)
        x, curve, interrupt = coef.copy(), [], None
        value, gradient = fun(coef)
        n_evaluations, success, message = 1, False, ""
        try:
            if np.abs(gradient).max(initial=0.0) <= tol:
                success, message = True, "gradient within tol at the start"
            else:
                if rate is None:
                    rate = _calibrate(fun, coef, rng.permutation(fun.n_batches)[:SAMPLE])
                start_value = value
                for average, value in _epochs(fun, coef, rate, min(self.n_epochs, max_iter), rng):
                    x[:] = average
                    curve.append(value)
                    if callback is not None:
                        callback(len(curve), value, math.nan)
                value, n_evaluations = fun(x)[0], 2
                if not value < start_value:
                    x, value = np.array(coef0, dtype=np.float64), start_value
                    message = f"the steps led upwards, with learning_rate={rate:.3g}"
                elif max_iter < self.n_epochs:
                    message = "max_iter reached"
                else:
                    success, message = True, "n_epochs done"
        except KeyboardInterrupt as error:
            interrupt, message = error, "interrupted"
        return OptimizeResult(
            x=x,
            fun=float(value),
            nit=len(curve),
            nfev=n_evaluations,
            success=success,
            message=message,
            loss_curve=np.array(curve),
            interrupt=interrupt,
        )


def _epochs(fun, coef, rate, n_epochs, rng):
    """Run epochs from `coef`, which changes; after each one yield the result so far and the epoch's loss."""
    n_parts = min(PARTS, fun.n_batches)
    average, n_averaged = coef.copy(), 0
    decay = rate * fun.n_batches * fun.l2.mean()
    for epoch in range(n_epochs):
        loss = 0.0
        for part, batches in enumerate(np.array_split(rng.permutation(fun.n_batches), n_parts)):
            step = rate * fun.n_batches / (1 + decay * (epoch + part / n_parts))
            loss += fun.steps(batches, coef, step)
            is_averaged = 2 * epoch >= n_epochs - 1
            n_averaged += is_averaged
            share = 1.0 / n_averaged if is_averaged else 0.0
            _shrink(coef, fun.l2, step * len(batches) / fun.n_batches, average, share)
        yield average if n_averaged else coef, loss + _penalty(fun.l2, coef)


def _calibrate(fun, start, batches):
    """Learning rate with the lowest objective on a sample after one pass over it, by doubling or halving."""

    def objective(rate):
        coef = start.copy()
        fun.steps(batches, coef, rate * fun.n_batches)
        return fun.steps(batches, coef, 0.0) + _penalty(fun.l2, coef) * len(batches) / fun.n_batches

    best, lowest = FIRST_RATE, objective(FIRST_RATE)
    for factor in (2.0, 0.5):
        for _ in range(MAX_DOUBLINGS):
            found = objective(best * factor)
            if not found < lowest:
                break
            best, lowest = best * factor, found
        if best > FIRST_RATE:  # twice as fast is better: no need to look the other way
            break
    return best


@kernel
def _shrink(coef, l2, step, average, share):
    """Step on the penalty, implicitly, which no rate makes unstable; a `share` of the result goes to the average."""
    for k in range(len(coef)):
        coef[k] /= 1.0 + step * l2[k]
        average[k] += share * (coef[k] - average[k])


@kernel(fastmath={"contract", "reassoc"})
def _penalty(l2, coef):
    """``sum(l2 * coef**2) / 2``."""
    total = 0.0
    for k in range(len(coef)):
        total += l2[k] * coef[k] * coef[k]
    return 0.5 * total
