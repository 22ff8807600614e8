"""The protocol of feature maps: a map sets up the parameters once, and its plan computes scores and gradients.

To add a feature map, write one file with a subclass of `FeatureMap` and a subclass of `FeaturePlan`, and add one row to
``FEATURE_MAPS`` in ``features/__init__.py``.
"""

from functools import reduce
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator

from skstruct.data.dataset import GraphDataset
from skstruct.data.pieces import cut_graphs, n_stored
from skstruct.scores import MISSING, Scores

PIECE = 2**20  # stored features of a piece: planning the whole data at once would need several times its memory


class FeaturePlan:
    """Base class of the plans: the parameters of a feature map for given numbers of features and states.

    The parameters are one flat vector, `coef`. A subclass sets `n_coef` and implements `prepare`, `scores`, `pullback`
    and `attributes`. Two plans are equal (``==``) if their parameters have the same meaning. A fit with
    ``warm_start=True`` then starts at the parameters of the fit before.

    Attributes
    ----------
    n_coef : int
        Length of `coef`.
    penalized : ndarray of shape (n_coef,)
        Factor of each parameter in the penalty, at least 0: 1 (default), or 0 for an intercept.
    free : ndarray of bool, (n_coef,)
        False for entries of `coef` that are no parameters and stay zero. Default: all are True.
    linear : bool
        Whether scores are linear functions of `coef`, apart from a constant. Default: False.
    has_tangent : bool
        Whether `tangent` is implemented, which Hessian products need. Default: False.
    dtype : numpy.dtype
        Type of the `coef` that training passes to `scores` and `pullback`: float64 (default) or float32. Scores have
        the type of the `coef` that is passed.
    """

    n_coef: int

    @property
    def linear(self) -> bool:
        """Whether scores are linear functions of `coef`."""
        return False

    @property
    def has_tangent(self) -> bool:
        """Whether `tangent` is implemented."""
        return False

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
        """Return the point where training starts, (n_coef,): zero by default. It may be read-only."""
        return np.broadcast_to(0.0, self.n_coef)  # training keeps it, and needs no memory for it

    def prepare(self, batch: GraphDataset) -> Any:
        """Convert the features of a batch to inputs, which `scores` reads; inputs can be pickled."""
        raise NotImplementedError

    def slice_inputs(self, inputs: Any, batch: GraphDataset, graphs: slice) -> Any:
        """Return the inputs of consecutive graphs of a batch that has been prepared; by default, prepare them again.

        Parameters
        ----------
        inputs : object
            Inputs of the whole `batch`.
        batch : GraphDataset
        graphs : slice
            Numbers of the graphs in `batch`.
        """
        return self.prepare(batch[graphs])

    def scores(self, inputs: Any, coef: np.ndarray) -> tuple[Scores, Any]:
        """Compute the scores of all nodes and edges of a batch.

        Parameters
        ----------
        inputs : object
            Result of `prepare`.
        coef : ndarray of shape (n_coef,)

        Returns
        -------
        scores : Scores
        context : object
            Values of this computation that `pullback`, `step` and `tangent` need, such as the activations of a hidden
            layer. A linear map returns `inputs`.
        """
        raise NotImplementedError

    def pullback(self, context: Any, d_scores: Scores, out: np.ndarray) -> None:
        """Add the gradient with respect to `coef` to `out`, given the gradient with respect to the scores.

        Parameters
        ----------
        context : object
            Result of `scores`.
        d_scores : Scores
        out : ndarray of shape (n_coef,)
            It never shares memory with the `coef` of `scores`.
        """
        raise NotImplementedError

    def step(self, context: Any, d_scores: Scores, coef: np.ndarray, rate: float) -> None:
        """Do a gradient step in place: ``coef -= rate * gradient``.

        The default computes the whole gradient first, which costs O(n_coef). A map whose `pullback` does not depend on
        `coef` can write into `coef` directly, at a cost that depends on the batch only. `d_scores` may be overwritten.
        """
        gradient = np.zeros(self.n_coef)
        self.pullback(context, d_scores, gradient)
        gradient *= rate
        coef -= gradient

    def tangent(self, context: Any, d_coef: np.ndarray) -> Scores:
        """Derivative of the scores in the direction `d_coef`, at the `coef` of `context`; for Hessian products."""
        raise NotImplementedError(f"{type(self).__name__} does not implement tangent, which Hessian products need.")

    def input_gradient(self, inputs: Any, coef: np.ndarray, d_scores: Scores) -> tuple[np.ndarray, np.ndarray | None]:
        """Gradient with respect to the features, given the gradient with respect to the scores; optional.

        Parameters
        ----------
        inputs : object
            Result of `prepare`.
        coef : ndarray of shape (n_coef,)
        d_scores : Scores
            With a matrix for each edge, also where the scores of edges share a matrix.

        Returns
        -------
        d_node_features : ndarray of shape (n_nodes, n_features)
        d_edge_features : ndarray of shape (n_edges, n_edge_features), or None
            None if there are no edges, or no edge features.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement input_gradient.")

    def attributes(self, coef: np.ndarray) -> dict[str, Any]:
        """Return public views of `coef` by the names that scikit-learn uses, ``{"coef_": ..., ...}``."""
        raise NotImplementedError


class FeatureMap(BaseEstimator):
    """Base class of the feature maps.

    `statistics` cuts the data into pieces, calls `collect` for the statistics of each piece, and combines them by
    `merge`. `plan` calls `plan_from` with the result. Statistics can be pickled, so that pieces can be on several
    machines.
    """

    parameter: ClassVar[str] = "features"

    def collect(self, dataset: GraphDataset, codes: np.ndarray, classes: np.ndarray) -> Any:
        """Collect the statistics of the data on which the plan depends, such as the number of features.

        Parameters
        ----------
        dataset : GraphDataset
        codes : ndarray of shape (n_nodes,)
            State codes of the labels, `MISSING` where unknown.
        classes : ndarray of shape (n_states,)
            Sorted classes of the whole data, one for each state.

        Returns
        -------
        statistics : object
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement collect, which data in pieces need.")

    def merge(self, first: Any, second: Any) -> Any:
        """Combine the statistics of two pieces, in the order of the data."""
        raise NotImplementedError

    def plan_from(self, statistics: Any, classes: np.ndarray) -> FeaturePlan:
        """Set up the parameters.

        Raises
        ------
        ValueError
            If a parameter of the map is wrong, or does not match the data.
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
        return self.plan_from(self.statistics(dataset, classes, codes), classes)

    def statistics(self, dataset: GraphDataset, classes: np.ndarray, codes: np.ndarray | None = None) -> Any:
        """Collect the statistics of a dataset, piece by piece; arguments as for `plan`."""
        codes = np.full(dataset.n_nodes, MISSING) if codes is None else codes
        ptr = dataset.node_ptr
        pieces = cut_graphs(n_stored(dataset.node_features, ptr), PIECE) or [slice(0, 0)]
        statistics = (self.collect(dataset[p], codes[ptr[p.start] : ptr[p.stop]], classes) for p in pieces)
        return reduce(self.merge, statistics)


# filled in __init__.py; it is here since a map with an inner map reads it, and must not import the other maps
FEATURE_MAPS: dict[str, type[FeatureMap]] = {}
