"""Tree-reweighted belief propagation: an upper bound on the log-partition of any graph, and its gradient."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from skstruct.data.topology import Topology
from skstruct.inference._base import InferenceBackend, InferencePlan
from skstruct.inference._loopy import LoopyBP
from skstruct.inference._message_passing import exponentiate
from skstruct.inference._spanning_forests import Forests, spanning_forests
from skstruct.inference._tree import Tree
from skstruct.kernels.jit import kernel
from skstruct.scores import Marginals, Scores, edge_rows, weigh_nodes

FALLBACK_DAMPING = 0.5  # for graphs that do not settle undamped
LEAST_SUM = 1e-250  # what a sum loses to underflow is beyond rounding as long as the sum is above this


class TreeReweightedBP(InferenceBackend):
    r"""Upper bound on the log-partition by a convex combination of spanning trees [1]_.

    Scores are split over spanning forests :math:`T` with equal weights :math:`w_T`, such that
    :math:`\theta = \sum_T w_T \theta(T)`. As the log-partition is convex,

    .. math:: \log Z(\theta) \le \sum_T w_T \log Z_T(\theta(T)),

    and each tree is exact and cheap. The best split is found by passing messages, with the share
    :math:`\rho_{ij}` of the forests that use an edge as its weight:

    .. math::
        m_{ij}(y) \propto \sum_x \exp\Big(\frac{\theta_{ij}(x, y)}{\rho_{ij}} + \theta_i(x)
        + \sum_k \rho_{ki} \log m_{ki}(x) - \log m_{ji}(x)\Big).

    Any messages give a split, hence a valid bound, whether they have settled or not. The node and pair
    marginals are the averages of those of the trees: the derivative of the bound for fixed messages, and its
    full derivative at the fixed point, where all trees agree. The bound is convex in the scores, with one
    optimum, so that training with it is well behaved where loopy belief propagation jumps between fixed
    points; its marginals tend to be less certain than the true ones are. Graphs without cycles are their own
    tree, and exact.

    Messages are sent in sweeps over the nodes as in `LoopyBP`, with the same fall-back: a graph that does not
    settle within `max_iter` sweeps gets as many again with damping, and is then accepted as it is. Decoding
    is that of `LoopyBP`, which has tree-reweighted max-product in it.

    Parameters
    ----------
    rho : "trees" or float in (0, 1], default="trees"
        Weights of the edges. "trees": the shares of spanning forests, built one by one from the edges that
        were used least; of a graph that `k` forests cover, there are ``2 * k + 8``. A number is the weight of
        all edges, and forgoes the bound unless it happens to be small enough (at most ``(n_nodes - 1) /
        n_edges``, in every subgraph): 1 is loopy belief propagation, values between trade its errors for
        those of the bound.
    damping : float in [0, 1), default=0.0
        Share of the old log-message in the new one.
    max_iter : int, default=100
        Sweeps, before as much again with damping.
    tol : float, default=1e-5
        Largest change of a message (scaled to maximum 1) that counts as none.

    Attributes
    ----------
    bound : {"upper", None}
        None if `rho` is a number.

    Notes
    -----
    Time O(n_edges * n_states**2) per sweep; the trees add O(n_forests * n_nodes * n_states**2) once. Planning
    takes O(n_forests * n_edges) for the forests, which are many where the graph is dense.

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
        """What the log-partition is to the true one: "upper", or None if `rho` is a number."""
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
        settings = (float(self.damping), int(self.max_iter), float(self.tol))
        if by_trees:
            return _TreesPlan(topology, loopy, settings, spanning_forests(topology), n_states)
        return _NumberPlan(topology, loopy, settings, float(self.rho))


@dataclass(frozen=True)
class _MessagePlan(InferencePlan):
    """Messages with given edge weights; subclasses derive the answer from them."""

    topology: Topology
    loopy: Any  # plan of LoopyBP with default settings, for decoding
    settings: tuple[float, int, float]
    name = TreeReweightedBP.name

    @property
    def arrays(self):
        """Node offsets, order of a sweep, neighbour lists; the same as those of loopy belief propagation."""
        return self.loopy.arrays[:7]

    def decode(self, scores):
        return self.loopy.decode(scores)

    @cached_property
    def _receiver(self):
        """Node that owns each slot, (2 * n_edges,)."""
        _, order, ptr = self.arrays[:3]
        return np.repeat(order, np.diff(ptr))

    @cached_property
    def _slots(self):
        """Slots of each edge's messages to its first and to its second end, two of (n_edges,)."""
        edge, flipped = self.arrays[4], self.arrays[6]
        slots = np.empty((2, self.topology.n_edges), np.intp)
        slots[flipped.astype(np.intp), edge] = np.arange(len(edge))
        return slots

    def _settle(self, graphs, rho, node, edge, rows):
        """Pass messages on `graphs`: log-messages by slot, sweeps, last change.

        `edge` holds scores already divided by the weight of their edge. A message is -inf where its
        receiver's state has no partner.
        """
        t = self.topology
        message = np.zeros((2 * t.n_edges, node.shape[1]))
        n_iter, residual = np.zeros(t.n_graphs, np.intp), np.zeros(t.n_graphs)
        potential, shift, _ = exponentiate(edge, (1, 2))
        with np.errstate(all="ignore"):  # -inf - -inf is no news in a kernel; seen with NUMBA_DISABLE_JIT=1 only
            _settle(
                *self.arrays,
                *self.settings,
                graphs,
                rho,
                node,
                edge,
                potential,
                shift,
                rows,
                message,
                n_iter,
                residual,
            )
        return message, n_iter, residual

    def _blocked(self, message):
        """Replace -inf in `message` by 0, so that it can be weighted; tell which states it forbids."""
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
    """Edge weights from forests: messages split the scores, exact inference on the copies does the rest."""

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
        """Sparse matrices that weight messages into nodes, add those along copied edges, average copies."""
        f, n_slots = self.forests, len(self._receiver)
        edge_of_slot = self.arrays[4]
        n_nodes, n_copied = self.topology.n_nodes, len(f.node)
        weighted = _sparse(f.rho[edge_of_slot], self._receiver, np.arange(n_slots), n_nodes, n_slots)
        slots = self._slots[:, f.edge].ravel()
        inside = _sparse(np.ones(len(slots)), f.copies.edges.T.ravel(), slots, n_copied, n_slots)
        share = 1.0 / f.number[f.graph]
        mean = _sparse(share[f.copies.node_graph], f.node, np.arange(n_copied), n_nodes, n_copied)
        return weighted, inside, mean, share

    @cached_property
    def _rates(self):
        """Distinct numbers of uses among forests, (n_rates, 2), and which each edge has, (n_edges,)."""
        pairs = np.column_stack([self.forests.used, self.forests.number[self.topology.edge_graph]])
        rates, rate = np.unique(pairs, axis=0, return_inverse=True)
        return rates, rate.reshape(-1)

    def marginals(self, scores, weights=None):
        t, f = self.topology, self.forests
        weights = np.ones(t.n_graphs) if weights is None else np.asarray(weights, np.float64)
        weighted, inside, mean, share = self._sums
        rates, rate = self._rates
        # edges with equal matrices and equal weights go on sharing them
        kind = edge_rows(scores, t.n_edges) * len(rates) + rate
        kinds, rows = np.unique(kind, return_inverse=True)
        rows, source = rows.reshape(-1).astype(np.int32), kinds // max(len(rates), 1)
        used, number = rates[kinds % max(len(rates), 1)].T
        edge = scores.edge[source] * (number / used)[:, None, None]

        cyclic = np.flatnonzero(~t.is_forest)
        message, n_iter, residual = self._settle(cyclic, f.rho, scores.node, edge, rows)
        blocked = self._blocked(message)
        node = (scores.node + weighted @ message)[f.node] - inside @ message
        node[blocked[f.node]] = -np.inf
        found = self._tree.marginals(Scores(node, edge, rows[f.edge]), weights[f.graph])

        log_partition = np.bincount(f.graph, found.log_partition * share, minlength=t.n_graphs)
        counts = np.zeros_like(scores.edge)
        np.add.at(counts, source, found.edge / used[:, None, None])
        converged = residual <= self.settings[2]
        return Marginals(log_partition, mean @ found.node, counts, n_iter, residual, converged)


def _sparse(values, row, column, n_rows, n_columns):
    return csr_array((values, (row, column)), shape=(n_rows, n_columns))


# --------------------------------------------------------------------------------------------- number
@dataclass(frozen=True)
class _NumberPlan(_MessagePlan):
    """One weight for all edges: the pseudo-marginals and the log-partition are read off the messages."""

    rho: float
    exact = False

    def marginals(self, scores, weights=None):
        """Beliefs, and log Z = sum_i log Z_i + rho sum_ij log Z_ij with Z_ij = sum b_i b_j exp(theta_ij').

        Z_i sums node i's scores and weighted messages, exponentiated; b_i is its belief; theta_ij' is the
        edge's score divided by rho, less the messages along the edge.
        """
        t = self.topology
        weights = np.ones(t.n_graphs) if weights is None else np.asarray(weights, np.float64)
        rows = edge_rows(scores, t.n_edges).astype(np.int32, copy=False)
        edge, rho = scores.edge / self.rho, np.full(t.n_edges, self.rho)
        message, n_iter, residual = self._settle(np.arange(t.n_graphs), rho, scores.node, edge, rows)
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
        return Marginals(log_partition, marginals, counts, n_iter, residual, residual <= self.settings[2])


def _log_sum(values, axes):
    """``logsumexp`` over the trailing `axes`, -inf where all are."""
    top = values.max(axis=axes, keepdims=True, initial=-np.inf)
    top[np.isneginf(top)] = 0.0
    with np.errstate(divide="ignore"):
        return np.log(np.exp(values - top).sum(axis=axes)) + top.reshape(len(values))


# -------------------------------------------------------------------------------------------- kernels
@kernel
def _send(total, incoming, scores, potential, shift, transposed, share, out):
    """out[y] = log sum over x of exp(total[x] - incoming[x] + scores[x, y]), scaled to maximum 0.

    Sums exponentials that are at hand, and goes back to the scores where those underflow.
    """
    n_states = len(total)
    top = -np.inf
    for x in range(n_states):
        share[x] = total[x] - incoming[x] if total[x] > -np.inf else -np.inf  # never -inf - -inf
        top = max(top, share[x])
    if top == -np.inf:
        out[:] = -np.inf
        return
    out[:] = 0.0
    for x in range(n_states):
        factor = np.exp(share[x] - top)
        for y in range(n_states):
            out[y] += factor * (potential[y, x] if transposed else potential[x, y])
    highest = -np.inf
    for y in range(n_states):
        if out[y] > LEAST_SUM:
            out[y] = np.log(out[y])
        else:
            best = -np.inf
            for x in range(n_states):
                best = max(best, share[x] + (scores[y, x] if transposed else scores[x, y]))
            if best > -np.inf:
                small = 0.0
                for x in range(n_states):
                    small += np.exp(share[x] + (scores[y, x] if transposed else scores[x, y]) - best)
                best += np.log(small) - top - shift
            out[y] = best
        highest = max(highest, out[y])
    if highest > -np.inf:
        for y in range(n_states):
            out[y] -= highest


@kernel
def _settle(
    node_ptr, order, ptr, neighbour, edges, reverse, flipped, damping, max_iter, tol,
    graphs, rho, node, edge, potential, shift, rows, message, n_iter, residual,
):  # fmt: skip
    """Sweep each of `graphs` until its messages settle, damped if need be; fills the last three arrays."""
    n_states = node.shape[1]
    total, share, out = np.empty(n_states), np.empty(n_states), np.empty(n_states)
    for g in graphs:
        start, end = node_ptr[g], node_ptr[g + 1]
        change = 0.0
        for sweep in range(2 * max_iter):
            keep = damping if sweep < max_iter else max(damping, FALLBACK_DAMPING)
            n_iter[g] += 1
            change = 0.0
            for direction in range(2):
                for step in range(end - start):
                    i = start + step if direction == 0 else end - 1 - step
                    total[:] = node[order[i]]
                    for s in range(ptr[i], ptr[i + 1]):
                        for x in range(n_states):
                            total[x] += rho[edges[s]] * message[s, x]
                    for s in range(ptr[i], ptr[i + 1]):
                        if (neighbour[s] > i) != (direction == 0):
                            continue
                        e = rows[edges[s]]
                        _send(total, message[s], edge[e], potential[e], shift[e], flipped[s], share, out)
                        old = message[reverse[s]]
                        for x in range(n_states):
                            before = np.exp(old[x])
                            if keep > 0.0 and out[x] > -np.inf:
                                out[x] += keep * (old[x] - out[x])
                            change = max(change, abs(np.exp(out[x]) - before))
                            old[x] = out[x]
            if change <= tol:
                break
        residual[g] = change
