"""How a dataset is cut into chunks, and chunks into groups for the threads of a training."""

import numpy as np
import pytest

from skstruct import GraphDataset
from skstruct.estimator import _chunks
from skstruct.inference import Tree

N_STATES = 4


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(_chunks, "CHUNK_SCORES", 100 * N_STATES)


def chunk_sizes(n_nodes):
    """Numbers of nodes of the chunks of so many graphs of one node."""
    dataset = GraphDataset.from_nodes(np.zeros((n_nodes, 1)))
    return [chunk.batch.n_nodes for chunk in _chunks.cut(dataset, N_STATES, Tree())]


@pytest.mark.parametrize("n_nodes", [1, 50, 99])
def test_small_data_are_one_chunk(n_nodes):
    assert chunk_sizes(n_nodes) == [n_nodes]


@pytest.mark.parametrize("n_nodes", [100, 149, 200, 250, 310, 400, 590, 610, 799, 800, 1190, 1210, 3700, 12_345])
def test_chunks_are_equal_and_of_the_usual_size(n_nodes):
    sizes = chunk_sizes(n_nodes)
    assert sum(sizes) == n_nodes
    assert max(sizes) - min(sizes) <= len(sizes)  # sizes are whole numbers, and the last chunk has the remainder
    assert 50 <= np.mean(sizes) <= 150


@pytest.mark.parametrize(("n_nodes", "n_groups"), [(100, 2), (300, 2), (450, 4), (700, 4), (800, 8), (3700, 8)])
def test_chunks_make_equal_groups(n_nodes, n_groups):
    assert len(chunk_sizes(n_nodes)) % n_groups == 0


def test_a_graph_is_not_cut():
    dataset = GraphDataset(np.zeros((1000, 1)), np.zeros((0, 2), int), node_ptr=np.array([0, 900, 1000]))
    sizes = [chunk.batch.n_nodes for chunk in _chunks.cut(dataset, N_STATES, Tree())]
    assert sizes == [900, 100]
