"""Elimination orders: in which order to sum nodes out, and the tables that this makes."""

from typing import NamedTuple

import numpy as np

from skstruct._jit import kernel
from skstruct.inference._adjacency import adjacency

MAX_CORE = 4096  # nodes left after all hanging trees are cut off; their adjacency matrix takes 16 MB
MIN_FILL, MIN_DEGREE, FRONTIER = range(3)


class Elimination(NamedTuple):
    """An order for each graph of a batch; position ``p`` is a *bucket*, the table of one node and its separator.

    Attributes
    ----------
    order : ndarray of shape (n_nodes,)
        Node eliminated at each position; positions of a graph are those of its nodes.
    size : ndarray of shape (n_nodes,)
        Number of nodes in the bucket: the eliminated one and its neighbours at that time.
    scope : ndarray of shape (n_nodes, largest size)
        These nodes, the eliminated one first, the others in the order of their own elimination.
    entries : ndarray of shape (n_graphs,)
        Sum of all tables' sizes; inf where it exceeds the limit.
    """

    order: np.ndarray
    size: np.ndarray
    scope: np.ndarray
    entries: np.ndarray


def eliminate(topology, n_states, max_entries):
    """Try min-fill, min-degree and breadth-first frontier orders, and keep the cheapest for each graph.

    Cheapest is the smallest sum of table sizes; a trial ends as soon as it exceeds `max_entries`. Trees that hang on
    the rest are cut off first, leaf by leaf, which is never worse. Time O(n_nodes * n_core) per trial with small
    tables.

    Parameters
    ----------
    topology : Topology
        Of simple graphs.
    n_states : int
    max_entries : float

    Returns
    -------
    elimination : Elimination
    """
    t = topology
    base = max(n_states, 2)  # one state: tables of size 1, whose number of nodes is still kept small
    largest = max(2, int(np.log(max_entries) / np.log(base) + 1e-9) + 1)
    lists = adjacency(t.edges, t.n_nodes)
    out = Elimination(
        np.empty(t.n_nodes, np.int32),
        np.ones(t.n_nodes, np.int32),
        np.zeros((t.n_nodes, min(largest, max(np.diff(t.node_ptr).max(initial=2), 2))), np.int32),
        np.full(t.n_graphs, np.inf),
    )
    for g in range(t.n_graphs):
        nodes = slice(t.node_ptr[g], t.node_ptr[g + 1])
        n = nodes.stop - nodes.start
        trial = (np.empty(n, np.int32), np.ones(n, np.int32), np.zeros((n, out.scope.shape[1]), np.int32))
        for heuristic in (MIN_FILL, MIN_DEGREE, FRONTIER):
            entries = _eliminate(
                lists.ptr, lists.neighbour, nodes.start, nodes.stop, heuristic, base, max_entries, *trial
            )
            if entries < out.entries[g]:
                out.entries[g] = entries
                for kept, tried in zip(out[:3], trial):
                    kept[nodes] = tried
            if entries <= n * base**2:
                break  # a forest; no order is better
    return out


@kernel
def _fill(v, linked, alive, near):
    """Number of edges that eliminating `v` would add; `near` is scratch space."""
    k, missing = 0, 0
    for a in range(len(alive)):
        if linked[v, a] and alive[a]:
            for x in range(k):
                missing += not linked[a, near[x]]
            near[k] = a
            k += 1
    return missing


@kernel
def _eliminate(ptr, neighbour, start, stop, heuristic, n_states, max_entries, order, size, scope):
    """Eliminate the nodes of one graph; the sum of table sizes, or inf beyond `max_entries`."""
    n = stop - start
    degree = np.empty(n, np.int64)
    gone = np.zeros(n, np.bool_)
    stack = np.empty(n, np.int64)
    n_stack = 0
    for i in range(n):
        degree[i] = ptr[start + i + 1] - ptr[start + i]
        if degree[i] <= 1:
            stack[n_stack] = i
            n_stack += 1
            gone[i] = True
    done, entries = 0, 0.0
    while n_stack:  # leaves of hanging trees
        n_stack -= 1
        i = stack[n_stack]
        order[done], size[done], scope[done, 0] = start + i, 1, start + i
        for s in range(ptr[start + i], ptr[start + i + 1]):
            j = neighbour[s] - start
            if degree[j] < 0:
                continue  # eliminated earlier
            size[done] = 2
            scope[done, 1] = start + j
            degree[j] -= 1
            if degree[j] <= 1 and not gone[j]:
                gone[j] = True
                stack[n_stack] = j
                n_stack += 1
        degree[i] = -1
        entries += float(n_states) ** size[done]
        done += 1
    if entries > max_entries:
        return np.inf

    core = np.flatnonzero(~gone)
    n_core = len(core)
    if n_core > MAX_CORE:
        return np.inf
    number = np.full(n, -1, np.int64)
    number[core] = np.arange(n_core)
    linked = np.zeros((n_core, n_core), np.bool_)
    alive = np.ones(n_core, np.bool_)
    for a in range(n_core):
        for s in range(ptr[start + core[a]], ptr[start + core[a] + 1]):
            b = number[neighbour[s] - start]
            if b >= 0:
                linked[a, b] = True
    cost, near = np.zeros(n_core, np.int64), np.empty(n_core, np.int64)
    if heuristic == FRONTIER:
        _breadth_first_numbers(linked, cost)
    else:
        for a in range(n_core):
            cost[a] = _fill(a, linked, alive, near) if heuristic == MIN_FILL else linked[a].sum()
    separator = np.empty(n_core, np.int64)
    touched = np.zeros(n_core, np.bool_)
    for _ in range(n_core):
        v = -1
        for a in range(n_core):
            if alive[a] and (v < 0 or cost[a] < cost[v]):
                v = a
        alive[v] = False
        k = 0
        for a in range(n_core):
            if alive[a] and linked[v, a]:
                separator[k] = a
                k += 1
        entries += float(n_states) ** (k + 1)
        if entries > max_entries or k + 1 > scope.shape[1]:
            return np.inf
        order[done], size[done], scope[done, 0] = start + core[v], k + 1, start + core[v]
        for x in range(k):
            scope[done, 1 + x] = start + core[separator[x]]
        done += 1
        added = False
        for x in range(k):
            for y in range(x):
                a, b = separator[x], separator[y]
                if not linked[a, b]:
                    linked[a, b] = linked[b, a] = True
                    added = True
        if heuristic == FRONTIER:
            continue
        touched[:] = False
        for x in range(k):
            a = separator[x]
            touched[a] = True
            if added and heuristic == MIN_FILL:
                for b in range(n_core):
                    touched[b] |= linked[a, b]
        for a in range(n_core):
            if touched[a] and alive[a]:
                if heuristic == MIN_FILL:
                    cost[a] = _fill(a, linked, alive, near)
                else:
                    cost[a] = (linked[a] & alive).sum()
    _sort_scopes(start, order, size, scope)
    return entries


@kernel
def _search(linked, source, seen, queue):
    """Breadth-first search; the number of nodes it put into `queue`."""
    queue[0] = source
    seen[source] = True
    head, tail = 0, 1
    while head < tail:
        for b in range(len(linked)):
            if linked[queue[head], b] and not seen[b]:
                seen[b] = True
                queue[tail] = b
                tail += 1
        head += 1
    return tail


@kernel
def _breadth_first_numbers(linked, number):
    """Number nodes breadth first, each component from the node that a first search reaches last."""
    n = len(linked)
    queue = np.empty(n, np.int64)
    seen = np.zeros(n, np.bool_)
    counted = 0
    for first in range(n):
        if seen[first]:
            continue
        reached = _search(linked, first, seen, queue)
        seen[queue[:reached]] = False
        _search(linked, queue[reached - 1], seen, queue)
        for x in range(reached):
            number[queue[x]] = counted
            counted += 1


@kernel
def _sort_scopes(start, order, size, scope):
    """Sort the separators by the order of elimination."""
    position = np.empty(len(order), np.int64)
    for p in range(len(order)):
        position[order[p] - start] = p
    for p in range(len(order)):
        for x in range(2, size[p]):
            node, y = scope[p, x], x
            while y > 1 and position[scope[p, y - 1] - start] > position[node - start]:
                scope[p, y] = scope[p, y - 1]
                y -= 1
            scope[p, y] = node
