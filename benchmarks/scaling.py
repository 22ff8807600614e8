"""Growth of time with one size at a time, with fitted exponents: training, every backend, plans, the k best.

Each backend of the table is measured on graphs that it supports, whose edges share a matrix. Iterative backends do a
constant number of sweeps.

Where linear growth is expected, the smallest size is large enough that the constant cost of a call (0.02 to 0.3 ms) is
a few percent at most, and the data of all sizes are in the same level of the memory: in the third-level cache, or all
outside of it. The time of a unit of work differs between these levels. `beyond_caches` shows by how much.
"""

import numpy as np
from scipy.sparse import csr_array

from benchmarks._measure import case
from benchmarks._problems import grid, random_edges, random_scores
from benchmarks._sequences import chains
from benchmarks._training import chain_crf, with_objective
from skstruct import Topology
from skstruct.inference import BACKENDS, JunctionTree, LoopyBP, Tree

STEADY = {"max_iter": 10, "tol": 1e-300}  # sweeps do not end before
SETTINGS = {
    "junction_tree": {"max_entries": 1e12},
    "auto": {"approximate": LoopyBP(**STEADY), "max_entries": 1},
    "gibbs": {"n_samples": 4, "burn_in": 4, "n_chains": 2, "thin": 1},
    "loopy_bp": STEADY,
    "mean_field": STEADY,
    "tree_reweighted": STEADY,
}
# Weak scores of edges, so that the number of sweeps does not depend on the size: both backends decode first.
COUPLING = {"gibbs": 0.001, "mean_field": 0.02}
N_STATES = 5
# Smallest of the sizes; the largest is 8 times as large.
FIRST_NODES = {"gibbs": 5000, "mean_field": 6400, "chain": 10_000, "edgeless": 10_000, "tree": 10_000}
FIRST_NODES["junction_tree"] = 40_000  # stores about 1 kB for each node, so that all sizes exceed the caches
FIRST_GRAPHS = {"chain": 1000, "edgeless": 1000, "enumeration": 50}


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


@case("Growth of backends with nodes")
def backend_nodes(run):
    """Marginals of one graph over the number of nodes; expected: linear.

    The graphs are grids, and for some backends chains, binary trees, ladders, or nodes without edges. Enumeration is
    not measured, since its time doubles with each binary node.
    """
    for name in sorted(BACKENDS.keys() - {"enumeration"}):
        n_nodes = run.pick(16, 1024, FIRST_NODES.get(name, 1600))
        sizes = n_nodes * np.array(run.pick([1, 2], [1, 2, 4], [1, 2, 4, 8]))
        run.sweep(name, "nodes", sizes, lambda n, name=name: _marginals(name, _shape(name, n)))
    _expect_linear(run, run.sweeps)


@case("Growth of backends with graphs")
def backend_graphs(run):
    """Marginals of a batch over the number of graphs, which have 20 nodes, or 4 for enumeration; expected: linear."""
    for name in sorted(BACKENDS):
        n_nodes = 4 if name == "enumeration" else 20
        sizes = run.pick(5, 25, FIRST_GRAPHS.get(name, 500)) * np.array(run.pick([1, 2], [1, 2, 4], [1, 2, 4, 8]))
        one = _shape(name, n_nodes)
        run.sweep(
            name, f"graphs of {n_nodes} nodes", sizes, lambda n, name=name, one=one: _marginals(name, _copies(one, n))
        )
    _expect_linear(run, run.sweeps)


@case("Growth of backends with edges")
def backend_edges(run):
    """Marginals of random graphs with a constant number of nodes over the number of edges; expected: at most linear.

    The time of a node is that of about 16 of its messages. Chains, trees and graphs without edges have no choice of
    edges. Exact inference is exponential in the treewidth; the time of the junction tree is linear in the number of
    table entries, which is measured on grids of rising height.
    """
    rng, n_nodes = np.random.default_rng(0), run.pick(20, 125, 125)
    sizes = n_nodes * np.array(run.pick([2, 4], [8, 16], [16, 24, 36, 54]))
    for name in sorted(BACKENDS.keys() - SHAPES.keys()):
        run.sweep(
            name,
            f"edges of {n_nodes} nodes",
            sizes,
            lambda n, name=name: _marginals(name, Topology.from_edges(random_edges(n_nodes, n, rng), n_nodes)),
        )
    plans = {}
    for height in run.pick([3, 4], [8, 10, 12], [13, 15, 16, 18]):
        plan = JunctionTree(1e12).plan(Topology.from_edges(grid(height, 24), 24 * height), 2)
        plans[int(plan.entries[0])] = plan
    run.sweep("junction_tree", "table entries", list(plans), lambda n: _use(plans[n], 2))
    _expect_linear(run, run.sweeps[-1:])


@case("Growth of backends with labels")
def backend_labels(run):
    """Marginals over the number of labels.

    Expected: at most quadratic for messages, since registers hold 8 numbers, and exponentials and the cost of a call
    are at most linear; at most linear without edges; cubic for the junction tree of a ladder, whose tables have
    three nodes; the fourth power for enumeration of four nodes.
    """
    for name in sorted(BACKENDS):
        n_nodes = 4 if name == "enumeration" else run.pick(16, 500, 500 if name == "junction_tree" else 2000)
        sizes = run.pick([5, 7], [8, 16], [8, 16, 22] if name == "enumeration" else [8, 16, 32, 64])
        run.sweep(name, "labels", sizes, lambda c, name=name, n=n_nodes: _marginals(name, _shape(name, n), c))


@case("Growth of times beyond the caches")
def beyond_caches(run):
    """Marginals and plans of one graph, whose data are in the third-level cache at first and exceed it at last.

    The computation is the same at all sizes, but data come from slower memory. Larger arrays also are new memory
    in each call, which the operating system fills with zeros, since the C library keeps only smaller ones.
    """
    factors = np.array(run.pick([1, 2], [1, 4], [1, 4, 16]))
    for name, first in (("chain", 20_000), ("tree", 20_000), ("junction_tree", 5000), ("loopy_bp", 12_800)):
        sizes = run.pick(16, 1024, first) * factors
        run.sweep(name, "nodes", sizes, lambda n, name=name: _marginals(name, _shape(name, n)))
    run.sweep("plan, 2 columns", "nodes", run.pick(60, 12_000, 60_000) * factors, lambda n: _plan(2, n))


@case("Growth of plans")
def plans(run):
    """Plans of junction trees over the number of nodes, for grids of 2, 6 and 10 columns.

    Expected: linear for 2 columns, a ladder. Wider graphs need a heap and a hash set of the edges, which are linear but
    for a logarithm, and for the caches in which a large hash set does not fit.
    """
    sizes = np.array(run.pick([60, 120], [12_000, 24_000, 48_000], [60_000, 120_000, 240_000]))
    run.sweep("plan, 2 columns", "nodes", sizes, lambda n: _plan(2, n))
    _expect_linear(run, run.sweeps)
    sizes = np.array(run.pick([60, 120], [900, 1800, 3600], [900, 1800, 3600, 7200]))
    for width in (6, 10):
        run.sweep(f"plan, {width} columns", "nodes", sizes, lambda n, width=width: _plan(width, n))


@case("Growth of the k best labellings")
def k_best(run):
    """Five best labellings of a binary tree over the number of nodes; then k best ones over k.

    Expected: linear in nodes, and below linear in k, since one pass of messages is enough for any k.
    """
    sizes = np.array(run.pick([20, 40], [1000, 2000, 4000], [32_000, 64_000, 128_000, 256_000]))
    run.sweep("5 best of a tree", "nodes", sizes, lambda n: _k_best(n, 5))
    _expect_linear(run, run.sweeps)
    n_nodes, numbers = run.pick(20, 1000, 2000), run.pick([2, 4], [5, 20], [5, 20, 80])
    run.sweep(f"k best of a tree of {n_nodes} nodes", "k", numbers, lambda k: _k_best(n_nodes, k))


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


def _grid_of(n_nodes):
    side = round(np.sqrt(n_nodes))
    return grid(n_nodes // side, side)


SHAPES = {
    "edgeless": lambda n: np.zeros((0, 2), np.int32),
    "chain": lambda n: np.c_[: n - 1, 1:n],
    "tree": lambda n: np.c_[np.arange(n - 1) // 2, 1:n],
    "junction_tree": lambda n: grid(n // 2, 2),
    "enumeration": lambda n: np.c_[: n - 1, 1:n],
}


def _shape(name, n_nodes):
    """Graph of a family that the backend `name` supports."""
    return Topology.from_edges(SHAPES.get(name, _grid_of)(n_nodes), n_nodes)


def _copies(topology, number):
    n_nodes, n_edges, counts = topology.n_nodes, topology.n_edges, np.arange(number + 1)
    edges = (topology.edges + n_nodes * counts[:-1, None, None]).reshape(-1, 2)
    return Topology(edges, n_nodes * counts, n_edges * counts)


def _marginals(name, topology, n_states=N_STATES):
    """Return a function that computes marginals by the backend `name`."""
    return _use(BACKENDS[name](**SETTINGS.get(name, {})).plan(topology, n_states), n_states, COUPLING.get(name, 0.1))


def _use(plan, n_states, coupling=0.1):
    scores = random_scores(plan.topology, n_states, np.random.default_rng(0), coupling=coupling, shared=True)
    return lambda: plan.marginals(scores)


def _plan(width, n_nodes):
    """Return a function that plans for a new topology, a grid of `width` columns."""
    edges = grid(n_nodes // width, width)
    return lambda: JunctionTree(1e12).plan(Topology.from_edges(edges, n_nodes), 2)


def _k_best(n_nodes, k):
    topology = _shape("tree", n_nodes)
    scores = random_scores(topology, N_STATES, np.random.default_rng(0), shared=True)
    plan = Tree().plan(topology, N_STATES)
    return lambda: plan.k_best(scores, k)


def _expect_linear(run, sweeps):
    distance = max(abs(sweep["exponent"] - 1) for sweep in sweeps)
    run.goal("largest distance of an exponent from 1", distance, at_least=0.03, goal=0.02, unit="")
