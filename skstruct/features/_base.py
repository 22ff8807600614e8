"""What a feature map is: it lays out the parameters once; its plan turns features into scores and back."""

from typing import Any, Protocol

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
    free : ndarray of bool, (n_coef,)
        False for entries of `coef` that are no parameters but stay zero.
    dtype : numpy.dtype
        Of the `coef` that training hands to `scores` and `pullback`: float64, or float32. Scores are of the type of the
        `coef` given.

    Two plans are equal (``==``) if their parameters mean the same, so that a fit can start from another's.
    """

    n_coef: int
    penalized: np.ndarray
    free: np.ndarray
    dtype: np.dtype

    def initial_coef(self, random_state: np.random.RandomState) -> np.ndarray:
        """Return the point where training starts."""

    def prepare(self, batch: GraphDataset) -> Any:
        """Lay out a batch's features for `scores` and `pullback`, once; `inputs` below is what this returns."""

    def scores(self, inputs: Any, coef: np.ndarray) -> Scores:
        """Scores of all nodes and edges of a batch."""

    def pullback(self, inputs: Any, coef: np.ndarray, gradient: Scores, out: np.ndarray) -> None:
        """Add to `out` the gradient with respect to `coef`, given the one with respect to the scores."""

    def attributes(self, coef: np.ndarray) -> dict[str, np.ndarray]:
        """Public views of `coef` under scikit-learn's names, ``{"coef_": ..., ...}``."""


class FeatureMap(Protocol):
    """Holds the parameters of a map; a ``BaseEstimator``."""

    def plan(self, dataset: GraphDataset, classes: np.ndarray, codes: np.ndarray) -> FeaturePlan:
        """Lay out the parameters for training on `dataset`.

        There is a state for each of the sorted `classes`; `codes`, (n_nodes,), are those of the labels, negative where
        unknown.
        """
