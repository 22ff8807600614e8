"""The negative log-likelihood, and the model-marginals theorem that gives its gradient."""

import numpy as np
from sklearn.base import BaseEstimator

from skstruct._records import Scores
from skstruct.exceptions import InfeasibleGraph
from skstruct.inference._base import MISSING, clamp, edge_rows, score_labelling


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
        """
        t = plan.topology
        model = plan.marginals(scores, weights)
        _require_finite(model.log_partition, "no labelling is allowed, all score -inf")
        node, edge = model.node * weights[t.node_graph][:, None], model.edge
        if (y == MISSING).any():
            given = plan.marginals(clamp(scores, y), weights)
            target = given.log_partition
            node -= given.node * weights[t.node_graph][:, None]
            edge = edge - given.edge
        else:
            target = score_labelling(t, scores, y)
            node[np.arange(t.n_nodes), y] -= weights[t.node_graph]
            i, j = t.edges.T
            np.subtract.at(edge, (edge_rows(scores, t.n_edges), y[i], y[j]), weights[t.edge_graph])
        _require_finite(target, "the labels in y are forbidden, they score -inf")
        return float(weights @ (model.log_partition - target)), Scores(node, edge, scores.edge_matrix)


def _require_finite(log_values, problem):
    bad = np.flatnonzero(~np.isfinite(log_values))
    if len(bad):
        raise InfeasibleGraph(bad[0], problem)
