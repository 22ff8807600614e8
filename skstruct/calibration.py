"""Calibration of the probabilities of graphs, by a temperature."""

from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import check_cv
from sklearn.utils import _safe_indexing, column_or_1d, get_tags, indexable
from sklearn.utils.validation import check_is_fitted

from skstruct.data.graph_input import as_dataset, is_graph_input
from skstruct.data.node_view import NodeView
from skstruct.data.ragged import as_ragged, is_ragged
from skstruct.estimator import GraphCRFClassifier
from skstruct.estimator.callbacks import CallbackSupportMixin, one_task
from skstruct.inspection import Steps, transformed
from skstruct.metrics import node_scorer
from skstruct.version import Versioned

__all__ = ["TemperatureScalingCV"]

LOG_TEMPERATURES = (-10.0, 10.0)  # those of scikit-learn
TOLERANCE = 1e-4  # relative error of the temperature


class HeldOut(NamedTuple):
    """Labelled graphs that were not used to train a model."""

    crf: GraphCRFClassifier
    X: Any  # input of `crf`
    y: Any
    sample_weight: Any

    @property
    def has_weight(self) -> bool:
        """Whether a weight is not zero."""
        weights = getattr(self.sample_weight, "values", self.sample_weight)
        return weights is None or bool(np.any(weights))

    def log_loss(self, temperature: float) -> float:
        """Sum of the log-losses of all nodes with a label."""
        scorer = node_scorer("neg_log_loss", missing_label=self.crf.missing_label, normalize=False)
        return -scorer(self.crf.set_params(temperature=temperature), self.X, self.y, sample_weight=self.sample_weight)


class TemperatureScalingCV(Versioned, CallbackSupportMixin, MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    r"""Calibrate the probabilities of a conditional random field by a temperature, on held-out graphs.

    All scores of nodes and edges are divided by a number, the temperature :math:`T`:

    .. math:: P_T(y \mid x) \propto \exp\Bigl(\tfrac{1}{T} \sum_i s_n[i, y_i]
              + \tfrac{1}{T} \sum_{(i,j)} s_e[(i,j), y_i, y_j]\Bigr)

    `fit` chooses the temperature with the lowest logarithmic loss of the nodes of graphs that the model has not seen.
    Temperatures above 1 make probabilities less extreme. The most probable labelling does not change. Probabilities of
    nodes and edges, samples and entropies stay those of one distribution.

    The temperature also defines probabilities for models that were trained by another objective than the likelihood,
    such as ``objective="hinge"``.

    Parameters
    ----------
    estimator : estimator, default=None
        A `GraphCRFClassifier`, or a pipeline or search that ends in one. None: ``GraphCRFClassifier()``. A fitted model
        in a `sklearn.frozen.FrozenEstimator` is not fitted again: all graphs of `fit` are then held-out graphs.
    cv : int, cross-validation generator or iterable, default=5
        Splits of the graphs. The model is trained once for each split, and its test graphs are the held-out graphs. The
        temperature is that of the test graphs of all splits together. Not used for a frozen model.

    Attributes
    ----------
    estimator_ : estimator
        The calibrated model: a clone of `estimator`, trained on all graphs, or a copy of the frozen model. The
        parameter `temperature` of its `GraphCRFClassifier` is set, so that all its queries are calibrated.
    temperature_ : float
        The temperature.
    classes_ : ndarray of shape (n_classes,)
        Classes of `estimator_`.
    n_features_in_ : int
        Number of features seen in fit, if `estimator_` has this attribute.
    feature_names_in_ : ndarray of str
        Names of the features seen in fit, if `estimator_` has this attribute.

    See Also
    --------
    sklearn.calibration.CalibratedClassifierCV : calibrates classifiers of tables, and nodes as samples.
    skstruct.metrics.calibration_curve : shows whether probabilities are calibrated.

    Notes
    -----
    The temperature is found to a relative precision of 1e-4 by about 25 passes of inference over the held-out graphs.
    For a table it is the temperature of ``CalibratedClassifierCV(method="temperature", ensemble=False)``.

    References
    ----------
    .. [1] C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On calibration of modern neural networks", ICML 2017.

    Examples
    --------
    A model with little regularisation is too certain about graphs that it was not trained on:

    >>> from sklearn.frozen import FrozenEstimator
    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.calibration import TemperatureScalingCV
    >>> from skstruct.datasets import make_chain
    >>> from skstruct.metrics import node_log_loss
    >>> X, y = make_chain(n_graphs=100, n_features=12, return_X_y=True, random_state=0)
    >>> crf = GraphCRFClassifier(C=100).fit(X[:10], y[:10])
    >>> calibrated = TemperatureScalingCV(FrozenEstimator(crf)).fit(X[10:40], y[10:40])
    >>> round(calibrated.temperature_, 1)
    7.1
    >>> bool(node_log_loss(calibrated, X[40:], y[40:]) > node_log_loss(crf, X[40:], y[40:]))
    True
    """

    def __init__(self, estimator=None, *, cv=5):
        self.estimator = estimator
        self.cv = cv

    @one_task
    def fit(self, X, y, sample_weight=None):
        """Train the model and choose the temperature.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or table
            Input of `estimator`.
        y : RaggedArray, list of array-like, or array-like of shape (n_samples,)
            Labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, for training and for the logarithmic loss.

        Returns
        -------
        self : TemperatureScalingCV

        Raises
        ------
        ValueError, TypeError
            If the input is invalid, or `estimator` does not end in a `GraphCRFClassifier`.
        """
        estimator = GraphCRFClassifier() if self.estimator is None else self.estimator
        if isinstance(estimator, FrozenEstimator):
            check_is_fitted(estimator)
            self.estimator_ = deepcopy(estimator.estimator)
            held_out = [_held_out(self.estimator_, X, y, sample_weight)]
        elif isinstance(self.cv, bytes | np.ndarray) or (
            isinstance(self.cv, list | tuple | range) and not all(map(_is_pair, self.cv))
        ):
            raise ValueError(f"cv must be a number, a splitter, or a list of pairs (train, test), got {self.cv!r}.")
        elif not hasattr(estimator, "fit") or isinstance(estimator, type):
            raise TypeError(f"estimator must be a GraphCRFClassifier or end in one, got {estimator!r}.")
        else:
            self.estimator_ = _fitted(estimator, X, y, sample_weight)
            samples = _indexable(X, y, sample_weight)
            held_out = []
            for training, test in check_cv(self.cv, samples[1], classifier=True).split(*samples[:2]):
                model = _fitted(estimator, *_select(samples, training))
                held_out.append(_held_out(model, *_select(samples, test)))
        self.temperature_ = _best_temperature([part for part in held_out if part.has_weight])
        crf = Steps.of(self.estimator_).crf.set_params(temperature=self.temperature_)
        self.classes_ = crf.classes_
        return self

    def predict(self, X):
        """Predict the label of every node, as `estimator_` does.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or table
            Input of `estimator`.

        Returns
        -------
        labels : RaggedArray, or ndarray of shape (n_samples,) for a table or a NodeView
        """
        check_is_fitted(self)
        return self.estimator_.predict(X)

    def predict_proba(self, X):
        """Calibrated probability of every label at every node.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or table
            Input of `estimator`.

        Returns
        -------
        probability : RaggedArray of (n_nodes, n_classes), or ndarray of shape (n_samples, n_classes)
        """
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    def predict_log_proba(self, X):
        """Logarithm of `predict_proba`, in nats.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or table
            Input of `estimator`.

        Returns
        -------
        log_probability : RaggedArray of (n_nodes, n_classes), or ndarray of shape (n_samples, n_classes)
        """
        check_is_fitted(self)
        return self.estimator_.predict_log_proba(X)

    def decision_function(self, X):
        """Logarithms of the odds or probabilities of labels, as by `GraphCRFClassifier.decision_function`.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or table
            Input of `estimator`.

        Returns
        -------
        values : RaggedArray of (n_nodes[, n_classes]), or ndarray for a table or a NodeView
        """
        check_is_fitted(self)
        return self.estimator_.decision_function(X)

    def score(self, X, y, sample_weight=None):
        """Accuracy over all labelled nodes.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or table
            Input of `estimator`.
        y : RaggedArray, list of array-like, or array-like of shape (n_samples,)
        sample_weight : array-like, default=None
            Weights per graph, or per node (ragged).

        Returns
        -------
        accuracy : float
        """
        check_is_fitted(self)
        return self.estimator_.score(X, y, sample_weight=sample_weight)

    @property
    def n_features_in_(self):
        """Number of features seen in fit."""
        return self.estimator_.n_features_in_

    @property
    def feature_names_in_(self):
        """Names of the features seen in fit."""
        return self.estimator_.feature_names_in_

    def __sklearn_is_fitted__(self):
        return hasattr(self, "temperature_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(GraphCRFClassifier() if self.estimator is None else self.estimator)
        tags.input_tags = inner.input_tags
        tags.classifier_tags = inner.classifier_tags
        return tags


def _is_pair(split):
    return hasattr(split, "__len__") and len(split) == 2


def _indexable(X, y, sample_weight):
    """Convert the samples to forms of which `_select` can select some."""
    has_graphs = is_graph_input(X) and not isinstance(X, NodeView)
    if has_graphs:
        X = as_dataset(X)  # once, instead of in each fold
    if has_graphs or (is_ragged(y) and getattr(y, "shape", (0,))[1:] != (1,)):  # not a column of a table
        y = as_ragged(y, missing_label=-1)  # the most usual missing label may occur among labels of another type
    else:
        y = column_or_1d(y)
    if is_ragged(sample_weight):
        sample_weight = as_ragged(sample_weight, "sample_weight")
    return indexable(X, y, sample_weight)


def _select(samples, indices):
    """Some samples of each array that is not None."""
    return [None if array is None else _safe_indexing(array, indices) for array in samples]


def _fitted(estimator, X, y, sample_weight):
    """Return a fitted clone."""
    return clone(estimator).fit(X, y, **({} if sample_weight is None else {"sample_weight": sample_weight}))


def _held_out(model, X, y, sample_weight):
    """Transform held-out graphs for the estimator at the end of a model."""
    return HeldOut(*transformed(model, X), y, sample_weight)


def _best_temperature(held_out):
    """Temperature with the lowest logarithmic loss."""

    def loss(log_temperature):
        return sum(part.log_loss(np.exp(log_temperature)) for part in held_out)

    found = minimize_scalar(loss, bounds=LOG_TEMPERATURES, method="bounded", options={"xatol": TOLERANCE})
    return float(np.exp(found.x))
