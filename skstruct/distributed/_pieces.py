"""Pieces of the data in the memory of the workers, and sums over them in a fixed order.

The results of the pieces are the leaves of a binary tree, in the order of the partitions, and each node of the tree is
the sum of its two children. Workers add what they have; the order of the additions depends on the number of partitions
only. Sums therefore have the same bits for any number of workers, also if workers come and go.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, NamedTuple

import numpy as np

from skstruct.distributed._cluster import Cluster
from skstruct.distributed._sources import Source
from skstruct.exceptions import PartitionError, numbered_by

FAN_IN = 4  # partial sums that one task adds
ATTEMPTS = 20  # of a sum whose arguments were lost with the only worker that had them


class Piece(NamedTuple):
    """What a worker keeps of a partition.

    Attributes
    ----------
    number : int
        Number of the partition.
    name : str
        Its name in messages.
    value : object
    graphs : ndarray of int or None
        Numbers of the graphs of `value` in the partition; None: they are the same.
    """

    number: int
    name: str
    value: Any
    graphs: np.ndarray | None = None

    def apply(self, function: Callable, *args: Any) -> Any:
        """Return ``function(value, *args)``; errors name the partition."""
        with named(self.number, self.name), nullcontext() if self.graphs is None else numbered_by(self.graphs):
            return function(self.value, *args)


@contextmanager
def named(number: int, name: str) -> Iterator[None]:
    """Within the context, errors are raised as a `PartitionError`."""
    try:
        yield
    except PartitionError:
        raise
    except Exception as error:  # a user's loader can raise anything; the partition is named, and the error is the cause
        raise partition_error(number, name, error) from error


def partition_error(number: int, name: str, error: BaseException) -> PartitionError:
    """Error about a partition with the message of another error."""
    kind = "" if type(error) is ValueError else f"{type(error).__name__}: "
    return PartitionError(number, name, f"{kind}{error}")


class Pieces:
    """Pieces of the data in the memory of the workers of a cluster.

    Parameters
    ----------
    cluster : Cluster
    names : list of str
        Name of each partition in messages.
    numbers : list of int
        Number of each partition.
    futures : list of Future
        A `Piece` each, in the order of the partitions.
    """

    def __init__(self, cluster: Cluster, names: list[str], numbers: list[int], futures: list):
        self.cluster, self.names, self.numbers, self.futures = cluster, names, numbers, futures

    @classmethod
    def load(cls, cluster: Cluster, sources: list[Source]) -> "Pieces":
        """Let the workers load the partitions."""
        futures = []
        for number, (source, worker) in enumerate(zip(sources, cluster.places(len(sources)))):
            task = source.task
            task = cluster.compute(task, worker) if hasattr(task, "__dask_graph__") else task
            futures.append(cluster.submit(Piece, number, source.name, task, worker=worker))
        return cls(cluster, [source.name for source in sources], list(range(len(sources))), futures)

    def __len__(self):
        return len(self.futures)

    def select(self, kept: list[bool]) -> "Pieces":
        """Pieces for which `kept` is True."""
        lists = ([value for value, k in zip(x, kept) if k] for x in (self.names, self.numbers, self.futures))
        return Pieces(self.cluster, *lists)

    def map(self, function: Callable, *args: Any) -> "Pieces":
        """Pieces ``function(piece, *args)``, which stay on the workers."""
        futures = [
            self.cluster.submit(function, future, *args, worker=worker)
            for future, worker in zip(self.futures, self.cluster.places(len(self)))
        ]
        return Pieces(self.cluster, self.names, self.numbers, futures)

    def release(self) -> None:
        """Let the workers forget the pieces; if they are needed after a fault, the workers compute them again."""
        for future in self.futures:
            future.release()

    def wait(self) -> None:
        """Wait until all pieces are there; the error of a piece names its partition."""
        self._results(self.map(_nothing).futures)

    def gather(self, function: Callable, *args: Any) -> list:
        """Results of ``function(value, *args)`` for all pieces, which have to be small.

        Raises
        ------
        PartitionError
            If a partition cannot be loaded, or the function fails for it.
        """
        return self._results(self.map(Piece.apply, function, *args).futures)

    def _results(self, futures):
        with self.blamed(futures):  # one task collects the results, as each transfer to the client takes milliseconds
            return self.cluster.result(self.cluster.submit(list, futures))

    @contextmanager
    def blamed(self, futures: list) -> Iterator[None]:
        """Within the context, errors are raised as that of the first of some futures that has failed, if any has."""
        try:
            yield
        except Exception:  # a task can raise anything; raised again if no partition is the cause
            self.raise_first(futures)
            raise

    def raise_first(self, futures: list) -> None:
        """Raise the error of the first of some futures, one for each piece, that has failed; none may have failed."""
        for future, number, name in zip(futures, self.numbers, self.names):
            if future.status == "error":
                error = future.exception()
                if isinstance(error, PartitionError):
                    raise error
                raise partition_error(number, name, error) from error

    def reduce(self, add: Callable, function: Callable, *args: Any) -> Any:
        """Add ``function(value, *args)`` over all pieces by ``add(left, right)``, in a fixed order.

        Parameters
        ----------
        add, function : callable
        *args : object
            A Future stands for its result.

        Returns
        -------
        total : Future
            Its result is a dict; `root` returns the sum.
        """
        n, slots = len(self), self.cluster.slots()
        ends = [k * n // len(slots) for k in range(len(slots) + 1)]
        sums = [
            self.cluster.submit(_add_pieces, add, n, start, self.futures[start:end], function, args, worker=worker)
            for start, end, worker in zip(ends, ends[1:], slots)
            if end > start
        ]
        while len(sums) > 1:
            groups = [sums[k : k + FAN_IN] for k in range(0, len(sums), FAN_IN)]
            sums = [self.cluster.submit(_add_sums, add, n, group) for group in groups]
        return sums[0]

    def total(self, function: Callable, sent: list, *args: Any) -> tuple:
        """Sum of the tuples of numbers and arrays ``function(value, *sent, *args)`` over all pieces.

        The objects in `sent`, vectors or a model, are sent to one worker, from which the other workers copy them. If
        that worker dies, they are sent again.
        """
        for _ in range(ATTEMPTS):
            # if the worker to which they were sent has died, the next attempt sends them to another one
            with suppress(CancelledError, OSError), self.blamed(self.futures):
                worker = self.cluster.slots()[0]
                there = self.cluster.send(sent, worker)
                return root(self.cluster.result(self.reduce(add_vectors, function, *there, *args), worker))
        raise RuntimeError(f"workers have died in {ATTEMPTS} evaluations, one after the other; their logs say why")


def root(nodes: dict[tuple[int, int], Any]) -> Any:
    """The sum of all pieces, from the result of `Pieces.reduce`."""
    (total,) = nodes.values()
    return total


def add_vectors(left: tuple, right: tuple) -> tuple:
    """Add numbers and arrays; arrays in `left` that are not read-only are changed in place."""
    return tuple(
        np.add(a, b, out=a) if isinstance(a, np.ndarray) and a.flags.writeable else a + b for a, b in zip(left, right)
    )


def _add_pieces(add, n, start, pieces, function, args):
    """Nodes of the tree for consecutive pieces of `n`, from the number `start`."""
    nodes: dict[tuple[int, int], Any] = {}
    for number, piece in enumerate(pieces, start):
        _climb(nodes, n, (0, number), piece.apply(function, *args), add)
    return _frozen(nodes)


def _add_sums(add, n, sums):
    """Nodes of the tree from those of several tasks."""
    nodes: dict[tuple[int, int], Any] = {}
    for found in sums:
        for node, value in found.items():
            _climb(nodes, n, node, value, add)
    return _frozen(nodes)


def _climb(nodes, n, node, value, add):
    """Insert a node into the tree over `n` leaves, and add siblings as long as both are there."""
    level, number = node
    while (n_nodes := ((n - 1) >> level) + 1) > 1:
        sibling = number ^ 1
        if sibling < n_nodes:
            other = nodes.pop((level, sibling), None)
            if other is None:
                break
            value = add(other, value) if sibling < number else add(value, other)
        level, number = level + 1, number // 2
    nodes[level, number] = value


def _frozen(nodes):
    """Make arrays read-only: a worker that keeps the result may use it in two tasks."""
    for value in nodes.values():
        for array in value:
            if isinstance(array, np.ndarray):
                array.setflags(write=False)
    return nodes


def _nothing(piece):
    return None
