"""Forward-backward and Viterbi in vector registers, for chains whose steps all share one matrix of scores.

These are the transitions of text and letters. Chains with gaps, reversed edges or a matrix per edge, and more than
`LONGEST_ROW` states, run through the plain kernels of ``_chain.py``, which are the tested twins of these.
"""

import numpy as np

from skstruct._jit import kernel
from skstruct._simd import add_pairs, backward_step, best_step, exp_row, forward_step
from skstruct.inference._message_passing import SMALLEST_MESSAGE, SMALLEST_POTENTIAL

SMALLEST_SCORE = float(np.log(SMALLEST_POTENTIAL))


@kernel
def _any_outside(values, n_rows):
    """Whether one of the first rows has a number, other than 0, that is too small or large to be multiplied on."""
    n_bad = 0
    for t in range(n_rows):
        for x in range(values.shape[1]):
            v = values[t, x]
            n_bad += ((v < SMALLEST_MESSAGE) & (v > 0.0)) | (v > 1.0 / SMALLEST_MESSAGE)
    return n_bad > 0


@kernel(fastmath={"contract"})
def forward_backward_shared(node_ptr, node, matrix, weights, lanes, log_partition, node_out, counts, unsafe):
    """Scaled forward-backward [1]_; graphs that are `unsafe`, for their range of scores, are found and left out.

    With potentials ``p`` and the matrix ``M`` of their exponentiated scores, and ``s[t]`` the sum of ``forward[t]``,

    * ``forward[t] = (forward[t - 1] @ M) * p[t] / s[t - 1]``,
    * ``received[t - 1] = M @ sent[t]``, where ``sent[t] = p[t] * received[t] / s[t - 1]`` replaces ``p[t]``,
    * node marginals are ``forward[t] * received[t]``, pair marginals ``forward[t - 1] * M * sent[t]``, so that
      counts are summed without the matrix and multiplied by it once.

    References
    ----------
    .. [1] L. R. Rabiner, "A tutorial on hidden Markov models", *Proc. IEEE* 77(2), 1989, section V.A.
    """
    n_states = node.shape[1]
    longest = 0
    for g in range(len(node_ptr) - 1):
        longest = max(longest, node_ptr[g + 1] - node_ptr[g])
    potential, forward = np.empty((longest, n_states)), np.empty((longest, n_states))
    received, total = np.empty((1, n_states)), np.empty(longest)
    pairs = np.zeros((n_states, n_states))

    top = matrix.max()
    shift = 0.0 if top == -np.inf else top
    transition, backward = np.empty((n_states, n_states)), np.empty((n_states, n_states))
    all_unsafe = False
    for x in range(n_states):
        for y in range(n_states):
            all_unsafe |= matrix[x, y] - shift < SMALLEST_SCORE and matrix[x, y] > -np.inf
            transition[x, y] = backward[y, x] = np.exp(matrix[x, y] - shift)

    for g in range(len(node_ptr) - 1):
        start, length = node_ptr[g], node_ptr[g + 1] - node_ptr[g]
        log_partition[g] = 0.0
        unsafe[g] = all_unsafe and length > 1
        if unsafe[g] or length == 0:
            continue
        log_z, lowest = shift * (length - 1), 0.0
        for t in range(length):
            top, low = exp_row(node, start + t, potential, t, lanes)
            log_z += top
            lowest = min(lowest, low)
        if lowest < SMALLEST_SCORE:
            unsafe[g] = True
            continue
        s = 0.0
        for x in range(n_states):
            forward[0, x] = potential[0, x]
            s += potential[0, x]
        total[0] = s
        product = 1.0
        for t in range(1, length):
            if s == 0.0:
                break
            product *= s
            if product < 1e-150 or product > 1e150:  # a logarithm now and then, not at each step
                log_z += np.log(product)
                product = 1.0
            s = forward_step(forward, t - 1, transition, potential, 1.0 / s, t, lanes)
            total[t] = s
        if s == 0.0 or log_z == -np.inf:
            log_partition[g] = -np.inf
            node_out[start : start + length] = np.nan
            continue
        if _any_outside(forward, length):
            unsafe[g] = True
            continue
        log_partition[g] = log_z + np.log(product) + np.log(s)
        for x in range(n_states):
            received[0, x] = 1.0 / s
        for t in range(length - 1, 0, -1):
            backward_step(forward, received, potential, 1.0 / total[t - 1], t, backward, node_out, start + t, lanes)
        for x in range(n_states):
            node_out[start, x] = forward[0, x] * received[0, x]
            potential[0, x] = 0.0  # sends nothing
        if _any_outside(potential, length):
            unsafe[g] = True
            continue
        if weights[g] != 1.0:
            forward[:length] *= weights[g]
        add_pairs(forward, potential, length, pairs, lanes)
    for x in range(n_states):
        for y in range(n_states):
            counts[x, y] += pairs[x, y] * transition[x, y]


@kernel
def viterbi_shared(node_ptr, node, matrix, lanes, labels):
    """Write a labelling of highest score: the first of the best labels of each node, from the last one back."""
    n_states = node.shape[1]
    longest = 0
    for g in range(len(node_ptr) - 1):
        longest = max(longest, node_ptr[g + 1] - node_ptr[g])
    best = np.empty((longest, n_states))
    incoming = matrix.T.copy()
    for g in range(len(node_ptr) - 1):
        start, length = node_ptr[g], node_ptr[g + 1] - node_ptr[g]
        for t in range(length):
            for x in range(n_states):
                best[t, x] = node[start + t, x]
            if t:
                best_step(best, t - 1, matrix, t, lanes)
        y = 0
        for t in range(length - 1, -1, -1):
            chosen, highest = 0, -np.inf
            for x in range(n_states):
                value = best[t, x] if t == length - 1 else best[t, x] + incoming[y, x]
                if value > highest:
                    chosen, highest = x, value
            y = chosen
            labels[start + t] = y
