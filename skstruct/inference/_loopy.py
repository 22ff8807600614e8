"""Loopy belief propagation: approximate inference on graphs with cycles, exact on forests."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from skstruct.data.adjacency import Adjacency, adjacency
from skstruct.data.topology import Topology
from skstruct.inference._base import InferenceBackend, InferencePlan
from skstruct.inference._loopy_kernels import propagate
from skstruct.inference._loopy_log import decode_log, propagate_log
from skstruct.inference._loopy_order import local_arrays, spread_numbers, sweep_numbers
from skstruct.inference._loopy_two_states import propagate_two_states
from skstruct.inference._trws import improve_labels
from skstruct.inference.allowed import find_allowed
from skstruct.kernels.simd import lanes
from skstruct.scores import Marginals, conclude, edge_rows, less_maxima, score_labelling, weigh_nodes


class LoopyBP(InferenceBackend):
    """Approximate marginals on any graph by passing messages around its cycles until they settle [1]_.

    Messages start uniform at every call, since messages kept from the last call make the objective depend on its
    history, which no optimiser survives. A sweep visits the nodes in order, each sending to its higher-numbered
    neighbours, then in reverse order to the lower ones. A node is recomputed only when a message that it receives
    has moved by more than `tol` (the active set). Irregular graphs are renumbered, so that on a forest one sweep
    is exact.

    A graph that does not converge within `max_iter` sweeps gets `max_iter` more, damped by at least 0.5, and is
    then accepted as it is: ``converged`` is False and ``residual`` tells the largest last change.

    Decoding sends maxima instead of sums, exact on forests; elsewhere sequential tree-reweighted sweeps [3]_ improve
    the labelling and bound its score. If they find no allowed labelling, a depth-first search looks for one.

    The log-partition is Bethe's approximation, from the same messages as the marginals. At a fixed point its
    derivatives are the marginals [2]_, which is what training needs; it is neither an upper nor a lower bound.

    Parameters
    ----------
    damping : float in [0, 1), default=0.0
        Share of the old message in the new one.
    max_iter : int, default=100
        Sweeps, before as much again with damping.
    tol : float, default=1e-5
        Largest change of a message (scaled to maximum 1) that counts as none.

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
        if not 0 <= self.damping < 1:
            raise ValueError(f"LoopyBP: damping must be in [0, 1), got {self.damping!r}.")
        if self.max_iter < 1:
            raise ValueError(f"LoopyBP: max_iter must be at least 1, got {self.max_iter!r}.")
        if not self.tol > 0:
            raise ValueError(f"LoopyBP: tol must be positive, got {self.tol!r}.")
        return _LoopyPlan(topology, n_states, self.damping, self.max_iter, self.tol)


@dataclass(frozen=True)
class _LoopyPlan(InferencePlan):
    topology: Topology
    n_states: int
    damping: float
    max_iter: int
    tol: float
    name = LoopyBP.name
    exact = False

    @cached_property
    def arrays(self):
        """Graphs, the node at each place of a sweep, and the neighbour lists, numbered by places."""
        t = self.topology
        number = sweep_numbers(t)  # (n_nodes,) place of each node in a sweep
        if self.n_states == 2:
            number = spread_numbers(t, number)
        order = np.argsort(number).astype(np.int32)
        return t.node_ptr, order, *adjacency(number[t.edges], t.n_nodes)

    @cached_property
    def fast_arrays(self):
        """The same for the fast kernels."""
        _, order, *lists = self.arrays
        return local_arrays(self.topology, order, Adjacency(*lists))

    def marginals(self, scores, weights=None):
        """Beliefs of the fast kernels, and of the log-domain one where scores are out of their range."""
        t, n_states = self.topology, self.n_states
        settings = (float(self.damping), int(self.max_iter), float(self.tol))
        weights = np.ones(t.n_graphs) if weights is None else np.asarray(weights, np.float64)
        rows = edge_rows(scores, t.n_edges).astype(np.int32, copy=False)
        node, edge = (np.ascontiguousarray(array, np.float64) for array in (scores.node, scores.edge))
        own_matrices = scores.edge_matrix is None
        counts = np.empty_like(edge) if own_matrices else np.zeros_like(edge)
        log_partition, residual = np.zeros(t.n_graphs), np.zeros(t.n_graphs)
        n_iter, converged = np.zeros(t.n_graphs, np.intp), np.ones(t.n_graphs, bool)
        unsafe = np.zeros(t.n_graphs, bool)
        out = [log_partition, np.empty_like(node), counts, n_iter, residual, converged]
        with np.errstate(all="ignore"):  # log 0 and 0 / 0 are no news in a kernel; seen with NUMBA_DISABLE_JIT=1 only
            if n_states == 2:
                flat = [array.reshape(-1, 4) for array in (edge, counts)]
                given = (node, flat[0], rows, weights, own_matrices, lanes(4))
                propagate_two_states(*self.fast_arrays, *settings, *given, *out[:2], flat[1], *out[3:], unsafe)
            else:
                given = (node, edge, rows, weights, own_matrices, lanes(n_states))
                propagate(*self.fast_arrays, *settings, *given, *out, unsafe)
            impossible = np.isneginf(log_partition)
            if impossible.any():
                out[1][impossible[t.node_graph]] = np.nan
            if own_matrices and (impossible | unsafe).any():
                counts[(impossible | unsafe)[t.edge_graph]] = 0.0  # potentials so far
            if unsafe.any():
                n_iter[unsafe] = 0
                propagate_log(*self.arrays, *settings, np.flatnonzero(unsafe), node, edge, rows, weights, *out)
        weigh_nodes(t, out[1], weights)
        return Marginals(*out)

    def decode(self, scores):
        """Labels by max-product, exact on forests; elsewhere improved, and bounded, by tree-reweighted sweeps."""
        t = self.topology
        rows = edge_rows(scores, t.n_edges).astype(np.int32, copy=False)
        labels = np.zeros(t.n_nodes, np.intp)
        shifted, constant = less_maxima(t, scores)
        with np.errstate(all="ignore"):  # -inf - -inf, where no labelling is allowed
            decode_log(*self.arrays, shifted.node, shifted.edge, rows, labels)
        score = score_labelling(t, shifted, labels)
        bound = np.where(t.is_forest, score, 0.0)
        self._improve(shifted, rows, np.flatnonzero(~t.is_forest), labels, score, bound)
        return conclude(t, scores, shifted, constant, labels, bound)

    def decode_above(self, scores, floor):
        """As `decode`, by tree-reweighted sweeps only; they end where no labelling scores more than `floor`."""
        t = self.topology
        rows = edge_rows(scores, t.n_edges).astype(np.int32, copy=False)
        shifted, constant = less_maxima(t, scores)
        labels, bound = shifted.node.argmax(axis=1), np.zeros(t.n_graphs)
        score = score_labelling(t, shifted, labels)
        floor = floor - constant
        self._improve(shifted, rows, np.flatnonzero(floor < 0.0), labels, score, bound, floor)
        return conclude(t, scores, shifted, constant, labels, bound)

    def _improve(self, shifted, rows, graphs, labels, score, bound, floor=None):
        """Improve labels, scores and bounds of some graphs in place; `shifted` are scores by `less_maxima`."""
        floor = np.full(self.topology.n_graphs, -np.inf) if floor is None else floor
        with np.errstate(all="ignore"):
            improve_labels(graphs, floor, *self.arrays, shifted.node, shifted.edge, rows, labels, score, bound)
        forbidden = graphs[(score[graphs] == -np.inf) & (bound[graphs] > floor[graphs])]
        bound[find_allowed(self.topology, shifted, labels, forbidden)] = -np.inf
