"""What a fitted estimator answers, against enumeration of the labellings of the scores that it reports."""

import dataclasses

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from skstruct import GraphCRFClassifier, GraphDataset, RaggedArray
from skstruct.datasets import make_chain
from skstruct.features import LinearFeatures
from skstruct.inference import Auto, Edgeless, LoopyBP, Tree
from skstruct.metrics import node_log_loss

CASES = [
    ("chain", "auto", "full", 0),
    ("chain", "chain", "potts", 2),
    ("tree", "auto", "full", 2),
    ("tree", "tree", "symmetric", 0),
    ("tree", "loopy_bp", "antisymmetric", 2),
    ("cycle", "enumeration", "full", 2),
    ("edgeless", "auto", "full", 0),
]
NAMES = np.array(["north", "south", "west"])


@pytest.fixture(params=CASES, ids=lambda case: "-".join(map(str, case)))
def case(request, make_data, brute_force):
    """A fitted estimator, graphs with an empty one among them, labels, and each graph's quantities."""
    kind, inference, edge_weights, n_edge_features = request.param
    X, y = make_data(kind, sizes=(3, 0, 1, 4, 2), n_edge_features=n_edge_features)
    y = RaggedArray(NAMES[y.values], y.ptr)
    crf = GraphCRFClassifier(LinearFeatures(edge_weights), inference, C=20).fit(X, y)
    node, edge = crf.scores(X)
    return crf, X, y, [brute_force(node[g], graph.edges, edge[g]) for g, graph in enumerate(X)]


def test_scores(case):
    crf, X, _, _ = case
    node, edge = crf.scores(X)
    np.testing.assert_allclose(node.values, X.node_features @ crf.coef_.T + crf.intercept_)
    if X.edge_features is not None:
        expected = np.einsum("ek,kab->eab", X.edge_features, crf.edge_coef_)
    else:
        expected = np.repeat(crf.edge_coef_, X.n_edges, axis=0)
    np.testing.assert_allclose(edge.values.reshape(expected.shape), expected)
    np.testing.assert_array_equal(edge.ptr, X.edge_ptr)
    assert edge.values.shape == (X.n_edges, 3, 3)


def test_probabilities(case):
    crf, X, _, exact = case
    proba, log_proba = crf.predict_proba(X), crf.predict_log_proba(X)
    for g, graph in enumerate(exact):
        np.testing.assert_allclose(proba[g], graph.node, atol=1e-6)
        np.testing.assert_allclose(log_proba[g], np.log(graph.node), atol=1e-4)
    np.testing.assert_allclose(proba.values.sum(axis=1), 1.0)


def test_edge_probabilities(case):
    crf, X, _, exact = case
    pairs, proba = crf.predict_edge_proba(X), crf.predict_proba(X)
    assert pairs.values.shape == (X.n_edges, 3, 3)
    for g, graph in enumerate(exact):
        np.testing.assert_allclose(pairs[g], graph.edge, atol=1e-6)
        i, j = X[g].edges.T
        np.testing.assert_allclose(pairs[g].sum(axis=2), proba[g][i], atol=1e-6)
        np.testing.assert_allclose(pairs[g].sum(axis=1), proba[g][j], atol=1e-6)


def test_labels(case):
    crf, X, _, exact = case
    for decoding, labels in (
        ("map", [g.best for g in exact]),
        ("marginal", [g.node.argmax(axis=1) for g in exact]),
    ):
        found = crf.set_params(decoding=decoding).predict(X)
        assert isinstance(found, RaggedArray)
        assert found.values.dtype == NAMES.dtype
        for g, codes in enumerate(labels):
            np.testing.assert_array_equal(found[g], crf.classes_[codes])


def test_log_partition_and_likelihood(case):
    crf, X, y, exact = case
    codes = [np.searchsorted(NAMES, part) for part in y]
    np.testing.assert_allclose(crf.log_partition(X), [g.log_partition for g in exact], rtol=1e-6)
    np.testing.assert_allclose(crf.log_likelihood(X, y), [g.log_likelihood(c) for g, c in zip(exact, codes)], atol=1e-6)


def test_log_likelihood_of_known_labels(case):
    crf, X, y, exact = case
    hidden = np.arange(X.n_nodes) % 2 == 0
    partly = RaggedArray(np.where(hidden, "?", y.values), y.ptr)
    codes = np.where(hidden, -1, np.searchsorted(NAMES, y.values))
    crf.set_params(missing_label="?")
    expected = [g.log_likelihood(c) for g, c in zip(exact, RaggedArray(codes, y.ptr))]
    np.testing.assert_allclose(crf.log_likelihood(X, partly), expected, atol=1e-6)
    known = crf.predict(X).values[~hidden] == y.values[~hidden]
    assert crf.score(X, partly) == pytest.approx(known.mean())


def test_score(case):
    crf, X, y, _ = case
    right = crf.predict(X).values == y.values
    assert crf.score(X, y) == right.mean()
    by_graph = np.array([1.0, 7.0, 0.0, 2.0, 0.5])
    by_node = np.repeat(by_graph, np.diff(X.node_ptr))
    assert crf.score(X, y, by_graph) == pytest.approx(np.average(right, weights=by_node))
    by_node[:2] = 3.0
    assert crf.score(X, y, RaggedArray(by_node, y.ptr)) == pytest.approx(np.average(right, weights=by_node))


def test_report(case):
    crf, X, _, _ = case
    report = crf.inference_report(X)
    columns = ["backend", "exact", "width", "entries", "n_iter", "converged", "residual", "gap", "seconds"]
    assert list(report) == columns
    assert all(values.shape == (len(X),) for values in report.values())
    assert report["converged"].all()
    if crf.inference == "loopy_bp":
        assert set(report["backend"]) == {"loopy_bp"}
        assert report["n_iter"][3] > 0
    else:
        assert report["exact"].all()
        assert not report["n_iter"].any()


def test_report_of_mixed_graphs(make_data):
    X, y = make_data("tree", sizes=(6, 1, 5), seed=4)
    loop, labels = make_data("cycle", sizes=(4,))
    X, y = np.concatenate([X, loop]), np.concatenate([y, labels])
    crf = GraphCRFClassifier(inference=Auto([Edgeless(), Tree(), LoopyBP()])).fit(X, y)
    report = crf.inference_report(X)
    assert report["backend"].tolist() == ["tree", "edgeless", "tree", "loopy_bp"]
    assert report["exact"].tolist() == [True, True, True, False]


def test_report_tells_what_did_not_converge(make_data):
    X, y = make_data("cycle", sizes=(4, 1, 5))
    crf = GraphCRFClassifier().fit(X, y)
    crf.set_params(inference=LoopyBP(max_iter=1, tol=1e-14))
    report = crf.inference_report(X)
    assert report["converged"].tolist() == [False, True, False]
    assert (report["residual"][[0, 2]] > 1e-14).all()


def test_decoding_differs_where_it_should(brute_force):
    """The likeliest labelling has 0.4, but the first node's label in it has less than 0.3 + 0.3."""
    crf = GraphCRFClassifier().fit([([[0.0], [0.0]], [(0, 1)])], [[0, 1]])
    coef = np.concatenate([np.zeros(4), np.log([0.3, 0.3, 1e-9, 0.4])])  # W, b, U
    crf._model = dataclasses.replace(crf._model, coef=coef)
    X = [([[0.0], [0.0]], [(0, 1)])]
    assert crf.predict(X)[0].tolist() == [1, 1]
    assert crf.set_params(decoding="marginal").predict(X)[0].tolist() == [0, 1]


def test_no_graph_with_nodes(make_data):
    X, y = make_data(n_edge_features=2)
    crf = GraphCRFClassifier().fit(X, y)
    empty = GraphDataset(np.zeros((0, 2)), None, None, [0, 0, 0], [0, 0, 0])
    assert [len(part) for part in crf.predict(empty)] == [0, 0]
    assert crf.predict(empty).values.dtype == y.values.dtype
    assert crf.predict_proba(empty).values.shape == (0, 3)
    assert crf.predict_log_proba(empty).values.shape == (0, 3)
    assert crf.predict_edge_proba(empty).values.shape == (0, 3, 3)
    np.testing.assert_array_equal(crf.log_partition(empty), [0.0, 0.0])
    assert crf.inference_report(empty)["exact"].all()
    node, edge = crf.scores(empty)
    assert node.values.shape == (0, 3)
    assert edge.values.shape == (0, 3, 3)


def test_no_graphs(make_data):
    X, y = make_data()
    crf = GraphCRFClassifier().fit(X, y)
    assert len(crf.predict(X[:0])) == 0
    assert crf.predict_proba(X[:0]).values.shape == (0, 3)
    assert crf.log_partition(X[:0]).shape == (0,)
    assert crf.inference_report(X[:0])["backend"].shape == (0,)


def test_forms_of_graphs_give_the_same(make_data):
    X, y = make_data("chain", n_edge_features=1)
    crf = GraphCRFClassifier().fit(X, y)
    expected = crf.predict_proba(X)
    tuples = [(g.node_features, g.edges, g.edge_features) for g in X]
    for form in (
        list(X),
        tuples,
        [dict(zip(("node_features", "edges", "edge_features"), t)) for t in tuples],
    ):
        found = crf.predict_proba(form)
        assert isinstance(found, RaggedArray)
        np.testing.assert_array_equal(found.values, expected.values)
    nodes = crf.predict_proba(X.nodes)
    assert type(nodes) is np.ndarray
    np.testing.assert_array_equal(nodes, expected.values)
    order = np.arange(X.n_nodes)[::-1]
    np.testing.assert_allclose(crf.predict_proba(X.nodes[order]), expected.values[::-1], atol=1e-12)


def test_tables_give_plain_arrays():
    X, y = np.array([[0.0], [1.0], [2.0]]), np.array(["a", "b", "c"])
    crf = GraphCRFClassifier().fit(X, y)
    assert crf.predict(X).shape == (3,)
    assert crf.predict_proba(X).shape == crf.predict_log_proba(X).shape == (3, 3)
    assert crf.log_likelihood(X, y).shape == crf.log_partition(X).shape == (3,)
    assert len(crf.predict_edge_proba(X)) == 3
    np.testing.assert_allclose(crf.log_likelihood(X, y), np.log(crf.predict_proba(X)[np.arange(3), np.arange(3)]))


@pytest.mark.parametrize(
    "query",
    [
        "predict",
        "predict_proba",
        "predict_log_proba",
        "predict_edge_proba",
        "log_partition",
        "scores",
        "inference_report",
    ],
)
def test_unfitted(make_data, query):
    X, y = make_data()
    with pytest.raises(NotFittedError):
        getattr(GraphCRFClassifier(), query)(X)
    for query in ("score", "log_likelihood"):
        with pytest.raises(NotFittedError):
            getattr(GraphCRFClassifier(), query)(X, y)


def test_large_scores_stay_finite(make_data):
    X, y = make_data(sizes=(5, 4, 6))
    crf = GraphCRFClassifier().fit(X, y)
    crf._model = dataclasses.replace(crf._model, coef=crf._model.coef * 1e4)
    assert np.isfinite(crf.predict_proba(X).values).all()
    assert np.isfinite(crf.log_partition(X)).all()
    log_proba = crf.predict_log_proba(X).values
    assert (log_proba <= 0).all()


def test_probabilities_are_at_most_one():
    """Sums of rounded probabilities may exceed 1, which metrics of scikit-learn refuse."""
    X, y = make_chain(n_graphs=30, n_nodes=20, return_X_y=True, random_state=0)
    crf = GraphCRFClassifier(tol=1e-3).fit(X, y)
    for factor in (1, 10, 1000):
        sharp = X.with_node_features(factor * X.node_features)
        assert crf.predict_proba(sharp).values.max() <= 1
        assert crf.predict_edge_proba(sharp).values.max() <= 1
        assert np.isfinite(node_log_loss(crf, sharp, y))
