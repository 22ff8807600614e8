"""Labels of the makers follow the model that they are said to follow: frequencies against enumeration."""

import itertools

import numpy as np
import pytest

from skstruct import Topology
from skstruct.datasets import make_chain, make_grid, make_tree
from skstruct.inference import Enumeration
from skstruct.scores import Scores

# Small enough to enumerate. `coupling` is strong, so that a wrong matrix or a lost message would show.
TINY = {
    "chain": (make_chain, {"n_graphs": 2000, "n_nodes": 4}),
    "chains of several sizes": (make_chain, {"n_graphs": 2000, "n_nodes": (1, 4)}),
    "tree": (make_tree, {"n_graphs": 2000, "n_nodes": 4}),
    "trees of several sizes": (make_tree, {"n_graphs": 2000, "n_nodes": (2, 4)}),
    "grid": (make_grid, {"n_graphs": 2000, "height": 2, "width": 2, "n_sweeps": 20}),
    "grid of one row": (make_grid, {"n_graphs": 2000, "height": 1, "width": 3, "n_sweeps": 0}),
    "grid of one column": (make_grid, {"n_graphs": 2000, "height": 4, "width": 1, "n_sweeps": 20}),
}


def pair_deviation(made, edge_coef):
    """Largest deviation, in standard errors, of a pair frequency from its probability under `edge_coef`.

    Pairs are all pairs of nodes, joined or not, by their numbers; graphs are independent, so that the count
    of (pair of nodes, pair of labels) has the variance sum p (1 - p) over the graphs.
    """
    data, n_states = made.data, len(made.intercept)
    every_pair, joined = [], []
    for graph in data:
        pairs = list(itertools.combinations(range(graph.n_nodes), 2))
        edges = {tuple(edge) for edge in graph.edges.tolist()}
        every_pair.append(pairs)
        joined.append([pair in edges for pair in pairs])  # edges go from lower to higher numbers
        assert sum(joined[-1]) == len(edges)
    local = np.array([pair for pairs in every_pair for pair in pairs])
    edge_ptr = np.concatenate([[0], np.cumsum([len(pairs) for pairs in every_pair])])
    shift = np.repeat(data.node_ptr[:-1], np.diff(edge_ptr))
    topology = Topology((local + shift[:, None]).astype(np.int32), data.node_ptr, edge_ptr)
    node = data.node_features @ made.coef.T + made.intercept
    edge = np.concatenate(joined)[:, None, None] * edge_coef
    probability = Enumeration().plan(topology, n_states).marginals(Scores(node, edge)).edge
    i, j = topology.edges.T
    observed = np.zeros_like(probability)
    observed[np.arange(len(i)), made.target.values[i], made.target.values[j]] = 1.0
    group = np.ravel_multi_index(local.T, (10, 10))
    worst = 0.0
    for pair in np.unique(group):
        excess = (observed - probability)[group == pair].sum(axis=0)
        variance = (probability * (1 - probability))[group == pair].sum(axis=0)
        worst = max(worst, np.abs(excess / np.sqrt(variance)).max())
    assert observed.shape[1:] == (n_states, n_states)
    return worst


@pytest.mark.parametrize("case", TINY)
def test_pair_frequencies_are_those_of_the_model(case):
    make, sizes = TINY[case]
    made = make(**sizes, n_states=3, n_features=2, coupling=1.5, random_state=0)
    # At most 6 pairs of nodes x 9 of labels: one of 54 normal values exceeds 4.5 with probability 4e-4.
    assert pair_deviation(made, made.edge_coef) < 4.5
    # The check sees a matrix that is read the wrong way, and one that is forgotten.
    assert pair_deviation(made, made.edge_coef.transpose(0, 2, 1)) > 10
    assert pair_deviation(made, np.zeros_like(made.edge_coef)) > 10


MAKERS = [make_chain, make_tree, make_grid]


@pytest.mark.parametrize("make", MAKERS)
def test_shapes_and_seed(make):
    made = make(n_graphs=3, n_states=4, n_features=2, random_state=7)
    assert made.coef.shape == (4, 2)
    assert made.intercept.shape == (4,)
    assert made.edge_coef.shape == (1, 4, 4)
    assert made.data.n_graphs == len(made.target) == 3
    assert made.data.node_features.shape[1] == 2
    np.testing.assert_array_equal(made.target.ptr, made.data.node_ptr)
    data, target = make(n_graphs=3, n_states=4, n_features=2, random_state=7, return_X_y=True)
    np.testing.assert_array_equal(data.node_features, made.data.node_features)
    np.testing.assert_array_equal(target.values, made.target.values)


@pytest.mark.parametrize("make", [make_chain, make_tree])
def test_sizes_cover_the_range(make):
    made = make(n_graphs=200, n_nodes=(1, 5), random_state=0)
    sizes = np.diff(made.data.node_ptr)
    assert set(sizes) == {1, 2, 3, 4, 5}
    np.testing.assert_array_equal(np.diff(made.data.edge_ptr), sizes - 1)


def test_topologies():
    chain = make_chain(n_graphs=1, n_nodes=4, random_state=0).data
    assert chain.edges.tolist() == [[0, 1], [1, 2], [2, 3]]
    tree = make_tree(n_graphs=50, n_nodes=6, random_state=0).data
    assert (tree.edges[:, 0] < tree.edges[:, 1]).all()
    assert len(np.unique(tree.topology.components)) == 50
    grid = make_grid(n_graphs=1, height=2, width=2, random_state=0).data
    assert grid.edges.tolist() == [[0, 1], [2, 3], [0, 2], [1, 3]]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("name", ["n_graphs", "n_states", "n_features"])
def test_bad_size_is_named(make, name):
    with pytest.raises(ValueError, match=f"{name} must be an integer >= 1, got 0"):
        make(**{name: 0})
