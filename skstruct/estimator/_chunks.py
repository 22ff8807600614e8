"""Cache-sized chunks of a dataset, the unit of work, and the one place where work is spread over threads."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from joblib import cpu_count, effective_n_jobs
from threadpoolctl import OpenBLASController, threadpool_limits

from skstruct.data.dataset import GraphDataset
from skstruct.data.pieces import cut_graphs
from skstruct.inference import LazyPlan

CHUNK_SCORES = 2**17  # numbers, 1 MB: about a second-level cache; with less, calls from Python count
MINIBATCH_GRAPHS, MINIBATCH_SCORES = 16, 2**14  # more would take larger steps in fewer directions


class Chunk(NamedTuple):
    """Consecutive graphs of a dataset, and inference on them."""

    graphs: slice
    nodes: slice
    edges: slice
    batch: GraphDataset
    inference: LazyPlan

    @property
    def plan(self):
        """The inference plan; made when it is first read."""
        return self.inference.plan


def cut(dataset, n_states, backend):
    """Cut a dataset into chunks of about `CHUNK_SCORES` scores. Depends on the data only."""
    return [
        _chunk(dataset, graphs, n_states, backend) for graphs in cut_graphs(_n_scores(dataset, n_states), CHUNK_SCORES)
    ]


def cut_minibatches(chunk, n_states, backend):
    """Cut a chunk into mini-batches: slices of its graphs with inference on them."""
    sizes = _n_scores(chunk.batch, n_states)
    slices = [
        slice(start, min(start + MINIBATCH_GRAPHS, part.stop))
        for part in cut_graphs(sizes, MINIBATCH_SCORES)
        for start in range(part.start, part.stop, MINIBATCH_GRAPHS)
    ]
    return [_chunk(chunk.batch, graphs, n_states, backend) for graphs in slices]


def _n_scores(dataset, n_states):
    """Numbers of the scores of each graph, (n_graphs,); matrices without edge features are shared."""
    per_edge = n_states**2 if dataset.edge_features is not None else 1
    return np.diff(dataset.node_ptr) * n_states + np.diff(dataset.edge_ptr) * per_edge


def _chunk(dataset, graphs, n_states, backend):
    batch = dataset[graphs]
    nodes = slice(dataset.node_ptr[graphs.start], dataset.node_ptr[graphs.stop])
    edges = slice(dataset.edge_ptr[graphs.start], dataset.edge_ptr[graphs.stop])
    return Chunk(graphs, nodes, edges, batch, LazyPlan(backend, batch.topology, n_states))


@contextmanager
def thread_map(n_jobs):
    """Context with a function ``run(function, *iterables) -> list``, as `map`, on the threads that `n_jobs` means.

    joblib says how many these are, so that its contexts hold (`parallel_config`, or none inside of a parallel
    `GridSearchCV`), but the workers of a cluster do not count: threads use the processors of this machine. joblib's own
    dispatch to threads takes 10 ms, longer than many an evaluation.
    """
    most = n_jobs if n_jobs is not None and n_jobs > 0 else cpu_count()
    n_threads = min(effective_n_jobs(n_jobs), most)
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


class _SingleBLASThread:
    """Context in which BLAS uses one thread, also where contexts overlap in several threads.

    threadpoolctl restores the number that it found. If two of its contexts overlap, the one that ends last restores the
    limit of the other one, for ever. Here the first context to begin sets the limit, and the last one to end restores
    the number.
    """

    def __init__(self):
        self.lock, self.n_active = Lock(), 0
        self.limits: Any = None

    def __enter__(self):
        with self.lock:
            if self.n_active == 0:
                self.limits = threadpool_limits(1, user_api="blas")
            self.n_active += 1

    def __exit__(self, *_):
        with self.lock:
            self.n_active -= 1
            if self.n_active == 0:
                # from version 3.8 on, only the thread that has set a limit may change it until the limit is released
                release = getattr(OpenBLASController, "clear_controlling_thread", None)
                if release is not None:
                    release(force=True)
                self.limits.__exit__(None, None, None)


single_blas_thread = _SingleBLASThread()  # the limit is the process's, hence one object
