"""Costs of labellings, and scores to which they are added.

The cost of a labelling is the sum of ``cost[label, predicted]`` over all nodes whose label is known. A number means
the Hamming cost: every wrong label costs this number.
"""

from numbers import Real

import numpy as np

from skstruct.data.topology import Topology
from skstruct.objectives._labels import check_codes
from skstruct.scores import MISSING, Scores, Targets


def node_costs(topology: Topology, cost: float | np.ndarray, targets: Targets, n_states: int) -> np.ndarray:
    """Cost of each state at each node, (n_nodes, n_states); 0 at nodes without a label.

    Parameters
    ----------
    topology : Topology
    cost : float, or array-like of shape (n_states, n_states)
        Cost of any wrong label, or ``cost[label, predicted]``.
    targets : Targets
    n_states : int

    Raises
    ------
    ValueError
        If a state code does not exist, or if `cost` has another shape, an entry that is negative or not finite, or a
        cost of the correct label.
    """
    check_codes(topology, targets.codes, n_states)
    wanted = f"cost must be a number >= 0, or a matrix of shape ({n_states}, {n_states}), cost[label, predicted]"
    if isinstance(cost, Real):
        matrix = np.full((n_states, n_states), float(cost))
        np.fill_diagonal(matrix, 0.0)
    else:
        try:
            matrix = np.asarray(cost, np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{wanted}; got {cost!r}") from error
        if matrix.shape != (n_states, n_states):
            raise ValueError(f"{wanted}; got shape {matrix.shape}")
    bad = np.argwhere(~((matrix >= 0) & (matrix < np.inf)))
    if len(bad):
        a, b = bad[0]
        raise ValueError(
            f"{wanted}, with finite entries >= 0; the cost of class {b} where {a} is right is {matrix[a, b]}"
        )
    if matrix.diagonal().any():
        a = np.flatnonzero(matrix.diagonal())[0]
        raise ValueError(f"{wanted}, with a diagonal of 0; the cost of the correct class {a} is {matrix[a, a]}")
    costs = matrix[targets.codes]
    costs[targets.codes == MISSING] = 0.0
    return costs


def augment(topology: Topology, scores: Scores, cost: float | np.ndarray, targets: Targets) -> Scores:
    """Add the costs to the node scores. The score of a labelling increases by its cost."""
    costs = node_costs(topology, cost, targets, scores.node.shape[1])
    return scores._replace(node=scores.node + costs.astype(scores.node.dtype, copy=False))
