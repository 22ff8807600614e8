"""The softmax margin: the likelihood of scores to which costs are added."""

from skstruct.objectives._cost import augment
from skstruct.objectives._likelihood import Likelihood


class SoftmaxMargin(Likelihood):
    r"""Softmax margin, :math:`\log \sum_{\hat y} \exp[s(\hat y) + \Delta(\hat y, y)] - s(y)` [1]_ [2]_.

    This is the negative log-likelihood of scores to which the cost :math:`\Delta(\hat y, y) = \sum_i cost[y_i, \hat
    y_i]` is added, and a smooth version of `Hinge`: the maximum is replaced by the logarithm of a sum of exponentials.
    With cost 0 it is the likelihood. The loss is convex where the likelihood is. It costs as much as the likelihood,
    and approximate backends and missing labels have the same effect. A missing label has no cost.

    The probabilities of the trained model are computed without the cost. Training has no reason to make them agree with
    frequencies.

    Parameters
    ----------
    cost : float or array-like of shape (n_classes, n_classes), default=1.0
        Cost of each wrong label, in nats, or a matrix ``cost[label, predicted]`` in the order of `classes_`. Entries
        are finite, at least 0, and 0 on the diagonal.

    See Also
    --------
    Hinge : a loss with kinks and the same costs.

    References
    ----------
    .. [1] D. Povey et al., "Boosted MMI for model and feature-space discriminative training", ICASSP 2008.
    .. [2] K. Gimpel, N. A. Smith, "Softmax-margin CRFs: training log-linear models with cost functions", NAACL 2010.

    Examples
    --------
    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.datasets import make_chain
    >>> from skstruct.objectives import SoftmaxMargin
    >>> X, y = make_chain(n_graphs=50, return_X_y=True, random_state=0)
    >>> crf = GraphCRFClassifier(objective=SoftmaxMargin(cost=0.5)).fit(X, y)
    >>> bool(crf.score(X, y) > 0.8)
    True
    """

    def __init__(self, cost=1.0):
        self.cost = cost

    def value_and_gradient(self, inference, scores, targets):
        """Losses of a batch and their gradient; see `Objective`.

        Raises
        ------
        InfeasibleGraph
            If a graph has no allowed labelling, or its given labels are forbidden.
        ValueError
            If `cost` is invalid.
        """
        augmented = augment(inference.topology, scores, self.cost, targets)
        return super().value_and_gradient(inference, augmented, targets)

    def hessian(self, inference, scores, targets):
        """Linearize the marginals of the scores with costs; see `Objective`."""
        augmented = augment(inference.topology, scores, self.cost, targets)
        return super().hessian(inference, augmented, targets)
