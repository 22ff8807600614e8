"""CRF against the class of sklearn-crfsuite, which calls CRFsuite."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skstruct.compat import CRF

pycrfsuite = pytest.importorskip("pycrfsuite")
sklearn_crfsuite = pytest.importorskip("sklearn_crfsuite")

ROUNDED = 6e-7  # python-crfsuite shows weights and losses with six decimals


def difference(first, second):
    return max((abs(first.get(key, 0.0) - second.get(key, 0.0)) for key in {*first, *second}), default=0.0)


def marginals(crf, X):
    return np.array([[token[label] for label in crf.classes_] for x in crf.predict_marginals(X) for token in x])


# ------------------------------------------------------------------------------------ the models
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"c2": 0.3, "all_possible_states": True},
        {"c2": 0.01, "all_possible_transitions": True, "max_iterations": 20},
        {"c2": 1, "min_freq": 3, "algorithm": "LBFGS"},
        {"c2": 0.5, "min_freq": 2.5, "all_possible_states": True, "all_possible_transitions": True},
        {"c2": 0.5, "min_freq": -1.5},
        {"c1": 0.0, "c2": 0.0, "max_iterations": 10},
    ],
    ids=str,
)
def test_same_weights_with_l2(parameters, train, test):
    expected = sklearn_crfsuite.CRF(epsilon=1e-9, delta=1e-9, **parameters).fit(*train)
    found = CRF(epsilon=1e-9, delta=1e-9, **parameters).fit(*train)
    log, other = found.training_log_, expected.training_log_
    assert log.featgen_num_features == other.featgen_num_features
    assert_allclose(log.last_iteration["loss"], other.last_iteration["loss"], rtol=1e-6)
    assert found.classes_ == expected.classes_
    assert difference(found.state_features_, expected.state_features_) < 1e-3
    assert difference(found.transition_features_, expected.transition_features_) < 1e-3
    assert found.predict(test[0]).tolist() == expected.predict(test[0]).tolist()
    assert_allclose(marginals(found, test[0]), marginals(expected, test[0]), atol=1e-3)
    assert_allclose(found.score(*test), expected.score(*test))


@pytest.mark.parametrize(
    "parameters", [{"c1": 0.5, "c2": 0.1}, {"c1": 2, "c2": 0, "all_possible_states": True}], ids=str
)
def test_the_optimum_with_l1_is_at_least_as_good(parameters, train):
    expected = sklearn_crfsuite.CRF(epsilon=1e-9, delta=1e-7, **parameters).fit(*train).training_log_
    found = CRF(epsilon=1e-9, delta=1e-7, **parameters).fit(*train)
    log = found.training_log_
    assert log.featgen_num_features == expected.featgen_num_features
    assert log.last_iteration["loss"] <= expected.last_iteration["loss"] * (1 + 1e-6)
    assert_allclose(log.last_iteration["loss"], expected.last_iteration["loss"], rtol=1e-4)
    assert len(found.state_features_) < log.featgen_num_features  # zeros are left out


@pytest.mark.parametrize("period", [3, 10])
def test_stops_when_the_objective_falls_slowly(period, train):
    rule = {"c2": 0.1, "period": period, "delta": 1e-2}
    found, expected = (kind(**rule).fit(*train).training_log_.iterations for kind in (CRF, sklearn_crfsuite.CRF))
    assert abs(len(found) - len(expected)) <= 2
    losses = [iteration["loss"] for iteration in found]
    falls = [before - after < 1e-2 * after for before, after in zip(losses, losses[period:])]
    assert falls == [False] * (len(losses) - period - 1) + [True]


def test_stops_at_a_small_gradient(train):
    found = CRF(c2=0.1, period=0, epsilon=1e-2).fit(*train).training_log_.iterations
    small = [iteration["error_norm"] <= 1e-2 * iteration["feature_norm"] for iteration in found]
    assert small == [False] * (len(small) - 1) + [True]


ONLINE = [
    {"algorithm": "ap"},
    {"algorithm": "averaged-perceptron"},
    *({"algorithm": "pa", "c": 0.3, "pa_type": kind} for kind in (0, 1, 2)),
    {"algorithm": "pa", "averaging": False, "error_sensitive": False, "pa_type": 1},
    {"algorithm": "passive-aggressive", "averaging": 1, "error_sensitive": 0},
    {"algorithm": "arow"},
    {"algorithm": "arow", "variance": 2, "gamma": 0.5},
]


@pytest.mark.parametrize("n_epochs", [1, 4, 30])
@pytest.mark.parametrize("parameters", ONLINE, ids=str)
def test_same_steps_on_one_sequence(parameters, n_epochs):
    rng = np.random.default_rng(0)  # one sequence, since CRFsuite shuffles
    X, y = [[{name: float(rng.normal()) for name in "abcd" if rng.random() < 0.8} for _ in range(6)]], ["ABACBB"]
    found, expected = (kind(max_iterations=n_epochs, **parameters).fit(X, y) for kind in (CRF, sklearn_crfsuite.CRF))
    assert difference(found.state_features_, expected.state_features_) < ROUNDED
    assert difference(found.transition_features_, expected.transition_features_) < ROUNDED
    losses = [[it["loss"] for it in crf.training_log_.iterations] for crf in (found, expected)]
    assert_allclose(losses[0][-1], losses[1][-1], atol=ROUNDED)
    assert_allclose(
        marginals(found, X), marginals(expected, X)[:, [expected.classes_.index(c) for c in found.classes_]], atol=1e-5
    )


@pytest.mark.parametrize("algorithm", ["ap", "pa", "arow"])
def test_online_algorithms_learn(algorithm, train):
    found, expected = (kind(algorithm=algorithm, max_iterations=20).fit(*train) for kind in (CRF, sklearn_crfsuite.CRF))
    assert abs(found.score(*train) - expected.score(*train)) < 0.1  # the orders of the sequences differ
    assert found.fit(*train).predict(train[0]).tolist() == found.predict(train[0]).tolist()


def test_sgd_comes_near_the_optimum(train):
    """CRFsuite shuffles by a generator of the process, and ends 4.5 to 11.5 % above the optimum, in any order."""
    best, parameters = CRF(c2=0.5).fit(*train), {"c2": 0.5, "max_iterations": 40, "calibration_eta": 0.2, "period": 5}
    sgd = CRF(algorithm="l2sgd", **parameters).fit(*train)
    assert len(sgd.training_log_.iterations) == 30
    peers = [sklearn_crfsuite.CRF(algorithm="l2sgd", **parameters).fit(*train) for _ in range(10)]
    lowest, found, *others = (crf.training_log_.last_iteration["loss"] for crf in (best, sgd, *peers))
    assert lowest < found < 1.06 * lowest
    assert found < max(others)
    assert_allclose(marginals(sgd, train[0]), marginals(best, train[0]), atol=0.2)


def test_attributes_that_come_twice_add_up():
    X, y = [[["a", "a"], ["b"], {"a": 2}, ["a", "b"]]], ["ABCA"]
    expected = sklearn_crfsuite.CRF(epsilon=1e-9, delta=1e-9).fit(X, y)
    assert difference(CRF(epsilon=1e-9, delta=1e-9).fit(X, y).state_features_, expected.state_features_) < 1e-5


# ------------------------------------------------------------------------------------ the log
def test_held_out_sequences(make_sequences, test, capsys):
    train = make_sequences(np.random.default_rng(2), 30, "ABC")
    X_dev, y_dev = [*train[0][:9], test[0][0], []], [*train[1][9:18], ["new"] * len(test[0][0]), []]
    y_dev[:9] = [[*y, *"ABCABCA"][: len(x)] for x, y in zip(X_dev[:9], y_dev)]
    found, expected = (kind(c2=0.1).fit(*train, X_dev, y_dev) for kind in (CRF, sklearn_crfsuite.CRF))
    mine, theirs = (crf.training_log_.last_iteration for crf in (found, expected))
    assert mine["scores"].keys() == theirs["scores"].keys()
    for label, score in mine["scores"].items():
        assert_allclose([x or 0 for x in score], [x or 0 for x in theirs["scores"][label]], atol=1e-4)
    for name in ("avg_precision", "avg_recall", "avg_f1", "item_accuracy_float", "instance_accuracy_float"):
        assert_allclose(mine[name], theirs[name], atol=1e-6)
    assert mine["item_accuracy"] == theirs["item_accuracy"]
    assert set(found.classes_) == set(expected.classes_)
    assert {*theirs} - {*mine} == {"linesearch_step"}
    assert capsys.readouterr().out == ""


def test_verbose(train, test, capsys):
    crf = CRF(max_iterations=3, verbose=True).fit(*train)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [["Iter", str(n)] for n in (1, 2, 3)]
    assert f"loss={crf.training_log_.iterations[1]['loss']:.2f}" in lines[1]
    CRF(max_iterations=1, verbose=True).fit(*train, *test)
    assert "F1=" in capsys.readouterr().out


@pytest.mark.parametrize(
    "parameters", [{}, {"algorithm": "ap", "max_iterations": 4}, {"c1": 0.1, "max_iterations": 7}], ids=str
)
def test_trainer_cls(parameters, train, test, capsys):
    heard = []

    class Trainer(pycrfsuite.Trainer):
        def on_featgen_end(self, log):
            heard.append(self.logparser.featgen_num_features)

        def on_iteration(self, log, info):
            heard.append(info["loss"])
            print(info["num"])

        def on_end(self, log):
            heard.append("end")

    crf = CRF(verbose=True, trainer_cls=Trainer, **parameters).fit(*train, *test)
    plain = CRF(**parameters).fit(*train, *test).training_log_
    losses = [iteration["loss"] for iteration in plain.iterations]
    assert [heard[0], heard[-1]] == [plain.featgen_num_features, "end"]
    assert_allclose(heard[1:-1], losses, atol=ROUNDED)
    assert f"{len(losses)}\n" in capsys.readouterr().out
    parsed = crf.training_log_
    assert type(parsed).__name__ == "TrainLogParser"
    for mine, theirs in zip(plain.iterations, parsed.iterations):
        assert {*mine} == {*theirs}
        assert_allclose(mine["avg_f1"], theirs["avg_f1"], atol=1e-6)
        assert mine["item_accuracy"] == theirs["item_accuracy"]
        assert [score[:3] for score in mine["scores"].values()] == [score[:3] for score in theirs["scores"].values()]
    assert pickle.loads(pickle.dumps(crf.training_log_)).iterations == parsed.iterations
