"""Inference on the score tensors of one graph, which any program can have computed.

Scores are in nats; ``-inf`` forbids a state or a pair of states. The gradients of `neg_log_likelihood` are marginals
minus indicators of the given labels. The backward pass of any framework can start from them.
"""

from typing import Any, NamedTuple

import numpy as np

from skstruct.components import resolve
from skstruct.data.number_arrays import number_array
from skstruct.data.score_tensors import check_finite, check_score_tensors
from skstruct.data.topology import Topology
from skstruct.inference import BACKENDS, InferenceBackend, LazyPlan, queries
from skstruct.objectives import Likelihood
from skstruct.scores import MISSING, Scores, Targets, clamp, unshared

__all__ = ["decode", "entropy", "expectation", "marginals", "neg_log_likelihood", "sample", "top_k"]


class GraphMarginals(NamedTuple):
    """Result of `marginals`.

    Attributes
    ----------
    log_partition : float
    node : ndarray of shape (n_nodes, n_states)
    edge : ndarray of shape (n_edges, n_states, n_states)
    exact, converged : bool
    """

    log_partition: float
    node: np.ndarray
    edge: np.ndarray
    exact: bool
    converged: bool


class GraphDecoding(NamedTuple):
    """Result of `decode`.

    Attributes
    ----------
    labels : ndarray of shape (n_nodes,)
    score, bound : float
    optimal : bool
    """

    labels: np.ndarray
    score: float
    bound: float
    optimal: bool


def marginals(
    node_scores: Any,
    edges: Any,
    edge_scores: Any,
    inference: str | InferenceBackend = "auto",
    *,
    known: Any = None,
) -> GraphMarginals:
    """Log-partition, node and pair marginals of one graph.

    Parameters
    ----------
    node_scores : array-like of shape (n_nodes, n_states)
    edges : array-like of shape (n_edges, 2)
        Node numbers; repeated edges are legal, and their scores add.
    edge_scores : array-like of shape (n_edges, n_states, n_states) or (1, n_states, n_states)
        One matrix per edge, or one matrix for all edges. Rows are states of ``edges[e, 0]``.
    inference : str or InferenceBackend, default="auto"
    known : array-like of shape (n_nodes,), default=None
        State codes of known labels, and -1 for the other nodes. Marginals are then conditional on the known labels, and
        the log-partition sums over the labellings that agree with them.

    Returns
    -------
    found : GraphMarginals
        Its attributes are `log_partition`, `node`, `edge`, `exact` and `converged`.

    Raises
    ------
    InfeasibleGraph
        If no labelling is allowed, or if an approximate backend needs an allowed labelling and does not find one. The
        message says which is the case.

    Examples
    --------
    >>> import numpy as np
    >>> from skstruct.functional import marginals
    >>> agree = np.log([[[2.0, 1.0], [1.0, 2.0]]])
    >>> found = marginals([[0.0, 0.0], [0.0, 0.0]], [(0, 1)], agree)
    >>> found.node.tolist(), round(float(np.exp(found.log_partition)), 6)
    ([[0.5, 0.5], [0.5, 0.5]], 6.0)
    """
    scores, plan = _plan(node_scores, edges, edge_scores, inference, known)
    found = queries.pair_marginals(plan, scores)
    return GraphMarginals(float(found.log_partition[0]), found.node, found.edge, plan.exact, bool(found.converged[0]))


def decode(
    node_scores: Any,
    edges: Any,
    edge_scores: Any,
    inference: str | InferenceBackend = "auto",
    *,
    known: Any = None,
) -> GraphDecoding:
    """Return a highest-scoring labelling of one graph, or the best labelling that the backend finds.

    Parameters
    ----------
    node_scores, edges, edge_scores, inference, known
        As for `marginals`.

    Returns
    -------
    found : GraphDecoding
        Its attributes are `labels` (state codes), `score`, `bound` (an upper bound on the score of any labelling, inf
        if none is known) and `optimal`.

    Raises
    ------
    InfeasibleGraph
        As `marginals`.

    Examples
    --------
    >>> from skstruct.functional import decode
    >>> decode([[1.0, 0.0], [0.0, 0.2]], [(0, 1)], [[[0.5, 0.0], [0.0, 0.5]]])
    GraphDecoding(labels=array([0, 0]), score=1.5, bound=1.5, optimal=True)
    """
    scores, plan = _plan(node_scores, edges, edge_scores, inference, known)
    found = queries.decode(plan, scores)
    return GraphDecoding(found.labels, float(found.score[0]), float(found.bound[0]), bool(found.optimal[0]))


def neg_log_likelihood(
    node_scores: Any, edges: Any, edge_scores: Any, y: Any, inference: str | InferenceBackend = "auto"
) -> tuple[float, np.ndarray, np.ndarray]:
    """Negative log-likelihood of the labels of one graph, and its gradients with respect to all scores.

    Parameters
    ----------
    node_scores, edges, edge_scores, inference
        As for `marginals`.
    y : array-like of shape (n_nodes,)
        State codes, or -1 for unknown labels. The likelihood of the known labels sums over the unknown labels.

    Returns
    -------
    loss : float
        In nats.
    d_node_scores : ndarray of shape (n_nodes, n_states)
        Marginals minus indicators.
    d_edge_scores : ndarray of the shape of `edge_scores`
        Pair marginals minus indicators, summed over all edges for a shared matrix.

    Examples
    --------
    >>> from skstruct.functional import neg_log_likelihood
    >>> loss, d_node, d_edge = neg_log_likelihood([[0.0, 0.0]], [], [], y=[1])
    >>> round(loss, 4), d_node.tolist()
    (0.6931, [[0.5, -0.5]])
    """
    scores, lazy = _read(node_scores, edges, edge_scores, inference)
    y = _check_codes(y, scores.node.shape[0], scores.node.shape[1], "y")
    if (y == MISSING).any():  # the score of a complete labelling shows whether it is allowed
        queries.require_possible(lazy.plan, scores, y)
    loss, gradient = Likelihood().value_and_gradient(lazy, scores, Targets(y, np.ones(1)))
    return float(loss[0]), gradient.node, gradient.edge


def entropy(
    node_scores: Any,
    edges: Any,
    edge_scores: Any,
    inference: str | InferenceBackend = "auto",
    *,
    known: Any = None,
) -> float:
    """Entropy of the labelling of one graph, ``log Z - E[score]``, in nats.

    Parameters
    ----------
    node_scores, edges, edge_scores, inference, known
        As for `marginals`.

    Returns
    -------
    entropy : float
        For an approximate backend: the entropy of its approximate distribution.

    Raises
    ------
    InfeasibleGraph
        As `marginals`.

    Examples
    --------
    >>> import numpy as np
    >>> from skstruct.functional import entropy
    >>> round(entropy(np.zeros((3, 2)), [(0, 1)], np.zeros((1, 2, 2))) / float(np.log(2)), 6)
    3.0
    """
    scores, plan = _plan(node_scores, edges, edge_scores, inference, known)
    return float(queries.entropy(plan, scores)[0])


def expectation(
    node_scores: Any,
    edges: Any,
    edge_scores: Any,
    node_values: Any,
    edge_values: Any = (),
    inference: str | InferenceBackend = "auto",
    *,
    known: Any = None,
) -> tuple[float, np.ndarray, np.ndarray]:
    r"""Expectation of an additive function of the labelling of one graph, and its gradients with respect to all scores.

    The function is :math:`t(\hat y) = \sum_i t_n[i, \hat y_i] + \sum_{\langle i, j \rangle} t_e[\langle i, j \rangle,
    \hat y_i, \hat y_j]`. The derivatives of its expectation are covariances,

    .. math:: \frac{\partial E[t]}{\partial s_n[i, c]} = \mathrm{Cov}(t(\hat y), 1[\hat y_i = c]),

    and likewise for edges. On one node this is the derivative of a softmax-weighted mean,
    :math:`p_c (t_c - \sum_k p_k t_k)`.

    Parameters
    ----------
    node_scores, edges, edge_scores
        As for `marginals`.
    node_values : array-like of shape (n_nodes, n_states)
        :math:`t_n`, finite.
    edge_values : array-like of shape (n_edges, n_states, n_states) or (1, n_states, n_states), default=()
        :math:`t_e`, finite: one matrix per edge, or one matrix for all edges. Empty: 0 for all edges.
    inference, known
        As for `marginals`.

    Returns
    -------
    value : float
        :math:`E[t]`.
    d_node_scores : ndarray of shape (n_nodes, n_states)
        Each row sums to 0.
    d_edge_scores : ndarray of the shape of `edge_scores`
        Summed over all edges for a shared matrix.

    Raises
    ------
    ValueError
        If shapes do not match, or a value is not finite.
    InfeasibleGraph
        As `marginals`.

    Notes
    -----
    The derivatives of `value` with respect to `node_values` and `edge_values` are the marginals. The cost is
    that of one derivative of the marginals. On chains it is about twice that of the marginals (benchmark case
    ``derivatives.chain_derivative``). Backends without derivatives of their own compute differences of the marginals.

    Examples
    --------
    The expected number of nodes in state 1:

    >>> from skstruct.functional import expectation
    >>> agree = [[[1.0, 0.0], [0.0, 1.0]]]
    >>> count = [[0.0, 1.0], [0.0, 1.0]]
    >>> value, d_node, d_edge = expectation([[0.0, 1.0], [0.0, 0.0]], [(0, 1)], agree, count)
    >>> round(value, 4), d_node.round(4).tolist()
    (1.3378, [[-0.2875, 0.2875], [-0.3295, 0.3295]])
    """
    scores, plan = _plan(node_scores, edges, edge_scores, inference, known)
    n_edges, shape = plan.topology.n_edges, scores.edge.shape[1:]
    node = check_finite(node_values, "node_values", scores.node.shape)
    edge = check_finite(edge_values, "edge_values", (n_edges, *shape), (1, *shape))
    own = scores if len(edge) == 1 else unshared(scores)
    mean, (d_node, d_edge, _) = queries.expectation(plan, own, Scores(node, np.broadcast_to(edge, own.edge.shape)))
    if len(d_edge) > len(scores.edge):  # edges share scores, and not values
        d_edge = d_edge.sum(axis=0, keepdims=True)
    return float(mean[0]), d_node, d_edge


def sample(
    node_scores: Any,
    edges: Any,
    edge_scores: Any,
    n_samples: int = 1,
    inference: str | InferenceBackend = "auto",
    *,
    known: Any = None,
    random_state: Any = None,
) -> np.ndarray:
    """Draw labellings of one graph: exactly where inference is exact, by Gibbs sweeps otherwise.

    Parameters
    ----------
    node_scores, edges, edge_scores
        As for `marginals`.
    n_samples : int, default=1
    inference, known
        As for `marginals`.
    random_state : int, RandomState or None, default=None

    Returns
    -------
    labels : ndarray of shape (n_samples, n_nodes)
        State codes.

    Examples
    --------
    >>> from skstruct.functional import sample
    >>> sample([[0.0, -float("inf")], [0.0, 0.0]], [], [], n_samples=4, random_state=0)[:, 0]
    array([0, 0, 0, 0])
    """
    n_samples = queries.positive_integer(n_samples, "n_samples")
    scores, plan = _plan(node_scores, edges, edge_scores, inference, known)
    return queries.sample(plan, scores, n_samples, queries.generator(random_state))


def top_k(
    node_scores: Any,
    edges: Any,
    edge_scores: Any,
    k: int,
    inference: str | InferenceBackend = "auto",
    *,
    known: Any = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Find the k highest-scoring labellings of one graph, best first, exactly.

    Parameters
    ----------
    node_scores, edges, edge_scores
        As for `marginals`.
    k : int
    inference, known
        As for `marginals`. Inference must be exact.

    Returns
    -------
    labels : ndarray of shape (n_found, n_nodes)
        ``n_found`` is less than `k` if fewer than `k` labellings are allowed.
    score : ndarray of shape (n_found,)
        In nats, in descending order.

    Raises
    ------
    UnsupportedTopology
        If inference on this graph is approximate.
    InfeasibleGraph
        If no labelling is allowed.

    Examples
    --------
    >>> from skstruct.functional import top_k
    >>> labels, score = top_k([[0.0, 1.0], [0.0, 0.5]], [], [], k=3)
    >>> labels.tolist(), score.tolist()
    ([[1, 1], [1, 0], [0, 1]], [1.5, 1.0, 0.5])
    """
    k = queries.positive_integer(k, "k")
    scores, plan = _plan(node_scores, edges, edge_scores, inference, known)
    k = min(k, scores.node.shape[1] ** min(len(scores.node), 31))  # number of labellings; `k` is less than 2**31
    labels, score = queries.top_k(plan, scores, k)
    found = score[0] > -np.inf
    return labels[found], score[0][found]


def _check_codes(codes, n_nodes, n_states, name):
    """State codes of one graph, (n_nodes,), -1 for unknown labels."""
    codes = number_array(codes, name)
    if codes.shape != (n_nodes,) or (n_nodes and codes.dtype.kind not in "iu"):
        raise ValueError(f"{name} must be {n_nodes} integer state codes, got shape {codes.shape}, {codes.dtype}.")
    bad = np.flatnonzero((codes < MISSING) | (codes >= n_states))
    if len(bad):
        raise ValueError(
            f"{name}[{bad[0]}] is {codes[bad[0]]}; codes run from 0 to {n_states - 1}, and -1 means unknown."
        )
    return codes.astype(np.intp)


def _plan(node_scores, edges, edge_scores, inference, known):
    """Scores of one graph, conditioned on known labels, and the plan of inference on the graph."""
    scores, lazy = _read(node_scores, edges, edge_scores, inference)
    if known is not None:
        scores = clamp(scores, _check_codes(known, len(scores.node), scores.node.shape[1], "known"))
    return scores, lazy.plan


def _read(node_scores, edges, edge_scores, inference):
    """Check the tensors of one graph, and return its scores and a `LazyPlan`."""
    node, edges, edge = check_score_tensors(node_scores, edges, edge_scores)
    n_nodes, n_states = node.shape
    rows = np.zeros(len(edges), np.int32) if len(edge) == 1 else None
    backend = resolve(inference, InferenceBackend, BACKENDS)
    return Scores(node, edge, rows), LazyPlan(backend, Topology.from_edges(edges, n_nodes), n_states)
