"""The page ``docs/guide/performance.rst`` and its figures, from the results of benchmarks.

``python -m benchmarks.page benchmarks/output/full/*.json`` reads the results of cases, which may come from several
runs of the same size on the same machine with the same versions, and writes all of the page anew. Its prose is below.
"""

import argparse
import json
import re
import sys
from pathlib import Path

from benchmarks import __main__ as _  # noqa: F401 (fills CASES)
from benchmarks._measure import CASES
from benchmarks._plots import plot_ratios, plot_sweeps
from benchmarks._report import cells, check_cells, collect, sweep_cells

ROOT = Path(__file__).resolve().parents[1]

TITLE = """\
Performance
===========

What skstruct takes in time and memory, next to other programs on the same work. ``python -m benchmarks.page`` has
written this page from the results of the benchmarks; no number in it was typed.

.. figure:: performance_ratios.svg
   :alt: Bars: how many times as much time or memory as skstruct other programs need, by case.

   Other programs on the same work. Bars to the right: they need more than skstruct.

How it was measured
-------------------

* All of a case runs in one process that is bound to one core, unless it is about threads. Programs take turns, one
  measurement each (A B A B), so that a disturbance meets all of them. Numbers are medians; *range* is from the
  smallest to the largest. *Times* is the median of the ratios of such pairs: how many times as long, or as much
  memory, as the first program of the table.
* Time is the CPU time of the process, except where it says wall-clock time. Compilation is not in it, except where it
  is the subject.
* A case asserts that the results are right before, or in long trainings after, the time is taken: the objective, the
  labels, the accuracy. What was asserted, and the difference found, stands below each table.
* *Rise* is how far the resident memory rose in one call. What was there before, such as the data, is not counted.
* CRFsuite's time of an evaluation is read from its log, where its clock tells the CPU time of each iteration. The step
  of L-BFGS is part of it, and is a small part of it; there is no way to take it out. Times of whole trainings are
  measured from outside for all programs: in CRFsuite's they contain generating the features and writing the model, in
  ours the checks of the input and all planning.
* CRFsuite and skstruct have the same weights in all these cases: one for each attribute and label, and for each pair of
  labels, that occur together in training. That is CRFsuite's default, and ``LinearFeatures(node_weights="observed",
  edge_weights="observed", fit_intercept=False)``. The objective is that of CRFsuite with ``c2=1``.
"""

REPRODUCE = """\
How to reproduce
----------------

In a copy of the repository, with the folder of the data files (by default ``../shared/data``)::

    make bench BENCH_ARGS="--size {size} --data FOLDER"
    .venv/bin/python -m benchmarks.page benchmarks/output/{size}/*.json

The first command installs the programs that can be installed with pip, runs all cases, and writes a table, plots, and
the result of each case into ``benchmarks/output``. One case is run again, and the page made anew with it, by ::

    make bench BENCH_ARGS="chains.chunking_training --size {size} --data FOLDER"

and so on, with the names that stand above the tables below. ``python -m benchmarks --list`` says what each case does.
All cases together took {minutes:.0f} minutes.
"""

SECTIONS = {
    "Training of chains": ("chains",),
    "Prediction on chains": ("prediction",),
    "Memory, cold start, threads": ("resources",),
    "Graphs of other shapes": ("graphs", "exact"),
}

GROWTH = """\
How time grows
--------------

One size is varied, the others stay. The exponent is that of a power of the size, fitted to the logarithms: 1 is
proportional, 2 quadratic. Small sizes have a fixed cost, which lowers it; for threads, -1 would be perfect.

.. figure:: performance_scaling.svg
   :alt: Panels: time over size on logarithmic axes, with fitted lines.

   Points: measured. Lines: the fitted powers.
"""

LIMITS = """\
What is in the way
------------------

* ``chunking_profile`` above splits an evaluation of chunking. Its arithmetic is the smaller part. Scores and gradients
  of text wait for memory: half a million weights, and their gradient, are larger than a second-level cache, and each
  token touches a few dozen of each at places that follow no order. Frequent features lie together, rare ones in the
  order of their first use, and rare weights are asked for ahead of time; without these, sums take twice as long.
  ``LinearFeatures(dtype="float32")`` halves the traffic.
* In ``tagging_evaluation`` the tables of both programs are small enough for the cache, which helps CRFsuite more; and
  17 labels fill two registers and an eighth of a third one, which is as much work as 24.
* Peak memory is for the larger part not of the data: importing scikit-learn, with pandas installed, and the compiler
  take what ``memory`` shows for one sentence. Beyond that are the data, what training arranges of them, and some twenty
  vectors of weights, half of them the history of L-BFGS.
* A sweep of loopy belief propagation over a large grid is bound by memory where every edge has a matrix, and by the
  division and the branches of its few operations per message where there are two states.

Limits
------

* One machine, one set of versions, one or few data sets for each task. Other processors have other ratios: kernels
  for chains use the vector instructions that are there, and CRFsuite's those of its build.
* All letters have 128 pixels and 26 labels, all chunks 22 labels and some 18 binary attributes per token. The number
  of labels decides most: see the section on growth.
* What others compile ahead, skstruct compiles at the first call of a kernel, once per machine: see ``cold_start``. For
  a single small model, that is longer than the training.
* The comparison for general graphs is a plain implementation in numpy, and pgmpy for an exact answer on a grid that is
  small enough for it. Neither is the fastest that exists in another language.
* Programs that were not installed are reported as such, and not guessed: {absent}.
"""


def main(argv=None):
    """Read the command line, write the page and its figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__.splitlines()[0])
    parser.add_argument("results", nargs="+", type=Path, help="JSON files of cases")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "guide" / "performance.rst")
    options = parser.parse_args(argv)
    results = read(options.results)
    folder = options.output.parent
    plot_ratios(folder / "performance_ratios.svg", collect(results, "rows"))
    plot_sweeps(folder / "performance_scaling.svg", collect(results, "sweeps"))
    options.output.write_text(page(results), encoding="utf-8")


def read(paths):
    """Load results in the order of the table of cases; `ValueError` if they do not belong together."""
    found = {}
    for path in paths:
        result = json.loads(path.read_text(encoding="utf-8"))
        found[result["case"]] = result
    results = [found[name] for name in CASES if name in found]
    for result in results:
        for key in ("size", "environment"):
            if result[key] != results[0][key]:
                raise ValueError(f"{result['case']} and {results[0]['case']} differ in {key}; run one of them again")
    return results


def page(results):
    """Put the page together."""
    environment = results[0]["environment"]
    absent = [name for name, value in environment.items() if value == "not installed"]
    parts = [TITLE, _environment(results[0])]
    for title, modules in SECTIONS.items():
        chosen = [result for result in results if result["case"].partition(".")[0] in modules]
        if chosen:
            parts += [f"{title}\n{'-' * len(title)}\n", *map(_case, chosen)]
    sweeps = collect(results, "sweeps")
    if sweeps:
        header = ("Case", "Measured", "Variable", "Sizes", "Milliseconds", "Exponent")
        parts += [GROWTH, _table(header, [(sweep["case"], *sweep_cells(sweep)) for sweep in sweeps])]
    minutes = sum(result["seconds"] for result in results) / 60
    parts += [REPRODUCE.format(size=results[0]["size"], minutes=minutes)]
    missing = [name for name in CASES if name not in {result["case"] for result in results}]
    if missing:
        parts.append(f"Not run for this page: {', '.join(f'``{name}``' for name in missing)}.\n")
    parts.append(LIMITS.format(absent=", ".join(absent) or "none"))
    return "\n".join(parts)


def _environment(result):
    """Say what machine and which versions."""
    environment = result["environment"]
    machine = f"{environment['cores']} cores, {environment['machine']}, {environment['vectors']}"
    packages = [
        f"{name} {value}"
        for name, value in environment.items()
        if name not in ("cores", "machine", "vectors", "pinned") and value != "not installed"
    ]
    pinned = "" if environment["pinned"] else " Processes could not be bound to a core."
    return (
        f"Machine: {_text(machine)}. Size of the cases: ``{result['size']}``.{pinned} "
        f"Versions: {_text(', '.join(packages))}.\n"
    )


def _case(result):
    """A case's name, description, table, and what was asserted."""
    name = f"``{result['case']}``"
    lines = [name, "~" * len(name), "", _text(result["description"]), ""]
    rows = []
    for quantity, engine, median, unit, span, ratio, rise in map(cells, result["rows"]):
        rows.append((quantity, engine, f"{median} {unit}".strip(), span, ratio, rise))
    header = ("Measured", "Program", "Median", "Range", "Times", "Rise, MB")
    used = [k for k in range(len(header)) if any(row[k] for row in rows)]
    lines.append(_table([header[k] for k in used], [[row[k] for k in used] for row in rows]))
    if result["checks"]:
        checks = [
            f"{what} ({found}{f'; tolerance {tolerance}' if tolerance else ''})"
            for what, found, tolerance in map(check_cells, result["checks"])
        ]
        lines += [f"Asserted: {_text(', '.join(checks))}.", ""]
    return "\n".join(lines)


def _table(header, rows):
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in (header, *rows):
        lines += [f"   {'*' if k == 0 else ' '} - {_text(cell)}".rstrip() for k, cell in enumerate(row)]
    return "\n".join([*lines, ""])


def _text(text):
    """Escape what has a meaning in reStructuredText."""
    return re.sub(r"([\\`*|]|_(?!\w))", r"\\\1", text)  # an underscore within a word is one


if __name__ == "__main__":
    sys.exit(main())
