"""Graphs with cycles: belief propagation, and exact results of pgmpy on a small grid."""

import numpy as np

from benchmarks._machine import Seconds
from benchmarks._measure import case, mean_time
from benchmarks._peers import NumpyBP, Pgmpy
from benchmarks._problems import grid, many_graphs, random_edges, random_scores
from skstruct import Topology
from skstruct.inference import JunctionTree, LoopyBP


@case("Loopy BP on a grid, 2 states")
def grid_2_states(run):
    """Binary grid: a sweep, sweeps to 1e-6, marginals; asserted: marginals of numpy BP (1e-4)."""
    _loopy(run, _grid(run.pick(8, 64, 128)), 2)


@case("Loopy BP on a grid, 5 states")
def grid_5_states(run):
    """Grid with 5 states: a sweep, sweeps to 1e-6, marginals; asserted: marginals of numpy BP (1e-4)."""
    _loopy(run, _grid(run.pick(6, 64, 128)), 5)


@case("Loopy BP on a grid, 21 states")
def grid_21_states(run):
    """Grid, 21 states, a matrix per edge: a sweep, sweeps, marginals; asserted: marginals of numpy BP (1e-4)."""
    _loopy(run, _grid(run.pick(4, 32, 32)), 21)


@case("Loopy BP on a grid, 21 states, one matrix")
def grid_21_states_shared(run):
    """Grid, 21 states, one matrix for all edges: a sweep, sweeps, marginals; asserted: marginals of numpy BP (1e-4)."""
    _loopy(run, _grid(run.pick(4, 32, 128)), 21, coupling=0.5, shared=True)


@case("Loopy BP on a random graph")
def random_graph(run):
    """Random graph, 3 edges per node, 2 states: a sweep, sweeps to 1e-6, marginals; asserted: numpy BP's (1e-4)."""
    n_nodes = run.pick(100, 20_000, 100_000)
    edges = random_edges(n_nodes, 3 * n_nodes, np.random.default_rng(0))
    _loopy(run, Topology.from_edges(edges, n_nodes), 2, coupling=0.5)


@case("Loopy BP on many small graphs")
def many_small_graphs(run):
    """Graphs of 20 nodes and 30 edges, 2 states: a sweep, graphs/s; asserted: marginals of numpy BP (1e-4)."""
    n_graphs = run.pick(20, 2000, 10_000)
    topology = many_graphs(n_graphs, 20, 30, np.random.default_rng(0))
    ours, scores = _loopy(run, topology, 2, coupling=0.5)
    plan = LoopyBP().plan(topology, 2)
    run.compare(
        "marginals at defaults", {ours: lambda: plan.marginals(scores)}, unit="graphs/s", count=n_graphs, rate=True
    )


@case("Exact marginals of a small grid")
def pgmpy_exact(run):
    """Small binary grid: time of all marginals; asserted: node marginals (1e-8), partition function (1e-8) of pgmpy."""
    side = run.pick(2, 4, 5)
    topology = _grid(side)
    scores = random_scores(topology, 2, np.random.default_rng(0))
    plan = JunctionTree().plan(topology, 2)
    engines = {"skstruct junction_tree": lambda: plan.marginals(scores)}
    if run.peer("pgmpy", "pgmpy") is not None:
        peer = Pgmpy(topology, scores)
        found = plan.marginals(scores)
        run.check("node marginals", found.node, peer.marginals(), atol=1e-8)
        run.check("log-partition", found.log_partition[0], np.log(peer.model.get_partition_function()), atol=1e-8)
        engines["pgmpy"] = peer.marginals
    run.compare(f"marginals, {side} x {side} grid, 2 states", engines)


def _grid(side):
    return Topology.from_edges(grid(side, side), side * side)


def _loopy(run, topology, n_states, *, coupling=1.0, shared=False):
    rng = np.random.default_rng(1)
    scores = random_scores(topology, n_states, rng, coupling=coupling, shared=shared)
    n_messages = 2 * topology.n_edges
    sizes = f"{topology.n_nodes} nodes, {topology.n_edges} edges, {n_states} states"
    plan = LoopyBP(tol=1e-6, max_iter=200).plan(topology, n_states)
    peer = NumpyBP(topology, scores)
    found = plan.marginals(scores)
    run.require("converged to 1e-6", bool(found.converged.all()))
    theirs = peer.marginals(tol=1e-8, damping=0.0)
    if peer.residual > 1e-8:  # synchronous updates may oscillate
        theirs = peer.marginals(tol=1e-8, max_iter=1000, damping=0.5)
    run.check("node marginals", found.node, theirs, atol=1e-4)
    damping = 0.0
    peer.marginals()
    if peer.residual > 1e-6:
        damping = 0.5
        peer.marginals(max_iter=1000, damping=damping)
    name = f"numpy, synchronous{', damped' if damping else ''}"
    run.record("skstruct loopy_bp", f"sweeps to 1e-6, {sizes}", int(found.n_iter.max()), "")
    run.record(name, f"sweeps to 1e-6, {sizes}", peer.n_iter, "")

    # Time of the sweeps alone: the difference between a long and a short run. Without convergence each run has
    # 2 * max_iter sweeps, half of them damped.
    short, long = (LoopyBP(tol=1e-300, max_iter=n).plan(topology, n_states) for n in (1, 5))

    more = [plan.marginals(scores).n_iter @ np.diff(topology.edge_ptr) for plan in (short, long)]
    sweeps = (more[1] - more[0]) / topology.n_edges

    def sweep():
        few, many = (mean_time(lambda plan=plan: plan.marginals(scores)) for plan in (short, long))
        return Seconds((many - few) / sweeps)

    def numpy_sweep():
        few, many = (mean_time(lambda n=n: peer.marginals(tol=0.0, max_iter=n)) for n in (2, 6))
        return Seconds((many - few) / 4)

    engines = {"skstruct loopy_bp": sweep, "numpy, synchronous": numpy_sweep}
    run.compare(f"sweep, {sizes}", engines, unit="ns/message", count=n_messages)
    engines = {
        "skstruct loopy_bp": lambda: plan.marginals(scores),
        name: lambda: peer.marginals(max_iter=1000, damping=damping),
    }
    run.compare("marginals to 1e-6", engines)
    return "skstruct loopy_bp", scores
