"""Missing labels, and what kind of labels there are."""

import numbers

import numpy as np


def missing_mask(labels, missing_label):
    """Which of the flat `labels` are missing.

    Parameters
    ----------
    labels : ndarray of shape (n_nodes,)
        Of any type.
    missing_label : object
        The value that stands for a missing label. NaN also matches None and ``pandas.NA``; None matches
        nothing.

    Returns
    -------
    ndarray of bool of shape (n_nodes,)

    Examples
    --------
    >>> import numpy as np
    >>> from skstruct._missing import missing_mask
    >>> missing_mask(np.array(["a", -1, "b"], dtype=object), -1)
    array([False,  True, False])
    """
    if missing_label is None:
        return np.zeros(len(labels), bool)
    if is_blank(missing_label):
        if labels.dtype.kind == "f":
            return np.isnan(labels)
        is_missing = is_blank
    elif labels.dtype.kind in "biuf" and isinstance(missing_label, numbers.Number):
        return labels == missing_label
    else:

        def is_missing(label):
            return not is_blank(label) and bool(label == missing_label)

    return np.array([is_missing(label) for label in labels], dtype=bool)


def label_kind(array, name, missing_label):
    """Return "string", "number" or "other", and None where all labels are missing."""
    if array.dtype.kind in "UST":
        return "string"
    if array.dtype.kind in "biufc":
        missing = np.isnan(array) if array.dtype.kind == "f" else np.zeros(array.shape, bool)
        missing |= missing_mask(array.ravel(), missing_label).reshape(array.shape)
        return None if missing.all() else "number"
    values = array.ravel()[~missing_mask(array.ravel(), missing_label)]
    kinds = {_kind_of(value) for value in values if not is_blank(value)}
    if len(kinds) > 1:
        raise ValueError(f"{name} mixes strings and numbers; convert all labels to one type")
    return kinds.pop() if kinds else None


def _kind_of(value):
    return "string" if isinstance(value, str | bytes) else "number" if isinstance(value, numbers.Number) else "other"


def is_blank(value):
    """Whether a label is None, NaN, or what pandas uses instead."""
    if value is None or type(value).__name__ == "NAType":
        return True
    return isinstance(value, float | np.floating) and value != value
