"""scikit-learn's summaries of predicted labels, for the nodes of all graphs."""

from typing import Any

import numpy as np
import sklearn.metrics as sklearn_metrics

from skstruct.data.class_columns import require_comparable
from skstruct.data.label_types import label_array
from skstruct.data.labels import refuse_blank
from skstruct.data.ragged import as_ragged, is_ragged
from skstruct.data.structure import list_of
from skstruct.metrics._pairs import labelled_nodes


def _apply(metric, y, predictions, sample_weight, missing_label, **kwargs):
    """Result of a metric of scikit-learn for the labels of all labelled nodes."""
    predictions = as_ragged(predictions, "predictions") if is_ragged(predictions) else predictions
    nodes = labelled_nodes(y, predictions, sample_weight, missing_label)
    refuse_blank(nodes.predictions, "predictions", None)
    require_comparable(nodes.labels, nodes.predictions)
    if kwargs.get("labels") is not None:
        kwargs["labels"] = label_array(kwargs["labels"], "labels")
        if kwargs["labels"].ndim != 1:
            raise ValueError(f"labels must be 1-D, one label per class, got shape {kwargs['labels'].shape}.")
        refuse_blank(kwargs["labels"], "labels", None)
        require_comparable(nodes.labels, kwargs["labels"])
    return metric(nodes.labels, nodes.predictions, sample_weight=nodes.weight, **kwargs)


def confusion_matrix(
    y: Any,
    predictions: Any,
    *,
    labels: Any = None,
    sample_weight: Any = None,
    normalize: str | None = None,
    missing_label: Any = None,
) -> np.ndarray:
    """Confusion matrix of the nodes of all graphs.

    Parameters
    ----------
    y : RaggedArray, list of array-like, or array-like of shape (n_nodes,)
        Labels.
    predictions : RaggedArray, list of array-like, or array-like of shape (n_nodes,)
        Predicted labels.
    labels : array-like of shape (n_classes,), default=None
        Labels of the rows and columns, such as ``classes_``. None: all labels in `y` and `predictions`, sorted.
    sample_weight : array-like, default=None
        One number per graph, which is the weight of its nodes, or one per node (ragged).
    normalize : {"true", "pred", "all"}, default=None
        Whether to divide by the sums of the rows, of the columns, or of the whole matrix. None: numbers of nodes.
    missing_label : object, default=None
        Nodes with this label in `y` are ignored.

    Returns
    -------
    matrix : ndarray of shape (n_classes, n_classes)
        Number of nodes with the label of the row in `y` and the label of the column in `predictions`.

    Examples
    --------
    >>> from skstruct.metrics import confusion_matrix
    >>> confusion_matrix([["a", "a", "b"], ["b"]], [["a", "b", "b"], ["b"]])
    array([[1, 1],
           [0, 2]])
    """
    return _apply(
        sklearn_metrics.confusion_matrix,
        y,
        predictions,
        sample_weight,
        missing_label,
        labels=labels,
        normalize=normalize,
    )


def classification_report(
    y: Any,
    predictions: Any,
    *,
    labels: Any = None,
    target_names: Any = None,
    sample_weight: Any = None,
    digits: int = 2,
    output_dict: bool = False,
    zero_division: Any = "warn",
    missing_label: Any = None,
) -> str | dict:
    """Precision, recall, F1 and number of nodes of each class.

    Parameters
    ----------
    y, predictions, sample_weight, missing_label
        As in :func:`confusion_matrix`.
    labels : array-like, default=None
        Classes to include. None: all labels in `y` and `predictions`, sorted.
    target_names : array-like of str, default=None
        Names of the classes in the report.
    digits : int, default=2
        Number of digits in the text.
    output_dict : bool, default=False
        Whether to return a dict instead of a text; ``pandas.DataFrame(report).T`` converts it to a table.
    zero_division : {"warn", 0.0, 1.0, nan}, default="warn"
        Value of a score without nodes. "warn": 0, with a warning.

    Returns
    -------
    report : str or dict
        As by :func:`sklearn.metrics.classification_report`.

    See Also
    --------
    entity_report : the scores of the entities of sequences.

    Examples
    --------
    >>> from skstruct.metrics import classification_report
    >>> print(classification_report([["a", "a", "b"], ["b"]], [["a", "b", "b"], ["b"]]))
                  precision    recall  f1-score   support
    <BLANKLINE>
               a       1.00      0.50      0.67         2
               b       0.67      1.00      0.80         2
    <BLANKLINE>
        accuracy                           0.75         4
       macro avg       0.83      0.75      0.73         4
    weighted avg       0.83      0.75      0.73         4
    <BLANKLINE>
    """
    target_names = None if target_names is None else list_of("names in target_names", target_names)
    if target_names is not None and not (len(target_names) and all(isinstance(name, str) for name in target_names)):
        raise ValueError(f"target_names must be one string per label, got {target_names!r}.")
    return _apply(
        sklearn_metrics.classification_report,
        y,
        predictions,
        sample_weight,
        missing_label,
        labels=labels,
        target_names=target_names,
        digits=digits,
        output_dict=output_dict,
        zero_division=zero_division,
    )


def iou_score(
    y: Any,
    predictions: Any,
    *,
    labels: Any = None,
    average: str | None = "macro",
    sample_weight: Any = None,
    zero_division: Any = "warn",
    missing_label: Any = None,
) -> float | np.ndarray:
    """Intersection over union (IoU, the Jaccard index) of the classes, by default its mean (mean IoU).

    The IoU of a class is the number of nodes that have the class in `y` and in `predictions`, divided by the number of
    nodes that have it in `y` or in `predictions`. The nodes of all graphs count together, as usual for the segmentation
    of images. The mean IoU includes each class that occurs in `y` or in `predictions`.

    Parameters
    ----------
    y, predictions, sample_weight, missing_label
        As in :func:`confusion_matrix`.
    labels : array-like, default=None
        Classes to include. None: all labels in `y` and `predictions`, sorted.
    average : {"macro", "micro", "weighted"} or None, default="macro"
        "macro": mean over the classes. "micro": over all nodes. "weighted": mean over the classes, weighted by their
        numbers of nodes in `y`. None: an array with the IoU of each class.
    zero_division : {"warn", 0.0, 1.0}, default="warn"
        Value of a class that does not occur. "warn": 0, with a warning.

    Returns
    -------
    score : float or ndarray of shape (n_classes,)

    See Also
    --------
    node_mean_iou : scorer for ``scoring=``.

    Examples
    --------
    >>> from skstruct.metrics import iou_score
    >>> y, predictions = [[0, 0, 1], [1]], [[0, 1, 1], [1]]
    >>> round(iou_score(y, predictions), 3)
    0.583
    >>> iou_score(y, predictions, average=None)
    array([0.5       , 0.66666667])
    """
    return _apply(
        sklearn_metrics.jaccard_score,
        y,
        predictions,
        sample_weight,
        missing_label,
        labels=labels,
        average=average,
        zero_division=zero_division,
    )
