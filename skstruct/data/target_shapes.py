"""Labels in a shape that cannot be converted to one label per node are refused, with a remedy."""

from collections.abc import Iterator

import numpy as np

from skstruct.data.tables import is_frame, is_sparse

COMPOUND = (tuple, dict, set, frozenset)
ONE_HOT = "one-hot rows become labels by classes[rows.argmax(axis=1)]"


def refuse_iterator(y, name):
    """Refuse a generator or another iterator."""
    if isinstance(y, Iterator):
        raise TypeError(f"{name} is a {type(y).__name__}, which can be read only once; pass list({name})")


def refuse_tables(y, name):
    """Refuse sparse matrices and data frames in place of one array per graph."""
    if is_sparse(y):
        raise TypeError(f"{name} is a sparse matrix, but one array of labels per graph is needed; {ONE_HOT}")
    if is_frame(y):
        raise TypeError(
            f"{name} is a data frame with the columns {list(y.columns)[:10]}, but one array per graph is needed; pass "
            f"RaggedArray({name}[column], X.node_ptr) for a GraphDataset X"
        )


def refuse_compound_labels(labels, name):
    """Refuse tuples, dicts and sets as labels, before NumPy makes further dimensions of them."""
    if not isinstance(labels, list | tuple) and not (isinstance(labels, np.ndarray) and labels.dtype == object):
        return
    if any(issubclass(kind, COMPOUND) for kind in set(map(type, labels))):
        i, label = next((i, label) for i, label in enumerate(labels) if isinstance(label, COMPOUND))
        raise ValueError(
            f"{name}[{i}] is {label!r}, but a label is one string or number; join the items to a string, for example "
            "by '-'.join(map(str, label))"
        )


def refuse_several(shape, name):
    """Refuse an array of labels that has a `shape` of more than one dimension."""
    remedy = "a column of labels becomes 1-D by .ravel()" if shape[1:] == (1,) else ONE_HOT
    raise ValueError(f"{name} must be 1-D with one value per node, got shape {shape}; {remedy}")


def check_flat(y, name):
    """Refuse labels that are not one label per sample; scikit-learn's ``column_or_1d`` handles a column."""
    refuse_iterator(y, name)
    if is_sparse(y):
        raise TypeError(f"{name} is a sparse matrix, but one label per sample is needed; {ONE_HOT}")
    unordered = isinstance(y, str | bytes | dict | set | frozenset)
    if unordered or (not hasattr(y, "__len__") and np.asarray(y).ndim == 0) or getattr(y, "shape", None) == ():
        raise TypeError(
            f"{name} must hold one label per sample, in a list or a 1-D array, got a {type(y).__name__} ({y!r:.50})"
        )
    refuse_compound_labels(y, name)
    shape = getattr(y, "shape", (0,))
    if len(shape) > 1 and shape[1:] != (1,):
        raise ValueError(
            f"{name} should be a 1d array with one label per sample, got an array of shape {shape}; {ONE_HOT}"
        )
