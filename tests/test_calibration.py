"""Temperatures: queries with them, and the choice of one on held-out graphs."""

import pickle

import numpy as np
import pytest
from sklearn import config_context
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skstruct import GraphCRFClassifier, RaggedArray, functional
from skstruct.calibration import TemperatureScalingCV
from skstruct.datasets import make_chain, make_tree
from skstruct.features import ConstrainedFeatures, NetworkFeatures
from skstruct.inspection import Steps, explain, node_entropy
from skstruct.io import load_model
from skstruct.metrics import expected_calibration_error, node_log_loss, node_scorer
from skstruct.preprocessing import NodeTransformer, TokenTemplates


@parametrize_with_checks([TemperatureScalingCV(GraphCRFClassifier(tol=1e-3), cv=2)])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def data():
    """Few training graphs, from which a model without regularisation becomes too certain."""
    return make_chain(n_graphs=120, n_nodes=12, n_features=12, coupling=2.0, return_X_y=True, random_state=0)


@pytest.fixture(scope="module")
def overfitted(data):
    X, y = data
    return GraphCRFClassifier(C=1e3).fit(X[:15], y[:15])


# ---- the parameter of the classifier


@pytest.mark.parametrize("features", ["linear", NetworkFeatures(), ConstrainedFeatures()], ids=str)
@pytest.mark.parametrize("make", [make_chain, make_tree])
def test_queries_divide_the_scores(make, features):
    X, y = make(n_graphs=8, return_X_y=True, random_state=0)
    crf = GraphCRFClassifier(features, max_iter=15, tol=0.1, inference="tree", random_state=0).fit(X, y)
    node, edge = crf.scores(X)
    labels = crf.predict(X)
    warm = crf.set_params(temperature=2.5)
    found = [warm.predict_proba(X), warm.predict_edge_proba(X), warm.log_partition(X), warm.entropy(X)]
    for g in range(len(X)):
        tensors = node[g] / 2.5, X[g].edges, edge[g] / 2.5
        expected = functional.marginals(*tensors, inference="tree")
        for value, other in zip(found, (expected.node, expected.edge, expected.log_partition)):
            np.testing.assert_allclose(value[g], other, rtol=0, atol=1e-9)
        assert found[3][g] == pytest.approx(functional.entropy(*tensors, inference="tree"), abs=1e-9)
    np.testing.assert_array_equal(warm.predict(X).values, labels.values)
    assert (warm.entropy(X) > crf.set_params(temperature=None).entropy(X)).all()
    assert not np.allclose(found[0].values, crf.predict_proba(X).values, atol=1e-2)


def test_gradients_and_explanations_divide_the_scores(overfitted):
    X, y = make_chain(n_graphs=3, n_features=12, return_X_y=True, random_state=1)
    crf = pickle.loads(pickle.dumps(overfitted)).set_params(temperature=3.0)
    gradient = crf.saliency(X, y)[0].values
    step = np.zeros_like(X.node_features)
    step[4, 2] = 1e-5
    shifted = [crf.log_likelihood(X.with_node_features(X.node_features + s), y).sum() for s in (step, -step)]
    assert gradient[4, 2] == pytest.approx((shifted[0] - shifted[1]) / 2e-5, rel=1e-5)
    pytest.importorskip("pandas")
    frame = explain(crf, X, 1, 3)
    assert {"feature", "intercept", "neighbour"} == set(frame["part"])
    proba = crf.predict_proba(X)[1][3]
    codes = [crf.classes_.tolist().index(frame.attrs[name]) for name in ("label", "against")]
    assert frame["contribution"].sum() == pytest.approx(np.subtract(*np.log(proba[codes])), abs=1e-9)


@pytest.mark.parametrize("value", [0, -1.0, np.inf, np.nan, "1", True, [1.0]], ids=str)
def test_refused_temperatures(data, overfitted, value):
    X, y = data
    with pytest.raises(ValueError, match="GraphCRFClassifier: temperature must be None or a positive number"):
        GraphCRFClassifier(temperature=value).fit(X, y)
    crf = pickle.loads(pickle.dumps(overfitted)).set_params(temperature=value)
    for query in (crf.predict, crf.predict_proba, crf.log_partition):
        with pytest.raises(ValueError, match="temperature must be None or a positive number"):
            query(X)


def test_training_does_not_use_the_temperature(data, overfitted):
    X, y = data
    crf = GraphCRFClassifier(C=1e3, temperature=4.0).fit(X[:15], y[:15])
    np.testing.assert_array_equal(crf.coef_, overfitted.coef_)


def test_a_temperature_defines_probabilities(data):
    X, y = data
    crf = GraphCRFClassifier(objective="hinge", optimizer="sgd", C=10, max_iter=20, tol=1e-2).fit(X[:40], y[:40])
    for method in ("predict_proba", "predict_log_proba", "decision_function", "sample", "log_likelihood"):
        assert not hasattr(crf, method)
    with pytest.raises(AttributeError) as caught:
        _ = crf.predict_proba
    assert "TemperatureScalingCV chooses a temperature" in str(caught.value.__cause__)
    calibrated = TemperatureScalingCV(FrozenEstimator(crf)).fit(X[40:80], y[40:80])
    frequency = np.bincount(y[:80].values) / len(y[:80].values)
    loss = log_loss(y[80:].values, calibrated.predict_proba(X[80:]).values)
    assert loss < -0.8 * (frequency * np.log(frequency)).sum()
    assert calibrated.estimator_.sample(X[:1]).values.shape == (12, 1)


# ---- the choice of a temperature


def test_scikit_learn_on_a_table():
    X, y = make_classification(300, n_informative=4, n_classes=3, flip_y=0.2, random_state=0)
    y = np.array(["a", "b", "c"])[y]
    crf = GraphCRFClassifier(C=1e3)
    ours = TemperatureScalingCV(crf).fit(X, y)
    try:
        theirs = CalibratedClassifierCV(crf, method="temperature", ensemble=False).fit(X, y)
    except ValueError:  # scikit-learn < 1.8
        pytest.skip("scikit-learn has no temperature scaling")
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=0, atol=1e-4)
    np.testing.assert_array_equal(ours.classes_, theirs.classes_)


def test_held_out_graphs_of_a_frozen_model(data, overfitted):
    """The temperature has the lowest log loss; it makes probabilities of other graphs far better."""
    X, y = data
    frozen = FrozenEstimator(overfitted)
    calibrated = TemperatureScalingCV(frozen).fit(X[15:60], y[15:60])

    def loss(temperature):
        crf = pickle.loads(pickle.dumps(overfitted)).set_params(temperature=temperature)
        return log_loss(y[15:60].values, crf.predict_proba(X[15:60]).values)

    best = loss(calibrated.temperature_)
    assert all(best <= loss(calibrated.temperature_ * factor) + 1e-9 for factor in (0.1, 0.8, 0.999, 1.001, 1.25, 10))
    assert calibrated.temperature_ > 2.0
    assert overfitted.temperature is None
    X, y = X[60:], y[60:]
    assert node_log_loss(calibrated, X, y) > 0.5 * node_log_loss(overfitted, X, y)  # scores are negative
    errors = [
        expected_calibration_error(y, model.predict_proba(X), classes=model.classes_)
        for model in (overfitted, calibrated)
    ]
    assert errors[1] < errors[0] / 2
    np.testing.assert_array_equal(calibrated.predict(X).values, overfitted.predict(X).values)
    assert calibrated.score(X, y) == overfitted.score(X, y)


def test_cross_validation_refits_on_all_graphs(data):
    X, y = data[0][:24], data[1][:24]
    crf = GraphCRFClassifier(C=1e3)
    calibrated = TemperatureScalingCV(crf, cv=KFold(3)).fit(X, y)
    np.testing.assert_array_equal(calibrated.estimator_.coef_, GraphCRFClassifier(C=1e3).fit(X, y).coef_)
    losses = []
    for temperature in calibrated.temperature_ * np.array([0.95, 1.0, 1.05]):
        crf = GraphCRFClassifier(C=1e3, temperature=temperature)
        held_out = cross_validate(crf, X, y, cv=3, scoring=node_log_loss)["test_score"]
        losses.append(-held_out.mean())  # folds of equal size
    assert losses[1] == min(losses)


def test_pipelines_searches_and_routing(data):
    X, y = data[0][:30], data[1][:30]
    pipe = make_pipeline(NodeTransformer(StandardScaler()), GraphCRFClassifier(C=1e3, max_iter=30, tol=1e-2))
    calibrated = TemperatureScalingCV(pipe, cv=2).fit(X, y)
    assert calibrated.estimator_[-1].temperature == calibrated.temperature_
    assert calibrated.n_features_in_ == 12
    assert Steps.of(calibrated).crf is calibrated.estimator_[-1]
    np.testing.assert_array_equal(node_entropy(calibrated, X).values, node_entropy(calibrated.estimator_, X).values)
    proba = calibrated.predict_proba(X)
    assert isinstance(proba, RaggedArray)
    np.testing.assert_allclose(np.exp(calibrated.predict_log_proba(X).values), proba.values, rtol=0, atol=1e-12)
    np.testing.assert_allclose(calibrated.decision_function(X).values, np.log(proba.values), rtol=0, atol=1e-9)
    name = "estimator__graphcrfclassifier__C"
    search = GridSearchCV(TemperatureScalingCV(pipe, cv=2), {name: [1e-6, 1e3]}, cv=2, scoring=node_log_loss)
    assert search.fit(X, y).best_params_ == {name: 1e3}
    with config_context(enable_metadata_routing=True):
        crf = GraphCRFClassifier(C=1e3, max_iter=30, tol=1e-2)
        outer = TemperatureScalingCV(crf, cv=2).set_fit_request(sample_weight=True)
        scorer = node_scorer("neg_log_loss").set_score_request(sample_weight=False)
        params = {"sample_weight": np.arange(30.0)}
        found = cross_validate(outer, X, y, cv=2, params=params, scoring=scorer, return_estimator=True)
    expected = TemperatureScalingCV(crf, cv=2).fit(X[15:], y[15:], np.arange(15.0, 30.0))
    assert found["estimator"][0].temperature_ == expected.temperature_


def test_lists_of_graphs_and_of_tokens(data):
    X, y = data[0][:20], data[1][:20]
    crf = GraphCRFClassifier(C=1e3, tol=1e-2)
    expected = TemperatureScalingCV(crf, cv=2).fit(X, y).temperature_
    assert TemperatureScalingCV(crf, cv=2).fit(list(X), y.tolist()).temperature_ == expected
    weighted = TemperatureScalingCV(crf, cv=2).fit(list(X), list(y), np.ones(20))
    assert weighted.temperature_ == pytest.approx(expected, rel=1e-3)
    texts = [text.split() for text in ["the dog barks", "a cat sleeps", "the cat sees a dog", "a dog sees the dog"] * 2]
    tags = [text.split() for text in ["D N V", "D N V", "D N V D N", "D N V D N"] * 2]
    tagger = make_pipeline(TokenTemplates(["w[0]"]), GraphCRFClassifier(C=0.1, tol=1e-2))
    calibrated = TemperatureScalingCV(tagger, cv=2).fit(texts, tags)
    assert calibrated.temperature_ < 1  # the penalty keeps the model from being certain
    assert calibrated.predict(texts).tolist() == tags


@pytest.mark.parametrize("missing", [-1, np.nan])
def test_missing_labels_and_weights(data, overfitted, missing):
    X, y = data[0][15:25], data[1][15:25]
    hidden = np.where(np.arange(120) % 3 == 0, missing, y.values)
    frozen = pickle.loads(pickle.dumps(overfitted)).set_params(missing_label=missing)
    frozen = TemperatureScalingCV(FrozenEstimator(frozen))
    found = frozen.fit(X, RaggedArray(hidden, y.ptr)).temperature_
    per_node = RaggedArray((np.arange(120) % 3 > 0).astype(float), y.ptr)
    assert found == pytest.approx(frozen.fit(X, y, per_node).temperature_, rel=1e-3)
    weights = np.arange(10) % 3
    repeated = np.repeat(np.arange(10), weights)
    found = frozen.fit(X, y, weights).temperature_
    assert found == pytest.approx(frozen.fit(X[repeated], y[repeated]).temperature_, rel=1e-3)


def test_a_class_that_a_split_lacks(data):
    X, y = data[0][:12], data[1][:12]
    rare = np.where(np.arange(144) == 0, 9, y.values)  # in one graph only
    calibrated = TemperatureScalingCV(cv=3).fit(X, RaggedArray(rare, y.ptr))
    assert calibrated.classes_.tolist() == [0, 1, 2, 9]
    assert calibrated.predict_proba(X).values.shape == (144, 4)


def test_refusals(data):
    X, y = data
    with pytest.raises(TypeError, match="must be a fitted GraphCRFClassifier, or a fitted Pipeline"):
        TemperatureScalingCV(LogisticRegression()).fit(X.node_features, y.values)
    with pytest.raises(ValueError, match="not fitted yet"):
        TemperatureScalingCV(FrozenEstimator(GraphCRFClassifier())).fit(X, y)
    with pytest.raises(ValueError, match="not fitted yet"):
        TemperatureScalingCV().predict(X)


def test_skops(data, overfitted, tmp_path):
    skops = pytest.importorskip("skops.io")
    X, y = data
    calibrated = TemperatureScalingCV(FrozenEstimator(overfitted)).fit(X[:5], y[:5])
    skops.dump(calibrated, tmp_path / "model.skops")
    loaded = load_model(tmp_path / "model.skops")
    np.testing.assert_array_equal(loaded.predict_proba(X).values, calibrated.predict_proba(X).values)
