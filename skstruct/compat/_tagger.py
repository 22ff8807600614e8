"""Queries to a fitted pipeline in the form of python-crfsuite."""

from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from sklearn.pipeline import Pipeline

from skstruct.compat._sequences import read_sequences


class ModelInfo:
    """What ``tagger_.info()`` returns: the parameters of a model by name.

    Attributes
    ----------
    transitions : dict
        ``{(label_from, label_to): weight}``, without weights of 0.
    state_features : dict
        ``{(attribute, label): weight}``, without weights of 0.
    labels, attributes : dict
        Numbers, as strings, of labels and of attributes that have a weight.
    header : dict
        Numbers of labels and attributes, as strings.
    """

    def __init__(self, pipeline: Pipeline, labels: list):
        crf = pipeline[-1]
        names, classes = pipeline[:-1].get_feature_names_out(), crf.classes_.tolist()
        states = coo_array(crf.coef_)
        label, attribute, weight = (part[states.data != 0].tolist() for part in (states.row, states.col, states.data))
        used = names[sorted(set(attribute))].tolist()
        self.state_features = {(names[a], classes[c]): w for c, a, w in zip(label, attribute, weight)}
        self.transitions = {
            (classes[i], classes[j]): float(matrix[i, j])
            for matrix in crf.edge_coef_
            for i, j in np.argwhere(matrix).tolist()
        }
        self.labels = {label: str(number) for number, label in enumerate(labels)}
        self.attributes = {name: str(number) for number, name in enumerate(used)}
        self.header = {"num_labels": str(len(labels)), "num_attrs": str(len(used))}


class Tagger:
    """A fitted pipeline with the methods of the Tagger of python-crfsuite.

    Parameters
    ----------
    pipeline : Pipeline
        Ends in a `GraphCRFClassifier`.
    labels : list
        The classes, in the order of the model.
    """

    def __init__(self, pipeline: Pipeline, labels: list):
        self.pipeline, self._labels = pipeline, labels
        self._sequence: Any = None
        self._marginals: Any = None

    def labels(self) -> list:
        """Labels of the model."""
        return list(self._labels)

    def set(self, xseq: Any) -> None:
        """Set the sequence that the other methods refer to."""
        self._sequence, self._marginals = read_sequences([xseq]), None

    def tag(self, xseq: Any = None) -> list:
        """Most probable labels of a sequence, by default of the sequence that is set."""
        if xseq is not None:
            self.set(xseq)
        return self.pipeline.predict(self._set_sequence()).tolist()[0]

    def probability(self, yseq: Any) -> float:
        """Probability of the labels of the sequence that is set."""
        *steps, crf = self.pipeline
        dataset = self.pipeline[: len(steps)].transform(self._set_sequence())
        return float(np.exp(crf.log_likelihood(dataset, [list(yseq)])[0]))

    def marginal(self, y: Any, pos: int) -> float:
        """Probability of the label `y` at the position `pos` of the sequence that is set."""
        if self._marginals is None:
            self._marginals = self.pipeline.predict_proba(self._set_sequence())[0]
        if y not in self._labels:
            raise ValueError(f"the label {y!r} is not one of {self._labels}")
        return float(self._marginals[pos, self.pipeline.classes_.tolist().index(y)])

    def info(self) -> ModelInfo:
        """Parameters of the model by name."""
        return self._info

    def close(self) -> None:
        """Do nothing: there is no file to close."""

    @cached_property
    def _info(self):
        return ModelInfo(self.pipeline, self._labels)

    def _set_sequence(self):
        if self._sequence is None:
            raise ValueError("there is no sequence; call set(xseq) or tag(xseq) first")
        return self._sequence
