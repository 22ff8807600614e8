"""Derivatives of the marginals of chains along a direction: forward-backward with a tangent of each message."""

from typing import NamedTuple

import numpy as np

from skstruct.inference._chain_kernels import (
    NO_ROW,
    SAFE_SCORE,
    SMALLEST_SCORE,
    Scratch,
    add_pairs_of_each,
    any_outside,
    exponentiate_matrices,
    too_low,
)
from skstruct.kernels.chains import add_pairs, backward_tangent, forward_tangent
from skstruct.kernels.jit import kernel
from skstruct.kernels.simd import exp_row


class _Steps(NamedTuple):
    """Rows of messages that wait for their products; see `add_pairs_of_each`."""

    arrived: np.ndarray  # (n_rows,) matrix of the step into each row
    previous: np.ndarray  # (n_rows,) the row before
    end: int  # rows in use
    first: np.ndarray  # (n_matrices,)
    following: np.ndarray  # (n_rows,)


@kernel
def _add_products(rows, columns, out, scratch, steps, lanes):
    """Add the products of successive rows of two arrays to `out`, for each matrix; `steps` is a `_Steps`."""
    arrived, previous, end, first, following = steps
    if len(out) == 1:
        add_pairs(rows, 0, columns, 1, end - 1, out, 0, lanes)
    elif len(out) > 1:
        matrix, transposed, _, _, _, before, after, received = scratch
        part = Scratch(matrix, transposed, out, columns, rows, before, after, received)
        add_pairs_of_each(part, arrived, previous, end, first, following, lanes)


@kernel
def _add_all_pairs(scratch, tangents, moves_edges, steps, lanes):
    """Add pair counts to ``scratch.pairs``, and the tangents for constant matrices to ``tangents.pairs``."""
    _add_products(tangents.forward, scratch.potential, tangents.pairs, scratch, steps, lanes)
    _add_products(scratch.forward, tangents.potential, tangents.pairs, scratch, steps, lanes)
    if moves_edges:
        _add_products(scratch.forward, scratch.potential, scratch.pairs, scratch, steps, lanes)


@kernel(fastmath={"contract"})
def derive_chains(node_ptr, scores, direction, weights, scratch, tangents, lanes, mean, out, unsafe):
    """Write the derivatives of marginals; graphs that are `unsafe`, for their scores, are found and left out.

    The messages are those of `forward_backward`. Their scale factors are constants for the tangents: a factor that is
    common to all states of a message does not change a marginal. With ``forward'`` the tangents of ``forward``, the
    derivative of the log-partition is the mean ``m = sum(forward'[last]) / sum(forward[last])``, and derivatives of
    marginals are

    * ``forward'[t] * received[t] + forward[t] * received'[t]`` for nodes,
    * ``forward'[t - 1] * M[t] * sent[t] + forward[t - 1] * M[t] * sent'[t]``, and ``forward[t - 1] * M'[t] * sent[t]``,
      for pairs,

    where the backward pass starts at ``received'[last] = -m * received[last]``, which subtracts the means.

    Parameters
    ----------
    node_ptr : ndarray of shape (n_graphs + 1,)
    scores, direction : StepScores
        With the same `matrix`.
    weights : ndarray of shape (n_graphs,)
        Factors of the derivatives of pair counts.
    scratch, tangents : Scratch
        With as many rows as the longest graph has nodes, and at least `ROWS`.
    lanes : tuple
    mean : ndarray of shape (n_graphs,)
        Output: the derivative of the log-partition; it is not written for graphs that are unsafe or have no allowed
        labelling, as their nodes.
    out : Scores
        Output; derivatives of pair counts are added.
    unsafe : ndarray of bool, (n_graphs,)
        Output.
    """
    node, step_matrix, n_states, n_matrices = scores.node, scores.matrix, scores.node.shape[1], len(scores.edge)
    matrix, transposed, potential, forward = scratch.matrix, scratch.transposed, scratch.potential, scratch.forward
    change, sent, moved, n_rows = tangents.matrix, tangents.potential, tangents.forward, len(forward)
    moves_edges = False
    top, low, bad = np.empty(n_matrices), np.empty(n_matrices), np.zeros(n_matrices, np.bool_)
    exponentiate_matrices(scores.edge, scratch, top, low, bad, lanes)
    for m in range(n_matrices):
        for x in range(n_states):
            for y in range(n_states):
                moves_edges |= direction.edge[m, x, y] != 0.0
                change[m, x, y] = matrix[m, x, y] * direction.edge[m, x, y]
                tangents.transposed[m, y, x] = change[m, x, y]
    moves = np.int64(moves_edges)
    total, arrived, previous = np.empty(n_rows), np.zeros(n_rows, np.int64), np.arange(NO_ROW, n_rows + NO_ROW)
    first, following = np.full(n_matrices, NO_ROW), np.empty(n_rows, np.int64)
    end = 0
    for g in range(len(node_ptr) - 1):
        begin, length = node_ptr[g], node_ptr[g + 1] - node_ptr[g]
        unsafe[g] = False
        if length == 0:
            mean[g] = 0.0
            continue
        if end + length > n_rows:
            _add_all_pairs(scratch, tangents, moves_edges, _Steps(arrived, previous, end, first, following), lanes)
            end = 0
        start, stop, shifted = end, end + length, begin - end  # rows that belong to this graph
        lowest, lowest_edge = 0.0, 0.0
        arrived[start] = 0
        for t in range(start + 1, stop):
            m = step_matrix[t - 1 + shifted] if n_matrices > 1 else 0
            arrived[t] = m
            lowest_edge = min(lowest_edge, low[m])
            unsafe[g] |= bad[m]
        for t in range(start, stop):
            highest, least = exp_row(node, t + shifted, potential, t, lanes)
            if least < SMALLEST_SCORE:
                unsafe[g] |= too_low(node[t + shifted], highest)
            lowest = min(lowest, least)
            for x in range(n_states):
                sent[t, x] = direction.node[t + shifted, x]
        if unsafe[g]:
            continue
        s = 0.0
        for x in range(n_states):
            forward[start, x] = potential[start, x]
            moved[start, x] = potential[start, x] * sent[start, x]
            s += potential[start, x]
        total[start] = s
        reached = start
        for t in range(start + 1, stop):
            if s == 0.0:
                break
            reached, factor = t, 1.0 / s
            s = forward_tangent(
                forward, moved, t - 1, matrix, change, arrived[t], moves, potential, sent, factor, t, lanes
            )
            total[t] = s
        is_bounded = lowest + lowest_edge > SAFE_SCORE
        if not is_bounded and any_outside(forward, start, reached + 1):
            unsafe[g] = True
            continue
        if s == 0.0:  # no labelling is allowed
            continue
        mean[g] = 0.0
        for x in range(n_states):
            mean[g] += moved[stop - 1, x] / s
        for x in range(n_states):
            scratch.received[0, x], tangents.received[0, x] = 1.0 / s, -mean[g] / s
        for t in range(stop - 1, start, -1):
            factor = 1.0 / total[t - 1]
            backward_tangent(
                forward,
                moved,
                scratch.received,
                tangents.received,
                potential,
                sent,
                factor,
                t,
                transposed,
                tangents.transposed,
                arrived[t],
                moves,
                out.node,
                t + shifted,
                lanes,
            )
        for x in range(n_states):
            tangent = moved[start, x] * scratch.received[0, x] + forward[start, x] * tangents.received[0, x]
            out.node[begin, x] = tangent
            potential[start, x] = sent[start, x] = 0.0  # so that no pair is counted with the graph before
        if not is_bounded and any_outside(potential, start, stop):
            unsafe[g] = True
            continue
        if weights[g] != 1.0:
            for t in range(start, stop):
                for x in range(n_states):
                    forward[t, x] *= weights[g]
                    moved[t, x] *= weights[g]
        end = stop
    _add_all_pairs(scratch, tangents, moves_edges, _Steps(arrived, previous, end, first, following), lanes)
    for m in range(n_matrices):
        for x in range(n_states):
            for y in range(n_states):
                tangent = tangents.pairs[m, x, y] * matrix[m, x, y]
                out.edge[m, x, y] += tangent + scratch.pairs[m, x, y] * change[m, x, y]
