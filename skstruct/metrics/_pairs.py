"""Labels and predictions of nodes, in any form, are checked and paired."""

from typing import Any, NamedTuple

import numpy as np

from skstruct.data.label_types import label_array, plain_labels
from skstruct.data.labels import flatten_labels, flatten_values, refuse_blank
from skstruct.data.missing import missing_mask
from skstruct.data.number_arrays import number_array
from skstruct.data.ragged import RaggedArray, as_ragged, is_ragged
from skstruct.data.target_shapes import check_flat


def pair(y: Any, predictions: Any, missing_label: Any = None) -> tuple[RaggedArray, RaggedArray]:
    """Labels and predictions as ragged arrays of the same sizes; rows of a table are graphs with one node."""
    has_items = hasattr(predictions, "__len__") and getattr(predictions, "shape", None) != ()
    if not has_items or isinstance(predictions, str | bytes | dict | set | frozenset):
        raise TypeError(f"predictions must be a list or an array, got {predictions!r}")
    rectangular = isinstance(predictions, np.ndarray) and predictions.dtype != object
    if not isinstance(predictions, RaggedArray) and (rectangular or not is_ragged(predictions)):
        predictions = RaggedArray(predictions, np.arange(len(predictions) + 1))
        check_flat(y, "y")
        if is_ragged(y):
            raise ValueError("y has one array per graph but the predictions are flat; pass graphs, not a table, as X")
        if len(y) != len(predictions):
            raise ValueError(
                f"Found input variables with inconsistent numbers of samples: [{len(y)}, {len(predictions)}]"
            )
        labels = label_array(y, "y")
        refuse_blank(labels, "y", missing_label)
        return RaggedArray(labels, predictions.ptr), predictions
    predictions = as_ragged(predictions, "predictions")
    return RaggedArray(flatten_labels(y, predictions.ptr, missing_label=missing_label), predictions.ptr), predictions


def node_weights(sample_weight: Any, node_ptr: np.ndarray) -> np.ndarray:
    """Weight of each node, from weights of graphs or of nodes."""
    if is_ragged(sample_weight):
        return number_array(flatten_values(sample_weight, node_ptr, "sample_weight"), "sample_weight")
    return np.repeat(graph_weights(sample_weight, node_ptr, "sample", ", or one array per graph"), np.diff(node_ptr))


def graph_weights(sample_weight: Any, node_ptr: np.ndarray, item: str = "graph", other_form: str = "") -> np.ndarray:
    """Weights of graphs as an array; `item` and `other_form` complete the message."""
    sample_weight = number_array(sample_weight, "sample_weight")
    if sample_weight.shape != (len(node_ptr) - 1,):
        raise ValueError(
            f"sample_weight must have one number per {item}, shape ({len(node_ptr) - 1},){other_form}, got shape "
            f"{sample_weight.shape}"
        )
    return sample_weight


def labelled(labels: np.ndarray, missing_label: Any) -> np.ndarray:
    """Mask of the nodes that have a label."""
    kept = ~missing_mask(labels, missing_label)
    if not kept.any():
        raise ValueError("there is no labelled node to score; use fewer folds, or stratify by graph_label")
    return kept


def nonzero(sample_weight: np.ndarray) -> np.ndarray:
    """Refuse weights that are all zero."""
    if not np.any(sample_weight):
        raise ValueError(
            "sample_weight is zero for everything that is to be scored; drop samples of weight zero before "
            "the split, or use fewer folds"
        )
    return sample_weight


class LabelledNodes(NamedTuple):
    """The nodes that have a label, flat.

    Attributes
    ----------
    labels : ndarray of shape (n_nodes,)
    predictions : ndarray of shape (n_nodes, ...)
        Labels, or rows of probabilities.
    weight : ndarray of shape (n_nodes,) or None
    """

    labels: np.ndarray
    predictions: np.ndarray
    weight: np.ndarray | None


def labelled_nodes(y: Any, predictions: Any, sample_weight: Any, missing_label: Any) -> LabelledNodes:
    """Pair labels and predictions of nodes, without the nodes whose label is missing."""
    y, predictions = pair(y, predictions, missing_label)
    kept = labelled(y.values, missing_label)
    if sample_weight is not None:
        sample_weight = nonzero(node_weights(sample_weight, y.ptr)[kept])
    return LabelledNodes(plain_labels(y.values[kept], "y"), predictions.values[kept], sample_weight)
