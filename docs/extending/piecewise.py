"""An objective that needs no inference: piecewise training (C. Sutton, A. McCallum, UAI 2005)."""

import numpy as np
from scipy.special import logsumexp

from skstruct.objectives import Objective
from skstruct.scores import MISSING, Scores, edge_rows


class Piecewise(Objective):
    """Negative log-likelihood of every node and every edge on its own, as if it were a graph without neighbours.

    With all labels, the sum is an upper bound on the negative log-likelihood. A piece with an unknown label has no
    term.
    """

    uses_inference = False

    def value_and_gradient(self, inference, scores, targets):
        """Loss of each graph and the gradient of the weighted sum; see `Objective`."""
        t, y = inference.topology, targets.codes
        (i, j), n_states = t.edges.T, scores.node.shape[1]
        pairs = np.where((y[i] == MISSING) | (y[j] == MISSING), MISSING, n_states * y[i] + y[j])
        matrices = scores.edge[edge_rows(scores, t.n_edges)].reshape(t.n_edges, n_states**2)
        node_loss, node = _softmax_loss(scores.node, y, targets.graph_weight[t.node_graph])
        edge_loss, by_edge = _softmax_loss(matrices, pairs, targets.graph_weight[t.edge_graph])
        edge = np.zeros_like(scores.edge)  # edges that share a matrix add their gradients
        np.add.at(edge, edge_rows(scores, t.n_edges), by_edge.reshape(t.n_edges, n_states, n_states))
        return t.sum_nodes(node_loss) + t.sum_edges(edge_loss), Scores(node, edge, scores.edge_matrix)


def _softmax_loss(scores, codes, weights):
    """Negative log-probability of a code in each row, (n,), and the gradient times `weights`; 0 if it is MISSING."""
    rows = np.flatnonzero(codes != MISSING)
    total, loss, gradient = logsumexp(scores[rows], axis=1), np.zeros(len(codes)), np.zeros(scores.shape)
    loss[rows] = total - scores[rows, codes[rows]]
    gradient[rows] = np.exp(scores[rows] - total[:, None])
    gradient[rows, codes[rows]] -= 1.0
    return loss, gradient * weights[:, None]
