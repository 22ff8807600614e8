"""Pictures of a training, of inference, and of the errors of many graphs."""

import numpy as np
import pytest
import sklearn.metrics
from sklearn.calibration import calibration_curve

from skstruct import GraphCRFClassifier, RaggedArray
from skstruct.datasets import make_chain
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


def test_names_of_columns_do_not_overlap(data, crf):
    X, y = data
    names = {"display_labels": ["background", "animal", "plant"]}
    for options, rotation in (({}, 0), (names, 90), (names | {"xticks_rotation": 45}, 45)):
        display = ConfusionMatrixDisplay.from_estimator(crf, X, y, **options)
        assert {label.get_rotation() for label in display.ax_.get_xticklabels()} == {rotation}


def test_predictions_of_other_graphs(data, crf):
    X, y = data
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[5, 40\]"):
        ConfusionMatrixDisplay.from_predictions(y, crf.predict(X[:5]))


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


def test_inference_report():
    report = {
        "backend": np.array(["tree", "loopy_bp", "chain", "loopy_bp", "tree", "loopy_bp", "loopy_bp"]),
        "exact": np.array([True, False, True, False, True, False, True]),
        "converged": np.array([True, True, True, False, True, False, True]),
        "seconds": np.array([1.0, 0.25, 0.5, 0.25, 2.0, 0.5, 0.0]),
    }
    display = InferenceReportDisplay(report).plot()
    assert [tick.get_text() for tick in display.ax_.get_yticklabels()] == ["chain", "loopy_bp", "tree"]
    widths = {kind: [bar.get_width() for bar in bars] for kind, bars in display.bars_.items()}
    assert widths == {"exact": [1, 1, 2], "converged": [0, 1, 0], "not converged": [0, 2, 0]}
    assert [bar.get_x() for bar in display.bars_["not converged"]] == [1, 2, 2]  # beside the other bars
    assert [text.get_text() for text in display.text_] == ["1 graphs, 0.5 s", "4 graphs, 1 s", "2 graphs, 3 s"]
    assert [text.get_text() for text in display.legend_.get_texts()] == list(widths)


def test_inference_report_of_a_model(data, crf):
    X, _ = data
    report = InferenceReportDisplay.from_estimator(crf, X).report
    expected = crf.inference_report(X)
    assert set(report) == set(expected)
    for name in ("backend", "exact", "converged"):
        np.testing.assert_array_equal(report[name], expected[name])
