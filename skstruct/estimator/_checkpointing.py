"""The checkpoints of one training: when they are written, and whether the training can continue from the newest."""

import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from skstruct.components import same_settings
from skstruct.estimator._warnings import stack_level
from skstruct.estimator.checkpoints import CheckpointStore
from skstruct.features import FeaturePlan

# Parameters that may differ between the parts of a training.
FREE = {
    "max_iter",
    "tol",
    "n_iter_no_change",
    "temperature",
    "n_jobs",
    "random_state",
    "verbose",
    "checkpoints",
    "client",
}
REMEDY = "Use another folder for this training, or delete the folder if its training is not needed."


class Checkpointing:
    """Reads the newest checkpoint before a training, and writes checkpoints during the training.

    Parameters
    ----------
    estimator : GraphCRFClassifier
        Its parameter `checkpoints` is not None.
    snapshot : callable
        ``snapshot(training, progress)`` returns the attributes of a fitted estimator, a dict.

    Attributes
    ----------
    earlier : Progress or None
        The state of the newest checkpoint. None if there is no checkpoint.
    n_unsaved : int
        Number of iterations since the last checkpoint.

    Raises
    ------
    ValueError
        If the newest checkpoint is of an estimator with other parameters.
    """

    def __init__(self, estimator: BaseEstimator, snapshot: Callable[..., dict[str, Any]]):
        self.estimator, self.store, self.snapshot = estimator, estimator.checkpoints, snapshot
        self.model, self.number = self.store.read()
        self.earlier = None
        if self.model is not None:
            differing = _differing(estimator, self.model)
            if differing:
                raise self.misfit(f"an estimator with other parameters: {', '.join(differing)}")
            self.earlier = self.model._progress
        # the ends of the training with the previous backend of a sequence, and with the current one
        self.before, self.last = None, None if self.earlier is None else self.earlier.sequence[0]
        self.begin, self.n_unsaved = -np.inf, 0  # the first iteration writes a checkpoint, and shows whether that works

    def misfit(self, what: str) -> ValueError:
        """Error about checkpoints of another training."""
        return ValueError(f"{self.store!r} contains the checkpoints of {what}. {REMEDY}")

    def check(self, feature_plan: FeaturePlan, classes: np.ndarray) -> None:
        """Refuse a checkpoint with other features or classes."""
        if self.model is None:
            return
        model = self.model._model
        if model.classes.tolist() != classes.tolist():
            raise self.misfit("a training with other classes")
        if model.feature_plan != feature_plan:
            raise self.misfit("a training with other features")

    def begin_next(self, earlier: Any) -> None:
        """Continue with the next backend of a sequence; `earlier` is where its training was, or None."""
        self.before, self.last = self.last, earlier

    def after_iteration(self, training: Any, progress: Callable[[], Any]) -> None:
        """Write a checkpoint if it is time; ``progress()`` returns where the training is."""
        self.n_unsaved += 1
        seconds, n_iter = self.store.seconds, self.store.n_iter
        is_late = time.monotonic() - self.begin >= (np.inf if seconds is None else seconds)
        if is_late or (n_iter is not None and self.n_unsaved % n_iter == 0):
            self.write(training, progress())

    def write(self, training: Any, progress: Any) -> None:
        """Write a checkpoint. Without space for it, on the disk or in memory, the training goes on."""
        self.last = replace(progress, before=self.before)
        parameters = {**self.estimator.get_params(deep=False), "checkpoints": None}
        model = type(self.estimator)(**parameters)
        vars(model).update(self.snapshot(training, progress), _progress=self.last)
        self.number += 1  # before the call: it is not used again if Ctrl-C comes when the file has its name
        try:
            self.store.write(model, self.number)
            self.n_unsaved = 0
        except (OSError, MemoryError) as error:
            self.number -= 1
            warnings.warn(
                f"{self.store!r}: a checkpoint could not be written, {error!r}. The training goes on, and tries again "
                "later.",
                UserWarning,
                stacklevel=stack_level(),
            )
        self.begin = time.monotonic()


def check_store(estimator: BaseEstimator) -> None:
    """Refuse a parameter `checkpoints` that is out of range."""
    store = estimator.checkpoints
    if store is None:
        return
    if not isinstance(store, CheckpointStore):
        raise ValueError(
            f"{type(estimator).__name__}: checkpoints must be None or an object such as "
            f"skstruct.io.Checkpoints('folder'), got {store!r}."
        )
    if estimator.warm_start:
        raise ValueError(
            "checkpoints and warm_start=True cannot be combined: a training with checkpoints continues from the newest "
            "checkpoint. Use warm_start=False, or checkpoints=None."
        )
    store.check()


def _differing(estimator, model):
    """Parameters of two estimators that make them different trainings, as text."""
    if type(model) is not type(estimator):
        return [f"{type(model).__name__} instead of {type(estimator).__name__}"]
    own, saved = estimator.get_params(deep=False), model.get_params(deep=False)
    return [
        f"{name}={saved[name]!r:.60} instead of {own[name]!r:.60}"
        for name in own
        if name not in FREE and not same_settings(own[name], saved[name])
    ]
