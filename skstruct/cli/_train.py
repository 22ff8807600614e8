"""``skstruct train``: fit a model and save it."""

import argparse
import sys
import time
from contextlib import redirect_stdout
from functools import partial
from math import nan

from sklearn.pipeline import Pipeline

from skstruct.cli._data import add_format_arguments, chosen_format, read_all, saved_format
from skstruct.cli._files import check_output, load, save
from skstruct.cli._formats import labels_of
from skstruct.data.optional import optional_module
from skstruct.estimator import GraphCRFClassifier
from skstruct.features import LinearFeatures
from skstruct.inference import BACKENDS
from skstruct.inspection import transformed
from skstruct.objectives import OBJECTIVES
from skstruct.optim import OPTIMIZERS

SUMMARY = "Train a model on labelled data, and save it."
SETTINGS = (  # options that cannot change when a training is resumed
    *("format", "columns", "label", "edges", "template", "min_count", "node_weights", "edge_weights"),
    *("cost", "c1", "c2", "objective", "optimizer", "inference", "tol", "holdout", "seed"),
)
EDGE_WEIGHTS = ["observed", "full", "symmetric", "antisymmetric", "potts"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add = parser.add_argument
    add("data", nargs="+", metavar="FILE", help="labelled data; - is the standard input, and .gz is decompressed")
    add("-m", "--model", required=True, metavar="FILE", help="where to save the model, such as tagger.skops")
    add(
        "--resume",
        action="store_true",
        help="continue the training of an existing model, which --max-iter or Ctrl-C has stopped, with its settings",
    )
    add("-q", "--quiet", action="store_true", help="show no progress")
    add_format_arguments(parser)
    add = parser.add_argument_group("features").add_argument
    add("-t", "--template", metavar="FILE", help="templates of features, in CRF++'s notation or in skstruct's")
    add("-f", "--min-count", type=int, default=1, metavar="N", help="keep features of at least N tokens (default: 1)")
    add(
        "--node-weights",
        choices=["observed", "all"],
        default="observed",
        help="weights for the pairs of features and labels in the data (default), or for all pairs",
    )
    add(
        "--edge-weights",
        choices=EDGE_WEIGHTS,
        default="observed",
        help="weights for the pairs of labels in the data (default), for all pairs, or for fewer weights",
    )
    add = parser.add_argument_group("penalty").add_argument
    add("-c", "--cost", type=float, metavar="C", help="as CRF++: minimise C * loss + |w|^2 / 2 (default: 1)")
    add("--c1", type=float, metavar="X", help="as CRFsuite: minimise loss + c1 |w| + c2 |w|^2 (default: 0)")
    add("--c2", type=float, metavar="X", help="see --c1 (default: 1 if --c1 is given)")
    add = parser.add_argument_group("training").add_argument
    add("--objective", choices=list(OBJECTIVES), default="likelihood", help="default: likelihood")
    add("--optimizer", choices=list(OPTIMIZERS), default="lbfgs", help="default: lbfgs (OWL-QN with an L1 penalty)")
    add("--inference", choices=list(BACKENDS), default="auto", metavar="NAME", help=f"{', '.join(BACKENDS)}")
    add("-i", "--max-iter", type=int, default=1000, metavar="N", help="maximum number of iterations (default: 1000)")
    add("-e", "--tol", type=float, default=1e-6, metavar="X", help="tolerance of the gradient (default: 1e-6)")
    add(
        "--holdout",
        type=float,
        metavar="FRACTION",
        help="stop early, when the accuracy on this fraction of the data does not improve",
    )
    add("-j", "--jobs", type=int, default=1, metavar="N", help="number of threads; -1: all processors (default: 1)")
    add("--seed", type=int, metavar="N", help="seed of optimisers that draw at random, and of --holdout")
    parser.set_defaults(defaults={name: parser.get_default(name) for name in SETTINGS})


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    optional_module("skops.io", "cli", "The command line")  # before a long training
    check_output(options.model, filter(None, [*options.data, options.template]))
    model, form = _resumed(options) if options.resume else (None, chosen_format(options))
    records = list(read_all(form, options.data))
    if not records:
        raise ValueError(f"{options.data[0]} contains no data")
    y, form = labels_of(records), form.learn(records)
    X = form.stack(records)
    if model is None:
        model = _pipeline(form, X, y, options)
        crf, fit = model[-1], partial(model.fit, X, y)
    else:
        crf, X = transformed(model, X)
        fit = partial(crf.set_params(warm_start=True).fit, X, y)
    crf.set_params(max_iter=options.max_iter, n_jobs=options.jobs, verbose=not options.quiet)
    settings = {"format": form.name, "settings": form.settings()}
    start = time.perf_counter()
    try:
        with redirect_stdout(sys.stderr):
            fit()
    except KeyboardInterrupt:
        if hasattr(crf, "n_iter_"):  # the training keeps its best iterate
            save(model, options.model, settings)
            print(f"skstruct: {options.model} is the model after {crf.n_iter_} iterations", file=sys.stderr)
        raise
    save(model, options.model, settings)
    if not options.quiet:
        seconds = time.perf_counter() - start
        print(
            f"{len(records)} graphs with {sum(map(len, y))} nodes, {len(crf.classes_)} labels, "
            f"{crf.n_features_in_} features; {crf.n_iter_} iterations in {seconds:.1f} s; saved as {options.model}",
            file=sys.stderr,
        )


def _pipeline(form, X, y, options):
    """Return a pipeline with the settings of the options."""
    crf = GraphCRFClassifier(
        LinearFeatures(options.edge_weights, form.fit_intercept, options.node_weights),
        options.inference,
        options.objective,
        options.optimizer,
        **_penalty(options),
        missing_label=nan if any(label is None for labels in y for label in labels) else None,
        tol=options.tol,
        early_stopping=options.holdout is not None,
        validation_fraction=0.1 if options.holdout is None else options.holdout,
        random_state=options.seed,
    )
    return Pipeline([*form.steps(X, options.template, options.min_count), ("crf", crf)])


def _resumed(options):
    """Return an existing model and the format of its data."""
    for name, default in options.defaults.items():
        if getattr(options, name) != default:
            raise ValueError(f"--{name.replace('_', '-')} cannot change when a training is resumed")
    model, settings = load(options.model)
    return model, saved_format(options, settings)


def _penalty(options):
    """Return the parameters of the penalty."""
    if options.c1 is None and options.c2 is None:
        return {"C": 1.0 if options.cost is None else options.cost}
    if options.cost is not None:
        raise ValueError("--cost and --c1, --c2 are two ways to set the penalty; give one of them")
    c1, c2 = (0.0 if options.c1 is None else options.c1), (1.0 if options.c2 is None else options.c2)
    if min(c1, c2) < 0 or c1 + c2 == 0:
        raise ValueError(f"--c1 and --c2 must be at least 0, and not both 0; got {c1:g} and {c2:g}")
    total = c1 + 2 * c2
    return {"C": 1 / total, "l1_ratio": c1 / total}
