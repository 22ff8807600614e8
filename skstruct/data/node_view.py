"""Nodes as samples: a view of a GraphDataset for the tools that need one label per sample."""

from typing import Any

import numpy as np

from skstruct.data.indexing import check_axis, numpy_namespace, sample_key
from skstruct.data.tables import column, is_frame, n_columns, take_columns, take_rows, with_column


class NodeView:
    """The graphs of a dataset with *nodes* as samples, for scikit-learn tools that need flat labels.

    There are two kinds, which differ in what a selection of samples does to the graphs:

    * ``dataset.nodes`` cuts the graphs. A selection contains the induced sub-graphs: the selected nodes, and the edges
      between them. Split such a view by graph, with ``GroupKFold`` and ``groups=view.groups``. Other splits cut edges.
      `lost_edges` counts them, and estimators warn about them.
    * ``dataset.nodes_whole`` keeps the graphs whole. Nodes that are not selected stay in their graphs without a label:
      ``fit`` hides their labels, and queries return values of the selected nodes only. Any split is possible,
      also inside a graph (transductive learning). `n_edges` does not change.

    Parameters
    ----------
    dataset : GraphDataset
        The graphs.
    order : ndarray of shape (n_samples,), default=None
        Number of the node of each sample; None for all nodes in order. Repeats are allowed, so that bootstrap samples
        work.
    lost_edges : int, default=0
        Number of edges that were cut by the selections that led to this view.
    whole : bool, default=False
        Whether a selection of samples keeps the graphs whole. By default it cuts them, which is right for graphs that
        are independent of each other.

    Attributes
    ----------
    dataset, order, lost_edges, whole :
        As passed.

    Examples
    --------
    >>> from skstruct import GraphDataset
    >>> dataset = GraphDataset.from_sequences([[[1.0], [2.0], [3.0]], [[4.0], [5.0]]])
    >>> view = dataset.nodes
    >>> view.shape, view.groups
    ((5, 1), array([0, 0, 0, 1, 1]))
    >>> view[:2]
    NodeView(n_samples=2, n_edges=1, lost_edges=1)
    >>> dataset.nodes_whole[:2]
    NodeView(n_samples=2, n_nodes=5, n_edges=3, whole=True)
    """

    device = "cpu"
    ndim = 2

    dataset: Any  # a GraphDataset, whose module imports this one
    order: np.ndarray | None
    lost_edges: int
    whole: bool

    def __init__(self, dataset: Any, order: np.ndarray | None = None, lost_edges: int = 0, whole: bool = False):
        self.dataset = dataset
        self.order = order
        self.lost_edges = lost_edges
        self.whole = whole

    def __len__(self) -> int:
        return self.dataset.n_nodes if self.order is None else len(self.order)

    @property
    def shape(self) -> tuple[int, int | None]:
        """``(n_samples, n_features)``."""
        return (len(self), n_columns(self.dataset.node_features))

    @property
    def groups(self) -> np.ndarray:
        """Number of the graph of each sample, (n_samples,), for the splitters that keep groups together."""
        return self.gather(self.dataset.topology.node_graph)

    @property
    def selected(self) -> np.ndarray:
        """Whether each node of `dataset` is a sample, (n_nodes,). All nodes are, except in a view of whole graphs."""
        if self.order is None:
            return np.ones(self.dataset.n_nodes, bool)
        return np.isin(np.arange(self.dataset.n_nodes), self.order)

    @property
    def node_features(self) -> Any:
        """Features of the samples, a table of `shape`."""
        x = self.dataset.node_features
        return x if self.order is None else take_rows(x, self.order)

    def gather(self, values: np.ndarray) -> np.ndarray:
        """Bring values of the nodes of the dataset into the order of the samples.

        Parameters
        ----------
        values : ndarray of shape (n_nodes, ...)
            One row per node of `dataset`.

        Returns
        -------
        ndarray of shape (n_samples, ...)
        """
        return values if self.order is None else values[self.order]

    def scatter(self, y: Any, sample_weight: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray | None]:
        """Bring labels of the samples into the order of the nodes, and add the weights of repeated samples.

        Parameters
        ----------
        y : ndarray of shape (n_samples,)
            Labels.
        sample_weight : ndarray of shape (n_samples,), default=None
            None weights each sample 1.

        Returns
        -------
        y : ndarray of shape (n_nodes,)
            Label of each node of `dataset`. Nodes that are not `selected` have any value of the type of the labels.
        sample_weight : ndarray of shape (n_nodes,) or None
            None if it was None and no sample is repeated. 0 for nodes that are not `selected`.

        Raises
        ------
        ValueError
            If the lengths differ, or if a repeated node has different labels.
        """
        y = np.asarray(y)
        if len(y) != len(self):
            raise ValueError(f"Found input variables with inconsistent numbers of samples: [{len(self)}, {len(y)}]")
        if self.order is None:
            return y, sample_weight
        n_nodes = self.dataset.n_nodes
        labels = np.zeros(n_nodes, y.dtype)
        labels[self.order] = y
        kept = labels[self.order]
        if ((kept != y) & ((kept == kept) | (y == y))).any():  # NaN differs from itself, and can mean a missing label
            raise ValueError("a node that is repeated in a NodeView has different labels")
        if sample_weight is None and len(self.order) == self.selected.sum():
            return labels, None
        return labels, np.bincount(self.order, weights=sample_weight, minlength=n_nodes).astype(np.float64)

    def __getitem__(self, key: Any) -> Any:
        key = sample_key(key, len(self), "nodes")
        if isinstance(key, int):
            return take_rows(self.node_features, slice(key, key + 1))
        chosen = np.arange(len(self))[key] if isinstance(key, slice) else key
        chosen = chosen if self.order is None else self.order[chosen]
        if self.whole:
            return type(self)(self.dataset, chosen, whole=True)
        kept, order = np.unique(chosen, return_inverse=True)
        dataset, cut = _induced(self.dataset, kept)
        in_order = len(order) == len(kept) and (order == np.arange(len(kept))).all()
        return type(self)(dataset, None if in_order else order, self.lost_edges + cut)

    def take(self, indices: Any, axis: int = 0) -> "NodeView":
        """Select samples, as ``self[indices]`` does.

        Parameters
        ----------
        indices : array-like of int
            Numbers of samples, repeats allowed.
        axis : {0, 1}, default=0
            1 selects features instead.

        Returns
        -------
        NodeView
        """
        check_axis(axis, (0, 1), "0 (samples) or 1 (features)")
        if axis == 1:
            return self.with_dataset(self.dataset.select_features(indices))
        return self[indices]

    def with_dataset(self, dataset: Any) -> "NodeView":
        """Return the same samples of another dataset.

        Parameters
        ----------
        dataset : GraphDataset
            The same graphs with other features.

        Returns
        -------
        NodeView
        """
        return type(self)(dataset, self.order, self.lost_edges, self.whole)

    # ---- array protocols

    def __array__(self, dtype=None, copy=None):
        raise TypeError(
            "a NodeView cannot be converted to an array, as its edges would be lost; use .node_features "
            "for the plain table, or NodeTransformer(...) for transformers of tables"
        )

    def __array_function__(self, func, types, args, kwargs):
        name = func.__name__
        if name == "take" and args[0] is self:
            return self.take(*args[1:], **kwargs)
        axis = 1 if name == "hstack" else kwargs.get("axis", args[1] if len(args) > 1 else 0)
        if name not in ("hstack", "concatenate", "concat") or axis != 1:
            return NotImplemented
        if not all(isinstance(view, NodeView) and view.whole == self.whole for view in args[0]):
            return NotImplemented
        if not all(_is_same(view.order, self.order) for view in args[0]):
            return NotImplemented
        return self.with_dataset(np.hstack([view.dataset for view in args[0]]))

    def __array_namespace__(self, api_version=None):
        return numpy_namespace()

    # ---- what sklearn.inspection.permutation_importance reads and sets in a data frame

    @property
    def iloc(self) -> "_ByPosition":
        """Selection by position: ``view.iloc[samples]`` or, for one feature, ``view.iloc[samples, j]``."""
        return _ByPosition(self)

    loc = iloc
    index = None

    @property
    def columns(self) -> list:
        """Names of the features, their numbers if they have no names."""
        x = self.dataset.node_features
        return list(x.columns) if is_frame(x) else list(range(n_columns(x)))

    def __setitem__(self, name, values):
        x = self.dataset.node_features
        j = self.columns.index(name)
        new = column(x, j)
        new[slice(None) if self.order is None else self.order] = values
        self.dataset = self.dataset.with_node_features(with_column(x, j, new))

    def copy(self) -> "NodeView":
        """Return a view whose features can be set without changing this view."""
        return self.with_dataset(self.dataset)

    def __repr__(self):
        if self.whole:
            n_nodes, n_edges = self.dataset.n_nodes, self.dataset.n_edges
            return f"NodeView(n_samples={len(self)}, n_nodes={n_nodes}, n_edges={n_edges}, whole=True)"
        return f"NodeView(n_samples={len(self)}, n_edges={self.dataset.n_edges}, lost_edges={self.lost_edges})"


def _is_same(order, other):
    """Whether two orders are equal; None equals None only."""
    return np.array_equal(order, other)


class _Column(np.ndarray):
    """A column of features whose `index` can be set, like the index of a pandas Series."""

    index = None


class _ByPosition:
    def __init__(self, view):
        self.view = view

    def __getitem__(self, key):
        if not isinstance(key, tuple) or key[-1] is Ellipsis:
            return self.view[key]
        rows, columns = key
        if np.ndim(columns) or isinstance(columns, slice):
            view = self.view.copy()
            view.dataset = view.dataset.with_node_features(take_columns(view.dataset.node_features, columns))
            return view[rows]
        return column(self.view.node_features, columns)[rows].view(_Column)


def _induced(dataset, kept):
    """Sub-graphs induced by the nodes `kept` (sorted), without empty sub-graphs, and the number of edges cut."""
    topology = dataset.topology
    new_number = np.full(topology.n_nodes, -1, np.int32)
    new_number[kept] = np.arange(len(kept), dtype=np.int32)
    ends = new_number[topology.edges]  # (n_edges, 2), -1 where dropped
    inside = (ends >= 0).all(axis=1)
    cut = int((ends >= 0).any(axis=1).sum() - inside.sum())
    graphs, sizes = np.unique(topology.node_graph[kept], return_counts=True)
    node_ptr = np.concatenate([[0], np.cumsum(sizes, dtype=np.intp)])
    edge_graph = np.searchsorted(graphs, topology.edge_graph[inside])
    edge_ptr = np.concatenate([[0], np.cumsum(np.bincount(edge_graph, minlength=len(graphs)), dtype=np.intp)])
    edges = ends[inside] - node_ptr[edge_graph].astype(np.int32)[:, None]
    f = dataset.edge_features
    fields = {
        "node_features": take_rows(dataset.node_features, kept),
        "edges": edges,
        "edge_features": None if f is None else take_rows(f, np.flatnonzero(inside)),
        "node_ptr": node_ptr,
        "edge_ptr": edge_ptr,
    }
    return dataset._replace(**fields), cut
