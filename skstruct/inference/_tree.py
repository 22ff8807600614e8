"""Exact inference on trees and forests: one pass to the roots, one pass back."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from skstruct.data.adjacency import adjacency
from skstruct.data.topology import Topology
from skstruct.inference._base import InferenceBackend
from skstruct.inference._log_domain import draw_label, log_sum, send_log
from skstruct.inference._message_passing import SMALLEST_MESSAGE, LabelledExactly, sum_product
from skstruct.kernels.jit import kernel

ROOT = -1


class Tree(InferenceBackend):
    """Exact inference on any forest: graphs without cycles, connected or not, nodes in any order.

    Nodes are visited in breadth-first order, so that memory is walked in order and there is no recursion; one
    pass from the leaves to the roots and one back ([1]_, chapter 10), in the scaled probability domain, or in the
    log domain where its range is needed. A child's own message is left out of its parent's product by prefix and
    suffix products, never by division. Time O(n_nodes * n_states**2), memory O(n_nodes * n_states).

    References
    ----------
    .. [1] D. Koller, N. Friedman, *Probabilistic Graphical Models*, MIT Press, 2009.

    Examples
    --------
    >>> import numpy as np
    >>> from skstruct.functional import marginals
    >>> star = [(0, 1), (0, 2), (0, 3)]
    >>> found = marginals(np.zeros((4, 2)), star, np.zeros((1, 2, 2)), inference="tree")
    >>> found.exact, round(float(np.exp(found.log_partition)), 6)
    (True, 16.0)
    """

    name = "tree"
    exact = True
    family = "graphs without cycles"

    def accepts(self, topology, n_states):
        """Tell which graphs have no cycle; repeated edges between two nodes count as one."""
        return topology.is_forest

    def _plan(self, topology, n_states):
        return TreePlan(topology, rooted_forest(topology))


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


@dataclass(frozen=True)
class TreePlan(LabelledExactly):
    """Inference on rooted trees."""

    topology: Topology
    wiring: RootedForest
    name = Tree.name
    exact = True

    def marginals(self, scores, weights=None):
        """Marginals and log-partition; see `InferencePlan`."""
        return sum_product(self, scores, weights, _two_passes, two_passes_log)

    def _draw(self, scores, uniforms, labels):
        _label_downwards(self.wiring, scores, uniforms, labels)


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


@kernel(fastmath={"contract", "reassoc"})
def _send(potential, transposed, message, out):
    """Out = potential @ message, or message @ potential if transposed."""
    n_states = len(message)
    if transposed:
        for y in range(n_states):
            out[y] = 0.0
        for x in range(n_states):
            m = message[x]
            for y in range(n_states):
                out[y] += m * potential[x, y]
    else:
        for y in range(n_states):
            total = 0.0
            for x in range(n_states):
                total += potential[y, x] * message[x]
            out[y] = total


@kernel
def _scale(values):
    """Divide by the maximum; return it, and whether a value got too small to be multiplied on."""
    top = 0.0
    for x in range(len(values)):
        top = max(top, values[x])
    if top == 0.0:
        return top, False
    too_small = False
    inverse = 1.0 / top
    for x in range(len(values)):
        values[x] *= inverse
        too_small |= (values[x] < SMALLEST_MESSAGE) & (values[x] > 0.0)
    return top, too_small


@kernel
def _two_passes(rooted, potentials, weights, out, unsafe):
    """Messages to the roots, then back.

    below[p] = potential * messages of all children; up[p] = what p says to its parent; without[p] = what the
    parent says to p before their edge: its potential and all messages but p's own.
    """
    node_ptr, order, parent, parent_edge, flipped, children = rooted
    node, edge, rows = potentials
    n_nodes, n_states = node.shape
    below = np.empty((n_nodes, n_states))
    up = np.empty((n_nodes, n_states))
    without = np.empty((n_nodes, n_states))
    pair_total = np.empty(n_nodes)
    prefix, received = np.empty(n_states), np.empty(n_states)
    for g in range(len(node_ptr) - 1):
        if unsafe[g]:
            continue
        start, end = node_ptr[g], node_ptr[g + 1]
        log_z, too_small = 0.0, False
        for p in range(start, end):
            below[p] = node[order[p]]
        for p in range(end - 1, start - 1, -1):
            top, small = _scale(below[p])
            log_z += np.log(top)
            too_small |= small
            q = parent[p]
            if q == ROOT:
                log_z += np.log(below[p].sum())
                continue
            _send(edge[rows[parent_edge[p]]], flipped[p], below[p], up[p])
            top, small = _scale(up[p])
            log_z += np.log(top)
            for x in range(n_states):
                below[q, x] *= up[p, x]
            top, small_product = _scale(below[q])
            log_z += np.log(top)
            too_small |= small | small_product
        if not too_small and log_z == -np.inf:
            out.log_partition[g] = log_z
            for p in range(start, end):
                out.node[order[p]] = np.nan
            continue
        for p in range(start, end):
            if parent[p] == ROOT:
                received[:] = 1.0
            else:
                _send(edge[rows[parent_edge[p]]], not flipped[p], without[p], received)
            total = 0.0
            for x in range(n_states):
                b = below[p, x] * received[x]
                out.node[order[p], x] = b
                total += b
            pair_total[p] = total
            for x in range(n_states):
                out.node[order[p], x] /= total
            # suffix products from the right, then a prefix product from the left
            first, last = children[p]
            if first == last:
                continue
            without[last - 1] = 1.0
            for c in range(last - 1, first, -1):
                for x in range(n_states):
                    without[c - 1, x] = without[c, x] * up[c, x]
                too_small |= _scale(without[c - 1])[1]
            for x in range(n_states):
                prefix[x] = node[order[p], x] * received[x]
            too_small |= _scale(prefix)[1]
            for c in range(first, last):
                for x in range(n_states):
                    without[c, x] *= prefix[x]
                    prefix[x] *= up[c, x]
                too_small |= _scale(without[c])[1] | _scale(prefix)[1]
        if too_small:
            unsafe[g] = True
            continue
        out.log_partition[g] = log_z
        for p in range(start, end):
            if parent[p] == ROOT:
                continue
            factor = weights[g] / pair_total[p]
            count = out.edge[rows[parent_edge[p]]]
            for x in range(n_states):
                f = factor * (below[p, x] if flipped[p] else without[p, x])
                for y in range(n_states):
                    count[x, y] += f * (without[p, y] if flipped[p] else below[p, y])


@kernel
def _upward_log(g, rooted, scores, take_max, below, up):
    """below[p] and up[p] of `_two_passes`, as logarithms, for one graph."""
    node_ptr, order, parent, parent_edge, flipped, _ = rooted
    node, edge, rows = scores
    start, end = node_ptr[g], node_ptr[g + 1]
    for p in range(start, end):
        below[p - start] = node[order[p]]
    for p in range(end - 1, start - 1, -1):
        if parent[p] != ROOT:
            send_log(edge[rows[parent_edge[p]]], flipped[p], below[p - start], take_max, up[p - start])
            for x in range(node.shape[1]):
                below[parent[p] - start, x] += up[p - start, x]


@kernel
def two_passes_log(rooted, graphs, scores, weights, out):
    """`_two_passes` in the log domain, on some graphs: the plain twin, for any legal scores."""
    node_ptr, order, parent, parent_edge, flipped, children = rooted
    node, edge, rows = scores
    n_states = node.shape[1]
    for g in graphs:
        start, end = node_ptr[g], node_ptr[g + 1]
        below, up = np.empty((end - start, n_states)), np.empty((end - start, n_states))
        without = np.empty((end - start, n_states))
        received, prefix = np.zeros(n_states), np.zeros(n_states)
        _upward_log(g, rooted, scores, False, below, up)
        out.log_partition[g] = 0.0
        for p in range(start, end):
            if parent[p] == ROOT:
                out.log_partition[g] += log_sum(below[p - start])
        if out.log_partition[g] == -np.inf:
            for p in range(start, end):
                out.node[order[p]] = np.nan
            continue
        for p in range(start, end):
            i = p - start
            if parent[p] == ROOT:
                received[:] = 0.0
            else:
                send_log(edge[rows[parent_edge[p]]], not flipped[p], without[i], False, received)
            total = log_sum(below[i] + received)
            for x in range(n_states):
                out.node[order[p], x] = np.exp(below[i, x] + received[x] - total)
                prefix[x] = node[order[p], x] + received[x]
            if parent[p] != ROOT:
                e = rows[parent_edge[p]]
                for x in range(n_states):
                    for y in range(n_states):
                        a, b = (below[i, x], without[i, y]) if flipped[p] else (without[i, x], below[i, y])
                        out.edge[e, x, y] += weights[g] * np.exp(a + edge[e, x, y] + b - total)
            first, last = children[p] - start
            if first < last:
                without[last - 1] = 0.0
            for c in range(last - 1, first, -1):
                without[c - 1] = without[c] + up[c]
            for c in range(first, last):
                without[c] += prefix
                prefix += up[c]


@kernel
def _label_downwards(rooted, scores, uniforms, labels):
    """Messages to the roots, then each label given its parent's: drawn, or best where `uniforms` is empty."""
    node_ptr, order, parent, parent_edge, flipped, _ = rooted
    node, edge, rows = scores
    n_states = node.shape[1]
    take_max = uniforms.shape[1] == 0
    given = np.empty(n_states)
    for g in range(len(node_ptr) - 1):
        start, end = node_ptr[g], node_ptr[g + 1]
        below, up = np.empty((end - start, n_states)), np.empty((end - start, n_states))
        _upward_log(g, rooted, scores, take_max, below, up)
        for r in range(len(labels)):
            for p in range(start, end):
                given[:] = below[p - start]
                if parent[p] != ROOT:
                    e, y = rows[parent_edge[p]], labels[r, order[parent[p]]]
                    for x in range(n_states):
                        given[x] += edge[e, x, y] if flipped[p] else edge[e, y, x]
                if take_max:
                    labels[r, order[p]] = np.argmax(given)
                else:
                    labels[r, order[p]] = draw_label(given, uniforms[r, order[p]])
