"""Queries that any plan's marginals, decoding or samples answer: entropy, samples, the k best labellings."""

import heapq
import itertools

import numpy as np
from sklearn.utils import check_random_state

from skstruct.exceptions import UnsupportedTopology
from skstruct.inference._base import edge_marginals, edge_rows


def positive_integer(value, name):
    """Check a count."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or not 1 <= value < 2**31:
        raise ValueError(f"{name} must be a positive integer, got {value!r}; the largest is 2**31 - 1.")
    return int(value)


def entropy(plan, scores):
    """Entropy of the labelling of each graph, ``log Z - E[score]``, in nats, (n_graphs,).

    Of an approximate backend, the entropy that belongs to its log-partition and marginals (Bethe's for loopy belief
    propagation). Cost: one call of `marginals`, and a matrix per edge.
    """
    t = plan.topology
    found, pairs = plan.marginals(scores), edge_marginals(plan, scores)
    with np.errstate(invalid="ignore"):  # 0 * -inf: forbidden, and never happens
        node = np.where(found.node > 0, found.node * scores.node, 0.0).sum(axis=1)
        edge = np.where(pairs > 0, pairs * scores.edge[edge_rows(scores, t.n_edges)], 0.0).sum(axis=(1, 2))
    return found.log_partition - t.sum_nodes(node) - t.sum_edges(edge)


def generator(random_state):
    """Make a numpy Generator of scikit-learn's kind of `random_state`."""
    return np.random.default_rng(check_random_state(random_state).randint(2**32, size=4, dtype=np.uint64))


def top_k(plan, scores, k):
    """The `k` highest-scoring labellings of one graph, best first, exactly.

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
    labels : ndarray of shape (n_found, n_nodes)
        With ``n_found <= k`` where fewer labellings are allowed.
    score : ndarray of shape (n_found,)
        In nats, falling.

    Raises
    ------
    UnsupportedTopology
        If decoding is not exact.

    References
    ----------
    .. [1] E. L. Lawler, "A procedure for computing the k best solutions to discrete optimization problems and its
       application to the shortest path problem", *Management Science* 18(7), 1972.
    """
    if not plan.exact:
        raise UnsupportedTopology(
            0, f"the k best labellings need exact decoding, and {plan.name!r} is approximate; use a junction tree"
        )
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
    labels, score = np.empty((k, n_nodes), np.intp), np.empty(k)
    n_found = 0
    while queue and n_found < k:
        negative, _, best, first, forbidden = heapq.heappop(queue)
        labels[n_found], score[n_found] = best, -negative
        n_found += 1
        for i in range(first, n_nodes):
            push(best[:i], [*(forbidden if i == first else []), best[i]])
    return labels[:n_found], score[:n_found]
