"""An objective that needs no inference: the pseudolikelihood (J. Besag, *The Statistician* 24(3), 1975)."""

import numpy as np
from scipy.special import logsumexp

from skstruct.exceptions import InfeasibleGraph
from skstruct.objectives import Objective
from skstruct.scores import MISSING, Scores, edge_rows


class Pseudolikelihood(Objective):
    """``loss = -sum_i log P(y_i | labels of the neighbours)``; all labels must be known."""

    def value_and_gradient(self, inference, scores, targets):
        """Loss of each graph and the gradient of the weighted sum; see `Objective`."""
        t, y = inference.topology, targets.codes  # inference.plan is not read, so that no plan is computed
        if (y == MISSING).any():
            graph = t.node_graph[np.flatnonzero(y == MISSING)[0]]
            raise InfeasibleGraph(graph, "the pseudolikelihood needs the labels of all nodes")
        (i, j), rows = t.edges.T, edge_rows(scores, t.n_edges)
        local = scores.node.copy()  # scores of each node's labels, given the labels of its neighbours
        np.add.at(local, i, scores.edge[rows, :, y[j]])
        np.add.at(local, j, scores.edge[rows, y[i], :])
        total, nodes = logsumexp(local, axis=1), np.arange(t.n_nodes)
        surplus = np.exp(local - total[:, None])
        surplus[nodes, y] -= 1.0
        surplus *= targets.graph_weight[t.node_graph][:, None]
        edge = np.zeros_like(scores.edge)
        np.add.at(edge.transpose(0, 2, 1), (rows, y[j]), surplus[i])
        np.add.at(edge, (rows, y[i]), surplus[j])
        return t.sum_nodes(total - local[nodes, y]), Scores(surplus, edge, scores.edge_matrix)
