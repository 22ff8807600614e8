"""Where the partitions of the data come from: tasks, folders or Dask bags."""

import os
from functools import partial
from typing import Any, NamedTuple

from skstruct.data.optional import optional_module
from skstruct.io import load_dataset

KINDS = (
    "a list of partitions, each of which is a Delayed or a Future of (X, y[, sample_weight]) or the path of a folder "
    "that skstruct.io.save_dataset has written; or Dask bags of graphs and of their labels"
)


class Source(NamedTuple):
    """A partition before it is loaded.

    Attributes
    ----------
    name : str
        Path, or an empty string.
    task : Delayed or Future
        Result: a tuple ``(X, y[, sample_weight])``, or X alone.
    """

    name: str
    task: Any


def is_partitioned(X: Any) -> bool:
    """Whether the data are partitions for a cluster, and not graphs or a table in memory."""
    if isinstance(X, list | tuple):
        if not X or not _is_partition(X[0]):
            return False
        odd = next((k for k, part in enumerate(X) if not _is_partition(part)), None)
        if odd is not None:
            raise TypeError(f"X[{odd}] is {X[odd]!r:.100}, but X[0] is a partition; X must be {KINDS}")
        return True
    return hasattr(X, "__dask_graph__")


def sources(X: Any, y: Any = None, sample_weight: Any = None) -> list[Source]:
    """Return the partitions of data for which `is_partitioned` is True.

    Parameters
    ----------
    X : list of Delayed, Future or path, or Bag
    y, sample_weight : Bag, default=None
        With the partitions of `X`, if that is a Bag. A partition in a list contains labels and weights itself.
    """
    delayed = optional_module("dask", "dask", "Training on a cluster").delayed
    if isinstance(X, list | tuple):
        if y is not None or sample_weight is not None:
            raise ValueError(
                "y and sample_weight must be None if X is a list of partitions: a partition contains its labels and "
                "weights, as (X, y, sample_weight)"
            )
        # in memory: large mapped features would be prepared again in each evaluation
        load = delayed(partial(load_dataset, mmap_mode=None))
        return [Source(os.fspath(p), load(os.fspath(p))) if _is_path(p) else Source("", p) for p in X]
    bags = [bag for bag in (X, y, sample_weight) if bag is not None]
    bag_type = optional_module("dask.bag", "dask", "Training on a cluster").Bag
    if not all(isinstance(bag, bag_type) for bag in bags):
        raise TypeError(f"X must be {KINDS}; got {bags!r}")
    numbers = [bag.npartitions for bag in bags]
    if len(set(numbers)) > 1:
        raise ValueError(f"X, y and sample_weight must have the same partitions, got bags of {numbers} partitions")
    return [Source("", delayed(_lists)(*parts)) for parts in zip(*(bag.to_delayed() for bag in bags))]


def _is_partition(part):
    return _is_path(part) or _is_task(part)


def _is_path(part):
    return isinstance(part, str | os.PathLike)


def _is_task(part):
    return hasattr(part, "__dask_graph__") or (hasattr(part, "key") and hasattr(part, "client"))


def _lists(*parts):
    """Convert the iterators of the partitions of bags to lists."""
    return tuple(map(list, parts))
