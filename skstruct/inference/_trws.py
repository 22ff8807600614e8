"""Sequential tree-reweighted max-product: good labellings of graphs with cycles, with an upper bound."""

from typing import NamedTuple

import numpy as np

from skstruct.inference._log_domain import first_largest, scale_log
from skstruct.kernels.jit import kernel
from skstruct.scores import OPTIMAL

MAX_SWEEPS = 200
PATIENCE = 20  # sweeps without a better bound or labelling, by more than GAIN of the loss
GAIN = 1e-6


class Labelling(NamedTuple):
    """The best labels so far, and bounds on the score of any labelling; kernels improve them in place."""

    labels: np.ndarray  # (n_nodes,)
    score: np.ndarray  # (n_graphs,)
    bound: np.ndarray  # (n_graphs,)


@kernel(borrows=True)
def _send(fraction, total, incoming, scores, transposed, out):
    """Send a fraction of the sender's total, less the message that came along the edge, as maxima; returns the largest.

    out[y] = max over x of fraction * total[x] - incoming[x] + scores[y, x]; scores[x, y] if `transposed`. The message
    is scaled to maximum 0.
    """
    n_states = len(total)
    for y in range(n_states):
        out[y] = -np.inf
    for x in range(n_states):
        if total[x] == -np.inf:
            continue  # also avoids -inf - -inf
        given = fraction * total[x] - incoming[x]
        for y in range(n_states):
            out[y] = max(out[y], given + (scores[x, y] if transposed else scores[y, x]))
    return scale_log(out)


@kernel(borrows=True)
def _pass(g, sweep, upwards, scores, message, scratch, labels):
    """Visit the nodes of graph `g` in order (`upwards`) or in reverse, and send messages to those that come later.

    Upwards, nodes are labelled given the labels of their lower neighbours and the messages of the higher ones; returns
    the score of the labels. Downwards, totals are scaled to maximum 0; returns the sum of all maxima, which is a bound.
    """
    ptr, neighbour, edge, reverse, flipped = sweep.lists  # numba reads arrays faster from names than from records
    node, matrices, rows = scores
    order, n_states = sweep.order, node.shape[1]
    start, end = sweep.node_ptr[g], sweep.node_ptr[g + 1]
    total, given, result = scratch[0], scratch[1], 0.0
    for step in range(end - start):
        i = start + step if upwards else end - 1 - step
        first, stop = ptr[i], ptr[i + 1]
        if upwards:
            for x in range(n_states):
                given[x] = node[order[i], x]
            for s in range(first, stop):
                if neighbour[s] < i:
                    e, y = rows[edge[s]], labels[order[neighbour[s]]]
                    for x in range(n_states):
                        given[x] += matrices[e, y, x] if flipped[s] else matrices[e, x, y]
            for x in range(n_states):
                total[x] = given[x]
            for s in range(first, stop):
                if neighbour[s] > i:
                    for x in range(n_states):
                        total[x] += message[s, x]
            labels[order[i]] = first_largest(total)
            result += given[labels[order[i]]]
        for x in range(n_states):
            total[x] = node[order[i], x]
        n_later = 0
        for s in range(first, stop):
            n_later += (neighbour[s] > i) == upwards
            for x in range(n_states):
                total[x] += message[s, x]
        if not upwards:
            result += scale_log(total)
        fraction = 1.0 / max(n_later, stop - first - n_later, 1)
        for s in range(first, stop):
            if (neighbour[s] > i) == upwards:
                matrix = matrices[rows[edge[s]]]
                top = _send(fraction, total, message[s], matrix, not flipped[s], message[reverse[s]])
                if not upwards:
                    result += top
    return result


@kernel(borrows=True)
def improve_labels(graphs, floor, sweep, scores, message, scratch, found, best):
    """Replace the labels of each graph by better ones if found, and bound the score of all labellings.

    Nodes are visited in order, and each sends a fraction of its total to its higher neighbours; then in reverse order,
    to the lower ones [1]_. On the way back, each total and message is scaled to maximum 0. The sum of these maxima is a
    bound that never gets worse. Labels are chosen in each forward pass.

    Parameters
    ----------
    graphs : ndarray of int
        The graphs to work on.
    floor : ndarray of shape (n_graphs,)
        Labellings that score no more are of no interest: sweeps end when no better one is possible.
    sweep : Sweep
    scores : Scores
        As `less_maxima` returns them.
    message, scratch, found : ndarray of shape (n_slots, n_states), (2, n_states), (n_nodes,)
        Messages, which are 0, scratch space, and the labels in `best`, which are all overwritten. Python makes these
        arrays, because numba needs longer to compile an allocation than a loop.
    best : Labelling
        Overwritten: its scores increase, its bounds decrease.

    References
    ----------
    .. [1] V. Kolmogorov, "Convergent tree-reweighted message passing for energy minimization", *IEEE Trans. PAMI*
       28(10), 2006.
    """
    labels, score, bound = best
    for g in graphs:
        start, end = sweep.node_ptr[g], sweep.node_ptr[g + 1]
        idle = 0
        for _ in range(MAX_SWEEPS):
            found_score, new_bound = 0.0, 0.0
            for direction in range(2):
                upwards = direction == 0  # a variable, as numba compiles a function again for each literal
                result = _pass(g, sweep, upwards, scores, message, scratch, found)
                if upwards:
                    found_score = result
                else:
                    new_bound = result
            if new_bound == -np.inf:  # no labelling is allowed
                bound[g] = new_bound
                break
            least_gain = -GAIN * (score[g] if score[g] > -np.inf else new_bound)
            idle += 1
            if found_score > score[g]:
                if found_score > score[g] + least_gain:
                    idle = 0
                score[g] = found_score
                for i in range(start, end):
                    labels[sweep.order[i]] = found[sweep.order[i]]
            if new_bound < bound[g] - least_gain:
                idle = 0
            bound[g] = min(bound[g], new_bound)
            if score[g] > -np.inf and bound[g] - score[g] <= -OPTIMAL * score[g]:
                break
            if bound[g] <= floor[g] or idle >= PATIENCE:
                break
