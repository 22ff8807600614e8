"""GraphCRFClassifier: its parameters and attributes, and queries to the trained model."""

from dataclasses import replace

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skstruct.components import resolve, same_settings
from skstruct.data.class_columns import require_comparable
from skstruct.data.label_types import plain_labels
from skstruct.data.ragged import RaggedArray
from skstruct.decoding import DECODERS, Decoder
from skstruct.estimator._chunks import KeptPlans
from skstruct.estimator._input import find_codes, read_X
from skstruct.estimator._known import known_codes
from skstruct.estimator._parameters import check_query_parameters, query_temperature
from skstruct.estimator._partial import is_incremental
from skstruct.estimator._probabilities import gives_probabilities
from skstruct.estimator._rollback import unchanged_by_errors
from skstruct.estimator._training_mixin import TrainingMixin
from skstruct.estimator.callbacks import FitTask, with_callbacks
from skstruct.exceptions import numbered_by
from skstruct.inference import BACKENDS, InferenceBackend, queries
from skstruct.objectives import MISSING
from skstruct.version import Versioned


def _has_probabilities(crf):
    """Whether the objective of training defines probabilities, or a temperature does."""
    return crf.temperature is not None or gives_probabilities(crf)


class GraphCRFClassifier(Versioned, TrainingMixin, ClassifierMixin, BaseEstimator):
    r"""Conditional random field on labelled graphs.

    Each sample is a graph. Its nodes have features and labels, and its edges couple the labels of neighbours:

    .. math:: P(y \mid x) \propto \exp\Bigl(\sum_i s_n[i, y_i] + \sum_{(i,j)} s_e[(i,j), y_i, y_j]\Bigr)

    `features` maps a graph to the scores `s_n` and `s_e`. `inference` computes probabilities of labels from scores.
    `fit` minimises

    .. math:: \tfrac{1 - \rho}{2} \|w\|_2^2 + \rho \|w\|_1 + C \sum_g \omega_g \, loss_g

    over the weights `w` of the map. Intercepts are not penalised. :math:`\rho` is `l1_ratio`, and :math:`\omega_g` is
    the weight of graph `g`. For a table, in which each row is a graph of one node, the model is multinomial logistic
    regression. For three or more classes, `LogisticRegression` has the same solution with the same `C`. For two
    classes, `LogisticRegression` has one weight vector instead of two, and the same solution with ``2 * C``.

    Parameters
    ----------
    features : {"linear", "network", "constrained"} or FeatureMap, default="linear"
        Feature map, which computes scores from graphs, e.g. ``LinearFeatures(edge_weights="symmetric")``. A map other
        than the linear one may have other attributes than those below.
    inference : {"auto", "chain", "tree", "loopy_bp", ...} or InferenceBackend, default="auto"
        Backend that computes probabilities from scores, in training and prediction. "auto" uses for each graph the
        cheapest exact backend that accepts the graph. If no exact backend accepts a training graph, it trains with
        tree-reweighted belief propagation, and continues with loopy belief propagation if that improves the
        probabilities of the training labels; see `Auto`. `inference_report` shows which backend predictions use. May
        be set after `fit`.
    objective : {"likelihood", "hinge", ...} or Objective, default="likelihood"
        Definition of the loss of a graph: a name in `skstruct.objectives.OBJECTIVES`, or an object with parameters.
    optimizer : name in `skstruct.optim.OPTIMIZERS` or Optimizer, default="lbfgs"
        Algorithm that minimises the objective. "lbfgs" finds the optimum; with an L1 penalty it is OWL-QN. "sgd" stops
        earlier: predictions are about as good, and training on many graphs is many times faster. "adam" trains
        networks. "sgd" and "adam" do not support an L1 penalty.
    C : float, default=1.0
        Inverse strength of regularisation, as in `LogisticRegression`.
    l1_ratio : float in [0, 1], default=0.0
        Fraction of the L1 penalty. An L1 penalty sets some weights to exactly zero.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes. They multiply the terms of nodes if the objective is a sum over nodes. The likelihood
        of a graph, however, is one number. The weight of a graph is then the mean class weight of its labelled nodes.
        For one-node graphs both are the definition of scikit-learn. "balanced" uses
        ``n / (n_classes * n_class)``. Here ``n`` is the sum of the sample weights of all labelled nodes, and
        ``n_class`` the sum over the labelled nodes of the class.
    classes : array-like, default=None
        All classes, if some of them may be absent from `y`. None: the classes in `y`.
    decoding : {"map", "marginal"}, name in `skstruct.decoding.DECODERS`, or Decoder, default="map"
        What `predict` returns. "map": the most probable labelling, computed by the inference backend; it is exact if
        the backend is exact. "marginal": the most probable label of each node, which has the highest expected accuracy.
        "auto": for graphs where inference is not exact, the best labelling at affordable cost, by cuts, expansion moves
        or integer programs. May be set after `fit`.
    temperature : float, default=None
        Number by which `predict` and the other queries divide all scores of nodes and edges, so that probabilities are
        less extreme with a number above 1; see `skstruct.calibration.TemperatureScalingCV`. Training does not use it.
        None: 1, and there are probabilities only if the objective defines them. May be set after `fit`.
    missing_label : int, float, str or None, default=None
        Value in `y` that means "unknown", e.g. -1 or nan (which also matches None). Training sums over the labels of
        such nodes, and `score` excludes them. None: all labels are known.
    transductive : bool, default=False
        Whether `predict` and the other queries with the parameter `known` condition on the labels of the training
        nodes, as if they were in `known`. `X` must then contain the graphs of `fit`, with all their nodes, such as
        other nodes of ``dataset.nodes_whole``. False: a prediction depends on the weights and on `X` only, which may
        contain new graphs. May be set to False after `fit`. `partial_fit` does not support True.
    max_iter : int, default=1000
        Maximum number of iterations of the optimiser.
    tol : float, default=1e-6
        Tolerance of the optimiser. It stops when no component of the gradient of the objective, divided by C and by the
        weighted number of nodes, exceeds `tol`.
    warm_start : bool, default=False
        Whether `fit` starts from the solution of the last fit. If the classes, the features or their map have changed,
        `fit` warns and starts from the initial weights. If the last fit was stopped (by `max_iter`, Ctrl-C, a callback
        or early stopping) and data and objective are the same, `fit` continues it: the state of the optimiser and the
        held-out graphs are those of the last fit, also after pickling. The iterations before the stop count. If they
        have reached `max_iter`, `max_iter` iterations more are made.
    early_stopping : bool, default=False
        Whether training holds out a fraction of the graphs, scores each iterate on them, and stops when the score has
        not improved by more than `tol` for `n_iter_no_change` iterations. The iterate with the best score is kept. The
        score is the fraction of right labels, predicted by `decoding`, with the weights of training. If `X` is one
        graph, some of its labelled nodes are held out: training treats their labels as unknown, and they are predicted
        given the other labels.
    validation_fraction : float in (0, 1), default=0.1
        Fraction of the graphs (nodes) with labels to hold out. Used if `early_stopping` is True.
    n_iter_no_change : int, default=10
        Number of iterations without improvement after which training stops. Used if `early_stopping` is True.
    n_jobs : int, default=None
        Number of threads for chunks of graphs. None means 1, and -1 means all processors. In the workers of a parallel
        search it is at most the number of processors per worker, or 1 if that is unknown. Results have the same bits
        for any number of threads, on one machine with the same versions and settings of the libraries, such as the
        number of threads of numpy.
    random_state : int, RandomState or None, default=None
        Seed of optimisers that draw graphs at random, such as "sgd", of the graphs that early stopping holds out, and
        of feature maps with random initial parameters (the linear map has none).
    verbose : int, default=0
        With 1, `fit` prints a line after each iteration: the seconds since the beginning of training, the value of the
        objective above, the largest component of its gradient as compared with `tol` ("-" if the optimiser does not
        compute it), and with early stopping the score on the held-out graphs. `partial_fit` prints a line in each call:
        the seconds since the beginning of the call, and the objective on its graphs.
    checkpoints : skstruct.io.Checkpoints, default=None
        Folder to which `fit` writes the state of the training in intervals. If the program is killed, the same program
        continues from there, with the same result. None: no files are written. `partial_fit` supports only None: a
        checkpoint would not contain which graphs have been passed.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    coef_ : ndarray of shape (n_classes, n_features)
        Node weights of a linear map.
    intercept_ : ndarray of shape (n_classes,)
    edge_coef_ : ndarray of shape (n_edge_features, n_classes, n_classes)
        Edge weights of a linear map. Without edge features there is one matrix for all edges, or no matrix if no graph
        had an edge. Rows are labels of ``edges[e, 0]``.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the node features, if they are a DataFrame.
    n_edge_features_in_ : int
        Number of edge features; 0 if there are none.
    edge_feature_names_in_ : ndarray of shape (n_edge_features,)
        Names of the edge features, if they are a DataFrame.
    inference_ : InferenceBackend
        The backend of the training. Queries use it, unless the parameter `inference` was set to another value after
        `fit`.
    n_iter_ : int
        Number of iterations of the optimiser, at least 1.
    n_evaluations_ : int
        Number of evaluations of objective and gradient.
    loss_curve_ : ndarray of shape (`n_iter_`,)
        Value of the objective above after each iteration. If training ended before the first iteration was complete,
        it contains the value at the start.
    validation_scores_ : ndarray of shape (`n_iter_`,) or None
        Score on the held-out graphs after each iteration; None if `early_stopping` is False, or if Ctrl-C or a callback
        has ended the training with the first objective of several, which is not scored.
    best_validation_score_ : float or None
        Score of the weights that were kept; None as `validation_scores_`.

    See Also
    --------
    skstruct.GraphDataset : many graphs in a few arrays; avoids the conversion of lists at each call.
    skstruct.functional : the same mathematics for score tensors.
    skstruct.inspection : weights and transitions with names, explanations, and queries through pipelines.

    Notes
    -----
    An evaluation of the objective computes scores, inference and gradient of all graphs. With exact inference on
    chains and trees its time is O(n_nodes * (n_features + n_classes) * n_classes).

    References
    ----------
    .. [1] J. Lafferty, A. McCallum, F. Pereira, "Conditional random fields", ICML 2001.
    .. [2] C. Sutton, A. McCallum, "An introduction to conditional random fields", *Foundations and Trends in
       Machine Learning* 4(4), 2012.

    Examples
    --------
    A triangle and a chain, with equal labels along edges:

    >>> from skstruct import GraphCRFClassifier
    >>> X = [([[1.0], [0.8], [0.1]], [(0, 1), (1, 2), (2, 0)]),
    ...      ([[-1.0], [-0.7], [-0.2]], [(0, 1), (1, 2)])]
    >>> y = [["a", "a", "a"], ["b", "b", "b"]]
    >>> crf = GraphCRFClassifier(C=10).fit(X, y)
    >>> crf.predict(X).tolist()
    [['a', 'a', 'a'], ['b', 'b', 'b']]
    >>> crf.predict_proba(X)[0].shape
    (3, 2)
    """

    def __init__(
        self,
        features="linear",
        inference="auto",
        objective="likelihood",
        optimizer="lbfgs",
        *,
        C=1.0,
        l1_ratio=0.0,
        class_weight=None,
        classes=None,
        decoding="map",
        temperature=None,
        missing_label=None,
        transductive=False,
        max_iter=1000,
        tol=1e-6,
        warm_start=False,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        n_jobs=None,
        random_state=None,
        verbose=0,
        checkpoints=None,
    ):
        self.features = features
        self.inference = inference
        self.objective = objective
        self.optimizer = optimizer
        self.C = C
        self.l1_ratio = l1_ratio
        self.class_weight = class_weight
        self.classes = classes
        self.decoding = decoding
        self.temperature = temperature
        self.missing_label = missing_label
        self.transductive = transductive
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.checkpoints = checkpoints

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    @with_callbacks
    def fit(self, X, y, sample_weight=None):
        """Estimate the weights from labelled graphs.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or array-like of shape (n_samples, n_features)
            A graph is a `Graph` or a tuple ``(node_features, edges[, edge_features])``. A table is a batch of one-node
            graphs. Repeated edges are valid, and their scores are added.
        y : RaggedArray, list of array-like, or array-like of shape (n_samples,)
            A label for each node, in the order of the nodes.
        sample_weight : array-like of shape (n_samples,), default=None
            A weight for each graph (row of a table, node of a NodeView). Weights per node, ragged like `y`, multiply
            the terms of nodes if the objective is a sum over nodes ("marginal", "pseudolikelihood", "expected_loss").
            Otherwise they must be constant within each graph, because the loss of a graph is one number.

        Returns
        -------
        self : GraphCRFClassifier

        Raises
        ------
        ValueError, TypeError
            If the input or a parameter is invalid. The estimator is then unchanged.

        Warns
        -----
        ConvergenceWarning
            If the optimiser stopped early, or inference did not converge on some graphs.
        UserWarning
            If `warm_start` is not possible, or `X` is a NodeView that has lost edges.
        """
        task = FitTask(self, X, y)
        with unchanged_by_errors(self):
            interrupt = self._fit(X, y, sample_weight, task.iteration)
        task.end()
        if interrupt is not None:  # Ctrl-C: the best iterate is kept before the interrupt is raised again
            raise interrupt
        return self

    @available_if(is_incremental)
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Pass once over some graphs, and update the weights.

        For data that do not fit into memory, or arrive one after the other. The optimiser continues from its state
        after the last call of `fit` or `partial_fit` (after early stopping: from the weights only). The first call
        determines classes, features and the parameters of the feature map. If its graphs have no edge, a linear map has
        no edge weights, and ignores the edges of later graphs. The penalty counts in full in each call: to train on `k`
        parts of the data as on the whole, multiply `C` by `k`.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or array-like of shape (n_samples, n_features)
            As in `fit`.
        y : RaggedArray, list of array-like, or array-like of shape (n_samples,)
        classes : array-like, default=None
            All classes. The first call needs them, unless they are a parameter of the estimator.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self : GraphCRFClassifier

        Raises
        ------
        ValueError, TypeError
            If the input or a parameter is invalid, `classes` is missing or has changed, or a parameter needs all data
            (`early_stopping`, `transductive`, ``class_weight="balanced"``), or `checkpoints` is not None. The estimator
            is then unchanged, as it is after Ctrl-C.

        Examples
        --------
        >>> from skstruct import GraphCRFClassifier
        >>> from skstruct.datasets import make_chain
        >>> X, y = make_chain(n_graphs=100, return_X_y=True, random_state=0)
        >>> crf = GraphCRFClassifier(optimizer="sgd", C=5, random_state=0)
        >>> for start in range(0, 100, 20):
        ...     part = slice(start, start + 20)
        ...     crf = crf.partial_fit(X[part], y[part], classes=[0, 1, 2])
        >>> crf.n_iter_
        5
        """
        with unchanged_by_errors(self):
            self._partial_fit(X, y, classes, sample_weight)
        return self

    # ---- queries

    def _query(self, X):
        """Return the model, with the current parameters `inference` and `n_jobs`, and the input."""
        if not self.__sklearn_is_fitted__():
            check_is_fitted(self)
        inputs = read_X(self, X, reset=False)
        self._check_edge_features(inputs.dataset)
        return self._current_model(), inputs

    def __sklearn_is_fitted__(self):
        return hasattr(self, "_model")

    def _current_model(self):
        """Return the model, with the parameters that may be set after `fit`."""
        model, given = self._model, resolve(self.inference, InferenceBackend, BACKENDS)
        temperature = query_temperature(self)
        if not same_settings(given, self._fitted_inference):
            model = replace(model, backend=given, kept_plans=KeptPlans())
        if self.n_jobs != model.n_jobs or temperature != model.temperature:
            model = replace(model, n_jobs=self.n_jobs, temperature=temperature)
        return model

    def _check_edge_features(self, dataset):
        """Refuse another number of edge features than in `fit`."""
        n_given = 0 if dataset.edge_features is None else dataset.edge_features.shape[1]
        if dataset.n_edges and n_given != self.n_edge_features_in_:
            raise ValueError(
                f"X has {n_given} edge features, but {type(self).__name__} was fitted with "
                f"{self.n_edge_features_in_} edge features; give the same ones in fit and here."
            )

    def _known_codes(self, inputs, known):
        """State codes of the labels to condition on, (n_nodes,), or None."""
        return known_codes(inputs, known, self.missing_label, self.classes_, self.transductive, self._training_labels)

    def _probabilities(self, model, inputs, known):
        """Node marginals, (n_nodes, n_classes)."""
        return model.marginals(inputs.dataset, self._known_codes(inputs, known))

    def _decode(self, model, dataset, known):
        """State codes of all nodes, (n_nodes,), by `decoding`."""
        check_query_parameters(self)
        if self.decoding == "marginal":
            return model.marginals(dataset, known).argmax(axis=1)
        decoder = None if self.decoding == "map" else resolve(self.decoding, Decoder, DECODERS)
        return model.decode(dataset, decoder, known)

    def predict(self, X, known=None):
        """Predict the label of every node, with the decoder `decoding`.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or array-like of shape (n_samples, n_features)
        known : like `y` in `fit`, default=None
            Known labels. All other labels are predicted given the known labels. The value of an unknown label is
            `missing_label`, or None or nan if `missing_label` is None. If `X` is a NodeView of whole graphs, `known`
            has a label for each node of ``X.dataset``.

        Returns
        -------
        labels : RaggedArray, or ndarray of shape (n_samples,) for a table or a NodeView

        Raises
        ------
        InfeasibleGraph
            If no labelling of a graph is allowed.
        """
        model, inputs = self._query(X)
        codes = self._decode(model, inputs.dataset, self._known_codes(inputs, known))
        return inputs.wrap(self.classes_[codes])

    def predict_top_k(self, X, k, known=None):
        """Find the `k` most probable labellings of each graph, in decreasing order; inference must be exact.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or table
        k : int
        known : like `y` in `fit`, default=None
            Labels to condition on, as in `predict`.

        Returns
        -------
        labels : RaggedArray of (n_nodes, k)
            A column for each labelling. If a graph has fewer than `k` allowed labellings, the remaining columns repeat
            the best labelling.
        log_likelihood : ndarray of shape (n_graphs, k)
            Log-probability of each labelling, given `known`, in nats; -inf for repeated labellings.

        Raises
        ------
        UnsupportedTopology
            If inference on a graph is approximate.
        InfeasibleGraph
            If no labelling of a graph is allowed.

        Notes
        -----
        On a graph without cycles, a single pass of messages finds all `k` labellings. On a graph with cycles, the time
        is that of ``n_nodes * k`` decodings.
        """
        k = queries.positive_integer(k, "k")
        model, inputs = self._query(X)
        codes, log_likelihood = model.top_k(inputs.dataset, k, self._known_codes(inputs, known))
        return RaggedArray(self.classes_[codes], inputs.dataset.node_ptr), log_likelihood

    @available_if(_has_probabilities)
    def sample(self, X, n_samples=1, known=None, random_state=None):
        """Draw labellings from the model: exactly if inference is exact, otherwise by Gibbs sweeps.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or array-like of shape (n_samples, n_features)
        n_samples : int, default=1
            Number of draws, at least 1.
        known : like `y` in `fit`, default=None
            Labels to condition on, as in `predict`.
        random_state : int, RandomState or None, default=None

        Returns
        -------
        labels : RaggedArray of (n_nodes, n_samples), or ndarray for a table or a NodeView
            A column for each labelling drawn.
        """
        n_samples = queries.positive_integer(n_samples, "n_samples")
        model, inputs = self._query(X)
        codes = model.sample(inputs.dataset, n_samples, random_state, self._known_codes(inputs, known))
        return inputs.wrap(self.classes_[codes])

    @available_if(_has_probabilities)
    def predict_proba(self, X, known=None):
        """Probability of every label at every node, summed over the labels of all other nodes.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or array-like of shape (n_samples, n_features)
        known : like `y` in `fit`, default=None
            Labels to condition on, as in `predict`.

        Returns
        -------
        probability : RaggedArray of (n_nodes, n_classes), or ndarray of shape (n_samples, n_classes)
            Columns as in `classes_`.
        """
        model, inputs = self._query(X)
        return inputs.wrap(self._probabilities(model, inputs, known))

    @available_if(_has_probabilities)
    def decision_function(self, X, known=None):
        """Log-odds of two classes, or log-probabilities of more classes, summed over the labels of all other nodes.

        For scikit-learn's tools that need finite values: a probability of 0 counts as the smallest positive number.
        With ``decoding="marginal"``, `predict` returns the label with the largest value. The softmax of the values is
        `predict_proba`, as for `LogisticRegression`.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or array-like of shape (n_samples, n_features)
        known : like `y` in `fit`, default=None
            Labels to condition on, as in `predict`.

        Returns
        -------
        values : RaggedArray of (n_nodes, n_classes), or ndarray of shape (n_samples, n_classes)
            For two classes: one value per node, which is positive if the second class is more probable.
        """
        model, inputs = self._query(X)
        values = np.log(np.maximum(self._probabilities(model, inputs, known), np.finfo(np.float64).tiny))
        return inputs.wrap(values[:, 1] - values[:, 0] if len(self.classes_) == 2 else values)

    @available_if(_has_probabilities)
    def predict_log_proba(self, X, known=None):
        """Logarithm of `predict_proba`, in nats.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or array-like of shape (n_samples, n_features)
        known : like `y` in `fit`, default=None
            Labels to condition on, as in `predict`.

        Returns
        -------
        log_probability : RaggedArray of (n_nodes, n_classes), or ndarray of shape (n_samples, n_classes)
        """
        model, inputs = self._query(X)
        with np.errstate(divide="ignore"):  # log 0 is -inf
            return inputs.wrap(np.log(self._probabilities(model, inputs, known)))

    @available_if(_has_probabilities)
    def predict_edge_proba(self, X, known=None):
        """Probability of every pair of labels at every edge.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or table
        known : like `y` in `fit`, default=None
            Labels to condition on, as in `predict`.

        Returns
        -------
        probability : RaggedArray of (n_edges, n_classes, n_classes)
            One array per graph. Rows are labels of ``edges[e, 0]``.

        Raises
        ------
        InfeasibleGraph
            If no labelling of a graph is allowed.
        """
        model, inputs = self._query(X)
        pairs = model.edge_marginals(inputs.dataset, self._known_codes(inputs, known))
        return RaggedArray(pairs, inputs.dataset.edge_ptr)

    def score(self, X, y, sample_weight=None, known=None):
        """Accuracy over all labelled nodes.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or array-like of shape (n_samples, n_features)
        y : RaggedArray, list of array-like, or array-like of shape (n_samples,)
        sample_weight : array-like, default=None
            Weights per graph, or per node (ragged).
        known : like `y` in `fit`, default=None
            Labels to condition on, as in `predict`. The score includes their nodes. To exclude these nodes, set their
            labels in `y` to `missing_label`.

        Returns
        -------
        accuracy : float
        """
        return self._accuracy(*self._hits(X, y, sample_weight, known))

    def _accuracy(self, right, total):
        """Accuracy from the results of `_hits`."""
        if not total:
            raise ValueError(
                "y has no labelled node, or sample_weight is zero for every labelled node: accuracy is not defined."
            )
        return float(right / total)

    def _hits(self, X, y, sample_weight=None, known=None):
        """Weight of the labelled nodes whose label is predicted, and of all labelled nodes."""
        model, inputs = self._query(X)
        labels, scored = inputs.labels(y, self.missing_label)
        given = plain_labels(labels[scored], "y")
        if len(given):
            require_comparable(given, self.classes_)
        codes = np.full(len(labels), MISSING, np.intp)
        codes[scored] = find_codes(given, self.classes_)
        weights = inputs.node_weights(sample_weight) * scored
        t = inputs.dataset.topology
        graphs = np.flatnonzero(t.sum_nodes(weights))
        nodes = np.isin(t.node_graph, graphs)
        given_codes = self._known_codes(inputs, known)
        with numbered_by(graphs):
            predicted = self._decode(
                model,
                inputs.dataset if len(graphs) == t.n_graphs else inputs.dataset[graphs],
                None if given_codes is None else given_codes[nodes],
            )
        weights = weights[nodes]
        return weights @ (codes[nodes] == predicted), weights.sum()

    def log_partition(self, X):
        """Logarithm of the sum of ``exp(score)`` over all labellings.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or table

        Returns
        -------
        log_partition : ndarray of shape (n_graphs,)
            In nats.
        """
        model, inputs = self._query(X)
        return model.log_partition(inputs.dataset)

    def log_partition_bounds(self, X):
        """Lower and upper bounds of the log-partition.

        Both are equal to the log-partition if inference is exact. Otherwise mean field computes the lower bound, and
        tree-reweighted belief propagation the upper bound.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or table

        Returns
        -------
        lower, upper : ndarray of shape (n_graphs,)
            In nats.
        """
        model, inputs = self._query(X)
        return model.log_partition_bounds(inputs.dataset)

    @available_if(_has_probabilities)
    def entropy(self, X, known=None):
        """Entropy of the labelling of each graph, ``log Z - E[score]``.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or table
        known : like `y` in `fit`, default=None
            Labels to condition on, as in `predict`.

        Returns
        -------
        entropy : ndarray of shape (n_graphs,)
            In nats; 0 if the labels are certain. For an approximate backend: the entropy of its approximate
            distribution.
        """
        model, inputs = self._query(X)
        return model.entropy(inputs.dataset, self._known_codes(inputs, known))

    @available_if(_has_probabilities)
    def log_likelihood(self, X, y):
        """Joint log-probability of the labels of each graph. Missing labels are summed over.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or table
        y : RaggedArray, list of array-like, or array-like of shape (n_samples,)

        Returns
        -------
        log_likelihood : ndarray of shape (n_graphs,)
            In nats.
        """
        model, inputs = self._query(X)
        codes, _ = self._encode(inputs, y, self.classes_, self.missing_label)
        return model.log_likelihood(inputs.dataset, codes)

    @available_if(_has_probabilities)
    def saliency(self, X, y):
        """Gradient of the log-likelihood of labels with respect to the features of nodes and edges.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or table
        y : RaggedArray, list of array-like, or array-like of shape (n_samples,)
            Missing labels are summed over. With the label of a single node, the gradient at the other nodes is their
            influence along the edges.

        Returns
        -------
        node_gradient : RaggedArray of (n_nodes, n_features), or ndarray of shape (n_samples, n_features)
            In nats per unit of the feature; dense, also if the features are sparse.
        edge_gradient : RaggedArray of (n_edges, n_edge_features), or None if edges have no features

        Raises
        ------
        InfeasibleGraph
            If no labelling of a graph is allowed, or its labels are forbidden.
        NotImplementedError
            If the feature map does not implement `input_gradient`.
        """
        model, inputs = self._query(X)
        codes, _ = self._encode(inputs, y, self.classes_, self.missing_label)
        node, edge = model.saliency(inputs.dataset, codes)
        return inputs.wrap(node), None if edge is None else RaggedArray(edge, inputs.dataset.edge_ptr)

    def scores(self, X):
        """Score tensors of all graphs.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or table

        Returns
        -------
        node_scores : RaggedArray of (n_nodes, n_classes)
        edge_scores : RaggedArray of (n_edges, n_classes, n_classes)
        """
        model, inputs = self._query(X)
        node, edge = model.scores(inputs.dataset)
        return RaggedArray(node, inputs.dataset.node_ptr), RaggedArray(edge, inputs.dataset.edge_ptr)

    def inference_report(self, X):
        """Describe inference and decoding for each graph.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or table

        Returns
        -------
        report : dict of ndarray, each of shape (n_graphs,)
            - ``backend``: name of the backend; ``exact``: whether its results are exact.
            - ``width``, ``entries``: width and number of table entries of the junction tree; -1 and 0 for other
              backends.
            - ``n_iter``: number of sweeps; ``converged``; ``residual``: last change of a message.
            - ``gap``: upper bound on the score of all labellings minus the score of the decoded labelling; 0: proved to
              be optimal, inf: no bound.
            - ``seconds``: time of the chunk that contains the graph, in proportion to the number of nodes.

            ``pandas.DataFrame(report)`` converts it to a table.
        """
        model, inputs = self._query(X)
        return model.report(inputs.dataset)
