"""The k best labellings of one graph: by messages on forests, by repeated decoding elsewhere."""

import heapq
import itertools
from typing import NamedTuple

import numpy as np

from skstruct.inference._base import merge_edges
from skstruct.inference._rooted_forest import ROOT, rooted_forest
from skstruct.kernels.jit import kernel
from skstruct.scores import in_double, with_rows


def k_best_of_forest(topology, scores, k):
    """Find the `k` highest-scoring labellings of one graph without cycles.

    Max-product message passing with lists [1]_: a message holds, for each state of the receiver, the `k` best scores
    of the sender's subtree and the origin of each. The roots of several components are joined below a node with one
    state. Time O(n_nodes * k * (n_states**2 + n_states * log(k))), memory O(n_nodes * n_states * k).

    Parameters
    ----------
    topology : Topology
        One graph; repeated edges are legal.
    scores : Scores
    k : int

    Returns
    -------
    labels : ndarray of shape (n_found, n_nodes)
        With ``n_found <= k`` where fewer labellings are allowed.
    score : ndarray of shape (n_found,)
        In nats, falling.

    References
    ----------
    .. [1] N. Seshadri, C.-E. W. Sundberg, "List Viterbi decoding algorithms with applications", *IEEE Transactions on
       Communications* 42(2/3/4), 1994.
    """
    scores = in_double(scores)
    if topology.has_repeated_edges:
        merge = merge_edges(topology)
        topology, scores = merge.simple, merge.scores(scores)
    n_nodes, n_states = scores.node.shape
    if n_nodes * np.log2(n_states) < 62:
        k = min(k, n_states**n_nodes)
    forest = rooted_forest(topology)
    lists = _Lists(
        value=np.full((n_nodes + 1, n_states, k), -np.inf),
        rank=np.zeros((n_nodes, n_states, k), np.int32),
        source=np.zeros((n_nodes, n_states, k), np.int32),
    )
    _send_lists(forest, with_rows(scores, topology.n_edges), lists)
    score = lists.value[n_nodes, 0]
    score = score[score > -np.inf].copy()
    labels = np.empty((len(score), n_nodes), np.intp)
    _trace(forest, lists, labels)
    return labels, score


def k_best_by_partition(plan, scores, k):
    """Find the `k` highest-scoring labellings of one graph by an exact decoder.

    Lawler's partition [1]_: the best labelling splits the rest into sets that agree with it up to some node and differ
    there; the best of each set comes from the plan's own decoder with nodes clamped. Cost: `n_nodes` calls of `decode`
    for each labelling returned.

    Parameters
    ----------
    plan : InferencePlan
        Exact, for one graph.
    scores : Scores
    k : int

    Returns
    -------
    labels, score : ndarray
        As from `k_best_of_forest`.

    References
    ----------
    .. [1] E. L. Lawler, "A procedure for computing the k best solutions to discrete optimization problems and its
       application to the shortest path problem", *Management Science* 18(7), 1972.
    """
    n_nodes, counter = plan.topology.n_nodes, itertools.count()
    queue: list[tuple] = []

    def push(prefix, forbidden):
        """Queue the best labelling that starts with `prefix` and then avoids the states in `forbidden`."""
        node = scores.node.copy()
        i = len(prefix)
        if i < n_nodes:
            node[i, forbidden] = -np.inf
        node[np.arange(i)] = -np.inf
        node[np.arange(i), prefix] = scores.node[np.arange(i), prefix]
        found = plan.decode(scores._replace(node=node))
        if found.score[0] > -np.inf:
            heapq.heappush(queue, (-found.score[0], next(counter), found.labels, i, forbidden))

    push(np.zeros(0, np.intp), [])
    labels: list[np.ndarray] = []
    score: list[float] = []
    while queue and len(labels) < k:
        negative, _, best, first, forbidden = heapq.heappop(queue)
        labels.append(best)
        score.append(-negative)
        for i in range(first, n_nodes):
            push(best[:i], [*(forbidden if i == first else []), best[i]])
    return np.array(labels, np.intp).reshape(len(labels), n_nodes), np.array(score)


class _Lists(NamedTuple):
    """Falling scores of each subtree, and their origin; nodes are numbered by their position in the forest."""

    value: np.ndarray  # (n_nodes + 1, n_states, k) scores of the subtree of p with state x; the last p joins the roots
    rank: np.ndarray  # (n_nodes, n_states, k) entry of the parent's list with state y before the message of p is joined
    source: np.ndarray  # (n_nodes, n_states, k) entry that p contributes, as x * k + (entry of value[p, x])


class _Heap(NamedTuple):
    """Rows of sums; the row of the largest next sum is first in `row`."""

    row: np.ndarray  # (k,) int32, row at each position of the heap
    key: np.ndarray  # (k,) next sum of each row
    next_rank: np.ndarray  # (k,) int32, rank of the message in that sum


@kernel
def _sift(rows, n_heap, i):
    """Move the row at position `i` of a heap of size `n_heap` to where its key belongs."""
    heap, key = rows.row, rows.key
    row = heap[i]
    while i and key[heap[(i - 1) >> 1]] < key[row]:
        heap[i] = heap[(i - 1) >> 1]
        i = (i - 1) >> 1
    while 2 * i + 1 < n_heap:
        child = 2 * i + 1
        if child + 1 < n_heap and key[heap[child + 1]] > key[heap[child]]:
            child += 1
        if key[heap[child]] <= key[row]:
            break
        heap[i] = heap[child]
        i = child
    heap[i] = row


@kernel
def _join(own, message, n_message, rows, joined, own_rank, message_rank):
    """Write the largest sums of an entry of `own` and one of the first `n_message` of `message`, both falling.

    Row `i` of all sums is ``own[i] + message``. The heap `rows` holds the best remaining sum of each row; a row enters
    after the first sum of the row before. `own_rank` and `message_rank` receive the two entries of each sum in
    `joined`. Returns the number of sums.
    """
    heap, key, next_rank = rows
    k, n_heap = len(own), 0
    if n_message and own[0] > -np.inf:
        key[0], next_rank[0], heap[0] = own[0] + message[0], 0, 0
        n_heap = 1
    found = 0
    while found < k and n_heap:
        i = heap[0]
        j = next_rank[i]
        joined[found], own_rank[found], message_rank[found] = key[i], i, j
        found += 1
        if j + 1 < n_message:
            next_rank[i] = j + 1
            key[i] = own[i] + message[j + 1]
        else:
            n_heap -= 1
            heap[0] = heap[n_heap]
        if n_heap:
            _sift(rows, n_heap, 0)
        if j == 0 and i + 1 < k and own[i + 1] > -np.inf:
            key[i + 1], next_rank[i + 1], heap[n_heap] = own[i + 1] + message[0], 0, i + 1
            n_heap += 1
            _sift(rows, n_heap, n_heap - 1)
    return found


@kernel
def _send_lists(forest, scores, lists):
    """Send messages from the leaves to the roots; fills `lists`."""
    value, rank, source = lists
    n_nodes, n_states = scores.node.shape
    k = value.shape[2]
    for p in range(n_nodes):
        for x in range(n_states):
            value[p, x, 0] = scores.node[forest.order[p], x]
    value[n_nodes, 0, 0] = 0.0
    pair, best, entry = np.zeros(n_states), np.empty(n_states), np.zeros(n_states, np.int32)
    message, sender, message_rank = np.empty(k), np.empty(k, np.int32), np.empty(k, np.int32)
    joined, rows = np.empty(k), _Heap(np.empty(k, np.int32), np.empty(k), np.empty(k, np.int32))
    for p in range(n_nodes - 1, -1, -1):
        is_root = forest.parent[p] == ROOT
        q = n_nodes if is_root else forest.parent[p]
        for y in range(1 if is_root else n_states):
            for x in range(n_states):
                if not is_root:
                    e = scores.edge_matrix[forest.edge[p]]
                    pair[x] = scores.edge[e, x, y] if forest.flipped[p] else scores.edge[e, y, x]
                else:
                    pair[x] = 0.0
                entry[x] = 0
                best[x] = value[p, x, 0] + pair[x]
            n_message = 0
            while n_message < k:
                x = 0
                for other in range(1, n_states):
                    if best[other] > best[x]:
                        x = other
                if best[x] == -np.inf:
                    break
                message[n_message], sender[n_message] = best[x], x * k + entry[x]
                n_message += 1
                entry[x] += 1
                best[x] = value[p, x, entry[x]] + pair[x] if entry[x] < k else -np.inf
            found = _join(value[q, y], message, n_message, rows, joined, rank[p, y], message_rank)
            for r in range(k):
                value[q, y, r] = joined[r] if r < found else -np.inf
            for r in range(found):
                source[p, y, r] = sender[message_rank[r]]


@kernel
def _trace(forest, lists, labels):
    """Label nodes from the roots to the leaves; children's messages are removed in the reverse order of joining."""
    rank, source = lists.rank, lists.source
    n_nodes, k = len(rank), rank.shape[2]
    entry = np.zeros(n_nodes + 1, np.int32)
    for r in range(len(labels)):
        entry[n_nodes] = r
        for p in range(n_nodes):
            is_root = forest.parent[p] == ROOT
            q = n_nodes if is_root else forest.parent[p]
            y = 0 if is_root else labels[r, forest.order[q]]
            sender = source[p, y, entry[q]]
            entry[q] = rank[p, y, entry[q]]
            labels[r, forest.order[p]], entry[p] = sender // k, sender % k
