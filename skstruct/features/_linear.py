"""The linear feature map: scores are weighted sums of features."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.linalg.blas import get_blas_funcs

from skstruct.data.tables import is_sparse
from skstruct.features._base import FeatureMap, FeaturePlan
from skstruct.features._edge_scores import EdgeInputs, LinearEdges
from skstruct.features._node_weights import NodeInputs, NodeWeights
from skstruct.features._statistics import MapStatistics, check_choices
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
        SGD, which 32 bits do not speed up, ``coef_`` and all predictions. "float32" takes a tenth to a third of the
        time off for sparse features of plain chains, and rounds the gradient to some 1e-5 of its largest entry: enough
        for the default `tol` of the estimator, not for much less. Inference that takes float64 only gets that.
    edge_penalty : float, default=1.0
        Strength of the penalty on edge weights relative to the penalty on node weights, at least 0. If the penalty is
        L2, it is equivalent to edge features that are divided by ``sqrt(edge_penalty)``.

    Notes
    -----
    A pass costs O(nonzeros of X * n_states + n_rows * n_edge_features * n_states**2), where `n_rows` is the number of
    distinct rows of edge features if these are few, and of edges otherwise. With observed node weights a feature with
    few observed labels costs as many steps as it has labels.

    Memory of training, beside that of the data: per nonzero of sparse features nothing with "all" node weights (indices
    of 32 bits are shared); with "observed" ones 2 bytes (4 if more than 65536 features are frequent), or 6 per label of
    a rare feature; per weight of L-BFGS ``8 * (n_corrections + 10)`` bytes at most, with 131,072 weights or more
    ``2 * n_corrections + 80`` bytes; and scores and marginals of a chunk, 2 MB per thread. Sparse features of booleans
    or of integers of 8 bits are not converted to floats, which would need nine times the memory of their values.

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

    def __init__(self, edge_weights="full", fit_intercept=True, node_weights="all", dtype="float64", edge_penalty=1.0):
        self.edge_weights = edge_weights
        self.fit_intercept = fit_intercept
        self.node_weights = node_weights
        self.dtype = dtype
        self.edge_penalty = edge_penalty

    def collect(self, dataset, codes, classes):
        """Collect the numbers of features and the observed pairs; see `FeatureMap`."""
        self._check()
        return MapStatistics.of(dataset, codes, len(classes), observed=self.node_weights == "observed")

    def merge(self, first, second):
        """Combine the statistics of two pieces of the data; see `FeatureMap`.

        Raises
        ------
        ValueError
            If the pieces have different numbers of features.
        """
        return first.merged(second, "LinearFeatures")

    def plan_from(self, statistics, classes):
        """Set up the parameters; see `FeatureMap`.

        Raises
        ------
        ValueError
            If `edge_weights`, `node_weights`, `dtype` or `edge_penalty` is not one of the values that are listed.
        """
        self._check()
        n_states, s = len(classes), statistics
        if s.observed is None:
            nodes = NodeWeights.of_all(s.n_features, n_states, padded(n_states) if s.is_sparse else n_states)
        else:
            nodes = NodeWeights.of_observed(s.observed, n_states)
        edges = LinearEdges(s.edge_weights(self.edge_weights, n_states), s.n_matrices, self.edge_penalty)
        return LinearPlan(nodes, edges, bool(self.fit_intercept), self.dtype)

    def _check(self):
        check_choices(self, node_weights=NODE_WEIGHTS, dtype=DTYPES)


class LinearInputs(NamedTuple):
    """What scores of a batch depend on."""

    node: NodeInputs | np.ndarray
    edge: EdgeInputs


def _add_product(x, y, out):
    """``out += x.T @ y``, by BLAS without an array for the product where the types agree."""
    if not (len(x) and x.dtype == y.dtype == out.dtype and all(a.flags.c_contiguous for a in (x, y, out))):
        out += x.T @ y
        return
    (gemm,) = get_blas_funcs(("gemm",), (x, y, out))
    gemm(1.0, y.T, x.T, beta=1.0, c=out.T, trans_b=True, overwrite_c=True)  # transposed, as BLAS stores columns


@dataclass(frozen=True)
class LinearPlan(FeaturePlan):
    """Layout ``[node weights, b (n_states,), parameters of the edges]``."""

    nodes: NodeWeights
    edges: LinearEdges
    fit_intercept: bool
    precision: str = field(compare=False)  # name of the type of `coef` in training

    @property
    def linear(self):
        """True."""
        return True

    @property
    def has_tangent(self):
        """True."""
        return True

    @property
    def dtype(self):
        """Type of the `coef` of training."""
        return np.dtype(self.precision)

    @property
    def n_coef(self):
        """Number of parameters, with those that are not free."""
        return self.nodes.n_coef + self.fit_intercept * self.nodes.n_states + self.edges.n_coef

    @property
    def penalized(self):
        """1 for node weights, 0 for intercepts, `edge_penalty` for edge weights, (n_coef,)."""
        penalized = np.ones(self.n_coef)
        _, intercept, edges = self._split(penalized)
        intercept[:], edges[:] = 0.0, self.edges.penalized
        return penalized

    @cached_property
    def free(self):
        """False for entries that are no parameters but stay zero, (n_coef,)."""
        free = np.ones(self.n_coef, bool)
        self._split(free)[0][:] = self.nodes.free
        return free

    def _split(self, coef):
        """Return views of the node weights, b and the edge parameters in `coef`."""
        first, last = self.nodes.n_coef, self.n_coef - self.edges.n_coef
        return coef[:first], coef[first:last], coef[last:]

    def prepare(self, batch):
        """Lay out the features of a batch for `scores` and `pullback`."""
        node = batch.node_features
        if is_sparse(node) or self.nodes.places is not None:
            node = self.nodes.prepare(node)
        return LinearInputs(node, EdgeInputs.of(batch))

    def slice_inputs(self, inputs, batch, graphs):
        """Views of the inputs of consecutive graphs; see `FeaturePlan`."""
        nodes, edges = (slice(ptr[graphs.start], ptr[graphs.stop]) for ptr in (batch.node_ptr, batch.edge_ptr))
        is_prepared = isinstance(inputs.node, NodeInputs)
        node = inputs.node.of_nodes(nodes, self.nodes.block) if is_prepared else inputs.node[nodes]
        return LinearInputs(node, inputs.edge.of_edges(edges))

    def scores(self, inputs, coef):
        """Scores of all nodes and edges of a batch, in nats, and `inputs`; see `FeaturePlan`."""
        weights, intercept, parameters = self._split(coef)
        if not self.fit_intercept:
            intercept = np.zeros(self.nodes.n_states, coef.dtype)
        if isinstance(inputs.node, NodeInputs):
            node = self.nodes.scores(inputs.node, weights, intercept)
        else:
            node = np.asarray(inputs.node @ self.nodes.matrix(weights), coef.dtype)
            node += intercept
        edge, _ = self.edges.scores(inputs.edge, parameters)
        return Scores(node, edge, inputs.edge.edge_matrix), inputs

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

        Weights that are not `free` get a gradient, too, which the caller drops.
        """
        inputs, gradient = context, d_scores
        weights, intercept, parameters = self._split(out)
        if isinstance(inputs.node, NodeInputs):
            self.nodes.pullback(inputs.node, gradient.node, weights)
        else:
            _add_product(inputs.node, gradient.node, self.nodes.matrix(weights))
        if self.fit_intercept:
            intercept += gradient.node.sum(axis=0, dtype=np.float64)
        self.edges.pullback(inputs.edge, gradient.edge, parameters)

    def input_gradient(self, inputs, coef, d_scores):
        """``dX = dS_n W'`` and ``dF[e, k] = <dS_e[e], U[k]>``; see `FeaturePlan`."""
        weights, _, parameters = self._split(coef)
        node = d_scores.node @ self.nodes.matrix(weights).T
        return node, self.edges.input_gradient(inputs.edge, parameters, d_scores.edge)

    def attributes(self, coef):
        """Public views: coef_ (C, n_features), intercept_ (C,), edge_coef_ (K, C, C) for C states."""
        weights, intercept, parameters = self._split(coef)
        matrix = self.nodes.matrix(weights)
        return {
            "coef_": matrix.T if is_sparse(matrix) else matrix.T.copy(),  # a dense matrix is a view of `coef`
            "intercept_": intercept.copy() if self.fit_intercept else np.zeros(self.nodes.n_states),
            **self.edges.attributes(parameters),
        }
