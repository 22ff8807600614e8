"""Scorers of folds whose classes differ from those of the model."""

import inspect
import itertools

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.cluster import KMeans
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.preprocessing import StandardScaler

from skstruct import metrics
from skstruct.data.dataset import GraphDataset
from skstruct.data.ragged import RaggedArray
from skstruct.metrics import graph_scorer, node_scorer
from skstruct.preprocessing import NodeClassifier

# ---- folds whose classes differ from those of the model


class Fixed(ClassifierMixin, BaseEstimator):
    """Gives the probabilities that it was made with; `form` "decision" has decision values, their logarithms."""

    def __init__(self, classes, table, form="proba"):
        self.classes = classes
        self.table = table
        self.form = form

    def __sklearn_is_fitted__(self):
        return True

    @property
    def classes_(self):
        return np.array(self.classes)

    def _wrap(self, X, values):
        return RaggedArray(values, X.node_ptr) if isinstance(X, GraphDataset) else values

    def predict(self, X):
        return self._wrap(X, self.classes_[self.table.argmax(axis=1)])

    def predict_proba(self, X):
        return self._wrap(X, self.table)

    def predict_log_proba(self, X):
        return self._wrap(X, np.log(self.table))


class FixedDecisions(Fixed):
    def decision_function(self, X):
        values = np.log(self.table)
        return self._wrap(X, values if len(self.classes) > 2 else values[:, 1] - values[:, 0])


FOLDS = {  # classes of the model, labels of the test graphs
    "issue": ("bcd", ["c", "cba"]),
    "lacks the first": ("abc", ["bc", "cbb"]),
    "lacks the last": ("abc", ["ab", "bba"]),
    "lacks one in the middle": ("abcd", ["aad", "dcc"]),
    "unknown first": ("bc", ["ab", "cbb"]),
    "unknown last": ("ab", ["ab", "cbb"]),
    "unknown and as many": ("abc", ["bd", "cdb"]),
    "none known": ("ab", ["cd", "ddc"]),
    "one label": ("abc", ["b", "bbb"]),
    "one label of two": ("ab", ["b", "bbb"]),
    "other label of two": ("ab", ["a", "aaa"]),
    "one class, same": ("a", ["b", "bba"]),
    "one class, unknown": ("a", ["b", "bbb"]),
    "numbers": ([2, 5, 7], [[5, 7], [9, 5, 5]]),
    "negative numbers": ([-1, 1], [[1], [-1, 1, 3]]),
    "bools": ([False, True], [[True], [True, True]]),
}


def columns_of(classes, labels, table):
    """All classes, and a column for each of them, written out."""
    wanted = sorted(set(classes) | set(labels))
    out = np.zeros((len(table), len(wanted)))
    for k, label in enumerate(classes):
        out[:, wanted.index(label)] = table[:, k]
    return wanted, out


def fold_of(name):
    classes, labels = FOLDS[name]
    classes, labels = list(classes), [list(part) for part in labels]
    flat = [label for part in labels for label in part]
    table = np.random.default_rng(3).dirichlet(np.ones(len(classes)), size=len(flat))
    X = GraphDataset(np.zeros((len(flat), 1)), node_ptr=np.cumsum([0, *map(len, labels)]))
    return X, labels, np.array(flat), Fixed(classes, table), *columns_of(classes, flat, table)


@pytest.mark.parametrize("name", FOLDS)
def test_columns_are_those_of_the_estimator(name):
    """Every metric of probabilities, against formulas on a table with a column for every class."""
    X, labels, flat, model, wanted, table = fold_of(name)
    n, at = len(flat), np.array([wanted.index(label) for label in flat.tolist()])
    clipped = np.clip(table, np.finfo(float).eps, 1 - np.finfo(float).eps)
    loss = -np.log(clipped[np.arange(n), at])
    one_hot = np.eye(len(wanted))[at]
    ptr = X.node_ptr
    for y in (labels, RaggedArray(flat, ptr)):
        assert metrics.node_log_loss(model, X, y) == pytest.approx(-loss.mean(), rel=1e-9)
        per_graph = [loss[a:b].mean() for a, b in itertools.pairwise(ptr)]
        assert graph_scorer("neg_log_loss")(model, X, y) == pytest.approx(-np.mean(per_graph), rel=1e-9)
    assert metrics.node_log_loss(model, X.nodes, flat) == pytest.approx(-loss.mean(), rel=1e-9)
    assert metrics.node_log_loss(model, X.node_features, flat) == pytest.approx(-loss.mean(), rel=1e-9)
    weight = np.array([1.0, 3.0])
    expected = np.average(loss, weights=np.repeat(weight, np.diff(ptr)))
    assert metrics.node_log_loss(model, X, labels, sample_weight=weight) == pytest.approx(-expected, rel=1e-9)
    if len(wanted) == 2 or "scale_by_half" in inspect.signature(brier_score_loss).parameters:  # else two classes only
        brier = ((one_hot - table) ** 2).sum(axis=1).mean() / (2 if len(wanted) == 2 else 1)
        assert node_scorer("neg_brier_score")(model, X, labels) == pytest.approx(-brier)
    if len(wanted) > 2:
        hits = [table[i, at[i]] > np.sort(np.delete(table[i], at[i]))[-2] for i in range(n)]  # of a known label
        for scored in (model, FixedDecisions(model.classes, model.table)):
            if (table > 0).sum(axis=1).min() > 2:
                assert node_scorer("top_k_accuracy", k=2)(scored, X, labels) == pytest.approx(np.mean(hits))
    occurring = [k for k in range(len(wanted)) if 0 < one_hot[:, k].sum() < n]
    if len(wanted) > 2 and occurring:

        def area(k, rest):
            """Fraction of pairs of a node of class k and a node of `rest` that column k puts in the right order."""
            mine, others = table[at == k, k], table[np.isin(at, rest), k]
            return np.mean((mine[:, None] > others) + 0.5 * (mine[:, None] == others))

        against_rest = [area(k, [j for j in occurring if j != k]) for k in occurring]
        ovr = node_scorer("roc_auc_ovr")
        assert ovr(model, X, labels) == pytest.approx(np.mean(against_rest))
        share = one_hot.sum(axis=0)[occurring]
        assert node_scorer("roc_auc_ovr_weighted")(model, X, labels) == pytest.approx(
            np.average(against_rest, weights=share)
        )
        pairs = [(area(j, [k]) + area(k, [j])) / 2 for j, k in itertools.combinations(occurring, 2)]
        assert node_scorer("roc_auc_ovo")(model, X, labels) == pytest.approx(np.mean(pairs))
        precision = [average_precision_score(one_hot[:, k], table[:, k]) for k in occurring]
        for scorer in (
            node_scorer("average_precision"),
            node_scorer(average_precision_score, response_method="predict_proba"),
        ):
            assert scorer(model, X, labels) == pytest.approx(np.mean(precision))
        as_function = node_scorer(roc_auc_score, response_method="predict_proba", multi_class="ovr")
        assert as_function(model, X, labels) == pytest.approx(np.mean(against_rest))


@pytest.mark.parametrize("name", FOLDS)
def test_functions_receive_the_classes_of_the_columns(name):
    X, labels, flat, model, wanted, table = fold_of(name)
    seen = []

    def metric(y_true, y_score, labels, pos_label=None):
        seen.append((y_true.tolist(), np.array(y_score), labels.tolist(), pos_label))
        return 0.0

    positive = wanted[1] if len(wanted) == 2 else None
    expected = table if len(wanted) > 2 else table[:, 1]
    node_scorer(metric, response_method="predict_proba")(model, X, labels)
    graph_scorer(metric, response_method="predict_proba")(model, X, labels)
    for (y_true, scores, classes, pos_label), rows in zip(seen, [slice(None), slice(0, len(labels[0]))]):
        assert (y_true, classes, pos_label) == (flat.tolist()[rows], wanted, positive)
        np.testing.assert_allclose(scores, expected[rows], rtol=0, atol=1e-15)
    seen.clear()
    with np.errstate(divide="ignore"):  # log 0 is -inf
        node_scorer(metric, response_method="predict_log_proba")(model, X, labels)
        np.testing.assert_allclose(seen[0][1], np.log(expected))


@pytest.mark.parametrize("pos_label", ["a", "b"])
def test_the_positive_label_chooses_the_column(pos_label):
    X, labels, flat, model, _, table = fold_of("one label of two")
    flat[:1], labels[0] = "a", ["a"]
    k = "ab".index(pos_label)
    for scored in (model, FixedDecisions(model.classes, model.table)):
        found = node_scorer("average_precision", pos_label=pos_label)(scored, X, labels)
        assert found == pytest.approx(average_precision_score(flat == pos_label, table[:, k]))
    found = node_scorer("neg_brier_score", pos_label=pos_label)(model, X, labels)
    assert found == pytest.approx(-brier_score_loss(flat == pos_label, table[:, k]))
    with pytest.raises(ValueError, match=r"pos_label.?'?c'? is not"):
        node_scorer("average_precision", pos_label="c")(model, X, labels)


def test_what_has_no_columns_of_classes_is_refused():
    X, labels, *_ = fold_of("issue")
    with pytest.raises(ValueError, match="the estimator and y have the class 'a' only; node_log_loss needs two"):
        metrics.node_log_loss(Fixed(["a"], np.ones((4, 1))), X, [["a"], ["a"] * 3])
    with pytest.raises(ValueError, match="y has strings but the classes are numbers"):
        metrics.node_log_loss(Fixed([0, 1], np.full((4, 2), 0.5)), X, labels)
    with pytest.raises(ValueError, match=r"predict_proba returned values of shape \(4, 2\) for 3 classes"):
        metrics.node_log_loss(Fixed(list("abc"), np.full((4, 2), 0.5)), X, labels)
    for estimator in (LinearRegression(), KMeans(), NodeClassifier(RidgeClassifier()), StandardScaler()):
        with pytest.raises(TypeError, match=r"node_log_loss needs a fitted classifier with predict_proba and classes_"):
            metrics.node_log_loss(estimator, X, labels)
    with pytest.raises(TypeError, match=r"graph_roc_auc needs .* with decision_function or predict_proba"):
        graph_scorer("roc_auc")(KMeans(), X, labels)


def test_a_search_where_folds_lack_classes():
    y = [list(labels) for labels in ("ab", "ab", "bb", "bc", "cb", "cc")]
    X = GraphDataset(np.arange(12.0)[:, None] % 5, node_ptr=np.arange(0, 13, 2))
    for scoring in ("neg_log_loss", "neg_brier_score", "top_k_accuracy", "average_precision", "roc_auc_ovo"):
        if scoring == "neg_brier_score" and "scale_by_half" not in inspect.signature(brier_score_loss).parameters:
            continue  # an older scikit-learn: two classes only
        scorer = node_scorer(scoring)
        search = GridSearchCV(
            NodeClassifier(LogisticRegression()),
            {"estimator__C": [0.1, 1.0]},
            cv=KFold(2),
            scoring=scorer,
            error_score="raise",
        )
        assert np.isfinite(search.fit(X, y).best_score_), scoring
