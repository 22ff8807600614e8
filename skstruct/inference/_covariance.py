r"""Derivatives of the marginals of forests along a direction, by conditional expectations.

Let :math:`t(\hat y)` be the score of a labelling by the direction, and let the state of node `i` be `x`. Then
:math:`a_i(x)` is the expectation of the part of `t` that belongs to `i` and to the nodes and edges below `i`, and
:math:`o_i(x)` is the expectation of the rest. Conditional probabilities of neighbours give them, upwards and then
downwards:

.. math:: a_i(x) = t_i(x) + \sum_c u_c(x), \quad u_c(x) = \sum_y P(y_c = y \mid y_i = x) (t_{ic}(x, y) + a_c(y)),

.. math:: o_c(y) = \sum_x P(y_i = x \mid y_c = y) (t_{ic}(x, y) + a_i(x) + o_i(x) - u_c(x)).

Derivatives of probabilities are covariances of `t` with indicators, :math:`P(y_i = x) (a_i(x) + o_i(x) - E[t])` for a
node, and likewise for a pair. All numbers are averages of `t`: nothing can overflow, whatever the scores are.
"""

from typing import NamedTuple

import numpy as np

from skstruct.inference._rooted_forest import ROOT
from skstruct.kernels.jit import kernel
from skstruct.scores import Scores


class PairTables(NamedTuple):
    """Probabilities of pairs in factors: ``P(x, y)`` is in proportion to ``without[x] * table[x, y] * below[y]``.

    ``x`` is the state of the parent of the node at position ``p``, and ``y`` is the state of this node.
    """

    tables: Scores  # in the fields `edge`, as edges are listed, and `edge_matrix`
    below: np.ndarray  # (n_nodes, n_states), by position
    without: np.ndarray  # (n_nodes, n_states), by position


def derivatives_of(scores):
    """Room for derivatives: nan for nodes, which stays where a graph has no allowed labelling, and 0 for pairs."""
    return Scores(np.full_like(scores.node, np.nan), np.zeros_like(scores.edge))


@kernel(fastmath={"contract", "reassoc"})
def conditional_means(table, change, transposed, weight, value, mean, total):
    """``mean[x]`` of ``change[x, y] + value[y]`` with the weights ``table[x, y] * weight[y]``, whose sum is `total`.

    Where the sum is 0, the mean has no meaning, and is 0. `transposed` exchanges the axes of `table` and `change`.
    """
    n_states = len(weight)
    for x in range(n_states):
        total[x] = mean[x] = 0.0
    if transposed:
        for y in range(n_states):
            w, v = weight[y], value[y]
            for x in range(n_states):
                share = w * table[y, x]
                total[x] += share
                mean[x] += share * (change[y, x] + v)
    else:
        for x in range(n_states):
            sum_of_weights, sum_of_values = 0.0, 0.0
            for y in range(n_states):
                share = weight[y] * table[x, y]
                sum_of_weights += share
                sum_of_values += share * (change[x, y] + value[y])
            total[x], mean[x] = sum_of_weights, sum_of_values
    for x in range(n_states):
        mean[x] = mean[x] / total[x] if total[x] > 0.0 else 0.0


@kernel(fastmath={"contract", "reassoc"})
def add_covariances(table, change, before, after, first, second, factor, out):
    """Add ``factor * before[x] * table[x, y] * after[y] * (first[x] + change[x, y] + second[y])`` to `out`."""
    for x in range(len(before)):
        scale = factor * before[x]
        for y in range(len(before)):
            out[x, y] += scale * table[x, y] * after[y] * (first[x] + change[x, y] + second[y])


@kernel
def add_forest_covariances(rooted, graphs, node, pairs, direction, weights, mean, out):
    """Write derivatives for some graphs of a forest.

    Parameters
    ----------
    rooted : RootedForest
    graphs : ndarray
        Numbers of the graphs.
    node : ndarray of shape (n_nodes, n_states)
        Node marginals.
    pairs : PairTables
    direction : Scores
        Its `edge_matrix` is an array.
    weights : ndarray of shape (n_graphs,)
        Factors of the derivatives.
    mean : ndarray of shape (n_graphs,)
        Output: the derivative of the log-partition.
    out : Scores
        Output; derivatives of pair counts are added.
    """
    node_ptr, order, parent, parent_edge, flipped, _ = rooted
    change, rows, tables, n_states = direction.edge, direction.edge_matrix, pairs.tables, node.shape[1]
    longest = 0
    for g in graphs:
        longest = max(longest, node_ptr[g + 1] - node_ptr[g])
    inner, outer, sent = np.empty((3, longest, n_states))  # a, o - E[t] and u, by position in the graph
    rest, total = np.empty(n_states), np.empty(n_states)
    for g in graphs:
        start, end = node_ptr[g], node_ptr[g + 1]
        mean[g] = 0.0
        for p in range(start, end):
            for x in range(n_states):
                inner[p - start, x] = direction.node[order[p], x]
        for p in range(end - 1, start - 1, -1):
            q, e, i = parent[p], parent_edge[p], p - start
            if q != ROOT:
                table = tables.edge[tables.edge_matrix[e]]
                conditional_means(table, change[rows[e]], flipped[p], pairs.below[p], inner[i], sent[i], total)
                for x in range(n_states):
                    inner[q - start, x] += sent[i, x]
        for p in range(start, end):
            q, e, i = parent[p], parent_edge[p], p - start
            if q == ROOT:
                expected = 0.0
                for x in range(n_states):
                    expected += node[order[p], x] * inner[i, x]
                mean[g] += expected
                outer[i] = -expected
            else:
                table, moved = tables.edge[tables.edge_matrix[e]], change[rows[e]]
                for x in range(n_states):
                    rest[x] = inner[q - start, x] + outer[q - start, x] - sent[i, x]
                conditional_means(table, moved, not flipped[p], pairs.without[p], rest, outer[i], total)
                size = 0.0
                for y in range(n_states):
                    size += total[y] * pairs.below[p, y]
                factor, count = weights[g] / size, out.edge[rows[e]]
                if flipped[p]:
                    add_covariances(table, moved, pairs.below[p], pairs.without[p], inner[i], rest, factor, count)
                else:
                    add_covariances(table, moved, pairs.without[p], pairs.below[p], rest, inner[i], factor, count)
            for x in range(n_states):
                out.node[order[p], x] = weights[g] * node[order[p], x] * (inner[i, x] + outer[i, x])
