"""A feature map with one hidden layer: ``s_n = tanh(X V + a) W + b``, and one matrix for all edges."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from skstruct.features import FeatureMap, FeaturePlan
from skstruct.scores import Scores


class HiddenLayer(FeatureMap):
    """Node scores from a hidden layer of tanh units, for dense node features without edge features.

    Parameters
    ----------
    n_hidden : int, default=8
        Number of units of the hidden layer.
    """

    def __init__(self, n_hidden=8):
        self.n_hidden = n_hidden

    def collect(self, dataset, codes, classes):
        """Return the number of features, on which the plan depends."""
        return dataset.node_features.shape[1]

    def merge(self, first, second):
        """Return the number of features, which is the same in all pieces of the data."""
        return first

    def plan_from(self, statistics, classes):
        """Define the parameters."""
        return HiddenLayerPlan(statistics, self.n_hidden, len(classes))


class Context(NamedTuple):
    """Results of the forward pass that the backward pass requires."""

    x: np.ndarray
    hidden: np.ndarray
    w: np.ndarray


@dataclass(frozen=True)
class HiddenLayerPlan(FeaturePlan):
    """Parameters ``[V (D, H), a (H,), W (H, C), b (C,), U (C, C)]``."""

    n_features: int
    n_hidden: int
    n_states: int

    @property
    def n_coef(self):
        """Number of parameters."""
        return (self.n_features + 1) * self.n_hidden + (self.n_hidden + 1 + self.n_states) * self.n_states

    def _split(self, coef):
        d, h, c = self.n_features, self.n_hidden, self.n_states
        ends = np.cumsum([d * h, h, h * c, c])
        v, a, w, b, u = np.split(coef, ends)  # views
        return v.reshape(d, h), a, w.reshape(h, c), b, u.reshape(c, c)

    @property
    def penalized(self):
        """0 for the biases."""
        penalized = np.ones(self.n_coef)
        _, a, _, b, _ = self._split(penalized)
        a[:] = b[:] = 0.0
        return penalized

    def initial_coef(self, random_state):
        """Small random numbers, because zero is a saddle point."""
        return random_state.normal(scale=0.5, size=self.n_coef)

    def prepare(self, batch):
        """Node features, and the number of edges."""
        return np.asarray(batch.node_features, np.float64), batch.n_edges

    def scores(self, inputs, coef):
        """Forward pass."""
        (x, n_edges), (v, a, w, b, u) = inputs, self._split(coef)
        hidden = np.tanh(x @ v + a)
        return Scores(hidden @ w + b, u[None].copy(), np.zeros(n_edges, np.int32)), Context(x, hidden, w)

    def pullback(self, context, d_scores, out):
        """Backward pass: add the gradient to `out`."""
        (x, hidden, w), (v, a, w_out, b, u) = context, self._split(out)
        w_out += hidden.T @ d_scores.node
        b += d_scores.node.sum(axis=0)
        d_input = (d_scores.node @ w.T) * (1 - hidden**2)
        v += x.T @ d_input
        a += d_input.sum(axis=0)
        u += d_scores.edge[0]

    def tangent(self, context, d_coef):
        """Derivative of the scores along `d_coef`."""
        (x, hidden, w), (v, a, d_w, b, u) = context, self._split(d_coef)
        d_hidden = (x @ v + a) * (1 - hidden**2)
        return Scores(d_hidden @ w + hidden @ d_w + b, u[None])

    def attributes(self, coef):
        """Weights and biases by layer, as MLPClassifier names them, and the edge weights."""
        v, a, w, b, u = (view.copy() for view in self._split(coef))
        return {"coefs_": [v, w], "intercepts_": [a, b], "edge_coef_": u[None]}
