"""Columns of the features of all tokens, from parsed templates and integer codes."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from skstruct.kernels.jit import kernel
from skstruct.preprocessing._template_notation import CONSTANTS
from skstruct.preprocessing._token_codes import (
    HASH_FACTORS,
    NO_KEYS,
    HashedPairs,
    HashedTexts,
    PairTable,
    first_slot,
)


class TokenCodes:
    """Codes of all tokens, one array for each column and each derivation.

    Parameters
    ----------
    codes : dict
        Maps the `source` of a term to an array of shape (n_tokens,).
    ptr : ndarray of shape (n_sequences + 1,)
        Offsets of the tokens of each sequence.
    """

    def __init__(self, codes, ptr):
        sizes = np.diff(ptr)
        self._before = np.arange(ptr[-1]) - np.repeat(ptr[:-1], sizes)  # number of tokens before each, in its sequence
        self._after = np.repeat(sizes, sizes) - 1 - self._before
        always, first, last = CONSTANTS
        self._codes = {
            always: np.zeros(ptr[-1], np.int64),
            first: -(self._before > 0).astype(np.int64),
            last: -(self._after > 0).astype(np.int64),
            **codes,
        }
        self._shifted: dict = {}

    def __len__(self):
        return len(self._before)

    def of(self, term):
        """Codes of a term at its offset, -1 outside of the sequence."""
        key = term.source, term.offset
        if key not in self._shifted:
            inside = self._before >= -term.offset if term.offset < 0 else self._after >= term.offset
            self._shifted[key] = np.where(inside, np.roll(self._codes[term.source], -term.offset), -1)
        return self._shifted[key]


class Counts(NamedTuple):
    """Conjunctions that have occurred, including those that are too rare for a feature.

    Attributes
    ----------
    keys : ndarray of shape (n_conjunctions,), int64
        As in `PairTable`, in the order of first appearance.
    n_tokens : ndarray of shape (n_conjunctions,), int64
        Number of tokens in which each has occurred.
    """

    keys: np.ndarray
    n_tokens: np.ndarray


@dataclass(frozen=True)
class Template:
    """A template without ranges, and the columns of its features.

    A conjunction is coded from the left: `start` with the first term, the result with the second, and so on.

    Attributes
    ----------
    terms : tuple of Term
    tables : list of PairTable or HashedPairs
        One table for each term.
    start : int
        Code of the conjunction of no terms.
    first_column : int
        A feature has the column ``first_column + code``.
    counts : Counts or None
        Of all conjunctions, if more tokens may follow, and rare conjunctions have no feature yet.
    """

    terms: tuple
    tables: list = field(repr=False)
    start: int = 0
    first_column: int = 0
    counts: Counts | None = field(default=None, repr=False)

    @classmethod
    def learn(cls, terms, token_codes, min_count, first_column, known=None, *, counting=False):
        """Create a template from the conjunctions in at least `min_count` tokens; also return the columns of tokens.

        Parameters
        ----------
        terms : tuple of Term
        token_codes : TokenCodes
        min_count, first_column : int
        known : Template or None, default=None
            The template that was learnt from earlier tokens, with its counts if `min_count` is larger than 1.
        counting : bool, default=False
            Whether the new template keeps its counts.
        """
        codes = np.zeros(len(token_codes), np.int64)
        tables = []
        for term, keys in zip(terms, [NO_KEYS] * len(terms) if known is None else known.keys):
            table, codes = PairTable.learn(codes, token_codes.of(term), keys)
            tables.append(table)
        n_tokens = np.bincount(codes[codes >= 0], minlength=len(table.keys))
        if known is not None:
            n_tokens[: len(keys)] += 1 if known.counts is None else known.counts.n_tokens
        counts = Counts(table.keys, n_tokens) if counting else None
        kept = np.flatnonzero(n_tokens >= min_count)
        if len(kept) < len(n_tokens):
            tables[-1] = PairTable(table.keys[kept])
            renumbered = np.full(len(n_tokens) + 1, -1, np.int64)  # the last entry is for the code -1
            renumbered[kept] = np.arange(len(kept))
            codes = renumbered[codes]
        template = cls(terms, tables, first_column=first_column, counts=counts)
        return template, template._columns(codes)

    @property
    def keys(self):
        """Keys of the table of each term; for the last term also those of counted conjunctions without a feature."""
        keys = [table.keys for table in self.tables]
        return keys if self.counts is None else [*keys[:-1], self.counts.keys]

    @classmethod
    def hashed(cls, terms, n_bits):
        """Create a template whose features are hashed to ``2**n_bits`` columns."""
        start = HashedTexts().get("|".join(map(str, terms)), -1)
        return cls(terms, [HashedPairs(31)] * (len(terms) - 1) + [HashedPairs(n_bits)], start)

    def columns(self, token_codes):
        """Column of the feature of each token, -1 where there is none, (n_tokens,)."""
        codes = np.full(len(token_codes), self.start, np.int64)
        for term, table in zip(self.terms, self.tables):
            codes = table.find(codes, token_codes.of(term))
        return self._columns(codes)

    def _columns(self, codes):
        return np.where(codes < 0, -1, codes + self.first_column)

    def names(self, texts):
        """Names of the features of a learnt template, in the order of columns.

        Parameters
        ----------
        texts : dict
            Maps the `source` of a term to an object array with the string of each code.
        """
        codes = np.arange(len(self.tables[-1].keys))
        values = []
        for term, table in zip(reversed(self.terms), reversed(self.tables)):
            keys = table.keys[codes]
            if term.column not in CONSTANTS:
                values.append(texts[term.source][keys & 0xFFFFFFFF])
            codes = keys >> 32
        name = "|".join(map(str, self.terms))
        return [f"{name}={_joined(strings)}" for strings in zip(*reversed(values))] if values else [name] * len(codes)


def _joined(values):
    """Join the values of a conjunction by bars, so that different values have different names.

    If a value contains a bar, a backslash is put before each bar and backslash of all values. The name then has more
    bars than any name without such a value.
    """
    joined = "|".join(values)
    if joined.count("|") < len(values) or len(values) == 1:
        return joined
    return "|".join(value.replace("\\", r"\\").replace("|", r"\|") for value in values)


ALWAYS, FIRST, LAST = -1, -2, -3  # in place of rows of codes, for `CONSTANTS`


class TemplateTables(NamedTuple):
    """All templates in a few arrays: one call of `look_up` computes the features of all tokens.

    Attributes
    ----------
    term_ptr : ndarray of shape (n_templates + 1,)
        Offsets of the terms of each template in the arrays of terms.
    start, first_column : ndarray of shape (n_templates,)
        As in `Template`.
    row, offset : ndarray of shape (n_terms,)
        Row of the codes that a term reads, or `ALWAYS`, `FIRST` or `LAST`, and the offset of its token.
    n_bits : ndarray of shape (n_terms,)
        Of hashed pairs; 0 for an exact table.
    key_ptr, slot_ptr : ndarray of shape (n_terms + 1,)
        Offsets of the keys and slots of each exact table.
    keys, slots : ndarray
        Of all exact tables.
    """

    term_ptr: np.ndarray
    start: np.ndarray
    first_column: np.ndarray
    row: np.ndarray
    offset: np.ndarray
    n_bits: np.ndarray
    key_ptr: np.ndarray
    slot_ptr: np.ndarray
    keys: np.ndarray
    slots: np.ndarray

    @classmethod
    def of(cls, templates, rows):
        """Join the tables of templates, which become views of the joint arrays.

        Parameters
        ----------
        templates : list of Template
        rows : dict
            Maps the `source` of a term to the row of its codes.
        """
        terms = [term for template in templates for term in template.terms]
        tables = [table for template in templates for table in template.tables]
        rows = {**dict(zip(CONSTANTS, (ALWAYS, FIRST, LAST))), **rows}
        key_ptr, slot_ptr = np.cumsum([(0, 0), *(table.sizes for table in tables)], axis=0).T
        joint = cls(
            np.cumsum([0, *(len(template.terms) for template in templates)]),
            np.array([template.start for template in templates]),
            np.array([template.first_column for template in templates]),
            np.array([rows[term.source] for term in terms]),
            np.array([term.offset for term in terms]),
            np.array([table.n_bits for table in tables]),
            key_ptr,
            slot_ptr,
            np.empty(key_ptr[-1], np.int64),
            np.empty(slot_ptr[-1], np.int32),
        )
        for k, table in enumerate(tables):
            table.move(joint.keys[key_ptr[k] : key_ptr[k + 1]], joint.slots[slot_ptr[k] : slot_ptr[k + 1]])
        return joint


@kernel
def look_up(codes, ptr, tables, indices, indptr):
    """Write the columns of the features of each token to `indices`, and the offsets of tokens to `indptr`.

    The columns are those of `Template.columns`, without -1, in the order of the templates. Time
    O(n_tokens * n_terms).

    Parameters
    ----------
    codes : ndarray of shape (n_rows, n_tokens), int64
    ptr : ndarray of shape (n_sequences + 1,)
    tables : TemplateTables
    indices : ndarray of shape (n_tokens * n_templates,), int32
    indptr : ndarray of shape (n_tokens + 1,)
    """
    n = 0
    for s in range(len(ptr) - 1):
        for i in range(ptr[s], ptr[s + 1]):
            for t in range(len(tables.start)):
                code = tables.start[t]
                for k in range(tables.term_ptr[t], tables.term_ptr[t + 1]):
                    code = code_of_pair(code, code_at(codes, tables, k, i, ptr[s], ptr[s + 1]), tables, k)
                    if code < 0:
                        break
                if code >= 0:
                    indices[n] = code + tables.first_column[t]
                    n += 1
            indptr[i + 1] = n


@kernel
def code_at(codes, tables, k, i, begin, end):
    """Code of term `k` for token `i` of the sequence from `begin` to `end`; -1 outside of the sequence."""
    row, j = tables.row[k], i + tables.offset[k]
    if row < 0:
        holds = row == ALWAYS or (row == FIRST and i == begin) or (row == LAST and i == end - 1)
        return 0 if holds else -1
    return codes[row, j] if begin <= j < end else -1


@kernel
def code_of_pair(left, right, tables, k):
    """Code of a pair by the table of term `k`, as `PairTable.find` and `HashedPairs.find` compute it."""
    if right < 0:
        return -1
    key = (left << 32) | right
    if tables.n_bits[k] > 0:
        mixed = np.uint64(key)
        for factor in HASH_FACTORS:
            mixed = (mixed ^ (mixed >> np.uint64(33))) * np.uint64(factor)
        return np.int64(mixed >> np.uint64(64 - tables.n_bits[k]))
    first_key, begin = tables.key_ptr[k], tables.slot_ptr[k]
    last = tables.slot_ptr[k + 1] - begin - 1
    j = first_slot(left, right, last + 1)
    number = tables.slots[begin + j]
    while number >= 0 and tables.keys[first_key + number] != key:
        j = (j + 1) & last
        number = tables.slots[begin + j]
    return np.int64(number)


@kernel
def pack_rows(columns, indices, indptr):
    """Write the entries that are not -1 to `indices`, row by row, and the offsets of the rows to `indptr`."""
    n = 0
    for i in range(columns.shape[0]):
        for t in range(columns.shape[1]):
            if columns[i, t] >= 0:
                indices[n] = columns[i, t]
                n += 1
        indptr[i + 1] = n
