"""``skstruct predict``: label data."""

import argparse
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import islice

import numpy as np

from skstruct.cli._data import add_format_arguments, read_all, saved_format
from skstruct.cli._files import check_output, load
from skstruct.cli._formats import Prediction, labels_of
from skstruct.exceptions import numbered_from
from skstruct.inspection import transformed

SUMMARY = "Label data with a trained model."
BATCH = 1000  # records that are in memory at a time
DECODINGS = ["map", "marginal", "auto"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add = parser.add_argument
    add("data", nargs="*", metavar="FILE", default=["-"], help="data with or without labels (default: standard input)")
    add("-m", "--model", required=True, metavar="FILE", help="a model that `skstruct train` or skops has saved")
    add("-o", "--output", metavar="FILE", help="where to write the predictions (default: standard output)")
    add("--known", action="store_true", help="predict only unknown labels (null, in CoNLL-U _), given the other labels")
    add_decoding(parser)
    more = parser.add_mutually_exclusive_group().add_argument
    more("--proba", action="store_true", help="add the probability of each predicted label")
    more("--proba-all", action="store_true", help="add the probabilities of all labels")
    more("-n", "--top", type=int, metavar="N", help="write the N most probable labellings, with their probabilities")
    add_format_arguments(parser)


def add_decoding(parser: argparse.ArgumentParser) -> None:
    """Add the option that says what is predicted."""
    parser.add_argument(
        "--decoding",
        choices=DECODINGS,
        default="map",
        help="map: the most probable labelling (default); marginal: the most probable label of each node; auto: the "
        "best labelling at affordable cost where inference is not exact",
    )


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    if options.output is not None:
        check_output(options.output, [*options.data, options.model])
    model, settings = load(options.model)
    form = saved_format(options, settings)
    records = read_all(form, options.data)
    n_done = 0
    with ExitStack() as stack:
        file = sys.stdout
        if options.output is not None:
            file = stack.enter_context(open(options.output, "w", encoding="utf-8"))
        while batch := list(islice(records, BATCH)):
            with numbered_from(n_done):  # errors name graphs by their numbers in all data
                crf, X = transformed(model, form.stack(batch))
                crf.set_params(decoding=options.decoding)
                answers = _predictions(crf, X, labels_of(batch) if options.known else None, options)
            for record, predictions in zip(batch, answers):
                file.writelines(f"{line}\n" for line in form.written(record, predictions))
            n_done += len(batch)


def _predictions(crf, X, known, options) -> Iterable[list[Prediction]]:
    """Predictions of each graph; several of them with ``--top``."""
    if options.top is not None:
        return _top(*crf.predict_top_k(X, options.top, known))
    labels = crf.predict(X, known)
    if options.proba_all:
        classes = crf.classes_.tolist()
        return (
            [Prediction(y.tolist(), [dict(zip(classes, row)) for row in p.tolist()])]
            for y, p in zip(labels, crf.predict_proba(X, known))
        )
    if options.proba:
        return (
            [Prediction(y.tolist(), p[np.arange(len(y)), np.searchsorted(crf.classes_, y)].tolist())]
            for y, p in zip(labels, crf.predict_proba(X, known))
        )
    return ([Prediction(y.tolist())] for y in labels)


def _top(labels, log_likelihood) -> Iterator[list[Prediction]]:
    for y, values in zip(labels, log_likelihood):
        yield [
            Prediction(y[:, k].tolist(), probability=float(np.exp(value)))
            for k, value in enumerate(values)
            if value > -np.inf  # a graph may have fewer labellings
        ]
