"""The estimator: it connects features, inference, objective, optimiser and decoding."""

from skstruct.estimator._classifier import GraphCRFClassifier
from skstruct.estimator._fitted_loss import FittedLoss, fitted_loss
from skstruct.estimator._fitted_model import FittedModel, fitted_model
from skstruct.estimator._multilabel import MultiLabelCRFClassifier

__all__ = [
    "FittedLoss",
    "FittedModel",
    "GraphCRFClassifier",
    "MultiLabelCRFClassifier",
    "fitted_loss",
    "fitted_model",
]
