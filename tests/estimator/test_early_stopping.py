"""Early stopping: what is held out, which iterate is kept, and the scores by a loop written out."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from skstruct import GraphCRFClassifier, GraphDataset, RaggedArray
from skstruct.datasets import make_chain
from skstruct.features import LinearFeatures
from skstruct.objectives import Likelihood
from skstruct.optim import Adam, Optimizer, OptimizerState

STOPPING = {"early_stopping": True, "random_state": 0}


class Path(Optimizer):
    """Yields given parameters one after the other."""

    def __init__(self, coefs):
        self.coefs = coefs

    def iterate(self, loss, start, *, l1=None, max_iter, tol):
        yield OptimizerState(start, 0.0, 0.0)
        for number, coef in enumerate(self.coefs, 1):
            state = OptimizerState(np.array(coef), float(number), np.nan, number)
            yield state
        state.success, state.message = True, "the end of the path"
        yield state


@pytest.fixture(scope="module")
def chains():
    return make_chain(n_graphs=80, return_X_y=True, random_state=0)


def test_scores_are_those_of_the_held_out_graphs(chains):
    X, y = chains
    crf = GraphCRFClassifier(max_iter=12, n_iter_no_change=100, C=100, **STOPPING)
    with pytest.warns(ConvergenceWarning):
        crf.fit(X, y)
    held = np.sort(np.random.RandomState(0).permutation(80)[:8])
    assert crf.validation_scores_.shape == (crf.n_iter_,) == (12,)
    rest = np.setdiff1d(np.arange(80), held)
    by_hand = []
    for n_iter in range(1, 13):
        same = GraphCRFClassifier(max_iter=n_iter, C=100)
        with pytest.warns(ConvergenceWarning):
            same.fit(X[rest], y[rest])
        by_hand.append((same.predict(X[held]).values == y[held].values).mean())
    np.testing.assert_allclose(crf.validation_scores_, by_hand)
    assert crf.best_validation_score_ == crf.validation_scores_.max()
    assert crf.score(X[held], y[held]) == crf.best_validation_score_


def test_the_best_validated_iterate_is_kept(chains):
    X, y = chains
    fitted = GraphCRFClassifier().fit(X, y)
    good = fitted._model.coef
    bad = -good
    crf = GraphCRFClassifier(optimizer=Path([bad, good, bad, bad, bad, good]), n_iter_no_change=3, **STOPPING).fit(X, y)
    np.testing.assert_array_equal(crf.coef_, fitted.coef_)
    assert crf.n_iter_ == 5  # three iterations without improvement after the second
    assert crf.validation_scores_.argmax() == 1
    assert (crf.validation_scores_[2:] < crf.best_validation_score_).all()
    assert crf.loss_curve_.shape == (5,)


def test_an_increase_within_tol_is_none(chains):
    X, y = chains
    good = GraphCRFClassifier().fit(X, y)._model.coef
    path = Path([0.0 * good, -good, good, good, good])
    loose = GraphCRFClassifier(optimizer=path, n_iter_no_change=2, tol=1.0, **STOPPING).fit(X, y)
    assert loose.n_iter_ == 3  # as in MLPClassifier, the better iterate is kept although it is not counted
    tight = GraphCRFClassifier(optimizer=path, n_iter_no_change=2, tol=1e-6, **STOPPING).fit(X, y)
    assert tight.n_iter_ == 5
    np.testing.assert_array_equal(loose.coef_, tight.coef_)


def test_an_equal_score_is_no_improvement(chains):
    X, y = chains
    good = GraphCRFClassifier().fit(X, y)._model.coef
    crf = GraphCRFClassifier(optimizer=Path([good] * 20), n_iter_no_change=3, tol=0.0, **STOPPING).fit(X, y)
    assert crf.n_iter_ == 4


def test_early_stopping_is_no_failure(chains):
    X, y = chains
    crf = GraphCRFClassifier(C=1e4, n_iter_no_change=3, **STOPPING).fit(X, y)  # warnings are errors
    assert crf.n_iter_ < 1000
    assert crf._progress is None  # the state of the optimiser is kept for warm starts only


def test_without_early_stopping_the_attributes_are_none(chains):
    X, y = chains
    crf = GraphCRFClassifier(**STOPPING).fit(X, y)
    crf.set_params(early_stopping=False).fit(X, y)
    assert crf.validation_scores_ is None
    assert crf.best_validation_score_ is None


def test_no_iteration(chains):
    """The start is within `tol`: its score is reported."""
    crf = GraphCRFClassifier(tol=1e9, **STOPPING).fit(*chains)
    assert crf.validation_scores_.shape == (crf.n_iter_,) == (1,)
    assert not crf.coef_.any()


def test_names_and_defaults_are_those_of_scikit_learn():
    ours, theirs = GraphCRFClassifier().get_params(), MLPClassifier().get_params()
    for name in ("early_stopping", "validation_fraction", "n_iter_no_change"):
        assert ours[name] == theirs[name]


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"early_stopping": "yes"}, "early_stopping must be True or False, got 'yes'"),
        ({"validation_fraction": 0.0}, "validation_fraction must be a number between 0 and 1, got 0.0"),
        ({"validation_fraction": 1}, "validation_fraction must be a number between 0 and 1, got 1"),
        ({"n_iter_no_change": 0}, "n_iter_no_change must be an integer >= 1, got 0"),
        ({"n_iter_no_change": 2.5}, "n_iter_no_change must be an integer >= 1, got 2.5"),
    ],
)
def test_parameters_out_of_range(chains, parameters, problem):
    crf = GraphCRFClassifier(**parameters)
    before = dict(vars(crf))
    with pytest.raises(ValueError, match=problem):
        crf.fit(*chains)
    assert vars(crf) == before


def test_too_few_labels(make_data):
    X, y = make_data(sizes=(3, 2))
    y.values[2:] = -1
    y.values[:2] = [0, 1]
    with pytest.raises(ValueError, match="at least two graphs with labels, one to train and one to validate, got 1"):
        GraphCRFClassifier(missing_label=-1, **STOPPING).fit(X, y)
    one, labels = X[[0]], RaggedArray(np.array([0, -1, -1]), [0, 3])
    with pytest.raises(ValueError, match="at least two nodes with labels, one to train and one to validate, got 1"):
        GraphCRFClassifier(missing_label=-1, classes=[0, 1], **STOPPING).fit(one, labels)


def test_graphs_without_labels_are_not_held_out(chains):
    X, y = chains
    labels = RaggedArray(y.values.copy(), y.ptr)
    hidden = np.arange(80) % 2 == 0
    labels.values[hidden[X.topology.node_graph]] = -1
    crf = GraphCRFClassifier(missing_label=-1, validation_fraction=0.9, warm_start=True, max_iter=2, **STOPPING)
    with pytest.warns(ConvergenceWarning):
        crf.fit(X, labels)
    held = crf._progress.validation.held_out
    assert len(held) == 36
    assert not hidden[held].any()


def grid(side, rng):
    """One graph: a grid whose labels are the signs of smooth noise."""
    index = np.arange(side * side).reshape(side, side)
    pairs = [(index[:, :-1], index[:, 1:]), (index[:-1], index[1:])]
    edges = np.concatenate([np.column_stack([a.ravel(), b.ravel()]) for a, b in pairs])
    field = np.add.outer(np.sin(np.arange(side)), np.cos(np.arange(side))).ravel()
    labels = (field > 0).astype(int)
    features = field[:, None] + rng.normal(size=(side * side, 1))
    return GraphDataset(features, edges, None, [0, side * side], [0, len(edges)]), labels


def test_nodes_of_one_graph_are_hidden_and_predicted_given_the_others():
    X, labels = grid(5, np.random.default_rng(0))
    y = RaggedArray(labels, X.node_ptr)
    features = LinearFeatures("potts")
    crf = GraphCRFClassifier(features, max_iter=6, n_iter_no_change=100, validation_fraction=0.3, **STOPPING)
    with pytest.warns(ConvergenceWarning):
        crf.fit(X, y)
    held = np.sort(np.random.RandomState(0).permutation(25)[:8])
    partly = RaggedArray(labels.copy(), X.node_ptr)
    partly.values[held] = -1
    by_hand = []
    for n_iter in range(1, 7):
        same = GraphCRFClassifier(features, max_iter=n_iter, missing_label=-1)
        with pytest.warns(ConvergenceWarning):
            same.fit(X, partly)
        by_hand.append((same.predict(X, known=partly).values[held] == labels[held]).mean())
    np.testing.assert_allclose(crf.validation_scores_, by_hand)


def test_nodes_without_weight_are_not_held_out():
    X, y = [(np.arange(6.0)[:, None], [(k, k + 1) for k in range(5)])], [[0, 1, 0, 1, 0, 1]]
    crf = GraphCRFClassifier(objective="pseudolikelihood", early_stopping=True)
    for seed in range(5):
        crf.set_params(random_state=seed).fit(X, y, sample_weight=[[0, 0, 1, 2, 0, 0]])
        assert set(crf.validation_scores_) <= {0.0, 1.0}  # one node is held out
    with pytest.raises(ValueError, match="got 1 whose weight is not 0"):
        crf.fit(X, y, sample_weight=[[0, 0, 1, 0, 0, 0]])
    with pytest.raises(ValueError, match="got 1 whose weight is not 0"):
        crf.set_params(class_weight={0: 0, 1: 1}).fit([X[0]], [[0, 0, 1, 0, 0, 0]])


def test_a_table_holds_out_rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 4))
    y = (X[:, 0] > 0).astype(int)
    crf = GraphCRFClassifier(validation_fraction=0.25, **STOPPING).fit(X, y)
    assert crf.best_validation_score_ * 25 == pytest.approx(round(crf.best_validation_score_ * 25))
    assert crf.score(X, y) > 0.9


def test_weights_count_in_the_score(chains):
    """Graphs of weight 0 are neither trained on nor held out; other weights multiply the nodes of a graph."""
    X, y = chains
    weights = np.tile([0.0, 1.0], 40)
    some = GraphCRFClassifier(**STOPPING).fit(X, y, weights)
    alone = GraphCRFClassifier(**STOPPING).fit(X[1::2], y[1::2])
    np.testing.assert_array_equal(some.validation_scores_, alone.validation_scores_)
    np.testing.assert_array_equal(some.coef_, alone.coef_)
    uneven = GraphCRFClassifier(**STOPPING).fit(X, y, np.linspace(1, 3, 80))
    held = np.sort(np.random.RandomState(0).permutation(80)[:8])
    expected = uneven.score(X[held], y[held], np.linspace(1, 3, 80)[held])
    assert uneven.best_validation_score_ == pytest.approx(expected)


def test_interrupted_scoring_keeps_the_best(chains, monkeypatch):
    calls = []
    original = GraphCRFClassifier._decode

    def decode(*args):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return original(*args)

    monkeypatch.setattr(GraphCRFClassifier, "_decode", decode)
    crf = GraphCRFClassifier(C=100, **STOPPING)
    with pytest.raises(KeyboardInterrupt):
        crf.fit(*chains)
    assert len(crf.validation_scores_) == 3
    assert crf.best_validation_score_ == crf.validation_scores_.max()
    crf.set_params(warm_start=True).fit(*chains)
    whole = GraphCRFClassifier(C=100, **STOPPING).fit(*chains)
    np.testing.assert_array_equal(crf.validation_scores_, whole.validation_scores_)
    np.testing.assert_array_equal(crf.coef_, whole.coef_)


def test_interrupted_before_the_first_score(chains, monkeypatch):
    """The objectives before the last one are not scored."""
    n_calls = iter(range(1000))

    def interrupted(self, *args):
        if next(n_calls) == 3:
            raise KeyboardInterrupt
        return value_and_gradient(self, *args)

    value_and_gradient = Likelihood.value_and_gradient
    monkeypatch.setattr(Likelihood, "value_and_gradient", interrupted)
    crf = GraphCRFClassifier(objective="marginal", **STOPPING)
    with pytest.raises(KeyboardInterrupt):
        crf.fit(*chains)
    assert crf.coef_.any()
    assert crf.validation_scores_ is None
    assert crf.best_validation_score_ is None


def test_errors_number_the_graphs_of_the_data(chains):
    """Graph 79 is wrong, whatever is held out."""
    from skstruct.exceptions import UnsupportedTopology

    X, y = chains
    cycle = [(np.zeros((3, X.node_features.shape[1])), [(0, 1), (1, 2), (2, 0)])]
    joined = GraphDataset.from_graphs([*X[:20], *cycle])
    labels = RaggedArray.from_list([*y[:20], [0, 0, 0]])
    seed = next(s for s in range(20) if 20 not in np.random.RandomState(s).permutation(21)[:3])
    with pytest.raises(UnsupportedTopology, match="graph 20: inference='tree'"):
        GraphCRFClassifier(inference="tree", early_stopping=True, random_state=seed).fit(joined, labels)


def test_stochastic_optimisers(chains):
    for optimizer in ("sgd", Adam(30, learning_rate=0.05, schedule="constant")):
        crf = GraphCRFClassifier(optimizer=optimizer, n_iter_no_change=4, **STOPPING).fit(*chains)
        assert crf.best_validation_score_ > 0.7
        assert crf.validation_scores_.shape == (crf.n_iter_,)
