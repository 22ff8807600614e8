"""Exact inference on chains: the forward-backward and Viterbi algorithms."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from skstruct.data.topology import Topology
from skstruct.inference._base import InferenceBackend, InferencePlan
from skstruct.inference._chain_derivative import derive_chains
from skstruct.inference._chain_kernels import (
    ROWS,
    SINGLE_RANGE,
    Arrivals,
    Rows,
    Scratch,
    StepScores,
    forward_backward,
    n_rows,
    viterbi,
)
from skstruct.inference._rooted_forest import ROOT, RootedForest
from skstruct.inference._tree import TreePlan, two_passes_log
from skstruct.kernels.simd import lanes
from skstruct.scores import (
    Scores,
    direct_marginals,
    edge_rows,
    exact_decoding,
    in_double,
    take_scores,
    weigh_nodes,
    with_rows,
)

NO_EDGE = -1


class Chain(InferenceBackend):
    """Exact inference on chains whose nodes are numbered along the chain.

    Every edge joins nodes ``t`` and ``t + 1`` of its graph, in either direction; a chain may have gaps, so that
    a graph is a row of chains. Paths that are numbered otherwise are trees.

    One pass forwards and one backwards [1]_ in the scaled probability domain, or in the log domain where its
    range is needed. Time O(n_nodes * n_states**2), memory O(n_nodes * n_states).

    References
    ----------
    .. [1] L. R. Rabiner, "A tutorial on hidden Markov models", *Proc. IEEE* 77(2), 1989, section III.

    Examples
    --------
    >>> import numpy as np
    >>> from skstruct.functional import decode
    >>> sticky = np.array([[[1.0, 0.0], [0.0, 1.0]]])
    >>> decode([[2.0, 0.0], [0.0, 0.5], [2.0, 0.0]], [(0, 1), (1, 2)], sticky, inference="chain").labels
    array([0, 0, 0])
    """

    name = "chain"
    exact = True
    family = "graphs whose edges all join consecutive nodes t, t + 1"

    def accepts(self, topology, n_states):
        """Tell in which graphs every edge joins consecutive nodes."""
        i, j = topology.edges.T
        accepted = np.ones(topology.n_graphs, bool)
        others = np.flatnonzero(np.abs(i - j) != 1)
        accepted[np.searchsorted(topology.edge_ptr, others, side="right") - 1] = False
        return accepted

    def _plan(self, topology, n_states):
        i, j = topology.edges.T
        step_edge = np.full(topology.n_nodes, NO_EDGE, np.int32)
        step_edge[np.minimum(i, j)] = np.arange(topology.n_edges)
        return _ChainPlan(topology, step_edge, i > j)


class _UsedMatrices(NamedTuple):
    """Matrices that the steps of chains have, where some edges are reversed: rows of the scores', and how they lie."""

    row: np.ndarray  # (n_used,)
    flipped: np.ndarray  # (n_used,) whether the matrix is transposed

    def stack(self, edge):
        """Matrices from one node to the next; the last one, of zeros, is that of a step without an edge."""
        out = np.concatenate([edge[self.row], np.zeros((1, *edge.shape[1:]))])
        out[:-1][self.flipped] = edge[self.row[self.flipped]].transpose(0, 2, 1)
        return out

    def counts(self, stack, edge):
        """Pair counts of the scores' matrices, from those of the stack."""
        out = np.zeros_like(edge)
        out[self.row[~self.flipped]] += stack[:-1][~self.flipped]
        out[self.row[self.flipped]] += stack[:-1][self.flipped].transpose(0, 2, 1)
        return out


@dataclass(frozen=True)
class _ChainPlan(InferencePlan):
    topology: Topology
    step_edge: np.ndarray  # (n_nodes,) the edge between t and t + 1, or NO_EDGE
    flipped: np.ndarray  # (n_edges,) whether the edge is listed as (t + 1, t)
    name = Chain.name
    exact = True

    @cached_property
    def as_trees(self):
        """Plan of the same chains as trees with the last node as the root: for samples, and for the log domain."""
        t, place = self.topology, np.arange(self.topology.n_nodes, dtype=np.int32)
        order = (t.node_ptr[t.node_graph] + t.node_ptr[t.node_graph + 1] - 1 - place).astype(np.int32)
        edge = self.step_edge[order]
        is_child = edge != NO_EDGE
        flipped = np.zeros(t.n_nodes, bool)
        flipped[is_child] = ~self.flipped[edge[is_child]]
        children = np.stack([place + 1, place + 1], axis=1)
        children[place[is_child] - 1, 1] += 1
        parent = np.where(is_child, place - 1, ROOT).astype(np.int32)
        return TreePlan(t, RootedForest(t.node_ptr, order, parent, edge, flipped, children))

    @cached_property
    def is_plain(self):
        """Whether every graph is one chain, with all edges listed as (t, t + 1)."""
        n_chains = np.count_nonzero(np.diff(self.topology.node_ptr))
        return self.topology.n_edges == self.topology.n_nodes - n_chains and not self.flipped.any()

    @property
    def supports_float32(self):
        return self.is_plain

    @cached_property
    def longest(self):
        """Number of nodes of the longest graph."""
        return int(np.diff(self.topology.node_ptr).max(initial=0))

    @cached_property
    def _by_length(self):
        """Graphs, the longest first, and the rows that `forward_backward` needs for them."""
        lengths = np.diff(self.topology.node_ptr)
        order = np.argsort(-lengths, kind="stable")
        return order, n_rows(lengths[order])

    def _by_step(self, scores):
        """Scores with the matrix of each step, and which matrices these are; None: those of the scores."""
        rows, edge, used = edge_rows(scores, self.topology.n_edges), scores.edge, None
        if not self.is_plain:
            numbers, rows = np.unique(2 * rows.astype(np.int64) + self.flipped, return_inverse=True)
            used = _UsedMatrices(numbers // 2, numbers % 2 == 1)
            edge = used.stack(edge)
        if len(edge) == 1:
            matrix = np.zeros(self.topology.n_nodes, np.int32)
        else:
            matrix = np.append(rows.astype(np.int32, copy=False), np.int32(len(edge) - 1))[self.step_edge]
        return StepScores(scores.node, edge, matrix), used

    def marginals(self, scores, weights=None):
        t, is_single = self.topology, scores.node.dtype == np.float32
        if is_single and not (self.is_plain and _is_narrow(scores.edge)):
            return self.marginals(in_double(scores), weights)
        weights = np.ones(t.n_graphs) if weights is None else np.asarray(weights, np.float64)
        steps, used = self._by_step(scores)
        found = direct_marginals(np.empty(t.n_graphs), np.empty_like(steps.node), np.zeros_like(steps.edge))
        unsafe = self._add_marginals(steps, self._by_length[0], weights, found)
        if len(unsafe) and is_single:
            scores, steps = in_double(scores), in_double(steps)
            again = found._replace(node=np.empty_like(steps.node), edge=np.zeros_like(steps.edge))
            graphs, unsafe = unsafe, self._add_marginals(steps, unsafe, weights, again)
            nodes = np.isin(t.node_graph, graphs)
            found.node[nodes] = again.node[nodes]
            found.edge[:] += again.edge
        if used is not None:
            found = found._replace(edge=used.counts(found.edge, scores.edge))
        if len(unsafe):
            with np.errstate(all="ignore"):  # log 0, seen with NUMBA_DISABLE_JIT=1 only
                two_passes_log(self.as_trees.wiring, unsafe, with_rows(scores, t.n_edges), weights, found)
        weigh_nodes(t, found.node, weights)
        return found

    def _add_marginals(self, steps, graphs, weights, out):
        """Write marginals of `graphs`, the longest first, and return those that are unsafe, which are left out."""
        unsafe, n_states = np.zeros(self.topology.n_graphs, bool), steps.node.shape[1]
        n_messages, n_lanes = self._by_length[1], lanes(n_states)
        scratch, *rows = (record.of(steps, n_messages) for record in (Scratch, Rows, Arrivals))
        with np.errstate(all="ignore"):  # log 0, seen with NUMBA_DISABLE_JIT=1 only
            forward_backward(self.topology.node_ptr, graphs, steps, weights, scratch, *rows, n_lanes, out, unsafe)
        return graphs[unsafe[graphs]]

    def derivative(self, scores, direction, weights=None):
        t = self.topology
        weights = np.ones(t.n_graphs) if weights is None else np.asarray(weights, np.float64)
        (steps, used), (change, _) = self._by_step(scores), self._by_step(direction)
        mean, unsafe = np.full(t.n_graphs, np.nan), np.zeros(t.n_graphs, bool)
        out = Scores(np.empty_like(steps.node), np.zeros_like(steps.edge))
        n_messages = max(2 * ROWS, self.longest)  # with fewer, sums of pair counts are read and written more often
        scratch, tangents = (Scratch.of(steps, n_messages) for _ in range(2))
        n_lanes = lanes(scores.node.shape[1])
        with np.errstate(all="ignore"):  # 0 / 0, seen with NUMBA_DISABLE_JIT=1 only
            derive_chains(t.node_ptr, steps, change, weights, scratch, tangents, n_lanes, mean, out, unsafe)
        if np.isnan(mean).any():  # no labelling is allowed, or the graph is unsafe
            out.node[np.isnan(mean)[t.node_graph]] = np.nan
        edge = out.edge if used is None else used.counts(out.edge, scores.edge)
        out = Scores(weigh_nodes(t, out.node, weights), edge, scores.edge_matrix)
        if unsafe.any():
            batch, nodes, edges = t.take(np.flatnonzero(unsafe))
            given, along = (take_scores(record, nodes, edges) for record in (scores, direction))
            trees = Chain()._plan(batch, scores.node.shape[1]).as_trees
            mean[unsafe], found = trees.derivative(given, along, weights[unsafe])
            out.node[nodes] = found.node
            out.edge[edges if out.edge_matrix is None else slice(None)] += found.edge
        return mean, out

    def decode(self, scores):
        labels, steps = np.empty(self.topology.n_nodes, np.intp), self._by_step(in_double(scores))[0]
        scratch = Scratch.of(steps, self.longest)
        viterbi(self.topology.node_ptr, steps, scratch, lanes(scores.node.shape[1]), labels)
        return exact_decoding(self.topology, scores, labels)

    def k_best(self, scores, k):
        return self.as_trees.k_best(scores, k)

    def sample(self, scores, n_samples, rng):
        return self.as_trees.sample(scores, n_samples, rng)


def _is_narrow(edge):
    """Whether the scores of edges are close enough for 32 bits."""
    return not len(edge) or bool(edge.min() >= edge.max() - SINGLE_RANGE)
