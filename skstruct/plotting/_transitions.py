"""TransitionsDisplay: the edge weights of a linear map as a heat map."""

import numpy as np

from skstruct.inspection import transitions
from skstruct.plotting._axes import Display, colormap

MOST_VALUES = 15  # classes of a matrix whose values are printed in the cells


class TransitionsDisplay(Display):
    """Heat map of the scores of pairs of labels along edges.

    Red pairs are favoured by the model, and blue pairs are unlikely.

    Parameters
    ----------
    matrix : array-like of shape (n_classes, n_classes)
        Rows are labels of the first node of an edge.
    classes : array-like of shape (n_classes,)

    Attributes
    ----------
    im_ : matplotlib AxesImage
    text_ : ndarray of shape (n_classes, n_classes) of matplotlib Text, or None
        The values in the cells; None without values.
    colorbar_ : matplotlib Colorbar
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    See Also
    --------
    skstruct.inspection.transitions : the same numbers as a data frame.

    Examples
    --------
    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.datasets import make_chain
    >>> from skstruct.plotting import TransitionsDisplay
    >>> X, y = make_chain(n_graphs=50, return_X_y=True, random_state=0)
    >>> display = TransitionsDisplay.from_estimator(GraphCRFClassifier().fit(X, y))
    >>> display.text_[0, 0].get_text()
    '0.2'
    """

    def __init__(self, matrix, classes):
        self.matrix, self.classes = np.asarray(matrix), np.asarray(classes)
        if self.matrix.shape != 2 * self.classes.shape:
            raise ValueError(
                f"matrix must have a row and a column for each of the classes, got an array of shape "
                f"{self.matrix.shape} and classes of shape {self.classes.shape}."
            )

    @classmethod
    def from_estimator(cls, model, *, feature=None, ax=None, **kwargs):
        """Draw the edge weights of a fitted model.

        Parameters
        ----------
        model : GraphCRFClassifier, Pipeline or search
            Fitted, with a linear feature map.
        feature : str, default=None
            Name of an edge feature, if edges have features.
        ax : matplotlib Axes, default=None
            None: new axes.
        **kwargs
            Arguments of `plot`.

        Returns
        -------
        display : TransitionsDisplay

        Raises
        ------
        ValueError
            If the model has no matrix of transitions, or `feature` is not the name of an edge feature.
        """
        frame = transitions(model)
        names = frame.index.unique("feature").tolist() if frame.index.nlevels == 2 else [None]
        if not isinstance(feature, str | None) or feature not in names:
            raise ValueError(
                f"feature is {feature!r}, but edges have no features."
                if names == [None]
                else f"feature must be one of the edge features {names[:10]}, got {feature!r}."
            )
        matrix = frame if feature is None else frame.loc[feature]
        return cls(matrix.to_numpy(), matrix.columns).plot(ax=ax, **kwargs)

    def plot(self, *, ax=None, include_values=None, values_format=".1f", cmap="RdBu_r"):
        """Draw the heat map.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None: new axes.
        include_values : bool, default=None
            Whether to print the values. None: if there are at most 15 classes.
        values_format : str, default=".1f"
        cmap : str or Colormap, default="RdBu_r"
            A diverging colormap. Its middle is 0.

        Returns
        -------
        display : TransitionsDisplay
        """
        try:
            format(0.0, values_format)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"values_format must be a format of numbers such as '.1f', got {values_format!r}."
            ) from error
        ax, n_classes, cmap = self._open_axes(ax), len(self.classes), colormap(cmap)
        finite = np.abs(self.matrix[np.isfinite(self.matrix)])
        largest = finite.max(initial=0.0) or 1.0
        self.im_ = ax.imshow(np.clip(self.matrix, -largest, largest), cmap=cmap, vmin=-largest, vmax=largest)
        self.colorbar_ = self.figure_.colorbar(self.im_, ax=ax, label="score")
        self.text_ = None
        if n_classes <= MOST_VALUES if include_values is None else include_values:
            self.text_ = np.empty(self.matrix.shape, dtype=object)
            for (row, column), value in np.ndenumerate(self.matrix):
                color = "white" if abs(value) > 0.6 * largest else "black"
                text = format(value, values_format)
                self.text_[row, column] = ax.text(column, row, text, color=color, ha="center", va="center")
        ticks = np.arange(n_classes)
        ax.set_xticks(ticks, self.classes, rotation=90 if max(map(len, map(str, self.classes))) > 2 else 0)
        ax.set_yticks(ticks, self.classes)
        ax.set(xlabel="label of the second node", ylabel="label of the first node")
        return self
