"""Edges and sizes of a batch of graphs, without features or scores."""

from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from skstruct.data.structure import as_edges, as_offsets, check_edges, check_offsets


def take_ranges(ptr: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the concatenated ranges ``ptr[r]:ptr[r + 1]`` for ``r`` in `rows`, and the offsets of the result."""
    sizes = ptr[rows + 1] - ptr[rows]
    new_ptr = np.concatenate([[0], np.cumsum(sizes)])
    return np.arange(new_ptr[-1]) + np.repeat(ptr[rows] - new_ptr[:-1], sizes), new_ptr


@dataclass(frozen=True, eq=False)
class Topology:
    """The disjoint union of the graphs of a batch. An inference plan depends on nothing else.

    Attributes
    ----------
    edges : ndarray of shape (n_edges, 2), int32
        Node numbers in the union, grouped by graph.
    node_ptr, edge_ptr : ndarray of shape (n_graphs + 1,), intp
        Graph ``g`` has the nodes ``node_ptr[g]:node_ptr[g + 1]`` and the edges ``edge_ptr[g]:edge_ptr[g + 1]``.

    Raises
    ------
    ValueError
        If an edge leaves its graph or joins a node with itself, or if the offsets do not fit. The message names the
        graph and the edge, by numbers within the graph.

    Examples
    --------
    >>> import numpy as np
    >>> from skstruct import Topology
    >>> topology = Topology.from_edges([(0, 1), (1, 2)], n_nodes=4)
    >>> topology.n_nodes, topology.n_edges, topology.n_graphs
    (4, 2, 1)
    """

    edges: np.ndarray
    node_ptr: np.ndarray
    edge_ptr: np.ndarray

    def __post_init__(self):
        edges = as_edges(self.edges, "edges")
        node_ptr, edge_ptr = as_offsets(self.node_ptr, "node_ptr"), as_offsets(self.edge_ptr, "edge_ptr")
        check_offsets(node_ptr, node_ptr[-1], len(node_ptr) - 1, "node_ptr")
        check_offsets(edge_ptr, len(edges), len(node_ptr) - 1, "edge_ptr")
        shift = np.repeat(node_ptr[:-1], np.diff(edge_ptr))
        check_edges(edges - shift[:, None], node_ptr, edge_ptr)
        self.__dict__.update(edges=edges, node_ptr=node_ptr, edge_ptr=edge_ptr)

    @classmethod
    def of_checked(cls, edges: np.ndarray, node_ptr: np.ndarray, edge_ptr: np.ndarray) -> "Topology":
        """Topology of arrays that have been checked before."""
        topology = object.__new__(cls)
        topology.__dict__.update(edges=edges, node_ptr=node_ptr, edge_ptr=edge_ptr)
        return topology

    @classmethod
    def from_edges(cls, edges: Any, n_nodes: int) -> "Topology":
        """One graph with `n_nodes` nodes and the given pairs of node numbers as edges."""
        edges = as_edges(edges, "edges")
        if not isinstance(n_nodes, Integral):
            raise ValueError(f"n_nodes must be an integer >= 0, got {n_nodes!r}")
        return cls(edges, np.array([0, n_nodes]), np.array([0, len(edges)]))

    @property
    def n_nodes(self) -> int:
        """Number of nodes of all graphs."""
        return int(self.node_ptr[-1])

    @property
    def n_edges(self) -> int:
        """Number of edges of all graphs."""
        return len(self.edges)

    @property
    def n_graphs(self) -> int:
        """Number of graphs."""
        return len(self.node_ptr) - 1

    @cached_property
    def node_graph(self) -> np.ndarray:
        """Graph of each node, (n_nodes,)."""
        return np.repeat(np.arange(self.n_graphs), np.diff(self.node_ptr))

    @cached_property
    def edge_graph(self) -> np.ndarray:
        """Graph of each edge, (n_edges,)."""
        return np.repeat(np.arange(self.n_graphs), np.diff(self.edge_ptr))

    @cached_property
    def components(self) -> np.ndarray:
        """Connected component of each node, (n_nodes,), numbered from 0."""
        if not self.n_nodes:
            return np.zeros(0, np.int32)
        i, j = self.edges.T
        adjacency = coo_array((np.ones(self.n_edges, np.int8), (i, j)), shape=(self.n_nodes,) * 2)
        return connected_components(adjacency, directed=False)[1]

    @property
    def pairs(self) -> np.ndarray:
        """Number of the unordered pair of nodes of each edge, (n_edges,); equal for repeated and reversed edges."""
        i, j = self.edges.T
        return np.minimum(i, j).astype(np.int64) * self.n_nodes + np.maximum(i, j)

    @cached_property
    def is_forest(self) -> np.ndarray:
        """Which graphs have no cycle, (n_graphs,); repeated edges between two nodes count as one edge.

        A graph is a forest if it has ``n_nodes - n_components`` edges.
        """
        graph = np.empty(self.components.max(initial=-1) + 1, np.intp)  # of each component
        graph[self.components] = self.node_graph
        n_components = np.bincount(graph, minlength=self.n_graphs)
        n_pairs = np.diff(self.edge_ptr)
        if self.has_repeated_edges:
            one_of_each = np.unique(self.pairs, return_index=True)[1]
            n_pairs = np.bincount(self.edge_graph[one_of_each], minlength=self.n_graphs)
        return n_pairs == np.diff(self.node_ptr) - n_components

    @cached_property
    def has_repeated_edges(self) -> bool:
        """Whether two edges join the same pair of nodes, in either direction."""
        pairs = self.pairs
        if (pairs[1:] > pairs[:-1]).all():  # chains and grids list edges in this order: no sort is needed
            return False
        pairs = np.sort(pairs)  # np.unique uses a hash table, which needs seconds for a million pairs
        return bool((pairs[1:] == pairs[:-1]).any())

    def sum_nodes(self, values: np.ndarray) -> np.ndarray:
        """Sum per-node `values`, (n_nodes, ...), over the nodes of each graph, (n_graphs, ...)."""
        return _segment_sum(values, self.node_ptr)

    def sum_edges(self, values: np.ndarray) -> np.ndarray:
        """Sum per-edge `values`, (n_edges, ...), over the edges of each graph, (n_graphs, ...)."""
        return _segment_sum(values, self.edge_ptr)

    def take(self, graphs: np.ndarray) -> tuple["Topology", np.ndarray, np.ndarray]:
        """Return the batch of the graphs numbered `graphs`, and the numbers of its nodes and edges in this batch."""
        nodes, node_ptr = take_ranges(self.node_ptr, graphs)
        edges, edge_ptr = take_ranges(self.edge_ptr, graphs)
        shift = (node_ptr[:-1] - self.node_ptr[graphs]).astype(np.int32)
        moved = self.edges[edges] + np.repeat(shift, np.diff(edge_ptr))[:, None]
        return Topology.of_checked(moved, node_ptr, edge_ptr), nodes, edges


def _segment_sum(values, ptr):
    """Sums of consecutive segments; ``np.add.reduceat`` is wrong for empty segments, whose sum is 0."""
    out = np.zeros((len(ptr) - 1, *values.shape[1:]), dtype=np.result_type(values, np.float64))
    nonempty = np.flatnonzero(np.diff(ptr))
    if len(nonempty):
        out[nonempty] = np.add.reduceat(values, ptr[nonempty], axis=0)
    return out
