"""Scores of edges as weighted sums of their features: what the linear map and the network share."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from skstruct.data.tables import few_distinct_rows, take_rows
from skstruct.features._edge_weights import EdgeWeights


class EdgeInputs(NamedTuple):
    """Edge features of a batch, one row for each edge matrix.

    Edges with equal features share a matrix, if few rows are distinct.

    Attributes
    ----------
    features : table or None
        Features of each edge matrix. None: all edges share one matrix.
    edge_matrix : ndarray of shape (n_edges,), or None
        Row of `features` of each edge. None: edge ``e`` has row ``e``.
    """

    features: Any
    edge_matrix: np.ndarray | None

    @classmethod
    def of(cls, batch):
        """Find the distinct rows of the edge features of a batch."""
        features = batch.edge_features
        if features is None or not batch.n_edges:
            return cls(None, np.zeros(batch.n_edges, np.int32))
        return cls(*(few_distinct_rows(features) or (features, None)))

    def of_edges(self, edges):
        """Inputs of consecutive edges, given as a slice."""
        features, edge_matrix = self
        if edge_matrix is None:
            return EdgeInputs(take_rows(features, edges), None)
        edge_matrix = edge_matrix[edges]
        if features is not None:
            used, edge_matrix = np.unique(edge_matrix, return_inverse=True)
            features, edge_matrix = features[used], edge_matrix.astype(np.int32)
        return EdgeInputs(features, edge_matrix)

    @property
    def is_empty(self):
        """Whether there is no edge, and therefore no matrix: with thousands of states, a matrix is large."""
        return self.edge_matrix is not None and not len(self.edge_matrix)


@dataclass(frozen=True)
class LinearEdges:
    """``s_e[e] = sum_k F[e, k] U[k]``, with the parameters of the matrices ``U``, (n_matrices, n_free), as flat `coef`.

    Attributes
    ----------
    weights : EdgeWeights
    n_matrices : int
        Number of edge features; without features, 1 for a matrix that all edges share, or 0 if there were no edges.
    penalty : float
        Factor of the parameters in the penalty.
    """

    weights: EdgeWeights
    n_matrices: int
    penalty: float = field(compare=False)

    @property
    def n_coef(self):
        """Number of parameters."""
        return self.n_matrices * self.weights.n_free

    @property
    def penalized(self):
        """Factor of each parameter in the penalty, (n_coef,)."""
        return np.full(self.n_coef, float(self.penalty))

    def initial_coef(self, random_state):
        """Zeros."""
        return np.zeros(self.n_coef)

    def matrices(self, coef):
        """The matrices ``U``, (n_matrices, n_states, n_states)."""
        return self.weights.expand(coef.reshape(self.n_matrices, self.weights.n_free))

    def scores(self, inputs, coef):
        """Edge matrices, and the context of `pullback` and `tangent`, which is `inputs`."""
        n_states = self.weights.n_states
        if inputs.is_empty or not self.n_matrices:  # without edges in training, edges do not influence the labels
            return np.zeros((int(not inputs.is_empty), n_states, n_states), coef.dtype), inputs
        matrices = self.matrices(coef).astype(coef.dtype, copy=False)
        if inputs.features is not None:
            matrices = np.asarray(inputs.features @ matrices.reshape(self.n_matrices, n_states**2), coef.dtype)
        return matrices.reshape(-1, n_states, n_states), inputs

    def tangent(self, inputs, d_coef):
        """Edge matrices of `d_coef`, because the scores are linear in the parameters."""
        return self.scores(inputs, d_coef)[0]

    def pullback(self, inputs, d_edge, out):
        """Add ``dU_k = sum_e F[e, k] dS_e[e]`` to `out`; rows of ``F``, and gradients, may belong to several edges."""
        if not self.n_matrices or not len(d_edge):
            return
        d_matrices = d_edge.reshape(len(d_edge), self.weights.n_states**2)
        if inputs.features is not None:
            d_matrices = inputs.features.T @ d_matrices
        out += self.weights.pullback(d_matrices).ravel()

    def input_gradient(self, inputs, coef, d_edge):
        """Gradient of the features of each edge, ``dF[e, k] = <dS_e[e], U[k]>``; None without features."""
        if inputs.features is None:
            return None
        n_entries = self.weights.n_states**2
        return d_edge.reshape(-1, n_entries) @ self.matrices(coef).reshape(self.n_matrices, n_entries).T

    def attributes(self, coef):
        """Public view: edge_coef_ (n_matrices, n_states, n_states)."""
        return {"edge_coef_": self.matrices(coef)}
