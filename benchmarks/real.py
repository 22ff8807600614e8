"""Comparison of inference backends on real graphs: quality and time, for the user guide."""

import time
import warnings

import numpy as np
from scipy.sparse import csr_array
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from benchmarks._measure import case
from skstruct import GraphCRFClassifier, GraphDataset, RaggedArray
from skstruct.features import LinearFeatures
from skstruct.functional import marginals
from skstruct.inference import BACKENDS, Auto, JunctionTree


@case
def enzymes(run):
    """ENZYMES, 3 classes: backends trained alike; bounds of the log-partition hold; accuracy, likelihood, time.

    The exact likelihood per node is that of the trained weights under exact inference, whatever trained them.
    Small sizes stop long before convergence.
    """
    with np.load(run.path("enzymes.npz")) as stored:
        X = GraphDataset(
            stored["node_features"].astype(float),
            stored["edges"],
            node_ptr=stored["node_ptr"],
            edge_ptr=stored["edge_ptr"],
        )
        y = RaggedArray(stored["labels"], stored["node_ptr"])
    order = np.random.default_rng(0).permutation(len(X))[: run.pick(20, 200, 600)]
    train, test = order[len(order) // 5 :], order[: len(order) // 5]
    scaler = StandardScaler().fit(X[train].node_features)
    X = X.with_node_features(scaler.transform(X.node_features))
    backends = {
        "exact": Auto(candidates=[JunctionTree()]),
        **{name: BACKENDS[name]() for name in ("loopy_bp", "tree_reweighted", "mean_field")},
    }
    fitted = _train(run, backends, X[train], y[train], max_iter=run.pick(3, 15, 100))
    _bounds(run, fitted["exact"], X[test], backends)
    for name, crf in fitted.items():
        run.record(name, "test accuracy", float(np.mean(crf.predict(X[test]).values == y[test].values)), "")
        crf.inference_ = backends["exact"]
        likelihood = float(np.sum(crf.log_likelihood(X[test], y[test])) / X[test].n_nodes)
        run.record(name, "exact test log-likelihood", likelihood, "nats/node")
    nodes = LogisticRegression(max_iter=1000).fit(X[train].node_features, y[train].values)
    accuracy = float(nodes.score(X[test].node_features, y[test].values))
    run.record("LogisticRegression of nodes", "test accuracy", accuracy, "")


@case
def cora(run):
    """Cora, 7 classes, one graph with the labels of 140 nodes known: test accuracy and time of the backends.

    Asserted: given the known labels, each backend is better than the nodes' features alone (by 3 %). The labels of
    other nodes are `missing_label` in training. Small sizes stop long before convergence.
    """
    with np.load(run.path("cora.npz")) as stored:
        features = csr_array((stored["data"], stored["indices"], stored["indptr"]), shape=stored["shape"])
        edges, labels, train, test = (stored[name] for name in ("edges", "labels", "train", "test"))
    X = GraphDataset(features.astype(float), edges)
    known = np.full(len(labels), -1)
    known[train] = labels[train]
    y = RaggedArray(known, [0, len(labels)])
    nodes = LogisticRegression().fit(features[train], labels[train])
    alone = float(nodes.score(features[test], labels[test]))
    run.record("LogisticRegression of nodes", "test accuracy", alone, "")
    names = ("loopy_bp", "tree_reweighted", "mean_field")
    backends = {name: BACKENDS[name]() for name in names[: run.pick(1, 3, 3)]}
    max_iter = run.pick(2, 6, 60)
    for name, crf in _train(run, backends, X, y, max_iter=max_iter, missing_label=-1).items():
        run.record(name, "test accuracy", float(np.mean(crf.predict(X).values[test] == labels[test])), "")
        node, _ = crf.scores(X)
        matrix = crf.edge_coef_
        given = marginals(node.values, X.edges, matrix, backends[name], known=known)
        accuracy = float(np.mean(given.node[test].argmax(axis=1) == labels[test]))
        run.record(name, "test accuracy given the known labels", accuracy, "")
        if run.size != "tiny":
            run.require(f"{name}: neighbours help ({accuracy:.3f} against {alone:.3f})", accuracy > alone + 0.03)


def _train(run, backends, X, y, **parameters):
    """Fit a classifier with each backend for the same number of iterations, and record times."""
    fitted = {}
    for name, backend in backends.items():
        crf = GraphCRFClassifier(LinearFeatures("symmetric"), backend, **parameters)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            crf.set_params(max_iter=1).fit(X, y).set_params(**parameters)  # loads and compiles
            start = time.process_time()
            fitted[name] = crf.fit(X, y)
        seconds = time.process_time() - start
        run.record(name, f"{crf.n_iter_} iterations, {crf.n_evaluations_} evaluations", seconds, "s")
        run.record(name, "an evaluation", 1e3 * seconds / crf.n_evaluations_, "ms")
        report = crf.inference_report(X)
        run.record(name, "converged graphs", float(np.mean(report["converged"])), "")
    return fitted


def _bounds(run, crf, X, backends):
    """Assert what is known of the log-partitions of approximate backends, at the same weights."""
    exact, slack = crf.log_partition(X), 1e-3
    for name, backend in backends.items():
        if name == "exact":
            continue
        crf.inference_ = backend
        found = crf.log_partition(X)
        run.record(name, "mean error of log Z at exact weights", float(np.mean(found - exact)), "nats/graph")
        if name in ("tree_reweighted", "mean_field"):
            side = "upper" if name == "tree_reweighted" else "lower"
            holds = found >= exact - slack if side == "upper" else found <= exact + slack
            run.require(f"{name} log Z is a bound ({side})", bool(holds.all()))
    crf.inference_ = backends["exact"]
