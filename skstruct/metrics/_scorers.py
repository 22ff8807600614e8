"""Scorers for labels: scikit-learn's metrics on all nodes, or graph by graph, and the scores of entities."""

from collections.abc import Callable
from functools import partial
from inspect import signature
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    f1_score,
    jaccard_score,
    log_loss,
    make_scorer,
    matthews_corrcoef,
    precision_score,
    recall_score,
    roc_auc_score,
    top_k_accuracy_score,
)
from sklearn.preprocessing import label_binarize

from skstruct.data.class_columns import METHODS, ClassColumns, position, require_comparable, union
from skstruct.data.label_types import plain_labels
from skstruct.metrics._entity_scores import entity_f1_score, entity_precision_score, entity_recall_score
from skstruct.metrics._pairs import graph_weights, labelled, node_weights, nonzero, pair


def exact_match(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return 1.0 if all labels of a graph are right, else 0.0."""
    return float(np.all(y_true == y_pred))


def one_against_rest(metric, y_true, y_score, labels, **kwargs):
    """Average a binary metric, one label against all others, over the labels that occur in `y_true`."""
    indicator = label_binarize(y_true, classes=labels)
    occurs = indicator.any(axis=0)
    return metric(indicator[:, occurs], y_score[:, occurs], **kwargs)


def average_precision(y_true, y_score, *, labels, pos_label=1, **kwargs):
    """Compute scikit-learn's average precision; `labels` are the classes of the columns of `y_score`."""
    if y_score.ndim == 2:
        return one_against_rest(average_precision_score, y_true, y_score, labels, **kwargs)
    return average_precision_score(y_true, y_score, pos_label=pos_label, **kwargs)


def roc_auc(y_true, y_score, *, labels, multi_class="raise", **kwargs):
    """Compute scikit-learn's area under the ROC curve; `labels` are the classes of the columns of `y_score`."""
    if y_score.ndim == 2 and multi_class == "ovr":
        return one_against_rest(roc_auc_score, y_true, y_score, labels, **kwargs)
    return roc_auc_score(y_true, y_score, labels=labels, multi_class=multi_class, **kwargs)


# scikit-learn assumes in these functions that the columns are the labels that occur in y_true
_BY_LABELS = {average_precision_score: average_precision, roc_auc_score: roc_auc}
# name: (metric, keyword arguments of the metric, methods of the estimator, whether greater is better)
_THRESHOLD = ("decision_function", "predict_proba")
METRICS: dict[str, tuple] = {
    "accuracy": (accuracy_score, {}, "predict", True),
    "balanced_accuracy": (balanced_accuracy_score, {}, "predict", True),
    "matthews_corrcoef": (matthews_corrcoef, {}, "predict", True),
    "neg_log_loss": (log_loss, {}, "predict_proba", False),
    "neg_brier_score": (brier_score_loss, {}, "predict_proba", False),
    "average_precision": (average_precision_score, {}, _THRESHOLD, True),
    "top_k_accuracy": (top_k_accuracy_score, {}, _THRESHOLD, True),
    "roc_auc": (roc_auc_score, {}, _THRESHOLD, True),
    "roc_auc_ovr": (roc_auc_score, {"multi_class": "ovr"}, "predict_proba", True),
    "roc_auc_ovo": (roc_auc_score, {"multi_class": "ovo"}, "predict_proba", True),
    "roc_auc_ovr_weighted": (
        roc_auc_score,
        {"multi_class": "ovr", "average": "weighted"},
        "predict_proba",
        True,
    ),
    "roc_auc_ovo_weighted": (
        roc_auc_score,
        {"multi_class": "ovo", "average": "weighted"},
        "predict_proba",
        True,
    ),
    "exact_match": (exact_match, {}, "predict", True),
}
for _name, _metric in {
    "f1": f1_score,
    "precision": precision_score,
    "recall": recall_score,
    "jaccard": jaccard_score,
}.items():
    METRICS[_name] = (_metric, {"average": "binary"}, "predict", True)
    for _average in ("macro", "micro", "weighted"):
        METRICS[f"{_name}_{_average}"] = (_metric, {"average": _average}, "predict", True)
_ENTITY_METRICS = {"f1": entity_f1_score, "precision": entity_precision_score, "recall": entity_recall_score}


def node_scorer(
    metric: str | Callable[..., Any],
    *,
    response_method: str | tuple[str, ...] | None = None,
    greater_is_better: bool | None = None,
    missing_label: Any = None,
    **kwargs: Any,
) -> Any:
    """Make a scorer that applies a metric to the nodes of all graphs together.

    All nodes have equal weight, as in ``score``. ``sample_weight`` may contain one number per graph, which is the
    weight of each node of the graph, or, if it is ragged, one number per node.

    Parameters
    ----------
    metric : str or callable
        A scoring name of scikit-learn, such as "f1_macro" or "neg_log_loss", or a function
        ``metric(y_true, y_pred, **kwargs)`` of flat arrays.
    response_method : str or tuple of str, default=None
        Method of the estimator that computes ``y_pred``, or several, of which the first that exists is called. None:
        the method that belongs to the scoring name, or "predict" for a function. Probabilities and decision values have
        a column for each class in ``classes_`` of the estimator or in `y`, sorted. A label that is not in ``classes_``
        has probability 0. A function with the parameter ``labels`` receives these classes. For two classes the metric
        receives a 1-D array, the column of ``pos_label`` or by default of the second class.
    greater_is_better : bool, default=None
        If False, the sign is flipped. None: the value that belongs to the scoring name, or True for a function.
    missing_label : object, default=None
        Nodes with this label are ignored: -1, NaN (also matches None), ...
    **kwargs
        Arguments of the metric, such as ``labels``, ``pos_label`` or ``zero_division``.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y, sample_weight=None)``, for any ``scoring`` parameter. It can be pickled, and
        supports ``set_score_request(sample_weight=True, known=True)``. The metadata ``known`` are labels to condition
        on, which the method of the estimator receives; see `GraphCRFClassifier.score`.

    Raises
    ------
    ValueError
        If the name is unknown. The scorer raises it if all weights are zero or all labels are missing.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.dummy import DummyClassifier
    >>> from skstruct.metrics import node_scorer
    >>> X, y = np.zeros((4, 1)), np.array(["a", "a", "a", "b"])
    >>> baseline = DummyClassifier().fit(X, y)
    >>> node_scorer("accuracy")(baseline, X, y)
    0.75
    >>> node_scorer("recall_macro")(baseline, X, y)
    0.5
    """
    return _make_scorer(_NodeMetric, metric, response_method, greater_is_better, missing_label, kwargs)


def graph_scorer(
    metric: str | Callable[..., Any],
    *,
    response_method: str | tuple[str, ...] | None = None,
    greater_is_better: bool | None = None,
    missing_label: Any = None,
    **kwargs: Any,
) -> Any:
    """Make a scorer that applies a metric to each graph and averages over graphs.

    All graphs have equal weight, whatever their sizes, unless ``sample_weight`` contains one number per graph. Rows of
    a table are graphs with one node. With nodes as samples (``dataset.nodes``), graphs are not known: use
    `node_scorer`.

    Parameters
    ----------
    metric : str or callable
        A scoring name of scikit-learn, "exact_match" (1 if all labels of a graph are right, else 0), or a
        function ``metric(y_true, y_pred, **kwargs)`` of the labels of one graph.
    response_method, greater_is_better, missing_label, **kwargs :
        As in :func:`node_scorer`. Graphs without any label are ignored.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y, sample_weight=None)``.

    Raises
    ------
    ValueError
        If the name is unknown. The scorer raises it if all weights are zero or all labels are missing.

    Examples
    --------
    >>> from skstruct.metrics import graph_scorer
    >>> scorer = graph_scorer("exact_match", missing_label=-1)
    """
    return _make_scorer(_GraphMetric, metric, response_method, greater_is_better, missing_label, kwargs)


def entity_scorer(
    metric: str = "f1",
    *,
    scheme: str = "conll",
    average: str = "micro",
    zero_division: Any = "warn",
    missing_label: Any = None,
) -> Any:
    """Make a scorer of the entities of sequences.

    Parameters
    ----------
    metric : {"f1", "precision", "recall"}, default="f1"
        Which score.
    scheme, average, zero_division, missing_label
        As in :func:`entity_f1_score`; `average` must not be None.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y, sample_weight=None)``, for any ``scoring`` parameter. ``sample_weight`` contains one
        number per sequence.

    Raises
    ------
    ValueError
        If the name is unknown.

    Examples
    --------
    >>> from skstruct.metrics import entity_scorer
    >>> scorer = entity_scorer(scheme="IOBES", average="macro")
    """
    if not isinstance(metric, str) or metric not in _ENTITY_METRICS:
        raise ValueError(f"unknown metric {metric!r} of entities; known are {', '.join(_ENTITY_METRICS)}")
    options = {"scheme": scheme, "average": average, "zero_division": zero_division, "missing_label": missing_label}
    scorer = _Scorer(_ENTITY_METRICS[metric], 1, options, "predict")
    scorer.__name__ = f"entity_{metric}"
    return scorer


def _make_scorer(kind, metric, response_method, greater_is_better, missing_label, kwargs):
    """Resolve a metric by its name and wrap it."""
    name = metric
    if not isinstance(greater_is_better, bool | np.bool_ | None):
        raise ValueError(f"greater_is_better must be a boolean or None, got {greater_is_better!r}")
    if callable(metric):
        name, defaults, response, greater = _metric_name(metric), {}, "predict", True
    else:
        if not isinstance(metric, str) or metric not in METRICS:
            raise ValueError(f"unknown metric {metric!r}; known are {', '.join(sorted(METRICS))}, or pass a function")
        metric, defaults, response, greater = METRICS[metric]
    scorer = _Scorer(
        kind(_BY_LABELS.get(metric, metric), missing_label),
        1 if (greater if greater_is_better is None else greater_is_better) else -1,
        {**defaults, **kwargs},
        response if response_method is None else response_method,
    )
    scorer.__name__ = f"{kind.prefix}_{name}"  # scikit-learn's displays ask for it
    return scorer


def _metric_name(metric):
    return getattr(metric, "__name__", type(metric).__name__)


class _Scorer(type(make_scorer(accuracy_score))):  # type: ignore[misc]  # scikit-learn has no public name for it
    """A scorer that passes the classes of the columns of a response to its metric."""

    def _score(self, method_caller, estimator, X, y_true, **kwargs):
        wanted = [self._response_method] if isinstance(self._response_method, str) else self._response_method
        method = next((name for name in wanted if hasattr(estimator, name)), None)
        classes: Any = getattr(estimator, "classes_", None)
        if method is None or (classes is None and (method in METHODS or is_classifier(estimator))):
            raise TypeError(
                f"{self.__name__} needs a fitted classifier with {' or '.join(wanted)} and classes_, got {estimator!r}"
            )
        if method in METHODS:
            kwargs["columns"] = ClassColumns(np.asarray(classes), method)
            method_caller = _raw_response if len(classes) == 1 else method_caller
        known = kwargs.pop("known", None)
        if known is not None:
            method_caller = partial(_raw_response, known=known)
        return super()._score(method_caller, estimator, X, y_true, **kwargs)


def _raw_response(estimator, method, X, pos_label=None, **metadata):
    """Response of an estimator with one class, or with metadata, which scikit-learn's method caller refuses."""
    return getattr(estimator, method)(X, **metadata)


class _NodeMetric:
    """A metric of flat labels, applied to the nodes of all graphs."""

    prefix = "node"

    def __init__(self, metric, missing_label):
        self.metric = metric
        self.missing_label = missing_label
        self.__name__ = f"{self.prefix}_{_metric_name(metric)}"

    def __call__(self, y_true, y_pred, sample_weight=None, **kwargs):
        y_true, y_pred = pair(y_true, y_pred, self.missing_label)
        if sample_weight is not None:
            sample_weight = node_weights(sample_weight, y_true.ptr)
        kept = labelled(y_true.values, self.missing_label)
        if sample_weight is not None:
            kwargs["sample_weight"] = nonzero(sample_weight[kept])
        labels, response, kwargs = self._arguments(y_true.values[kept], y_pred.values[kept], kwargs)
        return self.metric(labels, response, **kwargs)

    def _arguments(self, labels, response, kwargs):
        """Arguments of the metric for all labelled nodes; ``kwargs["columns"]`` has the classes of the columns."""
        labels, columns = plain_labels(labels, "y"), kwargs.pop("columns", None)
        if columns is None:
            return labels, response, kwargs
        require_comparable(labels, columns.classes)
        classes = union(columns.classes, labels, np.asarray(kwargs.get("labels", [])))
        if len(classes) == 1:
            raise ValueError(
                f"the estimator and y have the class {classes.tolist()[0]!r} only; {self.__name__} needs two"
            )
        response = columns.arrange(columns.table(response, kwargs.get("pos_label")), classes)
        accepted = signature(self.metric).parameters
        if "labels" in accepted:
            kwargs["labels"] = classes
        if len(classes) == 2:
            pos_label = kwargs.get("pos_label", classes[1])
            response = response[:, position(pos_label, classes)]
            if "pos_label" in accepted:
                kwargs["pos_label"] = pos_label
        return labels, response, kwargs


class _GraphMetric(_NodeMetric):
    """A metric of flat labels, applied to each graph and averaged."""

    prefix = "graph"

    def __call__(self, y_true, y_pred, sample_weight=None, **kwargs):
        y_true, y_pred = pair(y_true, y_pred, self.missing_label)
        kept = labelled(y_true.values, self.missing_label)
        labels, response, kwargs = self._arguments(y_true.values[kept], y_pred.values[kept], kwargs)
        ptr = np.concatenate([[0], np.cumsum(kept)])[y_true.ptr]
        graphs = np.flatnonzero(np.diff(ptr))
        values = [self.metric(labels[ptr[g] : ptr[g + 1]], response[ptr[g] : ptr[g + 1]], **kwargs) for g in graphs]
        if sample_weight is None:
            return float(np.mean(values))
        sample_weight = graph_weights(sample_weight, y_true.ptr)
        return float(np.average(values, weights=nonzero(sample_weight[graphs])))
