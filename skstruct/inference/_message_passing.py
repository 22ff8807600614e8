"""What exact and loopy message passing share: potentials, and the two number domains.

A fast kernel works with probabilities: potentials ``exp(score - max)`` and messages that are rescaled at each
step. That gives the numbers of the log domain to rounding as long as no product underflows. Potentials are
checked here and messages in the kernels: whatever is not exactly zero (forbidden) must stay above the bounds
below, which keep every product of three of them a normal float64. A graph that breaks a bound is *unsafe*: its
fast result is dropped and the log-domain kernel, the plain twin of the fast one, is run on it instead.
"""

import numpy as np

from skstruct.data.topology import Topology
from skstruct.inference._base import InferencePlan
from skstruct.kernels.jit import kernel
from skstruct.scores import Scores, direct_marginals, exact_decoding, weigh_nodes, with_rows

SMALLEST_POTENTIAL = 1e-75  # exp(-172): scores of one row or matrix within 172 nats are safe
SMALLEST_MESSAGE = 1e-150  # the kernels' own bound: message * message and message * potential stay > 1e-308


def exponentiate(scores):
    """Potentials ``exp(scores - shift)`` of rows or matrices, their maxima `shift`, and their smallest potentials.

    The smallest potential, of those that are not forbidden, is 0 if it underflows.
    """
    rows = np.ascontiguousarray(scores, np.float64).reshape(len(scores), int(np.prod(scores.shape[1:])))
    potential, shift, low = np.empty_like(rows), np.empty(len(rows)), np.empty(len(rows))
    _take_out_maxima(rows, potential, shift, low)
    np.exp(potential, out=potential)
    np.exp(low, out=low)
    return potential.reshape(scores.shape), shift, low


@kernel
def _take_out_maxima(rows, shifted, shift, low):
    """Write the rows without their maxima, the maxima, and what is then the smallest number other than -inf.

    For short rows this is faster than reductions of numpy.
    """
    for i in range(len(rows)):
        top, lowest = -np.inf, 0.0
        for k in range(rows.shape[1]):
            top = max(top, rows[i, k])
        shift[i] = top if top > -np.inf else 0.0
        for k in range(rows.shape[1]):
            value = rows[i, k] - shift[i]
            shifted[i, k] = value
            lowest = min(lowest, value if value > -np.inf else 0.0)
        low[i] = lowest


def potentials_of(topology, scores):
    """Potentials of scores whose `edge_matrix` is an array, the maxima that they leave out, and unsafe graphs.

    Returns
    -------
    potentials : Scores
    shift : ndarray of shape (n_graphs,)
        In nats.
    unsafe : ndarray of bool, (n_graphs,)
    """
    t, rows = topology, scores.edge_matrix
    node, node_shift, node_low = exponentiate(scores.node)
    edge, edge_shift, edge_low = exponentiate(scores.edge)
    small_edge, unsafe = edge_low < SMALLEST_POTENTIAL, np.zeros(t.n_graphs, bool)
    unsafe[t.node_graph[node_low < SMALLEST_POTENTIAL]] = True
    if small_edge.any():
        unsafe[t.edge_graph[small_edge[rows]]] = True
    return Scores(node, edge, rows), t.sum_nodes(node_shift) + t.sum_edges(edge_shift[rows]), unsafe


def sum_product(plan, scores, weights, fast, safe):
    """Run the `fast` kernel on all graphs and the `safe` (log-domain) one where the first is unsafe.

    Parameters
    ----------
    plan : InferencePlan
        With `topology` and `wiring`, the record of index arrays that both kernels accept first.
    scores : Scores
    weights : ndarray of shape (n_graphs,) or None
        Factors of the node marginals and of the expected pair counts.
    fast, safe : kernel
        ``fast(wiring, potentials, weights, out, unsafe)`` adds pair counts without the potential of their edge, which
        is multiplied in here once per matrix, to the `Marginals` `out`; ``safe(wiring, graphs, scores, weights, out)``
        adds whole ones.

    Returns
    -------
    marginals : Marginals
    """
    t = plan.topology
    weights = np.ones(t.n_graphs) if weights is None else np.asarray(weights, np.float64)
    scores = with_rows(scores, t.n_edges)
    potentials, shift, unsafe = potentials_of(t, scores)
    out = direct_marginals(np.zeros(t.n_graphs), np.empty_like(scores.node), np.zeros_like(scores.edge))
    with np.errstate(all="ignore"):  # log 0 and 0 / 0 are no news in a kernel; seen with NUMBA_DISABLE_JIT=1 only
        fast(plan.wiring, potentials, weights, out, unsafe)
        out.edge[:] *= potentials.edge
        out.log_partition[:] += shift
        if unsafe.any():
            safe(plan.wiring, np.flatnonzero(unsafe), scores, weights, out)
    weigh_nodes(t, out.node, weights)
    return out


class LabelledExactly(InferencePlan):
    """Decoding and samples of an exact plan by one kernel, which labels nodes one by one given those before."""

    topology: Topology

    def decode(self, scores):
        """Return a best labelling."""
        return exact_decoding(self.topology, scores, self._labels(scores, np.zeros((1, 0)))[0])

    def sample(self, scores, n_samples, rng):
        """Draw labellings from the model, independently, (n_samples, n_nodes)."""
        return self._labels(scores, rng.random((n_samples, self.topology.n_nodes)))

    def _labels(self, scores, uniforms):
        labels = np.zeros((len(uniforms), self.topology.n_nodes), np.intp)
        with np.errstate(all="ignore"):  # log 0, seen with NUMBA_DISABLE_JIT=1 only
            self._draw(with_rows(scores, self.topology.n_edges), uniforms, labels)
        return labels

    def _draw(self, scores, uniforms, labels):
        """Write a labelling for each row of `uniforms`: drawn with these, or a best one where they are empty."""
        raise NotImplementedError
