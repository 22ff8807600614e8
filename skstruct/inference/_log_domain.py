"""Kernels that the log-domain twins share: sums of exponentials, messages, and draws."""

import numpy as np

from skstruct.kernels.jit import kernel


@kernel(borrows=True)
def log_sum(values):
    """Log of the sum of the exponentiated `values`; -inf if all are."""
    top = -np.inf
    for x in range(len(values)):
        top = max(top, values[x])
    if top == -np.inf:
        return top
    total = 0.0
    for x in range(len(values)):
        total += np.exp(values[x] - top)
    return top + np.log(total)


@kernel(borrows=True)
def first_largest(values):
    """Index of the first one of the largest values, none of which is nan."""
    best = 0
    for x in range(1, len(values)):
        if values[x] > values[best]:
            best = x
    return best


@kernel(borrows=True)
def send_log(scores, transposed, message, take_max, out):
    """out[y] = log sum (or max) over x of exp(scores[y, x] + message[x]); scores[x, y] if transposed."""
    n_states = len(message)
    for y in range(n_states):
        top = -np.inf
        for x in range(n_states):
            top = max(top, message[x] + (scores[x, y] if transposed else scores[y, x]))
        if not take_max and top > -np.inf:
            total = 0.0
            for x in range(n_states):
                total += np.exp(message[x] + (scores[x, y] if transposed else scores[y, x]) - top)
            top += np.log(total)
        out[y] = top


@kernel(borrows=True)
def scale_log(values):
    """Subtract the maximum, which is returned, in place; values that are all -inf stay as they are."""
    top = -np.inf
    for x in range(len(values)):
        top = max(top, values[x])
    if top > -np.inf:
        for x in range(len(values)):
            values[x] -= top
    return top


@kernel
def draw_label(log_values, uniform):
    """Label drawn in proportion to ``exp(log_values)``, by a uniform number from [0, 1)."""
    cumulated = np.cumsum(np.exp(log_values - log_values.max()))
    return min(np.searchsorted(cumulated, uniform * cumulated[-1], side="right"), len(log_values) - 1)
