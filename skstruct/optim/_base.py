"""What an optimiser is: an iterable of states that lead from a start to a minimum of ``loss(coef) -> value, gradient``.

To add an optimiser, write one file with a subclass of `Optimizer` that implements `Optimizer.iterate`, and add one row
to ``OPTIMIZERS`` in ``optim/__init__.py``.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from scipy.optimize import OptimizeResult
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state


def own_generator(random_state: Any) -> np.random.RandomState:
    """Generator that belongs to the state of an optimiser: copies of a state draw the same numbers.

    It is seeded by `random_state`, which may be a generator that the user or the whole program shares.
    """
    return np.random.RandomState(check_random_state(random_state).randint(2**31 - 1))


@dataclass
class OptimizerState:
    """Where an optimiser is after an iteration.

    Subclasses hold what the algorithm needs to continue. A state pickles, and `Optimizer.iterate` continues from it.

    Attributes
    ----------
    x : ndarray of shape (n_coef,)
        The best parameters so far. The array is not changed afterwards.
    value : float
        The minimised function at `x`, with the L1 term; an estimate for stochastic optimisers.
    gradient_norm : float
        Largest component of the gradient at `x` (with an L1 term: of the subgradient of smallest norm). nan if the
        optimiser does not know it.
    n_iter, n_evaluations : int
        Iterations, and evaluations of the whole function, since the start.
    success : bool
        Whether the iterations ended at a minimum, or as planned. False before they end.
    message : str
        Why the iterations ended. Empty before they end.
    """

    x: np.ndarray
    value: float
    gradient_norm: float
    n_iter: int = 0
    n_evaluations: int = 0
    success: bool = False
    message: str = ""

    def __setstate__(self, state):
        self.__dict__.update(state)
        if not self.is_consistent():
            raise ValueError("the state of an optimiser is damaged: its arrays do not fit each other")

    def is_consistent(self) -> bool:
        """Whether the arrays have an entry for each parameter along their last axis; compiled code relies on it."""
        arrays = [value for value in vars(self).values() if isinstance(value, np.ndarray)]
        return all(array.shape[-1:] == self.x.shape for array in arrays)


class Loss(Protocol):
    """What an optimiser minimises; most optimisers accept a plain function.

    Attributes
    ----------
    smooth, convex : bool
        Whether the function has a gradient everywhere, and whether it is convex. A function without these attributes
        counts as smooth and convex.
    piecewise_linear : bool
        Whether the loss of each mini-batch is a maximum of linear functions of the parameters, as the structured hinge
        of a linear map is. A function without this attribute counts as not piecewise linear.
    """

    smooth: bool
    convex: bool
    piecewise_linear: bool

    def __call__(self, coef: np.ndarray) -> tuple[float, np.ndarray]:
        """Value and gradient; the function keeps no reference to `coef`, which may change after the call."""


class StochasticLoss(Loss, Protocol):
    r"""A sum over mini-batches, with an L2 penalty, :math:`\sum_b loss_b(w) + \frac{1}{2} \sum_j \lambda_j w_j^2`.

    Attributes
    ----------
    n_batches : int
        Mini-batches. In the training of the estimator a mini-batch has up to `Optimizer.batch_size` graphs.
    l2 : ndarray of shape (n_coef,)
        :math:`\lambda`, at least 0.
    """

    n_batches: int
    l2: np.ndarray

    def batch(self, number: int, coef: np.ndarray) -> tuple[float, np.ndarray]:
        """Value and gradient of ``loss_b``, without the penalty."""

    def steps(self, batches: np.ndarray, coef: np.ndarray, rate: float) -> float:
        """Do gradient steps on some mini-batches, one after the other.

        Each step is ``coef -= rate * gradient`` with the gradient of ``loss_b`` at the current `coef`, without penalty.
        The cost of a step is the cost of its mini-batch, not O(n_coef).

        Parameters
        ----------
        batches : ndarray of int
            Numbers of mini-batches, in the order of the steps.
        coef : ndarray of shape (n_coef,)
            Changed in place.
        rate : float
            0 or more; 0 asks for the loss only.

        Returns
        -------
        loss : float
            Sum of ``loss_b``, each at the `coef` before its step.
        """


class SecondOrderLoss(Loss, Protocol):
    """A function with products of its Hessian.

    Attributes
    ----------
    without_product : sequence of str
        Names of the parts of the function that cannot compute such products. If there are any, `product` fails.
    """

    without_product: Sequence[str]

    def product(self, coef: np.ndarray, d_coef: np.ndarray) -> np.ndarray:
        """Product of the Hessian at `coef` with `d_coef`, (n_coef,), or of a positive semi-definite approximation."""


class Optimizer(BaseEstimator):
    """Base class of the optimisers; holds the parameters of an algorithm.

    A subclass implements `iterate`, and declares what it can minimise. `minimize` runs the iterations.

    Attributes
    ----------
    accepts_l1 : bool
        Whether the algorithm minimises a function with an L1 term.
    needs_smooth : bool
        Whether the algorithm fails on functions with kinks.
    needs_piecewise_linear : bool
        Whether the algorithm minimises only functions that are `piecewise_linear`.
    stochastic : bool
        Whether the algorithm needs a `StochasticLoss`.
    incremental : bool
        Whether the algorithm implements `update`, which `partial_fit` needs.
    batch_size : int
        Largest number of graphs in a mini-batch. A stochastic optimiser may have a parameter of this name.
    """

    parameter: ClassVar[str] = "optimizer"

    accepts_l1: ClassVar[bool] = False
    needs_smooth: ClassVar[bool] = True
    needs_piecewise_linear: ClassVar[bool] = False
    stochastic: ClassVar[bool] = False
    incremental: ClassVar[bool] = False
    batch_size: int = 16

    def iterate(
        self,
        loss: Loss,
        start: np.ndarray | OptimizerState,
        *,
        l1: np.ndarray | None = None,
        max_iter: int,
        tol: float,
    ) -> Iterator[OptimizerState]:
        """Yield the state at the start, and after each iteration.

        `success` and `message` of the last state say why the iterations ended; a state may be yielded again for this.
        The state may be the same object each time. To keep a state, copy or pickle it.

        Parameters
        ----------
        loss : Loss or StochasticLoss
        start : ndarray of shape (n_coef,), or OptimizerState
            From a state of the same optimiser the iterations continue: the result has the same bits as without a break.
        l1 : ndarray of shape (n_coef,), default=None
            Weights of the L1 term ``sum(l1 * abs(coef))``; None for no such term.
        max_iter : int
            Maximum number of iterations since the start; those before a continued state count.
        tol : float
            Stop when no component of the gradient exceeds it.

        Yields
        ------
        state : OptimizerState
        """
        raise NotImplementedError

    def update(self, loss: StochasticLoss, start: np.ndarray | OptimizerState) -> OptimizerState:
        """Pass once over mini-batches that may be new, and return the state; only if `incremental`.

        The number of later calls is not known, so the pass does not depend on a planned number of epochs.

        Parameters
        ----------
        loss : StochasticLoss
            It may contain other data than the losses of earlier calls. The parameters are the same.
        start : ndarray of shape (n_coef,), or OptimizerState
            From a state of the same optimiser the iterations continue.

        Returns
        -------
        state : OptimizerState
            Its `n_iter` is the number of passes.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement update, which partial_fit needs.")

    def check(self, loss: Any, l1: np.ndarray | None) -> None:
        """Refuse a function that the algorithm cannot minimise, before it is evaluated.

        Raises
        ------
        ValueError
            If there is an L1 term, or `loss` has kinks, and the algorithm does not support this. If `loss` is not
            piecewise linear, and the algorithm needs this.
        TypeError
            If the algorithm needs mini-batches and `loss` has none.
        """
        name = type(self).__name__
        if l1 is not None and not self.accepts_l1:
            raise ValueError(f"{name} does not support an L1 penalty; use optimizer='lbfgs', or l1_ratio=0.")
        if self.needs_smooth and not getattr(loss, "smooth", True):  # a plain function declares nothing
            raise ValueError(
                f"{name} needs a smooth objective, and this one has kinks; use optimizer='sgd', or "
                "'averaged_perceptron' for objective='perceptron'."
            )
        if self.needs_piecewise_linear and not getattr(loss, "piecewise_linear", False):
            raise ValueError(
                f"{name} needs a loss that is a maximum of linear functions: objective='hinge' or 'perceptron', a "
                "linear feature map, and all labels known; use optimizer='sgd'."
            )
        if self.stochastic and not hasattr(loss, "steps"):
            raise TypeError(f"{name} needs a function with mini-batches, got {loss!r}; use optimizer='lbfgs'.")

    def minimize(
        self,
        loss: Any,
        start: np.ndarray | OptimizerState,
        *,
        l1: np.ndarray | None = None,
        max_iter: int,
        tol: float,
        callback: Callable[[OptimizerState], Any] | None = None,
    ) -> OptimizeResult:
        """Minimise ``loss(coef) + sum(l1 * abs(coef))``; the best iterate is kept however the iterations end.

        Parameters
        ----------
        loss, start, l1, max_iter, tol
            As for `iterate`.
        callback : callable, default=None
            Called with the state after each iteration. The iterations end if it returns True.

        Returns
        -------
        result : OptimizeResult
            Best iterate `x` with its value `fun`, iterations `nit`, evaluations `nfev`, `success`, `message`,
            `loss_curve` (value after each iteration), the last `state`, `stopped` (whether the callback ended the
            iterations), and `interrupt` (the KeyboardInterrupt that ended the iterations, or None).

        Raises
        ------
        ValueError, TypeError
            If the algorithm cannot minimise `loss`, or a parameter is out of range.
        """
        self.check(loss, l1)
        curve: list[float] = []
        state, interrupt, stopped = None, None, False
        try:
            for state in self.iterate(loss, start, l1=l1, max_iter=max_iter, tol=tol):
                if state.message or state.n_iter == 0:
                    continue
                curve.append(state.value)
                stopped = callback is not None and bool(callback(state))
                if stopped:
                    break
        except KeyboardInterrupt as error:
            if state is None:  # there is no iterate yet
                raise
            interrupt = error
        assert state is not None, f"{self!r} yielded no state"
        message = "interrupted" if interrupt else "stopped by the callback" if stopped else state.message
        return OptimizeResult(
            x=state.x,
            fun=float(state.value),
            nit=state.n_iter,
            nfev=state.n_evaluations,
            success=state.success and interrupt is None,
            message=message,
            loss_curve=np.array(curve),
            state=state,
            stopped=stopped,
            interrupt=interrupt,
        )
