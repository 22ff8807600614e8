"""Loopy belief propagation: approximate inference on graphs with cycles, exact on forests."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from skstruct.data.topology import Topology
from skstruct.inference._base import InferenceBackend
from skstruct.inference._edge_potentials import EdgePotentials
from skstruct.inference._fixed_point import MessagePlan, fixed_point_class
from skstruct.inference._loopy_kernels import FEW_NEIGHBOURS, Workspace, propagate
from skstruct.inference._loopy_log import Settings, checked_settings, decode_log, propagate_log
from skstruct.inference._loopy_order import local_lists, spread_numbers, sweep_numbers, sweep_of
from skstruct.inference._loopy_two_states import TwoStateWorkspace, propagate_two_states
from skstruct.inference._plan import Linearization
from skstruct.inference._trws import Labelling, improve_labels
from skstruct.inference.allowed import find_allowed
from skstruct.kernels.simd import lanes
from skstruct.scores import Marginals, conclude, less_maxima, score_labelling, weigh_nodes, with_rows


class LoopyBP(InferenceBackend):
    """Approximate marginals on any graph by passing messages around its cycles until they converge [1]_.

    Messages start uniform at every call. If they started at the messages of the last call, the objective would depend
    on earlier calls, and optimisers would fail. In a sweep the nodes are visited in order, and each sends messages to
    its higher-numbered neighbours; then in reverse order, and each sends to its lower-numbered neighbours. A node sends
    again only when a message that it receives has changed by more than `tol` (the active set). Irregular graphs are
    renumbered, so that one sweep is exact on a forest.

    A graph that does not converge within `max_iter` sweeps gets `max_iter` more sweeps, with a damping of at least 0.5.
    If it does not converge then, ``converged`` is False and ``residual`` is the largest change in the last sweep.

    Decoding sends maxima instead of sums, which is exact on forests. On other graphs, sequential tree-reweighted sweeps
    [3]_ improve the labelling and bound its score. If they find no allowed labelling, a depth-first search looks for
    one.

    The log-partition is Bethe's approximation, from the same messages as the marginals. At a fixed point its
    derivatives are the marginals [2]_, as training requires. It is neither an upper nor a lower bound.

    Parameters
    ----------
    damping : float in [0, 1), default=0.0
        Fraction of the old message in the new one.
    max_iter : int, default=100
        Maximum number of sweeps, and of further sweeps with damping.
    tol : float, default=1e-5
        Iterations end when no message (scaled to maximum 1) changes by more than this.

    Notes
    -----
    Time O(n_edges * n_states**2) per sweep, memory O(n_edges * n_states) beside the edges' matrices.

    References
    ----------
    .. [1] J. Pearl, *Probabilistic Reasoning in Intelligent Systems*, Morgan Kaufmann, 1988.
    .. [2] J. S. Yedidia, W. T. Freeman, Y. Weiss, "Constructing free-energy approximations and generalized belief
       propagation algorithms", *IEEE Trans. Information Theory* 51(7), 2005.
    .. [3] V. Kolmogorov, "Convergent tree-reweighted message passing for energy minimization", *IEEE Trans. PAMI*
       28(10), 2006.

    Examples
    --------
    >>> import numpy as np
    >>> from skstruct.functional import marginals
    >>> square = [(0, 1), (1, 2), (2, 3), (3, 0)]
    >>> field = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    >>> found = marginals(field, square, np.array([[[0.5, 0.0], [0.0, 0.5]]]), inference="loopy_bp")
    >>> found.exact, found.converged
    (False, True)
    """

    name = "loopy_bp"
    exact = False
    family = "any graph"

    def __init__(self, damping=0.0, max_iter=100, tol=1e-5):
        self.damping = damping
        self.max_iter = max_iter
        self.tol = tol

    def accepts(self, topology, n_states):
        """Accept every graph."""
        return np.ones(topology.n_graphs, bool)

    def _plan(self, topology, n_states):
        return _LoopyPlan(topology, n_states, checked_settings(self))


@dataclass(frozen=True)
class _LoopyPlan(MessagePlan):
    topology: Topology
    n_states: int
    settings: Settings
    name = LoopyBP.name
    exact = False

    @cached_property
    def sweep(self):
        """Order of a sweep, and neighbour lists in this order."""
        number = sweep_numbers(self.topology)
        if self.n_states == 2:
            number = spread_numbers(self.topology, number)
        return sweep_of(self.topology, number)

    @cached_property
    def lists(self):
        """Neighbour lists of the fast kernels."""
        return local_lists(self.topology, self.sweep)

    @cached_property
    def _widest(self):
        """Most neighbours of a node."""
        return int(np.diff(self.sweep.lists.ptr).max(initial=0))

    def marginals(self, scores, weights=None):
        """Beliefs by the fast kernels, and by the log-domain kernel for graphs out of their range."""
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
        """Pass messages: marginals, and which graphs are out of the range of the fast kernels.

        If `settled`, (n_slots, n_states), has rows, it is filled with the logarithms of the messages.
        """
        t = self.topology
        weights = np.ones(t.n_graphs) if weights is None else np.asarray(weights, np.float64)
        scores, shared = self.divided(scores)
        own_matrices = not shared
        out = Marginals(
            log_partition=np.zeros(t.n_graphs),
            node=np.empty_like(scores.node),
            edge=np.empty_like(scores.edge) if own_matrices else np.zeros_like(scores.edge),
            n_iter=np.zeros(t.n_graphs, np.intp),
            residual=np.zeros(t.n_graphs),
            converged=np.ones(t.n_graphs, bool),
        )
        out_of_range = np.zeros(t.n_graphs, bool)
        with np.errstate(all="ignore"):  # log 0 and 0 / 0 are expected; seen with NUMBA_DISABLE_JIT=1 only
            if self.n_states == 2:
                given, result = (record._replace(edge=record.edge.reshape(-1, 4)) for record in (scores, out))
                plan = self.lists, self.settings, given, weights, own_matrices, lanes(4)
                place = result.edge if own_matrices else None
                work = TwoStateWorkspace.of(self.largest, given.edge, place)
                propagate_two_states(*plan, work, result, out_of_range, settled)
            else:
                plan = self.lists, self.settings, scores, weights, own_matrices, lanes(self.n_states)
                matrices = EdgePotentials.of(scores.edge, own_matrices, out.edge if own_matrices else None)
                work = Workspace.of(self.largest, self._widest, self.n_states)
                args = *plan, matrices, work, out, out_of_range, settled
                if self._widest > FEW_NEIGHBOURS or propagate(*args, None):
                    propagate(*args, True)
            impossible = np.isneginf(out.log_partition)
            if impossible.any():
                out.node[impossible[t.node_graph]] = np.nan
            if own_matrices and (impossible | out_of_range).any():
                out.edge[(impossible | out_of_range)[t.edge_graph]] = 0.0  # it holds potentials
            if out_of_range.any():
                out.n_iter[out_of_range] = 0
                left = np.flatnonzero(out_of_range)
                propagate_log(self.sweep, self.settings, left, scores, weights, out, settled)
        weigh_nodes(t, out.node, weights)
        return out, out_of_range

    def decode(self, scores):
        """Labels by max-product, exact on forests; elsewhere improved, and bounded, by tree-reweighted sweeps."""
        t = self.topology
        shifted, constant = less_maxima(t, scores)
        labels = np.zeros(t.n_nodes, np.intp)
        with np.errstate(all="ignore"):  # -inf - -inf, where no labelling is allowed
            scratch = np.empty((self._widest + 1, self.n_states))
            decode_log(self.sweep, with_rows(shifted, t.n_edges), self._no_messages(), scratch, labels)
        score = score_labelling(t, shifted, labels)
        best = Labelling(labels, score, np.where(t.is_forest, score, 0.0))
        self._improve(shifted, np.flatnonzero(~t.is_forest), best)
        return conclude(t, scores, shifted, constant, labels, best.bound)

    def decode_above(self, scores, floor):
        """As `decode`, by tree-reweighted sweeps only; they end where no labelling scores more than `floor`."""
        t = self.topology
        shifted, constant = less_maxima(t, scores)
        labels = shifted.node.argmax(axis=1)
        best = Labelling(labels, score_labelling(t, shifted, labels), np.zeros(t.n_graphs))
        floor = floor - constant
        self._improve(shifted, np.flatnonzero(floor < 0.0), best, floor)
        return conclude(t, scores, shifted, constant, labels, best.bound)

    def _no_messages(self):
        """Messages in the log domain before the first sweep."""
        return np.zeros((2 * self.topology.n_edges, self.n_states))

    def _improve(self, shifted, graphs, best, floor=None):
        """Improve the labels of some graphs in place; `shifted` are scores by `less_maxima`."""
        if not len(graphs):  # and nothing is compiled for it
            return
        t = self.topology
        floor = np.full(t.n_graphs, -np.inf) if floor is None else floor
        with np.errstate(all="ignore"):  # as above
            work = self._no_messages(), np.empty((2, self.n_states)), best.labels.copy()
            improve_labels(graphs, floor, self.sweep, with_rows(shifted, t.n_edges), *work, best)
        forbidden = graphs[(best.score[graphs] == -np.inf) & (best.bound[graphs] > floor[graphs])]
        best.bound[find_allowed(t, shifted, best.labels, forbidden)] = -np.inf
