"""Tables and plots of what was measured."""

import json

import numpy as np


def write(folder, environment, options, runs):
    """Write ``benchmarks.json``, ``.md`` and ``.png`` into a folder and return the Markdown text."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, checks, sweeps = ([x for run in runs for x in getattr(run, name)] for name in ("rows", "checks", "sweeps"))
    content = {"environment": environment, "options": options, "rows": rows, "checks": checks, "sweeps": sweeps}
    (folder / "benchmarks.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    text = markdown(content)
    (folder / "benchmarks.md").write_text(text, encoding="utf-8")
    plot(folder / "benchmarks.png", rows, sweeps)
    return text


def markdown(content):
    lines = ["# Benchmarks", ""]
    lines += [", ".join(f"{name} {value}" for name, value in content["environment"].items()), ""]
    lines += [f"Size: {content['options']['size']}. *times*: how many times longer than the first engine."]
    lines += ["*peak MB*: rise of the resident memory in a call; what was there before is not counted.", ""]
    table = [
        (
            row["case"],
            row["quantity"],
            row["engine"],
            _number(row["value"]),
            row["unit"],
            f"{_number(row['low'])} – {_number(row['high'])}" if "low" in row else "",
            _number(row.get("ratio")),
            _number(row.get("peak_mb")),
        )
        for row in content["rows"]
    ]
    lines += _table(("case", "measured", "engine", "median", "unit", "range", "times", "peak MB"), table)
    if content["sweeps"]:
        table = [
            (
                sweep["case"],
                sweep["quantity"],
                sweep["variable"],
                " ".join(map(str, sweep["sizes"])),
                " ".join(_number(1e3 * seconds) for seconds in sweep["seconds"]),
                f"{sweep['exponent']:.2f}",
            )
            for sweep in content["sweeps"]
        ]
        lines += ["", "## How time grows", ""]
        lines += _table(("case", "measured", "variable", "sizes", "ms", "exponent"), table)
    lines += ["", "## Asserted before timing", ""]
    table = [
        (
            check["case"],
            check["what"],
            f"{check['difference']:.1e} of {_number(check['scale'])}" if "difference" in check else "holds",
            " ".join(f"{key} {check[key]:.0e}" for key in ("rtol", "atol") if check.get(key)),
        )
        for check in content["checks"]
    ]
    lines += _table(("case", "what", "largest difference", "tolerance"), table)
    return "\n".join(lines) + "\n"


def _table(header, rows):
    cells = [header, *rows]
    widths = [max(len(row[k]) for row in cells) for k in range(len(header))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in cells]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]


def _number(value):
    if value is None or value != value:
        return ""
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def plot(path, rows, sweeps):
    """Draw ratios to other programs, and times over sizes."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    ratios = [row for row in rows if row.get("ratio", 1.0) != 1.0]
    figure, (left, right) = plt.subplots(1, 2, figsize=(15, 2 + 0.27 * max(len(ratios), 12)), layout="constrained")
    names = [f"{row['case']}: {row['quantity']}\nagainst {row['engine']}" for row in ratios]
    left.barh(np.arange(len(ratios)), [row["ratio"] for row in ratios], color="tab:blue")
    left.set_yticks(np.arange(len(ratios)), names, fontsize=6)
    left.invert_yaxis()
    left.axvline(1.0, color="black", linewidth=0.8)
    left.set(xscale="log", xlabel="times longer than skstruct", title="Others on the same work")
    for sweep in sweeps:
        label = f"{sweep['quantity']}, {sweep['variable']}: exponent {sweep['exponent']:.2f}"
        right.plot(sweep["sizes"], sweep["seconds"], "o-", label=label)
    if sweeps:
        right.set(xscale="log", yscale="log", xlabel="size", ylabel="seconds", title="How time grows")
        right.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.08))
    else:
        right.set_axis_off()
    figure.savefig(path, dpi=120)
    plt.close(figure)
