"""The linear feature map: scores are weighted sums of features."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from skstruct.data.tables import few_distinct_rows, is_sparse, take_rows
from skstruct.features._base import FeatureMap, FeaturePlan
from skstruct.features._edge_weights import EDGE_WEIGHTS, EdgeWeights
from skstruct.features._node_weights import NodeInputs, NodeWeights, ObservedPairs
from skstruct.kernels.simd import padded
from skstruct.scores import Scores

NODE_WEIGHTS = ["all", "observed"]
DTYPES = ["float64", "float32"]


class LinearFeatures(FeatureMap):
    """Node and edge scores linear in the features: ``s_n = X W + b``, ``s_e[e] = sum_k F[e, k] U[k]``.

    Without edge features all edges share one matrix ``U[0]``, as the transitions of a chain do. Edges with equal
    features share a matrix, too, if few rows of edge features are distinct, as those of one-hot edge types are.

    Parameters
    ----------
    edge_weights : {"full", "observed", "symmetric", "antisymmetric", "potts"}, default="full"
        Form of each ``U[k]``; the free parameters are what is trained and penalised.

        - "full": ``n_states**2`` of them; the direction of an edge matters.
        - "observed": those of "full" for pairs of labels that training edges have; the others are zero.
        - "symmetric": ``U = U.T``, for edges without a direction; the upper triangle is free.
        - "antisymmetric": ``U = -U.T``, for edge features that change sign with the direction.
        - "potts": ``U = u I``, one number: how much it is worth to have equal labels.
    node_weights : {"all", "observed"}, default="all"
        Which pairs of a node feature and a label have a weight.

        - "all": a matrix W without gaps.
        - "observed": pairs that training nodes have, a nonzero feature and a label; the others are zero. For
          text, where most features are words seen with one or two labels, this is a tenth of the weights and
          of the time, at about the same accuracy (CRFsuite's default). ``coef_`` is sparse then.
    fit_intercept : bool, default=True
        Whether nodes have an intercept ``b``, which is not penalised.
    dtype : {"float64", "float32"}, default="float64"
        Numbers that L-BFGS has the loss and its gradient computed with; its own are float64, and so are the steps of
        SGD, which 32 bits do not speed up, ``coef_`` and all predictions. "float32" takes a quarter to a third of the
        time off for sparse features of plain chains, and rounds the gradient to some 1e-5 of its largest entry: enough
        for the default `tol` of the estimator, not for much less. Inference that takes float64 only gets that.

    Notes
    -----
    A pass costs O(nonzeros of X * n_states + n_rows * n_edge_features * n_states**2), where `n_rows` is the number of
    distinct rows of edge features if these are few, and of edges otherwise. With observed node weights a feature with
    few observed labels costs as many steps as it has labels.

    Memory of training, beside that of the data: per nonzero of sparse features nothing with "all" node weights (indices
    of 32 bits are shared); with "observed" ones 4 bytes, or 6 per label of a rare feature; per weight
    of L-BFGS ``8 * (n_corrections + 10)`` bytes at most, and scores and marginals of a chunk, 2 MB per thread.

    Examples
    --------
    >>> import numpy as np
    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.features import LinearFeatures
    >>> X, y = [(np.eye(3), [(0, 1), (1, 2)])], [["a", "b", "b"]]
    >>> crf = GraphCRFClassifier(LinearFeatures(edge_weights="symmetric")).fit(X, y)
    >>> bool(np.allclose(crf.edge_coef_, crf.edge_coef_.transpose(0, 2, 1)))
    True
    >>> crf = GraphCRFClassifier(LinearFeatures(node_weights="observed")).fit(X, y)
    >>> crf.coef_.nnz
    3
    """

    def __init__(self, edge_weights="full", fit_intercept=True, node_weights="all", dtype="float64"):
        self.edge_weights = edge_weights
        self.fit_intercept = fit_intercept
        self.node_weights = node_weights
        self.dtype = dtype

    def collect(self, dataset, codes, classes):
        """Collect the numbers of features and the observed pairs; see `FeatureMap`."""
        self._check()
        n_states, features = len(classes), dataset.node_features
        ends = codes[dataset.topology.edges].astype(np.int64)
        pairs = np.unique((ends[:, 0] * n_states + ends[:, 1])[(ends >= 0).all(axis=1)])
        n_edge_features = None if dataset.edge_features is None else dataset.edge_features.shape[1]
        is_observed = self.node_weights == "observed"
        observed = ObservedPairs.of(features, codes, n_states) if is_observed else None
        return LinearStatistics(
            features.shape[1], is_sparse(features), n_edge_features, dataset.n_edges > 0, pairs, observed
        )

    def merge(self, first, second):
        """Combine the statistics of two pieces of the data; see `FeatureMap`.

        Raises
        ------
        ValueError
            If the pieces have different numbers of features.
        """
        for field_, what in (("n_features", "node features"), ("n_edge_features", "edge features")):
            numbers = getattr(first, field_), getattr(second, field_)
            if numbers[0] != numbers[1]:
                raise ValueError(
                    f"LinearFeatures: one piece of the data has {numbers[0]} {what}, another {numbers[1]}."
                )
        return LinearStatistics(
            first.n_features,
            first.is_sparse or second.is_sparse,
            first.n_edge_features,
            first.has_edges or second.has_edges,
            np.union1d(first.pairs, second.pairs),
            first.observed.merged(second.observed) if first.observed else None,
        )

    def plan_from(self, statistics, classes):
        """Set up the parameters; see `FeatureMap`.

        Raises
        ------
        ValueError
            If `edge_weights`, `node_weights` or `dtype` is unknown.
        """
        self._check()
        n_states, s = len(classes), statistics
        if s.observed is None:
            nodes = NodeWeights.of_all(s.n_features, n_states, padded(n_states) if s.is_sparse else n_states)
        else:
            nodes = NodeWeights.of_observed(s.observed, n_states)
        n_matrices = int(s.has_edges) if s.n_edge_features is None else s.n_edge_features
        if n_matrices:
            edges = EdgeWeights.of(self.edge_weights, n_states, np.stack(np.divmod(s.pairs, n_states), axis=1))
        else:
            edges = EdgeWeights.none(n_states)
        return LinearPlan(nodes, edges, n_matrices, bool(self.fit_intercept), self.dtype)

    def _check(self):
        known_values = {"edge_weights": list(EDGE_WEIGHTS), "node_weights": NODE_WEIGHTS, "dtype": DTYPES}
        for name, known in known_values.items():
            if getattr(self, name) not in known:
                raise ValueError(f"LinearFeatures: {name} must be one of {known}, got {getattr(self, name)!r}.")


class LinearStatistics(NamedTuple):
    """What the plan of a linear map depends on."""

    n_features: int
    is_sparse: bool
    n_edge_features: int | None
    has_edges: bool
    pairs: np.ndarray  # numbers ``first * n_states + second`` of the pairs of labels that edges have, sorted
    observed: ObservedPairs | None


class LinearInputs(NamedTuple):
    """What scores of a batch depend on."""

    node: NodeInputs | np.ndarray
    edge: Any  # table with the features of each edge matrix, or None: all edges share ``U[0]``
    edge_matrix: np.ndarray | None  # (n_edges,) row of `edge` of each edge; None: edge ``e`` has row ``e``


@dataclass(frozen=True)
class LinearPlan(FeaturePlan):
    """Layout ``[node weights, b (n_states,), edge parameters (n_matrices, n_free)]``."""

    nodes: NodeWeights
    edges: EdgeWeights
    n_matrices: int
    fit_intercept: bool
    precision: str = field(compare=False)  # name of the type of `coef` in training

    @property
    def linear(self):
        """True."""
        return True

    @property
    def dtype(self):
        """Type of the `coef` of training."""
        return np.dtype(self.precision)

    @property
    def n_coef(self):
        """Number of parameters, with those that are not free."""
        return self.nodes.n_coef + self.fit_intercept * self.nodes.n_states + self.n_matrices * self.edges.n_free

    @property
    def penalized(self):
        """1 for weights, 0 for intercepts, (n_coef,)."""
        penalized = np.ones(self.n_coef)
        self._split(penalized)[1][:] = 0.0
        return penalized

    @cached_property
    def free(self):
        """False for entries that are no parameters but stay zero, (n_coef,)."""
        free = np.ones(self.n_coef, bool)
        self._split(free)[0][:] = self.nodes.free
        return free

    def _split(self, coef):
        """Return views of the node weights, b and the edge parameters in `coef`."""
        n_nodes, n_intercept = self.nodes.n_coef, self.fit_intercept * self.nodes.n_states
        edge = coef[n_nodes + n_intercept :].reshape(self.n_matrices, self.edges.n_free)
        return coef[:n_nodes], coef[n_nodes : n_nodes + n_intercept], edge

    def prepare(self, batch):
        """Lay out the features of a batch for `scores` and `pullback`."""
        node = batch.node_features
        if is_sparse(node) or self.nodes.places is not None:
            node = self.nodes.prepare(node)
        edge = batch.edge_features
        if edge is None or not batch.n_edges:
            return LinearInputs(node, None, np.zeros(batch.n_edges, np.int32))
        return LinearInputs(node, *(few_distinct_rows(edge) or (edge, None)))

    def slice_inputs(self, inputs, batch, graphs):
        """Views of the inputs of consecutive graphs; see `FeaturePlan`."""
        nodes, edges = (slice(ptr[graphs.start], ptr[graphs.stop]) for ptr in (batch.node_ptr, batch.edge_ptr))
        is_prepared = isinstance(inputs.node, NodeInputs)
        node = inputs.node.of_nodes(nodes) if is_prepared else inputs.node[nodes]
        edge, edge_matrix = inputs.edge, inputs.edge_matrix
        if edge_matrix is None:
            return LinearInputs(node, take_rows(edge, edges), None)
        edge_matrix = edge_matrix[edges]
        if edge is not None:
            used, edge_matrix = np.unique(edge_matrix, return_inverse=True)
            edge, edge_matrix = edge[used], edge_matrix.astype(np.int32)
        return LinearInputs(node, edge, edge_matrix)

    def scores(self, inputs, coef):
        """Scores of all nodes and edges of a batch, in nats, and `inputs`; see `FeaturePlan`."""
        n_states = self.nodes.n_states
        weights, intercept, parameters = self._split(coef)
        if not self.fit_intercept:
            intercept = np.zeros(n_states, coef.dtype)
        if isinstance(inputs.node, NodeInputs):
            node = self.nodes.scores(inputs.node, weights, intercept)
        else:
            node = np.asarray(inputs.node @ self.nodes.matrix(weights), coef.dtype)
            node += intercept
        rows = inputs.edge_matrix
        if rows is not None and not len(rows):  # no edge, no matrix: with thousands of states it is large
            return Scores(node, np.zeros((0, n_states, n_states), coef.dtype), rows), inputs
        matrices = self.edges.expand(parameters).astype(coef.dtype, copy=False)
        if inputs.edge is not None:
            edge = np.asarray(inputs.edge @ matrices.reshape(self.n_matrices, n_states**2), coef.dtype)
            return Scores(node, edge.reshape(-1, n_states, n_states), rows), inputs
        if not self.n_matrices:  # trained without any edge: edges say nothing
            matrices = np.zeros((1, n_states, n_states), coef.dtype)
        return Scores(node, matrices, rows), inputs

    def tangent(self, context, d_coef):
        """Scores of `d_coef`: the map is linear."""
        return self.scores(context, d_coef)[0]

    def step(self, context, d_scores, coef, rate):
        """Step in place, since the gradient does not depend on `coef`; see `FeaturePlan`."""
        node, edge, _ = d_scores
        node *= -rate
        edge *= -rate
        self.pullback(context, d_scores, coef)

    def pullback(self, context, d_scores, out):
        """Adjoint of `scores`: ``dW = X' dS_n``, ``db = sum_i dS_n[i]``, ``dU_k = sum_e F[e, k] dS_e[e]``.

        Rows of ``F``, and with them gradients, may belong to several edges.

        Weights that are not `free` get a gradient, too, which the caller drops.
        """
        inputs, gradient = context, d_scores
        weights, intercept, parameters = self._split(out)
        if isinstance(inputs.node, NodeInputs):
            self.nodes.pullback(inputs.node, gradient.node, weights)
        else:
            table = self.nodes.matrix(weights)
            table += inputs.node.T @ gradient.node
        if self.fit_intercept:
            intercept += gradient.node.sum(axis=0, dtype=np.float64)
        if not self.n_matrices or not len(gradient.edge):
            return
        edge = gradient.edge.reshape(len(gradient.edge), self.nodes.n_states**2)
        if inputs.edge is not None:
            edge = inputs.edge.T @ edge
        parameters += self.edges.pullback(edge)

    def attributes(self, coef):
        """Public views: coef_ (C, n_features), intercept_ (C,), edge_coef_ (K, C, C) for C states."""
        weights, intercept, parameters = self._split(coef)
        return {
            "coef_": self.nodes.matrix(weights).T.copy(),
            "intercept_": intercept.copy() if self.fit_intercept else np.zeros(self.nodes.n_states),
            "edge_coef_": self.edges.expand(parameters),
        }
