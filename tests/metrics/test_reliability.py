"""Calibration curves and errors, compared with scikit-learn and with definitions."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve as sklearn_calibration_curve

from skstruct import RaggedArray
from skstruct.metrics import calibration_curve, expected_calibration_error

CLASSES = np.array(["a", "b", "c"])


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    proba = rng.dirichlet([0.5, 0.5, 0.5], size=400)
    proba[:3] = np.eye(3)
    labels = CLASSES[(proba.cumsum(axis=1) > rng.random((400, 1))).argmax(axis=1)]
    ptr = [0, 100, 100, 250, 400]
    return labels, proba, ptr


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
@pytest.mark.parametrize("label", [None, "a", "c"])
def test_curve_of_scikit_learn(data, label, strategy):
    labels, proba, ptr = data
    right = labels == (CLASSES[proba.argmax(axis=1)] if label is None else label)
    probability = proba.max(axis=1) if label is None else proba[:, CLASSES.tolist().index(label)]
    expected = sklearn_calibration_curve(right, probability, n_bins=7, strategy=strategy)
    for y, p in ((RaggedArray(labels, ptr), RaggedArray(proba, ptr)), (labels, proba), (labels.tolist(), proba)):
        found = calibration_curve(y, p, classes=CLASSES, label=label, n_bins=7, strategy=strategy)
        np.testing.assert_allclose(found[:2], expected, rtol=0, atol=1e-12)
        assert found.n_nodes.sum() == 400


def test_error_by_its_definition(data):
    labels, proba, ptr = data
    right, confidence = labels == CLASSES[proba.argmax(axis=1)], proba.max(axis=1)
    error = 0.0
    for k in range(15):
        inside = (confidence > k / 15) & (confidence <= (k + 1) / 15)
        error += abs(right[inside].sum() - confidence[inside].sum()) / 400
    found = expected_calibration_error(RaggedArray(labels, ptr), RaggedArray(proba, ptr), classes=CLASSES)
    assert found == pytest.approx(error, abs=1e-12)
    sharper = proba**3 / (proba**3).sum(axis=1, keepdims=True)
    assert expected_calibration_error(labels, sharper, classes=CLASSES) > 2 * found


def test_missing_labels_and_rounding(data):
    labels, proba, ptr = data
    marked = labels.astype(object)
    marked[::2] = np.nan
    proba[1] *= 1 + 1e-15  # sums of probabilities are rounded
    found = calibration_curve(RaggedArray(marked, ptr), RaggedArray(proba, ptr), classes=CLASSES, missing_label=np.nan)
    np.testing.assert_array_equal(
        np.concatenate(found), np.concatenate(calibration_curve(labels[1::2], proba[1::2], classes=CLASSES))
    )


def test_refusals(data):
    labels, proba, _ = data
    with pytest.raises(ValueError, match=r"a column for each of the 2 classes, got values of shape \(400, 3\)"):
        calibration_curve(labels, proba, classes=CLASSES[:2])
    with pytest.raises(ValueError, match="pos_label 'd' is not among the classes"):
        calibration_curve(labels, proba, classes=CLASSES, label="d")
    with pytest.raises(ValueError, match="y has strings but the classes are numbers"):
        calibration_curve(labels, proba, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="strategy must be 'uniform' or 'quantile', got 'kmeans'"):
        calibration_curve(labels, proba, classes=CLASSES, strategy="kmeans")
    for n_bins in (0, 2.5, "10", None):
        with pytest.raises(ValueError, match=f"n_bins must be a positive integer, got {n_bins!r}"):
            calibration_curve(labels, proba, classes=CLASSES, n_bins=n_bins)
    with pytest.raises(ValueError, match="a column for each of the 1 classes"):
        calibration_curve(labels, proba, classes=None)
    for wrong in (np.nan, 1.5, -0.5):
        table = proba.copy()
        table[7, 1] = wrong
        with pytest.raises(ValueError, match="proba must contain numbers between 0 and 1"):
            calibration_curve(labels, table, classes=CLASSES)
    with pytest.raises(ValueError, match="proba must contain numbers between 0 and 1"):
        calibration_curve(labels, proba.astype(str), classes=CLASSES)
    with pytest.raises(TypeError, match="predictions must be a list or an array"):
        calibration_curve(labels, None, classes=CLASSES)
