"""Tree-reweighted belief propagation: an upper bound on the log-partition of any graph, and its gradient."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from skstruct.components import require_number
from skstruct.data.topology import Topology
from skstruct.inference._base import InferenceBackend
from skstruct.inference._edge_potentials import EdgePotentials
from skstruct.inference._fixed_point import MessagePlan, fixed_point_class
from skstruct.inference._loopy import LoopyBP
from skstruct.inference._loopy_log import Settings, checked_settings
from skstruct.inference._loopy_order import local_lists
from skstruct.inference._node_orders import make_orders, one_weight
from skstruct.inference._plan import Linearization
from skstruct.inference._tree_reweighted_kernels import Workspace, propagate_weighted
from skstruct.inference._tree_reweighted_log import propagate_weighted_log
from skstruct.inference._tree_reweighted_two_states import TwoStateWorkspace, propagate_weighted_two_states
from skstruct.kernels.simd import lanes
from skstruct.scores import Marginals, Scores, weigh_nodes


class TreeReweightedBP(InferenceBackend):
    r"""Upper bound on the log-partition by a convex combination of spanning forests [1]_.

    Scores are split over spanning forests :math:`T` with probabilities :math:`w_T`, such that
    :math:`\theta = \sum_T w_T \theta(T)`. As the log-partition is convex,

    .. math:: \log Z(\theta) \le \sum_T w_T \log Z_T(\theta(T)),

    and the best split is found by passing messages. They depend only on the weights :math:`\rho_{ij}` of the edges, the
    probabilities that a forest contains them:

    .. math::
        m_{ij}(y) \propto \sum_x \exp\Bigl(\frac{\theta_{ij}(x, y)}{\rho_{ij}} + \theta_i(x)
        + \sum_k \rho_{ki} \log m_{ki}(x) - \log m_{ji}(x)\Bigr).

    The weights follow from orders of the nodes. In an order, each node picks one of its `L` earlier neighbours at
    random. The picked edges are a forest, and an edge is picked with probability ``1 / L``. One order is used for
    forests and large grids (there `L` is rounded up to a power of 2, so that square roots compute all powers), and the
    mean of 4 orders elsewhere, of 8 on grids of up to 200 nodes, and of 16 on dense graphs. On a complete graph, the
    forest is a star with a random centre, and all weights are ``2 / n_nodes``.

    The bound eliminates the nodes in each order, and applies Hoelder's inequality to every sum over the states of a
    node [2]_. It holds for any messages, whether they have converged or not. The node and pair marginals are its
    derivative for fixed messages, and at the fixed point its full derivative. The bound at the fixed point is convex in
    the scores. So training with it is stable where the objective of loopy belief propagation jumps between fixed
    points. Its marginals tend to be less certain than the true ones. On graphs without cycles it is exact and does not
    iterate.

    Messages are sent in sweeps over the nodes as in `LoopyBP`. If the changes of the messages no longer decrease, or
    after `max_iter` sweeps, beliefs are damped in up to `max_iter` further sweeps: the log-belief of node `i`, from
    which its messages are computed, moves by ``2 / (2 + sum_j rho_ij (1 - rho_ij))`` of its change, at most by half of
    it. Each time that changes still do not decrease, this fraction is halved. Irregular graphs oscillate undamped. On
    large graphs, changes travel far in many sweeps in which only few nodes send; these are not damped. `decode` is the
    same as for `LoopyBP`: tree-reweighted max-product.

    Parameters
    ----------
    rho : "orders" or float in (0, 1], default="orders"
        Weights of the edges. "orders": from orders of the nodes, as described above. A number is the weight of all
        edges. The log-partition is then a bound only if the number is small enough (at most
        ``(n_nodes - 1) / n_edges``, in every subgraph) and the messages have converged. The number 1 is loopy belief
        propagation; smaller numbers have an error between that of loopy belief propagation and that of the bound.
    damping : float in [0, 1), default=0.0
        Fraction of the old log-belief of a node in the new one.
    max_iter : int, default=100
        Maximum number of sweeps, and of further sweeps with damping.
    tol : float, default=1e-5
        Iterations end when no message (scaled to maximum 1) changes by more than this. The error of the bound is of the
        order of its square, so that training does not need a smaller one than 1e-3.

    Attributes
    ----------
    bound : {"upper", None}
        None if `rho` is a number.

    Notes
    -----
    Time O(n_edges * n_states**2) per sweep; the bound and its derivative cost about as much as a sweep for each order.
    Memory O(n_edges * n_states) beside the edges' matrices. Planning needs time O(n_edges) for each order.

    References
    ----------
    .. [1] M. J. Wainwright, T. S. Jaakkola, A. S. Willsky, "A new class of upper bounds on the log partition
       function", *IEEE Trans. Information Theory* 51(7), 2005.
    .. [2] Q. Liu, A. Ihler, "Bounding the partition function using Hoelder's inequality", *ICML*, 2011.

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

    def __init__(self, rho="orders", damping=0.0, max_iter=100, tol=1e-5):
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
        by_orders = isinstance(self.rho, str) and self.rho == "orders"
        if not by_orders:
            require_number(self, "rho", lambda rho: 0 < rho <= 1, "'orders' or a number in (0, 1]")
        rho = 0.0 if by_orders else float(self.rho)
        return _TreeReweightedPlan(topology, n_states, checked_settings(self), rho)


@dataclass(frozen=True)
class _TreeReweightedPlan(MessagePlan):
    topology: Topology
    n_states: int
    settings: Settings
    edge_weight: float  # of all edges, or 0: from orders
    name = TreeReweightedBP.name

    @property
    def exact(self):
        return bool(self._orders.exact.all())

    @cached_property
    def _loopy(self):
        """Plan of loopy belief propagation: its sweep, and its decoder."""
        return LoopyBP()._plan(self.topology, self.n_states)

    @cached_property
    def lists(self):
        """Neighbour lists of the kernels."""
        return local_lists(self.topology, self._loopy.sweep)

    @cached_property
    def _orders(self):
        return one_weight(self.lists, self.edge_weight) if self.edge_weight else make_orders(self.lists, self.topology)

    @cached_property
    def _several_orders(self):
        """Whether a graph has several orders, or stars."""
        return bool((self._orders.star | (self._orders.number > 1)).any())

    @property
    def rho(self):
        """Weight of the edge of each slot."""
        return self._orders.rho

    @cached_property
    def edge_weights(self):
        """Weight of each edge, (n_edges,)."""
        rho = np.empty(self.topology.n_edges)
        rho[self.lists.edge] = self._orders.rho
        return rho

    @cached_property
    def _rates(self):
        """Distinct weights of edges, and which one each edge has, (n_edges,)."""
        rates, rate = np.unique(self.edge_weights, return_inverse=True)
        return rates, rate.reshape(-1)

    def marginals(self, scores, weights=None):
        """The bound and its derivative, by the fast kernels, and in the log domain for graphs out of their range."""
        return self._propagate(scores, weights, np.zeros((0, self.n_states)))[0]

    def linearize(self, scores, weights=None):
        """Keep the messages at the fixed point, and compute their tangents; see `FixedPoint`."""
        t = self.topology
        weights = np.ones(t.n_graphs) if weights is None else np.asarray(weights, np.float64)
        settled = np.zeros((2 * t.n_edges, self.n_states))
        marginals, out_of_range = self._propagate(scores, weights, settled)
        messages = self.divided(scores), weights, settled, out_of_range
        return Linearization(lambda: marginals, fixed_point_class(self.n_states).of(self, scores, *messages).derivative)

    def _propagate(self, scores, weights, settled):
        """Pass messages: marginals, and which graphs are out of range; `settled` as in `propagate_weighted`."""
        t, (divided, shared) = self.topology, self.divided(scores)
        weights = np.ones(t.n_graphs) if weights is None else np.asarray(weights, np.float64)
        in_place = not shared and self.n_states != 2
        out = Marginals(
            log_partition=np.zeros(t.n_graphs),
            node=np.zeros(divided.node.shape),
            edge=divided.edge if in_place else np.zeros_like(divided.edge),  # large tables are allocated once
            n_iter=np.zeros(t.n_graphs, np.intp),
            residual=np.zeros(t.n_graphs),
            converged=np.ones(t.n_graphs, bool),
        )
        out_of_range = np.zeros(t.n_graphs, bool)
        plan = self.lists, self._orders, self.settings
        with np.errstate(all="ignore"):  # log 0 and -inf - -inf are expected; seen with NUMBA_DISABLE_JIT=1 only
            if self.n_states == 2:
                given, result = (record._replace(edge=record.edge.reshape(-1, 4)) for record in (divided, out))
                work = TwoStateWorkspace.of(self.largest, len(divided.edge))
                propagate_weighted_two_states(*plan, given, weights, work, result, out_of_range, settled)
            else:
                stars, n_lanes = self._orders.star if self._orders.star.any() else None, lanes(self.n_states)
                in_edge = out.edge if in_place and not self._several_orders else None
                matrices = EdgePotentials.of(divided.edge, not shared, in_edge)
                work = Workspace.of(self.largest, self._several_orders, self.n_states)
                args = divided, weights, not shared, n_lanes, matrices, work, out, out_of_range, settled
                propagate_weighted(*plan, stars, *args)
            if in_place and (left := out_of_range | np.isneginf(out.log_partition)).any():
                out.edge[left[t.edge_graph]] = 0.0  # it holds potentials
                divided, _ = self.divided(scores)
            if out_of_range.any():
                propagate_weighted_log(*plan, np.flatnonzero(out_of_range), divided, weights, out, settled)
        out.node[np.isneginf(out.log_partition)[t.node_graph]] = np.nan
        out.converged[:] = out.residual <= self.settings.tol
        weigh_nodes(t, out.node, weights)
        return out._replace(edge=self.gathered(out.edge, scores, shared)), out_of_range

    def divided(self, scores):
        """Scores whose edge scores are divided by the weights of the edges; whether edges share matrices.

        Edges share a quotient if they share a matrix and a weight, unless that would be as many quotients as edges.
        """
        rates, rate = self._rates
        rows, n_edges = scores.edge_matrix, self.topology.n_edges
        if rows is None or len(scores.edge) * len(rates) > n_edges:
            edge = scores.edge if rows is None else scores.edge[rows]
            return Scores(scores.node, edge / rates[rate][:, None, None], np.arange(n_edges, dtype=np.int32)), False
        edge = scores.edge[:, None] / rates[:, None, None]
        rows = rows.astype(np.int32) * len(rates) + rate
        edge = edge.reshape(len(scores.edge) * len(rates), *scores.edge.shape[1:])  # -1 is ambiguous without matrices
        return Scores(scores.node, edge, rows.astype(np.int32)), True

    def gathered(self, counts, scores, shared):
        """Pair counts of the matrices of `scores`, from those of the quotients."""
        if shared:
            return counts.reshape(len(scores.edge), len(self._rates[0]), *counts.shape[1:]).sum(axis=1)
        if scores.edge_matrix is None:
            return counts
        out = np.zeros_like(scores.edge)
        np.add.at(out, scores.edge_matrix, counts)
        return out

    def decode(self, scores):
        return self._loopy.decode(scores)
