"""The averaged perceptron, passive-aggressive training and AROW: a step for each sequence with a wrong label.

The steps are those of CRFsuite, also in their length, because probabilities depend on it.
"""

import math
from copy import deepcopy
from dataclasses import dataclass

import numpy as np

from skstruct.objectives import Perceptron
from skstruct.optim import Optimizer, OptimizerState

AVERAGED = 100  # points of a pass of the perceptron that are averaged, because each costs O(n_coef)


class MistakeRate(Perceptron):
    """Fraction of wrong labels of the decoded labelling, with a subgradient of the perceptron loss."""

    piecewise_linear = False

    def value_and_gradient(self, inference, scores, targets):
        """Losses of a batch and a subgradient of the perceptron loss; see `Objective`."""
        losses, gradient = super().value_and_gradient(inference, scores, targets)
        topology = inference.topology
        is_wrong = gradient.node[np.arange(topology.n_nodes), targets.codes] != 0
        n_wrong = np.bincount(topology.node_graph, is_wrong, topology.n_graphs)
        return self._values(losses, n_wrong, np.diff(topology.node_ptr)), gradient

    def _values(self, losses, n_wrong, sizes):
        return n_wrong / np.maximum(sizes, 1)


class MistakeMargin(MistakeRate):
    """Perceptron loss plus a cost of labellings with wrong labels.

    Parameters
    ----------
    power : float
        The cost is the number of wrong labels to this power; 0 means the cost 1.
    """

    def __init__(self, power=0.5):
        self.power = power

    def _values(self, losses, n_wrong, sizes):
        return losses + np.where(n_wrong > 0, n_wrong**self.power, 0.0)


class OnlineOptimizer(Optimizer):
    """Base class: a subclass implements `_step` or `_pass`, and has the parameters `n_tokens` and `random_state`.

    Attributes
    ----------
    n_tokens : int
        Factor of the loss and its gradient, which the estimator divides by the number of nodes.
    random_state : int
        Determines the order of the sequences.
    averaging : bool
        Whether the result is the average of the parameters after each sequence.
    variance : float
        Variance of each parameter at the start.
    """

    needs_smooth = False
    stochastic = True
    batch_size = 1
    averaging = False
    variance = 1.0

    def iterate(self, loss, start, *, l1=None, max_iter, tol):
        """Yield the start, then the state after each pass over the sequences; see `Optimizer`.

        The value of a state is the sum of the losses before the steps of its pass.
        """
        state = deepcopy(start) if isinstance(start, OnlineState) else self._start(start)
        if state.n_iter == 0:
            yield state
        while state.n_iter < max_iter:
            state.value = 0.0
            self._pass(loss, state)
            # the average over all steps: a change of step t is missing in the first t - 1 of them
            state.x = state.coef - state.lag / (state.n_steps + 1) if self.averaging else state.coef.copy()
            state.n_iter += 1
            yield state
        state.success, state.message = True, "max_iter reached"
        yield state

    def _start(self, start):
        coef = np.array(start, np.float64)
        return OnlineState(
            coef.copy(),
            math.nan,
            math.nan,
            coef=coef,
            lag=np.zeros_like(coef),
            variance=np.full(len(coef), float(self.variance)),
            rng=np.random.RandomState(self.random_state),
        )

    def _pass(self, loss, state):
        for number in state.rng.permutation(loss.n_batches):
            value, gradient = loss.batch(number, state.coef)
            state.n_steps += 1
            state.value += value
            used = np.flatnonzero(gradient)
            if len(used):
                change = self._step(state, used, gradient[used] * self.n_tokens, value * self.n_tokens)
                state.coef[used] += change
                state.lag[used] += state.n_steps * change

    def _step(self, state, used, gradient, value):
        """Return the changes of the parameters `used`, which the gradient belongs to."""
        raise NotImplementedError


@dataclass(kw_only=True)
class OnlineState(OptimizerState):
    """State after a pass; `x` is the result so far, and `coef` the end of the path."""

    coef: np.ndarray
    lag: np.ndarray  # sum of the changes times the numbers of their steps
    variance: np.ndarray
    rng: np.random.RandomState
    n_steps: int = 0


class PerceptronSteps(OnlineOptimizer):
    """Averaged perceptron with steps of the length 1.

    Parameters
    ----------
    n_tokens, random_state :
        As in the base class.

    See Also
    --------
    skstruct.optim.AveragedPerceptron : the same up to a factor of the parameters.
    """

    averaging = True

    def __init__(self, n_tokens, *, random_state=0):
        self.n_tokens = n_tokens
        self.random_state = random_state

    def _pass(self, loss, state):
        n = loss.n_batches
        for batches in np.array_split(state.rng.permutation(n), min(AVERAGED, n)):
            before = state.coef.copy()
            state.value += loss.steps(batches, state.coef, float(self.n_tokens))
            state.n_steps += 1
            state.lag += state.n_steps * (state.coef - before)


class PassiveAggressive(OnlineOptimizer):
    """Passive-aggressive algorithm: the smallest step after which the sequence has its margin [1]_.

    Parameters
    ----------
    n_tokens : int
    pa_type : {0, 1, 2}
        0: without slack variables. 1, 2: with a linear (quadratic) cost of slack variables, which shortens the steps.
    c : float
        Factor of the slack variables.
    averaging, random_state :
        As in the base class.

    References
    ----------
    .. [1] K. Crammer et al., "Online passive-aggressive algorithms", JMLR 7, 2006.
    """

    def __init__(self, n_tokens, pa_type=1, c=1.0, *, averaging=True, random_state=0):
        self.n_tokens = n_tokens
        self.pa_type = pa_type
        self.c = c
        self.averaging = averaging
        self.random_state = random_state

    def _step(self, state, used, gradient, value):
        length = gradient @ gradient
        if self.pa_type == 2:
            length += 0.5 / self.c
        step = value / length
        return -(min(step, self.c) if self.pa_type == 1 else step) * gradient


class AROW(OnlineOptimizer):
    """Adaptive regularisation of weight vectors: parameters of small variance change less [1]_.

    Parameters
    ----------
    n_tokens : int
    gamma : float
        Trade-off between the loss and the change of the parameters.
    variance, random_state :
        As in the base class.

    References
    ----------
    .. [1] K. Crammer, A. Kulesza, M. Dredze, "Adaptive regularization of weight vectors", NIPS 2009.
    """

    def __init__(self, n_tokens, gamma=1.0, *, variance=1.0, random_state=0):
        self.n_tokens = n_tokens
        self.gamma = gamma
        self.variance = variance
        self.random_state = random_state

    def _step(self, state, used, gradient, value):
        variance = state.variance[used]
        state.variance[used] = 1.0 / (1.0 / variance + gradient**2 / self.gamma)
        return -value / (gradient**2 @ variance + self.gamma) * variance * gradient
