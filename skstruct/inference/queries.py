"""Every query about the scores of a batch, answered by its plan, with one treatment of graphs that allow no labelling.

The estimator and `skstruct.functional` ask these.
"""

import numpy as np
from sklearn.utils import check_random_state

from skstruct.exceptions import InfeasibleGraph, UnsupportedTopology
from skstruct.inference._base import BACKENDS, NONE_ALLOWED
from skstruct.inference._k_best import k_best_by_partition, k_best_of_forest
from skstruct.inference.allowed import find_allowed
from skstruct.scores import MISSING, Scores, clamp, edge_rows, score_labelling, unshared


def positive_integer(value, name):
    """Check a count."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or not 1 <= value < 2**31:
        raise ValueError(f"{name} must be a positive integer, got {value!r}; the largest is 2**31 - 1.")
    return int(value)


def marginals(plan, scores, labels=None):
    """Marginals of a batch in which every graph has an allowed labelling.

    Parameters
    ----------
    plan : InferencePlan
    scores : Scores
    labels : ndarray of shape (n_nodes,), default=None
        A labelling that a backend may start at if it is allowed.

    Returns
    -------
    found : Marginals

    Raises
    ------
    InfeasibleGraph
        If a graph has no allowed labelling, or if the backend needs one and finds none.
    """
    found = plan.marginals_from(scores, None, labels)
    plan.require_allowed(scores, found.log_partition)
    require_possible(plan, scores, found.node.argmax(axis=1) if labels is None else labels)
    return found


def require_possible(plan, scores, labels):
    """Raise InfeasibleGraph for a graph that is proven to have no allowed labelling by a search near to `labels`.

    Approximate log-partitions can be finite for such a graph if it has cycles and forbidden pairs.
    """
    if not plan.exact:
        t = plan.topology
        hard = t.sum_edges(np.isneginf(scores.edge).any(axis=(1, 2))[edge_rows(scores, t.n_edges)]) > 0
        impossible = find_allowed(t, scores, labels.copy(), np.flatnonzero(hard & ~t.is_forest))
        if impossible.any():
            raise InfeasibleGraph(impossible.argmax(), NONE_ALLOWED)


def pair_marginals(plan, scores):
    """Marginals as by `marginals`, and as their `edge` the pair probabilities, (n_edges, n_states, n_states)."""
    return marginals(plan, unshared(scores))


def entropy(plan, scores):
    """Entropy of the labelling of each graph, ``log Z - E[score]``, in nats, (n_graphs,).

    For an approximate backend: the entropy that belongs to its log-partition and marginals (Bethe's for loopy belief
    propagation). Cost: one call of `marginals`, and a matrix per edge. Raises InfeasibleGraph as `marginals` does.
    """
    t, found = plan.topology, pair_marginals(plan, scores)
    with np.errstate(invalid="ignore"):  # 0 * -inf: forbidden, and never happens
        node = np.where(found.node > 0, found.node * scores.node, 0.0).sum(axis=1)
        pairs = scores.edge[edge_rows(scores, t.n_edges)]
        edge = np.where(found.edge > 0, found.edge * pairs, 0.0).sum(axis=(1, 2))
    return found.log_partition - t.sum_nodes(node) - t.sum_edges(edge)


def decode(plan, scores, decoder=None):
    """Decode a batch by a `Decoder`; None: by the plan. Raises InfeasibleGraph where no allowed labelling is found."""
    found = plan.decode(scores) if decoder is None else decoder.decode(plan.topology, scores)
    plan.require_allowed(scores, found.score)
    return found


def sample(plan, scores, n_samples, rng):
    """Draw labellings, (n_samples, n_nodes). Raises InfeasibleGraph where no allowed labelling is found."""
    plan.require_allowed(scores, plan.decode(scores).score)
    return plan.sample(scores, n_samples, rng)


def log_likelihood(plan, scores, codes):
    """Log-probability of labels, (n_graphs,), in nats; of the known ones where some are `MISSING`."""
    complete = not (codes == MISSING).any()
    log_partition = marginals(plan, scores, codes if complete else None).log_partition
    if complete:
        target = score_labelling(plan.topology, scores, codes)
    else:
        target = plan.marginals(clamp(scores, codes)).log_partition
    return target - log_partition


def log_partition_bounds(plan, scores):
    """Lower and upper bounds of the log-partition, (n_graphs,): equal where inference is exact.

    Elsewhere they are those of the backends "mean_field" and "tree_reweighted".
    """
    t, rows = plan.topology, edge_rows(scores, plan.topology.n_edges)
    lower = marginals(plan, scores).log_partition
    upper = lower.copy()
    for graphs, group in plan.groups:
        if not group.exact:
            part, nodes, edges = t.take(graphs)
            own = Scores(scores.node[nodes], scores.edge, rows[edges])
            for bounds, name in ((lower, "mean_field"), (upper, "tree_reweighted")):
                bounds[graphs] = BACKENDS[name]().plan(part, scores.node.shape[1]).marginals(own).log_partition
    return lower, upper


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
