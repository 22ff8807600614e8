"""Adam: an epoch written out, its schedules, and parameters out of range."""

import math

import numpy as np
import pytest

from skstruct import GraphCRFClassifier
from skstruct.datasets import make_chain
from skstruct.optim import Adam
from skstruct.testing._optimizers import LeastSquares


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_two_epochs_written_out(schedule):
    """Algorithm 1 of Kingma and Ba, with the rate at the beginning of each step."""
    loss, n_epochs = LeastSquares(0), 2
    result = Adam(n_epochs, learning_rate=0.03, schedule=schedule, betas=(0.8, 0.95), random_state=1).minimize(
        loss, np.ones(5), max_iter=10, tol=0.0
    )
    order = np.random.RandomState(np.random.RandomState(1).randint(2**31 - 1))
    theta, m, v, t = np.ones(5), np.zeros(5), np.zeros(5), 0
    n_steps = n_epochs * loss.n_batches
    for _ in range(n_epochs):
        for b in order.permutation(loss.n_batches):
            fraction = t / n_steps
            rate = {"constant": 1.0, "linear": 1 - fraction, "cosine": (1 + math.cos(math.pi * fraction)) / 2}[schedule]
            t += 1
            g = loss.n_batches * loss.batch(b, theta)[1] + loss.l2 * theta
            m = 0.8 * m + 0.2 * g
            v = 0.95 * v + 0.05 * g**2
            theta = theta - 0.03 * rate * (m / (1 - 0.8**t)) / (np.sqrt(v / (1 - 0.95**t)) + 1e-8)
    np.testing.assert_allclose(result.x, theta, rtol=1e-10)
    assert result.fun == loss(result.x)[0]


def test_steps_upwards_return_the_start():
    loss = LeastSquares(0)
    best = loss.solution() + 1e-6
    result = Adam(2, learning_rate=1.0, random_state=0).minimize(loss, best, max_iter=10, tol=0.0)
    assert not result.success
    assert "the steps led upwards, with learning_rate=1" in result.message
    np.testing.assert_array_equal(result.x, best)


@pytest.mark.parametrize(
    ("optimizer", "problem"),
    [
        (Adam(n_epochs=0), "n_epochs must be an integer >= 1, got 0"),
        (Adam(batch_size=1.5), "batch_size must be an integer >= 1, got 1.5"),
        (Adam(learning_rate=0.0), "learning_rate must be a positive number, got 0.0"),
        (Adam(learning_rate="adaptive"), "learning_rate must be a positive number, got 'adaptive'"),
        (Adam(epsilon=np.nan), "epsilon must be a positive number, got nan"),
        (Adam(schedule="step"), r"schedule must be one of \['constant', 'linear', 'cosine'\], got 'step'"),
        (Adam(betas=(0.9, 1.0)), r"betas must be two numbers in \[0, 1\), got \(0.9, 1.0\)"),
        (Adam(betas=0.9), r"betas must be two numbers in \[0, 1\), got 0.9"),
        (Adam(betas=("a", "b")), r"betas must be two numbers in \[0, 1\), got \('a', 'b'\)"),
        (Adam(schedule=["linear"]), r"schedule must be one of .*, got \['linear'\]"),
    ],
)
def test_parameters_out_of_range(optimizer, problem):
    with pytest.raises(ValueError, match=problem):
        GraphCRFClassifier(optimizer=optimizer).fit(np.eye(4), [0, 1, 0, 1])


def test_it_trains_a_network_from_its_random_start():
    X, y = make_chain(n_graphs=60, return_X_y=True, random_state=0)
    crf = GraphCRFClassifier("network", optimizer="adam", random_state=0).fit(X, y)
    assert crf.score(X, y) > GraphCRFClassifier().fit(X, y).score(X, y)


@pytest.mark.slow
def test_letters_with_a_network(shared_data):
    """At least .85 within 60 epochs on one fold, with the default settings."""
    from skstruct import GraphDataset, RaggedArray
    from skstruct.features import NetworkFeatures

    with np.load(shared_data("letters.npz")) as stored:
        pixels, ptr = stored["pixels"].astype(np.float64), stored["word_ptr"]
        labels, folds = stored["labels"], stored["folds"]
    X, y = GraphDataset.from_sequences(RaggedArray(pixels, ptr)), RaggedArray(labels, ptr)
    train = folds == 1
    features = NetworkFeatures((128,), activation="tanh")
    crf = GraphCRFClassifier(features, optimizer="adam", C=0.5, random_state=0).fit(X[train], y[train])
    assert crf.n_iter_ == 60
    assert crf.score(X[~train], y[~train]) >= 0.85
