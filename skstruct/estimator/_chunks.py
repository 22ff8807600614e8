"""A dataset is cut into chunks of the size of the cache, and threads process the chunks."""

import os
import sys
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from joblib import cpu_count, effective_n_jobs
from joblib.parallel import get_active_backend
from threadpoolctl import OpenBLASController, threadpool_limits

from skstruct.data.dataset import GraphDataset
from skstruct.data.pieces import cut_graphs
from skstruct.data.tables import few_distinct_rows, is_sparse, mapped_bytes
from skstruct.inference import InferenceBackend, InferencePlan, LazyPlan

CHUNK_SCORES = 2**17  # 1 MB of scores: about a second-level cache; in smaller chunks, calls from Python dominate
# A product of dense features and weights reads all weights, which takes most of the time in a chunk of few nodes: with
# more states, a chunk has more scores.
MANY_STATES = 2**10
MAPPED_BYTES = 2**27  # of features in a file, from which on chunks and what is computed from them are not kept
KEPT_SIZE, N_KEPT = 1000, 100  # nodes and edges of a dataset whose plan is kept, and number of such plans
MAX_GROUPS = 8  # a training has at most so many groups of chunks, and uses at most so many threads
MINIBATCH_SCORES = 2**14  # larger mini-batches mean fewer steps in an epoch


class Chunk(NamedTuple):
    """Consecutive graphs of a dataset, and inference on them.

    Attributes
    ----------
    graphs, nodes, edges : slice
        Numbers of the graphs, nodes and edges in the dataset.
    batch : GraphDataset
    inference : LazyPlan
    """

    graphs: slice
    nodes: slice
    edges: slice
    batch: GraphDataset
    inference: LazyPlan

    @property
    def plan(self) -> InferencePlan:
        """The inference plan; it is made when it is first read."""
        return self.inference.plan


class KeptPlans:
    """Plans of the last small datasets: that of a sentence serves the next sentence of the same length.

    A copy or a pickle is empty.
    """

    def __init__(self) -> None:
        self._plans: dict[tuple[bytes, ...], LazyPlan] = {}

    def plan(self, dataset: GraphDataset, n_states: int, backend: InferenceBackend) -> LazyPlan:
        """Return inference on a dataset; number of states and backend are the same in all calls."""
        if dataset.n_nodes + dataset.n_edges > KEPT_SIZE:
            return LazyPlan(backend, dataset.topology, n_states)
        key = tuple(array.tobytes() for array in (dataset.edges, dataset.node_ptr, dataset.edge_ptr))
        found = self._plans.get(key)
        if found is None:
            if len(self._plans) >= N_KEPT:
                self._plans.clear()
            found = self._plans[key] = LazyPlan(backend, dataset.topology, n_states)
        return found

    def __reduce__(self):
        return KeptPlans, ()


class ChunksOnDemand(Sequence):
    """Chunks that are made each time when they are read: of all chunks, memory contains those in use.

    Parameters
    ----------
    dataset : GraphDataset
    slices : list of slice
        Graphs of each chunk.
    n_states : int
    backend : InferenceBackend
    """

    def __init__(self, dataset: GraphDataset, slices: list[slice], n_states: int, backend: InferenceBackend):
        self.dataset, self.slices, self.n_states, self.backend = dataset, slices, n_states, backend

    def __len__(self) -> int:
        return len(self.slices)

    def __getitem__(self, number: Any) -> Chunk:
        return _chunk(self.dataset, self.slices[number], self.n_states, self.backend)

    def minibatches(self, batch_size: int) -> "ChunksOnDemand":
        """Mini-batches of up to `batch_size` graphs, as chunks of the same dataset."""
        slices = [
            slice(chunk.graphs.start + piece.start, chunk.graphs.start + piece.stop)
            for chunk in self
            for piece in _minibatch_slices(chunk, batch_size)
        ]
        return ChunksOnDemand(self.dataset, slices, self.n_states, self.backend)


def cut(
    dataset: GraphDataset, n_states: int, backend: InferenceBackend, kept: KeptPlans | None = None
) -> Sequence[Chunk]:
    """Cut a dataset into equal chunks of about `CHUNK_SCORES` scores, or more if features are dense and states many.

    Chunks depend on the data and not on the number of threads, so that sums over chunks have the same bits for any
    `n_jobs`. With `kept`, the plan of a dataset of one chunk is kept there, or found there. Chunks of a large dataset
    that is mapped into memory are `ChunksOnDemand`.
    """
    usual = CHUNK_SCORES * (1 if is_sparse(dataset.node_features) else -(-n_states // MANY_STATES))
    n_scores = _n_scores(dataset, n_states)
    slices = cut_graphs(n_scores, _even_size(int(n_scores.sum()), usual))
    if len(slices) == 1 and kept is not None:
        nodes, edges = slice(0, dataset.n_nodes), slice(0, dataset.n_edges)
        return [Chunk(slices[0], nodes, edges, dataset, kept.plan(dataset, n_states, backend))]
    chunks = ChunksOnDemand(dataset, slices, n_states, backend)
    return chunks if mapped_bytes(dataset.node_features) > MAPPED_BYTES else list(chunks)


def _even_size(total, usual):
    """Size of chunks from which 2, 4 or 8 equal groups can be made: between half and one and a half of the usual size.

    With unequal groups, threads wait for the one that has most to do.
    """
    if total < usual:
        return usual
    multiple = min(MAX_GROUPS, max(2, 1 << ((total // usual).bit_length() - 1)))
    return -(-total // (multiple * max(1, round(total / usual / multiple))))


def cut_minibatches(chunk: Chunk, batch_size: int) -> list[Chunk]:
    """Cut a chunk into mini-batches of up to `batch_size` graphs, which are chunks of its batch."""
    n_states, backend = chunk.inference.n_states, chunk.inference.backend
    return [_chunk(chunk.batch, graphs, n_states, backend) for graphs in _minibatch_slices(chunk, batch_size)]


def _minibatch_slices(chunk, batch_size):
    """Graphs of each mini-batch, numbered within the chunk."""
    return [
        slice(start, min(start + batch_size, piece.stop))
        for piece in cut_graphs(_n_scores(chunk.batch, chunk.inference.n_states), MINIBATCH_SCORES)
        for start in range(piece.start, piece.stop, batch_size)
    ]


def _n_scores(dataset, n_states):
    """How many scores each graph has, (n_graphs,); edges without features, or with equal ones, share a matrix."""
    edge_features = dataset.edge_features
    per_edge = n_states**2 if edge_features is not None and few_distinct_rows(edge_features) is None else 1
    return np.diff(dataset.node_ptr) * n_states + np.diff(dataset.edge_ptr) * per_edge


def _chunk(dataset, graphs, n_states, backend):
    batch = dataset[graphs]
    nodes = slice(dataset.node_ptr[graphs.start], dataset.node_ptr[graphs.stop])
    edges = slice(dataset.edge_ptr[graphs.start], dataset.edge_ptr[graphs.stop])
    return Chunk(graphs, nodes, edges, batch, LazyPlan(backend, batch.topology, n_states))


@contextmanager
def thread_map(n_jobs):
    """Context with a function ``run(function, *iterables) -> list``, like `map`, on the threads that `n_jobs` means.

    joblib does not run the threads: its dispatch costs 10 ms, more than many evaluations cost.
    """
    n_threads = _n_threads(n_jobs)
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
                except IndexError:  # another thread has taken the last task
                    return
                try:
                    results[number] = function(*args)
                except BaseException:  # also Ctrl-C: the other threads stop, too
                    tasks.clear()
                    raise

        # The calling thread works, too. If it waited, the operating system would often start a thread on its core.
        others = [pool.submit(work) for _ in range(min(n_threads, len(tasks)) - 1)]
        work()
        for other in others:
            other.result()
        return results

    with ThreadPoolExecutor(n_threads - 1) as pool:
        yield run


def _n_threads(n_jobs):
    """Number of threads that `n_jobs` means here.

    joblib determines it, so that its contexts apply: `parallel_config` can change it. The workers of a cluster do not
    count, because threads use the processors of this machine. In a parallel call, such as a search, other workers use
    these processors, too. Then it is at most the number of processors per worker: joblib passes it to the processes of
    loky in an environment variable, and for other workers it is 1.
    """
    most = n_jobs if n_jobs is not None and n_jobs > 0 else cpu_count()
    if get_active_backend()[0].nesting_level or _in_dask_worker():
        most = min(most, int(os.environ.get("NUMBA_NUM_THREADS", 1)))
    return min(effective_n_jobs(n_jobs), most)


def _in_dask_worker():
    """Whether this is a task of Dask, on which joblib has no information."""
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return False
    try:
        distributed.get_worker()
    except ValueError:  # it is the client
        return False
    return True


class _SingleBLASThread:
    """Context in which BLAS uses one thread, also if contexts overlap in several threads.

    A context of threadpoolctl restores the number of threads at its start. If two of them overlap, the context that
    ends last restores the limit that the other context had set, and BLAS keeps one thread. Here the first context to
    start sets the limit, and the last context to end restores the number of threads.
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
                # from threadpoolctl 3.8 on, only the thread that has set a limit may change it, unless it is released
                release = getattr(OpenBLASController, "clear_controlling_thread", None)
                if release is not None:
                    release(force=True)
                self.limits.__exit__(None, None, None)


single_blas_thread = _SingleBLASThread()  # one object, as the limit belongs to the process
