"""SequenceDisplay: the probabilities of the labels along a sequence as a heat map."""

import numpy as np

from skstruct.data.structure import list_of
from skstruct.plotting._axes import WRONG, colormap
from skstruct.plotting._nodes import NodeDisplay, predict_graph

MOST_UPRIGHT = 3  # letters of a token that is not rotated


class SequenceDisplay(NodeDisplay):
    """Heat map of the probabilities of the labels at the nodes of a sequence.

    A line connects the predicted labels. A red cross is the true label of a node with a wrong predicted label.

    Parameters
    ----------
    proba : array-like of shape (n_nodes, n_classes)
    classes : array-like of shape (n_classes,), default=None
        Names of the columns of `proba`. None: 0, 1, ...
    y_pred : array-like of shape (n_nodes,), default=None
        Predicted labels. None: the most probable ones.
    y_true : array-like of shape (n_nodes,), default=None
        True labels.
    missing_label : object, default=None
        Value in `y_true` that means "unknown".

    Attributes
    ----------
    im_ : matplotlib AxesImage
    predicted_ : matplotlib Line2D
    true_ : matplotlib Line2D
        The true labels of nodes with a wrong predicted label.
    colorbar_ : matplotlib Colorbar
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.datasets import make_chain
    >>> from skstruct.plotting import SequenceDisplay
    >>> X, y = make_chain(n_graphs=50, return_X_y=True, random_state=0)
    >>> crf = GraphCRFClassifier().fit(X, y)
    >>> display = SequenceDisplay.from_estimator(crf, X, graph=3, y=y)
    >>> display.im_.get_array().shape
    (3, 10)
    """

    @classmethod
    def from_estimator(cls, model, X, graph=0, *, y=None, known=None, ax=None, **kwargs):
        """Draw the predictions of a fitted model for a sequence.

        Parameters
        ----------
        model : GraphCRFClassifier, Pipeline or search
            Fitted.
        X : GraphDataset, list of graphs, or other input of `model`
            The edges of the graph are not drawn, so that it need not be a chain.
        graph : int, default=0
            Number of the sequence in `X`.
        y : like `y` in `fit`, default=None
            True labels of all graphs.
        known : like `y` in `fit`, default=None
            Labels to condition on, as in `GraphCRFClassifier.predict_proba`.
        ax : matplotlib Axes, default=None
            None: new axes.
        **kwargs
            Arguments of `plot`.

        Returns
        -------
        display : SequenceDisplay
        """
        return cls(**predict_graph(model, X, graph, y, known).nodes).plot(ax=ax, **kwargs)

    @classmethod
    def from_predictions(cls, proba, *, classes=None, y_pred=None, y_true=None, missing_label=None, ax=None, **kwargs):
        """Draw the predictions for a sequence.

        Parameters
        ----------
        proba, classes, y_pred, y_true, missing_label
            As for the class.
        ax : matplotlib Axes, default=None
            None: new axes.
        **kwargs
            Arguments of `plot`.

        Returns
        -------
        display : SequenceDisplay
        """
        labels = {"classes": classes, "y_pred": y_pred, "y_true": y_true, "missing_label": missing_label}
        return cls(proba, **labels).plot(ax=ax, **kwargs)

    def plot(self, *, ax=None, tokens=None, cmap="Greys"):
        """Draw the heat map.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None: new axes.
        tokens : array-like of str of shape (n_nodes,), default=None
            Names of the nodes, such as words. None: their numbers.
        cmap : str or Colormap, default="Greys"

        Returns
        -------
        display : SequenceDisplay
        """
        ax, n_nodes, cmap = self._open_axes(ax), len(self.proba), colormap(cmap)
        tokens = None if tokens is None else list_of("tokens", tokens)
        if tokens is not None and len(tokens) != n_nodes:
            raise ValueError(f"tokens must have a name for each of the {n_nodes} nodes, got {len(tokens)} names.")
        self.im_ = ax.imshow(self.proba.T, cmap=cmap, vmin=0, vmax=1, aspect="auto")
        self.colorbar_ = self.figure_.colorbar(self.im_, ax=ax, label="probability")
        row = {label: number for number, label in enumerate(self.classes.tolist())}
        wrong = np.flatnonzero(self.wrong)
        style = {"marker": "o", "markersize": 6, "linewidth": 1, "color": "tab:orange"}
        (self.predicted_,) = ax.plot(np.arange(n_nodes), self.predicted_codes, label="predicted", **style)
        true_rows = [row.get(label, np.nan) for label in ([] if self.y_true is None else self.y_true[wrong].tolist())]
        style = {"marker": "x", "markersize": 9, "markeredgewidth": 2, "linestyle": "none", "color": WRONG}
        (self.true_,) = ax.plot(wrong, true_rows, label="true, if another", **style)
        if tokens is not None:
            ax.set_xticks(np.arange(n_nodes), tokens)
            if max(map(len, map(str, tokens)), default=0) > MOST_UPRIGHT:
                ax.tick_params("x", rotation=90)
        ax.set_yticks(np.arange(len(self.classes)), self.classes)
        ax.set(xlabel="node" if tokens is None else None, ylabel="label")
        if len(wrong):
            ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, frameon=False)
        return self
