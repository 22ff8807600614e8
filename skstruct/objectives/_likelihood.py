"""The negative log-likelihood, and the model-marginals theorem that gives its gradient."""

from skstruct.objectives._base import Objective
from skstruct.objectives._labels import check_codes, require_finite, subtract_labelling
from skstruct.scores import Scores


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

    has_hessian = True
    supports_float32 = True

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
        if complete := check_codes(t, y, scores.node.shape[1]):
            model = plan.marginals_from(scores, weights, y)
        else:
            model, given = (known.marginals(scores, weights) for known in inference.given(y))
        plan.require_allowed(scores, model.log_partition)
        gradient = Scores(model.node, model.edge, scores.edge_matrix)
        if complete:
            target = subtract_labelling(t, scores, y, weights, gradient)
        else:
            target = given.log_partition
            gradient = gradient._replace(node=model.node - given.node, edge=model.edge - given.edge)
        require_finite(target)
        return model.log_partition - target, gradient

    def hessian_product(self, inference, scores, targets, direction):
        """Derivative of the marginals, less that of the marginals given the known labels; see `Objective`."""
        return self.hessian(inference, scores, targets)(direction)

    def hessian(self, inference, scores, targets):
        """Linearize the marginals, so that products at the same scores do not repeat inference; see `Objective`."""
        y, weights = targets.codes, targets.graph_weight
        if check_codes(inference.topology, y, scores.node.shape[1]):
            model = inference.plan.linearize(scores, weights)
            return lambda direction: model.derivative(direction)[1]
        free, given = (plan.linearize(scores, weights) for plan in inference.given(y))

        def product(direction):
            model, target = (each.derivative(direction)[1] for each in (free, given))
            return Scores(model.node - target.node, model.edge - target.edge, model.edge_matrix)

        return product
