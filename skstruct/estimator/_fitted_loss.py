"""The loss of a fitted estimator as a function of its parameters."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from skstruct.components import require_component, resolve
from skstruct.data.dataset import GraphDataset
from skstruct.estimator._chunks import cut, single_blas_thread, thread_map
from skstruct.estimator._classifier import GraphCRFClassifier
from skstruct.estimator._model import Model
from skstruct.estimator._training import TrainingLoss
from skstruct.estimator._weights import weighted_targets, without_weightless
from skstruct.exceptions import numbered_by
from skstruct.objectives import OBJECTIVES, Objective


class FittedLoss(NamedTuple):
    """The loss of labelled graphs, without penalty, and the model to which it belongs.

    Attributes
    ----------
    loss : TrainingLoss
        Computes value, gradient and Hessian products of ``sum_g weight_g * loss_g``.
    objective : Objective
        Definition of ``loss_g``.
    model : Model
        Its `coef` is the solution.
    dataset : GraphDataset
        The graphs whose weight is not zero.
    """

    loss: TrainingLoss
    objective: Objective
    model: Model
    dataset: GraphDataset


@contextmanager
def fitted_loss(crf: GraphCRFClassifier, X: Any, y: Any, sample_weight: Any = None) -> Iterator[FittedLoss]:
    """Context with the loss of a fitted estimator, computed in the threads that its parameter `n_jobs` means.

    Parameters
    ----------
    crf : GraphCRFClassifier
        Fitted.
    X, y, sample_weight
        As for its `fit`.

    Yields
    ------
    fitted : FittedLoss

    Raises
    ------
    ValueError, TypeError
        If `crf` is another estimator or not fitted, or the input is invalid.

    Examples
    --------
    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.estimator import fitted_loss
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["a", "b", "a", "b"]
    >>> with fitted_loss(GraphCRFClassifier().fit(X, y), X, y) as fitted:
    ...     value, gradient = fitted.loss(fitted.model.coef)
    ...     product = fitted.loss.product(fitted.model.coef, gradient)
    >>> gradient.shape, product.shape
    ((4,), (4,))
    """
    require_component(crf, GraphCRFClassifier, "crf must be a GraphCRFClassifier")
    model, inputs = crf._query(X)
    codes, classes = crf._encode(inputs, y, model.classes, crf.missing_label)
    objective = resolve(crf.objective, Objective, OBJECTIVES)
    targets = weighted_targets(inputs, codes, classes, sample_weight, crf.class_weight, objective)
    dataset, targets, kept = without_weightless(inputs.dataset, targets)
    with numbered_by(kept), thread_map(crf.n_jobs) as in_threads, single_blas_thread:
        chunks = cut(dataset, model.n_states, model.backend)
        loss = TrainingLoss(chunks, model.feature_plan, objective, targets, 1.0, 0.0, 1, in_threads)
        yield FittedLoss(loss, objective, model, dataset)
