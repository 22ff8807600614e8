"""A feature map with hidden layers: node scores, and optionally edge scores, are outputs of a network."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np

from skstruct.data.sparse_checks import check_sparse
from skstruct.data.tables import is_sparse, take_rows
from skstruct.features._base import FeatureMap, FeaturePlan
from skstruct.features._edge_scores import EdgeInputs, LinearEdges
from skstruct.features._edge_weights import EdgeWeights
from skstruct.features._layers import ACTIVATIONS, Layers, LayersContext
from skstruct.features._statistics import MapStatistics, check_choices
from skstruct.scores import Scores

EDGES = ["linear", "network"]


class NetworkFeatures(FeatureMap):
    r"""Node scores from a feed-forward network; edge scores are linear in the edge features, or from a second network.

    .. math:: h_0 = x_i, \quad h_l = g(h_{l-1} W_l + b_l), \quad s_n[i] = h_{L-1} W_L + b_L

    `fit` computes the gradient of all layers by back-propagation of the gradient of the scores, so that the network is
    trained for the labels of whole graphs. The objective is not convex, and zero is a saddle point. Training therefore
    starts at random weights, from the `random_state` of the classifier. Scale the features first, for example by
    ``NodeTransformer(StandardScaler())``.

    Parameters
    ----------
    hidden_layer_sizes : int or tuple of int, default=(64,)
        Number of units of each hidden layer. ``()`` is the linear map.
    activation : {"relu", "tanh", "logistic", "identity"}, default="relu"
        Transfer function `g` of the hidden layers.
    edges : {"linear", "network"}, default="linear"
        Edge scores.

        - "linear": as those of `LinearFeatures`, ``s_e[e] = sum_k F[e, k] U[k]``.
        - "network": a second network computes the parameters of the matrix of an edge from the features of the edge.
          It has the same hidden layers. Edges without features share one matrix, as with "linear".
    edge_weights : {"full", "observed", "symmetric", "antisymmetric", "potts"}, default="full"
        Form of the matrices, as in `LinearFeatures`.
    edge_penalty : float, default=1.0
        Strength of the penalty on the weights of the edges relative to the penalty on the weights of the nodes, as in
        `LinearFeatures`.

    See Also
    --------
    LinearFeatures : the map without hidden layers, with a convex objective.
    sklearn.neural_network.MLPClassifier : the same network for a table, with ``C = 1 / alpha``.

    Notes
    -----
    After `fit`, the classifier has the attributes ``coefs_`` (weights of each layer, (n_in, n_out)) and ``intercepts_``
    (biases of each layer), as `MLPClassifier`; for two classes there are two outputs here. Linear edges have
    ``edge_coef_``, (n_edge_features, n_classes, n_classes). A network of edges has ``edge_coefs_`` and
    ``edge_intercepts_``; the last layer is a matrix for each hidden unit, (n_hidden, n_classes, n_classes), and a
    matrix, (n_classes, n_classes).

    Biases are not penalised, except the last one of the edges: it is the matrix that all edges have in common, and has
    the penalty of an edge weight.

    For one-node graphs, the objective divided by ``C * n_samples`` is the objective of `MLPClassifier`. The initial
    weights are drawn in the same way (Glorot's bound).

    An evaluation of objective and gradient costs about 6 operations per node and weight. The activations of a chunk are
    kept between forward and backward pass. Dense features of 32 bits are converted to 64 bits once.

    With enough units, L-BFGS can interpolate the training labels. Choose `C` on held-out data.

    References
    ----------
    .. [1] J. Peng, L. Bo, J. Xu, "Conditional neural fields", NIPS 2009.
    .. [2] M. Collins, *Computational Graphs, and Backpropagation*, Columbia University.

    Examples
    --------
    The label of a node is the exclusive or of its two features, and no linear score can tell:

    >>> import numpy as np
    >>> from skstruct import GraphCRFClassifier, GraphDataset
    >>> from skstruct.features import NetworkFeatures
    >>> x = np.random.default_rng(0).integers(0, 2, size=(40, 5, 2)).astype(float)
    >>> X, y = GraphDataset.from_sequences(list(x)), [a != b for a, b in x.transpose(0, 2, 1)]
    >>> GraphCRFClassifier().fit(X, y).score(X, y) < 0.7
    True
    >>> crf = GraphCRFClassifier(NetworkFeatures((8,), "tanh"), C=10, random_state=0).fit(X, y)
    >>> crf.score(X, y)
    1.0
    >>> [weights.shape for weights in crf.coefs_]
    [(2, 8), (8, 2)]
    """

    def __init__(
        self, hidden_layer_sizes=(64,), activation="relu", *, edges="linear", edge_weights="full", edge_penalty=1.0
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.edges = edges
        self.edge_weights = edge_weights
        self.edge_penalty = edge_penalty

    def collect(self, dataset, codes, classes):
        """Collect the numbers of features, and the pairs of labels that edges have; see `FeatureMap`."""
        self._check()
        return MapStatistics.of(dataset, codes, len(classes))

    def merge(self, first, second):
        """Combine the statistics of two pieces of the data; see `FeatureMap`.

        Raises
        ------
        ValueError
            If the pieces have different numbers of features.
        """
        return first.merged(second, "NetworkFeatures")

    def plan_from(self, statistics, classes):
        """Set up the parameters; see `FeatureMap`.

        Raises
        ------
        ValueError
            If `hidden_layer_sizes` are not positive integers, or another parameter is not one of the listed values.
        """
        hidden, n_states, s = self._check(), len(classes), statistics
        nodes = Layers((s.n_features, *hidden, n_states), self.activation)
        weights = s.edge_weights(self.edge_weights, n_states)
        if self.edges == "linear" or not s.n_edge_features:
            return NetworkPlan(nodes, LinearEdges(weights, s.n_matrices, self.edge_penalty))
        layers = Layers((s.n_edge_features, *hidden, weights.n_free), self.activation)
        return NetworkPlan(nodes, NetworkEdges(layers, weights, self.edge_penalty))

    def _check(self):
        """Refuse wrong parameters, and return the sizes of the hidden layers as a tuple."""
        check_choices(self, activation=list(ACTIVATIONS), edges=EDGES)
        given = self.hidden_layer_sizes
        hidden = tuple(given) if np.iterable(given) else (given,)
        if not all(isinstance(size, Integral) and not isinstance(size, bool) and int(size) > 0 for size in hidden):
            raise ValueError(
                f"NetworkFeatures: hidden_layer_sizes must be positive integers, one for each layer, got {given!r}."
            )
        return tuple(map(int, hidden))


class NetworkInputs(NamedTuple):
    """What scores of a batch depend on."""

    node: Any  # ndarray or CSR matrix of float64, (n_nodes, n_features)
    edge: EdgeInputs


class NetworkContext(NamedTuple):
    """What the backward pass needs."""

    node: LayersContext
    edge: Any  # context of the edges
    edge_matrix: np.ndarray | None


def _as_floats(features, name):
    """Features as float64, checked if sparse; converted here, because each product would convert them again."""
    if is_sparse(features):
        check_sparse(features, name)
    return features.astype(np.float64, copy=False)


@dataclass(frozen=True)
class NetworkEdges:
    """Edge matrices with parameters from a network of the edge features."""

    layers: Layers
    weights: EdgeWeights
    penalty: float

    @property
    def n_coef(self):
        """Number of parameters."""
        return self.layers.n_coef

    @property
    def penalized(self):
        """Factor of each parameter in the penalty: 0 for the biases of hidden layers, (n_coef,)."""
        penalized = self.layers.penalized
        self.layers.split(penalized)[-1][1][:] = 1.0
        return self.penalty * penalized

    def initial_coef(self, random_state):
        """Random weights; see `Layers`."""
        return self.layers.initial_coef(random_state)

    def scores(self, inputs, coef):
        """Edge matrices, and the context of `pullback` and `tangent`."""
        if inputs.is_empty:
            return np.zeros((0, self.weights.n_states, self.weights.n_states)), None
        context = self.layers.forward(_as_floats(inputs.features, "edge_features"), coef)
        return self.weights.expand(context.output), context

    def tangent(self, context, d_coef):
        """Derivative of the edge matrices along `d_coef`."""
        if context is None:
            return np.zeros((0, self.weights.n_states, self.weights.n_states))
        return self.weights.expand(self.layers.tangent(context, d_coef))

    def pullback(self, context, d_edge, out):
        """Add the gradient of the parameters to `out`."""
        if context is not None:
            self.layers.backward(context, self.weights.pullback(d_edge.reshape(len(d_edge), -1)), out)

    def input_gradient(self, inputs, coef, d_edge):
        """Gradient of the features of each edge; None without edges."""
        if inputs.is_empty:
            return None
        features, rows = inputs
        features = _as_floats(features if rows is None else take_rows(features, rows), "edge_features")
        return self.layers.input_gradient(features, coef, self.weights.pullback(d_edge.reshape(len(d_edge), -1)))

    def attributes(self, coef):
        """Public views: edge_coefs_ and edge_intercepts_, lists with an array for each layer."""
        weights, biases = self.layers.weights_and_biases(coef)
        weights[-1], biases[-1] = self.weights.expand(weights[-1]), self.weights.expand(biases[-1][None])[0]
        return {"edge_coefs_": weights, "edge_intercepts_": biases}


@dataclass(frozen=True)
class NetworkPlan(FeaturePlan):
    """Layout ``[parameters of the node layers, parameters of the edges]``."""

    nodes: Layers
    edges: LinearEdges | NetworkEdges

    @property
    def n_coef(self):
        """Number of parameters."""
        return self.nodes.n_coef + self.edges.n_coef

    @property
    def penalized(self):
        """1 for node weights, 0 for biases, (n_coef,); for edges times `edge_penalty`."""
        return np.concatenate([self.nodes.penalized, self.edges.penalized])

    @property
    def has_tangent(self):
        """True."""
        return True

    def initial_coef(self, random_state):
        """Random weights of the layers; linear edge weights are zero."""
        return np.concatenate([self.nodes.initial_coef(random_state), self.edges.initial_coef(random_state)])

    def _split(self, coef):
        return coef[: self.nodes.n_coef], coef[self.nodes.n_coef :]

    def prepare(self, batch):
        """Convert the features of a batch to float64, and find edges with equal features."""
        return NetworkInputs(_as_floats(batch.node_features, "node_features"), EdgeInputs.of(batch))

    def slice_inputs(self, inputs, batch, graphs):
        """Views of the inputs of consecutive graphs; see `FeaturePlan`."""
        nodes, edges = (slice(ptr[graphs.start], ptr[graphs.stop]) for ptr in (batch.node_ptr, batch.edge_ptr))
        return NetworkInputs(take_rows(inputs.node, nodes), inputs.edge.of_edges(edges))

    def scores(self, inputs, coef):
        """Forward pass: scores in nats, and the values of all layers; see `FeaturePlan`."""
        own, of_edges = self._split(coef)
        node_context = self.nodes.forward(inputs.node, own)
        edge, edge_context = self.edges.scores(inputs.edge, of_edges)
        context = NetworkContext(node_context, edge_context, inputs.edge.edge_matrix)
        return Scores(node_context.output, edge, inputs.edge.edge_matrix), context

    def pullback(self, context, d_scores, out):
        """Backward pass: add the gradient to `out`; see `FeaturePlan`."""
        own, of_edges = self._split(out)
        self.nodes.backward(context.node, d_scores.node, own)
        self.edges.pullback(context.edge, d_scores.edge, of_edges)

    def tangent(self, context, d_coef):
        """Derivative of the scores along `d_coef`; see `FeaturePlan`."""
        own, of_edges = self._split(d_coef)
        node = self.nodes.tangent(context.node, own)
        return Scores(node, self.edges.tangent(context.edge, of_edges), context.edge_matrix)

    def input_gradient(self, inputs, coef, d_scores):
        """Gradient of the features by back-propagation to the inputs; see `FeaturePlan`."""
        own, of_edges = self._split(coef)
        node = self.nodes.input_gradient(inputs.node, own, d_scores.node)
        return node, self.edges.input_gradient(inputs.edge, of_edges, d_scores.edge)

    def attributes(self, coef):
        """Public views: coefs_, intercepts_, and those of the edges; see `NetworkFeatures`."""
        own, of_edges = self._split(coef)
        weights, biases = self.nodes.weights_and_biases(own)
        return {"coefs_": weights, "intercepts_": biases, **self.edges.attributes(of_edges)}
