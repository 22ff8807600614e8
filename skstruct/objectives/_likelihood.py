"""The negative log-likelihood, and the model-marginals theorem that gives its gradient."""

import numpy as np
from sklearn.base import BaseEstimator

from skstruct._indexing import first_outside
from skstruct._jit import kernel
from skstruct._records import Scores
from skstruct.exceptions import InfeasibleGraph
from skstruct.inference._base import MISSING, clamp, edge_rows, marginals_from, require_allowed


class Likelihood(BaseEstimator):
    """``loss = log Z - s(y)``, with gradient *model marginals minus empirical counts*.

    Where labels are missing, the likelihood of the known ones: ``loss = log Z - log Z_clamped``, with
    gradient *marginals minus marginals given the known labels*; the clamped run forbids all other states at
    labelled nodes.

    With an approximate backend the loss is its surrogate (Bethe's for loopy belief propagation), and the
    gradient is exact for the surrogate at a fixed point.

    References
    ----------
    .. [1] D. McAllester, *Fundamentals of Deep Learning*, TTIC 31230, 2019.

    Examples
    --------
    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.objectives import Likelihood
    >>> GraphCRFClassifier(objective=Likelihood())
    GraphCRFClassifier(objective=Likelihood())
    """

    def value_and_gradient(self, plan, scores, y, weights):
        """Weighted loss of a batch and its gradient; see `Objective`.

        Raises
        ------
        InfeasibleGraph
            If a graph has no allowed labelling, or its given labels are forbidden.
        ValueError
            If `y` holds a number that is no state code.
        """
        t = plan.topology
        _check_codes(t, y, scores.node.shape[1])
        complete = not (y == MISSING).any()
        model = marginals_from(plan, scores, weights, y if complete else None)
        require_allowed(plan, scores, model.log_partition)
        if not complete:
            given = plan.marginals(clamp(scores, y), weights)
            target = given.log_partition
            node = (model.node - given.node) * weights[t.node_graph][:, None]
            edge = model.edge - given.edge
        else:
            node, edge, target = model.node, model.edge, np.empty(t.n_graphs)
            ptrs, rows = (t.node_ptr, t.edge_ptr), edge_rows(scores, t.n_edges).astype(np.int32, copy=False)
            _subtract_labelling(*ptrs, t.edges, rows, y, weights, scores.node, scores.edge, node, edge, target)
        _require_finite(target, "the labels in y are forbidden, they score -inf")
        return float(weights @ (model.log_partition - target)), Scores(node, edge, scores.edge_matrix)


def _check_codes(topology, y, n_states):
    """Refuse state codes that do not exist: kernels write where they point to."""
    if y.shape != (topology.n_nodes,):
        raise ValueError(f"y must hold {topology.n_nodes} state codes, one per node, got shape {y.shape}")
    node = first_outside(y + 1, n_states + 1)
    if node is not None:
        g = topology.node_graph[node]
        raise ValueError(
            f"y of graph {g}, node {node - topology.node_ptr[g]} is {y[node]}; state codes run from 0 to "
            f"{n_states - 1}, and {MISSING} means unknown"
        )


def _require_finite(log_values, problem):
    bad = np.flatnonzero(~np.isfinite(log_values))
    if len(bad):
        raise InfeasibleGraph(bad[0], problem)


@kernel
def _subtract_labelling(node_ptr, edge_ptr, edges, rows, y, weights, node_scores, edge_scores, node, edge, target):
    """Marginals to weighted marginals minus the indicators of `y`, in place; ``target[g]`` is the score of `y`."""
    for g in range(len(target)):
        score, weight = 0.0, weights[g]
        for t in range(node_ptr[g], node_ptr[g + 1]):
            score += float(node_scores[t, y[t]])
            if weight != 1.0:
                for x in range(node.shape[1]):
                    node[t, x] *= weight
            node[t, y[t]] -= weight
        for e in range(edge_ptr[g], edge_ptr[g + 1]):
            i, j = edges[e]
            score += float(edge_scores[rows[e], y[i], y[j]])
            edge[rows[e], y[i], y[j]] -= weight
        target[g] = score
