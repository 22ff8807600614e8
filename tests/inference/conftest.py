"""Graphs and scores, a law that several backends keep, and a batch of different graphs."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from skstruct import Topology
from skstruct.inference import _node_orders
from skstruct.scores import Scores


def _grid(height, width):
    number = np.arange(height * width).reshape(height, width)
    down = np.c_[number[:-1].ravel(), number[1:].ravel()]
    edges = np.concatenate([down, np.c_[number[:, :-1].ravel(), number[:, 1:].ravel()]])
    return Topology.from_edges(edges, height * width)


def _random(n, n_edges, rng):
    pairs = np.array(list(itertools.combinations(range(n), 2)))
    return Topology.from_edges(rng.permutation(pairs[rng.choice(len(pairs), n_edges, replace=False)], axis=1), n)


def _random_scores(topology, rng, n_states=2, node_scale=1.0, edge_scale=1.0, shared=False):
    edge = edge_scale * rng.normal(size=(1 if shared else topology.n_edges, n_states, n_states))
    node = node_scale * rng.normal(size=(topology.n_nodes, n_states))
    return Scores(node, edge, np.zeros(topology.n_edges, np.int32) if shared else None)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def graphs():
    """Functions that make topologies: ``grid(height, width)``, ``cycle(n)``, ``complete(n)``, ``random(...)``."""
    return SimpleNamespace(
        grid=_grid,
        cycle=lambda n: Topology.from_edges([(i, (i + 1) % n) for i in range(n)], n),
        complete=lambda n: Topology.from_edges(list(itertools.combinations(range(n), 2)), n),
        random=_random,
    )


@pytest.fixture
def random_scores():
    """Normal scores: ``random_scores(topology, rng, n_states=2, ...)``."""
    return _random_scores


@pytest.fixture
def check_gradient_of_log_partition(rng):
    """Compare marginals with central differences of the log-partition, in a random direction for each tensor."""

    def check(plan, scores, step=1e-5):
        found = plan.marginals(scores)
        for tensor, gradient in (("node", found.node), ("edge", found.edge)):
            direction = rng.normal(size=gradient.shape)
            up, down = (
                plan.marginals(scores._replace(**{tensor: getattr(scores, tensor) + h * direction})).log_partition
                for h in (step, -step)
            )
            assert (up - down)[0] / (2 * step) == pytest.approx((gradient * direction).sum(), rel=1e-6, abs=1e-7)

    return check


@pytest.fixture(params=["several orders", "one order"])
def orders_of_grids(request, monkeypatch):
    """Small grids have several orders of nodes. Here they also have one, like large grids, and powers are roots."""
    if request.param == "one order":
        monkeypatch.setattr(_node_orders, "LEAST_INNER", 0.4)


@pytest.fixture
def mixed_batch(orders_of_grids):
    """A grid, a graph without edges, a forest, and a graph that needs several orders of nodes."""
    grid = [(i, i + 4) for i in range(8)] + [(i, i + 1) for i in range(12) if i % 4 < 3]
    parts = [(grid, 12), (np.zeros((0, 2), int), 2), ([(1, 0), (1, 2)], 4), ([(i, (i + 1) % 5) for i in range(5)], 5)]
    node_ptr = np.cumsum([0, *(n for _, n in parts)])
    edges = np.concatenate([np.asarray(edges) + start for (edges, _), start in zip(parts, node_ptr)])
    return Topology(edges.astype(np.int32), node_ptr, np.cumsum([0, *(len(edges) for edges, _ in parts)]))
