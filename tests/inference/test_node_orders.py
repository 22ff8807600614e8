"""Weights of edges from orders of the nodes, which make the bound of tree-reweighted belief propagation valid."""

import numpy as np
import pytest

from skstruct import GraphDataset, Topology
from skstruct.inference import TreeReweightedBP
from skstruct.inference._node_orders import DENSE_ORDERS, SMALL_GRID_ORDERS, SPARSE_ORDERS
from skstruct.scores import Scores
from skstruct.testing._models import random_scores


def image(height, width, connectivity):
    return Topology.from_edges(
        GraphDataset.from_images(np.zeros((1, height, width)), connectivity)[0].edges, height * width
    )


def orders_of(topology, n_states=3):
    """Lists, orders and the weights of the edges."""
    inner = TreeReweightedBP().plan(topology, n_states).inner
    return inner.lists, inner._orders, inner.edge_weights


def is_forest(edges, n):
    component = np.arange(n)
    for i, j in edges:
        if component[i] == component[j]:
            return False
        component[component == component[j]] = component[i]
    return True


@pytest.mark.parametrize(
    "name", ["chain", "star", "cycle", "small grid", "grid", "8 neighbours", "sparse", "dense", "complete"]
)
def test_weights_are_probabilities_of_edges_in_random_forests(name, rng, graphs):
    topology = {
        "chain": Topology.from_edges([(0, 1), (2, 1), (2, 3)], 5),
        "star": Topology.from_edges([(0, i) for i in range(1, 30)], 30),
        "cycle": graphs.cycle(12),
        "small grid": image(6, 7, connectivity=4),
        "grid": image(20, 20, connectivity=4),
        "8 neighbours": image(20, 40, connectivity=8),
        "sparse": graphs.random(40, 80, rng),
        "dense": graphs.random(30, 200, rng),
        "complete": graphs.complete(20),
    }[name]
    lists, orders, rho = orders_of(topology)
    n, wanted = topology.n_nodes, np.zeros(topology.n_edges)
    if name == "complete":
        assert orders.star[0]
        np.testing.assert_array_equal(rho, 2.0 / topology.n_nodes)
        return
    assert not orders.star[0]
    expected = {"sparse": SPARSE_ORDERS, "cycle": SPARSE_ORDERS, "small grid": SMALL_GRID_ORDERS, "dense": DENSE_ORDERS}
    assert orders.number[0] == expected.get(name, 1)
    for visit, share in zip(orders.node.reshape(-1, n), orders.share.reshape(-1, n)):
        nodes = lists.order[visit]
        np.testing.assert_array_equal(np.sort(nodes), np.arange(n))
        place, share_of = np.empty(n, int), np.empty(n)
        place[nodes], share_of[nodes] = np.arange(n), share
        later = np.where(place[topology.edges[:, 0]] > place[topology.edges[:, 1]], *topology.edges.T)
        wanted += share_of[later] / orders.number[0]
        assert (np.bincount(later, minlength=n) * share_of <= 1 + 1e-12).all()
        for _ in range(20):
            picks = [rng.choice(np.flatnonzero(later == i)) for i in range(n) if (later == i).any()]
            assert is_forest(topology.edges[picks], n)
    np.testing.assert_allclose(rho, wanted, rtol=1e-12)
    if name in ("chain", "star"):
        np.testing.assert_array_equal(rho, 1.0)
    if orders.number[0] > 1:
        assert rho.sum() == pytest.approx(n - len(np.unique(topology.components)))
    assert orders.rooted[0] == (name in ("chain", "grid", "8 neighbours"))


def test_bridges_are_in_every_forest():
    lollipop = Topology.from_edges([(0, 1), (1, 2), (2, 0), (2, 3)], 4)
    rho = orders_of(lollipop)[2]
    assert rho[3] == 1.0
    assert rho[:3].sum() == pytest.approx(2.0)


def test_a_graph_has_the_same_orders_in_any_batch(rng, graphs):
    square, triangles = graphs.cycle(4), graphs.complete(5)
    shift = square.n_nodes
    both = Topology(
        np.concatenate([square.edges, triangles.edges + shift]).astype(np.int32),
        np.array([0, shift, shift + 5]),
        np.array([0, 4, 14]),
    )
    scores = random_scores(rng, both, 2, (1.0, 0.0), shared=False)
    found = TreeReweightedBP().plan(both, 2).marginals(scores)
    for g, alone in enumerate((square, triangles)):
        nodes, edges = slice(*both.node_ptr[g : g + 2]), slice(*both.edge_ptr[g : g + 2])
        np.testing.assert_array_equal(orders_of(alone)[2], orders_of(both)[2][edges])
        one = TreeReweightedBP().plan(alone, 2).marginals(Scores(scores.node[nodes], scores.edge[edges]))
        np.testing.assert_allclose(one.log_partition[0], found.log_partition[g], rtol=1e-12)
