"""Decision values: log-odds or log-probabilities of single nodes, finite."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from skstruct import GraphCRFClassifier, MultiLabelCRFClassifier, RaggedArray
from skstruct.datasets import make_chain
from skstruct.features import ConstrainedFeatures
from skstruct.metrics import node_scorer


@pytest.mark.parametrize("n_states", [2, 3])
def test_logarithms_of_probabilities(n_states):
    X, y = make_chain(n_graphs=12, n_states=n_states, return_X_y=True, random_state=0)
    crf = GraphCRFClassifier(decoding="marginal").fit(X, y)
    values, log_proba = crf.decision_function(X), crf.predict_log_proba(X).values
    assert isinstance(values, RaggedArray)
    if n_states == 2:
        np.testing.assert_allclose(values.values, log_proba[:, 1] - log_proba[:, 0], rtol=0, atol=1e-9)
        np.testing.assert_array_equal(crf.predict(X).values, values.values > 0)
        assert node_scorer("roc_auc")(crf, X, y) == roc_auc_score(y.values, log_proba[:, 1])
    else:
        np.testing.assert_allclose(values.values, log_proba, rtol=0, atol=1e-9)
        np.testing.assert_array_equal(crf.predict(X).values, values.values.argmax(axis=1))
    known = [[label if i == 1 else -1 for i, label in enumerate(part)] for part in y]
    crf.set_params(missing_label=-1)
    given, proba = crf.decision_function(X, known=known).values, crf.predict_proba(X, known=known).values
    free = np.arange(len(proba)) % 10 != 1  # graphs have 10 nodes
    log_proba = np.log(proba[free])
    expected = log_proba[:, 1] - log_proba[:, 0] if n_states == 2 else log_proba
    np.testing.assert_allclose(given[free], expected, rtol=0, atol=1e-9)
    assert np.isfinite(given).all()


def test_logistic_regression():
    X, y = make_chain(n_graphs=20, n_states=2, return_X_y=True, random_state=0)
    table, labels = X.node_features, np.array(["no", "yes"])[y.values]
    expected = LogisticRegression(tol=1e-8, C=2.0).fit(table, labels).decision_function(table)
    found = GraphCRFClassifier(tol=1e-8).fit(table, labels).decision_function(table)
    assert type(found) is np.ndarray
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
    single = MultiLabelCRFClassifier(tol=1e-8, C=2.0).fit(table, labels)
    np.testing.assert_allclose(single.decision_function(table), expected, rtol=0, atol=1e-4)
    both = np.column_stack([y.values, 1 - y.values])
    many = MultiLabelCRFClassifier(graph=[], tol=1e-8, C=2.0).fit(table, both)
    np.testing.assert_allclose(many.decision_function(table), np.stack([expected, -expected], axis=1), atol=1e-4)
    odds = many.predict_proba(table)
    np.testing.assert_allclose(many.decision_function(table), np.log(odds / (1 - odds)), rtol=0, atol=1e-9)


def test_values_of_forbidden_labels_are_finite():
    X, y = make_chain(n_graphs=10, n_states=3, return_X_y=True, random_state=0)
    table = np.column_stack([X.node_features, np.arange(X.n_nodes) % 4 == 0])
    labels = np.where(table[:, -1] > 0, 0, y.values)
    features = ConstrainedFeatures(allowed_labels={table.shape[1] - 1: [0]})
    X, y = X.with_node_features(table), RaggedArray(labels, y.ptr)
    crf = GraphCRFClassifier(features, tol=1e-3).fit(X, y)
    values = crf.decision_function(X).values
    assert np.isneginf(crf.predict_log_proba(X).values).any()
    assert np.isfinite(values).all()
    assert np.isfinite(node_scorer("top_k_accuracy", k=2)(crf, X, y))
