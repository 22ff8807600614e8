"""Stored tables of the junction tree: the log domain, decoding, samples, and the way up of derivatives.

These kernels are plain, and slower than the messages of ``_junction_tree_kernels.py``. A table over the nodes of a
bucket is flat; axis ``a`` has stride ``n_states ** a``, and axis 0 is the node that the bucket eliminates. Every
operation is a walk over a table with a running offset into a smaller one.
"""

from typing import NamedTuple

import numpy as np

from skstruct.inference._log_domain import draw_label, log_sum
from skstruct.inference._message_passing import SMALLEST_MESSAGE
from skstruct.kernels.jit import kernel

BLOCK = 64  # entries of a table that share one step of the odometer


class _Tables(NamedTuple):
    """Tables and messages of one graph, one after the other."""

    table_ptr: np.ndarray  # offsets of the tables
    table: np.ndarray
    message_ptr: np.ndarray  # offsets of the messages
    message: np.ndarray


@kernel
def _blocks(n_axes, n_states, stride):
    """Offsets into the smaller table of the first axes, at most `BLOCK` entries, and how many axes these are."""
    n_inner, length = 1, n_states
    while n_inner < n_axes and length * n_states <= BLOCK:
        length *= n_states
        n_inner += 1
    inner = np.zeros(length, np.int64)
    for k in range(length):
        rest = k
        for axis in range(n_inner):
            inner[k] += stride[axis] * (rest % n_states)
            rest //= n_states
    return inner, n_inner


@kernel
def _next_block(digit, offset, stride, first_axis, n_axes, n_states):
    """Count up the axes from `first_axis` on, as an odometer, and return the new offset."""
    for axis in range(first_axis, n_axes):
        digit[axis] += 1
        offset += stride[axis]
        if digit[axis] < n_states:
            break
        offset -= n_states * stride[axis]
        digit[axis] = 0
    return offset


@kernel
def combine(table, n_axes, n_states, stride, other, multiply):
    """Multiply (or add) a table over some of the axes into `table`; `stride` is 0 for axes that it lacks.

    Returns whether a product got too small to be multiplied on.
    """
    inner, n_inner = _blocks(n_axes, n_states, stride)
    digit = np.zeros(n_axes, np.int64)
    offset, too_small = 0, False
    for base in range(0, len(table), len(inner)):
        if multiply:
            for k in range(len(inner)):
                value = table[base + k] * other[offset + inner[k]]
                table[base + k] = value
                too_small |= (value < SMALLEST_MESSAGE) & (value > 0.0)
        else:
            for k in range(len(inner)):
                table[base + k] += other[offset + inner[k]]
        offset = _next_block(digit, offset, stride, n_inner, n_axes, n_states)
    return too_small


@kernel
def sum_to(table, n_axes, n_states, stride, out):
    """Sum `table` over the axes where `stride` is 0, into `out`."""
    inner, n_inner = _blocks(n_axes, n_states, stride)
    digit = np.zeros(n_axes, np.int64)
    offset = 0
    for base in range(0, len(table), len(inner)):
        for k in range(len(inner)):
            out[offset + inner[k]] += table[base + k]
        offset = _next_block(digit, offset, stride, n_inner, n_axes, n_states)


@kernel
def make_tables(start, stop, ptr, n_states):
    """Room for the tables and messages of the buckets ``start:stop``."""
    table_ptr, message_ptr = np.zeros(stop - start + 1, np.int64), np.zeros(stop - start + 1, np.int64)
    for p in range(start, stop):
        size = n_states ** (ptr[p + 1] - ptr[p] - 1)
        message_ptr[p - start + 1] = message_ptr[p - start] + size
        table_ptr[p - start + 1] = table_ptr[p - start] + n_states * size
    return _Tables(table_ptr, np.empty(table_ptr[-1]), message_ptr, np.empty(message_ptr[-1]))


@kernel
def segment_of(values, ptr, k):
    """Number `k` of the tables or messages that lie one after the other."""
    return values[ptr[k] : ptr[k + 1]]


@kernel
def longest_segment(ptr):
    """Length of the longest segment."""
    longest = 0
    for g in range(len(ptr) - 1):
        longest = max(longest, ptr[g + 1] - ptr[g])
    return longest


@kernel
def up_stride(p, buckets, n_states, stride):
    """Strides of a bucket's message along the axes of the parent's table."""
    stride[:] = 0
    step = 1
    for slot in range(buckets.ptr[p] + 1, buckets.ptr[p + 1]):
        stride[buckets.up_axis[slot]] = step
        step *= n_states


@kernel
def _edge_stride(axis, flipped, n_states, stride):
    """Strides of an edge's matrix along the axes of a table; rows are the first end."""
    stride[:] = 0
    stride[0] = 1 if flipped else n_states
    stride[axis] = n_states if flipped else 1


@kernel
def fill_table(p, buckets, node, edge, rows, multiply, table, stride):
    """Fill the table of a bucket with the values, scores or potentials, of its node and its edges."""
    n_states, n_axes = node.shape[1], buckets.ptr[p + 1] - buckets.ptr[p]
    i = buckets.order[p]
    for base in range(0, len(table), n_states):
        for x in range(n_states):
            table[base + x] = node[i, x]
    too_small = False
    for k in range(buckets.edge_ptr[p], buckets.edge_ptr[p + 1]):
        _edge_stride(buckets.edge_axis[k], buckets.flipped[k], n_states, stride)
        too_small |= combine(table, n_axes, n_states, stride, edge[rows[buckets.edge[k]]].ravel(), multiply)
    return too_small


@kernel
def read_marginals(p, buckets, rows, weight, table, stride, node_out, counts):
    """Node and pair marginals from the belief of a bucket, a table that sums to one."""
    n_states, n_axes = node_out.shape[1], buckets.ptr[p + 1] - buckets.ptr[p]
    i = buckets.order[p]
    stride[:] = 0
    stride[0] = 1
    node_out[i] = 0.0
    sum_to(table, n_axes, n_states, stride, node_out[i])
    has_edges = buckets.edge_ptr[p] < buckets.edge_ptr[p + 1]
    pair = np.empty(n_states * n_states if has_edges else 0)
    for k in range(buckets.edge_ptr[p], buckets.edge_ptr[p + 1]):
        _edge_stride(buckets.edge_axis[k], buckets.flipped[k], n_states, stride)
        pair[:] = 0.0
        sum_to(table, n_axes, n_states, stride, pair)
        count = counts[rows[buckets.edge[k]]]
        for x in range(n_states):
            for y in range(n_states):
                count[x, y] += weight * pair[x * n_states + y]


@kernel
def upward_pass(start, stop, buckets, potentials, tables, stride):
    """Fill tables and messages of one graph: log of the sum over labellings, and whether a number got too small."""
    (node, edge, rows), (table_ptr, table_values, message_ptr, messages) = potentials, tables
    n_states, ptr, parent = node.shape[1], buckets.ptr, buckets.parent
    log_z, too_small = 0.0, False
    for p in range(start, stop):
        table = segment_of(table_values, table_ptr, p - start)
        too_small |= fill_table(p, buckets, node, edge, rows, True, table, stride)
    for p in range(start, stop):
        table = segment_of(table_values, table_ptr, p - start)
        message = segment_of(messages, message_ptr, p - start)
        top = 0.0
        for k in range(len(message)):
            total = 0.0
            for x in range(n_states):
                total += table[k * n_states + x]
            message[k] = total
            top = max(top, total)
        log_z += np.log(top)
        if top == 0.0 or too_small:
            break
        for k in range(len(message)):
            message[k] /= top
            too_small |= (message[k] < SMALLEST_MESSAGE) & (message[k] > 0.0)
        q = parent[p]
        if q >= 0:
            target = segment_of(table_values, table_ptr, q - start)
            up_stride(p, buckets, n_states, stride)
            too_small |= combine(target, ptr[q + 1] - ptr[q], n_states, stride, message, True)
    return log_z, too_small


@kernel
def upward_pass_log(start, stop, buckets, scores, take_max, tables, stride):
    """Fill tables and messages of one graph with logarithms of sums (or maxima); the total over labellings."""
    (node, edge, rows), (table_ptr, table_values, message_ptr, messages) = scores, tables
    n_states, ptr, parent = node.shape[1], buckets.ptr, buckets.parent
    for p in range(start, stop):
        table = segment_of(table_values, table_ptr, p - start)
        fill_table(p, buckets, node, edge, rows, False, table, stride)
    log_z = 0.0
    for p in range(start, stop):
        table = segment_of(table_values, table_ptr, p - start)
        message = segment_of(messages, message_ptr, p - start)
        for k in range(len(message)):
            row = table[k * n_states : (k + 1) * n_states]
            message[k] = row.max() if take_max else log_sum(row)
        q = parent[p]
        if q >= 0:
            target = segment_of(table_values, table_ptr, q - start)
            up_stride(p, buckets, n_states, stride)
            combine(target, ptr[q + 1] - ptr[q], n_states, stride, message, False)
        else:
            log_z += message[0]
    return log_z


@kernel
def propagate_log(buckets, graphs, scores, weights, out):
    """`propagate` in the log domain, on some graphs: its plain twin, for any legal scores."""
    rows, node_out, counts = scores.edge_matrix, out.node, out.edge
    n_states = scores.node.shape[1]
    node_ptr, ptr, parent = buckets.node_ptr, buckets.ptr, buckets.parent
    stride = np.zeros(longest_segment(ptr), np.int64)
    for g in graphs:
        start, stop = node_ptr[g], node_ptr[g + 1]
        tables = make_tables(start, stop, ptr, n_states)
        table_ptr, table_values, message_ptr, messages = tables
        out.log_partition[g] = upward_pass_log(start, stop, buckets, scores, False, tables, stride)
        if out.log_partition[g] == -np.inf:
            for p in range(start, stop):
                node_out[buckets.order[p]] = np.nan
            continue
        for p in range(stop - 1, start - 1, -1):  # tables become beliefs: probabilities that sum to one
            table = segment_of(table_values, table_ptr, p - start)
            message = segment_of(messages, message_ptr, p - start)
            q = parent[p]
            separator = np.zeros(len(message))
            if q >= 0:
                belief = segment_of(table_values, table_ptr, q - start)
                up_stride(p, buckets, n_states, stride)
                sum_to(belief, ptr[q + 1] - ptr[q], n_states, stride, separator)
            else:
                separator[0] = 1.0
            total = 0.0
            for k in range(len(message)):
                for x in range(n_states):
                    conditional = np.exp(table[k * n_states + x] - message[k]) if separator[k] > 0.0 else 0.0
                    table[k * n_states + x] = separator[k] * conditional
                    total += table[k * n_states + x]
            for k in range(len(table)):
                table[k] /= total
            read_marginals(p, buckets, rows, weights[g], table, stride, node_out, counts)


@kernel
def sample_labels(buckets, scores, uniforms, labels):
    """Labels from the roots down, each given its separator: drawn with `uniforms`, or best where these are empty."""
    n_states = scores.node.shape[1]
    take_max = uniforms.shape[1] == 0
    node_ptr, ptr = buckets.node_ptr, buckets.ptr
    stride = np.zeros(longest_segment(ptr), np.int64)
    for g in range(len(node_ptr) - 1):
        start, stop = node_ptr[g], node_ptr[g + 1]
        tables = make_tables(start, stop, ptr, n_states)
        table_ptr, table_values = tables.table_ptr, tables.table
        upward_pass_log(start, stop, buckets, scores, take_max, tables, stride)
        for r in range(len(labels)):
            for p in range(stop - 1, start - 1, -1):
                offset, step = 0, n_states
                for slot in range(ptr[p] + 1, ptr[p + 1]):
                    offset += step * labels[r, buckets.scope[slot]]
                    step *= n_states
                row = segment_of(table_values, table_ptr, p - start)[offset : offset + n_states]
                if take_max:
                    labels[r, buckets.order[p]] = np.argmax(row)
                else:
                    labels[r, buckets.order[p]] = draw_label(row, uniforms[r, buckets.order[p]])
