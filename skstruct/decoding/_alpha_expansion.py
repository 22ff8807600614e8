"""Expansion moves: good labellings with many states by a sequence of minimum cuts."""

import numpy as np

from skstruct.components import require_integers
from skstruct.data.adjacency import adjacency
from skstruct.decoding._base import Decoder, graph_score
from skstruct.decoding._icm import local_search
from skstruct.decoding._max_flow import minimum_cut
from skstruct.decoding._min_cut import load_choice, propagate_forbidden
from skstruct.scores import Scores, with_rows

MAX_CYCLES = 20


class AlphaExpansion(Decoder):
    """For one state after the other, change the labels of the best set of nodes to it, by a minimum cut [1]_.

    The start is a labelling by iterated conditional modes, and the score never gets lower. A cut finds the best
    expansion of state ``a`` if every edge satisfies ``m[b, c] + m[a, a] >= m[b, a] + m[a, c]`` for all ``b, c``. This
    holds for matrices that favour all equal states by the same amount (Potts), and for minus a distance between states.
    The bound is the sum of all maxima.

    Parameters
    ----------
    max_cycles : int, default=20
        Maximum number of passes over all states. A pass without a better labelling is the last one.

    References
    ----------
    .. [1] Y. Boykov, O. Veksler, R. Zabih, "Fast approximate energy minimization via graph cuts", *IEEE
       Trans. PAMI* 23(11), 2001.

    Examples
    --------
    >>> import numpy as np
    >>> from skstruct import Topology
    >>> from skstruct.scores import Scores
    >>> from skstruct.decoding import AlphaExpansion
    >>> ring = Topology.from_edges([(0, 1), (1, 2), (2, 3), (3, 0)], n_nodes=4)
    >>> node = np.array([[0.0, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0.5, 0.6]])
    >>> AlphaExpansion().decode(ring, Scores(node, np.eye(3)[None], np.zeros(4, int))).labels
    array([1, 1, 1, 1])
    """

    name = "alpha_expansion"
    family = "graphs whose edges all have m[b, c] + m[a, a] >= m[b, a] + m[a, c], for all states a, b, c"

    def __init__(self, max_cycles=MAX_CYCLES):
        self.max_cycles = max_cycles

    def _accepts(self, topology, scores):
        used = np.ones(len(scores.edge), bool)
        if scores.edge_matrix is not None:
            used = np.bincount(scores.edge_matrix, minlength=len(used)) > 0
        expandable = np.ones(len(used), bool)
        expandable[used] = _expandable(scores.edge[used])
        refused = ~expandable if scores.edge_matrix is None else ~expandable[scores.edge_matrix]
        return topology.sum_edges(refused) == 0

    def _decode_graph(self, edges, scores):
        require_integers(self, "max_cycles")
        labels, bound = local_search(edges, scores, scores.node.argmax(axis=1))
        return expand(edges, scores, labels, self.max_cycles), bound


def _expandable(matrices):
    """Whether each matrix allows all expansion moves, up to rounding, (n_matrices,)."""
    good = np.ones(len(matrices), bool)
    if not len(matrices):
        return good
    slack = 1e-14 * np.abs(np.where(np.isneginf(matrices), 0.0, matrices)).max(axis=(1, 2))
    for a in range(matrices.shape[1]):
        most = matrices[:, :, a, None] + matrices[:, a, None, :] - slack[:, None, None]
        good &= (matrices + matrices[:, a, a][:, None, None] >= most).all(axis=(1, 2))
    return good


def expand(edges, scores, labels, max_cycles=MAX_CYCLES):
    """Improve the labels of one graph by expansion moves until none helps; the score never gets lower.

    Parameters
    ----------
    edges, scores
        Of one graph that `AlphaExpansion` accepts.
    labels : ndarray of shape (n_nodes,)
        A labelling whose score is -inf is returned unchanged.
    max_cycles : int

    Returns
    -------
    labels : ndarray of shape (n_nodes,)
    """
    n_nodes, n_states = scores.node.shape
    scores, lists = with_rows(scores, len(edges)), adjacency(edges, n_nodes)
    scores = scores._replace(node=np.ascontiguousarray(scores.node), edge=np.ascontiguousarray(scores.edge))
    forbids = not (np.isfinite(scores.node).all() and np.isfinite(scores.edge).all())
    capacity, excess = np.empty(len(lists.edge)), np.empty(n_nodes)
    labels, score = labels.astype(np.intp), graph_score(edges, scores, labels)
    idle = 0
    for move in range(max_cycles * n_states):
        a = move % n_states
        if score == -np.inf or idle == n_states:
            break
        idle += 1
        choice = _forbid(edges, scores, labels, a) if forbids else (scores, labels, a)
        load_choice(lists, *choice, capacity, excess)
        stay, flow = minimum_cut(lists, capacity, excess)
        if flow == np.inf:
            continue
        moved = np.where(stay, labels, a)
        moved_score = graph_score(edges, scores, moved)
        if moved_score > score:
            labels, score, idle = moved, moved_score, 1  # the same state again would change nothing
    return labels


def _forbid(edges, scores, labels, state):
    """Choice between the labels and `state`, as a model of two states whose forbidden pairs have been propagated."""
    nodes, rows, (i, j) = np.arange(len(labels)), scores.edge_matrix, edges.T
    node = np.stack([scores.node[nodes, labels], scores.node[:, state]], axis=1)
    choices = [(x, y) for x in (labels[i], state) for y in (labels[j], state)]
    matrices = np.stack([scores.edge[rows, x, y] for x, y in choices], axis=1).reshape(-1, 2, 2)
    node, matrices = propagate_forbidden(node, edges, matrices)
    return Scores(node, matrices, np.arange(len(edges), dtype=np.int32)), np.zeros_like(labels), 1
