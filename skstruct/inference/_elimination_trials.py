"""Elimination orders of the graphs of a batch: the cheapest of several trials for each graph."""

import numpy as np

from skstruct.inference._elimination_reductions import (
    eliminate_small_degrees,
    mixed,
    neighbours_of_rest,
    remaining_graph,
)
from skstruct.inference._fill_graph import GIVEN, MIN_DEGREE, MIN_FILL, eliminate_greedily
from skstruct.kernels.jit import kernel


@kernel
def _search(ptr, neighbour, source, seen, queue):
    """Breadth-first search; the number of nodes that it writes to `queue`."""
    queue[0] = source
    seen[source] = True
    head, tail = 0, 1
    while head < tail:
        for s in range(ptr[queue[head]], ptr[queue[head] + 1]):
            b = neighbour[s]
            if not seen[b]:
                seen[b] = True
                queue[tail] = b
                tail += 1
        head += 1
    return tail


@kernel
def _breadth_first_numbers(ptr, neighbour):
    """Number nodes breadth first, each component from the node that a first search reaches last, (n_nodes,)."""
    n = len(ptr) - 1
    number, queue, seen = np.empty(n, np.int64), np.empty(n, np.int32), np.zeros(n, np.bool_)
    counted = 0
    for first in range(n):
        if seen[first]:
            continue
        reached = _search(ptr, neighbour, first, seen, queue)
        for x in range(reached):
            seen[queue[x]] = False
        _search(ptr, neighbour, np.int64(queue[reached - 1]), seen, queue)
        for x in range(reached):
            number[queue[x]] = counted
            counted += 1
    return number


@kernel
def _ties(n_nodes, trial):
    """Numbers that break ties between nodes, (n_nodes,): rising, or from the third trial on random ones."""
    tie = np.empty(n_nodes, np.int64)
    for a in range(n_nodes):
        tie[a] = a if trial < GIVEN else mixed(trial * n_nodes + a)
    return tie


@kernel
def _degeneracy(ptr, neighbour):
    """Largest smallest degree of all subgraphs: a lower bound of the treewidth, in linear time [1]_.

    Nodes are sorted by their degrees, and a node of smallest degree is removed from the graph at each step.

    .. [1] V. Batagelj, M. Zaversnik, "An O(m) algorithm for cores decomposition of networks", 2003.
    """
    n = len(ptr) - 1
    degree, start = np.empty(n, np.int64), np.zeros(n + 1, np.int64)  # start of each degree in `node`
    node, place = np.empty(n, np.int64), np.empty(n, np.int64)
    for a in range(n):
        degree[a] = ptr[a + 1] - ptr[a]
        start[degree[a] + 1] += 1
    for d in range(n):
        start[d + 1] += start[d]
    for a in range(n):
        place[a] = start[degree[a]]
        node[place[a]] = a
        start[degree[a]] += 1
    for d in range(n, 0, -1):
        start[d] = start[d - 1]
    found = 0
    for p in range(n):
        v = node[p]
        found = max(found, degree[v])
        for s in range(ptr[v], ptr[v + 1]):
            a = neighbour[s]
            if degree[a] > degree[v]:  # it moves to the front of its degree, and is the last one of the degree below
                q = start[degree[a]]
                b = node[q]
                node[place[a]], place[b] = b, place[a]
                node[q], place[a] = a, q
                start[degree[a]] += 1
                degree[a] -= 1
    return found


@kernel
def _eliminate_core(ptr, neighbour, n_states, max_entries, n_restarts, order, size):
    """Put the nodes in `order` into the cheapest order found; the sum of table sizes, or inf beyond `max_entries`."""
    n = len(order)
    widest = float(n_states) ** (_degeneracy(ptr, neighbour) + 1)  # no order avoids a table of this size
    if widest > max_entries:
        return np.inf
    trial_order, trial_size, nodes = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int32)
    for a in range(n):
        nodes[a] = order[a]
    best, total_work = np.inf, 0
    for trial in range(3 + n_restarts):
        if trial > GIVEN and (best == np.inf or total_work > best):
            break
        if trial == GIVEN:
            heuristic, tie = GIVEN, _breadth_first_numbers(ptr, neighbour)
        else:
            heuristic, tie = MIN_DEGREE if trial == MIN_DEGREE else MIN_FILL, _ties(n, trial)
        limit = min(best, max_entries)
        entries, work = eliminate_greedily(ptr, neighbour, heuristic, tie, n_states, limit, trial_order, trial_size)
        total_work += work
        if entries < best:
            best, largest = entries, 0
            for p in range(n):
                order[p], size[p] = nodes[trial_order[p]], trial_size[p]
                largest = max(largest, size[p])
            if float(n_states) ** largest <= widest:
                break
    return best


@kernel(patience=2.0)
def eliminate_graphs(lists, node_ptr, graphs, n_states, max_entries, n_restarts, out):
    """Write the cheapest order found for each of some graphs to the `Elimination` `out`.

    The sum of tables is inf for a graph if all of its orders exceed `max_entries`.
    """
    for g in graphs:
        start, stop = node_ptr[g], node_ptr[g + 1]
        own_order, own_size = out.order[start:stop], out.size[start:stop]
        for most in range(2, 0, -1):
            rest = remaining_graph(lists, start, stop)
            n_reduced = eliminate_small_degrees(rest, most, own_order, own_size)
            if n_reduced == stop - start:  # else the width is larger than 2, and trials are better without new edges
                break
        total = 0.0
        for p in range(n_reduced):
            total += float(n_states) ** own_size[p]
        if n_reduced < stop - start and total <= max_entries:
            limit = max_entries - total
            ptr, neighbour = neighbours_of_rest(rest, own_order[n_reduced:])
            total += _eliminate_core(
                ptr, neighbour, n_states, limit, n_restarts, own_order[n_reduced:], own_size[n_reduced:]
            )
        out.entries[g] = total if total <= max_entries else np.inf
        for p in range(stop - start):
            own_order[p] += start
