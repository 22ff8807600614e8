"""
Multi-label classification: labels as nodes
===========================================

A picture of a landscape can show a beach, a mountain and a field. Some of these labels occur together, and others
exclude each other. Independent classifiers, one for each label, ignore this. `MultiLabelCRFClassifier` learns a weight
for each pair of labels, and predicts the set of labels as a whole.

Without an argument, the data are simulated: six labels, of which two pairs exclude each other and one pair occurs
together. With the path of the data set scene [1]_, ``python plot_multilabel_scene.py scene.npz``, the samples are
2,407 pictures with 294 features.

.. [1] M. Boutell, J. Luo, X. Shen, C. Brown, "Learning multi-label scene classification", *Pattern Recognition* 37(9),
   2004.
"""

import itertools
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.preprocessing import StandardScaler

from skstruct import MultiLabelCRFClassifier

NAMES = ["beach", "sunset", "foliage", "field", "mountain", "urban"]
PAIRS = {("beach", "urban"): -4.0, ("sunset", "foliage"): -4.0, ("field", "mountain"): 3.0}  # of the simulation

# %%
# The data
# --------


def simulate(n_samples, rng):
    """Draw features, and labels from the model with the pair weights `PAIRS`."""
    sets = np.array(list(itertools.product((0, 1), repeat=len(NAMES))))
    X = rng.normal(size=(n_samples, 20))
    pairs = sum(u * sets[:, NAMES.index(a)] * sets[:, NAMES.index(b)] for (a, b), u in PAIRS.items())
    weights = np.random.default_rng(1).normal(scale=0.5, size=(20, len(NAMES)))
    probability = softmax((X @ weights - 0.5) @ sets.T + pairs, axis=1)
    return X, sets[[rng.choice(len(sets), p=p) for p in probability]]


if len(sys.argv) > 1:
    with np.load(sys.argv[1]) as stored:
        X, y, X_test, y_test = (stored[name] for name in ("X_train", "y_train", "X_test", "y_test"))
    C, edge_penalty = 0.02, [0.1, 0.01, 0.001]
else:
    rng = np.random.default_rng(0)
    (X, y), (X_test, y_test) = simulate(400, rng), simulate(1000, rng)
    C, edge_penalty = 0.1, [1.0, 0.1, 0.01]
y, y_test = y.astype(int), y_test.astype(int)
scaler = StandardScaler().fit(X)
X, X_test = scaler.transform(X), scaler.transform(X_test)
print(f"{len(X)} training samples, {len(X_test)} test samples, {y.mean(axis=0).sum():.2f} labels per sample")

# %%
# Four models
# -----------
#
# The exact match is the fraction of samples for which all labels are correct. The log-likelihood judges the
# probabilities of whole sets of labels. The penalty on pairs is chosen by cross-validation of the training samples.


def log_likelihood(estimator, X, y):
    """Mean log-probability of the sets of labels, by which a search chooses."""
    return estimator.log_likelihood(X, y).mean()


def binary(probability, labels):
    """Log-probability of labels, given the probability that they are 1."""
    return np.log(np.clip(np.where(labels == 1, probability, 1 - probability), 1e-12, 1))


results = {}
independent = MultiOutputClassifier(LogisticRegression(C=C, max_iter=1000)).fit(X, y)
probability = np.stack([p[:, 1] for p in independent.predict_proba(X_test)], axis=1)
match = (independent.predict(X_test) == y_test).all(axis=1).mean()
results["independent"] = match, binary(probability, y_test).sum(axis=1).mean()

chain = ClassifierChain(LogisticRegression(C=C, max_iter=1000)).fit(X, y)
links = [  # a link knows the true labels of the links before it
    binary(link.predict_proba(np.hstack([X_test, y_test[:, :k]]))[:, 1], y_test[:, k])
    for k, link in enumerate(chain.estimators_)
]
results["classifier chain"] = (chain.predict(X_test) == y_test).all(axis=1).mean(), np.sum(links, axis=0).mean()

folds = KFold(3, shuffle=True, random_state=0)
for graph in ("chow_liu", "full"):
    crf = MultiLabelCRFClassifier(graph, C=C, tol=1e-4)
    search = GridSearchCV(crf, {"edge_penalty": edge_penalty}, scoring=log_likelihood, cv=folds)
    crf = search.fit(X, y).best_estimator_
    results[f"CRF, {graph}"] = crf.score(X_test, y_test), log_likelihood(crf, X_test, y_test)

for name, (match, likelihood) in results.items():
    print(f"{name + ':':18} exact match {match:.4f}, log-likelihood {likelihood:.4f}")

# %%
# Weights of pairs
# ----------------
#
# The right figure shows the weights of the full graph. A weight is the logarithm of the odds ratio of two labels, given
# the features and all other labels.

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 4.2), layout="constrained", width_ratios=[1, 1, 1.3])
colours = ["0.7", "0.5", "tab:blue", "tab:red"]
for axes, column, title in ((left, 0, "Exact match"), (middle, 1, "Log-likelihood (nats per sample)")):
    values = [result[column] for result in results.values()]
    bars = axes.barh(list(results), values, color=colours)
    axes.bar_label(bars, fmt="%.3f", padding=3)
    axes.set(title=title)
    axes.invert_yaxis()
    axes.margins(x=0.3)
    axes.spines[["top", "right"]].set_visible(False)
middle.set_yticks([])
middle.spines["left"].set_visible(False)

weights = np.full((len(NAMES), len(NAMES)), np.nan)
for (a, b), u in zip(crf.edges_, crf.edge_coef_):
    weights[a, b] = weights[b, a] = u
limit = np.nanmax(np.abs(weights))
image = right.imshow(weights, cmap="RdBu_r", vmin=-limit, vmax=limit)
for (a, b), u in np.ndenumerate(weights):
    if a != b:
        right.text(b, a, f"{u:.1f}", ha="center", va="center", color="white" if abs(u) > 0.6 * limit else "black")
right.set_xticks(range(len(NAMES)), NAMES, rotation=30)
right.set_yticks(range(len(NAMES)), NAMES)
right.tick_params(length=0)
right.set(title="Weights of pairs of labels")
figure.colorbar(image, ax=right, shrink=0.9, label="log odds ratio")

output = Path("output") / "plot_multilabel_scene.png"
output.parent.mkdir(exist_ok=True)
figure.savefig(output, dpi=100)
