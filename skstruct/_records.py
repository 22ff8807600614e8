"""The value records that cross the seams; they carry numbers and no behaviour."""

from typing import NamedTuple

import numpy as np


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
