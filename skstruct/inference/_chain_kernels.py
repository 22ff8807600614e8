"""Forward-backward and Viterbi on chains in vector registers.

Each step from a node to the next one has a matrix of scores; few steps or many may share it. A graph whose scores are
too far apart for the probability domain is left to the kernels of trees, which are also the tested twins of these.
"""

from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np

from skstruct.inference._message_passing import SMALLEST_MESSAGE, SMALLEST_POTENTIAL
from skstruct.kernels.chains import add_pairs, backward_step, best_step, forward_step
from skstruct.kernels.jit import kernel
from skstruct.kernels.simd import aligned_zeros, exp_matrix, exp_row, padded

SMALLEST_SCORE = float(np.log(SMALLEST_POTENTIAL))
SAFE_SCORE = -300.0  # if no score of a node plus one of an edge is below, no message gets too small
SINGLE_RANGE = 40.0  # the same with 32 bits: numbers lie between exp(-40) / n_states and exp(80)
ROWS = 64  # messages that are kept for a joint update of the pair counts
NO_ROW = -1


class StepScores(NamedTuple):
    """Scores of chains: the step from node ``t`` to the next one has the matrix ``edge[matrix[t]]``."""

    node: np.ndarray  # (n_nodes, n_states)
    edge: np.ndarray  # (n_matrices, n_states, n_states)
    matrix: np.ndarray  # (n_nodes,) int32; without meaning for the last node of a graph


class Scratch(NamedTuple):
    """Zeros for a kernel, in one piece that starts at a cache line; rows are padded."""

    matrix: np.ndarray  # (n_matrices, n_states, padded)
    transposed: np.ndarray  # (n_matrices, n_states, padded)
    pairs: np.ndarray  # (n_matrices, n_states, padded) counts, without the potentials
    potential: np.ndarray  # (n_rows, padded)
    forward: np.ndarray  # (n_rows, padded)
    before: np.ndarray  # (n_rows, padded); empty with one matrix
    after: np.ndarray  # (n_rows, padded); empty with one matrix
    received: np.ndarray  # (1, padded)

    @classmethod
    def of(cls, scores, n_rows):
        """Scratch for some scores, and for messages of so many nodes."""
        n_matrices, n_states, _ = scores.edge.shape
        n, n_copied, length = n_matrices * n_states, n_rows if n_matrices > 1 else 0, padded(n_states)
        ends = list(accumulate([3 * n, n_rows, n_rows, n_copied, n_copied]))
        zeros = aligned_zeros(ends[-1] + 1, length, dtype=scores.node.dtype)
        matrices = zeros[: 3 * n].reshape(3, n_matrices, n_states, length)
        return cls._make([*matrices, *(zeros[i:j] for i, j in pairwise(ends)), zeros[-1:]])


@kernel
def _too_low(scores, top):
    """Whether a finite score is too far below the `top` one."""
    found = False
    for x in range(len(scores)):
        found |= -np.inf < scores[x] < top + SMALLEST_SCORE
    return found


@kernel
def _any_outside(values, start, stop):
    """Whether a row has a number, other than 0, that is too small or too large to be multiplied on."""
    for t in range(start, stop):
        for x in range(values.shape[1]):
            v = values[t, x]
            if 0.0 < v < SMALLEST_MESSAGE or v > 1.0 / SMALLEST_MESSAGE:
                return True
    return False


@kernel
def _exponentiate(edge, scratch, top, low, bad, lanes):
    """Potentials of the matrices, also transposed; their maxima, least exponents, and whether one is too small."""
    n_states, matrix, transposed = edge.shape[1], scratch.matrix, scratch.transposed
    for m in range(len(edge)):
        highest, least = exp_matrix(edge, m, matrix, lanes)
        top[m], low[m] = 0.0 if highest == -np.inf else highest, least
        if least < SMALLEST_SCORE:
            for x in range(n_states):
                bad[m] |= _too_low(edge[m, x], top[m])
        for x in range(n_states):
            for y in range(n_states):
                transposed[m, y, x] = matrix[m, x, y]


@kernel
def _add_pairs_of_each(scratch, arrived, end, first, following, lanes):
    """Do as `add_pairs` with each of several matrices; ``arrived[t]`` is the matrix of the step into row ``t``.

    The rows of each are copied next to each other. They form a list, which starts at ``first[m]`` and goes on at
    ``following[row]``; `first` holds `NO_ROW`, and does so in the end.
    """
    forward, potential, before, after = scratch.forward, scratch.potential, scratch.before, scratch.after
    for t in range(end - 1, 0, -1):
        following[t], first[arrived[t]] = first[arrived[t]], t
    for t in range(1, end):
        row, n = first[arrived[t]], 1
        first[arrived[t]] = NO_ROW
        while row != NO_ROW:
            for x in range(forward.shape[1]):
                before[n - 1, x], after[n, x] = forward[row - 1, x], potential[row, x]
            row, n = following[row], n + 1
        if n > 1:
            add_pairs(before, after, n, scratch.pairs, arrived[t], lanes)


@kernel(fastmath={"contract"})
def forward_backward(node_ptr, graphs, scores, weights, scratch, lanes, out, unsafe):
    """Scaled forward-backward [1]_ of some graphs; those that are `unsafe`, for their scores, are found and left out.

    With potentials ``p`` and the matrices ``M[t]`` of the exponentiated scores of the steps into ``t``, and ``s[t]``
    the sum of ``forward[t]``,

    * ``forward[t] = (forward[t - 1] @ M[t]) * p[t] / s[t - 1]``,
    * ``received[t - 1] = M[t] @ sent[t]``, where ``sent[t] = p[t] * received[t] / s[t - 1]`` replaces ``p[t]``,
    * node marginals are ``forward[t] * received[t]``, pair marginals ``forward[t - 1] * M[t] * sent[t]``, so that
      counts are summed without the matrices and multiplied by them once.

    In 64 bits it is checked that messages stay in range. In 32 bits, where they are not, a graph is unsafe if scores of
    its nodes and of edges, together, fall short of the greatest by more than `SINGLE_RANGE`.

    Parameters
    ----------
    node_ptr : ndarray of shape (n_graphs + 1,)
    graphs : ndarray
        Numbers of the graphs.
    scores : StepScores
    weights : ndarray of shape (n_graphs,)
        Factors of the pair counts.
    scratch : Scratch
        With as many rows as the longest graph has nodes, and at least `ROWS`.
    lanes : tuple
    out : Marginals
        Pair counts are added to `out.edge`.
    unsafe : ndarray of bool, (n_graphs,)

    References
    ----------
    .. [1] L. R. Rabiner, "A tutorial on hidden Markov models", *Proc. IEEE* 77(2), 1989, section V.A.
    """
    node, step_matrix, node_out, log_partition = scores.node, scores.matrix, out.node, out.log_partition
    matrix, transposed, pairs, counts = scratch.matrix, scratch.transposed, scratch.pairs, out.edge
    potential, forward, received = scratch.potential, scratch.forward, scratch.received
    n_states, n_rows, n_matrices = node.shape[1], len(forward), len(scores.edge)
    score_range = SINGLE_RANGE if node.itemsize == 4 else np.inf
    top, low, bad = np.empty(n_matrices), np.empty(n_matrices), np.zeros(n_matrices, np.bool_)
    _exponentiate(scores.edge, scratch, top, low, bad, lanes)
    total, arrived = np.empty(n_rows), np.zeros(n_rows, np.int64)
    first, following = np.full(n_matrices, NO_ROW), np.empty(n_rows, np.int64)

    end = 0
    for g in graphs:
        begin, length = node_ptr[g], node_ptr[g + 1] - node_ptr[g]
        log_partition[g], unsafe[g] = 0.0, False
        if length == 0:
            continue
        if end + length > n_rows:
            if n_matrices == 1:  # here and not in the other kernel: a call with so many arrays takes 150 ns
                add_pairs(forward, potential, end, pairs, 0, lanes)
            elif n_matrices > 1:
                _add_pairs_of_each(scratch, arrived, end, first, following, lanes)
            end = 0
        start = end  # of the rows that belong to this graph
        shifted = begin - start
        log_z, lowest, lowest_edge = 0.0, 0.0, 0.0
        if n_matrices == 1:
            log_z, lowest_edge, unsafe[g] = top[0] * (length - 1), low[0], bad[0] and length > 1
        else:
            arrived[start] = 0
            for t in range(start + 1, start + length):
                m = step_matrix[t - 1 + shifted]
                arrived[t] = m
                log_z += top[m]
                lowest_edge = min(lowest_edge, low[m])
                unsafe[g] |= bad[m]
        if unsafe[g]:
            continue
        for t in range(start, start + length):
            highest, least = exp_row(node, t + shifted, potential, t, lanes)
            log_z += float(highest)  # of 64 bits, and so are sums and products over a chain
            if least < SMALLEST_SCORE:
                unsafe[g] |= _too_low(node[t + shifted], highest)
            lowest = min(lowest, least)
        unsafe[g] |= lowest + lowest_edge < -score_range
        if unsafe[g]:
            continue
        s = 0.0
        for x in range(n_states):
            forward[start, x] = potential[start, x]
            s += potential[start, x]
        total[start] = s
        product, reached = 1.0, start
        for t in range(start + 1, start + length):
            if s == 0.0:
                break
            reached = t
            product *= float(s)
            if product < 1e-150 or product > 1e150:  # a logarithm now and then, not at each step
                log_z += np.log(product)
                product = 1.0
            m = arrived[t] if n_matrices > 1 else 0
            s = forward_step(forward, t - 1, matrix, m, potential, 1.0 / s, t, lanes)
            total[t] = s
        is_bounded = lowest + lowest_edge > SAFE_SCORE
        if not is_bounded and _any_outside(forward, start, reached + 1):  # before a sum of 0 is believed
            unsafe[g] = True
            continue
        if s == 0.0 or log_z == -np.inf:
            log_partition[g] = -np.inf
            for t in range(begin, begin + length):
                for x in range(n_states):
                    node_out[t, x] = np.nan
            continue
        log_partition[g] = log_z + np.log(product) + np.log(s)
        for x in range(n_states):
            received[0, x] = 1.0 / s
        for t in range(start + length - 1, start, -1):
            factor = 1.0 / total[t - 1]
            m = arrived[t] if n_matrices > 1 else 0
            backward_step(forward, received, potential, factor, t, transposed, m, node_out, t + shifted, lanes)
        for x in range(n_states):
            node_out[begin, x] = forward[start, x] * received[0, x]
            potential[start, x] = 0.0  # so that no pair is counted with the graph before
        if not is_bounded and _any_outside(potential, start, start + length):
            unsafe[g] = True
            continue
        if weights[g] != 1.0:
            for t in range(start, start + length):
                for x in range(n_states):
                    forward[t, x] *= weights[g]
        end = start + length
    if n_matrices == 1:
        add_pairs(forward, potential, end, pairs, 0, lanes)
    elif n_matrices > 1:
        _add_pairs_of_each(scratch, arrived, end, first, following, lanes)
    for m in range(n_matrices):
        for x in range(n_states):
            for y in range(n_states):
                counts[m, x, y] += pairs[m, x, y] * matrix[m, x, y]


@kernel
def viterbi(node_ptr, scores, scratch, lanes, labels):
    """Write a labelling of highest score: the first of the best labels of each node, from the last one back.

    `scratch` is a `Scratch` with a row for each node of the longest graph; for the other arguments see
    `forward_backward`.
    """
    node, step_matrix, n_states = scores.node, scores.matrix, scores.node.shape[1]
    matrix, transposed, best = scratch.matrix, scratch.transposed, scratch.forward
    for m in range(len(scores.edge)):
        for x in range(n_states):
            for y in range(n_states):
                matrix[m, x, y] = transposed[m, y, x] = scores.edge[m, x, y]
    for g in range(len(node_ptr) - 1):
        start, length = node_ptr[g], node_ptr[g + 1] - node_ptr[g]
        for t in range(length):
            for x in range(n_states):
                best[t, x] = node[start + t, x]
            if t:
                best_step(best, t - 1, matrix, step_matrix[start + t - 1], t, lanes)
        y = 0
        for t in range(length - 1, -1, -1):
            chosen, highest = 0, -np.inf
            for x in range(n_states):
                value = best[t, x]
                if t < length - 1:
                    value += transposed[step_matrix[start + t], y, x]
                if value > highest:
                    chosen, highest = x, value
            y = chosen
            labels[start + t] = y
