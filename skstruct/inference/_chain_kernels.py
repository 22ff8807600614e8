"""Forward-backward and Viterbi on chains in vector registers.

Each step from a node to the next one has a matrix of scores; few steps or many may share it. A graph whose scores are
too far apart for the probability domain is left to the kernels of trees, which are also the tested twins of these.
"""

from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np

from skstruct.inference._message_passing import SMALLEST_MESSAGE, SMALLEST_POTENTIAL
from skstruct.kernels.chains import add_pairs, backward_steps, best_step, forward_steps
from skstruct.kernels.jit import kernel
from skstruct.kernels.simd import aligned_zeros, exp_matrix, exp_row, padded

SMALLEST_SCORE = float(np.log(SMALLEST_POTENTIAL))
SAFE_SCORE = -300.0  # if no score of a node plus one of an edge is below, no message gets too small
SINGLE_RANGE = 40.0  # the same with 32 bits: numbers lie between exp(-40) / n_states and exp(80)
ROWS = 64  # messages that are kept for a joint update of the pair counts
SIDE_BY_SIDE = 4, 16  # chains that are processed together: at least 4, and up to 16 until they have `ROWS` nodes
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
    received: np.ndarray  # (most chains side by side, padded)

    @classmethod
    def of(cls, scores, n_rows):
        """Scratch for some scores, and for messages of so many nodes."""
        n_matrices, n_states, _ = scores.edge.shape
        n, n_copied, length = (
            n_matrices * n_states,
            n_rows if n_matrices > 1 else 0,
            padded(n_states, scores.node.dtype),
        )
        ends = list(accumulate([3 * n, n_rows, n_rows, n_copied, n_copied]))
        zeros = aligned_zeros(ends[-1] + SIDE_BY_SIDE[1], length, dtype=scores.node.dtype)
        matrices = zeros[: 3 * n].reshape(3, n_matrices, n_states, length)
        return cls._make([*matrices, *(zeros[i:j] for i, j in pairwise(ends)), zeros[ends[-1] :]])


class Rows(NamedTuple):
    """Where `forward_backward` has the messages of chains side by side; it fills the arrays.

    Python makes these arrays, because numba needs longer to compile an allocation than a loop.
    """

    top: np.ndarray  # (n_matrices,) largest score
    low: np.ndarray  # (n_matrices,) lowest score less the largest
    bad: np.ndarray  # (n_matrices,) whether a potential is too small
    total: np.ndarray  # (n_rows,) sum of the messages of a row
    start: np.ndarray  # (n_rows + 1,) first row of the nodes ``t``
    begin: np.ndarray  # (chains side by side,) first node of each
    length: np.ndarray  # (chains side by side,)
    is_bounded: np.ndarray  # (chains side by side,) whether no message gets too small

    @classmethod
    def of(cls, scores, n_rows):
        """Arrays for some scores, and for messages of so many nodes."""
        n, most = len(scores.edge), SIDE_BY_SIDE[1]
        total, start = np.empty(n_rows, scores.node.dtype), np.zeros(n_rows + 1, np.int64)
        chains, is_bounded = np.empty((2, most), np.int64), np.empty(most, bool)
        return cls._make([*np.empty((2, n)), np.zeros(n, bool), total, start, *chains, is_bounded])


class Arrivals(NamedTuple):
    """Steps of chains side by side, where they have different matrices; see `add_pairs_of_each`."""

    first: np.ndarray  # (n_matrices,)
    following: np.ndarray  # (n_rows,)
    matrix: np.ndarray  # (n_rows,) of the step to a row
    previous: np.ndarray  # (n_rows,) row at the start of this step, or NO_ROW

    @classmethod
    def of(cls, scores, n_rows):
        """Arrays for some scores, and for messages of so many nodes; None if all steps have one matrix."""
        if len(scores.edge) <= 1:
            return None
        first = np.empty(len(scores.edge), np.int64)
        first.fill(NO_ROW)  # `np.full` takes a microsecond, which counts in a short sentence
        return cls(first, *np.zeros((3, n_rows), np.int64))


def n_rows(lengths):
    """Most nodes of chains side by side in `forward_backward`, given the numbers of nodes of all, the longest first."""
    return min(int(lengths.sum()), max(int(lengths[: SIDE_BY_SIDE[0]].sum()), ROWS + int(lengths[:1].sum())))


# The next functions count references, since derivatives call them, too, and take 5 % longer if they borrow arrays.
@kernel
def too_low(scores, top):
    """Whether a finite score is too far below the `top` one."""
    found = False
    for x in range(len(scores)):
        found |= -np.inf < scores[x] < top + SMALLEST_SCORE
    return found


@kernel
def _is_outside(value):
    """Whether a number, other than 0, is too small or too large to be multiplied on."""
    return 0.0 < value < SMALLEST_MESSAGE or value > 1.0 / SMALLEST_MESSAGE


@kernel
def any_outside(values, start, stop):
    """Whether a row has a number that is outside the range."""
    for t in range(start, stop):
        for x in range(values.shape[1]):
            if _is_outside(values[t, x]):
                return True
    return False


@kernel
def exponentiate_matrices(edge, scratch, top, low, bad, lanes):
    """Potentials of the matrices, also transposed; their maxima, least exponents, and whether one is too small."""
    n_states, matrix, transposed = edge.shape[1], scratch.matrix, scratch.transposed
    for m in range(len(edge)):
        highest, least = exp_matrix(edge, m, matrix, lanes)
        top[m], low[m] = 0.0 if highest == -np.inf else highest, least
        if least < SMALLEST_SCORE:
            for x in range(n_states):
                bad[m] |= too_low(edge[m, x], top[m])
        for x in range(n_states):
            for y in range(n_states):
                transposed[m, y, x] = matrix[m, x, y]


@kernel
def add_pairs_of_each(scratch, arrived, previous, end, first, following, lanes):
    """Do as `add_pairs` with each of several matrices; ``arrived[row]`` is that of the step from row ``previous[row]``.

    The rows of each are copied next to each other. They form a list, which starts at ``first[m]`` and goes on at
    ``following[row]``; `first` holds `NO_ROW`, and does so in the end. Rows that no step arrives at are left out.
    """
    forward, potential, before, after = scratch.forward, scratch.potential, scratch.before, scratch.after
    for row in range(end - 1, -1, -1):
        if previous[row] != NO_ROW:
            following[row], first[arrived[row]] = first[arrived[row]], row
    for t in range(end):
        m, n = arrived[t], 0
        row = first[m]
        first[m] = NO_ROW
        while row != NO_ROW:
            for x in range(forward.shape[1]):
                before[n, x], after[n, x] = forward[previous[row], x], potential[row, x]
            row, n = following[row], n + 1
        if n > 0:
            add_pairs(before, 0, after, 0, n, scratch.pairs, m, lanes)


@kernel(fastmath={"contract", "reassoc"}, borrows=True)
def forward_backward(node_ptr, graphs, scores, weights, scratch, rows, arrivals, lanes, out, unsafe):
    """Scaled forward-backward [1]_ of some graphs; those that are `unsafe`, for their scores, are found and left out.

    With potentials ``p`` and the matrices ``M[t]`` of the exponentiated scores of the steps into ``t``, and ``s[t]``
    the sum of ``forward[t]``,

    * ``forward[t] = (forward[t - 1] @ M[t]) * p[t] / s[t - 1]``,
    * ``received[t - 1] = M[t] @ sent[t]``, where ``sent[t] = p[t] * received[t] / s[t - 1]`` replaces ``p[t]``,
    * node marginals are ``forward[t] * received[t]``, pair marginals ``forward[t - 1] * M[t] * sent[t]``, so that
      counts are summed without the matrices and multiplied by them once.

    Several chains are processed side by side: nodes ``t`` of all of them, then nodes ``t + 1``. The first nodes have
    the rows 0, 1, ... of the scratch, and those of a later ``t`` have the rows from ``start[t]`` on, as long as the
    chains reach so far. A chain that is unsafe, or has no labelling, goes on as one of zeros.

    In 64 bits it is checked that messages stay in range. In 32 bits, where they are not, a graph is unsafe if scores of
    its nodes and of edges, together, fall short of the greatest by more than `SINGLE_RANGE`.

    Parameters
    ----------
    node_ptr : ndarray of shape (n_graphs + 1,)
    graphs : ndarray
        Numbers of the graphs, the longest first.
    scores : StepScores
    weights : ndarray of shape (n_graphs,)
        Factors of the pair counts.
    scratch : Scratch
        With as many rows as `n_rows` tells.
    rows : Rows
        With as many rows.
    arrivals : Arrivals or None
        With as many rows. None: all steps have one matrix, and numba leaves out the code for several.
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
    n_states, n_matrices = node.shape[1], len(scores.edge)
    least_chains, n_chains = SIDE_BY_SIDE
    score_range = SINGLE_RANGE if node.itemsize == 4 else np.inf
    top, low, bad, total, start, begin, length, is_bounded = rows
    exponentiate_matrices(scores.edge, scratch, top, low, bad, lanes)
    stop = 0
    while stop < len(graphs):
        done, n, end = stop, 0, 0  # the first chain, how many are side by side, and their nodes
        while stop < len(graphs) and n < n_chains and (n < least_chains or end < ROWS):
            g = graphs[stop]
            begin[n], length[n] = node_ptr[g], node_ptr[g + 1] - node_ptr[g]
            log_partition[g], unsafe[g] = 0.0, False
            end += length[n]
            n, stop = n + 1, stop + 1
        while n > 0 and length[n - 1] == 0:
            n -= 1
        if n == 0:
            continue
        reached = n
        for t in range(length[0]):
            while length[reached - 1] <= t:
                reached -= 1
            start[t + 1] = start[t] + reached

        for k in range(n):
            g, lowest, lowest_edge, log_z = graphs[done + k], 0.0, 0.0, 0.0
            if arrivals is not None:
                arrivals.previous[k] = NO_ROW
            for t in range(length[k]):
                row = start[t] + k
                highest, least = exp_row(node, begin[k] + t, potential, row, lanes)
                log_z += float(highest)  # of 64 bits, and so are sums and products over a chain
                if least < SMALLEST_SCORE:
                    unsafe[g] |= too_low(node[begin[k] + t], highest)
                lowest = min(lowest, least)
                if t > 0:
                    m = 0
                    if arrivals is not None:
                        m = step_matrix[begin[k] + t - 1]
                        arrivals.matrix[row], arrivals.previous[row] = m, start[t - 1] + k
                    log_z += top[m]
                    lowest_edge = min(lowest_edge, low[m])
                    unsafe[g] |= bad[m]
            unsafe[g] |= lowest + lowest_edge < -score_range
            is_bounded[k] = lowest + lowest_edge > SAFE_SCORE
            log_partition[g] = log_z
            factor = 0.0 if unsafe[g] else 1.0
            s = 0.0
            for x in range(n_states):
                forward[k, x] = potential[k, x] * factor
                s += forward[k, x]
            total[k] = s

        for t in range(1, length[0]):
            row, reached = start[t], start[t + 1] - start[t]
            step, m = reached, 0
            if arrivals is not None:
                step = 1
            for k in range(0, reached, step):
                if arrivals is not None:
                    m = arrivals.matrix[row + k]
                forward_steps(forward, start[t - 1] + k, matrix, m, potential, total, row + k, step, lanes)

        for k in range(n):
            g, product = graphs[done + k], 1.0
            for t in range(length[k]):
                row = start[t] + k
                product *= float(total[row])
                if product < 1e-150 or product > 1e150:  # a logarithm now and then, not at each step
                    log_partition[g] += np.log(product)
                    product = 1.0
                if not is_bounded[k]:
                    for x in range(n_states):
                        unsafe[g] |= _is_outside(forward[row, x])  # before a sum of 0 is believed
            log_partition[g] += np.log(product)
            is_possible = not unsafe[g] and log_partition[g] > -np.inf
            factor = 1.0 / total[start[length[k] - 1] + k] if is_possible else 0.0
            for x in range(n_states):
                received[k, x] = factor

        for t in range(length[0] - 1, 0, -1):
            row, reached = start[t], start[t + 1] - start[t]
            step, m = reached, 0
            if arrivals is not None:
                step = 1
            for k in range(0, reached, step):
                before = start[t - 1] + k
                if arrivals is not None:
                    m = arrivals.matrix[row + k]
                backward_steps(
                    forward,
                    received,
                    potential,
                    total,
                    before,
                    row + k,
                    transposed,
                    m,
                    node_out,
                    begin,
                    t,
                    k,
                    step,
                    lanes,
                )

        for k in range(n):
            g = graphs[done + k]
            for x in range(n_states):
                node_out[begin[k], x] = forward[k, x] * received[k, x]
            if log_partition[g] == -np.inf and not unsafe[g]:
                for t in range(begin[k], begin[k] + length[k]):
                    for x in range(n_states):
                        node_out[t, x] = np.nan
            if not is_bounded[k]:
                for t in range(1, length[k]):
                    for x in range(n_states):
                        unsafe[g] |= _is_outside(potential[start[t] + k, x])
                for t in range(1, length[k]):
                    for x in range(n_states):
                        potential[start[t] + k, x] = 0.0 if unsafe[g] else potential[start[t] + k, x]
            if weights[g] != 1.0:
                for t in range(length[k]):
                    for x in range(n_states):
                        forward[start[t] + k, x] *= weights[g]

        if arrivals is not None:
            first, following, arrived, previous = arrivals
            add_pairs_of_each(scratch, arrived, previous, end, first, following, lanes)
            continue
        t = 1
        while t < length[0]:  # as long as the number of chains is the same, so is the distance of their rows
            since, reached = t, start[t] - start[t - 1]
            while t < length[0] and start[t] - start[t - 1] == reached:
                t += 1
            add_pairs(forward, start[since - 1], potential, start[since], start[t] - start[since], pairs, 0, lanes)
    for m in range(n_matrices):
        for x in range(n_states):
            for y in range(n_states):
                counts[m, x, y] += pairs[m, x, y] * matrix[m, x, y]


@kernel(borrows=True)
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
