"""Queries to the estimator at the end of a fitted pipeline, for input of the pipeline."""

from typing import Any

import numpy as np
from scipy.special import entr

from skstruct.data.ragged import RaggedArray
from skstruct.inspection._pipelines import transformed


def inference_report(model: Any, X: Any) -> dict[str, np.ndarray]:
    """Describe inference and decoding for each graph.

    Parameters
    ----------
    model : GraphCRFClassifier, Pipeline or search
        Fitted.
    X : object
        Input of `model`.

    Returns
    -------
    report : dict of ndarray
        As by `GraphCRFClassifier.inference_report`.
    """
    crf, X = transformed(model, X)
    return crf.inference_report(X)


def sample(model: Any, X: Any, n_samples: int = 1, known: Any = None, random_state: Any = None) -> Any:
    """Draw labellings from the model.

    Parameters
    ----------
    model : GraphCRFClassifier, Pipeline or search
        Fitted.
    X : object
        Input of `model`.
    n_samples, known, random_state
        As for `GraphCRFClassifier.sample`.

    Returns
    -------
    labels : RaggedArray of (n_nodes, n_samples), or ndarray for a table or a NodeView
    """
    crf, X = transformed(model, X)
    return crf.sample(X, n_samples, known, random_state)


def predict_edge_proba(model: Any, X: Any, known: Any = None) -> RaggedArray:
    """Probability of every pair of labels at every edge.

    Parameters
    ----------
    model : GraphCRFClassifier, Pipeline or search
        Fitted.
    X : object
        Input of `model`.
    known
        As for `GraphCRFClassifier.predict_edge_proba`.

    Returns
    -------
    probability : RaggedArray of (n_edges, n_classes, n_classes)
    """
    crf, X = transformed(model, X)
    return crf.predict_edge_proba(X, known)


def predict_top_k(model: Any, X: Any, k: int, known: Any = None) -> tuple[RaggedArray, np.ndarray]:
    """Find the `k` most probable labellings of each graph.

    Parameters
    ----------
    model : GraphCRFClassifier, Pipeline or search
        Fitted.
    X : object
        Input of `model`.
    k, known
        As for `GraphCRFClassifier.predict_top_k`.

    Returns
    -------
    labels : RaggedArray of (n_nodes, k)
    log_likelihood : ndarray of shape (n_graphs, k)
    """
    crf, X = transformed(model, X)
    return crf.predict_top_k(X, k, known)


def entropy(model: Any, X: Any, known: Any = None) -> np.ndarray:
    """Entropy of the labelling of each graph, in nats.

    Parameters
    ----------
    model : GraphCRFClassifier, Pipeline or search
        Fitted.
    X : object
        Input of `model`.
    known
        As for `GraphCRFClassifier.entropy`.

    Returns
    -------
    entropy : ndarray of shape (n_graphs,)
    """
    crf, X = transformed(model, X)
    return crf.entropy(X, known)


def node_entropy(model: Any, X: Any, known: Any = None) -> Any:
    """Entropy of the label of each node, in nats.

    It is 0 if the label is certain, and ``log(n_classes)`` if all labels are equally probable. Nodes with a high
    entropy are the ones to look at, or to label next. In contrast to `entropy`, it does not describe how the labels of
    a graph depend on each other: the sum over the nodes of a graph is at least the entropy of its labelling.

    Parameters
    ----------
    model : GraphCRFClassifier, Pipeline or search
        Fitted.
    X : object
        Input of `model`.
    known
        Labels to condition on, as for `GraphCRFClassifier.predict_proba`.

    Returns
    -------
    entropy : RaggedArray of (n_nodes,), or ndarray of shape (n_samples,) for a table or a NodeView

    Examples
    --------
    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.datasets import make_chain
    >>> from skstruct.inspection import entropy, node_entropy
    >>> X, y = make_chain(n_graphs=50, return_X_y=True, random_state=0)
    >>> crf = GraphCRFClassifier().fit(X, y)
    >>> of_nodes = node_entropy(crf, X)
    >>> of_nodes.shape, bool(of_nodes[0].sum() >= entropy(crf, X)[0])
    ((50,), True)
    """
    crf, X = transformed(model, X)
    proba = crf.predict_proba(X, known)
    if isinstance(proba, RaggedArray):
        return RaggedArray(entr(proba.values).sum(axis=1), proba.ptr)
    return entr(proba).sum(axis=1)
