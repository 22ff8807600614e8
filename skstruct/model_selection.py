"""Model selection with graphs as samples, where scikit-learn's own functions need one label per sample."""

from collections.abc import Callable
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


def cross_val_predict(
    estimator: BaseEstimator, X: Any, y: Any = None, *, method: str = "predict", **kwargs: Any
) -> RaggedArray | np.ndarray:
    """Predict every graph by a model that was fitted without it.

    For graphs, :func:`sklearn.model_selection.cross_val_predict` supports "predict" only. This function also supports
    probabilities and all other methods. Responses with a column per class have a column for each class that any of the
    models has, in sorted order. Where the model of a fold does not have a class, its column contains 0, or -inf for
    "predict_log_proba". Labels are not encoded, so that the `missing_label` of the estimator keeps its meaning.

    Parameters
    ----------
    estimator : estimator
        A classifier of graphs, or a pipeline that ends with one.
    X : GraphDataset or list of graphs
        Graphs.
    y : RaggedArray or list of arrays, default=None
        Labels.
    method : str, default="predict"
        Method of the fitted models: "predict_proba", "predict_log_proba", ...
    **kwargs
        ``groups``, ``cv``, ``n_jobs``, ``verbose``, ``params`` and ``pre_dispatch``, as in scikit-learn.

    Returns
    -------
    RaggedArray or ndarray
        Results of `method`, in the order of the graphs.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.dummy import DummyClassifier
    >>> from skstruct.model_selection import cross_val_predict
    >>> X, y = np.zeros((4, 1)), np.array([0, 1, 0, 1])
    >>> cross_val_predict(DummyClassifier(), X, y, cv=2, method="predict_proba").shape
    (4, 2)
    """
    if not isinstance(method, str) or not hasattr(estimator, method):
        raise TypeError(f"method is {method!r}, which {estimator!r} does not have")
    if is_graph_input(X) and not isinstance(X, NodeView):
        X = as_dataset(X)  # once, instead of in each fold
    refuse_iterator(y, "y")
    if is_ragged(y):
        y = as_ragged(y, missing_label=-1)  # the most usual missing label may occur among labels of another type
    if method != "predict":
        estimator = _Response(estimator, method)
    return sklearn_cross_val_predict(estimator, X, y, **kwargs)


class _Response(BaseEstimator):
    """An estimator whose ``predict`` calls another method of an inner estimator.

    scikit-learn encodes the labels for all methods but "predict", and can encode only flat labels that are not missing.
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
    """Values of the samples of a fold, with a column per class; ``np.concatenate`` joins folds with their classes."""

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


def graph_label(y: Any, how: str | Callable = "majority", *, missing_label: Any = None) -> np.ndarray:
    """Summarise the labels of each graph by one label, for stratified splits of graphs.

    Parameters
    ----------
    y : RaggedArray or list of arrays
        Labels.
    how : {"majority", "rarest"} or callable, default="majority"
        "majority": the label of most nodes, or the first in sorted order if several are equally frequent. "rarest": the
        label of the graph that occurs in the fewest graphs, which distributes rare labels over the folds. A function
        receives the labels of a graph and returns one label.
    missing_label : object, default=None
        Nodes with this label are ignored.

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
        return np.array([how(group) for group in np.split(labels, np.cumsum(sizes)[:-1])])
    if not isinstance(how, str) or how not in ("majority", "rarest"):
        raise ValueError(f"how must be 'majority', 'rarest' or a function, got {how!r}")
    classes, codes = np.unique(labels.tolist() if labels.dtype == object else labels, return_inverse=True)
    counts = np.zeros((len(y), len(classes)), dtype=np.intp)
    np.add.at(counts, (graph, codes), 1)
    if how == "majority":
        return classes[counts.argmax(axis=1)]
    present = counts > 0
    return classes[np.where(present, present.sum(axis=0), len(y) + 1).argmin(axis=1)]
