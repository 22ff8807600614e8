"""Thousands of classes: nothing of size n_classes**2 where there is no edge, and labels beyond 16 bits."""

import tracemalloc

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.special import log_softmax, logsumexp

from skstruct import GraphCRFClassifier, GraphDataset, Topology
from skstruct.decoding import DECODERS
from skstruct.estimator._chunks import cut
from skstruct.features import LinearFeatures
from skstruct.inference import BACKENDS, Edgeless
from skstruct.scores import Scores

numba = pytest.importorskip("numba")
pytestmark = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="takes minutes in plain Python")
N_CLASSES = 5000
FEW = N_CLASSES**2  # bytes: less than a matrix of booleans


def peak(function, *args):
    """Bytes that a call allocates at most at a time."""
    tracemalloc.start()
    try:
        function(*args)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


TABLES = {
    "dense": lambda x: x,
    "sparse": csr_array,
    "graphs of one node": lambda x: [(row[None], []) for row in x],
    "graphs of two nodes": lambda x: GraphDataset(x, node_ptr=np.arange(0, len(x) + 1, 2)),
}
QUERIES = {
    "predict": lambda crf, X, y: crf.predict(X),
    "predict_proba": lambda crf, X, y: crf.predict_proba(X),
    "predict_edge_proba": lambda crf, X, y: crf.predict_edge_proba(X),
    "score": lambda crf, X, y: crf.score(X, y),
    "log_likelihood": lambda crf, X, y: crf.log_likelihood(X, y),
    "log_partition": lambda crf, X, y: crf.log_partition(X),
    "entropy": lambda crf, X, y: crf.entropy(X),
    "sample": lambda crf, X, y: crf.sample(X, random_state=0),
    "scores": lambda crf, X, y: crf.scores(X),
    "marginal decoding": lambda crf, X, y: crf.set_params(decoding="marginal").predict(X),
    "inference_report": lambda crf, X, y: crf.inference_report(X),
}


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("edge_weights", ["full", "observed", "potts"])
def test_no_square_matrix_without_edges(table, edge_weights):
    x = np.random.default_rng(0).normal(size=(20, 2))
    X, classes = TABLES[table](x), np.arange(N_CLASSES)
    y = np.arange(20) * 7
    if table.startswith("graphs"):
        y = [[label] for label in y] if table == "graphs of one node" else y.reshape(10, 2).tolist()
    crf = GraphCRFClassifier(LinearFeatures(edge_weights), classes=classes, max_iter=3, tol=1.0)
    crf.fit(X, y)  # compiles, whose memory is not meant
    assert peak(crf.fit, X, y) < FEW
    assert crf.edge_coef_.shape == (0, N_CLASSES, N_CLASSES)
    for name, query in QUERIES.items():
        if name == "predict_edge_proba" and not table.startswith("graphs"):
            continue
        query(crf, X, y)
        assert peak(query, crf, X, y) < FEW, name


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_square_matrix_in_any_backend(backend):
    node = np.random.default_rng(0).normal(size=(1, N_CLASSES))
    scores = Scores(node, np.zeros((0, N_CLASSES, N_CLASSES)), np.zeros(0, np.int32))
    plan = BACKENDS[backend]().plan(Topology.from_edges([], 1), N_CLASSES)
    rng = np.random.default_rng(0)
    for query in (plan.marginals, plan.decode, lambda scores: plan.sample(scores, 2, rng)):
        query(scores)
        assert peak(query, scores) < FEW
    if plan.exact:
        np.testing.assert_allclose(plan.marginals(scores).log_partition, logsumexp(node))


@pytest.mark.parametrize("decoder", DECODERS)
def test_no_square_matrix_in_any_decoder(decoder):
    n_states = {"graph_cut": 2, "alpha_expansion": 1000}.get(decoder, N_CLASSES)  # a cut for each of 5000 takes long
    node = np.random.default_rng(0).normal(size=(1, n_states))
    scores = Scores(node, np.zeros((0, n_states, n_states)), np.zeros(0, np.int32))
    topology = Topology.from_edges([], 1)
    assert DECODERS[decoder]().decode(topology, scores).labels == node.argmax()
    assert peak(DECODERS[decoder]().decode, topology, scores) < max(n_states, 1000) ** 2


def test_chunks_without_edges_allocate_none():
    """Of a model that has edges."""
    plan = LinearFeatures("potts").plan(GraphDataset(np.ones((2, 1)), [(0, 1)]), np.arange(N_CLASSES))
    inputs = plan.prepare(GraphDataset(np.ones((3, 1)), node_ptr=[0, 2, 3]))
    coef, out = np.ones(plan.n_coef), np.zeros(plan.n_coef)
    assert peak(plan.scores, inputs, coef) < FEW
    scores, context = plan.scores(inputs, coef)
    np.testing.assert_array_equal(scores.node, 2.0)
    assert peak(plan.pullback, context, scores, out) < FEW
    np.testing.assert_array_equal(out[:N_CLASSES], 6.0)
    assert out[-1] == 0.0


@pytest.mark.parametrize("n_classes", [2**16 - 1, 2**16, 2**16 + 1, 70_000])
def test_observed_weights_beyond_16_bits(n_classes):
    """Labels of single weights were 16 bits, so that 65,536 became 0."""
    labels = np.array([0, 1, n_classes // 2, n_classes - 2, n_classes - 1])
    x = np.eye(5) + np.eye(5, k=1)
    plan = LinearFeatures(node_weights="observed").plan(GraphDataset(x), np.arange(n_classes), labels)
    coef = np.zeros(plan.n_coef)
    coef[plan.free] = np.arange(1.0, plan.free.sum() + 1)
    found = plan.scores(plan.prepare(GraphDataset(csr_array(x))), coef)[0].node
    weights = plan.attributes(coef)["coef_"].toarray()
    seen = np.zeros((5, n_classes))
    seen[np.arange(5), labels] = 1.0
    np.testing.assert_array_equal(weights.T != 0, x.T @ seen > 0)
    np.testing.assert_allclose(found, x @ weights.T + plan.attributes(coef)["intercept_"])
    out, inputs = np.zeros(plan.n_coef), plan.prepare(GraphDataset(x))
    scores, context = plan.scores(inputs, coef)
    plan.pullback(context, scores, out)
    wanted = np.where(weights.T != 0, x.T @ found, 0.0)
    np.testing.assert_allclose(plan.attributes(out * plan.free)["coef_"].toarray().T, wanted)


def test_fit_beyond_16_bits():
    """The most probable label of each row is its own, one beyond 65,535."""
    labels = np.arange(69_990, 70_000)
    crf = GraphCRFClassifier(
        LinearFeatures(node_weights="observed", fit_intercept=False), classes=np.arange(70_000), C=100.0, max_iter=20
    )
    crf.set_params(tol=1e-2).fit(np.eye(10), labels)
    np.testing.assert_array_equal(crf.predict(np.eye(10)), labels)
    scores = np.eye(10) @ crf.coef_.toarray().T
    np.testing.assert_allclose(crf.predict_log_proba(np.eye(10)), log_softmax(scores, axis=1), rtol=1e-9)


def test_dense_features_have_larger_chunks():
    """A product with all weights serves 150 nodes, where the scores of 27 nodes fill the cache."""
    dense, sparse = (GraphDataset.from_nodes(x) for x in (np.ones((300, 2)), csr_array(np.ones((300, 2)))))
    assert [len(chunk.batch) for chunk in cut(dense, N_CLASSES, Edgeless())] == [150, 150]
    assert len(cut(sparse, N_CLASSES, Edgeless())) == 8
