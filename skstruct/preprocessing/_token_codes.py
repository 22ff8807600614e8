"""Integer codes of strings and of pairs of codes: the exact vocabulary, and hashing, of `TokenTemplates`.

A code is an int64 below 2**31; -1 means unknown or not present. A conjunction of several terms is a pair: the code of
all terms but the last, and the code of the last one. So two codes always fit into one key of 64 bits, and conjunctions
of any length are exact.
"""

from itertools import count, repeat
from typing import Any

import numpy as np
from sklearn.utils import murmurhash3_32

from skstruct.data.packed_texts import pack_texts, unpack_texts
from skstruct.kernels.jit import kernel

NO_KEYS = np.empty(0, np.int64)
HASH_FACTORS = (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53)  # of the finaliser of MurmurHash3


class HashedTexts:
    """Codes of strings by hashing, with the ``get`` of a dict."""

    def get(self, text, default):
        """Return a number below 2**31 that is the same in every process, `default` for None."""
        if text is None:
            return default
        return murmurhash3_32(text.encode("utf-8", "surrogatepass"), positive=True) & 0x7FFFFFFF


class ColumnCodes:
    """Codes of the values of one column, and of strings derived from them.

    Derivations are computed once for each distinct value: in `learn` for values of the training data, in `encode` for
    other values.

    Parameters
    ----------
    name : str
        Name of the column, for messages.
    keys : iterable of str
        Names of the coded strings: the values, or their derivations.
    hashed : bool
        Whether codes are hashes. Nothing is learnt then.

    Attributes
    ----------
    numbers : dict
        Distinct values seen in `learn`, numbered by first appearance.
    texts : dict
        Maps each key to the codes of strings: a dict in the order of codes, or `HashedTexts`.
    """

    def __init__(self, name, keys, hashed):
        self.name = name
        self.numbers: dict[str, int] = {}
        self.texts: dict[str, Any] = {key: HashedTexts() if hashed else {} for key in keys}
        self._codes = {key: np.empty(0, np.int64) for key in keys}  # of each number

    def packed(self):
        """State as arrays: the values, and for each key the strings (None: hashed) and codes of the values."""
        texts = {key: None if isinstance(t, HashedTexts) else pack_texts(list(t)) for key, t in self.texts.items()}
        return {"values": pack_texts(list(self.numbers)), "texts": texts, "codes": self._codes}

    @classmethod
    def of_packed(cls, name, packed):
        """Undo `packed`; refuse arrays that do not fit, which would be read out of bounds."""
        column = cls(name, packed["texts"], hashed=True)
        column.numbers = _numbered(unpack_texts(*packed["values"]))
        for key, texts in packed["texts"].items():
            codes, n_codes = packed["codes"][key], 2**31
            if texts is not None:
                column.texts[key] = _numbered(unpack_texts(*texts))
                n_codes = len(column.texts[key])
            fits = codes.dtype == np.int64 and codes.shape == (len(column.numbers),)
            if not fits or codes.min(initial=0) < -1 or codes.max(initial=-1) >= n_codes:
                raise ValueError(
                    f"the state of column {name!r} is damaged: the codes of {key!r} do not fit its strings"
                )
            column._codes[key] = codes
        return column

    def learn(self, stack, read, functions):
        """Number the distinct values, and assign codes to the strings derived from them.

        What was learnt before is kept, and new values and strings follow.

        Parameters
        ----------
        stack : TokenStack
        read : callable
            Returns the value of this column of a token.
        functions : dict
            Maps a key to ``(function, arguments)``. The code under this key is the code of the string
            ``str(function(value, *arguments))``, or -1 if the function returns None. The functions are not kept, since
            a fitted object is easier to store without functions.
        """
        values = list(map(read, stack.tokens))
        self._check(stack, values)
        fresh = [value for value in dict.fromkeys(values) if value not in self.numbers]
        self.numbers.update(zip(fresh, count(len(self.numbers))))
        for key, texts in self.texts.items():
            derived = _derive(functions[key], fresh)
            new = dict.fromkeys(text for text in derived if text is not None and text not in texts)
            texts.update(zip(new, count(len(texts))))
            self._codes[key] = np.concatenate([self._codes[key], _codes(texts, derived)])

    def encode(self, stack, read, functions):
        """Code the tokens of a TokenStack under each key.

        Known values are strings, so only unknown values are checked.

        Parameters
        ----------
        stack, read :
            As for `learn`.
        functions : callable
            Returns the functions of `learn`. It is called if there are unknown values.

        Returns
        -------
        dict
            Maps each key to an array of shape (n_tokens,).
        """
        tokens = stack.tokens
        try:
            numbers = np.fromiter(map(self.numbers.get, map(read, tokens), repeat(-1)), np.int64, len(tokens))
        except TypeError:  # a value that cannot be hashed is no string
            self._check(stack, list(map(read, tokens)))
            raise
        encoded = {
            key: codes[numbers] if len(codes) else np.empty(len(tokens), np.int64) for key, codes in self._codes.items()
        }
        unknown = np.flatnonzero(numbers < 0)
        if not len(unknown):
            return encoded
        values = [read(tokens[i]) for i in unknown.tolist()]
        self._check(stack, values, unknown.__getitem__)
        fresh = {value: i for i, value in enumerate(dict.fromkeys(values))}
        numbers = np.fromiter(map(fresh.__getitem__, values), np.int64, len(values))
        for key, texts in self.texts.items():
            codes = _codes(texts, _derive(functions()[key], fresh))
            encoded[key][unknown] = codes[numbers]
        return encoded

    def _check(self, stack, values, owner=None):
        stack.refuse_types(values, str, f"column {self.name!r} of a token must be a string", owner)


def _numbered(texts):
    return {text: number for number, text in enumerate(texts)}


def _derive(function_and_arguments, values):
    function, arguments = function_and_arguments
    derived = map(function, values, *map(repeat, arguments))
    return [None if text is None else str(text) for text in derived]


def _codes(texts, derived):
    """Codes of strings, -1 for None and for unknown strings."""
    return np.fromiter(map(texts.get, derived, repeat(-1)), np.int64, len(derived))


class PairTable:
    """An exact hash table of pairs of codes.

    Parameters
    ----------
    keys : ndarray of int64
        ``left << 32 | right`` of each pair, all different; codes are their positions.
    """

    n_bits = 0  # it does not hash

    def __init__(self, keys):
        self.keys = keys
        self._slots = _empty_slots(len(keys))
        insert(keys >> 32, keys & 0xFFFFFFFF, np.empty_like(keys), self._slots)

    @property
    def sizes(self):
        """Numbers of keys and of slots."""
        return len(self.keys), len(self._slots)

    def move(self, keys, slots):
        """Copy the arrays of the table to other arrays, and use these from now on."""
        keys[:], slots[:] = self.keys, self._slots
        self.keys, self._slots = keys, slots

    @classmethod
    def learn(cls, left, right, known=NO_KEYS):
        """Create a table from the pairs of two arrays of codes; also return the codes of the pairs.

        A code is -1 if one of the two is -1. Codes are in the order of first appearance, after those of the keys
        `known`, which are in the table already.
        """
        left, right = np.concatenate([known >> 32, left]), np.concatenate([known & 0xFFFFFFFF, right])
        keys = np.empty_like(left)
        codes, n = insert(left, right, keys, _empty_slots(len(left)))
        return cls(keys[:n].copy()), codes[len(known) :]  # a table of the size that the distinct pairs need

    def find(self, left, right):
        """Codes of pairs, -1 for unknown pairs and where one of the two is -1."""
        return find(left, right, self.keys, self._slots)


class HashedPairs:
    """Codes of pairs by hashing, with the method `find` of a PairTable.

    Parameters
    ----------
    n_bits : int
        Codes are below ``2**n_bits``.
    """

    sizes = (0, 0)  # no keys and no slots

    def __init__(self, n_bits):
        self.n_bits = n_bits

    def move(self, keys, slots):
        """Do nothing: there are no arrays."""

    def find(self, left, right):
        """Codes of pairs, -1 where one of the two is -1."""
        keys = (left << 32) | right
        mixed = keys.view(np.uint64)
        for factor in HASH_FACTORS:
            mixed = (mixed ^ (mixed >> np.uint64(33))) * np.uint64(factor)
        return np.where(keys < 0, -1, (mixed >> np.uint64(64 - self.n_bits)).view(np.int64))


def _empty_slots(n):
    """At least twice as many slots as keys, a power of two."""
    return np.full(1 << (2 * n + 1).bit_length(), -1, np.int32)


# ---- kernels: open addressing with linear probing


@kernel
def first_slot(left, right, n_slots):
    """First slot to try. The factors are so small that nothing overflows; without numba, overflow would warn."""
    mixed = left * 625340561 + right * 461845907
    return (mixed ^ (mixed >> 29)) & (n_slots - 1)


@kernel
def slot_of(left, right, keys, slots):
    """Slot that holds the number of a pair, or the free slot where it belongs."""
    key = (left << 32) | right
    j = first_slot(left, right, len(slots))
    while slots[j] >= 0 and keys[slots[j]] != key:
        j = (j + 1) & (len(slots) - 1)
    return j


@kernel
def insert(left, right, keys, slots):
    """Number pairs without a -1 by first appearance; fill `keys` and `slots`."""
    codes = np.full(len(left), -1, np.int64)
    n = 0
    for i in range(len(left)):
        if left[i] < 0 or right[i] < 0:
            continue
        j = slot_of(left[i], right[i], keys, slots)
        if slots[j] < 0:
            slots[j] = n
            keys[n] = (left[i] << 32) | right[i]
            n += 1
        codes[i] = slots[j]
    return codes, n


@kernel
def find(left, right, keys, slots):
    """Numbers of pairs, -1 for unknown pairs and pairs with a -1."""
    codes = np.full(len(left), -1, np.int64)
    for i in range(len(left)):
        if left[i] < 0 or right[i] < 0:
            continue
        codes[i] = slots[slot_of(left[i], right[i], keys, slots)]
    return codes
