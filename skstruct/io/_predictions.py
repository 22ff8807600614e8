"""Predictions are written to a file, one piece of the graphs after the other."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from skstruct.data.dataset import GraphDataset
from skstruct.data.pieces import cut_graphs
from skstruct.data.ragged import RaggedArray
from skstruct.io._array_files import ArrayWriter, is_storable

METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function")


def predict_to_file(path: Any, estimator: Any, X: GraphDataset, *, method: str = "predict", n_nodes: int = 100_000):
    """Predict piece by piece, and write the predictions to a file.

    Memory is that of one piece, also where the graphs, or their predictions, are larger than memory.

    Parameters
    ----------
    path : path
        Name of the new ``.npy`` file, with one row for each node. It must not exist. It has the name
        ``<path>.partial`` until it is complete.
    estimator : fitted estimator or pipeline
        For example a `GraphCRFClassifier`.
    X : GraphDataset
        For example from `load_dataset`, which maps graphs into memory.
    method : {"predict", "predict_proba", "predict_log_proba", "decision_function"}, default="predict"
        Method of the estimator, which is called for each piece.
    n_nodes : int, default=100_000
        Number of nodes in a piece. A piece consists of whole graphs, of which the last one may have more nodes.

    Returns
    -------
    predictions : RaggedArray
        Its values are mapped to the file, read-only. ``RaggedArray(np.load(path, mmap_mode="r"), X.node_ptr)`` loads
        them later.

    Raises
    ------
    FileExistsError
        If the file, or ``<path>.partial``, exists.
    TypeError
        If `X` is no GraphDataset, or predictions are not arrays of numbers or strings with one row for each node.

    See Also
    --------
    load_dataset : Load graphs that are mapped into memory.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.datasets import make_chain
    >>> from skstruct.io import predict_to_file
    >>> X, y = make_chain(n_graphs=20, return_X_y=True, random_state=0)
    >>> crf = GraphCRFClassifier().fit(X, y)
    >>> proba = predict_to_file(mkdtemp() + "/proba.npy", crf, X, method="predict_proba")
    >>> proba.shape
    (20, 3)
    """
    if not isinstance(method, str) or method not in METHODS:
        raise ValueError(f"method must be one of {list(METHODS)}, got {method!r}")
    if not hasattr(estimator, method):
        raise TypeError(f"estimator must have the method {method}, got {estimator!r}")
    if not isinstance(X, GraphDataset):
        raise TypeError(f"X must be a GraphDataset, got a {type(X).__name__}")
    if isinstance(n_nodes, bool) or not isinstance(n_nodes, int | np.integer) or n_nodes < 1:
        raise ValueError(f"n_nodes must be a positive integer, got {n_nodes!r}")
    path = Path(path)
    if path.exists():
        raise FileExistsError(f"{path} exists; choose another name, or delete it first")
    partial = path.with_name(f"{path.name}.partial")
    writer = ArrayWriter(partial)
    try:
        for graphs in cut_graphs(np.diff(X.node_ptr), n_nodes) or [slice(0, 0)]:
            piece = X[graphs]
            writer.append(_values(getattr(estimator, method)(piece), piece, method))
        writer.close()
    except BaseException:  # also Ctrl-C: the file is not complete
        writer.file.close()
        partial.unlink()
        raise
    os.replace(partial, path)
    return RaggedArray(np.asarray(np.load(path, mmap_mode="r")), X.node_ptr)


def _values(predictions, piece, method):
    """Values of the predictions for a piece, which must have one row for each node."""
    values = predictions.values if isinstance(predictions, RaggedArray) else None
    if values is None or len(values) != piece.n_nodes or not is_storable(values.dtype):
        found = type(predictions).__name__ if values is None else f"array of {values.dtype}, shape {values.shape}"
        raise TypeError(
            f"{method} must return a RaggedArray of booleans, numbers or strings for {piece.n_nodes} nodes; got {found}"
        )
    return values
