"""Missing labels."""

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
    >>> from skstruct.data.missing import missing_mask
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
        same = _as_type(missing_label, labels.dtype)
        return np.zeros(len(labels), bool) if same is None else labels == same
    else:

        def is_missing(label):
            return not is_blank(label) and bool(label == missing_label)

    return np.array([is_missing(label) for label in labels], dtype=bool)


def _as_type(number, dtype):
    """Return `number` as a scalar of `dtype`, None if that changes it: 2.0**53 also equals the label 2**53 + 1."""
    try:
        if dtype.kind in "iu" and not np.iinfo(dtype).min <= number <= np.iinfo(dtype).max:
            return None
        scalar = dtype.type(number)
    except (OverflowError, TypeError, ValueError):
        return None
    return scalar if scalar.item() == number else None


def is_blank(value):
    """Whether a value is None, NaN, not a time, masked, or what pandas uses instead."""
    if value is None or value is np.ma.masked or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, numbers.Number | np.datetime64 | np.timedelta64) and value != value
