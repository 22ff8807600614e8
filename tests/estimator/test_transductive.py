"""Nodes of whole graphs as samples: hidden labels in training, whole graphs in prediction, known training labels."""

import pickle

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, log_loss
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    PredefinedSplit,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    train_test_split,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, normalize

from skstruct import GraphCRFClassifier, GraphDataset, RaggedArray
from skstruct.features import LinearFeatures
from skstruct.inference import TreeReweightedBP
from skstruct.metrics import node_accuracy, node_scorer
from skstruct.preprocessing import EdgeTransformer, NodeClassifier, NodeTransformer

CODES = np.array(["x", "y", "z"])


@pytest.fixture
def data(make_data):
    """A graph of 40 nodes with cycles of 20, 3 classes, and an edge feature; a third of the labels are unknown."""
    X, y = make_data("cycle", sizes=(20, 20), n_edge_features=1, seed=3)
    edges = np.concatenate([X.topology.edges, [(0, 25), (7, 31)]])
    features = np.concatenate([X.edge_features, [[1.0], [0.5]]])
    graph = GraphDataset(X.node_features, edges, features)
    labels = CODES[y.values].astype(object)
    labels[::3] = None
    return graph, labels


def hidden(y, train):
    """Labels as one array per graph, of which only those of the nodes `train` are known."""
    shown = np.full(len(y), None, object)
    shown[train] = y[train]
    return RaggedArray(shown, [0, len(y)])


def crf(**params):
    return GraphCRFClassifier(**{"C": 0.5, "tol": 1e-3, **params})


def by_hand(graph, y, nodes, folds, score, *, prepare=lambda graph, train: graph, **params):
    """Cross-validation written out, on a graph whose test labels are hidden; `folds` number the samples `nodes`."""
    found = []
    for train, test in folds:
        whole = prepare(graph, nodes[train])
        model = crf(missing_label=np.nan, **params).fit(whole, hidden(y, nodes[train]))
        known = hidden(y, nodes[train]) if params.get("transductive") else None
        proba = model.set_params(transductive=False).predict_proba(whole, known=known).values[nodes[test]]
        predicted = model.predict(whole, known=known).values[nodes[test]]
        found.append(score(y[nodes[test]].tolist(), predicted.tolist(), proba))
    return found


def accuracy(y, predicted, proba):
    return accuracy_score(y, predicted)


def all_scores(y, predicted, proba):
    return accuracy_score(y, predicted), f1_score(y, predicted, average="macro"), -log_loss(y, proba, labels=CODES)


@pytest.mark.parametrize("transductive", [False, True])
@pytest.mark.parametrize("cv", [KFold(3), StratifiedKFold(3), GroupKFold(3)], ids=lambda cv: type(cv).__name__)
def test_cross_validation_is_a_loop_written_by_hand(data, cv, transductive):
    graph, y = data
    nodes = np.flatnonzero(np.not_equal(y, None))
    X, labels, groups = graph.nodes_whole[nodes], y[nodes].astype(str), None
    if isinstance(cv, GroupKFold):
        groups = nodes // 5
    folds = list(cv.split(np.zeros(len(nodes)), labels, groups))
    model = crf(transductive=transductive)
    scoring = {"score": "accuracy", "f1": "f1_macro", "loss": "neg_log_loss", "node": node_accuracy}
    found = cross_validate(model, X, labels, cv=cv, groups=groups, scoring=scoring, error_score="raise")
    expected = by_hand(graph, y, nodes, folds, all_scores, transductive=transductive)
    for name, scores in zip(("score", "f1", "loss"), zip(*expected)):
        np.testing.assert_array_equal(found[f"test_{name}"], scores)
    np.testing.assert_array_equal(found["test_node"], found["test_score"])
    np.testing.assert_array_equal(cross_val_score(model, X, labels, cv=cv, groups=groups), found["test_score"])


def test_in_a_pipeline(data):
    """Transformers are fitted to the training nodes (and all edges), and transform all nodes."""
    graph, y = data
    nodes = np.flatnonzero(np.not_equal(y, None))
    X, labels, cv = graph.nodes_whole[nodes], y[nodes].astype(str), KFold(3)
    model = make_pipeline(NodeTransformer(StandardScaler()), EdgeTransformer(StandardScaler()), crf(transductive=True))

    def prepare(graph, train):
        x = StandardScaler().fit(graph.node_features[train]).transform(graph.node_features)
        return GraphDataset(x, graph.edges, StandardScaler().fit_transform(graph.edge_features))

    folds = list(cv.split(nodes))
    expected = by_hand(graph, y, nodes, folds, accuracy, prepare=prepare, transductive=True)
    np.testing.assert_array_equal(cross_val_score(model, X, labels, cv=cv), expected)
    best = NodeTransformer(SelectKBest(f_classif, k=1)).fit(X, labels)
    alone = SelectKBest(f_classif, k=1).fit(graph.node_features[nodes], labels)
    np.testing.assert_array_equal(best.transform(X).dataset.node_features, alone.transform(graph.node_features))
    np.testing.assert_array_equal(best.fit_transform(X, labels).node_features, alone.transform(X.node_features))


def test_searches_and_curves(data):
    graph, y = data
    nodes = np.flatnonzero(np.not_equal(y, None))
    X, labels, cv = graph.nodes_whole[nodes], y[nodes].astype(str), StratifiedKFold(3)
    folds = list(cv.split(nodes, labels))
    grid = {"C": [0.01, 1.0], "transductive": [False, True]}
    search = GridSearchCV(crf(), grid, cv=cv, error_score="raise").fit(X, labels)
    for params, score in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"]):
        assert score == np.mean(by_hand(graph, y, nodes, folds, accuracy, **params))
    assert search.predict(graph.nodes_whole).shape == (graph.n_nodes,)
    rest = np.setdiff1d(np.arange(graph.n_nodes), nodes)
    assert search.predict(graph.nodes_whole[rest]).shape == rest.shape
    sizes, _, scores = learning_curve(crf(transductive=True), X, labels, cv=cv, train_sizes=[0.5, 1.0])
    parts = [[(train[:n], test) for train, test in folds] for n in sizes]
    expected = [by_hand(graph, y, nodes, part, accuracy, transductive=True) for part in parts]
    np.testing.assert_array_equal(scores, expected)
    proba = cross_val_predict(crf(), X, labels, cv=cv, method="predict_proba")
    rows = by_hand(graph, y, nodes, folds, lambda y, predicted, proba: proba)
    for (_, test), expected in zip(folds, rows):
        np.testing.assert_array_equal(proba[test], expected)


def test_other_tools(data):
    graph, y = data
    nodes = np.flatnonzero(np.not_equal(y, None))
    X, labels = graph.nodes_whole[nodes], y[nodes].astype(str)
    folds = list(StratifiedKFold(2).split(nodes, labels))
    calibrated = CalibratedClassifierCV(crf(), cv=2, ensemble=False).fit(X, labels)
    np.testing.assert_allclose(calibrated.predict_proba(graph.nodes_whole).sum(axis=1), 1.0)
    stacking = StackingClassifier([("crf", crf())], cv=2, stack_method="predict_proba").fit(X, labels)
    meta = np.zeros((len(nodes), 3))
    for (_, test), rows in zip(folds, by_hand(graph, y, nodes, folds, lambda y, predicted, proba: proba)):
        meta[test] = rows
    np.testing.assert_allclose(stacking.final_estimator_.coef_, LogisticRegression().fit(meta, labels).coef_)
    train, test = folds[0]
    for transductive in (False, True):
        model = crf(transductive=transductive).fit(X[train], labels[train])
        found = permutation_importance(model, X[test], labels[test], n_repeats=3, random_state=0)
        assert found.importances_mean[0] > found.importances_mean[1]  # the feature with the signal


def test_selection_hides_labels_and_gathers_predictions(data):
    graph, y = data
    nodes = np.flatnonzero(np.not_equal(y, None))[::-1]  # samples in any order
    model = crf().fit(graph.nodes_whole[nodes], y[nodes].astype(str))
    expected = crf(missing_label=np.nan).fit(graph, hidden(y, nodes))
    for attribute in ("coef_", "intercept_", "edge_coef_"):
        np.testing.assert_array_equal(getattr(model, attribute), getattr(expected, attribute))
    proba = expected.predict_proba(graph)[0]
    for some in (nodes, [5, 3, 3], slice(0, 40), []):
        np.testing.assert_array_equal(model.predict_proba(graph.nodes_whole[some]), proba[some])
    known = hidden(y, nodes[:9])
    given = expected.predict_proba(graph, known=known)[0]
    np.testing.assert_array_equal(model.predict_proba(graph.nodes_whole[[8, 2]], known=known[0]), given[[8, 2]])
    right = expected.predict(graph, known=known)[0][nodes] == y[nodes]
    assert model.score(graph.nodes_whole[nodes], y[nodes].astype(str), known=known[0]) == right.mean()
    assert model.log_likelihood(graph.nodes_whole[nodes[:4]], y[nodes[:4]].astype(str)) == expected.log_likelihood(
        graph, hidden(y, nodes[:4])
    )
    part = graph.nodes_whole[nodes[:6]]
    some = y[nodes[:6]].copy()
    some[2] = None  # a sample may have a missing label, too
    model.set_params(missing_label=np.nan)
    right = expected.predict(graph)[0][nodes[:6]] == some
    assert model.score(part, some) == right[[0, 1, 3, 4, 5]].mean()


def test_known_training_labels_by_enumeration(make_data, brute_force):
    X, y = make_data("cycle", sizes=(6,), n_edge_features=1, seed=1)
    train, test = np.array([0, 3, 4]), np.array([5, 1, 2])
    model = crf(transductive=True, classes=[0, 1, 2]).fit(X.nodes_whole[train], y.values[train])
    node, edge = (scores[0] for scores in model.scores(X))
    fixed = np.full(node.shape, -np.inf)
    fixed[np.arange(6), y.values] = 0.0
    fixed[test] = 0.0
    proba = brute_force(node + fixed, X.edges, edge).node
    np.testing.assert_allclose(model.predict_proba(X.nodes_whole[test]), proba[test], rtol=0, atol=1e-12)
    np.testing.assert_allclose(model.predict_proba(X)[0], proba, rtol=0, atol=1e-12)  # graphs may be samples, too
    np.testing.assert_array_equal(model.predict(X.nodes_whole[train]), y.values[train])
    other = y.values.copy()
    other[0], other[test] = (other[0] + 1) % 3, -1  # known labels take precedence over those of training
    given = model.set_params(missing_label=-1).predict(X.nodes_whole, known=other)
    np.testing.assert_array_equal(given[train], other[train])
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X.nodes_whole), model.predict_proba(X.nodes_whole))
    model.set_params(transductive=False)
    free = brute_force(node, X.edges, edge).node
    np.testing.assert_allclose(model.predict_proba(X.nodes_whole[test]), free[test], rtol=0, atol=1e-12)


def test_several_graphs_and_weights(make_data):
    """The weights of samples are those of their graphs; graphs without samples do not matter."""
    X, y = make_data("chain", sizes=(5, 4, 6, 3))
    train = np.flatnonzero(np.isin(X.nodes.groups, [0, 2, 3]) & (np.arange(18) % 4 > 0))
    weight = np.array([2.0, 1.0, 0.5, 1.0])
    shown = np.where(np.isin(np.arange(18), train), y.values, -1)
    expected = crf(missing_label=-1).fit(X, RaggedArray(shown, X.node_ptr), sample_weight=weight)
    model = crf().fit(X.nodes_whole[train], y.values[train], sample_weight=weight[X.nodes.groups[train]])
    np.testing.assert_array_equal(model.coef_, expected.coef_)
    test = np.setdiff1d(np.arange(18), train)
    right = model.predict(X).values == y.values
    node_weight = np.arange(18.0)
    score = model.score(X.nodes_whole[test], y.values[test], sample_weight=node_weight[test])
    assert score == pytest.approx(np.average(right[test], weights=node_weight[test]), rel=1e-12)
    with pytest.raises(ValueError, match="sample_weight differs between the nodes of graph 2"):
        crf().fit(X.nodes_whole[train], y.values[train], sample_weight=np.where(train == 10, 3.0, 1.0))
    X_train, X_test, y_train, y_test = train_test_split(X.nodes_whole, y.values, random_state=0)
    assert X_train.dataset is X_test.dataset is X
    assert 0 <= crf(transductive=True).fit(X_train, y_train).score(X_test, y_test) <= 1


@pytest.mark.parametrize("objective", ["marginal", "pseudolikelihood"])
def test_weights_of_nodes(make_data, objective):
    """Where the loss is a sum over nodes, each sample has its weight, and a repeated sample counts twice."""
    X, y = make_data("chain", sizes=(5, 4, 6, 3))
    train = np.array([0, 3, 4, 6, 8, 9, 10, 13, 16, 17])
    weight = np.linspace(1.0, 3.0, 10)
    shown, weights = np.full(18, -1), np.ones(18)
    shown[train], weights[train] = y.values[train], weight
    expected = crf(objective=objective, missing_label=-1)
    expected.fit(X, RaggedArray(shown, X.node_ptr), sample_weight=RaggedArray(weights, X.node_ptr))
    model = crf(objective=objective).fit(X.nodes_whole[train], y.values[train], sample_weight=weight)
    np.testing.assert_array_equal(model.coef_, expected.coef_)
    twice = np.append(train, train[:2])
    model.fit(X.nodes_whole[twice], y.values[twice])
    weights[train] = [2.0] * 2 + [1.0] * 8
    expected.fit(X, RaggedArray(shown, X.node_ptr), sample_weight=RaggedArray(weights, X.node_ptr))
    np.testing.assert_array_equal(model.coef_, expected.coef_)
    for view in (X.nodes_whole[twice], X.nodes[twice]):
        right = model.predict(view) == y.values[twice]
        assert model.score(view, y.values[twice]) == pytest.approx(right.mean(), rel=1e-12)
    with pytest.raises(ValueError, match=r"sample_weight differs between the nodes of graph 0.*repeated nodes"):
        crf().fit(X.nodes_whole[twice], y.values[twice])


def test_weights_by_metadata_routing(make_data):
    X, y = make_data("chain", sizes=(8, 8))
    weight = np.repeat([1.0, 3.0], 8)
    with config_context(enable_metadata_routing=True):
        model = crf(transductive=True).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        found = cross_val_score(model, X.nodes_whole, y.values, cv=KFold(2), params={"sample_weight": weight})
    expected = []
    for train, test in KFold(2).split(weight):
        model = crf(transductive=True, missing_label=None).fit(X.nodes_whole[train], y.values[train], weight[train])
        expected.append(model.score(X.nodes_whole[test], y.values[test], weight[test]))
    np.testing.assert_array_equal(found, expected)


def test_known_labels_by_metadata_routing(make_data):
    """Graphs are samples here: each test graph has a few known labels."""
    X, y = make_data("chain", sizes=(5, 4, 6, 3, 5, 5))
    known = [np.where(np.arange(len(part)) % 2, part, -1) for part in y]
    scored = [np.where(np.arange(len(part)) % 2, -1, part) for part in y]
    model, cv = crf(missing_label=-1), KFold(3)
    loss = []
    for train, test in cv.split(known):
        fitted = clone(model).fit(X[train], [scored[g] for g in train])
        proba = fitted.predict_proba(X[test], known=[known[g] for g in test]).values
        flat = np.concatenate([scored[g] for g in test])
        kept = flat >= 0
        loss.append(
            [
                fitted.score(X[test], [scored[g] for g in test], known=[known[g] for g in test]),
                -np.log(proba[kept, flat[kept]]).mean(),
            ]
        )
    with config_context(enable_metadata_routing=True):
        scorer = node_scorer("neg_log_loss", missing_label=-1).set_score_request(known=True)
        alone = node_scorer("neg_log_loss", missing_label=-1)
        result = cross_validate(
            model, X, scored, cv=cv, params={"known": known}, scoring={"given": scorer, "alone": alone}
        )
        assert (result["test_given"] != result["test_alone"]).all()
        model.set_score_request(known=True)
        accuracies = cross_val_score(model, X, scored, cv=cv, params={"known": known})
    np.testing.assert_array_equal(accuracies, [row[0] for row in loss])
    np.testing.assert_allclose(-result["test_given"], [row[1] for row in loss], rtol=1e-12)


def test_baselines_see_the_samples_only(data):
    graph, y = data
    nodes = np.flatnonzero(np.not_equal(y, None))
    X, labels = graph.nodes_whole[nodes], y[nodes].astype(str)
    alone = cross_val_score(LogisticRegression(), graph.node_features[nodes], labels, cv=3)
    np.testing.assert_array_equal(cross_val_score(NodeClassifier(LogisticRegression()), X, labels, cv=3), alone)


def test_refusals(data):
    graph, y = data
    nodes = np.flatnonzero(np.not_equal(y, None))
    X, labels = graph.nodes_whole[nodes], y[nodes].astype(str)
    model = crf().fit(X, labels)
    with pytest.raises(ValueError, match=r"known has 26 labels, but X is .* whole graphs with 40 nodes"):
        model.predict(X, known=labels)
    with pytest.raises(TypeError, match="known must hold one label per sample"):
        model.predict(X, known=3)
    with pytest.raises(ValueError, match="transductive must be True or False, got 'yes'"):
        crf(transductive="yes").fit(X, labels)
    with pytest.raises(ValueError, match=r"transductive=True was set after fit.*call fit again"):
        model.set_params(transductive=True).predict(X)
    model.fit(X, labels)
    shifted = graph.with_node_features(graph.node_features + 1e-3)
    for other in (graph[[0, 0]], GraphDataset(graph.node_features, graph.edges[:, ::-1], graph.edge_features), shifted):
        with pytest.raises(ValueError, match=r"X does not contain the graphs of fit.*transductive=False"):
            model.predict(other.nodes_whole)
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[26, 40\]"):
        model.fit(X, y)
    rounded = graph.with_node_features(graph.node_features * (1 + 1e-12))
    np.testing.assert_array_equal(model.predict(rounded.nodes_whole), model.predict(graph.nodes_whole))


@pytest.mark.slow
def test_letters_of_which_some_are_hidden(shared_data):
    """OCR letters, fold 1 trains, the other folds test: hiding 30 % of the labels costs less than two points."""
    with np.load(shared_data("letters.npz")) as stored:
        pixels, labels, ptr, folds = (stored[name] for name in ("pixels", "labels", "word_ptr", "folds"))
    X, y = GraphDataset.from_sequences(RaggedArray(pixels.astype(float), ptr)), RaggedArray(labels, ptr)
    train, truth, test = X[folds == 1], y[folds == 1].values, folds != 1
    model = crf(tol=1e-4)
    full = model.fit(train, y[folds == 1]).score(X[test], y[test])
    assert full == pytest.approx(0.8167, abs=0.002)
    accuracies = []
    for seed in range(3):
        shown = np.flatnonzero(np.random.default_rng(seed).random(len(truth)) >= 0.3)
        accuracies.append(model.fit(train.nodes_whole[shown], truth[shown]).score(X[test], y[test]))
    assert np.mean(accuracies) > full - 0.02  # .8021, spread .003


@pytest.mark.slow
@pytest.mark.parametrize(("name", "accuracy"), [("cora", 0.79), ("citeseer", 0.69)])
def test_citations(shared_data, name, accuracy):
    """The split of planetoid: C is chosen on the validation nodes, and the accuracy is that of the test nodes."""
    with np.load(shared_data(f"{name}.npz")) as stored:
        words = csr_array((stored["data"], stored["indices"], stored["indptr"]), shape=stored["shape"])
        graph, y = GraphDataset(normalize(words.astype(float)), stored["edges"]), stored["labels"]
        train, validation, test = (stored[part] for part in ("train", "validation", "test"))
    model = GraphCRFClassifier(
        LinearFeatures(edge_weights="potts"),
        inference=TreeReweightedBP(tol=1e-4, max_iter=2000),  # C = 3 needs 1,100 sweeps for this accuracy
        decoding="marginal",
        transductive=True,
        classes=np.unique(y[y >= 0]),
        tol=1e-5,
    )
    nodes = np.concatenate([train, validation])
    cv = PredefinedSplit(np.repeat([-1, 0], [len(train), len(validation)]))
    search = GridSearchCV(model, {"C": [0.3, 1.0, 3.0]}, cv=cv, refit=False).fit(graph.nodes_whole[nodes], y[nodes])
    model.set_params(**search.best_params_).fit(graph.nodes_whole[train], y[train])
    test = test[y[test] >= 0]
    assert model.score(graph.nodes_whole[test], y[test]) >= accuracy  # Cora .825, Citeseer .710
