"""The local polytope of one graph as sparse matrices for HiGHS, and bounds from the dual solution."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array, csr_array

LARGEST_COST = 1e3


class Polytope(NamedTuple):
    """Variables and constraints of a graph: the node variables, (n_nodes, n_states), then the pair variables.

    Attributes
    ----------
    cost : ndarray of shape (n_variables,)
        Minus the scores, times `LARGEST_COST` / `largest`; 0 where forbidden.
    upper : ndarray of shape (n_variables,)
        1, or 0 where forbidden. Lower bounds are 0.
    equations : csr_array of shape (n_equations, n_variables)
        First, the variables of each node sum to one. Then, for every edge and state of its first end, the pairs of the
        state less the node's variable sum to zero. Then the same for second ends.
    right : ndarray of shape (n_equations,)
        Right-hand sides.
    largest : float
        Largest loss: score = -cost * `largest` / `LARGEST_COST`. The quotient may underflow.
    """

    cost: np.ndarray
    upper: np.ndarray
    equations: csr_array
    right: np.ndarray
    largest: float


def n_variables(n_nodes, n_edges, n_states):
    """Count the variables of graphs of these sizes."""
    return n_nodes * n_states + n_edges * n_states**2


def polytope(edges, scores):
    """Build the local polytope of one graph, with scores by `less_maxima`; every node and edge has one of 0."""
    n_nodes, n_states = scores.node.shape
    n_edges, n_own = len(edges), scores.node.size
    loss = -np.concatenate([scores.node.ravel(), scores.edge[scores.edge_matrix].ravel()])  # +inf where forbidden
    allowed = np.isfinite(loss)
    largest = loss[allowed].max(initial=0.0)
    # HiGHS' tolerances are absolute, 1e-7 to 1e-6. The largest loss may be so small that 1 / largest overflows.
    cost = np.where(allowed, loss, 0.0) / (largest or 1.0) * LARGEST_COST
    # A pair variable (e, x, y) is in the equations of (e, x) for the first end and of (e, y) for the second.
    e, x, y = (k.ravel() for k in np.indices((n_edges, n_states, n_states)))
    pair = n_own + np.arange(len(e))
    own = np.arange(n_own)
    ends = (edges.astype(np.int64)[:, :, None] * n_states + np.arange(n_states)).transpose(1, 0, 2).ravel()
    first, second = n_nodes + e * n_states + x, n_nodes + n_edges * n_states + e * n_states + y
    rows = [own // n_states, first, second, n_nodes + np.arange(len(ends))]
    columns = [own, pair, pair, ends]
    values = [np.ones(n_own), np.ones(2 * len(e)), -np.ones(len(ends))]
    n_equations = n_nodes + 2 * n_edges * n_states
    indices = tuple(np.concatenate(k).astype(np.int32) for k in (rows, columns))  # all that HiGHS of scipy 1.13 accepts
    equations = coo_array((np.concatenate(values), indices), shape=(n_equations, len(loss))).tocsr()
    right = np.concatenate([np.ones(n_nodes), np.zeros(2 * n_edges * n_states)])
    return Polytope(cost, allowed.astype(float), equations, right, largest)


def reparametrise(edges, scores, problem, multipliers):
    """Move scores between nodes and edges by the equations' multipliers; labellings keep their scores.

    For any multipliers, the sum of the maxima of the new scores is a bound on all labellings, independent of the
    tolerances of the solver. At a solution of the linear program it is the program's value.

    Returns
    -------
    node, edge : ndarray of shape (n_nodes, n_states), (n_edges, n_states, n_states)
    """
    n_nodes, n_states = scores.node.shape
    moved = (multipliers[n_nodes:] / LARGEST_COST * problem.largest).reshape(2, len(edges), n_states)
    node = scores.node.copy()
    np.subtract.at(node, edges[:, 0], moved[0])
    np.subtract.at(node, edges[:, 1], moved[1])
    return node, scores.edge[scores.edge_matrix] + moved[0][:, :, None] + moved[1][:, None, :]
