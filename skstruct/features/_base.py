"""What a feature map is: it lays out the parameters once; its plan turns features into scores and back."""

from typing import Protocol

import numpy as np

from skstruct._dataset import GraphDataset
from skstruct._records import Scores


class FeaturePlan(Protocol):
    """Parameter layout of a feature map for given numbers of features and states.

    Inside, the parameters are one flat vector `coef`.

    Attributes
    ----------
    n_coef : int
        Length of `coef`.
    penalized : ndarray of shape (n_coef,)
        Factor of each parameter in the regulariser: 1, or 0 for an intercept.
    """

    n_coef: int
    penalized: np.ndarray

    def initial_coef(self, random_state: np.random.RandomState) -> np.ndarray:
        """Return the point where training starts."""

    def scores(self, batch: GraphDataset, coef: np.ndarray) -> Scores:
        """Scores of all nodes and edges of a batch."""

    def pullback(self, batch: GraphDataset, coef: np.ndarray, gradient: Scores, out: np.ndarray) -> None:
        """Add to `out` the gradient with respect to `coef`, given the one with respect to the scores."""

    def attributes(self, coef: np.ndarray) -> dict[str, np.ndarray]:
        """Public views of `coef` under scikit-learn's names, ``{"coef_": ..., ...}``."""


class FeatureMap(Protocol):
    """Holds the parameters of a map; a ``BaseEstimator``."""

    def plan(self, dataset: GraphDataset, classes: np.ndarray) -> FeaturePlan:
        """Lay out the parameters for training on `dataset`, with a state for each of the sorted `classes`."""
