"""Confusion matrix, reports and intersection over union of graphs are those of scikit-learn for all nodes."""

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from skstruct import RaggedArray
from skstruct.metrics import classification_report, confusion_matrix, iou_score

METRICS = [confusion_matrix, classification_report, iou_score]
ptr = np.array([0, 3, 3, 40, 60])
LABELS = np.array(["a", "b", "c"])[np.arange(60) * 7 % 11 % 3]
PREDICTED = np.where(np.arange(60) % 4 == 0, "b", LABELS)


def ragged(values):
    return RaggedArray(values, ptr)


def of_sklearn(metric):
    name = "jaccard_score" if metric is iou_score else metric.__name__
    average = {"average": "macro"} if metric is iou_score else {}
    return lambda *args, **kwargs: getattr(sklearn_metrics, name)(*args, **{**average, **kwargs})


@pytest.mark.parametrize("metric", METRICS)
def test_all_forms(metric):
    expected = of_sklearn(metric)(LABELS, PREDICTED)
    y, predictions = ragged(LABELS), ragged(PREDICTED)
    for form in (
        (y, predictions),
        (y.tolist(), predictions.tolist()),
        (np.asarray(y), list(predictions)),
        (y.tolist(), predictions),
        (LABELS, PREDICTED),
        (LABELS.tolist(), PREDICTED.tolist()),
        (LABELS.reshape(4, 15), PREDICTED.reshape(4, 15)),
    ):
        np.testing.assert_array_equal(metric(*form), expected)


@pytest.mark.parametrize("metric", METRICS)
def test_weights_missing_labels_and_options(metric):
    weight = np.array([1.0, 2.0, 0.0, 3.0])
    per_node = np.repeat(weight, np.diff(ptr))
    y, predictions = ragged(LABELS), ragged(PREDICTED)
    expected = of_sklearn(metric)(LABELS, PREDICTED, sample_weight=per_node, labels=["c", "a"])
    for given in (weight, ragged(per_node)):
        np.testing.assert_array_equal(metric(y, predictions, sample_weight=given, labels=["c", "a"]), expected)
    kept = np.arange(60) % 5 > 0
    for missing in (-1, np.nan, "void"):
        marked = LABELS.astype(object)
        marked[~kept] = missing
        found = metric(ragged(marked), predictions, missing_label=missing)
        np.testing.assert_array_equal(found, of_sklearn(metric)(LABELS[kept], PREDICTED[kept]))


def test_iou_by_hand():
    y, predictions = [[0, 0, 1], [2, 2]], [[0, 1, 1], [2, 3]]
    np.testing.assert_allclose(iou_score(y, predictions, average=None), [1 / 2, 1 / 2, 1 / 2, 0], rtol=0, atol=1e-15)
    assert iou_score(y, predictions) == pytest.approx(1.5 / 4)
    assert iou_score(y, predictions, labels=[0, 2]) == pytest.approx(1 / 2)


def test_report_as_a_dict_with_names():
    report = classification_report(
        ragged(LABELS), ragged(PREDICTED), output_dict=True, target_names=["A", "B", "C"], digits=3
    )
    assert report["B"]["recall"] == 1.0
    matrix = confusion_matrix(ragged(LABELS), ragged(PREDICTED), normalize="true")
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0, rtol=0, atol=1e-15)


@pytest.mark.parametrize("metric", METRICS)
def test_refusals(metric):
    y = ragged(LABELS)
    with pytest.raises(ValueError, match="but the predictions are flat"):
        metric(y, PREDICTED)
    with pytest.raises(ValueError, match=r"RaggedArray\(y, X.node_ptr\)"):
        metric(LABELS, ragged(PREDICTED))
    with pytest.raises(ValueError, match=r"graph 0 has 3 nodes but y\[0\] has 37 values"):
        metric(y[[2, 1, 0, 3]], ragged(PREDICTED))
    with pytest.raises(ValueError, match="no labelled node"):
        metric(ragged(np.full(60, "?")), ragged(PREDICTED), missing_label="?")
    with pytest.raises(ValueError, match="sample_weight is zero"):
        metric(y, ragged(PREDICTED), sample_weight=np.zeros(4))
    for predictions in (None, 3, "abc", np.array("abc")):
        with pytest.raises(TypeError, match="predictions must be a list or an array, got"):
            metric(LABELS, predictions)
    with pytest.raises(ValueError, match=r"Input y contains NaN or None: y\[1\] is nan"):
        metric([1.0, np.nan], [1.0, 1.0])
