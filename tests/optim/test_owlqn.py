"""OWL-QN: parameters without an L1 term are free, and a known optimum on text."""

import gzip

import numpy as np
import pytest

from skstruct import GraphCRFClassifier
from skstruct.datasets import make_chain
from skstruct.features import LinearFeatures
from skstruct.optim import LBFGS, OWLQN
from skstruct.preprocessing import TokenTemplates


def test_parameters_without_an_l1_term_cross_zero():
    """Only those with an L1 term stop at zero within a step."""
    target = np.array([-2.0, -2.0])
    points = []

    def square(x):
        points.append(x.copy())
        return 0.5 * ((x - target) ** 2).sum(), x - target

    result = OWLQN().minimize(square, np.array([0.5, 0.5]), l1=np.array([0.0, 0.25]), max_iter=20, tol=1e-9)
    np.testing.assert_allclose(result.x, [-2.0, -1.75], atol=1e-8)
    first = points[1]
    assert first[0] < 0
    assert first[1] == 0


def test_lbfgs_is_the_same_with_an_l1_term():
    X, y = make_chain(n_graphs=40, return_X_y=True, random_state=0)
    ours, theirs = (GraphCRFClassifier(optimizer=o, l1_ratio=0.4).fit(X, y) for o in (OWLQN(), LBFGS()))
    np.testing.assert_array_equal(ours.coef_, theirs.coef_)
    assert ours.n_evaluations_ == theirs.n_evaluations_


def test_few_evaluations_near_the_minimum():
    """Directions without the components that ascend would be slow."""
    rng = np.random.default_rng(0)
    x = (rng.random((200, 300)) < 0.02).astype(float)
    signs = np.where(x @ rng.normal(size=300) + 0.5 * rng.normal(size=200) > 0, 1.0, -1.0)
    penalty = 0.01 * np.abs(x.T @ signs).max()

    def logistic(coef):
        margin = signs * (x @ coef)
        return np.logaddexp(0, -margin).sum(), -x.T @ (signs / (1 + np.exp(margin)))

    found = OWLQN().minimize(logistic, np.zeros(300), l1=np.full(300, penalty), max_iter=1000, tol=1e-6)
    assert found.success
    assert found.nfev < 200  # 642 with the directions of Andrew and Gao at all iterations
    gradient = logistic(found.x)[1]
    used = found.x != 0
    np.testing.assert_allclose(gradient[used], -penalty * np.sign(found.x[used]), atol=2e-6)
    assert (np.abs(gradient[~used]) <= penalty + 2e-6).all()


@pytest.mark.slow
def test_chunking(shared_data):
    """CRFsuite ends at 3561.412 with c1 = 1 on the first 1,000 sentences, words and tags of five positions."""
    sentences, labels, words, chunks = [], [], [], []
    with gzip.open(shared_data("conll2000.train.txt.gz"), "rt", encoding="utf-8") as file:
        for line in file:
            if line.strip():
                word, tag, chunk = line.split()
                words.append((word, tag))
                chunks.append(chunk)
            elif words:
                sentences.append(words)
                labels.append(chunks)
                words, chunks = [], []
    templates = TokenTemplates(["w[-2..2]", "pos[-2..2]", "__BOS__", "__EOS__"], columns=["w", "pos"])
    X = templates.fit_transform(sentences[:1000])
    features = LinearFeatures("observed", node_weights="observed", fit_intercept=False)
    crf = GraphCRFClassifier(features, optimizer="owlqn", l1_ratio=1.0).fit(X, labels[:1000])
    assert crf.loss_curve_[-1] == pytest.approx(3561.41, abs=0.1)
    assert np.count_nonzero(crf.coef_.data) + np.count_nonzero(crf.edge_coef_) < 1600
    assert crf.n_evaluations_ < 1000
