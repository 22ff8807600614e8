"""NodeClassifier: a baseline that ignores edges."""

import sys

from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone, is_classifier
from sklearn.metrics import accuracy_score
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skstruct.data.labels import flatten_labels
from skstruct.data.ragged import RaggedArray, is_ragged
from skstruct.data.sklearn_callers import refuse_flat_scoring
from skstruct.estimator.callbacks import CallbackSupportMixin, one_task
from skstruct.preprocessing._stacked import routed, routing_owner, stack_nodes
from skstruct.version import Versioned


def _inner_has(method):
    def check(self):
        getattr(getattr(self, "estimator_", self.estimator), method)
        return True

    return check


class NodeClassifier(Versioned, CallbackSupportMixin, MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """Classify each node on its own, by any classifier of tables.

    It is a baseline: the gain of `GraphCRFClassifier` over it is the gain by edges. Both accept the same input and
    return the same kinds of output, so that they can be compared in the same pipeline.

    Parameters
    ----------
    estimator : classifier
        The classifier. A clone is fitted to the stacked nodes of all graphs.

    Attributes
    ----------
    estimator_ : classifier
        The fitted clone.
    classes_ : ndarray of shape (n_classes,)
        Classes of the fitted clone.
    n_features_in_ : int
        Number of features seen in fit.
    feature_names_in_ : ndarray of str
        Names of the features seen in fit, if they were columns of a data frame.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skstruct import GraphDataset
    >>> from skstruct.preprocessing import NodeClassifier
    >>> X = GraphDataset.from_sequences([[[-1.0], [2.0]], [[1.0], [-2.0], [-1.0]]])
    >>> y = [["a", "b"], ["b", "a", "a"]]
    >>> NodeClassifier(LogisticRegression()).fit(X, y).predict(X).tolist()
    [['a', 'b'], ['b', 'a', 'a']]
    """

    def __init__(self, estimator):
        self.estimator = estimator

    @one_task
    def fit(self, X, y, **params):
        """Fit the classifier to all nodes.

        Parameters
        ----------
        X : GraphDataset, list of graphs, NodeView or table
            Graphs.
        y : RaggedArray, list of arrays, or flat array
            Labels of the nodes.
        **params : dict
            Metadata such as ``sample_weight``: one value per graph, which is repeated for the nodes of the graph, or
            one value per node (ragged).

        Returns
        -------
        self
        """
        usable = hasattr(self.estimator, "fit") and not isinstance(self.estimator, type)
        if not (usable and is_classifier(self.estimator)):
            raise TypeError(
                f"estimator of NodeClassifier must be a classifier of tables such as LogisticRegression(), got "
                f"{self.estimator!r}; transformers go into a NodeTransformer"
            )
        refuse_flat_scoring(sys._getframe(), is_ragged)
        stack = stack_nodes(X, "NodeClassifier")
        params = routed(self, "estimator", "fit", params, stack.ptr)
        y = y if stack.ptr is None else flatten_labels(y, stack.ptr)
        self.estimator_ = clone(self.estimator).fit(stack.table, y, **params)
        self.classes_ = self.estimator_.classes_
        return self

    def predict(self, X):
        """Labels of the nodes.

        Parameters
        ----------
        X : GraphDataset, list of graphs, NodeView or table
            Graphs.

        Returns
        -------
        RaggedArray, or ndarray of shape (n_samples,) for a table or NodeView
        """
        return self._ask("predict", X)

    @available_if(_inner_has("predict_proba"))
    def predict_proba(self, X):
        """Probabilities of the labels of the nodes.

        Parameters
        ----------
        X : GraphDataset, list of graphs, NodeView or table
            Graphs.

        Returns
        -------
        RaggedArray with values of shape (n_nodes, n_classes), or ndarray for a table or NodeView
        """
        return self._ask("predict_proba", X)

    @available_if(_inner_has("predict_log_proba"))
    def predict_log_proba(self, X):
        """Logarithms of `predict_proba`.

        Parameters
        ----------
        X : GraphDataset, list of graphs, NodeView or table
            Graphs.

        Returns
        -------
        RaggedArray with values of shape (n_nodes, n_classes), or ndarray for a table or NodeView
        """
        return self._ask("predict_log_proba", X)

    @available_if(_inner_has("decision_function"))
    def decision_function(self, X):
        """Scores of the classes of the nodes.

        Parameters
        ----------
        X : GraphDataset, list of graphs, NodeView or table
            Graphs.

        Returns
        -------
        RaggedArray with values of shape (n_nodes[, n_classes]), or ndarray for a table or NodeView
        """
        return self._ask("decision_function", X)

    def score(self, X, y, sample_weight=None):
        """Accuracy: the fraction of nodes with the right label.

        Parameters
        ----------
        X : GraphDataset, list of graphs, NodeView or table
            Graphs.
        y : RaggedArray, list of arrays, or flat array
            Labels of the nodes.
        sample_weight : array-like, default=None
            One weight per graph, or one weight per node (ragged).

        Returns
        -------
        float
        """
        predicted = self.predict(X)
        if isinstance(predicted, RaggedArray):
            from skstruct.metrics import node_accuracy

            return node_accuracy(self, X, y, sample_weight=sample_weight)
        return accuracy_score(y, predicted, sample_weight=sample_weight)

    def _ask(self, method, X):
        check_is_fitted(self)
        stack = stack_nodes(X, "NodeClassifier")
        values = getattr(self.estimator_, method)(stack.table)
        return values if stack.ptr is None else RaggedArray(values, stack.ptr)

    @property
    def n_features_in_(self):
        """Number of features seen in fit."""
        return self.estimator_.n_features_in_

    @property
    def feature_names_in_(self):
        """Names of the features seen in fit, if they were columns of a data frame."""
        return self.estimator_.feature_names_in_

    def __sklearn_is_fitted__(self):
        return hasattr(self, "estimator_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags = inner.input_tags
        tags.classifier_tags = inner.classifier_tags
        tags.no_validation = inner.no_validation
        tags.non_deterministic = inner.non_deterministic
        return tags

    def get_metadata_routing(self):
        """Return the metadata that the classifier requests.

        Returns
        -------
        sklearn.utils.metadata_routing.MetadataRouter
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        router = MetadataRouter(owner=routing_owner(self)).add_self_request(self)
        return router.add(estimator=self.estimator, method_mapping=mapping)
