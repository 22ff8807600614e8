"""The linear feature map: its scores written out, and the pullback as their adjoint."""

import tracemalloc

import numpy as np
import pytest
from scipy.sparse import csr_array, csr_matrix

from skstruct import GraphCRFClassifier, GraphDataset
from skstruct.data.tables import few_distinct_rows
from skstruct.features import LinearFeatures
from skstruct.scores import Scores

C = 3  # states
KINDS = ["full", "symmetric", "antisymmetric", "potts"]
FREE = {"full": C * C, "symmetric": C * (C + 1) // 2, "antisymmetric": C * (C - 1) // 2, "potts": 1}


def make_batch(storage="dense", dtype=np.float64, n_edge_features=3):
    rng = np.random.default_rng(0)
    store = {"dense": np.asarray, "csr": csr_array, "csr_matrix": csr_matrix}[storage]
    x = np.where(rng.random((7, 5)) < 0.5, 0, rng.normal(size=(7, 5))).astype(dtype)
    f = rng.normal(size=(6, n_edge_features)).astype(dtype)
    edges = [(0, 1), (2, 1), (0, 2), (0, 1), (1, 2), (3, 0)]
    return GraphDataset(store(x), edges, store(f) if n_edge_features else None, [0, 3, 7], [0, 2, 6])


def dense(table):
    return np.asarray(table.todense() if hasattr(table, "todense") else table, dtype=np.float64)


def written_out(kind, parameters):
    """The matrix U of free parameters, entry by entry."""
    parameters, U = iter(parameters), np.zeros((C, C))
    if kind == "potts":
        return next(parameters) * np.eye(C)
    for a in range(C):
        for b in range(C):
            if kind == "full":
                U[a, b] = next(parameters)
            elif kind == "symmetric" and a <= b:
                U[a, b] = U[b, a] = next(parameters)
            elif kind == "antisymmetric" and a < b:
                U[a, b] = next(parameters)
                U[b, a] = -U[a, b]
    assert next(parameters, None) is None
    return U


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.mark.parametrize("n_edge_features", [0, 3])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_scores_written_out(kind, n_edge_features, fit_intercept):
    batch = make_batch(n_edge_features=n_edge_features)
    plan = LinearFeatures(kind, fit_intercept).plan(batch, np.arange(C))
    n_matrices = n_edge_features or 1
    assert plan.n_coef == (5 + fit_intercept) * C + n_matrices * FREE[kind]
    coef = np.random.default_rng(1).normal(size=plan.n_coef)
    W, rest = coef[: 5 * C].reshape(5, C), coef[5 * C :]
    b, rest = (rest[:C], rest[C:]) if fit_intercept else (np.zeros(C), rest)
    U = np.array([written_out(kind, part) for part in rest.reshape(n_matrices, -1)])

    scores, _ = plan.scores(plan.prepare(batch), coef)
    for i in range(batch.n_nodes):
        np.testing.assert_allclose(scores.node[i], batch.node_features[i] @ W + b)
    for e in range(batch.n_edges):
        f = batch.edge_features[e] if n_edge_features else np.ones(1)
        row = e if scores.edge_matrix is None else scores.edge_matrix[e]
        np.testing.assert_allclose(scores.edge[row], sum(f[k] * U[k] for k in range(n_matrices)), atol=1e-14)

    found = plan.attributes(coef)
    assert list(found) == ["coef_", "intercept_", "edge_coef_"]
    np.testing.assert_array_equal(found["coef_"], W.T)
    np.testing.assert_array_equal(found["intercept_"], b)
    np.testing.assert_allclose(found["edge_coef_"], U)
    for array in found.values():  # they are the user's
        array += 1.0
    np.testing.assert_allclose(plan.attributes(coef)["coef_"], W.T)


@pytest.mark.parametrize("storage", ["dense", "csr", "csr_matrix"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_edge_features", [0, 3])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_pullback_is_the_adjoint_of_scores(kind, storage, dtype, n_edge_features, fit_intercept):
    """``<scores(coef), G> = <coef, pullback(G)>`` for any G, as scores are linear in coef."""
    batch = make_batch(storage, dtype, n_edge_features)
    plan = LinearFeatures(kind, fit_intercept).plan(batch, np.arange(C))
    rng = np.random.default_rng(2)
    coef = rng.normal(size=plan.n_coef)
    scores, context = plan.scores(plan.prepare(batch), coef)
    assert scores.node.dtype == scores.edge.dtype == np.float64
    G = Scores(rng.normal(size=scores.node.shape), rng.normal(size=scores.edge.shape), scores.edge_matrix)
    out = np.ones(plan.n_coef)
    plan.pullback(context, G, out)  # adds
    left = (scores.node * G.node).sum() + (scores.edge * G.edge).sum()
    assert left == pytest.approx(coef @ (out - 1.0), rel=1e-12)


@pytest.mark.parametrize("storage", ["csr", "csr_matrix"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sparse_is_dense(kind, storage, dtype):
    sparse = make_batch(storage, dtype)
    batch = sparse.with_node_features(dense(sparse.node_features))
    batch = batch.with_edge_features(dense(sparse.edge_features))
    plan = LinearFeatures(kind).plan(batch, np.arange(C))
    coef = np.random.default_rng(3).normal(size=plan.n_coef)
    for a, b in zip(plan.scores(plan.prepare(batch), coef)[0][:2], plan.scores(plan.prepare(sparse), coef)[0][:2]):
        assert type(b) is np.ndarray
        np.testing.assert_allclose(a, b)


def test_penalty_spares_intercepts_only(kind):
    batch = make_batch()
    plan = LinearFeatures(kind).plan(batch, np.arange(C))
    expected = np.ones(plan.n_coef)
    expected[5 * C : 6 * C] = 0
    np.testing.assert_array_equal(plan.penalized, expected)
    assert LinearFeatures(kind, fit_intercept=False).plan(batch, np.arange(C)).penalized.all()


@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
def test_a_penalty_on_edges_equals_a_scale_of_their_features(l1_ratio):
    """With ``F / a`` and ``a U`` the scores are the same, and the penalty is ``a² |U|²``, or ``a |U|_1``."""
    batch, scale = make_batch(n_edge_features=2), 3.0
    y = [[0, 1, 2], [2, 0, 1, 2]]
    penalty = scale if l1_ratio else scale**2
    shrunk = batch.with_edge_features(batch.edge_features / scale)
    fitted = [
        GraphCRFClassifier(LinearFeatures("symmetric", edge_penalty=p), C=4, l1_ratio=l1_ratio, tol=1e-8).fit(X, y)
        for X, p in ((batch, penalty), (shrunk, 1.0))
    ]
    penalised, scaled = fitted
    assert np.abs(penalised.edge_coef_).max() > 0.01
    np.testing.assert_allclose(penalised.edge_coef_, scaled.edge_coef_ / scale, atol=1e-5)
    proba = penalised.predict_proba(batch), scaled.predict_proba(shrunk)  # L1: shifts of `coef_` cost nothing
    np.testing.assert_allclose(proba[0].values, proba[1].values, atol=1e-5)
    assert penalised.loss_curve_[-1] == pytest.approx(scaled.loss_curve_[-1], rel=1e-9)


def test_starts_at_zero(kind):
    plan = LinearFeatures(kind).plan(make_batch(), np.arange(C))
    assert not plan.initial_coef(np.random.RandomState(0)).any()


@pytest.mark.parametrize("n_edge_features", [0, 3])
def test_no_edges(kind, n_edge_features):
    batch = make_batch(n_edge_features=n_edge_features)
    edge_features = None if not n_edge_features else np.zeros((0, n_edge_features))
    edgeless = GraphDataset(batch.node_features, None, edge_features, batch.node_ptr, [0, 0, 0])
    plan = LinearFeatures(kind).plan(edgeless, np.arange(C))
    coef = np.arange(plan.n_coef, dtype=float)
    assert plan.attributes(coef)["edge_coef_"].shape == (n_edge_features, C, C)
    out = np.zeros(plan.n_coef)
    scores, context = plan.scores(plan.prepare(edgeless), coef)
    plan.pullback(context, scores, out)
    assert np.isfinite(out).all()


def test_trained_without_edges():
    batch = make_batch(n_edge_features=0)
    edgeless = GraphDataset(batch.node_features, node_ptr=batch.node_ptr)
    plan = LinearFeatures().plan(edgeless, np.arange(C))
    scores, _ = plan.scores(plan.prepare(batch), np.ones(plan.n_coef))
    assert not scores.edge[scores.edge_matrix].any()


def test_one_state(kind):
    plan = LinearFeatures(kind).plan(make_batch(), np.arange(1))
    coef = np.ones(plan.n_coef)
    assert plan.scores(plan.prepare(make_batch()), coef)[0].edge.shape == (6, 1, 1)
    assert plan.attributes(coef)["edge_coef_"].shape == (3, 1, 1)


def test_a_shared_matrix_takes_no_memory_per_edge():
    n, states = 20_000, 50  # n edges times states² numbers would be 400 MB
    batch = GraphDataset.from_sequences([np.ones((n, 1))])
    plan = LinearFeatures().plan(batch, np.arange(states))
    coef = np.ones(plan.n_coef)
    tracemalloc.start()
    scores, context = plan.scores(plan.prepare(batch), coef)
    plan.pullback(context, Scores(scores.node, np.ones_like(scores.edge), scores.edge_matrix), coef.copy())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert scores.edge.shape == (1, states, states)
    assert peak < 5 * scores.node.nbytes


def test_unknown_kind_of_weights():
    with pytest.raises(
        ValueError, match=r"edge_weights must be one of \['full', 'observed', 'symmetric'.*got 'diagonal'"
    ):
        LinearFeatures("diagonal").plan(make_batch(), np.arange(C))


@pytest.mark.parametrize("store", [np.asarray, csr_array, csr_matrix])
@pytest.mark.parametrize("kind_of_row", ["one-hot", "constant", "real"])
def test_edges_with_equal_features_share_a_matrix(store, kind_of_row, kind):
    rng, n_edges = np.random.default_rng(0), 40
    types = np.zeros(n_edges, int) if kind_of_row == "constant" else rng.integers(0, 3, n_edges)
    rows = {"one-hot": np.eye(3), "constant": np.ones((1, 1)), "real": rng.normal(size=(3, 2))}[kind_of_row]
    edges = [(t, t + 1) for t in range(20)] * 2
    X = GraphDataset(rng.normal(size=(42, 2)), edges, store(rows[types]), [0, 21, 42], [0, 20, 40])
    plan = LinearFeatures(kind).plan(X, np.arange(C))
    coef = rng.normal(size=plan.n_coef)
    scores, context = plan.scores(plan.prepare(X), coef)
    assert len(scores.edge) == len(np.unique(types))
    written = np.einsum("ek,kab->eab", rows[types], plan.attributes(coef)["edge_coef_"])
    np.testing.assert_allclose(scores.edge[scores.edge_matrix], written, atol=1e-14)

    d_edge = rng.normal(size=(n_edges, C, C))
    shared = np.zeros_like(scores.edge)
    np.add.at(shared, scores.edge_matrix, d_edge)
    out = np.zeros(plan.n_coef)
    plan.pullback(context, Scores(np.zeros_like(scores.node), shared, scores.edge_matrix), out)
    assert coef @ out == pytest.approx((written * d_edge).sum(), rel=1e-12)
    tangent = plan.tangent(context, coef)
    np.testing.assert_allclose(tangent.edge[tangent.edge_matrix], written, atol=1e-14)
    stepped = coef.copy()
    plan.step(context, Scores(np.zeros_like(scores.node), shared.copy(), scores.edge_matrix), stepped, 0.5)
    np.testing.assert_allclose(stepped, coef - 0.5 * out)

    part, _ = plan.scores(plan.slice_inputs(plan.prepare(X), X, slice(1, 2)), coef)
    assert part.edge_matrix.dtype == np.int32
    np.testing.assert_allclose(part.edge[part.edge_matrix], written[20:], atol=1e-14)


@pytest.mark.parametrize("types", [np.arange(40), np.arange(40) // 3])
def test_edges_with_many_distinct_features_do_not_share(types):
    X = GraphDataset(np.ones((41, 1)), [(t, t + 1) for t in range(40)], np.c_[types.astype(float)], [0, 41], [0, 40])
    plan = LinearFeatures().plan(X, np.arange(C))
    assert plan.scores(plan.prepare(X), np.ones(plan.n_coef))[0].edge_matrix is None


def test_negative_zeros_and_stored_zeros_are_zeros():
    table = csr_array((np.array([1.0, 0.0, -0.0] * 8), (np.arange(24), np.tile([0, 1, 1], 8))), shape=(24, 2))
    for x in (table, table.toarray()):
        rows, number = few_distinct_rows(x)
        assert rows.shape == (2, 2)
        np.testing.assert_array_equal(dense(rows)[number], dense(x))
    assert few_distinct_rows(np.full((8, 1), np.nan)) is None  # of which none equals another


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("n_rows", [0, 5])
def test_gradient_of_dense_features_of_any_type_and_order(n_rows, order, dtype):
    """BLAS adds the product in place if it can; a plain product otherwise."""
    rng = np.random.default_rng(0)
    x, d_node = rng.normal(size=(n_rows, 3)).astype(dtype, order), rng.normal(size=(n_rows, 2))
    batch = GraphDataset(x, node_ptr=np.arange(n_rows + 1))
    plan = LinearFeatures().plan_from(LinearFeatures().collect(batch, np.zeros(n_rows, int), [0, 1]), [0, 1])
    context = plan.scores(plan.prepare(batch), np.zeros(plan.n_coef))[1]
    out = np.ones(plan.n_coef)
    plan.pullback(context, Scores(d_node, np.zeros((0, 2, 2)), np.zeros(0, np.int32)), out)
    np.testing.assert_allclose(out[:6].reshape(3, 2), 1 + x.T.astype(float) @ d_node, rtol=1e-6, atol=1e-6)
