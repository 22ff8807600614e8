"""From what users pass as X, y and sample_weight to what the seams take, and back to what users get."""

import numpy as np
from sklearn.utils import assert_all_finite, check_array, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from skstruct._dataset import GraphDataset, as_dataset, check_finite, is_graph_input
from skstruct._node_view import NodeView
from skstruct._ragged import RaggedArray, flatten_labels, is_ragged
from skstruct._tables import is_raw

FLOATS = (np.float64, np.float32)


class GraphLayout:
    """Samples are graphs: values per node go out as a `RaggedArray`."""

    def __init__(self, dataset):
        self.dataset = dataset

    def flatten(self, y, name="y", missing_label=None):
        """Values per node as one flat array, (n_nodes,)."""
        return flatten_labels(y, self.dataset.node_ptr, name, missing_label=missing_label)

    def wrap(self, values):
        """Give flat values per node the form of the input."""
        return RaggedArray(values, self.dataset.node_ptr)

    def node_weights(self, sample_weight):
        """Weights per graph or (ragged) per node as one flat array, (n_nodes,)."""
        if is_ragged(sample_weight):
            weights = self.flatten(sample_weight, "sample_weight")
            return _checked_weights(weights, self.dataset.n_nodes, "nodes")
        weights = _checked_weights(sample_weight, len(self.dataset), "graphs")
        return np.repeat(weights, np.diff(self.dataset.node_ptr))


class NodeLayout:
    """Samples are nodes, of a `NodeView` or of a table: values per node go out as plain arrays."""

    def __init__(self, view):
        self.view = view
        self.dataset = view.dataset

    def flatten(self, y, name="y", missing_label=None):
        """Values per sample in the order of the nodes."""
        y = column_or_1d(y, warn=True)
        check_consistent_length(self.view, y)
        if y.dtype.kind == "f" and missing_label is None:
            assert_all_finite(y, input_name=name)
        return self.view.scatter(y)[0]

    def wrap(self, values):
        """Values per sample."""
        return self.view.gather(values)

    def node_weights(self, sample_weight):
        """Weights per sample, summed over the samples of each node."""
        weights = _checked_weights(sample_weight, len(self.view), "samples")
        return np.bincount(self.view.gather(np.arange(self.dataset.n_nodes)), weights, self.dataset.n_nodes)


def _checked_weights(weights, n, what):
    weights = check_array(weights, ensure_2d=False, dtype=np.float64, input_name="sample_weight")
    if weights.ndim != 1:
        raise ValueError(f"Sample weights must be 1D array or scalar, got shape {weights.shape}")
    if len(weights) != n:
        raise ValueError(f"sample_weight has {len(weights)} values but X has {n} {what}; give one per sample.")
    if (weights < 0).any():
        where = np.flatnonzero(weights < 0)[0]
        raise ValueError(f"sample_weight[{where}] is {weights[where]}; weights must not be negative.")
    if n and not weights.any():
        raise ValueError("sample_weight is zero everywhere: at least one weight must be a non-zero number.")
    return weights


def read_X(estimator, X, *, reset):
    """Check X, and record (`reset`) or compare its numbers and names of features.

    Parameters
    ----------
    estimator : BaseEstimator
        Gets ``n_features_in_`` (and ``feature_names_in_``) if `reset`.
    X : GraphDataset, NodeView, list of graphs, or table
    reset : bool

    Returns
    -------
    layout : GraphLayout or NodeLayout
        Its `dataset` has float features.
    """
    if not is_graph_input(X):
        X = validate_data(estimator, X, reset=reset, accept_sparse="csr", dtype=FLOATS)
        return NodeLayout(NodeView(GraphDataset.from_nodes(X)))
    dataset = as_dataset(X)
    if is_raw(dataset.node_features):
        raise TypeError(
            "X has node features that are not numbers (dicts or strings); turn them into numbers in a pipeline, for "
            "example NodeTransformer(DictVectorizer())."
        )
    check_finite(dataset)
    node_features = validate_data(
        estimator,
        dataset.node_features,
        reset=reset,
        accept_sparse="csr",
        dtype=FLOATS,
        ensure_all_finite=False,  # done above, where the graph can be named
        ensure_min_samples=0,
    )
    dataset = dataset.with_node_features(node_features)
    if dataset.edge_features is not None:
        edge_features = check_array(
            dataset.edge_features,
            accept_sparse="csr",
            dtype=FLOATS,
            ensure_all_finite=False,
            ensure_min_samples=0,
            input_name="edge_features of X",
        )
        dataset = dataset.with_edge_features(edge_features)
    return NodeLayout(NodeView(dataset, X.order)) if isinstance(X, NodeView) else GraphLayout(dataset)


def encode(labels, known, classes, dataset):
    """State codes of `labels` where `known`, (n_nodes,), and the classes found or given.

    Raises
    ------
    ValueError
        If a label is not among the given `classes`; the message names its graph and node.
    """
    check_classification_targets(labels[known])
    if classes is None:
        classes = np.unique(labels[known])
    codes = np.searchsorted(classes, labels[known]) if len(classes) else np.zeros(0, np.intp)
    unseen = np.flatnonzero(classes[np.minimum(codes, len(classes) - 1)] != labels[known])
    if len(unseen):
        node = np.flatnonzero(known)[unseen[0]]
        g = dataset.topology.node_graph[node]
        raise ValueError(
            f"y[{g}][{node - dataset.node_ptr[g]}] is {labels[node]!r}, which is not among the {len(classes)} classes "
            f"{classes[:10]} ({len(unseen)} such labels)."
        )
    out = np.full(len(labels), -1, np.intp)
    out[known] = codes
    return out, classes
