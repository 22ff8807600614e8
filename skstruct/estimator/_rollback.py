"""An estimator stays as it was if its training fails."""

from collections.abc import Iterator
from contextlib import contextmanager

from sklearn.base import BaseEstimator


@contextmanager
def unchanged_by_errors(estimator: BaseEstimator) -> Iterator[None]:
    """Context that restores all attributes of the estimator if an error leaves it."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:  # also Ctrl-C: no error may leave half of a model
        vars(estimator).clear()
        vars(estimator).update(before)
        raise
