"""Optima and accuracies that others' programs have found on real data."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from skstruct import GraphCRFClassifier, GraphDataset, RaggedArray
from skstruct.features import LinearFeatures
from skstruct.optim import NewtonCG


@pytest.fixture(scope="module")
def letters(shared_data):
    """Words of the OCR data with a column of ones, and their folds."""
    with np.load(shared_data("letters.npz")) as stored:
        pixels, ptr = stored["pixels"].astype(np.float64), stored["word_ptr"]
        labels, folds = stored["labels"], stored["folds"]
    pixels = np.column_stack([pixels, np.ones(len(pixels))])  # the golden optima penalise the bias
    return GraphDataset.from_sequences(RaggedArray(pixels, ptr)), RaggedArray(labels, ptr), folds


# Minima of -LL + c2 ||w||², on which two independent programs agree (chains, all 26 x 26 transitions, no
# weights of starts and ends), trained on fold 1.
@pytest.mark.parametrize(("c2", "minimum"), [(0.1, 1128.4991), (1.0, 2698.7732), (3.0, 3997.4737)])
def test_letters(letters, c2, minimum):
    X, y, folds = letters
    crf = GraphCRFClassifier(LinearFeatures(fit_intercept=False), C=1 / (2 * c2)).fit(X[folds == 1], y[folds == 1])
    assert crf.loss_curve_[-1] * 2 * c2 == pytest.approx(minimum, abs=1e-3)


class Counting(NewtonCG):
    """Newton's method that keeps its last state."""

    def iterate(self, loss, start, *, l1=None, max_iter, tol):
        for self.last in super().iterate(loss, start, l1=l1, max_iter=max_iter, tol=tol):
            yield self.last


def test_newton_on_letters(shared_data):
    """With a free intercept, as by default: an optimum that L-BFGS finds in 278 iterations."""
    with np.load(shared_data("letters.npz")) as stored:
        ptr, chosen = stored["word_ptr"], stored["folds"] == 1
        X = GraphDataset.from_sequences(RaggedArray(stored["pixels"].astype(np.float64), ptr))[chosen]
        y = RaggedArray(stored["labels"], ptr)[chosen]
    newton = Counting()
    crf = GraphCRFClassifier(optimizer=newton, C=0.5, tol=1e-6).fit(X, y)
    assert crf.loss_curve_[-1] == pytest.approx(1252.977881, rel=1e-9)
    assert crf.n_evaluations_ <= 20
    assert newton.last.n_products <= 400


def test_accuracy_on_letters(letters):
    X, y, folds = letters
    crf = GraphCRFClassifier(LinearFeatures(fit_intercept=False), C=0.5, tol=1e-9)
    crf.fit(X[folds == 1], y[folds == 1])
    X, y = X[folds != 1], y[folds != 1]
    assert crf.score(X, y) == pytest.approx(0.8076, abs=5e-5)
    assert crf.set_params(decoding="marginal").score(X, y) == pytest.approx(0.8065, abs=5e-5)


def test_snakes(shared_data):
    """Only edge features tell the parts of a snake apart; loopy belief propagation can reach these."""
    with np.load(shared_data("snakes.npz")) as stored:
        parts = {
            part: (
                GraphDataset(
                    stored[f"{part}_node_features"],
                    stored[f"{part}_edges"],
                    csr_array(stored[f"{part}_edge_features"].astype(np.float64)),
                    stored[f"{part}_node_ptr"],
                    stored[f"{part}_edge_ptr"],
                ),
                RaggedArray(stored[f"{part}_labels"], stored[f"{part}_node_ptr"]),
            )
            for part in ("train", "test")
        }
    crf = GraphCRFClassifier(inference="loopy_bp", C=4, n_jobs=2).fit(*parts["train"])
    X, y = parts["test"]
    right = crf.predict(X).values == y.values
    assert right.mean() >= 0.999
    assert right[y.values > 0].mean() >= 0.99
    report = crf.inference_report(X)
    assert set(report["backend"]) == {"loopy_bp"}
    assert report["converged"].all()
