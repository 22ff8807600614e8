"""Sequential tree-reweighted max-product: good labellings of graphs with cycles, with an upper bound."""

import numpy as np

from skstruct.kernels.jit import kernel
from skstruct.scores import OPTIMAL

MAX_SWEEPS = 200
PATIENCE = 20  # sweeps without a better bound or labelling, by more than GAIN of the loss
GAIN = 1e-6


@kernel
def _receive(i, order, ptr, message, node, total):
    total[:] = node[order[i]]
    for s in range(ptr[i], ptr[i + 1]):
        for x in range(len(total)):
            total[x] += message[s, x]


@kernel
def _send(share, total, slot, reverse, flipped, scores, message):
    """Max-product along one edge of a share of the sender's total, less what came along it; returns its maximum."""
    n_states = len(total)
    incoming, out = message[slot], message[reverse[slot]]
    out[:] = -np.inf
    for x in range(n_states):
        if total[x] == -np.inf:
            continue  # also keeps -inf - -inf away
        mine = share * total[x] - incoming[x]
        for y in range(n_states):
            out[y] = max(out[y], mine + (scores[y, x] if flipped[slot] else scores[x, y]))
    top = out.max()
    if top > -np.inf:
        for y in range(n_states):
            out[y] -= top
    return top


@kernel
def _choose(i, order, ptr, neighbour, edges, flipped, node, edge, rows, message, labels, total):
    """Label node `i` given the labels of its lower neighbours and the messages of the others; add up the score."""
    score = node[order[i]].copy()
    for s in range(ptr[i], ptr[i + 1]):
        if neighbour[s] < i:
            e, y = rows[edges[s]], labels[order[neighbour[s]]]
            for x in range(len(score)):
                score[x] += edge[e, y, x] if flipped[s] else edge[e, x, y]
    total[:] = score
    for s in range(ptr[i], ptr[i + 1]):
        if neighbour[s] > i:
            for x in range(len(score)):
                total[x] += message[s, x]
    best = np.argmax(total)
    labels[order[i]] = best
    return score[best]


@kernel
def improve_labels(graphs, floor, node_ptr, order, ptr, neighbour, edges, reverse, flipped, node, edge, rows,
                   labels, score, bound):  # fmt: skip
    """Replace the labels of each graph by better ones if found, and bound the score of all labellings.

    V. Kolmogorov, "Convergent tree-reweighted message passing for energy minimization", *IEEE Trans. PAMI* 28(10),
    2006: nodes in order, each sending a share of its total to its higher neighbours, then in reverse to the lower
    ones; the maxima taken out on the way back add up to a bound that never gets worse. Labels are read off in each
    forward pass.

    Parameters
    ----------
    graphs : ndarray of int
        The graphs to work on.
    floor : ndarray of shape (n_graphs,)
        Labellings that score no more are of no interest: sweeps end when no better one is possible.
    node_ptr, order, ptr, neighbour, edges, reverse, flipped
        Index arrays of the plan, see `Adjacency`.
    node, edge, rows
        Scores by `less_maxima`, and the row of `edge` that each edge uses.
    labels, score, bound : ndarray of shape (n_nodes,), (n_graphs,), (n_graphs,)
        Overwritten: `score` goes up, `bound` down.
    """
    n_states = node.shape[1]
    message = np.zeros((len(neighbour), n_states))
    total = np.empty(n_states)
    found = labels.copy()
    for g in graphs:
        start, end = node_ptr[g], node_ptr[g + 1]
        idle = 0
        for _ in range(MAX_SWEEPS):
            found_score = 0.0
            for i in range(start, end):
                found_score += _choose(
                    i, order, ptr, neighbour, edges, flipped, node, edge, rows, message, found, total
                )
                _receive(i, order, ptr, message, node, total)
                higher = 0
                for s in range(ptr[i], ptr[i + 1]):
                    higher += neighbour[s] > i
                share = 1.0 / max(higher, ptr[i + 1] - ptr[i] - higher, 1)
                for s in range(ptr[i], ptr[i + 1]):
                    if neighbour[s] > i:
                        _send(share, total, s, reverse, flipped, edge[rows[edges[s]]], message)
            new_bound = 0.0
            for i in range(end - 1, start - 1, -1):
                _receive(i, order, ptr, message, node, total)
                top = total.max()
                new_bound += top
                if top > -np.inf:
                    for x in range(n_states):
                        total[x] -= top
                lower = 0
                for s in range(ptr[i], ptr[i + 1]):
                    lower += neighbour[s] < i
                share = 1.0 / max(lower, ptr[i + 1] - ptr[i] - lower, 1)
                for s in range(ptr[i], ptr[i + 1]):
                    if neighbour[s] < i:
                        new_bound += _send(share, total, s, reverse, flipped, edge[rows[edges[s]]], message)
            if new_bound == -np.inf:  # nothing is allowed
                bound[g] = new_bound
                break
            least_gain = -GAIN * (score[g] if score[g] > -np.inf else new_bound)
            idle += 1
            if found_score > score[g]:
                if found_score > score[g] + least_gain:
                    idle = 0
                score[g] = found_score
                for i in range(start, end):
                    labels[order[i]] = found[order[i]]
            if new_bound < bound[g] - least_gain:
                idle = 0
            bound[g] = min(bound[g], new_bound)
            if score[g] > -np.inf and bound[g] - score[g] <= -OPTIMAL * score[g]:
                break
            if bound[g] <= floor[g] or idle >= PATIENCE:
                break
