"""The marginal log-likelihood: each node's label, summed over the labels of all other nodes."""

import numpy as np

from skstruct.objectives._base import Objective
from skstruct.objectives._labels import check_codes, require_finite, term_weights
from skstruct.scores import Scores, clamp

# 28 nats. Directions contain the inverse. Errors of approximate derivatives are proportional to it: on chains, those of
# loopy belief propagation are below 1e-6 at 1e-12, and of the order of 1 at 1e-28.
SMALLEST = 1e-12


class Marginal(Objective):
    r"""Negative marginal log-likelihood, :math:`-\sum_i w_i \log P(y_i \mid x)` [1]_.

    The loss is the log loss of `predict_proba`: each node's label is judged by its marginal probability, and not the
    labelling by its joint probability. It trains the marginals that the backend computes. With approximate inference it
    adapts the weights to the errors of the approximation, and the gradient is that of the approximate marginals.

    Each evaluation computes marginals, and the derivative of all marginals in one direction: with
    :math:`v[i, y_i] = -w_i / P(y_i)` the gradient is :math:`\tfrac{d}{d\epsilon} \mu(s + \epsilon v)` at 0. See
    `InferencePlan.derivative` for its cost; a backend without an own method computes marginals four times.

    The loss is not convex, unless there are no edges: then it is the likelihood. Training therefore starts at the
    solution of another objective.

    A node without a label has no term. Its scores still have an effect on its neighbours.

    Parameters
    ----------
    start_with : str, Objective or None, default="likelihood"
        Objective that `fit` minimises first. Its solution is the start. None: start at the initial weights.

    See Also
    --------
    ExpectedLoss : the expected number, or cost, of wrong labels.

    Notes
    -----
    Below a probability of 1e-12, or 28 nats, the logarithm is replaced by its tangent at 1e-12. The loss is then finite
    also where the probability of a label underflows, and errors of approximate derivatives stay small. The gradient of
    such a term is close to 0.

    The backends "mean_field" and "gibbs" compute derivatives by differences. These are accurate to about ``1e-13 / p``
    where a label has the probability `p`.

    References
    ----------
    .. [1] S. Kakade, Y. W. Teh, S. Roweis, "An alternate objective function for Markovian fields", ICML 2002.

    Examples
    --------
    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.datasets import make_chain
    >>> X, y = make_chain(n_graphs=50, return_X_y=True, random_state=0)
    >>> crf = GraphCRFClassifier(objective="marginal", decoding="marginal").fit(X, y)
    >>> bool(crf.score(X, y) > 0.8)
    True
    """

    convex = False
    node_weighted = True

    def __init__(self, start_with="likelihood"):
        self.start_with = start_with

    def value_and_gradient(self, inference, scores, targets):
        """Losses of a batch and their gradient; see `Objective`.

        Raises
        ------
        InfeasibleGraph
            If a graph has no allowed labelling, or its given labels are forbidden.
        """
        t, plan, y = inference.topology, inference.plan, targets.codes
        check_codes(t, y, scores.node.shape[1])
        weights = term_weights(targets)
        nodes = np.flatnonzero(weights)
        at_scores = plan.linearize(scores)
        found = at_scores.marginals
        plan.require_allowed(scores, found.log_partition)
        p = found.node[nodes, y[nodes]]
        if not p.all():  # forbidden, or too small for a floating-point number
            require_finite(plan.decode(clamp(scores, y)).score)
        at = np.maximum(p, SMALLEST)
        losses, direction = np.zeros(t.n_nodes), np.zeros_like(scores.node)
        losses[nodes] = weights[nodes] * (1.0 - p / at - np.log(at))
        direction[nodes, y[nodes]] = -weights[nodes] / at * targets.graph_weight[t.node_graph[nodes]]
        along = Scores(direction, np.zeros_like(scores.edge), scores.edge_matrix)
        return t.sum_nodes(losses), at_scores.derivative(along)[1]
