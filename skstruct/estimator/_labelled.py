"""Pieces of the training data that are read apart from each other, and what has to be the same for all of them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator

from skstruct.data.label_types import join_labels, label_kind, plain_labels
from skstruct.data.tables import is_sparse
from skstruct.estimator._input import GraphInput, NodeInput, encode, find_codes, read_X
from skstruct.estimator._part import Part
from skstruct.estimator._weights import target_weights, without_weightless
from skstruct.objectives import Objective


class Description(NamedTuple):
    """What the pieces have to agree on, and what is added up over the pieces.

    Attributes
    ----------
    facts : dict of {str: object}
        Values that have to be equal in all pieces; None if a piece does not show the value.
    classes : ndarray
        Distinct labels, sorted.
    totals : ndarray
        Sum of the sample weights of the nodes of each class.
    """

    facts: dict[str, Any]
    classes: np.ndarray
    totals: np.ndarray


class Labelled(NamedTuple):
    """Graphs with labels and sample weights, before the classes of the whole data are known.

    Attributes
    ----------
    inputs : GraphInput or NodeInput
    labels : ndarray of shape (n_nodes,)
    is_known : ndarray of bool, (n_nodes,)
    weights : ndarray of shape (n_nodes,)
        Sample weight of each node.
    description : Description
    """

    inputs: GraphInput | NodeInput
    labels: np.ndarray
    is_known: np.ndarray
    weights: np.ndarray
    description: Description

    @classmethod
    def read(cls, estimator: BaseEstimator, X: Any, y: Any, sample_weight: Any = None) -> "Labelled":
        """Read a piece; arguments as for `fit` of the estimator, whose ``n_features_in_`` and names are set."""
        if y is None:
            raise ValueError("there are graphs, but no labels y")
        inputs = read_X(estimator, X, reset=True)
        labels, is_known = inputs.labels(y, estimator.missing_label)
        weights = inputs.node_weights(sample_weight)
        known = plain_labels(labels[is_known], "y")
        classes, codes = np.unique(known, return_inverse=True)
        kind = label_kind(labels, "y", estimator.missing_label)
        facts = {
            "kind of samples": "nodes" if isinstance(inputs, NodeInput) else "graphs",
            "kind of labels": kind,
            **_facts("node", inputs.dataset.node_features, getattr(estimator, "feature_names_in_", None)),
        }
        if inputs.dataset.n_edges:
            names = getattr(estimator, "edge_feature_names_in_", None)
            facts |= _facts("edge", inputs.dataset.edge_features, names)
        totals = np.bincount(codes, weights[is_known], len(classes))
        return cls(inputs, labels, is_known, weights, Description(facts, classes, totals))

    def part(
        self, facts: dict[str, Any], classes: np.ndarray, by_class: np.ndarray | None, objective: Objective
    ) -> Part:
        """Training data of this piece, without graphs of weight 0.

        Parameters
        ----------
        facts : dict
            Of all pieces, from `agree`.
        classes : ndarray of shape (n_classes,)
        by_class : ndarray of shape (n_classes,) or None
            Weights of the classes.
        objective : Objective
        """
        codes, _ = encode(self.labels, self.is_known, classes, self.inputs.dataset)
        targets = target_weights(self.inputs, codes, self.weights, by_class, objective)
        dataset = self.inputs.dataset
        n_edge_features = facts.get("number of edge features", 0)
        if not dataset.n_edges:  # such a piece does not show the number of edge features
            dataset = dataset.with_edge_features(np.zeros((0, n_edge_features)) if n_edge_features else None)
        return Part(*without_weightless(dataset, targets))


def _facts(what, features, names):
    if features is None:
        return {f"number of {what} features": 0}
    storage = "sparse" if is_sparse(features) else "dense"
    return {
        f"number of {what} features": features.shape[1],
        f"type of {what} features": f"{storage} {features.dtype}",
        f"list of names of {what} features": None if names is None else names.tolist(),
    }


def agree(descriptions: Sequence[Description]) -> tuple[dict[str, Any], tuple[int, str] | None]:
    """Facts of all pieces.

    Returns
    -------
    facts : dict
    misfit : (int, str) or None
        Number of the first piece that differs from an earlier piece, and the difference. None: all pieces agree.
    """
    facts: dict[str, Any] = {}
    first: dict[str, int] = {}
    for piece, description in enumerate(descriptions):
        for name, value in description.facts.items():
            if value is not None and name not in facts:
                facts[name], first[name] = value, piece
            elif value is not None and facts[name] != value:
                return facts, (piece, f"the {name} is {value!r}, but {facts[name]!r} in partition {first[name]}")
    return facts, None


def class_totals(descriptions: Sequence[Description], classes: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Classes, and the sum of the sample weights of each, both (n_classes,); None: the classes in the data."""
    present = [found.classes for found in descriptions if len(found.classes)]
    if not present:
        raise ValueError("y has no labelled node: at least one is needed, of at least one class.")
    if classes is None:
        classes = np.unique(plain_labels(join_labels(present, "y"), "y"))
    totals = np.zeros(len(classes))
    for found in descriptions:
        codes = find_codes(found.classes, classes)
        np.add.at(totals, codes[codes >= 0], found.totals[codes >= 0])
    return classes, totals
