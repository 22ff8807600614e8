"""Threads predict for a long time: the results keep their bits, and the memory of the process stays as it is."""

import gc
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from skstruct import GraphCRFClassifier
from skstruct.datasets import make_chain, make_grid, make_tree

SECONDS = 1800
N_THREADS = 4
GROWTH = 8.0  # MB; a leak of 1 kB in each call would be tens of MB in a minute
STATUS = Path("/proc/self/statm")


def resident():
    """Resident memory of this process in MB."""
    gc.collect()
    return int(STATUS.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def fitted(make, **params):
    """Queries of a model, functions without arguments that return arrays."""
    X, y = make(n_graphs=20, return_X_y=True, random_state=0)
    crf = GraphCRFClassifier(max_iter=20, tol=1e-2, missing_label=-1, **params).fit(X, y)
    known = np.where(np.arange(X.n_nodes) % 5, -1, 0)
    known = [part.tolist() for part in np.split(known, X.node_ptr[1:-1])]
    copies = [(graph.node_features, graph.edges) for graph in X]
    return [
        lambda: crf.predict(X).values,
        lambda: crf.predict(copies[:3]).values,  # input that is converted at each call
        lambda: crf.predict_proba(X).values,
        lambda: crf.predict_proba(X, known=known).values,
        lambda: crf.predict_edge_proba(X[:5]).values,
        lambda: crf.log_likelihood(X, y),
        lambda: crf.sample(X[:3], n_samples=2, random_state=0)[0],
    ]


@pytest.mark.slow  # SOAK=1: half an hour
@pytest.mark.skipif(not STATUS.exists(), reason="reads the memory of the process where Linux shows it")
def test_prediction_in_threads(soak, figure):
    queries = [
        *fitted(make_chain),
        *fitted(make_chain, n_jobs=2),
        *fitted(make_tree),
        *fitted(make_grid, inference="loopy_bp"),
        *fitted(make_grid, inference="junction_tree", decoding="icm"),
    ]
    expected = [query().tobytes() for query in queries]
    n_calls, errors, end = [0] * N_THREADS, [], time.monotonic() + max(20.0, soak * SECONDS)

    def work(thread):
        rng = np.random.default_rng(thread)
        while time.monotonic() < end and not errors:
            number = int(rng.integers(len(queries)))
            try:
                assert queries[number]().tobytes() == expected[number], f"query {number} has other bits"
            except BaseException as error:  # raised again in the main thread
                errors.append(error)
            n_calls[thread] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(N_THREADS)]
    begin, memory = time.monotonic(), []
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        time.sleep(0.5)
        memory.append(resident())
    seconds = time.monotonic() - begin
    if errors:
        raise errors[0]
    quarter = len(memory) // 4  # the first quarter fills the caches of the allocator
    first, last = max(memory[quarter : 2 * quarter]), max(memory[-quarter:])
    figure(
        f"prediction in {N_THREADS} threads: {seconds / 60:.1f} minutes, {sum(n_calls)} calls, same bits; "
        f"resident memory {first:.1f} MB, {last:.1f} MB at the end"
    )
    assert last < first + GROWTH, memory
