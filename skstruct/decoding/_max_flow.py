"""Maximum flows and minimum cuts of networks whose capacities are floating-point numbers."""

from typing import NamedTuple

import numpy as np

from skstruct.kernels.jit import kernel

ROOT, ORPHAN, FREE = 2**32 - 1, 2**32 - 2, 2**32 - 3  # instead of a parent
FAR = 1 << 30  # more than any distance

MEMBER = np.dtype(
    [
        ("parent", np.uint32),  # slot of the edge to the parent, or ROOT, ORPHAN, FREE
        ("distance", np.int32),  # upper bound on the number of edges to the root, when `time` was set
        ("time", np.int32),  # number of paths found when the root was last seen
        ("of_source", np.bool_),  # which tree, unless FREE
        ("active", np.bool_),  # whether the node is in the queue
    ],
    align=True,
)


class _Trees(NamedTuple):
    """The trees of the nodes reached from sources, and of those that reach sinks; kernels change them."""

    member: np.ndarray  # (n_nodes,) MEMBER; one record, so that a node is in one cache line
    active: np.ndarray  # (n_nodes + 1,) ring buffer: nodes whose neighbours are to be visited
    orphans: np.ndarray  # (n_nodes + 1,) ring buffer: nodes whose edge to the parent has no capacity left
    ends: np.ndarray  # (4,) position and number of entries of `active`, then of `orphans`


def minimum_cut(lists, capacity, excess):
    """Minimum cut by the algorithm of Boykov and Kolmogorov [1]_.

    Two trees grow, from all sources and from all sinks, through edges with remaining capacity. Where they touch, flow
    is sent along the path, and nodes below an exhausted edge look for another parent in their tree. The trees are not
    built again for the next path. On grids and other sparse graphs the time is almost linear; there is no useful bound.

    All numbers are used as they are: each path exhausts an edge or a node exactly, and only the remaining capacities of
    the other edges are rounded.

    Parameters
    ----------
    lists : Adjacency
        Each edge has two slots, one for each direction.
    capacity : ndarray of shape (2 * n_edges,)
        Capacity in the direction from the node of the slot to the neighbour, >= 0, also inf. Overwritten by the
        remaining capacities.
    excess : ndarray of shape (n_nodes,)
        Capacity of the edge from the source to the node, or minus that of the edge to the sink; also infinite.
        Overwritten by the part that is not sent.

    Returns
    -------
    of_source : ndarray of bool, (n_nodes,)
        The nodes on the side of the source.
    flow : float
        The capacity of the cut; inf if all cuts are infinite.

    References
    ----------
    .. [1] Y. Boykov, V. Kolmogorov, "An experimental comparison of min-cut/max-flow algorithms for energy minimization
       in vision", *IEEE Trans. PAMI* 26(9), 2004.
    """
    n_nodes = len(excess)
    member = np.zeros(n_nodes, MEMBER).view(np.recarray)
    ptr, neighbour, _, reverse, _ = lists
    # Kernels index with unsigned integers. For signed ones, tests for negative indices take a fifth of the time.
    neighbour, reverse = neighbour.view(np.uint32), reverse.view(np.uint32)
    lists = lists._replace(ptr=ptr.view(np.uint64), neighbour=neighbour, reverse=reverse)
    rings = np.empty((2, n_nodes + 1), np.int32)
    flow = _send(lists, capacity, excess, _Trees(member, rings[0], rings[1], np.zeros(4, np.intp)))
    return member.of_source & (member.parent != FREE), flow


@kernel
def _send(lists, capacity, excess, trees):
    flow = _send_to_neighbours(lists, capacity, excess)
    for v in range(len(excess)):
        this = trees.member[v]
        this.parent = FREE
        if excess[v] != 0.0:
            this.parent, this.distance = ROOT, 1
            this.of_source, this.active = excess[v] > 0.0, True
            _append(trees.active, trees.ends, 0, v)
    time = 0
    while flow < np.inf:
        slot = _grow(lists, capacity, trees)
        if slot < 0:
            break
        time += 1
        flow += _augment(lists, capacity, excess, trees, slot)
        _adopt(lists, capacity, trees, time)
    return flow


@kernel
def _send_to_neighbours(lists, capacity, excess):
    """Send flow along single edges: half of all paths are no longer, and need no trees. Returns the flow."""
    flow = 0.0
    for v in range(len(excess)):
        for s in range(lists.ptr[v], lists.ptr[v + 1]):
            if excess[v] <= 0.0:
                break
            w = lists.neighbour[s]
            room = min(excess[v], -excess[w], capacity[s])
            if room == np.inf:
                return room
            if room > 0.0:
                capacity[s] -= room
                capacity[lists.reverse[s]] += room
                excess[v] -= room
                excess[w] += room
                flow += room
    return flow


@kernel
def _grow(lists, capacity, trees):
    """Visit the neighbours of active nodes until the trees touch; returns a slot from source to sink, or -1."""
    ptr, neighbour, reverse = lists.ptr, lists.neighbour, lists.reverse
    member, active, ends = trees.member, trees.active, trees.ends
    while ends[1]:
        v = active[ends[0]]
        this = member[v]
        if this.parent != FREE:
            of_source = this.of_source
            for s in range(ptr[v], ptr[v + 1]):
                towards_sink = s if of_source else reverse[s]
                if capacity[towards_sink] <= 0.0:
                    continue
                w = neighbour[s]
                other = member[w]
                if other.parent == FREE:
                    other.of_source = of_source
                    if not other.active:
                        other.active = True
                        _append(active, ends, 0, w)
                elif other.of_source != of_source:
                    return np.int64(towards_sink)  # the node stays active
                elif other.time > this.time or other.distance <= this.distance:
                    continue
                other.parent, other.time, other.distance = reverse[s], this.time, this.distance + 1
        this.active = False
        _remove_first(active, ends, 0)
    return np.int64(-1)


@kernel
def _augment(lists, capacity, excess, trees, slot):
    """Send what the path through a slot can carry, and collect the orphans; returns the flow."""
    neighbour, reverse, member = lists.neighbour, lists.reverse, trees.member
    room = capacity[slot]
    for to_sink in range(2):
        v = neighbour[slot if to_sink else reverse[slot]]
        while member[v].parent != ROOT:
            s = member[v].parent
            room = min(room, capacity[s if to_sink else reverse[s]])
            v = neighbour[s]
        room = min(room, abs(excess[v]))
    if room == np.inf:
        return room
    capacity[slot] -= room
    capacity[reverse[slot]] += room
    for to_sink in range(2):
        v = neighbour[slot if to_sink else reverse[slot]]
        while member[v].parent != ROOT:
            s = member[v].parent
            there, back = (s, reverse[s]) if to_sink else (reverse[s], s)
            capacity[back] += room
            capacity[there] -= room
            if capacity[there] <= 0.0:
                member[v].parent = ORPHAN
                _append(trees.orphans, trees.ends, 2, v)
            v = neighbour[s]
        excess[v] += room if to_sink else -room
        if excess[v] == 0.0:
            member[v].parent = ORPHAN
            _append(trees.orphans, trees.ends, 2, v)
    return room


@kernel
def _adopt(lists, capacity, trees, time):
    """Give each orphan the parent that is nearest to a root; without one it is free, and its children are orphans."""
    ptr, neighbour, reverse = lists.ptr, lists.neighbour, lists.reverse
    member, active, orphans, ends = trees
    while ends[3]:
        v = _remove_first(orphans, ends, 2)
        this = member[v]
        of_source = this.of_source
        parent, nearest = np.uint32(FREE), FAR
        for s in range(ptr[v], ptr[v + 1]):
            if capacity[reverse[s] if of_source else s] <= 0.0:
                continue
            other = member[neighbour[s]]
            if other.parent == FREE or other.of_source != of_source:
                continue
            ancestor, distance = other, 0
            while ancestor.time != time and ancestor.parent < FREE:
                ancestor = member[neighbour[ancestor.parent]]
                distance += 1
            if ancestor.parent == ORPHAN:
                continue
            if ancestor.time != time:
                ancestor.time, ancestor.distance = time, 1
            distance += ancestor.distance
            if distance < nearest:
                parent, nearest = np.uint32(s), distance
            while other.time != time:  # the next search ends at these nodes
                other.time, other.distance = time, distance
                distance -= 1
                other = member[neighbour[other.parent]]
        if parent != FREE:
            this.parent, this.time, this.distance = parent, time, nearest + 1
            continue
        for s in range(ptr[v], ptr[v + 1]):
            w = neighbour[s]
            other = member[w]
            if other.parent == FREE or other.of_source != of_source:
                continue
            if not other.active and capacity[reverse[s] if of_source else s] > 0.0:
                other.active = True  # it may reach the free node again
                _append(active, ends, 0, w)
            if other.parent == reverse[s]:
                other.parent = ORPHAN
                _append(orphans, ends, 2, w)
        this.parent = FREE


@kernel
def _append(ring, ends, which, v):
    """Add a node to a ring buffer; ``ends[which:which + 2]`` are its position and number of entries."""
    at = ends[which] + ends[which + 1]
    ring[at if at < len(ring) else at - len(ring)] = v
    ends[which + 1] += 1


@kernel
def _remove_first(ring, ends, which):
    """Remove and return the first node of a ring buffer."""
    v = ring[ends[which]]
    ends[which] = ends[which] + 1 if ends[which] + 1 < len(ring) else 0
    ends[which + 1] -= 1
    return v
