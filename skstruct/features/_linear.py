"""The linear feature map: scores are weighted sums of features."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator

from skstruct._records import Scores


class LinearFeatures(BaseEstimator):
    """Node and edge scores linear in the features: ``s_n = X W + b``, ``s_e[e] = sum_k F[e, k] U[k]``.

    Without edge features all edges share one matrix ``U[0]``, as the transitions of a chain do.

    Parameters
    ----------
    edge_weights : {"full", "symmetric", "antisymmetric", "potts"}, default="full"
        Form of each ``U[k]``; the free parameters are what is trained and penalised.

        - "full": ``n_states**2`` of them; the direction of an edge matters.
        - "symmetric": ``U = U.T``, for edges without a direction; the upper triangle is free.
        - "antisymmetric": ``U = -U.T``, for edge features that change sign with the direction.
        - "potts": ``U = u I``, one number: how much it is worth to have equal labels.
    fit_intercept : bool, default=True
        Whether nodes have an intercept ``b``, which is not penalised.

    Notes
    -----
    A pass costs O(nonzeros of X * n_states + n_edges * n_edge_features * n_states**2).

    Examples
    --------
    >>> import numpy as np
    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.features import LinearFeatures
    >>> X, y = [(np.eye(3), [(0, 1), (1, 2)])], [["a", "b", "b"]]
    >>> crf = GraphCRFClassifier(LinearFeatures(edge_weights="symmetric")).fit(X, y)
    >>> bool(np.allclose(crf.edge_coef_, crf.edge_coef_.transpose(0, 2, 1)))
    True
    """

    def __init__(self, edge_weights="full", fit_intercept=True):
        self.edge_weights = edge_weights
        self.fit_intercept = fit_intercept

    def plan(self, dataset, classes):
        """Lay out the parameters.

        Parameters
        ----------
        dataset : GraphDataset
        classes : ndarray of shape (n_states,)

        Returns
        -------
        plan : FeaturePlan

        Raises
        ------
        ValueError
            If `edge_weights` is unknown.
        """
        if self.edge_weights not in list(EDGE_WEIGHTS):  # a list: it may be unhashable
            raise ValueError(
                f"LinearFeatures: edge_weights must be one of {list(EDGE_WEIGHTS)}, got {self.edge_weights!r}."
            )
        if dataset.edge_features is not None:
            n_matrices = dataset.edge_features.shape[1]
        else:
            n_matrices = int(dataset.n_edges > 0)
        return LinearPlan(
            n_features=dataset.node_features.shape[1],
            n_matrices=n_matrices,
            n_states=len(classes),
            edge_weights=self.edge_weights,
            fit_intercept=bool(self.fit_intercept),
        )


@dataclass(frozen=True)
class LinearPlan:
    """Layout ``[W (n_features, n_states), b (n_states,), edge parameters (n_matrices, n_free)]``."""

    n_features: int
    n_matrices: int
    n_states: int
    edge_weights: str
    fit_intercept: bool

    @cached_property
    def basis(self):
        """Each free parameter's matrix, (n_free, n_states**2): ``U = parameters @ basis``."""
        return EDGE_WEIGHTS[self.edge_weights](self.n_states)

    @property
    def n_coef(self):
        """Number of parameters."""
        return (self.n_features + self.fit_intercept) * self.n_states + self.n_matrices * self.basis.shape[0]

    @cached_property
    def penalized(self):
        """1 for weights, 0 for intercepts, (n_coef,)."""
        penalized = np.ones(self.n_coef)
        self._split(penalized)[1][:] = 0.0
        return penalized

    def _split(self, coef):
        """Return views of W, b and the edge parameters in `coef`."""
        weights, intercept, edge = np.split(
            coef, np.cumsum([self.n_features * self.n_states, self.fit_intercept * self.n_states])
        )
        return (
            weights.reshape(-1, self.n_states),
            intercept,
            edge.reshape(self.n_matrices, self.basis.shape[0]),
        )

    def _edge_matrices(self, parameters):
        """Expand free parameters to U, (n_matrices, n_states, n_states)."""
        return (parameters @ self.basis).reshape(self.n_matrices, self.n_states, self.n_states)

    def initial_coef(self, random_state):
        """Zero: the objective is convex in a linear map."""
        return np.zeros(self.n_coef)

    def scores(self, batch, coef):
        """Scores of all nodes and edges of `batch`, in nats."""
        weights, intercept, parameters = self._split(coef)
        node = np.asarray(batch.node_features @ weights, dtype=np.float64)
        if self.fit_intercept:
            node += intercept
        matrices = self._edge_matrices(parameters)
        if batch.edge_features is not None:
            flat = matrices.reshape(self.n_matrices, self.n_states**2)
            edge = np.asarray(batch.edge_features @ flat, dtype=np.float64)
            return Scores(node, edge.reshape(batch.n_edges, self.n_states, self.n_states))
        if not self.n_matrices:  # trained without any edge: edges say nothing
            matrices = np.zeros((1, self.n_states, self.n_states))
        return Scores(node, matrices, np.zeros(batch.n_edges, np.int32))

    def pullback(self, batch, coef, gradient, out):
        """Adjoint of `scores`: ``dW = X' dS_n``, ``db = sum_i dS_n[i]``, ``dU_k = sum_e F[e, k] dS_e[e]``."""
        weights, intercept, parameters = self._split(out)
        weights += batch.node_features.T @ gradient.node
        if self.fit_intercept:
            intercept += gradient.node.sum(axis=0)
        if not self.n_matrices:
            return
        edge = gradient.edge.reshape(len(gradient.edge), self.n_states**2)
        if batch.edge_features is not None:
            edge = batch.edge_features.T @ edge
        parameters += edge @ self.basis.T

    def attributes(self, coef):
        """Public views: coef_ (C, n_features), intercept_ (C,), edge_coef_ (K, C, C) for C states."""
        weights, intercept, parameters = self._split(coef)
        return {
            "coef_": weights.T.copy(),
            "intercept_": intercept.copy() if self.fit_intercept else np.zeros(self.n_states),
            "edge_coef_": self._edge_matrices(parameters),
        }


def _basis(n_states, *entries):
    """Sparse basis from (row, column, value) arrays, one row per free parameter."""
    n_free = len(entries[0][0])
    free = np.concatenate([np.arange(n_free)] * len(entries))
    cell = np.concatenate([row * n_states + column for row, column, _ in entries])
    value = np.concatenate([np.full(n_free, value) for _, _, value in entries])
    return csr_array((value, (free, cell)), shape=(n_free, n_states**2))


def _full(n_states):
    cell = np.arange(n_states**2)
    return _basis(n_states, (cell // n_states, cell % n_states, 1.0))


def _symmetric(n_states):
    upper = np.triu_indices(n_states)
    off = np.where(upper[0] == upper[1], 0.0, 1.0)
    basis = _basis(n_states, (*upper, 1.0)) + _basis(n_states, (*upper[::-1], 1.0)).multiply(off[:, None])
    return csr_array(basis)


def _antisymmetric(n_states):
    upper = np.triu_indices(n_states, k=1)
    return _basis(n_states, (*upper, 1.0), (*upper[::-1], -1.0))


def _potts(n_states):
    return csr_array(np.eye(n_states).reshape(1, -1))


EDGE_WEIGHTS = {"full": _full, "symmetric": _symmetric, "antisymmetric": _antisymmetric, "potts": _potts}
