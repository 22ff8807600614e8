"""Elimination of nodes with one or two neighbours, which is best wherever it eliminates the whole graph.

A graph whose nodes can all be eliminated in this way has a width of at most 2, and no order has a smaller width.
Neighbour lists never grow, so that the time is linear in the number of nodes and edges.
"""

from typing import NamedTuple

import numpy as np

from skstruct.kernels.jit import kernel

GONE = -1  # instead of a degree or a number


class Rest(NamedTuple):
    """Neighbour lists of a graph from which nodes are removed; nodes and slots are counted from 0 within the graph."""

    first: np.ndarray  # (n_nodes,) first slot of each node
    degree: np.ndarray  # (n_nodes,) number of its slots that are in use; GONE if it has been removed
    neighbour: np.ndarray  # (n_slots,)
    reverse: np.ndarray  # (n_slots,) slot of the same edge at the other end


@kernel
def remaining_graph(lists, start, stop):
    """Copy the neighbour lists of one graph of a batch."""
    n, slot = stop - start, lists.ptr[start]
    n_slots = lists.ptr[stop] - slot
    rest = Rest(np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n_slots, np.int32), np.empty(n_slots, np.int32))
    for i in range(n):
        rest.first[i] = lists.ptr[start + i] - slot
        rest.degree[i] = lists.ptr[start + i + 1] - lists.ptr[start + i]
    for s in range(n_slots):
        rest.neighbour[s] = lists.neighbour[slot + s] - start
        rest.reverse[s] = lists.reverse[slot + s] - slot
    return rest


@kernel
def _swap(rest, s, t):
    """Exchange two slots of a node."""
    neighbour, reverse = rest.neighbour, rest.reverse
    neighbour[s], neighbour[t] = neighbour[t], neighbour[s]
    reverse[s], reverse[t] = reverse[t], reverse[s]
    reverse[reverse[s]], reverse[reverse[t]] = s, t


@kernel
def _remove_slot(rest, i, s):
    """Remove a slot of node `i`, whose last slot takes its place."""
    rest.degree[i] -= 1
    last = rest.first[i] + rest.degree[i]
    if s != last:
        _swap(rest, s, last)


@kernel
def _are_linked(rest, a, b):
    """Whether two nodes are neighbours.

    The slot found moves to the front. Thus a search for an edge that was found before costs at most one step for each
    such edge, also where many nodes have the same two neighbours of high degree.
    """
    if rest.degree[b] < rest.degree[a]:
        a, b = b, a
    first = rest.first[a]
    for s in range(first, first + rest.degree[a]):
        if rest.neighbour[s] == b:
            if s != first:
                _swap(rest, first, s)
            return True
    return False


@kernel
def mixed(number):
    """Scramble a number to 63 random bits (the finaliser of MurmurHash3)."""
    z = np.uint64(number)
    z = (z ^ (z >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    z = (z ^ (z >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return np.int64((z ^ (z >> np.uint64(33))) >> np.uint64(1))


@kernel
def _count_bridges(rest):
    """Count the edges of each node that are on no cycle.

    In a spanning forest, an edge to a parent is on a cycle if another edge leaves the subtree. Each edge outside of the
    forest has a random number at both ends, and the numbers of a subtree cancel if no such edge leaves it.
    """
    first, degree, neighbour, reverse = rest
    n = len(degree)
    number, parent, found = np.zeros(n, np.int64), np.full(n, GONE, np.int32), np.zeros(n, np.int32)
    queue, seen = np.empty(n, np.int32), np.zeros(n, np.bool_)
    head, tail = 0, 0
    for root in range(n):
        if not seen[root]:
            seen[root] = True
            queue[tail] = root
            tail += 1
        while head < tail:
            i = queue[head]
            head += 1
            for s in range(first[i], first[i] + degree[i]):
                j = neighbour[s]
                if not seen[j]:
                    seen[j] = True
                    parent[j], queue[tail] = i, j
                    tail += 1
                elif j != parent[i]:
                    number[i] ^= mixed(1 + min(s, reverse[s]))
    for p in range(n - 1, -1, -1):
        i, j = queue[p], parent[queue[p]]
        if j != GONE:
            number[j] ^= number[i]
            if number[i] == 0:
                found[i] += 1
                found[j] += 1
    return found


@kernel
def eliminate_small_degrees(rest, most, order, size):
    """Eliminate nodes with at most `most` neighbours (1 or 2) as long as there are any; those with one neighbour first.

    A node between two bridges waits until it has one neighbour. Writes the nodes, and the sizes of their buckets, to
    the front of `order` and `size`, and returns their number.
    """
    first, degree, neighbour, reverse = rest
    n = len(degree)
    bridges = _count_bridges(rest) if most == 2 else np.zeros(n, np.int32)
    leaves, middles = np.empty(n, np.int32), np.empty(n, np.int32)  # queues; a node enters each of them once at most
    n_leaves, n_middles, next_leaf, next_middle, done = 0, 0, 0, 0, 0
    for i in range(n):
        if degree[i] <= 1:
            leaves[n_leaves] = i
            n_leaves += 1
        elif degree[i] <= most and not bridges[i]:
            middles[n_middles] = i
            n_middles += 1
    while next_leaf < n_leaves or next_middle < n_middles:
        if next_leaf < n_leaves:
            v = leaves[next_leaf]
            next_leaf += 1
        else:
            v = middles[next_middle]
            next_middle += 1
            if degree[v] != 2:
                continue
        k, s = degree[v], first[v]
        order[done], size[done] = v, k + 1
        done += 1
        degree[v] = GONE
        if k == 2 and not _are_linked(rest, neighbour[s], neighbour[s + 1]):
            r, t = reverse[s], reverse[s + 1]
            neighbour[r], neighbour[t], reverse[r], reverse[t] = neighbour[s + 1], neighbour[s], t, r
            continue
        for x in range(s, s + k):
            a = neighbour[x]
            _remove_slot(rest, a, reverse[x])
            bridges[a] -= k == 1 and bridges[v] > 0
            if degree[a] == 1:
                leaves[n_leaves] = a
                n_leaves += 1
            elif degree[a] == most and not bridges[a]:
                middles[n_middles] = a
                n_middles += 1
    return done


@kernel
def neighbours_of_rest(rest, nodes):
    """Neighbour lists of the nodes that were not removed, numbered from 0 in their order, which `nodes` receives."""
    n, n_core, n_slots = len(rest.degree), 0, 0
    number = np.full(n, GONE, np.int32)
    for i in range(n):
        if rest.degree[i] != GONE:
            nodes[n_core], number[i] = i, n_core
            n_core += 1
            n_slots += rest.degree[i]
    ptr, neighbour = np.zeros(n_core + 1, np.int64), np.empty(n_slots, np.int32)
    for a in range(n_core):
        ptr[a + 1] = ptr[a] + rest.degree[nodes[a]]
    end = ptr[:-1].copy()
    for b in range(n_core):  # the slots of a node are not sorted, but those that are written here are
        i = nodes[b]
        for s in range(rest.first[i], rest.first[i] + rest.degree[i]):
            a = number[rest.neighbour[s]]
            neighbour[end[a]] = b
            end[a] += 1
    return ptr, neighbour
