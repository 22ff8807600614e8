"""``skstruct evaluate``: compare predictions with the labels in the data."""

import argparse
import re
from math import nan
from typing import Any

import numpy as np

from skstruct.cli._data import add_format_arguments, read_all, saved_format
from skstruct.cli._files import load
from skstruct.cli._formats import labels_of
from skstruct.cli._predict import add_decoding
from skstruct.inspection import transformed
from skstruct.metrics import classification_report, entity_report

SUMMARY = "Compare the predictions of a model with the labels in data."
CHUNK = re.compile("[BIESLUM]-.+")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add = parser.add_argument
    add("data", nargs="+", metavar="FILE", help="labelled data")
    add("-m", "--model", required=True, metavar="FILE", help="a model that `skstruct train` or skops has saved")
    add_decoding(parser)
    add_format_arguments(parser)


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    model, settings = load(options.model)
    form = saved_format(options, settings)
    records = list(read_all(form, options.data))
    if not records:
        raise ValueError(f"{options.data[0]} contains no data")
    y = labels_of(records)
    crf, X = transformed(model, form.stack(records))
    predicted = crf.set_params(decoding=options.decoding).predict(X)
    hits = [[a == b for a, b in zip(*each) if a is not None] for each in zip(y, predicted.tolist())]
    n_nodes = sum(map(len, hits))
    if not n_nodes:
        raise ValueError(f"{options.data[0]}: all labels are unknown")
    print(f"graphs       {len(hits)}")
    print(f"nodes        {n_nodes}")
    print(f"accuracy     {sum(map(sum, hits)) / n_nodes:.4f}")
    print(f"exact match  {np.mean([all(graph) for graph in hits if graph]):.4f}")
    reports: dict[str, Any] = {"labels": classification_report}
    if _are_chunks(label for labels in y for label in labels):
        reports["entities"] = entity_report
    for name, report in reports.items():
        print(f"\n{name}\n{report(y, predicted, digits=4, zero_division=0.0, missing_label=nan).rstrip()}")


def _are_chunks(labels):
    """Whether the labels are those of a chunk scheme, such as B-PER, I-PER and O."""
    kinds = set(labels) - {None}
    is_chunk = {isinstance(kind, str) and CHUNK.fullmatch(kind) is not None for kind in kinds - {"O"}}
    return is_chunk == {True}
