"""The estimator: it connects features, inference, objective, optimiser and decoding."""

from skstruct.estimator._classifier import GraphCRFClassifier
from skstruct.estimator._multilabel import MultiLabelCRFClassifier

__all__ = ["GraphCRFClassifier", "MultiLabelCRFClassifier"]
