"""The pages ``docs/guide/performance.rst`` and ``performance_tables.rst`` with their figures, from results.

``python -m benchmarks.page benchmarks/output/full/*.json`` reads the results of cases and writes both pages. The
results may be from several runs of the same size on the same machine with the same versions. The text of the pages is
in the folder ``templates``.
"""

import argparse
import json
import re
import sys
from pathlib import Path

from benchmarks import __main__ as _  # noqa: F401 (fills CASES)
from benchmarks._measure import CASES
from benchmarks._plots import plot_ratios, plot_sweeps
from benchmarks._report import bars, cells, check_cells, collect, goal_cells, headline, number, sweep_cells

ROOT = Path(__file__).resolve().parents[1]
TEMPLATES = Path(__file__).parent / "templates"

SECTIONS = {
    "Training of chains": ("chains", "networks", "sparse_chains", "tables"),
    "Prediction on chains": ("prediction",),
    "Memory, cold start, threads": ("resources", "mapped"),
    "Graphs of other shapes": ("graphs", "wide_graphs", "mean_field", "exact"),
    "Decoding of graphs": ("decoding",),
    "Planning": ("planning",),
    "Derivatives of marginals": ("derivatives",),
}
REACHED = {"goal": "the goal", "at least": "at least", "below": "**not reached**"}


def main(argv=None):
    """Read the command line, write the pages and the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__.splitlines()[0])
    parser.add_argument("results", nargs="+", type=Path, help="JSON files of cases")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "guide", help="folder of the pages")
    options = parser.parse_args(argv)
    results = read(options.results)
    plot_ratios(options.output / "performance_ratios.svg", bars(results))
    plot_sweeps(options.output / "performance_scaling.svg", collect(results, "sweeps"))
    for name, text in {"performance": page(results), "performance_tables": tables(results)}.items():
        (options.output / f"{name}.rst").write_text(text, encoding="utf-8")


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
    """Return the text of the page for readers: summary, figures, goals."""
    environment, size = results[0]["environment"], results[0]["size"]
    absent = [name for name, value in environment.items() if value == "not installed"]
    missing = [f"``{name}``" for name in CASES if name not in {result["case"] for result in results}]
    goals = [
        [_text(text) for text in (CASES[goal["case"]].title, *goal_cells(goal)[:-1])] + [REACHED[goal["state"]]]
        for goal in collect(results, "goals")
    ]
    return _fill(
        "performance",
        summary=_summary(results),
        machine=_machine(environment, size),
        goals=_table(("Case", "Work", "Found", "At least", "Goal", "Reached"), goals)
        if goals
        else "None at this size.",
        absent=", ".join(absent) or "none",
        size=size,
        minutes=sum(result["seconds"] for result in results) / 60,
        missing=f"\nNot run for this page: {', '.join(missing)}.\n" if missing else "",
    )


def tables(results):
    """Return the text of the page with all measurements."""
    parts = []
    for title, chosen in _sections(results):
        parts += [f"{title}\n{'-' * len(title)}\n", *map(_case, chosen)]
    growth, sweeps = [], collect(results, "sweeps")
    if sweeps:
        header = ("Case", "Measured", "Variable", "Sizes", "Milliseconds", "Nanoseconds of each", "Exponent")
        rows = [[_text(cell) for cell in (sweep["case"], *sweep_cells(sweep))] for sweep in sweeps]
        growth = ["How time grows\n--------------\n", _table(header, rows)]
    return _fill("performance_tables", cases="\n".join(parts), growth="\n".join(growth))


def _fill(template, **values):
    return (TEMPLATES / f"{template}.rst").read_text(encoding="utf-8").format(**values).rstrip() + "\n"


def _sections(results):
    """Yield the title of each section that has results, and its results."""
    for title, modules in SECTIONS.items():
        chosen = [result for result in results if result["case"].partition(".")[0] in modules]
        if chosen:
            yield title, chosen


def _summary(results):
    """One line for each case."""
    rows = []
    for title, chosen in _sections(results):
        rows.append([f"**{title}**", "", "", "", ""])
        for result in chosen:
            ours, other = headline(result["rows"])
            link = f":ref:`{CASES[result['case']].title} <{_label(result)}>`"
            if ours is not None:
                line = [link, _text(ours["quantity"]), f"{number(ours['value'])} {ours['unit']}"]
                rows.append([*line, *((_text(other["engine"]), number(other["ratio"])) if other else ("", ""))])
    return _table(("Work", "Measured", "skstruct", "Compared with", "Times"), rows, ":widths: 27 33 13 19 8")


def _machine(environment, size):
    """Describe the machine and the versions."""
    machine = f"{environment['cores']} cores, {environment['machine']}, {environment['vectors']}"
    packages = [
        f"{name} {value}"
        for name, value in environment.items()
        if name not in ("cores", "machine", "vectors", "pinned") and value != "not installed"
    ]
    pinned = "" if environment["pinned"] else " Processes could not be bound to a core."
    return f"Machine: {_text(machine)}. Size of the cases: ``{size}``.{pinned} Versions: {_text(', '.join(packages))}."


def _case(result):
    """Title, name, description, table and assertions of a case."""
    case = CASES[result["case"]]
    lines = [f".. _{_label(result)}:", "", case.title, "~" * len(case.title), ""]
    lines += [f"``{result['case']}``. {_text(case.description)}", ""]
    rows = []
    for quantity, engine, median, unit, span, ratio, rise in map(cells, result["rows"]):
        rows.append([_text(cell) for cell in (quantity, engine, f"{median} {unit}".strip(), span, ratio, rise)])
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


def _label(result):
    return f"benchmark-{result['case'].replace('.', '-').replace('_', '-')}"


def _table(header, rows, *options):
    """A table of cells that are reStructuredText already."""
    lines = [".. list-table::", *(f"   {option}" for option in (":header-rows: 1", *options)), ""]
    for row in (header, *rows):
        lines += [f"   {'*' if k == 0 else ' '} - {cell}".rstrip() for k, cell in enumerate(row)]
    return "\n".join([*lines, ""])


def _text(text):
    """Escape the characters that have a meaning in reStructuredText."""
    return re.sub(r"([\\`*|]|_(?!\w))", r"\\\1", text)  # an underscore within a word has no meaning


if __name__ == "__main__":
    sys.exit(main())
