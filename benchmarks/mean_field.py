"""Mean field on wide graphs, against coordinate ascent in numpy from the same first start."""

import numpy as np

from benchmarks._measure import case
from benchmarks._peers import NumpyMeanField
from benchmarks._problems import grid, random_edges, random_scores
from skstruct import Topology
from skstruct.inference import MeanField


@case("Mean field on a grid, 11 states")
def grid_11_states(run):
    """Grid, 11 states: time of marginals to 1e-6; asserted: fixed point (1e-4), bound, not below that of numpy."""
    side = run.pick(6, 64, 64)
    topology = Topology.from_edges(grid(side, side), side * side)
    taken = [_compare(run, topology, 11, f"{side} x {side} grid", shared) for shared in (True, False)]
    run.goal("mean field, 64 x 64 grid, 11 states", 1e3 * max(taken), at_least=40.0, goal=11.0, unit="ms")


@case("Mean field on a random graph, 4 states")
def random_4_states(run):
    """Random graph, 4 edges per node, 4 states: as on the grid."""
    n_nodes = run.pick(60, 10_000, 100_000)
    topology = Topology.from_edges(random_edges(n_nodes, 4 * n_nodes, np.random.default_rng(0)), n_nodes)
    taken = _compare(run, topology, 4, f"{n_nodes} nodes, {topology.n_edges} edges", cold_rounds=1)
    run.goal("mean field, 100,000 nodes, 4 states", taken, at_least=5.0, goal=1.5, unit="s")


def _compare(run, topology, n_states, sizes, shared=False, cold_rounds=None):
    """Seconds of the marginals, after their assertions."""
    scores = random_scores(topology, n_states, np.random.default_rng(1), coupling=0.3, shared=shared)
    plan, peer = MeanField().plan(topology, n_states), NumpyMeanField(topology, scores)
    found, theirs = plan.marginals(scores), peer.marginals()
    kind = "one matrix" if shared else "a matrix per edge"
    run.check(f"fixed point, {kind}", found.node, peer.updated(found.node), atol=1e-4)
    run.check(f"bound, {kind}", found.log_partition[0], peer.bound(found.node), rtol=1e-9)
    run.require("the bound is not below that of numpy", found.log_partition[0] >= peer.bound(theirs) * (1 - 1e-9))
    engines = {
        "skstruct mean_field, three starts": lambda: plan.marginals(scores),
        "numpy, coordinate ascent, one start": peer.marginals,
    }
    quantity = f"marginals to 1e-6, {sizes}, {kind}"
    return run.compare(quantity, engines, cold_rounds=cold_rounds)["skstruct mean_field, three starts"]
