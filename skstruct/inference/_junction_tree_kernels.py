r"""Marginals of a junction tree by messages, in the scaled probability domain.

The table of a bucket is the product of the potentials of its node and of its edges, and of the messages of its
children. Its sum over the states of the node is the message to the parent. On the way back, a bucket receives the
marginals of its separator, the *belief*. The table times the belief, divided by the message, contains marginals.

Large tables are not stored. Between the two ways there are only messages and blocks (``_junction_tree_blocks.py``).
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from skstruct.inference._junction_tree_blocks import (
    add_block,
    add_counts,
    expand,
    extremes,
    fold,
    load_pair,
    make_room,
    multiply_block,
    place,
    sum_out,
    visit_blocks,
)
from skstruct.inference._message_passing import exponentiate
from skstruct.kernels.jit import kernel
from skstruct.kernels.simd import CACHE_LINE, prefetch

GROUP = 1 << 15  # entries of the messages of graphs that are processed together: they fit in the second-level cache
AHEAD = 1024  # entries between the table that is read and the one that is prefetched: a part of the first-level cache
ANY_LANES = (0,)  # for a primitive that uses no vector registers
SMALLEST_PRODUCT = 1e-300  # no product of potentials and messages may be smaller, unless it is 0


class _Potentials(NamedTuple):
    """Potentials of a group of graphs, the maxima that they leave out, and the smallest ones other than 0."""

    node: np.ndarray  # (nodes of the group, n_states)
    node_shift: np.ndarray
    node_low: np.ndarray
    edge: np.ndarray  # (n_matrices, n_states, n_states), from number `first_matrix` on
    edge_shift: np.ndarray
    edge_low: np.ndarray
    edge_matrix: np.ndarray  # (n_edges,)
    first_matrix: int


def propagate(buckets, scores, weights, out):
    """Messages to the roots and back: write marginals to `out`, and add pair counts.

    Each message is scaled to maximum 1, and all potentials are at most 1. So no product of a bucket's factors is
    smaller than the product of the smallest entry other than 0 of each factor. A graph is unsafe if this bound is too
    small for one of its buckets. Small graphs are processed in groups, whose potentials and messages stay in the cache.

    Parameters
    ----------
    buckets : Buckets
    scores : Scores
        Its `edge_matrix` is an array.
    weights : ndarray of shape (n_graphs,)
        Factors of pair counts.
    out : Marginals
        Output.

    Returns
    -------
    unsafe : ndarray of bool, (n_graphs,)
        Graphs that need the log domain.
    """
    ends, rows = buckets.message_ptr[buckets.node_ptr], scores.edge_matrix
    groups = [0]
    while groups[-1] < len(ends) - 1:
        groups.append(max(groups[-1] + 1, int(np.searchsorted(ends, ends[groups[-1]] + GROUP, side="right")) - 1))
    starts = buckets.node_ptr[groups]
    room, unsafe = make_room(buckets, starts, scores.node.shape[1]), np.zeros(len(ends) - 1, bool)
    has_own = len(rows) == len(scores.edge) and bool((np.diff(rows) == 1).all())  # each edge its matrix, in their order
    shared = None if has_own else exponentiate(scores.edge)
    for (first, last), (start, stop) in zip(pairwise(groups), pairwise(starts)):
        edges = slice(*buckets.edge_ptr[[start, stop]].tolist())
        node, node_shift, node_low = exponentiate(scores.node[start:stop])
        edge, edge_shift, edge_low = shared or exponentiate(scores.edge[edges])
        first_matrix = edges.start if has_own else 0
        potentials = _Potentials(node, node_shift, node_low, edge, edge_shift, edge_low, rows, first_matrix)
        _collect(first, last, buckets, potentials, room, out.log_partition, unsafe)
        _distribute(first, last, buckets, potentials, weights, room, out, unsafe)
    return unsafe


@kernel(fastmath={"contract"})
def _collect(first, last, buckets, potentials, room, log_partition, unsafe):
    """Send the messages of the graphs ``first:last``, write their log-partitions, and find unsafe ones."""
    node_ptr, order, ptr, _, up_axis, _, child_ptr, child, top_axis = buckets[:9]
    edge_ptr, edge, edge_axis, flipped, power, n_inner, message_ptr, table_ptr = buckets[9:17]
    table, message, _, top, low, pair, has_edge, stride, index = room[:9]
    node, node_shift, node_low, matrices, edge_shift, edge_low, rows, first_matrix = potentials
    bits, top_bits, low_bits = message.view(np.uint64), top.view(np.uint64), low.view(np.uint64)
    start, n_states, row, down = node_ptr[first], node.shape[1], np.int64(0), np.bool_(False)
    for g in range(first, last):
        log_z = 0.0
        for p in range(node_ptr[g], node_ptr[g + 1]):
            if unsafe[g] or log_z == -np.inf:
                break
            length, at, to = power[n_inner[p]], table_ptr[p] - table_ptr[start], message_ptr[p] - message_ptr[start]
            size, next_child, last_child = message_ptr[p + 1] - message_ptr[p], child_ptr[p], child_ptr[p + 1]
            v = order[p] - start
            log_z += node_shift[v]
            bound = node_low[v]
            for x in range(n_states):
                table[at + x * length] = node[v, x]
            for axis in range(ptr[p + 1] - ptr[p]):
                has_edge[axis] = False
            for k in range(edge_ptr[p], edge_ptr[p + 1]):
                axis, number = edge_axis[k], rows[edge[k]] - first_matrix
                has_edge[axis] = True
                log_z += edge_shift[number]
                bound *= edge_low[number]
                load_pair(matrices, number, flipped[k], pair, axis)
            for k in range(next_child, last_child):
                bound *= low[child[k] - start]
            if bound < SMALLEST_PRODUCT:
                unsafe[g] = True
                break
            for axis in range(n_inner[p] + 1):
                if axis:
                    expand(table, at, length, power[axis - 1], pair, axis, has_edge[axis])
                while next_child < last_child and top_axis[child[next_child]] == axis:
                    c = child[next_child]
                    own, run = place(c, ptr, up_axis, axis, power, stride, index, row)
                    for x in range(n_states):
                        other = message_ptr[c] - message_ptr[start] + x * own
                        multiply_block(table, at + x * length, power[axis], message, other, index, row, run)
                    next_child += 1
            if length == size:
                sum_out(table, at, length, n_states, message, to)
            else:
                visit_blocks(p, start, next_child, buckets, room, down)
            i = p - start
            top_bits[i], low_bits[i] = extremes(bits, to, to + size)
            log_z += np.log(top[i])
            inverse = 1.0 / top[i]
            low[i] *= inverse
            for k in range(to, to + size):
                message[np.uint64(k)] *= inverse
        log_partition[g] = log_z


@kernel(fastmath={"contract", "reassoc"})
def _distribute(first, last, buckets, potentials, weights, room, out, unsafe):
    """Marginals of the graphs ``first:last`` from their messages."""
    node_ptr, order, ptr, _, up_axis, parent, child_ptr, child, top_axis = buckets[:9]
    edge_ptr, edge, edge_axis, flipped, power, n_inner, message_ptr, table_ptr, belief_ptr = buckets[9:18]
    table, message, belief, top, _, pair, has_edge, stride, index = room[:9]
    node, counts, rows = out.node, out.edge, potentials.edge_matrix
    start, n_states, row, down = node_ptr[first], node.shape[1], np.int64(0), np.bool_(True)
    for g in range(first, last):
        if unsafe[g]:
            continue
        if out.log_partition[g] == -np.inf:
            for p in range(node_ptr[g], node_ptr[g + 1]):
                node[order[p]] = np.nan
            continue
        for p in range(node_ptr[g + 1] - 1, node_ptr[g] - 1, -1):
            length, at, to = power[n_inner[p]], table_ptr[p] - table_ptr[start], message_ptr[p] - message_ptr[start]
            size, source = message_ptr[p + 1] - message_ptr[p], belief_ptr[p]
            first_child, next_child = child_ptr[p], child_ptr[p + 1]
            if parent[p] < 0:
                belief[source] = 1.0
            total = 0.0
            for k in range(size):
                total += belief[np.uint64(source + k)]
            total *= top[p - start]
            for k in range(size):
                value = belief[np.uint64(source + k)]
                ratio = value / (message[np.uint64(to + k)] * total)
                message[np.uint64(to + k)] = ratio if value > 0.0 else 0.0
            for k in range(first_child, next_child):
                c = child[k]
                for j in range(belief_ptr[c], belief_ptr[c] + message_ptr[c + 1] - message_ptr[c]):
                    belief[np.uint64(j)] = 0.0
            for axis in range(ptr[p + 1] - ptr[p]):
                has_edge[axis] = False
            for k in range(edge_ptr[p], edge_ptr[p + 1]):
                has_edge[edge_axis[k]] = True
            # tables are read from the last to the first, which processors do not expect
            for k in range(max(at - AHEAD, 0), max(at - AHEAD + n_states * length, 0), CACHE_LINE // 8):
                prefetch(table, k, ANY_LANES)
            if length == size:
                for x in range(n_states):
                    begin = at + x * length
                    for k in range(length):
                        table[np.uint64(begin + k)] *= message[np.uint64(to + k)]
            else:
                while next_child > first_child and top_axis[child[next_child - 1]] > n_inner[p]:
                    next_child -= 1
                for k in range(edge_ptr[p], edge_ptr[p + 1]):
                    number = rows[edge[k]] - potentials.first_matrix
                    load_pair(potentials.edge, number, flipped[k], pair, edge_axis[k])
                visit_blocks(p, start, next_child, buckets, room, down)
            for axis in range(n_inner[p], -1, -1):
                while next_child > first_child and top_axis[child[next_child - 1]] == axis:
                    next_child -= 1
                    c = child[next_child]
                    own, run = place(c, ptr, up_axis, axis, power, stride, index, row)
                    for x in range(n_states):
                        other = belief_ptr[c] + x * own
                        add_block(table, at + x * length, power[axis], belief, other, index, row, run)
                if axis:
                    fold(table, at, length, power[axis - 1], pair, axis, has_edge[axis])
            total = 0.0
            for x in range(n_states):
                total += table[at + x * length]
            for x in range(n_states):  # the total differs from 1 by rounding, about 1e-16
                node[order[p], x] = table[at + x * length] / total
            for k in range(edge_ptr[p], edge_ptr[p + 1]):
                add_counts(counts, rows[edge[k]], flipped[k], weights[g], pair, edge_axis[k])
