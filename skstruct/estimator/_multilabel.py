"""MultiLabelCRFClassifier: a multi-label classifier in which the labels of a sample depend on each other."""

from copy import copy

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_consistent_length
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from skstruct.data.label_graphs import LabelGraphs
from skstruct.data.ragged import RaggedArray
from skstruct.estimator._classifier import GraphCRFClassifier
from skstruct.estimator._indicators import indicator_states, read_indicators
from skstruct.estimator._input import FLOATS, checked_weights, refuse_zero
from skstruct.estimator._label_graph import label_edges
from skstruct.estimator._probabilities import gives_probabilities
from skstruct.estimator._rollback import complete, unchanged_by_errors
from skstruct.estimator.callbacks import CallbackSupportMixin, FitTask, with_callbacks
from skstruct.features import LabelFeatures
from skstruct.version import Versioned

# parameters that GraphCRFClassifier has, too
SHARED = (
    "inference",
    "objective",
    "optimizer",
    "C",
    "l1_ratio",
    "decoding",
    "max_iter",
    "tol",
    "n_jobs",
    "random_state",
    "verbose",
    "checkpoints",
)
AFTER_FIT = ("inference", "decoding", "n_jobs")


class MultiLabelCRFClassifier(Versioned, CallbackSupportMixin, ClassifierMixin, BaseEstimator):
    r"""Multi-label classifier: a conditional random field whose nodes are the labels of a sample.

    A sample ``x`` has a set of labels, given as a row of zeros and ones. The probability of the whole set is

    .. math:: P(y \mid x) \propto \exp\Bigl(\sum_l y_l \, (x \cdot w_l + b_l) + \sum_{(l, m)} u_{lm} \, y_l \, y_m\Bigr)

    The sum over pairs has an edge for each pair of labels, or for some pairs. Without edges the labels are independent,
    and the model is a `LogisticRegression` for each label. The weight :math:`u_{lm}` is the logarithm of the odds ratio
    of two labels, given the features and all other labels. `fit` estimates all weights jointly. It minimises

    .. math:: \tfrac{1 - \rho}{2} \bigl(\|w\|_2^2 + \lambda \|u\|_2^2\bigr)
              + \rho \, (\|w\|_1 + \lambda \|u\|_1) - C \sum_n \omega_n \log P(y_n \mid x_n)

    where :math:`\rho` is `l1_ratio`, :math:`\lambda` is `edge_penalty`, and :math:`\omega_n` is the weight of a sample.
    Intercepts :math:`b` are not penalised.

    Parameters
    ----------
    graph : {"full", "chow_liu"} or array-like of int of shape (n_edges, 2), default="full"
        Pairs of labels that have an edge.

        - "full": all pairs. The time of exact inference grows as ``2**n_labels``. With more than about 18 labels,
          ``inference="auto"`` is approximate.
        - "chow_liu": the tree of the pairs with the largest mutual information of the training labels. Inference is
          exact and fast for any number of labels.
        - an array: pairs of label numbers. An empty list means independent labels.
    inference : {"auto", "junction_tree", "loopy_bp", ...} or InferenceBackend, default="auto"
        Backend that computes probabilities, as in `GraphCRFClassifier`. May be set after `fit`.
    objective : {"likelihood", "pseudolikelihood", ...} or Objective, default="likelihood"
        Definition of the loss of a sample, as in `GraphCRFClassifier`.
    optimizer : {"lbfgs", "sgd", ...} or Optimizer, default="lbfgs"
        Algorithm that minimises the objective, as in `GraphCRFClassifier`.
    C : float, default=1.0
        Inverse strength of regularisation, as in `LogisticRegression`.
    edge_penalty : float, default=0.1
        Factor of the penalty on the edge weights :math:`u`, relative to the penalty on the weights of features.
    l1_ratio : float in [0, 1], default=0.0
        Fraction of the L1 penalty, which sets some weights to exactly zero.
    decoding : {"map", "marginal"}, name in `skstruct.decoding.DECODERS`, or Decoder, default="map"
        What `predict` returns. "map": the most probable set of labels, which has the highest expected exact match.
        "marginal": the labels with a probability of more than 1/2, which have the lowest expected Hamming loss. May be
        set after `fit`.
    max_iter : int, default=1000
        Maximum number of iterations of the optimiser.
    tol : float, default=1e-6
        Tolerance of the optimiser, as in `GraphCRFClassifier`.
    n_jobs : int, default=None
        Number of threads. None means 1, and -1 means all processors. May be set after `fit`.
    random_state : int, RandomState or None, default=None
        Seed of optimisers that draw samples at random ("sgd").
    verbose : int, default=0
        With 1, `fit` prints a line after each iteration, as in `GraphCRFClassifier`.
    checkpoints : skstruct.io.Checkpoints, default=None
        Folder to which `fit` writes the state of the training, as in `GraphCRFClassifier`. A checkpoint contains a
        `GraphCRFClassifier`, the attribute `crf_`.

    Attributes
    ----------
    classes_ : ndarray
        Numbers of the labels, (n_labels,). If `y` is 1-D: its two values.
    n_labels_ : int
        Number of labels.
    edges_ : ndarray of shape (n_edges, 2)
        Pairs of labels that have an edge, each with the smaller number first.
    coef_ : ndarray of shape (n_labels, n_features)
        Weights :math:`w`.
    intercept_ : ndarray of shape (n_labels,)
        Intercepts :math:`b`. inf or -inf for a label that all training samples have, or none: its probability is then 1
        or 0.
    edge_coef_ : ndarray of shape (n_edges,)
        Weights :math:`u`.
    crf_ : GraphCRFClassifier
        The estimator that was trained on graphs of labels.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, if `X` is a DataFrame.
    n_iter_ : int
        Number of iterations of the optimiser.
    loss_curve_ : ndarray of shape (`n_iter_`,)
        Value of the objective above after each iteration.

    See Also
    --------
    GraphCRFClassifier : the classifier of the nodes of any graphs.
    sklearn.multioutput.ClassifierChain : predicts the labels one after the other.

    Notes
    -----
    The labels of a sample share its features, which are not copied. An evaluation of the objective takes the time
    O(n_samples * n_features * n_labels) and the time of inference. With exact inference on the full graph, inference
    takes O(n_samples * n_labels * 2**n_labels).

    The estimator also accepts a 1-D `y` with two classes. It is then logistic regression, with the solution of
    `LogisticRegression` for the same `C`, and `predict_proba` has two columns.

    References
    ----------
    .. [1] N. Ghamrawi, A. McCallum, "Collective multi-label classification", CIKM 2005.
    .. [2] C. Chow, C. Liu, "Approximating discrete probability distributions with dependence trees", *IEEE
       Transactions on Information Theory* 14(3), 1968.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from skstruct import MultiLabelCRFClassifier
    >>> X, y = make_multilabel_classification(n_samples=200, n_classes=4, random_state=0)
    >>> crf = MultiLabelCRFClassifier(C=0.1).fit(X, y)
    >>> crf.predict(X[:3]).tolist()
    [[1, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 0]]
    >>> crf.predict_proba(X).shape
    (200, 4)
    >>> crf.edges_.tolist()
    [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]
    """

    def __init__(
        self,
        graph="full",
        inference="auto",
        objective="likelihood",
        optimizer="lbfgs",
        *,
        C=1.0,
        edge_penalty=0.1,
        l1_ratio=0.0,
        decoding="map",
        max_iter=1000,
        tol=1e-6,
        n_jobs=None,
        random_state=None,
        verbose=0,
        checkpoints=None,
    ):
        self.graph = graph
        self.inference = inference
        self.objective = objective
        self.optimizer = optimizer
        self.C = C
        self.edge_penalty = edge_penalty
        self.l1_ratio = l1_ratio
        self.decoding = decoding
        self.max_iter = max_iter
        self.tol = tol
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.checkpoints = checkpoints

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.classifier_tags.multi_class = False
        tags.classifier_tags.multi_label = True
        return tags

    @with_callbacks
    def fit(self, X, y, sample_weight=None):
        """Estimate the weights.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
        y : array-like or sparse matrix of shape (n_samples, n_labels), or array-like of shape (n_samples,)
            1 for each label that a sample has, else 0. A 1-D `y` contains two classes, of any type.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self : MultiLabelCRFClassifier

        Raises
        ------
        ValueError, TypeError
            If the input or a parameter is invalid. The estimator is then unchanged.

        Warns
        -----
        ConvergenceWarning
            If the optimiser stopped early, or inference did not converge on some samples.
        """
        task = FitTask(self, X, y)
        with unchanged_by_errors(self):
            interrupt = self._fit(X, y, sample_weight, task)
        task.end()
        if interrupt is not None:  # Ctrl-C: the best iterate is kept
            raise interrupt
        return self

    def _fit(self, X, y, sample_weight, task):
        X = validate_data(self, X, accept_sparse="csr", dtype=FLOATS)
        labels = read_indicators(y)
        check_consistent_length(X, labels)
        is_table = labels.ndim == 2
        classes = np.arange(labels.shape[1]) if is_table else np.unique(labels)
        states = indicator_states(labels, classes, labels.shape[1] if is_table else None)
        weights = None
        if sample_weight is not None:
            weights = checked_weights(sample_weight, len(states), "sample")
            refuse_zero(weights)
        edges = label_edges(self.graph, states, weights)
        graphs = LabelGraphs(X, states.shape[1], edges)
        parameters = {name: getattr(self, name) for name in SHARED}
        crf = GraphCRFClassifier(LabelFeatures(self.edge_penalty), classes=[0, 1], **parameters)
        fitted = {"classes_": classes, "n_labels_": states.shape[1], "edges_": edges, "_is_table": is_table}

        def report(state, attributes_at):
            return task.iteration(state, lambda coef: fitted | _attributes_of(crf, attributes_at(coef)))

        interrupt = crf._fit(graphs, RaggedArray(states.ravel(), graphs.node_ptr), weights, report)
        return complete(self._keep, crf, fitted) or interrupt

    def _keep(self, crf, fitted):
        """Set the fitted attributes, which are partly those of the estimator of graphs."""
        self.__dict__.update(fitted | _attributes_of(crf, vars(crf)))
        self.n_iter_, self.loss_curve_ = crf.n_iter_, crf.loss_curve_

    # ---- queries

    def _query(self, X):
        """Return the estimator of graphs, with the current parameters that may be set after fit, and the graphs."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, accept_sparse="csr", dtype=FLOATS)
        crf = copy(self.crf_).set_params(**{name: getattr(self, name) for name in AFTER_FIT})
        return crf, LabelGraphs(X, self.n_labels_, self.edges_)

    def predict(self, X):
        """Predict the labels of samples, with the decoder `decoding`.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        labels : ndarray of shape (n_samples, n_labels), or (n_samples,) if `y` was 1-D
        """
        crf, graphs = self._query(X)
        states = crf.predict(graphs).values.reshape(-1, self.n_labels_)
        return states if self._is_table else self.classes_[states[:, 0]]

    @available_if(gives_probabilities)
    def predict_proba(self, X):
        """Probability of each label, summed over the other labels.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        probability : ndarray of shape (n_samples, n_labels)
            Probability that the sample has the label. If `y` was 1-D: a column for each class.
        """
        crf, graphs = self._query(X)
        probability = crf.predict_proba(graphs).values
        if self._is_table:
            return probability[:, 1].reshape(-1, self.n_labels_)
        return probability[:, : len(self.classes_)]  # a single column if `y` had only one class

    @available_if(gives_probabilities)
    def predict_log_proba(self, X):
        """Logarithm of `predict_proba`, in nats.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        log_probability : ndarray of shape (n_samples, n_labels)
        """
        with np.errstate(divide="ignore"):  # log 0 is -inf
            return np.log(self.predict_proba(X))

    @available_if(gives_probabilities)
    def decision_function(self, X):
        """Log-odds of each label, summed over the other labels.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        log_odds : ndarray of shape (n_samples, n_labels), or (n_samples,) if `y` was 1-D
            Finite: a probability of 0 counts as the smallest positive number. If `y` was 1-D: of the second class.
        """
        crf, graphs = self._query(X)
        log_odds = crf.decision_function(graphs).values
        return log_odds.reshape(-1, self.n_labels_) if self._is_table else log_odds

    @available_if(gives_probabilities)
    def log_likelihood(self, X, y):
        """Joint log-probability of the labels of each sample.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
        y : as in `fit`

        Returns
        -------
        log_likelihood : ndarray of shape (n_samples,)
            In nats. -inf for a sample with a label that no training sample had.
        """
        crf, graphs = self._query(X)
        labels = read_indicators(y)
        check_consistent_length(X, labels)
        states = indicator_states(labels, self.classes_, self.n_labels_ if self._is_table else None)
        return crf.log_likelihood(graphs, RaggedArray(states.ravel(), graphs.node_ptr))

    def inference_report(self, X):
        """Describe inference and decoding for each sample, as `GraphCRFClassifier.inference_report` does.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        report : dict of ndarray, each of shape (n_samples,)
        """
        crf, graphs = self._query(X)
        return crf.inference_report(graphs)


def _attributes_of(crf, attributes):
    """Attributes of an estimator whose estimator of graphs is a copy of `crf` with these attributes."""
    fitted = copy(crf)
    fitted.__dict__.update(attributes)
    return {"crf_": fitted, **{name: attributes[name] for name in ("coef_", "intercept_", "edge_coef_")}}
