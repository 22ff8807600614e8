"""
Standard errors of weights
==========================

How well do the data determine the weights of a model? The figure shows the weights of chains with three classes, for
50, 200 and 800 training graphs. The intervals of 1.96 standard errors on both sides of the estimates cover the true
weights with a probability of 95 %. Their length decreases as the inverse of the square root of the number of graphs.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import softmax

from skstruct import GraphCRFClassifier, GraphDataset, RaggedArray
from skstruct.inspection import standard_errors

N_STATES, N_FEATURES, LENGTH = 3, 2, 6

# %%
# Chains from a known model
# -------------------------
#
# A constant that is added to the weights of all classes changes no probability. The true weights are centred, as the
# estimates are.

rng = np.random.default_rng(0)
node_weights = rng.normal(scale=0.8, size=(N_STATES, N_FEATURES))
node_weights -= node_weights.mean(axis=0)
transitions = np.array([[1.0, 0.0, -1.0], [-0.6, 0.8, 0.0], [0.2, -0.8, 0.4]])
transitions -= transitions.mean()


def simulate(n_graphs):
    """Draw features, and labels one after the other, from the end to the start of the messages."""
    x = rng.normal(size=(n_graphs, LENGTH, N_FEATURES))
    scores = x @ node_weights.T
    message = np.zeros((n_graphs, LENGTH, N_STATES))  # log-sum of the scores of all continuations
    for t in range(LENGTH - 1, 0, -1):
        ahead = scores[:, t] + message[:, t]
        message[:, t - 1] = np.logaddexp.reduce(transitions + ahead[:, None], axis=2)
    y = np.empty((n_graphs, LENGTH), int)
    for t in range(LENGTH):
        total = scores[:, t] + message[:, t] + (transitions[y[:, t - 1]] if t else 0)
        y[:, t] = (np.cumsum(softmax(total, axis=1), axis=1) < rng.random((n_graphs, 1))).sum(axis=1)
    return GraphDataset.from_sequences(x), RaggedArray(y.ravel(), np.arange(n_graphs + 1) * LENGTH)


# %%
# Weights and intervals
# ---------------------

names = [f"feature {f}, class {c}" for c in range(N_STATES) for f in range(N_FEATURES)]
names += [f"class {c}" for c in range(N_STATES)]
names += [f"{a} to {b}" for a in range(N_STATES) for b in range(N_STATES)]
truth = np.concatenate([node_weights.ravel(), np.zeros(N_STATES), transitions.ravel()])


def flat(weights):
    """All weights in the order of the names."""
    return np.concatenate([np.ravel(weights[name]) for name in ("coef_", "intercept_", "edge_coef_")])


figure, axes = plt.subplots(figsize=(9, 5.5), layout="constrained")
position = np.arange(len(names))[::-1]
for shift, n_graphs, colour in ((0.25, 50, "tab:orange"), (0, 200, "tab:green"), (-0.25, 800, "tab:blue")):
    X, y = simulate(n_graphs)
    crf = GraphCRFClassifier(C=1e6).fit(X, y)
    errors = standard_errors(crf, X, y)
    estimate, error = flat(vars(crf)), flat(errors)
    covered = np.abs(estimate - truth) <= 1.96 * error
    print(
        f"{n_graphs:3} graphs: mean standard error {error.mean():.3f}, "
        f"root mean square deviation {np.sqrt(np.mean((estimate - truth) ** 2)):.3f}, "
        f"{covered.sum()} of {len(truth)} intervals cover the truth"
    )
    axes.errorbar(
        estimate,
        position + shift,
        xerr=1.96 * error,
        fmt="o",
        ms=3,
        capsize=2,
        color=colour,
        label=f"{n_graphs} graphs",
    )
print(f"directions that change no probability: {', '.join(errors.undetermined)}")
axes.plot(truth, position, "k|", ms=22, label="truth")
axes.set_yticks(position, names)
axes.axvline(0, color="0.85", zorder=0)
for boundary in (N_STATES * N_FEATURES, N_STATES * N_FEATURES + N_STATES):
    axes.axhline(len(names) - boundary - 0.5, color="0.7", lw=0.8)
axes.set(xlabel="weight (nats), with its 95 % interval", title="Node weights, intercepts and edge weights of chains")
axes.legend(loc="upper right")

output = Path("output") / "plot_standard_errors.png"
output.parent.mkdir(exist_ok=True)
figure.savefig(output, dpi=100)
