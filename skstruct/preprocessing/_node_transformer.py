"""NodeTransformer: scikit-learn's transformers for node features."""

from sklearn.utils.metaestimators import available_if

from skstruct.preprocessing._stacked import StackedTransformer, flatten_target, inner_has, stack_nodes


class NodeTransformer(StackedTransformer, auto_wrap_output_keys=None):  # type: ignore[call-arg]  # scikit-learn has no types for this keyword
    """Apply a transformer of tables to the features of all nodes.

    The nodes of all graphs are stacked into one table and transformed. The result replaces the node features of the
    graphs. All transformers of scikit-learn are supported: scalers, `DictVectorizer`, text vectorizers,
    `ColumnTransformer` for data frames, feature selection by the labels of the nodes, and pipelines of transformers. A
    table is transformed as by the transformer alone.

    For nodes of whole graphs (``dataset.nodes_whole``), the transformer is fitted to the selected nodes and their
    labels, and transforms all nodes.

    A transformer that splits the data for a cross-validation, such as `TargetEncoder`, splits nodes and not graphs.

    Parameters
    ----------
    transformer : transformer or "passthrough"
        The transformer. It is cloned.

    Attributes
    ----------
    transformer_ : transformer
        The fitted clone.
    n_features_in_ : int
        Number of features seen in fit.
    feature_names_in_ : ndarray of str
        Names of the features seen in fit, if they were columns of a data frame.

    Raises
    ------
    TypeError
        In ``fit``, if `transformer` is not a transformer.

    Examples
    --------
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skstruct import GraphDataset
    >>> from skstruct.preprocessing import NodeTransformer
    >>> dataset = GraphDataset.from_sequences([[[1.0], [3.0]], [[2.0]]])
    >>> scaled = NodeTransformer(StandardScaler()).fit_transform(dataset)
    >>> scaled.node_features.ravel().round(2).tolist()
    [-1.22, 1.22, 0.0]
    >>> scaled
    GraphDataset(n_graphs=2, n_nodes=3, n_edges=1, n_features=1)
    """

    @staticmethod
    def _stack(X):
        return stack_nodes(X, "NodeTransformer")

    @staticmethod
    def _target(y, stack):
        return flatten_target(y, stack.ptr)

    @property
    def n_features_in_(self):
        """Number of features seen in fit."""
        return self.transformer_.n_features_in_

    @property
    def feature_names_in_(self):
        """Names of the features seen in fit, if they were columns of a data frame."""
        return self.transformer_.feature_names_in_

    @available_if(inner_has("get_feature_names_out"))
    def get_feature_names_out(self, input_features=None):
        """Names of the transformed features.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the features before the transformation, if `fit` has not seen names.

        Returns
        -------
        ndarray of str
        """
        return self._fitted().get_feature_names_out(input_features)
