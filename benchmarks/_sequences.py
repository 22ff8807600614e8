"""Labelled sequences with binary attributes: letters of words, chunks of sentences, parts of speech."""

import numpy as np
from scipy.sparse import csr_array

from benchmarks._text import chunk_attributes, lexical_attributes, read_chunks, read_conllu
from skstruct import GraphDataset, RaggedArray


class Attributes:
    """Sequences whose nodes have string attributes, as CRFsuite requires them and as a `GraphDataset`.

    The vocabulary contains the attributes of the training sequences. All other attributes are dropped.

    Parameters
    ----------
    train, test : list of (attributes, labels)
        A pair for each sequence: a list of lists of strings, and a list of strings.
    """

    def __init__(self, train, test):
        self.sequences, self.labels = map(list, zip(*train))
        self.test_sequences, self.test_labels = map(list, zip(*test))
        self.columns = {}
        for sequence in self.sequences:
            for attributes in sequence:
                for attribute in attributes:
                    self.columns.setdefault(attribute, len(self.columns))
        self.X, self.y = self._pack(self.sequences, self.labels)
        self.X_test, self.y_test = self._pack(self.test_sequences, self.test_labels)
        self.classes = np.unique(self.y.values)

    def _pack(self, sequences, labels):
        rows = [[self.columns[a] for a in node if a in self.columns] for sequence in sequences for node in sequence]
        ptr = np.cumsum([0, *map(len, rows)])
        columns = np.fromiter((column for row in rows for column in row), np.int32, ptr[-1])
        features = csr_array((np.ones(ptr[-1]), columns, ptr.astype(np.int32)), shape=(len(rows), len(self.columns)))
        features.sum_duplicates()
        return chains(features, np.cumsum([0, *map(len, sequences)]), [label for word in labels for label in word])


def chains(features, starts, labels):
    """Convert the nodes of chains, which start at `starts`, and their labels."""
    first = np.delete(np.arange(starts[-1]) - np.repeat(starts[:-1], np.diff(starts)), starts[1:] - 1)
    edge_ptr = starts - np.arange(len(starts))
    X = GraphDataset(features, np.c_[first, first + 1], node_ptr=starts, edge_ptr=edge_ptr)
    return X, RaggedArray(np.asarray(labels), starts)


def letters(run):
    """OCR letters: nonzero pixels, and a bias. At full size nine folds are for training, otherwise one."""
    with np.load(run.path("letters.npz")) as file:
        stored = dict(file)
    ptr = stored["word_ptr"]

    def words(chosen):
        for w in chosen:
            rows = stored["pixels"][ptr[w] : ptr[w + 1]]
            attributes = [["bias", *(f"p{k}" for k in np.flatnonzero(row))] for row in rows]
            yield attributes, [chr(97 + code) for code in stored["labels"][ptr[w] : ptr[w + 1]]]

    test = np.flatnonzero(stored["folds"] == 0)[: run.pick(20, None, None)]
    train = np.flatnonzero(stored["folds"] != 0 if run.size == "full" else stored["folds"] == 1)
    return Attributes(words(train[: run.pick(30, None, None)]), words(test))


def chunking(run):
    """CoNLL-2000 chunking with 19 templates of neighbouring words and tags."""
    return Attributes(*([(chunk_attributes(words), labels) for words, labels in part] for part in chunk_words(run)))


def chunk_words(run):
    """Training and test sentences, each a list of (list of (word, tag), labels)."""
    train = read_chunks(run.path("conll2000.train.txt.gz"), run.pick(20, 200, None))
    return list(train), list(read_chunks(run.path("conll2000.test.txt.gz"), run.pick(10, 200, None)))


def tagging(run, column="UPOS"):
    """Parts of speech of UD English EWT with lexical attributes, trained on the dev set, tested on the test set."""
    parts = (
        ("en_ewt-ud-dev.conllu.gz", run.pick(20, 200, None)),
        ("en_ewt-ud-test.conllu.gz", run.pick(10, 200, None)),
    )
    return Attributes(*([(lexical_attributes(w), y) for w, y in read_conllu(run.path(f), n, column)] for f, n in parts))
