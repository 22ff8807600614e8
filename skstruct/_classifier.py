"""GraphCRFClassifier: check input, connect features, inference, objective, optimiser, set the attributes."""

import sys
import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state, compute_class_weight
from threadpoolctl import threadpool_limits

from skstruct._chunks import thread_map
from skstruct._graph_queries import GraphQueries
from skstruct._input import encode, read_classes, read_X
from skstruct._missing import missing_mask
from skstruct._node_view import NodeView
from skstruct._ragged import is_ragged
from skstruct._resolve import resolve
from skstruct._sklearn_callers import refuse_flat_scoring
from skstruct._training import TrainingLoss
from skstruct.decoding import DECODERS
from skstruct.exceptions import numbered_by
from skstruct.features import FEATURE_MAPS
from skstruct.inference import BACKENDS
from skstruct.objectives import MISSING, OBJECTIVES
from skstruct.optim import OPTIMIZERS


class GraphCRFClassifier(GraphQueries, ClassifierMixin, BaseEstimator):
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
        The backend used.
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
        self._check_parameters()
        backend = resolve(self.inference, BACKENDS, "inference")
        feature_map = resolve(self.features, FEATURE_MAPS, "features")
        objective = resolve(self.objective, OBJECTIVES, "objective")
        optimizer = self._seeded(resolve(self.optimizer, OPTIMIZERS, "optimizer"))
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
        weights = self._graph_weights(layout, codes, classes, sample_weight)
        kept = np.flatnonzero(weights)
        if len(kept) < len(weights):  # weight 0 is the same as leaving a graph out, also if y is forbidden there
            codes = codes[np.isin(dataset.topology.node_graph, kept)]
            dataset, weights = dataset[kept], weights[kept]

        feature_plan = feature_map.plan(dataset, classes, codes)
        coef0 = feature_plan.initial_coef(check_random_state(self.random_state))
        if self.warm_start and getattr(self, "_feature_plan", None) == feature_plan and self._has_classes(classes):
            coef0 = self._coef
        # The optimiser sees the objective divided by C and the weighted number of nodes, so that tol is relative.
        scale = self.C * (weights @ np.diff(dataset.node_ptr))
        l1 = self.l1_ratio * feature_plan.penalized / scale if self.l1_ratio else None

        with numbered_by(kept), thread_map(self.n_jobs) as in_threads, threadpool_limits(1, user_api="blas"):
            factors = self.C / scale, (1 - self.l1_ratio) / scale
            loss = TrainingLoss(
                dataset, feature_plan, backend, objective, codes, len(classes), weights, *factors, in_threads
            )

            def report(iteration, value, gradient_norm):
                if self.verbose:
                    print(
                        f"[{type(self).__name__}] iteration {iteration}: loss {value * scale:.8g}, "
                        f"relative gradient {gradient_norm:.2e}"
                    )

            result = optimizer.minimize(loss, coef0, l1=l1, max_iter=self.max_iter, tol=self.tol, callback=report)

        self.classes_ = classes
        self.inference_ = backend
        self.n_edge_features_in_ = 0 if dataset.edge_features is None else dataset.edge_features.shape[1]
        # scikit-learn requires n_iter_ >= 1: an end before the first iteration counts as one that stays at the start
        curve = result.loss_curve if len(result.loss_curve) else np.array([result.fun])
        self.n_iter_ = len(curve)
        self.n_evaluations_ = result.nfev
        self.loss_curve_ = curve * scale
        self._feature_plan = feature_plan
        self._coef = result.x
        for name, value in feature_plan.attributes(result.x).items():
            setattr(self, name, value)
        if not result.success and result.interrupt is None:
            _warn_not_converged(result, self.max_iter, all(c.plan.exact for c in loss.chunks))
        self._warn_inference(loss)
        return result.interrupt

    def _seeded(self, optimizer):
        """Give an optimiser that draws random numbers our `random_state` where it has none of its own."""
        parameters = optimizer.get_params() if hasattr(optimizer, "get_params") else {}
        unseeded = [name for name, value in parameters.items() if name.endswith("random_state") and value is None]
        if not unseeded:
            return optimizer
        return clone(optimizer).set_params(**dict.fromkeys(unseeded, self.random_state))

    def _has_classes(self, classes):
        """Whether the last fit had the same `classes`, so that its weights mean the same."""
        return self.classes_.tolist() == classes.tolist()

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
        decodings = ["map", "marginal", *DECODERS]
        known = self.decoding in decodings if isinstance(self.decoding, str) else hasattr(self.decoding, "decode")
        require("decoding", known, f"one of {decodings} or a Decoder")
        require(
            "classes",
            self.classes is None or (np.asarray(self.classes, dtype=object).ndim == 1 and len(self.classes)),
            "a list of labels",
        )
        require(
            "missing_label",
            np.asarray(self.missing_label, dtype=object).ndim == 0 and not isinstance(self.missing_label, dict),
            "a label",
        )
        require(
            "n_jobs",
            self.n_jobs is None or (is_number(self.n_jobs, Integral) and self.n_jobs),
            "None or an integer, not 0",
        )
        require("warm_start", isinstance(self.warm_start, bool | np.bool_), "True or False")
        require(
            "verbose",
            isinstance(self.verbose, Integral | np.bool_) and int(self.verbose) >= 0,
            "an integer >= 0",
        )
        require(
            "class_weight",
            self.class_weight is None or isinstance(self.class_weight, dict) or self.class_weight == "balanced",
            "a dict, 'balanced' or None",
        )

    def _encode(self, layout, y, classes, missing_label, name="y"):
        """State codes per node, (n_nodes,), with MISSING, and the classes."""
        labels = layout.labels(y, missing_label, name)
        known = ~missing_mask(labels, missing_label)
        return encode(labels, known, classes, layout.dataset, name)

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
                f"sample_weight differs between the nodes of graph {g}: the likelihood of a graph is one "
                "number, so that all its nodes must have the same weight (a NodeView with repeated nodes "
                "cannot be fitted either)."
            )
        known = codes != MISSING
        if self.class_weight is not None:
            class_weight = _class_weights(self.class_weight, classes, codes[known], node[known])
            total = t.sum_nodes(np.where(known, class_weight[codes], 0.0))
            weights = weights * total / np.maximum(t.sum_nodes(known), 1)
        if not weights[t.node_graph[known]].any():
            raise ValueError(
                "sample_weight and class_weight are zero for every graph that has a labelled node: at least "
                "one weight must be a non-zero number."
            )
        return weights

    def _warn_inference(self, loss):
        """Warn once if approximate inference does not converge on training graphs at the solution."""
        loose = 0
        for chunk, inputs in zip(loss.chunks, loss.inputs):
            if not chunk.plan.exact:
                scores = self._feature_plan.scores(inputs, self._coef)
                loose += int((~chunk.plan.marginals(scores).converged).sum())
        if loose:
            warnings.warn(
                f"inference did not converge on {loose} of {len(loss.dataset)} training "
                "graphs at the solution, so that loss and gradient are inexact there; see "
                "inference_report. Try a smaller C, LoopyBP(damping=0.5), or an exact backend.",
                ConvergenceWarning,
                stacklevel=4,
            )


def _class_weights(class_weight, classes, codes, node_weights):
    """Weight of each class, (n_classes,), given the codes and sample weights of the labelled nodes."""
    if class_weight == "balanced":
        totals = np.bincount(codes, node_weights, len(classes))
        return totals.sum() / (np.count_nonzero(totals) * np.where(totals > 0, totals, 1.0))
    try:
        weights = compute_class_weight(class_weight, classes=classes, y=classes[codes])
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"class_weight {class_weight} does not fit the classes {classes[:10].tolist()}: {error}; give a "
            "number for each class, 1 where it is left out."
        ) from error
    if not ((weights >= 0) & (weights < np.inf)).all():
        raise ValueError(f"class_weight must hold finite numbers that are not negative, got {class_weight}.")
    return weights


def _warn_not_converged(result, max_iter, exact):
    if result.nit >= max_iter:
        remedy = "Increase max_iter, scale the features, or decrease C."
    elif exact:
        remedy = "Scale the features, or decrease C."
    else:
        remedy = (
            "With approximate inference the objective can jump, which ends a line search: decrease C, or "
            "use an exact backend."
        )
    warnings.warn(
        f"the optimiser stopped after {result.nit} iterations: {result.message}. The best iterate is kept. {remedy}",
        ConvergenceWarning,
        stacklevel=4,
    )
