"""Minimum cuts against networkx and scipy, and the networks of labelling problems against all labellings."""

import itertools

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_flow

from skstruct import Topology
from skstruct.data.adjacency import adjacency
from skstruct.decoding import AlphaExpansion
from skstruct.decoding._max_flow import minimum_cut
from skstruct.decoding._min_cut import best_of_two, load_choice, propagate_forbidden
from skstruct.scores import Scores, score_labelling
from skstruct.testing import enumerate_exactly


def random_network(rng, n_nodes, n_edges, infinite=0.0):
    """Edges, capacities there and back, and excesses, with zeros and some infinite numbers among them."""
    pairs = np.array(list(itertools.combinations(range(n_nodes), 2))).reshape(-1, 2)
    edges = rng.permuted(pairs[rng.permutation(len(pairs))[:n_edges]], axis=1).astype(np.int32)
    capacity = rng.choice([0.0, 1.0, 2.0, 5.0], size=(2, len(edges))) * rng.choice([1.0, rng.random()])
    capacity[rng.random(capacity.shape) < infinite] = np.inf
    excess = rng.integers(-6, 7, n_nodes) * rng.choice([1.0, 10.0 ** rng.integers(-6, 6)])
    excess[rng.random(n_nodes) < infinite] = np.inf
    return edges, *capacity, excess * rng.choice([1.0, -1.0], n_nodes)


def in_slots(lists, there, back):
    return np.where(lists.flipped, back[lists.edge], there[lists.edge])


def arcs(edges, there, back, excess):
    """Tails, heads and capacities of a network with two more nodes: the source and the sink."""
    n = len(excess)
    nodes = np.arange(n)
    tails = np.concatenate([edges[:, 0], edges[:, 1], np.full(n, n), nodes])
    heads = np.concatenate([edges[:, 1], edges[:, 0], nodes, np.full(n, n + 1)])
    return tails, heads, np.concatenate([there, back, np.maximum(excess, 0.0), np.maximum(-excess, 0.0)])


def cut_capacity(network, of_source):
    tails, heads, capacity = arcs(*network)
    side = np.r_[of_source, True, False]
    return capacity[side[tails] & ~side[heads]].sum()


def solve(network):
    edges, there, back, excess = network
    lists = adjacency(edges, len(excess))
    capacity, rest = in_slots(lists, there, back), excess.copy()
    of_source, flow = minimum_cut(lists, capacity, rest)
    return of_source, flow, lists, capacity, rest


@pytest.mark.parametrize("infinite", [0.0, 0.2])
@pytest.mark.parametrize("n_nodes", [1, 2, 4, 8])
def test_no_cut_of_a_small_network_has_less_capacity(n_nodes, infinite):
    rng = np.random.default_rng(n_nodes)
    for _ in range(100):
        network = random_network(rng, n_nodes, int(rng.integers(0, 20)), infinite)
        of_source, flow, *_ = solve(network)
        sides = itertools.product([False, True], repeat=n_nodes)
        least = min(cut_capacity(network, np.array(side)) for side in sides)
        assert flow == pytest.approx(least, rel=1e-12)
        assert flow == np.inf or cut_capacity(network, of_source) == pytest.approx(least, rel=1e-12)


def test_the_flow_is_a_flow():
    """It respects capacities, nodes pass on what they receive, and no capacity remains across the cut."""
    rng = np.random.default_rng(0)
    for _ in range(100):
        network = random_network(rng, 20, 60)
        _, there, back, excess = network
        of_source, flow, lists, capacity, rest = solve(network)
        assert (capacity >= 0.0).all()
        assert (rest * excess >= 0.0).all()
        own = np.repeat(np.arange(20), np.diff(lists.ptr))
        sent = in_slots(lists, there, back) - capacity
        np.testing.assert_allclose(sent, -sent[lists.reverse], atol=1e-9 * np.abs(excess).max())
        np.testing.assert_allclose(np.bincount(own, sent, 20), excess - rest, atol=1e-9 * np.abs(excess).max())
        assert not capacity[of_source[own] & ~of_source[lists.neighbour]].any()
        assert not (rest[of_source] < 0.0).any()
        assert not (rest[~of_source] > 0.0).any()
        assert flow == pytest.approx(np.maximum(excess - rest, 0.0).sum(), rel=1e-9)


def test_networkx():
    networkx = pytest.importorskip("networkx")
    rng = np.random.default_rng(1)
    for _ in range(20):
        network = random_network(rng, 40, 150, 0.02)
        graph = networkx.DiGraph()
        graph.add_nodes_from(range(42))
        for tail, head, capacity in zip(*arcs(*network)):
            graph.add_edge(tail, head, **({} if capacity == np.inf else {"capacity": capacity}))
        try:
            flow = networkx.maximum_flow_value(graph, 40, 41)
        except networkx.NetworkXUnbounded:
            flow = np.inf
        assert solve(network)[1] == pytest.approx(flow, rel=1e-9)


@pytest.mark.parametrize("size", [0, 1, 3, 10])
def test_grids_with_weak_and_strong_nodes(size):
    """Integer capacities, for scipy; on a grid nodes change their tree and their parents many times."""
    rng, n = np.random.default_rng(size), 30
    number = np.arange(n * n, dtype=np.int32).reshape(n, n)
    across = np.stack([number[:, :-1].ravel(), number[:, 1:].ravel()], axis=1)
    edges = np.concatenate([across, np.stack([number[:-1].ravel(), number[1:].ravel()], axis=1)])
    there, back = rng.integers(0, 100, (2, len(edges))).astype(float)
    network = edges, there, back, rng.integers(-30 * size, 30 * size + 1, n * n).astype(float)
    tails, heads, capacity = arcs(*network)
    places = np.asarray(tails, np.int32), np.asarray(heads, np.int32)  # scipy 1.13 flows along indices of 32 bits only
    matrix = csr_array((capacity.astype(np.int32), places), shape=(n * n + 2,) * 2)
    of_source, flow, *_ = solve(network)
    assert flow == maximum_flow(matrix, n * n, n * n + 1).flow_value == cut_capacity(network, of_source)


def random_choice(rng, n_nodes, n_states, forbidden):
    """A model whose edges favour equal states; -inf as `propagate_forbidden` leaves them."""
    pairs = np.array(list(itertools.combinations(range(n_nodes), 2)))
    edges = rng.permuted(pairs[rng.random(len(pairs)) < 0.5], axis=1).astype(np.int32)
    node = rng.normal(size=(n_nodes, n_states))
    edge = rng.normal(size=(len(edges), 1, n_states)) + rng.normal(size=(len(edges), n_states, 1))
    edge = edge - rng.exponential(size=(len(edges), 1, 1)) * (1 - np.eye(n_states))
    node[rng.random(node.shape) < forbidden / 4] = -np.inf
    edge[(rng.random(edge.shape) < forbidden) & ~np.eye(n_states, dtype=bool)] = -np.inf
    return edges, node, edge


@pytest.mark.parametrize("forbidden", [0.0, 0.3])
def test_cuts_lose_what_labellings_lose(forbidden):
    """The capacity of every cut is a constant less the score of its labelling."""
    rng, n_finite = np.random.default_rng(2), 0
    for _ in range(40):
        edges, *scores = random_choice(rng, 5, 2, forbidden)
        node, edge = propagate_forbidden(scores[0], edges, scores[1])
        if np.isneginf(node).all(axis=1).any():
            continue
        lists, model = adjacency(edges, 5), Scores(node, edge, np.arange(len(edges), dtype=np.int32))
        capacity, excess = np.empty(2 * len(edges)), np.empty(5)
        load_choice(lists, model, np.zeros(5, np.intp), 1, capacity, excess)
        there, back = np.empty((2, len(edges)))
        there[lists.edge[~lists.flipped]] = capacity[~lists.flipped]
        back[lists.edge[lists.flipped]] = capacity[lists.flipped]
        topology, totals = Topology.from_edges(edges, 5), []
        for labels in itertools.product(range(2), repeat=5):
            state = np.array(labels)
            score = score_labelling(topology, Scores(*scores), state)[0]
            capacity_of_cut = cut_capacity((edges, there, back, excess), state == 0)
            assert np.isfinite(score) == np.isfinite(capacity_of_cut)
            if score > -np.inf:
                totals.append(score + capacity_of_cut)
        n_finite += len(totals)
        assert np.ptp(totals or [0.0]) < 1e-12
    assert n_finite > 100


@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e4, 1e300])
def test_best_of_two_and_its_gap(scale):
    rng = np.random.default_rng(3)
    for _ in range(30):
        edges, node, edge = random_choice(rng, 6, 2, 0.1)
        scores = Scores(scale * node, scale * edge)
        labels, gap = best_of_two(scores.node, edges, scores.edge)
        topology = Topology.from_edges(edges, 6)
        best = enumerate_exactly(topology, scores).best_score[0]
        if best == -np.inf:
            assert gap == np.inf
            continue
        score = score_labelling(topology, scores, labels.astype(int))[0]
        assert score == pytest.approx(best, rel=1e-12)
        assert 0.0 < gap <= 1e-13 * scale


@pytest.mark.parametrize("forbidden", [0.0, 0.2])
def test_no_expansion_move_improves_the_result(forbidden):
    """All moves, listed: each subset of the nodes may change to one state."""
    rng, n_checked = np.random.default_rng(4), 0
    for _ in range(30):
        edges, node, edge = random_choice(rng, 6, 3, forbidden / 6)
        topology, scores = Topology.from_edges(edges, 6), Scores(node, edge)
        if not AlphaExpansion().accepts(topology, scores)[0]:
            continue
        found = AlphaExpansion().decode(topology, scores)
        n_checked += found.score[0] > -np.inf
        for state in range(3):
            for chosen in itertools.product([False, True], repeat=6):
                moved = np.where(chosen, state, found.labels)
                assert score_labelling(topology, scores, moved)[0] <= found.score[0] + 1e-12
    assert n_checked >= 5
