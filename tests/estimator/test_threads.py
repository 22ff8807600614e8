"""Threads: how many there are, and what a fit leaves behind."""

import threading

import joblib
import pytest
from threadpoolctl import threadpool_info

from skstruct.estimator._chunks import single_blas_thread, thread_map


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
