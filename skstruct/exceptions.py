"""Errors about one graph, whose message names the graph; all are ValueErrors."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np


class GraphError(ValueError):
    """An error about one graph of a batch.

    Parameters
    ----------
    graph : int
        Number of the graph.
    problem : str
        The problem and its remedy. The message is "graph 17: " and `problem`.

    Examples
    --------
    >>> from skstruct.exceptions import InfeasibleGraph
    >>> print(InfeasibleGraph(3, "no labelling is allowed"))
    graph 3: no labelling is allowed
    """

    def __init__(self, graph: int, problem: str):
        super().__init__(f"graph {graph}: {problem}")
        self.graph = int(graph)
        self.problem = problem

    def __reduce__(self):  # the default would call the class with the message alone
        return type(self), (self.graph, self.problem)


class UnsupportedTopology(GraphError):
    """An inference backend does not support a graph; raised before scores are read where that is possible."""


class InfeasibleGraph(GraphError):
    """A graph has no allowed labelling, or its scores forbid the given labels."""


class PartitionError(ValueError):
    """An error about one partition of data on a cluster.

    Parameters
    ----------
    partition : int
        Number of the partition.
    name : str
        Name of the partition, such as its folder; may be empty.
    problem : str
        The problem and its remedy.

    Examples
    --------
    >>> from skstruct.exceptions import PartitionError
    >>> print(PartitionError(3, "/data/3", "there are graphs, but no labels y"))
    partition 3 (/data/3): there are graphs, but no labels y
    """

    def __init__(self, partition: int, name: str, problem: str):
        super().__init__(f"partition {partition}{f' ({name})' * bool(name)}: {problem}")
        self.partition, self.name, self.problem = partition, name, problem

    def __reduce__(self):  # the default would call the class with the message alone
        return type(self), (self.partition, self.name, self.problem)


@contextmanager
def numbered_from(first_graph: int) -> Iterator[None]:
    """Within the context, errors about graphs of a slice are raised with their numbers in the whole data.

    Parameters
    ----------
    first_graph : int
        Number of the first graph of the slice.
    """
    try:
        yield
    except GraphError as error:
        raise type(error)(error.graph + first_graph, error.problem) from None


@contextmanager
def numbered_by(graphs: Sequence[int] | np.ndarray) -> Iterator[None]:
    """Within the context, errors about selected graphs are raised with their numbers in the whole data.

    Parameters
    ----------
    graphs : array-like of int
        Numbers of the selected graphs.
    """
    try:
        yield
    except GraphError as error:
        raise type(error)(graphs[error.graph], error.problem) from None
