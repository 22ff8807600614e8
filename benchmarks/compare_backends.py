"""Comparison of inference backends on two real data sets: the tables of ``docs/guide/comparison.rst``.

``python -m benchmarks.compare_backends --data FOLDER`` trains the same model with each backend, and prints a table
for each data set in reStructuredText. The folder contains ``enzymes.npz`` and ``cora.npz``.
"""

import _thread
import argparse
import threading
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler, normalize

from skstruct import GraphCRFClassifier, GraphDataset, RaggedArray
from skstruct.features import LinearFeatures
from skstruct.inference import Auto

SETTINGS = {"max_iter": 100, "tol": 1e-4, "decoding": "marginal"}
BASELINE = "no edges"
UNKNOWN = -1


def main():
    """Read the command line, train, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the .npz files")
    parser.add_argument("--limit", type=float, default=90.0, help="seconds after which a training is stopped")
    parser.add_argument("--only", choices=["enzymes", "cora"])
    parser.add_argument("--cora-edges", choices=["potts", "symmetric"], default="potts", help="edge weights on Cora")
    options = parser.parse_args()
    for name, compare in (("enzymes", enzymes), ("cora", partial(cora, edge_weights=options.cora_edges))):
        if options.only in (None, name):
            with np.load(options.data / f"{name}.npz") as stored:
                compare(dict(stored), options.limit)


def enzymes(stored, limit):
    """600 graphs, split at random: 480 for training, 120 for test."""
    y = RaggedArray(stored["labels"], stored["node_ptr"])
    X = GraphDataset(
        stored["node_features"].astype(float),
        stored["edges"],
        node_ptr=stored["node_ptr"],
        edge_ptr=stored["edge_ptr"],
    )
    order = np.random.default_rng(0).permutation(len(X))
    train, test = np.sort(order[120:]), np.sort(order[:120])
    X = X.with_node_features(StandardScaler().fit(X[train].node_features).transform(X.node_features))
    print(f"\nENZYMES, C = 1, {X[train].n_nodes} nodes to train on, {X[test].n_nodes} to test on\n")
    rows = []
    for name in ("junction_tree", "auto", "loopy_bp", "tree_reweighted", "mean_field", BASELINE):
        graphs = without_edges(X) if name == BASELINE else X
        crf, row = train_on(graphs[train], y[train], name, limit, "symmetric", C=1.0)
        row["accuracy"] = f"{crf.score(graphs[test], y[test]):.4f}"
        row["nats per node"] = f"{per_node(crf, graphs[test], y[test]):.4f}"
        describe(row, crf, graphs[test])
        crf.set_params(inference=Auto())  # exact on these graphs: judges the weights independently of the backend
        row["exact"] = f"{per_node(crf, graphs[test], y[test]):.4f}"
        rows.append(row)
    show(rows)


def cora(stored, limit, edge_weights):
    """Train on one graph with 140 known labels of 2,708, and predict 1,000 other labels given these."""
    counts = csr_array((stored["data"], stored["indices"], stored["indptr"]), shape=tuple(stored["shape"]))
    X = GraphDataset(csr_array(normalize(counts.astype(float), norm="l1")), stored["edges"])
    labels, test = stored["labels"], stored["test"]
    only = {
        part: labelling(labels, nodes)
        for part, nodes in {
            "train": stored["train"],
            "validation": stored["validation"],
            "test": test,
            "train and test": np.concatenate([stored["train"], test]),
        }.items()
    }
    alone = {}
    for C in (1.0, 10.0, 100.0, 1000.0, 10000.0):  # chosen by the baseline, on the validation nodes
        crf, _ = train_on(without_edges(X), only["train"], BASELINE, limit, edge_weights, C=C, missing_label=UNKNOWN)
        alone[C] = crf.score(without_edges(X), only["validation"])
    C = max(alone, key=alone.get)
    print(f"\nCora, {edge_weights} edge weights, C = {C:g} from validation accuracy without edges: {alone}\n")
    rows = []
    for name in ("loopy_bp", "tree_reweighted", "mean_field", BASELINE):
        graph = without_edges(X) if name == BASELINE else X
        crf, row = train_on(graph, only["train"], name, limit, edge_weights, C=C, missing_label=UNKNOWN)
        blind = crf.predict(graph)[0][test]
        given = crf.predict(graph, known=only["train"])[0][test]
        row["accuracy"] = f"{np.mean(given == labels[test]):.3f}"
        row["accuracy, labels not given"] = f"{np.mean(blind == labels[test]):.3f}"
        both, first = (crf.log_likelihood(graph, only[part])[0] for part in ("train and test", "train"))
        row["nats per node"] = f"{(both - first) / len(test):.3f}"
        describe(row, crf, graph)
        rows.append(row)
    show(rows)


def labelling(labels, nodes):
    """Labels of one graph, known at the given nodes only."""
    known = np.full(len(labels), UNKNOWN)
    known[nodes] = labels[nodes]
    return RaggedArray(known, [0, len(labels)])


def without_edges(X):
    """Return the same nodes without any edge."""
    return GraphDataset(X.node_features, np.zeros((0, 2), int), node_ptr=X.node_ptr, edge_ptr=np.zeros_like(X.node_ptr))


def train_on(X, y, name, limit, edge_weights, **parameters):
    """Train with a backend, at most for the time limit, and return the model and its table row."""
    backend = "edgeless" if name == BASELINE else name
    parameters = {**SETTINGS, **parameters}
    compiled = GraphCRFClassifier(LinearFeatures(edge_weights), backend, **{**parameters, "max_iter": 1})
    crf = GraphCRFClassifier(LinearFeatures(edge_weights), backend, **parameters)
    row = {"backend": name}
    timer = threading.Timer(limit, _thread.interrupt_main)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        compiled.fit(X, y)  # compiles, which is not timed
        caught.clear()
        start = time.perf_counter()
        timer.start()
        try:
            crf.fit(X, y)
            early = any("the optimiser stopped" in str(warning.message) for warning in caught)
            stopped = "max_iter" if crf.n_iter_ == SETTINGS["max_iter"] else "line search" if early else "tol"
        except KeyboardInterrupt:
            stopped = "time"
        finally:
            timer.cancel()
    row["seconds"] = f"{time.perf_counter() - start:.1f}"
    row["iterations"] = f"{crf.n_iter_} ({stopped})"
    return crf, row


def per_node(crf, X, y):
    """Joint log-likelihood of all graphs, divided by the number of nodes."""
    return crf.log_likelihood(X, y).sum() / X.n_nodes


def describe(row, crf, X):
    """Add the columns from `inference_report`."""
    report = crf.inference_report(X)
    row["converged"] = f"{report['converged'].mean():.0%}"
    row["exact"] = f"{report['exact'].mean():.0%}"
    row["used"] = ", ".join(sorted(set(report["backend"])))


def show(rows):
    """Print a table in reStructuredText."""
    cells = [list(rows[0]), *(list(row.values()) for row in rows)]
    widths = [max(len(line[k]) for line in cells) for k in range(len(cells[0]))]
    rule = "  ".join("=" * width for width in widths)
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in cells]
    print("\n".join([rule, lines[0], rule, *lines[1:], rule]), flush=True)


if __name__ == "__main__":
    main()
