"""Messages of tree-reweighted belief propagation."""

from typing import NamedTuple

import numpy as np

from skstruct.inference._log_domain import scale_log
from skstruct.inference._loopy_log import FALLBACK_DAMPING
from skstruct.kernels.jit import kernel
from skstruct.scores import Scores

LEAST_SUM = 1e-250  # the terms that a sum loses to underflow are below rounding while the sum is above this


class Weighted(NamedTuple):
    """Scores and weights of the edges, and the scores' exponentials."""

    scores: Scores  # edge scores divided by the weight of their edge
    rho: np.ndarray  # (n_edges,) weight of each edge
    potential: np.ndarray  # (n_matrices, n_states, n_states) exp(score - shift)
    shift: np.ndarray  # (n_matrices,) largest score


class Messages(NamedTuple):
    """Messages, and the number of iterations; kernels write to these arrays."""

    log_message: np.ndarray  # (2 * n_edges, n_states) to the slot's node, maximum 0; -inf: the state has no partner
    n_iter: np.ndarray  # (n_graphs,) sweeps
    residual: np.ndarray  # (n_graphs,) largest change of a message in the last sweep


@kernel
def _send(total, incoming, scores, potential, shift, transposed, given, out):
    """out[y] = log sum over x of exp(total[x] - incoming[x] + scores[y, x]), scaled to maximum 0.

    scores[x, y] if `transposed`. The function sums the exponentials ``potential = exp(scores - shift)``, and returns to
    the scores where the sum underflows. `given` is scratch space.
    """
    n_states = len(total)
    top = -np.inf
    for x in range(n_states):
        given[x] = total[x] - incoming[x] if total[x] > -np.inf else -np.inf  # never -inf - -inf
        top = max(top, given[x])
    if top == -np.inf:
        out[:] = -np.inf
        return
    out[:] = 0.0
    for x in range(n_states):
        factor = np.exp(given[x] - top)
        for y in range(n_states):
            out[y] += factor * (potential[x, y] if transposed else potential[y, x])
    for y in range(n_states):
        if out[y] > LEAST_SUM:
            out[y] = np.log(out[y])
            continue
        best = -np.inf
        for x in range(n_states):
            best = max(best, given[x] + (scores[x, y] if transposed else scores[y, x]))
        if best > -np.inf:
            small = 0.0
            for x in range(n_states):
                small += np.exp(given[x] + (scores[x, y] if transposed else scores[y, x]) - best)
            best += np.log(small) - top - shift
        out[y] = best
    scale_log(out)


@kernel
def iterate(sweep, settings, graphs, weighted, found):
    """Sweep each of `graphs` until its messages converge, with damping after `max_iter` sweeps.

    Parameters
    ----------
    sweep : Sweep
    settings : Settings
    graphs : ndarray of int
    weighted : Weighted
    found : Messages
        Output. Its messages are the start.
    """
    ptr, neighbour, edge, reverse, flipped = sweep.lists  # numba reads arrays faster from names than from records
    node, matrices, rows = weighted.scores
    order, message, rho, potential, shift = (
        sweep.order,
        found.log_message,
        weighted.rho,
        weighted.potential,
        weighted.shift,
    )
    n_states = message.shape[1]
    total, given, out = np.empty(n_states), np.empty(n_states), np.empty(n_states)
    for g in graphs:
        start, end = sweep.node_ptr[g], sweep.node_ptr[g + 1]
        change = 0.0
        for attempt in range(2 * settings.max_iter):
            damping = settings.damping
            if attempt >= settings.max_iter:
                damping = max(damping, FALLBACK_DAMPING)
            found.n_iter[g] += 1
            change = 0.0
            for direction in range(2):
                for step in range(end - start):
                    i = start + step if direction == 0 else end - 1 - step
                    total[:] = node[order[i]]
                    for s in range(ptr[i], ptr[i + 1]):
                        for x in range(n_states):
                            total[x] += rho[edge[s]] * message[s, x]
                    for s in range(ptr[i], ptr[i + 1]):
                        if (neighbour[s] > i) != (direction == 0):
                            continue
                        e = rows[edge[s]]
                        _send(total, message[s], matrices[e], potential[e], shift[e], not flipped[s], given, out)
                        old = message[reverse[s]]
                        for x in range(n_states):
                            before = np.exp(old[x])
                            if damping > 0.0 and out[x] > -np.inf:
                                out[x] += damping * (old[x] - out[x])
                            change = max(change, abs(np.exp(out[x]) - before))
                            old[x] = out[x]
            if change <= settings.tol:
                break
        found.residual[g] = change
