"""The training algorithms of CRFsuite: their parameters, and the objective and optimiser that take their place."""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from skstruct.compat._online import AROW, MistakeMargin, MistakeRate, PassiveAggressive, PerceptronSteps
from skstruct.components import require, require_number
from skstruct.optim import LBFGS, AveragedSGD, Optimizer

FEATURES = {"min_freq": 0.0, "all_possible_states": False, "all_possible_transitions": False}
UNLIMITED = 2**31 - 1
SEED = 0
SGD_EPOCHS = 30  # the result is the average over the second half of the epochs, so that their number is planned
CRFSUITE_NAMES = {  # names of the parameters in CRFsuite
    "min_freq": "feature.minfreq",
    "all_possible_states": "feature.possible_states",
    "all_possible_transitions": "feature.possible_transitions",
    **{f"calibration_{name}": f"calibration.{name}" for name in ("eta", "rate", "samples", "candidates", "max_trials")},
    "pa_type": "type",
    **{
        name: name
        for name in (
            *("c1", "c2", "max_iterations", "num_memories", "epsilon", "period", "delta", "linesearch"),
            *("max_linesearch", "c", "error_sensitive", "averaging", "variance", "gamma"),
        )
    },
}
NAMES = {"averaged-perceptron": "ap", "passive-aggressive": "pa"}
NUMBERS: dict[str, tuple[Callable[[Any], bool], str, type]] = {
    **dict.fromkeys(["c1", "c2", "epsilon", "delta"], (lambda x: 0 <= x < np.inf, "a number >= 0", Real)),
    **dict.fromkeys(["c", "variance", "gamma"], (lambda x: 0 < x < np.inf, "a positive number", Real)),
    **dict.fromkeys(["max_iterations", "num_memories"], (lambda x: x >= 1, "an integer >= 1", Integral)),
    "period": (lambda x: x >= 0, "an integer >= 0", Integral),
    "pa_type": (lambda x: x in (0, 1, 2), "0, 1 or 2", Integral),
}


@dataclass(frozen=True)
class Algorithm:
    """An algorithm of CRFsuite.

    Attributes
    ----------
    defaults : dict
        Parameters and their default values. CRFsuite refuses other parameters.
    objective : callable
        ``objective(parameters)`` returns an Objective or its name.
    optimizer : callable
        ``optimizer(parameters, n_tokens)`` returns the Optimizer.
    is_done : callable
        ``is_done(iterations, parameters, n_sequences)`` applies the stopping rule to the iterations of a `TrainingLog`.
    """

    defaults: dict[str, Any]
    objective: Callable[[dict[str, Any]], Any]
    optimizer: Callable[[dict[str, Any], int], Optimizer]
    is_done: Callable[[list[dict[str, Any]], dict[str, Any], int], bool]


def _has_converged(iterations, parameters, n_sequences):
    last, period = iterations[-1], parameters["period"]
    if last["error_norm"] <= parameters["epsilon"] * max(1.0, last["feature_norm"]):
        return True
    is_long = 0 < period < len(iterations)
    return is_long and iterations[-1 - period]["loss"] - last["loss"] < parameters["delta"] * last["loss"]


def _has_small_loss(iterations, parameters, n_sequences):
    return iterations[-1]["loss"] < parameters["epsilon"] * n_sequences


def _has_small_loss_or_none(iterations, parameters, n_sequences):
    return iterations[-1]["loss"] <= parameters["epsilon"] * n_sequences


def _never(iterations, parameters, n_sequences):
    return False


ALGORITHMS = {
    "lbfgs": Algorithm(
        {
            "c1": 0.0,
            "c2": 1.0,
            "max_iterations": UNLIMITED,
            "num_memories": 6,
            "epsilon": 1e-5,
            "period": 10,
            "delta": 1e-5,
            "linesearch": "MoreThuente",
            "max_linesearch": 20,
        },
        lambda p: "likelihood",
        lambda p, n_tokens: LBFGS(p["num_memories"]),
        _has_converged,
    ),
    "l2sgd": Algorithm(
        {
            "c2": 1.0,
            "max_iterations": 1000,
            "period": 10,
            "delta": 1e-6,
            "calibration_eta": 0.1,
            "calibration_rate": 2.0,
            "calibration_samples": 1000,
            "calibration_candidates": 10,
            "calibration_max_trials": 20,
        },
        lambda p: "likelihood",
        lambda p, n_tokens: AveragedSGD(min(p["max_iterations"], SGD_EPOCHS), batch_size=1, random_state=SEED),
        _never,
    ),
    "ap": Algorithm(
        {"max_iterations": 100, "epsilon": 0.0},
        lambda p: MistakeRate(),
        lambda p, n_tokens: PerceptronSteps(n_tokens, random_state=SEED),
        _has_small_loss,
    ),
    "pa": Algorithm(
        {"pa_type": 1, "c": 1.0, "error_sensitive": True, "averaging": True, "max_iterations": 100, "epsilon": 0.0},
        lambda p: MistakeMargin(0.5 if p["error_sensitive"] else 0.0),
        lambda p, n_tokens: PassiveAggressive(
            n_tokens, p["pa_type"], p["c"], averaging=bool(p["averaging"]), random_state=SEED
        ),
        _has_small_loss,
    ),
    "arow": Algorithm(
        {"variance": 1.0, "gamma": 1.0, "max_iterations": 100, "epsilon": 0.0},
        lambda p: MistakeMargin(1.0),
        lambda p, n_tokens: AROW(n_tokens, p["gamma"], variance=p["variance"], random_state=SEED),
        _has_small_loss_or_none,
    ),
}


def read_settings(crf: BaseEstimator) -> tuple[Algorithm, dict[str, Any]]:
    """Return the algorithm of a `CRF`, and all its parameters with their values.

    Raises
    ------
    ValueError
        If the algorithm is unknown, or a parameter is out of range or belongs to another algorithm.
    """
    name = "lbfgs" if crf.algorithm is None else str(crf.algorithm).lower()
    name = NAMES.get(name, name)
    require(crf, "algorithm", name in ALGORITHMS, f"one of {list(ALGORITHMS)}")
    defaults = {**FEATURES, **ALGORITHMS[name].defaults}
    given = {parameter: getattr(crf, parameter) for parameter in CRFSUITE_NAMES}
    given = {parameter: value for parameter, value in given.items() if value is not None}
    for parameter, value in given.items():
        if parameter not in defaults:
            raise ValueError(
                f"algorithm={name!r} has no parameter {parameter}, got {parameter}={value!r}; its parameters are "
                f"{list(defaults)}"
            )
        if parameter in NUMBERS:
            require_number(crf, parameter, *NUMBERS[parameter])
        if isinstance(defaults[parameter], bool):
            require(crf, parameter, isinstance(value, bool | np.bool_ | Integral), "a bool")
    return ALGORITHMS[name], {**defaults, **given}
