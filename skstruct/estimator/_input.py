"""The arguments of the estimator, X, y, sample_weight and classes, are read into arrays.

X is read in one direction. `read_X` packs graphs by `as_dataset`, or lets scikit-learn check a table. It converts
features to floats, checks them, and returns a `GraphInput` or a `NodeInput`. These read `y` and weights per node, and
return values per node in the form of the input.
"""

from itertools import repeat
from typing import Any

import numpy as np
from scipy.sparse import csr_array, csr_matrix
from sklearn.base import BaseEstimator
from sklearn.utils import assert_all_finite, check_array, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from skstruct.data.dataset import GraphDataset
from skstruct.data.graph_input import as_dataset, check_finite, is_graph_input, refuse_more_dimensions
from skstruct.data.label_types import label_array, label_kind, one_kind, plain_labels
from skstruct.data.labels import flatten_labels, flatten_values, refuse_blank
from skstruct.data.missing import missing_mask
from skstruct.data.node_view import NodeView
from skstruct.data.ragged import RaggedArray, as_ragged, is_ragged
from skstruct.data.sparse_checks import check_sparse
from skstruct.data.tables import as_floats, is_frame, is_raw, is_sparse, n_columns, n_rows, refuse_masked
from skstruct.data.target_shapes import check_flat
from skstruct.scores import MISSING

FLOATS = (np.float64, np.float32)
LABELS = 2**17  # that are encoded at once: a list of Python objects needs ten times the memory of the codes
BYTES = (np.bool_, np.uint8, np.int8)  # kept in sparse tables: a copy in float64 would be most of the memory of text
PLAIN_TABLES = (np.ndarray, csr_array, csr_matrix)


class GraphInput:
    """Input whose samples are graphs: values per node are returned as a `RaggedArray`."""

    def __init__(self, dataset: GraphDataset):
        self.dataset = dataset

    def labels(self, y: Any, missing_label: Any, name: str = "y") -> tuple[np.ndarray, np.ndarray]:
        """Labels as one flat array, and whether each is known, (n_nodes,) both."""
        labels = flatten_labels(y, self.dataset.node_ptr, name, missing_label=missing_label)
        return labels, ~missing_mask(labels, missing_label)

    @property
    def selected(self) -> np.ndarray:
        """Whether each node belongs to a sample, (n_nodes,)."""
        return np.ones(self.dataset.n_nodes, bool)

    def known_labels(self, known: Any, missing_label: Any) -> tuple[np.ndarray, np.ndarray]:
        """Labels to condition on, and whether each is known, (n_nodes,) both."""
        return self.labels(known, missing_label, "known")

    def wrap(self, values: np.ndarray) -> RaggedArray:
        """Values per node, flat, in the form of the input."""
        return RaggedArray(values, self.dataset.node_ptr)

    def node_weights(self, sample_weight: Any) -> np.ndarray:
        """Weights per graph, or per node if they are ragged, as one flat array, (n_nodes,). None: 1."""
        if sample_weight is None:
            return np.ones(self.dataset.n_nodes)
        if is_ragged(sample_weight):
            weights = flatten_values(sample_weight, self.dataset.node_ptr, "sample_weight")
            return checked_weights(weights, self.dataset.n_nodes, "node")
        weights = checked_weights(sample_weight, len(self.dataset), "graph")
        return np.repeat(weights, np.diff(self.dataset.node_ptr))


class NodeInput:
    """Input whose samples are nodes, of a `NodeView` or of a table: values per node are returned as plain arrays."""

    def __init__(self, view: NodeView):
        self.view = view
        self.dataset = view.dataset

    def labels(self, y: Any, missing_label: Any, name: str = "y") -> tuple[np.ndarray, np.ndarray]:
        """Labels in the order of the nodes, and whether each is known, (n_nodes,) both."""
        if isinstance(y, RaggedArray) or (len(getattr(y, "shape", (0,))) == 1 and is_ragged(y)):
            raise ValueError(
                f"{name} has one array per graph, but the samples of X are nodes (X is a table or a NodeView); "
                f"pass one label per sample, for example np.concatenate({name}). A label cannot be a tuple or a list; "
                "join its items to a string."
            )
        check_flat(y, name)
        labels = column_or_1d(label_array(y, name), warn=True)
        check_consistent_length(self.view, labels)
        one_kind({label_kind(labels, name, missing_label)} - {None}, name)
        refuse_blank(labels, name, missing_label)
        if labels.dtype.kind == "f" and missing_label is None:
            assert_all_finite(labels, input_name=name)
        if labels.dtype == object:
            # `scatter` compares the labels of repeated nodes: None equals itself, unlike NaN and pandas.NA
            labels = np.where(missing_mask(labels, np.nan), None, labels)
        labels = self.view.scatter(labels)[0]
        return labels, self.selected & ~missing_mask(labels, missing_label)

    @property
    def selected(self) -> np.ndarray:
        """Whether each node is a sample, (n_nodes,)."""
        return self.view.selected

    def known_labels(self, known: Any, missing_label: Any) -> tuple[np.ndarray, np.ndarray]:
        """Labels to condition on, and whether each is known, (n_nodes,) both; of all nodes, if graphs are whole."""
        if not self.view.whole:
            return self.labels(known, missing_label, "known")
        check_flat(known, "known")
        if len(known) != self.dataset.n_nodes:
            raise ValueError(
                f"known has {len(known)} labels, but X is a NodeView of whole graphs with {self.dataset.n_nodes} "
                "nodes; pass a label for each node of X.dataset, in the order of the nodes. To condition on the "
                "labels of the training nodes, use transductive=True."
            )
        return NodeInput(self.dataset.nodes_whole).labels(known, missing_label, "known")

    def wrap(self, values: np.ndarray) -> np.ndarray:
        """Values per node in the order of the samples."""
        return self.view.gather(values)

    def node_weights(self, sample_weight: Any) -> np.ndarray:
        """Weights per sample, summed over the samples of each node, (n_nodes,). None: 1 for each sample."""
        weights = None if sample_weight is None else checked_weights(sample_weight, len(self.view), "sample")
        return np.bincount(self.view.gather(np.arange(self.dataset.n_nodes)), weights, self.dataset.n_nodes)


def checked_weights(weights: Any, n: int, item: str) -> np.ndarray:
    """Weights as an array, (n,), of finite numbers that are not negative; `item` names in messages what has one."""
    refuse_masked(weights, "sample_weight")
    try:
        weights = np.asarray(weights, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"sample_weight must hold one number per {item}: {error}.") from error
    if weights.shape != (n,):
        raise ValueError(
            f"sample_weight must be 1-D with one number per {item}, {n} in all; got shape {weights.shape}."
        )
    bad = np.flatnonzero(~((weights >= 0) & (weights < np.inf)))
    if len(bad):
        problem = "NaN" if np.isnan(weights[bad[0]]) else weights[bad[0]]
        raise ValueError(f"sample_weight[{bad[0]}] is {problem}; weights must be finite and not negative.")
    return weights


def refuse_zero(sample_weight: Any) -> None:
    """Refuse sample weights that are all zero; `node_weights` has checked them."""
    weights = as_ragged(sample_weight).values if is_ragged(sample_weight) else np.asarray(sample_weight)
    if len(weights) and not weights.any():
        raise ValueError("sample_weight is zero everywhere: at least one weight must be a non-zero number.")


def read_X(estimator: BaseEstimator, X: Any, *, reset: bool) -> GraphInput | NodeInput:
    """Read X, and record (`reset`) or compare the numbers and names of its features.

    Parameters
    ----------
    estimator : BaseEstimator
        Its attributes ``n_features_in_``, ``feature_names_in_`` and ``edge_feature_names_in_`` are set if `reset`.
    X : GraphDataset, NodeView, list of graphs, or table
    reset : bool

    Returns
    -------
    data : GraphInput or NodeInput
        Its `dataset` has finite features of float64 or float32, or of one of `BYTES` in sparse tables.
    """
    if not is_graph_input(X):
        return NodeInput(NodeView(GraphDataset.from_nodes(_read_table(estimator, X, reset))))
    dataset = _with_float_features(estimator, as_dataset(X), reset)
    check_finite(dataset)
    return NodeInput(X.with_dataset(dataset)) if isinstance(X, NodeView) else GraphInput(dataset)


def _read_table(estimator, X, reset):
    """Floats of a table: advice where it is no table of numbers, then the checks of scikit-learn, as its tests ask."""
    refuse_more_dimensions(X, type(estimator).__name__)
    _require_table(X)
    refuse_masked(X, "X")
    X = np.asarray(X) if isinstance(X, list | tuple) else X
    if is_frame(X) or (isinstance(X, np.ndarray) and X.ndim == 2):
        X = _numeric(X, "node", "NodeTransformer")
    return validate_data(estimator, X, reset=reset, accept_sparse="csr", dtype=_kept_types(X))


def _kept_types(table):
    """Types of numbers that are not converted."""
    return FLOATS + BYTES if is_sparse(table) else FLOATS


def _with_float_features(estimator, dataset, reset):
    """Dataset with features of floats, which `check_finite` checks afterwards, as it can name the graph."""
    node_features = dataset.node_features
    if reset or not _is_like_training(estimator, node_features):
        node_features = validate_data(
            estimator,
            _numeric(node_features, "node", "NodeTransformer"),
            reset=reset,
            accept_sparse="csr",
            dtype=_kept_types(node_features),
            ensure_all_finite=False,
            ensure_min_samples=0,
        )
    if node_features is not dataset.node_features:  # `as_dataset` has checked sparse tables that need no conversion
        dataset = dataset.with_node_features(node_features)
    _check_edge_names(estimator, dataset.edge_features, reset)
    if dataset.edge_features is None:
        return dataset
    if isinstance(dataset.edge_features, list) and not dataset.n_edges:
        return dataset.with_edge_features(None)  # an empty list says nothing about the number of edge features
    edge_features = _numeric(dataset.edge_features, "edge", "EdgeTransformer")
    if dataset.n_edges and not n_columns(edge_features):
        raise ValueError("edge_features of X has no columns; pass None where edges have no features.")
    edge_features = check_array(
        edge_features,
        accept_sparse="csr",
        dtype=FLOATS,
        ensure_all_finite=False,
        ensure_min_samples=0,
        ensure_min_features=0,
        input_name="edge_features of X",
    )
    return dataset if edge_features is dataset.edge_features else dataset.with_edge_features(edge_features)


def _check_edge_names(estimator, edge_features, reset):
    """Record (`reset`) or compare the names of edge features, if they are columns of a data frame."""
    columns = list(edge_features.columns) if is_frame(edge_features) else []
    names = np.array(columns, object) if columns and all(isinstance(name, str) for name in columns) else None
    seen = getattr(estimator, "edge_feature_names_in_", None)
    if reset:
        if names is not None:
            estimator.edge_feature_names_in_ = names
        elif seen is not None:
            del estimator.edge_feature_names_in_
    elif names is not None and seen is not None and names.tolist() != seen.tolist():
        raise ValueError(
            f"X has the edge features {names.tolist()}, but {type(estimator).__name__} was fitted with "
            f"{seen.tolist()}; give the same ones in the same order."
        )


def _is_like_training(estimator, table):
    """Whether `validate_data` would return a table unchanged: its numbers are kept, its columns those of training."""
    return (
        type(table) in PLAIN_TABLES
        and table.dtype in _kept_types(table)
        and table.ndim == 2
        and table.shape[1] == estimator.n_features_in_
        and not hasattr(estimator, "feature_names_in_")
    )


def _require_table(X):
    """Refuse what is neither graphs nor a table, with advice; scikit-learn checks tables."""
    kinds = "a GraphDataset, a NodeView, a list of graphs (node_features, edges[, edge_features]), or a 2-D table"
    if is_sparse(X):  # before dict: scipy's dok_matrix is a dict
        if X.ndim == 2:  # scikit-learn refuses sparse arrays of one dimension
            check_sparse(X, "X")
        return
    if isinstance(X, str | bytes | dict | set) or not any(hasattr(X, a) for a in ("__len__", "__array__", "shape")):
        raise TypeError(f"X must be {kinds}, got a {type(X).__name__}.")
    if not isinstance(X, list | tuple):
        return
    if not X:
        raise ValueError(f"X is empty, found 0 sample(s) while a minimum of 1 is required; it must be {kinds}.")
    first = X[0]
    is_row = first is not None and not isinstance(first, str | dict) and getattr(first, "ndim", 1) < 2
    if isinstance(first, list | tuple):
        is_row = not any(isinstance(value, list | tuple | dict | str | np.ndarray) for value in first)
    if not is_row:
        raise TypeError(
            f"X[0], a {type(first).__name__}, is neither a row of numbers nor a graph, whose node features "
            f"are 2-D; X must be {kinds}. GraphDataset.from_sequences makes chains of a list of sequences, "
            "and a NodeTransformer turns dicts and strings into numbers."
        )


def _numeric(table, item, transformer):
    """Features as numbers, missing ones as NaN; refuse other features, and name a transformer that converts them."""
    if not n_rows(table):
        if isinstance(table, list):
            raise ValueError(
                f"X has no {item}, and its table of {item} features is an empty list, which has no columns; pass an "
                "array of shape (0, n_features)."
            )
        return table
    example = "DictVectorizer" if is_raw(table) and isinstance(table[0], dict) else "OneHotEncoder"
    example = "CountVectorizer" if is_raw(table) and isinstance(table[0], str) else example
    problem = "they are dicts or strings"
    try:
        if not is_raw(table):
            return as_floats(table)
    except (TypeError, ValueError, OverflowError) as error:
        problem = str(error)
    raise TypeError(
        f"X has {item} features that are not numbers: {problem}. Turn them into numbers in a pipeline, "
        f"for example by {transformer}({example}())."
    )


def is_label_list(classes: Any) -> bool:
    """Whether `classes` is a sequence of at least one label."""
    return np.asarray(classes, dtype=object).ndim == 1 and len(classes) > 0


def read_classes(classes: Any) -> np.ndarray:
    """Sorted distinct labels of the parameter `classes`."""
    if not is_label_list(classes):
        raise ValueError(f"classes must be a list of labels, got {classes!r}")
    labels = label_array(classes, "classes")
    label_kind(labels, "classes", None)
    blank = np.flatnonzero(missing_mask(labels, np.nan))
    if len(blank):
        raise ValueError(f"classes[{blank[0]}] is {labels[blank[0]]}, which means a missing label; remove it")
    return np.unique(plain_labels(labels, "classes"))


def encode(
    labels: np.ndarray, is_known: np.ndarray, classes: np.ndarray | None, dataset: GraphDataset, name: str = "y"
) -> tuple[np.ndarray, np.ndarray]:
    """State codes of labels, and the classes.

    Parameters
    ----------
    labels : ndarray of shape (n_nodes,)
    is_known : ndarray of bool of shape (n_nodes,)
        False where a label is missing.
    classes : ndarray of shape (n_classes,) or None
        Sorted. None: the distinct known labels.
    dataset : GraphDataset
        Its offsets number graphs and nodes in messages.
    name : str, default="y"
        Name of the labels in messages.

    Returns
    -------
    codes : ndarray of shape (n_nodes,)
        -1 where a label is missing.
    classes : ndarray of shape (n_classes,)

    Raises
    ------
    ValueError
        If a label is not among the given `classes`; the message names its graph and node.
    """
    known = plain_labels(labels if is_known.all() else labels[is_known], name)
    blocks = np.array_split(known, -(-len(known) // LABELS)) if len(known) else [known]
    if len(known):
        for block in blocks:
            check_classification_targets(block)
    if classes is None:
        classes = np.unique(np.concatenate([np.unique(block) for block in blocks]))
    found = np.empty(len(known), np.intp)
    for block, codes in zip(blocks, np.array_split(found, len(blocks))):
        codes[:] = find_codes(block, classes)
    unseen = np.flatnonzero(found < 0)
    if len(unseen):
        node = np.flatnonzero(is_known)[unseen[0]]
        g = dataset.topology.node_graph[node]
        label = labels[node : node + 1].tolist()[0]  # a Python object: its repr does not depend on NumPy's version
        raise ValueError(
            f"{name}[{g}][{node - dataset.node_ptr[g]}] is {label!r}, which is not among the {len(classes)} "
            f"classes {classes[:10].tolist()} ({len(unseen)} such labels); list all labels in the parameter "
            "classes, or declare this one unknown by missing_label."
        )
    if len(found) == len(labels):
        return found, classes
    codes = np.full(len(labels), MISSING, np.intp)
    codes[is_known] = found
    return codes, classes


def find_codes(labels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """State code of each label, -1 for labels that are not among `classes`.

    A dict compares labels exactly. ``np.searchsorted`` would convert integers beyond 2**53 to floats, which are equal.
    """
    codes = {label: code for code, label in enumerate(classes.tolist())}
    return np.fromiter(map(codes.get, labels.tolist(), repeat(-1)), np.intp, len(labels))
