"""Block-coordinate Frank-Wolfe: the dual of the structured hinge, one graph after the other, with its duality gap."""

import math
from dataclasses import dataclass

import numpy as np

from skstruct.components import require_integers, require_number
from skstruct.kernels.jit import kernel
from skstruct.optim._base import Optimizer, OptimizerState, own_generator


class BCFW(Optimizer):
    r"""Block-coordinate Frank-Wolfe algorithm [1]_ for the structured hinge with an L2 penalty.

    The loss of mini-batch :math:`b` is a maximum of linear functions,
    :math:`loss_b(w) = \max_k (\ell_{bk} + w^\top g_{bk})`. The dual variables of a mini-batch are the weights of a
    convex combination of these functions, which is stored as one pair :math:`(\ell_b, g_b)`. The parameters are
    :math:`w_j = -\sum_b g_{bj} / \lambda_j`. A step decodes one mini-batch with the current :math:`w`, and moves its
    pair towards the function found, as far as the dual

    .. math:: D = \sum_b \ell_b - \tfrac{1}{2} \sum_j \lambda_j w_j^2

    increases. There is no learning rate. Each :math:`D` is a lower bound of the minimum, if decoding is exact, so that
    the duality gap, the value at the result less :math:`D`, bounds the distance to the minimum. The iterations end when
    it is small. The result is the better one of the last iterate and the weighted average of the iterates [1]_.

    The algorithm needs a loss that is a maximum of linear functions: ``objective="hinge"`` with a linear feature map
    and all labels known. All parameters must have an L2 penalty: the linear map needs ``fit_intercept=False``, where a
    column of ones gives a bias with a penalty. An L1 penalty is not supported. It starts at zero weights, also in a
    warm start that does not continue a stopped training.

    Parameters
    ----------
    gap : float, default=0.01
        The iterations end when the duality gap is at most this fraction of the value, or at most `tol`. On the letters
        (704 words, C = 0.1), a gap of 0.01 takes about 110 passes, and 0.002 about 400.
    batch_size : int, default=1
        Largest number of graphs in a mini-batch. The memory is that of a vector of parameters for each mini-batch, and
        larger mini-batches need less. With one graph each, fewest iterations are needed.
    random_state : int, RandomState or None, default=None
        Determines the order of the mini-batches.

    See Also
    --------
    AveragedSGD : for many graphs and parameters, and for intercepts without a penalty; without a stopping rule.

    References
    ----------
    .. [1] S. Lacoste-Julien, M. Jaggi, M. Schmidt, P. Pletscher, "Block-coordinate Frank-Wolfe optimization for
       structural SVMs", ICML 2013.

    Examples
    --------
    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.datasets import make_chain
    >>> from skstruct.features import LinearFeatures
    >>> X, y = make_chain(n_graphs=50, return_X_y=True, random_state=0)
    >>> crf = GraphCRFClassifier(
    ...     LinearFeatures(fit_intercept=False), objective="hinge", optimizer="bcfw", random_state=0
    ... ).fit(X, y)
    >>> bool(crf.score(X, y) > 0.8)
    True
    """

    needs_smooth = False
    needs_piecewise_linear = True
    stochastic = True

    def __init__(self, gap=0.01, *, batch_size=1, random_state=None):
        self.gap = gap
        self.batch_size = batch_size
        self.random_state = random_state

    def check(self, loss, l1):
        """Refuse also parameters without an L2 penalty; see `Optimizer`."""
        require_number(self, "gap", lambda gap: 0 <= gap < math.inf, "a number >= 0")
        require_integers(self, "batch_size")
        super().check(loss, l1)
        n_bare = int(((loss.l2 == 0) & loss.free).sum())
        if n_bare:
            raise ValueError(
                f"BCFW needs an L2 penalty on every parameter, but {n_bare} have none, e.g. intercepts; use "
                "LinearFeatures(fit_intercept=False), with a column of ones for a bias, or optimizer='sgd'."
            )

    def iterate(self, loss, start, *, l1=None, max_iter, tol):
        """Yield the start, then the state after each pass over the mini-batches; see `Optimizer`.

        The value of a state is that of the best parameters so far.
        """
        state = start if isinstance(start, _BCFWState) else self._start(loss, start)
        if state is not start:
            yield state
        state.message = ""
        while state.n_iter < max_iter and not self._is_done(state, tol):
            self._epoch(loss, state)
            yield state
        state.success = self._is_done(state, tol)
        state.message = f"duality gap {state.gap:.2g}" if state.success else "max_iter reached"
        yield state

    def _is_done(self, state, tol):
        return state.gap <= max(tol, float(self.gap) * abs(state.value))

    def _start(self, loss, start):
        coef = np.array(start, np.float64)
        value, gradient = loss(coef)
        n_coef = len(coef)
        return _BCFWState(
            x=coef,
            value=value,
            gradient_norm=float(np.abs(gradient).max(initial=0.0)),
            n_evaluations=1,
            coef=np.zeros(n_coef),
            average=np.zeros(n_coef),
            gradients=np.zeros((loss.n_batches, n_coef)),
            offsets=np.zeros(loss.n_batches),
            rng=own_generator(self.random_state),
        )

    def _epoch(self, loss, state):
        inverse = np.divide(1.0, loss.l2, out=np.zeros_like(loss.l2), where=loss.l2 > 0)
        for number in state.rng.permutation(loss.n_batches):
            value, gradient = loss.batch(number, state.coef)
            state.n_steps += 1
            fraction = 2.0 / (state.n_steps + 1.0)
            place = state.offsets[number : number + 1], state.gradients[number]
            _move(value, gradient, inverse, place, state.coef, state.average, fraction)
        state.bound = max(state.bound, state.offsets.sum() - 0.5 * float(loss.l2 @ state.coef**2))
        for coef in (state.coef, state.average):
            value = loss(coef)[0]
            if value < state.value:
                state.x, state.value = coef.copy(), value
        state.gradient_norm, state.gap = math.nan, state.value - state.bound
        state.n_evaluations += 2
        state.n_iter += 1


@dataclass(kw_only=True)
class _BCFWState(OptimizerState):
    """State after a pass; `coef` is the end of the path, and `bound` a lower bound of the minimum."""

    coef: np.ndarray
    average: np.ndarray
    gradients: np.ndarray  # (n_batches, n_coef)
    offsets: np.ndarray  # (n_batches,)
    rng: np.random.RandomState
    n_steps: int = 0
    bound: float = -math.inf
    gap: float = math.inf

    def is_consistent(self):
        """See `OptimizerState`; an offset and a gradient for each mini-batch."""
        vectors = self.coef, self.average, self.gradients
        return self.offsets.shape == self.gradients.shape[:1] and all(v.shape[-1:] == self.x.shape for v in vectors)


@kernel(fastmath={"contract", "reassoc"})
def _move(value, gradient, inverse, place, coef, average, fraction):
    """Move the pair in `place` towards the function found; update `coef` and its average with weight `fraction`.

    `value` and `gradient` are those of the mini-batch at `coef`. One call does the whole step, so that Ctrl-C cannot
    end it in the middle.
    """
    offset, own = place
    length = own_value = found_value = 0.0
    for k in range(len(coef)):
        change = own[k] - gradient[k]
        length += change * change * inverse[k]
        own_value += own[k] * coef[k]
        found_value += gradient[k] * coef[k]
    rise = value - offset[0] - own_value
    step = min(max(rise / length, 0.0), 1.0) if length > 0 else 0.0
    offset[0] += step * (value - found_value - offset[0])
    for k in range(len(coef)):
        change = step * (own[k] - gradient[k])
        own[k] -= change
        coef[k] += change * inverse[k]
        average[k] += fraction * (coef[k] - average[k])
