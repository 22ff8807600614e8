"""Node weights of a linear map on sparse features: which pairs of feature and label have one, and fast sums of them.

Most features of text are rare: each word, and pair of words, is a feature, seen with one or two labels only. A weight
for every pair would be a table that is almost all zeros; observed weights leave out the pairs that the training data
do not have. They are kept in two tiers, each with its own loop: frequent features with several labels as *rows* of a
table, which are summed in vector registers, others as single *pairs* of a weight and its label.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from skstruct.data.sparse_checks import check_sparse
from skstruct.data.tables import is_sparse
from skstruct.kernels.jit import kernel
from skstruct.kernels.simd import (
    add_scaled_to_rows,
    add_to_rows,
    lanes,
    padded,
    prefetch,
    sum_rows,
    sum_scaled_rows,
)

ROW_TIME = 2  # adding a row of the table takes about as long as adding two single weights, text from CoNLL-2000 says
USES_PER_GAP = 4  # additions saved for each entry of a row that is no weight: it takes time, too, when all are updated
IN_TABLE = -1
NEVER = np.iinfo(np.int64).max
BLOCK = 128  # most nodes in a block: rows are summed for all of them, then pairs, both with scores in the cache
AHEAD = 128  # pairs between asking memory for a weight and using it: saves a third of the gradient of text


class ObservedPairs(NamedTuple):
    """How often each feature occurs with each label in a piece of the data, and when it occurs first."""

    counts: csr_array  # (n_features, n_states)
    first_use: np.ndarray  # (n_features,) among the stored numbers; NEVER for a feature that does not occur
    n_stored: int

    @classmethod
    def of(cls, features, codes, n_states):
        """Count the nonzero features, (n_nodes, n_features), of nodes whose label, (n_nodes,), is not negative."""
        features = csr_array(features)
        known = np.flatnonzero(codes >= 0)
        labels = csr_array((np.ones(len(known), np.int32), (known, codes[known])), shape=(features.shape[0], n_states))
        occurs = csr_array(
            ((features.data != 0).astype(np.int32), features.indices, features.indptr), shape=features.shape
        )
        first_use = np.full(features.shape[1], NEVER)
        first_use[features.indices[::-1]] = np.arange(features.nnz)[::-1]
        return cls(_without_zeros(occurs.T @ labels), first_use, features.nnz)

    def merged(self, later):
        """Counts of this piece and a later one."""
        first_use = np.where(self.first_use < NEVER, self.first_use, later.first_use)
        new = (self.first_use == NEVER) & (later.first_use < NEVER)
        first_use[new] += self.n_stored
        return ObservedPairs(_without_zeros(self.counts + later.counts), first_use, self.n_stored + later.n_stored)


def _without_zeros(counts):
    counts = csr_array(counts)
    counts.eliminate_zeros()
    counts.sort_indices()
    return counts


class NodeInputs(NamedTuple):
    """Nonzero features of a batch by tier; values are empty where all are 1, as in one-hot coded text.

    The pairs of a block of nodes are summed in one loop: the end of a loop for each node is hard to predict.
    """

    row_ptr: np.ndarray  # (n_nodes + 1,) of `offset_dtype`
    rows: np.ndarray  # row numbers of the table
    row_values: np.ndarray
    pair_ptr: np.ndarray  # (n_nodes + 1,)
    pairs: np.ndarray  # numbers of the single weights
    pair_places: np.ndarray  # where the label of each pair is among the scores of the block
    pair_values: np.ndarray
    skipped: int  # nodes of the first block that are not in the batch

    def of_nodes(self, nodes, block):
        """Views of the inputs of consecutive nodes, given as a slice; `block` is the number of nodes in a block."""
        rows = _ranges(self.row_ptr, nodes, self.rows, self.row_values)
        if len(self.pair_ptr) == 1:  # all features have a row of the table
            return NodeInputs._make([*rows, *self[3:]])
        skipped = (self.skipped + nodes.start) % block
        return NodeInputs._make([*rows, *_ranges(self.pair_ptr, nodes, *self[4:7]), skipped])


def _ranges(ptr, nodes, *arrays):
    """Offsets of the nodes from 0, and their ranges of the arrays; empty arrays stay empty."""
    part = ptr[nodes.start : nodes.stop + 1]
    return [part - part[0], *(array[part[0] : part[-1]] for array in arrays)]


def label_dtype(n_states):
    """Integers for state codes, and for places among the scores of a block; each pair that is summed reads one."""
    return np.uint16 if n_states <= 2**16 else np.int32


def offset_dtype(largest):
    """Integers for offsets up to `largest`: 64 bits only where they are needed, since a kernel is compiled for each."""
    return np.int32 if largest <= np.iinfo(np.int32).max else np.int64


@dataclass(frozen=True, eq=False)
class NodeWeights:
    """Layout ``[table (n_rows, row_length), single weights (n_pairs,)]`` of the node weights.

    Attributes
    ----------
    n_features, n_states, n_rows : int
    row_length : int
        `n_states`, or a little more: rows that fill whole registers are added faster.
    places : ndarray of shape (n_features, 2), int32, or None
        ``(row, IN_TABLE)`` for a feature with a row of the table, ``(first, number)`` of its single weights for
        another; side by side, as they are read at random. None: feature ``f`` has row ``f``.
    pair_labels : ndarray of shape (n_pairs,), of `label_dtype`
        Label of each single weight.
    free : ndarray of bool, (n_rows * row_length + n_pairs,)
        False for entries of the table that stay zero: padding, and pairs that were not observed.
    """

    n_features: int
    n_states: int
    n_rows: int
    row_length: int
    places: np.ndarray | None
    pair_labels: np.ndarray
    free: np.ndarray

    @classmethod
    def of_all(cls, n_features, n_states, row_length):
        """A weight for every pair of a feature and a label."""
        free = np.zeros((n_features, row_length), bool)
        free[:, :n_states] = True
        no_labels = np.zeros(0, label_dtype(n_states))
        return cls(n_features, n_states, n_features, row_length, None, no_labels, free.ravel())

    @classmethod
    def of_observed(cls, observed, n_states):
        """A weight for the pairs that occur: a nonzero feature on a node with that label.

        Parameters
        ----------
        observed : ObservedPairs
        n_states : int
        """
        counts, row_length = observed.counts, padded(n_states)
        number, occurrences = np.diff(counts.indptr), counts.sum(axis=1)
        # Neighbours in memory are used together: common features, and rare ones that come up for the first time at
        # about the same place. With rare ones in random order, sums over CoNLL-2000 take twice as long.
        in_table = occurrences * (number - ROW_TIME) > USES_PER_GAP * (row_length - number)
        frequent = np.flatnonzero(in_table)
        frequent = frequent[np.argsort(-occurrences[frequent], kind="stable")]
        rare = np.flatnonzero((number > 0) & ~in_table)
        rare = rare[np.argsort(observed.first_use[rare], kind="stable")]
        places = np.zeros((len(number), 2), np.int32)
        places[rare] = np.stack([np.cumsum(number[rare]) - number[rare], number[rare]], axis=1)
        places[frequent] = np.stack([np.arange(len(frequent)), np.full(len(frequent), IN_TABLE)], axis=1)
        free = np.zeros((len(frequent), row_length), bool)
        free[np.repeat(np.arange(len(frequent)), number[frequent]), counts[frequent].indices] = True
        pair_labels = counts[rare].indices.astype(label_dtype(n_states))
        all_free = np.concatenate([free.ravel(), np.ones(len(pair_labels), bool)])
        return cls(len(number), n_states, len(frequent), row_length, places, pair_labels, all_free)

    def __setstate__(self, state):
        self.__dict__.update(state)
        if not self._is_consistent():  # compiled code would read out of bounds
            raise ValueError("the state of the node weights is damaged: its arrays do not fit each other")

    def _is_consistent(self):
        labels, n_pairs = self.pair_labels, len(self.pair_labels)
        if self.row_length < self.n_states or self.n_rows < 0 or self.free.shape != (self.n_coef,):
            return False
        if self.places is None:
            return self.n_rows == self.n_features and not n_pairs
        if labels.dtype != label_dtype(self.n_states) or self.places.shape != (self.n_features, 2):
            return False
        first, number = self.places.T.astype(np.int64)
        last = np.where(number == IN_TABLE, self.n_rows - 1, n_pairs - number)
        return bool((first >= 0).all() and (first <= last).all() and (number >= IN_TABLE).all()) and (
            labels.max(initial=0) < self.n_states and labels.min(initial=0) >= 0
        )

    def __eq__(self, other):
        if not isinstance(other, NodeWeights) or (self.n_features, self.n_states) != (other.n_features, other.n_states):
            return NotImplemented
        if self.places is None or other.places is None:
            return self.places is other.places and self.row_length == other.row_length
        return all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in ("places", "pair_labels", "free")
        )

    @property
    def block(self):
        """Number of nodes in a block."""
        return max(1, min(BLOCK, 2**16 // self.n_states))

    @property
    def n_coef(self):
        """Number of weights, with those of the table that are not free."""
        return self.n_rows * self.row_length + len(self.pair_labels)

    def _split(self, coef):
        """Return views of the table and the single weights."""
        size = self.n_rows * self.row_length
        return coef[:size].reshape(self.n_rows, self.row_length), coef[size:]

    def prepare(self, features):
        """Sort the nonzero features of a batch by tier, once; `scores` and `pullback` take the result."""
        if is_sparse(features):
            check_sparse(features, "node_features")
        else:
            features = csr_array(features)
        if features.shape[1] != self.n_features:
            raise ValueError(f"node_features has {features.shape[1]} columns, but the weights are of {self.n_features}")
        ptr, values = features.indptr.astype(offset_dtype(features.nnz), copy=False), np.zeros(0)
        if not (features.data == 1).all():
            values = features.data.astype(np.float64, copy=False)
        if self.n_rows == self.n_features and not len(self.pair_labels):  # all features have a row of the table
            rows = features.indices if self.places is None else self.places[features.indices, 0]
            nothing = (np.zeros(1, ptr.dtype), np.zeros(0, np.uint32), self.pair_labels, np.zeros(0), 0)
            return NodeInputs(ptr, rows.astype(np.int32, copy=False), values, *nothing)
        row_ptr, pair_ptr = np.zeros(len(ptr), np.int64), np.zeros(len(ptr), np.int64)
        _count_tiers(ptr, features.indices, self.places, row_ptr, pair_ptr)
        n_rows, n_pairs = row_ptr[-1], pair_ptr[-1]
        dtype = offset_dtype(max(n_rows, n_pairs))
        inputs = NodeInputs(
            row_ptr.astype(dtype, copy=False),
            np.empty(n_rows, np.int32),  # as without tiers: one compiled kernel serves both
            np.empty(n_rows if len(values) else 0),
            pair_ptr.astype(dtype, copy=False),
            np.empty(n_pairs, np.uint32),
            np.empty(n_pairs, self.pair_labels.dtype),
            np.empty(n_pairs if len(values) else 0),
            0,
        )
        sizes = self.block, self.n_states
        _fill_tiers(ptr, features.indices, values, self.places, self.pair_labels, sizes, inputs)
        return inputs

    def scores(self, inputs, coef, intercept):
        """``features @ weights + intercept``, (n_nodes, n_states)."""
        out = np.empty((len(inputs.row_ptr) - 1, self.n_states), coef.dtype)
        weights = self._split(coef)
        _add_weights(inputs, *weights, intercept, self.block, out, out.reshape(-1), lanes(self.n_states))
        return out

    def pullback(self, inputs, gradient, out):
        """Add the gradient of the weights to `out`, given that of the node scores."""
        gradient = np.ascontiguousarray(gradient, out.dtype)
        weights = self._split(out)
        _add_gradient(inputs, gradient, gradient.reshape(-1), self.block, *weights, lanes(self.n_states))

    def matrix(self, coef):
        """Weights as (n_features, n_states): dense, or CSR if they are those of observed pairs."""
        table, singles = self._split(coef)
        if self.places is None:
            return table[:, : self.n_states]
        feature, rare = (
            np.flatnonzero(kind).astype(np.int32)  # 32 bits: at the end of a training, memory is at its peak
            for kind in (self.places[:, 1] == IN_TABLE, self.places[:, 1] > 0)
        )
        row = self.places[feature, 0]
        at, label = (index.astype(np.int32) for index in np.nonzero(self.free[: table.size].reshape(table.shape)[row]))
        rare = rare[np.argsort(self.places[rare, 0])]
        single = np.repeat(rare, self.places[rare, 1])
        values = np.concatenate([table[row[at], label], singles])
        rows, columns = np.concatenate([feature[at], single]), np.concatenate([label, self.pair_labels])
        return csr_array((values, (rows, columns)), shape=(self.n_features, self.n_states))


@kernel(borrows=True)
def _count_tiers(ptr, columns, places, row_ptr, pair_ptr):
    """Write the offsets of the rows and pairs of each node; the first entries are 0."""
    for t in range(len(ptr) - 1):
        row_ptr[t + 1], pair_ptr[t + 1] = row_ptr[t], pair_ptr[t]
        for k in range(ptr[t], ptr[t + 1]):
            number = places[columns[k], 1]
            if number == IN_TABLE:
                row_ptr[t + 1] += 1
            else:
                pair_ptr[t + 1] += number


@kernel(borrows=True)
def _fill_tiers(ptr, columns, values, places, labels, sizes, out):
    block, n_states = sizes
    for t in range(len(ptr) - 1):
        r, p = out.row_ptr[t], out.pair_ptr[t]
        for k in range(ptr[t], ptr[t + 1]):
            first, number = places[columns[k]]
            if number == IN_TABLE:
                out.rows[r] = first
                if len(values):
                    out.row_values[r] = values[k]
                r += 1
                continue
            for q in range(first, first + number):
                out.pairs[p] = q
                out.pair_places[p] = t % block * n_states + labels[q]
                if len(values):
                    out.pair_values[p] = values[k]
                p += 1


@kernel(fastmath={"contract"}, borrows=True)
def _add_weights(inputs, table, singles, intercept, block, out, flat, lanes):
    """Write the scores of the nodes to `out`; `flat` is the same memory."""
    row_ptr, rows, row_values, pair_ptr, pairs, pair_places, pair_values, skipped = inputs
    for first in range(-skipped, len(out), block):
        start, stop = max(first, 0), min(first + block, len(out))
        for t in range(start, stop):
            if len(row_values):
                sum_scaled_rows(table, rows, row_values, row_ptr[t], row_ptr[t + 1], intercept, out, t, lanes)
            else:
                sum_rows(table, rows, row_ptr[t], row_ptr[t + 1], intercept, out, t, lanes)
        if not len(pairs):
            continue
        shift, last = first * out.shape[1], np.uint64(len(pairs) - 1)
        for k in range(np.uint64(pair_ptr[start]), np.uint64(pair_ptr[stop])):
            prefetch(singles, pairs[min(k + np.uint64(AHEAD), last)], lanes)
            weight = singles[pairs[k]]
            flat[np.uint64(shift + np.int64(pair_places[k]))] += weight * pair_values[k] if len(pair_values) else weight


@kernel(fastmath={"contract"}, borrows=True)
def _add_gradient(inputs, gradient, flat, block, table, singles, lanes):
    """Add the gradient of the weights; `flat` is the memory of the gradient of the scores."""
    row_ptr, rows, row_values, pair_ptr, pairs, pair_places, pair_values, skipped = inputs
    for first in range(-skipped, len(gradient), block):
        start, stop = max(first, 0), min(first + block, len(gradient))
        for t in range(start, stop):
            if len(row_values):
                add_scaled_to_rows(gradient, t, table, rows, row_values, row_ptr[t], row_ptr[t + 1], lanes)
            else:
                add_to_rows(gradient, t, table, rows, row_ptr[t], row_ptr[t + 1], lanes)
        if not len(pairs):
            continue
        shift, last = first * gradient.shape[1], np.uint64(len(pairs) - 1)
        for k in range(np.uint64(pair_ptr[start]), np.uint64(pair_ptr[stop])):
            prefetch(singles, pairs[min(k + np.uint64(AHEAD), last)], lanes)
            value = flat[np.uint64(shift + np.int64(pair_places[k]))]
            singles[pairs[k]] += value * pair_values[k] if len(pair_values) else value
