"""Models that CRFsuite has trained, as fitted pipelines."""

import numpy as np
from scipy.sparse import csr_array
from sklearn.pipeline import make_pipeline

from skstruct.compat._crfsuite_format import read_model
from skstruct.data.dataset import GraphDataset
from skstruct.estimator import GraphCRFClassifier
from skstruct.features import LinearFeatures
from skstruct.optim import Optimizer, OptimizerState
from skstruct.preprocessing import AttributeVectorizer
from skstruct.scores import Scores


def from_crfsuite(path):
    """Read a model file that CRFsuite has trained.

    python-crfsuite, sklearn-crfsuite and the program ``crfsuite learn`` write such files. None of them is needed to
    read one.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    model : Pipeline
        A fitted pipeline of an `AttributeVectorizer` and a `GraphCRFClassifier` that predicts the same labels and
        marginals. If several labellings of a sequence are equally probable, it may predict another one of them. The
        pipeline accepts lists of sequences, whose tokens are dicts or lists of strings. If it is fitted again, it
        trains with the default parameters of skstruct.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is no model of CRFsuite, or is damaged.

    See Also
    --------
    CRF : Trains such models, with the interface of sklearn-crfsuite.

    Examples
    --------
    >>> import pycrfsuite
    >>> from tempfile import mkdtemp
    >>> from skstruct.compat import from_crfsuite
    >>> trainer, path = pycrfsuite.Trainer(verbose=False), mkdtemp() + "/model.crfsuite"
    >>> trainer.append([{"w": "the"}, {"w": "dog"}], ["D", "N"])
    >>> trainer.train(path)
    >>> model = from_crfsuite(path)
    >>> model.predict([[{"w": "the"}, {"w": "dog"}]]).tolist()
    [['D', 'N']]
    >>> model[0].get_feature_names_out().tolist()
    ['w:the', 'w:dog']
    """
    labels, attributes, states, transitions = read_model(path)
    if not attributes:  # all weights of attributes are 0, but the estimator needs a feature
        attributes, states = ["none"], csr_array((len(labels), 1))
    vectorizer = AttributeVectorizer(separator=":").fit([[attributes]])
    features = LinearFeatures(fit_intercept=False, node_weights="observed")
    classes, order = np.unique(np.array(labels), return_index=True)
    states, transitions, n_states = states[order], transitions[np.ix_(order, order)], len(classes)
    # A graph whose observed pairs are those with a weight: its first nodes have the weights of their label as features.
    ptr = np.append(states.indptr, np.full(n_states, states.nnz))
    nodes = csr_array((states.data, states.indices, ptr), shape=(2 * n_states, len(attributes)))
    graph, codes = GraphDataset.from_graphs([(nodes, [(0, n_states)])]), np.tile(np.arange(n_states), 2)
    plan = features.plan(graph, classes, codes)
    coef = np.zeros(plan.n_coef)
    node = np.eye(2 * n_states, n_states)
    plan.pullback(plan.prepare(graph), Scores(node, transitions[None], np.zeros(1, np.int32)), coef)
    crf = GraphCRFClassifier(features, optimizer=_Given(coef)).fit(graph, [classes[codes]])
    return make_pipeline(vectorizer, crf.set_params(optimizer="lbfgs"))


class _Given(Optimizer):
    """Return given parameters."""

    def __init__(self, coef):
        self.coef = coef

    def iterate(self, loss, start, *, l1=None, max_iter, tol):
        yield OptimizerState(self.coef, np.nan, np.nan, success=True, message="given")
