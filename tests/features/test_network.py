"""The network map: forward pass written out, MLPClassifier's numbers on one-node graphs, and what it can learn."""

import warnings

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.special import expit
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from skstruct import GraphCRFClassifier, GraphDataset, RaggedArray
from skstruct.features import LinearFeatures, NetworkFeatures
from skstruct.optim import LBFGS, Optimizer

C = 3  # states
TRANSFER = {"identity": lambda z: z, "relu": lambda z: np.maximum(z, 0), "tanh": np.tanh, "logistic": expit}


def make_batch(n_edge_features=2, store=np.asarray, dtype=np.float64):
    rng = np.random.default_rng(0)
    x = np.where(rng.random((7, 5)) < 0.5, 0, rng.normal(size=(7, 5))).astype(dtype)
    f = rng.normal(size=(6, n_edge_features)).astype(dtype)
    edges = [(0, 1), (2, 1), (0, 2), (0, 1), (1, 2), (3, 0)]
    return GraphDataset(store(x), edges, store(f) if n_edge_features else None, [0, 3, 7], [0, 2, 6])


def by_hand(x, weights, biases, transfer):
    for number, (w, b) in enumerate(zip(weights, biases)):
        x = (x if number == 0 else transfer(x)) @ w + b
    return x


@pytest.mark.parametrize("activation", TRANSFER)
@pytest.mark.parametrize("hidden", [4, (4,), [3, 2], np.array([2]), ()])
@pytest.mark.parametrize("edges", ["linear", "network"])
def test_scores_written_out(activation, hidden, edges):
    batch, transfer = make_batch(), TRANSFER[activation]
    plan = NetworkFeatures(hidden, activation, edges=edges, edge_weights="symmetric").plan(batch, np.arange(C))
    coef = np.random.default_rng(1).normal(size=plan.n_coef)
    scores, _ = plan.scores(plan.prepare(batch), coef)
    found = plan.attributes(coef)
    assert [w.shape for w in found["coefs_"]] == list(
        zip([5, *np.atleast_1d(hidden).astype(int)], [*np.atleast_1d(hidden).astype(int), C])
    )
    np.testing.assert_allclose(
        scores.node, by_hand(batch.node_features, found["coefs_"], found["intercepts_"], transfer)
    )
    if edges == "linear":
        np.testing.assert_allclose(scores.edge, np.einsum("ek,kab->eab", batch.edge_features, found["edge_coef_"]))
        return
    weights, biases = found["edge_coefs_"], found["edge_intercepts_"]
    assert weights[-1].shape[1:] == biases[-1].shape == (C, C)
    flat = by_hand(
        batch.edge_features,
        [*weights[:-1], weights[-1].reshape(-1, C * C)],
        [*biases[:-1], biases[-1].ravel()],
        transfer,
    )
    np.testing.assert_allclose(scores.edge.reshape(-1, C * C), flat, atol=1e-14)
    np.testing.assert_array_equal(scores.edge, scores.edge.transpose(0, 2, 1))


@pytest.mark.parametrize("edges", ["linear", "network"])
def test_sparse_and_single_precision(edges):
    feature_map = NetworkFeatures((4,), "tanh", edges=edges)
    batch = make_batch(dtype=np.float32)
    plan = feature_map.plan(batch, np.arange(C))
    coef = np.random.default_rng(1).normal(size=plan.n_coef)
    wanted, _ = plan.scores(plan.prepare(make_batch(dtype=np.float32)), coef)
    assert wanted.node.dtype == wanted.edge.dtype == np.float64
    for store in (csr_array, lambda x: x.astype(np.float64)):
        other = make_batch(store=store, dtype=np.float32)
        assert feature_map.plan(other, np.arange(C)) == plan
        found, _ = plan.scores(plan.prepare(other), coef)
        for a, b in zip(found[:2], wanted[:2]):
            assert type(a) is np.ndarray
            np.testing.assert_allclose(a, b, rtol=1e-6)


def test_edges_with_equal_features_share_a_matrix_of_the_network():
    types = np.random.default_rng(0).integers(0, 3, 40)
    X = GraphDataset(np.ones((41, 1)), [(t, t + 1) for t in range(40)], np.eye(3)[types], [0, 41], [0, 40])
    plan = NetworkFeatures((4,), edges="network").plan(X, np.arange(C))
    scores, _ = plan.scores(plan.prepare(X), plan.initial_coef(np.random.RandomState(0)))
    assert scores.edge.shape == (3, C, C)


def test_penalty_spares_biases():
    plan = NetworkFeatures((4,), edges="network", edge_penalty=3.0).plan(make_batch(), np.arange(C))
    penalized = plan.attributes(plan.penalized)
    assert all((w == 1.0).all() for w in penalized["coefs_"])
    assert not any(b.any() for b in penalized["intercepts_"])
    assert all((w == 3.0).all() for w in penalized["edge_coefs_"])
    assert not penalized["edge_intercepts_"][0].any()
    assert (penalized["edge_intercepts_"][1] == 3.0).all()


class Grab(Optimizer):
    """Hands the loss to a test and ends."""

    def __init__(self, seen):
        self.seen = seen

    def iterate(self, loss, start, *, l1=None, max_iter, tol):
        self.seen.append((loss, start))
        yield from LBFGS().iterate(loss, start, l1=l1, max_iter=1, tol=tol)


def one_step(x, y, alpha, activation, weights=None, rate=1.0):
    """MLPClassifier after a gradient step on all rows, from given weights or its own initial ones."""
    mlp = MLPClassifier(
        (6, 4), activation, solver="sgd", alpha=alpha, batch_size=len(x), learning_rate_init=rate, momentum=0.0,
        nesterovs_momentum=False, shuffle=False, max_iter=1, random_state=0, warm_start=True,
    )  # fmt: skip  # one parameter per line would hide what the step is
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):  # few iterations keep the test short
        if weights is not None:
            mlp.fit(x, y)
            mlp.coefs_, mlp.intercepts_ = ([array.copy() for array in arrays] for arrays in weights)
        return mlp.fit(x, y)


@pytest.mark.parametrize("activation", TRANSFER)
@pytest.mark.parametrize("alpha", [0.3, 2.0])
def test_loss_and_gradient_of_mlp_classifier(activation, alpha):
    rng, seen = np.random.default_rng(0), []
    x, y = rng.normal(size=(50, 5)), rng.integers(C, size=50)
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):  # few iterations keep the test short
        GraphCRFClassifier(NetworkFeatures((6, 4), activation), C=1 / alpha, optimizer=Grab(seen), random_state=0).fit(
            x, y
        )
    loss, start = seen[0]
    initial = one_step(x, y, alpha, activation, rate=1e-30)
    for name, arrays in loss.feature_plan.attributes(start).items():
        if name != "edge_coef_":
            for ours, theirs in zip(arrays, getattr(initial, name), strict=True):
                np.testing.assert_array_equal(ours, theirs)

    coef = 0.4 * rng.normal(size=len(start))  # MLPClassifier clips probabilities below 1e-16
    value, gradient = loss(coef)
    before, d = (loss.feature_plan.attributes(array) for array in (coef, gradient))
    mlp = one_step(x, y, alpha, activation, (before["coefs_"], before["intercepts_"]))
    assert value == pytest.approx(mlp.loss_, rel=1e-12)
    for name in ("coefs_", "intercepts_"):
        for old, new, ours in zip(before[name], getattr(mlp, name), d[name], strict=True):
            np.testing.assert_allclose(ours, old - new, rtol=0, atol=1e-12)


def test_without_hidden_layers_it_is_the_linear_map():
    rng = np.random.default_rng(0)
    X = GraphDataset.from_sequences(list(rng.normal(size=(20, 4, 3))))
    y = RaggedArray(rng.integers(C, size=80), X.node_ptr)
    for penalty in (1.0, 5.0):
        maps = LinearFeatures(edge_penalty=penalty), NetworkFeatures((), edge_penalty=penalty)
        linear, network = (GraphCRFClassifier(m, tol=1e-9, random_state=0).fit(X, y) for m in maps)
        np.testing.assert_allclose(network.coefs_[0], linear.coef_.T, atol=1e-6)
        np.testing.assert_allclose(network.edge_coef_, linear.edge_coef_, atol=1e-6)


def test_edges_from_a_network_learn_what_linear_ones_cannot():
    """The labels at the ends of an edge are equal if the two features of the edge are."""
    rng = np.random.default_rng(0)
    f = rng.integers(0, 2, size=(60, 5, 2)).astype(float)
    steps = np.concatenate([rng.integers(0, 2, size=(60, 1)), f[:, :, 0] != f[:, :, 1]], axis=1)
    y = steps.cumsum(axis=1) % 2
    x = np.zeros((60, 6, 1))
    x[:, 0, 0] = 2 * y[:, 0] - 1  # only the first node shows its label
    X = [(nodes, [(t, t + 1) for t in range(5)], edges) for nodes, edges in zip(x, f)]
    linear = GraphCRFClassifier(NetworkFeatures((6,), "tanh"), C=10, random_state=0).fit(X, list(y))
    network = GraphCRFClassifier(NetworkFeatures((6,), "tanh", edges="network"), C=10, random_state=0).fit(X, list(y))
    assert linear.score(X, list(y)) < 0.8
    assert network.score(X, list(y)) == 1.0


def test_the_seed_of_the_estimator_decides():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 4)), rng.integers(C, size=30)
    fits = [GraphCRFClassifier("network", max_iter=20, tol=0.1, random_state=seed).fit(x, y) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(fits[0].coefs_[0], fits[1].coefs_[0])
    assert not np.allclose(fits[0].coefs_[0], fits[2].coefs_[0])
    assert not hasattr(fits[0], "coef_")


def test_a_network_of_another_activation_starts_anew():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 4)), rng.integers(C, size=30)
    crf = GraphCRFClassifier(NetworkFeatures((4,), "tanh"), warm_start=True, random_state=0).fit(x, y)
    n_iter = crf.n_iter_
    assert crf.fit(x, y).n_iter_ < n_iter
    crf.set_params(features__activation="logistic")
    with pytest.warns(UserWarning, match="training starts anew"):
        crf.fit(x, y)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"hidden_layer_sizes": (4, 0)}, r"hidden_layer_sizes must be positive integers.*got \(4, 0\)"),
        ({"hidden_layer_sizes": 2.5}, "hidden_layer_sizes must be positive integers.*got 2.5"),
        ({"hidden_layer_sizes": "many"}, "hidden_layer_sizes must be positive integers.*got 'many'"),
        ({"hidden_layer_sizes": [[3]]}, "hidden_layer_sizes must be positive integers"),
        ({"hidden_layer_sizes": True}, "hidden_layer_sizes must be positive integers"),
        ({"activation": "sine"}, r"activation must be one of \['identity', 'logistic', 'relu', 'tanh'\], got 'sine'"),
        ({"edges": "none"}, r"edges must be one of \['linear', 'network'\], got 'none'"),
        ({"edge_weights": "diag"}, "NetworkFeatures: edge_weights must be one of"),
        ({"edge_penalty": -1.0}, "NetworkFeatures: edge_penalty must be a finite number >= 0, got -1.0"),
        ({"edge_penalty": np.nan}, "edge_penalty must be a finite number"),
        ({"edge_penalty": "1"}, "edge_penalty must be a finite number"),
    ],
)
def test_wrong_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        NetworkFeatures(**parameters).plan(make_batch(), np.arange(C))
