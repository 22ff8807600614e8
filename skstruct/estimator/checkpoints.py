"""Where a training saves its state, so that the same program continues the training after a crash."""

from abc import ABC, abstractmethod
from typing import Any

from sklearn.base import BaseEstimator


class CheckpointStore(BaseEstimator, ABC):
    """Base class of what the parameter `checkpoints` of an estimator accepts; see `skstruct.io.Checkpoints`.

    A checkpoint is a fitted estimator with the state of its optimiser. The checkpoints of a training have increasing
    numbers.

    Attributes
    ----------
    seconds : float or None
        A checkpoint is written at the first iteration that ends so many seconds after the last checkpoint.
    n_iter : int or None
        A checkpoint is written after so many iterations.
    """

    seconds: float | None = 60.0
    n_iter: int | None = None

    @abstractmethod
    def check(self) -> None:
        """Refuse parameters that are out of range, before the training."""

    @abstractmethod
    def read(self) -> tuple[Any, int]:
        """Return the newest checkpoint that is whole, or None, and the largest number so far, or 0."""

    @abstractmethod
    def write(self, model: Any, number: int) -> None:
        """Write a checkpoint. An OSError becomes a warning, and the training goes on."""
