"""What a feature map is: it sets up the parameters once; its plan computes scores from features, and gradients.

To add a feature map, write one file with a subclass of `FeatureMap` and of `FeaturePlan`, and add one row to
``FEATURE_MAPS`` in ``features/__init__.py``.
"""

from functools import reduce
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator

from skstruct.data.dataset import GraphDataset
from skstruct.data.pieces import cut_graphs, n_stored
from skstruct.scores import MISSING, Scores

PIECE = 2**20  # stored features of a piece of the data; a piece is planned at once


class FeaturePlan:
    """Base class of the plans: the parameters of a feature map for given numbers of features and states.

    Inside, the parameters are one flat vector `coef`. A subclass sets `n_coef` and implements `prepare`, `scores`,
    `pullback` and `attributes`. Two plans are equal (``==``) if their parameters mean the same, so that a fit can start
    from the parameters of another.

    Attributes
    ----------
    n_coef : int
        Length of `coef`.
    penalized : ndarray of shape (n_coef,)
        Factor of each parameter in the penalty: 1 (default), or 0 for an intercept.
    free : ndarray of bool, (n_coef,)
        False for entries of `coef` that are no parameters and stay zero. Default: all are True.
    dtype : numpy.dtype
        Type of the `coef` that training passes to `scores` and `pullback`: float64 (default) or float32. Scores have
        the type of the `coef` given.
    """

    n_coef: int

    @property
    def dtype(self) -> np.dtype:
        """Type of the `coef` of training."""
        return np.dtype(np.float64)

    @property
    def penalized(self) -> np.ndarray:
        """Factor of each parameter in the penalty."""
        return np.ones(self.n_coef)

    @property
    def free(self) -> np.ndarray:
        """False for entries that are no parameters."""
        return np.ones(self.n_coef, bool)

    def initial_coef(self, random_state: np.random.RandomState) -> np.ndarray:
        """Return the point where training starts, (n_coef,): zero by default."""
        return np.zeros(self.n_coef)

    def prepare(self, batch: GraphDataset) -> Any:
        """Convert the features of a batch to what `scores` reads, once; the result pickles."""
        raise NotImplementedError

    def part(self, inputs: Any, batch: GraphDataset, graphs: slice) -> Any:
        """Inputs of consecutive graphs of a batch that has been prepared; by default they are prepared again.

        Parameters
        ----------
        inputs : object
            Of the whole `batch`.
        batch : GraphDataset
        graphs : slice
        """
        return self.prepare(batch[graphs])

    def scores(self, inputs: Any, coef: np.ndarray) -> tuple[Scores, Any]:
        """Compute the scores of all nodes and edges of a batch.

        Parameters
        ----------
        inputs : object
            From `prepare`.
        coef : ndarray of shape (n_coef,)

        Returns
        -------
        scores : Scores
        context : object
            What `pullback`, `step` and `tangent` need of this pass; a linear map returns its `inputs`.
        """
        raise NotImplementedError

    def pullback(self, context: Any, d_scores: Scores, out: np.ndarray) -> None:
        """Add the gradient with respect to `coef` to `out`, given the gradient with respect to the scores.

        Parameters
        ----------
        context : object
            From `scores`.
        d_scores : Scores
        out : ndarray of shape (n_coef,)
            It never shares memory with the `coef` of `scores`.
        """
        raise NotImplementedError

    def step(self, context: Any, d_scores: Scores, coef: np.ndarray, rate: float) -> None:
        """Do a gradient step in place: ``coef -= rate * gradient``.

        The default computes the whole gradient first, at the cost of O(n_coef). A map whose gradient does not depend on
        `coef` can write into `coef` directly, at the cost of the batch. `d_scores` may be overwritten.
        """
        gradient = np.zeros(self.n_coef)
        self.pullback(context, d_scores, gradient)
        gradient *= rate
        coef -= gradient

    def tangent(self, context: Any, d_coef: np.ndarray) -> Scores:
        """Derivative of the scores in the direction `d_coef`, at the `coef` of the pass; for Hessian products."""
        raise NotImplementedError(f"{type(self).__name__} does not implement tangent, which Hessian products need.")

    def attributes(self, coef: np.ndarray) -> dict[str, Any]:
        """Return public views of `coef` under scikit-learn's names, ``{"coef_": ..., ...}``."""
        raise NotImplementedError


class FeatureMap(BaseEstimator):
    """Base class of the feature maps; holds the parameters of a map.

    What a plan depends on is collected from pieces of the data: `plan` is `collect` on each piece, `merge`, and
    `plan_from`. Statistics pickle, so that pieces can be on several machines.
    """

    parameter: ClassVar[str] = "features"

    def collect(self, dataset: GraphDataset, codes: np.ndarray, classes: np.ndarray) -> Any:
        """Collect what the plan depends on.

        Parameters
        ----------
        dataset : GraphDataset
        codes : ndarray of shape (n_nodes,)
            State codes of the labels, `MISSING` where unknown.
        classes : ndarray of shape (n_states,)
            The sorted classes of the whole data, one for each state.

        Returns
        -------
        statistics : object
        """
        raise NotImplementedError

    def merge(self, first: Any, second: Any) -> Any:
        """Combine the statistics of two pieces, in the order of the data."""
        raise NotImplementedError

    def plan_from(self, statistics: Any, classes: np.ndarray) -> FeaturePlan:
        """Set up the parameters.

        Raises
        ------
        ValueError
            If a parameter of the map is wrong, or does not fit the data.
        """
        raise NotImplementedError

    def plan(self, dataset: GraphDataset, classes: np.ndarray, codes: np.ndarray | None = None) -> FeaturePlan:
        """Set up the parameters for training on `dataset`.

        Parameters
        ----------
        dataset : GraphDataset
        classes : ndarray of shape (n_states,)
        codes : ndarray of shape (n_nodes,), default=None
            None: no label is known.

        Returns
        -------
        plan : FeaturePlan

        Raises
        ------
        ValueError
            As `plan_from`.
        """
        codes = np.full(dataset.n_nodes, MISSING) if codes is None else codes
        ptr = dataset.node_ptr
        pieces = cut_graphs(n_stored(dataset.node_features, ptr), PIECE) or [slice(0, 0)]
        statistics = (self.collect(dataset[p], codes[ptr[p.start] : ptr[p.stop]], classes) for p in pieces)
        return self.plan_from(reduce(self.merge, statistics), classes)


FEATURE_MAPS: dict[str, type[FeatureMap]] = {}  # filled in __init__.py; a map that holds another one reads it
