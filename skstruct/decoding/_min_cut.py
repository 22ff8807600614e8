"""Minimum cuts in double precision by integer maximum flows, and the labelling problems that they solve."""

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

BITS = 30  # of an integer capacity: two opposite capacities add up in scipy's residual, within int32
MAX_ROUNDS = 20
TOLERANCE = 1e-15  # of the capacity of the cut
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
        No labelling scores higher by more than this: the part of the cut without flow, plus the rounding errors of the
        scores. ``inf`` if no labelling is allowed.

    References
    ----------
    .. [1] D. M. Greig, B. T. Porteous, A. H. Seheult, "Exact maximum a posteriori estimation for binary
       images", *J. Royal Statistical Society B* 51(2), 1989.
    """
    node, matrices = propagate_forbidden(node, edges, matrices)
    if np.isneginf(node).all(axis=1).any():
        return np.zeros(len(node), bool), np.inf
    i, j = edges.T
    n_nodes = len(node)
    (a, b), (c, d) = matrices.transpose(1, 2, 0)
    with np.errstate(invalid="ignore"):  # -inf - -inf, in branches that are not chosen
        # m(x, y) = a + (c - a) x + (d - c) y + (b + c - a - d) (1 - x) y where (1, 0) is allowed, else the
        # same with the roles of x and y exchanged; with two forbidden pairs it is (d - a) x.
        coupling = couplings(matrices)
        via_c, via_b = np.isfinite(c), np.isfinite(b)
        own = np.where(via_c, c - a, np.where(via_b, d - b, d - a))
        other = np.where(via_c, d - c, np.where(via_b, b - a, 0.0))
        gain = node[:, 1] - node[:, 0]  # of state 1, +-inf where a state is forbidden
    gain = gain + np.bincount(i, own, n_nodes) + np.bincount(j, other, n_nodes)
    coupling = np.maximum(coupling, 0.0)
    forward = np.where(via_c, coupling, np.where(via_b, 0.0, np.inf))  # cost of (0, 1)
    backward = np.where(via_c, 0.0, np.where(via_b, coupling, np.inf))  # cost of (1, 0)
    # State 0 is the source's side. A node's arc from the source is cut by state 1, its arc to the sink by
    # state 0.
    source, sink, nodes = n_nodes, n_nodes + 1, np.arange(n_nodes)
    heads = np.concatenate([i, np.full(n_nodes, source), nodes])
    tails = np.concatenate([j, nodes, np.full(n_nodes, sink)])
    there = np.concatenate([forward, np.maximum(-gain, 0.0), np.maximum(gain, 0.0)])
    back = np.concatenate([backward, np.zeros(2 * n_nodes)])
    used = (there > 0) | (back > 0)
    arcs = heads[used], tails[used], there[used], back[used]
    source_side, gap = minimum_cut(*arcs, n_nodes + 2, source, sink)
    size = sum(np.abs(part[np.isfinite(part)]).sum() for part in (own, other, gain))
    return ~source_side[:n_nodes], gap + np.finfo(float).eps * size


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


def minimum_cut(heads, tails, there, back, n_nodes, source, sink):
    """Minimum cut of a network with capacities in floating point.

    scipy's flows are int32. So capacities are rounded down to multiples of a unit, and the flow through these is
    subtracted. The rest is a network with the same minimum cut. Its flow is at most the remaining capacity of the cut
    that was found, and no arc has to carry more than that. So the next round limits capacities to this number, and uses
    a smaller unit. A round reduces the gap by a factor of about 2**30 / (number of arcs of the cut).

    Parameters
    ----------
    heads, tails : ndarray of shape (n_arcs,)
        No pair of nodes occurs twice.
    there, back : ndarray of shape (n_arcs,)
        Capacities in both directions; they may be inf.
    n_nodes, source, sink : int

    Returns
    -------
    source_side : ndarray of bool, (n_nodes,)
    gap : float
        Capacity of the cut less the flow: the capacity of a minimum cut is at most this much smaller.
    """
    heads, tails = (np.concatenate(ends).astype(np.int32) for ends in ((heads, tails), (tails, heads)))
    capacity = np.concatenate([there, back])
    left, finite = capacity, capacity[np.isfinite(capacity)]
    total = finite.sum()
    # No arc has to carry more than `top`; twice the sum lets an infinite arc outweigh all finite ones.
    top = finite.max(initial=0.0) if len(finite) == len(left) else 2.0 * total
    best, gap, size = np.arange(n_nodes) == source, np.inf, 0.0
    for _ in range(MAX_ROUNDS if total else 0):
        shift = BITS - np.frexp(top)[1]  # products with a power of two are exact
        whole = np.floor(np.ldexp(np.minimum(left, top), shift)).astype(np.int32)
        network = csr_array((whole, (heads, tails)), shape=(n_nodes, n_nodes))
        pushed = _entries(maximum_flow(network, source, sink).flow, heads, tails)
        left = np.maximum(left - np.ldexp(pushed.astype(float), -shift), 0.0)
        open_ = whole > pushed
        side = _reached(heads[open_], tails[open_], n_nodes, source)
        cut = side[heads] & ~side[tails]
        if left[cut].sum() < gap:
            best, gap, size = side, left[cut].sum(), capacity[cut].sum()
        if gap == np.inf or gap <= TOLERANCE * size:
            break
        top = min(gap, left.max())
    if gap == np.inf:  # no capacity is finite and positive, or all cuts are infinite
        side = _reached(heads[left > 0], tails[left > 0], n_nodes, source)
        return side, 0.0 if not side[sink] else np.inf
    return best, gap


def _entries(matrix, rows, columns):
    """Look up stored entries of a sparse square matrix."""
    matrix = csr_array(matrix)
    matrix.sort_indices()
    n = matrix.shape[0]
    place = np.repeat(np.arange(n), np.diff(matrix.indptr)) * n + matrix.indices
    return matrix.data[np.searchsorted(place, rows.astype(np.int64) * n + columns)].astype(np.int64)


def _reached(heads, tails, n_nodes, start):
    arcs = coo_array((np.ones(len(heads), np.int8), (heads, tails)), shape=(n_nodes, n_nodes)).tocsr()
    side = np.zeros(n_nodes, bool)
    side[breadth_first_order(arcs, start, return_predecessors=False)] = True
    return side
