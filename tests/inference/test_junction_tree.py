"""Elimination orders against plain Python, and the junction tree on long graphs against transfer matrices."""

import itertools

import networkx as nx
import numpy as np
import pytest

from skstruct import GraphCRFClassifier, Topology
from skstruct.data.adjacency import adjacency
from skstruct.exceptions import UnsupportedTopology
from skstruct.inference import Auto, JunctionTree
from skstruct.inference._elimination import eliminate
from skstruct.inference._elimination_trials import _degeneracy
from skstruct.scores import Scores


# ------------------------------------------------------------------------------------------ long graphs
class Columns:
    """Copies of a small graph in a row, or in a ring; each node is linked to its copy, and perhaps all to a hub."""

    def __init__(self, n_columns, height, rungs=(), *, closed=False, hub=False):
        at = np.arange(n_columns * height).reshape(n_columns, height)
        following = np.roll(at, -1, axis=0) if closed else at[1:]
        self.rungs = list(rungs)
        self.at, self.height, self.closed, self.hub = at, height, closed, hub
        links = np.stack([at[: len(following)].ravel(), following.ravel()], axis=1)
        inside = [np.stack([at[:, i], at[:, j]], axis=1) for i, j in self.rungs]
        spokes = [np.stack([np.full(at.size, at.size), at.ravel()], axis=1)] if hub else []
        self.kind = np.repeat(
            [0, 1, 2], [len(links), sum(map(len, inside)), sum(map(len, spokes))]
        )  # row of the edge's matrix
        self.edges = np.concatenate([links, *inside, *spokes])
        self.n_nodes = at.size + hub

    def totals(self, node, edge, combine):
        """Log of the sum (``np.logaddexp``) or maximum (``np.maximum``) over labellings, by transfer matrices."""
        n_states = node.shape[1]
        states = np.array(list(itertools.product(range(n_states), repeat=self.height)))
        link = edge[0][states[:, None], states[None]].sum(axis=2)
        column = node[self.at][:, np.arange(self.height), states].sum(axis=2)  # (n_columns, n_column_states)
        for i, j in self.rungs:
            column = column + edge[1][states[:, i], states[:, j]]
        found = []
        for y in range(n_states if self.hub else 1):
            own = column + (edge[2][y, states].sum(axis=1) if self.hub else 0.0)
            if self.closed:
                total = np.where(np.eye(len(states), dtype=bool), own[0], -np.inf)
            else:
                total = own[:1]
            for scores in own[1:]:
                total = combine.reduce(total[:, :, None] + link[None], axis=1) + scores
            if self.closed:
                total = np.diagonal(combine.reduce(total[:, :, None] + link[None], axis=1))
            found.append(combine.reduce(total.ravel()) + (node[-1, y] if self.hub else 0.0))
        return combine.reduce(np.array(found))


LONG = {
    "ring": (Columns(4097, 1, closed=True), 2),
    "ladder": (Columns(2500, 2, [(0, 1)]), 2),
    "prism": (Columns(2100, 2, [(0, 1)], closed=True), 4),
    "grid of 3 rows": (Columns(1400, 3, [(0, 1), (1, 2)]), 3),
    "triangles in a row": (Columns(1400, 3, [(0, 1), (1, 2), (2, 0)]), 3),
    "fan": (Columns(4200, 1, hub=True), 2),
    "wheel": (Columns(4200, 1, closed=True, hub=True), 3),
    "ladder with a hub": (Columns(2100, 2, [(0, 1)], hub=True), 3),
    "many rows": (Columns(1050, 4, [(0, 1), (2, 3)]), 2),
}


@pytest.mark.parametrize("n_states", [2, 3])
@pytest.mark.parametrize("name", LONG)
def test_small_width_is_exact_at_any_size(name, n_states):
    graph, width = LONG[name]
    rng = np.random.default_rng(5)
    node, edge = rng.normal(size=(graph.n_nodes, n_states)), rng.normal(size=(3, n_states, n_states))
    number = rng.permutation(graph.n_nodes)  # the order of the nodes must not help
    moved = np.empty_like(node)
    moved[number] = node
    topology = Topology.from_edges(number[graph.edges], graph.n_nodes)
    plan = Auto().plan(topology, n_states)
    assert plan.name == "junction_tree"
    assert plan.exact
    assert plan.width.tolist() == [width]
    scores = Scores(moved, edge, graph.kind)
    found = plan.marginals(scores)
    assert found.log_partition[0] == pytest.approx(graph.totals(node, edge, np.logaddexp), rel=1e-11)
    np.testing.assert_allclose(found.node.sum(axis=1), 1.0, atol=1e-10)
    assert found.edge.sum() == pytest.approx(topology.n_edges, rel=1e-10)
    assert plan.decode(scores).score[0] == pytest.approx(graph.totals(node, edge, np.maximum), rel=1e-11)


def test_ladder_of_equal_neighbours():
    """log Z of 2 x 2,500 nodes with score 1.5 for equal neighbours, by the largest eigenvalues of 4 x 4."""
    graph = LONG["ladder"][0]
    edge = np.repeat(1.5 * np.eye(2)[None], 3, axis=0)
    assert graph.totals(np.zeros((5000, 2)), edge, np.logaddexp) == pytest.approx(11488.4194, abs=5e-5)
    for backend in (Auto(), JunctionTree()):
        plan = backend.plan(Topology.from_edges(graph.edges, 5000), 2)
        found = plan.marginals(Scores(np.zeros((5000, 2)), edge, graph.kind))
        assert found.log_partition[0] == pytest.approx(11488.4194, abs=5e-5)
        np.testing.assert_allclose(found.node, 0.5, atol=1e-10)


def test_cycle_with_trees_that_hang_on_it():
    """A ring of 3,000 nodes each with a path of two nodes: the trees are summed out in closed form."""
    n = 3000
    ring = np.stack([np.arange(n), np.roll(np.arange(n), -1)], axis=1)
    trees = np.concatenate([ring[:, :1] + [[0, n]], ring[:, :1] + [[n, 2 * n]]])
    rng = np.random.default_rng(0)
    node, edge = rng.normal(size=(3 * n, 2)), rng.normal(size=(2, 2, 2))
    outer = np.logaddexp.reduce(edge[1] + node[2 * n :, None], axis=2)
    inner = np.logaddexp.reduce(edge[1] + (node[n : 2 * n] + outer)[:, None], axis=2)
    expected = Columns(n, 1, closed=True).totals(node[:n] + inner, edge, np.logaddexp)
    plan = Auto().plan(Topology.from_edges(np.concatenate([trees, ring]), 3 * n), 2)
    found = plan.marginals(Scores(node, edge, np.repeat([1, 0], [2 * n, n])))
    assert found.log_partition[0] == pytest.approx(expected, rel=1e-12)


def test_triangles_around_a_hub():
    """The friendship graph: given the hub, 2,500 independent edges; the product of its messages needs logarithms."""
    n = 2500
    first = 1 + 2 * np.arange(n)
    edges = np.concatenate(
        [np.stack([0 * first, first]), np.stack([0 * first, first + 1]), np.stack([first, first + 1])], 1
    )
    edge = np.random.default_rng(1).normal(size=(3, 2, 2))
    triangle = np.logaddexp.reduce(edge[0][:, :, None] + edge[1][:, None] + edge[2][None], axis=(1, 2))
    plan = Auto().plan(Topology.from_edges(edges.T, 2 * n + 1), 2)
    found = plan.marginals(Scores(np.zeros((2 * n + 1, 2)), edge, np.repeat([0, 1, 2], n)))
    assert plan.width.tolist() == [2]
    assert found.log_partition[0] == pytest.approx(np.logaddexp.reduce(n * triangle), rel=1e-12)


def test_classifier_on_a_long_ring():
    n = 4500
    ring = [(i, (i + 1) % n) for i in range(n)]
    x = np.random.default_rng(0).normal(size=(n, 1))
    crf = GraphCRFClassifier(max_iter=3, tol=10.0).fit([(x, ring)], [(x[:, 0] > 0).astype(int)])
    assert crf.inference_report([(x, ring)])["backend"].tolist() == ["junction_tree"]


# -------------------------------------------------------------------------------------------- orders
def circulant(n, steps):
    return [(i, (i + s) % n) for i in range(n) for s in steps]


def edges_of(graph):
    graph = nx.convert_node_labels_to_integers(graph)
    return list(graph.edges), len(graph)


def odd_graph():
    """Triples of seven items, joined if they are disjoint; networkx 3.0 lacks ``kneser_graph``."""
    triples = list(itertools.combinations(range(7), 3))
    pairs = itertools.combinations(range(len(triples)), 2)
    return [(i, j) for i, j in pairs if not set(triples[i]) & set(triples[j])], len(triples)


KNOWN_WIDTH = {
    "Folkman": (edges_of(nx.LCF_graph(20, [5, -7, -7, 5], 5)), 6),
    "odd graph 4": (odd_graph(), 12),
    "Clebsch": (([(a, a ^ m) for a in range(16) for m in (1, 2, 4, 8, 15) if a < a ^ m], 16), 8),
    "Petersen": (edges_of(nx.petersen_graph()), 4),
    "Pappus": (edges_of(nx.pappus_graph()), 6),
    "Chvatal": (edges_of(nx.chvatal_graph()), 6),
    "dodecahedron": (edges_of(nx.dodecahedral_graph()), 6),
    "octahedron": (edges_of(nx.octahedral_graph()), 4),
    "cube": (edges_of(nx.cubical_graph()), 3),
    "tesseract": (edges_of(nx.hypercube_graph(4)), 6),
    "complete": (edges_of(nx.complete_graph(9)), 8),
    "complete bipartite": (edges_of(nx.complete_bipartite_graph(4, 30)), 4),
    "wheel": (edges_of(nx.wheel_graph(50)), 3),
    "ring": (edges_of(nx.cycle_graph(30)), 2),
    "square of a ring": ((circulant(30, (1, 2)), 30), 4),
    "two bridges": (([(0, 1), (1, 2), (2, 0), (2, 3), (3, 4), (4, 5), (5, 3)], 6), 2),
}


@pytest.mark.parametrize("name", KNOWN_WIDTH)
def test_width_is_the_treewidth(name):
    (edges, n_nodes), treewidth = KNOWN_WIDTH[name]
    found = eliminate(Topology.from_edges(edges, n_nodes), 2, 1e12)
    assert found.size.max() - 1 == treewidth


@pytest.mark.parametrize("n_rows", [4, 8, 10])
def test_long_grids_need_no_more_than_their_columns_one_by_one(n_rows):
    edges, n_nodes = edges_of(nx.grid_2d_graph(n_rows, 60))
    assert eliminate(Topology.from_edges(edges, n_nodes), 2, 1e12).entries[0] <= n_nodes * 2.0 ** (n_rows + 1)


def scopes_of(edges, order):
    """Eliminate in `order` with sets: the neighbours of each node at its elimination."""
    linked = {int(i): set() for i in order}
    for i, j in edges:
        linked[int(i)].add(int(j))
        linked[int(j)].add(int(i))
    scopes = []
    for v in map(int, order):
        near = linked.pop(v)
        for a in near:
            linked[a] |= near - {a}
            linked[a].discard(v)
        scopes.append(near)
    return scopes


def partial_two_tree(n, seed, kept=0.8):
    """Each node is linked to both ends of an earlier edge, often of the same few; then some edges are removed."""
    rng, edges = np.random.default_rng(seed), [(0, 1)]
    for i in range(2, n):
        j, k = edges[min(rng.integers(len(edges)), rng.integers(len(edges)))]
        edges += [(j, i), (k, i)]
    edges = rng.permutation(n)[rng.permutation(edges)]
    return edges[rng.random(len(edges)) < kept]


@pytest.mark.parametrize("seed", range(30))
def test_series_parallel_graphs_have_width_two(seed):
    n = 3 + 4 * seed
    edges = partial_two_tree(n, seed, (0.8, 1.0)[seed % 2])
    found = eliminate(Topology.from_edges(edges, n), 3, 1e12)
    scopes = scopes_of(edges, found.order)
    assert found.size.tolist() == [1 + len(scope) for scope in scopes]
    assert found.size.max() <= 3
    assert found.entries[0] == (3.0**found.size).sum()


@pytest.mark.parametrize("seed", range(3))
def test_paths_between_rings_are_eliminated_as_trees(seed):
    n_rings, size, length = 5, 7, 4
    graph = nx.disjoint_union_all([nx.cycle_graph(size)] * n_rings + [nx.path_graph(length)] * (n_rings - 1))
    for k in range(n_rings - 1):
        first = n_rings * size + k * length
        graph.add_edges_from([(k * size + 3, first), (first + length - 1, (k + 1) * size)])
    edges = np.random.default_rng(seed).permutation(len(graph))[np.array(graph.edges)]
    found = eliminate(Topology.from_edges(edges, len(graph)), 5, 1e12)
    n_triples = n_rings * (size - 2)
    assert found.entries[0] == n_triples * 5**3 + (len(graph) - n_triples - 1) * 5**2 + 5


def test_many_nodes_between_the_same_hubs():
    """Pairs of five hubs have 400 common neighbours each, which are eliminated before the width is known to be 4."""
    pairs = np.array(list(itertools.combinations(range(5), 2)))
    middle = np.arange(5, 5 + 400 * len(pairs))
    edges = np.concatenate([np.stack([hub, middle], axis=1) for hub in np.repeat(pairs, 400, axis=0).T])
    found = eliminate(Topology.from_edges(edges, 5 + len(middle)), 2, 1e9)
    assert found.size.max() == 5
    assert found.entries[0] == 8 * len(middle) + 2.0**5 + 2.0**4 + 2.0**3 + 2.0**2 + 2.0


@pytest.mark.parametrize("seed", range(40))
def test_degeneracy(seed):
    rng = np.random.default_rng(seed)
    graph = nx.gnp_random_graph(int(rng.integers(1, 40)), rng.uniform(0, 0.6), seed=seed)
    lists = adjacency(np.array(graph.edges, np.int32).reshape(-1, 2), len(graph))
    assert _degeneracy(lists.ptr, lists.neighbour) == max(nx.core_number(graph).values())


def random_graphs():
    rng = np.random.default_rng(3)
    for n, p in [(1, 0.0), (2, 1.0), (6, 0.5), (12, 0.3), (30, 0.08), (30, 0.15), (60, 0.04), (80, 0.03)]:
        yield pytest.param(np.argwhere(np.triu(rng.random((n, n)) < p, 1)), n, id=f"n={n}, p={p}")


@pytest.mark.parametrize(("edges", "n_nodes"), list(random_graphs()))
def test_orders_and_scopes_against_sets(edges, n_nodes):
    """A graph beside others of its batch; repeated edges count once."""
    shifted = np.concatenate([np.array([(0, 1), (1, 2), (2, 0)]), edges + 3, edges[:3, ::-1] + 3])
    t = Topology(shifted.astype(np.int32), np.array([0, 3, 3 + n_nodes]), np.array([0, 3, len(shifted)]))
    found = eliminate(t, 3, 1e12)
    assert sorted(found.order[3:]) == list(range(3, 3 + n_nodes))
    scopes = scopes_of(edges + 3, found.order[3:])
    assert found.size[3:].tolist() == [1 + len(scope) for scope in scopes]
    assert found.entries[1] == (3.0 ** found.size[3:]).sum()
    alone = eliminate(Topology.from_edges(edges, n_nodes), 3, 1e12)
    np.testing.assert_array_equal(alone.order + 3, found.order[3:])  # whatever else is in the batch
    b = getattr(JunctionTree(1e12).plan(t, 3), "inner", None) or JunctionTree(1e12).plan(t, 3)
    check_wiring(b.wiring, dict(zip(found.order[3:].tolist(), scopes)), t.n_nodes)


def check_wiring(b, scopes, n_nodes):
    """Buckets by depth-first positions: their nodes, parents, children and axes."""
    position = np.empty(n_nodes, int)
    position[b.order] = np.arange(n_nodes)
    for node, scope in scopes.items():
        p = position[node]
        own = b.scope[b.ptr[p] : b.ptr[p + 1]]
        assert own[0] == node
        assert set(own[1:].tolist()) == scope
        if not scope:
            assert b.parent[p] == -1
            continue
        q = b.parent[p]
        assert q == position[own[1:]].min()
        above, axes = b.scope[b.ptr[q] : b.ptr[q + 1]], b.up_axis[b.ptr[p] + 1 : b.ptr[p + 1]]
        np.testing.assert_array_equal(above[axes], own[1:])
        assert b.top_axis[p] == axes.max()
        others = axes[axes > 0]
        assert (np.diff(others) > 0).all()  # by colour in both buckets
    for q in range(n_nodes):
        children = b.child[b.child_ptr[q] : b.child_ptr[q + 1]]
        np.testing.assert_array_equal(children, np.flatnonzero(b.parent == q))
        assert (np.diff(b.top_axis[children]) >= 0).all()
        if len(children):
            assert children[-1] == q - 1


# ------------------------------------------------------------------------------------------- refusals
def grid(n_rows, n_columns):
    return edges_of(nx.grid_2d_graph(n_rows, n_columns))


RING = [(i, (i + 1) % 5000) for i in range(5000)]


@pytest.mark.parametrize(
    ("max_entries", "edges", "n_nodes", "message"),
    [
        (100, RING, 5000, r"max_entries=100 numbers; the best order found needs 4e\+04 numbers, 3.2e\+05 bytes"),
        (39_989, RING, 5000, r"needs 4e\+04 numbers"),
        (1e6, *grid(30, 30), r"needs \d(.\d+)?e\+1\d numbers"),
        (2e7, *edges_of(nx.complete_graph(120)), r"needs more than 1e\+15 numbers, 8e\+15 bytes"),
        (np.inf, *edges_of(nx.complete_graph(120)), r"needs more than 1e\+15 numbers, 8e\+15 bytes"),
        (20, [(0, 1), (1, 2), (2, 3), (3, 0)], 4, "needs 22 numbers, 176 bytes; raise max_entries"),
    ],
)
def test_refusal_tells_what_is_needed(max_entries, edges, n_nodes, message):
    with pytest.raises(UnsupportedTopology, match=message):
        JunctionTree(max_entries).plan(Topology.from_edges(edges, n_nodes), 2)


@pytest.mark.parametrize("max_entries", [39_990, 1e9, np.inf])
def test_the_limit_is_entries_and_not_nodes(max_entries):
    plan = JunctionTree(max_entries).plan(Topology.from_edges(RING, 5000), 2)
    assert plan.entries.tolist() == [39_990]
    assert repr(plan) == "<JunctionTree plan: 1 graph, width 2, largest table 8, 39990 entries, 319920 bytes>"


def test_refused_graphs_do_not_disturb_the_others():
    """Auto gives a refused graph of a batch to loopy belief propagation, and the others to the junction tree."""
    ring, complete = edges_of(nx.cycle_graph(6)), edges_of(nx.complete_graph(40))
    edges = np.concatenate([ring[0], np.array(complete[0]) + 6, np.array(ring[0]) + 46])
    t = Topology(edges.astype(np.int32), np.array([0, 6, 46, 52]), np.cumsum([0, 6, 780, 6]))
    assert JunctionTree().accepts(t, 2).tolist() == [True, False, True]
    assert {plan.name: graphs.tolist() for graphs, plan in Auto().plan(t, 2).groups} == {
        "junction_tree": [0, 2],
        "loopy_bp": [1],
    }
