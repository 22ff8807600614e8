"""
Handwritten words: chains
=========================

A word is a chain of handwritten letters. A classifier of single letters uses only the pixels of each letter. The
chain also learns which letters follow each other, and predicts the word as a whole.

The data are two of the ten folds of the OCR letters [1]_: fold 1 is for training, and fold 0 for test. With the path
of the complete file, ``python plot_letters.py letters.npz`` also evaluates the other 6,173 words. It uses the
settings for which the accuracy of other programs is known: 0.8076 for the most probable word.

.. [1] B. Taskar, C. Guestrin, D. Koller, "Max-margin Markov networks", NIPS 2003.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression

from skstruct import GraphCRFClassifier, GraphDataset, RaggedArray
from skstruct.datasets import load_letters
from skstruct.features import LinearFeatures
from skstruct.preprocessing import NodeClassifier

# %%
# The folds in the package
# ------------------------

train, test = load_letters(folds=1), load_letters(folds=0)
print(f"train: {train.data}")
print(f"test:  {test.data}")

baseline = NodeClassifier(LogisticRegression(C=0.5, max_iter=1000)).fit(train.data, train.target)
crf = GraphCRFClassifier(C=0.5, n_jobs=2).fit(train.data, train.target)
alone, together = baseline.predict(test.data), crf.predict(test.data)
marginal = crf.set_params(decoding="marginal").score(test.data, test.target)
truth = test.target.values

print(f"correct letters, each alone (LogisticRegression):  {(alone.values == truth).mean():.4f}")
print(f"correct letters, most probable word (MAP):         {(together.values == truth).mean():.4f}")
print(f"correct letters, most probable letters (marginal): {marginal:.4f}")

# %%
# Words that the chain predicts correctly, and weights of pairs of letters
# ------------------------------------------------------------------------
#
# Below each letter are two predictions: from the letter alone, and from the chain. The map shows the weight of each
# pair of letters, learnt from 704 words. For example, "u" follows "q".

corrected = [
    w
    for w, word in enumerate(test.target)
    if (together[w] == word).all() and (alone[w] != word).sum() >= 3 and 6 <= len(word) <= 9
]
_, first = np.unique(test.words[corrected], return_index=True)
corrected = np.array(corrected)[np.sort(first)][:5]

figure = plt.figure(figsize=(11, 6.2), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=[1.15, 1])
left.suptitle("Test words: each letter alone, and in the chain (red: wrong)")
rows = left.subplots(len(corrected), 1)
for axes, w in zip(rows, corrected):
    letters = test.data[w].node_features.reshape(-1, 16, 8)
    axes.imshow(np.hstack([np.pad(letter, ((0, 0), (1, 1))) for letter in letters]), cmap="gray_r", aspect="auto")
    for i in range(len(letters)):
        colour = "tab:green" if alone[w][i] == test.target[w][i] else "tab:red"
        axes.text(10 * i + 4.5, 19, alone[w][i], ha="center", va="center", color=colour, weight="bold")
        axes.text(10 * i + 4.5, 23.5, together[w][i], ha="center", va="center", color="tab:green", weight="bold")
    axes.set(xlim=(-0.5, 89.5), ylim=(26, -0.5))
    axes.axis("off")

axes = right.subplots()
weights = crf.edge_coef_[0]
limit = np.abs(weights).max()
image = axes.imshow(weights, cmap="RdBu_r", vmin=-limit, vmax=limit)
axes.set_xticks(range(26), crf.classes_)
axes.set_yticks(range(26), crf.classes_)
axes.tick_params(labelsize=8, length=0)
axes.set(xlabel="next letter", ylabel="letter", title="Edge weights")
right.colorbar(image, ax=axes, shrink=0.8, label="score in nats")

output = Path("output") / "plot_letters.png"
output.parent.mkdir(exist_ok=True)
figure.savefig(output, dpi=100)

# %%
# The complete data
# -----------------
#
# The bias is a pixel that is always 1, and its weight is penalised. The objective is ``-log likelihood + |w|**2``,
# which corresponds to C = 1/2.

if len(sys.argv) > 1:
    with np.load(sys.argv[1]) as stored:
        pixels, labels, ptr, folds = (stored[name] for name in ("pixels", "labels", "word_ptr", "folds"))
    pixels = np.column_stack([pixels, np.ones(len(pixels))])
    X, y = GraphDataset.from_sequences(RaggedArray(pixels, ptr)), RaggedArray(labels, ptr)
    crf = GraphCRFClassifier(LinearFeatures(fit_intercept=False), C=0.5, tol=1e-7, n_jobs=2)
    crf.fit(X[folds == 1], y[folds == 1])
    others = folds != 1
    print(f"objective: {2 * crf.loss_curve_[-1]:.4f} (known: 2698.7732)")
    print(f"MAP on the other {others.sum()} words:      {crf.score(X[others], y[others]):.4f} (known: 0.8076)")
    crf.set_params(decoding="marginal")
    print(f"marginal on the other {others.sum()} words: {crf.score(X[others], y[others]):.4f} (known: 0.8065)")
