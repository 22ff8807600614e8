"""The feature map of multi-label classification: the labels are the nodes of a graph, and share its features."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from skstruct.features._base import FeatureMap, FeaturePlan
from skstruct.features._statistics import require_edge_penalty
from skstruct.scores import MISSING, Scores


class LabelFeatures(FeatureMap):
    r"""Scores of the labels of a sample, which `MultiLabelCRFClassifier` trains.

    The nodes of a graph are the labels of one sample ``x``. Node ``l`` has the state 1 if the sample has the label,
    and else the state 0:

    .. math:: s_n[l, 1] = x \cdot w_l + b_l, \qquad s_n[l, 0] = 0, \qquad s_e[(l, m), a, b] = u_{lm} \, a \, b

    Without edges the labels are independent logistic regressions. The weight :math:`u_{lm}` is the logarithm of the
    odds ratio of two labels, given all other labels.

    The map reads `LabelGraphs`, in which all graphs have the same edges. A label that all training samples have, or
    none, is forbidden to change: its intercept is inf or -inf.

    Parameters
    ----------
    edge_penalty : float, default=0.1
        Factor of the penalty on edge weights, relative to the penalty on node weights. It is small by default, because
        there are few edge weights, and all samples determine each of them.

    Examples
    --------
    >>> import numpy as np
    >>> from skstruct import GraphCRFClassifier, RaggedArray
    >>> from skstruct.data.label_graphs import LabelGraphs
    >>> from skstruct.features import LabelFeatures
    >>> graphs = LabelGraphs(np.array([[0.0], [1.0], [2.0]]), 2, [(0, 1)])
    >>> labels = RaggedArray([0, 0, 0, 1, 1, 1], graphs.node_ptr)
    >>> crf = GraphCRFClassifier(LabelFeatures()).fit(graphs, labels)
    >>> crf.coef_.shape, crf.intercept_.shape, crf.edge_coef_.shape
    ((2, 1), (2,), (1,))
    """

    def __init__(self, edge_penalty=0.1):
        self.edge_penalty = edge_penalty

    def collect(self, dataset, codes, classes):
        """Collect the sizes, and how often each label is absent and present; see `FeatureMap`."""
        states = codes.reshape(-1, dataset.n_labels)
        counts = np.stack([(states == state).sum(axis=0) for state in (0, 1)], axis=1)
        return LabelStatistics(dataset.shape[1], len(dataset.label_edges), counts)

    def merge(self, first, second):
        """Combine the statistics of two pieces of the data; see `FeatureMap`."""
        return first._replace(counts=first.counts + second.counts)

    def plan_from(self, statistics, classes):
        """Set up the parameters; see `FeatureMap`.

        Raises
        ------
        ValueError
            If `edge_penalty` is negative or no finite number.
        """
        require_edge_penalty(self)
        n_features, n_edges, counts = statistics
        forbidden = np.where((counts == 0) & (counts.sum(axis=1, keepdims=True) > 0), -np.inf, 0.0)
        return LabelPlan(len(counts), n_features, n_edges, tuple(map(tuple, forbidden.tolist())), self.edge_penalty)

    def plan(self, dataset, classes, codes=None):
        """Set up the parameters from the data as a whole, as the statistics need no memory; see `FeatureMap`."""
        codes = np.full(dataset.n_nodes, MISSING) if codes is None else codes
        return self.plan_from(self.collect(dataset, codes, classes), classes)


class LabelStatistics(NamedTuple):
    """What the plan depends on."""

    n_features: int
    n_edges: int
    counts: np.ndarray  # (n_labels, 2) training samples without and with each label


class LabelInputs(NamedTuple):
    """What scores of a batch depend on."""

    features: Any  # (n_graphs, n_features)
    edge_matrix: np.ndarray  # (n_graphs * n_edges,)


@dataclass(frozen=True)
class LabelPlan(FeaturePlan):
    """Layout ``[W (n_labels, n_features), b (n_labels,), u (n_edges,)]``."""

    n_labels: int
    n_features: int
    n_edges: int
    forbidden: tuple[tuple[float, float], ...]  # -inf for the states of a label that no training sample has, else 0
    edge_penalty: float

    linear = True
    has_tangent = True

    @property
    def n_coef(self):
        """Number of parameters."""
        return self.n_labels * (self.n_features + 1) + self.n_edges

    @cached_property
    def penalized(self):
        """1 for node weights, 0 for intercepts, `edge_penalty` for edge weights, (n_coef,)."""
        penalized = np.ones(self.n_coef)
        _, intercept, edge = self._split(penalized)
        intercept[:], edge[:] = 0.0, self.edge_penalty
        return penalized

    def _split(self, coef):
        """Return views of W, b and u in `coef`."""
        weights, intercept, edge = np.split(coef, np.cumsum([self.n_labels * self.n_features, self.n_labels]))
        return weights.reshape(self.n_labels, self.n_features), intercept, edge

    def prepare(self, batch):
        """Keep the table, and the matrix of each edge: edges that join the same labels share a matrix."""
        rows = np.arange(len(batch.label_edges), dtype=np.int32)  # none, in training without edges
        return LabelInputs(batch.node_features, np.tile(rows, len(batch)))

    def scores(self, inputs, coef):
        """Scores of all nodes and edges of a batch, in nats, and `inputs`; see `FeaturePlan`."""
        found = self.tangent(inputs, coef)
        node = found.node.reshape(-1, self.n_labels, 2)
        node += np.array(self.forbidden)
        return found, inputs

    def tangent(self, context, d_coef):
        """Scores of `d_coef` without the forbidden states: the map is linear."""
        weights, intercept, parameters = self._split(d_coef)
        node = np.zeros((context.features.shape[0] * self.n_labels, 2))
        node[:, 1] = (context.features @ weights.T + intercept).ravel()
        edge = np.zeros((self.n_edges, 2, 2))
        edge[:, 1, 1] = parameters
        return Scores(node, edge, context.edge_matrix)

    def pullback(self, context, d_scores, out):
        """Adjoint of `tangent`; see `FeaturePlan`."""
        weights, intercept, parameters = self._split(out)
        node = d_scores.node[:, 1].reshape(-1, self.n_labels)
        weights += (context.features.T @ node).T
        intercept += node.sum(axis=0)
        parameters += d_scores.edge[:, 1, 1]

    def attributes(self, coef):
        """Public views: coef_ (n_labels, n_features), intercept_ (n_labels,), edge_coef_ (n_edges,)."""
        weights, intercept, parameters = (view.copy() for view in self._split(coef))
        absent, present = np.array(self.forbidden).T
        return {"coef_": weights, "intercept_": intercept + present - absent, "edge_coef_": parameters}
