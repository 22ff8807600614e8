"""Sequences of tokens as python-crfsuite accepts them."""

from collections import Counter
from collections.abc import Iterable
from itertools import chain
from typing import Any

import numpy as np

from skstruct.data.structure import list_of


def read_sequences(X: Iterable) -> list[list[Any]]:
    """Sequences whose tokens are all dicts, or all lists of strings, as `AttributeVectorizer` accepts them.

    Parameters
    ----------
    X : iterable of iterables of tokens
        A token is a dict, or a list, tuple or set of strings. A sequence may be a ``pycrfsuite.ItemSequence``.
    """
    sequences = [_tokens(sequence) for sequence in list_of("sequences", X)]
    kinds = set(map(type, chain.from_iterable(sequences)))
    if all(issubclass(kind, dict) for kind in kinds) or all(issubclass(kind, list | tuple) for kind in kinds):
        return sequences
    convert = Counter if any(issubclass(kind, dict) for kind in kinds) else list
    collections = (list, tuple, set, frozenset)
    return [[convert(token) if isinstance(token, collections) else token for token in tokens] for tokens in sequences]


def read_labels(y: Iterable) -> list[list[Any]]:
    """Labels of all sequences as lists of Python's types."""
    return [labels.tolist() if isinstance(labels, np.ndarray) else list(labels) for labels in list_of("labels", y)]


def _tokens(sequence):
    if hasattr(sequence, "items") and not isinstance(sequence, dict):  # a pycrfsuite.ItemSequence
        return sequence.items()
    return list(sequence)
