"""InferenceReportDisplay: which backends compute the probabilities of how many graphs."""

import numpy as np

from skstruct.inspection import inference_report
from skstruct.plotting._axes import RIGHT, WRONG, Display

# Kinds of graphs: color of their bars.
COLORS = {"exact": RIGHT, "converged": "tab:orange", "not converged": WRONG}


class InferenceReportDisplay(Display):
    """Number of graphs for each inference backend: exact, approximate and converged, or not converged.

    Parameters
    ----------
    report : dict of ndarray
        Result of `GraphCRFClassifier.inference_report`.

    Attributes
    ----------
    bars_ : dict of matplotlib BarContainer
        The bars of "exact", "converged" and "not converged".
    text_ : list of matplotlib Text
        Number of graphs and seconds of each backend.
    legend_ : matplotlib Legend
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    See Also
    --------
    skstruct.inspection.inference_report : the report.

    Examples
    --------
    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.datasets import make_chain
    >>> from skstruct.plotting import InferenceReportDisplay
    >>> X, y = make_chain(n_graphs=50, return_X_y=True, random_state=0)
    >>> display = InferenceReportDisplay.from_estimator(GraphCRFClassifier().fit(X, y), X)
    >>> [float(bar.get_width()) for bar in display.bars_["exact"]]
    [50.0]
    """

    def __init__(self, report):
        self.report = report

    @classmethod
    def from_estimator(cls, model, X, *, ax=None):
        """Draw the report of a fitted model for some graphs.

        Parameters
        ----------
        model : GraphCRFClassifier, Pipeline or search
            Fitted.
        X : GraphDataset, list of graphs, table, or other input of `model`
        ax : matplotlib Axes, default=None
            None: new axes.

        Returns
        -------
        display : InferenceReportDisplay
        """
        return cls(inference_report(model, X)).plot(ax=ax)

    def plot(self, *, ax=None):
        """Draw the bars.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None: new axes.

        Returns
        -------
        display : InferenceReportDisplay
        """
        ax, report = self._open_axes(ax), self.report
        backends, number = np.unique(report["backend"], return_inverse=True)
        exact, converged = np.asarray(report["exact"], bool), np.asarray(report["converged"], bool)
        masks = dict(zip(COLORS, (exact, ~exact & converged, ~exact & ~converged), strict=True))
        self.bars_, left = {}, np.zeros(len(backends))
        for kind, mask in masks.items():
            width = np.bincount(number[mask], minlength=len(backends)).astype(float)
            self.bars_[kind] = ax.barh(np.arange(len(backends)), width, left=left, color=COLORS[kind], label=kind)
            left += width
        seconds = np.bincount(number, report["seconds"], minlength=len(backends))
        texts = [f"{count:.0f} graphs, {time:.2g} s" for count, time in zip(left, seconds)]
        self.text_ = ax.bar_label(self.bars_["not converged"], texts, padding=3)
        ax.set_yticks(np.arange(len(backends)), backends)
        ax.set_xlim(0, 1.6 * left.max(initial=1.0))
        ax.set(xlabel="graphs", ylabel="backend")
        self.legend_ = ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, frameon=False)
        return self
