"""Properties of topologies and neighbour lists against networkx and plain Python."""

import networkx as nx
import numpy as np
import pytest

from skstruct import Topology
from skstruct.data.adjacency import adjacency


def random_batch(seed):
    """Graphs with 0 to 9 nodes, some of them without cycles, in which edges may be repeated and reversed."""
    rng = np.random.default_rng(seed)
    sizes, edges = rng.integers(0, 10, 12), []
    for n in sizes:
        pairs = [(i, j) for i in range(n) for j in range(i) if rng.random() < 1.2 / n]
        pairs += [pair[::-1] for pair in pairs if rng.random() < 0.1]
        edges.append(rng.permutation(np.array(pairs, np.int32).reshape(-1, 2)))
    node_ptr = np.concatenate([[0], np.cumsum(sizes)])
    shifted = np.concatenate([own + start for own, start in zip(edges, node_ptr)])
    return Topology(shifted, node_ptr, np.cumsum([0, *map(len, edges)])), sizes, edges


@pytest.mark.parametrize("seed", range(20))
def test_forests_and_repeated_edges(seed):
    topology, sizes, edges = random_batch(seed)
    expected = []
    for n, own in zip(sizes, edges):
        graph = nx.Graph()
        graph.add_nodes_from(range(n))
        graph.add_edges_from(own.tolist())
        expected.append(n == 0 or nx.is_forest(graph))
    assert topology.is_forest.tolist() == expected
    distinct = {frozenset(edge) for edge in topology.edges.tolist()}
    assert topology.has_repeated_edges == (len(distinct) < topology.n_edges)
    numbers = {frozenset(edge): pair for edge, pair in zip(topology.edges.tolist(), topology.pairs)}
    assert len(set(numbers.values())) == len(set(topology.pairs.tolist())) == len(distinct)


@pytest.mark.parametrize("seed", range(20))
def test_neighbour_lists(seed):
    topology = random_batch(seed)[0]
    lists = adjacency(topology.edges, topology.n_nodes)
    assert [array.dtype for array in lists] == [np.intp, np.int32, np.int32, np.int32, bool]
    slots = []
    for i in range(topology.n_nodes):
        ends = [(int(b if a == i else a), e) for e, (a, b) in enumerate(topology.edges) if i in (a, b)]
        slots += [(i, j, e, topology.edges[e, 1] == i) for j, e in sorted(ends)]
        assert lists.ptr[i + 1] == len(slots)
    found = [(int(topology.edges[e, int(f)]), j, e, f) for j, e, f in zip(lists.neighbour, lists.edge, lists.flipped)]
    by_pair = [sorted(rows) for rows in (found, slots)]  # repeated edges have any order
    assert by_pair[0] == by_pair[1]
    assert [row[:2] for row in found] == [row[:2] for row in slots]
    other = lists.reverse
    assert (lists.edge[other] == lists.edge).all()
    assert (lists.flipped[other] != lists.flipped).all()
    assert (other[other] == np.arange(len(other))).all()
