"""Elimination orders of the graphs of a batch: the cheapest of several trials for each graph."""

import numpy as np

from skstruct.inference._fill_graph import GIVEN, MIN_DEGREE, MIN_FILL, eliminate_greedily
from skstruct.inference._heap import make_heap, remove_first, sift
from skstruct.kernels.jit import kernel


@kernel
def _cut_trees(lists, start, stop, order, size):
    """Cut off the trees that hang on the rest of a graph, leaf by leaf.

    Writes the nodes of the trees to the front of `order`, the other nodes (the *core*) behind them, and the sizes of
    the trees' buckets to `size`.

    Returns
    -------
    n_cut : int
    core_ptr, core_neighbour : ndarray
        Neighbour lists of the core, whose nodes are numbered from 0.
    """
    ptr, neighbour = lists.ptr, lists.neighbour
    n = stop - start
    degree = np.empty(n, np.int64)
    number = np.full(n, -1, np.int32)  # in the core; -1 for nodes of trees
    n_cut, n_core, n_slots = 0, 0, 0
    for i in range(n):
        degree[i] = ptr[start + i + 1] - ptr[start + i]
        if degree[i] <= 1:
            order[n_cut] = start + i
            n_cut += 1
    done = 0
    while done < n_cut:
        i = order[done] - start
        size[done] = 1 + max(degree[i], 0)
        done += 1
        if degree[i] < 1:
            continue
        degree[i] = 0
        for s in range(ptr[start + i], ptr[start + i + 1]):
            j = neighbour[s] - start
            if degree[j] > 0:  # one neighbour only
                degree[j] -= 1
                if degree[j] == 1:
                    order[n_cut] = start + j
                    n_cut += 1
    for i in range(n):
        if degree[i] > 1:
            order[n_cut + n_core], number[i] = start + i, n_core
            n_core += 1
            n_slots += degree[i]
    core_ptr, core_neighbour = np.zeros(n_core + 1, np.int64), np.empty(n_slots, np.int32)
    n_slots = 0
    for a in range(n_core):
        i = order[n_cut + a]
        for s in range(ptr[i], ptr[i + 1]):
            b = number[neighbour[s] - start]
            if b >= 0:
                core_neighbour[n_slots] = b
                n_slots += 1
        core_ptr[a + 1] = n_slots
    return n_cut, core_ptr, core_neighbour


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
        _search(ptr, neighbour, queue[reached - 1], seen, queue)
        for x in range(reached):
            number[queue[x]] = counted
            counted += 1
    return number


@kernel
def _mixed(number):
    """Scramble a number to 63 random bits (the finaliser of MurmurHash3)."""
    z = np.uint64(number)
    z = (z ^ (z >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    z = (z ^ (z >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return np.int64((z ^ (z >> np.uint64(33))) >> np.uint64(1))


@kernel
def _ties(n_nodes, trial):
    """Numbers that break ties between nodes, (n_nodes,): rising, or from the third trial on random ones."""
    tie = np.empty(n_nodes, np.int64)
    for a in range(n_nodes):
        tie[a] = a if trial < GIVEN else _mixed(trial * n_nodes + a)
    return tie


@kernel
def _degeneracy(ptr, neighbour):
    """Largest smallest degree of all subgraphs: a lower bound of the treewidth, in linear time."""
    n = len(ptr) - 1
    degree = np.empty(n, np.int64)
    for a in range(n):
        degree[a] = ptr[a + 1] - ptr[a]
    heap = make_heap(degree, np.zeros(n, np.int64))
    found = 0
    for n_heap in range(n - 1, -1, -1):
        v = remove_first(heap, n_heap + 1)
        found = max(found, degree[v])
        degree[v] = -1
        for s in range(ptr[v], ptr[v + 1]):
            a = neighbour[s]
            if degree[a] >= 0:
                degree[a] -= 1
                sift(heap, n_heap, heap.place[a])
    return found


@kernel
def _eliminate_core(ptr, neighbour, n_states, max_entries, n_restarts, order, size):
    """Put the nodes in `order` into the cheapest order found; the sum of table sizes, or inf beyond `max_entries`."""
    n = len(order)
    widest = float(n_states) ** (_degeneracy(ptr, neighbour) + 1)  # no order avoids a table of this size
    mean = float(n_states) ** (ptr[n] / (2 * n) + 1)  # nor smaller tables on average, since each edge is in a bucket
    if widest > max_entries or n * mean > max_entries:
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


@kernel
def eliminate_graphs(lists, node_ptr, n_states, max_entries, n_restarts, out):
    """Write the cheapest order found for each graph to the `Elimination` `out`.

    The sum of tables is inf for a graph if all of its orders exceed `max_entries`.
    """
    for g in range(len(node_ptr) - 1):
        start, stop = node_ptr[g], node_ptr[g + 1]
        own_order, own_size = out.order[start:stop], out.size[start:stop]
        n_cut, core_ptr, core_neighbour = _cut_trees(lists, start, stop, own_order, own_size)
        total = 0.0
        for p in range(n_cut):
            total += float(n_states) ** own_size[p]
        if n_cut < stop - start and total <= max_entries:
            limit = max_entries - total
            own_order, own_size = own_order[n_cut:], own_size[n_cut:]
            total += _eliminate_core(core_ptr, core_neighbour, n_states, limit, n_restarts, own_order, own_size)
        out.entries[g] = total if total <= max_entries else np.inf
