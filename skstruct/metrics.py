"""Scorers for labels of nodes: scikit-learn's metrics on all nodes, or graph by graph.

scikit-learn's scoring strings, such as ``scoring="f1_macro"``, take one label per sample. With graphs as
samples use the scorers of this module instead; they also work for tables and for ``dataset.nodes``.
"""

import numpy as np
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

from skstruct._labels import flatten_labels, flatten_values
from skstruct._missing import missing_mask
from skstruct._ragged import RaggedArray, as_ragged, is_ragged

__all__ = [
    "node_scorer",
    "graph_scorer",
    "node_accuracy",
    "node_f1_macro",
    "node_log_loss",
    "graph_exact_match",
    "graph_macro_accuracy",
]


def exact_match(y_true, y_pred):
    """Return 1.0 if all labels of a graph are right, else 0.0."""
    return float(np.all(y_true == y_pred))


# name: (metric, keyword arguments of the metric, what the estimator is asked for, whether greater is better)
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


def node_scorer(metric, *, response_method=None, greater_is_better=None, missing_label=None, **kwargs):
    """Make a scorer that applies a metric to the nodes of all graphs together.

    Every node counts the same, as in ``score``. ``sample_weight`` may have one number per graph, which then
    weights each of its nodes, or one per node (ragged).

    Parameters
    ----------
    metric : str or callable
        A scoring name of scikit-learn, such as "f1_macro" or "neg_log_loss", or a function
        ``metric(y_true, y_pred, **kwargs)`` of flat arrays.
    response_method : str or tuple of str, default=None
        What the estimator is asked for. None: what belongs to the name, "predict" for a function.
    greater_is_better : bool, default=None
        If False, the sign is flipped. None: what belongs to the name, True for a function.
    missing_label : object, default=None
        Nodes with this label are left out: -1, NaN (also matches None), ...
    **kwargs
        For the metric, such as ``labels``, ``pos_label`` or ``zero_division``.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y, sample_weight=None)``, for any ``scoring`` parameter. It can be pickled, and
        ``set_score_request(sample_weight=True)`` works.

    Raises
    ------
    ValueError
        If the name is unknown; when called, if all weights are zero or all labels are missing.

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


def graph_scorer(metric, *, response_method=None, greater_is_better=None, missing_label=None, **kwargs):
    """Make a scorer that applies a metric to each graph and averages over graphs.

    Every graph counts the same, whatever its size, or as ``sample_weight`` says, with one number per graph.
    Rows of a table are graphs with one node. Nodes as samples (``dataset.nodes``) have lost their graphs: use
    `node_scorer`.

    Parameters
    ----------
    metric : str or callable
        A scoring name of scikit-learn, "exact_match" (1 if all labels of a graph are right, else 0), or a
        function ``metric(y_true, y_pred, **kwargs)`` of the labels of one graph.
    response_method, greater_is_better, missing_label, **kwargs :
        As in :func:`node_scorer`. Graphs without any label are left out.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y, sample_weight=None)``.

    Raises
    ------
    ValueError
        If the name is unknown; when called, if all weights are zero or all labels are missing.

    Examples
    --------
    >>> from skstruct.metrics import graph_scorer
    >>> scorer = graph_scorer("exact_match", missing_label=-1)
    """
    return _make_scorer(_GraphMetric, metric, response_method, greater_is_better, missing_label, kwargs)


def _make_scorer(kind, metric, response_method, greater_is_better, missing_label, kwargs):
    """Resolve a metric by its name and wrap it."""
    if callable(metric):
        defaults, response, greater = {}, "predict", True
    else:
        if metric not in METRICS:
            raise ValueError(f"unknown metric {metric!r}; known are {', '.join(sorted(METRICS))}, or pass a function")
        metric, defaults, response, greater = METRICS[metric]
    return make_scorer(
        kind(metric, missing_label),
        response_method=response if response_method is None else response_method,
        greater_is_better=greater if greater_is_better is None else greater_is_better,
        **{**defaults, **kwargs},
    )


class _NodeMetric:
    """A metric of flat labels, applied to the nodes of all graphs."""

    prefix = "node"

    def __init__(self, metric, missing_label):
        self.metric = metric
        self.missing_label = missing_label
        self.__name__ = f"{self.prefix}_{getattr(metric, '__name__', type(metric).__name__)}"

    def __call__(self, y_true, y_pred, sample_weight=None, **kwargs):
        y_true, y_pred = _pair(y_true, y_pred, self.missing_label)
        if sample_weight is not None:
            sample_weight = _node_weights(sample_weight, y_true.ptr)
        kept = _labelled(y_true.values, self.missing_label)
        if sample_weight is not None:
            kwargs["sample_weight"] = _nonzero(sample_weight[kept])
        return self.metric(_plain(y_true.values[kept]), y_pred.values[kept], **kwargs)


class _GraphMetric(_NodeMetric):
    """A metric of flat labels, applied to each graph and averaged."""

    prefix = "graph"

    def __call__(self, y_true, y_pred, sample_weight=None, **kwargs):
        y_true, y_pred = _pair(y_true, y_pred, self.missing_label)
        kept = _labelled(y_true.values, self.missing_label)
        values, weights = [], []
        for g, (start, stop) in enumerate(zip(y_true.ptr[:-1], y_true.ptr[1:])):
            rows = np.arange(start, stop)[kept[start:stop]]
            if len(rows):
                values.append(self.metric(_plain(y_true.values[rows]), y_pred.values[rows], **kwargs))
                weights.append(g)
        if sample_weight is None:
            return float(np.mean(values))
        sample_weight = np.asarray(sample_weight)
        if sample_weight.shape != (len(y_true),):
            raise ValueError(
                f"sample_weight must have one number per graph, shape ({len(y_true)},), got {sample_weight.shape}"
            )
        return float(np.average(values, weights=_nonzero(sample_weight[weights])))


def _pair(y_true, y_pred, missing_label):
    """Labels and predictions as ragged arrays of the same sizes; rows of a table are graphs with one node."""
    rectangular = isinstance(y_pred, np.ndarray) and y_pred.dtype != object
    if not isinstance(y_pred, RaggedArray) and (rectangular or not is_ragged(y_pred)):
        y_pred = RaggedArray(y_pred, np.arange(len(y_pred) + 1))
        if is_ragged(y_true):
            raise ValueError("y has one array per graph but the predictions are flat; pass graphs, not a table, as X")
        if len(y_true) != len(y_pred):
            raise ValueError(
                f"Found input variables with inconsistent numbers of samples: [{len(y_true)}, {len(y_pred)}]"
            )
        return RaggedArray(y_true, y_pred.ptr), y_pred
    y_pred = as_ragged(y_pred, "y_pred")
    return RaggedArray(flatten_labels(y_true, y_pred.ptr, missing_label=missing_label), y_pred.ptr), y_pred


def _node_weights(sample_weight, node_ptr):
    """Weight of each node, from weights of graphs or of nodes."""
    if is_ragged(sample_weight):
        return flatten_values(sample_weight, node_ptr, "sample_weight")
    sample_weight = np.asarray(sample_weight)
    if sample_weight.shape != (len(node_ptr) - 1,):
        raise ValueError(
            f"sample_weight must have one number per sample, shape ({len(node_ptr) - 1},), or one array per "
            f"graph, got shape {sample_weight.shape}"
        )
    return np.repeat(sample_weight, np.diff(node_ptr))


def _labelled(labels, missing_label):
    """Mask of the nodes that have a label."""
    kept = ~missing_mask(labels, missing_label)
    if not kept.any():
        raise ValueError("there is no labelled node to score; use fewer folds, or stratify by graph_label")
    return kept


def _nonzero(sample_weight):
    """Refuse weights that leave nothing to score."""
    if not np.any(sample_weight):
        raise ValueError(
            "sample_weight is zero for everything that is to be scored; drop samples of weight zero before "
            "the split, or use fewer folds"
        )
    return sample_weight


def _plain(labels):
    """Labels of an object array in the type that they have without the missing ones."""
    return np.array(labels.tolist()) if labels.dtype == object else labels


#: Fraction of nodes labelled right: the same as ``score``.
node_accuracy = node_scorer("accuracy")
#: Unweighted mean over classes of the F1 score of all nodes.
node_f1_macro = node_scorer("f1_macro")
#: Mean log-probability of the right labels of all nodes, in nats; greater is better.
node_log_loss = node_scorer("neg_log_loss")
#: Fraction of graphs with all nodes labelled right.
graph_exact_match = graph_scorer("exact_match")
#: Mean over graphs of the fraction of nodes labelled right.
graph_macro_accuracy = graph_scorer("accuracy")
