"""Arguments that are no numbers, no lists or no labels are refused by their name, where they enter."""

import numpy as np
import pytest

from skstruct import RaggedArray, Topology, functional
from skstruct.data.number_arrays import number_array, require_dtype
from skstruct.metrics import classification_report, confusion_matrix, node_scorer

LABELS = [["a", "b"], ["b"]]


@pytest.mark.parametrize("values", [[1, [2]], ["1", 2], [object()], [1j], np.array(["2020"], "M8[Y]")])
def test_no_numbers(values):
    with pytest.raises(ValueError, match=r"^weights must be an array of real numbers"):
        number_array(values, "weights")


def test_numbers():
    assert number_array([True, False], "x").dtype == bool
    assert number_array(np.array([1, 2.5], object), "x").tolist() == [1.0, 2.5]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: functional.marginals(np.zeros((2, 2)), [(0, 1)], np.zeros((1, 2, 2)), known=[0, [1]]), "known"),
        (lambda: confusion_matrix(LABELS, LABELS, sample_weight=[1, [2]]), "sample_weight"),
        (lambda: confusion_matrix(LABELS, LABELS, labels=[["a"], ["b"]]), "labels must be 1-D"),
        (lambda: confusion_matrix(LABELS, [["a", np.nan], ["b"]]), "predictions"),
        (lambda: confusion_matrix(LABELS, LABELS, missing_label=["a"]), "missing_label must be one label"),
        (lambda: classification_report(LABELS, LABELS, target_names=[1, 2]), "target_names"),
        (lambda: node_scorer([1]), "unknown metric"),
        (lambda: node_scorer("accuracy", greater_is_better=[]), "greater_is_better"),
        (lambda: RaggedArray([1, 2], [0, ...]), "ptr"),
        (lambda: Topology.from_edges([], 1.5), "n_nodes must be an integer"),
        (lambda: require_dtype([None]), "dtype must be a type of numbers"),
    ],
)
def test_arguments_are_named(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
