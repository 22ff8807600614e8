"""
Street scenes: segmentation of images by cells
==============================================

An image is divided into cells of 6 x 6 pixels. The nodes of its graph are the cells, and edges join neighbouring cells.
The label of a cell is the class of most of its pixels: sky, building, road, and so on. The features of a single cell
(colour, texture, position) are ambiguous. Neighbouring cells mostly have the same label, unless their colours differ.

A grid of 20 x 15 cells with 11 classes is too wide for exact inference. With the default ``inference="auto"``, training
minimises a convex upper bound of the loss, by tree-reweighted belief propagation. It starts at the model without edges,
so that the training loss cannot end above that of this model.

The images are CamVid [1]_, which is for research only and not part of skstruct. The script needs the path of the data:
``python plot_camvid_segmentation.py camvid-120x90.npz``. The file contains ``train_images`` and ``test_images``,
(n_images, 90, 120, 3), and ``train_labels`` and ``test_labels``, (n_images, 90, 120), whose label 11 means "void".

.. [1] G. J. Brostow, J. Fauqueur, R. Cipolla, "Semantic object classes in video: a high-definition ground truth
   database", *Pattern Recognition Letters* 30(2), 2009.
"""

import sys
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap
from scipy.ndimage import gaussian_filter
from sklearn.preprocessing import StandardScaler

from skstruct import GraphCRFClassifier, GraphDataset, RaggedArray
from skstruct.features import LinearFeatures, NetworkFeatures

if len(sys.argv) != 2:
    sys.exit("This example needs the CamVid images: python plot_camvid_segmentation.py camvid-120x90.npz")
stored = np.load(sys.argv[1])
CLASSES = ["sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "person", "bicycle"]
CELL, VOID = 6, 11

# %%
# Cells
# -----
#
# The features of a cell are means and standard deviations of colours and gradients in the cell and around it, and its
# position. Cells without a class have the label -1, which means "unknown".


def blocks(values):
    """Values of an image by cell, (rows, columns, CELL * CELL)."""
    rows, columns = (size // CELL for size in values.shape)
    cut = values[: rows * CELL, : columns * CELL].reshape(rows, CELL, columns, CELL)
    return cut.transpose(0, 2, 1, 3).reshape(rows, columns, -1)


def features_of(image):
    """Features of the cells of an image, (rows, columns, n_features)."""
    colours = np.moveaxis(image / 255.0, 2, 0)
    slopes = np.abs(np.gradient(colours.mean(axis=0)))
    channels = [*colours, *slopes]
    found = [blocks(c).mean(axis=2) for c in channels] + [blocks(c).std(axis=2) for c in colours]
    for sigma in (3, 8):
        found += [blocks(gaussian_filter(c, sigma)).mean(axis=2) for c in channels]
    y, x = np.meshgrid(*(np.linspace(-1, 1, size) for size in found[0].shape), indexing="ij")
    return np.stack([*found, y, y**2, y**3, abs(x), x**2, y * abs(x)], axis=2)


def labels_of(labels):
    """Most frequent label of each cell, (rows, columns); -1 if that is void."""
    counts = np.stack([(blocks(labels) == c).sum(axis=2) for c in range(VOID + 1)], axis=2)
    most = counts.argmax(axis=2)
    return np.where(most == VOID, -1, most)


# %%
# Edges have two features: a constant, and a number that is 1 between cells of equal colour and near 0 between cells of
# different colours. The score of an edge is therefore a symmetric matrix that depends on the contrast.


def graphs_of(table):
    """Grids of the images, with edge features; `table` is (n_images, rows, columns, n_features)."""
    contrast = GraphDataset.from_images(table[..., :3], contrast=True).edge_features
    return GraphDataset.from_images(table).with_edge_features(contrast)


tables = {part: np.stack([features_of(image) for image in stored[f"{part}_images"]]) for part in ("train", "test")}
truth = {part: np.stack([labels_of(image) for image in stored[f"{part}_labels"]]) for part in ("train", "test")}
n_features = tables["train"].shape[-1]
scaler = StandardScaler().fit(tables["train"].reshape(-1, n_features))
X = {part: graphs_of(scaler.transform(t.reshape(-1, n_features)).reshape(t.shape)) for part, t in tables.items()}
y = {part: RaggedArray(labels.ravel(), X[part].node_ptr) for part, labels in truth.items()}

# %%
# Three models
# ------------
#
# The first model has no edges. The second one has linear scores of nodes and edges. In the third one, a network with a
# hidden layer computes the scores of nodes; its training is stopped early, against overfitting. Intersection over union
# (IoU) is the mean over the classes.

warnings.filterwarnings("ignore", "the optimiser stopped after 50 iterations")  # intended: more iterations overfit


def report(name, predicted):
    """Print the accuracy and the mean intersection over union of the test cells."""
    known = y["test"].values >= 0
    table = np.zeros((VOID, VOID))
    np.add.at(table, (y["test"].values[known], predicted.values[known]), 1)
    hits = np.diag(table)
    union = table.sum(axis=0) + table.sum(axis=1) - hits
    print(f"{name + ':':17} test cells {hits.sum() / table.sum():.3f}, mean IoU {np.mean(hits / union):.3f}")


def without_edges(data):
    """Return the same cells without edges."""
    return GraphDataset(data.node_features, node_ptr=data.node_ptr)


SETTINGS = {"C": 0.1, "decoding": "marginal", "missing_label": -1, "tol": 1e-3, "random_state": 0}
MODELS = {
    "no edges": (LinearFeatures(), without_edges, 1000),
    "edges, linear": (LinearFeatures(edge_weights="symmetric"), lambda data: data, 1000),
    "edges, network": (NetworkFeatures((32,), "tanh", edge_weights="symmetric"), lambda data: data, 50),
}
predictions, probabilities = {}, {}
for name, (features, change, max_iter) in MODELS.items():
    crf = GraphCRFClassifier(features, max_iter=max_iter, **SETTINGS).fit(change(X["train"]), y["train"])
    predictions[name] = crf.predict(change(X["test"]))
    probabilities[name] = crf.predict_proba(change(X["test"]))
    report(name, predictions[name])
    print(f"{'':17} inference {set(crf.inference_report(change(X['test']))['backend'])}")

# %%
# Predictions
# -----------
#
# Uncertainty is the entropy of the probabilities of a cell. It is high along the borders of regions.

COLOURS = ListedColormap(np.vstack([plt.get_cmap("tab20")(np.arange(VOID)), [0, 0, 0, 1]]))
best = "edges, network"
accuracy = [np.mean(p[t >= 0] == t[t >= 0]) for p, t in zip(predictions[best], y["test"])]
images = np.argsort(accuracy)[[len(accuracy) // 6, len(accuracy) // 2, -2]]  # a hard one, a medium one, an easy one
titles = ["image", "truth (void black)", *MODELS, "uncertainty (bits)"]
figure, axes = plt.subplots(len(images), len(titles), figsize=(13, 5.4), layout="constrained")
for row, g in zip(axes, images):
    shape = truth["test"][g].shape
    row[0].imshow(stored["test_images"][g])
    row[1].imshow(np.where(truth["test"][g] < 0, VOID, truth["test"][g]), COLOURS, vmin=0, vmax=VOID)
    for ax, name in zip(row[2:], MODELS):
        ax.imshow(predictions[name][g].reshape(shape), COLOURS, vmin=0, vmax=VOID)
    p = probabilities[best][g]
    entropy = -(p * np.log2(np.maximum(p, 1e-300))).sum(axis=1)
    shown = row[-1].imshow(entropy.reshape(shape), cmap="viridis", vmin=0, vmax=np.log2(VOID))
for ax, title in zip(axes[0], titles):
    ax.set_title(title, fontsize=10)
for ax in axes.ravel():
    ax.set_axis_off()
figure.colorbar(shown, ax=axes[:, -1], shrink=0.8)
handles = [plt.Rectangle((0, 0), 1, 1, color=COLOURS(c)) for c in range(VOID)]
figure.legend(handles, CLASSES, ncols=VOID, loc="outside lower center", fontsize=8)

output = Path("output") / "plot_camvid_segmentation.png"
output.parent.mkdir(exist_ok=True)
figure.savefig(output, dpi=100)
