"""A binary heap of numbered items, whose costs may change while they are in it."""

from typing import NamedTuple

import numpy as np

from skstruct.kernels.jit import kernel


class Heap(NamedTuple):
    """Items in an order where each precedes its two children: by cost, then by `tie`."""

    item: np.ndarray  # (n_items,) item at each position
    place: np.ndarray  # (n_items,) position of each item
    cost: np.ndarray  # (n_items,) int64
    tie: np.ndarray  # (n_items,) int64, of two items of the same cost the one with the smaller number comes first


@kernel
def make_heap(cost, tie):
    """Build a heap of all items."""
    n = len(cost)
    heap = Heap(np.empty(n, np.int32), np.empty(n, np.int32), cost, tie)
    for v in range(n):
        heap.item[v] = heap.place[v] = v
        sift(heap, v + 1, v)
    return heap


@kernel
def remove_first(heap, size):
    """Remove and return the first item of a heap of `size` items."""
    first = heap.item[0]
    if size > 1:
        heap.item[0] = heap.item[size - 1]
        heap.place[heap.item[0]] = 0
        sift(heap, size - 1, np.int64(0))
    return first


@kernel
def sift(heap, size, i):
    """Move the item at position `i` of a heap of `size` items to where its cost belongs."""
    item, place, cost, tie = heap
    v = item[i]
    while i:
        up = (i - 1) >> 1
        u = item[up]
        if cost[u] < cost[v] or (cost[u] == cost[v] and tie[u] <= tie[v]):
            break
        item[i], place[u] = u, i
        i = up
    while True:
        child = 2 * i + 1
        if child >= size:
            break
        u = item[child]
        if child + 1 < size:
            w = item[child + 1]
            if cost[w] < cost[u] or (cost[w] == cost[u] and tie[w] < tie[u]):
                child, u = child + 1, w
        if cost[u] > cost[v] or (cost[u] == cost[v] and tie[u] >= tie[v]):
            break
        item[i], place[u] = u, i
        i = child
    item[i], place[v] = v, i
