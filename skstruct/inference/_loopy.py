"""Loopy belief propagation: approximate inference on graphs with cycles, exact on forests."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import reverse_cuthill_mckee

from skstruct._records import Decoding
from skstruct._topology import Topology
from skstruct.inference._adjacency import adjacency
from skstruct.inference._base import InferenceBackend, SampledByGibbs, edge_rows, score_labelling
from skstruct.inference._loopy_kernels import propagate
from skstruct.inference._loopy_log import decode_log, propagate_log
from skstruct.inference._message_passing import sum_product
from skstruct.inference._trws import OPTIMAL, improve_labels


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
    the labelling and bound its score.

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
        return _LoopyPlan(topology, self.damping, self.max_iter, self.tol)


@dataclass(frozen=True)
class _LoopyPlan(SampledByGibbs):
    topology: Topology
    damping: float
    max_iter: int
    tol: float
    name = LoopyBP.name
    exact = False

    @cached_property
    def arrays(self):
        t = self.topology
        number = _sweep_numbers(t)  # (n_nodes,) place of each node in a sweep
        order = np.argsort(number).astype(np.int32)
        lists = adjacency(number[t.edges], t.n_nodes)
        settings = (float(self.damping), int(self.max_iter), float(self.tol))
        return t.node_ptr, order, *lists, *settings

    def marginals(self, scores, weights=None):
        return sum_product(self, scores, weights, propagate, propagate_log, positive_pairs=True)

    def decode(self, scores):
        """Labels by max-product, exact on forests; elsewhere improved, and bounded, by tree-reweighted sweeps."""
        t = self.topology
        rows = edge_rows(scores, t.n_edges).astype(np.int32, copy=False)
        labels = np.zeros(t.n_nodes, np.intp)
        lists = self.arrays[:-3]
        with np.errstate(all="ignore"):  # -inf - -inf, where no labelling is allowed
            decode_log(*lists, scores.node, scores.edge, rows, labels)
            score = score_labelling(t, scores, labels)
            bound = np.where(t.is_forest, score, np.inf)
            cyclic = np.flatnonzero(~t.is_forest)
            improve_labels(cyclic, *lists, scores.node, scores.edge, rows, labels, score, bound)
            optimal = (score == bound) | (bound - score <= OPTIMAL * (1 + np.abs(bound)))
        return Decoding(labels, score, np.where(optimal, score, bound), optimal)


def _sweep_numbers(topology):
    """Number the nodes of each graph: as they are on grid-like graphs, by reverse Cuthill-McKee elsewhere.

    Reverse Cuthill-McKee [1]_ gives each node of a tree one higher-numbered neighbour, so that a sweep upwards and
    downwards is exact there; on irregular graphs it brings neighbours together. Graphs whose own numbering has at
    most twice the mean edge length of the new one, and cycles, keep theirs: it walks memory in order.

    .. [1] E. Cuthill, J. McKee, "Reducing the bandwidth of sparse symmetric matrices", ACM, 1969.
    """
    n = topology.n_nodes
    own = np.arange(n, dtype=np.int32)
    if not topology.n_edges:
        return own
    i, j = topology.edges.T
    matrix = coo_array((np.ones(2 * len(i), np.int8), (np.r_[i, j], np.r_[j, i])), shape=(n, n)).tocsr()
    place = np.empty(n, np.int64)
    place[reverse_cuthill_mckee(matrix, symmetric_mode=True)] = np.arange(n)
    renumbered = np.empty(n, np.int32)
    renumbered[np.lexsort((place, topology.node_graph))] = own  # graphs stay contiguous
    gain = topology.sum_edges(np.abs(i - j)) - 2 * topology.sum_edges(np.abs(renumbered[i] - renumbered[j]))
    maybe_forest = np.diff(topology.edge_ptr) < np.diff(topology.node_ptr)
    return np.where((maybe_forest | (gain > 0))[topology.node_graph], renumbered, own)
