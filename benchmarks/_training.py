"""Classifiers with CRFsuite's model, their training objective as a function, and setting of their weights."""

import warnings

import numpy as np
from scipy.sparse import issparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline

from benchmarks._text import CHUNK_NOTATION, COLUMNS
from skstruct import GraphCRFClassifier
from skstruct.features import LinearFeatures
from skstruct.optim import Optimizer, OptimizerState
from skstruct.preprocessing import TokenTemplates


def chain_crf(c2, dtype="float64", c1=0.0, **parameters):
    """Classifier with CRFsuite's model and objective times `C`: ``sum NLL + c2 * |w|**2 + c1 * |w|_1``.

    It has weights for attributes and labels, and for pairs of labels, that occur together in training.
    """
    features = LinearFeatures(node_weights="observed", edge_weights="observed", fit_intercept=False, dtype=dtype)
    return GraphCRFClassifier(features, C=1 / (2 * c2 + c1), l1_ratio=c1 / (2 * c2 + c1), **parameters)


def chunk_tagger(c2, **parameters):
    """Pipeline from sentences of (word, tag) to chunk labels."""
    templates = TokenTemplates(CHUNK_NOTATION, columns=COLUMNS, dtype=np.uint8)
    return make_pipeline(templates, chain_crf(c2, **parameters))


class _Probe(Optimizer):
    """An optimiser that only calls ``body(fun, coef)`` and returns ``coef(coef0)``."""

    accepts_l1 = True
    needs_smooth = False

    def __init__(self, coef=None, body=None):
        self.coef = coef
        self.body = body

    def iterate(self, loss, start, *, l1=None, max_iter, tol):
        x = np.array(start) if self.coef is None else self.coef(start)
        if self.body is not None:
            self.body(loss, x)
        yield OptimizerState(x, np.nan, np.nan, success=True, message="the body has run")


def with_objective(crf, X, y, body, coef=None):
    """Call ``body(fun, coef)`` with the function that `fit` minimises: ``fun(coef) -> value, gradient``.

    The value is the objective divided by `C` and by the number of nodes.
    """
    crf.set_params(optimizer=_Probe(None if coef is None else lambda coef0: coef, body)).fit(X, y)


def with_coef(crf, X, y, coef):
    """Return the classifier with given parameters instead of trained ones."""
    return crf.set_params(optimizer=_Probe(lambda coef0: coef)).fit(X, y)


def places(crf, X, y):
    """Number, from 1, of each weight among the parameters, and 0 where the classifier has no weight.

    Returns arrays (n_features, n_states) of nodes and (n_states, n_states) of edges.
    """
    crf.set_params(optimizer=_Probe(lambda coef0: np.arange(1.0, len(coef0) + 1))).fit(X, y)  # each is its number
    node = crf.coef_.toarray() if issparse(crf.coef_) else crf.coef_
    return node.T.astype(np.int64), crf.edge_coef_[0].astype(np.int64)


def flat_coef(crf, X, y, node, edge):
    """Arrange weights (n_features, n_states) of nodes and (n_states, n_states) of edges as the classifier does.

    Raises `ValueError` if the classifier does not have the parameter of a nonzero weight.
    """
    numbers = places(crf, X, y)
    coef = np.zeros(len(crf._model.coef) + 1)
    for where, weights in zip(numbers, (node, edge)):
        if weights[where == 0].any():
            raise ValueError("the classifier does not have the parameter of a nonzero weight")
        coef[where] = weights
    return coef[1:]


def stopped_fit(crf, X, y):
    """Call `fit` without the warning that training ended at `max_iter`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a fixed number of iterations
        return crf.fit(X, y)
