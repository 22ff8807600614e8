"""
Papers that cite each other: one graph, some labels
===================================================

There is one graph. Its nodes are papers, its edges are citations, and each paper has a vector of words. The topics of
a few papers are known. The task is to predict the topics of all other papers. Papers often cite papers of the same
topic, so that citations and words both carry information.

By default the graph is generated. With the path of the Cora data [1]_, ``python plot_cora_transductive.py cora.npz``
uses 2,708 papers about machine learning, of which 140 have labels. It takes a few minutes. The file contains the CSR
matrix of the words (``data``, ``indices``, ``indptr``, ``shape``), ``edges``, ``labels``, and the node numbers
``train`` and ``test`` of the usual split [2]_.

.. [1] P. Sen, G. Namata, M. Bilgic, L. Getoor, B. Gallagher, T. Eliassi-Rad, "Collective classification in network
   data", *AI Magazine* 29(3), 2008.
.. [2] Z. Yang, W. Cohen, R. Salakhutdinov, "Revisiting semi-supervised learning with graph embeddings", ICML 2016.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, ShuffleSplit, StratifiedKFold, learning_curve
from sklearn.preprocessing import normalize
from sklearn.semi_supervised import LabelPropagation

from skstruct import GraphCRFClassifier, GraphDataset
from skstruct.features import LinearFeatures
from skstruct.inference import TreeReweightedBP
from skstruct.preprocessing import NodeClassifier

# %%
# The graph
# ---------
#
# In the generated graph, each paper cites two earlier papers. The cited paper has the same topic in 65 % of the cases,
# and any topic otherwise. Each topic has 20 words that are three times as frequent as usual. Fifteen papers of each
# topic have labels.


def make_citations(n_papers=300, n_topics=4, seed=0):
    """Return a citation graph, topics, and the numbers of the papers with and without labels."""
    rng = np.random.default_rng(seed)
    topics = rng.integers(n_topics, size=n_papers)
    citations = set()
    for paper in range(3, n_papers):
        for same_topic in rng.random(2) < 0.65:
            earlier = np.arange(paper)
            like = earlier[topics[:paper] == topics[paper]]
            citations.add((paper, int(rng.choice(like if same_topic and len(like) else earlier))))
    frequency = np.full((n_topics, 120), 0.05)
    for topic in range(n_topics):
        frequency[topic, 20 * topic : 20 * topic + 20] = 0.15
    words = (rng.random((n_papers, 120)) < frequency[topics]).astype(float)
    labelled = np.concatenate([rng.permutation(np.flatnonzero(topics == topic))[:15] for topic in range(n_topics)])
    return GraphDataset(words, sorted(citations)), topics, labelled, np.setdiff1d(np.arange(n_papers), labelled)


def read_citations(path):
    """Return the same of a file of planetoid data."""
    with np.load(path) as stored:
        words = csr_array((stored["data"], stored["indices"], stored["indptr"]), shape=stored["shape"])
        words = normalize(words.astype(float))
        return GraphDataset(words, stored["edges"]), stored["labels"], stored["train"], stored["test"]


graph, topics, labelled, others = read_citations(sys.argv[1]) if len(sys.argv) > 1 else make_citations()
print(f"{graph}, {len(labelled)} labels")

# %%
# Choosing parameters by cross-validation over nodes
# --------------------------------------------------
#
# The samples of ``graph.nodes_whole`` are nodes. In each fold, the labels of the test papers are hidden, but these
# papers and all citations stay in the graph. With ``transductive=True``, predictions use the known topics of the
# neighbours. With so few labels, one number for all citations ("potts") is enough.

crf = GraphCRFClassifier(
    LinearFeatures(edge_weights="potts"),
    inference=TreeReweightedBP(max_iter=1000, tol=1e-3),
    decoding="marginal",
    transductive=True,
    classes=np.unique(topics),
    tol=1e-5,
)
grid = {"C": [0.1, 1.0, 10.0]}
cv = StratifiedKFold(4, shuffle=True, random_state=0)
nodes = graph.nodes_whole
search = GridSearchCV(crf, grid, cv=cv).fit(nodes[labelled], topics[labelled])
words = NodeClassifier(LogisticRegression(max_iter=1000))
alone = GridSearchCV(words, {"estimator__C": [0.1, 1.0, 10.0, 100.0, 1000.0]}, cv=cv, scoring="neg_log_loss")
alone.fit(nodes[labelled], topics[labelled])

# %%
# Accuracy on the papers without labels
# -------------------------------------
#
# `LogisticRegression` uses the words only, and `LabelPropagation` uses the citations only.

adjacency = np.eye(graph.n_nodes)
i, j = graph.edges.T
adjacency[i, j] = adjacency[j, i] = 1.0
known = np.full(graph.n_nodes, -1)
known[labelled] = topics[labelled]
propagation = LabelPropagation(kernel=lambda a, b: adjacency, max_iter=1000).fit(graph.node_features, known)

predictions = {
    "words only": alone.predict(nodes),
    "citations only": propagation.transduction_,
    "words and citations": search.predict(nodes),
}
for name, predicted in predictions.items():
    print(f"{name + ':':20} {(predicted[others] == topics[others]).mean():.3f}")
print(f"C = {search.best_params_['C']:g}, accuracy in cross-validation {search.best_score_:.3f}")

# %%
# How many labels are needed?
# ---------------------------
#
# A learning curve needs all labels. It is computed by scikit-learn's function, with nodes as samples.

everyone = np.sort(np.concatenate([labelled, others]))
curves = {}
for name, model in {"words only": alone, "words and citations": search}.items():
    sizes, _, scores = learning_curve(
        model.estimator.set_params(**model.best_params_),
        nodes[everyone],
        topics[everyone],
        train_sizes=[20, 40, 80, 160],
        cv=ShuffleSplit(3, train_size=160, random_state=0),
    )
    curves[name] = scores
    print(f"{name + ':':20} {scores.mean(axis=1).round(3)} with {sizes} labels")

# %%
# The picture
# -----------
#
# Papers that cite each other are drawn close together. Squares have labels. Wrong predictions are crosses.


def layout(edges, n_nodes, n_steps=80, seed=0):
    """Positions of nodes, (n_nodes, 2): nodes repel each other, and edges pull (Fruchterman and Reingold, 1991)."""
    place = np.random.default_rng(seed).uniform(-1, 1, size=(n_nodes, 2)).astype(np.float32)
    near = np.float32(1.6 / np.sqrt(n_nodes))
    for step in np.linspace(0.2, 0.005, n_steps):
        gap = place[:, None] - place
        square = (gap**2).sum(axis=2) + np.float32(1e-4)
        force = near**2 * (gap / square[:, :, None]).sum(axis=1)
        along = place[edges[:, 1]] - place[edges[:, 0]]
        pull = along * np.sqrt((along**2).sum(axis=1, keepdims=True)) / near
        np.add.at(force, edges[:, 0], pull)
        np.add.at(force, edges[:, 1], -pull)
        force -= 0.5 * place  # towards the centre, so that parts without a connection stay in the picture
        place += step * force / np.maximum(np.sqrt((force**2).sum(axis=1, keepdims=True)), 1e-6)
    return place


x, y = layout(graph.edges, graph.n_nodes).T
colours = plt.get_cmap("tab10")
figure, grid_of_axes = plt.subplots(2, 2, figsize=(11, 10), layout="constrained")
for axes, (name, predicted) in zip(grid_of_axes.flat, predictions.items()):
    axes.plot(x[graph.edges.T], y[graph.edges.T], color="0.85", linewidth=0.6, zorder=1)
    wrong = predicted[others] != topics[others]
    for part, marker, size in ((labelled, "s", 42), (others[~wrong], "o", 14), (others[wrong], "x", 26)):
        axes.scatter(x[part], y[part], s=size, c=predicted[part], marker=marker, cmap=colours, vmin=0, vmax=9, zorder=2)
    axes.set_title(f"{name}: {1 - wrong.mean():.3f} of the other papers correct", fontsize=10)
    axes.axis("off")
axes = grid_of_axes[1, 1]
for name, scores in curves.items():
    axes.errorbar(sizes, scores.mean(axis=1), scores.std(axis=1), marker="o", capsize=3, label=name)
axes.set(xscale="log", xlabel="papers with labels", ylabel="accuracy on other papers")
axes.set_title("Learning curves: mean and standard deviation of 3 splits", fontsize=10)
axes.set_xticks(sizes, sizes)
axes.minorticks_off()
axes.grid(color="0.9")
axes.legend()

output = Path("output") / "plot_cora_transductive.png"
output.parent.mkdir(exist_ok=True)
figure.savefig(output, dpi=100)
