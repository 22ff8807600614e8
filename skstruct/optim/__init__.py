"""Optimisers: from a function of the parameters to its minimum.

``OPTIMIZERS`` maps the names that ``optimizer=`` takes to classes.
"""

from skstruct.optim._adam import Adam
from skstruct.optim._averaged_perceptron import AveragedPerceptron
from skstruct.optim._base import Loss, Optimizer, OptimizerState, SecondOrderLoss, StochasticLoss
from skstruct.optim._bcfw import BCFW
from skstruct.optim._lbfgs import LBFGS
from skstruct.optim._newton import NewtonCG
from skstruct.optim._owlqn import OWLQN
from skstruct.optim._sgd import AveragedSGD

OPTIMIZERS = {
    "lbfgs": LBFGS,
    "owlqn": OWLQN,
    "newton_cg": NewtonCG,
    "sgd": AveragedSGD,
    "adam": Adam,
    "bcfw": BCFW,
    "averaged_perceptron": AveragedPerceptron,
}

__all__ = [
    "OPTIMIZERS",
    "Loss",
    "Optimizer",
    "OptimizerState",
    "SecondOrderLoss",
    "StochasticLoss",
    *(cls.__name__ for cls in OPTIMIZERS.values()),
]
