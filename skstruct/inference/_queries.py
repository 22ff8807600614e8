"""Queries that any plan's marginals, decoding or samples answer: entropy, samples, the k best labellings."""

import numpy as np
from sklearn.utils import check_random_state

from skstruct.exceptions import UnsupportedTopology
from skstruct.inference._base import edge_marginals, edge_rows
from skstruct.inference._k_best import k_best_by_partition, k_best_of_forest


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
    """
    if not plan.exact:
        raise UnsupportedTopology(
            0, f"the k best labellings need exact decoding, and {plan.name!r} is approximate; use a junction tree"
        )
    if plan.topology.is_forest.all():
        return k_best_of_forest(plan.topology, scores, k)
    return k_best_by_partition(plan, scores, k)
