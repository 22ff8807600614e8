"""Growth of time with one size at a time, with fitted exponents."""

import numpy as np
from scipy.sparse import csr_array

from benchmarks._measure import case
from benchmarks._problems import grid, many_graphs, random_scores
from benchmarks._sequences import chains
from benchmarks._training import chain_crf, with_objective
from skstruct import Topology
from skstruct.inference import JunctionTree, LoopyBP


@case("Growth of chains with tokens")
def chain_tokens(run):
    """Value and gradient of chains of 20 nodes over the number of nodes; expected: linear."""
    sizes = np.array(run.pick([50, 100], [250, 500, 1000, 2000], [1000, 4000, 16_000]))
    run.sweep("chain evaluation", "tokens", 20 * sizes, lambda n: _evaluation(n_nodes=n))


@case("Growth of chains with labels")
def chain_labels(run):
    """Value and gradient over the number of labels; expected: below quadratic."""
    sizes = run.pick([2, 4], [4, 8, 16, 32], [4, 8, 16, 32, 64])
    run.sweep(
        "chain evaluation", "labels", sizes, lambda c: _evaluation(n_states=c, n_nodes=run.pick(1000, 10_000, 10_000))
    )


@case("Growth of chains with attributes of a token")
def chain_attributes(run):
    """Value and gradient over the number of attributes of each token; expected: at most linear."""
    sizes, n_nodes = run.pick([2, 4], [5, 10, 20, 40], [5, 10, 20, 40, 80]), run.pick(1000, 10_000, 10_000)
    run.sweep("chain evaluation", "attributes of a token", sizes, lambda n: _evaluation(n_nodes=n_nodes, per_node=n))


@case("Growth of chains with distinct attributes")
def chain_vocabulary(run):
    """Value and gradient over the number of distinct attributes, 20 for each token; expected: below linear."""
    sizes = run.pick([50, 100], [1000, 10_000, 100_000], [1000, 10_000, 100_000, 1_000_000])
    n_nodes = run.pick(1000, 10_000, 10_000)
    run.sweep("chain evaluation", "distinct attributes", sizes, lambda n: _evaluation(n_nodes=n_nodes, n_attributes=n))


@case("Growth of loopy BP with edges")
def loopy_edges(run):
    """Marginals of loopy BP on one grid over the number of edges; expected: linear for a constant number of sweeps."""
    sizes = np.array(run.pick([4, 8], [16, 32, 64], [32, 64, 128, 256]))

    def make(n_edges):
        side = round((1 + np.sqrt(1 + 2 * n_edges)) / 2)
        return _marginals(LoopyBP(), Topology.from_edges(grid(side, side), side * side))

    run.sweep("loopy BP", "edges", 2 * sizes * (sizes - 1), make)


@case("Growth of batches with graphs")
def number_of_graphs(run):
    """Marginals of batches of graphs of 20 nodes over the number of graphs; expected: linear."""
    sizes = run.pick([5, 10], [100, 300, 1000], [1000, 3000, 10_000])
    for name, backend in (("loopy BP", LoopyBP()), ("junction tree", JunctionTree())):
        run.sweep(
            name,
            "graphs of 20 nodes, 30 edges",
            sizes,
            lambda n, backend=backend: _marginals(backend, many_graphs(n, 20, 30, np.random.default_rng(0))),
        )


def _evaluation(*, n_nodes, n_states=8, n_attributes=10_000, per_node=20):
    """Return a function that evaluates the training objective of random chains of 20 nodes.

    Attributes are drawn with frequencies like those of words: the k-th has a frequency near ``1 / k``.
    """
    rng = np.random.default_rng(0)
    drawn = np.exp(rng.uniform(0, np.log(n_attributes), n_nodes * per_node)).astype(np.int32)
    rows = np.arange(0, n_nodes * per_node + 1, per_node, dtype=np.int32)
    features = csr_array((np.ones(len(drawn)), drawn, rows), shape=(n_nodes, n_attributes))
    features.sum_duplicates()
    features.data[:] = 1.0
    labels = rng.integers(0, n_states, n_nodes)
    labels[:n_states] = np.arange(n_states)
    kept = []

    def keep(fun, coef):
        kept.append(lambda: fun(coef))

    with_objective(chain_crf(1.0), *chains(features, np.arange(0, n_nodes + 1, 20), labels), keep)
    return kept[0]


def _marginals(backend, topology):
    scores = random_scores(topology, 2, np.random.default_rng(0), coupling=0.5)
    plan = backend.plan(topology, 2)
    return lambda: plan.marginals(scores)
