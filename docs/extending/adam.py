"""An optimiser: Adam (D. P. Kingma, J. Ba, ICLR 2015) on mini-batches, with a rate that decreases with the epochs."""

from dataclasses import dataclass

import numpy as np
from sklearn.utils import check_random_state

from skstruct.optim import Optimizer, OptimizerState


class Adam(Optimizer):
    """Steps of similar length for every parameter, in the direction of an averaged gradient.

    Parameters
    ----------
    n_epochs : int, default=30
    learning_rate : float, default=0.05
        Length of the first steps.
    random_state : int, RandomState or None, default=None
        Order of the mini-batches.
    """

    needs_smooth = False
    stochastic = True  # it uses `n_batches` and `batch` of the function

    def __init__(self, n_epochs=30, learning_rate=0.05, random_state=None):
        self.n_epochs = n_epochs
        self.learning_rate = learning_rate
        self.random_state = random_state

    def iterate(self, loss, start, *, l1=None, max_iter, tol):
        """Yield the start, then the state after each epoch; see `Optimizer`."""
        state = start
        if not isinstance(start, AdamState):
            coef = np.array(start, np.float64)
            value, gradient = loss(coef)
            rng, zero = check_random_state(self.random_state), np.zeros_like(coef)
            state = AdamState(coef, value, np.abs(gradient).max(initial=0.0), 0, 1, mean=zero, square=zero, rng=rng)
            yield state
        state.message = ""
        while state.n_iter < min(self.n_epochs, max_iter):
            self._epoch(loss, state)
            yield state
        state.value, state.n_evaluations = loss(state.x)[0], state.n_evaluations + 1
        state.success, state.message = max_iter >= self.n_epochs, f"{state.n_iter} epochs done"
        yield state

    def _epoch(self, loss, state):
        coef, total, rate = state.x.copy(), 0.0, self.learning_rate / (1 + state.n_iter)
        for number in state.rng.permutation(loss.n_batches):
            value, gradient = loss.batch(number, coef)
            gradient = loss.n_batches * gradient + loss.l2 * coef
            state.n_steps += 1
            state.mean = 0.9 * state.mean + 0.1 * gradient
            state.square = 0.999 * state.square + 0.001 * gradient**2
            mean, square = state.mean / (1 - 0.9**state.n_steps), state.square / (1 - 0.999**state.n_steps)
            coef -= rate * mean / (np.sqrt(square) + 1e-8)
            total += value
        state.x, state.value, state.gradient_norm = coef, total + 0.5 * (loss.l2 * coef) @ coef, np.nan
        state.n_iter += 1


@dataclass(kw_only=True)
class AdamState(OptimizerState):
    """State that the next epoch requires in addition to `x`."""

    mean: np.ndarray
    square: np.ndarray
    rng: np.random.RandomState
    n_steps: int = 0
