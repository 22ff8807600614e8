"""The estimator: it connects features, inference, objective, optimiser and decoding."""

from skstruct.estimator._classifier import GraphCRFClassifier

__all__ = ["GraphCRFClassifier"]
