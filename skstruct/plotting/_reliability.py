"""ReliabilityDisplay: probabilities of labels against the frequencies of the labels."""

from skstruct.inspection import transformed
from skstruct.metrics import calibration_curve, expected_calibration_error
from skstruct.plotting._axes import RIGHT, Display

LARGEST = 300.0  # area of the largest point, in square points of print


class ReliabilityDisplay(Display):
    """Reliability diagram: frequencies of right labels against predicted probabilities, in bins of nodes.

    The points of calibrated probabilities lie on the diagonal. The area of a point is proportional to its number of
    nodes.

    Parameters
    ----------
    curve : CalibrationCurve
        Result of `skstruct.metrics.calibration_curve`.
    error : float
        Expected calibration error, which the legend contains.
    label : label, default=None
        The class whose probability is shown. None: at each node the most probable label.

    Attributes
    ----------
    line_ : matplotlib Line2D
    points_ : matplotlib PathCollection
    diagonal_ : matplotlib Line2D
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.datasets import make_chain
    >>> from skstruct.plotting import ReliabilityDisplay
    >>> X, y = make_chain(n_graphs=200, return_X_y=True, random_state=0)
    >>> crf = GraphCRFClassifier().fit(X[:100], y[:100])
    >>> display = ReliabilityDisplay.from_estimator(crf, X[100:], y[100:])
    >>> int(display.curve.n_nodes.sum())
    1000
    """

    def __init__(self, curve, error, label=None):
        self.curve, self.error, self.label = curve, error, label

    @classmethod
    def from_estimator(cls, model, X, y, *, missing_label=None, known=None, ax=None, **kwargs):
        """Draw the reliability of the probabilities of a fitted model.

        Parameters
        ----------
        model : GraphCRFClassifier, Pipeline or search
            Fitted.
        X : object
            Input of `model`; graphs that it has not been trained on.
        y : like `y` in `fit`
            True labels.
        missing_label : object, default=None
            Nodes with this label in `y` are ignored. None: the `missing_label` of the model.
        known : like `y` in `fit`, default=None
            Labels to condition on, as in `GraphCRFClassifier.predict_proba`.
        ax, **kwargs
            As for `from_predictions`.

        Returns
        -------
        display : ReliabilityDisplay
        """
        crf, X = transformed(model, X)
        missing_label = crf.missing_label if missing_label is None else missing_label
        return cls.from_predictions(
            y, crf.predict_proba(X, known), classes=crf.classes_, missing_label=missing_label, ax=ax, **kwargs
        )

    @classmethod
    def from_predictions(
        cls,
        y_true,
        proba,
        *,
        classes,
        label=None,
        n_bins=10,
        strategy="uniform",
        missing_label=None,
        ax=None,
        **kwargs,
    ):
        """Draw the reliability of probabilities.

        Parameters
        ----------
        y_true, proba, classes, label, n_bins, strategy, missing_label
            As for `skstruct.metrics.calibration_curve`.
        ax : matplotlib Axes, default=None
            None: new axes.
        **kwargs
            Arguments of `plot`.

        Returns
        -------
        display : ReliabilityDisplay
        """
        settings = {"classes": classes, "label": label, "n_bins": n_bins, "strategy": strategy}
        data = y_true, proba
        curve = calibration_curve(*data, missing_label=missing_label, **settings)
        error = expected_calibration_error(*data, missing_label=missing_label, **settings)
        return cls(curve, error, label).plot(ax=ax, **kwargs)

    def plot(self, *, ax=None, name=None, **kwargs):
        """Draw the diagram.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None: new axes. Several models can be drawn into the same axes.
        name : str, default=None
            Name of the model in the legend.
        **kwargs
            Arguments of matplotlib for the line, such as ``color``.

        Returns
        -------
        display : ReliabilityDisplay
        """
        ax, (prob_true, prob_pred, n_nodes) = self._open_axes(ax), self.curve
        (self.diagonal_,) = ax.plot([0, 1], [0, 1], ":", color="0.5")
        text = f"{'' if name is None else f'{name}: '}calibration error {self.error:.3f}"
        (self.line_,) = ax.plot(prob_pred, prob_true, **({"color": RIGHT, "label": text} | kwargs))
        areas = LARGEST * n_nodes / n_nodes.max()
        self.points_ = ax.scatter(prob_pred, prob_true, areas, color=self.line_.get_color(), alpha=0.6)
        shown = "the most probable label" if self.label is None else f"label {self.label}"
        ax.set(xlabel=f"probability of {shown}", ylabel="frequency", xlim=(-0.05, 1.05), ylim=(-0.05, 1.05))
        ax.set_aspect("equal")
        ax.legend(loc="upper left")
        return self
