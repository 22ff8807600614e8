"""The k best labellings of any graphs, by repeated exact decoding."""

import heapq
from itertools import pairwise

import numpy as np


def k_best_by_partition(plan, scores, k):
    """Find the `k` highest-scoring labellings of each graph of a batch by an exact decoder.

    Lawler's partition [1]_: the best labelling splits the rest into sets that agree with it up to some node and differ
    there. The best of each set comes from the decoder of the plan, with nodes clamped. All graphs of the batch are
    decoded together, for one set each. Cost: ``n_nodes * (k - 1) + 1`` calls of `decode` for the largest graph.

    Parameters
    ----------
    plan : InferencePlan
        Its decoder must be exact.
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
    """
    ptr = plan.topology.node_ptr
    searches = [_Search(scores.node[start:stop], k) for start, stop in pairwise(ptr)]
    while any(search.open for search in searches):
        node = np.concatenate([search.clamped() for search in searches])
        found = plan.decode(scores._replace(node=node))
        for search, score, labels in zip(searches, found.score, np.split(found.labels, ptr[1:-1])):
            search.receive(score, labels)
    labels, score = np.zeros((k, ptr[-1]), np.intp), np.full((len(searches), k), -np.inf)
    for g, search in enumerate(searches):
        n_found = len(search.score)
        score[g, :n_found] = search.score
        for r in range(k if n_found else 0):
            labels[r, ptr[g] : ptr[g + 1]] = search.labels[r if r < n_found else 0]
    return labels, score


class _Search:
    """The sets of labellings of one graph; those that were decoded are in a queue."""

    def __init__(self, node, k):
        self.node, self.k = node, k
        # sets that were not decoded: labels of their first nodes, and forbidden states of the next node
        self.open: list[tuple] = [(np.zeros(0, np.intp), [])]
        self.queue: list[tuple] = []
        self.n_received = 0
        self.labels: list[np.ndarray] = []
        self.score: list[float] = []

    def clamped(self):
        """Scores of the nodes in which an open set, if there is one, has the only allowed labellings."""
        if not self.open:
            return self.node
        prefix, forbidden = self.open[-1]
        node, n = self.node.copy(), np.arange(len(prefix))
        node[len(prefix) : len(prefix) + 1, forbidden] = -np.inf
        node[n] = -np.inf
        node[n, prefix] = self.node[n, prefix]
        return node

    def receive(self, score, labels):
        """Queue the best labelling of the set; after the last open set, split the set of the next best labelling."""
        if not self.open:
            return
        prefix, forbidden = self.open.pop()
        self.n_received += 1
        if score > -np.inf:
            heapq.heappush(self.queue, (-score, self.n_received, labels, len(prefix), forbidden))
        while self.queue and not self.open and len(self.score) < self.k:
            negative, _, best, first, forbidden = heapq.heappop(self.queue)
            self.labels.append(best)
            self.score.append(-negative)
            if len(self.score) < self.k:
                used = [[*forbidden, best[first]] if i == first else [best[i]] for i in range(first, len(best))]
                self.open = [(best[:i], states) for i, states in enumerate(used, start=first)]
