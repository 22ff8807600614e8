"""The check of those parameters of the estimator that are not components."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator

from skstruct.decoding import DECODERS, Decoder


def check_parameters(estimator: BaseEstimator) -> None:
    """Refuse parameters of `GraphCRFClassifier` that are out of range; the message names the parameter."""

    def require(name, good, wanted):
        if not good:
            value = getattr(estimator, name)
            raise ValueError(f"{type(estimator).__name__}: {name} must be {wanted}, got {value!r}.")

    def is_number(value, kind):
        return isinstance(value, kind) and not isinstance(value, bool | np.bool_)

    require("C", is_number(estimator.C, Real) and 0 < estimator.C < np.inf, "a positive number")
    require("l1_ratio", is_number(estimator.l1_ratio, Real) and 0 <= estimator.l1_ratio <= 1, "a number in [0, 1]")
    require("tol", is_number(estimator.tol, Real) and estimator.tol >= 0, "a number >= 0")
    require("max_iter", is_number(estimator.max_iter, Integral) and estimator.max_iter >= 1, "an integer >= 1")
    decodings = ["map", "marginal", *DECODERS]
    by_name = isinstance(estimator.decoding, str) and estimator.decoding in decodings
    require("decoding", by_name or isinstance(estimator.decoding, Decoder), f"one of {decodings} or a Decoder")
    require(
        "classes",
        estimator.classes is None or (np.asarray(estimator.classes, dtype=object).ndim == 1 and len(estimator.classes)),
        "a list of labels",
    )
    require(
        "missing_label",
        np.asarray(estimator.missing_label, dtype=object).ndim == 0 and not isinstance(estimator.missing_label, dict),
        "a label",
    )
    require(
        "n_jobs",
        estimator.n_jobs is None or (is_number(estimator.n_jobs, Integral) and estimator.n_jobs),
        "None or an integer, not 0",
    )
    require("transductive", isinstance(estimator.transductive, bool | np.bool_), "True or False")
    require("early_stopping", isinstance(estimator.early_stopping, bool | np.bool_), "True or False")
    fraction = estimator.validation_fraction
    require("validation_fraction", is_number(fraction, Real) and 0 < fraction < 1, "a number between 0 and 1")
    number = estimator.n_iter_no_change
    require("n_iter_no_change", is_number(number, Integral) and number >= 1, "an integer >= 1")
    require("warm_start", isinstance(estimator.warm_start, bool | np.bool_), "True or False")
    require(
        "verbose",
        isinstance(estimator.verbose, Integral | np.bool_) and int(estimator.verbose) >= 0,
        "an integer >= 0",
    )
    require(
        "class_weight",
        estimator.class_weight is None
        or isinstance(estimator.class_weight, dict)
        or estimator.class_weight == "balanced",
        "a dict, 'balanced' or None",
    )
