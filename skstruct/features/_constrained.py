"""A feature map whose scores forbid pairs of labels and labels of nodes."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator

from skstruct._records import Scores
from skstruct._resolve import resolve
from skstruct.features._base import FeaturePlan


class ConstrainedFeatures(BaseEstimator):
    """Another feature map with constraints: forbidden pairs of labels score -inf on edges, forbidden labels on nodes.

    The constraints hold in training and prediction: forbidden labellings have probability 0 and take no part in
    log-partition and gradient. Labels in `y` that break them are an error that names the graph.

    Parameters
    ----------
    features : {"linear"} or FeatureMap, default="linear"
        The map that is constrained.
    forbidden_pairs : list of (label, label), or dict, default=None
        Pairs that no edge may have, as (label of ``edges[e, 0]``, label of ``edges[e, 1]``). A dict gives a list for
        each edge type: its keys are columns of the edge features, and the list holds for edges that are nonzero there.
        Pairs with labels that do not occur in training are ignored.
    allowed_labels : dict of {int: list of labels}, default=None
        For nodes that are nonzero in a column of the node features (key), the only labels that they may have.

    Notes
    -----
    Forbidden pairs alone keep a matrix that edges share shared.

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

    def __init__(self, features="linear", forbidden_pairs=None, allowed_labels=None):
        self.features = features
        self.forbidden_pairs = forbidden_pairs
        self.allowed_labels = allowed_labels

    def plan(self, dataset, classes, codes=None):
        """Lay out the parameters of the constrained map; see `FeatureMap`.

        Raises
        ------
        ValueError
            If a pair is not a pair, if a column does not exist, or if a node type allows none of the classes.
        """
        from skstruct.features import FEATURE_MAPS  # the table holds this class

        code = {label: number for number, label in enumerate(np.asarray(classes).tolist())}
        by_type = self.forbidden_pairs or {}
        if not isinstance(by_type, dict):
            by_type = {ALL_EDGES: by_type}
        n_edge_features = 0 if dataset.edge_features is None else dataset.edge_features.shape[1]
        edge_masks = {}
        for column, pairs in by_type.items():
            if column is not ALL_EDGES:
                _check_column("forbidden_pairs", column, n_edge_features, "edge features")
            edge_masks[column] = _pair_mask(pairs, code)
        node_masks = {}
        for column, labels in (self.allowed_labels or {}).items():
            _check_column("allowed_labels", column, dataset.node_features.shape[1], "node features")
            allowed = [code[label] for label in labels if label in code]
            if not allowed:
                raise ValueError(
                    f"ConstrainedFeatures: allowed_labels[{column}] = {list(labels)!r} has none of the classes "
                    f"{list(code)}."
                )
            node_masks[column] = np.full(len(code), -np.inf)
            node_masks[column][allowed] = 0.0
        inner = resolve(self.features, FEATURE_MAPS, "features").plan(dataset, classes, codes)
        return ConstrainedPlan(inner, node_masks, edge_masks)


ALL_EDGES = None  # key of the pairs that are forbidden on every edge


def _check_column(name, column, n_columns, what):
    if not isinstance(column, int | np.integer) or not 0 <= column < n_columns:
        raise ValueError(
            f"ConstrainedFeatures: {name} has the key {column!r}; keys are columns of the {n_columns} {what}."
        )


def _pair_mask(pairs, code):
    """0 for allowed and -inf for forbidden pairs, (n_states, n_states)."""
    mask = np.zeros((len(code), len(code)))
    for pair in pairs:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise ValueError(f"ConstrainedFeatures: forbidden_pairs holds {pair!r}, which is not a pair of labels.")
        if pair[0] in code and pair[1] in code:
            mask[code[pair[0]], code[pair[1]]] = -np.inf
    return mask


class ConstrainedInputs(NamedTuple):
    """Inputs of the constrained map, and where each mask applies: nodes and edges with the feature of its key."""

    inner: Any
    nodes: dict[int, np.ndarray]
    edges: dict[int, np.ndarray]


@dataclass(frozen=True, eq=False)
class ConstrainedPlan:
    """The plan of another map, with masks of 0 and -inf to add to its scores."""

    inner: FeaturePlan
    node_masks: dict[int, np.ndarray]  # column of the node features: (n_states,)
    edge_masks: dict[int | None, np.ndarray]  # column of the edge features, or ALL_EDGES: (n_states, n_states)

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
        """Numbers of training."""
        return self.inner.dtype

    def __eq__(self, other):
        return self.inner == other.inner if isinstance(other, ConstrainedPlan) else NotImplemented

    def initial_coef(self, random_state):
        """Start of the constrained map."""
        return self.inner.initial_coef(random_state)

    def attributes(self, coef):
        """Public views of the constrained map's parameters."""
        return self.inner.attributes(coef)

    def prepare(self, batch):
        """Inputs of the constrained map, and where the masks apply."""
        return ConstrainedInputs(
            self.inner.prepare(batch),
            {column: _nonzero(batch.node_features, column) for column in self.node_masks},
            {key: _nonzero(batch.edge_features, key) for key in self.edge_masks if key is not ALL_EDGES},
        )

    def scores(self, inputs, coef):
        """Scores of the constrained map, -inf where forbidden."""
        node, edge, rows = self.inner.scores(inputs.inner, coef)
        for column, mask in self.node_masks.items():
            node[inputs.nodes[column]] += mask
        for key, mask in self.edge_masks.items():
            if key is ALL_EDGES:
                edge = edge + mask.astype(edge.dtype)
                continue
            if rows is not None:  # a matrix of its own for each edge: types cut across shared ones
                edge, rows = edge[rows], None
            edge[inputs.edges[key]] += mask
        return Scores(node, edge, rows)

    def pullback(self, inputs, coef, gradient, out):
        """Adjoint of the constrained map: the gradient is zero where labels are forbidden."""
        self.inner.pullback(inputs.inner, coef, gradient, out)


def _nonzero(features, column):
    """Rows that are nonzero in a column."""
    values = features[:, [column]]
    return np.unique(values.nonzero()[0])


def bio_forbidden_pairs(labels):
    """List the pairs that a BIO scheme forbids: "I-x" may only follow "B-x" or "I-x".

    Parameters
    ----------
    labels : iterable of str
        "O", "B-x", "I-x", ...

    Returns
    -------
    pairs : list of (str, str)

    Examples
    --------
    >>> from skstruct.features import bio_forbidden_pairs
    >>> bio_forbidden_pairs(["B-NP", "I-NP", "O"])
    [('O', 'I-NP')]
    """
    labels = sorted(labels)
    inside = [label for label in labels if label.startswith("I-")]
    return [(a, b) for b in inside for a in labels if a[2:] != b[2:]]
