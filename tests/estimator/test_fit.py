"""Training: weights, threads, warm starts, and what is said and kept where it ends early."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from skstruct import GraphCRFClassifier, GraphDataset, RaggedArray
from skstruct.estimator import _chunks, _training
from skstruct.exceptions import InfeasibleGraph
from skstruct.features import ConstrainedFeatures, LinearFeatures
from skstruct.inference import LoopyBP
from skstruct.objectives import Likelihood, Objective
from skstruct.optim import LBFGS, AveragedSGD

FITTED = ("coef_", "intercept_", "edge_coef_")
TIGHT = {"tol": 1e-9}


def same_weights(a, b, **tolerance):
    for name in FITTED:
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), **tolerance)


class Interrupted(Objective):
    """A likelihood that fails after some evaluations."""

    def __init__(self, error, calls):
        self.error = error
        self.calls = calls  # a list, shared by clones

    def value_and_gradient(self, inference, scores, targets):
        self.calls.append(1)
        if len(self.calls) > 10:
            raise self.error
        return Likelihood().value_and_gradient(inference, scores, targets)


# -------------------------------------------------------------------------------------------- weights
@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 3.0}])
@pytest.mark.parametrize("n_edge_features", [0, 2])
def test_sample_weight_counts_graphs(make_data, class_weight, n_edge_features):
    X, y = make_data(sizes=(3, 1, 4, 2, 5), n_edge_features=n_edge_features)
    weights, copies = [2, 1, 0, 3, 1], [0, 0, 1, 3, 3, 3, 4]
    crf = GraphCRFClassifier(class_weight=class_weight, classes=[0, 1, 2], **TIGHT)
    weighted = crf.fit(X, y, weights)
    repeated = GraphCRFClassifier(**crf.get_params()).fit(X[copies], y[copies])
    same_weights(weighted, repeated, atol=1e-5)


def test_ragged_weights_must_be_constant_in_a_graph(make_data):
    X, y = make_data()
    weights = np.array([2.0, 1.0, 0.5, 3.0])
    per_node = RaggedArray(np.repeat(weights, np.diff(X.node_ptr)), X.node_ptr)
    same_weights(GraphCRFClassifier().fit(X, y, weights), GraphCRFClassifier().fit(X, y, per_node), rtol=0)
    uneven = [[1, 1, 1], [1], [1, 2, 1, 1], [1, 1]]
    with pytest.raises(ValueError, match="differs between the nodes of graph 2"):
        GraphCRFClassifier().fit(X, y, uneven)


def test_class_weight_is_the_mean_of_the_labelled_nodes(make_data):
    X, y = make_data(sizes=(3, 1, 4, 2))
    y.values[:] = [0, 1, 2, 2, -1, 0, 1, 1, -1, 2]
    class_weight = {0: 1.0, 1: 2.0, 2: 6.0}
    by_class = GraphCRFClassifier(class_weight=class_weight, missing_label=-1).fit(X, y)
    by_graph = GraphCRFClassifier(missing_label=-1).fit(X, y, [(1 + 2 + 6) / 3, 6, (1 + 2 + 2) / 3, 6])
    same_weights(by_class, by_graph, rtol=1e-12)
    balanced = GraphCRFClassifier(class_weight="balanced", missing_label=-1).fit(X, y)
    explicit = {0: 8 / (3 * 2), 1: 8 / (3 * 3), 2: 8 / (3 * 3)}
    same_weights(balanced, GraphCRFClassifier(class_weight=explicit, missing_label=-1).fit(X, y), rtol=1e-12)


# -------------------------------------------------------------------------------------------- classes
def test_classes_that_y_lacks(make_data):
    X, y = make_data()
    labels = RaggedArray(np.array(["b", "d", "e"])[y.values], y.ptr)
    crf = GraphCRFClassifier(classes=list("ihgfedcba"), class_weight="balanced").fit(X, labels)
    assert crf.classes_.tolist() == list("abcdefghi")
    assert crf.coef_.shape == (9, 2)
    assert crf.edge_coef_.shape == (1, 9, 9)
    assert set(crf.predict(X).values) <= {"b", "d", "e"}
    proba = crf.predict_proba(X).values
    assert proba.shape == (len(y.values), 9)
    assert (proba[:, [0, 2, 5, 6, 7, 8]] < proba[:, [1, 3, 4]].max(axis=1, keepdims=True)).all()


def test_one_class(make_data):
    X, y = make_data(n_states=1)
    crf = GraphCRFClassifier().fit(X, y)
    assert crf.score(X, y) == 1.0
    np.testing.assert_array_equal(crf.predict_proba(X).values, 1.0)


# -------------------------------------------------------------------------------------------- threads
@pytest.mark.parametrize("n_edge_features", [0, 2])
def test_same_bits_for_any_number_of_threads(make_data, monkeypatch, n_edge_features):
    monkeypatch.setattr(_chunks, "CHUNK_SCORES", 20)
    monkeypatch.setattr(_training, "SCORES_PER_COEF", 1)
    X, y = make_data(sizes=np.random.default_rng(0).integers(0, 6, size=60), n_edge_features=n_edge_features)
    models = [GraphCRFClassifier(n_jobs=n, C=10).fit(X, y) for n in (1, 2, 3)]
    assert len(_chunks.cut(X, 3, models[0].inference_)) > _chunks.MAX_GROUPS
    for other in models[1:]:
        for name in FITTED:
            assert np.array_equal(getattr(models[0], name), getattr(other, name))
        assert np.array_equal(models[0].predict_proba(X).values, other.predict_proba(X).values)
        assert np.array_equal(models[0].predict(X).values, other.predict(X).values)


def test_chunks_change_only_rounding(make_data, monkeypatch):
    X, y = make_data(sizes=[3, 0, 1, 5, 2, 0, 4], n_edge_features=1)
    whole = GraphCRFClassifier(**TIGHT).fit(X, y)
    values = [whole.log_partition(X), whole.predict_proba(X).values, whole.predict_edge_proba(X).values]
    monkeypatch.setattr(_chunks, "CHUNK_SCORES", 10)
    same_weights(whole, GraphCRFClassifier(**TIGHT).fit(X, y), atol=1e-6)
    for a, b in zip(
        values, [whole.log_partition(X), whole.predict_proba(X).values, whole.predict_edge_proba(X).values]
    ):
        np.testing.assert_allclose(a, b, rtol=1e-12)


# -------------------------------------------------------------------------------------------- progress
def test_loss_curve(make_data):
    X, y = make_data(sizes=(5, 4, 6, 3))
    crf = GraphCRFClassifier(C=100).fit(X, y)
    assert crf.loss_curve_.shape == (crf.n_iter_,)
    assert (np.diff(crf.loss_curve_) <= 0).all()
    assert crf.n_evaluations_ >= crf.n_iter_ > 3


def test_loss_is_never_above_that_of_zero_weights(make_data):
    X, y = make_data()
    crf = GraphCRFClassifier(max_iter=1)
    with pytest.warns(ConvergenceWarning):
        crf.fit(X, y)
    assert crf.loss_curve_[-1] < len(y.values) * np.log(3)


def test_warm_start(make_data):
    X, y = make_data(sizes=(5, 4, 6, 3))
    cold = GraphCRFClassifier(C=10, **TIGHT).fit(X, y)
    warm = GraphCRFClassifier(C=9, warm_start=True, **TIGHT).fit(X, y).set_params(C=10).fit(X, y)
    assert warm.n_iter_ < cold.n_iter_
    same_weights(warm, cold, atol=1e-5)
    again = warm.fit(X, y)
    assert again.n_iter_ <= 2
    other = make_data(sizes=(5, 4, 6, 3), n_features=4)  # another number of weights: starts anew
    with pytest.warns(UserWarning, match="the features or their map differ .*: training starts anew") as caught:
        warm.fit(*other)
    assert caught[0].filename == __file__
    same_weights(warm, GraphCRFClassifier(C=10, **TIGHT).fit(*other), rtol=0)


class TwoNames(LinearFeatures):
    """A linear map with other names for its weights."""

    def plan_from(self, statistics, classes):
        plan = super().plan_from(statistics, classes)

        class Plan(type(plan)):
            def attributes(self, coef):
                return {"weights_": super().attributes(coef)["coef_"]}

        return Plan(**vars(plan))


def test_a_refit_leaves_nothing_of_another_map(make_data):
    X, y = make_data()
    crf = GraphCRFClassifier().fit(X, y)
    crf.set_params(features=TwoNames()).fit(X, y)
    assert crf.weights_.shape == (3, 2)
    assert not any(hasattr(crf, name) for name in FITTED)
    crf.set_params(features="linear").fit(X, y)
    assert not hasattr(crf, "weights_")


def test_without_warm_start_fit_forgets(make_data):
    X, y = make_data(sizes=(5, 4, 6, 3))
    crf = GraphCRFClassifier(C=10).fit(X, y)
    first = crf.coef_
    assert np.array_equal(crf.fit(X, y).coef_, first)


def test_warm_start_with_other_classes_starts_anew(make_data):
    X, y = make_data(sizes=(5, 4, 6, 3))
    names = RaggedArray(np.array(["c", "a", "b"])[y.values], y.ptr)
    warm = GraphCRFClassifier(warm_start=True).fit(X, y)
    with pytest.warns(UserWarning, match="the classes differ .*: training starts anew"):
        warm.fit(X, names)
    same_weights(warm, GraphCRFClassifier().fit(X, names), rtol=0)


# -------------------------------------------------------------------------------------------- early ends
def test_max_iter(make_data):
    X, y = make_data(sizes=(5, 4, 6, 3))
    crf = GraphCRFClassifier(C=100, max_iter=3)
    with pytest.warns(ConvergenceWarning, match=r"after 3 iterations.*Increase max_iter, scale") as caught:
        crf.fit(X, y)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert crf.n_iter_ == 3
    assert len(crf.loss_curve_) == 3


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_ctrl_c_keeps_the_best_iterate(make_data, n_jobs):
    X, y = make_data(sizes=(5, 4, 6, 3))
    crf = GraphCRFClassifier(objective=Interrupted(KeyboardInterrupt(), []), C=100, n_jobs=n_jobs)
    with pytest.raises(KeyboardInterrupt):
        crf.fit(X, y)
    assert 1 <= crf.n_iter_ < 10
    full = GraphCRFClassifier(C=100).fit(X, y)
    np.testing.assert_allclose(crf.loss_curve_, full.loss_curve_[: crf.n_iter_])
    ll = -crf.C * crf.log_likelihood(X, y).sum() + 0.5 * ((crf.coef_**2).sum() + (crf.edge_coef_**2).sum())
    assert ll <= crf.loss_curve_[-1] * (1 + 1e-12)  # the best iterate, which may be newer than the last iteration


@pytest.mark.parametrize("stop", [2, 3, 4, 7])
@pytest.mark.parametrize("params", [{}, {"l1_ratio": 0.5}, {"optimizer": LBFGS(start_with=AveragedSGD(n_epochs=1))}])
def test_ctrl_c_at_any_time_keeps_curve_and_iterations_together(make_data, params, stop):
    """Ctrl-C in evaluation `stop`, which may be that before the first iteration ends."""
    X, y = make_data(sizes=(5, 4, 6, 3))
    crf = GraphCRFClassifier(objective=Interrupted(KeyboardInterrupt(), [None] * (11 - stop)), C=100, **params)
    with pytest.raises(KeyboardInterrupt):
        crf.fit(X, y)
    assert crf.loss_curve_.shape == (crf.n_iter_,)
    start = GraphCRFClassifier(tol=1e9, C=100, l1_ratio=crf.l1_ratio).fit(X, y)
    zero = 100 * X.n_nodes * np.log(3)  # loss without weights
    np.testing.assert_allclose(start.loss_curve_, [zero])
    assert crf.loss_curve_[-1] <= zero * (1 + 1e-12)
    if stop == 2:
        np.testing.assert_allclose(crf.loss_curve_, [zero])
        assert not crf.coef_.any()


@pytest.mark.parametrize("fitted_before", [False, True])
def test_ctrl_c_after_the_last_iteration_keeps_the_weights(make_data, monkeypatch, fitted_before):
    X, y = make_data(sizes=(5, 4, 6, 3))
    crf, full = GraphCRFClassifier(C=10), GraphCRFClassifier(C=10).fit(X, y)
    if fitted_before:
        crf.fit(X[:2], y[:2])
    set_fitted, calls = GraphCRFClassifier._set_fitted, []

    def interrupted(*args):
        set_fitted(*args)
        calls.append(None)
        if len(calls) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(GraphCRFClassifier, "_set_fitted", interrupted)
    with pytest.raises(KeyboardInterrupt):
        crf.fit(X, y)
    assert (crf.n_iter_, crf.coef_.tobytes()) == (full.n_iter_, full.coef_.tobytes())


def test_an_error_in_the_middle_changes_nothing(make_data):
    X, y = make_data(sizes=(5, 4, 6, 3))
    crf = GraphCRFClassifier().fit(X, y)
    crf.set_params(objective=Interrupted(FloatingPointError("bug"), []), C=100)
    before = dict(vars(crf))
    with pytest.raises(FloatingPointError):
        crf.fit(X, y)
    assert vars(crf).keys() == before.keys()
    assert all(vars(crf)[name] is before[name] for name in before)


def test_inference_that_does_not_converge_is_reported_once(make_data):
    X, y = make_data("cycle", sizes=(5, 4, 6))
    crf = GraphCRFClassifier(inference=LoopyBP(max_iter=1, tol=1e-12))
    with pytest.warns(ConvergenceWarning) as caught:
        crf.fit(X, y)
    messages = [str(w.message) for w in caught]
    assert sum("did not converge on 3 of 3 training graphs" in m for m in messages) == 1
    assert "damping" in next(m for m in messages if "training graphs" in m)


def test_optimiser_without_a_gradient_to_follow(make_data):
    """A tolerance that zero weights already meet: no iteration, but a fitted estimator."""
    X, y = make_data()
    crf = GraphCRFClassifier(tol=1e3).fit(X, y)
    assert crf.n_iter_ == 1
    assert not crf.coef_.any()
    np.testing.assert_allclose(crf.loss_curve_, [X.n_nodes * np.log(3)])


# -------------------------------------------------------------------------------------------- odd graphs
def test_empty_graphs_and_graphs_without_edges(make_data):
    X, y = make_data(sizes=(3, 1, 4))
    with_empty = GraphDataset(X.node_features, X.edges, None, [0, 0, 3, 4, 4, 8, 8], [0, 0, 2, 2, 2, 5, 5])
    labels = RaggedArray(y.values, with_empty.node_ptr)
    a, b = GraphCRFClassifier(**TIGHT).fit(X, y), GraphCRFClassifier(**TIGHT).fit(with_empty, labels)
    same_weights(a, b, atol=1e-6)
    np.testing.assert_array_equal(b.log_partition(with_empty)[[0, 3, 5]], 0.0)
    np.testing.assert_array_equal(b.log_likelihood(with_empty, labels)[[0, 3, 5]], 0.0)
    assert [len(part) for part in b.predict(with_empty)] == [0, 3, 1, 0, 4, 0]


def test_trained_without_edges_applied_to_edges(make_data):
    X, y = make_data("edgeless")
    chains, _ = make_data("chain")
    crf = GraphCRFClassifier().fit(X, y)
    assert crf.edge_coef_.shape == (0, 3, 3)
    np.testing.assert_allclose(crf.predict_proba(X).values, crf.predict_proba(chains).values)


def test_direction_matters_for_full_weights_only(make_data):
    X, y = make_data(sizes=(5, 4, 6, 3))
    flipped = GraphDataset(X.node_features, X.edges[:, ::-1], None, X.node_ptr, X.edge_ptr)
    for kind, same in (("full", False), ("symmetric", True), ("potts", True)):
        crf = GraphCRFClassifier(LinearFeatures(kind), C=10, **TIGHT).fit(X, y)
        found = np.abs(crf.predict_proba(X).values - crf.predict_proba(flipped).values).max() < 1e-9
        assert found == same, kind
    transposed = GraphCRFClassifier(C=10, **TIGHT).fit(flipped, y)
    crf = GraphCRFClassifier(C=10, **TIGHT).fit(X, y)
    np.testing.assert_allclose(transposed.edge_coef_, crf.edge_coef_.transpose(0, 2, 1), atol=1e-5)


def test_arguments_are_not_changed(make_data):
    for storage in ("dense", "csr"):
        X, y = make_data(sizes=(5, 4, 6, 3), storage=storage, n_edge_features=2)
        for array in (X.node_features, X.edge_features):
            (array if storage == "dense" else array.data).flags.writeable = False
        X.edges.flags.writeable = y.values.flags.writeable = False
        weights = np.arange(1.0, 5.0)
        weights.flags.writeable = False
        crf = GraphCRFClassifier(l1_ratio=0.1).fit(X, y, weights)
        crf.score(X, y, weights)
        crf.predict_edge_proba(X)


# ---- weight 0

CHAIN = [(0, 1), (1, 2)]
WHOLE = [([[0.0], [1.0], [2.0]], CHAIN), ([[2.0], [0.5], [1.0]], CHAIN), ([[0.0], [1.0]], [(0, 1)])]
RIGHT = [["a", "b", "b"], ["a", "a", "b"], ["a", "a"]]
HARD = ConstrainedFeatures("linear", forbidden_pairs=[("b", "a")])
USELESS = {  # a graph with labels that `fit` refuses unless its weight is 0, and parameters
    "forbidden labels": ((WHOLE[0][0], CHAIN), ["b", "a", "b"], {"features": HARD}),
    "partly labelled": ((WHOLE[0][0], CHAIN), ["b", "a", "?"], {"features": HARD, "missing_label": "?"}),
    "a cycle": (([[0.0], [1.0], [2.0]], [(0, 1), (1, 2), (2, 0)]), ["a", "b", "b"], {"inference": "tree"}),
    "edges": ((WHOLE[0][0], CHAIN), ["a", "b", "b"], {"inference": "chain"}),
}


@pytest.mark.parametrize("place", [0, 1, 3])
@pytest.mark.parametrize("optimizer", ["lbfgs", "sgd"])
@pytest.mark.parametrize("name", USELESS)
def test_weight_zero_is_leaving_out(name, optimizer, place):
    graph, labels, params = USELESS[name]
    params = {"optimizer": optimizer, "random_state": 0, **params}
    X, y, weight = list(WHOLE), list(RIGHT), [1.0, 2.0, 1.0]
    expected = GraphCRFClassifier(**params).fit(X, y, weight)
    X.insert(place, graph)
    y.insert(place, labels)
    weight.insert(place, 0.0)
    packed = GraphDataset.from_graphs(X)
    for data, target, weights in (
        (X, y, weight),
        (packed, y, [[w] * len(part) for w, part in zip(weight, y)]),
        (packed.nodes, np.concatenate(y), np.repeat(weight, [len(part) for part in y])),
    ):
        crf = GraphCRFClassifier(**params).fit(data, target, weights)
        same_weights(crf, expected, rtol=0, atol=0)
        if name != "a cycle":
            assert crf.score(data, target, weights) == expected.score(WHOLE, RIGHT, [1.0, 2.0, 1.0])


def test_class_weight_zero_is_leaving_out():
    X, y = [*WHOLE, (WHOLE[0][0], CHAIN)], [*RIGHT, ["c", "c", "c"]]
    crf = GraphCRFClassifier(class_weight={"c": 0.0}, classes=["a", "b", "c"]).fit(X, y)
    same_weights(crf, GraphCRFClassifier(classes=["a", "b", "c"]).fit(WHOLE, RIGHT), rtol=0, atol=0)


def test_errors_count_graphs_of_weight_zero():
    X, y = [WHOLE[0], *WHOLE, WHOLE[0]], [["b", "a", "b"], *RIGHT, ["b", "b", "a"]]
    with pytest.raises(InfeasibleGraph, match="graph 4: the labels in y are forbidden") as caught:
        GraphCRFClassifier(features=HARD).fit(X, y, [0, 0, 1, 1, 1])
    assert caught.value.graph == 4


@pytest.mark.parametrize("sample_weight", [None, [0.0, 1.0, 1.0]])
def test_score_of_an_infeasible_graph(sample_weight):
    """It is decoded if any of its nodes counts; the error has its number among all graphs."""
    hard = ConstrainedFeatures("linear", forbidden_pairs=[(a, b) for a in "ab" for b in "ab"])
    lone = [([[0.0]], None), ([[1.0]], None), ([[2.0]], None)]
    crf = GraphCRFClassifier(features=hard).fit(lone, [["a"], ["b"], ["b"]])
    X, y = [WHOLE[2], *lone[:2]], [["a", "b"], ["a"], ["b"]]
    if sample_weight is None:
        with pytest.raises(InfeasibleGraph, match="graph 0: no labelling is allowed"):
            crf.score(X, y)
    else:
        assert crf.score(X, y, sample_weight) == crf.score(X[1:], y[1:])
        with pytest.raises(InfeasibleGraph, match="graph 2: no labelling is allowed"):
            crf.score([X[1], X[2], X[0]], [y[1], y[2], y[0]], [0.0, 1.0, 1.0])
        with pytest.raises(ValueError, match="sample_weight is zero for every labelled node"):
            crf.set_params(missing_label="?").score([X[1], X[2]], [["?"], ["b"]], [1.0, 0.0])
