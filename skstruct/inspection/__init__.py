"""What a fitted estimator has learnt, how it decides, and how certain it is.

All functions accept a fitted `GraphCRFClassifier`, or a fitted pipeline or search that ends in one.
"""

from skstruct.inspection._explain import explain
from skstruct.inspection._pipelines import Steps as Steps  # for other folders; users call `transformed`
from skstruct.inspection._pipelines import transformed
from skstruct.inspection._queries import (
    entropy,
    inference_report,
    node_entropy,
    predict_edge_proba,
    predict_top_k,
    sample,
)
from skstruct.inspection._standard_errors import standard_errors
from skstruct.inspection._weights import transitions, weights

__all__ = [
    "weights",
    "transitions",
    "explain",
    "standard_errors",
    "node_entropy",
    "transformed",
    "entropy",
    "inference_report",
    "predict_edge_proba",
    "predict_top_k",
    "sample",
]
