"""Labelling problems with two states that a minimum cut solves."""

import numpy as np

from skstruct.data.adjacency import adjacency
from skstruct.decoding._max_flow import minimum_cut
from skstruct.kernels.jit import kernel
from skstruct.scores import Scores

ROUNDING = 1e-15  # a coupling below this fraction of its four scores is rounding


def best_of_two(node, edges, matrices):
    """Best labelling of one graph with two states whose edges favour equal states, by a minimum cut [1]_.

    Parameters
    ----------
    node : ndarray of shape (n_nodes, 2)
        Scores; -inf forbids.
    edges : ndarray of shape (n_edges, 2)
    matrices : ndarray of shape (n_edges, 2, 2)
        With ``m[0, 0] + m[1, 1] >= m[0, 1] + m[1, 0]``; entries -inf as after `propagate_forbidden`.

    Returns
    -------
    labels : ndarray of bool, (n_nodes,)
    gap : float
        No labelling scores higher by more than this: the difference of cut and flow, plus the rounding errors of the
        scores. ``inf`` if no labelling is allowed.

    References
    ----------
    .. [1] D. M. Greig, B. T. Porteous, A. H. Seheult, "Exact maximum a posteriori estimation for binary
       images", *J. Royal Statistical Society B* 51(2), 1989.
    """
    node, matrices = propagate_forbidden(node, edges, matrices)
    if np.isneginf(node).all(axis=1).any():
        return np.zeros(len(node), bool), np.inf
    lists, rows = adjacency(edges, len(node)), np.arange(len(edges), dtype=np.int32)
    capacity, excess = np.empty(2 * len(edges)), np.empty(len(node))
    scores = Scores(node, matrices, rows)
    size = load_choice(lists, scores, np.zeros(len(node), np.intp), 1, capacity, excess)
    first, flow = minimum_cut(lists, capacity.copy(), excess.copy())
    if flow == np.inf:
        return ~first, np.inf
    return ~first, max(_cut_capacity(lists, capacity, excess, first) - flow, 0.0) + np.finfo(float).eps * size


def couplings(matrices):
    """How much each matrix (n, 2, 2) favours equal states, m00 + m11 - m01 - m10; 0 where that is rounding.

    It is -inf if a pair on the diagonal is forbidden, +inf if another pair is, and nan if both are.
    """
    (a, b), (c, d) = matrices.transpose(1, 2, 0)
    with np.errstate(invalid="ignore"):  # -inf - -inf
        total = a + d - b - c
        size = np.abs(a) + np.abs(b) + np.abs(c) + np.abs(d)
        return np.where(np.abs(total) <= ROUNDING * np.where(np.isfinite(size), size, 0.0), 0.0, total)


def propagate_forbidden(node, edges, matrices):
    """Propagate forbidden states and pairs until all allowed states have allowed partners (arc consistency).

    A state is forbidden if its row (or column) of an edge is forbidden. The row of a forbidden state has no effect; it
    becomes a copy of the other row, so that the edge does not couple. Returns copies.
    """
    if np.isfinite(node).all() and np.isfinite(matrices).all():
        return node, matrices
    node, matrices = node.copy(), matrices.copy()
    done = np.zeros(node.shape, bool)  # forbidden states that have been propagated
    touched = np.arange(len(edges))
    while len(touched):
        for end, axis in ((0, 2), (1, 1)):
            ends = edges[touched, end]
            lost = np.isneginf(matrices[touched]).all(axis=axis)  # (n_touched, 2): without an allowed partner
            for x in range(2):
                node[ends[lost[:, x]], x] = -np.inf
        forbidden = np.isneginf(node)
        for x in range(2):
            gone = (forbidden[:, x] & ~forbidden[:, 1 - x])[edges]  # (n_edges, 2)
            matrices[gone[:, 0], x] = matrices[gone[:, 0], 1 - x]
            matrices[gone[:, 1], :, x] = matrices[gone[:, 1], :, 1 - x]
        changed = (forbidden != done).any(axis=1)
        done = forbidden
        touched = np.flatnonzero(changed[edges].any(axis=1))
    return node, np.where(np.isneginf(node).all(axis=1)[edges].any(axis=1)[:, None, None], 0.0, matrices)


@kernel
def load_choice(lists, scores, labels, state, capacity, excess):
    """Write the network of the choice between two states of each node: its label, or `state`.

    The label is the side of the source: `excess` is the loss by `state`, up to terms of the edges. A matrix
    ``(a, b), (c, d)`` of the two choices of nodes ``i`` and ``j`` is, with x and y = 1 for `state`,
    ``a + own x + other y - forward (1 - x) y - backward x (1 - y)``. The coupling ``a + d - b - c`` is ``forward +
    backward``: half each, unless the one or the other pair of unequal choices is forbidden.

    Parameters
    ----------
    lists : Adjacency
    scores : Scores
        With a matrix number for each edge. A node or matrix with entries -inf is as after `propagate_forbidden`.
    labels : ndarray of shape (n_nodes,)
    state : int
    capacity : ndarray of shape (2 * n_edges,)
    excess : ndarray of shape (n_nodes,)
        These two are overwritten.

    Returns
    -------
    size : float
        Sum of the sizes of all finite terms of nodes, to judge rounding errors.
    """
    node, matrices, rows = scores
    size = 0.0
    for v in range(len(excess)):
        excess[v] = node[v, labels[v]] - node[v, state]
    for v in range(len(excess)):
        for s in range(lists.ptr[v], lists.ptr[v + 1]):
            if lists.flipped[s]:
                continue
            w, matrix = lists.neighbour[s], matrices[rows[lists.edge[s]]]
            x, y = labels[v], labels[w]
            a, b, c, d = matrix[x, y], matrix[x, state], matrix[state, y], matrix[state, state]
            own, other, forward, backward = d - a, 0.0, np.inf, np.inf
            if b > -np.inf and c > -np.inf:
                own, other = 0.5 * (c + d - a - b), 0.5 * (b + d - a - c)
                coupling = a + d - b - c
                if coupling <= ROUNDING * (abs(a) + abs(b) + abs(c) + abs(d)):
                    coupling = 0.0
                forward = backward = 0.5 * coupling
            elif c > -np.inf:
                own, other, backward = c - a, d - c, 0.0
            elif b > -np.inf:
                own, other, forward = d - b, b - a, 0.0
            excess[v] -= own
            excess[w] -= other
            capacity[s], capacity[lists.reverse[s]] = forward, backward
            size += abs(own) + abs(other)
    for v in range(len(excess)):
        if abs(excess[v]) < np.inf:
            size += abs(excess[v])
    return size


@kernel
def _cut_capacity(lists, capacity, excess, of_source):
    total = 0.0
    for v in range(len(excess)):
        if of_source[v]:
            total += max(-excess[v], 0.0)
            for s in range(lists.ptr[v], lists.ptr[v + 1]):
                if not of_source[lists.neighbour[s]]:
                    total += capacity[s]
        else:
            total += max(excess[v], 0.0)
    return total
