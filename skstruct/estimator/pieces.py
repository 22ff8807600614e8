"""What a training on several pieces of data needs, wherever the pieces are; see `skstruct.distributed`."""

from skstruct.estimator._chunks import single_blas_thread
from skstruct.estimator._fitting import Training
from skstruct.estimator._input import read_classes
from skstruct.estimator._labelled import Labelled, agree, class_totals
from skstruct.estimator._part import Part
from skstruct.estimator._penalized import PenalizedLoss
from skstruct.estimator._weights import weights_of_classes

__all__ = [
    "Labelled",
    "Part",
    "PenalizedLoss",
    "Training",
    "agree",
    "class_totals",
    "read_classes",
    "single_blas_thread",
    "weights_of_classes",
]
