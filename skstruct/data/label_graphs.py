"""Graphs whose nodes are the labels of a sample; the nodes of a graph share the features of the sample."""

from typing import Any

import numpy as np

from skstruct.data.builders import as_edges
from skstruct.data.dataset import GraphDataset
from skstruct.data.indexing import sample_key
from skstruct.data.tables import n_rows, take_rows


class LabelGraphs(GraphDataset):
    """A graph for each row of a table: its nodes are labels, and the edges are the same in all graphs.

    `node_features` contains one row for each *graph*, not for each node: the nodes of a graph share the row, and the
    row is not copied. Only feature maps that expect this can read the features, such as
    `skstruct.features.LabelFeatures`. Slices, masks and index arrays select graphs.

    Parameters
    ----------
    X : array or CSR matrix of shape (n_graphs, n_features)
    n_labels : int
        Number of nodes of each graph.
    label_edges : array-like of int of shape (n_label_edges, 2)
        Pairs of labels that are joined by an edge.
    """

    n_labels: int
    label_edges: np.ndarray

    def __init__(self, X: Any, n_labels: int, label_edges: Any):
        edges, graphs = as_edges(label_edges, "label_edges"), np.arange(n_rows(X) + 1)
        self._set(X, np.tile(edges, (n_rows(X), 1)), None, graphs * n_labels, graphs * len(edges))
        self.__dict__.update(n_labels=n_labels, label_edges=edges)

    def __getitem__(self, key: Any) -> "LabelGraphs":
        rows = sample_key(key, len(self), "graphs")
        return LabelGraphs(take_rows(self.node_features, rows), self.n_labels, self.label_edges)

    def without_edges(self) -> "LabelGraphs":
        """Return the same labels without edges."""
        return LabelGraphs(self.node_features, self.n_labels, [])
