"""NetworkxToGraphs: the first step of a pipeline for graphs of networkx."""

from collections.abc import Sequence

import numpy as np

from skstruct.data.dataset import GraphDataset
from skstruct.data.graph_libraries import attribute_list, attribute_names, networkx_graphs
from skstruct.estimator.callbacks import one_task
from skstruct.preprocessing._sequences import GraphBuilder


class NetworkxToGraphs(GraphBuilder, auto_wrap_output_keys=None):  # type: ignore[call-arg]  # scikit-learn has no types for this keyword
    """Read networkx graphs, such as molecules, so that a pipeline accepts them.

    See also `GraphDataset.from_networkx`.

    Parameters
    ----------
    node_attributes : str or list of str, default="features"
        Attributes that contain numbers, vectors or strings. Side by side they are the node features. If an attribute
        contains strings, a node is a dict from attributes to values, which `DictVectorizer` in a `NodeTransformer`
        accepts.
    edge_attributes : str or list of str, default=None
        Attributes of edges that become the edge features, in the same way. None: no edge features.

    Examples
    --------
    >>> import networkx as nx
    >>> from sklearn.feature_extraction import DictVectorizer
    >>> from sklearn.pipeline import make_pipeline
    >>> from skstruct.preprocessing import NetworkxToGraphs, NodeTransformer
    >>> water = nx.Graph([(0, 1), (0, 2)])
    >>> nx.set_node_attributes(water, {0: "O", 1: "H", 2: "H"}, "element")
    >>> reader = make_pipeline(NetworkxToGraphs("element"), NodeTransformer(DictVectorizer()))
    >>> reader.fit_transform([water])
    GraphDataset(n_graphs=1, n_nodes=3, n_edges=2, n_features=2)
    >>> reader.get_feature_names_out().tolist()
    ['element=H', 'element=O']
    """

    def __init__(self, node_attributes="features", edge_attributes=None):
        self.node_attributes = node_attributes
        self.edge_attributes = edge_attributes

    @one_task
    def fit(self, X, y=None):
        """Remember the names of the features of the first node and the first edge.

        Parameters
        ----------
        X : list of networkx graphs
            Graphs.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        graphs = networkx_graphs(X) if isinstance(X, Sequence | np.ndarray) else []
        nodes = attribute_list("node_attributes", self.node_attributes)
        self._node_names = attribute_names((graph.nodes(data=True) for graph in graphs), nodes)
        self._edge_names = None
        if self.edge_attributes is not None:
            edges = attribute_list("edge_attributes", self.edge_attributes)
            self._edge_names = attribute_names((graph.edges(data=True) for graph in graphs), edges)
        return self

    def transform(self, X):
        """Read networkx graphs.

        Parameters
        ----------
        X : list of networkx graphs
            A GraphDataset is returned unchanged.

        Returns
        -------
        GraphDataset
        """
        if isinstance(X, GraphDataset):
            return X
        return GraphDataset.from_networkx(X, self.node_attributes, self.edge_attributes)

    def get_feature_names_out(self, input_features=None):
        """Return the names of the node features.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of str, or None
            The attributes; ``"place[0]"``, ``"place[1]"``, ... for an attribute "place" that contains vectors. None if
            nodes are dicts, and before `fit`.
        """
        return getattr(self, "_node_names", None)

    def get_edge_feature_names_out(self, input_features=None):
        """Return the names of the edge features.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of str, or None
            As `get_feature_names_out`.
        """
        return getattr(self, "_edge_names", None)
