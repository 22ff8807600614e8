"""Pictures of models, predictions and trainings, as displays in the style of scikit-learn.

``SomeDisplay.from_estimator`` computes what is shown and draws it, ``SomeDisplay.from_predictions`` draws what is
already computed, and ``plot`` draws a display again, for example into other axes. The artists of matplotlib are
attributes of the display, such as ``ax_`` and ``figure_``. Models are estimators, or pipelines or searches that end in
one.
"""

from skstruct.plotting._confusion import ConfusionMatrixDisplay
from skstruct.plotting._explanation import ExplanationDisplay
from skstruct.plotting._graph import GraphDisplay
from skstruct.plotting._image import ImageDisplay
from skstruct.plotting._inference import InferenceReportDisplay
from skstruct.plotting._reliability import ReliabilityDisplay
from skstruct.plotting._sequence import SequenceDisplay
from skstruct.plotting._training import TrainingCurveDisplay
from skstruct.plotting._transitions import TransitionsDisplay

__all__ = [
    "TransitionsDisplay",
    "ExplanationDisplay",
    "SequenceDisplay",
    "GraphDisplay",
    "ImageDisplay",
    "TrainingCurveDisplay",
    "ConfusionMatrixDisplay",
    "ReliabilityDisplay",
    "InferenceReportDisplay",
]
