"""Graphs as samples: the packed `GraphDataset`."""

from functools import cached_property
from typing import Any

import numpy as np

from skstruct.data import builders
from skstruct.data.graph import Graph, graph_parts, is_bare_graph
from skstruct.data.indexing import numpy_namespace, sample_key
from skstruct.data.node_view import NodeView
from skstruct.data.tables import as_table, join_columns, n_columns, n_rows, take_columns, take_rows
from skstruct.data.topology import Topology, take_ranges


class GraphDataset:
    """Many graphs, packed into a few arrays; a sample is a graph.

    To scikit-learn it looks like an array of shape ``(n_graphs, n_features)``: ``len``, integers (a `Graph`),
    slices, masks and index arrays (a `GraphDataset`; slices are views), and ``dataset[:, columns]`` for
    features. It cannot be changed, except that whoever writes into an array that was passed in writes into
    the dataset too.

    Usually made by one of the constructors: `from_graphs`, `from_sequences`, `from_images`, `from_networkx`,
    `from_scipy`, `from_frame`, `from_nodes`.

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
        Graph ``g`` owns the node rows ``node_ptr[g]:node_ptr[g + 1]``. None: all rows are one graph.
    edge_ptr : array-like of shape (n_graphs + 1,), default=None
        The same for edges. May be None for a single graph, and without edges.

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
        If an edge leaves its graph, joins a node with itself or is no pair of integers, or if sizes disagree.
        The message names the graph and the edge.

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

    def __init__(self, node_features, edges=None, edge_features=None, node_ptr=None, edge_ptr=None):
        node_features = as_table(node_features, "node_features")
        edges = builders.as_edges(edges, "edges")
        if node_ptr is None:
            node_ptr, edge_ptr = [0, n_rows(node_features)], [0, len(edges)]
        elif edge_ptr is None:
            if len(edges):
                raise ValueError("edge_ptr is needed to tell which of the edges belong to which graph")
            edge_ptr = np.zeros(len(node_ptr), np.intp)
        if edge_features is not None:
            edge_features = as_table(edge_features, "edge_features")
        node_ptr, edge_ptr = builders.as_offsets(node_ptr, "node_ptr"), builders.as_offsets(edge_ptr, "edge_ptr")
        builders.check_structure(node_features, edges, edge_features, node_ptr, edge_ptr)
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
        """Return a dataset with some fields replaced and none of them checked again."""
        new = object.__new__(type(self))
        new._set(**{**self.__getstate__(), **fields})
        return new

    # ---- constructors

    @classmethod
    def from_graphs(cls, graphs):
        """Pack graphs.

        Parameters
        ----------
        graphs : iterable
            Of `Graph`, of tuples ``(node_features, edges)`` or ``(node_features, edges, edge_features)``, or
            of dicts with these keys.

        Returns
        -------
        GraphDataset

        Raises
        ------
        ValueError
            If the graphs do not fit together or one is malformed; the message names it.

        Examples
        --------
        >>> from skstruct import GraphDataset
        >>> GraphDataset.from_graphs([{"node_features": [[1, 0], [0, 1]], "edges": [(0, 1)]}])
        GraphDataset(n_graphs=1, n_nodes=2, n_edges=1, n_features=2)
        """
        if is_bare_graph(graphs):
            raise TypeError(
                f"got one graph ({type(graphs).__name__}) where a list is needed; pass [graph] for one graph"
            )
        return cls(**builders.pack_graphs([graph_parts(graph, g) for g, graph in enumerate(graphs)]))

    @classmethod
    def from_sequences(cls, sequences):
        """Make a chain of each sequence: an edge from every item to the next.

        Parameters
        ----------
        sequences : iterable
            Of arrays or sparse matrices of shape (length, n_features), data frames, or lists of dicts or
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
    def from_images(cls, images, connectivity=4, contrast=False):
        """Make a grid graph of each image: pixels are nodes, neighbouring pixels are joined.

        Parameters
        ----------
        images : array of shape (n_images, height, width[, n_channels]), or list of images of any sizes
            Pixels become nodes row by row, as ``image.reshape(-1, n_channels)`` orders them; labels of an
            image are ``mask.ravel()``.
        connectivity : {4, 8}, default=4
            8 adds the diagonal neighbours. Edges go right, then down, then down-right and down-left.
        contrast : bool, default=False
            Adds two edge features: a constant 1, and ``exp(-d / (2 * mean))`` where ``d`` is the squared
            difference of the two pixels, summed over channels, and ``mean`` its mean over the edges of the
            image. The second is 1 between equal pixels and near 0 across a strong contour (1 everywhere in an
            image of one colour).

        Returns
        -------
        GraphDataset

        Raises
        ------
        ValueError
            If an image is malformed, or if a pixel is NaN or infinite while `contrast` is True.

        Examples
        --------
        >>> import numpy as np
        >>> from skstruct import GraphDataset
        >>> GraphDataset.from_images(np.zeros((10, 4, 5)))
        GraphDataset(n_graphs=10, n_nodes=200, n_edges=310, n_features=1)
        """
        return cls(**builders.pack_images(images, connectivity, contrast))

    @classmethod
    def from_networkx(cls, graphs, node_attributes, edge_attributes=None):
        """Read networkx graphs.

        Parameters
        ----------
        graphs : iterable of networkx graphs
            Directed or not, also multigraphs. Nodes are numbered in the order of ``graph.nodes``: labels in
            an attribute "label" are ``[list(dict(graph.nodes(data="label")).values()) for graph in graphs]``.
        node_attributes : str or list of str
            Attributes that hold numbers or vectors; they become the node features, side by side.
        edge_attributes : str or list of str, default=None
            The same for edges.

        Returns
        -------
        GraphDataset

        Raises
        ------
        ValueError
            If a node or an edge lacks an attribute.
        """
        return cls(**builders.pack_graphs(builders.networkx_parts(graphs, node_attributes, edge_attributes)))

    @classmethod
    def from_scipy(cls, adjacencies, node_features, *, directed=False, weights=False):
        """Read adjacency matrices.

        Parameters
        ----------
        adjacencies : list of sparse matrices or arrays of shape (n_nodes, n_nodes)
            Entry (i, j), if not zero, is an edge.
        node_features : list of array-like of shape (n_nodes, n_features)
            One table per graph.
        directed : bool, default=False
            Whether (i, j) and (j, i) are two edges. If False, a matrix must be symmetric or triangular, and each edge
            is listed once, as (i, j) with i < j. Rounding errors do not count: floats may differ by half of their
            digits.
        weights : bool, default=False
            Whether the entries become an edge feature. Of two entries (i, j) and (j, i) that are one edge, the one
            with i < j does.

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
        return cls(**builders.pack_graphs(builders.scipy_parts(adjacencies, node_features, directed, weights)))

    @classmethod
    def from_frame(cls, nodes, edges=None, *, graph, node=None, source="source", target="target", features=None):
        """Read long tables: one row per node, and optionally one row per edge.

        Rows of `nodes` are never reordered: row ``i`` is node ``i`` of the dataset, so the labels in a column
        are ``RaggedArray(nodes["label"], dataset.node_ptr)``. Graphs are numbered by first appearance.

        Parameters
        ----------
        nodes : pandas or polars data frame
            The rows of a graph stand together.
        edges : pandas or polars data frame, default=None
            None joins each row to the next one of its graph. Otherwise it has the columns `graph`, `source`
            and `target`; all others are edge features. Edges are put in the order of the graphs, else in that
            of rows.
        graph : str
            Column of both tables that tells the graph.
        node : str, default=None
            Column of `nodes` with the names, unique within a graph, by which `source` and `target` refer to
            nodes. None: they are numbers of rows within the graph, from 0.
        source, target : str
            Columns of `edges`.
        features : list of str, default=None
            Columns of `nodes` that are features. None: all but `graph` and `node`; leave the label out.

        Returns
        -------
        GraphDataset
            Features stay data frames, so that columns keep their names and types.

        Raises
        ------
        ValueError
            If a column is missing, the rows of a graph are scattered, an edge names an unknown node, or a row has no
            value in a column that identifies graphs or nodes.

        Examples
        --------
        >>> import pandas as pd
        >>> from skstruct import GraphDataset, RaggedArray
        >>> words = pd.DataFrame({
        ...     "sentence": [7, 7, 9], "length": [3.0, 5.0, 2.0], "label": ["N", "V", "N"]})
        >>> dataset = GraphDataset.from_frame(words, graph="sentence", features=["length"])
        >>> dataset, RaggedArray(words["label"], dataset.node_ptr)[0].tolist()
        (GraphDataset(n_graphs=2, n_nodes=3, n_edges=1, n_features=1), ['N', 'V'])
        """
        return cls(**builders.pack_frame(nodes, edges, graph, node, source, target, features))

    @classmethod
    def from_nodes(cls, X):
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
    def n_graphs(self):
        """Number of graphs."""
        return len(self.node_ptr) - 1

    @property
    def n_nodes(self):
        """Number of nodes of all graphs."""
        return int(self.node_ptr[-1])

    @property
    def n_edges(self):
        """Number of edges of all graphs."""
        return len(self.edges)

    def __len__(self):
        return self.n_graphs

    @property
    def shape(self):
        """``(n_graphs, n_features)``, or ``(n_graphs,)`` where the nodes are a list of dicts or strings."""
        columns = n_columns(self.node_features)
        return (len(self),) if columns is None else (len(self), columns)

    @property
    def ndim(self):
        """Length of `shape`."""
        return len(self.shape)

    @cached_property
    def topology(self):
        """The edges with node numbers in the union of all graphs, and the offsets: a `Topology`."""
        shift = np.repeat(self.node_ptr[:-1], np.diff(self.edge_ptr)).astype(np.int32)
        return Topology(self.edges + shift[:, None], self.node_ptr, self.edge_ptr)

    @property
    def nodes(self):
        """The same data with *nodes* as samples: a `NodeView`."""
        return NodeView(self)

    # ---- selection

    def __iter__(self):
        return (self[g] for g in range(len(self)))

    def __getitem__(self, key):
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
        if isinstance(key, slice):
            node_ptr, edge_ptr = (
                self.node_ptr[key.start : key.stop + 1],
                self.edge_ptr[key.start : key.stop + 1],
            )
            nodes, edges = slice(node_ptr[0], node_ptr[-1]), slice(edge_ptr[0], edge_ptr[-1])
            node_ptr, edge_ptr = node_ptr - node_ptr[0], edge_ptr - edge_ptr[0]
        else:
            nodes, node_ptr = take_ranges(self.node_ptr, key)
            edges, edge_ptr = take_ranges(self.edge_ptr, key)
        edge_features = None if self.edge_features is None else take_rows(self.edge_features, edges)
        return take_rows(self.node_features, nodes), self.edges[edges], edge_features, node_ptr, edge_ptr

    def take(self, indices, axis=0):
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
        if axis not in (0, 1):
            raise ValueError(f"axis must be 0 (graphs) or 1 (node features), got {axis!r}")
        return self.select_features(indices) if axis == 1 else self[indices]

    def select_features(self, columns):
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

    def with_node_features(self, x):
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

    def with_edge_features(self, f):
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

    def copy(self):
        """Return the dataset itself: it cannot be changed."""
        return self

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def __getstate__(self):
        # what is cached in the instance must not change a pickle, or joblib.Memory would miss
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
