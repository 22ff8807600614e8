"""The loss of the structured perceptron."""

from skstruct.objectives._base import Objective
from skstruct.objectives._hinge import maximum_less_labels


class Perceptron(Objective):
    r"""Perceptron loss, :math:`\max_{\hat y} s(\hat y) - s(y)` [1]_: the structured hinge with cost 0.

    A subgradient is *counts of the decoded labelling minus counts of the labels*; it is 0 if no label is wrong. The
    loss is convex and has kinks, and the trained scores define no probabilities. Decoding and missing labels are as
    for `Hinge`.

    The minimum of the loss, 0, is reached by zero weights, with which all labellings score the same. An optimiser that
    returns the iterate of the lowest value, such as ``"sgd"``, therefore returns zero weights. The perceptron
    algorithm, ``optimizer="averaged_perceptron"``, does not compare values: it takes a step for each mistake, and
    returns the average of its iterates.

    See Also
    --------
    Hinge : the same loss with a margin, whose minimum is not trivial.

    References
    ----------
    .. [1] M. Collins, "Discriminative training methods for hidden Markov models: theory and experiments with perceptron
       algorithms", EMNLP 2002.

    Examples
    --------
    >>> import numpy as np
    >>> from skstruct import Topology
    >>> from skstruct.inference import LazyPlan, Tree
    >>> from skstruct.objectives import Perceptron
    >>> from skstruct.scores import Scores, Targets
    >>> pair = Topology.from_edges([(0, 1)], n_nodes=2)
    >>> scores = Scores(np.array([[0.0, 2.0], [1.0, 0.0]]), np.zeros((1, 2, 2)))
    >>> loss, gradient = Perceptron().value_and_gradient(
    ...     LazyPlan(Tree(), pair, 2), scores, Targets(np.array([0, 0]), np.ones(1))
    ... )
    >>> loss, gradient.node
    (array([2.]), array([[-1.,  1.],
           [ 0.,  0.]]))
    """

    smooth = False
    probabilistic = False
    piecewise_linear = True

    def value_and_gradient(self, inference, scores, targets):
        """Losses of a batch and a subgradient; see `Objective`.

        Raises
        ------
        InfeasibleGraph
            If a graph has no allowed labelling, or its given labels are forbidden.
        """
        return maximum_less_labels(inference, scores, scores, targets)
