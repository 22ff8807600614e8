"""Labellings: minimum cuts and expansion moves, and PyMaxflow on the same energies; the k best of chains and trees."""

import time

import numpy as np

from benchmarks._machine import Seconds
from benchmarks._measure import case
from benchmarks._peers import maxflow_labels, maxflow_network
from benchmarks._problems import grid, random_scores, random_tree
from skstruct import Topology
from skstruct.data.adjacency import adjacency
from skstruct.decoding import ICM, AlphaExpansion, GraphCut
from skstruct.decoding._max_flow import minimum_cut
from skstruct.decoding._min_cut import best_of_two, load_choice
from skstruct.inference import Chain, Tree
from skstruct.inference._k_best_partition import k_best_by_partition
from skstruct.scores import Scores, score_labelling, with_rows


@case("Minimum cut on binary grids")
def binary_map(run):
    """Binary grids, edges favour equal states: flow, with its network, decoding; asserted: PyMaxflow's score (1e-9).

    The weaker the nodes, the longer are the paths of the flow.
    """
    side = run.pick(8, 64, 256)
    topology = Topology.from_edges(grid(side, side), side * side)
    maxflow = run.peer("maxflow", "PyMaxflow")
    ratios = {}
    for strength in (1.0, 0.3, 0.1):
        rng = np.random.default_rng(0)
        node = strength * rng.normal(size=(side * side, 2))
        scores = Scores(node, rng.uniform(0, 1.5, topology.n_edges)[:, None, None] * np.eye(2))
        found = GraphCut().decode(topology, scores)
        run.require("the labels are optimal", bool(found.optimal.all()))
        parts = {
            "flow": {"skstruct": lambda s=scores: _flow(topology, s)},
            "network and flow": {"skstruct": lambda s=scores: best_of_two(s.node, topology.edges, s.edge)},
            "decoding": {"skstruct": lambda s=scores: GraphCut().decode(topology, s)},
        }
        if maxflow is not None:
            theirs = maxflow_labels(maxflow, topology, scores)
            run.check("score", found.score, score_labelling(topology, scores, theirs), rtol=1e-9)
            parts["flow"]["PyMaxflow"] = lambda s=scores: _flow_of_peer(maxflow, topology, s)
            for part in ("network and flow", "decoding"):
                parts[part]["PyMaxflow"] = lambda s=scores: maxflow_labels(maxflow, topology, s)
        for part, engines in parts.items():
            taken = run.compare(f"{part}, {side} x {side} grid, standard deviation {strength:g} of nodes", engines)
            if maxflow is not None:
                ratios.setdefault(part, []).append(taken["skstruct"] / taken["PyMaxflow"])
    if ratios:
        worst = max(ratios["network and flow"])
        run.goal("network and flow, times PyMaxflow's", worst, at_least=2.0, goal=1.0)


@case("Alpha expansion on grids")
def alpha_expansion(run):
    """Potts grids: time to decode, from the same start; asserted: score not below that of PyMaxflow's labels (1e-9)."""
    maxflow = run.peer("maxflow", "PyMaxflow")
    ratios = []
    for n_states, side, strength in ((5, 200, 0.3), (5, 200, 0.8), (5, 200, 2.0), (21, 120, 1.5)):
        side = run.pick(6, side // 4, side)
        topology = Topology.from_edges(grid(side, side), side * side)
        node = np.random.default_rng(1).normal(size=(side * side, n_states))
        scores = Scores(node, strength * np.eye(n_states)[None], np.zeros(topology.n_edges, np.int32))
        engines = {"skstruct": lambda s=scores, t=topology: AlphaExpansion().decode(t, s)}
        if maxflow is not None:
            cells, penalty = -node.reshape(side, side, -1), strength * (1 - np.eye(n_states))
            start = ICM().decode(topology, scores).labels.reshape(side, side)

            def theirs(cells=cells, penalty=penalty, start=start):
                return maxflow.fastmin.aexpansion_grid(cells, penalty, labels=start.copy())

            score = score_labelling(topology, scores, np.asarray(theirs(), np.intp).ravel())[0]
            found = AlphaExpansion().decode(topology, scores).score[0]
            run.require("the score is not below that of PyMaxflow", found >= score * (1 - 1e-9))
            run.check("score", found, score, rtol=1e-3)
            engines["PyMaxflow, aexpansion_grid"] = theirs
        sizes = f"{n_states} states, {side} x {side} grid, coupling {strength:g}"
        taken = list(run.compare(f"decoding, {sizes}", engines).values())
        ratios += [taken[0] / other for other in taken[1:]]
    if ratios:
        run.goal("alpha expansion, times PyMaxflow's, mean", np.mean(ratios), at_least=1.5, goal=0.5)


@case("Five best labellings of a chain")
def k_best_of_a_chain(run):
    """Five best labellings of a chain against one.

    Asserted: the scores that repeated decoding with clamped nodes finds (1e-9). All steps have the same matrix, for
    which one best labelling is fastest.
    """
    n_nodes = run.pick(50, 2000, 2000)
    edges = np.c_[: n_nodes - 1, 1:n_nodes]
    for n_states in run.pick([5], [2, 22], [2, 5, 22]):
        _k_best(run, Chain(), "chain", Topology.from_edges(edges, n_nodes), n_states)


@case("Five best labellings of a tree")
def k_best_of_a_tree(run):
    """Five best labellings of a random tree against one.

    Asserted: the scores that repeated decoding with clamped nodes finds (1e-9).
    """
    n_nodes = run.pick(50, 2000, 2000)
    topology = Topology.from_edges(random_tree(n_nodes, np.random.default_rng(0)), n_nodes)
    for n_states in run.pick([5], [2, 22], [2, 5, 22]):
        _k_best(run, Tree(), "tree", topology, n_states)


def _flow(topology, scores):
    """Time of the flow alone: its network, and the memory of the results, are prepared."""
    lists = adjacency(topology.edges, topology.n_nodes)
    capacity, excess = np.empty(2 * topology.n_edges), np.empty(topology.n_nodes)
    labels = np.zeros(topology.n_nodes, np.intp)
    load_choice(lists, with_rows(scores, topology.n_edges), labels, 1, capacity, excess)
    start = time.process_time()
    minimum_cut(lists, capacity, excess)
    return Seconds(time.process_time() - start)


def _flow_of_peer(maxflow, topology, scores):
    graph, _ = maxflow_network(maxflow, topology, scores)
    start = time.process_time()
    graph.maxflow()
    return Seconds(time.process_time() - start)


def _k_best(run, backend, shape, topology, n_states, k=5):
    scores = random_scores(topology, n_states, np.random.default_rng(1), shared=True)
    plan = backend.plan(topology, n_states)
    found, expected = plan.k_best(scores, k)[1], k_best_by_partition(plan, scores, k)[1]
    work = f"{shape} of {topology.n_nodes} nodes, {n_states} states"
    run.check(f"scores, {work}", found, expected, rtol=1e-9)
    name, one = f"skstruct, {k} best", "skstruct, one best"
    medians = run.compare(work, {name: lambda: plan.k_best(scores, k), one: lambda: plan.decode(scores)})
    run.goal(f"{k} best labellings against one, {work}", medians[name] / medians[one], at_least=20, goal=5)
