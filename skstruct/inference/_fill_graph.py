"""Elimination orders of one graph: greedy orders on the explicit fill graph, and the breadth-first order.

Eliminating a node joins its neighbours. The edges of the fill graph are in a hash set, and each node has a linked list
of its neighbours, from which eliminated nodes are removed when a scan meets them. Numbers of missing edges are kept
exact, so that a step of min-fill costs as much as the edges that the step adds, and no step looks at all nodes. With
tables of bounded size all orders take near-linear time, also on graphs with hubs.
"""

import numpy as np

from skstruct.kernels.jit import kernel

MIN_FILL, MIN_DEGREE, GIVEN = range(3)


@kernel
def _cut_trees(ptr, neighbour, start, stop, order, size):
    """Cut off the trees that hang on the rest of a graph, leaf by leaf.

    Writes the nodes of the trees to the front of `order`, the other nodes (the *core*) behind them, and the sizes of
    the trees' buckets to `size`.

    Returns
    -------
    n_cut : int
    core_ptr, core_neighbour : ndarray
        Neighbour lists of the core, whose nodes are numbered from 0.
    """
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
def _sift(heap, n_heap, place, cost, tie, i):
    """Move the node at position `i` of the heap to where its cost belongs."""
    v = heap[i]
    while i:
        up = (i - 1) >> 1
        u = heap[up]
        if cost[u] < cost[v] or (cost[u] == cost[v] and tie[u] <= tie[v]):
            break
        heap[i], place[u] = u, i
        i = up
    while True:
        child = 2 * i + 1
        if child >= n_heap:
            break
        u = heap[child]
        if child + 1 < n_heap:
            w = heap[child + 1]
            if cost[w] < cost[u] or (cost[w] == cost[u] and tie[w] < tie[u]):
                child, u = child + 1, w
        if cost[u] > cost[v] or (cost[u] == cost[v] and tie[u] >= tie[v]):
            break
        heap[i], place[u] = u, i
        i = child
    heap[i], place[v] = v, i


@kernel
def _degeneracy(ptr, neighbour):
    """Largest smallest degree of all subgraphs: a lower bound of the treewidth, in linear time."""
    n = len(ptr) - 1
    degree, place, tie = np.empty(n, np.int64), np.empty(n, np.int32), np.zeros(n, np.int64)
    heap = np.empty(n, np.int32)
    for a in range(n):
        degree[a] = ptr[a + 1] - ptr[a]
        heap[a] = place[a] = a
        _sift(heap, a + 1, place, degree, tie, a)
    found = 0
    for n_heap in range(n - 1, -1, -1):
        v = heap[0]
        found = max(found, degree[v])
        degree[v] = -1
        if n_heap:
            heap[0] = heap[n_heap]
            place[heap[0]] = 0
            _sift(heap, n_heap, place, degree, tie, 0)
        for s in range(ptr[v], ptr[v + 1]):
            a = neighbour[s]
            if degree[a] >= 0:
                degree[a] -= 1
                _sift(heap, n_heap, place, degree, tie, place[a])
    return found


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
def _eliminate_greedily(ptr, neighbour, heuristic, tie, n_states, limit, order, size):
    """Eliminate the node of the smallest cost, again and again.

    Parameters
    ----------
    ptr, neighbour : ndarray
        Neighbour lists of a simple graph.
    heuristic : int
        The cost of a node: `MIN_FILL`, the number of edges that its elimination adds; `MIN_DEGREE`, its degree;
        `GIVEN`, nothing, so that `tie` decides.
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
    heap, place = np.empty(n, np.int32), np.empty(n, np.int32)
    for a in range(n):
        if heuristic != GIVEN:
            cost[a] = missing[a] if heuristic == MIN_FILL else degree[a]
        heap[a] = place[a] = a
        _sift(heap, a + 1, place, cost, tie, a)
    near = np.empty(64, np.int32)
    entries, work = 0.0, 10 * n  # a node takes about as long in the heap as ten steps
    for done in range(n):
        v, n_heap = heap[0], n - 1 - done
        alive[v] = False
        if n_heap:
            heap[0] = heap[n_heap]
            place[heap[0]] = 0
            _sift(heap, n_heap, place, cost, tie, 0)
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
                                _sift(heap, n_heap, place, cost, tie, place[c])
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
                _sift(heap, n_heap, place, cost, tie, place[a])
    return entries, work


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
        entries, work = _eliminate_greedily(ptr, neighbour, heuristic, tie, n_states, limit, trial_order, trial_size)
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
def eliminate_graphs(ptr, neighbour, node_ptr, n_states, max_entries, n_restarts, order, size, entries):
    """Write the cheapest order found for each graph of a batch, the sizes of its buckets, and the sum of its tables.

    The sum is inf for a graph all of whose orders exceed `max_entries`.
    """
    for g in range(len(node_ptr) - 1):
        start, stop = node_ptr[g], node_ptr[g + 1]
        own_order, own_size = order[start:stop], size[start:stop]
        n_cut, core_ptr, core_neighbour = _cut_trees(ptr, neighbour, start, stop, own_order, own_size)
        total = 0.0
        for p in range(n_cut):
            total += float(n_states) ** own_size[p]
        if n_cut < stop - start and total <= max_entries:
            limit = max_entries - total
            own_order, own_size = own_order[n_cut:], own_size[n_cut:]
            total += _eliminate_core(core_ptr, core_neighbour, n_states, limit, n_restarts, own_order, own_size)
        entries[g] = total if total <= max_entries else np.inf
