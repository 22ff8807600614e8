"""Sparse features of ones in 8 bits: the same bits as in float64, without a copy in another type."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from skstruct import GraphCRFClassifier
from skstruct.estimator._input import read_X
from skstruct.features import ConstrainedFeatures, LinearFeatures, NetworkFeatures

TYPES = [np.bool_, np.uint8, np.int8, np.float32]
MAPS = {
    "all": LinearFeatures(),
    "observed": LinearFeatures(node_weights="observed", edge_weights="observed"),
    "constrained": ConstrainedFeatures(forbidden_pairs=[(0, 2)]),
    "network": NetworkFeatures((4,)),
}


@pytest.fixture
def data(make_data):
    """Chains with binary features. The second one occurs 300 times, more than 8 bits can count."""
    X, y = make_data("chain", sizes=[5] * 60, n_features=6, storage="sparse")
    y.values[1:] = np.where((y.values[:-1] == 0) & (y.values[1:] == 2), 1, y.values[1:])
    table = X.node_features.toarray() > 0
    table[:, 0] = False
    table[:, 1] = True
    return X.with_node_features(csr_array(table.astype(np.float64))), y


@pytest.mark.parametrize("name", MAPS)
def test_types_of_ones_make_no_difference(data, name):
    X, y = data
    expected = GraphCRFClassifier(MAPS[name], random_state=0, max_iter=30, tol=1e-2).fit(X, y)
    for dtype in TYPES:
        same = X.with_node_features(X.node_features.astype(dtype))
        crf = GraphCRFClassifier(MAPS[name], random_state=0, max_iter=30, tol=1e-2).fit(same, y)
        np.testing.assert_allclose(crf.loss_curve_, expected.loss_curve_, rtol=1e-12)
        found = np.concatenate(crf.predict_proba(same))
        np.testing.assert_allclose(found, np.concatenate(expected.predict_proba(X)), rtol=0, atol=1e-9)


@pytest.mark.parametrize("dtype", TYPES)
def test_they_are_not_converted(data, dtype):
    X, y = data
    X = X.with_node_features(X.node_features.astype(dtype))
    crf = GraphCRFClassifier(max_iter=2, tol=1.0).fit(X, y)
    for reset in (True, False):
        read = read_X(crf, X, reset=reset).dataset.node_features
        assert np.shares_memory(read.data, X.node_features.data)


def test_dense_tables_and_long_integers_are_converted(data):
    X, y = data
    crf = GraphCRFClassifier(max_iter=2, tol=1.0).fit(X, y)
    for table in (X.node_features.toarray().astype(np.uint8), X.node_features.astype(np.int64)):
        assert read_X(crf, X.with_node_features(table), reset=True).dataset.node_features.dtype == np.float64
