"""Inputs of the cases: sequences with binary attributes, graphs with random scores, and training problems."""

import gzip
from itertools import islice

import numpy as np
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator

from skstruct import GraphCRFClassifier, GraphDataset, RaggedArray, Topology
from skstruct._records import Scores
from skstruct.features import LinearFeatures

# Templates of the chunking task: (column, offset) of the words that make an attribute together.
WORD, TAG = 0, 1
CHUNK_TEMPLATES = [
    *([(WORD, offset)] for offset in range(-2, 3)),
    *([(WORD, offset), (WORD, offset + 1)] for offset in (-1, 0)),
    *([(TAG, offset)] for offset in range(-2, 3)),
    *([(TAG, offset), (TAG, offset + 1)] for offset in range(-2, 2)),
    *([(TAG, offset), (TAG, offset + 1), (TAG, offset + 2)] for offset in range(-2, 1)),
]


# ------------------------------------------------------------------------------------------ sequences
class Attributes:
    """Sequences whose nodes have string attributes, as CRFsuite takes them and as a `GraphDataset`.

    The vocabulary is that of the training sequences; other attributes are dropped.
    """

    def __init__(self, sequences, labels, test_sequences, test_labels):
        self.columns = {}
        for sequence in sequences:
            for attributes in sequence:
                for attribute in attributes:
                    self.columns.setdefault(attribute, len(self.columns))
        self.sequences, self.labels = sequences, labels
        self.test_sequences, self.test_labels = test_sequences, test_labels
        self.X, self.y = self._pack(sequences, labels)
        self.X_test, self.y_test = self._pack(test_sequences, test_labels)
        self.classes = np.unique(self.y.values)

    def _pack(self, sequences, labels):
        rows = [[self.columns[a] for a in node if a in self.columns] for sequence in sequences for node in sequence]
        ptr = np.cumsum([0, *map(len, rows)])
        columns = np.fromiter((column for row in rows for column in row), np.int32, ptr[-1])
        features = csr_array((np.ones(ptr[-1]), columns, ptr), shape=(len(rows), len(self.columns)))
        features.sum_duplicates()
        starts = np.cumsum([0, *map(len, sequences)])
        first = np.concatenate([np.arange(len(sequence) - 1) for sequence in sequences])
        edge_ptr = starts - np.arange(len(starts))
        X = GraphDataset(features, np.c_[first, first + 1], node_ptr=starts, edge_ptr=edge_ptr)
        return X, RaggedArray(np.array([label for word in labels for label in word]), starts)


def letters(run):
    """OCR letters: pixels that are set, and a bias. Full: nine folds to train on, otherwise one."""
    with np.load(run.path("letters.npz")) as file:
        stored = dict(file)
    ptr = stored["word_ptr"]

    def words(chosen):
        pixels = [stored["pixels"][ptr[w] : ptr[w + 1]] for w in chosen]
        attributes = [[["bias", *(f"p{k}" for k in np.flatnonzero(row))] for row in word] for word in pixels]
        return attributes, [[chr(97 + code) for code in stored["labels"][ptr[w] : ptr[w + 1]]] for w in chosen]

    test = np.flatnonzero(stored["folds"] == 0)[: run.pick(20, None, None)]
    train = np.flatnonzero(stored["folds"] != 0 if run.size == "full" else stored["folds"] == 1)
    return Attributes(*words(train[: run.pick(30, None, None)]), *words(test))


def chunking(run):
    """CoNLL-2000 chunking with the 19 templates of the words and tags around."""

    def sentences(name, n):
        found, labels = [], []
        with gzip.open(run.path(name), "rt", encoding="utf-8") as file:
            blocks = (block for block in file.read().split("\n\n") if block.strip())
        for block in islice(blocks, n):
            words = [line.split() for line in block.strip().split("\n")]
            found.append([_attributes(words, k) for k in range(len(words))])
            found[-1][0].append("BOS")
            found[-1][-1].append("EOS")
            labels.append([word[2] for word in words])
        return found, labels

    train = sentences("conll2000.train.txt.gz", run.pick(20, 200, None))
    return Attributes(*train, *sentences("conll2000.test.txt.gz", run.pick(10, 200, None)))


def _attributes(words, k):
    found = []
    for number, template in enumerate(CHUNK_TEMPLATES):
        places = [k + offset for _, offset in template]
        if places[0] >= 0 and places[-1] < len(words):
            found.append(f"{number}=" + "|".join(words[place][column] for place, (column, _) in zip(places, template)))
    return found


# --------------------------------------------------------------------------------------------- graphs
def grid(height, width):
    """Edges of a grid, by lower node."""
    cells = np.arange(height * width).reshape(height, width)
    across = np.c_[cells[:, :-1].ravel(), cells[:, 1:].ravel()]
    edges = np.concatenate([across, np.c_[cells[:-1].ravel(), cells[1:].ravel()]])
    return edges[np.lexsort(edges.T[::-1])]


def random_edges(n_nodes, n_edges, rng):
    """Distinct pairs of nodes."""
    pairs = np.sort(rng.integers(0, n_nodes, (int(1.2 * n_edges) + 20, 2)), axis=1)
    pairs = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)
    return pairs[np.sort(rng.permutation(len(pairs))[:n_edges])]


def many_graphs(n_graphs, n_nodes, n_edges, rng):
    """Topology of a batch of random graphs."""
    edges = [random_edges(n_nodes, n_edges, rng) for _ in range(n_graphs)]
    joined = np.concatenate([pairs + g * n_nodes for g, pairs in enumerate(edges)]).astype(np.int32)
    return Topology(joined, np.arange(n_graphs + 1) * n_nodes, np.cumsum([0, *map(len, edges)]))


def random_scores(topology, n_states, rng, *, coupling=1.0, shared=False):
    """Standard normal node scores, and edge scores of a given deviation."""
    node = rng.normal(size=(topology.n_nodes, n_states))
    if shared:
        return Scores(node, rng.normal(0, coupling, (1, n_states, n_states)), np.zeros(topology.n_edges, np.int32))
    return Scores(node, rng.normal(0, coupling, (topology.n_edges, n_states, n_states)))


# ------------------------------------------------------------------------------------------- training
class _Probe(BaseEstimator):
    """An optimiser that hands the objective to a function instead of minimising it."""

    def __init__(self, body, coef=None):
        self.body = body
        self.coef = coef

    def minimize(self, fun, coef0, *, l1, max_iter, tol, callback=None):
        from scipy.optimize import OptimizeResult

        x = coef0 if self.coef is None else self.coef
        if self.body is not None:
            self.body(fun, x)
        return OptimizeResult(
            x=x, fun=np.nan, nit=0, nfev=0, success=True, message="", loss_curve=np.zeros(0), interrupt=None
        )


def with_objective(crf, X, y, body, coef=None):
    """Call ``body(fun, coef)`` with what `fit` minimises: ``fun(coef) -> value, gradient``.

    The value is the objective divided by `C` and by the number of nodes.
    """
    crf.set_params(optimizer=_Probe(body, coef)).fit(X, y)


def with_coef(crf, X, y, coef):
    """Return the classifier with given parameters in place of trained ones."""
    return crf.set_params(optimizer=_Probe(None, coef)).fit(X, y)


def chain_crf(c2, **parameters):
    """Classifier with CRFsuite's model: no intercepts, and objective ``NLL + c2 * |w|**2`` times `C`."""
    return GraphCRFClassifier(LinearFeatures(fit_intercept=False), C=0.5 / c2, **parameters)
