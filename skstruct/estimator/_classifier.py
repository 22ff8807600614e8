"""GraphCRFClassifier: check input, connect features, inference, objective, optimiser, set the attributes."""

import sys
import warnings
from dataclasses import replace

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skstruct.components import resolve
from skstruct.data.class_columns import require_comparable
from skstruct.data.label_types import plain_labels
from skstruct.data.missing import missing_mask
from skstruct.data.node_view import NodeView
from skstruct.data.ragged import RaggedArray, is_ragged
from skstruct.data.sklearn_callers import refuse_flat_scoring
from skstruct.decoding import DECODERS, Decoder
from skstruct.estimator._chunks import cut, single_blas_thread, thread_map
from skstruct.estimator._input import encode, find_codes, read_classes, read_X
from skstruct.estimator._model import Model
from skstruct.estimator._parameters import check_parameters
from skstruct.estimator._training import TrainingLoss, warn_inference, warn_not_converged
from skstruct.estimator._weights import graph_weights
from skstruct.exceptions import numbered_by
from skstruct.features import FEATURE_MAPS, FeatureMap
from skstruct.inference import BACKENDS, InferenceBackend, queries
from skstruct.objectives import MISSING, OBJECTIVES, Objective
from skstruct.optim import OPTIMIZERS, Optimizer
from skstruct.optim._base import STOPPED
from skstruct.scores import Targets


def _gives_probabilities(estimator):
    """Whether the objective of training defines probabilities; the error of a missing method says why."""
    objective = estimator.objective
    if isinstance(objective, Objective) and not objective.probabilistic:
        raise AttributeError(
            f"objective={objective!r} trains scores that define no probabilities; predict needs none, and "
            "objective='likelihood' trains probabilities."
        )
    return True


class GraphCRFClassifier(ClassifierMixin, BaseEstimator):
    r"""Conditional random field on labelled graphs.

    Each sample is a graph whose nodes have features and labels; edges couple the labels of neighbours:

    .. math:: P(y \mid x) \propto \exp\Big(\sum_i s_n[i, y_i] + \sum_{(i,j)} s_e[(i,j), y_i, y_j]\Big)

    `features` maps a graph to the scores `s_n` and `s_e`, `inference` turns scores into probabilities of
    labels, and `fit` minimises

    .. math:: \tfrac{1 - \rho}{2} \|w\|_2^2 + \rho \|w\|_1 + C \sum_g \omega_g \, loss_g

    over the weights `w` of the map (intercepts are free), with :math:`\rho` = `l1_ratio` and :math:`\omega_g`
    the graph's sample weight. A table, where each row is a graph of one node, makes this multinomial logistic
    regression: `LogisticRegression`'s model with the same `C` for three or more classes, and with ``2 * C``
    for two classes, for which it has one weight vector instead of two.

    Parameters
    ----------
    features : {"linear"} or FeatureMap, default="linear"
        How graphs become scores, e.g. ``LinearFeatures(edge_weights="symmetric")``.
    inference : {"auto", "chain", "tree", "loopy_bp", ...} or InferenceBackend, default="auto"
        How scores become probabilities, in training and prediction. "auto" gives each graph the cheapest
        exact backend that takes it, else loopy belief propagation; `inference_report` tells which.
    objective : {"likelihood"} or Objective, default="likelihood"
        The loss of a graph.
    optimizer : {"lbfgs", "sgd"} or Optimizer, default="lbfgs"
        How the loss is minimised: "lbfgs" to the optimum; "sgd" to where prediction is about as good, many times
        sooner on many graphs, without L1 penalty.
    C : float, default=1.0
        Inverse strength of regularisation, as in `LogisticRegression`.
    l1_ratio : float in [0, 1], default=0.0
        Share of the L1 penalty, which sets weights to exactly zero.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes. The likelihood of a graph is one number, so that a graph is weighted by the
        mean class weight of its labelled nodes; for one-node graphs that is scikit-learn's meaning.
        "balanced" uses ``n / (n_classes * n_class)``, where ``n`` and ``n_class`` are the sums of the sample
        weights of all labelled nodes and of those of the class.
    classes : array-like, default=None
        All classes, where `y` may lack some; None takes those in `y`.
    decoding : {"map", "marginal"}, name in `skstruct.decoding.DECODERS`, or Decoder, default="map"
        What `predict` returns: "map", the most probable labelling by the inference backend (exact where that is exact);
        "marginal", each node's most probable label, which has the highest expected accuracy; "auto", the best
        affordable labelling of graphs where inference is not exact, by cuts, expansion moves or integer programs.
    missing_label : int, float, str or None, default=None
        Stands in `y` for "unknown", e.g. -1 or nan (which also matches None): such nodes are summed over in
        training and left out of `score`. None: all labels are known.
    max_iter : int, default=1000
        Iterations of the optimiser.
    tol : float, default=1e-6
        The optimiser stops when no component of the gradient of the objective, divided by C and by the
        weighted number of nodes, exceeds it.
    warm_start : bool, default=False
        Whether `fit` starts from the last solution.
    n_jobs : int, default=None
        Threads for chunks of graphs; None is one, -1 all processors. Results have the same bits for any
        number, on one machine with the same versions and settings of the libraries, such as the threads of numpy.
    random_state : int, RandomState or None, default=None
        For optimisers that draw graphs at random ("sgd"), and feature maps that start from random parameters (the
        linear one does not).
    verbose : int, default=0
        1 prints a line per iteration.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    coef_ : ndarray of shape (n_classes, n_features)
        Node weights of a linear map.
    intercept_ : ndarray of shape (n_classes,)
    edge_coef_ : ndarray of shape (n_edge_features, n_classes, n_classes)
        Edge weights of a linear map; without edge features one matrix, shared by all edges (none if no graph
        had an edge). Rows are labels of ``edges[e, 0]``.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)
        Where the node features are a DataFrame.
    n_edge_features_in_ : int
        0 without edge features.
    inference_ : InferenceBackend
        The backend of the training. Queries use the parameter `inference`, which may be set after `fit`.
    n_iter_ : int
        Iterations of the optimiser, at least 1.
    n_evaluations_ : int
        Evaluations of objective and gradient.
    loss_curve_ : ndarray of shape (`n_iter_`,)
        The minimised objective, as above, after each iteration; its value at the start where training ended before
        the first iteration did.

    See Also
    --------
    skstruct.GraphDataset : the packed form of many graphs, which saves converting lists at each call.
    skstruct.functional : the same mathematics on score tensors.

    Notes
    -----
    An evaluation costs one pass of features, inference and gradient over all graphs; with exact inference on
    chains and trees O(n_nodes * (n_features + n_classes) * n_classes).

    References
    ----------
    .. [1] J. Lafferty, A. McCallum, F. Pereira, "Conditional random fields", ICML 2001.
    .. [2] C. Sutton, A. McCallum, "An introduction to conditional random fields", *Foundations and Trends in
       Machine Learning* 4(4), 2012.

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

    _attributes: tuple[str, ...] = ()  # names that the feature map of the last fit has set

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

    def fit(self, X, y, sample_weight=None):
        """Estimate the weights from graphs with labelled nodes.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or array-like of shape (n_samples, n_features)
            A graph is a `Graph` or a tuple ``(node_features, edges[, edge_features])``; a table is a batch of
            one-node graphs. Repeated edges are legal, and their scores add.
        y : RaggedArray, list of array-like, or array-like of shape (n_samples,)
            A label for each node, in the order of the nodes.
        sample_weight : array-like of shape (n_samples,), default=None
            A weight for each graph (row of a table, node of a NodeView). Weights per node, ragged like `y`,
            must be constant within each graph, since its likelihood is one number.

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
            self.__dict__.clear()
            self.__dict__.update(before)
            raise
        if interrupt is not None:  # Ctrl-C: the best iterate is kept, and the interrupt goes on its way
            raise interrupt
        return self

    def _fit(self, X, y, sample_weight):
        check_parameters(self)
        backend = resolve(self.inference, InferenceBackend, BACKENDS)
        feature_map = resolve(self.features, FeatureMap, FEATURE_MAPS)
        objective = resolve(self.objective, Objective, OBJECTIVES)
        optimizer = self._seeded(resolve(self.optimizer, Optimizer, OPTIMIZERS))
        if y is None:
            raise ValueError(f"This {type(self).__name__} estimator requires y to be passed, but the target y is None.")
        if isinstance(X, NodeView) and X.lost_edges:
            warnings.warn(
                f"the NodeView has lost {X.lost_edges} edges to splitting inside graphs; split by whole "
                "graphs, e.g. with GroupKFold(groups=X.groups).",
                UserWarning,
                stacklevel=3,
            )
        refuse_flat_scoring(sys._getframe(), is_ragged)
        layout = read_X(self, X, reset=True)
        dataset = layout.dataset
        classes = None if self.classes is None else read_classes(self.classes)
        codes, classes = self._encode(layout, y, classes, self.missing_label)
        if (codes == MISSING).all():
            raise ValueError("y has no labelled node: at least one is needed, of at least one class.")
        weights = graph_weights(layout, codes, classes, sample_weight, self.class_weight)
        kept = np.flatnonzero(weights)
        if len(kept) < len(weights):  # weight 0 is the same as leaving a graph out, also if y is forbidden there
            codes = codes[np.isin(dataset.topology.node_graph, kept)]
            dataset, weights = dataset[kept], weights[kept]

        feature_plan = feature_map.plan(dataset, classes, codes)
        coef0 = self._warm_coef(feature_plan, classes) if self.warm_start else None
        if coef0 is None:
            coef0 = feature_plan.initial_coef(check_random_state(self.random_state))
        # The optimiser sees the objective divided by C and the weighted number of nodes, so that tol is relative.
        scale = self.C * (weights @ np.diff(dataset.node_ptr))
        l1 = self.l1_ratio * feature_plan.penalized / scale if self.l1_ratio else None

        with numbered_by(kept), thread_map(self.n_jobs) as in_threads, single_blas_thread:
            chunks = cut(dataset, len(classes), backend)
            factors = self.C / scale, (1 - self.l1_ratio) / scale
            targets = Targets(codes, weights)
            loss = TrainingLoss(chunks, feature_plan, backend, objective, targets, len(classes), *factors, in_threads)

            def report(state):
                if self.verbose:
                    known = "" if np.isnan(state.gradient_norm) else f", relative gradient {state.gradient_norm:.2e}"
                    print(f"[{type(self).__name__}] iteration {state.n_iter}: loss {state.value * scale:.8g}{known}")

            result = optimizer.minimize(loss, coef0, l1=l1, max_iter=self.max_iter, tol=self.tol, callback=report)

        self.classes_ = classes
        self.inference_ = backend
        self.n_edge_features_in_ = 0 if dataset.edge_features is None else dataset.edge_features.shape[1]
        # scikit-learn requires n_iter_ >= 1: an end before the first iteration counts as one that stays at the start
        curve = result.loss_curve if len(result.loss_curve) else np.array([result.fun])
        self.n_iter_ = len(curve)
        self.n_evaluations_ = result.nfev
        self.loss_curve_ = curve * scale
        attributes = feature_plan.attributes(result.x)
        for name in set(self._attributes) - set(attributes):  # a refit with another map leaves none of the old one
            delattr(self, name)
        for name, value in attributes.items():
            setattr(self, name, value)
        self._attributes = tuple(attributes)
        self._model = Model(feature_plan, result.x, backend, classes)
        if not result.success and result.interrupt is None and result.message != STOPPED:
            warn_not_converged(result, self.max_iter, loss)
        warn_inference(loss, result.x)
        return result.interrupt

    def _seeded(self, optimizer):
        """Give an optimiser that draws random numbers our `random_state` where it has none of its own."""
        parameters = optimizer.get_params() if hasattr(optimizer, "get_params") else {}
        unseeded = [name for name, value in parameters.items() if name.endswith("random_state") and value is None]
        if not unseeded:
            return optimizer
        return clone(optimizer).set_params(**dict.fromkeys(unseeded, self.random_state))

    def _warm_coef(self, feature_plan, classes):
        """Weights of the last fit; None, with a warning, if they mean something else now, and None before any fit."""
        model = getattr(self, "_model", None)
        if model is None:
            return None
        same_classes = model.classes.tolist() == classes.tolist()
        if same_classes and model.feature_plan == feature_plan:
            return model.coef
        what = "features or their map" if same_classes else "classes"
        warnings.warn(
            f"warm_start=True, but the {what} differ from those of the last fit: training starts anew.",
            UserWarning,
            stacklevel=4,
        )
        return None

    def _encode(self, layout, y, classes, missing_label, name="y"):
        """State codes per node, (n_nodes,), with MISSING, and the classes."""
        labels = layout.labels(y, missing_label, name)
        known = ~missing_mask(labels, missing_label)
        return encode(labels, known, classes, layout.dataset, name)

    # ---- queries

    def _query(self, X):
        """Return the model, with inference and threads as the parameters say now, and the input."""
        check_is_fitted(self)
        layout = read_X(self, X, reset=False)
        given = layout.dataset.edge_features
        n_given = 0 if given is None else given.shape[1]
        if layout.dataset.n_edges and n_given != self.n_edge_features_in_:
            raise ValueError(
                f"X has {n_given} edge features, but {type(self).__name__} was fitted with "
                f"{self.n_edge_features_in_} edge features; give the same ones in fit and here."
            )
        backend = resolve(self.inference, InferenceBackend, BACKENDS)
        return replace(self._model, backend=backend, n_jobs=self.n_jobs), layout

    def _known_codes(self, layout, known):
        """State codes of the labels that are known beforehand, (n_nodes,), or None."""
        if known is None:
            return None
        blank = np.nan if self.missing_label is None else self.missing_label
        return self._encode(layout, known, self.classes_, blank, "known")[0]

    def _probabilities(self, model, layout, known):
        """Node marginals, (n_nodes, n_classes)."""
        return model.marginals(layout.dataset, self._known_codes(layout, known))

    def _decode(self, model, dataset, known):
        """State codes of all nodes, (n_nodes,), by `decoding`."""
        check_parameters(self)  # they may have been set since fit
        if self.decoding == "marginal":
            return model.marginals(dataset, known).argmax(axis=1)
        decoder = None if self.decoding == "map" else resolve(self.decoding, Decoder, DECODERS)
        return model.decode(dataset, decoder, known)

    def predict(self, X, known=None):
        """Predict the label of every node, by `decoding`.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or array-like of shape (n_samples, n_features)
        known : like `y` in `fit`, default=None
            Labels that are known beforehand; the others are predicted given them. `missing_label`, or None and nan if
            that is None, stands for an unknown label.

        Returns
        -------
        labels : RaggedArray, or ndarray of shape (n_samples,) for a table or a NodeView

        Raises
        ------
        InfeasibleGraph
            If no labelling of a graph is allowed.
        """
        model, layout = self._query(X)
        codes = self._decode(model, layout.dataset, self._known_codes(layout, known))
        return layout.wrap(self.classes_[codes])

    def predict_top_k(self, X, k, known=None):
        """Find the `k` most probable labellings of each graph, best first; inference must be exact.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or table
        k : int
        known : like `y` in `fit`, default=None
            Labels to condition on, as in `predict`.

        Returns
        -------
        labels : RaggedArray of (n_nodes, k)
            A column for each labelling. A graph with fewer than `k` allowed ones repeats its best.
        log_likelihood : ndarray of shape (n_graphs, k)
            Log-probability of each labelling, given `known`, in nats; -inf for such repeats.

        Raises
        ------
        UnsupportedTopology
            If inference on a graph is approximate.
        InfeasibleGraph
            If no labelling of a graph is allowed.
        """
        k = queries.positive_integer(k, "k")
        model, layout = self._query(X)
        codes, log_likelihood = model.top_k(layout.dataset, k, self._known_codes(layout, known))
        return RaggedArray(self.classes_[codes], layout.dataset.node_ptr), log_likelihood

    def sample(self, X, n_samples=1, known=None, random_state=None):
        """Draw labellings from the model: exactly where inference is exact, by Gibbs sweeps otherwise.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or array-like of shape (n_samples, n_features)
        n_samples : int, default=1
            At least 1.
        known : like `y` in `fit`, default=None
            Labels to condition on, as in `predict`.
        random_state : int, RandomState or None, default=None

        Returns
        -------
        labels : RaggedArray of (n_nodes, n_samples), or ndarray for a table or a NodeView
            A column for each joint draw.
        """
        n_samples = queries.positive_integer(n_samples, "n_samples")
        model, layout = self._query(X)
        codes = model.sample(layout.dataset, n_samples, random_state, self._known_codes(layout, known))
        return layout.wrap(self.classes_[codes])

    @available_if(_gives_probabilities)
    def predict_proba(self, X, known=None):
        """Probability of every label at every node, summed over the labels of all others.

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
        model, layout = self._query(X)
        return layout.wrap(self._probabilities(model, layout, known))

    @available_if(_gives_probabilities)
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
        model, layout = self._query(X)
        with np.errstate(divide="ignore"):
            return layout.wrap(np.log(self._probabilities(model, layout, known)))

    @available_if(_gives_probabilities)
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
            One array per graph; rows are labels of ``edges[e, 0]``.

        Raises
        ------
        InfeasibleGraph
            If no labelling of a graph is allowed.
        """
        model, layout = self._query(X)
        pairs = model.edge_marginals(layout.dataset, self._known_codes(layout, known))
        return RaggedArray(pairs, layout.dataset.edge_ptr)

    def score(self, X, y, sample_weight=None, known=None):
        """Accuracy over all labelled nodes.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or array-like of shape (n_samples, n_features)
        y : RaggedArray, list of array-like, or array-like of shape (n_samples,)
        sample_weight : array-like, default=None
            Weights per graph, or per node (ragged).
        known : like `y` in `fit`, default=None
            Labels to condition on, as in `predict`. Their nodes count too. To leave the nodes out, let `missing_label`
            stand for their labels in `y`.

        Returns
        -------
        accuracy : float
        """
        model, layout = self._query(X)
        labels = layout.labels(y, self.missing_label)
        scored = ~missing_mask(labels, self.missing_label)
        if not scored.any():
            raise ValueError("y has no labelled node: accuracy is not defined.")
        given = plain_labels(labels[scored], "y")
        require_comparable(given, self.classes_)
        codes = np.full(len(labels), MISSING, np.intp)
        codes[scored] = find_codes(given, self.classes_)
        weights = scored if sample_weight is None else layout.node_weights(sample_weight) * scored
        if not weights.any():
            raise ValueError("sample_weight is zero for every labelled node: accuracy is not defined.")
        t = layout.dataset.topology
        graphs = np.flatnonzero(t.sum_nodes(weights))
        nodes = np.isin(t.node_graph, graphs)
        given_codes = self._known_codes(layout, known)
        with numbered_by(graphs):
            predicted = self._decode(
                model,
                layout.dataset if len(graphs) == t.n_graphs else layout.dataset[graphs],
                None if given_codes is None else given_codes[nodes],
            )
        return float(np.average(codes[nodes] == predicted, weights=weights[nodes]))

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
        model, layout = self._query(X)
        return model.log_partition(layout.dataset)

    def log_partition_bounds(self, X):
        """Bounds of the log-partition: equal where inference is exact, else mean field's and tree-reweighted BP's.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or table

        Returns
        -------
        lower, upper : ndarray of shape (n_graphs,)
            In nats.
        """
        model, layout = self._query(X)
        return model.log_partition_bounds(layout.dataset)

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
            In nats; 0 if the labels are certain. Of an approximate backend, the one that belongs to its marginals.
        """
        model, layout = self._query(X)
        return model.entropy(layout.dataset, self._known_codes(layout, known))

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
        model, layout = self._query(X)
        codes, _ = self._encode(layout, y, self.classes_, self.missing_label)
        return model.log_likelihood(layout.dataset, codes)

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
        model, layout = self._query(X)
        node, edge = model.scores(layout.dataset)
        return RaggedArray(node, layout.dataset.node_ptr), RaggedArray(edge, layout.dataset.edge_ptr)

    def inference_report(self, X):
        """How inference and decoding went, graph by graph.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or table

        Returns
        -------
        report : dict of ndarray, each of shape (n_graphs,)
            ``backend`` (its name), ``exact``; ``width`` and ``entries`` of the junction tree (-1 and 0 where there is
            none); ``n_iter`` (sweeps), ``converged``, ``residual`` (last change of a message); ``gap`` between the
            score of the decoded labelling and its bound (0: proven optimal, inf: unknown); ``seconds``, the share of a
            graph, by nodes, in the time that its chunk took. ``pandas.DataFrame(report)`` makes it a table.
        """
        model, layout = self._query(X)
        return model.report(layout.dataset)
