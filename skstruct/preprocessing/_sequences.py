"""SequencesToGraphs: the first step of a pipeline for sequences."""

from collections.abc import Sequence

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from skstruct.data.dataset import GraphDataset
from skstruct.estimator.callbacks import CallbackSupportMixin, one_task
from skstruct.preprocessing._graph_mixins import GraphOutput, KeptNodeFeatures
from skstruct.version import Versioned


class GraphBuilder(
    GraphOutput,
    KeptNodeFeatures,
    Versioned,
    CallbackSupportMixin,
    TransformerMixin,
    BaseEstimator,
    auto_wrap_output_keys=None,  # type: ignore[call-arg]  # scikit-learn has no types for this keyword
):
    """Base class of the transformers that make graphs of raw data. A subclass implements `transform`.

    They need no fit. `fit` remembers the names of the features.
    """

    @one_task
    def fit(self, X, y=None):
        """Remember the names of the features of the first graph.

        Parameters
        ----------
        X : GraphDataset or list
            As for `transform`.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        if isinstance(X, GraphDataset):
            self._remember_nodes(X.node_features)
        elif (isinstance(X, Sequence) or (isinstance(X, np.ndarray) and X.ndim)) and len(X):
            self._remember_nodes(self.transform(X[:1]).node_features)
        return self

    def __sklearn_is_fitted__(self):
        return True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.no_validation = True
        tags.input_tags.two_d_array = False
        return tags


class SequencesToGraphs(GraphBuilder, auto_wrap_output_keys=None):  # type: ignore[call-arg]  # scikit-learn has no types for this keyword
    """Make a chain of each sequence, so that a pipeline accepts lists of sequences.

    See also `GraphDataset.from_sequences`.

    Examples
    --------
    >>> from sklearn.feature_extraction import DictVectorizer
    >>> from sklearn.pipeline import make_pipeline
    >>> from skstruct.preprocessing import NodeTransformer, SequencesToGraphs
    >>> sentences = [[{"word": "the"}, {"word": "dog"}], [{"word": "sleep"}]]
    >>> make_pipeline(SequencesToGraphs(), NodeTransformer(DictVectorizer())).fit_transform(sentences)
    GraphDataset(n_graphs=2, n_nodes=3, n_edges=1, n_features=3)
    """

    def transform(self, X):
        """Make a chain of each sequence, with an edge from each item to the next item.

        Parameters
        ----------
        X : list of sequences
            A sequence is an array or a sparse matrix of shape (length, n_features), a data frame, or a list of dicts or
            strings. A GraphDataset is returned unchanged.

        Returns
        -------
        GraphDataset
        """
        return X if isinstance(X, GraphDataset) else GraphDataset.from_sequences(X)
