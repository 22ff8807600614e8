"""Results on disk, one JSON file per case, and tables of results."""

import json

import numpy as np

from benchmarks._measure import CASES
from benchmarks._plots import plot_ratios, plot_sweeps


def save(folder, run, seconds, environment):
    """Write ``<case>.json`` and return its content."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"case": run.name, "size": run.size, "repeats": run.repeats}
    content |= {"seconds": seconds, "environment": environment}
    content |= {"rows": run.rows, "checks": run.checks, "sweeps": run.sweeps, "goals": run.goals}
    (folder / f"{run.name}.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    return content


def collect(results, what):
    """Concatenate the rows, checks, sweeps or goals of cases."""
    return [item for result in results for item in result[what]]


def write(folder, results):
    """Write ``benchmarks.md``, ``ratios.png`` and ``scaling.png`` into a folder, and return the Markdown text."""
    text = markdown(results)
    (folder / "benchmarks.md").write_text(text, encoding="utf-8")
    plot_ratios(folder / "ratios.png", bars(results))
    plot_sweeps(folder / "scaling.png", collect(results, "sweeps"))
    return text


def markdown(results):
    """Format the results of one run as tables."""
    lines = ["# Benchmarks", ""]
    lines += [", ".join(f"{name} {value}" for name, value in results[0]["environment"].items()), ""]
    lines += [f"Size: {results[0]['size']}. *times*: how many times as much as the first engine."]
    lines += ["*rise MB*: rise of the resident memory in a call; what was there before is not counted.", ""]
    header = ("case", "measured", "engine", "median", "unit", "range", "times", "rise MB")
    lines += _table(header, [(row["case"], *cells(row)) for row in collect(results, "rows")])
    sweeps = collect(results, "sweeps")
    if sweeps:
        header = ("case", "measured", "variable", "sizes", "ms", "ns of each", "exponent")
        lines += ["", "## How time grows", ""]
        lines += _table(header, [(sweep["case"], *sweep_cells(sweep)) for sweep in sweeps])
    goals = collect(results, "goals")
    if goals:
        header = ("case", "work", "found", "at least", "goal", "reached")
        lines += ["", "## Goals", ""]
        lines += _table(header, [(goal["case"], *goal_cells(goal)) for goal in goals])
    lines += ["", "## Asserted", ""]
    checks = [(check["case"], *check_cells(check)) for check in collect(results, "checks")]
    lines += _table(("case", "what", "largest difference", "tolerance"), checks)
    return "\n".join(lines) + "\n"


def headline(rows):
    """The row of skstruct that summarises a case, and the row of the program or yardstick next to it.

    They are from the first comparison of the case. Without a comparison, the first row with a number stands alone.
    Either row is None if there is none.
    """
    compared = [row for row in rows if row.get("ratio") is not None]
    if not compared:
        return next((row for row in rows if row["value"] is not None), None), None
    ours, *others = (row for row in compared if row["quantity"] == compared[0]["quantity"])
    return ours, next(iter([row for row in others if not _is_ours(row)] + others), None)


def bars(results):
    """Title, other program and ratio of each case that measures skstruct and another program.

    A ratio of 0 or less has no place on a logarithmic axis. It occurs at the smallest size, where the memory of a
    training can be below what the operating system reports.
    """
    found = [(CASES[result["case"]].title, *headline(result["rows"])) for result in results]
    return [
        (title, other["engine"], other["ratio"])
        for title, ours, other in found
        if other is not None and _is_ours(ours) and not _is_ours(other) and other["ratio"] > 0
    ]


def cells(row):
    """Quantity, engine, median, unit, range, ratio and memory of a row as text."""
    return (
        row["quantity"],
        row["engine"],
        number(row["value"]),
        row["unit"],
        f"{number(row['low'])} – {number(row['high'])}" if "low" in row else "",
        number(row.get("ratio")),
        number(row.get("peak_mb")),
    )


def sweep_cells(sweep):
    """Quantity, variable, sizes, milliseconds, nanoseconds per unit of the size, and exponent as text.

    Nothing per unit if times decrease, as with the number of threads.
    """
    sizes = " ".join(f"{size:,}" for size in sweep["sizes"])
    seconds = " ".join(number(1e3 * seconds) for seconds in sweep["seconds"])
    per_unit = 1e9 * np.divide(sweep["seconds"], sweep["sizes"])
    each = " ".join(map(number, per_unit)) if sweep["exponent"] > 0 else ""
    return sweep["quantity"], sweep["variable"], sizes, seconds, each, f"{sweep['exponent']:.2f}"


def check_cells(check):
    """The asserted statement, the difference and the tolerance, as text."""
    found = f"{check['difference']:.1e} of {number(check['scale'])}" if "difference" in check else "holds"
    allowed = [f"{key} {check[key]:.0e}" for key in ("rtol", "atol") if check.get(key)]
    return check["what"], found, " ".join(allowed) or ("exact" if "difference" in check else "")


def goal_cells(goal):
    """The work, what was found, both bounds, and which of them was reached, as text."""
    values = (f"{number(goal[key])} {goal['unit']}" for key in ("found", "at_least", "goal"))
    return goal["what"], *values, goal["state"]


def number(value):
    """Four digits; the empty string for None and nan."""
    if value is None or value != value:
        return ""
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def _is_ours(row):
    return row["engine"].startswith(("skstruct", "n_jobs"))


def _table(header, rows):
    lines = [header, *rows]
    widths = [max(len(row[k]) for row in lines) for k in range(len(header))]
    text = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in lines]
    return [text[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *text[1:]]
