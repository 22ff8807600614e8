r"""Derivatives of the beliefs of loopy belief propagation along a direction: tangents of messages at the fixed point.

At a fixed point, the logarithm of the message from `i` to `j` changes by

.. math:: \delta_{ij}(y) = E\Big[t_{ij}(x, y) + t_i(x) + \sum_{k \ne j} \delta_{ki}(x) \;\Big|\; y_j = y\Big],

up to a constant, where `x` is the state of `i`, and the conditional probabilities are those of the belief of the pair.
Iterating this equation solves it, at the rate at which the messages converge, and in one sweep on a forest. All numbers
are averages of the direction. The beliefs determine everything, so the kernel does not depend on how they were found.
"""

from typing import NamedTuple

import numpy as np

from skstruct.inference._covariance import add_covariances
from skstruct.inference._loopy_log import FALLBACK_DAMPING, Settings
from skstruct.kernels.jit import kernel
from skstruct.kernels.messages import multiply_row_back
from skstruct.kernels.simd import multiply_row

SMALLEST = 1e-300  # the inverse of a smaller number may be infinite, and a smaller probability moves nothing


@kernel
def _centre(values, weight):
    """Subtract the mean, weighted by probabilities, in place."""
    mean = 0.0
    for x in range(len(values)):
        mean += weight[x] * values[x]
    for x in range(len(values)):
        values[x] -= mean


@kernel
def _received(i, ptr, change, tangent, out):
    """Change of the logarithm of the belief of a node, up to a constant."""
    for x in range(len(out)):
        out[x] = change[x]
    for s in range(ptr[i], ptr[i + 1]):
        for x in range(len(out)):
            out[x] += tangent[s, x]


class _Means(NamedTuple):
    """For each slot, the marginals of its node by the pair, and means given the state of this node."""

    marginal: np.ndarray  # (n_slots, n_states)
    inverse: np.ndarray  # (n_slots, n_states) its inverse; 0 where the marginal is less than `SMALLEST`
    base: np.ndarray  # (n_slots, n_states) conditional mean of the edge's direction


@kernel(fastmath={"contract", "reassoc"})
def _summarise(lists, begin, stop, pair, direction, out):
    """Fill the `_Means` of a graph, whose slots are ``begin:stop``; each edge is read once."""
    n_states = pair.shape[1]
    for s in range(begin, stop):
        if lists.flipped[s]:
            continue
        r, table, moved = lists.reverse[s], pair[lists.edge[s]], direction.edge[direction.edge_matrix[lists.edge[s]]]
        for y in range(n_states):
            out.marginal[r, y] = out.base[r, y] = 0.0
        for x in range(n_states):
            total, mean = 0.0, 0.0
            for y in range(n_states):
                product = table[x, y] * moved[x, y]
                total += table[x, y]
                mean += product
                out.marginal[r, y] += table[x, y]
                out.base[r, y] += product
            out.marginal[s, x], out.base[s, x] = total, mean
    for s in range(begin, stop):
        for x in range(n_states):
            out.inverse[s, x] = 1.0 / out.marginal[s, x] if out.marginal[s, x] > SMALLEST else 0.0
            out.base[s, x] *= out.inverse[s, x]


@kernel
def _iterate(start, stop, sweep, settings, means, pair, change, tangent, dirty, scratch, lanes):
    """Sweep a graph until no tangent changes by more than `tol`; whether this is the case.

    As in the sweeps of the messages, a node sends again only if a tangent that it receives has changed.
    """
    order, (ptr, neighbour, edge, reverse, flipped) = sweep.order, sweep.lists
    damping, max_iter, tol = settings
    n_states = tangent.shape[1]
    for i in range(start, stop):
        dirty[i] = 3
        for s in range(ptr[i], ptr[i + 1]):
            for x in range(n_states):
                tangent[s, x] = 0.0
    for _ in range(max_iter):
        largest = 0.0
        for downwards in range(2):
            bit = np.uint8(1 + downwards)
            for step in range(stop - start):
                i = stop - 1 - step if downwards else start + step
                if not dirty[i] & bit:
                    continue
                dirty[i] &= ~bit
                _received(i, ptr, change[order[i]], tangent, scratch[0])
                for s in range(ptr[i], ptr[i + 1]):
                    j, r = neighbour[s], reverse[s]
                    if (j > i) == bool(downwards):
                        continue
                    for x in range(n_states):
                        scratch[1, x] = scratch[0, x] - tangent[s, x]
                    if flipped[s]:
                        multiply_row_back(scratch, 1, pair, np.int64(edge[s]), scratch, 2, lanes)
                    else:
                        multiply_row(scratch, 1, pair, np.int64(edge[s]), scratch, 2, lanes)
                    mean = 0.0
                    for y in range(n_states):
                        scratch[2, y] = scratch[2, y] * means.inverse[r, y] + means.base[r, y]
                        mean += scratch[2, y]
                    mean, moved = mean / n_states, 0.0
                    for y in range(n_states):
                        old = tangent[r, y]
                        new = (1.0 - damping) * (scratch[2, y] - mean) + damping * old
                        moved = max(moved, abs(new - old))
                        tangent[r, y] = new
                    if moved > tol:
                        dirty[j] = 3
                    largest = max(largest, moved)
        if largest <= tol:
            return True
    return False


@kernel
def derive_beliefs(sweep, settings, graphs, beliefs, direction, weights, lanes, mean, out, converged):
    """Write the derivatives of the beliefs of some graphs.

    Parameters
    ----------
    sweep : Sweep
    settings : Settings
        The tolerance is relative to the largest number of the direction in a graph.
    graphs : ndarray
        Numbers of the graphs.
    beliefs : Scores
        Node marginals, and pair marginals of each edge.
    direction : Scores
    weights : ndarray of shape (n_graphs,)
        Factors of the derivatives.
    lanes : tuple
        From `simd.lanes`.
    mean : ndarray of shape (n_graphs,)
        Output: the mean of the direction's score.
    out : Scores
        Output; derivatives of pair counts are added.
    converged : ndarray of bool, (n_graphs,)
        Output. Nothing is written to `out` for a graph whose tangents do not converge.
    """
    order, (ptr, neighbour, edge, reverse, flipped) = sweep.order, sweep.lists
    (node, pair, _), change, rows, n_states = beliefs, direction.edge, direction.edge_matrix, beliefs.node.shape[1]
    n_slots, ones = len(neighbour), np.ones(n_states)
    tangent, marginal, inverse, base = np.empty((4, n_slots, n_states))
    means = _Means(marginal, inverse, base)
    total, dirty = np.empty((len(order), n_states)), np.empty(len(order), np.uint8)
    other, scratch = np.empty((2, n_states)), np.empty((3, n_states))
    for g in graphs:
        start, stop = sweep.node_ptr[g], sweep.node_ptr[g + 1]
        _summarise(sweep.lists, ptr[start], ptr[stop], pair, direction, means)
        largest, mean[g] = 0.0, 0.0
        for i in range(start, stop):
            for x in range(n_states):
                largest = max(largest, abs(direction.node[order[i], x]))
                mean[g] += node[order[i], x] * direction.node[order[i], x]
            for s in range(ptr[i], ptr[i + 1]):
                for x in range(n_states):
                    largest = max(largest, abs(base[s, x]))
                    mean[g] += 0.0 if flipped[s] else marginal[s, x] * base[s, x]
        for damping in (settings.damping, max(settings.damping, FALLBACK_DAMPING)):
            own = Settings(damping, settings.max_iter, settings.tol * largest)
            converged[g] = _iterate(
                start, stop, sweep, own, means, pair, direction.node, tangent, dirty, scratch, lanes
            )
            if converged[g]:
                break
        if not converged[g]:
            continue
        for i in range(start, stop):
            _received(i, ptr, direction.node[order[i]], tangent, total[i])
            _centre(total[i], node[order[i]])
            for x in range(n_states):
                out.node[order[i], x] = weights[g] * node[order[i], x] * total[i, x]
        for i in range(start, stop):
            for s in range(ptr[i], ptr[i + 1]):
                if flipped[s]:
                    continue  # counted at the first end of the edge
                e, r, expected = edge[s], reverse[s], 0.0
                for x in range(n_states):
                    other[0, x] = total[i, x] - tangent[s, x]
                    other[1, x] = total[neighbour[s], x] - tangent[r, x]
                    expected += marginal[s, x] * (other[0, x] + base[s, x]) + marginal[r, x] * other[1, x]
                for x in range(n_states):
                    other[0, x] -= expected
                count = out.edge[rows[e]]
                add_covariances(pair[e], change[rows[e]], ones, ones, other[0], other[1], weights[g], count)
