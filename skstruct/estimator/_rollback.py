"""An estimator stays as it was if its training fails."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sklearn.base import BaseEstimator


@contextmanager
def unchanged_by_errors(estimator: BaseEstimator) -> Iterator[None]:
    """Context that restores all attributes of the estimator if an error leaves it."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:  # also Ctrl-C: no error may leave half of a model
        estimator.__dict__ = before  # one step, so that a second Ctrl-C cannot lose them
        raise


def complete(function: Callable[..., Any], *args: Any) -> KeyboardInterrupt | None:
    """Call a short function that keeps a result; if Ctrl-C interrupts it, call it again and return the interrupt."""
    try:
        function(*args)
    except KeyboardInterrupt as error:
        function(*args)
        return error
    return None
