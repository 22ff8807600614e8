"""Strings to integer codes, and pairs of codes to codes: the exact vocabulary, and hashing, of `TokenTemplates`.

A code is an int64 below 2**31; -1 stands for "none": unknown, or not there. A conjunction of several terms is a
pair of the code of all but the last, and the last, so that two codes always fit into one key of 64 bits and no
conjunction is too long to be exact.
"""

from itertools import repeat
from typing import Any

import numpy as np
from sklearn.utils import murmurhash3_32

from skstruct.kernels.jit import kernel


class HashedTexts:
    """Codes of strings by hashing, with the ``get`` of a dict."""

    def get(self, text, default):
        """Return a number below 2**31 that is the same in every process, `default` for None."""
        if text is None:
            return default
        return murmurhash3_32(text.encode("utf-8", "surrogatepass"), positive=True) & 0x7FFFFFFF


class ColumnCodes:
    """Codes of the values of one column, and of what is derived from them.

    Derivations are computed once for each distinct value, in `learn` for those of the training data and in
    `encode` for others.

    Parameters
    ----------
    name : str
        Of the column, for messages.
    keys : iterable of str
        Names of what is coded: of the values, or of what is derived from them.
    hashed : bool
        Whether codes are hashes. There is nothing to learn then.

    Attributes
    ----------
    numbers : dict
        Distinct values seen in `learn`, numbered by first appearance.
    texts : dict
        For each key the codes of strings: a dict in the order of codes, or `HashedTexts`.
    """

    def __init__(self, name, keys, hashed):
        self.name = name
        self.numbers: dict[str, int] = {}
        self.texts: dict[str, Any] = {key: HashedTexts() if hashed else {} for key in keys}
        self._codes = {key: np.empty(0, np.int64) for key in keys}  # of each number

    def learn(self, stack, read, functions):
        """Number the distinct strings and give codes to all that is derived from them.

        Parameters
        ----------
        stack : TokenStack
        read : callable
            Takes a token and returns the value of this column.
        functions : dict
            From a key to ``(function, arguments)``: the code under this key is that of the string
            ``str(function(value, *arguments))``, or -1 where the function returns None. They are not kept: a fitted
            object is easier to store without functions.
        """
        values = list(map(read, stack.tokens))
        self._check(stack, values)
        self.numbers = {value: i for i, value in enumerate(dict.fromkeys(values))}
        for key, texts in self.texts.items():
            derived = _derive(functions[key], self.numbers)
            texts.update((text, i) for i, text in enumerate(dict.fromkeys(t for t in derived if t is not None)))
            self._codes[key] = _codes(texts, derived)

    def encode(self, stack, read, functions):
        """Code the tokens of a TokenStack under each key.

        Values that are known are strings, so only others are checked.

        Parameters
        ----------
        stack, read, functions :
            As for `learn`.

        Returns
        -------
        dict
            Of arrays of shape (n_tokens,).
        """
        tokens = stack.tokens
        try:
            numbers = np.fromiter(map(self.numbers.get, map(read, tokens), repeat(-1)), np.int64, len(tokens))
        except TypeError:  # a value that cannot be hashed, so it is no string
            self._check(stack, list(map(read, tokens)))
            raise
        unknown = np.flatnonzero(numbers < 0)
        values = [read(tokens[i]) for i in unknown.tolist()]
        self._check(stack, values, unknown.__getitem__)
        fresh = {value: i for i, value in enumerate(dict.fromkeys(values), len(self.numbers))}
        numbers[unknown] = [fresh[value] for value in values]
        return {
            key: np.concatenate([self._codes[key], _codes(texts, _derive(functions[key], fresh))])[numbers]
            for key, texts in self.texts.items()
        }

    def _check(self, stack, values, owner=None):
        stack.refuse_types(values, str, f"column {self.name!r} of a token must be a string", owner)


def _derive(function_and_arguments, values):
    function, arguments = function_and_arguments
    derived = map(function, values, *map(repeat, arguments))
    return [None if text is None else str(text) for text in derived]


def _codes(texts, derived):
    """Codes of strings, -1 for None and for what is unknown."""
    return np.fromiter(map(texts.get, derived, repeat(-1)), np.int64, len(derived))


class PairTable:
    """A hash table of pairs of codes: exact.

    Parameters
    ----------
    keys : ndarray of int64
        ``left << 32 | right`` of each pair, all different; codes are their positions.
    """

    def __init__(self, keys):
        self.keys = keys
        self._slots = _empty_slots(len(keys))
        insert(keys >> 32, keys & 0xFFFFFFFF, np.empty_like(keys), self._slots)

    @classmethod
    def learn(cls, left, right):
        """Make a table of the pairs of two arrays of codes; also return the codes of the pairs.

        They are -1 where one of the two is -1, and in the order of first appearance.
        """
        keys = np.empty_like(left)
        codes, n = insert(left, right, keys, _empty_slots(len(left)))
        return cls(keys[:n].copy()), codes  # a table of the size that the distinct pairs need

    def find(self, left, right):
        """Codes of pairs, -1 for unknown ones and where one of the two is -1."""
        return find(left, right, self.keys, self._slots)


class HashedPairs:
    """Codes of pairs by hashing, with the `find` of a PairTable.

    Parameters
    ----------
    n_bits : int
        Codes are below ``2**n_bits``.
    """

    def __init__(self, n_bits):
        self.n_bits = n_bits

    def find(self, left, right):
        """Codes of pairs, -1 where one of the two is -1."""
        keys = (left << 32) | right
        mixed = keys.view(np.uint64)
        for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):  # the finaliser of MurmurHash3
            mixed = (mixed ^ (mixed >> np.uint64(33))) * np.uint64(factor)
        return np.where(keys < 0, -1, (mixed >> np.uint64(64 - self.n_bits)).view(np.int64))


def _empty_slots(n):
    """At least twice as many slots as keys, a power of two."""
    return np.full(1 << (2 * n + 1).bit_length(), -1, np.int32)


# ---- kernels: open addressing with linear probing


@kernel
def first_slot(left, right, n_slots):
    """Where to look first; the factors are so small that nothing overflows, which would warn without numba."""
    mixed = left * 625340561 + right * 461845907
    return (mixed ^ (mixed >> 29)) & (n_slots - 1)


@kernel
def insert(left, right, keys, slots):
    """Number pairs by first appearance, leaving out those with a -1; fill `keys` and `slots`."""
    codes = np.full(len(left), -1, np.int64)
    n = 0
    for i in range(len(left)):
        if left[i] < 0 or right[i] < 0:
            continue
        key = (left[i] << 32) | right[i]
        j = first_slot(left[i], right[i], len(slots))
        while slots[j] >= 0 and keys[slots[j]] != key:
            j = (j + 1) & (len(slots) - 1)
        if slots[j] < 0:
            slots[j] = n
            keys[n] = key
            n += 1
        codes[i] = slots[j]
    return codes, n


@kernel
def find(left, right, keys, slots):
    """Numbers of pairs, -1 for unknown ones and those with a -1."""
    codes = np.full(len(left), -1, np.int64)
    for i in range(len(left)):
        if left[i] < 0 or right[i] < 0:
            continue
        key = (left[i] << 32) | right[i]
        j = first_slot(left[i], right[i], len(slots))
        while slots[j] >= 0 and keys[slots[j]] != key:
            j = (j + 1) & (len(slots) - 1)
        codes[i] = slots[j]
    return codes
