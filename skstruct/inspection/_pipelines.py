"""The estimator at the end of a fitted pipeline, its input, and the names of its features."""

from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skstruct.components import require_component
from skstruct.estimator import GraphCRFClassifier

REQUIREMENT = "model must be a fitted GraphCRFClassifier, or a fitted Pipeline or search that ends in one"
INNER = ("best_estimator_", "estimator_")  # the fitted model of a search, and of TemperatureScalingCV


class Steps(NamedTuple):
    """A fitted model as a sequence of steps.

    Attributes
    ----------
    transformers : list of transformers
        Steps before the estimator, in the order in which they are applied.
    crf : GraphCRFClassifier
    """

    transformers: list[BaseEstimator]
    crf: GraphCRFClassifier

    @classmethod
    def of(cls, model: Any) -> "Steps":
        """Open pipelines, also nested ones, and meta-estimators such as searches, and refuse other models."""
        steps = [model]
        while opened := _opened(steps[-1]):
            steps[-1:] = opened
        *transformers, crf = steps
        require_component(crf, GraphCRFClassifier, REQUIREMENT)
        check_is_fitted(crf)
        return cls(transformers, crf)

    def transform(self, X: Any) -> Any:
        """Input of the estimator."""
        for step in self.transformers:
            X = step.transform(X)
        return X

    def node_feature_names(self) -> np.ndarray:
        """Names of the node features of the estimator, (n_features,), str; "x0", "x1", ... if they have none."""
        return self._names("feature_names_in_", "get_feature_names_out", self.crf.n_features_in_)

    def edge_feature_names(self) -> np.ndarray:
        """Names of the edge features of the estimator, (n_edge_features,), as `node_feature_names`."""
        return self._names("edge_feature_names_in_", "get_edge_feature_names_out", self.crf.n_edge_features_in_)

    def _names(self, seen, method, n_features):
        if hasattr(self.crf, seen):
            return getattr(self.crf, seen)
        names = None
        for step in self.transformers:
            if hasattr(step, method):
                names = getattr(step, method)(names)
            elif method == "get_feature_names_out":  # only edge features pass through other steps unchanged
                names = None
        if names is None or len(names) != n_features:  # a transformer may return graphs unchanged, without its names
            names = [f"x{k}" for k in range(n_features)]
        return np.asarray(names, dtype=object)


def _opened(model):
    """Steps of a pipeline, or the fitted model of a meta-estimator, in a list; empty if `model` is neither."""
    if isinstance(model, Pipeline):
        return _leaves(model)
    return [getattr(model, name) for name in INNER if hasattr(model, name)]


def _leaves(pipeline):
    """Steps of a pipeline and of the pipelines in it, without those that do nothing."""
    steps = [step for _, step in pipeline.steps]
    active = [step for step in steps[:-1] if step not in (None, "passthrough")] + steps[-1:]
    return [leaf for step in active for leaf in (_leaves(step) if isinstance(step, Pipeline) else [step])]


def transformed(model: Any, X: Any) -> tuple[GraphCRFClassifier, Any]:
    """Estimator at the end of a fitted pipeline, and its input.

    A pipeline has the methods ``predict`` and ``predict_proba`` of its last step only. With this function every method
    of the estimator is available.

    Parameters
    ----------
    model : GraphCRFClassifier, Pipeline or search
        Fitted. A search such as `GridSearchCV` stands for its best estimator.
    X : object
        Input of `model`.

    Returns
    -------
    crf : GraphCRFClassifier
    X : object
        `X`, transformed by all steps of the pipeline before the estimator.

    Raises
    ------
    TypeError
        If `model` does not end in a `GraphCRFClassifier`.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.datasets import make_chain
    >>> from skstruct.inspection import transformed
    >>> from skstruct.preprocessing import NodeTransformer
    >>> X, y = make_chain(n_graphs=10, return_X_y=True, random_state=0)
    >>> pipe = make_pipeline(NodeTransformer(StandardScaler()), GraphCRFClassifier()).fit(X, y)
    >>> crf, X_scaled = transformed(pipe, X)
    >>> crf.log_partition(X_scaled).shape
    (10,)
    """
    steps = Steps.of(model)
    return steps.crf, steps.transform(X)
