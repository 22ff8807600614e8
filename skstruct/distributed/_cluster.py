"""The workers of a Dask cluster, and the tasks that they run for one training."""

import logging
import time
from typing import Any
from weakref import WeakSet

from skstruct.data.optional import optional_module

WAIT = 0.1  # seconds between two looks for a first worker
PATIENCE = 10.0  # seconds without a worker after which the log says so
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
        """Futures of objects, which are sent to a worker; other workers copy them from there."""
        return list(map(self._kept, self.client.scatter(objects, workers=[worker], hash=False)))

    def _kept(self, future):
        self.futures.add(future)
        return future
