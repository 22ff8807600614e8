"""Cache-sized chunks of a dataset, the unit of work, and the one place where work is spread over threads."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from joblib import effective_n_jobs

from skstruct._dataset import GraphDataset
from skstruct.exceptions import numbered_from
from skstruct.inference import InferencePlan

CHUNK_SCORES = 2**17  # numbers, 1 MB: about a second-level cache; with less, calls from Python count


class Chunk(NamedTuple):
    """Consecutive graphs of a dataset, and the inference plan for them."""

    graphs: slice
    nodes: slice
    edges: slice
    batch: GraphDataset
    plan: InferencePlan


def cut(dataset, n_states, backend, n_scores=None, n_graphs=None):
    """Cut a dataset into chunks and plan inference on each. Depends on the data only.

    A chunk ends when it has `n_scores` numbers (None: `CHUNK_SCORES`), or `n_graphs` graphs.
    """
    t = dataset.topology
    per_edge = n_states**2 if dataset.edge_features is not None else 1
    size = np.diff(t.node_ptr) * n_states + np.diff(t.edge_ptr) * per_edge
    number = (np.cumsum(size) - size) // (n_scores or CHUNK_SCORES)
    if n_graphs is not None:
        within = np.arange(len(size)) - np.searchsorted(number, number)  # place of a graph in its chunk
        number = number * len(size) + within // n_graphs
    starts = np.flatnonzero(np.diff(number, prepend=-1))
    chunks = []
    for a, b in zip(starts, [*starts[1:], t.n_graphs]):
        batch = dataset[a:b]
        nodes, edges = slice(t.node_ptr[a], t.node_ptr[b]), slice(t.edge_ptr[a], t.edge_ptr[b])
        with numbered_from(a):
            chunks.append(Chunk(slice(a, b), nodes, edges, batch, backend.plan(batch.topology, n_states)))
    return chunks


@contextmanager
def thread_map(n_jobs):
    """Context with a function ``run(function, *iterables) -> list``, as `map`, on the threads that `n_jobs` means.

    joblib says how many these are, so that its contexts hold (`parallel_config`, or none inside of a parallel
    `GridSearchCV`); its own dispatch to threads takes 10 ms, longer than many an evaluation.
    """
    n_threads = effective_n_jobs(n_jobs)
    if n_threads == 1:
        yield lambda *args: list(map(*args))
        return

    def run(function, *iterables):
        tasks = deque(enumerate(zip(*iterables)))
        results = [None] * len(tasks)

        def work():
            while tasks:
                try:
                    number, args = tasks.popleft()
                except IndexError:  # another thread was quicker
                    return
                try:
                    results[number] = function(*args)
                except BaseException:
                    tasks.clear()
                    raise

        # The calling thread works, too: were it to wait, a second one would often be woken on its core first.
        others = [pool.submit(work) for _ in range(min(n_threads, len(tasks)) - 1)]
        work()
        for other in others:
            other.result()
        return results

    with ThreadPoolExecutor(n_threads - 1) as pool:
        yield run
