"""Missing labels."""

import numbers
from collections.abc import Hashable
from typing import Any

import numpy as np


def missing_mask(labels: np.ndarray, missing_label: Any) -> np.ndarray:
    """Which of the flat `labels` are missing.

    Parameters
    ----------
    labels : ndarray of shape (n_nodes,)
        Labels of any type.
    missing_label : object
        The value that means a missing label. NaN also matches None and ``pandas.NA``. None matches nothing: no label
        is missing.

    Returns
    -------
    ndarray of bool of shape (n_nodes,)

    Examples
    --------
    >>> import numpy as np
    >>> from skstruct.data.missing import missing_mask
    >>> missing_mask(np.array(["a", -1, "b"], dtype=object), -1)
    array([False,  True, False])
    """
    if missing_label is None:
        return np.zeros(len(labels), bool)
    if getattr(missing_label, "ndim", 0) or isinstance(missing_label, list | tuple | dict | set | range):
        raise ValueError(f"missing_label must be one label, got {missing_label!r}.")
    if is_blank(missing_label):
        if labels.dtype.kind == "f":
            return np.isnan(labels)
        is_missing = is_blank
    elif labels.dtype.kind in "biuf" and isinstance(missing_label, numbers.Number):
        same = _as_type(missing_label, labels.dtype)
        return np.zeros(len(labels), bool) if same is None else labels == same
    else:

        def is_missing(label):
            return isinstance(label, Hashable) and not is_blank(label) and bool(label == missing_label)

    return np.array([is_missing(label) for label in labels], dtype=bool)


def _as_type(number, dtype):
    """Return `number` as a scalar of `dtype`, or None if the conversion changes it.

    NumPy would compare after a conversion to float, in which the labels 2**53 and 2**53 + 1 are equal.
    """
    try:
        if dtype.kind in "iu" and not np.iinfo(dtype).min <= number <= np.iinfo(dtype).max:
            return None
        scalar = dtype.type(number)
    except (OverflowError, TypeError, ValueError):
        return None
    return scalar if scalar.item() == number else None


def is_blank(value: Any) -> bool:
    """Whether a value is None, NaN, NaT, masked, or ``pandas.NA``."""
    if value is None or value is np.ma.masked or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, numbers.Number | np.datetime64 | np.timedelta64) and value != value
