"""Junction trees: grids and proteins compared with elimination in numpy, competition instances with known results."""

import zipfile
from io import StringIO

import numpy as np

from benchmarks._measure import case
from benchmarks._peers import Pgmpy, eliminated_log_partition, frontier_log_partition
from benchmarks._problems import folded_chains, grid, random_scores
from skstruct import Topology
from skstruct.inference import JunctionTree
from skstruct.io import read_uai, read_uai_log_partition, read_uai_marginals
from skstruct.scores import Scores


@case("Junction tree on a binary grid")
def binary_grid(run):
    """Square binary grid: time of all marginals; asserted: log-partition of elimination in numpy (1e-9)."""
    side = run.pick(5, 12, 15)
    topology = Topology.from_edges(grid(side, side), side * side)
    scores = random_scores(topology, 2, np.random.default_rng(0))
    plan = JunctionTree().plan(topology, 2)
    expected = frontier_log_partition(side, side, scores)
    run.check("log-partition", plan.marginals(scores).log_partition[0], expected, rtol=1e-9)
    engines = {
        "skstruct junction_tree": lambda: plan.marginals(scores),
        "numpy elimination, log-partition only": lambda: frontier_log_partition(side, side, scores),
    }
    work = f"marginals, {side} x {side} grid, {plan.entries[0]:.0f} table entries"
    seconds = run.compare(work, engines, unit="ns/entry", count=plan.entries[0])
    _goal(run, "15 x 15 binary grid", seconds, plan, at_least=6, goal=3)


@case("Junction tree on proteins")
def enzymes(run):
    """The 600 graphs of ENZYMES, 3 states: time of all marginals; asserted: see `protein_like`."""
    with np.load(run.path("enzymes.npz")) as data:
        node_ptr, edge_ptr = data["node_ptr"], data["edge_ptr"]
        edges = data["edges"] + np.repeat(node_ptr[:-1], np.diff(edge_ptr))[:, None]
    topology = Topology(edges.astype(np.int32), node_ptr, edge_ptr)
    topology = topology.take(np.arange(run.pick(4, 100, 600)))[0]
    _small_graphs(run, "ENZYMES", topology, at_least=11, goal=6)


@case("Junction tree on random graphs like proteins")
def protein_like(run):
    """Folded chains of 4 to 620 nodes, 3 states: time of all marginals.

    Asserted: log-partitions of elimination in numpy (1e-9), marginals of pgmpy on some small graphs (1e-8).
    """
    topology = folded_chains(run.pick(4, 100, 1113), np.random.default_rng(0))
    _small_graphs(run, "graphs like proteins", topology, at_least=8, goal=4)


def _small_graphs(run, what, topology, *, at_least, goal):
    """Time of all marginals on a batch of graphs with 3 states."""
    scores = random_scores(topology, 3, np.random.default_rng(1))
    plan, ours = JunctionTree().plan(topology, 3), "skstruct junction_tree"
    found = plan.marginals(scores)
    few, _, edges = topology.take(np.arange(min(topology.n_graphs, 200)))  # numpy needs seconds for all
    first = Scores(scores.node[: few.n_nodes], scores.edge[edges])
    run.check("log-partitions", found.log_partition[: few.n_graphs], eliminated_log_partition(few, first), rtol=1e-9)
    n_entries = plan.entries.sum()
    work = f"marginals, {topology.n_graphs} {what}, {n_entries:.0f} table entries"
    seconds = run.compare(work, {ours: lambda: plan.marginals(scores)}, unit="ns/entry", count=n_entries)
    _goal(run, what, seconds, plan, at_least=at_least, goal=goal)
    few_plan = JunctionTree().plan(few, 3)
    engines = {
        ours: lambda: few_plan.marginals(first),
        "numpy elimination, log-partition only": lambda: eliminated_log_partition(few, first),
    }
    n_entries = few_plan.entries.sum()
    run.compare(f"the first {few.n_graphs}, {n_entries:.0f} entries", engines, unit="ns/entry", count=n_entries)
    numbers = np.abs(np.diff(topology.node_ptr) - 12).argsort(kind="stable")[: run.pick(1, 3, 3)]
    if run.peer("pgmpy", "pgmpy") is not None:
        for number in numbers:
            graph, nodes, edges = topology.take(np.array([number]))
            peer = Pgmpy(graph, Scores(scores.node[nodes], scores.edge[edges]))
            run.check(f"node marginals of graph {number}", found.node[nodes], peer.marginals(), atol=1e-8)


def _goal(run, what, seconds, plan, **bounds):
    taken = 1e9 * seconds["skstruct junction_tree"] / plan.entries.sum()
    run.goal(f"marginals by junction tree, {what}", taken, unit="ns/entry", **bounds)


@case("Junction tree on grids of a competition")
def uai_grids(run):
    """UAI-2014 grids: time of all marginals; asserted: published marginals (1e-5) and log10 Z (5e-6).

    Refused instances are reported. The tolerance of log10 Z is the rounding error of the published number, which has
    six digits.
    """
    archive = zipfile.ZipFile(run.path("uai2014-pairwise.zip"))
    models = sorted(name for name in archive.namelist() if "Grids_" in name and name.endswith(".uai"))
    for name in models[: run.pick(1, 1, None)]:
        text = {end: StringIO(archive.read(name + end).decode()) for end in ("", ".evid", ".MAR", ".PR")}
        model = read_uai(text[""], text[".evid"])
        topology = Topology.from_edges(model.edges, len(model.node_scores))
        n_states = model.node_scores.shape[1]
        scores = Scores(model.node_scores, model.edge_scores)
        backend = JunctionTree(max_entries=run.pick(2e7, 5e7, 5e7))
        if not backend.accepts(topology, n_states).all():
            run.record(
                "skstruct junction_tree", f"{name}: refused, more than {backend.max_entries:.0f} entries", None, ""
            )
            continue
        plan = backend.plan(topology, n_states)
        found = plan.marginals(scores)
        log10_z = (found.log_partition[0] + model.log_constant) / np.log(10)
        run.check(f"{name} log10 Z", log10_z, _log10(text[".PR"]), rtol=5e-6)
        run.check(f"{name} marginals", found.node, read_uai_marginals(text[".MAR"]), atol=1e-5)
        work = f"{name}: {topology.n_nodes} nodes, {plan.entries[0]:.0f} table entries"
        engines = {"skstruct junction_tree": lambda plan=plan, scores=scores: plan.marginals(scores)}
        run.compare(work, engines, unit="ns/entry", count=plan.entries[0])


def _log10(file):
    return read_uai_log_partition(file) / np.log(10)
