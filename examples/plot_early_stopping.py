"""
Early stopping
==============

A model with little regularisation fits its training words better and better, while its accuracy on other words falls.
``early_stopping=True`` holds out a fraction of the training words, scores each iterate on them, and keeps the best one.

The data are two folds of the OCR letters: fold 1 is for training, and fold 0 for test. The test words choose nothing;
they show what happens. A stronger penalty, which cross-validation would choose, is better still: early stopping is for
trainings that are too expensive to repeat, and for networks.
"""

import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skstruct import GraphCRFClassifier
from skstruct.datasets import load_letters

# %%
# A training that stops, and one that does not
# --------------------------------------------

train, test = load_letters(folds=1), load_letters(folds=0)
X, y = train.data, train.target
settings = {"C": 1000, "random_state": 0, "n_jobs": 2}
stopped = GraphCRFClassifier(early_stopping=True, validation_fraction=0.2, n_iter_no_change=20, **settings).fit(X, y)
best = int(stopped.validation_scores_.argmax()) + 1
print(f"stopped after {stopped.n_iter_} iterations, kept iterate {best}")

# %%
# A training with ``warm_start`` can be continued. Each call of ``fit`` makes ``max_iter`` more iterations, with the
# same results as one long training. The program can thus measure the test accuracy of each iterate.

N_ITER = 100
whole, test_scores = GraphCRFClassifier(max_iter=1, warm_start=True, **settings), []
with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):  # each call ends before the minimum
    for _ in range(N_ITER):
        test_scores.append(whole.fit(X, y).score(test.data, test.target))

penalised = GraphCRFClassifier(C=0.5).fit(X, y)
print(f"test accuracy with early stopping:    {stopped.score(test.data, test.target):.4f}")
print(f"test accuracy after {N_ITER} iterations:  {test_scores[-1]:.4f}")
print(f"test accuracy of the optimum, C=0.5:  {penalised.score(test.data, test.target):.4f}")

# %%
# Accuracy in the course of training
# ----------------------------------

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
iterations = np.arange(1, N_ITER + 1)
left.plot(iterations, whole.loss_curve_ / whole.C)
left.set(xlabel="iteration", ylabel="objective / C, nats", title="All training words", yscale="log")
right.plot(iterations, test_scores, label="test words, training on all words")
right.plot(1 + np.arange(stopped.n_iter_), stopped.validation_scores_, label="held-out words, with early stopping")
right.plot(best, stopped.best_validation_score_, "ko", label="kept iterate")
right.set(xlabel="iteration", ylabel="correct letters", ylim=(0.6, None), title="Other words")
right.legend(loc="lower right")

output = Path("output") / "plot_early_stopping.png"
output.parent.mkdir(exist_ok=True)
figure.savefig(output, dpi=100)
