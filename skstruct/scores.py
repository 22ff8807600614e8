"""The records that connect the components, which carry numbers and no behaviour, and their algebra."""

from typing import NamedTuple

import numpy as np

from skstruct.data.indexing import first_outside

__all__ = ["Decoding", "Marginals", "Scores", "Targets"]

MISSING = -1  # state code of a node whose label is not known
OPTIMAL = 1e-9  # fraction of a labelling's loss against the sum of all maxima; a smaller gap is rounding


class Scores(NamedTuple):
    """Scores of all states of all nodes and edges of a batch, in nats.

    ``-inf`` forbids a state or a pair of states; ``nan`` and ``+inf`` are illegal. The same record carries
    gradients with respect to scores.

    Attributes
    ----------
    node : ndarray of shape (n_nodes, n_states)
        ``s_n[i, c]``.
    edge : ndarray of shape (n_matrices, n_states, n_states)
        Distinct edge matrices; the row is the state of ``edges[e, 0]``, the column that of ``edges[e, 1]``.
    edge_matrix : ndarray of shape (n_edges,) or None
        Row of `edge` used by each edge. None: edge ``e`` uses row ``e``.
    """

    node: np.ndarray
    edge: np.ndarray
    edge_matrix: np.ndarray | None = None


class Marginals(NamedTuple):
    """Log-partition, node marginals and expected pair counts of a batch, and how they were reached.

    Attributes
    ----------
    log_partition : ndarray of shape (n_graphs,)
        In nats; ``-inf`` for a graph without any allowed labelling (its marginals are then nan).
    node : ndarray of shape (n_nodes, n_states)
        ``P(y_i = c)``.
    edge : ndarray of shape (n_matrices, n_states, n_states)
        Pair probabilities, each times the weight of its graph, summed over the edges that share a matrix.
    n_iter : ndarray of shape (n_graphs,)
        Sweeps of an iterative backend; 0 for a direct one.
    residual : ndarray of shape (n_graphs,)
        Largest change of a message in the last sweep; 0 for a direct one.
    converged : ndarray of shape (n_graphs,)
        Whether the residual is within the backend's tolerance.
    """

    log_partition: np.ndarray
    node: np.ndarray
    edge: np.ndarray
    n_iter: np.ndarray
    residual: np.ndarray
    converged: np.ndarray


class Decoding(NamedTuple):
    """A high-scoring labelling of a batch and what is known about it, per graph.

    Attributes
    ----------
    labels : ndarray of shape (n_nodes,)
        State codes.
    score : ndarray of shape (n_graphs,)
        Total score of the labelling, in nats; ``-inf`` where no labelling is allowed.
    bound : ndarray of shape (n_graphs,)
        Upper bound on the score of any labelling; equal to `score` where optimal, ``inf`` where nothing is
        known.
    optimal : ndarray of shape (n_graphs,)
        Whether no labelling scores higher.
    """

    labels: np.ndarray
    score: np.ndarray
    bound: np.ndarray
    optimal: np.ndarray


class Targets(NamedTuple):
    """What a batch is trained towards: the labels of its nodes, and weights.

    Attributes
    ----------
    codes : ndarray of shape (n_nodes,)
        State codes of the labels; -1 where a label is unknown.
    graph_weight : ndarray of shape (n_graphs,)
        Factor of the loss of each graph.
    node_weight : ndarray of shape (n_nodes,) or None
        Factor of the term of each node, for objectives that are sums over nodes. None: all are 1.
    """

    codes: np.ndarray
    graph_weight: np.ndarray
    node_weight: np.ndarray | None = None


def direct_marginals(log_partition, node, edge):
    """Marginals of a backend that does not iterate."""
    n_graphs = len(log_partition)
    zeros = np.zeros(n_graphs)
    return Marginals(log_partition, node, edge, zeros.astype(np.intp), zeros, np.ones(n_graphs, bool))


def edge_rows(scores, n_edges):
    """Row of ``scores.edge`` that each edge uses, (n_edges,)."""
    return np.arange(n_edges) if scores.edge_matrix is None else scores.edge_matrix


def score_labelling(topology, scores, labels):
    """Total score of a labelling, per graph.

    Parameters
    ----------
    topology : Topology
    scores : Scores
    labels : ndarray of shape (n_nodes,)
        State codes.

    Returns
    -------
    score : ndarray of shape (n_graphs,)
        In nats.
    """
    i, j = topology.edges.T
    node = scores.node[np.arange(topology.n_nodes), labels]
    edge = scores.edge[edge_rows(scores, topology.n_edges), labels[i], labels[j]]
    return topology.sum_nodes(node) + topology.sum_edges(edge)


def clamp(scores, labels):
    """Condition on known labels: forbid all states but the given one where ``labels`` is not `MISSING`.

    Parameters
    ----------
    scores : Scores
    labels : ndarray of shape (n_nodes,)
        State codes, or `MISSING`.

    Returns
    -------
    scores : Scores
    """
    node = scores.node.copy()
    known = np.flatnonzero(labels != MISSING)
    node[known] = -np.inf
    node[known, labels[known]] = scores.node[known, labels[known]]
    return scores._replace(node=node)


def in_double(scores):
    """Scores as float64; most plans take nothing else."""
    node, edge = (np.asarray(part, np.float64) for part in scores[:2])
    return scores._replace(node=node, edge=edge)


def exact_decoding(topology, scores, labels):
    """Wrap the labels of an exact decoder: optimal, and its own bound."""
    score = score_labelling(topology, scores, labels)
    return Decoding(labels, score, score, np.ones(topology.n_graphs, bool))


def unshared(scores):
    """Give each edge a matrix of its own, so that `marginals` returns the pair probabilities of every edge."""
    return scores if scores.edge_matrix is None else Scores(scores.node, scores.edge[scores.edge_matrix])


def less_maxima(topology, scores):
    """Subtract from each node and each matrix its highest score; no labelling is then above 0.

    Decoders compare labellings in these scores: what labellings have in common, however large, costs no digits.

    Parameters
    ----------
    topology : Topology
    scores : Scores

    Returns
    -------
    shifted : Scores
        A copy.
    constant : ndarray of shape (n_graphs,)
        Score of a labelling = its score by `shifted` + `constant`.
    """
    node_top, edge_top = scores.node.max(axis=1), scores.edge.max(axis=(1, 2))
    for top in (node_top, edge_top):
        top[np.isneginf(top)] = 0.0
    shifted = Scores(scores.node - node_top[:, None], scores.edge - edge_top[:, None, None], scores.edge_matrix)
    edge_constant = edge_top[edge_rows(scores, topology.n_edges)]
    return shifted, topology.sum_nodes(node_top) + topology.sum_edges(edge_constant)


def is_optimal(score, bound):
    """Whether the gap between a labelling and a bound is rounding, both by `less_maxima`.

    The gap is compared with the labelling's loss, ``-score``. Unlike the size of the bound, the loss does not depend on
    constants, and unlike the range of the scores, it does not depend on penalties that the labelling avoids.
    Also true where no labelling is allowed, so that both are -inf.
    """
    with np.errstate(invalid="ignore"):  # -inf - -inf
        return (score == bound) | (np.isfinite(score) & (bound - score <= -OPTIMAL * score))


def conclude(topology, scores, shifted, constant, labels, bound):
    """Make the record of decoded labels.

    Parameters
    ----------
    topology : Topology
    scores, shifted : Scores
    constant : ndarray of shape (n_graphs,)
        As `less_maxima` returns it, with `shifted`.
    labels : ndarray of shape (n_nodes,)
    bound : ndarray of shape (n_graphs,)
        No labelling is higher by the scores `shifted`.

    Returns
    -------
    found : Decoding
        Its bound equals the score where the gap is rounding.
    """
    optimal = is_optimal(score_labelling(topology, shifted, labels), bound)
    score = score_labelling(topology, scores, labels)
    above = np.maximum(bound + constant, np.nextafter(score, np.inf))  # `constant` may swallow the gap
    return Decoding(labels, score, np.where(optimal, score, above), optimal)


def weigh_nodes(topology, node, weights):
    """Multiply node marginals, in place, by the weights of their graphs, (n_graphs,) or None; returns `node`."""
    if weights is not None and not (weights == 1.0).all():
        node *= weights[topology.node_graph][:, None]
    return node


def check_scores(topology, scores, n_states):
    """Return scores in C order, after a check that they fit the topology: kernels trust sizes and rows of matrices.

    Parameters
    ----------
    topology : Topology
    scores : Scores
    n_states : int

    Returns
    -------
    scores : Scores
        With floating-point numbers.

    Raises
    ------
    ValueError
        Names the array, and the first edge whose matrix does not exist.
    """
    node, edge, rows = scores
    node, edge = (a if _is_ready(a) else np.ascontiguousarray(a, np.float64) for a in (node, edge))
    if node.shape != (topology.n_nodes, n_states):
        raise ValueError(f"scores.node must have shape ({topology.n_nodes}, {n_states}), got {node.shape}")
    n_matrices = topology.n_edges if rows is None else len(edge)
    if edge.shape != (n_matrices, n_states, n_states):
        what = "edge" if rows is None else "matrix that edges share"
        raise ValueError(
            f"scores.edge must have shape ({n_matrices}, {n_states}, {n_states}), one for each {what}; got {edge.shape}"
        )
    if rows is not None:
        rows = np.asarray(rows)
        if rows.shape != (topology.n_edges,) or (rows.size and rows.dtype.kind not in "iu"):
            raise ValueError(
                f"scores.edge_matrix must hold {topology.n_edges} integers, a matrix for each edge; got shape "
                f"{rows.shape} and dtype {rows.dtype}"
            )
        e = first_outside(rows, n_matrices) if rows.size else None
        if e is not None:
            g = topology.edge_graph[e]
            raise ValueError(
                f"scores.edge_matrix[{e}] is {rows[e]}, but scores.edge has {n_matrices} matrices (graph {g}, edge "
                f"{e - topology.edge_ptr[g]})"
            )
    return Scores(node, edge, rows)


def _is_ready(array):
    return isinstance(array, np.ndarray) and array.flags.c_contiguous and array.dtype in (np.float64, np.float32)
