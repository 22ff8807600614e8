"""Labels are converted to arrays in which different labels stay different, and kinds of labels are told apart.

NumPy merges labels when it converts or joins them. Integers above 2**53 become floats if they are joined with a NaN, or
if signed and unsigned integers are joined. Members of a string enumeration become their names, cut to the length of
their values. Strings lose null characters at their end. Masked labels become the values under the mask.
"""

import numbers

import numpy as np

from skstruct.data.missing import is_blank, missing_mask

EXACT = 2**53  # float64 represents all integers of smaller absolute value exactly
PLAIN = {str, bytes, np.str_, np.bytes_}
NULLS = ("\0", b"\0")
PLURALS = {"string": "strings", "bytes": "bytes", "number": "numbers", "other": "other objects"}


def label_array(labels, name):
    """Return labels as an array in which labels are equal only if they are equal in `labels`.

    Parameters
    ----------
    labels : array-like of shape (n_nodes,)
        A list, an array, a Series or an extension array. Other shapes are converted as by NumPy.
    name : str
        Name of `labels` in messages.

    Returns
    -------
    ndarray of shape (n_nodes,)
        The dtype is object if any other dtype would merge labels. Masked labels are None, and members of string
        enumerations are plain strings.

    Raises
    ------
    ValueError
        If a string ends with a null character, or if a list is ragged.

    Examples
    --------
    >>> from skstruct.data.label_types import label_array
    >>> label_array([2**53, 2**53 + 1, float("nan")], "y")
    array([9007199254740992, 9007199254740993, nan], dtype=object)
    """
    if np.ma.isMaskedArray(labels):
        mask, labels = np.ma.getmaskarray(labels), labels.data
        if mask.any():
            labels = labels.astype(object)
            labels[mask] = None
    if not isinstance(labels, np.ndarray | list | tuple):
        array = np.asarray(labels)
        if array.dtype.kind != "f" or array.ndim == 0:
            labels = array
        else:  # NaN for missing integers or booleans may have made it float; in a list they keep their types
            labels = labels.to_list() if hasattr(labels, "to_list") else getattr(labels, "tolist", array.tolist)()
    if isinstance(labels, list | tuple):
        return _from_items(_plain_items(labels, name), name)
    if labels.dtype.kind == "T":
        labels = labels.astype(object)
    if labels.dtype == object and labels.ndim == 1:
        items = labels.tolist()
        plain = _plain_items(items, name)
        return labels if plain is items else _objects(plain)
    return np.asarray(labels)


def _from_items(items, name):
    """Array of a list, of dtype object where NumPy would merge labels."""
    try:
        array = np.asarray(items)
    except ValueError as error:
        raise ValueError(f"{name} must hold one value per node: {error}") from error
    if array.ndim != 1 or array.dtype.kind not in "USf":
        return array
    types = set(map(type, items))
    if array.dtype.kind == "f":
        others = [t for t in types if not issubclass(t, float | np.floating)]
        kept = not others or not (any(map(_is_boolean, others)) or (np.abs(array) >= EXACT).any())
    else:
        kept = all(issubclass(t, str) for t in types) or all(issubclass(t, bytes) for t in types)
    return array if kept else _objects(items)


def _plain_items(items, name):
    """Plain strings in place of instances of subclasses, and None in place of the masked constant.

    Strings that end with a null character, which NumPy would cut, are refused.
    """
    types = set(map(type, items))
    if any(issubclass(t, (str, bytes, np.ma.core.MaskedConstant)) and t not in PLAIN for t in types):
        items = list(map(_plain_item, items))
    if any(issubclass(t, (str, bytes)) for t in types):
        cut = next((i for i, v in enumerate(items) if isinstance(v, (str, bytes)) and v[-1:] in NULLS), None)
        if cut is not None:
            raise ValueError(
                f"{name}[{cut}] is {items[cut]!r}, whose null character at the end is lost in NumPy arrays; "
                "use another label"
            )
    return items


def _plain_item(label):
    if isinstance(label, str):
        return str.__str__(label)
    if isinstance(label, bytes):
        return bytes.__bytes__(label)
    return None if label is np.ma.masked else label


def _objects(items):
    """Object array of a list; ``np.array`` would make further dimensions of items that are sequences."""
    return np.fromiter(items, object, len(items))


def join_labels(arrays, name):
    """Concatenate arrays of labels; the dtype is object or an integer type where NumPy would merge labels."""
    dtypes = {array.dtype for array in arrays}
    if len(dtypes) == 1 or any(d.kind not in "biuf" for d in dtypes) or np.result_type(*dtypes).kind != "f":
        return np.concatenate(arrays)
    whole = [array for array in arrays if array.dtype.kind != "f"]
    if len(whole) == len(arrays):  # uint64 and signed integers
        return plain_labels(np.concatenate([array.astype(object) for array in arrays]), name)
    if any(a.dtype.kind == "b" or (a >= EXACT).any() or (a <= -EXACT).any() for a in whole):
        arrays = [array.astype(object) for array in arrays]
    return np.concatenate(arrays)


def plain_labels(labels, name):
    """Convert numbers of dtype object, none of them missing, to an array of booleans, integers or floats.

    Raises
    ------
    ValueError
        If every numeric type of NumPy would merge labels, or if they are neither strings nor numbers.
    """
    types = set(map(type, labels.tolist())) if labels.dtype == object else set()
    if not types or all(issubclass(t, (str, bytes)) for t in types):
        return labels
    odd = next((v for v in labels if not isinstance(v, (str, bytes, numbers.Real, np.bool_))), None)
    if odd is not None:
        raise ValueError(
            f"Unknown label type: {name} has the label {odd!r} of type {type(odd).__name__}, but labels must be "
            "strings, integers or booleans; number them, or use their names"
        )
    if any(issubclass(t, (str, bytes)) for t in types):
        raise ValueError(f"{name} mixes strings and numbers; convert all labels to one type")
    if all(map(_is_boolean, types)):
        return labels.astype(bool)
    whole = [int(v) for v in labels if isinstance(v, (numbers.Integral, np.bool_))]
    fractions = [v for v in labels if not isinstance(v, (numbers.Integral, np.bool_))]
    if fractions and not any(abs(v) >= EXACT for v in whole):
        return labels.astype(np.float64)
    if all(v == np.floor(v) for v in fractions):
        whole += map(int, fractions)
    low, high = min(whole), max(whole)
    fitting = (t for t in (np.int64, np.uint64) if np.iinfo(t).min <= low and high <= np.iinfo(t).max)
    dtype = next(fitting, None) if len(whole) == len(labels) else None
    if dtype is None:
        raise ValueError(
            f"{name} has integers from {low} to {high}, and no type of NumPy represents all its labels exactly; "
            "convert the labels to strings"
        )
    return labels.astype(dtype)


def _is_boolean(type_):
    return issubclass(type_, (bool, np.bool_))


def label_kind(array, name, missing_label):
    """Return a key of `PLURALS`, or None if all labels are missing."""
    if array.dtype.kind in "UST":
        return "bytes" if array.dtype.kind == "S" else "string"
    if array.dtype.kind in "biufc":
        missing = np.isnan(array) if array.dtype.kind == "f" else np.zeros(array.shape, bool)
        missing |= missing_mask(array.ravel(), missing_label).reshape(array.shape)
        return None if missing.all() else "number"
    values = array.ravel()[~missing_mask(array.ravel(), missing_label)]
    return one_kind({_kind_of(value) for value in values if not is_blank(value)}, name)


def one_kind(kinds, name):
    """Return the only element of the set `kinds`, or None if it is empty; more than one kind is refused."""
    if len(kinds) > 1:
        found = [PLURALS[kind] for kind in PLURALS if kind in kinds]
        raise ValueError(f"{name} mixes {' and '.join(found)}; convert all labels to one type")
    return next(iter(kinds), None)


def _kind_of(value):
    if isinstance(value, str | bytes):
        return "bytes" if isinstance(value, bytes) else "string"
    return "number" if isinstance(value, numbers.Number | np.bool_) else "other"
