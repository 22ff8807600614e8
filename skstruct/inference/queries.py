"""Queries about the scores of a batch, which the estimator and `skstruct.functional` call.

The plan of the batch answers them. All of them raise InfeasibleGraph for a graph that has no allowed labelling.
"""

from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from skstruct.exceptions import InfeasibleGraph, UnsupportedTopology
from skstruct.inference._base import BACKENDS, NONE_ALLOWED, InferencePlan
from skstruct.inference.allowed import find_allowed
from skstruct.scores import MISSING, Decoding, Marginals, Scores, clamp, edge_rows, score_labelling, unshared


def positive_integer(value: Any, name: str) -> int:
    """Refuse a value that is not a positive integer."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or not 1 <= value < 2**31:
        raise ValueError(f"{name} must be a positive integer, got {value!r}; the largest is 2**31 - 1.")
    return int(value)


def marginals(plan: InferencePlan, scores: Scores, labels: np.ndarray | None = None) -> Marginals:
    """Marginals of a batch in which every graph has an allowed labelling.

    Parameters
    ----------
    plan : InferencePlan
    scores : Scores
    labels : ndarray of shape (n_nodes,), default=None
        A labelling at which an iterative backend may start if it is allowed.

    Returns
    -------
    found : Marginals

    Raises
    ------
    InfeasibleGraph
        If a graph has no allowed labelling, or if the backend needs an allowed labelling and does not find one.
    """
    found = plan.marginals_from(scores, None, labels)
    plan.require_allowed(scores, found.log_partition)
    require_possible(plan, scores, found.node.argmax(axis=1) if labels is None else labels)
    return found


def require_possible(plan: InferencePlan, scores: Scores, labels: np.ndarray) -> None:
    """Raise InfeasibleGraph for a graph without an allowed labelling, if a search that starts at `labels` proves it.

    The search is needed for graphs with cycles and forbidden pairs: their approximate log-partitions can be finite.
    """
    if not plan.exact:
        t = plan.topology
        forbids = np.isneginf(scores.edge).any(axis=(1, 2))  # (n_matrices,)
        constrained = t.sum_edges(np.take(forbids, edge_rows(scores, t.n_edges))) > 0
        impossible = find_allowed(t, scores, labels.copy(), np.flatnonzero(constrained & ~t.is_forest))
        if impossible.any():
            raise InfeasibleGraph(impossible.argmax(), NONE_ALLOWED)


def pair_marginals(plan: InferencePlan, scores: Scores) -> Marginals:
    """Marginals as by `marginals`, with the pair probabilities of every edge, (n_edges, n_states, n_states)."""
    return marginals(plan, unshared(scores))


def entropy(plan: InferencePlan, scores: Scores) -> np.ndarray:
    """Entropy of the labelling of each graph, ``log Z - E[score]``, in nats, (n_graphs,).

    For an approximate backend: the entropy of its approximate distribution (the Bethe entropy for loopy belief
    propagation). Cost: one call of `marginals`, and memory for a matrix per edge. Raises InfeasibleGraph as `marginals`
    does.
    """
    t, found = plan.topology, pair_marginals(plan, scores)
    with np.errstate(invalid="ignore"):  # probability 0 times score -inf, which `where` replaces by 0
        node = np.where(found.node > 0, found.node * scores.node, 0.0).sum(axis=1)
        pairs = scores.edge[edge_rows(scores, t.n_edges)]
        edge = np.where(found.edge > 0, found.edge * pairs, 0.0).sum(axis=(1, 2))
    return found.log_partition - t.sum_nodes(node) - t.sum_edges(edge)


def expectation(plan: InferencePlan, scores: Scores, values: Scores) -> tuple[np.ndarray, Scores]:
    """Expectation of an additive function of the labelling, and its gradient with respect to the scores.

    Parameters
    ----------
    plan : InferencePlan
    scores : Scores
    values : Scores
        Terms of the function; finite arrays of the shapes of `scores`.

    Returns
    -------
    mean : ndarray of shape (n_graphs,)
    covariances : Scores
        Covariances of the function with the indicators of states, and of pairs of states summed per matrix.

    Raises
    ------
    InfeasibleGraph
        If a graph has no allowed labelling.
    """
    mean, covariances = plan.derivative(scores, values)
    plan.require_allowed(scores, np.where(np.isnan(mean), -np.inf, 0.0))
    require_possible(plan, scores, scores.node.argmax(axis=1))
    return mean, covariances


def decode(plan: InferencePlan, scores: Scores, decoder: Any = None) -> Decoding:
    """Decode a batch by a `Decoder`; None: by the plan. Raises InfeasibleGraph where no allowed labelling is found."""
    found = plan.decode(scores) if decoder is None else decoder.decode(plan.topology, scores)
    plan.require_allowed(scores, found.score)
    return found


def sample(plan: InferencePlan, scores: Scores, n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Draw labellings, (n_samples, n_nodes). Raises InfeasibleGraph where no allowed labelling is found."""
    plan.require_allowed(scores, plan.decode(scores).score)
    return plan.sample(scores, n_samples, rng)


def log_likelihood(plan: InferencePlan, scores: Scores, codes: np.ndarray) -> np.ndarray:
    """Log-probability of labels, (n_graphs,), in nats; of the known labels where some are `MISSING`."""
    complete = not (codes == MISSING).any()
    log_partition = marginals(plan, scores, codes if complete else None).log_partition
    if complete:
        target = score_labelling(plan.topology, scores, codes)
    else:
        target = plan.marginals(clamp(scores, codes)).log_partition
    return target - log_partition


def log_likelihood_gradient(plan: InferencePlan, scores: Scores, codes: np.ndarray) -> Scores:
    """Gradient of `log_likelihood` with respect to the scores, with a matrix for each edge.

    It is the marginals given the labels minus the marginals. Raises InfeasibleGraph also if the labels are forbidden.
    """
    free, given = (pair_marginals(plan, own) for own in (scores, clamp(scores, codes)))
    return Scores(given.node - free.node, given.edge - free.edge)


def log_partition_bounds(plan: InferencePlan, scores: Scores) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bounds of the log-partition, (n_graphs,), which are equal where inference is exact.

    Elsewhere, the inference backends "mean_field" and "tree_reweighted" compute the lower and the upper bound.
    """
    t, rows = plan.topology, edge_rows(scores, plan.topology.n_edges)
    lower = marginals(plan, scores).log_partition
    upper = lower.copy()
    for graphs, group in plan.groups:
        if not group.exact:
            batch, nodes, edges = t.take(graphs)
            own = Scores(scores.node[nodes], scores.edge, rows[edges])
            for bounds, name in ((lower, "mean_field"), (upper, "tree_reweighted")):
                bounds[graphs] = BACKENDS[name]().plan(batch, scores.node.shape[1]).marginals(own).log_partition
    return lower, upper


def generator(random_state: Any) -> np.random.Generator:
    """Make a numpy Generator from the parameter `random_state` of scikit-learn's conventions."""
    return np.random.default_rng(check_random_state(random_state).randint(2**32, size=4, dtype=np.uint64))


def top_k(plan: InferencePlan, scores: Scores, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the `k` highest-scoring labellings of each graph, best first, exactly.

    Parameters
    ----------
    plan : InferencePlan
        An exact plan.
    scores : Scores
    k : int

    Returns
    -------
    labels : ndarray of shape (k, n_nodes)
        If a graph has fewer than `k` allowed labellings, its remaining rows repeat the best labelling.
    score : ndarray of shape (n_graphs, k)
        In nats, in descending order; -inf for repeated labellings.

    Raises
    ------
    UnsupportedTopology
        If decoding of a graph is not exact.
    InfeasibleGraph
        If a graph has no allowed labelling.
    """
    approximate = {graphs[0]: group.name for graphs, group in plan.groups if not group.exact}
    if approximate:
        g = min(approximate)
        raise UnsupportedTopology(
            g, f"the k best labellings need exact decoding, and {approximate[g]!r} is approximate; use a junction tree"
        )
    labels, score = plan.k_best(scores, k)
    plan.require_allowed(scores, score[:, 0])
    return labels, score
