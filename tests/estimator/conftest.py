"""Small random graphs, and the estimator's quantities by enumeration of all labellings."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.sparse import csr_array

from skstruct import GraphDataset, RaggedArray


def random_edges(rng, n_nodes, kind):
    """Edges of a chain, a random tree with random directions, or a cycle."""
    if kind == "edgeless" or n_nodes < 2:
        return []
    if kind == "chain":
        return [(i, i + 1) for i in range(n_nodes - 1)]
    if kind == "cycle":
        return [(i, (i + 1) % n_nodes) for i in range(n_nodes)] if n_nodes > 2 else [(0, 1)]
    pairs = [(int(rng.integers(i)), i) for i in range(1, n_nodes)]
    return [pair if rng.random() < 0.5 else pair[::-1] for pair in pairs]


@pytest.fixture
def make_data():
    """Build labelled random graphs: ``make_data(kind="tree", sizes=(3, 1, 4), ...) -> (X, y)``."""

    def make(
        kind="tree",
        sizes=(3, 1, 4, 2),
        n_states=3,
        n_features=2,
        n_edge_features=0,
        storage="dense",
        dtype=np.float64,
        seed=0,
    ):
        rng = np.random.default_rng(seed)
        sizes = np.asarray(sizes)
        lists = [random_edges(rng, n, kind) for n in sizes]
        node_ptr = np.concatenate([[0], np.cumsum(sizes)])
        y = rng.integers(n_states, size=node_ptr[-1])
        y[:n_states] = np.arange(n_states)[: len(y)]  # all of them occur
        x = rng.normal(size=(len(y), n_features))
        x[:, 0] += y  # some signal
        edges = np.array([pair for pairs in lists for pair in pairs]).reshape(-1, 2)
        f = rng.normal(size=(len(edges), n_edge_features)) if n_edge_features else None

        def store(table):
            if table is None:
                return None
            table = table.astype(dtype)
            return table if storage == "dense" else csr_array(np.where(np.abs(table) < 0.3, 0, table))

        edge_ptr = np.concatenate([[0], np.cumsum([len(pairs) for pairs in lists])])
        X = GraphDataset(store(x), edges.astype(int), store(f), node_ptr, edge_ptr)
        return X, RaggedArray(y, node_ptr)

    return make


def enumerate_graph(node, edges, edge):
    """All labellings of one graph and their scores, written out; `node` (n, C), `edge` (n_edges, C, C)."""
    n_nodes, n_states = node.shape
    labellings = list(itertools.product(range(n_states), repeat=n_nodes))
    scores = [
        sum(node[i, labels[i]] for i in range(n_nodes))
        + sum(edge[e][labels[i], labels[j]] for e, (i, j) in enumerate(edges))
        for labels in labellings
    ]
    return labellings, np.array(scores, dtype=float)


@pytest.fixture
def brute_force():
    """Quantities of one graph by enumeration: ``brute_force(node_scores, edges, edge_scores)``."""

    def solve(node, edges, edge):
        labellings, scores = enumerate_graph(node, edges, edge)
        n_nodes, n_states = node.shape
        log_partition = np.log(np.exp(scores - scores.max()).sum()) + scores.max()
        probability = np.exp(scores - log_partition)
        node_proba, edge_proba = np.zeros((n_nodes, n_states)), np.zeros((len(edges), n_states, n_states))
        for labels, p in zip(labellings, probability):
            for i in range(n_nodes):
                node_proba[i, labels[i]] += p
            for e, (i, j) in enumerate(edges):
                edge_proba[e, labels[i], labels[j]] += p

        def log_likelihood(codes):
            """Of the codes that are not -1."""
            agrees = [all(c in (-1, s) for c, s in zip(codes, labels)) for labels in labellings]
            return np.log(probability[np.array(agrees)].sum())

        return SimpleNamespace(
            log_partition=log_partition,
            node=node_proba,
            edge=edge_proba,
            best=np.array(labellings[scores.argmax()], dtype=int),
            log_likelihood=log_likelihood,
        )

    return solve


@pytest.fixture(scope="session")
def to_csr():
    return csr_array
