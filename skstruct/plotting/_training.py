"""TrainingCurveDisplay: the objective and the validation score in the course of a training."""

import numpy as np

from skstruct.data.number_arrays import number_array
from skstruct.inspection import Steps
from skstruct.plotting._axes import RIGHT, Display


class TrainingCurveDisplay(Display):
    """Curve of the objective after each iteration, and of the score on held-out graphs if there is one.

    Parameters
    ----------
    loss_curve : array-like of shape (n_iter,)
    validation_scores : array-like of shape (n_iter,), default=None

    Attributes
    ----------
    line_ : matplotlib Line2D
    validation_ax_ : matplotlib Axes, or None
        Axes of the scores, with a scale at the right. None without scores, as the next two attributes.
    validation_line_ : matplotlib Line2D, or None
    best_ : matplotlib Line2D, or None
        The iteration with the best score, whose weights were kept.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.datasets import make_chain
    >>> from skstruct.plotting import TrainingCurveDisplay
    >>> X, y = make_chain(n_graphs=50, return_X_y=True, random_state=0)
    >>> crf = GraphCRFClassifier(C=100, early_stopping=True, random_state=0).fit(X, y)
    >>> display = TrainingCurveDisplay.from_estimator(crf)
    >>> bool(display.best_.get_ydata()[0] == crf.best_validation_score_)
    True
    """

    def __init__(self, loss_curve, validation_scores=None):
        self.loss_curve = number_array(loss_curve, "loss_curve")
        self.validation_scores = (
            None if validation_scores is None else number_array(validation_scores, "validation_scores")
        )

    @classmethod
    def from_estimator(cls, model, *, ax=None, **kwargs):
        """Draw the training of a fitted model.

        Parameters
        ----------
        model : GraphCRFClassifier, Pipeline or search
            Fitted. For a search: the training of its best estimator.
        ax : matplotlib Axes, default=None
            None: new axes.
        **kwargs
            Arguments of `plot`.

        Returns
        -------
        display : TrainingCurveDisplay
        """
        crf = Steps.of(model).crf
        return cls(crf.loss_curve_, getattr(crf, "validation_scores_", None)).plot(ax=ax, **kwargs)

    def plot(self, *, ax=None, **kwargs):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None: new axes.
        **kwargs
            Arguments of matplotlib for the line of the objective, such as ``label``.

        Returns
        -------
        display : TrainingCurveDisplay
        """
        ax = self._open_axes(ax)
        iterations = np.arange(1, len(self.loss_curve) + 1)
        (self.line_,) = ax.plot(iterations, self.loss_curve, **({"color": RIGHT} | kwargs))
        ax.set(xlabel="iteration", ylabel="objective")
        self.validation_ax_ = self.validation_line_ = self.best_ = None
        if self.validation_scores is not None:
            self.validation_ax_ = ax.twinx()
            style = {"color": "tab:orange"}
            (self.validation_line_,) = self.validation_ax_.plot(iterations, self.validation_scores, **style)
            best = int(self.validation_scores.argmax())
            point = iterations[best : best + 1], self.validation_scores[best : best + 1]
            (self.best_,) = self.validation_ax_.plot(*point, "o", label="kept iteration", **style)
            self.validation_ax_.set_ylabel("accuracy on held-out labels", **style)
            self.validation_ax_.legend(loc="center right")  # below the scores and above the objective
            ax.yaxis.label.set_color(self.line_.get_color())
        return self
