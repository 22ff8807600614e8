"""One graph: the class `Graph`, and the tuples and dicts that are accepted in its place."""

from typing import Any

import numpy as np

from skstruct.data.graph_libraries import to_networkx
from skstruct.data.html import describe, kind_of_table, row_of_table
from skstruct.data.structure import as_edges
from skstruct.data.tables import as_table, is_frame, is_raw, n_columns, n_rows, tables_equal


class Graph:
    """One graph: features of its nodes, edges, and features of its edges.

    Parameters
    ----------
    node_features : array-like of shape (n_nodes, n_features)
        An array, sparse matrix, data frame, or list of dicts or strings.
    edges : array-like of int of shape (n_edges, 2), default=None
        Pairs of node numbers; None for no edges. An edge is directed as listed.
    edge_features : array-like of shape (n_edges, n_edge_features), default=None
        One row per edge.

    Examples
    --------
    >>> from skstruct import Graph
    >>> Graph([[0.5], [1.5], [2.5]], [(0, 1), (1, 2)])
    Graph(n_nodes=3, n_edges=2)
    """

    # No __len__, __getitem__ or __array__: numpy would convert a list of such objects to an array of more dimensions.
    __slots__ = ("edge_features", "edges", "node_features")
    __hash__ = None  # type: ignore[assignment]  # the way of Python to say that it has no hash

    node_features: Any
    edges: np.ndarray
    edge_features: Any

    def __init__(self, node_features: Any, edges: Any = None, edge_features: Any = None):
        self.node_features = as_table(node_features, "node_features")
        self.edges = as_edges(edges, "edges")
        self.edge_features = None if edge_features is None else as_table(edge_features, "edge_features")

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return n_rows(self.node_features)

    @property
    def n_edges(self) -> int:
        """Number of edges."""
        return len(self.edges)

    def to_networkx(
        self,
        create_using: Any = None,
        node_attributes: str | list[str] = "features",
        edge_attributes: str | list[str] = "features",
    ) -> Any:
        """Convert to a graph of networkx.

        Parameters
        ----------
        create_using : type of networkx graph, default=None
            None: ``networkx.DiGraph``, because edges have a direction.
        node_attributes, edge_attributes : str or list of str, default="features"
            Attributes that contain the features. A list has one name for each column. A single name receives the vector
            of features. Columns of data frames, and dicts, keep their own names.

        Returns
        -------
        networkx graph
            Nodes have the numbers 0, 1, ...; ``networkx.set_node_attributes(graph, dict(enumerate(labels)), "label")``
            adds labels. `GraphDataset.from_networkx` is the way back.

        Raises
        ------
        ValueError
            If an edge is repeated, and `create_using` is no multigraph.

        Examples
        --------
        >>> from skstruct import Graph
        >>> graph = Graph([[0.5, 1.0], [1.5, 2.0]], [(1, 0)]).to_networkx(node_attributes=["mass", "charge"])
        >>> graph.nodes[1], list(graph.edges)
        ({'mass': 1.5, 'charge': 2.0}, [(1, 0)])
        """
        return to_networkx(self, create_using, node_attributes, edge_attributes)

    def __eq__(self, other):
        if not isinstance(other, Graph):
            return NotImplemented
        return (
            np.array_equal(self.edges, other.edges)
            and tables_equal(self.node_features, other.node_features)
            and tables_equal(self.edge_features, other.edge_features)
        )

    def __repr__(self):
        features = "" if self.edge_features is None else f", n_edge_features={n_columns(self.edge_features)}"
        return f"Graph(n_nodes={self.n_nodes}, n_edges={self.n_edges}{features})"

    def _repr_html_(self):
        facts = {
            "nodes": self.n_nodes,
            "edges": self.n_edges,
            "node features": kind_of_table(self.node_features),
            "edge features": kind_of_table(self.edge_features),
        }
        rows = (
            [i, row_of_table(self.node_features, i), ", ".join(map(str, self.edges[self.edges[:, 0] == i, 1]))]
            for i in range(self.n_nodes)
        )
        return describe("Graph", facts, ["node", "features", "edges to"], rows, self.n_nodes)


def _is_node_table(x):
    """Whether `x`, the first item of a tuple, is node features of a graph; a value in a row of a table never is."""
    if isinstance(x, list):
        return is_raw(x) or (len(x) > 0 and isinstance(x[0], list | tuple | np.ndarray))
    return is_frame(x) or getattr(x, "ndim", 0) == 2


def is_one_graph(x: Any) -> bool:
    """Whether `x` is one graph: a Graph, a dict with node features, or a tuple that starts with node features."""
    if isinstance(x, Graph):
        return True
    if isinstance(x, dict):
        return "node_features" in x
    return isinstance(x, tuple) and 1 <= len(x) <= 3 and _is_node_table(x[0])


def graph_fields(graph: Any, number: int) -> tuple:
    """``(node_features, edges, edge_features)`` of item `number` of a list of graphs."""
    if isinstance(graph, Graph):
        return graph.node_features, graph.edges, graph.edge_features
    if isinstance(graph, dict):
        unknown = set(graph) - {"node_features", "edges", "edge_features"}
        if unknown or "node_features" not in graph:
            raise ValueError(
                f"graph {number} is a dict with the keys {sorted(map(str, graph))}; known are "
                "'node_features' (needed), 'edges' and 'edge_features'"
            )
        return graph["node_features"], graph.get("edges"), graph.get("edge_features")
    if isinstance(graph, list | tuple) and 1 <= len(graph) <= 3:
        return (*graph, None, None)[:3]
    size = f" of {len(graph)} items" if isinstance(graph, list | tuple) else ""
    raise TypeError(
        f"graph {number} is a {type(graph).__name__}{size}; pass a Graph, a tuple (node_features, edges[, "
        "edge_features]) or a dict with these keys"
    )
