"""GraphCRFClassifier: check input, connect features, inference, objective and optimiser, set the attributes."""

import warnings
from numbers import Integral, Real

import numpy as np
from joblib import Parallel
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score
from sklearn.utils import check_random_state, compute_class_weight
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from skstruct import _chunks
from skstruct._input import encode, read_X
from skstruct._node_view import NodeView
from skstruct._ragged import RaggedArray, missing_mask
from skstruct._records import Scores
from skstruct.exceptions import InfeasibleGraph, numbered_from
from skstruct.features import FEATURE_MAPS
from skstruct.inference import BACKENDS
from skstruct.inference._base import edge_marginals, edge_rows, parts, score_labelling
from skstruct.objectives import MISSING, OBJECTIVES
from skstruct.objectives._likelihood import clamp
from skstruct.optim import OPTIMIZERS


class GraphCRFClassifier(ClassifierMixin, BaseEstimator):
    r"""Conditional random field on labelled graphs.

    Each sample is a graph whose nodes have features and labels; edges couple the labels of neighbours:

    .. math:: P(y \mid x) \propto \exp\Big(\sum_i s_n[i, y_i] + \sum_{(i,j)} s_e[(i,j), y_i, y_j]\Big)

    `features` maps a graph to the scores `s_n` and `s_e`, `inference` turns scores into probabilities of labels,
    and `fit` minimises

    .. math:: \tfrac{1 - \rho}{2} \|w\|_2^2 + \rho \|w\|_1 + C \sum_g \omega_g \, loss_g

    over the weights `w` of the map (intercepts are free), with :math:`\rho` = `l1_ratio` and :math:`\omega_g` the
    graph's sample weight. A table, where each row is a graph of one node, makes this multinomial logistic
    regression: `LogisticRegression`'s model with the same `C` for three or more classes, and with ``2 * C`` for two
    classes, for which it has one weight vector instead of two.

    Parameters
    ----------
    features : {"linear"} or FeatureMap, default="linear"
        How graphs become scores, e.g. ``LinearFeatures(edge_weights="symmetric")``.
    inference : {"auto", "edgeless", "chain", "tree", "loopy_bp", "enumeration"} or InferenceBackend, default="auto"
        How scores become probabilities, in training and prediction. "auto" gives each graph the cheapest exact
        backend that takes it, else loopy belief propagation; `inference_report` tells which.
    objective : {"likelihood"} or Objective, default="likelihood"
        The loss of a graph.
    optimizer : {"lbfgs"} or Optimizer, default="lbfgs"
        How the loss is minimised.
    C : float, default=1.0
        Inverse strength of regularisation, as in `LogisticRegression`.
    l1_ratio : float in [0, 1], default=0.0
        Share of the L1 penalty, which sets weights to exactly zero.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes. The likelihood of a graph is one number, so that a graph is weighted by the mean class
        weight of its labelled nodes; for one-node graphs that is scikit-learn's meaning. "balanced" uses
        ``n_labelled_nodes / (n_classes * count of the class)``.
    classes : array-like, default=None
        All classes, where `y` may lack some; None takes those in `y`.
    decoding : {"map", "marginal"}, default="map"
        What `predict` returns: the most probable labelling, or each node's most probable label, which has the highest
        expected accuracy.
    missing_label : int, float, str or None, default=None
        Stands in `y` for "unknown", e.g. -1 or nan (which also matches None): such nodes are summed over in training
        and left out of `score`. None: all labels are known.
    max_iter : int, default=1000
        Iterations of the optimiser.
    tol : float, default=1e-6
        The optimiser stops when no component of the gradient of the objective, divided by C and by the weighted
        number of nodes, exceeds it.
    warm_start : bool, default=False
        Whether `fit` starts from the last solution.
    n_jobs : int, default=None
        Threads for chunks of graphs; None is one, -1 all processors. Results have the same bits for any number.
    random_state : int, RandomState or None, default=None
        For feature maps that start from random parameters; the linear one does not.
    verbose : int, default=0
        1 prints a line per iteration.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    coef_ : ndarray of shape (n_classes, n_features)
        Node weights of a linear map.
    intercept_ : ndarray of shape (n_classes,)
    edge_coef_ : ndarray of shape (n_edge_features, n_classes, n_classes)
        Edge weights of a linear map; without edge features one matrix, shared by all edges (none if no graph had an
        edge). Rows are labels of ``edges[e, 0]``.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)
        Where the node features are a DataFrame.
    n_edge_features_in_ : int
        0 without edge features.
    inference_ : InferenceBackend
        The backend used.
    n_iter_, n_evaluations_ : int
        Iterations of the optimiser, evaluations of objective and gradient.
    loss_curve_ : ndarray of shape (n_iter_,)
        The minimised objective, as above, after each iteration.

    See Also
    --------
    skstruct.GraphDataset : the packed form of many graphs, which saves converting lists at each call.
    skstruct.functional : the same mathematics on score tensors.

    Notes
    -----
    An evaluation costs one pass of features, inference and gradient over all graphs; with exact inference on chains
    and trees O(n_nodes * (n_features + n_classes) * n_classes).

    References
    ----------
    .. [1] J. Lafferty, A. McCallum, F. Pereira, "Conditional random fields", ICML 2001.
    .. [2] C. Sutton, A. McCallum, "An introduction to conditional random fields", *Foundations and Trends in Machine
       Learning* 4(4), 2012.

    Examples
    --------
    Three triangles and a chain, labels that agree along edges:

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
        missing_label=None,
        max_iter=1000,
        tol=1e-6,
        warm_start=False,
        n_jobs=None,
        random_state=None,
        verbose=0,
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
        self.missing_label = missing_label
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    # ------------------------------------------------------------------------------------------ training
    def fit(self, X, y, sample_weight=None):
        """Estimate the weights from graphs with labelled nodes.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or array-like of shape (n_samples, n_features)
            A graph is a `Graph` or a tuple ``(node_features, edges[, edge_features])``; a table is a batch of one-node
            graphs. Repeated edges are legal, and their scores add.
        y : RaggedArray, list of array-like, or array-like of shape (n_samples,)
            A label for each node, in the order of the nodes.
        sample_weight : array-like of shape (n_samples,), default=None
            A weight for each graph (row of a table, node of a NodeView). Weights per node, ragged like `y`, must be
            constant within each graph, since its likelihood is one number.

        Returns
        -------
        self : GraphCRFClassifier

        Raises
        ------
        ValueError, TypeError
            If the input or a parameter is malformed; the estimator stays as it was.

        Warns
        -----
        ConvergenceWarning
            If the optimiser stopped early, or inference did not converge on some graphs.
        """
        before = vars(self).copy()
        try:
            interrupt = self._fit(X, y, sample_weight)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise
        if interrupt is not None:  # Ctrl-C: the best iterate is kept, and the interrupt goes on its way
            raise interrupt
        return self

    def _fit(self, X, y, sample_weight):
        self._check_parameters()
        backend = _resolve(self.inference, BACKENDS, "inference")
        feature_map = _resolve(self.features, FEATURE_MAPS, "features")
        objective = _resolve(self.objective, OBJECTIVES, "objective")
        optimizer = _resolve(self.optimizer, OPTIMIZERS, "optimizer")
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y is None."
            )
        if isinstance(X, NodeView) and X.lost_edges:
            warnings.warn(
                f"the NodeView has lost {X.lost_edges} edges to splitting inside graphs; split by whole graphs, e.g. with "
                "GroupKFold(groups=X.groups).",
                UserWarning,
                stacklevel=3,
            )
        layout = read_X(self, X, reset=True)
        dataset = layout.dataset
        codes, classes = self._encode(layout, y, self.classes)
        weights = self._graph_weights(layout, codes, classes, sample_weight)

        previous = getattr(self, "_coef", None) if self.warm_start else None
        feature_plan = feature_map.plan(dataset, len(classes))
        coef0 = feature_plan.initial_coef(check_random_state(self.random_state))
        if previous is not None and previous.shape == coef0.shape:
            coef0 = previous
        chunks = _chunks.cut(dataset, len(classes), backend)
        # The optimiser sees the objective divided by C and the weighted number of nodes, so that tol is relative.
        scale = self.C * (weights @ np.diff(dataset.node_ptr))
        l2 = (1 - self.l1_ratio) * feature_plan.penalized
        l1 = self.l1_ratio * feature_plan.penalized / scale if self.l1_ratio else None

        with Parallel(n_jobs=self.n_jobs, require="sharedmem") as pool, threadpool_limits(1, user_api="blas"):
            loss = _chunks.loss_function(chunks, feature_plan, objective, codes, weights, pool)

            def penalised(coef):
                value, gradient = loss(coef)
                value = self.C * value + 0.5 * (l2 * coef) @ coef
                return value / scale, (self.C * gradient + l2 * coef) / scale

            result = optimizer.minimize(
                penalised, coef0, l1=l1, max_iter=self.max_iter, tol=self.tol, callback=self._report_iteration
            )

        self.classes_ = classes
        self.inference_ = backend
        self.n_edge_features_in_ = 0 if dataset.edge_features is None else dataset.edge_features.shape[1]
        self.n_iter_ = max(1, result.nit)
        self.n_evaluations_ = result.nfev
        self.loss_curve_ = result.loss_curve * scale
        self._feature_plan = feature_plan
        self._coef = result.x
        for name, value in feature_plan.attributes(result.x).items():
            setattr(self, name, value)
        if not result.success and result.interrupt is None:
            _warn_not_converged(result, self.max_iter, all(c.plan.exact for c in chunks))
        self._warn_inference(chunks)
        return result.interrupt

    def _check_parameters(self):
        def require(name, good, wanted):
            if not good:
                raise ValueError(f"{type(self).__name__}: {name} must be {wanted}, got {getattr(self, name)!r}.")

        def is_number(value, kind):
            return isinstance(value, kind) and not isinstance(value, bool | np.bool_)

        require("C", is_number(self.C, Real) and 0 < self.C < np.inf, "a positive number")
        require("l1_ratio", is_number(self.l1_ratio, Real) and 0 <= self.l1_ratio <= 1, "a number in [0, 1]")
        require("tol", is_number(self.tol, Real) and self.tol >= 0, "a number >= 0")
        require("max_iter", is_number(self.max_iter, Integral) and self.max_iter >= 1, "an integer >= 1")
        require("decoding", self.decoding in DECODINGS, f"one of {list(DECODINGS)}")
        require(
            "class_weight",
            self.class_weight is None or isinstance(self.class_weight, dict) or self.class_weight == "balanced",
            "a dict, 'balanced' or None",
        )

    def _encode(self, layout, y, classes):
        """State codes per node, (n_nodes,), with MISSING, and the classes."""
        labels = layout.flatten(y, missing_label=self.missing_label)
        missing = missing_mask(labels, self.missing_label)
        if missing.all():
            raise ValueError("y has no labelled node: at least one is needed, of at least one class.")
        return encode(labels, ~missing, None if classes is None else np.unique(classes), layout.dataset)

    def _graph_weights(self, layout, codes, classes, sample_weight):
        """Weight of each graph: its sample weight times the mean class weight of its labelled nodes."""
        t = layout.dataset.topology
        node = np.ones(t.n_nodes) if sample_weight is None else layout.node_weights(sample_weight)
        weights = np.ones(t.n_graphs)
        weights[t.node_graph] = node
        uneven = np.flatnonzero(weights[t.node_graph] != node)
        if len(uneven):
            g = t.node_graph[uneven[0]]
            raise ValueError(
                f"sample_weight differs between the nodes of graph {g}: the likelihood of a graph is one number, so that "
                "all its nodes must have the same weight (a NodeView with repeated nodes cannot be fitted either)."
            )
        if self.class_weight is not None:
            known = codes != MISSING
            class_weight = compute_class_weight(self.class_weight, classes=classes, y=classes[codes[known]])
            total = t.sum_nodes(np.where(known, class_weight[codes], 0.0))
            weights = weights * total / np.maximum(t.sum_nodes(known), 1)
        return weights

    def _report_iteration(self, iteration, value, gradient_norm):
        if self.verbose:
            print(f"[{type(self).__name__}] iteration {iteration}: loss {value:.8g}, |gradient| {gradient_norm:.2e}")

    def _warn_inference(self, chunks):
        """Warn once if approximate inference does not converge on training graphs at the solution."""
        loose = 0
        for c in chunks:
            if not c.plan.exact:
                scores = self._feature_plan.scores(c.batch, self._coef)
                loose += int((~c.plan.marginals(scores).converged).sum())
        if loose:
            warnings.warn(
                f"inference did not converge on {loose} of {sum(len(c.batch) for c in chunks)} training graphs at the "
                "solution, so that loss and gradient are inexact there; see inference_report. Try a smaller C, "
                "LoopyBP(damping=0.5), or an exact backend.",
                ConvergenceWarning,
                stacklevel=4,
            )

    # ------------------------------------------------------------------------------------------ queries
    def _read(self, X):
        check_is_fitted(self)
        layout = read_X(self, X, reset=False)
        given = layout.dataset.edge_features
        n_given = 0 if given is None else given.shape[1]
        if layout.dataset.n_edges and n_given != self.n_edge_features_in_:
            raise ValueError(
                f"X has {n_given} edge features, but {type(self).__name__} was fitted with "
                f"{self.n_edge_features_in_} edge features."
            )
        return layout

    def _map_chunks(self, dataset, query):
        """Run ``query(chunk, scores)`` on all chunks, in threads, and yield chunks with results, in order."""
        chunks = _chunks.cut(dataset, len(self.classes_), self.inference_)

        def run(chunk):
            with numbered_from(chunk.graphs.start):
                return query(chunk, self._feature_plan.scores(chunk.batch, self._coef))

        if len(chunks) < 2:
            return [(chunk, run(chunk)) for chunk in chunks]
        return list(zip(chunks, _chunks.in_threads(run, chunks, self.n_jobs)))

    def _marginals(self, dataset):
        """Node marginals (n_nodes, n_classes); raises where no labelling is allowed."""

        def query(chunk, scores):
            found = chunk.plan.marginals(scores)
            bad = np.flatnonzero(np.isneginf(found.log_partition))
            if len(bad):
                raise InfeasibleGraph(bad[0], "no labelling is allowed, all score -inf")
            return found.node

        return _concatenate([node for _, node in self._map_chunks(dataset, query)], (0, len(self.classes_)))

    def predict(self, X):
        """Predict the label of every node, by `decoding`.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or array-like of shape (n_samples, n_features)

        Returns
        -------
        labels : RaggedArray, or ndarray of shape (n_samples,) for a table or a NodeView
        """
        layout = self._read(X)
        return layout.wrap(self.classes_[DECODINGS[self.decoding](self, layout.dataset)])

    def _map_codes(self, dataset):
        found = self._map_chunks(dataset, lambda chunk, scores: chunk.plan.decode(scores).labels)
        return _concatenate([codes for _, codes in found], (0,)).astype(np.intp)

    def _marginal_codes(self, dataset):
        return self._marginals(dataset).argmax(axis=1)

    def predict_proba(self, X):
        """Probability of every label at every node, summed over the labels of all others.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or array-like of shape (n_samples, n_features)

        Returns
        -------
        probability : RaggedArray of (n_nodes, n_classes), or ndarray of shape (n_samples, n_classes)
            Columns as in `classes_`.
        """
        layout = self._read(X)
        return layout.wrap(self._marginals(layout.dataset))

    def predict_log_proba(self, X):
        """Logarithm of `predict_proba`, in nats.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or array-like of shape (n_samples, n_features)

        Returns
        -------
        log_probability : RaggedArray of (n_nodes, n_classes), or ndarray of shape (n_samples, n_classes)
        """
        layout = self._read(X)
        with np.errstate(divide="ignore"):
            return layout.wrap(np.log(self._marginals(layout.dataset)))

    def predict_edge_proba(self, X):
        """Probability of every pair of labels at every edge.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or table

        Returns
        -------
        probability : RaggedArray of (n_edges, n_classes, n_classes)
            One array per graph; rows are labels of ``edges[e, 0]``.
        """
        dataset = self._read(X).dataset
        n = len(self.classes_)
        found = self._map_chunks(dataset, lambda chunk, scores: edge_marginals(chunk.plan, scores))
        return RaggedArray(_concatenate([edge for _, edge in found], (0, n, n)), dataset.edge_ptr)

    def score(self, X, y, sample_weight=None):
        """Accuracy over all labelled nodes.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or array-like of shape (n_samples, n_features)
        y : RaggedArray, list of array-like, or array-like of shape (n_samples,)
        sample_weight : array-like, default=None
            Weights per graph, or per node (ragged).

        Returns
        -------
        accuracy : float
        """
        layout = self._read(X)
        labels = layout.flatten(y, missing_label=self.missing_label)
        known = ~missing_mask(labels, self.missing_label)
        if not known.any():
            raise ValueError("y has no labelled node: accuracy is not defined.")
        predicted = self.classes_[DECODINGS[self.decoding](self, layout.dataset)]
        weights = None if sample_weight is None else layout.node_weights(sample_weight)[known]
        return float(accuracy_score(labels[known], predicted[known], sample_weight=weights))

    def log_partition(self, X):
        """Log of the sum over all labellings of the exponentiated score.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or table

        Returns
        -------
        log_partition : ndarray of shape (n_graphs,)
            In nats.
        """
        dataset = self._read(X).dataset
        found = self._map_chunks(dataset, lambda chunk, scores: chunk.plan.marginals(scores).log_partition)
        return _concatenate([values for _, values in found], (0,))

    def log_likelihood(self, X, y):
        """Log-probability of the labels of each graph, jointly; of the known ones where some are missing.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or table
        y : RaggedArray, list of array-like, or array-like of shape (n_samples,)

        Returns
        -------
        log_likelihood : ndarray of shape (n_graphs,)
            In nats.
        """
        layout = self._read(X)
        codes, _ = self._encode(layout, y, self.classes_)

        def query(chunk, scores):
            y = codes[chunk.nodes]
            if (y == MISSING).any():
                target = chunk.plan.marginals(clamp(scores, y)).log_partition
            else:
                target = score_labelling(chunk.plan.topology, scores, y)
            return target - chunk.plan.marginals(scores).log_partition

        return _concatenate([values for _, values in self._map_chunks(layout.dataset, query)], (0,))

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
        dataset = self._read(X).dataset
        found: Scores = self._feature_plan.scores(dataset, self._coef)
        edge = found.edge[edge_rows(found, dataset.n_edges)]
        return RaggedArray(found.node, dataset.node_ptr), RaggedArray(edge, dataset.edge_ptr)

    def inference_report(self, X):
        """How inference went, graph by graph.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or table

        Returns
        -------
        report : dict of ndarray, each of shape (n_graphs,)
            ``backend`` (its name), ``exact``, ``n_iter`` (sweeps), ``converged``, ``residual`` (last change of a
            message). ``pandas.DataFrame(report)`` makes it a table.
        """
        dataset = self._read(X).dataset
        report = {
            "backend": np.empty(len(dataset), object),
            "exact": np.empty(len(dataset), bool),
            "n_iter": np.empty(len(dataset), np.intp),
            "converged": np.empty(len(dataset), bool),
            "residual": np.empty(len(dataset)),
        }
        for chunk, found in self._map_chunks(dataset, lambda chunk, scores: chunk.plan.marginals(scores)):
            for name in ("n_iter", "converged", "residual"):
                report[name][chunk.graphs] = getattr(found, name)
            for graphs, plan in parts(chunk.plan):
                report["backend"][chunk.graphs.start + graphs] = plan.name
                report["exact"][chunk.graphs.start + graphs] = plan.exact
        return report


DECODINGS = {"map": GraphCRFClassifier._map_codes, "marginal": GraphCRFClassifier._marginal_codes}


def _resolve(component, table, name):
    """Turn a row's name into an instance with default parameters; pass objects on."""
    if not isinstance(component, str):
        return component
    if component not in table:
        raise ValueError(f"GraphCRFClassifier: {name} must be one of {list(table)} or an object, got {component!r}.")
    return table[component]()


def _concatenate(arrays, empty_shape):
    return np.concatenate([np.zeros(empty_shape), *arrays])


def _warn_not_converged(result, max_iter, exact):
    if result.nit >= max_iter:
        remedy = "Increase max_iter, scale the features, or decrease C."
    elif exact:
        remedy = "Scale the features, or decrease C."
    else:
        remedy = (
            "With approximate inference the objective can jump, which ends a line search: decrease C, or use an exact "
            "backend."
        )
    warnings.warn(
        f"the optimiser stopped after {result.nit} iterations: {result.message}. The best iterate is kept. {remedy}",
        ConvergenceWarning,
        stacklevel=5,
    )
