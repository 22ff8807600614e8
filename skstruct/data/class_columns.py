"""Columns of a response, one per class, are brought into one order where models or test data have different classes."""

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from skstruct.data.label_types import PLURALS, join_labels, label_kind

#: methods with a column per class: value of a class that the model does not have, and, for two classes, a function that
#: computes the value of one class from the value of the other
METHODS: dict[str, tuple] = {
    "predict_proba": (0.0, lambda value: 1.0 - value),
    "predict_edge_proba": (0.0, None),
    "predict_log_proba": (-np.inf, lambda value: np.log(-np.expm1(value))),
    "decision_function": (np.finfo(np.float64).min, np.negative),
}


@dataclass(frozen=True)
class ClassColumns:
    """The classes of the columns of a response.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
        Classes of the estimator, sorted.
    method : str
        One of `METHODS`.
    """

    classes: np.ndarray
    method: str

    def table(self, values: np.ndarray, pos_label=None) -> np.ndarray:
        """Values with a column per class; `values` of shape (n,) belong to `pos_label`, by default the last class."""
        if values.ndim == 1 and len(self.classes) == 2:
            positive = 1 if pos_label is None else position(pos_label, self.classes)
            with np.errstate(divide="ignore"):  # log 0 is -inf
                pair = METHODS[self.method][1](values), values
            return np.stack(pair if positive else pair[::-1], axis=1)
        if values.ndim == 1 or values.shape[1] != len(self.classes):
            raise ValueError(
                f"{self.method} returned values of shape {values.shape} for {len(self.classes)} classes; one column "
                "per class is needed, in the order of classes_"
            )
        return values

    def arrange(self, values: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Bring the columns into the order of `classes`, a superset of the classes of the columns.

        Values of pairs of classes, (n_edges, n_classes, n_classes), have their rows and columns arranged.
        """
        if len(classes) == len(self.classes):
            return values
        out = np.full((len(values), *[len(classes)] * (values.ndim - 1)), METHODS[self.method][0])
        at = np.searchsorted(classes, self.classes)
        out[np.ix_(np.arange(len(values)), *[at] * (values.ndim - 1))] = values
        return out


def position(label, classes, name="pos_label"):
    """Position of a label among classes; `name` is that of the label in messages."""
    labels = classes.tolist()
    if not isinstance(label, Hashable) or label not in labels:
        raise ValueError(f"{name} {label!r} is not among the classes {labels[:10]}")
    return labels.index(label)


def union(*labels):
    """Sorted distinct labels of several arrays."""
    return np.unique(join_labels([array for array in labels if len(array)], "classes"))


def require_comparable(labels, classes):
    """Refuse labels of another kind than the classes, such as strings where classes are numbers."""
    kind, kind_of_classes = (label_kind(array, "y", None) for array in (labels, classes))
    if kind != kind_of_classes and None not in (kind, kind_of_classes):
        raise ValueError(
            f"y has {PLURALS[kind]} but the classes are {PLURALS[kind_of_classes]}; convert y to the type of classes_."
        )
