"""EdgeTransformer: scikit-learn's transformers for edge features."""

from skstruct._graph_input import as_dataset, is_graph_input
from skstruct._node_view import NodeView
from skstruct.preprocessing._stacked import Stack, StackedTransformer


class EdgeTransformer(StackedTransformer, auto_wrap_output_keys=None):  # type: ignore[call-arg]  # scikit-learn untyped keyword
    """Apply a transformer of tables to the features of all edges.

    As `NodeTransformer`, but for `edge_features`. Labels belong to nodes, so the transformer is fitted
    without them.

    Parameters
    ----------
    transformer : transformer or "passthrough"
        What to apply. It is cloned.

    Attributes
    ----------
    transformer_ : transformer
        The fitted clone.
    n_features_in_ : int
        Number of edge features seen in fit.
    feature_names_in_ : ndarray of str
        Names of the edge features seen in fit, where they were columns of a data frame.

    Raises
    ------
    TypeError
        In ``fit``, if `transformer` is none.
    ValueError
        If `X` is a table, or graphs with edges but without edge features.

    Examples
    --------
    >>> from sklearn.preprocessing import MinMaxScaler
    >>> from skstruct import GraphDataset
    >>> from skstruct.preprocessing import EdgeTransformer
    >>> dataset = GraphDataset([[0.0], [0.0], [0.0]], [(0, 1), (1, 2)], edge_features=[[10.0], [30.0]])
    >>> EdgeTransformer(MinMaxScaler()).fit_transform(dataset).edge_features.tolist()
    [[0.0], [1.0]]
    """

    @staticmethod
    def _stack(X):
        if not is_graph_input(X):
            raise ValueError(f"EdgeTransformer needs graphs with edge features, got a table ({type(X).__name__})")
        dataset = as_dataset(X)
        table = dataset.edge_features
        if table is None:
            if dataset.n_edges:
                raise ValueError(
                    f"EdgeTransformer needs edge features, but X has {dataset.n_edges} edges without any; "
                    "add them by X.with_edge_features(...)"
                )
            table = []
        if isinstance(X, NodeView):
            return Stack(
                table,
                lambda f: NodeView(dataset.with_edge_features(f), X.order, X.lost_edges),
                dataset.edge_ptr,
            )
        return Stack(table, dataset.with_edge_features, dataset.edge_ptr)

    @staticmethod
    def _target(y, stack):
        return None
