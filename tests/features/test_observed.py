"""Observed weights: a map with weights for the pairs seen in training, against a masked matrix of all weights."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from skstruct import GraphCRFClassifier, GraphDataset, RaggedArray
from skstruct.features import LinearFeatures, _node_weights
from skstruct.features._node_weights import IN_TABLE, NodeWeights, ObservedPairs, offset_dtype
from skstruct.scores import Scores

N, D = 300, 40


def make_data(n_states, *, binary=True, seed=0):
    """Chains whose features have from none to all labels: feature ``f`` occurs about ``f**2 / 4`` times."""
    rng = np.random.default_rng(seed)
    x = rng.random((N, D)) < (np.arange(D) / D) ** 2 * 0.6
    x = x * (1.0 if binary else rng.normal(size=x.shape))
    ptr = np.arange(0, N + 1, 10)
    X = GraphDataset.from_sequences([csr_array(x[a : a + 10]) for a in ptr[:-1]])
    labels = np.minimum(rng.geometric(0.2, N) - 1, n_states - 1)
    labels[:n_states] = np.arange(n_states)
    return X, RaggedArray(labels, ptr)


def seen_pairs(X, y, n_states):
    """Which pairs of feature and label, and of two labels, occur: counted in plain loops."""
    x = X.node_features.toarray()
    node, edge = np.zeros((D, n_states), bool), np.zeros((n_states, n_states), bool)
    for t, label in enumerate(y.values):
        for f in np.flatnonzero(x[t]):
            node[f, label] = True
        if t % 10:
            edge[y.values[t - 1], label] = True
    return node, edge


@pytest.fixture(params=[2, 3, 11, 70])
def n_states(request):
    return request.param


@pytest.fixture(params=[True, False], ids=["binary", "weighted"])
def data(request, n_states):
    return make_data(n_states, binary=request.param)


def make_plan(X, y, n_states, **parameters):
    return LinearFeatures(node_weights="observed", **parameters).plan(X, np.arange(n_states), y.values)


def test_parameters_are_the_observed_pairs(data, n_states):
    X, y = data
    node, edge = seen_pairs(X, y, n_states)
    assert (node.sum(axis=1) == 0).any()
    plan = make_plan(X, y, n_states, edge_weights="observed")
    assert len(plan.nodes.pair_labels) > 0
    assert (plan.nodes.n_rows > 0) == (n_states > 2)  # both tiers occur
    assert plan.free.sum() == node.sum() + n_states + edge.sum()
    found = plan.attributes(np.arange(1.0, plan.n_coef + 1) * plan.free)
    np.testing.assert_array_equal(found["coef_"].toarray().T != 0, node)
    np.testing.assert_array_equal(found["edge_coef_"][0] != 0, edge)
    values = [*found["coef_"].data, *found["intercept_"], *found["edge_coef_"][0][edge]]
    assert sorted(values) == list(np.flatnonzero(plan.free) + 1)  # each parameter has one place


@pytest.mark.parametrize("number", [5, 20])
@pytest.mark.parametrize("node_weights", ["all", "observed"])
def test_the_layout_does_not_depend_on_the_precision(number, node_weights):
    """A training can continue in another precision."""
    X, y = make_data(number)
    plans = [
        LinearFeatures(node_weights=node_weights, dtype=dtype).plan(X, np.arange(number), y.values)
        for dtype in ("float64", "float32")
    ]
    assert plans[0] == plans[1]
    assert plans[0].n_coef == plans[1].n_coef


def test_the_table_is_for_features_that_are_frequent_on_several_labels():
    labels = np.r_[np.arange(100) % 3, np.arange(7), np.full(100, 4)]
    x = np.zeros((len(labels), 3))
    x[:100, 0] = x[100:107, 1] = x[107:, 2] = 1.0  # often, three labels; seven, once each; often, one label
    nodes = NodeWeights.of_observed(ObservedPairs.of(x, labels, 22), 22)
    assert nodes.n_rows == 1
    assert nodes.places[:, 1].tolist() == [IN_TABLE, 7, 1]


def test_scores_and_pullback_are_those_of_a_masked_matrix(data, n_states):
    X, y = data
    plan, rng = make_plan(X, y, n_states), np.random.default_rng(1)
    coef = rng.normal(size=plan.n_coef) * plan.free
    found, x = plan.attributes(coef), X.node_features.toarray()
    scores, context = plan.scores(plan.prepare(X), coef)
    np.testing.assert_allclose(scores.node, x @ found["coef_"].toarray().T + found["intercept_"], atol=1e-12)
    gradient = Scores(rng.normal(size=scores.node.shape), rng.normal(size=scores.edge.shape), scores.edge_matrix)
    out = np.zeros(plan.n_coef)
    plan.pullback(context, gradient, out)
    back = plan.attributes(out * plan.free)
    node, _ = seen_pairs(X, y, n_states)
    np.testing.assert_allclose(back["coef_"].toarray().T, (x.T @ gradient.node) * node, atol=1e-12)
    np.testing.assert_allclose(back["intercept_"], gradient.node.sum(axis=0))
    np.testing.assert_allclose(back["edge_coef_"], gradient.edge)


def test_features_that_are_dense_or_new(data, n_states):
    """Dense features, and nodes with pairs that training did not have, score alike."""
    X, y = data
    plan = make_plan(X, y, n_states)
    coef = np.random.default_rng(1).normal(size=plan.n_coef) * plan.free
    new = X.with_node_features(csr_array(np.ones((N, D))))
    dense = X.with_node_features(np.ones((N, D)))
    expected = plan.attributes(coef)["coef_"].toarray().sum(axis=1) + plan.attributes(coef)["intercept_"]
    for batch in (new, dense):
        np.testing.assert_allclose(
            plan.scores(plan.prepare(batch), coef)[0].node, np.tile(expected, (N, 1)), atol=1e-12
        )


@pytest.mark.parametrize("binary", [True, False])
def test_features_that_all_have_a_row(binary, monkeypatch):
    """They are not sorted by tier."""
    X, y = make_data(3, binary=binary)
    X = X.with_node_features(X.node_features[:, 30:])
    plan = make_plan(X, y, 3)
    assert (plan.nodes.places[:, 1] == IN_TABLE).all()
    monkeypatch.setattr(_node_weights, "_fill_tiers", None)
    coef = np.random.default_rng(0).normal(size=plan.n_coef) * plan.free
    scores, _ = plan.scores(plan.prepare(X), coef)
    found = plan.attributes(coef)
    expected = X.node_features.toarray() @ found["coef_"].toarray().T + found["intercept_"]
    np.testing.assert_allclose(scores.node, expected, atol=1e-12)


def test_unknown_labels_observe_nothing():
    X, y = make_data(3)
    some = np.where(np.arange(N) % 3 == 0, y.values, -1)
    plan = LinearFeatures("observed", node_weights="observed").plan(X, np.arange(3), some)
    x = X.node_features.toarray()
    pairs = {(f, some[t]) for t in range(N) if some[t] >= 0 for f in np.flatnonzero(x[t])}
    assert plan.free.sum() == len(pairs) + 3  # no two neighbours are known, so that there are no edge weights


@pytest.mark.parametrize("n_states", [3, 9])
def test_fit_is_that_of_all_weights_where_all_are_observed(n_states):
    X, y = make_data(n_states)
    common = X.node_features.toarray()[:, -5:]
    X = X.with_node_features(csr_array(np.where(np.arange(N)[:, None] < 9 * n_states, 1.0, common)))
    labels = y.values.copy()
    labels[: 9 * n_states] = np.repeat(np.arange(n_states), 9)
    y = RaggedArray(labels, y.ptr)
    all_of_them = GraphCRFClassifier(tol=1e-8).fit(X, y)
    observed = GraphCRFClassifier(LinearFeatures(node_weights="observed"), tol=1e-8).fit(X, y)
    np.testing.assert_allclose(observed.coef_.toarray(), all_of_them.coef_, atol=1e-4)
    np.testing.assert_allclose(observed.predict_proba(X).values, all_of_them.predict_proba(X).values, atol=1e-5)


def test_gradient_of_the_fitted_objective_vanishes_at_free_weights_only():
    """At the optimum, expected minus observed counts equal the penalty's pull, for pairs that have a weight."""
    X, y = make_data(9)
    crf = GraphCRFClassifier(LinearFeatures(node_weights="observed"), C=0.5, tol=1e-9).fit(X, y)
    x, node = X.node_features.toarray(), seen_pairs(X, y, 9)[0]
    residual = crf.predict_proba(X).values - np.eye(9)[y.values]
    gradient = 0.5 * x.T @ residual + crf.coef_.toarray().T
    np.testing.assert_allclose(gradient[node], 0.0, atol=1e-5)
    assert np.abs(gradient[~node]).max() > 1e-2


def test_warm_start_needs_the_same_observed_pairs():
    X, y = make_data(3)
    crf = GraphCRFClassifier(LinearFeatures(node_weights="observed"), warm_start=True).fit(X, y)
    assert crf.fit(X, y).n_iter_ <= 2
    flipped = RaggedArray(2 - y.values, y.ptr)
    with pytest.warns(UserWarning, match="training starts anew"):
        crf.fit(X, flipped)
    assert crf.n_iter_ > 2
    expected = GraphCRFClassifier(LinearFeatures(node_weights="observed")).fit(X, flipped)
    np.testing.assert_allclose(crf.predict_proba(X).values, expected.predict_proba(X).values, atol=1e-3)


def test_unknown_node_weights():
    X, _ = make_data(3)
    with pytest.raises(ValueError, match=r"node_weights must be one of \['all', 'observed'\], got 'seen'"):
        LinearFeatures(node_weights="seen").plan(X, np.arange(3))


@pytest.mark.parametrize("block", [1, 3, 128])
def test_slices_of_inputs_score_like_the_whole(block, monkeypatch):
    """Also where a slice starts or ends within a block, and in slices of slices."""
    monkeypatch.setattr(_node_weights, "BLOCK", block)
    X, y = make_data(3)
    plan, rng = make_plan(X, y, 3), np.random.default_rng(1)
    coef = rng.normal(size=plan.n_coef) * plan.free
    inputs = plan.prepare(X)
    expected, gradient = plan.scores(inputs, coef)[0].node, rng.normal(size=(N, 3))
    back, total = np.zeros(plan.n_coef), np.zeros(plan.n_coef)
    plan.nodes.pullback(inputs.node, gradient, plan._split(back)[0])
    for nodes, inner in [((0, 40), (0, 40)), ((40, 230), (0, 131)), ((40, 230), (131, 190)), ((230, 300), (0, 70))]:
        part = inputs.node.of_nodes(slice(*nodes), plan.nodes.block).of_nodes(slice(*inner), plan.nodes.block)
        where = slice(nodes[0] + inner[0], nodes[0] + inner[1])
        found = plan.nodes.scores(part, plan._split(coef)[0], plan._split(coef)[1])
        np.testing.assert_allclose(found, expected[where], rtol=1e-14)
        plan.nodes.pullback(part, gradient[where], plan._split(total)[0])
    np.testing.assert_allclose(total, back, rtol=1e-13, atol=1e-14)


def test_offsets_have_64_bits_only_where_they_are_needed():
    assert offset_dtype(2**31 - 1) is np.int32
    assert offset_dtype(2**31) is np.int64
