"""The log of a training in the format of CRFsuite, and its evaluation on held-out sequences."""

from collections import namedtuple
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

LabelScore = namedtuple("LabelScore", "match model ref precision recall f1")  # as in python-crfsuite
FRACTIONS = {"item_accuracy", "instance_accuracy"}
NUMBERS = {  # lines of the log, in the order of CRFsuite
    "loss": "Loss: {:f}",
    "feature_norm": "Feature norm: {:f}",
    "error_norm": "Error norm: {:f}",
    "active_features": "Active features: {}",
    "linesearch_trials": "Line search trials: {}",
    "time": "Seconds required for this iteration: {:.3f}",
}


class TrainingLog:
    """What a training has reported: the attributes of ``training_log_`` of sklearn-crfsuite.

    Attributes
    ----------
    iterations : list of dict
        For each iteration the number ``num``, the ``loss`` (the objective that CRFsuite minimises), ``feature_norm``,
        ``active_features`` and ``time`` in seconds. For L-BFGS also ``error_norm``, which is the largest component of
        the gradient here, and ``linesearch_trials``. With held-out sequences also ``scores``, ``avg_precision``,
        ``avg_recall``, ``avg_f1``, ``item_accuracy``, ``item_accuracy_float``, ``instance_accuracy`` and
        ``instance_accuracy_float``.
    last_iteration : dict or None
    featgen_num_features : int or None
        Number of weights.
    training_seconds : float or None
    log : list of str
        Lines, in the format of CRFsuite.
    """

    def __init__(self):
        self.iterations: list[dict[str, Any]] = []
        self.featgen_num_features: int | None = None
        self.training_seconds: float | None = None
        self.log: list[str] = []

    @property
    def last_iteration(self) -> dict[str, Any] | None:
        """The last one of the iterations."""
        return self.iterations[-1] if self.iterations else None

    def __getstate__(self):
        """State of plain types, which skops stores without further types to trust."""
        return {**vars(self), "iterations": [_plain(iteration) for iteration in self.iterations]}

    def __setstate__(self, state):
        self.__dict__.update(state, iterations=[_restored(iteration) for iteration in state["iterations"]])

    def begin(self, n_features: int, tell: Callable[[str], Any]) -> None:
        """Log the number of weights; `tell` receives the lines."""
        self.featgen_num_features = n_features
        self._write(["Feature generation", f"Number of features: {n_features}", "Seconds required: 0.000", ""], tell)

    def add(self, iteration: dict[str, Any], tell: Callable[[str], Any]) -> None:
        """Log an iteration."""
        self.iterations.append(iteration)
        lines = [f"***** Iteration #{iteration['num']} *****"]
        lines += [text.format(iteration[name]) for name, text in NUMBERS.items() if name in iteration]
        if iteration["scores"]:
            lines += _score_lines(iteration)
        self._write([*lines, ""], tell)

    def end(self, seconds: float, tell: Callable[[str], Any]) -> None:
        """Log the end."""
        self.training_seconds = seconds
        lines = [f"Total seconds required for training: {seconds:.3f}", "", "Storing the model"]
        self._write([*lines, "Seconds required: 0.000", ""], tell)

    def _write(self, lines, tell):
        for line in lines:
            self.log.append(line + "\n")
            tell(line + "\n")


def _plain(iteration):
    """Entries of an iteration with lists in place of fractions and scores."""
    plain = {**iteration, "scores": {label: list(score) for label, score in iteration["scores"].items()}}
    for name in FRACTIONS & iteration.keys():
        plain[name] = [iteration[name].numerator, iteration[name].denominator]
    return plain


def _restored(plain):
    """Undo `_plain`."""
    iteration = {**plain, "scores": {label: LabelScore(*score) for label, score in plain["scores"].items()}}
    return iteration | {name: Fraction(*plain[name]) for name in FRACTIONS & plain.keys()}


def _score_lines(iteration):
    yield "Performance by label (#match, #model, #ref) (precision, recall, F1):"
    for label, score in iteration["scores"].items():
        rates = "(******, ******, ******)" if score.f1 is None else "({:.4f}, {:.4f}, {:.4f})".format(*score[3:])
        yield f"    {label}: ({score.match}, {score.model}, {score.ref}) {rates}"
    rates = ", ".join(f"{iteration[name]:f}" for name in ("avg_precision", "avg_recall", "avg_f1"))
    yield f"Macro-average precision, recall, F1: ({rates})"
    for name, key in (("Item", "item_accuracy"), ("Instance", "instance_accuracy")):
        fraction = iteration[key]
        yield f"{name} accuracy: {fraction.numerator} / {fraction.denominator} ({float(fraction):.4f})"


def evaluate(found: np.ndarray, codes: np.ndarray, ptr: np.ndarray, labels: list) -> dict[str, Any]:
    """Evaluate labels as CRFsuite does.

    Parameters
    ----------
    found, codes : ndarray of shape (n_tokens,)
        Predicted and given codes.
    ptr : ndarray of shape (n_sequences + 1,)
        Offsets of the sequences.
    labels : list
        Label of each code.

    Returns
    -------
    scores : dict
        Entries of an iteration of a `TrainingLog`.
    """
    is_right = found == codes
    match, model, ref = (np.bincount(x, minlength=len(labels)) for x in (codes[is_right], found, codes))
    rates = match / np.maximum(model, 1), match / np.maximum(ref, 1), 2 * match / np.maximum(model + ref, 1)
    rows = zip(labels, *(column.tolist() for column in (match, model, ref, *rates)))
    scores = {
        label: LabelScore(*row) if row[1] or row[2] else LabelScore(0, 0, 0, None, None, None) for label, *row in rows
    }
    precision, recall, f1 = (float(rate.mean()) for rate in rates)
    sizes = np.diff(ptr)
    n_right = np.diff(np.concatenate([[0], np.cumsum(is_right)])[ptr])
    items = int(is_right.sum()), max(len(codes), 1)
    instances = int((n_right == sizes)[sizes > 0].sum()), max(int((sizes > 0).sum()), 1)
    item, instance = Fraction(*items), Fraction(*instances)
    return {
        "scores": scores,
        "avg_precision": precision,
        "avg_recall": recall,
        "avg_f1": f1,
        "item_accuracy": item,
        "item_accuracy_float": float(item),
        "instance_accuracy": instance,
        "instance_accuracy_float": float(instance),
    }
