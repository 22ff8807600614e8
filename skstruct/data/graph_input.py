"""What counts as graphs among what estimators are given, and what they refuse."""

import numpy as np

from skstruct.data.dataset import GraphDataset
from skstruct.data.graph import is_bare_graph
from skstruct.data.node_view import NodeView
from skstruct.data.sparse_checks import check_sparse
from skstruct.data.tables import first_nonfinite, is_sparse


def is_graph_input(X):
    """Whether `X` is meant as graphs rather than as a table with one sample per row.

    Parameters
    ----------
    X : object
        Anything passed to an estimator.

    Returns
    -------
    bool
        True for GraphDataset and NodeView; for a list, tuple or object array whose first item is a `Graph`, a
        dict with the key "node_features" or a tuple that starts with a table; and for one such item itself,
        which :func:`as_dataset` refuses with advice. False for arrays, sparse matrices, data frames, nested
        lists of numbers and empty lists.

    Examples
    --------
    >>> from skstruct import Graph
    >>> from skstruct.data.graph_input import is_graph_input
    >>> is_graph_input([Graph([[1.0]])]), is_graph_input([[1.0, 2.0]]), is_graph_input([(1.0, 2.0)])
    (True, False, False)
    """
    if isinstance(X, GraphDataset | NodeView) or is_bare_graph(X):
        return True
    if isinstance(X, np.ndarray):
        return X.dtype == object and X.ndim == 1 and len(X) > 0 and is_bare_graph(X[0])
    return isinstance(X, list | tuple) and len(X) > 0 and is_bare_graph(X[0])


def as_dataset(X):
    """Pack what :func:`is_graph_input` accepts.

    Parameters
    ----------
    X : GraphDataset, NodeView, or list, tuple or object array of graphs
        Of a NodeView the dataset behind it is returned.

    Returns
    -------
    GraphDataset

    Raises
    ------
    TypeError
        If `X` is one graph instead of a list of graphs.
    ValueError
        If a sparse table has a column out of range.
    """
    dataset = X.dataset if isinstance(X, NodeView) else X
    if not isinstance(dataset, GraphDataset):
        return GraphDataset.from_graphs(dataset)
    for name in ("node_features", "edge_features"):
        table = getattr(dataset, name)
        if is_sparse(table):  # whoever shares its arrays may have changed them
            check_sparse(table, f"{name} of X")
    return dataset


def refuse_more_dimensions(X, owner):
    """Refuse arrays of more than two dimensions, and those that NumPy makes of a list of graphs.

    Parameters
    ----------
    X : object
        No graph input.
    owner : str
        Who needs a table or graphs.

    Raises
    ------
    ValueError
        With what to pass instead.
    """
    shape = getattr(X, "shape", ())
    if isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 2 and len(X) and is_bare_graph(tuple(X[0])):
        raise ValueError(
            f"X is an array of shape {X.shape} with a graph in each row, as NumPy makes of a list of graphs; pass the "
            "list, or list(map(tuple, X))"
        )
    if len(shape) > 2:
        raise ValueError(
            f"Found array with dim {len(shape)}, while dim <= 2 is required by {owner}: X has shape {tuple(shape)}. If "
            "each X[i] is a sequence, GraphDataset.from_sequences(X) makes chains; if it is an image, "
            "GraphDataset.from_images(X) makes grids; otherwise flatten the features, by X.reshape(len(X), -1)"
        )


def check_finite(dataset, name="X"):
    """Refuse NaN and infinite features, and say where the first one is.

    Parameters
    ----------
    dataset : GraphDataset
        Its features are arrays or CSR matrices of numbers.
    name : str, default="X"
        What to call it in messages.

    Raises
    ------
    ValueError
        With the graph, the node or edge (numbers within the graph) and the feature.
    """
    for table, ptr, item in (
        (dataset.node_features, dataset.node_ptr, "node"),
        (dataset.edge_features, dataset.edge_ptr, "edge"),
    ):
        place = None if table is None else first_nonfinite(table)
        if place is not None:
            row, feature = place
            graph = int(np.searchsorted(ptr, row, side="right") - 1)
            raise ValueError(
                f"Input {name} contains NaN or infinity: graph {graph}, {item} {row - ptr[graph]}, feature "
                f"{feature} of {item}_features; impute it, for example by "
                f"{item.title()}Transformer(SimpleImputer())"
            )
