"""The averaged perceptron: a loop written out, and accuracies on letters."""

import numpy as np
import pytest

from skstruct import GraphCRFClassifier, GraphDataset, RaggedArray
from skstruct.datasets import make_chain
from skstruct.features import LinearFeatures
from skstruct.optim import AveragedPerceptron

NO_BIAS = LinearFeatures(fit_intercept=False)


def test_a_loop_written_out():
    """Rows of a table: one step for each mistake, and the mean of the weights after all rows of all epochs."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3))
    y = (X @ rng.normal(size=(3, 3)) + 0.5 * rng.normal(size=(40, 3))).argmax(axis=1)
    crf = GraphCRFClassifier(NO_BIAS, objective="perceptron", optimizer=AveragedPerceptron(4, random_state=3)).fit(X, y)
    order = np.random.RandomState(np.random.RandomState(3).randint(2**31 - 1))
    weights, total = np.zeros((3, 3)), np.zeros((3, 3))
    for _ in range(4):
        for i in order.permutation(40):
            best = (weights @ X[i]).argmax()
            weights[y[i]] += X[i]
            weights[best] -= X[i]
            total += weights
    np.testing.assert_allclose(crf.coef_, total / 160, atol=1e-12)


def test_it_learns_where_zero_weights_are_a_minimum():
    X, y = make_chain(n_graphs=60, return_X_y=True, random_state=0)
    crf = GraphCRFClassifier(objective="perceptron", optimizer="averaged_perceptron", random_state=0).fit(X, y)
    assert crf.coef_.any()
    assert crf.n_iter_ == 10
    assert crf.score(X, y) > GraphCRFClassifier().fit(X, y).score(X, y) - 0.03
    assert not hasattr(crf, "predict_proba")


def test_the_penalty_has_no_influence():
    X, y = make_chain(n_graphs=30, return_X_y=True, random_state=0)
    found = [
        GraphCRFClassifier(objective="perceptron", optimizer="averaged_perceptron", C=C, random_state=0).fit(X, y).coef_
        for C in (0.01, 1.0)
    ]
    np.testing.assert_allclose(*found, rtol=1e-9)


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"objective": "likelihood"}, "AveragedPerceptron needs a loss that is a maximum of linear functions"),
        ({"features": "network"}, "a linear feature map"),
        ({"l1_ratio": 0.5}, "AveragedPerceptron does not support an L1 penalty"),
        ({"optimizer": AveragedPerceptron(0)}, "n_epochs must be an integer >= 1, got 0"),
        ({"optimizer": AveragedPerceptron(batch_size=0)}, "batch_size must be an integer >= 1, got 0"),
    ],
)
def test_refusals(parameters, problem):
    crf = GraphCRFClassifier(**{"objective": "perceptron", "optimizer": "averaged_perceptron", **parameters})
    with pytest.raises(ValueError, match=problem):
        crf.fit(*make_chain(n_graphs=5, return_X_y=True, random_state=0))


@pytest.mark.slow
@pytest.mark.parametrize(("bias", "accuracy"), [(False, 0.7832), (True, 0.8019)])
def test_letters(shared_data, bias, accuracy):
    """Accuracy of an independent program after ten epochs on fold 1; ours for single orders differs by up to .004."""
    with np.load(shared_data("letters.npz")) as stored:
        pixels, ptr = stored["pixels"].astype(np.float64), stored["word_ptr"]
        labels, folds = stored["labels"], stored["folds"]
    pixels = np.column_stack([pixels, np.ones(len(pixels))]) if bias else pixels
    X, y = GraphDataset.from_sequences(RaggedArray(pixels, ptr)), RaggedArray(labels, ptr)
    train = folds == 1
    scores = [
        GraphCRFClassifier(NO_BIAS, objective="perceptron", optimizer=AveragedPerceptron(10, random_state=seed))
        .fit(X[train], y[train])
        .score(X[~train], y[~train])
        for seed in range(3)
    ]
    assert np.mean(scores) == pytest.approx(accuracy, abs=0.003)
