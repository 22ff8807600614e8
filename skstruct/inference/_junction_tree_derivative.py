"""Derivatives of the marginals of a junction tree along a direction, by conditional expectations on its tables."""

import numpy as np

from skstruct.inference._junction_tree_tables import (
    combine,
    fill_table,
    longest_segment,
    make_tables,
    read_marginals,
    segment_of,
    sum_to,
    up_stride,
    upward_pass,
    upward_pass_log,
)
from skstruct.kernels.jit import kernel


@kernel
def _condition(table, message, in_logs):
    """Divide a table by its sums over the eliminated node: conditional probabilities, 0 where the sum is 0."""
    n_states = len(table) // len(message)
    for k in range(len(message)):
        row = table[k * n_states : (k + 1) * n_states]
        if in_logs:
            for x in range(n_states):
                row[x] = np.exp(row[x] - message[k]) if row[x] > -np.inf else 0.0
        total = 0.0
        for x in range(n_states):
            total += row[x]
        inverse = 1.0 / total if total > 0.0 else 0.0
        for x in range(n_states):
            row[x] *= inverse


@kernel
def derive_tables(buckets, graphs, values, in_logs, direction, weights, mean, out, unsafe):
    r"""Write the derivatives of the marginals of some graphs.

    These are conditional expectations on the tables of the buckets. Let `t` be the score
    of a labelling by the direction, :math:`B_p` the marginals of the nodes of bucket `p`, `k` the states of its
    separator, and :math:`\tau_p` the expectation of the part of `t` that belongs to `p` and the buckets below, given
    the states of its nodes. Upwards, :math:`u_p(k) = \sum_x P(x \mid k) \tau_p(k, x)` is added to :math:`\tau` of the
    parent `q`. Downwards,

    .. math:: D_p(k, x) = B_p(k, x) \bigl(\tau_p(k, x) - u_p(k) + D_q(k) / B_q(k)\bigr)

    is the derivative of :math:`B_p`, where :math:`D_q(k)` and :math:`B_q(k)` are sums over the other nodes of `q`.

    Parameters
    ----------
    buckets : _Buckets
    graphs : ndarray
        Numbers of the graphs.
    values : Scores
        Potentials, or scores if `in_logs`.
    in_logs : bool
    direction : Scores
    weights : ndarray of shape (n_graphs,)
        Factors of the derivatives of pair counts.
    mean : ndarray of shape (n_graphs,)
        Output: the derivative of the log-partition; it is not written where no labelling is allowed.
    out : Scores
        Output; derivatives of pair counts are added. Nodes of graphs without an allowed labelling are not written.
    unsafe : ndarray of bool, (n_graphs,)
        Output: graphs that are left out, since potentials are too far apart.
    """
    rows, n_states = values.edge_matrix, values.node.shape[1]
    node_ptr, ptr, parent = buckets.node_ptr, buckets.ptr, buckets.parent
    stride = np.zeros(longest_segment(ptr), np.int64)
    for g in graphs:
        start, stop = node_ptr[g], node_ptr[g + 1]
        tables, changes = make_tables(start, stop, ptr, n_states), make_tables(start, stop, ptr, n_states)
        unsafe[g] = False
        if in_logs:
            log_z = upward_pass_log(start, stop, buckets, values, False, tables, stride)
        else:
            log_z, unsafe[g] = upward_pass(start, stop, buckets, values, tables, stride)
        if unsafe[g] or log_z == -np.inf:
            continue
        table_ptr, message_ptr = tables.table_ptr, tables.message_ptr
        mean[g] = 0.0
        for p in range(start, stop):
            change = segment_of(changes.table, table_ptr, p - start)
            fill_table(p, buckets, direction.node, direction.edge, rows, False, change, stride)
        for p in range(start, stop):
            table, change = (
                segment_of(tables.table, table_ptr, p - start),
                segment_of(changes.table, table_ptr, p - start),
            )
            expected = segment_of(changes.message, message_ptr, p - start)
            _condition(table, segment_of(tables.message, message_ptr, p - start), in_logs)
            for k in range(len(expected)):
                expected[k] = 0.0
                for x in range(k * n_states, (k + 1) * n_states):
                    expected[k] += table[x] * change[x]
            q = parent[p]
            if q >= 0:
                target = segment_of(changes.table, table_ptr, q - start)
                up_stride(p, buckets, n_states, stride)
                combine(target, ptr[q + 1] - ptr[q], n_states, stride, expected, False)
            else:
                mean[g] += expected[0]
        for p in range(stop - 1, start - 1, -1):
            table, change = (
                segment_of(tables.table, table_ptr, p - start),
                segment_of(changes.table, table_ptr, p - start),
            )
            expected = segment_of(changes.message, message_ptr, p - start)
            q = parent[p]
            separator, moved = np.zeros(len(expected)), np.zeros(len(expected))
            if q >= 0:
                up_stride(p, buckets, n_states, stride)
                n_axes = ptr[q + 1] - ptr[q]
                sum_to(segment_of(tables.table, table_ptr, q - start), n_axes, n_states, stride, separator)
                sum_to(segment_of(changes.table, table_ptr, q - start), n_axes, n_states, stride, moved)
            else:
                separator[0] = 1.0
            for k in range(len(expected)):
                outside = (moved[k] / separator[k] if separator[k] > 0.0 else 0.0) - expected[k]
                for x in range(k * n_states, (k + 1) * n_states):
                    table[x] *= separator[k]
                    change[x] = table[x] * (change[x] + outside)
            read_marginals(p, buckets, rows, weights[g], change, stride, out.node, out.edge)
