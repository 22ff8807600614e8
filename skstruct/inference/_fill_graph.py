"""Greedy elimination on an explicit fill graph.

Eliminating a node joins its neighbours. The edges of the fill graph are in a hash set, and each node has a linked list
of its neighbours, from which eliminated nodes are removed when a scan meets them. Numbers of missing edges are kept
exact, so that a step of min-fill costs as much as the edges that the step adds, and no step visits all nodes. With
tables of bounded size all orders need near-linear time, also on graphs with hubs.
"""

import numpy as np

from skstruct.inference._heap import make_heap, remove_first, sift
from skstruct.kernels.jit import kernel

MIN_FILL, MIN_DEGREE, GIVEN = range(3)


@kernel
def _place_of(table, edge):
    """Place of an edge in the hash set, or the free place where it belongs."""
    mask = len(table) - 1
    scattered = np.uint64(edge) * np.uint64(0x9E3779B97F4A7C15)  # Fibonacci hashing: the high bits are well mixed
    place = np.int64(scattered >> np.uint64(32)) & mask
    while table[place] >= 0 and table[place] != edge:
        place = (place + 1) & mask
    return place


@kernel
def _edge(a, b, n_nodes):
    """Return an edge as one number."""
    return np.int64(a) * n_nodes + b if a < b else np.int64(b) * n_nodes + a


@kernel
def _twice_as_large(table):
    larger = np.full(2 * len(table), -1, np.int64)
    for edge in table:
        if edge >= 0:
            larger[_place_of(larger, edge)] = edge
    return larger


@kernel
def _twice_as_long(values):
    longer = np.empty(2 * len(values), np.int32)
    for x in range(len(values)):  # numba takes a second to compile an assignment of slices
        longer[x] = values[x]
    return longer


@kernel
def _count_missing(ptr, neighbour, table, missing):
    """Edges that are missing between the neighbours of each node; a triangle is found from its smaller degrees."""
    n = len(missing)
    for a in range(n):
        degree = ptr[a + 1] - ptr[a]
        missing[a] += degree * (degree - 1) // 2
        for s in range(ptr[a], ptr[a + 1]):
            b = neighbour[s]
            other = ptr[b + 1] - ptr[b]
            if degree < other or (degree == other and a < b):
                for t in range(ptr[a], ptr[a + 1]):
                    c = neighbour[t]
                    if c != b and table[_place_of(table, _edge(b, c, n))] >= 0:
                        missing[c] -= 1


@kernel
def eliminate_greedily(ptr, neighbour, heuristic, tie, n_states, limit, order, size):
    """Eliminate one node after the other, each time a node of the smallest cost.

    Parameters
    ----------
    ptr, neighbour : ndarray
        Neighbour lists of a simple graph.
    heuristic : int
        What the cost of a node is. `MIN_FILL`: the number of edges that its elimination adds. `MIN_DEGREE`: its degree.
        `GIVEN`: 0, so that `tie` decides.
    tie : ndarray of shape (n_nodes,), int64
        Of two nodes of the same cost the one with the smaller number is eliminated first.
    n_states : int
    limit : float
    order, size : ndarray of shape (n_nodes,)
        Output: nodes by position, and the sizes of their buckets.

    Returns
    -------
    entries : float
        Sum of all tables' sizes; inf as soon as the sum exceeds `limit`.
    work : int
        Number of steps, for comparison with `entries`.
    """
    n = len(ptr) - 1
    n_edges, n_items = ptr[n] // 2, ptr[n]
    capacity = 16
    while capacity < 4 * n_edges:
        capacity *= 2
    table = np.full(capacity, -1, np.int64)
    item, after = np.empty(n_items + 16, np.int32), np.empty(n_items + 16, np.int32)  # of the linked lists
    head, alive, degree = np.full(n, -1, np.int32), np.ones(n, np.bool_), np.empty(n, np.int64)
    for a in range(n):
        degree[a] = ptr[a + 1] - ptr[a]
        for s in range(ptr[a], ptr[a + 1]):
            b = neighbour[s]
            item[s], after[s], head[a] = b, head[a], s
            if a < b:
                edge = _edge(a, b, n)
                table[_place_of(table, edge)] = edge
    missing = np.zeros(n, np.int64)
    if heuristic == MIN_FILL:
        _count_missing(ptr, neighbour, table, missing)
    cost = np.zeros(n, np.int64)
    for a in range(n):
        if heuristic != GIVEN:
            cost[a] = missing[a] if heuristic == MIN_FILL else degree[a]
    heap = make_heap(cost, tie)
    near = np.empty(64, np.int32)
    entries, work = 0.0, 10 * n  # a node in the heap costs about as much as ten steps
    for done in range(n):
        v, n_heap = remove_first(heap, n - done), n - 1 - done
        alive[v] = False
        k = degree[v]
        entries += float(n_states) ** (k + 1)
        if entries > limit:
            return np.inf, work
        order[done], size[done] = v, k + 1
        work += k * k
        if k > len(near):
            near = np.empty(2 * k, np.int32)
        x, s = 0, head[v]
        while s >= 0:
            if alive[item[s]]:
                near[x] = item[s]
                x += 1
            s = after[s]
        for x in range(k):
            for y in range(x):
                a, b = near[x], near[y]
                edge = _edge(a, b, n)
                if table[_place_of(table, edge)] == edge:
                    continue
                if heuristic == MIN_FILL:
                    if degree[b] < degree[a]:
                        a, b = b, a
                    common, previous, s = 1, -1, head[a]  # `v` is still counted in the degrees
                    while s >= 0:
                        c = item[s]
                        if alive[c]:
                            if table[_place_of(table, _edge(b, c, n))] >= 0:
                                common += 1
                                missing[c] -= 1
                                cost[c] = missing[c]
                                sift(heap, n_heap, np.int64(heap.place[c]))
                            previous = s
                        elif previous >= 0:
                            after[previous] = after[s]
                        else:
                            head[a] = after[s]
                        work += 1
                        s = after[s]
                    missing[a] += degree[a] - common
                    missing[b] += degree[b] - common
                n_edges += 1
                if 2 * n_edges > len(table):
                    table = _twice_as_large(table)
                table[_place_of(table, edge)] = edge
                if n_items + 2 > len(item):
                    item, after = _twice_as_long(item), _twice_as_long(after)
                item[n_items], after[n_items], head[a] = b, head[a], n_items
                item[n_items + 1], after[n_items + 1], head[b] = a, head[b], n_items + 1
                n_items += 2
                degree[a] += 1
                degree[b] += 1
        for x in range(k):
            a = near[x]
            missing[a] -= degree[a] - k
            degree[a] -= 1
            if heuristic != GIVEN:
                cost[a] = missing[a] if heuristic == MIN_FILL else degree[a]
                sift(heap, n_heap, np.int64(heap.place[a]))
    return entries, work
