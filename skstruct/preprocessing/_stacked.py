"""Application of scikit-learn's estimators of tables to the stacked features of all graphs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import sklearn
from sklearn.base import BaseEstimator, MetaEstimatorMixin, TransformerMixin, clone
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skstruct.data.graph_input import as_dataset, is_graph_input, refuse_more_dimensions
from skstruct.data.labels import flatten_values
from skstruct.data.node_view import NodeView
from skstruct.data.ragged import is_ragged
from skstruct.data.sparse_checks import check_sparse
from skstruct.data.tables import is_frame, is_sparse, n_rows, take_rows
from skstruct.estimator.callbacks import CallbackSupportMixin, one_task
from skstruct.version import Versioned


@dataclass(frozen=True)
class Stack:
    """The table that an inner estimator receives.

    Attributes
    ----------
    table : ndarray, sparse matrix, data frame or list
        One row per node or edge.
    rebuild : callable
        Converts a table of transformed rows to the type of the input.
    ptr : ndarray of shape (n_graphs + 1,) or None
        Offsets of the rows of each graph. None if samples are rows, so that labels and metadata are flat already.
    all_nodes : ndarray, sparse matrix, data frame or list, default=None
        The rows to transform, if they are not those of `table`: in a view of whole graphs, a transformer is fitted to
        the samples, and transforms all nodes.
    """

    table: Any
    rebuild: Callable
    ptr: np.ndarray | None
    all_nodes: Any = None


def stack_nodes(X, owner):
    """Stack the node features of graphs or of a view; a table stays as it is. Messages name the `owner`."""
    if is_sparse(X):
        check_sparse(X, "X")
    if isinstance(X, NodeView):
        dataset = as_dataset(X)
        if X.whole and X.order is not None:
            return Stack(X.node_features, lambda table: _view_of_nodes(X, table), None, dataset.node_features)
        return Stack(X.node_features, lambda table: _view_of_rows(X, table), None)
    if is_graph_input(X):
        dataset = as_dataset(X)
        return Stack(dataset.node_features, dataset.with_node_features, dataset.node_ptr)
    refuse_more_dimensions(X, owner)
    return Stack(X, lambda table: table, None)


def _view_of_nodes(view, table):
    """Return the view with the features in `table`, one row per node."""
    return view.with_dataset(view.dataset.with_node_features(table))


def _view_of_rows(view, table):
    """Return the view with the features in `table`, one row per sample."""
    if view.order is not None:
        row = np.empty(view.dataset.n_nodes, np.intp)
        row[view.order] = np.arange(len(view.order))
        table = take_rows(table, row)
    return _view_of_nodes(view, table)


def flatten_target(y, ptr):
    """Labels of nodes as a flat array; labels that a classifier may treat as missing are accepted."""
    return y if y is None or ptr is None else flatten_values(y, ptr, missing_label=-1)


def flatten_metadata(params, ptr):
    """Metadata per graph as metadata per row; other metadata that is not ragged stays as it is."""
    if ptr is None:
        return params
    flat = {}
    for name, value in params.items():
        if is_ragged(value):
            flat[name] = flatten_values(value, ptr, name)
        elif np.ndim(value) == 1 and len(value) == len(ptr) - 1:
            flat[name] = np.repeat(np.asarray(value), np.diff(ptr))
        else:
            flat[name] = value
    return flat


def routed(router, name, method, params, ptr):
    """Metadata for `method` of the inner estimator that the parameter `name` of `router` holds."""
    params = flatten_metadata(params, ptr)
    if params and sklearn.get_config()["enable_metadata_routing"]:
        return process_routing(router, method, **params)[name][method]
    return params


def routing_owner(estimator):
    """Return the owner of a MetadataRouter: since scikit-learn 1.8 the estimator, before that its name."""
    version = tuple(int(part) for part in sklearn.__version__.split(".")[:2])
    return estimator if version >= (1, 8) else type(estimator).__name__


def inner_has(method):
    """Check, for `available_if`, that the transformer of a StackedTransformer has a method."""

    def check(self):
        getattr(getattr(self, "transformer_", None) or self._unfitted(), method)
        return True

    return check


class StackedTransformer(
    Versioned,
    CallbackSupportMixin,
    MetaEstimatorMixin,
    TransformerMixin,
    BaseEstimator,
    auto_wrap_output_keys=None,  # type: ignore[call-arg]  # scikit-learn has no types for this keyword
):
    """Base class of the transformers that apply a transformer of tables to a stacked table.

    A subclass implements ``_stack(X)`` and ``_target(y, stack)``. It must also pass ``auto_wrap_output_keys=None``:
    scikit-learn's wrapping of outputs would convert a GraphDataset to a data frame. The inner transformer wraps the
    table.
    """

    def __init__(self, transformer):
        self.transformer = transformer

    @one_task
    def fit(self, X, y=None, **params):
        """Fit a clone of the transformer.

        Parameters
        ----------
        X : GraphDataset, list of graphs, NodeView or table
            Graphs.
        y : RaggedArray, list of arrays, or flat array, default=None
            Labels of the nodes, for transformers that use them.
        **params : dict
            Metadata such as ``sample_weight``: one value per graph, which is repeated for the rows of the graph, or one
            value per row (ragged).

        Returns
        -------
        self
        """
        self._fit(X, y, self._stack(X), params)
        return self

    def _fit(self, X, y, stack, params):
        self._remember(X, stack)
        self.transformer_ = self._unfitted()
        params = routed(self, "transformer", "fit", params, stack.ptr)
        self.transformer_.fit(stack.table, self._target(y, stack), **params)

    @one_task
    def fit_transform(self, X, y=None, **params):
        """Fit a clone of the transformer and transform, by its method ``fit_transform`` if there is one.

        Parameters
        ----------
        X, y, **params :
            As for `fit`.

        Returns
        -------
        GraphDataset, NodeView or table
            The same type as `X`; a list of graphs becomes a GraphDataset.
        """
        stack = self._stack(X)
        if stack.all_nodes is not None or not hasattr(self._unfitted(), "fit_transform"):
            self._fit(X, y, stack, params)
            return self.transform(X)
        self._remember(X, stack)
        self.transformer_ = self._unfitted()
        params = routed(self, "transformer", "fit_transform", params, stack.ptr)
        return stack.rebuild(self.transformer_.fit_transform(stack.table, self._target(y, stack), **params))

    @available_if(inner_has("partial_fit"))
    def partial_fit(self, X, y=None, **params):
        """Fit on one more batch of graphs.

        Parameters
        ----------
        X, y, **params :
            As for `fit`.

        Returns
        -------
        self
        """
        stack = self._stack(X)
        self._remember(X, stack)
        if not hasattr(self, "transformer_"):
            self.transformer_ = self._unfitted()
        params = routed(self, "transformer", "partial_fit", params, stack.ptr)
        self.transformer_.partial_fit(stack.table, self._target(y, stack), **params)
        return self

    def transform(self, X, **params):
        """Transform the features; the graphs and all other features do not change.

        Parameters
        ----------
        X : GraphDataset, list of graphs, NodeView or table
            Graphs.
        **params : dict
            Metadata, as for `fit`.

        Returns
        -------
        GraphDataset, NodeView or table
            The same type as `X`; a list of graphs becomes a GraphDataset.
        """
        return self._apply("transform", X, params)

    @available_if(inner_has("inverse_transform"))
    def inverse_transform(self, X, **params):
        """Undo `transform`.

        Parameters
        ----------
        X, **params :
            As for `transform`.

        Returns
        -------
        GraphDataset, NodeView or table
        """
        return self._apply("inverse_transform", X, params)

    def _apply(self, method, X, params):
        inner = self._fitted()
        stack = self._stack(X)
        table = stack.table if stack.all_nodes is None else stack.all_nodes
        if method == "transform" and _n_rows(table) == 0 and hasattr(self, "_example"):
            # most transformers refuse a table without rows; a row seen in fit shows which columns they return
            return stack.rebuild(take_rows(inner.transform(_as_table(self._example)), slice(0, 0)))
        params = routed(self, "transformer", method, params, stack.ptr)
        return stack.rebuild(getattr(inner, method)(table, **params))

    def _remember(self, X, stack):
        """Keep one row for `_apply`."""
        if stack.ptr is not None and n_rows(stack.table):
            self._example = _plain(take_rows(stack.table, np.array([0])))

    def _unfitted(self):
        """Clone of the transformer."""
        if isinstance(self.transformer, str) and self.transformer == "passthrough":
            return FunctionTransformer(accept_sparse=True, feature_names_out="one-to-one")
        usable = hasattr(self.transformer, "fit") and hasattr(self.transformer, "transform")
        if not usable or isinstance(self.transformer, type):
            raise TypeError(
                f"transformer of {type(self).__name__} must be 'passthrough' or have the methods fit and "
                f"transform, got {self.transformer!r}"
            )
        return clone(self.transformer)

    def _fitted(self):
        """Return the fitted transformer, or an unfitted one that needs no fit."""
        if not hasattr(self, "transformer_") and not self.__sklearn_tags__().requires_fit:
            return self._unfitted()
        check_is_fitted(self)
        return self.transformer_

    def __sklearn_is_fitted__(self):
        return hasattr(self, "transformer_")

    def set_output(self, *, transform=None):
        """Choose the type of the stacked table.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            Passed to the transformer. None changes nothing.

        Returns
        -------
        self
        """
        for inner in (self.transformer, getattr(self, "transformer_", None)):
            if inner is not None and transform is not None and hasattr(inner, "set_output"):
                inner.set_output(transform=transform)
        return self

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self._unfitted())
        tags.input_tags = inner.input_tags
        tags.transformer_tags = inner.transformer_tags
        tags.target_tags.required = inner.target_tags.required
        tags.requires_fit = inner.requires_fit
        tags.no_validation = inner.no_validation
        tags.non_deterministic = inner.non_deterministic
        return tags

    def get_metadata_routing(self):
        """Return the metadata that the transformer requests.

        Returns
        -------
        sklearn.utils.metadata_routing.MetadataRouter
        """
        mapping = MethodMapping()
        for method in ("fit", "partial_fit", "transform", "inverse_transform"):
            mapping.add(caller=method, callee=method)
        for method in ("fit_transform", "fit", "transform"):
            mapping.add(caller="fit_transform", callee=method)
        return MetadataRouter(owner=routing_owner(self)).add(transformer=self._unfitted(), method_mapping=mapping)


def _plain(table):
    """Return a table in a form that skops can store: a data frame becomes its library and its columns as arrays."""
    if not is_frame(table):
        return table
    return "pandas" if hasattr(table, "iloc") else "polars", {name: np.asarray(table[name]) for name in table.columns}


def _as_table(plain):
    """Undo `_plain`."""
    if not isinstance(plain, tuple):
        return plain
    library, columns = plain
    if library == "pandas":
        import pandas as pd

        return pd.DataFrame(columns)
    import polars as pl

    return pl.DataFrame(columns)


def _n_rows(table):
    """Return the number of rows of a table; None if the argument is not a table."""
    return len(table) if isinstance(table, list) else getattr(table, "shape", (None,))[0]
