"""Derivatives of marginals along a direction, next to the marginals: chains, trees, loopy and tree-reweighted BP.

Each case asserts that derivatives are central differences of the marginals. Times are those of a derivative after the
marginals at the same scores (`linearize`), along node scores, and along node and edge scores; and of one call of
``plan.derivative``, which computes messages first.
"""

import numpy as np

from benchmarks._measure import case
from benchmarks._problems import grid, random_scores
from benchmarks._sequences import letters
from skstruct import Topology
from skstruct.inference import Chain, InferencePlan, LoopyBP, Tree, TreeReweightedBP
from skstruct.scores import Scores

GOALS = {"chain": (2.0, 1.2), "tree": (1.2, 0.7), "loopy": (1.5, 0.7), "tree-reweighted": (1.0, 0.5)}  # at least, goal
ITERATIVE = {"tol": 1e-12, "max_iter": 1000}  # for the comparison with differences


@case("Letters: derivative of the marginals of chains")
def chain_derivative(run):
    """OCR letters: derivative of the marginals of chains next to the marginals; asserted: differences (1e-6)."""
    lengths = np.diff(letters(run).X.node_ptr)
    _derivative(
        run, GOALS["chain"], "words", Chain(), Chain(), _chains(lengths[: run.pick(10, 600, 600)]), 26, True, 0.5
    )


@case("Trees: derivative of the marginals")
def tree_derivative(run):
    """The same on random trees of 2,000 nodes with 5 states; asserted: differences of the marginals (1e-6)."""
    rng, n_nodes = np.random.default_rng(0), run.pick(20, 2000, 2000)
    edges = np.c_[[rng.integers(i) for i in range(1, n_nodes)], np.arange(1, n_nodes)]
    tree = Topology.from_edges(edges, n_nodes)
    for shared in (False, True):
        _derivative(run, GOALS["tree"], "a tree", Tree(), Tree(), tree, 5, shared, 1.0)


@case("Grids: derivative of the marginals by loopy belief propagation")
def loopy_derivative(run):
    """The same by loopy BP on grids; asserted: differences of the marginals (1e-6)."""
    topology = _grids(1, run.pick(4, 64, 64), run.pick(4, 64, 64))
    for n_states, coupling in run.pick([(2, 0.5), (5, 0.3)], *2 * [[(2, 0.5), (5, 0.3), (11, 0.3)]]):
        for shared in (False, True):
            _derivative(
                run, GOALS["loopy"], "a grid", LoopyBP(), LoopyBP(**ITERATIVE), topology, n_states, shared, coupling
            )


@case("Grids and images: derivative of the marginals by tree-reweighted belief propagation")
def tree_reweighted_derivative(run):
    """The same by tree-reweighted BP: a 64x64 grid, and CamVid's 30x22 grids with 11 states in training."""
    topology, images = _grids(1, run.pick(4, 64, 64), run.pick(4, 64, 64)), _grids(run.pick(2, 10, 10), 30, 22)
    exact = TreeReweightedBP(**ITERATIVE)
    for n_states, coupling in run.pick([(2, 0.5)], *2 * [[(2, 0.5), (5, 0.3)]]):
        _derivative(
            run, GOALS["tree-reweighted"], "a grid", TreeReweightedBP(), exact, topology, n_states, False, coupling
        )
    if run.size != "tiny":  # another number of states compiles kernels
        for backend in (TreeReweightedBP(tol=1e-3), TreeReweightedBP()):
            _derivative(run, GOALS["tree-reweighted"], "images", backend, exact, images, 11, True, 0.5)


def _chains(lengths):
    node_ptr = np.cumsum([0, *lengths])
    low = np.setdiff1d(np.arange(node_ptr[-1]), node_ptr[1:] - 1)
    return Topology(np.c_[low, low + 1].astype(np.int32), node_ptr, node_ptr - np.arange(len(node_ptr)))


def _grids(number, height, width):
    edges, n_nodes = grid(height, width), height * width
    joined = np.concatenate([edges + g * n_nodes for g in range(number)]).astype(np.int32)
    return Topology(joined, np.arange(number + 1) * n_nodes, np.arange(number + 1) * len(edges))


def _derivative(run, goals, what, backend, accurate, topology, n_states, shared, coupling):
    rng = np.random.default_rng(0)
    scores = random_scores(topology, n_states, rng, coupling=coupling, shared=shared)
    along_nodes, along_all = (
        Scores(rng.normal(size=scores.node.shape), size * rng.normal(size=scores.edge.shape), scores.edge_matrix)
        for size in (0.0, 1.0)
    )
    plan = accurate.plan(topology, n_states)
    for direction in (along_nodes, along_all):
        mean, found = plan.linearize(scores).derivative(direction)
        expected_mean, expected = InferencePlan.derivative(plan, scores, direction)  # central differences
        for name, ours, differences in (
            ("derivatives of log-partitions", mean, expected_mean),
            ("derivatives of node marginals", found.node, expected.node),
            ("derivatives of pair counts", found.edge, expected.edge),
        ):
            run.check(f"{name}, {n_states} states", ours, differences, atol=1e-6 * max(1.0, abs(differences).max()))
    plan = backend.plan(topology, n_states)
    kept, matrices = plan.linearize(scores), "one matrix" if shared else "a matrix per edge"
    tolerance = "" if backend.get_params().get("tol") is None else f", tol={backend.tol:g}"
    marginals, derivative = f"skstruct {plan.name}, marginals", "skstruct, derivative along node scores"
    engines = {
        marginals: lambda: plan.marginals(scores),
        derivative: lambda: kept.derivative(along_nodes),
        "skstruct, derivative along node and edge scores": lambda: kept.derivative(along_all),
        "skstruct, messages, and derivative along node scores": lambda: plan.derivative(scores, along_nodes),
        "skstruct, marginals, kept for derivatives": lambda: plan.linearize(scores).marginals,
    }
    sizes = f"{topology.n_nodes} nodes of {what}, {n_states} states, {matrices}{tolerance}"
    taken = run.compare(sizes, engines)
    ratio = taken[derivative] / taken[marginals]
    run.goal(f"derivative against marginals, {sizes}", ratio, at_least=goals[0], goal=goals[1])
