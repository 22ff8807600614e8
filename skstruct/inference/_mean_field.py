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
from skstruct.kernels.jit import kernel
from skstruct.scores import Marginals, score_labelling, weigh_nodes, with_rows

MAX_ENTRIES = 2e4  # of a junction tree that decodes, so that it costs less than the updates
TILT = 0.05  # mass that the first start moves to the best state of each node
ROUNDING = 1e-12  # fraction of a bound by which another one must be above it to be better


class MeanField(InferenceBackend):
    r"""Lower bound on the log-partition by a distribution of independent nodes ([1]_, chapter 5).

    For every product distribution :math:`q(y) = \prod_i q_i(y_i)`,

    .. math:: \log Z \ge \sum_i \mathbb{E}_q[\theta_i(y_i)] + \sum_{ij} \mathbb{E}_q[\theta_{ij}(y_i, y_j)]
        - \sum_i \mathbb{E}_q[\log q_i(y_i)],

    which is maximised over one node at a time, given its neighbours:

    .. math:: q_i(x) \propto \exp\Big(\theta_i(x) + \sum_j \sum_y q_j(y)\, \theta_{ij}(x, y)\Big).

    The bound increases with every update and is valid after any number of updates. There can be several optima, and
    saddle points between them. So the updates are run from two starts, and for each graph the better result is kept:

    * Every :math:`q_i` is almost uniform over the allowed states, with a little more mass on the best state of node
      ``i`` (exactly uniform distributions are a saddle point of many symmetric models).
    * All mass is on a decoded labelling, the best one where exact decoding is cheap. The bound is then at least the
      score of this labelling. Decoding by tree-reweighted sweeps ends as soon as no labelling can score more than the
      bound of the first start.

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
        Maximum number of sweeps over the nodes, alternately forwards and backwards.
    tol : float, default=1e-6
        The updates end when no probability changes by more than this in a sweep.

    Notes
    -----
    Time O(n_edges * n_states**2) per sweep, memory O(n_nodes * n_states) beside the edges' matrices.

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
        decoder = Auto(max_entries=MAX_ENTRIES).plan(topology, n_states)
        return _MeanFieldPlan(topology, int(self.max_iter), float(self.tol), decoder)


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
    max_iter: int
    tol: float
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
        scores = with_rows(scores, t.n_edges)
        best = _Ascent.at(np.full(scores.node.shape, np.nan), t.n_graphs)
        allowed = np.isfinite(scores.node)
        start, free = self._almost_uniform(scores, allowed), np.ones(t.n_graphs, bool)
        free[t.edge_graph[np.isneginf(scores.edge).any(axis=(1, 2))[scores.edge_matrix]]] = False
        free[t.node_graph[~allowed.any(axis=1)]] = False
        self._ascend(scores, np.flatnonzero(free), start, best)

        decoded = self.decoder.decode_above(scores, best.log_partition)
        start, score = decoded.labels, decoded.score
        if labels is not None:
            own = score_labelling(t, scores, labels)
            start, score = np.where((own > score)[t.node_graph], labels, start), np.maximum(own, score)
        start = (np.arange(scores.node.shape[1]) == start[:, None]).astype(float)
        self._ascend(scores, np.flatnonzero(score > -np.inf), start, best)

        counts = np.zeros_like(scores.edge)
        found = np.flatnonzero(best.log_partition > -np.inf)
        _count(t.node_ptr, self._lists, found, scores.edge_matrix, weights, best.q, counts)
        converged = best.residual <= self.tol
        return Marginals(
            best.log_partition, weigh_nodes(t, best.q, weights), counts, best.n_iter, best.residual, converged
        )

    def _almost_uniform(self, scores, allowed):
        """Distributions (n_nodes, n_states) over the allowed states, with a little more mass on the best one."""
        q = allowed / np.maximum(allowed.sum(axis=1), 1)[:, None]
        q *= 1.0 - TILT
        q[np.arange(len(q)), scores.node.argmax(axis=1)] += TILT
        return q

    def _ascend(self, scores, graphs, q, best):
        """Ascend from `q` on some graphs; where the bound is higher than that of `best`, the result replaces it."""
        t, found = self.topology, _Ascent.at(q, self.topology.n_graphs)
        with np.errstate(all="ignore"):  # exp(-1e4) is 0, as expected; seen with NUMBA_DISABLE_JIT=1 only
            _ascend(t.node_ptr, self._lists, self.max_iter, self.tol, graphs, scores, found)
            _evaluate(t.node_ptr, self._lists, graphs, scores, found)
        size = np.abs(np.where(np.isfinite(best.log_partition), best.log_partition, 0.0))
        better = found.log_partition > best.log_partition + ROUNDING * size
        best.q[better[t.node_graph]] = q[better[t.node_graph]]
        for old, new in zip(best[1:], found[1:]):
            old[better] = new[better]


@kernel
def _ascend(node_ptr, lists, max_iter, tol, graphs, scores, found):
    """Update one node after the other until no probability moves by more than `tol`."""
    ptr, neighbour, edge, _, flipped = lists  # numba reads arrays faster from names than from records
    node, matrices, rows = scores
    q, n_states = found.q, node.shape[1]
    total = np.empty(n_states)
    for g in graphs:
        start, end = node_ptr[g], node_ptr[g + 1]
        for sweep in range(max_iter):
            change = 0.0
            for step in range(end - start):
                i = start + step if sweep % 2 == 0 else end - 1 - step
                total[:] = node[i]
                for s in range(ptr[i], ptr[i + 1]):
                    matrix, other = matrices[rows[edge[s]]], q[neighbour[s]]
                    for y in range(n_states):
                        if other[y] == 0.0:
                            continue  # 0 * -inf = 0
                        for x in range(n_states):
                            total[x] += other[y] * (matrix[y, x] if flipped[s] else matrix[x, y])
                total -= total.max()  # finite: the support of the neighbours leaves i a state, at least its last one
                total[:] = np.exp(total)
                total /= total.sum()
                for x in range(n_states):
                    change = max(change, abs(total[x] - q[i, x]))
                    q[i, x] = total[x]
            found.n_iter[g], found.residual[g] = sweep + 1, change
            if change <= tol:
                break


@kernel
def _evaluate(node_ptr, lists, graphs, scores, found):
    """Write the expected score plus entropy of ``found.q`` to ``found.log_partition``, per graph."""
    ptr, neighbour, edge, _, flipped = lists
    node, matrices, rows = scores
    q, n_states = found.q, node.shape[1]
    for g in graphs:
        value = 0.0
        for i in range(node_ptr[g], node_ptr[g + 1]):
            for x in range(n_states):
                if q[i, x] > 0.0:
                    value += q[i, x] * (node[i, x] - np.log(q[i, x]))
            for s in range(ptr[i], ptr[i + 1]):
                if flipped[s]:
                    continue
                e, j = rows[edge[s]], neighbour[s]
                for x in range(n_states):
                    for y in range(n_states):
                        both = q[i, x] * q[j, y]
                        if both > 0.0:
                            value += both * matrices[e, x, y]
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
