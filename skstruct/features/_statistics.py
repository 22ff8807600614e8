"""What the plans of the linear map and of the network depend on, collected from pieces of the data."""

import math
from typing import NamedTuple

import numpy as np

from skstruct.components import require_number
from skstruct.data.tables import is_sparse
from skstruct.features._edge_weights import EDGE_WEIGHTS, EdgeWeights
from skstruct.features._node_weights import ObservedPairs


class MapStatistics(NamedTuple):
    """Numbers of features, and pairs that occur in the data.

    Attributes
    ----------
    n_features : int
    is_sparse : bool
    n_edge_features : int or None
        None: edges have no features.
    has_edges : bool
    pairs : ndarray
        Numbers ``first * n_states + second`` of the pairs of labels that edges have, sorted.
    observed : ObservedPairs or None
        Pairs of features and labels, if the map needs them.
    """

    n_features: int
    is_sparse: bool
    n_edge_features: int | None
    has_edges: bool
    pairs: np.ndarray
    observed: ObservedPairs | None

    @classmethod
    def of(cls, dataset, codes, n_states, *, observed=False):
        """Statistics of a piece of the data, given the state codes of its nodes."""
        features, edge_features = dataset.node_features, dataset.edge_features
        ends = codes[dataset.topology.edges].astype(np.int64)
        return cls(
            features.shape[1],
            is_sparse(features),
            None if edge_features is None else edge_features.shape[1],
            dataset.n_edges > 0,
            np.unique((ends[:, 0] * n_states + ends[:, 1])[(ends >= 0).all(axis=1)]),
            ObservedPairs.of(features, codes, n_states) if observed else None,
        )

    def merged(self, later, name):
        """Statistics of this piece and a later one.

        Raises
        ------
        ValueError
            If the pieces have different numbers of features. `name` is the name of the map in the message.
        """
        for field, what in (("n_features", "node features"), ("n_edge_features", "edge features")):
            numbers = getattr(self, field), getattr(later, field)
            if numbers[0] != numbers[1]:
                raise ValueError(f"{name}: one piece of the data has {numbers[0]} {what}, another {numbers[1]}.")
        return MapStatistics(
            self.n_features,
            self.is_sparse or later.is_sparse,
            self.n_edge_features,
            self.has_edges or later.has_edges,
            np.union1d(self.pairs, later.pairs),
            self.observed.merged(later.observed) if self.observed else None,
        )

    @property
    def n_matrices(self):
        """Number of matrices of edge weights: one for each edge feature, or one for all edges."""
        return int(self.has_edges) if self.n_edge_features is None else self.n_edge_features

    def edge_weights(self, form, n_states):
        """Edge weights of the form `form`, or none if there is no matrix."""
        if not self.n_matrices:
            return EdgeWeights.none(n_states)
        return EdgeWeights.of(form, n_states, np.stack(np.divmod(self.pairs, n_states), axis=1))


def check_choices(feature_map, **known_values):
    """Refuse parameters of a map that are not among the known strings, and wrong `edge_weights` and `edge_penalty`."""
    name = type(feature_map).__name__
    for parameter, known in {"edge_weights": list(EDGE_WEIGHTS), **known_values}.items():
        value = getattr(feature_map, parameter)
        if not (isinstance(value, str) and value in known):
            raise ValueError(f"{name}: {parameter} must be one of {known}, got {value!r}.")
    require_edge_penalty(feature_map)


def require_edge_penalty(feature_map):
    """Refuse a wrong `edge_penalty` of a map."""
    require_number(feature_map, "edge_penalty", lambda penalty: 0 <= penalty < math.inf, "a finite number >= 0")
