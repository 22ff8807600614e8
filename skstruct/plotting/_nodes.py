"""What pictures of one graph have in common: probabilities, predicted labels and true labels of its nodes."""

from typing import Any, NamedTuple

import numpy as np

from skstruct.data.class_columns import position
from skstruct.data.dataset import GraphDataset
from skstruct.data.graph_input import as_dataset, is_graph_input
from skstruct.data.indexing import item_number
from skstruct.data.label_types import label_array
from skstruct.data.labels import flatten_values
from skstruct.data.missing import missing_mask
from skstruct.inspection import transformed
from skstruct.plotting._axes import Display


class NodeDisplay(Display):
    """Base class of the pictures of one graph.

    Parameters
    ----------
    proba : array-like of shape (n_nodes, n_classes)
    classes : array-like of shape (n_classes,), default=None
        Names of the columns. None: 0, 1, ...
    y_pred : array-like of shape (n_nodes,), default=None
        Predicted labels. None: the most probable ones.
    y_true : array-like of shape (n_nodes,), default=None
    missing_label : object, default=None
        Value in `y_true` that means "unknown".
    """

    def __init__(self, proba, *, classes=None, y_pred=None, y_true=None, missing_label=None):
        self.proba = np.asarray(proba)
        if self.proba.ndim != 2:
            raise ValueError(
                f"proba must be the probabilities of the nodes of one graph, (n_nodes, n_classes), got an array of "
                f"shape {self.proba.shape}; select a graph, as in predict_proba(X)[0]."
            )
        if self.proba.dtype.kind not in "biuf" or not np.isfinite(self.proba).all():
            raise ValueError("proba must contain finite numbers, the probabilities of the labels.")
        n_classes = self.proba.shape[1]
        self.classes = np.arange(n_classes) if classes is None else np.asarray(classes)
        if self.classes.shape != (n_classes,):
            raise ValueError(
                f"classes must have a name for each of the {n_classes} columns of proba, got an array of shape "
                f"{self.classes.shape}."
            )
        self.y_pred = self.classes[self.proba.argmax(axis=1)] if y_pred is None else self._labels(y_pred, "y_pred")
        self.y_true, self.missing_label = None if y_true is None else self._labels(y_true, "y_true"), missing_label

    def _labels(self, labels, name):
        """Check labels of the nodes."""
        labels = label_array(labels, name)
        if labels.shape != (len(self.proba),):
            raise ValueError(
                f"{name} must have a label for each of the {len(self.proba)} nodes, got an array of shape "
                f"{labels.shape}."
            )
        return labels

    @property
    def predicted_codes(self) -> np.ndarray:
        """Numbers of the predicted labels in `classes`, (n_nodes,)."""
        return np.array(
            [position(label, self.classes, "y_pred: the label") for label in self.y_pred.tolist()], dtype=np.intp
        )

    @property
    def wrong(self) -> np.ndarray:
        """Which predicted labels differ from known true labels, (n_nodes,) of bool."""
        if self.y_true is None:
            return np.zeros(len(self.proba), bool)
        return (self.y_pred != self.y_true) & ~missing_mask(self.y_true, self.missing_label)


class OneGraph(NamedTuple):
    """A graph with its predictions.

    Attributes
    ----------
    dataset : GraphDataset
        With this graph only.
    nodes : dict
        Arguments of `NodeDisplay`.
    """

    dataset: GraphDataset
    nodes: dict[str, Any]


def predict_graph(model: Any, X: Any, graph: int, y: Any = None, known: Any = None) -> OneGraph:
    """Probabilities and labels of one graph.

    Parameters
    ----------
    model : GraphCRFClassifier, Pipeline or search
        Fitted.
    X : object
        Input of `model`.
    graph : int
        Number of the graph in `X`.
    y : like `y` in `fit`, default=None
        True labels of all graphs.
    known : like `y` in `fit`, default=None
        Labels to condition on.

    Returns
    -------
    found : OneGraph
    """
    crf, X = transformed(model, X)
    if not is_graph_input(X):
        raise TypeError(f"X must contain graphs, got a {type(X).__name__}, whose rows have no edges.")
    dataset = as_dataset(X)
    graph = item_number("graph", graph, len(dataset), "X")
    one, (start, stop) = dataset[[graph]], dataset.node_ptr[[graph, graph + 1]]
    y_true = None if y is None else flatten_values(y, dataset.node_ptr, missing_label=crf.missing_label)[start:stop]
    asked, at = dataset, graph
    if not crf.transductive:  # otherwise X must contain all graphs of the training
        asked, at = one, 0
        known = (
            None if known is None else [flatten_values(known, dataset.node_ptr, "known", crf.missing_label)[start:stop]]
        )
    proba, y_pred = crf.predict_proba(asked, known)[at], crf.predict(asked, known)[at]
    labels = {"classes": crf.classes_, "y_pred": y_pred, "y_true": y_true, "missing_label": crf.missing_label}
    return OneGraph(one, {"proba": proba, **labels})
