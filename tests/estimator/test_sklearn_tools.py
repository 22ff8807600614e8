"""scikit-learn's tools on graphs: as samples in a GraphDataset or a list, and with nodes as samples."""

import pickle

import joblib
import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.exceptions import FitFailedWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 (the import itself enables it)
from sklearn.feature_selection import SelectFromModel
from sklearn.inspection import permutation_importance
from sklearn.metrics import ConfusionMatrixDisplay, accuracy_score, f1_score
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    GroupShuffleSplit,
    HalvingGridSearchCV,
    KFold,
    LearningCurveDisplay,
    LeaveOneGroupOut,
    RandomizedSearchCV,
    RepeatedKFold,
    ShuffleSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    TunedThresholdClassifierCV,
    ValidationCurveDisplay,
    cross_val_score,
    cross_validate,
    learning_curve,
    permutation_test_score,
    train_test_split,
    validation_curve,
)
from sklearn.model_selection import cross_val_predict as sklearn_cross_val_predict
from sklearn.pipeline import FeatureUnion, make_pipeline, make_union
from sklearn.preprocessing import MinMaxScaler, PolynomialFeatures, StandardScaler
from sklearn.utils import estimator_html_repr, resample, shuffle

from skstruct import Graph, GraphCRFClassifier, GraphDataset, RaggedArray
from skstruct.features import LinearFeatures
from skstruct.metrics import graph_exact_match, node_accuracy, node_f1_macro, node_log_loss, node_scorer
from skstruct.model_selection import cross_val_predict, graph_label
from skstruct.preprocessing import NodeTransformer

QUICK = {"tol": 1e-2, "max_iter": 50}
N = 12  # graphs


@pytest.fixture
def crf():
    return GraphCRFClassifier(**QUICK)


@pytest.fixture
def data(make_data):
    return make_data("chain", sizes=[3, 5, 4, 6, 2, 3, 5, 4, 7, 3, 4, 5])


@pytest.fixture
def binary(make_data):
    return make_data("chain", sizes=[3, 5, 4, 6, 2, 3, 5, 4, 7, 3, 4, 5], n_states=2)


@pytest.fixture(params=["dataset", "graphs", "tuples", "objects"])
def forms(request, data):
    """The same graphs and labels in every form that people have them in."""
    X, y = data
    if request.param == "dataset":
        return X, y
    arrays = list(y)
    if request.param == "graphs":
        return list(X), arrays
    if request.param == "tuples":
        return [(g.node_features, g.edges) for g in X], arrays
    graphs, labels = np.empty(N, object), np.empty(N, object)
    graphs[:], labels[:] = list(X), arrays
    return graphs, labels


def pipeline(**params):
    return make_pipeline(NodeTransformer(StandardScaler()), GraphCRFClassifier(**QUICK, **params))


# -------------------------------------------------------------------------------------------- one estimator
def test_fit_predict_score(crf, forms, data):
    X, y = forms
    assert crf.fit(X, y) is crf
    assert isinstance(crf.predict(X), RaggedArray)
    assert crf.score(X, y) == pytest.approx(accuracy_score(data[1].values, crf.predict(X).values))
    np.testing.assert_array_equal(crf.coef_, clone(crf).fit(*data).coef_)


def test_pipeline_with_memory(forms, data, tmp_path):
    X, y = forms
    cached = make_pipeline(*(step for _, step in pipeline().steps), memory=str(tmp_path)).fit(X, y)
    plain = pipeline().fit(*data)
    np.testing.assert_array_equal(cached.predict(X).values, plain.predict(X).values)
    np.testing.assert_allclose(cached[-1].coef_, plain[-1].coef_)
    assert clone(cached).fit(X, y).score(X, y) == plain.score(*data)  # from the cache
    assert list(tmp_path.rglob("output.pkl"))


def test_pickle_clone_and_html(crf, data):
    X, y = data
    crf.set_params(features=LinearFeatures("symmetric"), inference="chain").fit(X, y)
    again = pickle.loads(pickle.dumps(crf))
    np.testing.assert_array_equal(again.predict_proba(X).values, crf.predict_proba(X).values)
    copy = clone(crf.set_params(features__edge_weights="potts"))
    assert not hasattr(copy, "coef_")
    assert copy.features is not crf.features
    assert copy.get_params()["features__edge_weights"] == "potts"
    for estimator in (crf, copy):
        assert "potts" in repr(estimator)
        assert "GraphCRFClassifier" in estimator_html_repr(estimator)


def test_joblib_memory_map(crf, data, tmp_path):
    X, y = data
    joblib.dump((X, y, crf.fit(X, y)), tmp_path / "all.joblib")
    X2, y2, crf2 = joblib.load(tmp_path / "all.joblib", mmap_mode="r")
    assert isinstance(X2.node_features, np.memmap)
    np.testing.assert_array_equal(crf2.predict(X2).values, crf.predict(X).values)
    np.testing.assert_array_equal(clone(crf2).fit(X2, y2).coef_, crf.coef_)


# -------------------------------------------------------------------------------------------- splits
def test_splits_keep_types(forms):
    X, y = forms
    parts = train_test_split(X, y, test_size=1 / 3, random_state=0)
    assert [len(part) for part in parts] == [8, 4, 8, 4]
    assert all(type(part) is type(whole) for part, whole in zip(parts, (X, X, y, y)))
    for found in (shuffle(X, y, random_state=0), resample(X, y, random_state=0)):
        assert [len(part) for part in found] == [N, N]
        assert all(type(part) is type(whole) for part, whole in zip(found, (X, y)))
        GraphCRFClassifier(**QUICK).fit(*found)


def test_stratified_by_graph(data):
    X, y = data
    strata = graph_label(y)
    train_test_split(X, y, stratify=np.arange(N) % 2, random_state=0)
    cv = list(StratifiedKFold(2).split(np.zeros(N), np.where(strata == strata[0], 0, 1)))
    assert len(cross_val_score(GraphCRFClassifier(**QUICK), X, y, cv=cv)) == 2


@pytest.mark.parametrize("cv", [3, KFold(3), ShuffleSplit(3, random_state=0), RepeatedKFold(n_splits=3, n_repeats=1)])
def test_cross_validation(crf, forms, cv):
    scores = cross_val_score(crf, *forms, cv=cv)
    assert scores.shape == (3,)
    assert np.isfinite(scores).all()


def test_groups(crf, data):
    X, y = data
    groups = np.arange(N) // 3
    for cv in (GroupKFold(2), LeaveOneGroupOut(), GroupShuffleSplit(2, random_state=0)):
        assert np.isfinite(cross_val_score(crf, X, y, cv=cv, groups=groups)).all()


def test_scorers(crf, data):
    X, y = data
    scoring = {
        "f1": node_f1_macro,
        "log_loss": node_log_loss,
        "exact": graph_exact_match,
        "auc": node_scorer("roc_auc_ovr"),
    }
    found = cross_validate(crf, X, y, cv=2, scoring=scoring, return_estimator=True, return_indices=True, n_jobs=2)
    for fold in range(2):
        test, model = found["indices"]["test"][fold], found["estimator"][fold]
        expected = f1_score(y[test].values, model.predict(X[test]).values, average="macro")
        assert found["test_f1"][fold] == pytest.approx(expected)
    assert all(np.isfinite(found[f"test_{name}"]).all() for name in scoring)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba"])
def test_our_cross_val_predict(crf, forms, data, method):
    found = cross_val_predict(crf, *forms, cv=KFold(3), method=method)
    assert isinstance(found, RaggedArray)
    X, y = data
    np.testing.assert_array_equal(found.ptr, y.ptr)
    expected = getattr(clone(crf).fit(X[4:], y[4:]), method)(X[:4])  # the first fold
    np.testing.assert_array_equal(found[:4].values, expected.values)


def test_scikit_learns_cross_val_predict(crf, forms, data):
    found = sklearn_cross_val_predict(crf, *forms, cv=3)
    flat = np.concatenate(list(found)) if isinstance(found, np.ndarray) else found.values
    np.testing.assert_array_equal(flat, cross_val_predict(crf, *data, cv=3).values)


def test_failed_fits_score_nan(crf, data):
    search = GridSearchCV(crf, {"C": [1.0, -1.0]}, cv=2, error_score=np.nan)
    with (
        pytest.warns(FitFailedWarning, match="C must be a positive number"),
        pytest.warns(UserWarning, match="non-finite"),
    ):
        search.fit(*data)
    assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [False, True]
    assert search.best_params_ == {"C": 1.0}


# -------------------------------------------------------------------------------------------- searches
GRID = {
    "nodetransformer__transformer": [StandardScaler(), MinMaxScaler()],
    "graphcrfclassifier__C": [0.1, 10.0],
    "graphcrfclassifier__features__edge_weights": ["full", "potts"],
}


def test_grid_search(forms, data):
    search = GridSearchCV(pipeline(features=LinearFeatures()), GRID, cv=2, n_jobs=2).fit(*forms)
    assert len(search.cv_results_["params"]) == 8
    X, y = data
    best = clone(search.best_estimator_).fit(X, y)
    np.testing.assert_array_equal(search.predict(X).values, best.predict(X).values)
    assert search.score(X, y) == best.score(X, y)
    assert search.classes_.tolist() == [0, 1, 2]


def test_other_searches(data):
    estimator = pipeline(features=LinearFeatures())
    grid = {"graphcrfclassifier__C": [0.1, 1.0, 10.0], "nodetransformer": [MinMaxScaler(), "passthrough"]}
    grid["nodetransformer"][0] = NodeTransformer(MinMaxScaler())
    randomized = RandomizedSearchCV(estimator, grid, n_iter=2, cv=2, random_state=0, scoring=node_accuracy).fit(*data)
    assert len(randomized.cv_results_["params"]) == 2
    halving = HalvingGridSearchCV(
        estimator, {"graphcrfclassifier__C": [0.1, 10.0]}, cv=2, min_resources=6, factor=2, random_state=0
    ).fit(*data)
    assert halving.n_resources_[0] == 6
    nested = cross_val_score(GridSearchCV(estimator, {"graphcrfclassifier__C": [0.1, 10.0]}, cv=2), *data, cv=2)
    assert np.isfinite(nested).all()


def test_curves(crf, data):
    sizes, train, test = learning_curve(crf, *data, cv=2, train_sizes=[0.5, 1.0], shuffle=True, random_state=0)
    assert sizes.tolist() == [3, 6]
    assert np.isfinite([*train, *test]).all()
    train, test = validation_curve(crf, *data, cv=2, param_name="C", param_range=[0.1, 10.0])
    assert train.shape == test.shape == (2, 2)
    assert train[1].mean() >= train[0].mean() - 0.2
    LearningCurveDisplay.from_estimator(crf, *data, cv=2, train_sizes=[0.5, 1.0])
    ValidationCurveDisplay.from_estimator(crf, *data, cv=2, param_name="C", param_range=[0.1, 10.0])


# -------------------------------------------------------------------------------------------- transformers
def test_feature_union_and_set_output(data):
    X, y = data
    union = make_union(NodeTransformer(StandardScaler()), NodeTransformer(PolynomialFeatures(include_bias=False)))
    assert isinstance(union, FeatureUnion)
    model = make_pipeline(union, GraphCRFClassifier(**QUICK)).fit(X, y)
    assert model[-1].n_features_in_ == 2 + 5
    for library in ("pandas", "polars"):
        framed = pipeline().set_output(transform=library).fit(X, y)
        assert framed[-1].feature_names_in_.tolist() == ["x0", "x1"]
        np.testing.assert_array_equal(framed.predict(X).values, pipeline().fit(X, y).predict(X).values)
    with sklearn.config_context(transform_output="pandas"):
        assert pipeline().fit(X, y)[-1].feature_names_in_.tolist() == ["x0", "x1"]


def test_select_from_model(data):
    X, y = data
    noise = np.random.default_rng(0).normal(size=(X.n_nodes, 3))
    table = np.column_stack([X.node_features, noise])
    selector = SelectFromModel(GraphCRFClassifier(C=0.05, l1_ratio=1.0)).fit(table, y.values)
    kept = selector.get_support()
    assert kept[0]
    assert not kept.all()
    assert selector.transform(table).shape[1] == kept.sum()


# -------------------------------------------------------------------------------------------- metadata,
# dispatch
def test_metadata_routing(data):
    X, y = data
    weights = np.arange(1.0, N + 1)
    per_node = RaggedArray(np.repeat(weights, np.diff(X.node_ptr)), X.node_ptr)
    with sklearn.config_context(enable_metadata_routing=True):
        crf = GraphCRFClassifier(**QUICK).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        searches = [GridSearchCV(crf, {"C": [0.1, 10.0]}, cv=2).fit(X, y, sample_weight=w) for w in (weights, per_node)]
        scores = cross_validate(crf, X, y, cv=2, params={"sample_weight": weights})["test_score"]
        crf = GraphCRFClassifier(**QUICK).set_fit_request(sample_weight=False).set_score_request(sample_weight=False)
        unweighted = GridSearchCV(crf, {"C": [0.1, 10.0]}, cv=2).fit(X, y)
    half = GraphCRFClassifier(**QUICK).fit(X[6:], y[6:], weights[6:])
    assert scores[0] == pytest.approx(half.score(X[:6], y[:6], weights[:6]))
    direct = GraphCRFClassifier(**QUICK, C=searches[0].best_params_["C"]).fit(X, y, weights)
    for search in searches:
        np.testing.assert_array_equal(search.best_estimator_.coef_, direct.coef_)
    assert not np.array_equal(unweighted.best_estimator_.coef_, direct.coef_)


def test_array_api_dispatch(crf, data, array_api_dispatch):
    X, y = data
    with sklearn.config_context(array_api_dispatch=False):
        plain = cross_val_score(crf, X, y, cv=2)
    np.testing.assert_array_equal(cross_val_score(crf, X, y, cv=2), plain)
    GridSearchCV(crf, {"C": [1.0]}, cv=2).fit(X, y).predict(X)
    train_test_split(X, y)
    cross_val_predict(crf, X, y, cv=2, method="predict_proba")
    crf.fit(X.nodes, y.values).predict(X.nodes)


# -------------------------------------------------------------------------------------------- nodes as
# samples
@pytest.fixture
def nodes(data):
    X, y = data
    return X.nodes, y.values, {"cv": GroupKFold(3), "groups": X.nodes.groups}


def test_nodes_are_the_same_model(crf, data, nodes):
    X, y = data
    view, flat, _ = nodes
    np.testing.assert_array_equal(clone(crf).fit(view, flat).coef_, crf.fit(X, y).coef_)
    assert crf.score(view, flat) == crf.score(X, y)
    proba = crf.predict_proba(view)
    assert type(proba) is np.ndarray
    np.testing.assert_array_equal(proba, crf.predict_proba(X).values)


@pytest.mark.parametrize("scoring", ["accuracy", "f1_macro", "neg_log_loss", "roc_auc_ovr", "balanced_accuracy"])
def test_scoring_strings_of_nodes(crf, nodes, scoring):
    view, flat, split = nodes
    assert np.isfinite(cross_val_score(crf, view, flat, scoring=scoring, **split)).all()


def test_cross_validation_of_nodes_is_that_of_graphs(crf, data, nodes):
    view, flat, split = nodes
    X, y = data
    by_node = sklearn_cross_val_predict(crf, view, flat, method="predict_proba", **split)
    folds = [
        (np.unique(view.groups[a]), np.unique(view.groups[b])) for a, b in split["cv"].split(view, flat, view.groups)
    ]
    by_graph = cross_val_predict(crf, X, y, cv=folds, method="predict_proba")
    np.testing.assert_allclose(by_node, by_graph.values, atol=1e-9)


def test_other_tools_of_nodes(crf, nodes):
    view, flat, split = nodes
    search = GridSearchCV(crf, {"C": [0.1, 10.0]}, scoring="f1_macro", cv=GroupKFold(2), n_jobs=2)
    assert search.fit(view, flat, groups=view.groups).predict(view).shape == flat.shape
    stratified = StratifiedGroupKFold(2)
    assert np.isfinite(cross_val_score(crf, view, flat, cv=stratified, groups=view.groups)).all()
    score, permuted, p = permutation_test_score(crf, view, flat, n_permutations=5, random_state=0, **split)
    assert score > permuted.mean()
    assert p <= 0.5
    _, _, test = learning_curve(crf, view, flat, train_sizes=[1.0], **split)
    assert np.isfinite(test).all()


def test_permutation_importance(crf, nodes):
    view, flat, _ = nodes
    found = permutation_importance(crf.fit(view, flat), view, flat, n_repeats=3, random_state=0)
    assert found.importances_mean[0] > max(0.05, found.importances_mean[1])  # the feature with the signal


def test_ensembles_of_nodes(crf, nodes):
    view, flat, _ = nodes
    cv = list(GroupKFold(2).split(view, flat, view.groups))
    members = [("weak", clone(crf).set_params(C=0.1)), ("strong", clone(crf).set_params(C=10))]
    voting = VotingClassifier(members, voting="soft").fit(view, flat)
    expected = np.mean([e.predict_proba(view) for e in voting.estimators_], axis=0)
    np.testing.assert_allclose(voting.predict_proba(view), expected)
    stacking = StackingClassifier(members, cv=cv).fit(view, flat)
    assert stacking.score(view, flat) > 0.5
    calibrated = CalibratedClassifierCV(crf, cv=cv).fit(view, flat)
    np.testing.assert_allclose(calibrated.predict_proba(view).sum(axis=1), 1.0)
    assert calibrated.score(view, flat) > 0.5


def test_threshold_of_two_classes(crf, binary):
    X, y = binary
    view, flat = X.nodes, y.values
    cv = list(GroupKFold(2).split(view, flat, view.groups))
    tuned = TunedThresholdClassifierCV(crf, cv=cv, scoring="f1").fit(view, flat)
    assert set(tuned.predict(view)) <= {0, 1}
    assert 0 <= tuned.best_threshold_ <= 1
    for scoring in ("roc_auc", "average_precision", "f1"):
        assert np.isfinite(cross_val_score(crf, X, y, cv=2, scoring=node_scorer(scoring))).all()


def test_confusion_matrix(crf, data, nodes):
    X, y = data
    view, flat, _ = nodes
    crf.fit(view, flat)
    by_node = ConfusionMatrixDisplay.from_estimator(crf, view, flat)
    by_value = ConfusionMatrixDisplay.from_predictions(y.values, crf.predict(X).values)
    np.testing.assert_array_equal(by_node.confusion_matrix, by_value.confusion_matrix)


def test_splitting_inside_graphs_warns(crf, nodes):
    view, flat, _ = nodes
    with pytest.warns(UserWarning, match=r"lost 1 edges.*GroupKFold") as caught:
        crf.fit(view[1:], flat[1:])
    assert caught[0].filename == __file__


def test_classes_are_opaque_where_edges_would_be_lost(data):
    X, _ = data
    for tool in (StandardScaler(), PolynomialFeatures()):
        for view in (X, X.nodes):
            with pytest.raises(TypeError, match="NodeTransformer"):
                tool.fit(view)
    assert isinstance(X[0], Graph)
    assert isinstance(X[:2], GraphDataset)
