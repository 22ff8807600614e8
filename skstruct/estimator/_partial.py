"""The classes and parameters of ``partial_fit``, with the messages that scikit-learn's users know."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from skstruct.estimator._input import read_classes
from skstruct.optim import OPTIMIZERS, Optimizer


def is_incremental(estimator: BaseEstimator) -> bool:
    """Whether the optimiser supports ``partial_fit``; the error of the missing method says why."""
    given = estimator.optimizer
    optimizer = OPTIMIZERS[given]() if isinstance(given, str) and given in OPTIMIZERS else given
    if not (isinstance(optimizer, Optimizer) and optimizer.incremental):
        names = [name for name, row in OPTIMIZERS.items() if row.incremental]
        raise AttributeError(
            f"partial_fit needs an optimiser that can continue on other graphs, one of {names}, got "
            f"optimizer={given!r}."
        )
    return True


def refuse_partial(estimator: BaseEstimator) -> None:
    """Refuse parameters that need all data at once, and checkpoints, from which the caller could not continue."""
    if estimator.early_stopping:
        raise ValueError("partial_fit does not support early_stopping=True, because it sees only a part of the data.")
    if estimator.transductive:
        raise ValueError("partial_fit does not support transductive=True, because it does not keep the labels.")
    if estimator.class_weight == "balanced":
        raise ValueError(
            "partial_fit does not support class_weight='balanced', because it sees only a part of the data; compute "
            "the weights on all data by sklearn.utils.compute_class_weight, and pass a dict."
        )
    if estimator.checkpoints is not None:
        raise ValueError(
            f"partial_fit does not support checkpoints={estimator.checkpoints!r}, because a checkpoint would not "
            "contain which data have been passed; save the estimator between two calls, e.g. by skops or pickle."
        )


def first_classes(estimator: BaseEstimator, classes: Any) -> np.ndarray:
    """Classes in the first call: those passed, or else the parameter of the estimator."""
    classes = estimator.classes if classes is None else classes
    if classes is None:
        raise ValueError("classes must be passed on the first call to partial_fit.")
    return read_classes(classes)


def same_classes(estimator: BaseEstimator, classes: Any) -> np.ndarray:
    """Classes in a later call: those of the earlier calls; other classes are refused."""
    known = estimator.classes_
    if classes is not None and read_classes(classes).tolist() != known.tolist():
        raise ValueError(
            f"classes={np.asarray(classes).tolist()} is not the same as on the last call to partial_fit, which was "
            f"{known.tolist()}; call fit to train with other classes."
        )
    return known
