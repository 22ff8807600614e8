"""The check of those parameters of the estimator that are not components."""

from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator

from skstruct.components import require, require_integers, require_number
from skstruct.decoding import DECODERS, Decoder
from skstruct.estimator._checkpointing import check_store
from skstruct.estimator._input import is_label_list


def query_temperature(estimator: BaseEstimator) -> float:
    """Number by which queries divide the scores; refuse it if it is out of range."""
    if estimator.temperature is None:
        return 1.0
    require_number(estimator, "temperature", lambda number: 0 < number < np.inf, "None or a positive number")
    return float(estimator.temperature)


def check_query_parameters(estimator: BaseEstimator) -> None:
    """Refuse the parameters that predictions read, too, and that can be set after `fit`, if they are out of range."""
    if estimator.n_jobs is not None:
        require_number(estimator, "n_jobs", lambda number: number != 0, "None or an integer, not 0", Integral)
    decodings = ["map", "marginal", *DECODERS]
    by_name = isinstance(estimator.decoding, str) and estimator.decoding in decodings
    is_decoder = isinstance(estimator.decoding, Decoder)
    require(estimator, "decoding", by_name or is_decoder, f"one of {decodings} or a Decoder")


def check_parameters(estimator: BaseEstimator) -> None:
    """Refuse parameters of `GraphCRFClassifier` that are out of range; the message names the parameter."""
    require_number(estimator, "C", lambda C: 0 < C < np.inf, "a positive number")
    require_number(estimator, "l1_ratio", lambda ratio: 0 <= ratio <= 1, "a number in [0, 1]")
    require_number(estimator, "tol", lambda tol: tol >= 0, "a number >= 0")
    require_integers(estimator, "max_iter", "n_iter_no_change")
    require_number(estimator, "validation_fraction", lambda fraction: 0 < fraction < 1, "a number between 0 and 1")
    check_query_parameters(estimator)
    query_temperature(estimator)
    require(estimator, "classes", estimator.classes is None or is_label_list(estimator.classes), "a list of labels")
    require(
        estimator,
        "missing_label",
        np.asarray(estimator.missing_label, dtype=object).ndim == 0 and not isinstance(estimator.missing_label, dict),
        "a label",
    )
    require(estimator, "transductive", isinstance(estimator.transductive, bool | np.bool_), "True or False")
    require(estimator, "early_stopping", isinstance(estimator.early_stopping, bool | np.bool_), "True or False")
    require(estimator, "warm_start", isinstance(estimator.warm_start, bool | np.bool_), "True or False")
    require(
        estimator,
        "verbose",
        isinstance(estimator.verbose, Integral | np.bool_) and int(estimator.verbose) >= 0,
        "an integer >= 0",
    )
    require(
        estimator,
        "class_weight",
        estimator.class_weight is None
        or isinstance(estimator.class_weight, dict)
        or (isinstance(estimator.class_weight, str) and estimator.class_weight == "balanced"),
        "a dict, 'balanced' or None",
    )
    check_store(estimator)
