"""Training in float32, against the same in float64, which other tests compare with enumeration."""

import pickle

import numpy as np
import pytest

from skstruct import GraphCRFClassifier
from skstruct.features import ConstrainedFeatures, LinearFeatures
from skstruct.optim import Optimizer


class _Recorder(Optimizer):
    """An optimiser that appends value and gradient at a point to `found`, and minimises nothing."""

    def __init__(self, found=None):
        self.found = found

    def minimize(self, fun, coef0, *, l1=None, max_iter, tol, callback=None):
        self.found.append(fun(np.random.default_rng(0).normal(size=len(coef0))))
        raise StopIteration


def compare_losses(X, y, map_of):
    """Value and gradient agree for the maps of both types, and are not the same."""
    found = []
    for dtype in ("float64", "float32"):
        with pytest.raises(StopIteration):
            GraphCRFClassifier(map_of(dtype), optimizer=_Recorder(found)).fit(X, y)
    (value, gradient), (single_value, single_gradient) = found
    assert single_gradient.dtype == np.float64
    assert single_value == pytest.approx(value, rel=1e-6)
    np.testing.assert_allclose(single_gradient, gradient, atol=2e-6 * abs(gradient).max())
    assert (single_gradient != gradient).any()


@pytest.mark.parametrize("storage", ["sparse", "dense"])
@pytest.mark.parametrize("node_weights", ["all", "observed"])
@pytest.mark.parametrize(
    ("kind", "n_edge_features"), [("chain", 0), ("chain", 2), ("tree", 0), ("cycle", 0), ("edgeless", 0)]
)
def test_loss_is_that_of_float64(make_data, storage, node_weights, kind, n_edge_features):
    X, y = make_data(kind, sizes=[5, 1, 8, 3] * 5, n_features=6, n_edge_features=n_edge_features, storage=storage)
    compare_losses(X, y, lambda dtype: LinearFeatures(node_weights=node_weights, dtype=dtype))


@pytest.mark.parametrize("kind", ["chain", "tree"])
def test_loss_with_forbidden_pairs(make_data, kind):
    X, y = make_data(kind, sizes=[6] * 10, storage="sparse")
    y.values[y.values == 2] = 1
    y.values[::6] = 2  # the first node of each graph, so that no edge joins two of them
    compare_losses(X, y, lambda dtype: ConstrainedFeatures(LinearFeatures(dtype=dtype), forbidden_pairs=[(2, 2)]))


@pytest.mark.parametrize("optimizer", ["lbfgs", "sgd"])
def test_a_fit_gives_a_model_in_float64(make_data, optimizer):
    X, y = make_data("chain", sizes=[6] * 30, n_features=8, storage="sparse")
    double, single = (
        GraphCRFClassifier(LinearFeatures(dtype=dtype), optimizer=optimizer, random_state=0).fit(X, y)
        for dtype in ("float64", "float32")
    )
    for name in ("coef_", "intercept_", "edge_coef_"):
        assert getattr(single, name).dtype == np.float64
        np.testing.assert_allclose(getattr(single, name), getattr(double, name), atol=1e-3)
    assert single.predict_proba(X).values.dtype == np.float64
    np.testing.assert_allclose(single.predict_proba(X).values, double.predict_proba(X).values, atol=1e-4)
    again = pickle.loads(pickle.dumps(single))
    np.testing.assert_array_equal(again.predict(X).values, single.predict(X).values)


def test_warm_start_from_float32(make_data):
    X, y = make_data("chain", sizes=[6] * 30, n_features=8, storage="sparse")
    crf = GraphCRFClassifier(LinearFeatures(dtype="float32"), warm_start=True).fit(X, y)
    n_iter = crf.n_iter_
    crf.set_params(features__dtype="float64").fit(X, y)
    assert crf.n_iter_ < n_iter
