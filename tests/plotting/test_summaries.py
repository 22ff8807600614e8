"""Pictures of a training, of inference, and of the errors of many graphs."""

import numpy as np
import pytest
import sklearn.metrics
from sklearn.calibration import calibration_curve

from skstruct import GraphCRFClassifier, GraphDataset, RaggedArray
from skstruct.datasets import make_chain, make_grid
from skstruct.plotting import (
    ConfusionMatrixDisplay,
    InferenceReportDisplay,
    ReliabilityDisplay,
    TrainingCurveDisplay,
)


@pytest.fixture(scope="module")
def data():
    return make_chain(n_graphs=40, return_X_y=True, random_state=0)


@pytest.fixture(scope="module")
def crf(data):
    return GraphCRFClassifier(early_stopping=True, random_state=0, missing_label=-1).fit(*data)


@pytest.fixture(scope="module")
def partly(data):
    """Labels of which some are missing, and a mask of the others."""
    values = data[1].values.copy()
    values[::7] = -1
    return RaggedArray(values, data[1].ptr), values != -1


def test_training_curve(crf):
    display = TrainingCurveDisplay.from_estimator(crf, label="training")
    np.testing.assert_array_equal(display.line_.get_xydata().T, [np.arange(1, crf.n_iter_ + 1), crf.loss_curve_])
    np.testing.assert_array_equal(display.validation_line_.get_ydata(), crf.validation_scores_)
    best = crf.validation_scores_.argmax()
    np.testing.assert_array_equal(display.best_.get_xydata(), [[best + 1, crf.best_validation_score_]])
    assert display.line_.get_label() == "training"
    assert display.validation_ax_ is not display.ax_


def test_training_curve_without_validation(data):
    display = TrainingCurveDisplay.from_estimator(GraphCRFClassifier().fit(*data))
    assert display.validation_ax_ is display.validation_line_ is display.best_ is None


def test_confusion_matrix(data, crf, partly):
    X, _ = data
    y, is_known = partly
    expected = sklearn.metrics.confusion_matrix(y.values[is_known], crf.predict(X).values[is_known])
    display = ConfusionMatrixDisplay.from_estimator(crf, X, y)
    np.testing.assert_array_equal(display.confusion_matrix, expected)
    assert [text.get_text() for text in display.text_.ravel()] == [str(count) for count in expected.ravel()]
    fractions = ConfusionMatrixDisplay.from_estimator(crf, X, y, normalize="true", labels=[2, 0])
    rows = expected[np.ix_([2, 0], [2, 0])]
    np.testing.assert_allclose(fractions.confusion_matrix, rows / rows.sum(axis=1, keepdims=True))
    assert [tick.get_text() for tick in fractions.ax_.get_xticklabels()] == ["2", "0"]


def test_confusion_matrix_of_predictions():
    display = ConfusionMatrixDisplay.from_predictions([["a", "b"], ["c"]], [["a", "b"], ["d"]])
    np.testing.assert_array_equal(display.confusion_matrix, [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]])
    assert [tick.get_text() for tick in display.ax_.get_xticklabels()] == ["a", "b", "c", "d"]
    named = ConfusionMatrixDisplay.from_predictions(
        [1, 0, -1], [1, 1, 1], missing_label=-1, display_labels=["no", "yes"]
    )
    np.testing.assert_array_equal(named.confusion_matrix, [[0, 1], [0, 1]])
    assert [tick.get_text() for tick in named.ax_.get_yticklabels()] == ["no", "yes"]


@pytest.mark.parametrize("label", [None, 0, 2])
def test_reliability(data, crf, partly, label):
    X, _ = data
    y, is_known = partly
    proba = crf.predict_proba(X).values[is_known]
    column = proba.argmax(axis=1) if label is None else np.full(len(proba), label)
    probability = proba[np.arange(len(proba)), column]
    true, predicted = calibration_curve(y.values[is_known] == column, probability, n_bins=8)
    display = ReliabilityDisplay.from_estimator(crf, X, y, label=label, n_bins=8, name="model", color="black")
    np.testing.assert_allclose(display.line_.get_xydata().T, [predicted, true], atol=1e-12)
    np.testing.assert_allclose(display.points_.get_offsets().T, [predicted, true], atol=1e-12)
    counts = np.histogram(probability, np.linspace(0, 1, 9))[0]
    sizes = display.points_.get_sizes()
    np.testing.assert_allclose(sizes / sizes.max(), counts[counts > 0] / counts.max())
    error = np.average(np.abs(true - predicted), weights=counts[counts > 0])
    assert display.line_.get_label() == f"model: calibration error {error:.3f}"
    wanted = "the most probable label" if label is None else f"label {label}"
    assert display.ax_.get_xlabel() == f"probability of {wanted}"


def test_inference_report(data, crf):
    grids, _ = make_grid(n_graphs=3, return_X_y=True, random_state=0)
    mixed = GraphDataset.from_graphs([*data[0][:5], *grids])
    crf = GraphCRFClassifier(objective="pseudolikelihood").fit(*data)
    display = InferenceReportDisplay.from_estimator(crf, mixed)
    report = crf.inference_report(mixed)
    names = sorted(set(report["backend"]))
    assert [tick.get_text() for tick in display.ax_.get_yticklabels()] == names
    masks = {"exact": report["exact"], "converged": ~report["exact"] & report["converged"]}
    masks["not converged"] = ~report["exact"] & ~report["converged"]
    for kind, mask in masks.items():
        widths = [bar.get_width() for bar in display.bars_[kind]]
        assert widths == [sum(report["backend"][mask] == name) for name in names]
    assert [text.get_text().split(",")[0] for text in display.text_] == [
        f"{sum(report['backend'] == name)} graphs" for name in names
    ]
