"""Standard errors of the weights of a fitted estimator, from the observed information."""

import warnings
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import MaxAbsScaler
from sklearn.utils import Bunch

from skstruct.estimator import fitted_loss
from skstruct.inspection._combinations import Weights
from skstruct.inspection._information import DenseInformation, SolvedInformation, conjugate_gradients
from skstruct.inspection._pipelines import transformed
from skstruct.objectives import Likelihood

MOST_WEIGHTS = 5000  # the complete matrix of this many weights takes 200 MB
HUGE = 10.0  # nats: the odds at one standard error are e**10 times those at the estimate
FAR = 0.1  # distance from the optimum, in standard errors


def standard_errors(
    crf: Any, X: Any, y: Any, sample_weight: Any = None, *, weights: dict[str, Any] | None = None
) -> Bunch:
    r"""Standard errors of the weights of a linear map, from the observed information.

    The observed information is the Hessian of the negative log-likelihood at the fitted weights. If the model is
    right and there are many graphs, the estimate has a normal distribution around the true weights, and its covariance
    is the inverse of the information. The interval of 1.96 standard errors on both sides of the estimate then covers
    the true weight with a probability of 95 %.

    Some directions in the space of the weights change no probability, such as a constant that is added to the
    intercepts of all classes. The data do not determine the weights in these directions. The standard errors are those
    of the weights without these directions: of `coef_` and `intercept_` minus their means over the classes, and of each
    full matrix of `edge_coef_` minus its mean. A penalised fit has such weights already.

    Parameters
    ----------
    crf : GraphCRFClassifier, Pipeline or search
        Fitted with ``objective="likelihood"``, a linear feature map and ``l1_ratio=0``.
    X, y, sample_weight
        The training data, as for ``fit`` of `crf`. A sample weight counts as a number of copies of a graph.
    weights : dict of {str: bool or array of bool}, default=None
        Weights whose standard errors are wanted, for models with many weights: names of attributes and masks, which
        broadcast to the shapes of the attributes, such as ``{"edge_coef_": True}``. Each of these weights costs two
        solves with conjugate gradients. None: all weights, from the complete matrix.

    Returns
    -------
    found : Bunch
        - ``coef_``, ``intercept_``, ``edge_coef_``, of the shapes of the attributes of the estimator. nan for weights
          that are not in `weights`. 0 for entries that are no parameters, such as those beside the diagonal of a Potts
          matrix.
        - ``undetermined``: list of str, the directions that change no probability, such as ``"coef_[:, 2]"`` for a
          constant in the weights of the feature 2. A direction with several terms, such as
          ``"coef_[0, 1] - 2 coef_[0, 3]"``, means that features depend on each other. Empty if `weights` is given.

    Raises
    ------
    ValueError, TypeError
        If the standard errors are not defined, or if there are too many weights for the complete matrix.

    Warns
    -----
    UserWarning
        If a standard error is huge: the labels are nearly separable by the features, or features are nearly dependent.
        If the weights are not at the optimum for `X` and `y`.

    Notes
    -----
    The matrix costs a Hessian product for each weight, and O(n_weights**3) for its decomposition. On chains a product
    takes less time than two evaluations of the objective (benchmark case ``chains.hessian_product``). The matrix uses
    O(n_weights**2) memory.

    With a penalty (a finite `C`), the estimate is biased towards zero, and the numbers have a Bayesian meaning. The
    penalty is the logarithm of a normal prior with the variance `C`. The numbers are the standard deviations of the
    normal approximation of the posterior distribution (Laplace approximation). For a large `C` there is no difference.

    With missing labels, the information is that of the known labels. With approximate inference, it is the curvature of
    the approximate likelihood, and intervals may be too short. Second derivatives need a smaller tolerance of inference
    than training. After ``inference="auto"`` has trained wide graphs, call
    ``crf.set_params(inference=TreeReweightedBP(max_iter=1000, tol=1e-8))``, or the same with `LoopyBP` if `inference_`
    contains that.

    References
    ----------
    .. [1] C. Sutton, A. McCallum, "An introduction to conditional random fields", *Foundations and Trends in
       Machine Learning* 4(4), 2012.
    .. [2] B. Efron, D. Hinkley, "Assessing the accuracy of the maximum likelihood estimator: observed versus expected
       Fisher information", *Biometrika* 65(3), 1978.

    Examples
    --------
    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.datasets import make_tree
    >>> from skstruct.inspection import standard_errors
    >>> data = make_tree(n_graphs=100, n_states=2, random_state=0)
    >>> crf = GraphCRFClassifier(C=1e6).fit(data.data, data.target)
    >>> errors = standard_errors(crf, data.data, data.target)
    >>> errors.coef_.shape == crf.coef_.shape
    True
    >>> errors.undetermined
    ['coef_[:, 0]', 'coef_[:, 1]', 'coef_[:, 2]', 'coef_[:, 3]', 'coef_[:, 4]', 'intercept_[:]', 'edge_coef_[0]']
    """
    crf, X = transformed(crf, X)
    with fitted_loss(crf, X, y, sample_weight) as (loss, objective, model, dataset):
        plan, coef = model.feature_plan, model.coef
        _require_defined(crf, objective, plan)
        free = np.flatnonzero(plan.free)
        penalty = plan.penalized[free] / crf.C
        wanted = Weights(plan, free, weights)

        def product(direction):
            full = np.zeros(plan.n_coef)
            full[free] = direction
            return loss.product(coef, full)[free]

        gradient = loss(coef)[1][free] + penalty * coef[free]
        if weights is None:
            if len(free) > MOST_WEIGHTS:
                raise ValueError(
                    f"the model has {len(free)} weights, and the matrix for all standard errors would take "
                    f"{8e-9 * len(free) ** 2:.1f} GB. Name the wanted ones, e.g. weights={{'edge_coef_': True}}."
                )
            dense = DenseInformation(np.array([product(unit) for unit in np.eye(len(free))]), penalty)
            undetermined = [wanted.describe(direction) for direction in dense.undetermined.T]
            distance, variances = np.sqrt(dense.variances(gradient[None])[0]), dense.variances(wanted.jacobian)
        else:
            undetermined, variances = [], SolvedInformation(product, penalty).variances(wanted.jacobian)
            distance = np.sqrt(gradient @ conjugate_gradients(lambda v: product(v) + penalty * v, gradient))
        found = wanted.unpack(np.sqrt(variances))
    if distance > FAR:
        warnings.warn(
            f"the weights are {distance:.2g} standard errors away from the optimum on these data; pass X, y and "
            "sample_weight as in fit, and fit with a smaller tol.",
            ConvergenceWarning,
            stacklevel=2,
        )
    _warn_huge(found, dataset)
    return Bunch(**found, undetermined=undetermined)


def _require_defined(crf, objective, plan):
    """Refuse estimators whose weights have no standard errors."""
    if not isinstance(objective, Likelihood):
        raise ValueError(
            f"standard errors come from the curvature of the likelihood, and crf was fitted with objective="
            f"{crf.objective!r}; fit with objective='likelihood'."
        )
    if not plan.linear:
        raise ValueError("standard errors need a linear feature map: the parameters of networks are not identified.")
    if crf.l1_ratio:
        raise ValueError("standard errors are not defined for an L1 penalty, which has kinks; fit with l1_ratio=0.")


def _warn_huge(found, dataset):
    """Warn if an error is huge on the scale of scores: the error times the largest absolute value of the feature."""
    sizes = {"coef_": _largest(dataset.node_features), "edge_coef_": _largest(dataset.edge_features)[:, None, None]}
    names = []
    for name, errors in found.items():
        errors = errors.toarray() if issparse(errors) else errors
        for entry in np.argwhere(errors * sizes.get(name, 1.0) > HUGE):
            names.append(f"{name}{entry.tolist()} ({errors[tuple(entry)]:.3g})")
    if names:
        warnings.warn(
            f"{len(names)} weights have huge standard errors, for example {', '.join(names[:3])}: the labels are "
            "nearly separable by the features, or features are nearly dependent. Decrease C, or remove features.",
            UserWarning,
            stacklevel=3,
        )


def _largest(table):
    """Largest absolute value of each feature, (n_features,); 1 without features, and without rows."""
    return MaxAbsScaler().fit(table).max_abs_ if table is not None and table.shape[0] else np.ones(1)
