"""Scorers of nodes and of graphs."""

import pickle
from functools import partial

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, get_scorer, get_scorer_names, log_loss
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    LearningCurveDisplay,
    cross_val_score,
    cross_validate,
    learning_curve,
)

from skstruct import metrics
from skstruct.data.dataset import GraphDataset
from skstruct.data.graph_input import as_dataset, is_graph_input
from skstruct.data.labels import flatten_labels
from skstruct.data.node_view import NodeView
from skstruct.data.ragged import RaggedArray, is_ragged
from skstruct.metrics import METRICS, graph_scorer, node_scorer

"""Scorers of nodes and of graphs."""


NODE_SCORERS = [name for name in metrics.READY if not name.startswith("entity")]
SIZES = np.array([3, 1, 5, 2, 4, 2, 6, 3])


class NodeByNode(ClassifierMixin, BaseEstimator):
    """Logistic regression of the nodes; ragged for graphs, as the real classifier is."""

    def __init__(self, C=1.0):
        self.C = C

    def _flat(self, X):
        if isinstance(X, NodeView):
            return X.node_features, None
        if is_graph_input(X):
            X = as_dataset(X)
            return X.node_features, X.node_ptr
        return X, None

    def fit(self, X, y, sample_weight=None):
        x, ptr = self._flat(X)
        y = y if ptr is None else flatten_labels(y, ptr)
        self.weighted_ = sample_weight is not None
        self.model_ = LogisticRegression(C=self.C).fit(x, y)
        self.classes_ = self.model_.classes_
        return self

    def _call(self, X, method):
        x, ptr = self._flat(X)
        values = getattr(self.model_, method)(x)
        return values if ptr is None else RaggedArray(values, ptr)

    def predict(self, X):
        return self._call(X, "predict")

    def predict_proba(self, X):
        return self._call(X, "predict_proba")

    def decision_function(self, X):
        return self._call(X, "decision_function")


@pytest.fixture(params=[2, 3])
def data(request):
    rng = np.random.default_rng(0)
    y = np.arange(SIZES.sum()) % request.param
    x = rng.normal(size=(len(y), 3))
    x[:, 0] += y
    ptr = np.concatenate([[0], np.cumsum(SIZES)])
    return GraphDataset(x, node_ptr=ptr), RaggedArray(y, ptr)


@pytest.fixture
def fitted(data):
    return NodeByNode().fit(*data)


def sklearn_names(n_classes):
    binary = {"f1", "precision", "recall", "jaccard", "roc_auc", "average_precision", "neg_brier_score"}
    known = set(METRICS) & set(get_scorer_names())
    return sorted(known - ({"top_k_accuracy"} if n_classes == 2 else binary))


def test_names_are_those_of_scikit_learn():
    assert set(METRICS) - set(get_scorer_names()) == {"exact_match"}


def test_node_scorers_are_scikit_learns_on_the_nodes(data, fitted):
    X, y = data
    weight = np.arange(1.0, 9.0)
    for name in sklearn_names(len(fitted.classes_)):
        expected = get_scorer(name)(fitted, X.node_features, y.values)
        assert node_scorer(name)(fitted, X, y) == pytest.approx(expected), name
        assert node_scorer(name)(fitted, X.nodes, y.values) == pytest.approx(expected), name
        assert node_scorer(name)(fitted, X.node_features, y.values) == pytest.approx(expected), name
        if name.startswith("roc_auc_ovo"):
            continue  # takes no weights
        per_node = np.repeat(weight, SIZES)
        expected = get_scorer(name)(fitted, X.node_features, y.values, sample_weight=per_node)
        for w in (weight, RaggedArray(per_node, X.node_ptr)):
            assert node_scorer(name)(fitted, X, y, sample_weight=w) == pytest.approx(expected), name


@pytest.mark.parametrize("form", ["ragged", "lists", "arrays", "objects"])
def test_forms_of_labels(data, fitted, form):
    X, y = data
    labels = {"ragged": y, "lists": y.tolist(), "arrays": list(y), "objects": np.asarray(y)}[form]
    right = fitted.predict(X).values == y.values
    assert metrics.node_accuracy(fitted, X, labels) == pytest.approx(right.mean())
    per_graph = [part.mean() for part in RaggedArray(right, X.node_ptr)]
    assert metrics.graph_macro_accuracy(fitted, X, labels) == pytest.approx(np.mean(per_graph))
    assert metrics.graph_exact_match(fitted, X, labels) == np.mean(np.equal(per_graph, 1))


def test_ready_made(data, fitted):
    X, y = data
    predicted, proba = fitted.predict(X).values, fitted.predict_proba(X).values
    assert metrics.node_f1_macro(fitted, X, y) == pytest.approx(f1_score(y.values, predicted, average="macro"))
    assert metrics.node_log_loss(fitted, X, y) == pytest.approx(-log_loss(y.values, proba))


def test_graph_weights(data, fitted):
    X, y = data
    weight = np.zeros(8)
    weight[2] = 3.0
    one = accuracy_score(y[2], fitted.predict(X)[2])
    assert metrics.graph_macro_accuracy(fitted, X, y, sample_weight=weight) == one
    with pytest.raises(ValueError, match=r"one number per graph, shape \(8,\), got shape \(26,\)"):
        metrics.graph_macro_accuracy(fitted, X, y, sample_weight=np.ones(26))


def test_functions_and_arguments(data, fitted):
    X, y = data
    scorer = node_scorer(f1_score, average="micro")
    assert scorer(fitted, X, y) == pytest.approx(accuracy_score(y.values, fitted.predict(X).values))
    loss = node_scorer(log_loss, response_method="predict_proba", greater_is_better=False)
    assert loss(fitted, X, y) == pytest.approx(metrics.node_log_loss(fitted, X, y))
    assert node_scorer("f1_macro", labels=[0])(fitted, X, y) == pytest.approx(
        f1_score(y.values, fitted.predict(X).values, labels=[0], average="macro")
    )
    assert graph_scorer(lambda t, p: float(len(t)))(fitted, X, y) == SIZES.mean()


@pytest.mark.parametrize("make", [node_scorer, graph_scorer])
def test_unknown_name(make):
    with pytest.raises(ValueError, match="unknown metric 'f1_makro'; known are accuracy, average_precision"):
        make("f1_makro")


@pytest.mark.parametrize("missing", [-1, np.nan, "?"])
def test_missing_labels_are_left_out(data, fitted, missing):
    X, y = data
    labels = [part.astype(object) for part in y]
    labels[0][:] = missing
    labels[4][1] = missing
    kept = np.ones(26, bool)
    kept[[0, 1, 2, X.node_ptr[4] + 1]] = False
    right = fitted.predict(X).values == y.values
    assert node_scorer("accuracy", missing_label=missing)(fitted, X, labels) == pytest.approx(right[kept].mean())
    expected = [right[a:b][kept[a:b]].mean() for a, b in zip(X.node_ptr[1:-1], X.node_ptr[2:])]
    scorer = graph_scorer("accuracy", missing_label=missing)
    assert scorer(fitted, X, labels) == pytest.approx(np.mean(expected))
    weight = np.arange(8.0)
    assert scorer(fitted, X, labels, sample_weight=weight) == pytest.approx(np.average(expected, weights=weight[1:]))
    with pytest.raises(ValueError, match="no labelled node to score"):
        scorer(fitted, X[:1], labels[:1])


@pytest.mark.parametrize("scorer", [metrics.node_accuracy, metrics.graph_exact_match])
def test_zero_weights(data, fitted, scorer):
    X, y = data
    with pytest.raises(ValueError, match="sample_weight is zero for everything that is to be scored"):
        scorer(fitted, X, y, sample_weight=np.zeros(8))


def test_refusals(data, fitted):
    X, y = data
    with pytest.raises(ValueError, match="but the predictions are flat"):
        metrics.node_accuracy(fitted, X.node_features, y)
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[25, 26\]"):
        metrics.node_accuracy(fitted, X.node_features, y.values[1:])
    with pytest.raises(ValueError, match=r"RaggedArray\(y, X.node_ptr\)"):
        metrics.node_accuracy(fitted, X, y.values)
    with pytest.raises(ValueError, match=r"graph 0 has 3 nodes but y\[0\] has 1 values"):
        metrics.node_accuracy(fitted, X[:1], y[1:2])
    with pytest.raises(
        ValueError, match=r"one number per sample, shape \(8,\), or one array per graph, got shape \(3,\)"
    ):
        metrics.node_accuracy(fitted, X, y, sample_weight=np.ones(3))


def test_pickle_and_repr(data, fitted):
    X, y = data
    for name in NODE_SCORERS:
        scorer = getattr(metrics, name)
        assert pickle.loads(pickle.dumps(scorer))(fitted, X, y) == scorer(fitted, X, y)
        assert "make_scorer" in repr(scorer)


def test_cross_validation(data):
    X, y = data
    scoring = {
        "accuracy": metrics.node_accuracy,
        "log_loss": metrics.node_log_loss,
        "all": metrics.graph_exact_match,
    }
    result = cross_validate(NodeByNode(), X, y, cv=2, scoring=scoring, error_score="raise")
    assert (result["test_accuracy"] > 0.3).all()
    assert is_ragged(y.tolist())
    search = GridSearchCV(NodeByNode(), {"C": [0.1, 1.0]}, cv=2, scoring=metrics.node_f1_macro, error_score="raise")
    assert search.fit(X, y).best_score_ > 0.2
    nodes = cross_val_score(
        NodeByNode(),
        X.nodes,
        y.values,
        groups=X.nodes.groups,
        cv=GroupKFold(2),
        scoring=metrics.node_accuracy,
        error_score="raise",
    )
    assert nodes.shape == (2,)


def test_names():
    for name in NODE_SCORERS:
        scorer = getattr(metrics, name)
        assert scorer.__name__ == pickle.loads(pickle.dumps(scorer)).__name__ == name
    assert node_scorer("f1_micro").__name__ == "node_f1_micro"
    assert graph_scorer(f1_score).__name__ == "graph_f1_score"
    assert node_scorer(partial(f1_score, average="macro")).__name__ == "node_partial"


@pytest.mark.parametrize("data", [3], indirect=True)
@pytest.mark.parametrize("name", NODE_SCORERS)
def test_every_tool(data, name):
    """All ready scorers, by object; `entity_f1` is tested with sequences of entities."""
    pytest.importorskip("matplotlib")
    X, y = data
    options = {"cv": 2, "scoring": getattr(metrics, name), "error_score": "raise"}
    expected = options["scoring"](NodeByNode().fit(X[4:], y[4:]), X[:4], y[:4])  # the first fold
    assert cross_validate(NodeByNode(), X, y, **options)["test_score"][0] == expected
    search = GridSearchCV(NodeByNode(), {"C": [0.1, 1.0]}, **options).fit(X, y)
    assert search.score(X, y) == options["scoring"](search.best_estimator_, X, y)
    sizes = {"train_sizes": [0.5, 1.0]}
    _, _, test = learning_curve(NodeByNode(), X, y, **sizes, **options)
    assert test[-1, 0] == expected
    display = LearningCurveDisplay.from_estimator(NodeByNode(), X, y, **sizes, **options)
    assert display.ax_.get_ylabel() == name.replace("_", " ").capitalize()


def test_metadata_routing(data):
    X, y = data
    weight = np.r_[np.ones(4), np.zeros(4)]
    with config_context(enable_metadata_routing=True):
        scorer = node_scorer("accuracy").set_score_request(sample_weight=True)
        model = NodeByNode().set_fit_request(sample_weight=True)
        params = {"sample_weight": np.ones(8)}
        result = cross_validate(model, X, y, scoring=scorer, params=params, cv=2, return_estimator=True)
        assert all(m.weighted_ for m in result["estimator"])
        with pytest.raises(ValueError, match="sample_weight is zero"):
            cross_validate(model, X, y, scoring=scorer, params={"sample_weight": weight}, cv=2, error_score="raise")
