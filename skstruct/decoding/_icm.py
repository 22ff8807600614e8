"""Iterated conditional modes: the cheapest decoder, and the last polish of the others."""

import numpy as np

from skstruct.data.adjacency import adjacency
from skstruct.data.topology import Topology
from skstruct.decoding._base import Decoder, graph_score, trivial_bound
from skstruct.inference.allowed import find_allowed
from skstruct.kernels.jit import kernel

MAX_SWEEPS = 100


class ICM(Decoder):
    """Give each node its own best state, then node after node the best state given its neighbours [1]_.

    Ends in a labelling that no change of a single node improves. The bound is the sum of all maxima, tight
    only where nodes and edges agree. Of forbidden states and pairs (-inf), a move always takes the fewest. If the
    labelling is forbidden nevertheless, a depth-first search looks for an allowed one to start from.

    Parameters
    ----------
    max_iter : int, default=100
        Sweeps over all nodes.

    Notes
    -----
    Time O(n_edges * n_states) per sweep.

    References
    ----------
    .. [1] J. Besag, "On the statistical analysis of dirty pictures", *J. Royal Statistical Society B* 48(3),
       1986.

    Examples
    --------
    >>> import numpy as np
    >>> from skstruct import Topology
    >>> from skstruct.scores import Scores
    >>> from skstruct.decoding import ICM
    >>> chain = Topology.from_edges([(0, 1), (1, 2)], n_nodes=3)
    >>> agree = Scores(np.array([[1.0, 0], [0, 0.2], [1.0, 0]]), 0.5 * np.eye(2)[None], np.zeros(2, int))
    >>> ICM().decode(chain, agree).labels
    array([0, 0, 0])
    """

    name = "icm"
    family = "any graph"

    def __init__(self, max_iter=MAX_SWEEPS):
        self.max_iter = max_iter

    def _decode_graph(self, edges, scores):
        if self.max_iter < 1:
            raise ValueError(f"ICM: max_iter must be at least 1, got {self.max_iter!r}.")
        return local_search(edges, scores, scores.node.argmax(axis=1), self.max_iter)


def local_search(edges, scores, labels, max_iter=MAX_SWEEPS):
    """Improve the labels of one graph node by node, starting from an allowed labelling if one is found.

    Parameters
    ----------
    edges, scores
        Of one graph.
    labels : ndarray of shape (n_nodes,)
    max_iter : int
        Sweeps; fewer if one changes nothing.

    Returns
    -------
    labels : ndarray of shape (n_nodes,)
    bound : float
        Sum of all maxima, or -inf if no labelling is allowed.
    """
    bound = trivial_bound(edges, scores)
    labels = improve(edges, scores, labels, max_iter)
    if bound == -np.inf or graph_score(edges, scores, labels) > -np.inf:
        return labels, bound
    if find_allowed(Topology.from_edges(edges, len(labels)), scores, labels, np.zeros(1, np.intp))[0]:
        return labels, -np.inf
    return improve(edges, scores, labels, max_iter), bound


def improve(edges, scores, labels, max_iter=MAX_SWEEPS, order=None):
    """Improve the labels of one graph node by node; the score never gets lower.

    Parameters
    ----------
    edges, scores
        Of one graph.
    labels : ndarray of shape (n_nodes,)
        -1 for nodes without a label yet; they take no part until their turn comes.
    max_iter : int
        Sweeps; fewer if one changes nothing.
    order : ndarray of shape (n_nodes,), default=None
        The nodes' turns; None means as they are numbered.

    Returns
    -------
    labels : ndarray of shape (n_nodes,)
        A copy.
    """
    labels = labels.astype(np.intp)  # a copy, for the kernel to change
    order = np.arange(len(labels)) if order is None else order
    lists = adjacency(edges, len(labels))
    rows = scores.edge_matrix.astype(np.int64)
    node, edge = np.ascontiguousarray(scores.node), np.ascontiguousarray(scores.edge)
    _sweep(max_iter, order, lists.ptr, lists.neighbour, lists.edge, lists.flipped, node, edge, rows, labels)
    return labels


@kernel
def _sweep(max_iter, order, ptr, neighbour, edges, flipped, node, edge, rows, labels):
    """Node by node; forbidden terms are counted apart, since -inf plus anything compares equal."""
    n_states = node.shape[1]
    total, forbidden = np.empty(n_states), np.empty(n_states, np.int64)
    for _ in range(max_iter):
        changed = False
        for i in order:
            for x in range(n_states):
                total[x], forbidden[x] = 0.0, 0
                if node[i, x] == -np.inf:
                    forbidden[x] = 1
                else:
                    total[x] = node[i, x]
            for s in range(ptr[i], ptr[i + 1]):
                y = labels[neighbour[s]]
                if y < 0:
                    continue
                matrix = edge[rows[edges[s]]]
                for x in range(n_states):
                    term = matrix[y, x] if flipped[s] else matrix[x, y]
                    if term == -np.inf:
                        forbidden[x] += 1
                    else:
                        total[x] += term
            best = max(labels[i], 0)
            for x in range(n_states):
                if forbidden[x] < forbidden[best] or (forbidden[x] == forbidden[best] and total[x] > total[best]):
                    best = x
            if best != labels[i]:
                labels[i] = best
                changed = True
        if not changed:
            break
