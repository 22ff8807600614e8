"""The structured hinge loss, the objective of maximum-margin Markov networks and structural support vector machines."""

import numpy as np

from skstruct.objectives._base import Objective
from skstruct.objectives._cost import augment
from skstruct.objectives._labels import check_codes, require_finite, subtract_labelling
from skstruct.scores import Scores, clamp


class Hinge(Objective):
    r"""Structured hinge loss, :math:`\max_{\hat y} [s(\hat y) + \Delta(\hat y, y)] - s(y)` [1]_ [2]_.

    The loss is 0 if the given labels score more than every other labelling by a margin, which is the cost
    :math:`\Delta(\hat y, y) = \sum_i cost[y_i, \hat y_i]` of the other labelling. It is an upper bound of the cost of
    the most probable labelling. A subgradient is *counts of the maximising labelling minus counts of the labels*.
    Without edges, and with cost 1, this is the multiclass support vector machine of Crammer and Singer [3]_.

    The loss is convex and has kinks. L-BFGS cannot minimise it; use ``optimizer="bcfw"`` or ``"sgd"``. The trained
    scores define no probabilities.

    Each evaluation decodes each graph once, with the backend `inference`. If the backend is exact, so is the loss.
    Otherwise the maximum is taken over the decoded and the given labels. The loss is then too low where decoding
    misses the best labelling, and training can stop too early [4]_.

    Where labels are missing, the cost counts the known labels only, and :math:`s(y)` is the score of the best labelling
    that agrees with them. This needs a second decoding, and the loss is not convex [5]_.

    Parameters
    ----------
    cost : float or array-like of shape (n_classes, n_classes), default=1.0
        Cost of each wrong label, or a matrix ``cost[label, predicted]`` in the order of `classes_`. Entries are
        finite, at least 0, and 0 on the diagonal. With ``k`` times the cost and ``k`` times `C`, the optimal weights
        are multiplied by ``k``, and predictions stay the same.

    See Also
    --------
    Perceptron : the same loss without a margin.
    SoftmaxMargin : a smooth loss with the same costs.

    References
    ----------
    .. [1] B. Taskar, C. Guestrin, D. Koller, "Max-margin Markov networks", NIPS 2003.
    .. [2] I. Tsochantaridis, T. Joachims, T. Hofmann, Y. Altun, "Large margin methods for structured and interdependent
       output variables", *JMLR* 6, 2005.
    .. [3] K. Crammer, Y. Singer, "On the algorithmic implementation of multiclass kernel-based vector machines",
       *JMLR* 2, 2001.
    .. [4] T. Finley, T. Joachims, "Training structural SVMs when exact inference is intractable", ICML 2008.
    .. [5] C.-N. J. Yu, T. Joachims, "Learning structural SVMs with latent variables", ICML 2009.

    Examples
    --------
    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.datasets import make_chain
    >>> from skstruct.objectives import Hinge
    >>> X, y = make_chain(n_graphs=50, return_X_y=True, random_state=0)
    >>> crf = GraphCRFClassifier(objective=Hinge(), optimizer="sgd", random_state=0).fit(X, y)
    >>> bool(crf.score(X, y) > 0.8)
    True
    """

    smooth = False
    probabilistic = False
    piecewise_linear = True

    def __init__(self, cost=1.0):
        self.cost = cost

    def value_and_gradient(self, inference, scores, targets):
        """Losses of a batch and a subgradient; see `Objective`.

        Raises
        ------
        InfeasibleGraph
            If a graph has no allowed labelling, or its given labels are forbidden.
        ValueError
            If `cost` is invalid.
        """
        augmented = augment(inference.topology, scores, self.cost, targets)
        return maximum_less_labels(inference, scores, augmented, targets)


def maximum_less_labels(inference, scores, augmented, targets):
    """Highest score of any labelling by `augmented`, less the score of the labels by `scores`, and a subgradient.

    Parameters
    ----------
    inference : LazyPlan
    scores, augmented : Scores
        The given labels have the same score by both.
    targets : Targets

    Returns
    -------
    loss : ndarray of shape (n_graphs,)
        At least 0 up to rounding, also if decoding is approximate.
    d_scores : Scores
        Subgradient of ``targets.graph_weight @ loss``.
    """
    t, plan, labels, weights = inference.topology, inference.plan, targets.codes, targets.graph_weight
    if not check_codes(t, labels, scores.node.shape[1]):
        completed = plan.decode(clamp(scores, labels))
        require_finite(completed.score)
        labels = completed.labels
    found = plan.decode(augmented)
    plan.require_allowed(augmented, found.score)
    gradient = Scores(np.zeros_like(scores.node), np.zeros_like(scores.edge), scores.edge_matrix)
    label_score = subtract_labelling(t, scores, labels, weights, gradient)
    require_finite(label_score)
    missed = found.score < label_score  # approximate decoding can miss the labels themselves
    best = np.where(missed[t.node_graph], labels, found.labels)
    return subtract_labelling(t, augmented, best, -weights, gradient) - label_score, gradient
