"""Feature maps: they compute scores from graphs and parameters, and gradients of parameters from gradients of scores.

``FEATURE_MAPS`` maps the names that the parameter ``features`` accepts to classes.
"""

from skstruct.features._base import FEATURE_MAPS, FeatureMap, FeaturePlan
from skstruct.features._chunk_schemes import bio_forbidden_pairs
from skstruct.features._constrained import ConstrainedFeatures
from skstruct.features._label_features import LabelFeatures
from skstruct.features._linear import LinearFeatures
from skstruct.features._network import NetworkFeatures

FEATURE_MAPS |= {"linear": LinearFeatures, "network": NetworkFeatures, "constrained": ConstrainedFeatures}

__all__ = [
    "FEATURE_MAPS",
    "FeatureMap",
    "FeaturePlan",
    "LabelFeatures",
    "bio_forbidden_pairs",
    *(cls.__name__ for cls in FEATURE_MAPS.values()),
]
