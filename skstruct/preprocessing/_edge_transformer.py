"""EdgeTransformer: scikit-learn's transformers for edge features."""

from sklearn.utils.metaestimators import available_if

from skstruct.data.graph_input import as_dataset, is_graph_input, refuse_more_dimensions
from skstruct.data.node_view import NodeView
from skstruct.preprocessing._graph_mixins import KeptNodeFeatures
from skstruct.preprocessing._stacked import Stack, StackedTransformer, inner_has


class EdgeTransformer(KeptNodeFeatures, StackedTransformer, auto_wrap_output_keys=None):  # type: ignore[call-arg]  # scikit-learn has no types for this keyword
    """Apply a transformer of tables to the features of all edges.

    The edges of all graphs are stacked into one table and transformed, as the nodes by `NodeTransformer`. Labels belong
    to nodes, so that the transformer is fitted without labels. Node features and their names do not change. The
    attributes that scikit-learn reads of a step of a pipeline (``n_features_in_``, ``feature_names_in_``,
    ``get_feature_names_out``) describe node features. Other attributes and ``get_edge_feature_names_out`` describe edge
    features.

    Parameters
    ----------
    transformer : transformer or "passthrough"
        The transformer. It is cloned.

    Attributes
    ----------
    transformer_ : transformer
        The fitted clone.
    n_edge_features_in_ : int
        Number of edge features seen in fit.
    edge_feature_names_in_ : ndarray of str
        Names of the edge features seen in fit, if they were columns of a data frame.
    n_features_in_ : int
        Number of node features seen in fit.
    feature_names_in_ : ndarray of str
        Names of the node features seen in fit, if they were columns of a data frame.

    Raises
    ------
    TypeError
        In ``fit``, if `transformer` is not a transformer.
    ValueError
        If `X` is a table, or graphs with edges but without edge features.

    Examples
    --------
    >>> from sklearn.preprocessing import MinMaxScaler
    >>> from skstruct import GraphDataset
    >>> from skstruct.preprocessing import EdgeTransformer
    >>> dataset = GraphDataset([[0.0], [0.0], [0.0]], [(0, 1), (1, 2)], edge_features=[[10.0], [30.0]])
    >>> scaler = EdgeTransformer(MinMaxScaler())
    >>> scaler.fit_transform(dataset).edge_features.tolist()
    [[0.0], [1.0]]
    >>> scaler.get_edge_feature_names_out(["distance"])
    array(['distance'], dtype=object)
    """

    @staticmethod
    def _stack(X):
        if not is_graph_input(X):
            refuse_more_dimensions(X, "EdgeTransformer")
            raise ValueError(f"EdgeTransformer needs graphs with edge features, got a table ({type(X).__name__})")
        dataset = as_dataset(X)
        table = dataset.edge_features
        if table is None:
            if dataset.n_edges:
                raise ValueError(
                    f"EdgeTransformer needs edge features, but X has {dataset.n_edges} edges without features; "
                    "add them by X.with_edge_features(...)"
                )
            table = []
        if isinstance(X, NodeView):
            return Stack(table, lambda f: X.with_dataset(dataset.with_edge_features(f)), dataset.edge_ptr)
        return Stack(table, dataset.with_edge_features, dataset.edge_ptr)

    @staticmethod
    def _target(y, stack):
        return None

    def _remember(self, X, stack):
        super()._remember(X, stack)
        self._remember_nodes(as_dataset(X).node_features)

    @property
    def n_edge_features_in_(self):
        """Number of edge features seen in fit."""
        return self.transformer_.n_features_in_

    @property
    def edge_feature_names_in_(self):
        """Names of the edge features seen in fit, if they were columns of a data frame."""
        return self.transformer_.feature_names_in_

    def get_feature_names_out(self, input_features=None):
        self._fitted()
        return super().get_feature_names_out(input_features)

    @available_if(inner_has("get_feature_names_out"))
    def get_edge_feature_names_out(self, input_features=None):
        """Names of the transformed edge features.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the edge features before the transformation, if `fit` has not seen names.

        Returns
        -------
        ndarray of str
        """
        return self._fitted().get_feature_names_out(input_features)
