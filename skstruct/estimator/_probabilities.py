"""Whether the queries about probabilities are available."""

from sklearn.base import BaseEstimator

from skstruct.objectives import OBJECTIVES, Objective


def gives_probabilities(estimator: BaseEstimator) -> bool:
    """Whether the objective of training defines probabilities; the error of a missing method says why."""
    given = estimator.objective
    objective = OBJECTIVES[given]() if isinstance(given, str) and given in OBJECTIVES else given
    if isinstance(objective, Objective) and not objective.probabilistic:
        raise AttributeError(
            f"objective={given!r} trains scores that define no probabilities; predict needs none, and "
            "objective='likelihood' trains probabilities. skstruct.calibration.TemperatureScalingCV chooses a "
            "temperature, which defines probabilities for any objective."
        )
    return True
