"""Junction trees: a grid compared with an elimination in numpy, and competition instances with known results."""

import zipfile
from io import StringIO

import numpy as np

from benchmarks._measure import case
from benchmarks._peers import frontier_log_partition
from benchmarks._problems import grid, random_scores
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
    run.compare(work, engines, unit="ns/entry", count=plan.entries[0])


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
