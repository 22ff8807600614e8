"""The backend that picks a backend for every graph: the cheapest exact one, else loopy belief propagation."""

from dataclasses import dataclass

import numpy as np

from skstruct.components import require_component
from skstruct.data.topology import Topology
from skstruct.inference._base import InferenceBackend, InferencePlan
from skstruct.inference._chain import Chain
from skstruct.inference._edgeless import Edgeless
from skstruct.inference._junction_tree import JunctionTree
from skstruct.inference._loopy import LoopyBP
from skstruct.inference._tree import Tree
from skstruct.scores import Decoding, Marginals, Scores

EDGELESS, CHAIN = 0, 1  # places in the list of candidates


class Auto(InferenceBackend):
    """Give every graph the first backend of a list that accepts it.

    Parameters
    ----------
    candidates : list of InferenceBackend, default=None
        In order of preference; None means ``[Edgeless(), Chain(), Tree(), JunctionTree(max_entries), LoopyBP()]``, the
        cheapest exact one first. Graphs of one batch may get different ones; ``inference_report`` tells which. Beside
        chains, graphs of one node, or none, count as chains.
    max_entries : float, default=1e6
        Largest sum of table sizes of one graph for `JunctionTree` to be preferred to approximate inference, if
        `candidates` is None. A graph at the default takes some 10 ms per evaluation, and training evaluates each graph
        some hundred times; where that is affordable, raise it to be exact on denser graphs. It depends on the graph
        alone, so that training and prediction agree.

    Examples
    --------
    >>> from skstruct import Topology
    >>> from skstruct.inference import Auto
    >>> Auto().plan(Topology.from_edges([(0, 1), (1, 2), (2, 0)], n_nodes=3), n_states=2).name
    'junction_tree'
    """

    name = "auto"
    exact = False
    family = "graphs that one of its candidates accepts"

    def __init__(self, candidates=None, max_entries=1e6):
        self.candidates = candidates
        self.max_entries = max_entries

    def _choice(self, topology, n_states):
        """Number of the candidate for each graph, (n_graphs,), and the candidates."""
        exact = [Edgeless(), Chain(), Tree(), JunctionTree(self.max_entries)]
        candidates = self.candidates or [*exact, LoopyBP()]
        for backend in self.candidates or []:
            require_component(backend, InferenceBackend, "candidates of Auto must be inference backends")
        choice = np.full(topology.n_graphs, len(candidates))
        for number, backend in enumerate(candidates):
            if (choice < number).all():
                break  # later tests can be dear; the common case needs only the first ones
            choice[(choice > number) & backend.accepts(topology, n_states)] = number
        if self.candidates is None and (choice == CHAIN).any():  # one plan for all sentences, with no copies for parts
            choice[(choice == EDGELESS) & (np.diff(topology.node_ptr) <= 1)] = CHAIN
        return choice, candidates

    def accepts(self, topology, n_states):
        """Tell which graphs at least one candidate accepts."""
        if self.candidates is None:  # the last one takes all
            return np.ones(topology.n_graphs, bool)
        choice, candidates = self._choice(topology, n_states)
        return choice < len(candidates)

    def _plan(self, topology, n_states):
        choice, candidates = self._choice(topology, n_states)
        used = np.flatnonzero(np.bincount(choice))
        if len(used) == 1:
            return candidates[used[0]].plan(topology, n_states)
        parts = []
        for number in used:
            graphs = np.flatnonzero(choice == number)
            part, nodes, edges = topology.take(graphs)
            parts.append(_Part(graphs, nodes, edges, candidates[number].plan(part, n_states)))
        return _MixedPlan(topology, parts)


@dataclass(frozen=True)
class _Part:
    graphs: np.ndarray
    nodes: np.ndarray
    edges: np.ndarray
    plan: InferencePlan


@dataclass(frozen=True)
class _MixedPlan(InferencePlan):
    """Plans of several backends for the parts of one batch."""

    topology: Topology
    mixture: list[_Part]
    name = Auto.name

    @property
    def exact(self):
        return all(part.plan.exact for part in self.mixture)

    @property
    def groups(self):
        return [(part.graphs, part.plan) for part in self.mixture]

    def _split(self, scores):
        """Yield each part with its own scores; shared matrices stay shared."""
        for part in self.mixture:
            if scores.edge_matrix is None:
                yield part, Scores(scores.node[part.nodes], scores.edge[part.edges])
            else:
                yield part, Scores(scores.node[part.nodes], scores.edge, scores.edge_matrix[part.edges])

    def marginals(self, scores, weights=None):
        return self.marginals_from(scores, weights, None)

    def marginals_from(self, scores, weights, labels):
        """As `marginals`; a backend may start at the given labelling, (n_nodes,) or None."""
        t = self.topology
        out = Marginals(
            np.empty(t.n_graphs),
            np.empty_like(scores.node),
            np.zeros_like(scores.edge),
            *(np.empty(t.n_graphs, dtype) for dtype in (np.intp, np.float64, bool)),
        )
        for part, own in self._split(scores):
            part_weights, part_labels = (
                None if given is None else given[at] for given, at in ((weights, part.graphs), (labels, part.nodes))
            )
            found = part.plan.marginals_from(own, part_weights, part_labels)
            out.node[part.nodes] = found.node
            out.edge[part.edges if scores.edge_matrix is None else slice(None)] += found.edge
            for name in ("log_partition", "n_iter", "residual", "converged"):
                getattr(out, name)[part.graphs] = getattr(found, name)
        return out

    def decode(self, scores):
        return self._gather(scores, lambda part, own: part.plan.decode(own))

    def decode_above(self, scores, floor):
        """As `decode`, with less work where no labelling of a graph scores more than `floor`, (n_graphs,)."""
        return self._gather(scores, lambda part, own: part.plan.decode_above(own, floor[part.graphs]))

    def _gather(self, scores, decode):
        t = self.topology
        out = Decoding(
            np.empty(t.n_nodes, np.intp), *(np.empty(t.n_graphs, dtype) for dtype in (np.float64, np.float64, bool))
        )
        for part, own in self._split(scores):
            found = decode(part, own)
            out.labels[part.nodes] = found.labels
            for name in ("score", "bound", "optimal"):
                getattr(out, name)[part.graphs] = getattr(found, name)
        return out

    def sample(self, scores, n_samples, rng):
        labels = np.empty((n_samples, self.topology.n_nodes), np.intp)
        for part, own in self._split(scores):
            labels[:, part.nodes] = part.plan.sample(own, n_samples, rng)
        return labels
