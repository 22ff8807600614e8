"""Conformance tests for components of skstruct and of third parties: a battery of checks for each kind of component.

A battery raises an AssertionError that names the case and the law that is broken.
"""

from skstruct.testing._decoding import check_decoder
from skstruct.testing._features import check_feature_map
from skstruct.testing._inference import check_inference_backend
from skstruct.testing._models import FAMILIES, Exact, enumerate_covariances, enumerate_exactly
from skstruct.testing._objectives import check_objective
from skstruct.testing._optimizers import check_optimizer

__all__ = [
    "FAMILIES",
    "Exact",
    "check_decoder",
    "check_feature_map",
    "check_inference_backend",
    "check_objective",
    "check_optimizer",
    "enumerate_covariances",
    "enumerate_exactly",
]
