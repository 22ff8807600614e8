"""The records that connect the components, which contain numbers and no behaviour, and functions of these records."""

from typing import NamedTuple

import numpy as np

from skstruct.data.indexing import first_outside
from skstruct.data.topology import Topology

__all__ = ["Decoding", "Marginals", "Scores", "Targets"]

MISSING = -1  # state code of a node whose label is not known
OPTIMAL = 1e-9  # largest gap, relative to the loss of a labelling, that counts as rounding; see `is_optimal`


class Scores(NamedTuple):
    """Scores of all states of all nodes and edges of a batch, in nats.

    ``-inf`` forbids a state or a pair of states; ``nan`` and ``+inf`` are illegal. Gradients with respect to scores are
    a record of this type, too.

    Attributes
    ----------
    node : ndarray of shape (n_nodes, n_states)
        ``s_n[i, c]``.
    edge : ndarray of shape (n_matrices, n_states, n_states)
        Edge matrices. The row is the state of ``edges[e, 0]``, and the column is the state of ``edges[e, 1]``.
    edge_matrix : ndarray of shape (n_edges,) or None
        Number of the matrix of each edge, so that edges can share one. None: edge ``e`` has matrix ``e``.
    """

    node: np.ndarray
    edge: np.ndarray
    edge_matrix: np.ndarray | None = None


class Marginals(NamedTuple):
    """Log-partition, node marginals and expected pair counts of a batch, and the convergence of inference.

    Attributes
    ----------
    log_partition : ndarray of shape (n_graphs,)
        In nats; ``-inf`` for a graph without an allowed labelling, whose marginals are nan.
    node : ndarray of shape (n_nodes, n_states)
        ``P(y_i = c)``.
    edge : ndarray of shape (n_matrices, n_states, n_states)
        Pair probabilities, multiplied by the weights of the graphs and summed over the edges that share a matrix.
    n_iter : ndarray of shape (n_graphs,)
        Sweeps of an iterative backend; 0 for a backend that does not iterate.
    residual : ndarray of shape (n_graphs,)
        Largest change of a message in the last sweep; 0 for a backend that does not iterate.
    converged : ndarray of shape (n_graphs,)
        Whether the residual is within the tolerance of the backend.
    """

    log_partition: np.ndarray
    node: np.ndarray
    edge: np.ndarray
    n_iter: np.ndarray
    residual: np.ndarray
    converged: np.ndarray


class Decoding(NamedTuple):
    """A high-scoring labelling of a batch, and for each graph its score and a bound.

    Attributes
    ----------
    labels : ndarray of shape (n_nodes,)
        State codes.
    score : ndarray of shape (n_graphs,)
        Total score of the labelling, in nats; ``-inf`` where no labelling is allowed.
    bound : ndarray of shape (n_graphs,)
        Upper bound on the score of any labelling. It equals `score` where `optimal`, and is ``inf`` where no bound is
        known.
    optimal : ndarray of shape (n_graphs,)
        Whether it is proven that no labelling scores higher.
    """

    labels: np.ndarray
    score: np.ndarray
    bound: np.ndarray
    optimal: np.ndarray


class Targets(NamedTuple):
    """The labels of a batch on which a model is trained, and weights.

    Attributes
    ----------
    codes : ndarray of shape (n_nodes,)
        State codes of the labels; -1 where a label is unknown.
    graph_weight : ndarray of shape (n_graphs,)
        Factor of the loss of each graph.
    node_weight : ndarray of shape (n_nodes,) or None
        Factor of the term of each node, for objectives that are sums over nodes. None: all factors are 1.
    """

    codes: np.ndarray
    graph_weight: np.ndarray
    node_weight: np.ndarray | None = None


def direct_marginals(log_partition: np.ndarray, node: np.ndarray, edge: np.ndarray) -> Marginals:
    """Marginals of a backend that does not iterate."""
    n_graphs = len(log_partition)
    zeros = np.zeros(n_graphs)
    return Marginals(log_partition, node, edge, zeros.astype(np.intp), zeros, np.ones(n_graphs, bool))


def edge_rows(scores: Scores, n_edges: int) -> np.ndarray:
    """Number of the matrix of each edge in ``scores.edge``, (n_edges,)."""
    return np.arange(n_edges) if scores.edge_matrix is None else scores.edge_matrix


def with_rows(scores: Scores, n_edges: int) -> Scores:
    """Scores whose `edge_matrix` is an array, also where each edge has its own matrix: kernels read it."""
    return scores._replace(edge_matrix=edge_rows(scores, n_edges).astype(np.int32, copy=False))


def take_scores(scores: Scores, nodes: np.ndarray, edges: np.ndarray) -> Scores:
    """Scores of some nodes and edges; edges that share a matrix still share it.

    Parameters
    ----------
    scores : Scores
    nodes, edges : ndarray
        Numbers of the nodes and edges, for example from ``topology.take``.

    Returns
    -------
    scores : Scores
    """
    if scores.edge_matrix is None:
        return Scores(scores.node[nodes], scores.edge[edges])
    return Scores(scores.node[nodes], scores.edge, scores.edge_matrix[edges])


def score_labelling(topology: Topology, scores: Scores, labels: np.ndarray) -> np.ndarray:
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


def clamp(scores: Scores, labels: np.ndarray) -> Scores:
    """Condition on known labels: forbid all states but the label of each node whose label is not `MISSING`.

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
    labelled = np.flatnonzero(labels != MISSING)
    node[labelled] = -np.inf
    node[labelled, labels[labelled]] = scores.node[labelled, labels[labelled]]
    return scores._replace(node=node)


def in_double(scores: Scores) -> Scores:
    """Scores as float64, for plans that do not support float32."""
    node, edge = (np.asarray(array, np.float64) for array in scores[:2])
    return scores._replace(node=node, edge=edge)


def exact_decoding(topology: Topology, scores: Scores, labels: np.ndarray) -> Decoding:
    """Make the record of the labels of an exact decoder: they are optimal, and their score is the bound."""
    score = score_labelling(topology, scores, labels)
    return Decoding(labels, score, score, np.ones(topology.n_graphs, bool))


def unshared(scores: Scores) -> Scores:
    """Scores with a matrix for each edge, for which `marginals` returns the pair probabilities of every edge."""
    return scores if scores.edge_matrix is None else Scores(scores.node, scores.edge[scores.edge_matrix])


def less_maxima(topology: Topology, scores: Scores) -> tuple[Scores, np.ndarray]:
    """Subtract from each node and each matrix its highest score, so that no labelling scores more than 0.

    Decoders compare labellings by these scores. A large score that all labellings have in common would round away the
    differences between them.

    Parameters
    ----------
    topology : Topology
    scores : Scores

    Returns
    -------
    shifted : Scores
        A copy.
    constant : ndarray of shape (n_graphs,)
        The score of a labelling is its score by `shifted`, plus `constant`.
    """
    node_top, edge_top = scores.node.max(axis=1), scores.edge.max(axis=(1, 2))
    for top in (node_top, edge_top):
        top[np.isneginf(top)] = 0.0
    shifted = Scores(scores.node - node_top[:, None], scores.edge - edge_top[:, None, None], scores.edge_matrix)
    edge_constant = edge_top[edge_rows(scores, topology.n_edges)]
    return shifted, topology.sum_nodes(node_top) + topology.sum_edges(edge_constant)


def is_optimal(score: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """Whether the gap between a score and a bound is rounding; both are computed from the scores of `less_maxima`.

    The gap is compared with the loss of the labelling, ``-score``. The size of the bound would depend on constants, and
    the range of the scores would depend on penalties that the labelling avoids. The result is also true where no
    labelling is allowed, so that score and bound are -inf.
    """
    with np.errstate(invalid="ignore"):  # -inf - -inf
        return (score == bound) | (np.isfinite(score) & (bound - score <= -OPTIMAL * score))


def conclude(
    topology: Topology,
    scores: Scores,
    shifted: Scores,
    constant: np.ndarray,
    labels: np.ndarray,
    bound: np.ndarray,
) -> Decoding:
    """Make the record of decoded labels.

    Parameters
    ----------
    topology : Topology
    scores, shifted : Scores
    constant : ndarray of shape (n_graphs,)
        Second result of `less_maxima`; the first is `shifted`.
    labels : ndarray of shape (n_nodes,)
    bound : ndarray of shape (n_graphs,)
        Upper bound on the score of any labelling by `shifted`.

    Returns
    -------
    found : Decoding
        Its bound equals the score where the gap is rounding.
    """
    optimal = is_optimal(score_labelling(topology, shifted, labels), bound)
    score = score_labelling(topology, scores, labels)
    above = np.maximum(bound + constant, np.nextafter(score, np.inf))  # a large `constant` can round the gap to 0
    return Decoding(labels, score, np.where(optimal, score, above), optimal)


def weigh_nodes(topology: Topology, node: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Multiply node marginals, in place, by the weights of their graphs, (n_graphs,) or None; returns `node`."""
    if weights is not None and not (weights == 1.0).all():
        node *= weights[topology.node_graph][:, None]
    return node


def check_scores(topology: Topology, scores: Scores, n_states: int) -> Scores:
    """Check that scores fit the topology, and return them in C order.

    Kernels do not check indices: wrong sizes or numbers of matrices would make them access memory outside of arrays.

    Parameters
    ----------
    topology : Topology
    scores : Scores
    n_states : int

    Returns
    -------
    scores : Scores
        Arrays of float64 or float32.

    Raises
    ------
    ValueError
        The message names the array, and the first edge whose matrix does not exist.
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
