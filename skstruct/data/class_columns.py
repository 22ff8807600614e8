"""Columns of classes, where models or test data know different ones: one order for all, filled where one lacks some."""

from dataclasses import dataclass

import numpy as np

from skstruct.data.label_types import PLURALS, join_labels, label_kind

#: methods with a column per class: value of a class that the model does not know, and value of the second of two
#: classes given that of the first
METHODS: dict[str, tuple] = {
    "predict_proba": (0.0, lambda value: 1.0 - value),
    "predict_edge_proba": (0.0, None),
    "predict_log_proba": (-np.inf, lambda value: np.log(-np.expm1(value))),
    "decision_function": (np.finfo(np.float64).min, np.negative),
}


@dataclass(frozen=True)
class ClassColumns:
    """What the columns of a response mean.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
        The estimator's, sorted.
    method : str
        One of `METHODS`.
    """

    classes: np.ndarray
    method: str

    def table(self, values, pos_label=None):
        """Values with a column per class; `values` of shape (n,) are those of `pos_label`, or of the last class."""
        if values.ndim == 1 and len(self.classes) == 2:
            positive = 1 if pos_label is None else position(pos_label, self.classes)
            with np.errstate(divide="ignore"):
                pair = METHODS[self.method][1](values), values
            return np.stack(pair if positive else pair[::-1], axis=1)
        if values.ndim == 1 or values.shape[1] != len(self.classes):
            raise ValueError(
                f"{self.method} returned values of shape {values.shape} for {len(self.classes)} classes; one column "
                "per class is needed, in the order of classes_"
            )
        return values

    def arrange(self, values, classes):
        """Bring the columns (and rows, of pairs of classes) into the order of `classes`, which include the own ones."""
        if len(classes) == len(self.classes):
            return values
        out = np.full((len(values), *[len(classes)] * (values.ndim - 1)), METHODS[self.method][0])
        at = np.searchsorted(classes, self.classes)
        out[np.ix_(np.arange(len(values)), *[at] * (values.ndim - 1))] = values
        return out


def position(label, classes):
    """Position of a label among classes."""
    known = classes.tolist()
    if label not in known:
        raise ValueError(f"pos_label {label!r} is not among the classes {known[:10]}")
    return known.index(label)


def union(*labels):
    """Sorted distinct labels of some arrays."""
    return np.unique(join_labels([array for array in labels if len(array)], "classes"))


def require_comparable(labels, classes):
    """Refuse labels that are strings where classes are numbers, and the reverse."""
    given, own = (label_kind(array, "y", None) for array in (labels, classes))
    if given != own:
        raise ValueError(
            f"y has {PLURALS[given]} but the classes are {PLURALS[own]}; convert y to the type of classes_."
        )
