"""ExplanationDisplay: the parts of the log-odds of two labels as bars."""

import numpy as np

from skstruct.inspection import explain
from skstruct.plotting._axes import RIGHT, WRONG, Display

LONGEST = 40  # characters of a name


class ExplanationDisplay(Display):
    """Bars of the parts of the log-odds of one label of a node against another label.

    Bars to the right support the first label, and bars to the left the second one.

    Parameters
    ----------
    frame : pandas.DataFrame
        Result of `skstruct.inspection.explain`.

    Attributes
    ----------
    bars_ : matplotlib BarContainer
        The largest part is at the top.
    text_ : list of matplotlib Text
        The contributions beside the bars.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    See Also
    --------
    skstruct.inspection.explain : the parts as a data frame.

    Examples
    --------
    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.datasets import make_chain
    >>> from skstruct.plotting import ExplanationDisplay
    >>> X, y = make_chain(n_graphs=50, return_X_y=True, random_state=0)
    >>> crf = GraphCRFClassifier().fit(X, y)
    >>> display = ExplanationDisplay.from_estimator(crf, X, graph=0, node=1, top=3)
    >>> [tick.get_text() for tick in display.ax_.get_yticklabels()]
    ['x0 = -0.888', 'x4 = 1.23', 'node 2', '5 other parts']
    """

    def __init__(self, frame):
        self.frame = frame

    @classmethod
    def from_estimator(cls, model, X, graph, node, label=None, against=None, *, known=None, ax=None, **kwargs):
        """Draw why a node has its label.

        Parameters
        ----------
        model : GraphCRFClassifier, Pipeline or search
            Fitted.
        X, graph, node, label, against, known
            As for `skstruct.inspection.explain`.
        ax : matplotlib Axes, default=None
            None: new axes.
        **kwargs
            Arguments of `plot`.

        Returns
        -------
        display : ExplanationDisplay
        """
        return cls(explain(model, X, graph, node, label, against, known=known)).plot(ax=ax, **kwargs)

    def plot(self, *, ax=None, top=10):
        """Draw the bars.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None: new axes.
        top : int, default=10
            Number of the largest parts that have a bar. One more bar is the sum of the other parts.

        Returns
        -------
        display : ExplanationDisplay
        """
        if isinstance(top, bool) or not isinstance(top, int | np.integer) or top < 1:
            raise ValueError(f"top must be a positive integer, got {top!r}.")
        ax, parts, facts = self._open_axes(ax), self.frame, self.frame.attrs
        names = [_name(*row) for row in parts[["part", "name", "value"]].itertuples(index=False)]
        values = parts["contribution"].to_numpy()
        if len(values) > top + 1:
            names, n_others = [*names[:top], f"{len(values) - top} other parts"], len(values) - top
            values = np.append(values[:top], values[-n_others:].sum())
        finite = np.abs(values[np.isfinite(values)])
        limit = 1.5 * (finite.max(initial=0.0) or 1.0)  # length of the bars of inf and -inf
        lengths = np.clip(values, -limit, limit)
        rows = np.arange(len(values))
        self.bars_ = ax.barh(rows, lengths, color=np.where(values < 0, WRONG, RIGHT))
        self.text_ = ax.bar_label(self.bars_, [f"{value:+.2f}" for value in values], padding=3)
        ax.axvline(0, color="black", linewidth=0.8)
        ax.set_yticks(rows, names)
        ax.invert_yaxis()
        ax.margins(x=0.2)
        ax.set(
            xlabel=f"log-odds of {facts['label']} against {facts['against']}, sum {values.sum():+.2f}",
            title=f"node {facts['node']} of graph {facts['graph']}",
        )
        return self


def _name(part, name, value):
    """Text beside a bar; of a long name the beginning."""
    name = name if len(name) <= LONGEST else f"{name[: LONGEST - 3]}..."
    if part == "feature":
        return name if value == 1 else f"{name} = {value:.3g}"
    return f"approximation ({name})" if part == "approximation" else name
