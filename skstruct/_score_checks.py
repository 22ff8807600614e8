"""Whether scores fit a topology, and lie in memory as kernels read them."""

import numpy as np

from skstruct._indexing import first_outside
from skstruct._records import Scores


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
