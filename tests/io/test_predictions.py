"""Predictions in a file are those in memory."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skstruct import GraphCRFClassifier, RaggedArray
from skstruct.datasets import make_chain
from skstruct.io import load_dataset, predict_to_file, save_dataset
from skstruct.preprocessing import NodeTransformer

X, CODES = make_chain(n_graphs=12, return_X_y=True, random_state=0)
NAMES = np.array(["a", "bb", "ccc"])
Y = RaggedArray(NAMES[CODES.values], CODES.ptr)


@pytest.fixture(scope="module")
def model():
    return make_pipeline(NodeTransformer(StandardScaler()), GraphCRFClassifier()).fit(X, Y)


@pytest.mark.parametrize("n_nodes", [1, 50, 10**6])
@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba", "decision_function"])
def test_the_predictions_of_the_estimator(model, method, n_nodes, tmp_path):
    save_dataset(tmp_path / "X", X)
    expected = getattr(model, method)(X)
    found = predict_to_file(
        tmp_path / "found.npy", model, load_dataset(tmp_path / "X")[0], method=method, n_nodes=n_nodes
    )
    assert_array_equal(found.ptr, expected.ptr)
    exact = {"rtol": 0.0, "atol": 0.0} if n_nodes > X.n_nodes or method == "predict" else {"rtol": 1e-12, "atol": 1e-12}
    if method == "predict":
        assert_array_equal(found.values, expected.values)
    else:
        np.testing.assert_allclose(found.values, expected.values, **exact)
    assert not found.values.flags.writeable
    assert_array_equal(np.load(tmp_path / "found.npy", allow_pickle=False), found.values)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["X", "found.npy"]


class Wrong:
    def __init__(self, predict):
        self.predict = predict


@pytest.mark.parametrize(
    ("predict", "error", "message"),
    [
        (lambda X: np.zeros(X.n_nodes), TypeError, "predict must return a RaggedArray .* got ndarray"),
        (lambda X: X.nodes and RaggedArray(np.full(X.n_nodes, None), X.node_ptr), TypeError, "got array of object"),
        (lambda X: RaggedArray([0.0], [0, 1]), TypeError, r"for \d+ nodes; got array of float64, shape \(1,\)"),
        (lambda X: RaggedArray(np.zeros((X.n_nodes, len(X))), X.node_ptr), ValueError, "rows of shape"),
        (lambda X: 1 / 0, ZeroDivisionError, "division"),
    ],
)
def test_errors_leave_no_file(predict, error, message, tmp_path):
    with pytest.raises(error, match=message):
        predict_to_file(tmp_path / "found.npy", Wrong(predict), X[:11], n_nodes=2 * X[:11].n_nodes // 3)
    assert not list(tmp_path.iterdir())


def test_arguments(model, tmp_path):
    path = tmp_path / "found.npy"
    for arguments, error, message in (
        ({"X": [([[1.0]], [])]}, TypeError, "X must be a GraphDataset, got a list"),
        ({"method": "fit"}, ValueError, "method must be one of .*, got 'fit'"),
        ({"n_nodes": 0}, ValueError, "n_nodes must be a positive integer, got 0"),
    ):
        with pytest.raises(error, match=message):
            predict_to_file(**{"path": path, "estimator": model, "X": X, **arguments})
    path.write_text("mine")
    with pytest.raises(FileExistsError, match=r"found.npy exists"):
        predict_to_file(path, model, X)
    assert path.read_text() == "mine"
    assert len(predict_to_file(tmp_path / "none.npy", model, X[:0])) == 0
