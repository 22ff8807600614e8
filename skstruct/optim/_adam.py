"""Adam: steps of similar length for every parameter, in the direction of a decaying mean of the gradients."""

import math
from copy import deepcopy
from dataclasses import dataclass
from numbers import Real

import numpy as np

from skstruct.components import require, require_integers, require_number
from skstruct.kernels.jit import kernel
from skstruct.optim._base import Optimizer, OptimizerState, own_generator

SCHEDULES = {
    "constant": lambda fraction: 1.0,
    "linear": lambda fraction: 1.0 - fraction,
    "cosine": lambda fraction: 0.5 * (1.0 + math.cos(math.pi * fraction)),
}


class Adam(Optimizer):
    r"""Stochastic gradient descent with adaptive moments [1]_, for networks and other maps that are not linear.

    A step on mini-batch :math:`b` uses the estimate :math:`g = n \nabla loss_b(w) + \lambda w` of the whole gradient,
    where :math:`n` is the number of mini-batches:

    .. math::
        m \leftarrow \beta_1 m + (1 - \beta_1) g, \quad v \leftarrow \beta_2 v + (1 - \beta_2) g^2, \quad
        w \leftarrow w - \eta_t \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}

    The length of a step does not depend on the scale of the objective. The result is the last iterate. It is not an
    average of the path, because an average of networks is worse than each of them. With ``early_stopping=True`` the
    estimator keeps the iterate with the best score on held-out graphs. An L1 penalty is not supported.

    A step costs O(n_coef) more than the gradient of the mini-batch. For linear maps with many sparse features,
    `AveragedSGD` is faster.

    Parameters
    ----------
    n_epochs : int, default=60
        Number of passes over the data, if `max_iter` is not smaller.
    learning_rate : float, default=0.02
        :math:`\eta`, the length of the first steps of each parameter.
    schedule : {"cosine", "linear", "constant"}, default="cosine"
        How the rate decreases from `learning_rate` to 0 during `n_epochs`. "cosine" stays near the first rate for
        longer than "linear". "constant" does not decrease, e.g. for early stopping with many epochs. `partial_fit`
        always uses a constant rate, because the number of its calls is not known.
    batch_size : int, default=16
        Largest number of graphs in a mini-batch.
    betas : tuple of two floats, default=(0.9, 0.999)
        :math:`\beta_1, \beta_2`, the decay of the two means; the defaults of [1]_.
    epsilon : float, default=1e-8
        :math:`\epsilon`; the default of [1]_.
    random_state : int, RandomState or None, default=None
        Determines the order of the mini-batches.

    See Also
    --------
    AveragedSGD : for linear maps; it needs no learning rate.
    LBFGS : finds optima of smooth objectives with many digits.

    References
    ----------
    .. [1] D. P. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015.

    Examples
    --------
    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.datasets import make_chain
    >>> from skstruct.optim import Adam
    >>> X, y = make_chain(n_graphs=50, return_X_y=True, random_state=0)
    >>> crf = GraphCRFClassifier(optimizer=Adam(n_epochs=30, learning_rate=0.05), random_state=0).fit(X, y)
    >>> crf.n_iter_
    30
    """

    needs_smooth = False
    stochastic = True
    incremental = True

    def __init__(
        self,
        n_epochs=60,
        *,
        learning_rate=0.02,
        schedule="cosine",
        batch_size=16,
        betas=(0.9, 0.999),
        epsilon=1e-8,
        random_state=None,
    ):
        self.n_epochs = n_epochs
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.batch_size = batch_size
        self.betas = betas
        self.epsilon = epsilon
        self.random_state = random_state

    def check(self, loss, l1):
        """Refuse parameters out of range, an L1 penalty and a function without mini-batches; see `Optimizer`."""
        require_integers(self, "n_epochs", "batch_size")
        for name in ("learning_rate", "epsilon"):
            require_number(self, name, lambda number: 0 < number < math.inf, "a positive number")
        is_name = isinstance(self.schedule, str)
        require(self, "schedule", is_name and self.schedule in SCHEDULES, f"one of {list(SCHEDULES)}")
        fits = isinstance(self.betas, tuple | list) and len(self.betas) == 2
        fits = fits and all(isinstance(beta, Real) and 0 <= float(beta) < 1 for beta in self.betas)
        require(self, "betas", fits, "two numbers in [0, 1)")
        super().check(loss, l1)

    def iterate(self, loss, start, *, l1=None, max_iter, tol):
        """Yield the start, then the end of the path after each epoch; see `Optimizer`.

        The value of a state is the sum of the losses of the steps of its epoch, each before the step, plus the penalty
        at the end of the epoch. This is an estimate of the objective at no cost. Only start and result are evaluated.
        """
        state = start if isinstance(start, _AdamState) else self._start(start, *loss(start))
        if state is not start:
            yield state
        state.success, state.message = False, ""
        if state.n_iter == 0 and state.gradient_norm <= tol:
            state.success, state.message = True, "gradient within tol"
            yield state
            return
        while state.n_iter < min(self.n_epochs, max_iter):
            state = self._epoch(loss, state, SCHEDULES[self.schedule])
            yield state
        state.value, state.n_evaluations = loss(state.x)[0], state.n_evaluations + 1
        if not state.value < state.start_value:
            state.x, state.value = state.start, state.start_value
            state.message = f"the steps led upwards, with learning_rate={self.learning_rate:.3g}"
        elif state.n_iter < self.n_epochs:
            state.message = "max_iter reached"
        else:
            state.success, state.message = True, "n_epochs done"
        yield state

    def update(self, loss, start):
        """One epoch with a constant rate; see `Optimizer`."""
        state = start if isinstance(start, _AdamState) else self._start(start, math.nan, np.full(1, math.nan))
        return self._epoch(loss, state, SCHEDULES["constant"])

    def _start(self, coef, value, gradient):
        coef = np.array(coef, np.float64)
        return _AdamState(
            x=coef,
            value=value,
            gradient_norm=float(np.abs(gradient).max(initial=0.0)),
            n_evaluations=1,
            start=coef.copy(),
            start_value=value,
            mean=np.zeros_like(coef),
            square=np.zeros_like(coef),
            rng=own_generator(self.random_state),
        )

    def _epoch(self, loss, before, schedule):
        """Return the state after a pass over the data; an interrupted pass leaves the state before it unchanged."""
        state, n = deepcopy(before), loss.n_batches
        state.value, state.gradient_norm = 0.0, math.nan
        for step, number in enumerate(state.rng.permutation(n)):
            value, gradient = loss.batch(number, state.x)
            state.value += value
            state.n_steps += 1
            corrections = [1 - beta**state.n_steps for beta in self.betas]
            rate = self.learning_rate * schedule((state.n_iter + step / n) / self.n_epochs) / corrections[0]
            settings = rate, corrections[1] ** -0.5, *map(float, self.betas), float(self.epsilon)
            _step(state.x, gradient, n, loss.l2, state.mean, state.square, settings)
        state.value += 0.5 * float((loss.l2 * state.x) @ state.x)
        state.n_iter += 1
        return state


@dataclass(kw_only=True)
class _AdamState(OptimizerState):
    """State after an epoch; `x` is the end of the path."""

    start: np.ndarray
    start_value: float
    mean: np.ndarray
    square: np.ndarray
    rng: np.random.RandomState
    n_steps: int = 0


@kernel(fastmath={"contract"})
def _step(coef, gradient, n_batches, l2, mean, square, settings):
    """Update both means and `coef` in place."""
    rate, root, beta1, beta2, epsilon = settings
    for k in range(len(coef)):
        g = n_batches * gradient[k] + l2[k] * coef[k]
        mean[k] = beta1 * mean[k] + (1 - beta1) * g
        square[k] = beta2 * square[k] + (1 - beta2) * g * g
        coef[k] -= rate * mean[k] / (root * math.sqrt(square[k]) + epsilon)
