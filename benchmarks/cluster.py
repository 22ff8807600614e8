"""Cost of a training on a Dask cluster: ``python -m benchmarks.cluster``, which needs the extra ``dask``.

All times are of processors, and not of the clock, so that other programs on the machine matter less. Dask's processes
use processors without any task, too. This is measured, and subtracted in proportion to the time by the clock.
"""

import argparse
import os
import tempfile
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks._text import CHUNK_NOTATION, COLUMNS, read_chunks
from benchmarks._training import chain_crf
from skstruct import as_ragged
from skstruct.distributed import DaskGraphCRFClassifier
from skstruct.distributed._cluster import Cluster
from skstruct.distributed._pieces import Piece, Pieces
from skstruct.io import save_dataset
from skstruct.optim import Optimizer
from skstruct.preprocessing import TokenTemplates

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "conll2000.train.txt.gz"
TARGET = "10 ms + 1 ms a partition + 2 ms a MB"
SECONDS_PER_TOKEN = 0.17e-6  # of an evaluation with 22 labels and 18 features per token: 0.73 s for 4.2 million tokens
BANDWIDTH = 0.3e9  # bytes per second between two machines, a guess


class Probe(Optimizer):
    """An optimiser that calls ``body(loss, coef)`` and ends the training; the workers receive it without `body`."""

    def __init__(self, body=None):
        self.body = body

    def __getstate__(self):
        return {}

    def minimize(self, loss, start, **_):
        self.body(loss, start)
        raise StopIteration


def cpu():
    """Seconds of processors that this process has used."""
    times = os.times()
    return times.user + times.system


class Meter:
    """Seconds of processors per evaluation: of the client with the scheduler, and of the workers."""

    def __init__(self, client):
        self.client = client
        self.idle = self._rates(lambda: time.sleep(5), 1)

    def _now(self):
        return np.array([cpu(), sum(self.client.run(cpu).values()), time.perf_counter()])

    def _rates(self, function, n):
        start = self._now()
        for _ in range(n):
            function()
        client, workers, clock = self._now() - start
        return np.array([client, workers]) / clock

    def __call__(self, function, n):
        """Milliseconds per call of the client and of the workers, without what they use when idle."""
        start = self._now()
        for _ in range(n):
            function()
        *used, clock = self._now() - start
        return (np.array(used) - clock * self.idle) / n * 1e3


def chunking():
    """CoNLL-2000 chunking with observed weights, as graphs and labels."""
    words, labels = zip(*read_chunks(DATA, None))
    X = TokenTemplates(CHUNK_NOTATION, columns=COLUMNS, dtype=np.uint8).fit_transform(list(words))
    return X, as_ragged(list(labels))


def probe(crf, data, body):
    """Call ``body(loss, coef)`` with the loss of a training."""
    with suppress(StopIteration):
        crf.set_params(optimizer=Probe(body)).fit(*data)


def timed_total(loss, coef):
    """Seconds of this thread for an evaluation."""
    start = time.thread_time()
    loss.total(coef)
    return (time.thread_time() - start,)


def compare(client, meter, copies, n):
    """Evaluations on the workers, with one copy of the data in each partition, and on all copies in this process."""
    X, y = chunking()

    def here(loss, coef):
        loss(coef)
        start = cpu()
        for _ in range(n):
            loss(coef)
        print(f"one process: {(cpu() - start) / n * 1e3:.0f} ms", flush=True)

    def there(loss, coef):
        loss(coef)
        client_ms, workers_ms = meter(lambda: loss(coef), n)
        losses_ms = np.mean([loss.losses.total(timed_total, [coef])[0] for _ in range(n)]) * 1e3
        megabytes = coef.nbytes / 1e6
        print(
            f"{len(client.nthreads())} workers, {copies} partitions, {megabytes:.1f} MB of parameters: "
            f"{client_ms + workers_ms:.0f} ms, of which losses {losses_ms:.0f}, other work of the workers "
            f"{workers_ms - losses_ms:.0f}, client and scheduler {client_ms:.0f} ({TARGET}: "
            f"{10 + copies + 2 * megabytes:.0f})",
            flush=True,
        )

    numbers = np.tile(np.arange(len(X)), copies)
    probe(chain_crf(1.0), (X[numbers], y[numbers]), here)
    with tempfile.TemporaryDirectory() as folder:
        save_dataset(Path(folder) / "data", X, y)
        parameters = {**chain_crf(1.0).get_params(deep=False), "client": client}
        probe(DaskGraphCRFClassifier(**parameters), ([str(Path(folder) / "data")] * copies,), there)


def echo(value, coef):
    """Evaluate an artificial loss, which costs nothing."""
    return 0.0, coef.copy()


def communicate(client, meter, n):
    """Client and workers for artificial losses of all sizes, and the cost model that fits best."""
    rows = []
    for n_coef in (10**3, 10**5, 10**6):
        for n_partitions in (2, 8, 32, 128):
            with Cluster(client) as cluster:
                futures = [cluster.submit(Piece, k, "", None) for k in range(n_partitions)]
                pieces = Pieces(cluster, [""] * n_partitions, list(range(n_partitions)), futures)
                coef = np.zeros(n_coef)
                pieces.total(echo, [coef])
                found = meter(partial(pieces.total, echo, [coef]), n)
            megabytes = coef.nbytes / 1e6
            rows.append((1.0, n_partitions, megabytes, *found))
            print(
                f"{n_partitions:4} partitions, {megabytes:6.3f} MB: client {found[0]:6.1f} ms (at most "
                f"{10 + n_partitions + 2 * megabytes:.0f}), workers {found[1]:6.1f} ms",
                flush=True,
            )
    table = np.array(rows)
    for name, column in (("client", 3), ("workers", 4)):
        fit = np.linalg.lstsq(table[:, :3], table[:, column], rcond=None)[0]
        print(f"{name}: {fit[0]:.1f} ms + {fit[1]:.2f} ms a partition + {fit[2]:.1f} ms a MB")


def crossover():
    """Seconds of an evaluation on paper, and from which number of weights communication takes longer than losses."""
    print("tokens  workers  losses s  parameters at which communication takes as long")
    for tokens in (1e7, 1e8, 1e9):
        for workers in (10, 100):
            seconds = tokens * SECONDS_PER_TOKEN / workers
            # parameters go to all workers, and gradients come back, over trees of a depth of log2(workers)
            weights = seconds * BANDWIDTH / (8 * 2 * np.log2(workers))
            print(f"{tokens:6.0e}  {workers:7}  {seconds:8.2f}  {weights:.1e}")


def main():
    """Start two workers, and print all tables."""
    from distributed import Client, LocalCluster

    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster", description=__doc__.splitlines()[0])
    parser.add_argument("--copies", type=int, default=20, help="of CoNLL-2000, a partition each")
    parser.add_argument("--evaluations", type=int, default=5)
    parser.add_argument("--only", choices=["compare", "communicate", "crossover"])
    options = parser.parse_args()
    if options.only in (None, "crossover"):
        crossover()
    if options.only == "crossover":
        return
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", memory_limit=None) as cluster,
        Client(cluster) as client,
    ):
        meter = Meter(client)
        if options.only in (None, "communicate"):
            communicate(client, meter, options.evaluations)
        if options.only in (None, "compare"):
            compare(client, meter, options.copies, options.evaluations)


if __name__ == "__main__":
    main()
