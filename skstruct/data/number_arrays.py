"""Arrays and types of numbers from any input."""

from typing import Any

import numpy as np


def number_array(values: Any, name: str) -> np.ndarray:
    """Return an array of booleans, integers or floats; other values are refused by the name of the argument.

    Parameters
    ----------
    values : array-like
    name : str
        Name of `values` in messages.

    Raises
    ------
    ValueError
        If `values` is ragged, or contains other objects than numbers.

    Examples
    --------
    >>> from skstruct.data.number_arrays import number_array
    >>> number_array([1, "2"], "sample_weight")
    Traceback (most recent call last):
    ValueError: sample_weight must be an array of real numbers, got an array of <U21.
    """
    try:
        array = np.asarray(values)
        array = array.astype(float) if array.dtype == object else array
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"{name} must be an array of real numbers: {error}") from error
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be an array of real numbers, got an array of {array.dtype}.")
    return array


def require_dtype(dtype: Any) -> None:
    """Refuse what is no type of NumPy."""
    try:
        np.dtype(dtype)
    except TypeError as error:
        raise TypeError(f"dtype must be a type of numbers, such as numpy.float32, got {dtype!r}") from error
