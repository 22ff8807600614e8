"""Models that CRFsuite has trained, as fitted pipelines."""

import os
import tempfile
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array
from sklearn.pipeline import make_pipeline

from skstruct.data.dataset import GraphDataset
from skstruct.data.optional import optional_module
from skstruct.estimator import GraphCRFClassifier
from skstruct.features import LinearFeatures
from skstruct.optim import Optimizer, OptimizerState
from skstruct.preprocessing import AttributeVectorizer
from skstruct.scores import Scores

MAGIC = b"lCRF"
SIZE_AT, ATTRIBUTES_AT, WEIGHTS_AT = 4, 24, 28  # positions of the size, the number of attributes, the offset of weights
WEIGHT = np.dtype([("kind", "<u4"), ("source", "<u4"), ("label", "<u4"), ("weight", "<f8")])
STATE, TRANSITION = 0, 1  # kinds of weights
WEIGHTS_HEADER = 12  # bytes: a name, the size, and at 8 the number of weights


def from_crfsuite(path):
    """Read a model file that CRFsuite has trained.

    python-crfsuite, sklearn-crfsuite and the program ``crfsuite learn`` write such files. python-crfsuite reads the
    names of labels and attributes. It may crash if the file is damaged, so open only files that you trust.

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
    ImportError
        If python-crfsuite is not installed.
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
    labels, attributes, states, transitions = _read(os.fspath(path))
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


def is_crfsuite(path):
    """Whether a file begins like a model of CRFsuite."""
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


class _Given(Optimizer):
    """Return given parameters."""

    def __init__(self, coef):
        self.coef = coef

    def iterate(self, loss, start, *, l1=None, max_iter, tol):
        yield OptimizerState(self.coef, np.nan, np.nan, success=True, message="given")


def _read(path):
    """Labels and attributes in the order of their numbers, weights (n_labels, n_attributes), and transitions."""
    pycrfsuite = optional_module("pycrfsuite", "crfsuite", "from_crfsuite")
    data = Path(path).read_bytes()
    if not data.startswith(MAGIC):
        raise ValueError(f"{path} is no model file of CRFsuite: it does not begin with {MAGIC!r}")
    size = int.from_bytes(data[SIZE_AT : SIZE_AT + 4], "little")
    if size != len(data):  # CRFsuite itself would read beyond the end
        raise ValueError(f"{path} is damaged: it has {len(data)} bytes instead of {size}")
    tagger = pycrfsuite.Tagger()
    with tagger.open(path):
        labels, attributes = tagger.labels(), _attributes(tagger)
    if len(attributes) != int.from_bytes(data[ATTRIBUTES_AT : ATTRIBUTES_AT + 4], "little"):
        raise ValueError(f"{path} has attributes with line breaks, which cannot be read")
    # The text that CRFsuite writes has six decimals of each weight, so the weights are read here.
    start = int.from_bytes(data[WEIGHTS_AT : WEIGHTS_AT + 4], "little")
    number = int.from_bytes(data[start + 8 : start + WEIGHTS_HEADER], "little")
    if start + WEIGHTS_HEADER + number * WEIGHT.itemsize > len(data):
        raise ValueError(f"{path} is damaged: it is too short for {number} weights")
    weights = np.frombuffer(data, WEIGHT, number, start + WEIGHTS_HEADER)
    found = []
    for kind, names in ((STATE, attributes), (TRANSITION, labels)):
        chosen = weights[weights["kind"] == kind]
        if (chosen["source"] >= len(names)).any() or (chosen["label"] >= len(labels)).any():
            raise ValueError(f"{path} is damaged: a weight belongs to a name that is not in the file")
        found.append((chosen["weight"], chosen["source"].astype(np.int32), chosen["label"].astype(np.int32)))
    (values, source, label), (of_pairs, before, after) = found
    states = csr_array((values, (label, source)), shape=(len(labels), len(attributes)))
    transitions = np.zeros((len(labels), len(labels)))
    transitions[before, after] = of_pairs
    return labels, attributes, states, transitions


def _attributes(tagger):
    """Names of the attributes in the order of their numbers, from the text that CRFsuite writes.

    ``tagger.info()`` parses the same text, but fails if a name contains " --> ".
    """
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "model.txt"
        tagger.dump(str(text))
        _, _, rest = text.read_bytes().decode().partition("\nATTRIBUTES = {\n")
    lines = rest.partition("}\n\nTRANSITIONS = {\n")[0].split("\n")[:-1]
    return [line.partition(": ")[2] for line in lines]
