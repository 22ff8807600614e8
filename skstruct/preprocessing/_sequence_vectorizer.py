"""Base class of the transformers that learn a vocabulary from sequences of tokens."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skstruct.data.builders import chain_edges
from skstruct.data.dataset import GraphDataset
from skstruct.data.tables import csr_of_sorted, is_sparse
from skstruct.estimator.callbacks import CallbackSupportMixin, one_task
from skstruct.preprocessing._graph_mixins import GraphOutput
from skstruct.version import Versioned


@dataclass(frozen=True)
class TokenStack:
    """The tokens of all sequences, one after the other.

    Attributes
    ----------
    tokens : list or data frame
        One item or row per token.
    ptr : ndarray of shape (n_sequences + 1,)
        Offsets of the tokens of each sequence.
    rebuild : callable
        Creates a GraphDataset from a feature matrix with one row per token.
    """

    tokens: Any
    ptr: np.ndarray
    rebuild: Callable

    def place(self, i):
        """Describe the position of token `i`, for messages."""
        sequence = int(np.searchsorted(self.ptr, i, side="right")) - 1
        return f"sequence {sequence}, token {i - self.ptr[sequence]}"

    def refuse_types(self, items, allowed, problem, owner=None):
        """Raise a TypeError if the type of an item is not `allowed`.

        The types are collected first, by a loop in C. The loop over items runs only to find the first bad one.

        Parameters
        ----------
        items : list
        allowed : type or tuple of types
        problem : str
            End of the message, after the position and the item.
        owner : callable, default=None
            Maps the number of an item to the number of its token. None: they are the same.
        """
        bad = [kind for kind in set(map(type, items)) if not issubclass(kind, allowed)]
        if bad:
            i, item = next((i, item) for i, item in enumerate(items) if type(item) in bad)
            place = self.place(i if owner is None else owner(i))
            raise TypeError(f"{place}: got {item!r} ({type(item).__name__}); {problem}")


def stack_tokens(X):
    """Stack sequences; a GraphDataset keeps its edges.

    Parameters
    ----------
    X : GraphDataset, or iterable of lists, tuples or arrays
        The tokens of a GraphDataset are its node features.

    Returns
    -------
    TokenStack

    Raises
    ------
    TypeError
        If `X` or a sequence is something else, such as a string.
    ValueError
        If there is no sequence.
    """
    if isinstance(X, GraphDataset):
        table = X.node_features
        if is_sparse(table):
            raise TypeError(
                "X has tokens that are rows of a sparse matrix; they must be strings, tuples, lists or dicts"
            )
        return TokenStack(table.tolist() if isinstance(table, np.ndarray) else table, X.node_ptr, X.with_node_features)
    if isinstance(X, str | dict) or not hasattr(X, "__iter__") or not getattr(X, "ndim", 1):
        raise TypeError(f"X must be a list of sequences of tokens or a GraphDataset, got a {type(X).__name__}")
    sequences = [x.tolist() if isinstance(x, np.ndarray) else x for x in X]
    if not sequences:
        raise ValueError("Found no sequences (0 sample(s)) while a minimum of 1 is required.")
    for g, sequence in enumerate(sequences):
        if not isinstance(sequence, list | tuple):
            raise TypeError(
                f"sequence {g} is a {type(sequence).__name__}; X must be a list of sequences, each of which is a list, "
                "a tuple or an array of tokens"
            )
    ptr = np.concatenate([[0], np.cumsum(list(map(len, sequences)), dtype=np.intp)])
    edges, edge_ptr = chain_edges(ptr)
    return TokenStack(
        list(chain.from_iterable(sequences)), ptr, lambda table: GraphDataset(table, edges, None, ptr, edge_ptr)
    )


def sparse_rows(data, indices, indptr, n_columns, is_sorted=False):
    """CSR array with sorted indices, in 32 bits if possible; entries of the same column are added.

    If the columns of each row are known to rise (`is_sorted`), they are not checked.
    """
    # the same type for both, else scipy converts one of them at each use
    index = np.int32 if indptr[-1] < 2**31 else np.int64
    arrays = data, indices.astype(index, copy=False), indptr.astype(index, copy=False)
    if is_sorted:
        return csr_of_sorted(*arrays, n_columns)
    matrix = csr_array(arrays, shape=(len(indptr) - 1, n_columns))
    matrix.sum_duplicates()
    return matrix


class SequenceVectorizer(
    GraphOutput,
    Versioned,
    CallbackSupportMixin,
    TransformerMixin,
    BaseEstimator,
    auto_wrap_output_keys=None,  # type: ignore[call-arg]  # scikit-learn has no types for this keyword
):
    """Base of the transformers that learn a vocabulary: a subclass has ``_learn(stack)`` and ``_look_up(stack)``.

    Both return the feature matrix of the tokens.
    """

    def fit(self, X, y=None):
        """Learn the vocabulary.

        Parameters
        ----------
        X : list of sequences of tokens, or GraphDataset
            As the class describes.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        self.fit_transform(X)
        return self

    @one_task
    def fit_transform(self, X, y=None):
        """Learn the vocabulary and transform, in one pass.

        Parameters
        ----------
        X, y :
            As for `fit`.

        Returns
        -------
        GraphDataset
            As `transform` returns it.
        """
        stack = stack_tokens(X)
        return stack.rebuild(self._learn(stack))

    def transform(self, X):
        """Make chains with sparse node features, without features that are not in the vocabulary.

        Parameters
        ----------
        X : list of sequences of tokens, or GraphDataset
            As the class describes. A GraphDataset keeps its edges.

        Returns
        -------
        GraphDataset
            Its `node_features` are a CSR array with sorted 32-bit indices.
        """
        if not self.__sklearn_is_fitted__():  # check_is_fitted takes long in comparison with one sentence
            check_is_fitted(self)
        stack = stack_tokens(X)
        return stack.rebuild(self._look_up(stack))

    def __sklearn_is_fitted__(self):
        return any(name.endswith("_") for name in vars(self))  # the rule of scikit-learn

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.no_validation = True
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        return tags
