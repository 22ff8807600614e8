"""Planning: what is computed from graphs alone, compared with heuristics of networkx and with one use of the plan."""

import numpy as np

from benchmarks._measure import case
from benchmarks._problems import grid, random_edges, random_scores
from skstruct import Topology
from skstruct.inference import Auto, JunctionTree


@case("Planning of a wheel")
def wheel(run):
    """Plan of a junction tree for a ring whose nodes are linked to a hub; asserted: the width, 3.

    The peer is the min-fill heuristic of networkx, which does not compute the index arrays of the messages.
    """
    n_nodes = run.pick(50, 1000, 4000)
    ring = np.arange(1, n_nodes)
    edges = np.r_[np.c_[0 * ring, ring], np.c_[ring, np.roll(ring, -1)]]
    plan = _planner(JunctionTree(), edges, n_nodes)
    run.require("the width is 3", plan().width.tolist() == [3])
    engines = {"skstruct junction_tree": plan} | _networkx(run, edges, n_nodes)
    seconds = run.compare(f"plan, wheel of {n_nodes} nodes", engines)
    run.goal("seconds for a wheel of 4,000 nodes", next(iter(seconds.values())), at_least=0.05, goal=0.001, unit="s")


@case("Planning of a long ladder")
def ladder(run):
    """Plan of a junction tree for a ladder, and its marginals; asserted: width, log-partition by products (1e-10).

    The heuristic of networkx takes quadratic time, and is compared on a shorter ladder.
    """
    for n_nodes in run.pick([20, 60], [2000, 20_000], [4000, 1_000_000]):
        edges = grid(n_nodes // 2, 2)
        topology = Topology.from_edges(edges, n_nodes)
        plan = _planner(JunctionTree(), edges, n_nodes)
        ready = plan()
        run.require("the width is 2", ready.width.tolist() == [2])
        scores = random_scores(topology, 2, np.random.default_rng(0), shared=True)
        expected = _ladder_log_partition(scores)
        run.check("log-partition", ready.marginals(scores).log_partition[0], expected, rtol=1e-10)
        engines = {
            "skstruct junction_tree": plan,
            "skstruct, one call of marginals": lambda r=ready, s=scores: r.marginals(s),
        }
        if n_nodes <= 4000:
            engines |= _networkx(run, edges, n_nodes)
        seconds = run.compare(f"plan, ladder of {n_nodes} nodes", engines)
    run.goal("seconds for a ladder of 1e6 nodes", next(iter(seconds.values())), at_least=2.0, goal=0.5, unit="s")


@case("Planning of loopy BP on a grid")
def loopy_grid(run):
    """Choice of loopy BP by "auto" for a large grid, and its order of the nodes; the yardstick is one use of the plan.

    Asserted: the log-partition where the scores of edges are 0 (1e-11).
    """
    side = run.pick(50, 300, 1000)
    edges, n_nodes = grid(side, side), side * side
    topology = Topology.from_edges(edges, n_nodes)
    plan, first = _planner(Auto(), edges, n_nodes), Auto().plan(topology, 2)
    run.require("the backend is loopy_bp", first.name == "loopy_bp")
    scores = random_scores(topology, 2, np.random.default_rng(0), coupling=0.3, shared=True)
    found = first.marginals(scores._replace(edge=0 * scores.edge)).log_partition[0]
    run.check("log-partition without interactions", found, np.logaddexp.reduce(scores.node, axis=1).sum(), rtol=1e-11)

    def plan_and_use():
        return plan().marginals(scores)

    name = "skstruct auto, plan and first call of marginals"
    engines = {name: plan_and_use, "skstruct auto, later call": lambda: first.marginals(scores)}
    seconds = run.compare(f"grid of {side} x {side} nodes, 2 states", engines)
    planning = seconds[name] - seconds["skstruct auto, later call"]
    run.goal("seconds for a grid of 1000 x 1000 nodes", planning, at_least=2.0, goal=0.5, unit="s")


@case("Widths of elimination orders")
def widths(run):
    """Plans of junction trees for random graphs; asserted: the sum of widths is not larger than that of networkx.

    The peers are the min-fill and the min-degree heuristic of networkx.
    """
    rng, graphs = np.random.default_rng(0), []
    for n_nodes in rng.integers(20, 100, run.pick(5, 50, 200)):
        graphs.append((random_edges(n_nodes, int(n_nodes * rng.uniform(1, 1.8)), rng), n_nodes))

    def ours():
        plans = [_planner(JunctionTree(1e15), *graph)() for graph in graphs]
        return sum(plan.width[0] for plan in plans)

    engines = {"skstruct junction_tree": ours}
    for heuristic in ("min_fill_in", "min_degree"):
        theirs = [_networkx(run, *graph, heuristic) for graph in graphs]
        for name in theirs[0]:
            engines[name] = lambda name=name, theirs=theirs: sum(one[name]() for one in theirs)
    totals = {name: function() for name, function in engines.items()}
    for name, total in totals.items():
        run.record(name, f"sum of widths, {len(graphs)} graphs", int(total), "")
    run.require("no peer has a smaller sum of widths", min(totals.values()) == next(iter(totals.values())))
    run.compare(f"plans of {len(graphs)} graphs of 20 to 99 nodes", engines)


def _planner(backend, edges, n_nodes):
    """Return a function that plans for a new topology, which has not computed anything yet."""
    return lambda: backend.plan(Topology.from_edges(edges, n_nodes), 2)


def _networkx(run, edges, n_nodes, heuristic="min_fill_in"):
    """Return a heuristic of networkx for one graph, by its name, as a function that returns the width."""
    networkx = run.peer("networkx", "networkx")
    if networkx is None:
        return {}
    graph = networkx.Graph(edges.tolist())
    graph.add_nodes_from(range(n_nodes))
    search = getattr(networkx.approximation, f"treewidth_{heuristic}")
    return {f"networkx {heuristic}": lambda: search(graph)[0]}


def _ladder_log_partition(scores):
    """Log-partition of a ladder in which all edges have the same matrix, by products of matrices in a binary tree."""
    states, (matrix,) = np.array([(0, 0), (0, 1), (1, 0), (1, 1)]), scores.edge
    rungs = scores.node.reshape(-1, 2, 2)[:, [0, 1], states].sum(axis=2) + matrix[states[:, 0], states[:, 1]]
    steps = matrix[states[:, None], states[None]].sum(axis=2) + rungs[1:, None, :]
    while len(steps) > 1:
        pairs = len(steps) // 2 * 2
        joined = np.logaddexp.reduce(steps[:pairs:2, :, :, None] + steps[1:pairs:2, None], axis=2)
        steps = np.concatenate([joined, steps[pairs:]])
    return np.logaddexp.reduce((rungs[0][:, None] + steps[0]).ravel())
