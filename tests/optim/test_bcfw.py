"""Block-coordinate Frank-Wolfe: its bounds hold, and others' solvers find the same minima."""

import numpy as np
import pytest
from sklearn.svm import LinearSVC

from skstruct import GraphCRFClassifier, GraphDataset, RaggedArray
from skstruct.datasets import make_chain
from skstruct.features import LinearFeatures
from skstruct.objectives import Hinge
from skstruct.optim import BCFW
from skstruct.testing._optimizers import SupportVectors

NO_BIAS = LinearFeatures(fit_intercept=False)


class Noting(BCFW):
    """Keeps value and bound of the last state."""

    seen: list = []

    def iterate(self, loss, start, **settings):
        for state in super().iterate(loss, start, **settings):
            self.seen[:] = [state.value, state.bound, state.n_iter]
            yield state


@pytest.fixture(scope="module")
def chains():
    return make_chain(n_graphs=40, return_X_y=True, random_state=0)


def test_bounds_enclose_the_minimum_and_converge():
    loss = SupportVectors(0)
    minimum = loss(loss.solution())[0]
    gaps, last = [], -np.inf
    for state in BCFW(gap=1e-6, random_state=0).iterate(loss, np.ones(5), max_iter=2000, tol=0.0):
        assert state.bound <= minimum + 1e-9
        assert state.value >= minimum - 1e-9
        assert state.bound >= last  # a step never lowers the dual
        last = state.bound
        gaps.append(state.gap)
    assert state.success
    assert state.message.startswith("duality gap")
    assert gaps[-1] <= 1e-6 * state.value


@pytest.mark.parametrize("gap", [0.1, 1e-3])
def test_the_gap_ends_the_iterations(gap):
    loss = SupportVectors(1)
    result = BCFW(gap=gap, random_state=0).minimize(loss, np.zeros(5), max_iter=2000, tol=0.0)
    assert 0 <= result.state.gap <= gap * result.fun
    assert result.fun == loss(result.x)[0]
    by_tol = BCFW(gap=0.0, random_state=0).minimize(loss, np.zeros(5), max_iter=2000, tol=gap)
    assert 0 <= by_tol.state.gap <= gap


def test_rows_of_a_table_are_the_machine_of_crammer_and_singer():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 4))
    y = (X @ rng.normal(size=(4, 3)) + rng.normal(size=(80, 3))).argmax(axis=1)
    theirs = LinearSVC(C=0.5, multi_class="crammer_singer", fit_intercept=False, tol=1e-8, max_iter=100_000).fit(X, y)
    ours = GraphCRFClassifier(NO_BIAS, objective="hinge", optimizer=BCFW(gap=1e-5), C=0.5, random_state=0).fit(X, y)

    def value(coef):
        scores = X @ coef.T
        margin = scores + 1 - np.eye(3)[y]
        return 0.5 * (coef**2).sum() + 0.5 * (margin.max(axis=1) - scores[np.arange(80), y]).sum()

    assert ours.loss_curve_[-1] == pytest.approx(value(ours.coef_), rel=1e-9)
    assert value(ours.coef_) == pytest.approx(value(theirs.coef_), rel=2e-5)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=0.02)


def test_chains_against_subgradient_descent(chains):
    """A general method comes near the minimum from above, and never below the bound."""
    X, y = chains
    crf = GraphCRFClassifier(NO_BIAS, objective=Hinge(), optimizer=Noting(gap=1e-3), C=0.1, random_state=0).fit(X, y)
    value, bound, n_iter = Noting.seen
    slow = GraphCRFClassifier(NO_BIAS, objective="hinge", optimizer="sgd", C=0.1, random_state=0).fit(X, y)
    scale = 0.1 * X.n_nodes
    slow_value = min(slow.loss_curve_[-1], np.inf) / scale
    assert bound <= slow_value + 1e-9
    assert value <= slow_value * 1.01
    assert crf.n_iter_ == n_iter
    assert crf.score(X, y) > 0.6


def test_larger_mini_batches_reach_the_same_minimum(chains):
    X, y = chains
    found = [
        GraphCRFClassifier(NO_BIAS, objective="hinge", optimizer=BCFW(2e-3, batch_size=size), C=0.05, random_state=0)
        .fit(X, y)
        .loss_curve_[-1]
        for size in (1, 4)
    ]
    assert found[1] == pytest.approx(found[0], rel=2e-3)


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"features": "linear"}, "BCFW needs an L2 penalty on every parameter, but 3 have none, e.g. intercepts"),
        ({"objective": "likelihood"}, "BCFW needs a loss that is a maximum of linear functions"),
        ({"features": "network"}, "BCFW needs a loss that is a maximum of linear functions"),
        ({"l1_ratio": 0.5}, "BCFW does not support an L1 penalty"),
        ({"missing_label": 0}, "all labels known"),
        ({"optimizer": BCFW(gap=-1)}, "gap must be a number >= 0, got -1"),
        ({"optimizer": BCFW(batch_size=0)}, "batch_size must be an integer >= 1, got 0"),
    ],
)
def test_refusals(chains, parameters, problem):
    crf = GraphCRFClassifier(**{"features": NO_BIAS, "objective": "hinge", "optimizer": "bcfw", **parameters})
    before = dict(vars(crf))
    with pytest.raises(ValueError, match=problem):
        crf.fit(*chains)
    assert vars(crf) == before


@pytest.mark.slow
@pytest.mark.parametrize(("bias", "interval"), [(False, (246.067, 246.213)), (True, (230.273, 230.420))])
def test_letters(shared_data, bias, interval):
    """An independent program has enclosed the minima of the structured hinge on fold 1, C = 0.1."""
    with np.load(shared_data("letters.npz")) as stored:
        pixels, ptr = stored["pixels"].astype(np.float64), stored["word_ptr"]
        labels, folds = stored["labels"], stored["folds"]
    pixels = np.column_stack([pixels, np.ones(len(pixels))]) if bias else pixels
    X, y = GraphDataset.from_sequences(RaggedArray(pixels, ptr)), RaggedArray(labels, ptr)
    X, y = X[folds == 1], y[folds == 1]
    GraphCRFClassifier(NO_BIAS, objective="hinge", optimizer=Noting(gap=0.01), C=0.1, random_state=0).fit(X, y)
    value, bound, _ = Noting.seen
    scale = 0.1 * X.n_nodes
    assert bound * scale <= interval[1]
    assert interval[0] <= value * scale <= interval[1] * 1.01
