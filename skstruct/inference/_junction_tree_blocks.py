"""Blocks of the tables of a junction tree, and the loops that multiply factors into them and read marginals from them.

A block fits in the first-level cache. It has an entry ``x * length + k`` for each state ``x`` of the bucket's node and
each entry ``k`` of the *inner* axes, the fastest ones of the separator. Most factors depend on few axes, and a block is
built axis by axis: a factor is multiplied in as soon as its last axis is there, while the block is still small. In the
same way, marginals are read from a block while axis by axis is summed out of it. A table with *outer* axes has a block
for each of their states. Factors that depend on outer axes are multiplied into each block; the product of all others is
the same in all blocks.

Arrays are indexed by unsigned numbers in loops over entries. For signed ones, the compiler adds code for negative
indices, and does not use vector registers.
"""

from typing import NamedTuple

import numpy as np

from skstruct.kernels.jit import kernel

SHORTEST_RUN = 8  # entries that lie side by side in a block and in a message and are worth a loop of their own


class Room(NamedTuple):
    """Memory for the largest group of graphs and for the largest bucket."""

    table: np.ndarray  # blocks without the factors that have outer axes
    message: np.ndarray
    belief: np.ndarray  # a stack: the beliefs of a bucket's children replace its own
    top: np.ndarray  # largest entry of a message, by which it is divided
    low: np.ndarray  # smallest entry of a message other than 0
    pair: np.ndarray  # (n_axes, n_states, n_states), potentials of edges by axis, then marginals; rows: the node
    has_edge: np.ndarray  # (n_axes,)
    stride: np.ndarray  # (n_axes,)
    offsets: np.ndarray  # (n_children, length), of the entries of a block in the child's message
    block: np.ndarray  # (length,) of one state of the node
    summed: np.ndarray  # (n_states * length,) sum of the blocks of marginals
    child: np.ndarray  # (n_children, 3): run of a child's index, its stride along the node, its offset at a block
    digit: np.ndarray  # (n_axes,) states of the outer axes


def make_room(buckets, starts, n_states):
    """Memory for groups of graphs whose first positions are `starts`, to be used one after the other."""
    n_nodes, n_tables, n_messages = (
        int(np.diff(ptr).max(initial=0)) for ptr in (starts, buckets.table_ptr[starts], buckets.message_ptr[starts])
    )
    widest, length = len(buckets.power) - 1, int(buckets.power[buckets.n_inner.max(initial=0)])
    has_outer = np.diff(buckets.ptr) - 1 > buckets.n_inner
    n_children = int(np.diff(buckets.child_ptr)[has_outer].max(initial=1))
    return Room(
        np.empty(n_tables),
        np.empty(n_messages),
        np.empty(buckets.n_beliefs),
        np.empty(n_nodes),
        np.empty(n_nodes),
        np.empty((widest if len(buckets.edge) else 0, n_states, n_states)),
        np.empty(widest, np.bool_),
        np.empty(widest, np.int64),
        np.empty((n_children, length), np.int64),
        np.empty(length),
        np.empty(n_states * length),
        np.empty((n_children, 3), np.int64),
        np.empty(widest, np.int64),
    )


@kernel(inline=True)
def load_pair(matrices, number, flipped, pair, axis):
    """Copy the potential of an edge to its axis."""
    n_states = pair.shape[1]
    for x in range(n_states):
        for y in range(n_states):
            pair[axis, x, y] = matrices[number, y, x] if flipped else matrices[number, x, y]


@kernel(inline=True)
def place(c, ptr, up_axis, top, power, stride, index, row):
    """Write the offsets, in the message of child `c`, of a block over the axes up to `top` to a row of `index`.

    Returns
    -------
    own : int
        Stride of the message along the bucket's node.
    run : int
        Number of entries that lie side by side in both; if it is the whole block, only the first offset is written.
    """
    for axis in range(top + 1):
        stride[axis] = 0
    for slot in range(ptr[c] + 1, ptr[c + 1]):
        if up_axis[slot] <= top:
            stride[up_axis[slot]] = power[slot - ptr[c] - 1]
    n_equal = 0
    while n_equal < top and stride[n_equal + 1] == power[n_equal]:
        n_equal += 1
    index[row, 0] = 0
    if n_equal < top:
        for axis in range(1, top + 1):
            step = power[axis - 1]
            for y in range(1, power[1]):
                first, more = y * step, y * stride[axis]
                for k in range(step):
                    index[row, np.uint64(first + k)] = index[row, np.uint64(k)] + more
    return stride[0], power[n_equal]


@kernel(fastmath={"contract"}, inline=True)
def multiply_block(table, start, n, message, at, index, row, run):
    """``table[start + k] *= message[at + index[row, k]]`` for ``k < n``."""
    if run >= SHORTEST_RUN or run == n:
        for base in range(0, n, run):
            first, other = start + base, at + index[row, base]
            for k in range(run):
                table[np.uint64(first + k)] *= message[np.uint64(other + k)]
    else:
        for k in range(n):
            table[np.uint64(start + k)] *= message[np.uint64(at + index[row, k])]


@kernel(fastmath={"contract"}, inline=True)
def add_block(table, start, n, belief, at, index, row, run):
    """``belief[at + index[row, k]] += table[start + k]`` for ``k < n``."""
    if run >= SHORTEST_RUN or run == n:
        for base in range(0, n, run):
            first, other = start + base, at + index[row, base]
            for k in range(run):
                belief[np.uint64(other + k)] += table[np.uint64(first + k)]
    else:
        for k in range(n):
            belief[np.uint64(at + index[row, k])] += table[np.uint64(start + k)]


@kernel(fastmath={"contract"}, inline=True)
def expand(table, start, length, step, pair, axis, has_edge):
    """Add an axis to a block, whose parts for each state of the node have `step` entries, with its edge's potential."""
    n_states = pair.shape[1]
    for x in range(n_states):
        first = start + x * length
        if step < SHORTEST_RUN:
            for k in range(first, first + step):
                value = table[np.uint64(k)]
                for y in range(n_states):
                    table[np.uint64(k + y * step)] = value * pair[axis, x, y] if has_edge else value
        else:
            for y in range(n_states - 1, -1, -1):
                factor, other = pair[axis, x, y] if has_edge else 1.0, first + y * step
                for k in range(step):
                    table[np.uint64(other + k)] = factor * table[np.uint64(first + k)]


@kernel(fastmath={"contract", "reassoc"}, inline=True)
def fold(table, start, length, step, pair, axis, has_edge):
    """Sum the last axis out of a block; write the sums over all other axes, marginals of the axis' edge, to `pair`."""
    n_states = pair.shape[1]
    for x in range(n_states):
        first = start + x * length
        if has_edge:
            for y in range(n_states):
                total, other = 0.0, first + y * step
                for k in range(step):
                    total += table[np.uint64(other + k)]
                pair[axis, x, y] = total
        if step < SHORTEST_RUN:
            for k in range(first, first + step):
                total = table[np.uint64(k)]
                for y in range(1, n_states):
                    total += table[np.uint64(k + y * step)]
                table[np.uint64(k)] = total
        else:
            for y in range(1, n_states):
                other = first + y * step
                for k in range(step):
                    table[np.uint64(first + k)] += table[np.uint64(other + k)]


@kernel(fastmath={"contract"}, inline=True)
def sum_out(table, start, length, n_states, message, at):
    """Sum a block over the states of the node."""
    for k in range(length):
        message[np.uint64(at + k)] = table[np.uint64(start + k)]
    for x in range(1, n_states):
        first = start + x * length
        for k in range(length):
            message[np.uint64(at + k)] += table[np.uint64(first + k)]


@kernel(inline=True)
def extremes(bits, start, stop):
    """Bits of the largest number, and of the smallest one other than 0, of numbers >= 0 given by their bits.

    The order of the numbers is that of their bits as integers, which are compared in vector registers. Less one, 0 is
    the largest.
    """
    top, low, one = np.uint64(0), np.uint64(2**64 - 1), np.uint64(1)
    for k in range(start, stop):
        value = bits[np.uint64(k)]
        top = max(top, value)
        low = min(low, value - one)
    return top, low + one


@kernel(inline=True)
def add_counts(counts, number, flipped, weight, pair, axis):
    """Add the marginals of an edge to the counts of its matrix."""
    n_states = pair.shape[1]
    for x in range(n_states):
        for y in range(n_states):
            if flipped:
                counts[number, y, x] += weight * pair[axis, x, y]
            else:
                counts[number, x, y] += weight * pair[axis, x, y]


@kernel
def _first_block(first_child, last_child, n_inner, n_axes, buckets, room):
    """Find the messages of the children with outer axes."""
    for k in range(first_child, last_child):
        c, row = buckets.child[k], k - first_child
        own, run = place(c, buckets.ptr, buckets.up_axis, n_inner, buckets.power, room.stride, room.offsets, row)
        room.child[row, 0], room.child[row, 1], room.child[row, 2] = run, own, 0
    for axis in range(n_inner + 1, n_axes + 1):
        room.digit[axis] = 0


@kernel
def _next_block(first_child, last_child, n_inner, n_axes, buckets, room):
    """Go on to the next states of the outer axes."""
    power, digit = buckets.power, room.digit
    for axis in range(n_inner + 1, n_axes + 1):
        digit[axis] += 1
        if digit[axis] < power[1]:
            break
        digit[axis] = 0
    for k in range(first_child, last_child):
        c, offset = buckets.child[k], 0
        for slot in range(buckets.ptr[c] + 1, buckets.ptr[c + 1]):
            axis = buckets.up_axis[slot]
            if axis > n_inner:
                offset += power[slot - buckets.ptr[c] - 1] * digit[axis]
        room.child[k - first_child, 2] = offset


@kernel(fastmath={"contract", "reassoc"})
def visit_blocks(p, start, first_child, buckets, room, down):
    """Multiply the factors with outer axes into the blocks of a bucket.

    On the way up, write the message. On the way `down`, where the message has become the ratio of belief and message,
    add to the beliefs of the children with outer axes, write the marginals of edges with outer axes to `pair`, and
    write the marginals summed over the outer axes to `table`.
    """
    n_inner, n_axes, last_child = buckets.n_inner[p], buckets.ptr[p + 1] - buckets.ptr[p] - 1, buckets.child_ptr[p + 1]
    child, message_ptr, belief_ptr, length = (
        buckets.child,
        buckets.message_ptr,
        buckets.belief_ptr,
        buckets.power[n_inner],
    )
    table, message, belief, block, summed = room.table, room.message, room.belief, room.block, room.summed
    pair, has_edge, digit, index = room.pair, room.has_edge, room.digit, room.offsets
    n_states, source, zero = pair.shape[1], buckets.table_ptr[p] - buckets.table_ptr[start], np.int64(0)
    total = np.zeros((n_axes + 1 if down else 0, n_states, n_states))
    for k in range(n_states * length):
        summed[k] = 0.0
    _first_block(first_child, last_child, n_inner, n_axes, buckets, room)
    for at in range(message_ptr[p] - message_ptr[start], message_ptr[p + 1] - message_ptr[start], length):
        for x in range(n_states):
            first, factor = source + x * length, 1.0
            for axis in range(n_inner + 1, n_axes + 1):
                if has_edge[axis]:
                    factor *= pair[axis, x, digit[axis]]
            for k in range(length):
                block[k] = factor * table[np.uint64(first + k)]
            for k in range(first_child, last_child):
                run, own, offset = room.child[k - first_child]
                offset += message_ptr[child[k]] - message_ptr[start] + x * own
                multiply_block(block, zero, length, message, offset, index, k - first_child, run)
            if down:
                first, mass = x * length, 0.0
                for k in range(length):
                    block[k] *= message[np.uint64(at + k)]
                    summed[np.uint64(first + k)] += block[k]
                    mass += block[k]
                for axis in range(n_inner + 1, n_axes + 1):
                    total[axis, x, digit[axis]] += mass
                for k in range(first_child, last_child):
                    run, own, offset = room.child[k - first_child]
                    offset += belief_ptr[child[k]] + x * own
                    add_block(block, zero, length, belief, offset, index, k - first_child, run)
            elif x:
                for k in range(length):
                    message[np.uint64(at + k)] += block[k]
            else:
                for k in range(length):
                    message[np.uint64(at + k)] = block[k]
        _next_block(first_child, last_child, n_inner, n_axes, buckets, room)
    if down:
        for axis in range(n_inner + 1, n_axes + 1):
            for x in range(n_states):
                for y in range(n_states):
                    pair[axis, x, y] = total[axis, x, y]
        for k in range(n_states * length):
            table[np.uint64(source + k)] = summed[k]
