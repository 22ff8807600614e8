"""What all formats of data files have in common: records, predictions, and the class of a format."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, NamedTuple

from sklearn.base import BaseEstimator


class Record(NamedTuple):
    """One sequence or graph of a file.

    Attributes
    ----------
    place : str
        File and line, for messages.
    x : object
        Sequence of tokens, or a graph.
    y : list or None
        A label for each token or node; None if the file has no labels.
    source : object
        What `Format.written` needs to write the record again.
    """

    place: str
    x: Any
    y: list | None
    source: Any


class Prediction(NamedTuple):
    """A labelling of a record.

    Attributes
    ----------
    labels : list
    probabilities : list or None
        For each node its probability to have the label, or a dict with the probability of each label.
    probability : float or None
        Probability of the labelling.
    """

    labels: list
    probabilities: list | None = None
    probability: float | None = None


class Format:
    """A format of data files. The values of its parameters are JSON, and are saved with a model.

    Attributes
    ----------
    name : str
        Name on the command line.
    parameters : tuple of str
        Parameters of ``__init__``, which are options of the command line.
    suffixes : tuple of str
        Ends of the names of files in this format.
    help : str
    fit_intercept : bool
        Whether the model has an intercept. Other programs for sequences have none, unless a template says so.
    """

    name: ClassVar[str]
    parameters: ClassVar[tuple[str, ...]] = ()
    suffixes: ClassVar[tuple[str, ...]] = ()
    help: ClassVar[str]
    fit_intercept: ClassVar[bool] = False

    def settings(self) -> dict:
        """Values of the parameters."""
        return {name: getattr(self, name) for name in self.parameters}

    def read(self, path: str) -> Iterator[Record]:
        """Read the records of a file, one after the other."""
        raise NotImplementedError

    def learn(self, records: list[Record]) -> "Format":
        """Return this format with what the training data determine."""
        return self

    def stack(self, records: Sequence[Record]) -> Any:
        """Return the records as `X` of a pipeline."""
        return [record.x for record in records]

    def steps(self, X: Any, templates: str | None, min_count: int) -> list[tuple[str, BaseEstimator]]:
        """Return the steps of a pipeline before the estimator.

        Parameters
        ----------
        X : object
            The training data, as from `stack`.
        templates : str or None
            Path of a template file.
        min_count : int
            Minimum number of tokens in which a feature must occur.
        """
        raise NotImplementedError

    def written(self, record: Record, predictions: Sequence[Prediction]) -> Iterable[str]:
        """Lines of the output for a record. Several predictions are ranked."""
        raise NotImplementedError


def labels_of(records: Iterable[Record]) -> list[list]:
    """Labels of all records; raise a ValueError where there are none."""
    labels = []
    for record in records:
        if record.y is None:
            raise ValueError(f"{record.place}: there are no labels")
        labels.append(record.y)
    return labels


def refuse_templates(path: str | None, name: str) -> None:
    """Raise a ValueError if a template file is given to a format that has none."""
    if path is not None:
        raise ValueError(f"--template is for formats with columns; the format {name!r} contains features already")


def ranked(blocks_of_lines: Iterable[Iterable[str]], predictions: Sequence[Prediction]) -> Iterator[str]:
    """Write one block of lines for each prediction, with an empty line behind it.

    Several predictions begin with their ranks and probabilities, as in CRF++.
    """
    for rank, (lines, prediction) in enumerate(zip(blocks_of_lines, predictions)):
        if prediction.probability is not None:
            yield f"# {rank} {prediction.probability:.6f}"
        yield from lines
        yield ""


def cells(prediction: Prediction) -> Iterator[list[str]]:
    """For each token its label, and its probability or probabilities."""
    if prediction.probabilities is None:
        yield from ([str(label)] for label in prediction.labels)
        return
    for label, found in zip(prediction.labels, prediction.probabilities):
        values = [f"{k}:{p:.6f}" for k, p in found.items()] if isinstance(found, dict) else [f"{found:.6f}"]
        yield [str(label), *values]
