"""A feature map that is not linear in its parameters: an edge matrix of low rank, ``s_n = X W + b``, ``s_e = A B'``."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from skstruct.features import FeatureMap, FeaturePlan
from skstruct.scores import Scores


class LowRankEdges(FeatureMap):
    """Two vectors for each label, in place of a weight for each pair of labels; for many labels and few edges.

    The score of an edge is the inner product of a vector of the label of its first node, and of a vector of the label
    of its second node. Node features are dense. Edge features are ignored.

    Parameters
    ----------
    n_components : int, default=2
        Length of the vectors.
    """

    def __init__(self, n_components=2):
        self.n_components = n_components

    def collect(self, dataset, codes, classes):
        """Return the number of features, on which the plan depends."""
        return dataset.node_features.shape[1]

    def merge(self, first, second):
        """Return the number of features, which is the same in all pieces of the data."""
        return first

    def plan_from(self, statistics, classes):
        """Define the parameters."""
        return LowRankPlan(statistics, self.n_components, len(classes))


class Context(NamedTuple):
    """Values that the backward pass requires: the inputs, and the parameters that occur in the gradient."""

    x: np.ndarray
    n_edges: int
    a: np.ndarray
    b: np.ndarray


@dataclass(frozen=True)
class LowRankPlan(FeaturePlan):
    """Parameters ``[W (D, C), intercept (C,), A (C, R), B (C, R)]`` for C states and rank R."""

    n_features: int
    rank: int
    n_states: int
    has_tangent = True  # `tangent` is implemented

    @property
    def n_coef(self):
        """Number of parameters."""
        return (self.n_features + 1 + 2 * self.rank) * self.n_states

    def _split(self, coef):
        d, c, r = self.n_features, self.n_states, self.rank
        w, intercept, a, b = np.split(coef, np.cumsum([d * c, c, c * r]))  # views
        return w.reshape(d, c), intercept, a.reshape(c, r), b.reshape(c, r)

    @property
    def penalized(self):
        """0 for the intercepts."""
        penalized = np.ones(self.n_coef)
        self._split(penalized)[1][:] = 0.0
        return penalized

    def initial_coef(self, random_state):
        """Small random numbers: the gradient of A and B is zero where both are zero."""
        return random_state.normal(scale=0.1, size=self.n_coef)

    def prepare(self, batch):
        """Node features, and the number of edges."""
        return np.asarray(batch.node_features, np.float64), batch.n_edges

    def scores(self, inputs, coef):
        """Forward pass. All edges use the matrix in row 0."""
        (x, n_edges), (w, intercept, a, b) = inputs, self._split(coef)
        return Scores(x @ w + intercept, (a @ b.T)[None], np.zeros(n_edges, np.int32)), Context(x, n_edges, a, b)

    def pullback(self, context, d_scores, out):
        """Backward pass: add the gradient to `out`. For ``U = A B'``: ``dA = dU B``, and ``dB = dU' A``."""
        d_w, d_intercept, d_a, d_b = self._split(out)
        d_w += context.x.T @ d_scores.node
        d_intercept += d_scores.node.sum(axis=0)
        d_a += d_scores.edge[0] @ context.b
        d_b += d_scores.edge[0].T @ context.a

    def tangent(self, context, d_coef):
        """Derivative of the scores along `d_coef`, by the product rule."""
        d_w, d_intercept, d_a, d_b = self._split(d_coef)
        d_edge = d_a @ context.b.T + context.a @ d_b.T
        return Scores(context.x @ d_w + d_intercept, d_edge[None], np.zeros(context.n_edges, np.int32))

    def attributes(self, coef):
        """Attributes of the fitted estimator."""
        w, intercept, a, b = (view.copy() for view in self._split(coef))
        return {"coef_": w.T.copy(), "intercept_": intercept, "edge_vectors_": (a, b), "edge_coef_": (a @ b.T)[None]}
