"""Optimisers: from a function of the parameters to its minimum.

``OPTIMIZERS`` maps the names that ``optimizer=`` takes to classes.
"""

from skstruct.optim._base import Optimizer
from skstruct.optim._lbfgs import LBFGS

OPTIMIZERS = {"lbfgs": LBFGS}

__all__ = ["OPTIMIZERS", "Optimizer", *(cls.__name__ for cls in OPTIMIZERS.values())]
