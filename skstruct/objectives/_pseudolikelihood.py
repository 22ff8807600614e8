"""The pseudolikelihood: each node given the labels of its neighbours, without inference."""

import numpy as np

from skstruct.exceptions import InfeasibleGraph
from skstruct.kernels.jit import kernel
from skstruct.objectives._base import Objective
from skstruct.objectives._labels import check_codes, term_weights
from skstruct.scores import Scores, check_scores, with_rows


class Pseudolikelihood(Objective):
    r"""Negative log-pseudolikelihood, :math:`-\sum_i w_i \log P(y_i \mid y_{N(i)}, x)` [1]_.

    Each node has a term: the probability of its label given the labels of its neighbours,

    .. math:: P(c \mid y_{N(i)}) \propto \exp\Bigl(s_n[i, c]
              + \sum_{j \in N(i)} s_e[\langle i, j \rangle, c, y_j]\Bigr).

    Training needs no inference, and the graphs may have any size and any number of cycles. The loss is smooth and
    convex. The estimate is consistent: with more and more data from a model of this form it approaches the parameters
    of the model. It has a larger variance than the estimate of maximum likelihood. Training relies on the labels of
    neighbours, which are not known in prediction, and often gives edges too much weight. Predictions with strong edge
    weights are therefore often worse than those of the likelihood.

    Where labels are missing, the loss is that of the subgraph of the labelled nodes: a node without a label has no
    term, and its edges are left out. The loss stays convex. It learns edge weights only from edges between two labelled
    nodes. The likelihood, which sums over missing labels, uses all edges.

    Notes
    -----
    Time O(n_nodes * n_states + n_edges * n_states), for any graph.

    References
    ----------
    .. [1] J. Besag, "Statistical analysis of non-lattice data", *The Statistician* 24(3), 1975.

    Examples
    --------
    A grid of 900 nodes is far beyond exact inference:

    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.datasets import make_grid
    >>> X, y = make_grid(n_graphs=1, height=30, width=30, return_X_y=True, random_state=0)
    >>> crf = GraphCRFClassifier(objective="pseudolikelihood").fit(X, y)
    >>> bool(crf.score(X, y) > 0.8)
    True
    """

    node_weighted = True
    uses_inference = False
    has_hessian = True

    def value_and_gradient(self, inference, scores, targets):
        """Losses of a batch and their gradient; see `Objective`. No inference plan is made.

        Raises
        ------
        InfeasibleGraph
            If a label is forbidden given the labels of the neighbours.
        """
        t, y = inference.topology, targets.codes
        surplus, losses = self._conditionals(t, scores, targets)
        surplus[np.arange(t.n_nodes), y] -= 1.0
        surplus *= _gradient_weights(t, targets)
        return t.sum_nodes(losses), _scatter_to_scores(t, scores, y, surplus)

    def hessian_product(self, inference, scores, targets, direction):
        """Covariances of the states of each node with its change of scores; see `Objective`."""
        t, y = inference.topology, targets.codes
        probability, _ = self._conditionals(t, scores, targets)
        change = _local_scores(t, direction, y)
        change -= (probability * change).sum(axis=1, keepdims=True)
        return _scatter_to_scores(t, scores, y, probability * change * _gradient_weights(t, targets))

    def _conditionals(self, t, scores, targets):
        """Probabilities of the states of each node, (n_nodes, n_states), and its term in the loss, (n_nodes,).

        Probabilities of nodes without a term are arbitrary finite numbers.
        """
        y, n_states, weights = targets.codes, scores.node.shape[1], term_weights(targets)
        check_codes(t, y, n_states)
        local = _local_scores(t, check_scores(t, scores, n_states), y)
        local[weights == 0] = 0.0  # these rows may be all -inf, or may forbid the label
        own, top = local[np.arange(t.n_nodes), y], local.max(axis=1)
        forbidden = np.flatnonzero(np.isneginf(own))
        if len(forbidden):
            g = t.node_graph[forbidden[0]]
            raise InfeasibleGraph(
                g,
                f"the label of node {forbidden[0] - t.node_ptr[g]} is forbidden given the labels of its neighbours, it "
                "scores -inf",
            )
        local -= top[:, None]
        np.exp(local, out=local)
        total = local.sum(axis=1)
        local /= total[:, None]
        return local, weights * (top + np.log(total) - own)


def _gradient_weights(topology, targets):
    """Factors of the gradients of the nodes, (n_nodes, 1)."""
    return (term_weights(targets) * targets.graph_weight[topology.node_graph])[:, None]


def _local_scores(topology, scores, y):
    """Scores of the states of each node, given the labels of its neighbours, (n_nodes, n_states)."""
    local = np.array(scores.node, np.float64)
    _gather(topology.edges, y, with_rows(scores, topology.n_edges), local)
    return local


def _scatter_to_scores(topology, scores, y, surplus):
    """Gradient of the scores, given that of the local scores; the adjoint of `_local_scores`."""
    edge = np.zeros(scores.edge.shape)
    _scatter(topology.edges, y, with_rows(scores, topology.n_edges).edge_matrix, surplus, edge)
    return Scores(surplus, edge, scores.edge_matrix)


@kernel
def _gather(edges, y, scores, out):
    """Add to the rows of both ends of each edge the scores of its matrix for the label of the other end."""
    for e in range(len(edges)):
        i, j = edges[e]
        if y[i] < 0 or y[j] < 0:  # the edges of a node without a label are left out
            continue
        matrix = scores.edge_matrix[e]
        for c in range(out.shape[1]):
            out[i, c] += scores.edge[matrix, c, y[j]]
            out[j, c] += scores.edge[matrix, y[i], c]


@kernel
def _scatter(edges, y, rows, surplus, out):
    """Add the rows of both ends of each edge to the matrix of the edge; see `_gather`."""
    for e in range(len(edges)):
        i, j = edges[e]
        if y[i] < 0 or y[j] < 0:
            continue
        matrix = rows[e]
        for c in range(surplus.shape[1]):
            out[matrix, c, y[j]] += surplus[i, c]
            out[matrix, y[i], c] += surplus[j, c]
