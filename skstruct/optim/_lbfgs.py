"""Limited-memory BFGS with a restart; with an L1 penalty, each step stays in one orthant."""

from numbers import Integral

from skstruct.optim._base import Optimizer
from skstruct.optim._owlqn import descend_orthantwise
from skstruct.optim._quasi_newton import LBFGSState, descend

STALLED = 1e-3  # if the gradient is larger, a value that has ceased to decrease is no minimum
MAX_SEARCHES = 2


class LBFGS(Optimizer):
    """Limited-memory quasi-Newton method [1]_.

    The iterations end when the gradient is within `tol`, or when the value has ceased to decrease. The best iterate is
    kept however they end, also by Ctrl-C. A surrogate objective with a jump can end them without a minimum; then the
    history is cleared and the search restarted once. The function may be infinite outside of a domain.

    With an L1 penalty each step stays in one orthant (OWL-QN [2]_), so that weights become exactly zero.

    Parameters
    ----------
    n_corrections : int, default=10
        Number of pairs of steps and gradient changes that approximate the curvature. A pair needs the memory of one
        vector of parameters, as it is stored in 32 bits. Ten instead of six pairs save about a tenth of the evaluations
        in trainings of chain models.
    start_with : Optimizer or None, default=None
        An optimiser that runs first, and whose result is the start. ``AveragedSGD(n_epochs=2)`` saves some of the
        evaluations where there are many data and weights. Its iterations count, and come first in `loss_curve`.

    See Also
    --------
    AveragedSGD : comes near the minimum faster, and reaches it later.

    References
    ----------
    .. [1] J. Nocedal, S. J. Wright, *Numerical Optimization*, Springer, 2006, chapter 7.
    .. [2] G. Andrew, J. Gao, "Scalable training of L1-regularized log-linear models", ICML 2007.

    Examples
    --------
    >>> import numpy as np
    >>> from skstruct.optim import LBFGS
    >>> def square(coef):
    ...     return ((coef - 3) ** 2).sum(), 2 * (coef - 3)
    >>> result = LBFGS().minimize(square, np.zeros(2), max_iter=50, tol=1e-6)
    >>> result.x.round(3), result.success
    (array([3., 3.]), True)
    """

    def __init__(self, n_corrections=10, *, start_with=None):
        self.n_corrections = n_corrections
        self.start_with = start_with

    @property
    def accepts_l1(self):
        """Whether the optimiser of the start accepts an L1 term; without one, True."""
        return self.start_with is None or self.start_with.accepts_l1

    def check(self, loss, l1):
        """Refuse also what the optimiser of the start cannot minimise; see `Optimizer`."""
        if not isinstance(self.n_corrections, Integral) or self.n_corrections < 1:
            raise ValueError(f"LBFGS: n_corrections must be an integer >= 1, got {self.n_corrections!r}.")
        if self.start_with is not None:
            if not isinstance(self.start_with, Optimizer):
                raise ValueError(f"LBFGS: start_with must be None or an optimiser, got {self.start_with!r}.")
            self.start_with.check(loss, l1)
        super().check(loss, l1)

    def iterate(self, loss, start, *, l1=None, max_iter, tol):
        """Yield the states of `start_with`, then those of the searches; see `Optimizer`."""
        if isinstance(start, LBFGSState):
            state = start
        elif self.start_with is None:
            state = LBFGSState.at(start)
        else:
            for first in self.start_with.iterate(loss, start, l1=l1, max_iter=max_iter, tol=tol):
                if not first.message:
                    yield first
            if first.n_iter >= max_iter:
                first.success, first.message = False, "max_iter reached"
                yield first
                return
            state = LBFGSState.at(first.x)
            state.n_iter, state.n_evaluations = first.n_iter, first.n_evaluations
        message, state.message = state.message, ""
        while not state.success:
            state.n_searches += state.history is None
            if l1 is None:
                search = descend(loss, state, int(self.n_corrections), max_iter, tol)
            else:
                search = descend_orthantwise(loss, state, int(self.n_corrections), max_iter, tol, l1)
            converged, message = yield from search
            # where the function jumps, the value can cease to decrease far from a minimum
            state.success = converged and state.gradient_norm <= max(tol, STALLED)
            if state.n_searches == MAX_SEARCHES or state.n_iter >= max_iter:
                break
            if not state.success:
                state.history, state.flat = None, False
        state.message = message
        yield state
