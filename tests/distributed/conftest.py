"""Clusters in this process, which start quickly, and random graphs in partitions."""

import time

import numpy as np
import pytest

from skstruct import GraphDataset, RaggedArray


@pytest.fixture(scope="session")
def start_cluster():
    """Start clusters: ``with start_cluster(n_workers) as client``."""
    distributed = pytest.importorskip("distributed")

    def start(n_workers, processes=False, **options):
        settings = {"threads_per_worker": 1, "dashboard_address": ":0", "memory_limit": None, **options}
        cluster = distributed.LocalCluster(n_workers=n_workers, processes=processes, **settings)
        return distributed.Client(cluster), cluster

    class Started:
        def __init__(self, *args, **options):
            self.client, self.cluster = start(*args, **options)

        def __enter__(self):
            return self.client

        def __exit__(self, *_):
            self.client.close()
            self.cluster.close()

    return Started


@pytest.fixture(scope="module")
def client(start_cluster):
    with start_cluster(2) as client:
        yield client


@pytest.fixture
def make_data():
    """Labelled random chains or cycles: ``make_data(n_graphs=12, ...) -> (X, y)``."""

    def make(n_graphs=12, n_states=3, n_edge_features=0, cyclic=False, sparse=False, dtype=float, seed=0):
        rng = np.random.default_rng(seed)
        sizes = rng.integers(3, 7, n_graphs)
        ptr = np.concatenate([[0], np.cumsum(sizes)])
        edges = [[(i, (i + 1) % n) for i in range(n - (not cyclic))] for n in sizes]
        y = rng.integers(n_states, size=ptr[-1])
        x = rng.normal(size=(len(y), 4))
        x[:, 0] += y
        x[np.abs(x) < 0.3] = 0
        edge_ptr = np.concatenate([[0], np.cumsum(list(map(len, edges)))])
        f = rng.normal(size=(edge_ptr[-1], n_edge_features)).astype(dtype) if n_edge_features else None
        x = x.astype(dtype)
        if sparse:
            from scipy.sparse import csr_array

            x = csr_array(x)
        return GraphDataset(x, np.concatenate(edges).astype(int), f, ptr, edge_ptr), RaggedArray(y, ptr)

    return make


@pytest.fixture
def cut():
    """Cut data into Delayed partitions of different sizes: ``cut(n_partitions, X, y[, sample_weight])``."""

    dask = pytest.importorskip("dask")

    def cut(n_partitions, *arrays):
        n = len(arrays[0])
        ends = np.sort(np.random.default_rng(1).choice(np.arange(1, n), n_partitions - 1, replace=False))
        slices = [slice(a, b) for a, b in zip([0, *ends], [*ends, n])]
        return [dask.delayed(_tuple)(*(array[part] for array in arrays)) for part in slices]

    return cut


def _tuple(*items):
    return items


@pytest.fixture
def wait_until_empty():
    """Wait until the workers have no results in memory: ``wait_until_empty(client)``."""

    def wait(client):
        for _ in range(200):
            if not any(client.has_what().values()):
                return
            time.sleep(0.05)
        raise AssertionError(f"workers have kept {client.has_what()}")

    return wait
