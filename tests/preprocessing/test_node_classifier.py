"""NodeClassifier: any classifier of tables, node by node."""

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import parametrize_with_checks

from skstruct.data.dataset import GraphDataset
from skstruct.data.ragged import RaggedArray
from skstruct.metrics import node_accuracy
from skstruct.model_selection import cross_val_predict
from skstruct.preprocessing import NodeClassifier


@parametrize_with_checks([NodeClassifier(LogisticRegression())])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    X = GraphDataset.from_sequences([rng.normal(size=(n, 2)) for n in (3, 1, 4, 2, 5, 3)])
    return X, RaggedArray((X.node_features[:, 0] > 0).astype(int), X.node_ptr)


def test_it_is_the_classifier_of_the_nodes(data):
    X, y = data
    model = NodeClassifier(LogisticRegression()).fit(X, y)
    inner = LogisticRegression().fit(X.node_features, y.values)
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        expected = getattr(inner, method)(X.node_features)
        result = getattr(model, method)(X)
        assert isinstance(result, RaggedArray)
        assert np.array_equal(result.values, expected)
        assert np.array_equal(getattr(model, method)(list(X)).values, expected)
        assert np.array_equal(getattr(model, method)(X.nodes), expected)
        assert np.array_equal(getattr(model, method)(X.node_features), expected)
    expected = inner.score(X.node_features, y.values)
    assert model.score(X, y) == model.score(X.nodes, y.values) == model.score(X.node_features, y.values) == expected
    weight = np.arange(6.0)
    per_node = np.repeat(weight, np.diff(X.node_ptr))
    assert model.score(X, y, weight) == inner.score(X.node_features, y.values, per_node)
    assert model.n_features_in_ == 2
    weighted = NodeClassifier(LogisticRegression()).fit(X, y, sample_weight=weight).estimator_
    assert np.allclose(weighted.coef_, LogisticRegression().fit(X.node_features, y.values, per_node).coef_)


def test_it_has_what_the_classifier_has(data):
    assert not hasattr(NodeClassifier(LinearSVC()), "predict_proba")
    assert hasattr(NodeClassifier(LinearSVC()), "decision_function")
    with pytest.raises(NotFittedError):
        NodeClassifier(LinearSVC()).predict(data[0])


def test_model_selection(data):
    X, y = data
    model = NodeClassifier(DummyClassifier())
    assert len(cross_val_score(model, X, y, cv=3, error_score="raise")) == 3
    assert len(cross_val_score(model, X, y, cv=3, scoring=node_accuracy, error_score="raise")) == 3
    proba = cross_val_predict(model, X, y, cv=3, method="predict_proba")
    assert proba.shape == (6, 2)
    assert np.array_equal(proba.ptr, X.node_ptr)
