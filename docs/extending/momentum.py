"""An optimiser: gradient descent with momentum (B. T. Polyak, 1964) and a step length that adapts."""

from dataclasses import dataclass

import numpy as np

from skstruct.optim import Optimizer, OptimizerState


class Momentum(Optimizer):
    """Steps along a decaying sum of gradients; a step that raises the objective is undone, and the rate is halved.

    Parameters
    ----------
    learning_rate : float, default=1.0
        Length of the first steps, relative to the gradient.
    decay : float, default=0.9
        Fraction of the last step that the next step repeats.
    """

    needs_smooth = True
    accepts_l1 = False

    def __init__(self, learning_rate=1.0, decay=0.9):
        self.learning_rate = learning_rate
        self.decay = decay

    def iterate(self, loss, start, *, l1=None, max_iter, tol):
        """Yield the start, then the state after each step; see `Optimizer`."""
        state = start
        if not isinstance(start, MomentumState):
            x = np.array(start, np.float64)
            value, gradient = loss(x)
            norm = np.abs(gradient).max(initial=0.0)
            state = MomentumState(x, value, norm, 0, 1, gradient=gradient.copy(), rate=self.learning_rate)
            yield state
        state.message = ""
        while state.n_iter < max_iter and state.gradient_norm > tol:
            self._step(loss, state)
            yield state
        state.success = state.gradient_norm <= tol
        state.message = "gradient within tol" if state.success else "max_iter reached"
        yield state

    def _step(self, loss, state):
        speed = self.decay * state.speed - state.rate * state.gradient
        trial = state.x + speed
        value, gradient = loss(trial)
        if value <= state.value:
            state.x, state.value, state.speed, state.gradient = trial, value, speed, gradient.copy()
            state.gradient_norm = np.abs(gradient).max(initial=0.0)
            state.rate *= 1.1
        else:
            state.speed, state.rate = 0.0, 0.5 * state.rate
        state.n_iter += 1
        state.n_evaluations += 1


@dataclass(kw_only=True)
class MomentumState(OptimizerState):
    """State that the next step requires in addition to `x`."""

    gradient: np.ndarray
    rate: float
    speed: np.ndarray | float = 0.0
