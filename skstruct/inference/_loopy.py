"""Loopy belief propagation: approximate inference on graphs with cycles, exact on forests."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import reverse_cuthill_mckee

from skstruct._jit import kernel
from skstruct._records import Decoding
from skstruct._topology import Topology
from skstruct.inference._adjacency import adjacency
from skstruct.inference._base import InferenceBackend, edge_rows, score_labelling
from skstruct.inference._message_passing import SMALLEST_MESSAGE, sum_product
from skstruct.inference._trws import OPTIMAL, improve_labels
from skstruct.inference._loopy_log import FALLBACK_DAMPING, decode_log, propagate_log


class LoopyBP(InferenceBackend):
    """Approximate marginals on any graph by passing messages around its cycles until they settle [1]_.

    Messages start uniform at every call, since messages kept from the last call make the objective depend on its
    history, which no optimiser survives. A sweep visits the nodes in order, each sending to its higher-numbered
    neighbours, then in reverse order to the lower ones. A node is recomputed only when a message that it receives
    has moved by more than `tol` (the active set). Irregular graphs are renumbered, so that on a forest one sweep
    is exact.

    A graph that does not converge within `max_iter` sweeps gets `max_iter` more, damped by at least 0.5, and is
    then accepted as it is: ``converged`` is False and ``residual`` tells the largest last change.

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
class _LoopyPlan:
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
        return sum_product(self, scores, weights, _propagate, propagate_log)

    def decode(self, scores):
        """Labels by max-product, exact on forests; elsewhere improved, and bounded, by tree-reweighted sweeps."""
        t = self.topology
        rows = edge_rows(scores, t.n_edges).astype(np.int32, copy=False)
        labels = np.zeros(t.n_nodes, np.intp)
        decode_log(*self.arrays, scores.node, scores.edge, rows, labels)
        score = score_labelling(t, scores, labels)
        bound = np.where(t.is_forest, score, np.inf)
        cyclic = np.flatnonzero(~t.is_forest)
        improve_labels(cyclic, *self.arrays[:-3], scores.node, scores.edge, rows, labels, score, bound)
        with np.errstate(invalid="ignore"):  # -inf - -inf, where no labelling is allowed
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


@kernel(fastmath={"contract", "reassoc"})
def _send(potential, transposed, message, out):
    """out = potential @ message, or message @ potential if transposed; scaled to maximum 1, which is returned."""
    n_states = len(message)
    if transposed:
        for y in range(n_states):
            out[y] = 0.0
        for x in range(n_states):
            m = message[x]
            for y in range(n_states):
                out[y] += m * potential[x, y]
    else:
        for y in range(n_states):
            total = 0.0
            for x in range(n_states):
                total += potential[y, x] * message[x]
            out[y] = total


@kernel
def _scale(values):
    """Divide by the maximum; return whether a value got too small to be multiplied on."""
    top = 0.0
    for x in range(len(values)):
        top = max(top, values[x])
    if top == 0.0:
        return False
    too_small = False
    inverse = 1.0 / top
    for x in range(len(values)):
        values[x] *= inverse
        too_small |= (values[x] < SMALLEST_MESSAGE) & (values[x] > 0.0)
    return too_small


@kernel
def _cavities(first, last, begin, end, node, message, product, without):
    """without[s - first] = node potential * all messages in slots [begin, end) but s, for s in [first, last)."""
    n_states = len(node)
    too_small = False
    for x in range(n_states):
        product[x] = node[x]
    for s in range(begin, end):
        if first <= s < last:
            continue
        for x in range(n_states):
            product[x] *= message[s, x]
        too_small |= _scale(product)
    without[last - first - 1] = 1.0
    for s in range(last - 1, first, -1):
        for x in range(n_states):
            without[s - 1 - first, x] = without[s - first, x] * message[s, x]
        too_small |= _scale(without[s - 1 - first])
    for s in range(first, last):
        for x in range(n_states):
            without[s - first, x] *= product[x]
            product[x] *= message[s, x]
        too_small |= _scale(without[s - first]) | _scale(product)
    return too_small


@kernel
def _sweeps(start, end, order, ptr, neighbour, edges, reverse, flipped, damping, max_iter, tol, node, edge, rows,
            message, without, dirty, product, out):  # fmt: skip
    """Sweep one graph until no message moves by more than `tol`: sweeps, last change, whether it is unsafe.

    dirty[i] has bit 1 set while i has news for its higher neighbours, bit 2 for the lower ones.
    """
    n_states = node.shape[1]
    change, sweep = 0.0, 0
    for i in range(start, end):
        dirty[i] = 3
    while sweep < max_iter:
        sweep += 1
        change = 0.0
        for direction in range(2):
            bit = 1 + direction
            for step in range(end - start):
                i = start + step if direction == 0 else end - 1 - step
                if not dirty[i] & bit:
                    continue
                dirty[i] &= 3 - bit
                begin, stop = ptr[i], ptr[i + 1]
                middle = begin  # first slot of a higher neighbour
                while middle < stop and neighbour[middle] < i:
                    middle += 1
                first, last = (middle, stop) if direction == 0 else (begin, middle)
                if first == last:
                    continue
                if _cavities(first, last, begin, stop, node[order[i]], message, product, without):
                    return sweep, change, True
                for s in range(first, last):
                    _send(edge[rows[edges[s]]], not flipped[s], without[s - first], out)
                    if _scale(out):
                        return sweep, change, True
                    old = message[reverse[s]]
                    moved = 0.0
                    for x in range(n_states):
                        new = out[x] + damping * (old[x] - out[x])
                        moved = max(moved, abs(new - old[x]))
                        old[x] = new
                    change = max(change, moved)
                    if moved > tol:
                        dirty[neighbour[s]] = 3
        if change <= tol:
            break
    return sweep, change, False


@kernel
def _propagate(
    node_ptr, order, ptr, neighbour, edges, reverse, flipped, damping, max_iter, tol,
    node, edge, rows, weights,
    log_partition, node_out, counts, n_iter, residual, converged, unsafe,
):  # fmt: skip
    """Sum-product messages, then beliefs: Z_Bethe = prod_i Z_i prod_(i,j) q_i' psi q_j.

    Z_i sums the belief of node i; q_i is the belief without j's message, divided by Z_i.
    """
    n_states = node.shape[1]
    widest = 1
    for i in range(len(order)):
        widest = max(widest, ptr[i + 1] - ptr[i])
    message = np.ones((len(neighbour), n_states))
    cavity = np.empty((len(neighbour), n_states))
    without = np.empty((widest, n_states))
    product, out = np.empty(n_states), np.empty(n_states)
    dirty = np.empty(len(order), np.uint8)
    for g in range(len(node_ptr) - 1):
        if unsafe[g]:
            continue
        start, end = node_ptr[g], node_ptr[g + 1]
        for attempt in range(2):
            sweeps, change, too_small = _sweeps(
                start, end, order, ptr, neighbour, edges, reverse, flipped,
                damping if attempt == 0 else max(damping, FALLBACK_DAMPING), max_iter, tol,
                node, edge, rows, message, without, dirty, product, out,
            )  # fmt: skip
            n_iter[g] += sweeps
            if too_small or change <= tol:
                break
        residual[g], converged[g] = change, change <= tol
        log_z = 0.0
        for i in range(start, end):
            node_out[order[i]] = node[order[i]]
            belief = node_out[order[i]]
            for s in range(ptr[i], ptr[i + 1]):
                for x in range(n_states):
                    belief[x] *= message[s, x]
                top = belief.max()
                log_z += np.log(top)
                too_small |= _scale(belief)
            total = belief.sum()
            log_z += np.log(total)
            for x in range(n_states):
                belief[x] /= total
            if ptr[i] == ptr[i + 1]:
                continue
            too_small |= _cavities(
                ptr[i], ptr[i + 1], ptr[i], ptr[i + 1], node[order[i]], message, product, cavity[ptr[i] : ptr[i + 1]]
            )
            for s in range(ptr[i], ptr[i + 1]):
                total = 0.0
                for x in range(n_states):
                    total += cavity[s, x] * message[s, x]
                for x in range(n_states):
                    cavity[s, x] /= total
        if too_small:
            unsafe[g] = True
            n_iter[g] = 0
            continue
        if log_z == -np.inf:
            log_partition[g] = log_z
            for i in range(start, end):
                node_out[order[i]] = np.nan
            continue
        for i in range(start, end):
            for s in range(ptr[i], ptr[i + 1]):
                if flipped[s]:
                    continue
                potential, count = edge[rows[edges[s]]], counts[rows[edges[s]]]
                mine, other = cavity[s], cavity[reverse[s]]
                total = 0.0
                for x in range(n_states):
                    row = 0.0
                    for y in range(n_states):
                        row += potential[x, y] * other[y]
                    total += row * mine[x]
                log_z += np.log(total)
                for x in range(n_states):
                    f = mine[x] * (weights[g] / total)
                    for y in range(n_states):
                        count[x, y] += f * other[y]
        log_partition[g] = log_z
