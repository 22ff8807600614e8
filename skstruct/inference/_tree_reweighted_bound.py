"""The bound of tree-reweighted belief propagation at any messages, and its derivative, for three states and more.

Let ``b_i`` be the belief of node `i`, ``m_s`` the message to it along slot `s`, and ``psi`` the potential of the edge,
as in ``_tree_reweighted_kernels.py``.

The bound eliminates the nodes in an order, the last node first. A node has the weight `share` for each earlier
neighbour, and the rest of 1 for itself. By Hoelder's inequality, for any messages,

    sum_x prod_s (b_i / m_s psi)(x, y_s) ** share * b_i(x) ** rest
        <= prod_s (sum_x (b_i / m_s psi)(x, y_s)) ** share * (sum_x b_i(x)) ** rest.

The right side is a product of messages to the earlier neighbours, and its constants are factors of the bound. With
several orders, scores are split such that the shares of an order replace the weights, and the bounds of the orders are
averaged. The derivative of the bound for fixed messages is one pass from the first node to the last.

A complete graph has the mean of the bounds of its stars. All nodes but the centre are eliminated, which sends each
message once more, from the same beliefs. With the belief of the centre, the ratios of the new messages to the former
ones are the belief in its star.
"""

import numpy as np

from skstruct.kernels.jit import kernel
from skstruct.kernels.messages import add_pair, send_any
from skstruct.kernels.powers import add_normalized, divide_row, log_row, rooted_belief, weighted_belief, weighted_sum
from skstruct.kernels.simd import exp_row

REST = 1e-9  # a smaller rest of the shares of a node is rounding


@kernel(borrows=True)
def pass_down(graph, matrices, order, place, share, settled, rooted, lanes):
    """Eliminate the nodes, the last one first: log of the bound. Fills the graph's beliefs, and overwrites messages.

    The messages to earlier nodes become the ones that the pass sends; their logarithms become the means of these,
    weighted by the shares, and of the ones in `settled`.
    """
    bounds, ends, rho, number, form, node, potential, message, log_message, belief, _, cavity, _ = graph
    psi, n_states, bound = matrices.potential, message.shape[1], 0.0
    for step in range(len(order) - 1, -1, -1):
        i = np.int64(order[step])
        begin, stop = np.int64(bounds[i, 0]), np.int64(bounds[i, 2])
        peak, rest = 0.0, 1.0
        if rooted:
            rooted_belief(potential, i, message, begin, stop, rho, belief, lanes)
        else:
            peak = weighted_belief(node, i, log_message, begin, stop, rho, belief, lanes)
        for s in range(begin, stop):
            if place[ends[s, 1]] > step:
                continue
            r = np.int64(ends[s, 0])
            divide_row(belief, i, message, s, cavity, 0, lanes)
            top, _ = send_any(message, r, cavity, 0, psi, number[s], form[s], lanes)
            bound += share[step] * (peak + np.log(top))
            rest -= share[step]
            if not rooted:
                log_row(message, r, log_message, r, lanes)
                part = share[step] / rho[s]
                if part != 1.0:
                    for x in range(n_states):
                        log_message[r, x] = settled[r, x] + part * (log_message[r, x] - settled[r, x])
        if abs(rest) > REST:
            total = 0.0
            for x in range(n_states):
                total += belief[i, x]
            bound += rest * (peak + np.log(total))
    return bound


@kernel(borrows=True)
def pass_to_centres(graph, matrices, sent, log_sent, marginals, lanes):
    """Eliminate the leaves of all stars: mean of the logs of the bounds, and the marginals of the centres.

    Fills the graph's beliefs, and the messages that the leaves send; overwrites the potentials of the nodes.
    """
    bounds, ends, rho, number, form, node, total, message, log_message, belief, _, cavity, _ = graph
    n_nodes, n_states, bound = len(bounds), message.shape[1], 0.0
    for i in range(n_nodes):
        begin, stop = np.int64(bounds[i, 0]), np.int64(bounds[i, 2])
        weighted_sum(node, i, log_message, begin, stop, rho, total, lanes)
    for i in range(n_nodes):
        begin, stop = np.int64(bounds[i, 0]), np.int64(bounds[i, 2])
        peak = weighted_belief(node, i, log_message, begin, stop, rho, belief, lanes)
        for s in range(begin, stop):
            r, j = np.int64(ends[s, 0]), np.int64(ends[s, 1])
            divide_row(belief, i, message, s, cavity, 0, lanes)
            top, _ = send_any(sent, r, cavity, 0, matrices.potential, number[s], form[s], lanes)
            log_row(sent, r, log_sent, r, lanes)
            bound += peak + np.log(top)
            for x in range(n_states):
                total[j, x] += log_sent[r, x] - log_message[r, x]
    for i in range(n_nodes):
        top, _ = exp_row(total, i, marginals, i, lanes)
        norm = 0.0
        for x in range(n_states):
            norm += marginals[i, x]
        for x in range(n_states):
            marginals[i, x] /= norm
        bound += top + np.log(norm)
    return bound / n_nodes


@kernel(borrows=True)
def pass_up(
    graph, matrices, flipped, sent, centres, star, order, place, share, weight, fraction, keep, marginals, counts, lanes
):
    """Derivative of the bound, the first node first: node marginals, and pair counts that are added.

    Parameters
    ----------
    sent : ndarray of shape (> n_slots, n_states)
        Messages that the elimination has sent. The last row is scratch space.
    centres : ndarray of shape (>= n_nodes, n_states)
        For stars, the marginals of the centres.
    star : bool
        Whether each node picks all other nodes, and itself, with the same probability. All places must be -1.
    weight : float
        Factor of the pair counts.
    fraction : float
        Fraction of the order in the mean.
    keep : float
        Factor of the counts so far.
    """
    bounds, ends, rho, number, form, _, _, message, _, belief, _, cavity, _ = graph
    psi, n_states, n_matrices, spare = matrices.potential, message.shape[1], len(counts), len(sent) - 1
    picked, unpicked = (centres, centres) if star else (marginals, belief)
    for step in range(len(order)):
        i = np.int64(order[step])
        begin, stop, earlier = np.int64(bounds[i, 0]), np.int64(bounds[i, 2]), 0
        for s in range(begin, stop):
            earlier += place[ends[s, 1]] < step
        pick = min(share[step], 1.0 / max(earlier, 1))  # less than the share if weights are no probabilities
        total = 0.0
        for x in range(n_states):
            total += unpicked[i, x]
        for x in range(n_states):
            marginals[i, x] = (1.0 - earlier * pick) * unpicked[i, x] / total if earlier * pick < 1.0 - REST else 0.0
        for s in range(begin, stop):
            if place[ends[s, 1]] > step:
                continue
            r, j = np.int64(ends[s, 0]), np.int64(ends[s, 1])
            divide_row(belief, i, message, s, cavity, 0, lanes)
            divide_row(picked, j, sent, r, cavity, 1, lanes)
            divide_row(picked, j, sent, r, cavity, 2, lanes)  # again, as sending may overwrite the row
            top, _ = send_any(sent, spare, cavity, 2, psi, number[r], form[r], lanes)
            total = add_normalized(sent, spare, cavity, 0, pick, marginals, i, lanes)
            factor = weight * fraction * share[step] / (rho[s] * top * total)
            first, row = np.int64(flipped[s]), number[s] % n_matrices
            add_pair(cavity, first, 1 - first, psi, row, factor, keep, counts, row, lanes)
