"""Sequences of tokens as python-crfsuite accepts them."""

from collections import Counter
from collections.abc import Iterable
from itertools import chain
from typing import Any

import numpy as np

from skstruct.data.labels import flatten_values
from skstruct.data.missing import missing_mask
from skstruct.data.ragged import RaggedArray
from skstruct.data.structure import list_of


def read_sequences(X: Iterable, name: str = "X") -> list[list[Any]]:
    """Sequences whose tokens are all dicts, or all lists of strings, as `AttributeVectorizer` accepts them.

    Parameters
    ----------
    X : iterable of iterables of tokens
        A token is a dict, or a list, tuple or set of strings. A sequence may be a ``pycrfsuite.ItemSequence``.
    name : str, default="X"
        Name of `X` in messages.
    """
    sequences = [_tokens(sequence, f"{name}[{i}]") for i, sequence in enumerate(list_of(f"sequences in {name}", X))]
    kinds = set(map(type, chain.from_iterable(sequences)))
    if all(issubclass(kind, dict) for kind in kinds) or all(issubclass(kind, list | tuple) for kind in kinds):
        return sequences
    convert = Counter if any(issubclass(kind, dict) for kind in kinds) else list
    collections = (list, tuple, set, frozenset)
    return [[convert(token) if isinstance(token, collections) else token for token in tokens] for tokens in sequences]


def read_labels(y: Iterable, ptr: np.ndarray, name: str = "y") -> RaggedArray:
    """Labels of all sequences, one for each token.

    Parameters
    ----------
    y : iterable of iterables of labels
    ptr : ndarray of shape (n_sequences + 1,)
        Offsets of the tokens of each sequence.
    name : str, default="y"
        Name of `y` in messages.
    """
    labels = [list(one) if isinstance(one, str) else one for one in list_of(f"labels in {name}", y)]  # "AB": A and B
    values = flatten_values(labels, ptr, name)
    missing = np.flatnonzero(missing_mask(values, np.nan))
    if len(missing):
        raise ValueError(f"{name} must have a label for each token, got {values[missing[0]]!r}")
    return RaggedArray(values, ptr)


def _tokens(sequence, place):
    if hasattr(sequence, "items") and not isinstance(sequence, dict):  # a pycrfsuite.ItemSequence
        return sequence.items()
    is_list = isinstance(sequence, Iterable) and not isinstance(sequence, str | bytes | dict)
    if not is_list or (isinstance(sequence, np.ndarray) and sequence.ndim == 0):
        raise TypeError(f"{place} must be a sequence, a list of tokens, got {sequence!r}")
    return list(sequence)
