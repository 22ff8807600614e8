"""How well probabilities of labels agree with the frequencies of the labels."""

from typing import Any, NamedTuple

import numpy as np

from skstruct.data.class_columns import position, require_comparable
from skstruct.data.label_types import label_array
from skstruct.inference import queries
from skstruct.metrics._pairs import labelled_nodes

ROUNDING = 1e-6  # by which probabilities may be outside of the interval from 0 to 1


class CalibrationCurve(NamedTuple):
    """Probabilities and frequencies in bins of nodes, without empty bins.

    Attributes
    ----------
    prob_true : ndarray of shape (n_bins,)
        Fraction of the nodes for which the prediction is right.
    prob_pred : ndarray of shape (n_bins,)
        Mean of the predicted probabilities.
    n_nodes : ndarray of shape (n_bins,)
        Number of nodes.
    """

    prob_true: np.ndarray
    prob_pred: np.ndarray
    n_nodes: np.ndarray


def calibration_curve(
    y: Any,
    proba: Any,
    *,
    classes: Any,
    label: Any = None,
    n_bins: int = 10,
    strategy: str = "uniform",
    missing_label: Any = None,
) -> CalibrationCurve:
    """Frequencies of right predictions in bins of nodes with similar probabilities, for a reliability diagram.

    Parameters
    ----------
    y : RaggedArray, list of array-like, or array-like of shape (n_nodes,)
        Labels.
    proba : RaggedArray of (n_nodes, n_classes), or array-like of shape (n_nodes, n_classes)
        Result of ``predict_proba``.
    classes : array-like of shape (n_classes,)
        Labels of the columns: ``classes_`` of the estimator.
    label : label, default=None
        The class whose probability is compared with its frequency. None: at each node the most probable label.
    n_bins : int, default=10
        Number of bins.
    strategy : {"uniform", "quantile"}, default="uniform"
        "uniform": bins of equal width between 0 and 1. "quantile": bins with equal numbers of nodes.
    missing_label : object, default=None
        Nodes with this label in `y` are ignored.

    Returns
    -------
    curve : CalibrationCurve
        Named tuple (prob_true, prob_pred, n_nodes). Probabilities are calibrated if `prob_true` equals `prob_pred`.

    Raises
    ------
    ValueError
        If `proba` does not have a column for each of `classes`, if a value is no probability, or a parameter is wrong.

    See Also
    --------
    expected_calibration_error : the mean distance of the curve from the diagonal.
    sklearn.calibration.calibration_curve : the same for a table with two classes.

    Examples
    --------
    >>> from skstruct.metrics import calibration_curve
    >>> proba = [[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [0.2, 0.8]]
    >>> curve = calibration_curve(["a", "b", "b", "b"], proba, classes=["a", "b"])
    >>> curve.prob_pred, curve.prob_true, curve.n_nodes
    (array([0.8, 0.9]), array([1. , 0.5]), array([2, 2]))
    """
    classes = np.atleast_1d(label_array(classes, "classes"))
    if classes.ndim != 1:
        raise ValueError(f"classes must be 1-D, one label per column of proba, got shape {classes.shape}")
    try:
        proba = proba if hasattr(proba, "ptr") else np.asarray(proba)
    except ValueError as error:
        raise ValueError(f"proba must have rows of equal length: {error}") from error
    nodes = labelled_nodes(y, proba, None, missing_label)
    table = nodes.predictions
    if table.ndim != 2 or table.shape[1] != len(classes):
        raise ValueError(
            f"proba must have a column for each of the {len(classes)} classes, got values of shape {table.shape}"
        )
    if table.dtype.kind not in "biuf" or not ((table > -ROUNDING) & (table < 1 + ROUNDING)).all():
        raise ValueError("proba must contain numbers between 0 and 1, the probabilities of the classes")
    require_comparable(nodes.labels, classes)
    column = table.argmax(axis=1) if label is None else position(label, classes)
    right = nodes.labels == classes[column]
    probability = table[np.arange(len(table)), column]
    if not isinstance(strategy, str) or strategy not in ("uniform", "quantile"):
        raise ValueError(f"strategy must be 'uniform' or 'quantile', got {strategy!r}")
    n_bins = queries.positive_integer(n_bins, "n_bins")
    edges = np.linspace(0.0, 1.0, n_bins + 1)[1:-1]
    bin_of_node = np.searchsorted(edges if strategy == "uniform" else np.quantile(probability, edges), probability)
    n_nodes = np.bincount(bin_of_node)
    occupied = np.flatnonzero(n_nodes)
    n_nodes = n_nodes[occupied]
    prob_true, prob_pred = (np.bincount(bin_of_node, values)[occupied] / n_nodes for values in (right, probability))
    return CalibrationCurve(prob_true, prob_pred, n_nodes)


def expected_calibration_error(
    y: Any,
    proba: Any,
    *,
    classes: Any,
    label: Any = None,
    n_bins: int = 15,
    strategy: str = "uniform",
    missing_label: Any = None,
) -> float:
    """Mean absolute difference of probabilities and frequencies, over bins of nodes with similar probabilities.

    Parameters
    ----------
    y, proba, classes, label, n_bins, strategy, missing_label
        As in :func:`calibration_curve`. By default the probability is that of the most probable label.

    Returns
    -------
    error : float
        0 for calibrated probabilities. It depends on the number of bins. To compare models, use the logarithmic loss,
        `node_log_loss`, which also measures how informative the probabilities are.

    References
    ----------
    .. [1] C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On calibration of modern neural networks", ICML 2017.

    Examples
    --------
    >>> from skstruct.metrics import expected_calibration_error
    >>> proba = [[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [0.2, 0.8]]
    >>> round(expected_calibration_error(["a", "b", "b", "b"], proba, classes=["a", "b"]), 3)
    0.3
    """
    curve = calibration_curve(
        y, proba, classes=classes, label=label, n_bins=n_bins, strategy=strategy, missing_label=missing_label
    )
    return float(np.average(np.abs(curve.prob_true - curve.prob_pred), weights=curve.n_nodes))
