"""ConfusionMatrixDisplay: the confusion matrix of the nodes of all graphs."""

import numpy as np
import sklearn.metrics as sklearn_metrics
from sklearn.utils.multiclass import unique_labels

from skstruct.data.missing import missing_mask
from skstruct.data.ragged import as_ragged, is_ragged
from skstruct.data.structure import list_of
from skstruct.inspection import transformed
from skstruct.metrics import confusion_matrix
from skstruct.plotting._axes import check_axes

MOST_UPRIGHT = 2  # characters in the names of classes that are written horizontally


class ConfusionMatrixDisplay(sklearn_metrics.ConfusionMatrixDisplay):
    """Heat map of the confusion matrix of the nodes of all graphs.

    It is scikit-learn's display of this name, whose class methods also accept labels of graphs.

    Parameters
    ----------
    confusion_matrix : ndarray of shape (n_classes, n_classes)
        Result of `skstruct.metrics.confusion_matrix`.
    display_labels : ndarray of shape (n_classes,), default=None
        Names of the classes. None: 0, 1, ...

    Attributes
    ----------
    im_ : matplotlib AxesImage
    text_ : ndarray of shape (n_classes, n_classes) of matplotlib Text, or None
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.datasets import make_chain
    >>> from skstruct.plotting import ConfusionMatrixDisplay
    >>> X, y = make_chain(n_graphs=50, return_X_y=True, random_state=0)
    >>> crf = GraphCRFClassifier().fit(X, y)
    >>> display = ConfusionMatrixDisplay.from_estimator(crf, X, y)
    >>> int(display.confusion_matrix.sum()) == len(y.values)
    True
    """

    @classmethod
    def from_estimator(cls, model, X, y, *, labels=None, missing_label=None, known=None, ax=None, **kwargs):
        """Draw the confusion matrix of a fitted model.

        Parameters
        ----------
        model : GraphCRFClassifier, Pipeline or search
            Fitted.
        X : object
            Input of `model`.
        y : like `y` in `fit`
            True labels.
        labels : array-like, default=None
            Labels of the rows and columns, in this order. None: ``classes_`` of the model.
        missing_label : object, default=None
            Nodes with this label in `y` are ignored. None: the `missing_label` of the model.
        known : like `y` in `fit`, default=None
            Labels to condition on, as in `GraphCRFClassifier.predict`.
        ax, **kwargs
            As for `from_predictions`.

        Returns
        -------
        display : ConfusionMatrixDisplay
        """
        crf, X = transformed(model, X)
        labels = crf.classes_ if labels is None else labels
        missing_label = crf.missing_label if missing_label is None else missing_label
        return cls.from_predictions(
            y, crf.predict(X, known), labels=labels, missing_label=missing_label, ax=ax, **kwargs
        )

    @classmethod
    def from_predictions(
        cls,
        y_true,
        y_pred,
        *,
        labels=None,
        sample_weight=None,
        normalize=None,
        missing_label=None,
        display_labels=None,
        ax=None,
        **kwargs,
    ):
        """Draw the confusion matrix of predictions.

        Parameters
        ----------
        y_true, y_pred : RaggedArray, list of array-like, or array-like of shape (n_nodes,)
        labels, sample_weight, normalize, missing_label
            As for `skstruct.metrics.confusion_matrix`.
        display_labels : array-like of shape (n_classes,), default=None
            Names of the classes. None: `labels`.
        ax : matplotlib Axes, default=None
            None: new axes.
        **kwargs
            Arguments of scikit-learn's ``plot``, such as ``cmap`` and ``values_format``. Names of columns with
            more than two characters are vertical by default, so that many classes are legible.

        Returns
        -------
        display : ConfusionMatrixDisplay
        """
        check_axes(ax)
        matrix = confusion_matrix(
            y_true,
            y_pred,
            labels=labels,
            sample_weight=sample_weight,
            normalize=normalize,
            missing_label=missing_label,
        )
        if labels is None:
            true, predicted = _flat(y_true), _flat(y_pred)
            is_known = ~missing_mask(true, missing_label)
            labels = unique_labels(true[is_known], predicted[is_known])
        names = np.asarray(labels) if display_labels is None else list_of("display_labels", display_labels)
        if len(names) != len(matrix):
            raise ValueError(f"display_labels has {len(names)} names, but there are {len(matrix)} classes.")
        if max(map(len, map(str, names))) > MOST_UPRIGHT:
            kwargs = {"xticks_rotation": "vertical", **kwargs}
        return cls(matrix, display_labels=names).plot(ax=ax, **kwargs)


def _flat(labels):
    """Labels of all nodes, (n_nodes,)."""
    return as_ragged(labels).values if is_ragged(labels) else np.asarray(labels)
