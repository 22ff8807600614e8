"""ImageDisplay: the labels of pixels or superpixels, and their uncertainty."""

import numpy as np
from scipy.special import entr

from skstruct.data.number_arrays import number_array
from skstruct.data.optional import optional_module
from skstruct.plotting._axes import add_class_legend, class_colors
from skstruct.plotting._nodes import NodeDisplay, predict_graph


class ImageDisplay(NodeDisplay):
    """Image of predicted labels. Each label has a colour, which is paler where the label is uncertain.

    The uncertainty of a node is the entropy of its label divided by ``log(n_classes)``. A node whose labels are all
    equally probable is white. Black lines surround pixels with a wrong predicted label.

    Parameters
    ----------
    proba : array-like of shape (n_nodes, n_classes)
    pixels : tuple (height, width), or array-like of int of shape (height, width)
        Size of an image with a node for each pixel, numbered row by row. Or the number of the node of each pixel, for
        example of its superpixel; pixels with a negative number are white.
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
    borders_ : matplotlib LineCollection
        Borders of the pixels with a wrong predicted label.
    legend_ : matplotlib Legend
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.datasets import make_grid
    >>> from skstruct.plotting import ImageDisplay
    >>> X, y = make_grid(n_graphs=5, height=6, width=4, return_X_y=True, random_state=0)
    >>> crf = GraphCRFClassifier(objective="pseudolikelihood").fit(X, y)
    >>> display = ImageDisplay.from_estimator(crf, X, graph=3, pixels=(6, 4), y=y)
    >>> display.im_.get_array().shape
    (6, 4, 3)
    """

    def __init__(self, proba, pixels, *, classes=None, y_pred=None, y_true=None, missing_label=None):
        super().__init__(proba, classes=classes, y_pred=y_pred, y_true=y_true, missing_label=missing_label)
        pixels, n_nodes = number_array(pixels, "pixels"), len(self.proba)
        if pixels.shape == (2,) and pixels.dtype.kind in "iu":
            if pixels.prod() != n_nodes:
                raise ValueError(f"an image of {pixels[0]} x {pixels[1]} pixels needs as many nodes, got {n_nodes}.")
            pixels = np.arange(n_nodes).reshape(pixels)
        if pixels.ndim != 2 or pixels.dtype.kind not in "iu" or pixels.max(initial=-1) >= n_nodes:
            raise ValueError(
                f"pixels must be (height, width), or an array of that shape with the numbers of nodes below {n_nodes}, "
                f"got an array of shape {pixels.shape} and dtype {pixels.dtype}."
            )
        self.pixels = pixels

    @classmethod
    def from_estimator(cls, model, X, graph=0, *, pixels, y=None, known=None, ax=None, **kwargs):
        """Draw the predictions of a fitted model for an image.

        Parameters
        ----------
        model : GraphCRFClassifier, Pipeline or search
            Fitted.
        X : GraphDataset, list of graphs, or other input of `model`
        graph : int, default=0
            Number of the image in `X`.
        pixels : tuple (height, width), or array-like of int of shape (height, width)
            As for the class.
        y : like `y` in `fit`, default=None
            True labels of the nodes of all graphs.
        known : like `y` in `fit`, default=None
            Labels to condition on, as in `GraphCRFClassifier.predict_proba`.
        ax : matplotlib Axes, default=None
            None: new axes.
        **kwargs
            Arguments of `plot`.

        Returns
        -------
        display : ImageDisplay
        """
        return cls(pixels=pixels, **predict_graph(model, X, graph, y, known).nodes).plot(ax=ax, **kwargs)

    @classmethod
    def from_predictions(
        cls, proba, *, pixels, classes=None, y_pred=None, y_true=None, missing_label=None, ax=None, **kwargs
    ):
        """Draw the predictions for an image.

        Parameters
        ----------
        proba, pixels, classes, y_pred, y_true, missing_label
            As for the class.
        ax : matplotlib Axes, default=None
            None: new axes.
        **kwargs
            Arguments of `plot`.

        Returns
        -------
        display : ImageDisplay
        """
        labels = {"classes": classes, "y_pred": y_pred, "y_true": y_true, "missing_label": missing_label}
        return cls(proba, pixels, **labels).plot(ax=ax, **kwargs)

    def plot(self, *, ax=None, uncertainty=True):
        """Draw the image.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None: new axes.
        uncertainty : bool, default=True
            Whether uncertain labels are paler.

        Returns
        -------
        display : ImageDisplay
        """
        ax, colors = self._open_axes(ax), class_colors(len(self.classes))
        collections = optional_module("matplotlib.collections", "plot", "ImageDisplay")
        strength = np.ones((len(self.proba), 1))
        if uncertainty and len(self.classes) > 1:
            strength -= entr(self.proba).sum(axis=1, keepdims=True) / np.log(len(self.classes))
        white = np.ones((1, 3))  # the color of pixels of number -1
        node_colors = np.concatenate([1 - strength.clip(0, 1) * (1 - colors[self.predicted_codes]), white])
        pixels = np.where(self.pixels < 0, -1, self.pixels)
        self.im_ = ax.imshow(node_colors[pixels], interpolation="nearest")
        lines = _borders(np.append(self.wrong, False)[pixels])
        self.borders_ = ax.add_collection(collections.LineCollection(lines, colors="black", linewidths=1))
        self.legend_ = add_class_legend(ax, self.classes)
        ax.set(xticks=[], yticks=[])
        return self


def _borders(mask):
    """Border lines between the pixels in a mask and the other pixels, (n_lines, 2, 2), points (x, y)."""
    padded = np.pad(mask, 1)
    below = np.argwhere(padded[1:] != padded[:-1])[:, ::-1] + [-1.5, -0.5]  # left ends of horizontal lines
    right = np.argwhere(padded[:, 1:] != padded[:, :-1])[:, ::-1] + [-0.5, -1.5]  # upper ends of vertical lines
    lines = [np.stack([start, start + step], axis=1) for start, step in ((below, [1.0, 0.0]), (right, [0.0, 1.0]))]
    return np.concatenate(lines)
