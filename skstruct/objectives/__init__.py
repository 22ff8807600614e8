"""Objectives: from scores and labels to a loss and its gradient.

``OBJECTIVES`` maps the names that ``objective=`` takes to classes.
"""

from skstruct.components import resolve
from skstruct.objectives._base import Objective
from skstruct.objectives._expected_loss import ExpectedLoss
from skstruct.objectives._hinge import Hinge
from skstruct.objectives._likelihood import Likelihood
from skstruct.objectives._marginal import Marginal
from skstruct.objectives._perceptron import Perceptron
from skstruct.objectives._pseudolikelihood import Pseudolikelihood
from skstruct.objectives._softmax_margin import SoftmaxMargin
from skstruct.scores import MISSING

OBJECTIVES = {
    "likelihood": Likelihood,
    "marginal": Marginal,
    "pseudolikelihood": Pseudolikelihood,
    "softmax_margin": SoftmaxMargin,
    "expected_loss": ExpectedLoss,
    "hinge": Hinge,
    "perceptron": Perceptron,
}


def stages(objective: Objective) -> list[Objective]:
    """Objectives that training minimises one after the other: those of `start_with`, and `objective` last."""
    if objective.start_with is None:
        return [objective]
    return [*stages(resolve(objective.start_with, Objective, OBJECTIVES, "start_with")), objective]


__all__ = ["MISSING", "OBJECTIVES", "Objective", *(cls.__name__ for cls in OBJECTIVES.values())]
