"""Values and labels per node of many graphs are checked against the graphs and made flat."""

from collections.abc import Iterator

import numpy as np

from skstruct.data.label_types import label_array, plain_labels
from skstruct.data.missing import is_blank, missing_mask
from skstruct.data.ragged import as_ragged
from skstruct.data.target_shapes import ONE_HOT, refuse_compound_labels, refuse_iterator, refuse_several


def flatten_values(values, node_ptr, name="y", missing_label=None):
    """Check values per node against the sizes of their graphs, and return them as one flat array.

    Parameters
    ----------
    values : RaggedArray or anything that :func:`as_ragged` accepts
        One 1-D array per graph.
    node_ptr : ndarray of shape (n_graphs + 1,)
        Node offsets of the graphs.
    name : str, default="y"
        Name of the values in messages.
    missing_label : object, default=None
        A label that may occur among labels of another type, as in :func:`as_ragged`.

    Returns
    -------
    ndarray of shape (n_nodes,)

    Raises
    ------
    ValueError
        If the number of graphs or of the nodes of a graph differs, or if values are not 1-D.
    """
    if values is None:
        raise ValueError(f"{name} is needed here, got None")
    n_graphs = len(node_ptr) - 1
    if isinstance(values, list | tuple | Iterator):
        values = list(values)
        for g, array in enumerate(values):
            refuse_iterator(array, f"{name}[{g}]")
            refuse_compound_labels(array, f"{name}[{g}]")
    ragged = as_ragged(values, name, missing_label)
    if len(ragged) != n_graphs:
        per_node = f"; for one label per node pass RaggedArray(labels, X.node_ptr), and {ONE_HOT}"
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: [{n_graphs}, {len(ragged)}]; X has "
            f"{n_graphs} graphs, so {name} must hold {n_graphs} arrays, one per graph"
            + (per_node if len(ragged) == node_ptr[-1] else "")
        )
    sizes, n_nodes = np.diff(ragged.ptr), np.diff(node_ptr)
    wrong = np.flatnonzero(sizes != n_nodes)
    if len(wrong):
        g = wrong[0]
        raise ValueError(
            f"graph {g} has {n_nodes[g]} nodes but {name}[{g}] has {sizes[g]} values ({len(wrong)} of "
            f"{n_graphs} graphs disagree); pass one value per node, in the order of the nodes"
        )
    if ragged.values.ndim != 1:
        g = np.flatnonzero(n_nodes)[0] if len(ragged.values) else 0
        refuse_several(ragged[int(g)].shape, f"{name}[{g}]")
    return ragged.values


def flatten_labels(y, node_ptr, name="y", *, missing_label=None):
    """Check labels as :func:`flatten_values` does, and refuse blank ones unless `missing_label` is blank."""
    labels = label_array(flatten_values(y, node_ptr, name, missing_label), f"{name}.values")
    refuse_blank(labels, name, missing_label, node_ptr)
    return plain_labels(labels, name) if missing_label is None else labels


def refuse_blank(labels, name, missing_label, node_ptr=None):
    """Refuse None, NaN and ``pandas.NA`` among flat `labels`, unless `missing_label` is one of them.

    Parameters
    ----------
    labels : ndarray of shape (n_nodes,)
    name : str
    missing_label : object
    node_ptr : ndarray of shape (n_graphs + 1,), default=None
        Node offsets, with which the message names the graph; None if samples are nodes.

    Raises
    ------
    ValueError
        The message names the first blank label.
    """
    if labels.dtype.kind not in "fO" or (missing_label is not None and is_blank(missing_label)):
        return
    blank = np.flatnonzero(missing_mask(labels, np.nan))
    if len(blank):
        first = blank[0]
        index = f"[{first}]"
        if node_ptr is not None:
            g = np.searchsorted(node_ptr, first, side="right") - 1
            index = f"[{g}][{first - node_ptr[g]}]"
        raise ValueError(
            f"Input {name} contains NaN or None: {name}{index} is {labels[first]} ({len(blank)} such "
            "values); drop these nodes, or declare them unlabelled by the parameter missing_label"
        )
