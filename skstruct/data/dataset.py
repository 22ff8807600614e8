"""Graphs as samples: the packed `GraphDataset`."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from skstruct.data import builders, other_formats
from skstruct.data.graph import Graph, graph_fields, is_one_graph
from skstruct.data.graph_libraries import networkx_fields, pyg_fields
from skstruct.data.html import describe, kind_of_table, sizes
from skstruct.data.images import pack_images
from skstruct.data.indexing import check_axis, numpy_namespace, sample_key
from skstruct.data.node_view import NodeView
from skstruct.data.structure import as_edges, as_offsets, check_structure, list_of
from skstruct.data.tables import as_table, join_columns, n_columns, n_rows, take_columns, take_rows
from skstruct.data.topology import Topology, take_ranges


class GraphDataset:
    """Many graphs, packed into a few arrays; a sample is a graph.

    It supports what scikit-learn asks of an array of shape ``(n_graphs, n_features)``. An integer selects a `Graph`.
    Slices, masks and index arrays select a `GraphDataset`; slices are views. ``dataset[:, columns]`` selects
    features. A dataset cannot be changed, but arrays that were passed to it are not copied: writing into such an
    array changes the dataset.

    The usual constructors are `from_graphs`, `from_sequences`, `from_images`, `from_frame`, `from_nodes`,
    `from_networkx`, `from_scipy` and `from_pyg`.

    Parameters
    ----------
    node_features : array-like of shape (n_nodes, n_features)
        Features of the nodes of all graphs, one graph after the other: array, CSR matrix, data frame, or a
        list of dicts or strings.
    edges : array-like of int of shape (n_edges, 2), default=None
        Edges of all graphs, grouped by graph. Nodes are numbered from 0 *within their graph*.
    edge_features : array-like of shape (n_edges, n_edge_features), default=None
        One row per edge.
    node_ptr : array-like of shape (n_graphs + 1,), default=None
        The rows ``node_ptr[g]:node_ptr[g + 1]`` are the nodes of graph ``g``. None: all rows are one graph.
    edge_ptr : array-like of shape (n_graphs + 1,), default=None
        Offsets of the edges of each graph. May be None for a single graph, and without edges.

    Attributes
    ----------
    node_features : ndarray, CSR matrix, data frame or list
        The stacked table.
    edges : ndarray of shape (n_edges, 2), int32
        Local node numbers.
    edge_features : ndarray, CSR matrix, data frame, list or None
        The stacked table.
    node_ptr, edge_ptr : ndarray of shape (n_graphs + 1,), intp
        Offsets.

    Raises
    ------
    ValueError
        If an edge leaves its graph, joins a node with itself or is not a pair of integers, or if sizes differ. The
        message names the graph and the edge.

    Examples
    --------
    >>> from skstruct import GraphDataset
    >>> dataset = GraphDataset.from_graphs([
    ...     ([[1.0], [2.0]], [(0, 1)]),
    ...     ([[3.0], [4.0], [5.0]], [(0, 1), (1, 2)]),
    ... ])
    >>> dataset
    GraphDataset(n_graphs=2, n_nodes=5, n_edges=3, n_features=1)
    >>> dataset[1]
    Graph(n_nodes=3, n_edges=2)
    >>> dataset[[1, 0]].node_ptr
    array([0, 3, 5])
    """

    node_features: Any
    edges: np.ndarray
    edge_features: Any
    node_ptr: np.ndarray
    edge_ptr: np.ndarray

    device = "cpu"

    def __init__(
        self,
        node_features: Any,
        edges: Any = None,
        edge_features: Any = None,
        node_ptr: Any = None,
        edge_ptr: Any = None,
    ):
        node_features = as_table(node_features, "node_features")
        edges = as_edges(edges, "edges")
        if node_ptr is None:
            node_ptr, edge_ptr = [0, n_rows(node_features)], [0, len(edges)]
        elif edge_ptr is None:
            if len(edges):
                raise ValueError("edge_ptr is needed to tell which of the edges belong to which graph")
            edge_ptr = np.zeros(len(as_offsets(node_ptr, "node_ptr")), np.intp)
        if edge_features is not None:
            edge_features = as_table(edge_features, "edge_features")
        node_ptr, edge_ptr = as_offsets(node_ptr, "node_ptr"), as_offsets(edge_ptr, "edge_ptr")
        check_structure(node_features, edges, edge_features, node_ptr, edge_ptr)
        self._set(node_features, edges, edge_features, node_ptr, edge_ptr)

    def _set(self, node_features, edges, edge_features, node_ptr, edge_ptr):
        self.__dict__.update(
            node_features=node_features,
            edges=edges,
            edge_features=edge_features,
            node_ptr=node_ptr,
            edge_ptr=edge_ptr,
        )

    def __setattr__(self, name, value):
        raise AttributeError(
            "a GraphDataset cannot be changed; with_node_features and with_edge_features make new ones"
        )

    def _replace(self, **fields):
        """Return a dataset with some fields replaced; fields are not checked."""
        new = object.__new__(type(self))
        new._set(**{**self.__getstate__(), **fields})
        return new

    # ---- constructors

    @classmethod
    def from_graphs(cls, graphs: Iterable) -> "GraphDataset":
        """Pack graphs.

        Parameters
        ----------
        graphs : iterable of Graph, tuple or dict
            A tuple is ``(node_features, edges)`` or ``(node_features, edges, edge_features)``. A dict has these keys.

        Returns
        -------
        GraphDataset

        Raises
        ------
        ValueError
            If a graph is malformed, or if the tables of the graphs have different columns; the message names the graph.

        Examples
        --------
        >>> from skstruct import GraphDataset
        >>> GraphDataset.from_graphs([{"node_features": [[1, 0], [0, 1]], "edges": [(0, 1)]}])
        GraphDataset(n_graphs=1, n_nodes=2, n_edges=1, n_features=2)
        """
        if is_one_graph(graphs):
            raise TypeError(
                f"got one graph ({type(graphs).__name__}) where a list is needed; pass [graph] for one graph"
            )
        fields = [graph_fields(graph, g) for g, graph in enumerate(list_of("graphs", graphs))]
        return cls(**builders.pack_graphs(fields))

    @classmethod
    def from_sequences(cls, sequences: Iterable) -> "GraphDataset":
        """Make a chain of each sequence: an edge from every item to the next item.

        Parameters
        ----------
        sequences : iterable of tables
            A table is an array or a sparse matrix of shape (length, n_features), a data frame, or a list of dicts or
            strings.

        Returns
        -------
        GraphDataset

        Examples
        --------
        >>> from skstruct import GraphDataset
        >>> GraphDataset.from_sequences([["the", "dog", "sleeps"], ["a", "cat"]])
        GraphDataset(n_graphs=2, n_nodes=5, n_edges=3)
        """
        return cls(**builders.pack_sequences(sequences))

    @classmethod
    def from_images(
        cls,
        images: Iterable,
        connectivity: int = 4,
        contrast: bool = False,
        features: Sequence | None = None,
    ) -> "GraphDataset":
        """Make a grid graph of each image: pixels are nodes, and edges join neighbouring pixels.

        Parameters
        ----------
        images : array of shape (n_images, height, width[, n_channels]), or list of images of any sizes
            Pixels become nodes row by row, in the order of ``image.reshape(-1, n_channels)``. The labels in a mask of
            the shape of the image are therefore ``mask.ravel()``. An array of shape (depth, height, width, n_channels)
            is a volume: write ``volume[..., None]`` if it has no channels.
        connectivity : int, default=4
            Number of neighbours: 4 or 8 in images; 6, 18 or 26 in volumes. Edges go right, then down, then to the next
            plane, and then to diagonal neighbours (down-right and down-left).
        contrast : bool, default=False
            Whether to add two edge features. The first is the constant 1. The second is ``exp(-d / (2 * mean))``, where
            ``d`` is the squared difference of the two pixels, summed over channels, and ``mean`` is the mean of ``d``
            over the edges of the image. The second feature is 1 between equal pixels and near 0 across a strong
            contour. In an image of one colour it is 1 on all edges.
        features : list of arrays, default=None
            Further features of the pixels of each image, of the shape of the image without channels, or with an axis
            of features in their place. They follow the channels, and do not affect the contrast.

        Returns
        -------
        GraphDataset

        Raises
        ------
        ValueError
            If an image is malformed, or if a pixel is NaN or infinite while `contrast` is True.

        See Also
        --------
        skstruct.preprocessing.SuperpixelsToGraphs : for large images.

        Examples
        --------
        >>> import numpy as np
        >>> from skstruct import GraphDataset
        >>> GraphDataset.from_images(np.zeros((10, 4, 5)))
        GraphDataset(n_graphs=10, n_nodes=200, n_edges=310, n_features=1)
        >>> GraphDataset.from_images([np.zeros((2, 4, 5, 1))], connectivity=6)
        GraphDataset(n_graphs=1, n_nodes=40, n_edges=82, n_features=1)
        """
        return cls(**pack_images(images, connectivity, contrast, features))

    @classmethod
    def from_networkx(
        cls, graphs: Iterable, node_attributes: str | list[str], edge_attributes: str | list[str] | None = None
    ) -> "GraphDataset":
        """Read networkx graphs.

        Parameters
        ----------
        graphs : iterable of networkx graphs
            Graphs may be directed or undirected, and may be multigraphs. Nodes are numbered in the order of
            ``graph.nodes``. If labels are in an attribute "label", then `y` is
            ``[list(dict(graph.nodes(data="label")).values()) for graph in graphs]``.
        node_attributes : str or list of str
            Attributes that contain numbers, vectors or strings. Side by side they are the node features. If an
            attribute contains strings, a node is a dict from attributes to values, which `DictVectorizer` in a
            `NodeTransformer` accepts.
        edge_attributes : str or list of str, default=None
            Attributes of edges that become the edge features, in the same way. None: no edge features.

        Returns
        -------
        GraphDataset

        Raises
        ------
        ValueError
            If a node or an edge lacks an attribute.

        See Also
        --------
        Graph.to_networkx : the way back.

        Examples
        --------
        A molecule, as the package pysmiles reads it:

        >>> import networkx as nx
        >>> from skstruct import GraphDataset
        >>> ethanol = nx.Graph()
        >>> for atom, (element, hcount) in enumerate([("C", 3), ("C", 2), ("O", 1)]):
        ...     ethanol.add_node(atom, element=element, hcount=hcount)
        >>> ethanol.add_edges_from([(0, 1, {"order": 1}), (1, 2, {"order": 1})])
        >>> dataset = GraphDataset.from_networkx([ethanol], ["element", "hcount"], "order")
        >>> dataset[0].node_features[2]
        {'element': 'O', 'hcount': 1}
        """
        return cls(**builders.pack_graphs(networkx_fields(graphs, node_attributes, edge_attributes)))

    @classmethod
    def from_pyg(cls, graphs: Iterable, directed: bool | None = None) -> "GraphDataset":
        """Read graphs of PyTorch Geometric: the attributes `x`, `edge_index` and `edge_attr` of its ``Data``.

        Neither PyTorch Geometric nor PyTorch is imported. Labels per node are ``[graph.y for graph in graphs]``.

        Parameters
        ----------
        graphs : iterable of torch_geometric.data.Data
            Tensors or arrays are accepted. Without `edge_attr` there are no edge features.
        directed : bool, default=None
            PyTorch Geometric lists an undirected edge in both directions. False keeps one edge of each pair of nodes,
            the one that is listed first. True keeps all edges, as listed; their scores are added. None keeps all edges,
            and warns if an edge is listed in both directions.

        Returns
        -------
        GraphDataset

        Raises
        ------
        ValueError
            If a graph has no node features, or its edges are malformed.

        Warns
        -----
        UserWarning
            If `directed` is None and an edge is listed in both directions.

        Examples
        --------
        >>> from types import SimpleNamespace
        >>> from skstruct import GraphDataset
        >>> data = SimpleNamespace(x=[[0.0], [1.0], [2.0]], edge_index=[[0, 1, 1, 2], [1, 0, 2, 1]])
        >>> GraphDataset.from_pyg([data], directed=False).edges.tolist()
        [[0, 1], [1, 2]]
        """
        return cls(**builders.pack_graphs(pyg_fields(graphs, directed)))

    @classmethod
    def from_scipy(
        cls, adjacencies: Any, node_features: Any, *, directed: bool = False, weights: bool = False
    ) -> "GraphDataset":
        """Read adjacency matrices.

        Parameters
        ----------
        adjacencies : list of sparse matrices or arrays of shape (n_nodes, n_nodes)
            An entry (i, j) that is not zero is an edge.
        node_features : list of array-like of shape (n_nodes, n_features)
            One table per graph.
        directed : bool, default=False
            Whether (i, j) and (j, i) are two edges. If False, a matrix must be symmetric or triangular, and each edge
            is listed once, as (i, j) with i < j. A matrix of floats counts as symmetric if its entries agree to half of
            their digits.
        weights : bool, default=False
            Whether the entries become an edge feature. If two entries (i, j) and (j, i) are one edge, the feature is
            the entry with i < j.

        Returns
        -------
        GraphDataset

        Raises
        ------
        ValueError
            If an entry is NaN or infinite, or if a matrix is not symmetric; the message names the entry.

        Examples
        --------
        >>> from skstruct import GraphDataset
        >>> path = [[0, 1, 0], [1, 0, 1], [0, 1, 0]]
        >>> GraphDataset.from_scipy([path], [[[0.1], [0.2], [0.3]]])[0].edges.tolist()
        [[0, 1], [1, 2]]
        """
        return cls(**builders.pack_graphs(other_formats.scipy_fields(adjacencies, node_features, directed, weights)))

    @classmethod
    def from_frame(
        cls,
        nodes: Any,
        edges: Any = None,
        *,
        graph: str | None = None,
        node: str | None = None,
        source: str = "source",
        target: str = "target",
        features: list[str] | None = None,
    ) -> "GraphDataset":
        """Read long tables: one row per node, and optionally one row per edge.

        Rows of `nodes` are never reordered: row ``i`` is node ``i`` of the dataset. The labels in a column are
        therefore ``RaggedArray(nodes["label"], dataset.node_ptr)``. Graphs are numbered by first appearance.

        Parameters
        ----------
        nodes : pandas or polars data frame
            The rows of a graph are consecutive.
        edges : pandas or polars data frame, default=None
            None joins each row to the next row of its graph. Otherwise `edges` has the columns `graph`, `source` and
            `target`, and all other columns are edge features. Edges are sorted by graph; the edges of a graph keep
            their order.
        graph : str, default=None
            Column of both tables that identifies the graph. None: all rows are one graph.
        node : str, default=None
            Column of `nodes` with the names of nodes, to which `source` and `target` refer. Names are unique within a
            graph. None: `source` and `target` are numbers of rows within the graph, from 0.
        source, target : str
            Columns of `edges`.
        features : list of str, default=None
            Columns of `nodes` that are features. None: all columns except `graph` and `node`. This includes a column of
            labels: name the features if there is one.

        Returns
        -------
        GraphDataset
            Features stay data frames, so that columns keep their names and types.

        Raises
        ------
        ValueError
            If a column is missing, the rows of a graph are not consecutive, an edge names an unknown node, or a row has
            no value in a column that identifies graphs or nodes.

        Examples
        --------
        >>> import pandas as pd
        >>> from skstruct import GraphDataset, RaggedArray
        >>> words = pd.DataFrame({
        ...     "sentence": [7, 7, 9], "length": [3.0, 5.0, 2.0], "label": ["N", "V", "N"]})
        >>> dataset = GraphDataset.from_frame(words, graph="sentence", features=["length"])
        >>> dataset, RaggedArray(words["label"], dataset.node_ptr)[0].tolist()
        (GraphDataset(n_graphs=2, n_nodes=3, n_edges=1, n_features=1), ['N', 'V'])

        One graph, whose edges are a table too:

        >>> papers = pd.DataFrame({"id": ["p", "q", "r"], "year": [2019, 2021, 2020]})
        >>> citations = pd.DataFrame({"source": ["q", "r"], "target": ["p", "p"]})
        >>> GraphDataset.from_frame(papers, citations, node="id")
        GraphDataset(n_graphs=1, n_nodes=3, n_edges=2, n_features=1)
        """
        return cls(**other_formats.pack_frame(nodes, edges, graph, node, source, target, features))

    @classmethod
    def from_nodes(cls, X: Any) -> "GraphDataset":
        """Make a graph with one node of every row of a table.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            An array, sparse matrix, data frame, or list of dicts or strings.

        Returns
        -------
        GraphDataset

        Examples
        --------
        >>> from skstruct import GraphDataset
        >>> GraphDataset.from_nodes([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
        GraphDataset(n_graphs=3, n_nodes=3, n_edges=0, n_features=2)
        """
        X = as_table(X, "X")
        return cls(X, node_ptr=np.arange(n_rows(X) + 1))

    # ---- sizes

    @property
    def n_graphs(self) -> int:
        """Number of graphs."""
        return len(self.node_ptr) - 1

    @property
    def n_nodes(self) -> int:
        """Number of nodes of all graphs."""
        return int(self.node_ptr[-1])

    @property
    def n_edges(self) -> int:
        """Number of edges of all graphs."""
        return len(self.edges)

    def __len__(self) -> int:
        return self.n_graphs

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n_graphs, n_features)``, or ``(n_graphs,)`` where the nodes are a list of dicts or strings."""
        columns = n_columns(self.node_features)
        return (len(self),) if columns is None else (len(self), columns)

    @property
    def ndim(self) -> int:
        """Length of `shape`."""
        return len(self.shape)

    @cached_property
    def topology(self) -> Topology:
        """The edges with node numbers in the union of all graphs, and the offsets: a `Topology`."""
        shift = np.repeat(self.node_ptr[:-1], np.diff(self.edge_ptr)).astype(np.int32)
        return Topology.of_checked(self.edges + shift[:, None], self.node_ptr, self.edge_ptr)

    @property
    def nodes(self) -> NodeView:
        """The same data with *nodes* as samples: a `NodeView`, whose selections cut the graphs."""
        return NodeView(self)

    @property
    def nodes_whole(self) -> NodeView:
        """The same data with *nodes* as samples: a `NodeView`, whose selections keep the graphs whole."""
        return NodeView(self, whole=True)

    # ---- selection

    def __iter__(self) -> Iterator[Graph]:
        return (self[g] for g in range(len(self)))

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, tuple) and len(key) == 2 and key[1] is not Ellipsis:
            rows = self if isinstance(key[0], slice) and key[0] == slice(None) else self[key[0]]
            if isinstance(rows, Graph):
                return Graph(take_columns(rows.node_features, key[1]), rows.edges, rows.edge_features)
            return rows.select_features(key[1])
        key = sample_key(key, len(self), "graphs")
        if isinstance(key, int):
            return Graph(*self._rows(slice(key, key + 1))[:3])
        names = ("node_features", "edges", "edge_features", "node_ptr", "edge_ptr")
        return self._replace(**dict(zip(names, self._rows(key))))

    def _rows(self, key):
        """Fields of the graphs selected by a slice or an array of numbers."""
        (nodes, node_ptr), (edges, edge_ptr) = (_select_ranges(ptr, key) for ptr in (self.node_ptr, self.edge_ptr))
        edge_features = None if self.edge_features is None else take_rows(self.edge_features, edges)
        return take_rows(self.node_features, nodes), self.edges[edges], edge_features, node_ptr, edge_ptr

    def take(self, indices: Any, axis: int = 0) -> "GraphDataset":
        """Select graphs (``axis=0``) or node features (``axis=1``).

        Parameters
        ----------
        indices : array-like of int
            Numbers of graphs or features, repeats allowed.
        axis : {0, 1}, default=0
            What to select.

        Returns
        -------
        GraphDataset
        """
        check_axis(axis, (0, 1), "0 (graphs) or 1 (node features)")
        return self.select_features(indices) if axis == 1 else self[indices]

    def select_features(self, columns: Any) -> "GraphDataset":
        """Keep some of the node features.

        Parameters
        ----------
        columns : array-like of int, mask, slice, or list of str
            Positions, or names of the columns of a data frame.

        Returns
        -------
        GraphDataset
        """
        return self._replace(node_features=take_columns(self.node_features, columns))

    def with_node_features(self, x: Any) -> "GraphDataset":
        """Return the same graphs with other node features.

        Parameters
        ----------
        x : array-like of shape (n_nodes, n_features)
            One row per node, in the same order.

        Returns
        -------
        GraphDataset

        Raises
        ------
        ValueError
            If the number of rows is not `n_nodes`.
        """
        x = as_table(x, "node_features")
        if n_rows(x) != self.n_nodes:
            raise ValueError(f"node_features has {n_rows(x)} rows but the dataset has {self.n_nodes} nodes")
        return self._replace(node_features=x)

    def with_edge_features(self, f: Any) -> "GraphDataset":
        """Return the same graphs with other edge features.

        Parameters
        ----------
        f : array-like of shape (n_edges, n_edge_features) or None
            One row per edge, in the same order; None for no edge features.

        Returns
        -------
        GraphDataset

        Raises
        ------
        ValueError
            If the number of rows is not `n_edges`.
        """
        f = None if f is None else as_table(f, "edge_features")
        if f is not None and n_rows(f) != self.n_edges:
            raise ValueError(f"edge_features has {n_rows(f)} rows but the dataset has {self.n_edges} edges")
        return self._replace(edge_features=f)

    def without_edges(self) -> "GraphDataset":
        """Return the same graphs with their nodes only.

        Returns
        -------
        GraphDataset
            It has as many edge features, if there are edge features, so that a feature map has the same parameters.
        """
        f = None if self.edge_features is None else take_rows(self.edge_features, slice(0, 0))
        return self._replace(edges=self.edges[:0], edge_features=f, edge_ptr=np.zeros_like(self.edge_ptr))

    # ---- array protocols

    def __array__(self, dtype=None, copy=None):
        raise TypeError(
            "a GraphDataset cannot be converted to an array, as its edges would be lost. Wrap transformers "
            "of tables in NodeTransformer(...), use X.nodes for tools that need nodes as samples, or "
            "X.node_features for the plain table"
        )

    def __array_function__(self, func, types, args, kwargs):
        name = func.__name__
        axis = kwargs.get("axis", args[1] if len(args) > 1 else 0)
        if name == "take" and args[0] is self:
            return self.take(*args[1:], **kwargs)
        if name not in ("hstack", "concatenate", "concat") or not all(isinstance(d, GraphDataset) for d in args[0]):
            return NotImplemented
        if name == "hstack" or axis == 1:
            return _join_features(list(args[0]))
        return type(self)(**builders.append_datasets(list(args[0]))) if axis == 0 else NotImplemented

    def __array_namespace__(self, api_version=None):
        return numpy_namespace()

    # ---- copies

    def copy(self) -> "GraphDataset":
        """Return the dataset itself, which cannot be changed."""
        return self

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def __getstate__(self):
        # without the cached topology: joblib.Memory finds results by the pickle, which must not depend on earlier calls
        return {key: value for key, value in self.__dict__.items() if key != "topology"}

    def __setstate__(self, state):
        self.__dict__.update(state)

    def __repr__(self):
        features = "".join(
            f", {name}={n_columns(table)}"
            for name, table in (("n_features", self.node_features), ("n_edge_features", self.edge_features))
            if table is not None and n_columns(table) is not None
        )
        return f"GraphDataset(n_graphs={len(self)}, n_nodes={self.n_nodes}, n_edges={self.n_edges}{features})"

    def _repr_html_(self):
        facts = {
            "graphs": len(self),
            "nodes": sizes(self.node_ptr),
            "edges": sizes(self.edge_ptr),
            "node features": kind_of_table(self.node_features),
            "edge features": kind_of_table(self.edge_features),
        }
        rows = ([g, *counts] for g, counts in enumerate(zip(np.diff(self.node_ptr), np.diff(self.edge_ptr))))
        return describe("GraphDataset", facts, ["graph", "nodes", "edges"], rows, len(self))


def _select_ranges(ptr, graphs):
    """Rows of the graphs selected by a slice or an array of numbers, and their offsets; for a slice, also a slice."""
    if not isinstance(graphs, slice):
        return take_ranges(ptr, graphs)
    selected = ptr[graphs.start : graphs.stop + 1]
    return slice(selected[0], selected[-1]), selected - selected[0]


def _join_features(datasets):
    """Node features of the same graphs side by side."""
    first = datasets[0]
    for other in datasets[1:]:
        if not (
            np.array_equal(first.node_ptr, other.node_ptr)
            and np.array_equal(first.edge_ptr, other.edge_ptr)
            and np.array_equal(first.edges, other.edges)
        ):
            raise ValueError("features can only be joined for the same graphs with the same edges")
    return first._replace(node_features=join_columns([d.node_features for d in datasets]))
