"""Labels of a batch: their codes are checked, and their indicators are subtracted from marginals or counts."""

import numpy as np

from skstruct.exceptions import InfeasibleGraph
from skstruct.kernels.jit import kernel
from skstruct.scores import MISSING, with_rows


def check_codes(topology, y, n_states):
    """Return whether all labels are known, and refuse state codes that do not exist.

    Kernels write to the positions that codes determine.
    """
    if y.shape != (topology.n_nodes,):
        raise ValueError(f"y must hold {topology.n_nodes} state codes, one per node, got shape {y.shape}")
    if not y.size:
        return True
    lowest, highest = y.min(), y.max()
    if lowest < MISSING or highest >= n_states:
        node = np.flatnonzero((y < MISSING) | (y >= n_states))[0]
        g = topology.node_graph[node]
        raise ValueError(
            f"y of graph {g}, node {node - topology.node_ptr[g]} is {y[node]}; state codes run from 0 to "
            f"{n_states - 1}, and {MISSING} means unknown"
        )
    return lowest > MISSING


def require_finite(label_scores):
    """Raise InfeasibleGraph for the first graph whose given labels score -inf; `label_scores` is (n_graphs,)."""
    is_finite = np.isfinite(label_scores)
    if not is_finite.all():
        raise InfeasibleGraph(int(np.argmin(is_finite)), "the labels in y are forbidden, they score -inf")


def term_weights(targets):
    """Weight of each node's term in a loss that is a sum over nodes, (n_nodes,); 0 where the label is unknown.

    A node of weight 0 has no term. Its label may be forbidden.
    """
    is_known = targets.codes != MISSING
    return is_known.astype(np.float64) if targets.node_weight is None else targets.node_weight * is_known


def subtract_labelling(topology, scores, codes, weights, out):
    """Subtract the indicators of a labelling, times the weights of the graphs, from `out`, in place.

    Parameters
    ----------
    topology : Topology
    scores : Scores
    codes : ndarray of shape (n_nodes,)
        State codes, none of them `MISSING`.
    weights : ndarray of shape (n_graphs,)
    out : Scores
        Marginals or counts of nodes, and of pairs by matrix; changed.

    Returns
    -------
    score : ndarray of shape (n_graphs,)
        Score of the labelling, in nats.
    """
    score = np.empty(topology.n_graphs)
    arrays = topology.node_ptr, topology.edge_ptr, topology.edges
    scores = with_rows(scores, topology.n_edges)
    _subtract(*arrays, scores, codes, weights, out._replace(edge_matrix=scores.edge_matrix), score)
    return score


@kernel(borrows=True)
def _subtract(node_ptr, edge_ptr, edges, scores, y, weights, out, score):
    """See `subtract_labelling`; the score of graph g is written to ``score[g]``."""
    node, edge, rows = scores
    node_out, edge_out, _ = out
    for g in range(len(score)):
        total, weight = 0.0, weights[g]
        for t in range(np.uintp(node_ptr[g]), np.uintp(node_ptr[g + 1])):
            label = np.uintp(y[t])
            total += float(node[t, label])
            node_out[t, label] -= weight
        for e in range(np.uintp(edge_ptr[g]), np.uintp(edge_ptr[g + 1])):
            m, a, b = np.uintp(rows[e]), np.uintp(y[np.uintp(edges[e, 0])]), np.uintp(y[np.uintp(edges[e, 1])])
            total += float(edge[m, a, b])
            edge_out[m, a, b] -= weight
        score[g] = total
