"""Orders of the nodes of a graph, and the edge weights of tree-reweighted belief propagation that follow from them.

In an order, let each node pick one of its earlier neighbours at random. The picked edges never close a cycle, so that
they are a forest. A node with `L` earlier neighbours picks each with probability ``1 / L``. The probability that an
edge is picked, averaged over several orders, is a valid weight: it lies in the spanning-forest polytope.

In a complete graph, all stars have the same probability instead: each node is the centre with probability ``1 / n``.
"""

from typing import NamedTuple

import numpy as np

from skstruct.kernels.jit import kernel

SPARSE_ORDERS, SMALL_GRID_ORDERS, DENSE_ORDERS = 4, 8, 16  # numbers of orders that are averaged
SMALL_GRID = 200  # nodes of a grid up to which few orders differ too much from their mean
DENSE = 8.0  # mean number of neighbours above which a graph is dense
MOST_EARLIER = 4  # on grids with 4 or 8 neighbours, rows from left to right: 2 or 4 earlier neighbours
LEAST_EQUAL = 0.4  # fraction of the nodes that have the largest number of earlier neighbours: most weights are equal
# The same fraction, for a single order. The other nodes are the first row and column of a grid, whose edges have too
# large weights: with more of them, the gap of the bound would be over 5 % larger.
LEAST_INNER = 0.88
LEAST_PICKED = 0.9  # fraction of the nodes that pick an edge; 1 in the best order of a connected graph
MOST_ROOTED = 8  # neighbours of a node in the kernels that compute powers by square roots


class Orders(NamedTuple):
    """Orders of the nodes of each graph of a batch, and weights of the edges.

    Nodes are positions in the sweep, counted from the start of their graph, as in `LocalLists`.
    """

    number: np.ndarray  # (n_graphs,) of orders
    ptr: np.ndarray  # (n_graphs + 1,) start of each graph in the next two arrays, which list its orders one by one
    node: np.ndarray  # (sum of number * n_nodes,) uint32: nodes from the first to the last
    share: np.ndarray  # (sum of number * n_nodes,) weight of each edge from the node to an earlier neighbour
    rho: np.ndarray  # (2 * n_edges,) weight of the edge of each slot: the mean of its shares over the orders
    exact: np.ndarray  # (n_graphs,) whether one pass without iterations is exact: a forest whose weights are 1
    star: np.ndarray  # (n_graphs,) whether the forests are all stars of a complete graph, not those of orders
    rooted: np.ndarray  # (n_graphs,) whether all weights are 1, 1/2 or 1/4, and nodes have few neighbours


def make_orders(lists, topology):
    """Choose the orders of each graph: one for forests and large grids, the mean of several elsewhere.

    On a forest, the reverse order of the sweep gives each node at most one earlier neighbour, so that all weights are
    1. Large grids are visited in the order of their nodes. There `L` is rounded up to 1, 2 or 4, which allows
    square roots in place of powers. Elsewhere, orders start at random nodes, and the next node is one with most earlier
    neighbours (maximum adjacency). Time O(n_nodes + n_edges) for each order. Complete graphs have stars, and the weight
    ``2 / n_nodes``.

    Parameters
    ----------
    lists : LocalLists
    topology : Topology

    Returns
    -------
    orders : Orders
    """
    n_nodes, n_edges = np.diff(lists.node_ptr), np.diff(lists.edge_ptr)
    earlier = lists.bounds[:, 1].astype(np.int64) - lists.bounds[:, 0]
    most = np.zeros(len(n_nodes), np.int64)
    np.maximum.at(most, topology.node_graph, earlier)
    equal = topology.sum_nodes(earlier == most[topology.node_graph])
    picked = np.minimum(earlier / _power_of_two(earlier), 1.0)
    grid_like = (
        (most <= MOST_EARLIER)
        & (equal >= LEAST_EQUAL * n_nodes)
        & (topology.sum_nodes(picked) >= LEAST_PICKED * (n_nodes - 1))
    )
    star = ~topology.is_forest & (2 * n_edges == n_nodes * (n_nodes - 1))
    alone = topology.is_forest | (grid_like & (equal >= LEAST_INNER * n_nodes)) | star
    number = np.where(grid_like & (n_nodes <= SMALL_GRID), SMALL_GRID_ORDERS, SPARSE_ORDERS)
    number[2 * n_edges > DENSE * n_nodes] = DENSE_ORDERS
    number[alone] = 1
    return _with_shares(lists, number, topology.is_forest, star, alone, 0.0)


def one_weight(lists, rho):
    """All edges have the weight `rho`, which need not be valid; nodes are visited in the order of the sweep."""
    n_graphs = len(lists.node_ptr) - 1
    none = np.zeros(n_graphs, bool)
    return _with_shares(lists, np.ones(n_graphs, np.int64), none, none, none, rho)


def _power_of_two(counts):
    return 2.0 ** np.ceil(np.log2(np.maximum(counts, 1)))


def _with_shares(lists, number, exact, star, alone, rho):
    ptr = np.concatenate([[0], np.cumsum(number * np.diff(lists.node_ptr))])
    orders = Orders(
        number=number,
        ptr=ptr,
        node=np.empty(ptr[-1], np.uint32),
        share=np.empty(ptr[-1]),
        rho=np.empty(len(lists.ends)),
        exact=exact,
        star=star,
        rooted=np.empty(len(number), bool),
    )
    _fill(lists, alone, rho, orders)
    return orders


@kernel(patience=0.5)
def _fill(lists, alone, rho, orders):
    """Fill the arrays of `orders`; all edges have the weight `rho` unless it is 0."""
    for g in range(len(orders.number)):
        start, end = lists.node_ptr[g], lists.node_ptr[g + 1]
        n, number = end - start, orders.number[g]
        slots = slice(2 * lists.edge_ptr[g], 2 * lists.edge_ptr[g + 1])
        bounds, ends, weight = lists.bounds[start:end], lists.ends[slots], orders.rho[slots]
        place = np.empty(n, np.int64)
        for s in range(len(weight)):
            weight[s] = 0.0
        for k in range(number):
            first = orders.ptr[g] + k * n
            order = orders.node[first : first + n]
            if number == 1:
                for step in range(n):
                    order[step] = n - 1 - step if orders.exact[g] else step
            else:
                _maximum_adjacency(bounds, ends, k, order)
            for step in range(n):
                place[order[step]] = step
            for step in range(n if orders.star[g] else 0):
                orders.share[first + step] = 1.0 / n
                for s in range(np.int64(bounds[step, 0]), np.int64(bounds[step, 2])):
                    weight[s] = 2.0 / n
            for step in range(0 if orders.star[g] else n):
                i = order[step]
                earlier = 0
                for s in range(np.int64(bounds[i, 0]), np.int64(bounds[i, 2])):
                    earlier += place[ends[s, 1]] < step
                size = 1
                while size < earlier:
                    size = 2 * size if alone[g] else earlier
                share = rho if rho > 0.0 else 1.0 / size
                orders.share[first + step] = share
                for s in range(np.int64(bounds[i, 0]), np.int64(bounds[i, 2])):
                    if place[ends[s, 1]] < step:
                        weight[s] += share / number
                        weight[ends[s, 0]] += share / number
        orders.rooted[g] = not orders.star[g]
        for i in range(n):
            total = 0.0
            for s in range(np.int64(bounds[i, 0]), np.int64(bounds[i, 2])):
                orders.rooted[g] &= weight[s] == 1.0 or weight[s] == 0.5 or weight[s] == 0.25
                total += weight[s]
            orders.rooted[g] &= total <= MOST_EARLIER and bounds[i, 2] - bounds[i, 0] <= MOST_ROOTED


@kernel
def _maximum_adjacency(bounds, ends, seed, order):
    """Order in which the next node is one that has most earlier neighbours; `seed` determines the first node and ties.

    Nodes with the same number of earlier neighbours are in a doubly linked list, the last one that came first.
    """
    n, most = len(bounds), np.int64(0)
    for bound in bounds:
        most = max(most, np.int64(bound[2]) - np.int64(bound[0]))
    head, following, preceding = np.full(most + 2, -1), np.full(n, -1), np.full(n, -1)
    earlier = np.zeros(n, np.int64)  # number of earlier neighbours; -1: the node has its place
    shuffled = np.arange(n)
    state = seed + 1
    for k in range(n - 1, 0, -1):
        state = state * 48271 % 2147483647  # the generator of Park and Miller: the same numbers on all machines
        j = state % (k + 1)
        shuffled[k], shuffled[j] = shuffled[j], shuffled[k]
    for first in shuffled:
        following[first] = head[0]
        if head[0] >= 0:
            preceding[head[0]] = first
        head[0] = first
    top = 0
    for k in range(n):
        while head[top] < 0:
            top -= 1
        i = head[top]
        head[top] = following[i]
        if following[i] >= 0:
            preceding[following[i]] = -1
        order[k] = i
        earlier[i] = -1
        for s in range(np.int64(bounds[i, 0]), np.int64(bounds[i, 2])):
            j = np.int64(ends[s, 1])
            count = earlier[j]
            if count < 0:
                continue
            if preceding[j] >= 0:
                following[preceding[j]] = following[j]
            else:
                head[count] = following[j]
            if following[j] >= 0:
                preceding[following[j]] = preceding[j]
            earlier[j] = count + 1
            following[j], preceding[j] = head[count + 1], -1
            if head[count + 1] >= 0:
                preceding[head[count + 1]] = j
            head[count + 1] = j
            top = max(top, count + 1)
