"""scikit-learn's callbacks, which exist from version 1.9 on.

Each iteration of an optimiser is a task of ``fit``. The ``fit`` of a transformer is a task without subtasks. A pipeline
passes callbacks on to its steps, and warns if a step does not support them.
"""

import functools
from collections.abc import Callable
from typing import Any

from sklearn.base import BaseEstimator

from skstruct.optim import OptimizerState

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn < 1.9: the same names without any effect

    class _NoContext:
        def subcontext(self, **_):
            return self

        def call_on_fit_task_begin(self, **_):
            return self

        def call_on_fit_task_end(self, **_):
            return False

    class CallbackSupportMixin:  # type: ignore[no-redef]  # there is only one at a time
        """An estimator without callbacks."""

        def _init_callback_context(self, **_):
            return _NoContext()

    def with_callbacks(method):
        """Call the method in one more frame, as scikit-learn does: warnings count frames."""

        @functools.wraps(method)
        def callback_managed_method(*args, **kwargs):
            return method(*args, **kwargs)

        return callback_managed_method


__all__ = ["CallbackSupportMixin", "FitTask", "one_task", "with_callbacks"]


class FitTask:
    """One call of ``fit`` in the view of callbacks.

    Parameters
    ----------
    estimator : CallbackSupportMixin
    X, y : object
        Arguments of ``fit``, which callbacks receive.
    n_subtasks : int or None, default=None
        Number of iterations. None: it is not known.
    """

    def __init__(self, estimator: BaseEstimator, X: Any, y: Any, n_subtasks: int | None = None):
        self.data = {"estimator": estimator, "X": X, "y": y}
        self.context = estimator._init_callback_context(max_subtasks=n_subtasks)
        self.context.call_on_fit_task_begin(**self.data)

    def iteration(self, state: OptimizerState, attributes_at: Callable[..., dict]) -> bool:
        """Report an iteration; return whether a callback asks to stop.

        Parameters
        ----------
        state : OptimizerState
        attributes_at : callable
            ``attributes_at(coef)`` returns the attributes of an estimator with these parameters.
        """
        task = self.context.subcontext(task_name="iteration")
        task.call_on_fit_task_begin(**self.data)
        return task.call_on_fit_task_end(**self.data, reconstruction_attributes=lambda: attributes_at(state.x))

    def end(self) -> None:
        """Report the end; the estimator has its attributes."""
        self.context.call_on_fit_task_end(**self.data, reconstruction_attributes={})


def one_task(fit: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a method that fits an estimator without iterations: callbacks see its begin and its end.

    The estimator is a `CallbackSupportMixin`. A decorated method must not call another one.
    """

    @with_callbacks
    @functools.wraps(fit)
    def reported_fit(estimator, X, *args, **kwargs):
        task = FitTask(estimator, X, args[0] if args else kwargs.get("y"), n_subtasks=0)
        result = fit(estimator, X, *args, **kwargs)
        task.end()
        return result

    return reported_fit
