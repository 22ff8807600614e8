"""The negative log-likelihood, and the model-marginals theorem that gives its gradient."""

import numpy as np

from skstruct.data.indexing import first_outside
from skstruct.exceptions import InfeasibleGraph
from skstruct.kernels.jit import kernel
from skstruct.objectives._base import Objective
from skstruct.scores import MISSING, Scores, clamp, with_rows


class Likelihood(Objective):
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

    def value_and_gradient(self, inference, scores, targets):
        """Losses of a batch and their gradient; see `Objective`.

        Raises
        ------
        InfeasibleGraph
            If a graph has no allowed labelling, or its given labels are forbidden.
        ValueError
            If `y` holds a number that is no state code.
        """
        t, plan, y, weights = inference.topology, inference.plan, targets.codes, targets.graph_weight
        _check_codes(t, y, scores.node.shape[1])
        complete = not (y == MISSING).any()
        model = plan.marginals_from(scores, weights, y if complete else None)
        plan.require_allowed(scores, model.log_partition)
        if not complete:
            given = plan.marginals(clamp(scores, y), weights)
            target = given.log_partition
            node, edge = model.node - given.node, model.edge - given.edge
        else:
            node, edge, target = model.node, model.edge, np.empty(t.n_graphs)
            arrays = t.node_ptr, t.edge_ptr, t.edges
            _subtract_labelling(*arrays, with_rows(scores, t.n_edges), targets, model, target)
        forbidden = np.flatnonzero(~np.isfinite(target))
        if len(forbidden):
            raise InfeasibleGraph(forbidden[0], "the labels in y are forbidden, they score -inf")
        return model.log_partition - target, Scores(node, edge, scores.edge_matrix)

    def hessian_product(self, inference, scores, targets, direction):
        """Derivative of the marginals, less that of the marginals given the known labels; see `Objective`."""
        plan, y, weights = inference.plan, targets.codes, targets.graph_weight
        _, (node, edge, rows) = plan.derivative(scores, direction, weights)
        if (y == MISSING).any():
            _, given = plan.derivative(clamp(scores, y), direction, weights)
            node, edge = node - given.node, edge - given.edge
        return Scores(node, edge, rows)


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


@kernel
def _subtract_labelling(node_ptr, edge_ptr, edges, scores, targets, marginals, target):
    """Subtract the weighted indicators of the codes from weighted marginals, in place; ``target[g]`` is their score."""
    y, rows = targets.codes, scores.edge_matrix
    for g in range(len(target)):
        score, weight = 0.0, targets.graph_weight[g]
        for t in range(node_ptr[g], node_ptr[g + 1]):
            score += float(scores.node[t, y[t]])
            marginals.node[t, y[t]] -= weight
        for e in range(edge_ptr[g], edge_ptr[g + 1]):
            i, j = edges[e]
            score += float(scores.edge[rows[e], y[i], y[j]])
            marginals.edge[rows[e], y[i], y[j]] -= weight
        target[g] = score
