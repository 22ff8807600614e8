"""
Pipelines and grid search
=========================

A sample is a graph. The pipelines, cross-validation, grid search and learning curves of scikit-learn therefore work
without changes, and splits never divide a graph. Nested names address the parameters of components, and whole
components can be replaced.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import GridSearchCV, KFold, LearningCurveDisplay, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skstruct import GraphCRFClassifier
from skstruct.datasets import make_tree
from skstruct.features import LinearFeatures
from skstruct.inference import LoopyBP
from skstruct.preprocessing import NodeTransformer

# %%
# Trees from a known model
# ------------------------
#
# There are few features and strong edges. One feature has another unit, so that scaling matters.

X, y = make_tree(n_graphs=300, n_nodes=(5, 15), n_states=4, n_features=3, coupling=1.5, random_state=0, return_X_y=True)
X = X.with_node_features(X.node_features * [1.0, 1.0, 1e-3])
print(X)

# %%
# Cross-validation, graph by graph
# --------------------------------

folds = KFold(5, shuffle=True, random_state=0)
pipeline = make_pipeline(
    NodeTransformer(StandardScaler()), GraphCRFClassifier(features=LinearFeatures(), decoding="marginal")
)
for name, estimator in {"unscaled": pipeline[-1], "scaled": pipeline}.items():
    scores = cross_val_score(estimator, X, y, cv=folds)
    print(f"{name + ':':9} {scores.mean():.4f} of the nodes correct (± {scores.std():.4f} over folds)")

# %%
# Search over parameters and components
# -------------------------------------
#
# A search can contain numbers, names and objects. Here it contains `C`, the form of the edge weights (a parameter of
# the feature map) and the inference backend. On trees, loopy belief propagation is also exact.

search = GridSearchCV(
    pipeline,
    {
        "graphcrfclassifier__C": [0.01, 0.1, 1.0, 10.0],
        "graphcrfclassifier__features__edge_weights": ["potts", "symmetric", "full"],
        "graphcrfclassifier__inference": ["tree", LoopyBP(damping=0.1)],
    },
    cv=folds,
).fit(X, y)
print(f"best: {search.best_params_}")
print(f"      {search.best_score_:.4f} of the nodes correct")

# %%
# Pictures
# --------

results = search.cv_results_
figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.2), layout="constrained")
for form, style in (("potts", "o:"), ("symmetric", "s--"), ("full", "D-")):
    rows = (results["param_graphcrfclassifier__features__edge_weights"] == form) & (
        results["param_graphcrfclassifier__inference"] == "tree"
    )
    C = results["param_graphcrfclassifier__C"][rows].astype(float)
    mean, error = (results[key][rows] for key in ("mean_test_score", "std_test_score"))
    left.errorbar(C, mean, error / np.sqrt(folds.n_splits), fmt=style, capsize=3, label=form)
left.set(xscale="log", xlabel="C", ylabel="fraction of correct nodes", title="Form of edge weights (tree inference)")
left.set_ylim(0.55, 0.74)
left.legend(title="edge_weights (± standard error)", ncols=3, loc="upper center")

LearningCurveDisplay.from_estimator(
    search.best_estimator_,
    X,
    y,
    cv=folds,
    train_sizes=[5, 10, 20, 40, 80, 160, 240],
    score_name="fraction of correct nodes",
    ax=right,
)
right.set(xscale="log", xlabel="graphs for training", title="Learning curve of the best pipeline")

output = Path("output") / "plot_pipeline_grid_search.png"
output.parent.mkdir(exist_ok=True)
figure.savefig(output, dpi=100)
