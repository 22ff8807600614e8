"""The k best labellings of forests: a best one, and deviations from it in the order of what they lose."""

from typing import NamedTuple

import numpy as np

from skstruct.inference._heap import Heap, sift
from skstruct.inference._rooted_forest import ROOT
from skstruct.kernels.jit import kernel
from skstruct.scores import in_double, score_labelling, with_rows


def k_best_of_forests(topology, forest, scores, k):
    """Find the `k` highest-scoring labellings of each graph of a batch without cycles.

    Label the nodes from the roots to the leaves. Given the label of its parent, the states of a node are ranked by the
    best scores of its subtree, and the *loss* of a state is the difference to the first rank. A labelling is determined
    by the ranks of its nodes, and its score is that of the best labelling minus the losses.

    The set of a labelling contains the labellings with the same labels from the first node to the last node that has
    another rank than the first. The set of the best labelling contains all labellings. A labelling is the best one of
    its set. The second best one of the set has, at one later node, the next rank, and at all nodes after that node the
    first rank. The next best labelling of the graph is the best of the second best ones of all labellings that were
    found so far. This is the partition of Lawler [1]_, where one pass of messages [2]_ gives all scores.

    Time O(n_nodes * (n_states**2 + k * n_states)), memory O(n_nodes * (n_states + k)). Among labellings of the same
    score, those whose candidates are found first come first, which is deterministic.

    Parameters
    ----------
    topology : Topology
        Simple graphs.
    forest : RootedForest
    scores : Scores
    k : int

    Returns
    -------
    labels : ndarray of shape (k, n_nodes)
        If a graph has fewer than `k` allowed labellings, its remaining rows repeat the best labelling.
    score : ndarray of shape (n_graphs, k)
        In nats, falling; -inf for repeated labellings, and for a graph without an allowed labelling.

    References
    ----------
    .. [1] E. L. Lawler, "A procedure for computing the k best solutions to discrete optimization problems and its
       application to the shortest path problem", *Management Science* 18(7), 1972.
    .. [2] D. Nilsson, "An efficient algorithm for finding the M most probable configurations in probabilistic expert
       systems", *Statistics and Computing* 8, 1998.
    """
    scores = with_rows(in_double(scores), topology.n_edges)
    labels = np.zeros((k, topology.n_nodes), np.intp)
    loss = np.full((topology.n_graphs, k), np.inf)
    with np.errstate(invalid="ignore"):  # -inf - -inf, seen with NUMBA_DISABLE_JIT=1 only
        _label_graphs(forest, scores, labels, loss)
    return labels, score_labelling(topology, scores, labels[0])[:, None] - loss


class _Search(NamedTuple):
    """Labellings of one graph. Nodes are numbered by their position in the forest, from 0 within the graph."""

    value: np.ndarray  # (n_nodes, n_states) best score of the subtree of p with state x, less the maximum over x
    label: np.ndarray  # (k, n_nodes)
    following: np.ndarray  # (k, n_nodes) state of the next rank, given the label of the parent
    loss: np.ndarray  # (k, n_nodes) its loss; inf if there is no such state, or if the node does not change
    is_used: np.ndarray  # (k, n_nodes) whether another labelling has the rank after that of the label


@kernel
def _label_graphs(forest, scores, labels, loss):
    """Write the labellings of all graphs, and what they lose against the best one."""
    node_ptr, order, k, n_states = forest.node_ptr, forest.order, len(labels), scores.node.shape[1]
    for g in range(len(node_ptr) - 1):
        start, n = node_ptr[g], node_ptr[g + 1] - node_ptr[g]
        most = 1  # number of labellings, as far as it is below k
        for _ in range(n):
            if most < k:
                most *= n_states
        most = min(most, k)
        search = _Search(
            np.empty((n, n_states)),
            np.empty((most, n), np.int32),
            np.empty((most, n), np.int32),
            np.empty((most, n)),
            np.zeros((most, n), np.bool_),
        )
        _send_upwards(start, forest, scores, search.value)
        n_found = _find_labellings(start, forest, scores, search, loss[g])
        for r in range(k if n_found else 0):
            row = r if r < n_found else 0
            for p in range(n):
                labels[r, order[start + p]] = search.label[row, p]


@kernel
def _send_upwards(start, forest, scores, value):
    """Compute the best scores of all subtrees of a graph, from the leaves to the roots."""
    _, order, parent, parent_edge, flipped, _ = forest
    edge, (n, n_states) = scores.edge, value.shape
    best = np.empty(n_states)
    for p in range(n):
        for x in range(n_states):
            value[p, x] = scores.node[order[start + p], x]
    for p in range(n - 1, -1, -1):
        top = -np.inf
        for x in range(n_states):
            top = max(top, value[p, x])
        if top > -np.inf:
            for x in range(n_states):
                value[p, x] -= top
        if parent[start + p] == ROOT:
            continue
        e, q = scores.edge_matrix[parent_edge[start + p]], parent[start + p] - start
        if flipped[start + p]:
            for y in range(n_states):
                best[y] = -np.inf
            for x in range(n_states):
                for y in range(n_states):
                    best[y] = max(best[y], value[p, x] + edge[e, x, y])
        else:
            for y in range(n_states):
                highest = -np.inf
                for x in range(n_states):
                    highest = max(highest, value[p, x] + edge[e, y, x])
                best[y] = highest
        for y in range(n_states):
            value[q, y] += best[y]


@kernel
def _find_labellings(start, forest, scores, search, loss):
    """Fill `search`, and the losses of the labellings; returns their number, 0 if no labelling is allowed."""
    label, following = search.label, search.following
    most, n = label.shape
    changed = np.empty(most, np.int64)  # node that the next candidate of each labelling changes
    heap = Heap(np.empty(most, np.int32), np.empty(most, np.int32), np.empty(most), np.arange(most))
    for r in range(most):
        source, first = 0, 0  # the labelling that this one is a candidate of, and the first node that it can change
        if r:
            source = heap.item[0]
            if heap.cost[source] == np.inf:
                return r
            first = changed[source] + 1
            for p in range(first):
                label[r, p], search.loss[r, p] = label[source, p], np.inf
            label[r, first - 1] = following[source, first - 1]
        if not _rank_states(first, n, r, source, start, forest, scores, search):
            return 0
        loss[r] = heap.cost[source] if r else 0.0
        if r:
            search.is_used[source, first - 1] = True
            _rank_states(first - 1, first, source, source, start, forest, scores, search)
            _find_candidate(source, search, loss, changed, heap)
            sift(heap, r, 0)
        heap.item[r], heap.place[r] = r, r
        _find_candidate(r, search, loss, changed, heap)
        sift(heap, r + 1, r)
    return most


@kernel
def _rank_states(first, stop, r, source, start, forest, scores, search):
    """Find the first rank and the following one of some nodes in labelling `r`; returns whether they are allowed.

    Nodes whose parents have the same label as in the labelling `source` need no work.
    """
    _, _, parent, parent_edge, flipped, _ = forest
    (value, label, following, loss, is_used), edge = search, scores.edge
    n_states = value.shape[1]
    given = np.empty(n_states)  # best scores of the subtree of a node, given the label of its parent
    for p in range(first, stop):
        q = parent[start + p] - start
        is_root = q < 0
        y = 0 if is_root else label[r, q]
        if r != source and not is_used[source, p] and (is_root or label[source, q] == y):
            label[r, p], following[r, p], loss[r, p] = label[source, p], following[source, p], loss[source, p]
            continue
        e = 0 if is_root else scores.edge_matrix[parent_edge[start + p]]
        state, top = 0, -np.inf
        for x in range(n_states):
            given[x] = value[p, x]
            if not is_root:
                given[x] += edge[e, x, y] if flipped[start + p] else edge[e, y, x]
            if given[x] > top:
                state, top = x, given[x]
        if top == -np.inf:
            return False
        used = following[r, p] if is_used[r, p] else state
        after, second = 0, -np.inf
        for x in range(n_states):
            if second < given[x] and (given[x] < given[used] or (given[x] == given[used] and x > used)):
                after, second = x, given[x]
        label[r, p], following[r, p], loss[r, p] = state, after, top - second
    return True


@kernel
def _find_candidate(r, search, loss, changed, heap):
    """Find the best candidate of labelling `r`: the node that it changes, and what it loses against the best one."""
    least = np.inf
    for p in range(search.loss.shape[1]):
        if search.loss[r, p] < least:
            least, changed[r] = search.loss[r, p], p
    heap.cost[r] = loss[r] + least
