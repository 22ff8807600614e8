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

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.datasets import make_chain
    >>> from skstruct.inspection import inference_report
    >>> from skstruct.preprocessing import NodeTransformer
    >>> X, y = make_chain(n_graphs=10, return_X_y=True, random_state=0)
    >>> model = make_pipeline(NodeTransformer(StandardScaler()), GraphCRFClassifier()).fit(X, y)
    >>> inference_report(model, X[:2])["backend"].tolist()
    ['chain', 'chain']
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
    n_samples : int, default=1
        Number of labellings of each graph.
    known : like `y` in `GraphCRFClassifier.fit`, default=None
        Labels to condition on.
    random_state : int, RandomState instance or None, default=None
        Determines the labellings.

    Returns
    -------
    labels : RaggedArray of (n_nodes, n_samples), or ndarray for a table or a NodeView

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.datasets import make_chain
    >>> from skstruct.inspection import sample
    >>> from skstruct.preprocessing import NodeTransformer
    >>> X, y = make_chain(n_graphs=10, return_X_y=True, random_state=0)
    >>> model = make_pipeline(NodeTransformer(StandardScaler()), GraphCRFClassifier()).fit(X, y)
    >>> labels = sample(model, X, n_samples=3, random_state=0)
    >>> labels[0].shape
    (10, 3)
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
    known : like `y` in `GraphCRFClassifier.fit`, default=None
        Labels to condition on.

    Returns
    -------
    probability : RaggedArray of (n_edges, n_classes, n_classes)

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.datasets import make_chain
    >>> from skstruct.inspection import predict_edge_proba
    >>> from skstruct.preprocessing import NodeTransformer
    >>> X, y = make_chain(n_graphs=10, return_X_y=True, random_state=0)
    >>> model = make_pipeline(NodeTransformer(StandardScaler()), GraphCRFClassifier()).fit(X, y)
    >>> proba = predict_edge_proba(model, X)
    >>> proba[0].shape, round(float(proba[0][0].sum()), 6)
    ((9, 3, 3), 1.0)
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
    k : int
        Number of labellings.
    known : like `y` in `GraphCRFClassifier.fit`, default=None
        Labels to condition on.

    Returns
    -------
    labels : RaggedArray of (n_nodes, k)
        A column for each labelling. If a graph has fewer than `k`, the remaining columns repeat the best labelling.
    log_likelihood : ndarray of shape (n_graphs, k)
        Log-probability of each labelling, in nats, in decreasing order; -inf for repeated labellings.

    Raises
    ------
    UnsupportedTopology
        If inference on a graph is approximate.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.datasets import make_chain
    >>> from skstruct.inspection import predict_top_k
    >>> from skstruct.preprocessing import NodeTransformer
    >>> X, y = make_chain(n_graphs=10, return_X_y=True, random_state=0)
    >>> model = make_pipeline(NodeTransformer(StandardScaler()), GraphCRFClassifier()).fit(X, y)
    >>> labels, log_likelihood = predict_top_k(model, X, k=2)
    >>> labels[0].shape, bool((log_likelihood[:, 0] >= log_likelihood[:, 1]).all())
    ((10, 2), True)
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
    known : like `y` in `GraphCRFClassifier.fit`, default=None
        Labels to condition on.

    Returns
    -------
    entropy : ndarray of shape (n_graphs,)

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.datasets import make_chain
    >>> from skstruct.inspection import entropy
    >>> from skstruct.preprocessing import NodeTransformer
    >>> X, y = make_chain(n_graphs=10, return_X_y=True, random_state=0)
    >>> model = make_pipeline(NodeTransformer(StandardScaler()), GraphCRFClassifier()).fit(X, y)
    >>> entropy(model, X).shape
    (10,)
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
    known : like `y` in `GraphCRFClassifier.fit`, default=None
        Labels to condition on.

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
