"""What an objective is: it asks the inference plan a query and returns a loss and its score gradient."""

from typing import Protocol

import numpy as np

from skstruct._records import Scores
from skstruct.inference._base import InferencePlan


class Objective(Protocol):
    """Holds the parameters of a loss; a ``BaseEstimator``."""

    def value_and_gradient(
        self, plan: InferencePlan, scores: Scores, y: np.ndarray, weights: np.ndarray
    ) -> tuple[float, Scores]:
        """Weighted sum of the graphs' losses, and its gradient with respect to `scores`.

        Parameters
        ----------
        plan : InferencePlan
        scores : Scores
        y : ndarray of shape (n_nodes,)
            State codes, or `MISSING`.
        weights : ndarray of shape (n_graphs,)
        """
