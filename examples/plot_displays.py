"""
Pictures of models and predictions
==================================

`skstruct.plotting` contains displays in the style of scikit-learn. `SomeDisplay.from_estimator` computes what is shown
and draws it. All of them are drawn here: for a model that reads words, for random trees, and for noisy images.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter

from skstruct import GraphCRFClassifier, GraphDataset
from skstruct.datasets import load_letters, make_tree
from skstruct.plotting import (
    ConfusionMatrixDisplay,
    ExplanationDisplay,
    GraphDisplay,
    ImageDisplay,
    InferenceReportDisplay,
    ReliabilityDisplay,
    SequenceDisplay,
    TrainingCurveDisplay,
    TransitionsDisplay,
)

output = Path("output")
output.mkdir(exist_ok=True)

# %%
# A model that reads words
# ------------------------
#
# A word is a chain of letters, and the features of a letter are its pixels. `TransitionsDisplay` shows which letters
# follow each other. `TrainingCurveDisplay` shows the objective, and with early stopping the score on words that are
# held out.

pixels = [f"row {row}, column {column}" for row in range(16) for column in range(8)]


def with_names(dataset):
    """Return the data set with names of the features, which pictures show."""
    return dataset.with_node_features(pd.DataFrame(dataset.node_features, columns=pixels))


train, test = load_letters(folds=1), load_letters(folds=0)
X_train, X_test = with_names(train.data), with_names(test.data)
reader = GraphCRFClassifier(C=10, early_stopping=True, validation_fraction=0.2, random_state=0, n_jobs=2)
reader.fit(X_train, train.target)
print(f"correct letters: {reader.score(X_test, test.target):.3f}")

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
TransitionsDisplay.from_estimator(reader, ax=left)
TrainingCurveDisplay.from_estimator(reader, ax=right)
figure.savefig(output / "plot_displays_model.png", dpi=100)

# %%
# `SequenceDisplay` shows the probabilities of the letters of one word. `ExplanationDisplay` shows why one letter was
# read as it was: the pixels and the neighbours that support it, and those against it.

wrong = test.target != reader.predict(X_test)
word = int(next(g for g in range(len(X_test)) if wrong[g].sum() == 1 and len(wrong[g]) > 7))
node = int(wrong[word].argmax())
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
SequenceDisplay.from_estimator(reader, X_test, word, y=test.target, ax=left)
ExplanationDisplay.from_estimator(reader, X_test, word, node, ax=right)
figure.savefig(output / "plot_displays_word.png", dpi=100)

# %%
# `ConfusionMatrixDisplay` counts the letters that were read as another letter. `ReliabilityDisplay` compares
# probabilities with frequencies. Points below the diagonal belong to letters of which the model is too sure.

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
counts = {"normalize": "true", "include_values": False}
ConfusionMatrixDisplay.from_estimator(reader, X_test, test.target, **counts, ax=left)
ReliabilityDisplay.from_estimator(reader, X_test, test.target, ax=right)
figure.savefig(output / "plot_displays_errors.png", dpi=100)

# %%
# Other graphs
# ------------
#
# `GraphDisplay` shows any graph. Its nodes are pies of probabilities. `ImageDisplay` shows the labels of an image. The
# colours are pale where the labels are uncertain. In both, black borders surround wrong predicted labels.

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
trees, tree_labels = make_tree(n_graphs=100, n_nodes=30, return_X_y=True, random_state=0)
crf = GraphCRFClassifier().fit(trees[1:], tree_labels[1:])
GraphDisplay.from_estimator(crf, trees, 0, y=tree_labels, ax=left)

rng, (height, width) = np.random.default_rng(0), (24, 32)
regions = gaussian_filter(rng.normal(size=(6, height, width, 3)), (0, 3, 3, 0)).argmax(axis=3)
images = GraphDataset.from_images(np.eye(3)[regions] + rng.normal(size=(6, height, width, 3)))  # noisy colours
labels = regions.reshape(6, -1)
crf = GraphCRFClassifier(objective="pseudolikelihood").fit(images[1:], labels[1:])
ImageDisplay.from_estimator(crf, images, 0, pixels=(height, width), y=labels, ax=right)
figure.savefig(output / "plot_displays.png", dpi=100)

# %%
# `InferenceReportDisplay` shows which backends compute the probabilities: an exact one for words, and an approximate
# one for the images.

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3), layout="constrained")
InferenceReportDisplay.from_estimator(reader, X_test, ax=left)
InferenceReportDisplay.from_estimator(crf, images, ax=right)
figure.savefig(output / "plot_displays_inference.png", dpi=100)
