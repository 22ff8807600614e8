"""Queries through pipelines: the results are those of the methods of the estimator."""

import numpy as np
import pytest
from scipy.stats import entropy as entropy_of
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skstruct import GraphCRFClassifier, RaggedArray, inspection
from skstruct.datasets import make_chain
from skstruct.inspection import node_entropy, standard_errors, transformed
from skstruct.preprocessing import NodeTransformer


@pytest.fixture(scope="module")
def data():
    return make_chain(n_graphs=12, random_state=0, return_X_y=True)


@pytest.fixture(scope="module")
def pipe(data):
    return make_pipeline(NodeTransformer(StandardScaler()), GraphCRFClassifier()).fit(*data)


@pytest.fixture(scope="module")
def known(data):
    _, y = data
    return [[label if i == 0 else None for i, label in enumerate(labels)] for labels in y.tolist()]


QUERIES = {
    "inference_report": {},
    "sample": {"n_samples": 3, "random_state": 0},
    "predict_edge_proba": {},
    "predict_top_k": {"k": 2},
    "entropy": {},
}


def equal(a, b):
    if isinstance(a, RaggedArray):
        return np.array_equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a.keys() - {"seconds"})
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return np.array_equal(a, b)


@pytest.mark.parametrize("with_known", [False, True])
@pytest.mark.parametrize("name", QUERIES)
def test_queries(data, pipe, known, name, with_known):
    X, _ = data
    arguments = QUERIES[name] | ({"known": known} if with_known and name != "inference_report" else {})
    expected = getattr(pipe[-1], name)(pipe[:-1].transform(X), **arguments)
    query = getattr(inspection, name)
    assert equal(query(pipe, X, **arguments), expected)
    assert equal(query(pipe[-1], pipe[:-1].transform(X), **arguments), expected)


def test_transformed(data, pipe):
    X, y = data
    crf, scaled = transformed(pipe, X)
    assert crf is pipe[-1]
    assert equal(crf.predict(scaled), pipe.predict(X))
    search = GridSearchCV(pipe, {"graphcrfclassifier__C": [1.0]}, cv=2).fit(X, y)
    crf, scaled = transformed(search, X)
    assert equal(crf.predict(scaled), search.predict(X))


def test_node_entropy(data, pipe, known):
    X, _ = data
    for given in (None, known):
        found = node_entropy(pipe, X, given)
        assert found.ptr.tolist() == X.node_ptr.tolist()
        proba = pipe[-1].predict_proba(pipe[:-1].transform(X), given)
        np.testing.assert_allclose(found.values, entropy_of(proba.values, axis=1), atol=1e-12)
    table = X.node_features
    np.testing.assert_allclose(node_entropy(pipe, table), entropy_of(pipe.predict_proba(table), axis=1), atol=1e-12)
    assert node_entropy(pipe, X.nodes[:5]).shape == (5,)


def test_standard_errors(data, pipe):
    X, y = data
    expected = standard_errors(pipe[-1], pipe[:-1].transform(X), y)
    np.testing.assert_array_equal(standard_errors(pipe, X, y).coef_, expected.coef_)
