"""Axes and colours of pictures."""

from typing import Any

import numpy as np

from skstruct.data.optional import optional_module

WRONG = "tab:red"  # what is wrong, or contradicts
RIGHT = "tab:blue"
# Largest number of classes: palette. With more classes, colours are evenly spaced hues.
PALETTES = {10: "tab10", 20: "tab20"}


class Display:
    """Base class of the displays.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    """

    def _open_axes(self, ax: Any) -> Any:
        """Set `ax_` and `figure_`, and return the axes; new ones if `ax` is None."""
        pyplot = optional_module("matplotlib.pyplot", "plot", type(self).__name__)
        if ax is None:
            _, ax = pyplot.subplots(layout="constrained")
        check_axes(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return ax


def check_axes(ax: Any) -> None:
    """Refuse what is not one matplotlib Axes or None."""
    if ax is not None and not hasattr(ax, "figure"):
        raise TypeError(f"ax must be one matplotlib Axes or None, got {ax!r}.")


def colormap(cmap: Any) -> Any:
    """Return the name of a colormap, or a Colormap; other objects are refused."""
    if not isinstance(cmap, str | optional_module("matplotlib.colors", "plot", "A colormap").Colormap):
        raise TypeError(f"cmap must be the name of a colormap or a Colormap, got {cmap!r}.")
    return cmap


def class_colors(n_classes: int) -> np.ndarray:
    """Colours of classes, (n_classes, 3), numbers from 0 to 1."""
    colormaps = optional_module("matplotlib", "plot", "class_colors").colormaps
    name = next((name for most, name in PALETTES.items() if n_classes <= most), None)
    if name is None:
        return colormaps["hsv"](np.arange(n_classes) / n_classes)[:, :3]
    return np.array(colormaps[name].colors[:n_classes])


def add_class_legend(ax: Any, classes: np.ndarray, **kwargs: Any) -> Any:
    """Add a legend of the colours of classes beside the axes, and return it."""
    patches = optional_module("matplotlib.patches", "plot", "a legend")
    handles = [
        patches.Patch(facecolor=color, label=str(name)) for name, color in zip(classes, class_colors(len(classes)))
    ]
    where: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "borderaxespad": 0.0}
    return ax.legend(handles=handles, **(where | kwargs))
