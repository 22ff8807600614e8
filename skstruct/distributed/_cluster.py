"""The workers of a Dask cluster, and the tasks that they run for one training."""

import logging
import time
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any
from weakref import WeakSet

from skstruct.data.optional import optional_module

WAIT = 0.1  # seconds between two looks for a first worker
PATIENCE = 10.0  # seconds without a worker after which the log says so
STEP = 1.0  # seconds between two looks at the workers while a result is awaited
LOGGER = logging.getLogger("skstruct")


class Cluster:
    """A Dask client, and all futures that were created by it here.

    As a context, it releases them at the end, however it ends. An exception may refer to futures for longer, and the
    workers would keep the data as long.

    Parameters
    ----------
    client : distributed.Client or None
        None: the current client.
    """

    def __init__(self, client: Any):
        distributed = optional_module("distributed", "dask", "Training on a cluster")
        if client is None:
            try:
                client = distributed.get_client()
            except ValueError as error:
                raise ValueError(
                    "X consists of partitions, but there is no Dask client; create one before, e.g. "
                    "client = distributed.Client(), or pass it in the parameter client"
                ) from error
        if not hasattr(client, "nthreads") or isinstance(client, type):
            raise TypeError(f"client must be a distributed.Client or None, got {client!r}")
        self.client = client
        self.futures: WeakSet = WeakSet()
        self._workers = set(client.nthreads())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for future in list(self.futures):
            future.release()

    def slots(self) -> list[str]:
        """Addresses of the workers, sorted, each as often as it has threads; waits for the first worker."""
        start, is_told = time.monotonic(), False
        while not (n_threads := self.client.nthreads()):
            if not is_told and time.monotonic() - start > PATIENCE:
                LOGGER.warning("the cluster has no workers; skstruct waits until there is one")
                is_told = True
            time.sleep(WAIT)  # `Client.wait_for_workers` asks the cluster object, whose records can miss a restart
        return [worker for worker in sorted(n_threads) for _ in range(n_threads[worker])]

    def places(self, n: int) -> list[str]:
        """Worker for each of `n` pieces of equal cost: consecutive pieces are on the same worker."""
        slots = self.slots()
        return [slots[k * len(slots) // n] for k in range(n)]

    def submit(self, function: Any, *args: Any, worker: str | None = None) -> Any:
        """Future of ``function(*args)``, preferably on a worker; futures in `args` stand for their results."""
        place: dict[str, Any] = {} if worker is None else {"workers": [worker], "allow_other_workers": True}
        return self._kept(self.client.submit(function, *args, pure=False, **place))

    def compute(self, delayed: Any, worker: str) -> Any:
        """Future of a Delayed, preferably on a worker."""
        return self._kept(self.client.compute(delayed, workers=[worker], allow_other_workers=True))

    def send(self, objects: list, worker: str) -> list:
        """Futures of objects, which are sent to a worker; other workers copy them from there.

        Raises
        ------
        CancelledError
            If the worker has died.
        """
        try:
            return list(map(self._kept, self.client.scatter(objects, workers=[worker], hash=False)))
        except KeyError:  # the scheduler does not know the worker any more
            raise CancelledError from None

    def result(self, future: Any, sent_to: str | None = None) -> Any:
        """Result of a future, also if all workers die and others take their place.

        Dask computes lost results again. Objects that were sent are no results: without them, Dask waits for ever.

        Parameters
        ----------
        future : Future
        sent_to : str or None
            Worker to which objects were sent that the result depends on.

        Raises
        ------
        CancelledError
            If this worker has died.
        """
        while True:
            try:
                return future.result(timeout=STEP)
            except TimeoutError:
                if future.status == "error":
                    raise
                if sent_to is not None and sent_to not in self.slots():
                    raise CancelledError from None
                self._run_lost_tasks()

    def _run_lost_tasks(self):
        """If workers have come or gone, let tasks run anywhere that wait for a worker that has died.

        When the scheduler looks for a worker and there is none, it forgets that all workers are allowed.
        """
        workers = set(self.slots())
        if workers == self._workers:
            return
        self._workers = workers

        def run(dask_scheduler):  # in the scheduler, which need not have skstruct
            for task in list(dask_scheduler.unrunnable):
                if task.loose_restrictions and not dask_scheduler.valid_workers(task):
                    task.worker_restrictions = None
            for worker in list(dask_scheduler.running)[:1]:
                runnable = dask_scheduler.bulk_schedule_unrunnable_after_adding_worker(worker)
                dask_scheduler.transitions(runnable, "skstruct")

        with suppress(ValueError):  # schedulers may be set up to refuse functions
            self.client.run_on_scheduler(run)

    def _kept(self, future):
        self.futures.add(future)
        return future
