"""
Cleaning images: grids with Potts edges
=======================================

A noisy picture is a grid of pixels with four neighbours each. The colour of a single pixel is unreliable
information about its label. Neighbours mostly have the same label, and this information removes the noise. With
``edge_weights="potts"`` all edges have one weight: the score of equal labels. It is learnt from pictures with
known labels, together with the weights of the colours.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from skstruct import GraphCRFClassifier, GraphDataset, RaggedArray
from skstruct.features import LinearFeatures
from skstruct.preprocessing import NodeClassifier

rng = np.random.RandomState(0)
N_IMAGES, SIZE, NOISE = 20, 32, 0.7

# %%
# Pictures with smooth regions
# ----------------------------
#
# The label of a pixel is the largest of `n_classes` smooth random fields. Its colour is 1 in the channel of
# the label and 0 in the others, plus noise.


def make_pictures(n_classes):
    """Colours (n_images, size, size, n_classes) and labels (n_images, size, size)."""
    fields = gaussian_filter(rng.normal(size=(N_IMAGES, SIZE, SIZE, n_classes)), sigma=(0, 3, 3, 0))
    labels = fields.argmax(axis=3)
    colours = np.eye(n_classes)[labels] + rng.normal(scale=NOISE, size=(*labels.shape, n_classes))
    return colours, labels


# %%
# Two labels, and four
# --------------------
#
# Half of the pictures are for training. Training and prediction use loopy belief propagation, because a grid has
# cycles. The predicted label of each pixel is its most probable label.

figure, grid = plt.subplots(2, 4, figsize=(10.5, 5.6), layout="constrained")
for row, n_classes in zip(grid, (2, 4)):
    colours, labels = make_pictures(n_classes)
    X = GraphDataset.from_images(colours)
    y = RaggedArray(labels.ravel(), X.node_ptr)
    train, test = slice(0, N_IMAGES // 2), slice(N_IMAGES // 2, None)

    crf = GraphCRFClassifier(
        LinearFeatures(edge_weights="potts"), inference="loopy_bp", decoding="marginal", tol=1e-4, n_jobs=2
    )
    crf.fit(X[train], y[train])
    baseline = NodeClassifier(LogisticRegression()).fit(X[train], y[train])
    scores = {"alone": baseline.score(X[test], y[test]), "grid": crf.score(X[test], y[test])}
    print(f"{n_classes} labels, correct pixels: alone {scores['alone']:.4f}, on the grid {scores['grid']:.4f}")
    print(f"    weight of equal neighbours: {crf.edge_coef_[0, 0, 0]:.3f} nats")

    g = N_IMAGES // 2
    palette = plt.get_cmap("tab10").resampled(10).colors[:n_classes, :3]
    panels = {
        f"input: {n_classes} noisy channels": softmax(2 * colours[g], axis=2) @ palette,
        f"each pixel alone: {scores['alone']:.1%} correct": palette[baseline.predict(X[g : g + 1])[0]],
        f"on the grid: {scores['grid']:.1%} correct": palette[crf.predict(X[g : g + 1])[0]],
        "truth": palette[labels[g]],
    }
    for axes, (title, picture) in zip(row, panels.items()):
        axes.imshow(picture.reshape(SIZE, SIZE, 3), interpolation="nearest")
        axes.set_title(title, fontsize=10)
        axes.set_xticks([])
        axes.set_yticks([])
    row[0].set_ylabel(f"{n_classes} labels")
figure.suptitle(f"One test picture (percentages are over all {N_IMAGES // 2} test pictures)")

output = Path("output") / "plot_grid_denoising.png"
output.parent.mkdir(exist_ok=True)
figure.savefig(output, dpi=100)
