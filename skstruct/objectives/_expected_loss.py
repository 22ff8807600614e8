"""The expected cost of a labelling that is drawn from the model: minimum Bayes risk training."""

import numpy as np

from skstruct.objectives._base import Objective
from skstruct.objectives._cost import node_costs
from skstruct.scores import Scores


class ExpectedLoss(Objective):
    r"""Expected cost of a labelling drawn from the model, :math:`E_P[\Delta(\hat y, y)]` [1]_ [2]_.

    The cost is a sum over nodes, :math:`\Delta(\hat y, y) = \sum_i w_i \, cost[y_i, \hat y_i]`, and so is its
    expectation, :math:`\sum_i w_i \sum_c P(\hat y_i = c \mid x) \, cost[y_i, c]`. With the default cost it is the
    expected number of wrong labels. The loss of a node is at most its largest cost, also if the model considers its
    label impossible. Wrong labels in the training data therefore have less influence than on the likelihood.

    The gradient is the derivative of the marginals along the cost, a covariance. With approximate inference it is the
    gradient of the approximate expectation. Time: see `InferencePlan.derivative`.

    The loss is not convex, and almost flat far from its minima. Training therefore starts at the solution of another
    objective. A node without a label has no cost.

    Training has no reason to make probabilities agree with frequencies. They are often much too close to 0 and 1.

    Parameters
    ----------
    cost : float or array-like of shape (n_classes, n_classes), default=1.0
        Cost of each wrong label, or a matrix ``cost[label, predicted]`` in the order of `classes_`. Entries are
        finite, at least 0, and 0 on the diagonal.
    start_with : str, Objective or None, default="likelihood"
        Objective that `fit` minimises first. Its solution is the start. None: start at the initial weights.

    See Also
    --------
    Marginal : the log loss of the marginals.

    References
    ----------
    .. [1] J. Kaiser, B. Horvat, Z. Kacic, "A novel loss function for the overall risk criterion based discriminative
       training of HMM models", ICSLP 2000.
    .. [2] Z. Li, J. Eisner, "First- and second-order expectation semirings with applications to minimum-risk training
       on translation forests", EMNLP 2009.

    Examples
    --------
    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.datasets import make_chain
    >>> from skstruct.objectives import ExpectedLoss
    >>> X, y = make_chain(n_graphs=50, return_X_y=True, random_state=0)
    >>> crf = GraphCRFClassifier(objective=ExpectedLoss(), decoding="marginal", C=10).fit(X, y)
    >>> bool(crf.score(X, y) > 0.8)
    True
    """

    convex = False
    node_weighted = True

    def __init__(self, cost=1.0, start_with="likelihood"):
        self.cost = cost
        self.start_with = start_with

    def value_and_gradient(self, inference, scores, targets):
        """Expected costs of a batch and their gradient; see `Objective`.

        Raises
        ------
        InfeasibleGraph
            If a graph has no allowed labelling.
        ValueError
            If `cost` is invalid.
        """
        t, plan = inference.topology, inference.plan
        costs = node_costs(t, self.cost, targets, scores.node.shape[1])
        if targets.node_weight is not None:
            costs *= targets.node_weight[:, None]
        along = Scores(costs, np.zeros_like(scores.edge), scores.edge_matrix)
        with np.errstate(invalid="ignore"):  # -inf - -inf of a graph without an allowed labelling
            expected, gradient = plan.derivative(scores, along, targets.graph_weight)
        if not np.isfinite(expected).all():
            plan.require_allowed(scores, plan.marginals(scores).log_partition)
        return expected, gradient
