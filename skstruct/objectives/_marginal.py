"""The marginal log-likelihood: each node's label, summed over the labels of all other nodes."""

import numpy as np

from skstruct.objectives._base import Objective
from skstruct.objectives._labels import check_codes, node_terms, require_finite
from skstruct.scores import Scores, clamp, in_double

SMALLEST = 1e-30  # 69 nats: directions of derivatives stay far from overflow


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
    Below a probability of 1e-30 the logarithm is replaced by its tangent at 1e-30. The loss is then finite also where
    the probability of a label underflows. The gradient of such a term is close to 0, or 0.

    Backends that compute derivatives by differences ("mean_field" and "gibbs") lose the gradient in rounding errors if
    a label has a probability below about 1e-6. With exact derivatives of marginals there is no such limit.

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
        scores = in_double(scores)
        t, plan, y = inference.topology, inference.plan, targets.codes
        check_codes(t, y, scores.node.shape[1])
        nodes, weights = node_terms(targets)
        found = plan.marginals(scores)
        plan.require_allowed(scores, found.log_partition)
        p = found.node[nodes, y[nodes]]
        if not p.all():  # forbidden, or too small for a floating-point number
            require_finite(plan.decode(clamp(scores, y)).score)
        at = np.maximum(p, SMALLEST)
        losses, direction = np.zeros(t.n_nodes), np.zeros_like(scores.node)
        losses[nodes] = weights * (1.0 - p / at - np.log(at))
        direction[nodes, y[nodes]] = -weights / at
        along = Scores(direction, np.zeros_like(scores.edge), scores.edge_matrix)
        return t.sum_nodes(losses), plan.derivative(scores, along, targets.graph_weight)[1]
