"""Which labels of a multi-label problem are joined by an edge."""

import itertools
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.special import rel_entr

from skstruct.data.topology import Topology

ROUNDING = 1e-12  # probabilities, and values of mutual information in nats, that are rounding errors


def label_edges(graph: Any, labels: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Pairs of labels that are joined by an edge, (n_edges, 2), each with the smaller number first.

    Parameters
    ----------
    graph : {"full", "chow_liu"} or array-like of int of shape (n_edges, 2)
    labels : ndarray of shape (n_samples, n_labels)
        0 or 1.
    weights : ndarray of shape (n_samples,) or None
        Weights of the samples.

    Raises
    ------
    ValueError
        If `graph` is an unknown name, or has a pair that is not two different labels.
    """
    n_labels = labels.shape[1]
    if isinstance(graph, str):
        if graph not in GRAPHS:
            raise ValueError(f"graph must be one of {list(GRAPHS)} or pairs of label numbers, got {graph!r}.")
        return np.reshape(GRAPHS[graph](labels, weights), (-1, 2)).astype(np.int32)
    try:
        edges = Topology.from_edges(graph, n_labels).edges
    except (TypeError, ValueError) as error:
        raise ValueError(f"graph must hold pairs of label numbers from 0 to {n_labels - 1}: {error}") from error
    return np.unique(np.sort(edges, axis=1), axis=0)


def _full(labels, weights):
    return list(itertools.combinations(range(labels.shape[1]), 2))


def _chow_liu(labels, weights):
    """Forest of the largest total mutual information: the forest of the highest likelihood without features."""
    tree = minimum_spanning_tree(csr_array(-mutual_information(labels, weights)))
    return np.sort(np.argwhere(tree.toarray()), axis=1)


GRAPHS = {"full": _full, "chow_liu": _chow_liu}


def mutual_information(labels: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Mutual information of each pair of labels, in nats, (n_labels, n_labels); 0 on the diagonal."""
    weighted = labels.T * (1.0 if weights is None else weights)
    both = weighted @ labels / (len(labels) if weights is None else weights.sum())
    first, second = np.diag(both)[:, None], np.diag(both)
    found = np.zeros_like(both)
    for joint, independent in (
        (both, first * second),
        (first - both, first * (1 - second)),
        (second - both, (1 - first) * second),
        (1 - first - second + both, (1 - first) * (1 - second)),
    ):
        found += rel_entr(np.where(joint > ROUNDING, joint, 0.0), np.maximum(independent, 0.0))
    np.fill_diagonal(found, 0.0)
    return np.where(found > ROUNDING, found, 0.0)
