"""What an objective is: from scores and targets to the losses of graphs and their gradient.

To add an objective, write one file with a subclass of `Objective`, and add one row to ``OBJECTIVES`` in
``objectives/__init__.py``.
"""

from collections.abc import Callable
from typing import ClassVar

import numpy as np
from sklearn.base import BaseEstimator

from skstruct.inference._base import LazyPlan
from skstruct.scores import Scores, Targets


class Objective(BaseEstimator):
    """Base class of the objectives; holds the parameters of a loss.

    Attributes
    ----------
    smooth : bool
        Whether the loss has a gradient everywhere. L-BFGS refuses an objective with kinks.
    probabilistic : bool
        Whether training with the loss gives scores that define probabilities. Otherwise `predict_proba`, `sample`,
        `entropy`, `log_likelihood` and `saliency` are not available.
    has_hessian : bool
        Whether `hessian_product` is implemented. `optimizer="newton_cg"` needs it.
    convex : bool
        Whether the loss is a convex function of the scores, where inference is exact and all labels are known.
    uses_inference : bool
        Whether the loss reads ``inference.plan``. Otherwise no plan is made in training.
    piecewise_linear : bool
        Whether the loss is a maximum of linear functions of the scores, where inference is exact and all labels are
        known. Block-coordinate Frank-Wolfe and the averaged perceptron refuse other objectives.
    node_weighted : bool
        Whether the loss of a graph is a sum over nodes, and ``targets.node_weight`` multiplies its terms. Default:
        False. Such an objective accepts a `sample_weight` per node, and class weights multiply the terms of nodes. All
        other objectives ignore ``targets.node_weight``.
    supports_float32 : bool
        Whether the objective accepts scores of float32. Default: False.
    start_with : str, Objective or None
        Objective that `fit` minimises first, if it does not start from weights of an earlier fit. Its solution is the
        start. Default: None. Objectives that are not convex have a parameter of this name.
    """

    parameter: ClassVar[str] = "objective"
    has_hessian: ClassVar[bool] = False
    smooth: ClassVar[bool] = True
    probabilistic: ClassVar[bool] = True
    convex: ClassVar[bool] = True
    uses_inference: ClassVar[bool] = True
    piecewise_linear: ClassVar[bool] = False
    node_weighted: ClassVar[bool] = False
    supports_float32: ClassVar[bool] = False
    start_with: "str | Objective | None" = None

    def value_and_gradient(self, inference: LazyPlan, scores: Scores, targets: Targets) -> tuple[np.ndarray, Scores]:
        """Loss of each graph, and the gradient of the weighted sum with respect to the scores.

        Parameters
        ----------
        inference : LazyPlan
            Its `topology` is there at once; `plan` is made when it is first read. An objective that needs no inference
            reads the topology only.
        scores : Scores
            Float32 if the feature map, the objective and ``inference.plan`` support it. Otherwise float64.
        targets : Targets

        Returns
        -------
        loss : ndarray of shape (n_graphs,)
            In nats. It is not multiplied by ``targets.graph_weight``.
        d_scores : Scores
            Gradient of ``targets.graph_weight @ loss``.

        Raises
        ------
        InfeasibleGraph
            If the loss of a graph is not defined: no labelling is allowed, or the given labels are forbidden.
        """
        raise NotImplementedError

    def hessian_product(self, inference: LazyPlan, scores: Scores, targets: Targets, direction: Scores) -> Scores:
        """Derivative of the gradient in the direction `direction`, a change of the scores; if `has_hessian`."""
        raise NotImplementedError(f"{type(self).__name__} does not implement hessian_product.")

    def hessian(self, inference: LazyPlan, scores: Scores, targets: Targets) -> Callable[[Scores], Scores]:
        """Function that computes `hessian_product` for any number of directions at the same scores.

        An objective can implement it to compute what all products have in common only once. The default calls
        `hessian_product`.
        """
        return lambda direction: self.hessian_product(inference, scores, targets, direction)
