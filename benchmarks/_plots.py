"""Plots: time ratios to other programs, and time over size."""

import numpy as np


def plot_ratios(path, bars):
    """Draw a bar for the title, program and ratio of each case; nothing if there is none."""
    if not bars:
        return
    plt = _pyplot()
    titles, programs, ratios = zip(*bars)
    ratios, places = np.array(ratios), np.arange(len(bars))
    figure, axes = plt.subplots(figsize=(9, 1.1 + 0.3 * len(bars)), layout="constrained")
    drawn = axes.barh(places, ratios - 1, left=1.0, color=np.where(ratios >= 1, "tab:blue", "tab:orange"))
    for bar, ratio, program in zip(drawn, ratios, programs):
        text = f"{ratio:.0f}" if ratio >= 9.95 else f"{ratio:.2g}"
        place = max(1.0, ratio), bar.get_y() + bar.get_height() / 2
        axes.annotate(f"{text}  {program}", place, (3, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_yticks(places, titles, fontsize=8)
    axes.axvline(1.0, color="black", linewidth=0.8)
    limits = 0.5 * min(1, *ratios), 20 * max(1, *ratios)  # space for the names of the programs
    axes.set(xscale="log", xlim=limits, ylim=(len(bars) - 0.4, -0.6))
    axes.set_xlabel("times as much time or memory as skstruct")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)


def plot_sweeps(path, sweeps):
    """Draw a panel for each sweep, with the fitted power of the size; nothing if there is none."""
    if not sweeps:
        return
    plt = _pyplot()
    n_columns = min(3, len(sweeps))
    n_rows = -(-len(sweeps) // n_columns)
    figure, panels = plt.subplots(
        n_rows, n_columns, figsize=(3.4 * n_columns, 2.7 * n_rows), layout="constrained", squeeze=False
    )
    for panel in panels.ravel()[len(sweeps) :]:
        panel.set_axis_off()
    for panel, sweep in zip(panels.ravel(), sweeps):
        sizes, seconds = np.array(sweep["sizes"], float), np.array(sweep["seconds"])
        fitted = np.exp(np.mean(np.log(seconds)) + sweep["exponent"] * (np.log(sizes) - np.mean(np.log(sizes))))
        panel.plot(sizes, 1e3 * fitted, color="tab:gray", linewidth=1)
        panel.plot(sizes, 1e3 * seconds, "o", color="tab:blue", markersize=5)
        panel.set(xscale="log", yscale="log", xlabel=sweep["variable"], ylabel="ms")
        panel.set_xticks(sizes, [_short(size) for size in sizes])
        panel.set_title(f"{sweep['quantity']}: exponent {sweep['exponent']:.2f}", fontsize=8)
        panel.minorticks_off()
        panel.grid(alpha=0.3)
        low, high = 1e3 * seconds.min(), 1e3 * seconds.max()
        if high < 10 * low:  # otherwise the axis may contain no power of ten
            panel.set_yticks([low, high], [f"{low:.3g}", f"{high:.3g}"])
    figure.savefig(path, dpi=120, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)


def _short(size):
    for unit, name in ((1e6, "M"), (1e3, "k")):
        if size >= unit:
            return f"{size / unit:.3g}{name}"
    return f"{size:.0f}"


def _pyplot():
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    matplotlib.rcParams.update({"svg.hashsalt": "skstruct", "svg.fonttype": "none"})  # reproducible and small files
    return plt
