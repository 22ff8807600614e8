"""``skstruct inspect``: show what a model has learnt."""

import argparse

from skstruct.cli._files import load
from skstruct.inspection import Steps, transitions, weights

SUMMARY = "Show the settings and the largest weights of a model."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add = parser.add_argument
    add("-m", "--model", required=True, metavar="FILE", help="a model that `skstruct train` or skops has saved")
    add("-n", "--top", type=int, default=20, metavar="N", help="number of weights to show; 0: all (default: 20)")
    add("--label", metavar="LABEL", help="show only weights of this label")


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    if options.top < 0:
        raise ValueError(f"--top must be at least 0, got {options.top}")
    model, settings = load(options.model)
    crf = Steps.of(model).crf
    facts = {
        "format": settings.get("format", "unknown; saved by Python code"),
        **settings.get("settings", {}),
        "labels": " ".join(map(str, crf.classes_)),
        "features": crf.n_features_in_,
        "edge features": crf.n_edge_features_in_,
        "objective": f"{crf.objective}, C={crf.C:g}, l1_ratio={crf.l1_ratio:g}",
        "optimizer": f"{crf.optimizer}, {crf.n_iter_} iterations, loss {crf.loss_curve_[-1]:.8g}",
    }
    for name, value in facts.items():
        print(f"{name:13s} {' '.join(value) if isinstance(value, list) else value}")
    if len(vars(crf).get("edge_coef_", ())):
        _show("transitions", _pairs(transitions(model)), ["source", "target"], options)
    _show("weights", weights(model, None), ["label"], options)


def _pairs(frame):
    """Weights of pairs of labels, one per row, in descending order of the absolute weight."""
    frame = frame.rename_axis(columns=None).reset_index()
    keys = [name for name in ("feature", "source") if name in frame.columns]
    rows = frame.melt(id_vars=keys, var_name="target", value_name="weight")
    return rows[rows["weight"] != 0].sort_values("weight", key=abs, ascending=False, kind="stable")


def _show(title, frame, columns, options):
    """Print the first rows of a table, of one label if wanted."""
    if options.label is not None:
        frame = frame[(frame[columns].astype(str) == options.label).any(axis=1)]
    n = len(frame) if options.top == 0 else min(options.top, len(frame))
    print(f"\n{n} of {len(frame)} {title}\n")
    if n:
        print(frame.head(n).to_string(index=False, float_format="{:.4f}".format))
