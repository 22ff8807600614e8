"""Iterated conditional modes: the cheapest decoder; other decoders use it to improve their labels."""

import numpy as np

from skstruct.components import require_integers
from skstruct.data.adjacency import adjacency
from skstruct.data.topology import Topology
from skstruct.decoding._base import Decoder, graph_score, trivial_bound
from skstruct.inference.allowed import find_allowed
from skstruct.kernels.jit import kernel
from skstruct.scores import with_rows

MAX_SWEEPS = 100


class ICM(Decoder):
    """Label each node with its own best state, then one node after the other given its neighbours [1]_.

    No change of a single node improves the result. The bound is the sum of all maxima; it is equal to the score only
    where nodes and edges agree. A move always minimises the number of forbidden states and pairs (-inf) first. If the
    labelling is still forbidden, a depth-first search looks for an allowed one to start from.

    Parameters
    ----------
    max_iter : int, default=100
        Maximum number of sweeps over all nodes.

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
        require_integers(self, "max_iter")
        return local_search(edges, scores, scores.node.argmax(axis=1), self.max_iter)


def local_search(edges, scores, labels, max_iter=MAX_SWEEPS):
    """Improve the labels of one graph node by node, starting from an allowed labelling if one is found.

    Parameters
    ----------
    edges, scores
        Edges and scores of one graph.
    labels : ndarray of shape (n_nodes,)
    max_iter : int
        Maximum number of sweeps. A sweep that changes nothing is the last one.

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
        Edges and scores of one graph.
    labels : ndarray of shape (n_nodes,)
        -1 for nodes without a label; their edges do not count until they are labelled.
    max_iter : int
        Maximum number of sweeps. A sweep that changes nothing is the last one.
    order : ndarray of shape (n_nodes,), default=None
        Order in which nodes are visited. None: as they are numbered.

    Returns
    -------
    labels : ndarray of shape (n_nodes,)
        A copy.
    """
    labels = labels.astype(np.intp)  # a copy, for the kernel to change
    order = np.arange(len(labels)) if order is None else order
    scores = with_rows(scores, len(edges))
    scores = scores._replace(node=np.ascontiguousarray(scores.node), edge=np.ascontiguousarray(scores.edge))
    _sweep(max_iter, order, adjacency(edges, len(labels)), scores, labels)
    return labels


@kernel
def _sweep(max_iter, order, lists, scores, labels):
    """Node by node; forbidden terms are counted apart, since -inf plus any number is the same."""
    n_states = scores.node.shape[1]
    total, forbidden = np.empty(n_states), np.empty(n_states, np.int64)
    for _ in range(max_iter):
        changed = False
        for i in order:
            for x in range(n_states):
                total[x], forbidden[x] = 0.0, 0
                if scores.node[i, x] == -np.inf:
                    forbidden[x] = 1
                else:
                    total[x] = scores.node[i, x]
            for s in range(lists.ptr[i], lists.ptr[i + 1]):
                y = labels[lists.neighbour[s]]
                if y < 0:
                    continue
                matrix = scores.edge[scores.edge_matrix[lists.edge[s]]]
                for x in range(n_states):
                    term = matrix[y, x] if lists.flipped[s] else matrix[x, y]
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
