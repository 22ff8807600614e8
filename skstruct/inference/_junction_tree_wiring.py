"""Where the nodes, edges and messages of a junction tree lie: index arrays for its kernels."""

from typing import NamedTuple

import numpy as np

from skstruct.data.topology import take_ranges
from skstruct.inference._elimination import collect_scopes
from skstruct.kernels.jit import kernel

BLOCK = 256  # entries of the inner axes, unless the first axis has more


class Buckets(NamedTuple):
    """Where everything lies, by position in a depth-first order of elimination.

    Slots ``ptr[p]:ptr[p + 1]`` hold the nodes of bucket ``p``, which are the axes of its table. First comes the
    eliminated node, then the others, its *separator*, by colour. Nodes of a bucket have different colours, as few as
    the largest bucket has nodes, so that neighbouring buckets have most of their axes in the same order, and often at
    the same place.
    """

    node_ptr: np.ndarray
    order: np.ndarray  # (n_nodes,)
    ptr: np.ndarray  # (n_nodes + 1,)
    scope: np.ndarray  # (n_slots,) the nodes
    up_axis: np.ndarray  # (n_slots,) their axes in the parent's table; no meaning for the eliminated node
    parent: np.ndarray  # (n_nodes,) position of the table that receives the message, or -1
    child_ptr: np.ndarray  # (n_nodes + 1,)
    child: np.ndarray  # (n_nodes - n_roots,) positions of children, by rising `top_axis`
    top_axis: np.ndarray  # (n_nodes,) the last axis of the parent's table that the message has
    edge_ptr: np.ndarray  # (n_nodes + 1,) edges whose first eliminated end is the node of the position
    edge: np.ndarray  # (n_edges,)
    edge_axis: np.ndarray  # (n_edges,) axis of the other end in the table
    flipped: np.ndarray  # (n_edges,) whether the eliminated node is the second end, as listed
    power: np.ndarray  # powers of n_states, up to the largest table
    n_inner: np.ndarray  # (n_nodes,) number of inner axes: the first axes of the separator that are in one block
    message_ptr: np.ndarray  # (n_nodes + 1,) offsets of the messages
    table_ptr: np.ndarray  # (n_nodes + 1,) offsets of blocks
    belief_ptr: np.ndarray  # (n_nodes,) where a belief starts in the stack of its graph
    n_beliefs: int  # size of the largest stack


def wire_buckets(topology, elimination, n_states):
    """Wire the buckets of an elimination. Time and memory near-linear in the number of slots.

    The order of the elimination becomes depth first, which changes no bucket: right before a bucket comes its last
    child, with all buckets below.
    """
    order, n = elimination.order, topology.n_nodes
    position = np.empty(n, np.int32)
    position[order] = np.arange(n)
    ends = position[topology.edges]
    bucket, other = np.minimum(*ends.T), np.maximum(*ends.T)
    edge_ptr, edge = _by_owner(bucket, np.arange(len(ends)), n)
    ptr = np.concatenate([[0], np.cumsum(elimination.size)])
    scope, up_axis = np.empty(ptr[-1], np.int32), np.zeros(ptr[-1], np.int32)
    edge_axis = np.empty(len(edge), np.int32)
    parent, top_axis = np.full(n, -1, np.int32), np.zeros(n, np.int32)
    collect_scopes(edge_ptr, other[edge], ptr, scope, parent)
    _place_axes(edge_ptr, other[edge], ptr, scope, parent, up_axis, top_axis, edge_axis)
    by_axis = np.argsort(top_axis.astype(np.int8), kind="stable")
    child_ptr, child = _by_owner(parent, by_axis[parent[by_axis] >= 0], n)
    _number_depth_first(parent, child_ptr, child, position)  # of the buckets, no longer of the nodes
    by_position = np.empty(n, np.intp)
    by_position[position] = np.arange(n)
    slots, ptr = take_ranges(ptr, by_position)
    children, child_ptr = take_ranges(child_ptr, by_position)
    edges, edge_ptr = take_ranges(edge_ptr, by_position)
    edge, scope = edge[edges], order[scope[slots]]
    n_axes = np.diff(ptr) - 1
    power = n_states ** np.arange(n_axes.max(initial=0) + 2)
    most = int(np.searchsorted(power, BLOCK, side="right")) - 1
    n_inner = np.minimum(n_axes, max(most, 1))
    child, belief_ptr = position[child[children]], np.zeros(n, np.int64)
    n_beliefs = _stack_beliefs(child_ptr, child, power[n_axes], belief_ptr)
    return Buckets(
        topology.node_ptr,
        order[by_position],
        ptr,
        scope,
        up_axis[slots],
        np.append(position, np.int32(-1))[parent[by_position]],
        child_ptr,
        child,
        top_axis[by_position],
        edge_ptr,
        edge,
        edge_axis[edges],
        ends[edge, 0] > ends[edge, 1],
        power,
        n_inner,
        np.concatenate([[0], np.cumsum(power[n_axes])]),
        np.concatenate([[0], np.cumsum(power[n_inner + 1])]),
        belief_ptr,
        n_beliefs,
    )


def _by_owner(owner, items, n_owners):
    """Offsets and items of each owner, in the given order."""
    ptr = np.concatenate([[0], np.cumsum(np.bincount(owner[items], minlength=n_owners))])
    grouped = np.empty(len(items), np.int32)
    _group(owner, items, ptr[:-1].copy(), grouped)
    return ptr, grouped


@kernel
def _group(owner, items, free, grouped):
    """Write each item to the next free place of its owner: a sort in linear time."""
    for item in items:
        grouped[free[owner[item]]] = item
        free[owner[item]] += 1


@kernel
def _number_depth_first(parent, child_ptr, child, position):
    """Number buckets such that right before each one comes its last child, with all buckets below."""
    n = len(parent)
    size = np.ones(n, np.int32)
    for p in range(n):
        if parent[p] >= 0:
            size[parent[p]] += size[p]
    end = n
    for p in range(n - 1, -1, -1):
        if parent[p] < 0:
            end -= size[p]
            position[p] = end + size[p] - 1
        below = position[p]
        for k in range(child_ptr[p + 1] - 1, child_ptr[p] - 1, -1):
            position[child[k]] = below - 1
            below -= size[child[k]]


@kernel
def _stack_beliefs(child_ptr, child, size, belief_ptr):
    """Place the beliefs of a bucket's children where its own was; the last child, which comes next, is on top."""
    largest = 1
    for p in range(len(belief_ptr) - 1, -1, -1):
        end = belief_ptr[p]
        for k in range(child_ptr[p], child_ptr[p + 1]):
            belief_ptr[child[k]] = end
            end += size[child[k]]
        largest = max(largest, end)
    return largest


@kernel
def _place_axes(edge_ptr, other, ptr, scope, parent, up_axis, top_axis, edge_axis):
    """Colour the nodes, sort the axes of each bucket by colour, and find axes in other buckets.

    From the root on, each node gets the first colour that no node of its separator has. A bucket has fewer than 63
    nodes, or its table would exceed any memory.
    """
    n = len(parent)
    colour, axis_of = np.zeros(n, np.int8), np.zeros(n, np.int32)
    for p in range(n - 1, -1, -1):
        used, own = np.int64(0), 0
        for slot in range(ptr[p] + 1, ptr[p + 1]):
            used |= np.int64(1) << colour[scope[slot]]
        while used >> own & 1:
            own += 1
        colour[p] = own
    for p in range(n):
        for slot in range(ptr[p] + 1, ptr[p + 1]):
            q, s = scope[slot], slot
            while s > ptr[p] + 1 and colour[scope[s - 1]] > colour[q]:
                scope[s] = scope[s - 1]
                s -= 1
            scope[s] = q
        for slot in range(ptr[p], ptr[p + 1]):
            axis_of[scope[slot]] = slot - ptr[p]
        for e in range(edge_ptr[p], edge_ptr[p + 1]):
            edge_axis[e] = axis_of[other[e]]
    for p in range(n):
        q = parent[p]
        if q < 0:
            continue
        axis = 1
        for slot in range(ptr[p] + 1, ptr[p + 1]):
            if scope[slot] != q:
                while scope[ptr[q] + axis] != scope[slot]:
                    axis += 1
                up_axis[slot] = axis
                top_axis[p] = axis
