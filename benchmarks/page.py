"""The page ``docs/guide/performance.rst`` and its figures, from the results of benchmarks.

``python -m benchmarks.page benchmarks/output/full/*.json`` reads the results of cases and writes the whole page. The
results may be from several runs of the same size on the same machine with the same versions. The text of the page is
below.
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

This page compares the time and memory of skstruct and other programs on the same work. ``python -m benchmarks.page``
writes this page from the results of the benchmarks. No measured number was entered by hand.

.. figure:: performance_ratios.svg
   :alt: Bars: ratio of the time or memory of other programs to that of skstruct, by case.

   Other programs on the same work. Bars to the right: they need more than skstruct.

How it was measured
-------------------

* Each case runs in one process that is bound to one core, except cases about threads. The programs are measured in
  turns, one measurement each (A B A B), so that a disturbance affects all of them. Numbers are medians. *Range* is
  the interval from the smallest to the largest measurement. *Times* is the median of the ratios of such pairs: the
  time or memory of a program divided by that of the first program in the table.
* Time is the CPU time of the process, unless wall-clock time is stated. Compilation is not included, unless the case
  measures it.
* Each case asserts that the results are correct: the objective, the labels, or the accuracy. The assertion precedes
  the measurement, or follows it in long trainings. The assertions and the differences are listed below each table.
* *Rise* is the increase of the resident memory during one call. Memory that was allocated before, such as the data,
  is not included.
* CRFsuite's time of an evaluation is read from its log, which contains the CPU time of each iteration. It includes
  the L-BFGS step, which is a small part of the time and cannot be separated. Times of whole trainings are measured
  from outside for all programs. For CRFsuite they include the generation of the features and the writing of the
  model. For skstruct they include the validation of the input and all planning.
* CRFsuite and skstruct have the same weights in all these cases: one for each attribute and label, and for each pair
  of labels, that occur together in training. This is the default of CRFsuite, and
  ``LinearFeatures(node_weights="observed", edge_weights="observed", fit_intercept=False)``. The objective is that of
  CRFsuite with ``c2=1``.
"""

REPRODUCE = """\
How to reproduce
----------------

Run these commands in a copy of the repository, with the folder of the data files (by default ``../shared/data``)::

    make bench BENCH_ARGS="--size {size} --data FOLDER"
    .venv/bin/python -m benchmarks.page benchmarks/output/{size}/*.json

The first command installs the programs that are available from pip and runs all cases. It writes a table, plots, and
the result of each case into ``benchmarks/output``. To repeat one case and update the page, run ::

    make bench BENCH_ARGS="chains.chunking_training --size {size} --data FOLDER"

with the name above a table of this page, and then the second command. ``python -m benchmarks --list`` describes each
case. All cases together took {minutes:.0f} minutes.
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

Each case varies one size and keeps all other sizes fixed. The exponent is that of a power of the size, fitted to the
logarithms: 1 is proportional, 2 is quadratic. For small sizes, a fixed cost reduces the exponent. For threads, -1
would be perfect.

.. figure:: performance_scaling.svg
   :alt: Panels: time over size on logarithmic axes, with fitted lines.

   Points: measured. Lines: the fitted powers.
"""

LIMITS = """\
What limits the speed
---------------------

* ``chunking_profile`` above shows the components of an evaluation of chunking. Arithmetic is the smaller part of the
  time. Scores and gradients of text wait for memory: the vectors of half a million weights and of their gradient are
  larger than a second-level cache, and each token reads a few dozen entries of each at irregular addresses. Frequent
  features are stored together, and rare features in the order of their first use. Rare weights are prefetched.
  Without these measures, sums take twice as long. ``LinearFeatures(dtype="float32")`` halves the memory traffic.
* In ``tagging_evaluation`` the tables of both programs fit into the cache, and this is a larger advantage for
  CRFsuite. 17 labels fill two vector registers and an eighth of a third one, which is as much work as 24 labels.
* The data are the smaller part of the peak memory. The imports of scikit-learn and pandas, and the compiler, need the
  memory that ``memory`` shows for one sentence. The remaining memory contains the data, the copies of the data that
  training needs, and about twenty vectors of weights, half of them the history of L-BFGS.
* A sweep of loopy belief propagation over a large grid is limited by memory if every edge has a separate matrix. With
  two states it is limited by the division and the branches among the few operations per message.

Limits of the comparison
------------------------

* The measurements are from one machine, one set of versions, and one or few data sets for each task. Other processors
  have other ratios: kernels for chains use the available vector instructions, and CRFsuite uses those of its build.
* All letters have 128 pixels and 26 labels. All chunks have 22 labels and about 18 binary attributes per token. The
  number of labels has the largest influence: see the section on growth.
* Other programs are compiled in advance. skstruct compiles a kernel at its first call, once per machine: see
  ``cold_start``. For a single small model, compilation takes longer than training.
* For general graphs, the comparison is with a plain implementation in numpy, and with exact results of pgmpy on a
  grid that is small enough for it. Neither is the fastest implementation that exists in another language.
* These programs were not installed, and there are no estimates for them: {absent}.
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
    """Load results in the order of the table of cases; `ValueError` if sizes or environments differ."""
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
    """Return the text of the page."""
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
    """Describe the machine and the versions."""
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
    """Name, description, table and assertions of a case."""
    name = f"``{result['case']}``"
    description = " ".join(CASES[result["case"]].__doc__.split())
    lines = [name, "~" * len(name), "", _text(description), ""]
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
    """Escape the characters that have a meaning in reStructuredText."""
    return re.sub(r"([\\`*|]|_(?!\w))", r"\\\1", text)  # an underscore within a word has no meaning


if __name__ == "__main__":
    sys.exit(main())
