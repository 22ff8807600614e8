"""The model of a fitted estimator, with the input of a query."""

from typing import Any, NamedTuple

import numpy as np

from skstruct.components import require_component
from skstruct.data.dataset import GraphDataset
from skstruct.estimator._classifier import GraphCRFClassifier
from skstruct.estimator._model import Model


class FittedModel(NamedTuple):
    """A model and the graphs of a query.

    Attributes
    ----------
    model : Model
        With the current parameters `inference` and `n_jobs` of the estimator.
    dataset : GraphDataset
    known : ndarray of shape (n_nodes,) or None
        State codes of the labels to condition on; None if there is none.
    """

    model: Model
    dataset: GraphDataset
    known: np.ndarray | None


def fitted_model(crf: GraphCRFClassifier, X: Any, known: Any = None) -> FittedModel:
    """Model of a fitted estimator, for queries that are no methods of the estimator.

    Parameters
    ----------
    crf : GraphCRFClassifier
        Fitted.
    X, known
        As for its `predict_proba`.

    Returns
    -------
    fitted : FittedModel

    Raises
    ------
    ValueError, TypeError
        If `crf` is another estimator or not fitted, or the input is invalid.

    Examples
    --------
    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.estimator import fitted_model
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["a", "b", "a", "b"]
    >>> fitted = fitted_model(GraphCRFClassifier().fit(X, y), X)
    >>> fitted.model.marginals(fitted.dataset).shape
    (4, 2)
    """
    require_component(crf, GraphCRFClassifier, "crf must be a GraphCRFClassifier")
    model, inputs = crf._query(X)
    return FittedModel(model, inputs.dataset, crf._known_codes(inputs, known))
