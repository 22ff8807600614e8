"""A feature map whose scores forbid pairs of labels and labels of nodes."""

import re
import warnings
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from skstruct.components import resolve
from skstruct.features._base import FEATURE_MAPS, FeatureMap, FeaturePlan
from skstruct.scores import Scores


class ConstrainedFeatures(FeatureMap):
    """Another feature map with constraints: forbidden pairs of labels score -inf on edges, forbidden labels on nodes.

    The constraints hold in training and prediction: forbidden labellings have probability 0 and do not contribute to
    the log-partition and the gradient. If labels in `y` break a constraint, `fit` raises an error that names the graph.

    Parameters
    ----------
    features : {"linear", "network"} or FeatureMap, default="linear"
        The map that is constrained.
    forbidden_pairs : list of (label, label), or dict, default=None
        Pairs that no edge may have, as (label of ``edges[e, 0]``, label of ``edges[e, 1]``). A dict contains a list for
        each edge type. Its keys are columns of the edge features. The list constrains the edges with a nonzero value in
        that column. A pair with a label that is not a class has no effect.
    allowed_labels : dict of {int: list of labels}, default=None
        The key is a column of the node features. Nodes with a nonzero value in that column may have the labels of the
        list and no other labels. A label that is not a class has no effect.

    Notes
    -----
    A matrix that edges share stays shared: edges that are constrained in another way get a copy of it.

    The data of a fit may lack labels that the constraints name, for example in a fold of cross-validation. Such labels
    have no effect, unless the parameter `classes` of the classifier contains them. Two kinds of mistakes are errors: a
    list that names no class at all, and a label that differs from a class only in case, separators or type, such as
    "B_x" for "B-x" or "1" for 1. If no pair of a list has an effect, a warning is issued.

    Examples
    --------
    "b" never follows "a":

    >>> import numpy as np
    >>> from skstruct import GraphCRFClassifier, GraphDataset
    >>> from skstruct.features import ConstrainedFeatures
    >>> X = GraphDataset.from_sequences([[[1.0], [0.0], [1.0]], [[0.0], [0.2], [1.0]]])
    >>> y = [["a", "a", "a"], ["b", "a", "a"]]
    >>> crf = GraphCRFClassifier(ConstrainedFeatures(forbidden_pairs=[("a", "b")])).fit(X, y)
    >>> bool(crf.predict_edge_proba(X).values[:, 0, 1].max() == 0)
    True
    """

    def __init__(
        self,
        features: str | FeatureMap = "linear",
        forbidden_pairs: list | dict | None = None,
        allowed_labels: dict | None = None,
    ):
        self.features = features
        self.forbidden_pairs = forbidden_pairs
        self.allowed_labels = allowed_labels

    def collect(self, dataset, codes, classes):
        """Collect the statistics of the constrained map; see `FeatureMap`."""
        edge_features = dataset.edge_features
        return ConstrainedStatistics(
            self._inner().collect(dataset, codes, classes),
            dataset.node_features.shape[1],
            0 if edge_features is None else edge_features.shape[1],
        )

    def merge(self, first, second):
        """Combine the statistics of two pieces of the data; see `FeatureMap`."""
        return first._replace(inner=self._inner().merge(first.inner, second.inner))

    def plan_from(self, statistics, classes):
        """Set up the parameters of the constrained map, and the masks; see `FeatureMap`.

        Raises
        ------
        TypeError, ValueError
            If a constraint is not of the form that the class describes, if a column does not exist, or if the labels of
            a list are not classes.

        Warns
        -----
        UserWarning
            If no pair of a list has two classes.
        """
        code = {label: number for number, label in enumerate(np.asarray(classes).tolist())}
        shared_mask, edge_masks, pairs = None, {}, self.forbidden_pairs
        if isinstance(pairs, dict):
            for column, pairs_of_type in pairs.items():
                _check_column("forbidden_pairs", column, statistics.n_edge_features, "edge features")
                edge_masks[int(column)] = _pair_mask(f"forbidden_pairs[{column}]", pairs_of_type, code)
        elif pairs is not None:
            shared_mask = _pair_mask("forbidden_pairs", pairs, code)
        node_masks = {}
        if not isinstance(self.allowed_labels, dict | None):
            raise TypeError(
                "ConstrainedFeatures: allowed_labels must be a dict from columns of the node features to lists of "
                f"labels, got {self.allowed_labels!r}."
            )
        for column, labels in (self.allowed_labels or {}).items():
            _check_column("allowed_labels", column, statistics.n_features, "node features")
            node_masks[int(column)] = _label_mask(f"allowed_labels[{column}]", labels, code)
        inner = self._inner().plan_from(statistics.inner, classes)
        return ConstrainedPlan(inner, node_masks, edge_masks, shared_mask)

    def _inner(self):
        return resolve(self.features, FeatureMap, FEATURE_MAPS)


class ConstrainedStatistics(NamedTuple):
    """What the plan of the constrained map depends on."""

    inner: Any
    n_features: int
    n_edge_features: int


def _check_column(name, column, n_columns, what):
    is_integer = isinstance(column, int | np.integer) and not isinstance(column, bool)
    if not is_integer or not 0 <= column < n_columns:
        raise ValueError(
            f"ConstrainedFeatures: {name} has the key {column!r}; keys are columns of the {n_columns} {what}."
        )


def _pair_mask(name, pairs, code):
    """0 for allowed and -inf for forbidden pairs, (n_states, n_states)."""
    pairs = [
        pair.tolist() if isinstance(pair, np.ndarray) else pair for pair in _as_list(name, pairs, "pairs of labels")
    ]
    for pair in pairs:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise ValueError(f"ConstrainedFeatures: {name} holds {pair!r}, which is not a pair of labels.")
    named = _check_labels(name, [label for pair in pairs for label in pair], code)
    mask = np.zeros((len(code), len(code)))
    forbidden = [(code[a], code[b]) for a, b in pairs if a in code and b in code]
    if pairs and not forbidden:
        unknown = [label for label in named if label not in code]
        warnings.warn(
            f"ConstrainedFeatures: {name} forbids nothing here, since none of its {len(pairs)} pairs has two classes: "
            f"{_some(unknown)} are not among the classes {_some(code)}. Check the labels, or list all labels in the "
            "parameter classes.",
            UserWarning,
            stacklevel=2,
        )
    for a, b in forbidden:
        mask[a, b] = -np.inf
    return mask


def _label_mask(name, labels, code):
    """0 for allowed and -inf for other labels, (n_states,)."""
    labels = _as_list(name, labels, "labels")
    if not labels:
        raise ValueError(f"ConstrainedFeatures: {name} is empty, so that no label is allowed.")
    mask = np.full(len(code), -np.inf)
    mask[[code[label] for label in _check_labels(name, labels, code) if label in code]] = 0.0
    return mask


def _as_list(name, values, what):
    if isinstance(values, str | bytes | dict) or not (np.iterable(values) and hasattr(values, "__len__")):
        raise TypeError(f"ConstrainedFeatures: {name} must be a list of {what}, got {values!r}.")
    return list(values)


def _check_labels(name, labels, code):
    """Refuse labels that are mistakes, and return the labels without repetition.

    It is a mistake if no label is a class. A label that is similar to a class is a mistake, too, unless the constraint
    also names that class.
    """
    try:
        labels = list(dict.fromkeys(labels))
    except TypeError as error:
        raise TypeError(f"ConstrainedFeatures: {name} has a label that no class can be: {error}.") from error
    similar = {_spelling(label): label for label in code if label not in labels}
    for label in labels:
        if label not in code and _spelling(label) in similar:
            raise ValueError(
                f"ConstrainedFeatures: {name} has the label {label!r}, which is not a class, but the class "
                f"{similar[_spelling(label)]!r} is similar; write labels exactly as in y."
            )
    if labels and not any(label in code for label in labels):
        raise ValueError(
            f"ConstrainedFeatures: {name} has none of the classes {_some(code)}; its labels are {_some(labels)}. Write "
            "labels exactly as in y, or list all labels in the parameter classes."
        )
    return labels


def _spelling(label):
    """Normal form of a label: equal for labels that differ only in case, separators or type."""
    return re.sub(r"[\s_:./|-]+", "-", str(label).strip()).casefold()


def _some(labels):
    """List of the first labels, for messages."""
    labels = list(labels)
    return f"{labels[:10]}" if len(labels) <= 10 else f"{labels[:10]} and {len(labels) - 10} more"


class ConstrainedInputs(NamedTuple):
    """Inputs of the constrained map, and the nodes and edges to which each mask applies, by the column of its key."""

    inner: Any
    nodes: dict[int, np.ndarray]
    edges: dict[int, np.ndarray]


class ConstrainedContext(NamedTuple):
    """What the backward pass needs: the inputs, the inner map's context, and its matrices."""

    inputs: ConstrainedInputs
    inner: Any
    source: np.ndarray | None  # (n_matrices,) matrix of the inner map that each matrix is a copy of; None: the same
    edge_matrix: np.ndarray | None  # of the inner map

    def unmasked(self, d_scores):
        """Gradient with respect to the inner map's scores."""
        if self.source is None:
            return d_scores
        edge = np.zeros((self.source.max(initial=-1) + 1, *d_scores.edge.shape[1:]), d_scores.edge.dtype)
        np.add.at(edge, self.source, d_scores.edge)
        return Scores(d_scores.node, edge, self.edge_matrix)


@dataclass(frozen=True, eq=False)
class ConstrainedPlan(FeaturePlan):
    """The plan of another map, and masks of 0 and -inf that are added to its scores."""

    inner: FeaturePlan
    node_masks: dict[int, np.ndarray]  # column of the node features: (n_states,)
    edge_masks: dict[int, np.ndarray]  # column of the edge features: (n_states, n_states)
    shared_mask: np.ndarray | None  # of all edges, (n_states, n_states)

    @property
    def n_coef(self):
        """Number of parameters."""
        return self.inner.n_coef

    @property
    def penalized(self):
        """Factor of each parameter in the regulariser."""
        return self.inner.penalized

    @property
    def free(self):
        """False for entries that are no parameters."""
        return self.inner.free

    @property
    def dtype(self):
        """Type of the `coef` of training."""
        return self.inner.dtype

    @property
    def linear(self):
        """As the inner map: constraints add constants."""
        return self.inner.linear

    @property
    def has_tangent(self):
        """As the inner map."""
        return self.inner.has_tangent

    def __eq__(self, other):
        return self.inner == other.inner if isinstance(other, ConstrainedPlan) else NotImplemented

    def initial_coef(self, random_state):
        """Parameters of the constrained map where training starts."""
        return self.inner.initial_coef(random_state)

    def attributes(self, coef):
        """Public views of the constrained map's parameters."""
        return self.inner.attributes(coef)

    def prepare(self, batch):
        """Inputs of the constrained map, and where the masks apply."""
        return ConstrainedInputs(
            self.inner.prepare(batch),
            {column: _nonzero(batch.node_features, column) for column in self.node_masks},
            {column: _nonzero(batch.edge_features, column) for column in self.edge_masks},
        )

    def slice_inputs(self, inputs, batch, graphs):
        """Inputs of consecutive graphs of a batch; see `FeaturePlan`."""
        nodes, edges = (slice(ptr[graphs.start], ptr[graphs.stop]) for ptr in (batch.node_ptr, batch.edge_ptr))
        return ConstrainedInputs(
            self.inner.slice_inputs(inputs.inner, batch, graphs),
            {column: _within(rows, nodes) for column, rows in inputs.nodes.items()},
            {key: _within(rows, edges) for key, rows in inputs.edges.items()},
        )

    def scores(self, inputs, coef):
        """Scores of the constrained map, -inf where forbidden; see `FeaturePlan`."""
        free, context = self.inner.scores(inputs.inner, coef)
        scores, source = self._masked(inputs, free)
        return scores, ConstrainedContext(inputs, context, source, free.edge_matrix)

    def _masked(self, inputs, scores):
        """Scores with the masks added, and the matrix that each of theirs was; None: the same ones."""
        node, edge, rows = scores
        for column, mask in self.node_masks.items():
            node[inputs.nodes[column]] += mask
        if self.shared_mask is not None:
            edge = edge + self.shared_mask.astype(edge.dtype)
        if not self.edge_masks or rows is None:
            for column, mask in self.edge_masks.items():
                edge[inputs.edges[column]] += mask
            return Scores(node, edge, rows), None
        rows, source = rows.copy(), np.arange(len(edge))
        for column, mask in self.edge_masks.items():
            edges, is_masked = inputs.edges[column], np.zeros(len(edge), bool)
            is_masked[rows[edges]] = True
            rows[edges] = (len(edge) - 1 + np.cumsum(is_masked))[rows[edges]]
            edge = np.concatenate([edge, edge[is_masked] + mask.astype(edge.dtype)])
            source = np.concatenate([source, source[is_masked]])
        return Scores(node, edge, rows), source

    def pullback(self, context, d_scores, out):
        """Adjoint of the constrained map; gradients with respect to forbidden scores are zero already."""
        self.inner.pullback(context.inner, context.unmasked(d_scores), out)

    def step(self, context, d_scores, coef, rate):
        """Step of the constrained map; see `FeaturePlan`."""
        self.inner.step(context.inner, context.unmasked(d_scores), coef, rate)

    def input_gradient(self, inputs, coef, d_scores):
        """Gradient of the features by the constrained map; see `FeaturePlan`."""
        return self.inner.input_gradient(inputs.inner, coef, d_scores)

    def tangent(self, context, d_coef):
        """Tangent of the constrained map; forbidden scores do not move."""
        node, edge, rows = self._masked(context.inputs, self.inner.tangent(context.inner, d_coef))[0]
        node, edge = (np.where(np.isneginf(array), 0.0, array) for array in (node, edge))
        return Scores(node, edge, rows)


def _nonzero(features, column):
    """Rows that are nonzero in a column."""
    values = features[:, [column]]
    return np.unique(values.nonzero()[0])


def _within(rows, selection):
    """Sorted row numbers that are in a slice, counted from the start of the slice."""
    first, last = np.searchsorted(rows, [selection.start, selection.stop])
    return rows[first:last] - selection.start
