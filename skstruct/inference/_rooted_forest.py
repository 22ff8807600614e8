"""Forests whose nodes are numbered from the roots: how kernels walk through trees without recursion."""

from typing import NamedTuple

import numpy as np

from skstruct.data.adjacency import adjacency
from skstruct.kernels.jit import kernel

ROOT = -1  # the parent of a root


class RootedForest(NamedTuple):
    """A forest in breadth-first order: position ``p`` holds node ``order[p]``, parents before children."""

    node_ptr: np.ndarray
    order: np.ndarray  # (n_nodes,)
    parent: np.ndarray  # (n_nodes,) position of the parent, or ROOT
    edge: np.ndarray  # (n_nodes,) edge to the parent
    flipped: np.ndarray  # (n_nodes,) whether that edge is listed as (child, parent)
    children: np.ndarray  # (n_nodes, 2) children of p are positions children[p, 0]:children[p, 1]


def rooted_forest(topology):
    """Root the trees of simple graphs without cycles."""
    n = topology.n_nodes
    order, parent, edge = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int32)
    rooted = RootedForest(topology.node_ptr, order, parent, edge, np.zeros(n, bool), np.zeros((n, 2), np.int32))
    _breadth_first(adjacency(topology.edges, n), rooted)
    return rooted


@kernel
def _breadth_first(adjacency, rooted):
    """Root every component at its lowest node and write the breadth-first order of each graph."""
    node_ptr, order, parent, edge, flipped, children = rooted
    seen = np.zeros(len(order), np.bool_)
    for g in range(len(node_ptr) - 1):
        head, tail = node_ptr[g], node_ptr[g]
        for start in range(node_ptr[g], node_ptr[g + 1]):
            if seen[start]:
                continue
            # a component is finished before the next root is numbered, so that siblings stay contiguous
            seen[start] = True
            order[tail], parent[tail], edge[tail] = start, ROOT, ROOT
            tail += 1
            while head < tail:
                children[head, 0] = tail
                for slot in range(adjacency.ptr[order[head]], adjacency.ptr[order[head] + 1]):
                    child = adjacency.neighbour[slot]
                    if not seen[child]:
                        seen[child] = True
                        order[tail], parent[tail], edge[tail] = child, head, adjacency.edge[slot]
                        flipped[tail] = adjacency.flipped[slot]
                        tail += 1
                children[head, 1] = tail
                head += 1
