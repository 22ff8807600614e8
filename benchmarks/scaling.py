"""How time grows: sweeps over one size at a time, with fitted exponents."""

import time

import numpy as np

from benchmarks._measure import case, unpin
from benchmarks._problems import grid, many_graphs, random_scores, with_objective
from skstruct import GraphCRFClassifier, GraphDataset, RaggedArray, Topology
from skstruct.inference import JunctionTree, LoopyBP


@case
def chain_tokens(run):
    """One value and gradient of chains of 20 nodes over the number of nodes; expected to be linear."""
    sizes = np.array(run.pick([50, 100], [250, 500, 1000, 2000], [1000, 4000, 16_000]))
    run.sweep("chain evaluation", "tokens", 20 * sizes, lambda n: _evaluation(n_nodes=n))


@case
def chain_labels(run):
    """One value and gradient over the number of labels; expected below quadratic."""
    sizes = run.pick([2, 4], [4, 8, 16, 32], [4, 8, 16, 32, 64])
    run.sweep("chain evaluation", "labels", sizes, lambda c: _evaluation(n_states=c))


@case
def chain_features(run):
    """One value and gradient over the number of dense features; at most linear."""
    sizes = run.pick([4, 8], [8, 32, 128], [8, 32, 128, 512])
    run.sweep("chain evaluation", "features", sizes, lambda d: _evaluation(n_features=d))


@case
def loopy_edges(run):
    """Marginals of loopy BP on one grid over the number of edges; linear as far as sweeps do not grow."""
    sizes = np.array(run.pick([4, 8], [16, 32, 64], [32, 64, 128, 256]))

    def make(n_edges):
        side = round((1 + np.sqrt(1 + 2 * n_edges)) / 2)
        return _marginals(LoopyBP(), Topology.from_edges(grid(side, side), side * side))

    run.sweep("loopy BP", "edges", 2 * sizes * (sizes - 1), make)


@case
def number_of_graphs(run):
    """Marginals of batches of graphs of 20 nodes over their number; expected to be linear."""
    sizes = run.pick([5, 10], [100, 300, 1000], [1000, 3000, 10_000])
    for name, backend in (("loopy BP", LoopyBP()), ("junction tree", JunctionTree())):
        run.sweep(
            name,
            "graphs of 20 nodes, 30 edges",
            sizes,
            lambda n, backend=backend: _marginals(backend, many_graphs(n, 20, 30, np.random.default_rng(0))),
        )


@case
def threads(run):
    """Training evaluations with two threads give the bits of one; wall-clock time of both."""
    unpin()
    chain = {"n_nodes": run.pick(2000, 40_000, 400_000), "n_states": 16, "n_features": 32}

    def compare(one):
        def body(two):
            run.check("value and gradient with 2 threads", two(), one())
            engines = {"n_jobs=1": one, "n_jobs=2": two}
            run.compare(f"chain evaluation, {chain['n_nodes']} nodes", engines, clock=time.perf_counter)

        _evaluation(**chain, n_jobs=2, body=body)

    _evaluation(**chain, n_jobs=1, body=compare)


def _evaluation(*, n_nodes=10_000, n_states=8, n_features=16, n_jobs=None, body=None):
    """Return a function that evaluates the training objective of random chains of 20 nodes.

    With `body`, which is called with the function, while the threads of the fit are there.
    """
    rng = np.random.default_rng(0)
    ptr = np.arange(0, n_nodes + 1, 20)
    X = GraphDataset.from_sequences(RaggedArray(rng.normal(size=(n_nodes, n_features)), ptr))
    labels = rng.integers(0, n_states, n_nodes)
    labels[:n_states] = np.arange(n_states)
    kept = []

    def keep(fun, coef):
        coef = np.random.default_rng(1).normal(0, 0.1, len(coef))

        def evaluate():
            value, gradient = fun(coef)
            return np.r_[value, gradient]

        kept.append(evaluate)
        if body is not None:
            body(evaluate)

    with_objective(GraphCRFClassifier(n_jobs=n_jobs), X, RaggedArray(labels, ptr), keep)
    return kept[0]


def _marginals(backend, topology):
    scores = random_scores(topology, 2, np.random.default_rng(0), coupling=0.5)
    plan = backend.plan(topology, 2)
    return lambda: plan.marginals(scores)
