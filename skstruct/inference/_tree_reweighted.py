"""Tree-reweighted belief propagation: an upper bound on the log-partition of any graph, and its gradient."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from skstruct.data.topology import Topology
from skstruct.inference._base import InferenceBackend, InferencePlan
from skstruct.inference._loopy import LoopyBP
from skstruct.inference._loopy_log import Settings
from skstruct.inference._message_passing import exponentiate
from skstruct.inference._spanning_forests import Forests, spanning_forests
from skstruct.inference._tree import Tree
from skstruct.inference._tree_reweighted_kernels import Messages, Weighted, iterate
from skstruct.scores import Marginals, Scores, edge_rows, weigh_nodes, with_rows


class TreeReweightedBP(InferenceBackend):
    r"""Upper bound on the log-partition by a convex combination of spanning trees [1]_.

    Scores are split over spanning forests :math:`T` with equal weights :math:`w_T`, such that
    :math:`\theta = \sum_T w_T \theta(T)`. As the log-partition is convex,

    .. math:: \log Z(\theta) \le \sum_T w_T \log Z_T(\theta(T)),

    and inference on each tree is exact and cheap. The best split is found by passing messages; the weight of an edge
    is the fraction :math:`\rho_{ij}` of the forests that use it:

    .. math::
        m_{ij}(y) \propto \sum_x \exp\Big(\frac{\theta_{ij}(x, y)}{\rho_{ij}} + \theta_i(x)
        + \sum_k \rho_{ki} \log m_{ki}(x) - \log m_{ji}(x)\Big).

    Any messages define a split, and hence a valid bound, whether they have converged or not. The node and pair
    marginals are the averages of the marginals of the trees. They are the derivative of the bound for fixed messages,
    and at the fixed point, where all trees agree, its full derivative. The bound is convex in the scores and has one
    optimum. So training with it is stable where the objective of loopy belief propagation jumps between fixed points.
    Its marginals tend to be less certain than the true ones. On graphs without cycles it is exact.

    Messages are sent in sweeps over the nodes as in `LoopyBP`. A graph that does not converge within `max_iter` sweeps
    gets as many more sweeps with damping. `decode` is the same as for `LoopyBP`: tree-reweighted max-product.

    Parameters
    ----------
    rho : "trees" or float in (0, 1], default="trees"
        Weights of the edges. "trees": the fractions of spanning forests that use them. Each forest is built from the
        edges that the earlier forests used least. If `k` forests cover a graph, it has ``2 * k + 8`` forests. A number
        is the weight of all edges. The log-partition is then a bound only if the number is small enough (at most
        ``(n_nodes - 1) / n_edges``, in every subgraph). The number 1 is loopy belief propagation; smaller numbers have
        an error between that of loopy belief propagation and that of the bound.
    damping : float in [0, 1), default=0.0
        Fraction of the old log-message in the new one.
    max_iter : int, default=100
        Maximum number of sweeps, and of further sweeps with damping.
    tol : float, default=1e-5
        Iterations end when no message (scaled to maximum 1) changes by more than this.

    Attributes
    ----------
    bound : {"upper", None}
        None if `rho` is a number.

    Notes
    -----
    Time O(n_edges * n_states**2) per sweep; the trees add O(n_forests * n_nodes * n_states**2) once. Planning
    needs time O(n_forests * n_edges) for the forests, which are many where the graph is dense.

    References
    ----------
    .. [1] M. J. Wainwright, T. S. Jaakkola, A. S. Willsky, "A new class of upper bounds on the log partition
       function", *IEEE Trans. Information Theory* 51(7), 2005.

    Examples
    --------
    >>> import numpy as np
    >>> from skstruct.functional import marginals
    >>> triangle, agree = [(0, 1), (1, 2), (2, 0)], np.array([[[1.0, 0.0], [0.0, 1.0]]])
    >>> exact = marginals(np.zeros((3, 2)), triangle, agree, inference="enumeration")
    >>> above = marginals(np.zeros((3, 2)), triangle, agree, inference="tree_reweighted")
    >>> round(exact.log_partition, 3), round(above.log_partition, 3)
    (4.034, 4.096)
    """

    name = "tree_reweighted"
    exact = False
    family = "any graph"

    def __init__(self, rho="trees", damping=0.0, max_iter=100, tol=1e-5):
        self.rho = rho
        self.damping = damping
        self.max_iter = max_iter
        self.tol = tol

    @property
    def bound(self):
        """Which bound the log-partition is: "upper", or None if `rho` is a number."""
        return "upper" if isinstance(self.rho, str) else None

    def accepts(self, topology, n_states):
        """Accept every graph."""
        return np.ones(topology.n_graphs, bool)

    def _plan(self, topology, n_states):
        by_trees = isinstance(self.rho, str) and self.rho == "trees"
        if not by_trees and (isinstance(self.rho, str) or not 0 < self.rho <= 1):
            raise ValueError(f"TreeReweightedBP: rho must be 'trees' or a number in (0, 1], got {self.rho!r}.")
        if not 0 <= self.damping < 1:
            raise ValueError(f"TreeReweightedBP: damping must be in [0, 1), got {self.damping!r}.")
        if self.max_iter < 1:
            raise ValueError(f"TreeReweightedBP: max_iter must be at least 1, got {self.max_iter!r}.")
        if not self.tol > 0:
            raise ValueError(f"TreeReweightedBP: tol must be positive, got {self.tol!r}.")
        loopy = LoopyBP()._plan(topology, n_states)
        settings = Settings(float(self.damping), int(self.max_iter), float(self.tol))
        if by_trees:
            return _TreesPlan(topology, loopy, settings, spanning_forests(topology), n_states)
        return _NumberPlan(topology, loopy, settings, float(self.rho))


@dataclass(frozen=True)
class _MessagePlan(InferencePlan):
    """Messages with given edge weights; subclasses compute the marginals from them."""

    topology: Topology
    loopy: Any  # plan of LoopyBP with default settings, for decoding
    settings: Settings
    name = TreeReweightedBP.name

    def decode(self, scores):
        return self.loopy.decode(scores)

    @cached_property
    def _receiver(self):
        """Node that owns each slot, (2 * n_edges,)."""
        sweep = self.loopy.sweep
        return np.repeat(sweep.order, np.diff(sweep.lists.ptr))

    @cached_property
    def _slots(self):
        """Slots of each edge's messages to its first and to its second end, (2, n_edges)."""
        lists = self.loopy.sweep.lists
        slots = np.empty((2, self.topology.n_edges), np.intp)
        slots[lists.flipped.astype(np.intp), lists.edge] = np.arange(len(lists.edge))
        return slots

    def _iterate(self, graphs, rho, scores):
        """Pass messages on `graphs`; edge scores are already divided by the weights `rho` of the edges."""
        t = self.topology
        found = Messages(
            log_message=np.zeros((2 * t.n_edges, scores.node.shape[1])),
            n_iter=np.zeros(t.n_graphs, np.intp),
            residual=np.zeros(t.n_graphs),
        )
        potential, shift, _ = exponentiate(scores.edge, (1, 2))
        with np.errstate(all="ignore"):  # -inf - -inf is expected in a kernel; seen with NUMBA_DISABLE_JIT=1 only
            iterate(self.loopy.sweep, self.settings, graphs, Weighted(scores, rho, potential, shift), found)
        return found

    def _blocked(self, message):
        """Replace -inf in `message` by 0, so that it can be weighted; returns the forbidden states of nodes."""
        forbidden = np.isneginf(message)
        blocked = np.zeros((self.topology.n_nodes, message.shape[1]), bool)
        if forbidden.any():
            message[forbidden] = 0.0
            slot, state = np.nonzero(forbidden)
            blocked[self._receiver[slot], state] = True
        return blocked


# ---------------------------------------------------------------------------------------------- trees
@dataclass(frozen=True)
class _TreesPlan(_MessagePlan):
    """Edge weights from forests: messages split the scores among copies of the graph, where inference is exact."""

    forests: Forests
    n_states: int

    @property
    def exact(self):
        return bool(self.topology.is_forest.all())

    @cached_property
    def _tree(self):
        return Tree()._plan(self.forests.copies, self.n_states)

    @cached_property
    def _sums(self):
        """Sparse matrices: weighted sum of messages to nodes, sum of those along copied edges, mean of the copies."""
        f, n_slots = self.forests, len(self._receiver)
        edge_of_slot = self.loopy.sweep.lists.edge
        n_nodes, n_copied = self.topology.n_nodes, len(f.node)
        weighted = _sparse(f.rho[edge_of_slot], self._receiver, np.arange(n_slots), n_nodes, n_slots)
        slots = self._slots[:, f.edge].ravel()
        inside = _sparse(np.ones(len(slots)), f.copies.edges.T.ravel(), slots, n_copied, n_slots)
        fraction = 1.0 / f.number[f.graph]
        mean = _sparse(fraction[f.copies.node_graph], f.node, np.arange(n_copied), n_nodes, n_copied)
        return weighted, inside, mean, fraction

    @cached_property
    def _rates(self):
        """Distinct numbers of uses among forests, (n_rates, 2), and which each edge has, (n_edges,)."""
        pairs = np.column_stack([self.forests.used, self.forests.number[self.topology.edge_graph]])
        rates, rate = np.unique(pairs, axis=0, return_inverse=True)
        return rates, rate.reshape(-1)

    def marginals(self, scores, weights=None):
        t, f = self.topology, self.forests
        weights = np.ones(t.n_graphs) if weights is None else np.asarray(weights, np.float64)
        weighted, inside, mean, fraction = self._sums
        rates, rate = self._rates
        # edges with the same matrix and the same weight still share a matrix after the division
        kind = edge_rows(scores, t.n_edges) * len(rates) + rate
        kinds, rows = np.unique(kind, return_inverse=True)
        rows, source = rows.reshape(-1).astype(np.int32), kinds // max(len(rates), 1)
        used, number = rates[kinds % max(len(rates), 1)].T
        edge = scores.edge[source] * (number / used)[:, None, None]

        cyclic = np.flatnonzero(~t.is_forest)
        found = self._iterate(cyclic, f.rho, Scores(scores.node, edge, rows))
        blocked = self._blocked(found.log_message)
        node = (scores.node + weighted @ found.log_message)[f.node] - inside @ found.log_message
        node[blocked[f.node]] = -np.inf
        copies = self._tree.marginals(Scores(node, edge, rows[f.edge]), weights[f.graph])

        log_partition = np.bincount(f.graph, copies.log_partition * fraction, minlength=t.n_graphs)
        counts = np.zeros_like(scores.edge)
        np.add.at(counts, source, copies.edge / used[:, None, None])
        converged = found.residual <= self.settings.tol
        return Marginals(log_partition, mean @ copies.node, counts, found.n_iter, found.residual, converged)


def _sparse(values, row, column, n_rows, n_columns):
    return csr_array((values, (row, column)), shape=(n_rows, n_columns))


# --------------------------------------------------------------------------------------------- number
@dataclass(frozen=True)
class _NumberPlan(_MessagePlan):
    """One weight for all edges: pseudo-marginals and log-partition follow from the messages."""

    rho: float
    exact = False

    def marginals(self, scores, weights=None):
        """Beliefs, and log Z = sum_i log Z_i + rho sum_ij log Z_ij with Z_ij = sum b_i b_j exp(theta_ij').

        Z_i sums node i's scores and weighted messages, exponentiated; b_i is its belief; theta_ij' is the
        edge's score divided by rho, less the messages along the edge.
        """
        t = self.topology
        weights = np.ones(t.n_graphs) if weights is None else np.asarray(weights, np.float64)
        scaled = with_rows(scores._replace(edge=scores.edge / self.rho), t.n_edges)
        edge, rows = scaled.edge, edge_rows(scaled, t.n_edges)
        found = self._iterate(np.arange(t.n_graphs), np.full(t.n_edges, self.rho), scaled)
        message = found.log_message
        blocked = self._blocked(message)
        node = scores.node.copy()
        np.add.at(node, self._receiver, self.rho * message)
        node[blocked] = -np.inf
        log_node = _log_sum(node, 1)
        with np.errstate(invalid="ignore"):  # nan where no labelling is allowed
            log_belief = node - log_node[:, None]
            (i, j), (to_i, to_j) = t.edges.T, self._slots
            pair = (
                edge[rows] + (log_belief[i] - message[to_i])[:, :, None] + (log_belief[j] - message[to_j])[:, None, :]
            )
            pair[np.isnan(pair)] = -np.inf
            log_pair = _log_sum(pair, (1, 2))
            pair = np.exp(pair - log_pair[:, None, None])
        log_partition = t.sum_nodes(log_node) + self.rho * t.sum_edges(log_pair)
        allowed = log_partition > -np.inf
        marginals = np.where(allowed[t.node_graph, None], np.exp(log_belief), np.nan)
        counts = np.zeros_like(scores.edge)
        kept = allowed[t.edge_graph]
        np.add.at(counts, rows[kept], weights[t.edge_graph[kept]][:, None, None] * pair[kept])
        weigh_nodes(t, marginals, weights)
        converged = found.residual <= self.settings.tol
        return Marginals(log_partition, marginals, counts, found.n_iter, found.residual, converged)


def _log_sum(values, axes):
    """``logsumexp`` over the trailing `axes`, -inf where all are."""
    top = values.max(axis=axes, keepdims=True, initial=-np.inf)
    top[np.isneginf(top)] = 0.0
    with np.errstate(divide="ignore"):
        return np.log(np.exp(values - top).sum(axis=axes)) + top.reshape(len(values))
