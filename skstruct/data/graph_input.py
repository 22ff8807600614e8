"""The first step of reading X: graphs in any form become a `GraphDataset`, and anything else must be a table."""

from typing import Any

import numpy as np

from skstruct.data.dataset import GraphDataset
from skstruct.data.graph import is_one_graph
from skstruct.data.node_view import NodeView
from skstruct.data.sparse_checks import check_sparse
from skstruct.data.tables import first_nonfinite, is_sparse


def is_graph_input(X: Any) -> bool:
    """Whether `X` is meant as graphs rather than as a table with one sample per row.

    Parameters
    ----------
    X : object
        Anything passed to an estimator.

    Returns
    -------
    bool
        True for a GraphDataset and a NodeView. True for a list, tuple or object array whose first item is a `Graph`,
        a dict with the key "node_features", or a tuple that starts with a table. True also for one such item alone,
        which :func:`as_dataset` refuses with advice. False for arrays, sparse matrices, data frames, nested lists of
        numbers and empty lists.

    Examples
    --------
    >>> from skstruct import Graph
    >>> from skstruct.data.graph_input import is_graph_input
    >>> is_graph_input([Graph([[1.0]])]), is_graph_input([[1.0, 2.0]]), is_graph_input([(1.0, 2.0)])
    (True, False, False)
    """
    if isinstance(X, GraphDataset | NodeView) or is_one_graph(X):
        return True
    if isinstance(X, np.ndarray):
        return X.dtype == object and X.ndim == 1 and len(X) > 0 and is_one_graph(X[0])
    return isinstance(X, list | tuple) and len(X) > 0 and is_one_graph(X[0])


def as_dataset(X: Any) -> GraphDataset:
    """Pack graphs for which :func:`is_graph_input` is true.

    Parameters
    ----------
    X : GraphDataset, NodeView, or list, tuple or object array of graphs

    Returns
    -------
    GraphDataset
        For a NodeView: the dataset that it is a view of.

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
        if is_sparse(table):  # its arrays may have changed since the dataset was made, as other objects can hold them
            check_sparse(table, f"{name} of X")
    return dataset


def refuse_more_dimensions(X: Any, owner: str) -> None:
    """Refuse arrays of more than two dimensions, and the arrays that NumPy makes of a list of graphs.

    Parameters
    ----------
    X : object
        Input for which :func:`is_graph_input` is false.
    owner : str
        Name of the estimator that needs a table or graphs.

    Raises
    ------
    ValueError
        The message says what to pass instead.
    """
    shape = getattr(X, "shape", ())
    if isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 2 and len(X) and is_one_graph(tuple(X[0])):
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


def check_finite(dataset: GraphDataset) -> None:
    """Refuse NaN and infinite features, and name the first one.

    Parameters
    ----------
    dataset : GraphDataset
        Its features are arrays or CSR matrices of numbers.

    Raises
    ------
    ValueError
        The message names the graph, the node or edge (numbered within the graph) and the feature.
    """
    for table, ptr, item in (
        (dataset.node_features, dataset.node_ptr, "node"),
        (dataset.edge_features, dataset.edge_ptr, "edge"),
    ):
        position = None if table is None else first_nonfinite(table)
        if position is not None:
            row, feature = position
            graph = int(np.searchsorted(ptr, row, side="right") - 1)
            raise ValueError(
                f"Input X contains NaN or infinity: graph {graph}, {item} {row - ptr[graph]}, feature {feature} of "
                f"{item}_features; impute it, for example by {item.title()}Transformer(SimpleImputer())"
            )
