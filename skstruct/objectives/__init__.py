"""Objectives: from scores and labels to a loss and its gradient.

``OBJECTIVES`` maps the names that ``objective=`` takes to classes.
"""

from skstruct.objectives._base import Objective
from skstruct.objectives._hinge import Hinge
from skstruct.objectives._likelihood import Likelihood
from skstruct.objectives._perceptron import Perceptron
from skstruct.scores import MISSING

OBJECTIVES = {"likelihood": Likelihood, "hinge": Hinge, "perceptron": Perceptron}

__all__ = ["MISSING", "OBJECTIVES", "Objective", *(cls.__name__ for cls in OBJECTIVES.values())]
