"""Model selection with graphs as samples, where scikit-learn's own functions need one label per sample."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import cross_val_predict as sklearn_cross_val_predict
from sklearn.utils import get_tags

from skstruct.data.class_columns import METHODS, ClassColumns, union
from skstruct.data.graph_input import as_dataset, is_graph_input
from skstruct.data.missing import missing_mask
from skstruct.data.node_view import NodeView
from skstruct.data.ragged import RaggedArray, as_ragged, is_ragged
from skstruct.data.target_shapes import refuse_iterator, refuse_several

__all__ = ["cross_val_predict", "graph_label"]


def cross_val_predict(estimator, X, y=None, *, method="predict", **kwargs):
    """Predict every graph by a model that was fitted without it.

    The same as :func:`sklearn.model_selection.cross_val_predict`, which for graphs can return labels only;
    here probabilities and all other methods work too. Methods with a column per class have one for each class that
    any of the models knows, in sorted order. It holds 0 where the model of a fold does not know the class, and -inf
    in "predict_log_proba". Labels are not encoded, so that those that the estimator takes for missing stay so.

    Parameters
    ----------
    estimator : estimator
        A classifier of graphs, or a pipeline that ends with one.
    X : GraphDataset or list of graphs
        Graphs.
    y : RaggedArray or list of arrays, default=None
        Labels.
    method : str, default="predict"
        What to ask of the fitted models: "predict_proba", "predict_log_proba", ...
    **kwargs
        ``groups``, ``cv``, ``n_jobs``, ``verbose``, ``params`` and ``pre_dispatch``, as in scikit-learn.

    Returns
    -------
    RaggedArray or ndarray
        What `method` returns, in the order of the graphs.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.dummy import DummyClassifier
    >>> from skstruct.model_selection import cross_val_predict
    >>> X, y = np.zeros((4, 1)), np.array([0, 1, 0, 1])
    >>> cross_val_predict(DummyClassifier(), X, y, cv=2, method="predict_proba").shape
    (4, 2)
    """
    if not hasattr(estimator, method):
        raise TypeError(f"method is {method!r}, which {estimator!r} does not have")
    if is_graph_input(X) and not isinstance(X, NodeView):
        X = as_dataset(X)  # once, instead of in each fold
    refuse_iterator(y, "y")
    if is_ragged(y):
        y = as_ragged(y, missing_label=-1)  # what the estimator takes for missing is let through
    if method != "predict":
        estimator = _Response(estimator, method)
    return sklearn_cross_val_predict(estimator, X, y, **kwargs)


class _Response(BaseEstimator):
    """An estimator whose ``predict`` is another method of the one that it holds.

    For other methods scikit-learn encodes the labels, which needs flat ones without missing labels.
    """

    def __init__(self, estimator, method):
        self.estimator = estimator
        self.method = method

    def fit(self, X, y=None, **params):
        self.estimator_ = clone(self.estimator).fit(X, y, **params)
        return self

    def predict(self, X, **params):
        values = getattr(self.estimator_, self.method)(X, **params)
        if self.method not in METHODS:
            return values
        return _Fold(values, ClassColumns(np.asarray(self.estimator_.classes_), self.method))

    def get_metadata_routing(self):
        return self.estimator.get_metadata_routing()

    def __sklearn_tags__(self):
        return get_tags(self.estimator)


@dataclass(frozen=True)
class _Fold:
    """Values of the samples of a fold with a column per class; numpy's concatenate brings folds together."""

    values: Any
    columns: ClassColumns

    def __array_function__(self, func, types, args, kwargs):
        if func.__name__ != "concatenate":
            return NotImplemented
        folds = args[0]
        classes = union(*[fold.columns.classes for fold in folds])
        return np.concatenate([fold.arranged(classes) for fold in folds])

    def arranged(self, classes):
        """Values with a column for each of `classes`."""
        flat = self.values.values if isinstance(self.values, RaggedArray) else np.asarray(self.values)
        if flat.ndim == 1 and len(classes) > 2:
            raise ValueError(
                f"{self.columns.method} has one column, as the model of a fold knows {len(self.columns.classes)} of "
                f"{len(classes)} classes only; use fewer folds, stratify by graph_label, or method='predict_proba'"
            )
        flat = flat if flat.ndim == 1 else self.columns.arrange(flat, classes)
        return RaggedArray(flat, self.values.ptr) if isinstance(self.values, RaggedArray) else flat


def graph_label(y, how="majority", *, missing_label=None):
    """Summarise the labels of each graph by one label, to stratify graphs by it.

    Parameters
    ----------
    y : RaggedArray or list of arrays
        Labels.
    how : {"majority", "rarest"} or callable, default="majority"
        "majority": the label of most nodes, the first in sorted order if there are several. "rarest": of the
        labels in the graph the one that the fewest graphs have, which spreads rare labels over the folds. A
        function gets the labels of a graph.
    missing_label : object, default=None
        Label that does not count.

    Returns
    -------
    ndarray of shape (n_graphs,)

    Raises
    ------
    ValueError
        If a graph has no label, or `how` is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import StratifiedKFold
    >>> from skstruct.model_selection import graph_label
    >>> y = [["a", "a", "b"], ["b"], ["a"], ["b", "b"]]
    >>> graph_label(y)
    array(['a', 'b', 'a', 'b'], dtype='<U1')
    >>> cv = list(StratifiedKFold(2).split(np.zeros(4), graph_label(y)))  # for any parameter cv
    """
    y = as_ragged(y, missing_label=missing_label)
    if y.values.ndim != 1:
        refuse_several(y[0].shape, "y[0]")
    kept = ~missing_mask(y.values, missing_label)
    graph = np.repeat(np.arange(len(y)), np.diff(y.ptr))[kept]
    labels = y.values[kept]
    sizes = np.bincount(graph, minlength=len(y))
    if len(y) and not sizes.all():
        raise ValueError(f"graph {np.argmin(sizes > 0)} has no label; leave it out of the stratification")
    if callable(how):
        return np.array([how(part) for part in np.split(labels, np.cumsum(sizes)[:-1])])
    if how not in ("majority", "rarest"):
        raise ValueError(f"how must be 'majority', 'rarest' or a function, got {how!r}")
    classes, codes = np.unique(labels.tolist() if labels.dtype == object else labels, return_inverse=True)
    counts = np.zeros((len(y), len(classes)), dtype=np.intp)
    np.add.at(counts, (graph, codes), 1)
    if how == "majority":
        return classes[counts.argmax(axis=1)]
    present = counts > 0
    return classes[np.where(present, present.sum(axis=0), len(y) + 1).argmin(axis=1)]
