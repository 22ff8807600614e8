"""Threads: how many there are, and what a fit leaves behind."""

import os
import threading
import time
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_info

from skstruct import GraphCRFClassifier
from skstruct.estimator._chunks import single_blas_thread, thread_map
from skstruct.metrics import node_accuracy
from skstruct.objectives import Likelihood


def blas_threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


@pytest.mark.parametrize("last", ["this thread", "the other thread"])
def test_overlapping_limits_end_with_the_last(last):
    with single_blas_thread:  # a fit before must not matter
        pass
    before, entered, leave = blas_threads(), threading.Event(), threading.Event()

    def first():
        with single_blas_thread:
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=first)
    thread.start()
    entered.wait(10)
    with single_blas_thread:
        if last == "this thread":
            leave.set()
            thread.join()
        assert set(blas_threads()) <= {1}
    leave.set()
    thread.join()
    assert blas_threads() == before


def test_an_error_restores_the_limit():
    before = blas_threads()
    with pytest.raises(RuntimeError), single_blas_thread:
        raise RuntimeError
    assert blas_threads() == before


class Cluster(joblib.parallel.ThreadingBackend):
    """A backend with more workers than this machine has processors."""

    def effective_n_jobs(self, n_jobs):
        return 1000


@pytest.mark.parametrize(("n_jobs", "expected"), [(None, joblib.cpu_count()), (-1, joblib.cpu_count()), (2, 2)])
def test_workers_of_a_cluster_do_not_count(monkeypatch, n_jobs, expected):
    counted = []

    class Pool:
        def __init__(self, n_threads):
            counted.append(n_threads)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    monkeypatch.setattr("skstruct.estimator._chunks.ThreadPoolExecutor", Pool)
    joblib.register_parallel_backend("skstruct_test_cluster", Cluster)
    with joblib.parallel_config("skstruct_test_cluster"), thread_map(n_jobs):
        pass
    assert counted == ([expected - 1] if expected > 1 else [])


class Recorded(Likelihood):
    """A likelihood that writes to a folder when it was computed, and by which thread."""

    def __init__(self, folder):
        self.folder = folder

    def value_and_gradient(self, inference, scores, targets):
        begin = time.monotonic()
        time.sleep(0.005)  # threads that do not wait for each other overlap
        result = super().value_and_gradient(inference, scores, targets)
        with open(f"{self.folder}/{os.getpid()}-{threading.get_ident()}", "a") as file:
            file.write(f"{begin} {time.monotonic()}\n")
        return result


def at_once(folder):
    """Largest number of threads of all processes that computed at the same time."""
    lines = [line.split() for path in Path(folder).iterdir() for line in path.read_text().splitlines()]
    events = sorted([(float(begin), 1) for begin, _ in lines] + [(float(end), -1) for _, end in lines])
    return max(np.cumsum([change for _, change in events]))


def several_chunks():
    """Chains with so many scores of edges that they are cut into several chunks."""
    rng = np.random.default_rng(0)
    edges = [(i, i + 1) for i in range(9)]
    X = [(rng.normal(size=(10, 2)), edges, rng.normal(size=(9, 2))) for _ in range(120)]
    return X, [rng.integers(2, size=10) for _ in X]


def search(folder, n_jobs):
    crf = GraphCRFClassifier(objective=Recorded(str(folder)), classes=list(range(24)), tol=0.05, n_jobs=n_jobs)
    return GridSearchCV(crf, {"C": [0.1, 1.0]}, cv=2, scoring=node_accuracy, n_jobs=2, refit=False)


def test_threads_are_counted(tmp_path):
    """Without a search, the threads are those of `n_jobs`."""
    search(tmp_path, 2).estimator.fit(*several_chunks())
    assert at_once(tmp_path) == 2


@pytest.mark.parametrize("n_jobs", [2, -1])
@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_threads_in_a_search(backend, n_jobs, tmp_path):
    """All processes together have no more threads than there are processors, or workers."""
    with joblib.parallel_config(backend):
        search(tmp_path, n_jobs).fit(*several_chunks())
    assert at_once(tmp_path) <= max(2, joblib.cpu_count())


@pytest.mark.parametrize(
    ("n_jobs", "workers"),
    [
        pytest.param(None, {"n_workers": 2, "threads_per_worker": 1}, id="processes"),
        pytest.param(2, {"processes": False, "n_workers": 1, "threads_per_worker": 2}, id="threads"),
    ],
)
def test_a_search_on_a_cluster(n_jobs, workers, tmp_path):
    """The candidates are tasks of Dask; each has one thread, and the scores are those of a search without a cluster."""
    distributed = pytest.importorskip("distributed")
    data = several_chunks()
    (tmp_path / "local").mkdir()
    (tmp_path / "cluster").mkdir()
    local = search(tmp_path / "local", None).set_params(n_jobs=None).fit(*data)
    cluster = distributed.LocalCluster(dashboard_address=":0", memory_limit=None, **workers)
    with cluster, distributed.Client(cluster), joblib.parallel_config("dask"):
        found = search(tmp_path / "cluster", n_jobs).fit(*data)
    np.testing.assert_array_equal(found.cv_results_["mean_test_score"], local.cv_results_["mean_test_score"])
    assert at_once(tmp_path / "cluster") <= 2
