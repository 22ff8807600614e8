"""What an inference backend is: it plans for a topology once, and the plan answers queries about scores.

A backend is a scikit-learn style parameter holder. ``backend.plan(topology, n_states)`` does all that depends on
the graphs alone; the plan's methods do what depends on scores. To add a backend, write one file with a subclass of
`InferenceBackend` and a plan, and add one row to ``BACKENDS`` in ``inference/__init__.py``.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from sklearn.base import BaseEstimator

from skstruct._records import Decoding, Marginals, Scores
from skstruct._score_checks import check_scores
from skstruct._topology import Topology
from skstruct.exceptions import InfeasibleGraph, UnsupportedTopology

MISSING = -1  # state code of a node whose label is not known
OPTIMAL = 1e-9  # fraction of a labelling's loss against the sum of all maxima; a smaller gap is rounding
NONE_ALLOWED = "no labelling is allowed, all score -inf"
NONE_FOUND = (
    "no allowed labelling was found, which does not prove that there is none; use exact inference "
    "(inference='junction_tree') or decoding='auto'"
)


class InferencePlan(Protocol):
    """Answers queries about scores on one topology. Scores are read, never written.

    Attributes
    ----------
    topology : Topology
        The batch that the plan was made for.
    name : str
        Row of the backend table, as reported to the user.
    exact : bool
        Whether the answers are exact on this topology.

    A plan whose `marginals` take scores of float32, too, and answer in it, has a true attribute `takes_single`. A plan
    that can use a known labelling has ``marginals_from(scores, weights, labels)``, and a plan whose decoding can stop
    early has ``decode_above(scores, floor)``; see the functions of these names.
    """

    topology: Topology
    name: str
    exact: bool

    def marginals(self, scores: Scores, weights: np.ndarray | None = None) -> Marginals:
        """Log-partition, node marginals, and pair counts weighted by the graphs' `weights` (default 1)."""

    def decode(self, scores: Scores) -> Decoding:
        """Return a highest-scoring labelling, or the best that the backend finds."""

    def sample(self, scores: Scores, n_samples: int, rng: np.random.Generator) -> np.ndarray:
        """Draw labellings, (n_samples, n_nodes): exactly where `exact`, else by Gibbs sweeps."""


class InferenceBackend(BaseEstimator):
    """Base class of the backends.

    Subclasses store their parameters in ``__init__``, and implement `accepts` and `_plan`.
    """

    name: ClassVar[str]
    exact: ClassVar[bool]  # on every graph that it accepts
    bound: ClassVar[str | None] = None  # "upper" or "lower" if its log-partition is one where it is not exact
    family: str  # what it takes, to complete the sentence "'chain' takes ..."

    def accepts(self, topology, n_states):
        """Tell which graphs of the batch the backend can take, with so many states, without looking at scores.

        Returns
        -------
        accepted : ndarray of bool, (n_graphs,)
        """
        raise NotImplementedError

    def plan(self, topology, n_states):
        """Prepare inference on all graphs of `topology`.

        Repeated and reversed edges are legal in every backend: their scores add, so that they are merged here and
        a backend's own plan sees simple graphs.

        Parameters
        ----------
        topology : Topology
            Edges and sizes of the batch.
        n_states : int

        Returns
        -------
        plan : InferencePlan

        Raises
        ------
        UnsupportedTopology
            Names the first graph that the backend cannot take.
        """
        refused = np.flatnonzero(~self.accepts(topology, n_states))
        if len(refused):
            g = refused[0]
            raise UnsupportedTopology(
                g,
                f"inference={self.name!r} takes {self.family}; {self._refusal(topology, g, n_states)} "
                f"({len(refused)} of {topology.n_graphs} graphs are refused). Use inference='auto'.",
            )
        if not topology.has_repeated_edges:
            return _CheckedPlan(topology, n_states, self._plan(topology, n_states))
        merge = merge_edges(topology)
        return _MergedEdgesPlan(topology, n_states, self._plan(merge.simple, n_states), merge)

    def _refusal(self, topology, graph, n_states):
        """Say why `graph` is refused, to follow what is taken."""
        n_nodes, n_edges = np.diff(topology.node_ptr)[graph], np.diff(topology.edge_ptr)[graph]
        return f"this one, of {n_nodes} nodes and {n_edges} edges, is not"

    def _plan(self, topology, n_states):
        """Plan for a topology of simple graphs that `accepts` has approved."""
        raise NotImplementedError


class LabelledExactly:
    """Decoding and samples of an exact plan by one kernel, which labels nodes one by one given those before."""

    topology: Topology

    def decode(self, scores):
        """Return a best labelling."""
        return exact_decoding(self.topology, scores, self._labels(scores, np.zeros((1, 0)))[0])

    def sample(self, scores, n_samples, rng):
        """Draw labellings from the model, independently, (n_samples, n_nodes)."""
        return self._labels(scores, rng.random((n_samples, self.topology.n_nodes)))

    def _labels(self, scores, uniforms):
        rows = edge_rows(scores, self.topology.n_edges).astype(np.int32, copy=False)
        labels = np.zeros((len(uniforms), self.topology.n_nodes), np.intp)
        with np.errstate(all="ignore"):  # log 0, seen with NUMBA_DISABLE_JIT=1 only
            self._draw(scores.node, scores.edge, rows, uniforms, labels)
        return labels

    def _draw(self, node, edge, rows, uniforms, labels):
        """Write a labelling for each row of `uniforms`: drawn with these, or a best one where they are empty."""
        raise NotImplementedError


class SampledByGibbs:
    """Gives an approximate plan the samples of `Gibbs`, since its own marginals say nothing of joint labels.

    Where such a backend is exact, on forests, they are those of `Tree`.
    """

    topology: Topology
    exact: bool

    def sample(self, scores, n_samples, rng):
        """Draw labellings, (n_samples, n_nodes)."""
        from skstruct.inference._gibbs import Gibbs  # which decodes by a plan of this class
        from skstruct.inference._tree import Tree

        backend = Tree() if self.exact else Gibbs()
        return backend.plan(self.topology, scores.node.shape[1]).sample(scores, n_samples, rng)


def direct_marginals(log_partition, node, edge):
    """Marginals of a backend that does not iterate."""
    n_graphs = len(log_partition)
    zeros = np.zeros(n_graphs)
    return Marginals(log_partition, node, edge, zeros.astype(np.intp), zeros, np.ones(n_graphs, bool))


def edge_rows(scores, n_edges):
    """Row of ``scores.edge`` that each edge uses, (n_edges,)."""
    return np.arange(n_edges) if scores.edge_matrix is None else scores.edge_matrix


def score_labelling(topology, scores, labels):
    """Total score of a labelling, per graph.

    Parameters
    ----------
    topology : Topology
    scores : Scores
    labels : ndarray of shape (n_nodes,)
        State codes.

    Returns
    -------
    score : ndarray of shape (n_graphs,)
        In nats.
    """
    i, j = topology.edges.T
    node = scores.node[np.arange(topology.n_nodes), labels]
    edge = scores.edge[edge_rows(scores, topology.n_edges), labels[i], labels[j]]
    return topology.sum_nodes(node) + topology.sum_edges(edge)


def clamp(scores, labels):
    """Condition on known labels: forbid all states but the given one where ``labels`` is not `MISSING`.

    Parameters
    ----------
    scores : Scores
    labels : ndarray of shape (n_nodes,)
        State codes, or `MISSING`.

    Returns
    -------
    scores : Scores
    """
    node = scores.node.copy()
    known = np.flatnonzero(labels != MISSING)
    node[known] = -np.inf
    node[known, labels[known]] = scores.node[known, labels[known]]
    return scores._replace(node=node)


def in_double(scores):
    """Scores as float64; most plans take nothing else."""
    node, edge = (np.asarray(part, np.float64) for part in scores[:2])
    return scores._replace(node=node, edge=edge)


def exact_decoding(topology, scores, labels):
    """Wrap the labels of an exact decoder: optimal, and its own bound."""
    score = score_labelling(topology, scores, labels)
    return Decoding(labels, score, score, np.ones(topology.n_graphs, bool))


def unshared(scores):
    """Give each edge a matrix of its own, so that `marginals` returns the pair probabilities of every edge."""
    return scores if scores.edge_matrix is None else Scores(scores.node, scores.edge[scores.edge_matrix])


def less_maxima(topology, scores):
    """Subtract from each node and each matrix its highest score; no labelling is then above 0.

    Decoders compare labellings in these scores: what labellings have in common, however large, costs no digits.

    Parameters
    ----------
    topology : Topology
    scores : Scores

    Returns
    -------
    shifted : Scores
        A copy.
    constant : ndarray of shape (n_graphs,)
        Score of a labelling = its score by `shifted` + `constant`.
    """
    node_top, edge_top = scores.node.max(axis=1), scores.edge.max(axis=(1, 2))
    for top in (node_top, edge_top):
        top[np.isneginf(top)] = 0.0
    shifted = Scores(scores.node - node_top[:, None], scores.edge - edge_top[:, None, None], scores.edge_matrix)
    edge_constant = edge_top[edge_rows(scores, topology.n_edges)]
    return shifted, topology.sum_nodes(node_top) + topology.sum_edges(edge_constant)


def is_optimal(score, bound):
    """Whether the gap between a labelling and a bound is rounding, both by `less_maxima`.

    The gap is compared with the labelling's loss, ``-score``. Unlike the size of the bound, the loss does not depend on
    constants, and unlike the range of the scores, it does not depend on penalties that the labelling avoids.
    Also true where no labelling is allowed, so that both are -inf.
    """
    with np.errstate(invalid="ignore"):  # -inf - -inf
        return (score == bound) | (np.isfinite(score) & (bound - score <= -OPTIMAL * score))


def conclude(topology, scores, shifted, constant, labels, bound):
    """Make the record of decoded labels.

    Parameters
    ----------
    topology : Topology
    scores, shifted : Scores
    constant : ndarray of shape (n_graphs,)
        As `less_maxima` returns it, with `shifted`.
    labels : ndarray of shape (n_nodes,)
    bound : ndarray of shape (n_graphs,)
        No labelling is higher by the scores `shifted`.

    Returns
    -------
    found : Decoding
        Its bound equals the score where the gap is rounding.
    """
    optimal = is_optimal(score_labelling(topology, shifted, labels), bound)
    score = score_labelling(topology, scores, labels)
    above = np.maximum(bound + constant, np.nextafter(score, np.inf))  # `constant` may swallow the gap
    return Decoding(labels, score, np.where(optimal, score, above), optimal)


def require_allowed(plan, scores, values):
    """Raise InfeasibleGraph for the first graph whose log-partition or score is -inf, and say whether that is proven.

    Parameters
    ----------
    plan : InferencePlan
    scores : Scores
    values : ndarray of shape (n_graphs,)
    """
    bad = np.flatnonzero(np.isneginf(values))
    if len(bad):
        proven = np.isneginf(plan.decode(in_double(scores)).bound[bad[0]])
        raise InfeasibleGraph(bad[0], NONE_ALLOWED if proven else NONE_FOUND)


def decode_above(plan, scores, floor):
    """Decode, with less work where the plan can stop once no labelling scores more than `floor`, (n_graphs,)."""
    if hasattr(plan, "decode_above"):
        return plan.decode_above(scores, floor)
    return plan.decode(scores)


def marginals_from(plan, scores, weights, labels):
    """Marginals, by a plan that may start at a labelling, (n_nodes,), that is known to be allowed, or None."""
    if hasattr(plan, "marginals_from"):
        return plan.marginals_from(scores, weights, labels)
    return plan.marginals(scores, weights)


def edge_marginals(plan, scores):
    """Pair probabilities of every edge, (n_edges, n_states, n_states)."""
    return plan.marginals(unshared(scores)).edge


def parts(plan):
    """Graph numbers and plan of each homogeneous part of a plan."""
    return getattr(plan, "parts", None) or [(np.arange(plan.topology.n_graphs), plan)]


# ------------------------------------------------------------------------------------- checked scores
class _CheckedPlan:
    """The plan that a backend returns: the backend's own plan, `inner`, behind a check of the scores."""

    def __init__(self, topology, n_states, inner):
        self.topology, self._n_states, self.inner = topology, n_states, inner

    def __getattr__(self, name):
        if name.startswith("__"):  # which pickle asks for before there is an inner plan
            raise AttributeError(name)
        return getattr(self.inner, name)

    def __repr__(self):
        return repr(self.inner)

    def marginals(self, scores, weights=None):
        return self.marginals_from(scores, weights, None)

    def marginals_from(self, scores, weights, labels):
        if weights is not None and np.shape(weights) != (self.topology.n_graphs,):
            raise ValueError(f"weights must hold a number for each of {self.topology.n_graphs} graphs")
        return marginals_from(self.inner, self._checked(scores), weights, labels)

    def decode(self, scores):
        return self.inner.decode(self._checked(scores))

    def decode_above(self, scores, floor):
        return decode_above(self.inner, self._checked(scores), floor)

    def sample(self, scores, n_samples, rng):
        return self.inner.sample(self._checked(scores), n_samples, rng)

    def _checked(self, scores):
        return check_scores(self.topology, scores, self._n_states)


# ------------------------------------------------------------------------------------- repeated edges
@dataclass(frozen=True)
class _EdgeMerge:
    """How the edges of a multigraph map to those of the simple graph."""

    simple: Topology
    first: np.ndarray  # (n_pairs,) first edge of each pair of nodes
    group: np.ndarray  # (n_repeated,) which merged pair each edge of a repeated pair belongs to
    repeated: np.ndarray  # (n_repeated,) the edges of repeated pairs
    flipped: np.ndarray  # (n_repeated,) whether such an edge runs against the first of its pair
    merged: np.ndarray  # (n_merged,) numbers of the repeated pairs among all pairs

    def oriented(self, matrices):
        """Turn the matrices of repeated edges to the direction of the first edge of their pair, and back."""
        return np.where(self.flipped[:, None, None], matrices.transpose(0, 2, 1), matrices)

    def scores(self, scores):
        """Scores of the simple graph; merged pairs get matrices of their own, appended to the given ones."""
        rows = edge_rows(scores, len(scores.edge))
        n_matrices, n_merged = len(scores.edge), len(self.merged)
        extra = np.zeros((n_merged, *scores.edge.shape[1:]))
        np.add.at(extra, self.group, self.oriented(scores.edge[rows[self.repeated]]))
        simple_rows = rows[self.first]
        simple_rows[self.merged] = n_matrices + np.arange(n_merged)
        return Scores(scores.node, np.concatenate([scores.edge, extra]), simple_rows)


def merge_edges(topology):
    """Find which edges join the same two nodes, in either direction."""
    _, first, pair, count = np.unique(topology.pairs, return_index=True, return_inverse=True, return_counts=True)
    order = np.argsort(first)  # keep the order of the edges, hence their grouping by graph
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    first, pair, count = first[order], rank[pair], count[order]
    merged = np.flatnonzero(count > 1)
    repeated = np.flatnonzero(count[pair] > 1)
    flipped = topology.edges[repeated, 0] != topology.edges[first[pair[repeated]], 0]
    simple = Topology(topology.edges[first], topology.node_ptr, np.searchsorted(first, topology.edge_ptr))
    return _EdgeMerge(simple, first, np.searchsorted(merged, pair[repeated]), repeated, flipped, merged)


class _MergedEdgesPlan(_CheckedPlan):
    """A plan for a multigraph through the plan of the simple graph: scores of repeated edges are added.

    Shared matrices stay shared.
    """

    takes_single = False  # sums of scores have 64 bits

    def __init__(self, topology, n_states, inner, merge):
        super().__init__(topology, n_states, inner)
        self.merge = merge

    @property
    def parts(self):
        return parts(self.inner)

    def marginals_from(self, scores, weights, labels):
        found = super().marginals_from(scores, weights, labels)
        rows = edge_rows(scores, self.topology.n_edges)
        edge, extra = np.split(found.edge, [len(scores.edge)])
        np.add.at(edge, rows[self.merge.repeated], self.merge.oriented(extra[self.merge.group]))
        return found._replace(edge=edge)

    def _checked(self, scores):
        return self.merge.scores(super()._checked(scores))
