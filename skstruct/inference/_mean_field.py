"""Naive mean field: a lower bound on the log-partition of any graph, by independent nodes."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from skstruct._jit import kernel
from skstruct._records import Marginals
from skstruct._topology import Topology
from skstruct.inference._adjacency import adjacency
from skstruct.inference._base import InferenceBackend, InferencePlan, SampledByGibbs, edge_rows
from skstruct.inference._loopy import LoopyBP


class MeanField(InferenceBackend):
    r"""Lower bound on the log-partition by a distribution of independent nodes ([1]_, chapter 5).

    For every product distribution :math:`q(y) = \prod_i q_i(y_i)`,

    .. math:: \log Z \ge \sum_i \mathbb{E}_q[\theta_i(y_i)] + \sum_{ij} \mathbb{E}_q[\theta_{ij}(y_i, y_j)]
        - \sum_i \mathbb{E}_q[\log q_i(y_i)],

    which is maximised over one node at a time, given its neighbours:

    .. math:: q_i(x) \propto \exp\Big(\theta_i(x) + \sum_j \sum_y q_j(y)\, \theta_{ij}(x, y)\Big).

    The bound goes up with every update and is valid after any number of them. There can be several optima: on
    strongly attractive models the one that is found favours some labelling that the start was close to. Node
    marginals are :math:`q_i`, those of a pair :math:`q_i q_j`: at a fixed point they are the derivatives of
    the bound. They are more certain than the true ones, and pairs show no correlation.

    Every :math:`q_i` starts uniform over the allowed states. A graph with forbidden pairs starts at a decoded
    labelling instead, since a product of uniforms gives forbidden pairs some mass, and its bound would be
    -inf. Then :math:`0 \cdot (-\infty) = 0`, the bound is at least the score of that labelling, and mass
    spreads as far as the forbidden pairs let it. If decoding finds no allowed labelling, ``log_partition`` is
    -inf, the trivial bound: on graphs with cycles and many forbidden pairs this does not prove that there is
    none.

    Decoding is that of `LoopyBP`; the modes of :math:`q_i` would be worse.

    Parameters
    ----------
    max_iter : int, default=1000
        Sweeps over the nodes, forwards and backwards in turn.
    tol : float, default=1e-6
        Largest change of a probability in a sweep that counts as none.

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
        if self.max_iter < 1:
            raise ValueError(f"MeanField: max_iter must be at least 1, got {self.max_iter!r}.")
        if not self.tol > 0:
            raise ValueError(f"MeanField: tol must be positive, got {self.tol!r}.")
        return _MeanFieldPlan(topology, int(self.max_iter), float(self.tol), LoopyBP()._plan(topology, n_states))


@dataclass(frozen=True)
class _MeanFieldPlan(SampledByGibbs):
    topology: Topology
    max_iter: int
    tol: float
    decoder: InferencePlan
    name = MeanField.name
    exact = False

    @cached_property
    def arrays(self):
        lists = adjacency(self.topology.edges, self.topology.n_nodes)
        return self.topology.node_ptr, lists.ptr, lists.neighbour, lists.edge, lists.flipped

    def decode(self, scores):
        return self.decoder.decode(scores)

    def _start(self, scores, rows):
        """Product distribution to start from, and which graphs have one with a finite bound."""
        t = self.topology
        allowed = np.isfinite(scores.node)
        n_allowed = allowed.sum(axis=1)
        feasible = t.sum_nodes(n_allowed == 0) == 0
        q = allowed / np.maximum(n_allowed, 1)[:, None]
        tight = np.isneginf(scores.edge).any(axis=(1, 2))[rows]
        if tight.any():
            decoded = self.decode(scores)
            graphs = t.sum_edges(tight) > 0
            feasible &= ~graphs | (decoded.score > -np.inf)
            nodes = graphs[t.node_graph]
            q[nodes] = np.arange(q.shape[1]) == decoded.labels[nodes, None]
        return q, feasible

    def marginals(self, scores, weights=None):
        t = self.topology
        weights = np.ones(t.n_graphs) if weights is None else np.asarray(weights, np.float64)
        rows = edge_rows(scores, t.n_edges).astype(np.int32, copy=False)
        q, feasible = self._start(scores, rows)
        q[~feasible[t.node_graph]] = np.nan
        log_partition = np.where(feasible, 0.0, -np.inf)
        counts = np.zeros_like(scores.edge)
        n_iter, residual = np.zeros(t.n_graphs, np.intp), np.zeros(t.n_graphs)
        graphs = np.flatnonzero(feasible)
        with np.errstate(all="ignore"):  # exp(-1e4) is 0 and no news in a kernel; seen with NUMBA_DISABLE_JIT=1 only
            _ascend(
                *self.arrays,
                self.max_iter,
                self.tol,
                graphs,
                scores.node,
                scores.edge,
                rows,
                q,
                n_iter,
                residual,
            )
            _evaluate(*self.arrays, graphs, scores.node, scores.edge, rows, weights, q, log_partition, counts)
        return Marginals(log_partition, q, counts, n_iter, residual, residual <= self.tol)


@kernel
def _ascend(node_ptr, ptr, neighbour, edges, flipped, max_iter, tol, graphs, node, edge, rows, q,
            n_iter, residual):  # fmt: skip
    """Update one node after the other until no probability moves by more than `tol`; overwrites `q`."""
    n_states = node.shape[1]
    total = np.empty(n_states)
    for g in graphs:
        start, end = node_ptr[g], node_ptr[g + 1]
        for sweep in range(max_iter):
            change = 0.0
            for step in range(end - start):
                i = start + step if sweep % 2 == 0 else end - 1 - step
                total[:] = node[i]
                for s in range(ptr[i], ptr[i + 1]):
                    scores, other = edge[rows[edges[s]]], q[neighbour[s]]
                    for y in range(n_states):
                        if other[y] == 0.0:
                            continue  # 0 * -inf = 0
                        for x in range(n_states):
                            total[x] += other[y] * (scores[y, x] if flipped[s] else scores[x, y])
                total -= total.max()  # finite: the support of the neighbours leaves i a state, at least its last one
                total[:] = np.exp(total)
                total /= total.sum()
                for x in range(n_states):
                    change = max(change, abs(total[x] - q[i, x]))
                    q[i, x] = total[x]
            n_iter[g], residual[g] = sweep + 1, change
            if change <= tol:
                break


@kernel
def _evaluate(node_ptr, ptr, neighbour, edges, flipped, graphs, node, edge, rows, weights, q,
              log_partition, counts):  # fmt: skip
    """Write the expected score plus entropy of `q`, per graph, and the expected pair counts."""
    n_states = node.shape[1]
    for g in graphs:
        value = 0.0
        for i in range(node_ptr[g], node_ptr[g + 1]):
            for x in range(n_states):
                if q[i, x] > 0.0:
                    value += q[i, x] * (node[i, x] - np.log(q[i, x]))
            for s in range(ptr[i], ptr[i + 1]):
                if flipped[s]:
                    continue
                e, j = rows[edges[s]], neighbour[s]
                for x in range(n_states):
                    for y in range(n_states):
                        both = q[i, x] * q[j, y]
                        if both > 0.0:
                            value += both * edge[e, x, y]
                            counts[e, x, y] += weights[g] * both
        log_partition[g] = value
