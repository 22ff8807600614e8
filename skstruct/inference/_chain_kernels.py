"""Forward-backward and Viterbi in vector registers, for chains whose steps all share one matrix of scores.

These are the transitions of text and letters. Chains with gaps, reversed edges or a matrix per edge, and more than
`LONGEST_ROW` states, run through the plain kernels of ``_chain.py``, which are the tested twins of these.
"""

import numpy as np

from skstruct.inference._message_passing import SMALLEST_MESSAGE, SMALLEST_POTENTIAL
from skstruct.kernels.jit import kernel
from skstruct.kernels.simd import add_pairs, backward_step, best_step, exp_row, forward_step

SMALLEST_SCORE = float(np.log(SMALLEST_POTENTIAL))
SAFE_SCORE = -300.0  # if no score of a node plus one of an edge is below, no message gets too small
SINGLE_RANGE = 40.0  # the same with 32 bits: numbers lie between exp(-40) / n_states and exp(80)
ROWS = 64  # messages that are kept for a joint update of the pair counts; a chain's start sends none to the one before


@kernel
def _too_low(scores, row, top):
    """Whether a finite score of a row is too far below the `top` one."""
    found = False
    for x in range(scores.shape[1]):
        found |= -np.inf < scores[row, x] < top + SMALLEST_SCORE
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


@kernel(fastmath={"contract"})
def forward_backward_shared(
    node_ptr, graphs, node, matrix, weights, score_range, scratch, lanes, log_partition, node_out, counts, unsafe
):
    """Scaled forward-backward [1]_ of some graphs; those that are `unsafe`, for their scores, are found and left out.

    With potentials ``p`` and the matrix ``M`` of their exponentiated scores, and ``s[t]`` the sum of ``forward[t]``,

    * ``forward[t] = (forward[t - 1] @ M) * p[t] / s[t - 1]``,
    * ``received[t - 1] = M @ sent[t]``, where ``sent[t] = p[t] * received[t] / s[t - 1]`` replaces ``p[t]``,
    * node marginals are ``forward[t] * received[t]``, pair marginals ``forward[t - 1] * M * sent[t]``, so that
      counts are summed without the matrix and multiplied by it once.

    In 64 bits it is checked that messages stay in range. In 32 bits, where they are not, a graph is unsafe if scores of
    its nodes and of edges, together, fall short of the greatest by more than `score_range`, which is infinite in 64.

    `scratch` holds zeros, (3 n_states + 1 + 2 * rows, padded(n_states)) for as many rows as the longest graph has
    nodes and at least `ROWS`, and starts at a cache line.

    References
    ----------
    .. [1] L. R. Rabiner, "A tutorial on hidden Markov models", *Proc. IEEE* 77(2), 1989, section V.A.
    """
    n_states = node.shape[1]
    transition, backward = scratch[:n_states], scratch[n_states : 2 * n_states]
    pairs, received = scratch[2 * n_states : 3 * n_states], scratch[3 * n_states : 3 * n_states + 1]
    n_rows = (len(scratch) - 3 * n_states - 1) // 2
    potential, forward = scratch[3 * n_states + 1 :][:n_rows], scratch[3 * n_states + 1 + n_rows :]
    total = np.empty(n_rows)

    shift, lowest_edge = -np.inf, np.inf
    for x in range(n_states):
        for y in range(n_states):
            shift, lowest_edge = max(shift, matrix[x, y]), min(lowest_edge, matrix[x, y])
    shift = 0.0 if shift == -np.inf else float(shift)
    lowest_edge -= shift
    all_unsafe = False
    for x in range(n_states):
        all_unsafe |= _too_low(matrix, x, shift)
        for y in range(n_states):
            transition[x, y] = backward[y, x] = np.exp(matrix[x, y] - shift)

    end = 0
    for g in graphs:
        first, length = node_ptr[g], node_ptr[g + 1] - node_ptr[g]
        log_partition[g] = 0.0
        unsafe[g] = all_unsafe and length > 1
        if unsafe[g] or length == 0:
            continue
        if end + length > n_rows:
            add_pairs(forward, potential, end, n_states, pairs, lanes)
            end = 0
        start = end  # of the rows that belong to this graph
        log_z, lowest = shift * (length - 1), 0.0
        for t in range(length):
            top, low = exp_row(node, first + t, potential, start + t, lanes)
            log_z += float(top)  # of 64 bits, and so are sums and products over a chain
            if low < SMALLEST_SCORE:
                unsafe[g] |= _too_low(node, first + t, top)
            lowest = min(lowest, low)
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
            s = forward_step(forward, t - 1, transition, n_states, potential, 1.0 / s, t, lanes)
            total[t] = s
        is_bounded = lowest + lowest_edge > SAFE_SCORE
        if not is_bounded and _any_outside(forward, start, reached + 1):  # before a sum of 0 is believed
            unsafe[g] = True
            continue
        if s == 0.0 or log_z == -np.inf:
            log_partition[g] = -np.inf
            for t in range(first, first + length):
                for x in range(n_states):
                    node_out[t, x] = np.nan
            continue
        log_partition[g] = log_z + np.log(product) + np.log(s)
        for x in range(n_states):
            received[0, x] = 1.0 / s
        shifted = first - start
        for t in range(start + length - 1, start, -1):
            backward_step(forward, received, potential, 1.0 / total[t - 1], t, backward, node_out, t + shifted, lanes)
        for x in range(n_states):
            node_out[first, x] = forward[start, x] * received[0, x]
            potential[start, x] = 0.0
        if not is_bounded and _any_outside(potential, start, start + length):
            unsafe[g] = True
            continue
        if weights[g] != 1.0:
            for t in range(start, start + length):
                for x in range(n_states):
                    forward[t, x] *= weights[g]
        end = start + length
    add_pairs(forward, potential, end, n_states, pairs, lanes)
    for x in range(n_states):
        for y in range(n_states):
            counts[x, y] += pairs[x, y] * transition[x, y]


@kernel
def viterbi_shared(node_ptr, node, matrix, scratch, lanes, labels):
    """Write a labelling of highest score: the first of the best labels of each node, from the last one back.

    `scratch` holds zeros, (2 n_states + longest graph, padded(n_states)), and starts at a cache line.
    """
    n_states = node.shape[1]
    outgoing, incoming, best = scratch[:n_states], scratch[n_states : 2 * n_states], scratch[2 * n_states :]
    for x in range(n_states):
        for y in range(n_states):
            outgoing[x, y] = incoming[y, x] = matrix[x, y]
    for g in range(len(node_ptr) - 1):
        start, length = node_ptr[g], node_ptr[g + 1] - node_ptr[g]
        for t in range(length):
            for x in range(n_states):
                best[t, x] = node[start + t, x]
            if t:
                best_step(best, t - 1, outgoing, n_states, t, lanes)
        y = 0
        for t in range(length - 1, -1, -1):
            chosen, highest = 0, -np.inf
            for x in range(n_states):
                value = best[t, x] if t == length - 1 else best[t, x] + incoming[y, x]
                if value > highest:
                    chosen, highest = x, value
            y = chosen
            labels[start + t] = y
