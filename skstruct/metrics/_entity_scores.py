"""Scores of predicted entities: an entity is right if its type, its first and its last node are right."""

from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics import classification_report, f1_score, precision_score, recall_score

from skstruct.data.label_types import plain_labels
from skstruct.data.ragged import as_ragged, is_ragged
from skstruct.metrics._entities import entity_arrays
from skstruct.metrics._pairs import graph_weights, labelled, nonzero, pair


class EntityPairs(NamedTuple):
    """Entities of the labels, of the predictions, or of both, as samples of a classification problem.

    Attributes
    ----------
    types : list of str
        Sorted. [""] if there is no entity.
    true, predicted : ndarray of shape (n_samples,)
        Number of the type; -1 if the labels, or the predictions, do not have the entity. There is always a sample with
        -1 in both: metrics need a sample, and reports have another form if all samples have one of the types.
    weight : ndarray of shape (n_samples,) or None
        Weight of the sequence.
    """

    types: list[str]
    true: np.ndarray
    predicted: np.ndarray
    weight: np.ndarray | None

    def apply(self, metric: Any, **kwargs: Any) -> Any:
        """Result of a metric of scikit-learn."""
        labels = np.arange(len(self.types))
        return metric(self.true, self.predicted, labels=labels, sample_weight=self.weight, **kwargs)


def entity_pairs(y: Any, predictions: Any, scheme: str, sample_weight: Any, missing_label: Any) -> EntityPairs:
    """Match the entities of labels and predictions; nodes whose label is missing are removed from both."""
    if not is_ragged(predictions):
        raise ValueError(
            "entities need one array of labels per sequence, but the predictions are flat; with dataset.nodes as "
            "samples, use the dataset instead"
        )
    y, predictions = pair(y, as_ragged(predictions, "predictions"), missing_label)
    kept = labelled(y.values, missing_label)
    ptr = np.concatenate([[0], np.cumsum(kept)])[y.ptr]
    true = entity_arrays(plain_labels(y.values[kept], "y"), ptr, scheme, "y")
    predicted = entity_arrays(predictions.values[kept], ptr, scheme, "predictions")
    types, codes = np.unique(np.concatenate([true.type, predicted.type]), return_inverse=True)
    ends = np.full((2, ptr[-1] + 1, 2), -1)  # end and type of the entity that begins at a node; -1 if none does
    for side, entities, code in zip(ends, (true, predicted), np.split(codes, [len(true.type)])):
        side[entities.start] = np.stack([entities.stop, code], axis=1)
    wrong = (ends[0] != ends[1]).any(axis=1)
    type_true, type_predicted = ends[:, :, 1]
    if sample_weight is not None:
        weight = nonzero(graph_weights(sample_weight, ptr, "sequence"))
        weight = np.append(np.repeat(weight, np.diff(ptr)), 0.0)
        sample_weight = np.append(weight, weight[wrong])
    return EntityPairs(
        types.tolist() or [""],
        np.append(type_true, np.full(wrong.sum(), -1)),
        np.append(np.where(wrong, -1, type_predicted), type_predicted[wrong]),
        sample_weight,
    )


def entity_f1_score(
    y: Any,
    predictions: Any,
    *,
    scheme: str = "conll",
    average: str | None = "micro",
    sample_weight: Any = None,
    zero_division: Any = "warn",
    missing_label: Any = None,
) -> float | np.ndarray:
    """F1 score of the entities (chunks) of sequences.

    A predicted entity is right if its type, its first node and its last node are right. F1 is the harmonic mean of the
    precision, the fraction of the predicted entities that are right, and the recall, the fraction of the entities of
    `y` that are found. With the default parameters it is the score of the CoNLL shared tasks.

    Parameters
    ----------
    y : RaggedArray or list of array-like
        Labels, one array per sequence: "O" outside of entities, else a prefix and a type, such as "B-x".
    predictions : RaggedArray or list of array-like
        Predicted labels.
    scheme : {"conll", "BIO", "IOB1", "IOE2", "IOBES", "BILOU", "BMES"}, default="conll"
        How labels represent entities, as in :func:`find_entities`. "conll" accepts all prefixes and also sequences that
        break their scheme.
    average : {"micro", "macro", "weighted"} or None, default="micro"
        "micro": over all entities. "macro": mean of the scores of the types. "weighted": the same, weighted by the
        number of entities of the types in `y`. None: an array with the scores of all types, sorted.
    sample_weight : array-like of shape (n_sequences,), default=None
        Weight of the entities of each sequence.
    zero_division : {"warn", 0.0, 1.0, nan}, default="warn"
        Value if there is no entity. "warn": 0, with a warning.
    missing_label : object, default=None
        Nodes with this label in `y` are removed from `y` and from the predictions.

    Returns
    -------
    score : float or ndarray of shape (n_types,)

    Raises
    ------
    TypeError, ValueError
        If sequences differ in length, or a label does not belong to the scheme.

    See Also
    --------
    entity_scorer : scorer for ``scoring=``; `entity_f1` is ready for use.
    entity_report : all scores of all types.

    Examples
    --------
    >>> from skstruct.metrics import entity_f1_score
    >>> y = [["B-PER", "I-PER", "O", "B-LOC"], ["B-LOC", "O"]]
    >>> entity_f1_score(y, [["B-PER", "I-PER", "O", "O"], ["B-PER", "O"]])
    0.4
    """
    pairs = entity_pairs(y, predictions, scheme, sample_weight, missing_label)
    return pairs.apply(f1_score, average=average, zero_division=zero_division)


def entity_precision_score(
    y: Any,
    predictions: Any,
    *,
    scheme: str = "conll",
    average: str | None = "micro",
    sample_weight: Any = None,
    zero_division: Any = "warn",
    missing_label: Any = None,
) -> float | np.ndarray:
    """Precision of the entities of sequences: the fraction of the predicted entities that are right.

    Parameters
    ----------
    y, predictions, scheme, average, sample_weight, zero_division, missing_label
        As in :func:`entity_f1_score`.

    Returns
    -------
    score : float or ndarray of shape (n_types,)

    Examples
    --------
    >>> from skstruct.metrics import entity_precision_score
    >>> entity_precision_score([["B-PER", "O", "B-LOC"]], [["B-PER", "O", "O"]])
    1.0
    """
    pairs = entity_pairs(y, predictions, scheme, sample_weight, missing_label)
    return pairs.apply(precision_score, average=average, zero_division=zero_division)


def entity_recall_score(
    y: Any,
    predictions: Any,
    *,
    scheme: str = "conll",
    average: str | None = "micro",
    sample_weight: Any = None,
    zero_division: Any = "warn",
    missing_label: Any = None,
) -> float | np.ndarray:
    """Recall of the entities of sequences: the fraction of the entities of `y` that are predicted.

    Parameters
    ----------
    y, predictions, scheme, average, sample_weight, zero_division, missing_label
        As in :func:`entity_f1_score`.

    Returns
    -------
    score : float or ndarray of shape (n_types,)

    Examples
    --------
    >>> from skstruct.metrics import entity_recall_score
    >>> entity_recall_score([["B-PER", "O", "B-LOC"]], [["B-PER", "O", "O"]])
    0.5
    """
    pairs = entity_pairs(y, predictions, scheme, sample_weight, missing_label)
    return pairs.apply(recall_score, average=average, zero_division=zero_division)


def entity_report(
    y: Any,
    predictions: Any,
    *,
    scheme: str = "conll",
    sample_weight: Any = None,
    digits: int = 2,
    output_dict: bool = False,
    zero_division: Any = "warn",
    missing_label: Any = None,
) -> str | dict:
    """Precision, recall, F1 and number of the entities of each type.

    Parameters
    ----------
    y, predictions, scheme, sample_weight, zero_division, missing_label
        As in :func:`entity_f1_score`.
    digits : int, default=2
        Number of digits in the text.
    output_dict : bool, default=False
        Whether to return a dict instead of a text; ``pandas.DataFrame(report).T`` converts it to a table.

    Returns
    -------
    report : str or dict
        As by :func:`sklearn.metrics.classification_report`.

    Examples
    --------
    >>> from skstruct.metrics import entity_report
    >>> y = [["B-PER", "I-PER", "O", "B-LOC"], ["B-LOC", "O"]]
    >>> print(entity_report(y, [["B-PER", "I-PER", "O", "O"], ["B-LOC", "O"]]))
                  precision    recall  f1-score   support
    <BLANKLINE>
             LOC       1.00      0.50      0.67         2
             PER       1.00      1.00      1.00         1
    <BLANKLINE>
       micro avg       1.00      0.67      0.80         3
       macro avg       1.00      0.75      0.83         3
    weighted avg       1.00      0.67      0.78         3
    <BLANKLINE>
    """
    pairs = entity_pairs(y, predictions, scheme, sample_weight, missing_label)
    return pairs.apply(
        classification_report,
        target_names=pairs.types,
        digits=digits,
        output_dict=output_dict,
        zero_division=zero_division,
    )
