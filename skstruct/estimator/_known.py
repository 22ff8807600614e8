"""The labels on which queries condition: those in `known`, and, if an estimator is transductive, those of `fit`."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from skstruct.data.dataset import GraphDataset
from skstruct.estimator._input import GraphInput, NodeInput, encode
from skstruct.scores import MISSING

TOLERANCE = 1e-5  # of features: a transformer computes them in `fit_transform` and `transform` with different rounding


@dataclass(frozen=True)
class TrainingLabels:
    """Labels of the training nodes, and what recognises the graphs to which they belong.

    Attributes
    ----------
    codes : ndarray of shape (n_nodes,)
        State codes, `MISSING` where a label was hidden.
    edges : ndarray of shape (n_edges, 2)
    node_ptr : ndarray of shape (n_graphs + 1,)
    projection : ndarray of shape (n_known,)
        The features of the nodes with a label times fixed random numbers: a short record of the features, by which
        graphs of one shape differ.
    """

    codes: np.ndarray
    edges: np.ndarray
    node_ptr: np.ndarray
    projection: np.ndarray

    @classmethod
    def of(cls, dataset: GraphDataset, codes: np.ndarray) -> "TrainingLabels":
        """Record the labels of the graphs of `fit`."""
        return cls(codes, dataset.edges, dataset.node_ptr, _projection(dataset, codes))

    def codes_in(self, dataset: GraphDataset) -> np.ndarray:
        """State codes of the nodes of `dataset`, (n_nodes,); refuse other graphs than those of `fit`."""
        scale = TOLERANCE * np.abs(self.projection).max(initial=0.0)
        same = (
            np.array_equal(dataset.node_ptr, self.node_ptr)
            and np.array_equal(dataset.edges, self.edges)
            and np.allclose(_projection(dataset, self.codes), self.projection, rtol=0.0, atol=scale)
        )
        if not same:
            raise ValueError(
                "transductive=True conditions on the labels of the training nodes, but X does not contain the graphs "
                "of fit, with all nodes and edges, and the features of the training nodes. Select nodes by "
                "dataset.nodes_whole[...], which keeps the graphs whole; for other graphs call "
                "set_params(transductive=False)."
            )
        return self.codes


def _projection(dataset, codes):
    """Return the features of the nodes with a label times fixed random numbers, (n_known,)."""
    x = dataset.node_features[np.flatnonzero(codes != MISSING)]
    return x @ np.random.default_rng(0).standard_normal(x.shape[1])


def known_codes(
    inputs: GraphInput | NodeInput,
    known: Any,
    missing_label: Any,
    classes: np.ndarray,
    transductive: bool,
    training: TrainingLabels | None,
) -> np.ndarray | None:
    """State codes of the labels to condition on.

    Parameters
    ----------
    inputs : GraphInput or NodeInput
    known : like `y` in `fit`, or None
        Takes precedence over `training`.
    missing_label : object
        Value of an unknown label in `known`; None means nan.
    classes : ndarray of shape (n_classes,)
    transductive : bool
        Whether to condition on the labels of the training nodes, too.
    training : TrainingLabels or None
        None if `fit` has not recorded them.

    Returns
    -------
    codes : ndarray of shape (n_nodes,) or None
        `MISSING` for unknown labels. None if no label is known.
    """
    codes = None
    if transductive:
        if training is None:
            raise ValueError("transductive=True was set after fit, which has recorded no labels; call fit again.")
        codes = training.codes_in(inputs.dataset)
    if known is None:
        return codes
    labels, is_known = inputs.known_labels(known, np.nan if missing_label is None else missing_label)
    given, _ = encode(labels, is_known, classes, inputs.dataset, "known")
    return given if codes is None else np.where(given == MISSING, codes, given)
