"""Limited-memory BFGS with a line search; with an L1 penalty, OWL-QN."""

from skstruct.optim._owlqn import descend_orthantwise
from skstruct.optim._quasi_newton import QuasiNewton, descend


class LBFGS(QuasiNewton):
    """Limited-memory quasi-Newton method [1]_.

    The iterations end when the gradient is within `tol`, or when the value has ceased to decrease. The best iterate is
    kept however they end, also by Ctrl-C. A surrogate objective with a jump can end them without a minimum; then the
    history is cleared and the search restarted once. The function may be infinite outside of a domain.

    With an L1 penalty this optimiser is `OWLQN`.

    Parameters
    ----------
    n_corrections : int, default=10
        Number of pairs of steps and gradient changes that approximate the curvature. A pair needs the memory of two
        vectors of parameters. With 131,072 parameters or more it is stored in 8 bits and needs an eighth of that. Ten
        instead of six pairs save about a tenth of the evaluations in trainings of chain models.
    start_with : Optimizer or None, default=None
        An optimiser that runs first, and whose result is the start. ``AveragedSGD(n_epochs=2)`` saves some of the
        evaluations where there are many data and weights. Its iterations count, and come first in `loss_curve`.

    See Also
    --------
    OWLQN : the same with steps that stay in one orthant.
    AveragedSGD : comes near the minimum faster, and reaches it later.

    References
    ----------
    .. [1] J. Nocedal, S. J. Wright, *Numerical Optimization*, Springer, 2006, chapter 7.

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

    def _search(self, loss, state, max_iter, tol, l1):
        if l1 is None:
            return descend(loss, state, int(self.n_corrections), max_iter, tol)
        return descend_orthantwise(loss, state, int(self.n_corrections), max_iter, tol, l1)
