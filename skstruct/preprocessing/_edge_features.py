"""EdgeFeatures: features of edges from the features of their two nodes."""

from collections.abc import Iterable

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skstruct.data.distances import contrast, root_mean_square, row_norms
from skstruct.data.graph_input import as_dataset, check_finite, is_graph_input, refuse_more_dimensions
from skstruct.data.node_view import NodeView
from skstruct.data.structure import list_of
from skstruct.data.tables import as_floats, is_frame, is_sparse, join_columns, n_columns, take_columns
from skstruct.estimator.callbacks import CallbackSupportMixin, one_task
from skstruct.preprocessing._graph_mixins import GraphOutput, KeptNodeFeatures
from skstruct.version import Versioned


class EdgeFeatures(
    GraphOutput,
    KeptNodeFeatures,
    Versioned,
    CallbackSupportMixin,
    TransformerMixin,
    BaseEstimator,
    auto_wrap_output_keys=None,  # type: ignore[call-arg]  # scikit-learn has no types for this keyword
):
    r"""Compute features of edges from the features of their two nodes.

    New features are put after the edge features that the graphs have. Node features do not change.

    Parameters
    ----------
    functions : str, callable or list of these, default=("constant", "distance")
        With the features :math:`a` of the first node of an edge and :math:`b` of its second node:

        =======================  ==========================================================================
        ``constant``             1: with edge features, it is what the scores of all edges have in common
        ``difference``           :math:`b - a`, one feature for each column
        ``absolute_difference``  :math:`|b - a|`, one feature for each column
        ``product``              :math:`a b`, one feature for each column
        ``direction``            :math:`(b - a) / \|b - a\|`, one feature for each column; 0 if :math:`a = b`
        ``distance``             :math:`\|b - a\|`
        ``contrast``             :math:`\exp(-\|b - a\|^2 / 2 m)`, where :math:`m` is the mean of
                                 :math:`\|b - a\|^2` over the edges seen in ``fit``; 1 if :math:`m = 0`
        =======================  ==========================================================================

        A callable receives the tables of the first and the second nodes of all edges, and returns a table with one row
        per edge.
    columns : list of int or str, default=None
        Columns of the node features: positions, or names of columns of data frames. None: all columns.

    Attributes
    ----------
    scale_ : float
        Square root of the mean :math:`m` of the contrast.
    n_features_in_ : int
        Number of node features seen in fit.
    feature_names_in_ : ndarray of str
        Names of the node features seen in fit, if they were columns of a data frame.

    Raises
    ------
    ValueError
        If `X` is a table, if a function is unknown, or if a feature is not a finite number.

    See Also
    --------
    EdgeTransformer : transforms edge features, for example scales them.

    Notes
    -----
    "difference" and "direction" depend on the direction in which an edge is listed. Use them where it has a meaning.

    Examples
    --------
    >>> from skstruct import GraphDataset
    >>> from skstruct.preprocessing import EdgeFeatures
    >>> places = GraphDataset([[0.0, 0.0], [3.0, 4.0], [3.0, 5.0]], [(0, 1), (1, 2)])
    >>> features = EdgeFeatures(["distance", "direction"])
    >>> features.fit_transform(places).edge_features.tolist()
    [[5.0, 0.6, 0.8], [1.0, 0.0, 1.0]]
    >>> features.get_edge_feature_names_out().tolist()
    ['distance', 'direction_x0', 'direction_x1']
    """

    def __init__(self, functions=("constant", "distance"), columns=None):
        self.functions = functions
        self.columns = columns

    @one_task
    def fit(self, X, y=None):
        """Learn the scale of the contrast, and the names of the features.

        Parameters
        ----------
        X : GraphDataset, list of graphs, or NodeView
            Graphs whose nodes have numeric features.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        dataset = self._dataset(X)
        first, second = self._ends(dataset)
        self.scale_ = float(root_mean_square(row_norms(second - first)))
        self._remember_nodes(dataset.node_features)
        self._names = self._names_of(dataset, [n_columns(table) for table in self._compute(first, second)])
        f = dataset.edge_features
        self._n_before = 0 if f is None else n_columns(f)  # None for dicts
        self._names_before = np.asarray(f.columns, object) if is_frame(f) else None
        return self

    def transform(self, X):
        """Add the features to the edge features.

        Parameters
        ----------
        X : GraphDataset, list of graphs, or NodeView
            Graphs whose nodes have numbers as features.

        Returns
        -------
        GraphDataset or NodeView
            The same type as `X`; a list of graphs becomes a GraphDataset. Edge features that were data frames or dicts
            remain so.
        """
        check_is_fitted(self)
        dataset = self._dataset(X)
        self._remember_nodes(dataset.node_features, reset=False)
        new = join_columns(self._compute(*self._ends(dataset)))
        result = dataset.with_edge_features(_joined(dataset.edge_features, new, self._names))
        return X.with_dataset(result) if isinstance(X, NodeView) else result

    def get_edge_feature_names_out(self, input_features=None):
        """Names of the edge features.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the edge features before, if `fit` has not seen names.

        Returns
        -------
        ndarray of str, or None
            None if the edge features are dicts, which have no columns.

        Raises
        ------
        ValueError
            If `input_features` do not fit the edge features seen in fit.
        """
        check_is_fitted(self)
        if self._n_before is None:
            return None
        if input_features is not None:
            input_features = list_of("names in input_features", input_features)
        before = self._names_before
        if before is None:
            generic = [f"x{j}" for j in range(self._n_before)]
            before = np.array(generic if input_features is None else input_features, object)
        given = before if input_features is None else np.asarray(input_features, object)
        if before.shape != (self._n_before,) or before.tolist() != given.tolist():
            seen = f"{self._n_before} edge features" if self._names_before is None else f"{before.tolist()}"
            raise ValueError(f"input_features {given.tolist()} are not the edge features seen in fit, {seen}")
        return np.concatenate([before, np.array(self._names, object)])

    def _dataset(self, X):
        """Graphs of any form as a dataset whose node features are finite numbers."""
        if not is_graph_input(X):
            refuse_more_dimensions(X, "EdgeFeatures")
            raise ValueError(f"EdgeFeatures needs graphs, got a table ({type(X).__name__})")
        dataset = as_dataset(X)
        if isinstance(dataset.node_features, list) and dataset.n_nodes:
            raise TypeError("EdgeFeatures needs nodes with numbers, got dicts or strings; apply a vectorizer first")
        return dataset

    def _ends(self, dataset):
        """Features of the first and the second nodes of all edges."""
        x = dataset.node_features
        if isinstance(x, list):  # no node
            x = np.zeros((0, 0))
        x = as_floats(x if self.columns is None else take_columns(x, self.columns))
        x = sp.csr_array(x, dtype=np.float64) if is_sparse(x) else np.asarray(x, np.float64)
        check_finite(dataset.with_node_features(x).with_edge_features(None))
        i, j = dataset.topology.edges.T
        return x[i], x[j]

    def _compute(self, first, second):
        """Tables of the features of each function."""
        return [
            FUNCTIONS[function](first, second, self.scale_)
            if isinstance(function, str)
            else np.reshape(function(first, second), (first.shape[0], -1))
            for function in self._functions()
        ]

    def _functions(self):
        is_list = isinstance(self.functions, Iterable) and not isinstance(self.functions, str)
        functions = list(self.functions) if is_list else [self.functions]
        unknown = [f for f in functions if not (callable(f) or (isinstance(f, str) and f in FUNCTIONS))]
        if unknown or not functions:
            known = ", ".join(FUNCTIONS)
            raise ValueError(f"functions must be callables or some of {known}; got {(unknown or [functions])[0]!r}")
        return functions

    def _names_of(self, dataset, sizes):
        """Names of the new features."""
        x = dataset.node_features
        columns = list(x.columns) if is_frame(x) else [f"x{j}" for j in range(n_columns(x) or 0)]
        if self.columns is not None:
            columns = np.array(columns, object)[_positions(columns, self.columns)].tolist()
        names = []
        for function, size in zip(self._functions(), sizes):
            if not isinstance(function, str):
                names += [f"{getattr(function, '__name__', 'function')}{k}" for k in range(size)]
            else:
                names += [f"{function}_{column}" for column in columns] if function in OF_COLUMNS else [function]
        return names


def _positions(names, columns):
    """Positions of columns that are given by positions, by a mask, by a slice or by names."""
    if isinstance(columns, slice):
        return columns
    columns = np.atleast_1d(columns)
    return [names.index(name) for name in columns.tolist()] if columns.dtype.kind in "UOT" else columns


def _joined(before, new, names):
    """Edge features with new ones after them."""
    if before is None or (isinstance(before, list) and not before):
        return new
    if not isinstance(before, list) and not is_frame(before):
        return join_columns([before, new])
    values = new.toarray() if is_sparse(new) else new
    if isinstance(before, list):
        if not isinstance(before[0], dict):
            raise TypeError("the edge features are strings, to which no features can be added; apply a vectorizer")
        return [row | dict(zip(names, numbers)) for row, numbers in zip(before, values.tolist())]
    twice = [name for name in names if name in before.columns]
    if twice:
        raise ValueError(f"the edge features have the column {twice[0]!r} already; rename it")
    kwargs = {"columns": names} if hasattr(before, "iloc") else {"schema": names}
    return join_columns([before, type(before)(values, **kwargs)])


def _constant(first, second, scale):
    return np.ones((first.shape[0], 1))


def _difference(first, second, scale):
    return second - first


def _absolute_difference(first, second, scale):
    return abs(second - first)


def _product(first, second, scale):
    return first * second


def _direction(first, second, scale):
    difference = second - first
    norms = row_norms(difference)
    if not is_sparse(difference):
        return np.divide(difference, norms[:, None], out=np.zeros_like(difference), where=norms[:, None] > 0)
    norms = np.repeat(norms, np.diff(difference.indptr))
    values = np.divide(difference.data, norms, out=np.zeros_like(norms), where=norms > 0)
    return sp.csr_array((values, difference.indices, difference.indptr), shape=difference.shape)


def _distance(first, second, scale):
    return row_norms(second - first)[:, None]


def _contrast(first, second, scale):
    return contrast(row_norms(second - first), scale)[:, None]


FUNCTIONS = {
    "constant": _constant,
    "difference": _difference,
    "absolute_difference": _absolute_difference,
    "product": _product,
    "direction": _direction,
    "distance": _distance,
    "contrast": _contrast,
}
OF_COLUMNS = ("difference", "absolute_difference", "product", "direction")  # one feature for each column
