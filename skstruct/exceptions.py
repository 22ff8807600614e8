"""Errors that name the graph they are about; all are ValueErrors."""

from contextlib import contextmanager


class GraphError(ValueError):
    """Something is wrong with one graph of a batch.

    Parameters
    ----------
    graph : int
        Number of the graph.
    problem : str
        What is wrong with it and what to do, to follow "graph 17: ".

    Examples
    --------
    >>> from skstruct.exceptions import InfeasibleGraph
    >>> print(InfeasibleGraph(3, "no labelling is allowed"))
    graph 3: no labelling is allowed
    """

    def __init__(self, graph, problem):
        super().__init__(f"graph {graph}: {problem}")
        self.graph = int(graph)
        self.problem = problem

    def __reduce__(self):
        return type(self), (self.graph, self.problem)


class UnsupportedTopology(GraphError):
    """An inference backend cannot take a graph; raised before any score is looked at where that is possible."""


class InfeasibleGraph(GraphError):
    """A graph has no allowed labelling, or the labels given for it are forbidden by its scores."""


@contextmanager
def numbered_from(first_graph):
    """Within the context, errors about graphs of a part are raised with their numbers in the whole."""
    try:
        yield
    except GraphError as error:
        raise type(error)(error.graph + first_graph, error.problem) from None


@contextmanager
def numbered_by(graphs):
    """Within the context, errors about selected graphs are raised with their numbers in the whole."""
    try:
        yield
    except GraphError as error:
        raise type(error)(graphs[error.graph], error.problem) from None
