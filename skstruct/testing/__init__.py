"""Conformance batteries for components of skstruct and of others: one battery for each seam.

Each raises an AssertionError that names the case and the law that was broken.
"""

from skstruct.testing._decoding import check_decoder
from skstruct.testing._features import check_feature_map
from skstruct.testing._inference import check_inference_backend
from skstruct.testing._models import Exact, enumerate_exactly
from skstruct.testing._objectives import check_objective
from skstruct.testing._optimizers import check_optimizer

__all__ = [
    "Exact",
    "check_decoder",
    "check_feature_map",
    "check_inference_backend",
    "check_objective",
    "check_optimizer",
    "enumerate_exactly",
]
