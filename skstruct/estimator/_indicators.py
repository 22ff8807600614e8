"""Reading `y` of a multi-label problem: a table of zeros and ones, or one column of two classes."""

from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from skstruct.data.label_types import label_array, plain_labels
from skstruct.estimator._input import find_codes

INDICATOR = "multilabel-indicator"  # name of scikit-learn


def read_indicators(y: Any) -> np.ndarray:
    """Check `y`, and convert it to an array.

    Parameters
    ----------
    y : array-like or sparse matrix of shape (n_samples, n_labels), or array-like of shape (n_samples,)

    Returns
    -------
    labels : ndarray
        Integers 0 and 1, (n_samples, n_labels), or labels of at most two classes, (n_samples,).

    Raises
    ------
    ValueError
        If `y` is something else.
    """
    if y is None:
        raise ValueError("MultiLabelCRFClassifier requires y to be passed, but the target y is None.")
    y = y.toarray() if issparse(y) else y
    if getattr(y, "dtype", np.dtype(object)).kind == "f":
        assert_all_finite(y, input_name="y")
    kind = type_of_target(y, input_name="y", raise_unknown=True)
    check_classification_targets(y)
    if kind == INDICATOR:
        labels = np.asarray(y)
        if not np.isin(labels, [0, 1]).all():
            raise ValueError(f"y must contain 0 and 1 where it has a column per label, got {np.unique(labels)[:10]}.")
        return labels.astype(np.int64)
    if kind != "binary":
        raise ValueError(
            f"Only binary classification is supported. The type of the target is {kind}. Pass a table of zeros and "
            "ones with a column for each label; MultiLabelBinarizer makes such a table of lists of labels."
        )
    return plain_labels(label_array(column_or_1d(y, warn=True), "y"), "y")


def indicator_states(labels: np.ndarray, classes: np.ndarray, n_labels: int | None) -> np.ndarray:
    """States of all labels, 0 or 1, (n_samples, n_labels).

    Parameters
    ----------
    labels : ndarray
        Result of `read_indicators`.
    classes : ndarray
        The classes of one column.
    n_labels : int or None
        Number of columns that `labels` must have. None: `labels` must be 1-D.
    """
    wanted = "(n_samples,)" if n_labels is None else f"(n_samples, {n_labels})"
    if labels.shape[1:] != (() if n_labels is None else (n_labels,)):
        raise ValueError(f"y must have the shape {wanted} as in fit, got {labels.shape}.")
    if n_labels is not None:
        return labels
    codes = find_codes(labels, classes)
    if (codes < 0).any():
        unknown = labels.tolist()[codes.argmin()]
        raise ValueError(f"y contains {unknown!r}, which is not one of the classes {classes.tolist()}.")
    return codes[:, None]
