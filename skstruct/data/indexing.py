"""Index keys along the first axis of a container, and its array namespace, as scikit-learn uses them."""

import importlib
import numbers

import numpy as np


def sample_key(key, n_samples, what="samples"):
    """Normalise an index along the first axis.

    Parameters
    ----------
    key : int, slice, boolean mask, int array, list, or ``(key, Ellipsis)``
        All keys that scikit-learn's splitters and ``_safe_indexing`` pass.
    n_samples : int
        Length of the axis.
    what : str
        Name of the samples in messages.

    Returns
    -------
    int, slice or ndarray of intp
        A number in ``[0, n_samples)``, a slice of step 1 with explicit ends, or an array of numbers in
        ``[0, n_samples)``, which may repeat. For a slice the caller can return a view.

    Raises
    ------
    IndexError
        If the key is out of range, if it is a mask of another length, or if it is not an index.
    """
    if isinstance(key, tuple):
        if not key or any(item is not Ellipsis for item in key[1:]):
            raise IndexError(f"only the first axis ({what}) can be indexed here, got {key!r}")
        key = key[0]
    if isinstance(key, numbers.Integral) and not isinstance(key, bool | np.bool_):
        if not -n_samples <= key < n_samples:
            raise IndexError(f"index {key} is out of range for {n_samples} {what}")
        return int(key) % n_samples
    if isinstance(key, slice):
        start, stop, step = key.indices(n_samples)
        return slice(start, max(start, stop)) if step == 1 else np.arange(start, stop, step)
    try:
        key = np.asarray(key)
    except ValueError:
        raise IndexError(
            f"{what} are selected by an integer, a slice, a mask or a 1-D integer array, got {key!r}"
        ) from None
    if key.dtype == bool:
        if key.shape != (n_samples,):
            raise IndexError(f"a mask of shape {key.shape} cannot select from {n_samples} {what}")
        return np.flatnonzero(key)
    if key.size == 0:
        return np.zeros(0, np.intp)
    if key.dtype.kind not in "iu" or key.ndim > 1:
        raise IndexError(
            f"{what} are selected by an integer, a slice, a mask or a 1-D integer array, "
            f"got an array of shape {key.shape} and dtype {key.dtype}"
        )
    if key.ndim == 0:
        return sample_key(int(key), n_samples, what)
    key = key.astype(np.intp)
    outside = np.flatnonzero((key < -n_samples) | (key >= n_samples))
    if len(outside):
        raise IndexError(f"index {key[outside[0]]} is out of range for {n_samples} {what}")
    return np.where(key < 0, key + n_samples, key)


def check_axis(axis, allowed, what):
    """Refuse the number of an axis that is not among the `allowed` ones, which `what` describes."""
    if isinstance(axis, np.ndarray) or axis not in allowed:
        raise ValueError(f"axis must be {what}, got {axis!r}")


def first_outside(numbers, stop):
    """Position of the first integer that is not in ``0..stop - 1``; None if all are.

    Parameters
    ----------
    numbers : ndarray of int of shape (n,)
    stop : int

    Returns
    -------
    int or None
    """
    # read as unsigned, negative numbers are large: one maximum finds both kinds
    unsigned = numbers.view(numbers.dtype.str.replace("i", "u"))
    if not numbers.size or unsigned.max() < stop:
        return None
    return int(np.flatnonzero((numbers < 0) | (numbers >= stop))[0])


def numpy_namespace():
    """Return the module through which scikit-learn calls NumPy under ``array_api_dispatch=True``."""
    for name in ("sklearn.externals.array_api_compat.numpy", "array_api_compat.numpy"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return np


def item_number(name, number, n, owner):
    """Return the number of one item as an index that is not negative.

    Parameters
    ----------
    name : str
        What is counted, such as "graph".
    number : int
        A negative number counts from the end.
    n : int
        Number of items.
    owner : str
        What has the items, for messages.

    Returns
    -------
    int

    Raises
    ------
    TypeError, ValueError
        If it is no integer, or out of range.
    """
    if not isinstance(number, numbers.Integral) or isinstance(number, bool):
        raise TypeError(f"{name} must be the number of a {name}, an integer, got {number!r}.")
    if not -n <= number < n:
        raise ValueError(f"{name} is {number}, but {owner} has {n} {name}s.")
    return int(number) % n
