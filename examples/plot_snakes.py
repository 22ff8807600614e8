"""
Snakes: grids with edge features
================================

A snake of ten cells lies on a grid. The colour of each cell shows the direction of the step that led to the cell. The
task is to number the cells from head (1) to tail (10). The colours near a cell do not determine its number. The number
follows from that of the next cell, *in the direction that the colour shows*. The interaction of neighbours must
therefore depend on the colours. Edge features represent this dependence [1]_.

Grids have cycles. Training and prediction use loopy belief propagation.

.. [1] S. Nowozin, C. Rother, S. Bagon, T. Sharp, B. Yao, P. Kohli, "Decision tree fields", ICCV 2011.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from skstruct import GraphCRFClassifier, GraphDataset
from skstruct.datasets import load_snakes

SETTINGS = {"inference": "loopy_bp", "C": 1.0, "max_iter": 300, "n_jobs": 2}
TOL = {"no edges": 1e-4, "edges, one matrix": 1e-3, "edges with features": 1e-4}

# %%
# Three models
# ------------
#
# Without edges, every cell is a separate sample. Without edge features, all edges have the same matrix. With edge
# features, the matrix of each edge is computed from its 180 features. (The second model fits so badly that the
# approximate objective has discontinuities. A smaller `tol` triples the time of training and improves little.)

train, test = load_snakes("train"), load_snakes("test")
print(f"train: {train.data}")
print(f"test:  {test.data}")
truth = test.target.values
snake = truth > 0


def without_edges(data):
    """Return the same nodes without edges."""
    return GraphDataset(data.node_features, node_ptr=data.node_ptr)


MODELS = {
    "no edges": without_edges,
    "edges, one matrix": lambda data: data.with_edge_features(None),
    "edges with features": lambda data: data,
}
predictions = {}
for name, change in MODELS.items():
    crf = GraphCRFClassifier(**SETTINGS, tol=TOL[name]).fit(change(train.data), train.target)
    predictions[name] = crf.predict(change(test.data))
    right = predictions[name].values == truth
    print(f"{name + ':':21} all cells correct {right.mean():.4f}, snake cells {right[snake].mean():.4f}")

# %%
# Predictions
# -----------

ARROWS = {0: (0, 1), 1: (0, -1), 2: (-1, 0), 4: (1, 0)}  # step of each colour; 3 is background


def draw(axes, labels, colours, title):
    """Draw the number of each cell of the snake, wrong numbers in red."""
    axes.imshow(np.where(labels > 0, labels, np.nan), cmap="viridis", vmin=-2, vmax=10)
    axes.set_xticks(np.arange(-0.5, labels.shape[1]), [])
    axes.set_yticks(np.arange(-0.5, labels.shape[0]), [])
    axes.grid(color="0.85")
    axes.tick_params(length=0)
    axes.set_title(title, fontsize=10)
    for (row, column), label in np.ndenumerate(labels):
        wrong = label != colours[row, column]
        if label or wrong:
            style = {"color": "white", "weight": "bold"}
            if wrong:
                style["bbox"] = {"facecolor": "tab:red", "edgecolor": "none", "pad": 1.5}
            axes.text(column, row, str(label), ha="center", va="center", fontsize=9, **style)


agreement = test.target == predictions["edges, one matrix"]
graphs = np.argsort([equal.mean() for equal in agreement], kind="stable")[:3]
figure, grid = plt.subplots(len(graphs), 5, figsize=(11, 7), layout="constrained")
for row, g in zip(grid, graphs):
    shape = test.shapes[g]
    target = test.target[g].reshape(shape)
    colours = test.data[g].node_features.reshape(*shape, 5, 9)[..., 8].argmax(axis=2)
    draw(row[0], np.zeros(shape, int), np.zeros(shape, int), "input: steps")
    for (y, x), colour in np.ndenumerate(colours):
        if colour != 3:
            dx, dy = ARROWS[colour]
            row[0].arrow(
                x - 0.3 * dx,
                y - 0.3 * dy,
                0.35 * dx,
                0.35 * dy,
                width=0.08,
                head_width=0.32,
                color="tab:blue",
            )
    draw(row[1], target, target, "truth")
    for axes, (name, predicted) in zip(row[2:], predictions.items()):
        draw(axes, predicted[g].reshape(shape), target, name)
figure.suptitle("Snakes of the test set: wrong cells in red")

output = Path("output") / "plot_snakes.png"
output.parent.mkdir(exist_ok=True)
figure.savefig(output, dpi=100)
