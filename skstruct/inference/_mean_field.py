"""Naive mean field: a lower bound on the log-partition of any graph, by independent nodes."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from skstruct.components import require_integers, require_number
from skstruct.data.adjacency import adjacency
from skstruct.data.topology import Topology
from skstruct.inference._auto import Auto
from skstruct.inference._base import InferenceBackend, InferencePlan
from skstruct.inference._loopy import LoopyBP
from skstruct.kernels.expectations import expected_scores, replace_distribution
from skstruct.kernels.jit import kernel
from skstruct.kernels.simd import lanes
from skstruct.scores import Marginals, score_labelling, weigh_nodes, with_rows

MAX_ENTRIES = 2e4  # of a junction tree that decodes, so that it costs less than the updates
TILT = 0.05  # mass that a start moves to the best state of each node
COARSE = 1e-3  # tolerance of the updates from each start, before the best result is chosen
RELEVANT = 0.1  # fraction of the largest move
PROPAGATION_SWEEPS, PROPAGATION_TOL = 5, 0.05  # of loopy belief propagation, whose beliefs are a start
ROUNDING = 1e-12  # fraction of a bound by which another one must be above it to be better


class MeanField(InferenceBackend):
    r"""Lower bound on the log-partition by a distribution of independent nodes ([1]_, chapter 5).

    For every product distribution :math:`q(y) = \prod_i q_i(y_i)`,

    .. math:: \log Z \ge \sum_i \mathbb{E}_q[\theta_i(y_i)] + \sum_{ij} \mathbb{E}_q[\theta_{ij}(y_i, y_j)]
        - \sum_i \mathbb{E}_q[\log q_i(y_i)],

    which is maximised over one node at a time, given its neighbours:

    .. math:: q_i(x) \propto \exp\Bigl(\theta_i(x) + \sum_j \sum_y q_j(y)\, \theta_{ij}(x, y)\Bigr).

    The bound increases with every update and is valid after any number of updates. There can be several optima, and
    saddle points between them. So the updates are run from three starts, until no probability changes by more than
    1e-3. For each graph the best result is kept, and updated until no probability changes by more than `tol`:

    * Every :math:`q_i` is almost uniform over the allowed states, with a little more mass on the best state of node
      ``i`` (exactly uniform distributions are a saddle point of many symmetric models).
    * The beliefs of a few sweeps of loopy belief propagation, with a little more mass on the most probable states.
    * All mass is on a decoded labelling, the best one where exact decoding is cheap. The bound is then at least the
      score of this labelling. Decoding by tree-reweighted sweeps ends as soon as no labelling can score more than the
      best bound so far.

    A product of uniform distributions gives forbidden pairs some mass, and its bound would be -inf. So a graph with
    forbidden pairs only starts at the labelling. Then :math:`0 \cdot (-\infty) = 0`, and mass spreads as far as the
    forbidden pairs allow. In training, the labels `y` replace a decoded labelling that scores less. If there is no
    allowed labelling to start at, ``log_partition`` is -inf, the trivial bound.

    Node marginals are :math:`q_i`, those of a pair :math:`q_i q_j`: at a fixed point they are the derivatives of the
    bound. They are more certain than the true ones, and the two ends of an edge are independent.

    Decoding is exact on forests and on small graphs of small treewidth; for other graphs it is that of `LoopyBP`. The
    modes of :math:`q_i` would be worse labels.

    Parameters
    ----------
    max_iter : int, default=1000
        Maximum number of sweeps over the nodes, alternately forwards and backwards. A sweep updates the nodes whose
        neighbours have moved most.
    tol : float, default=1e-6
        The updates end when no probability changes by more than this in a sweep.

    Notes
    -----
    Time O(n_edges * n_states**2) per sweep over all nodes. Memory O(n_nodes * n_states), and two copies of edge scores
    that are not shared.

    References
    ----------
    .. [1] M. J. Wainwright, M. I. Jordan, "Graphical models, exponential families, and variational
       inference", *Foundations and Trends in Machine Learning* 1(1-2), 2008.

    Examples
    --------
    >>> import numpy as np
    >>> from skstruct.functional import marginals
    >>> triangle, agree = [(0, 1), (1, 2), (2, 0)], np.array([[[1.0, 0.0], [0.0, 1.0]]])
    >>> exact = marginals(np.zeros((3, 2)), triangle, agree, inference="enumeration")
    >>> below = marginals(np.zeros((3, 2)), triangle, agree, inference="mean_field")
    >>> round(below.log_partition, 3), round(exact.log_partition, 3)
    (3.579, 4.034)
    """

    name = "mean_field"
    exact = False
    bound = "lower"
    family = "any graph"

    def __init__(self, max_iter=1000, tol=1e-6):
        self.max_iter = max_iter
        self.tol = tol

    def accepts(self, topology, n_states):
        """Accept every graph."""
        return np.ones(topology.n_graphs, bool)

    def _plan(self, topology, n_states):
        require_integers(self, "max_iter")
        require_number(self, "tol", lambda tol: tol > 0, "a positive number")
        settings = _Settings(int(self.max_iter), float(self.tol))
        propagation = LoopyBP(max_iter=PROPAGATION_SWEEPS, tol=PROPAGATION_TOL).plan(topology, n_states)
        return _MeanFieldPlan(topology, settings, propagation, Auto(max_entries=MAX_ENTRIES).plan(topology, n_states))


class _Settings(NamedTuple):
    """Parameters of the updates; see `MeanField`."""

    max_iter: int
    tol: float


class _Fields(NamedTuple):
    """What the expected scores of a node consist of: its scores, and for each slot a neighbour and a matrix."""

    node: np.ndarray  # (n_nodes, n_states)
    ptr: np.ndarray  # (n_nodes + 1,) first slot of each node
    neighbour: np.ndarray  # (n_slots,)
    matrix: np.ndarray  # (n, n_states, n_states) for each slot, or the shared matrices and then their transposes
    number: np.ndarray  # (n_slots,) the matrix whose rows are the states of the neighbour


class _Ascent(NamedTuple):
    """State of the updates; kernels overwrite it."""

    q: np.ndarray  # (n_nodes, n_states) distributions
    log_partition: np.ndarray  # (n_graphs,) the bound
    n_iter: np.ndarray  # (n_graphs,) sweeps
    residual: np.ndarray  # (n_graphs,) largest change of a probability in the last sweep

    @classmethod
    def at(cls, q, n_graphs):
        """State before the first update."""
        return cls(q, np.full(n_graphs, -np.inf), np.zeros(n_graphs, np.intp), np.zeros(n_graphs))


@dataclass(frozen=True)
class _MeanFieldPlan(InferencePlan):
    topology: Topology
    settings: _Settings
    propagation: InferencePlan  # for the beliefs to start at
    decoder: InferencePlan
    name = MeanField.name
    exact = False

    @cached_property
    def _lists(self):
        return adjacency(self.topology.edges, self.topology.n_nodes)

    def decode(self, scores):
        return self.decoder.decode(scores)

    def marginals(self, scores, weights=None):
        return self.marginals_from(scores, weights, None)

    def marginals_from(self, scores, weights, labels):
        """As `marginals`, and no bound is below the score of the given labelling, (n_nodes,)."""
        t = self.topology
        weights = np.ones(t.n_graphs) if weights is None else np.asarray(weights, np.float64)
        fields, scores = self._fields(scores), with_rows(scores, t.n_edges)
        best = _Ascent.at(np.full(scores.node.shape, np.nan), t.n_graphs)
        for graphs, q in self._starts(scores, labels, best):
            found = _Ascent.at(q, t.n_graphs)
            self._ascend(fields, graphs, max(self.settings.tol, COARSE), found)
            size = np.abs(np.where(np.isfinite(best.log_partition), best.log_partition, 0.0))
            better = found.log_partition > best.log_partition + ROUNDING * size
            best.q[better[t.node_graph]] = q[better[t.node_graph]]
            for old, new in zip(best[1:], found[1:]):
                old[better] = new[better]
        self._ascend(fields, best.residual > self.settings.tol, self.settings.tol, best)

        counts = np.zeros_like(scores.edge)
        found = np.flatnonzero(best.log_partition > -np.inf)
        _count(t.node_ptr, self._lists, found, scores.edge_matrix, weights, best.q, counts)
        converged = best.residual <= self.settings.tol
        return Marginals(
            best.log_partition, weigh_nodes(t, best.q, weights), counts, best.n_iter, best.residual, converged
        )

    def _fields(self, scores):
        """Matrices whose rows are the states of the neighbour. Those of one edge only are in the order of the slots."""
        _, neighbour, edge, _, flipped = lists = self._lists
        if scores.edge_matrix is None:
            number = np.arange(len(edge))
            matrix = np.empty((len(edge), *scores.edge.shape[1:]))
            _order_by_slot(lists, scores.edge, matrix)
        else:
            number = scores.edge_matrix[edge] + np.where(flipped, 0, len(scores.edge))
            matrix = np.concatenate([scores.edge, scores.edge.transpose(0, 2, 1)])
        return _Fields(scores.node, lists.ptr, neighbour, matrix, number)

    def _starts(self, scores, labels, best):
        """Generate graphs, (n_graphs,) bool, and distributions to start at; see the class.

        The last start depends on the bounds of `best` after the first two.
        """
        t = self.topology
        allowed = np.isfinite(scores.node)
        free = np.ones(t.n_graphs, bool)
        if not scores.edge.min(initial=0.0) > -np.inf:
            free[t.edge_graph[np.isneginf(scores.edge).any(axis=(1, 2))[scores.edge_matrix]]] = False
        free[t.node_graph[~allowed.any(axis=1)]] = False
        if free.any():
            yield free, _tilted(allowed / np.maximum(allowed.sum(axis=1), 1)[:, None], scores.node)
            beliefs = self.propagation.marginals(scores).node
            yield free, _tilted(beliefs, beliefs)
        decoded = self.decoder.decode_above(scores, best.log_partition)
        start, score = decoded.labels, decoded.score
        if labels is not None:
            own = score_labelling(t, scores, labels)
            start, score = np.where((own > score)[t.node_graph], labels, start), np.maximum(own, score)
        yield score > -np.inf, (np.arange(scores.node.shape[1]) == start[:, None]).astype(float)

    def _ascend(self, fields, graphs, tol, found):
        """Ascend on some graphs, (n_graphs,) bool, and compute the bound."""
        ptr, n_lanes, graphs = self.topology.node_ptr, lanes(fields.node.shape[1]), np.flatnonzero(graphs)
        with np.errstate(all="ignore"):  # exp(-1e4) is 0, as expected; seen with NUMBA_DISABLE_JIT=1 only
            _ascend(ptr, fields, self.settings.max_iter, tol, graphs, found, n_lanes)
            _evaluate(ptr, fields, graphs, found, n_lanes)


def _tilted(q, favourite):
    """Move a little mass to the state of the largest entry of `favourite`, which has the shape of `q`."""
    q = (1.0 - TILT) * q
    q[np.arange(len(q)), favourite.argmax(axis=1)] += TILT
    return q


@kernel
def _order_by_slot(lists, edge, out):
    """Copy the matrix of each slot, transposed at the first end of an edge, so that sweeps read memory in order."""
    for s in range(len(out)):
        matrix = edge[lists.edge[s]]
        for y in range(out.shape[1]):
            for x in range(out.shape[2]):
                out[s, y, x] = matrix[y, x] if lists.flipped[s] else matrix[x, y]


@kernel
def _ascend(node_ptr, fields, max_iter, tol, graphs, found, lanes):
    """Update one node after the other until no probability moves by more than `tol`.

    A sweep updates the nodes whose neighbours have moved, since their last update, by more than a fraction of the
    largest move in the sweep before. So a few nodes that move for long do not cause small updates of all others.
    """
    node, ptr, neighbour, matrix, number = fields  # numba reads arrays faster from names than from records
    q, total, pending = found.q, np.empty((1, node.shape[1])), np.full(len(node), np.inf)
    for g in graphs:
        start, end = node_ptr[g], node_ptr[g + 1]
        limit = 1.0
        while found.n_iter[g] < max_iter:
            change = 0.0
            for step in range(end - start):
                i = start + step if found.n_iter[g] % 2 == 0 else end - 1 - step
                if pending[i] <= limit:
                    continue
                pending[i] = 0.0
                # finite maximum: the support of the neighbours leaves i a state, at least its last one
                expected_scores(node, i, q, neighbour, matrix, number, ptr[i], ptr[i + 1], total, lanes)
                moved = replace_distribution(total, q, i, lanes)
                change = max(change, moved)
                for s in range(ptr[i], ptr[i + 1]):
                    pending[neighbour[s]] += moved
            found.n_iter[g] += 1
            found.residual[g] = change
            if change <= tol and limit <= tol:
                break
            limit = max(RELEVANT * change, tol)


@kernel
def _evaluate(node_ptr, fields, graphs, found, lanes):
    """Write the expected score plus entropy of ``found.q`` to ``found.log_partition``, per graph."""
    node, ptr, neighbour, matrix, number = fields
    q, total = found.q, np.empty((1, node.shape[1]))
    for g in graphs:
        value = 0.0
        for i in range(node_ptr[g], node_ptr[g + 1]):
            expected_scores(node, i, q, neighbour, matrix, number, ptr[i], ptr[i + 1], total, lanes)
            for x in range(node.shape[1]):
                if q[i, x] > 0.0:  # both ends of an edge count its scores, therefore half of them here
                    value += q[i, x] * (0.5 * (node[i, x] + total[0, x]) - np.log(q[i, x]))
        found.log_partition[g] = value


@kernel
def _count(node_ptr, lists, graphs, rows, weights, q, counts):
    """Add the expected pair counts, each times the weight of its graph; `rows` are the matrices of the edges."""
    ptr, neighbour, edge, _, flipped = lists
    for g in graphs:
        for i in range(node_ptr[g], node_ptr[g + 1]):
            for s in range(ptr[i], ptr[i + 1]):
                if not flipped[s]:
                    for x in range(q.shape[1]):
                        for y in range(q.shape[1]):
                            counts[rows[edge[s]], x, y] += weights[g] * q[i, x] * q[neighbour[s], y]
