"""The backend that chooses a backend for every graph: the cheapest exact backend, else an approximate one."""

from dataclasses import dataclass

import numpy as np

from skstruct.components import require_component
from skstruct.data.topology import Topology
from skstruct.inference._base import InferenceBackend, InferencePlan
from skstruct.inference._chain import Chain
from skstruct.inference._edgeless import Edgeless
from skstruct.inference._junction_tree import JunctionTree
from skstruct.inference._loopy import LoopyBP
from skstruct.inference._plan import Linearization, LinearizedPlan
from skstruct.inference._tree import Tree
from skstruct.inference._tree_reweighted import TreeReweightedBP
from skstruct.scores import Decoding, Marginals, Scores, take_scores

EDGELESS, CHAIN = 0, 1  # positions in the list of candidates
# In training, the error of the bound is of the order of the square of the tolerance.
TRAINING_TOL = 1e-3


class Auto(InferenceBackend):
    r"""Choose for every graph the first backend of a list that accepts it.

    Parameters
    ----------
    candidates : list of InferenceBackend, default=None
        Backends in order of preference. None means ``[Edgeless(), Chain(), Tree(), JunctionTree(max_entries),
        approximate]``: exact backends first, the cheapest at the start. Graphs of one batch can have different
        backends, which ``inference_report`` lists. In a batch with chains, graphs with at most one node count as
        chains.
    max_entries : float, default=1e6
        Largest number of table entries of a graph for which `JunctionTree` is preferred to approximate inference, if
        `candidates` is None. With that many entries a graph costs about 3 ms per evaluation, and training evaluates
        each graph about a hundred times. A larger value makes inference exact on denser graphs. The number of entries
        depends on the graph and the number of states, so that training and prediction choose the same backend.
    approximate : InferenceBackend, default=None
        Backend for graphs that no exact backend accepts, if `candidates` is None. None: ``LoopyBP()`` for given scores,
        since it is the most accurate at moderate scores, and a sequence of two backends in training (see Notes).

    Notes
    -----
    A model that is trained with loopy belief propagation alone is often worse than a model without edges, because the
    Bethe approximation is neither convex nor a bound. Therefore `GraphCRFClassifier` trains in a sequence if
    inference on some training graphs is approximate and `approximate` is None:

    1. without edges, which is exact and cheap;
    2. from there, with ``TreeReweightedBP(tol=1e-3)``, where the tolerance of the optimiser is at least 1e-4. If the
       feature map is linear and all labels are known, this loss is convex, it is an upper bound of the true loss, and
       it is exact where edge scores are zero. Therefore neither the loss nor the true loss can end above that of the
       model without edges;
    3. from there, with ``LoopyBP()``. The training nodes decide: their mean marginal loss, the mean of
       :math:`-\log P(y_i \mid x)`, must be smaller than after step 2, both before and after the continuation.

    The attribute `inference_` of the model is ``Auto(approximate=...)`` with the backend of the last step that was
    kept. It is used in prediction.

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
    remedy = "Add a candidate that accepts every graph, such as LoopyBP()."

    def __init__(self, candidates=None, max_entries=1e6, approximate=None):
        self.candidates = candidates
        self.max_entries = max_entries
        self.approximate = approximate

    @property
    def bound(self):
        """Which bound the log-partition is where it is not exact: that of `approximate`; None if it is not set."""
        return None if self.candidates is not None or self.approximate is None else self.approximate.bound

    def training_sequence(self):
        """Return this backend with one approximate backend after another; see Notes."""
        if self.candidates is not None or self.approximate is not None:
            return [self]
        return [Auto(None, self.max_entries, backend) for backend in (TreeReweightedBP(tol=TRAINING_TOL), LoopyBP())]

    def _choice(self, topology, n_states):
        """Number of the candidate for each graph, (n_graphs,), and the candidates."""
        exact = [Edgeless(), Chain(), Tree(), JunctionTree(self.max_entries)]
        approximate = LoopyBP() if self.approximate is None else self.approximate
        require_component(approximate, InferenceBackend, "approximate of Auto must be an inference backend")
        candidates = [*exact, approximate] if self.candidates is None else self.candidates
        if not (isinstance(candidates, list | tuple) and candidates):
            raise TypeError(f"candidates of Auto must be a list of inference backends, got {candidates!r}.")
        for backend in candidates:
            require_component(backend, InferenceBackend, "candidates of Auto must be inference backends")
        choice = np.full(topology.n_graphs, len(candidates))
        for number, backend in enumerate(candidates):
            if (choice < number).all():
                break  # `accepts` of later candidates can be expensive, and in most batches the first ones accept all
            choice[(choice > number) & backend.accepts(topology, n_states)] = number
        if self.candidates is None and (choice == CHAIN).any():
            # sentences of one word have no edge: with the plan of the other sentences no scores are copied to groups
            choice[(choice == EDGELESS) & (np.diff(topology.node_ptr) <= 1)] = CHAIN
        return choice, candidates

    def accepts(self, topology, n_states):
        """Whether at least one candidate accepts each graph."""
        if self.candidates is None and self.approximate is None:  # LoopyBP accepts all graphs
            return np.ones(topology.n_graphs, bool)
        choice, candidates = self._choice(topology, n_states)
        return choice < len(candidates)

    def _plan(self, topology, n_states):
        choice, candidates = self._choice(topology, n_states)
        used = np.flatnonzero(np.bincount(choice))
        if len(used) == 1:
            return candidates[used[0]]._plan(topology, n_states)
        mixture = []
        for number in used:
            graphs = np.flatnonzero(choice == number)
            batch, nodes, edges = topology.take(graphs)
            mixture.append(_Group(graphs, nodes, edges, candidates[number]._plan(batch, n_states)))
        return _MixedPlan(topology, mixture)


@dataclass(frozen=True)
class _Group:
    """Numbers of the graphs of a batch that have one backend, of their nodes and edges, and its plan for them."""

    graphs: np.ndarray
    nodes: np.ndarray
    edges: np.ndarray
    plan: InferencePlan


@dataclass(frozen=True)
class _MixedPlan(LinearizedPlan):
    """Plans of several backends, each for a group of the graphs of one batch."""

    topology: Topology
    mixture: list[_Group]
    name = Auto.name

    @property
    def exact(self):
        return all(group.plan.exact for group in self.mixture)

    @property
    def groups(self):
        return [(group.graphs, group.plan) for group in self.mixture]

    def _split(self, scores):
        """Yield each group with its scores; edges of different groups can still share a matrix."""
        for group in self.mixture:
            yield group, take_scores(scores, group.nodes, group.edges)

    def marginals(self, scores, weights=None):
        return self.marginals_from(scores, weights, None)

    def marginals_from(self, scores, weights, labels):
        """As `marginals`; a backend may start at the given labelling, (n_nodes,) or None."""
        found = []
        for group, own in self._split(scores):
            group_weights = None if weights is None else weights[group.graphs]
            group_labels = None if labels is None else labels[group.nodes]
            found.append(group.plan.marginals_from(own, group_weights, group_labels))
        return self._joined(scores, found)

    def linearize(self, scores, weights=None):
        parts = []
        for group, own in self._split(scores):
            parts.append(group.plan.linearize(own, None if weights is None else weights[group.graphs]))

        def derivative(direction):
            mean = np.empty(self.topology.n_graphs)
            out = Scores(np.empty_like(scores.node), np.zeros_like(scores.edge), scores.edge_matrix)
            for part, (group, change) in zip(parts, self._split(direction)):
                mean[group.graphs], found = part.derivative(change)
                out.node[group.nodes] = found.node
                out.edge[group.edges if scores.edge_matrix is None else slice(None)] += found.edge
            return mean, out

        return Linearization(lambda: self._joined(scores, [part.marginals for part in parts]), derivative)

    def _joined(self, scores, found):
        """Marginals of the batch from those of each group."""
        t = self.topology
        out = Marginals(
            np.empty(t.n_graphs),
            np.empty_like(scores.node),
            np.zeros_like(scores.edge),
            *(np.empty(t.n_graphs, dtype) for dtype in (np.intp, np.float64, bool)),
        )
        for group, own in zip(self.mixture, found):
            out.node[group.nodes] = own.node
            out.edge[group.edges if scores.edge_matrix is None else slice(None)] += own.edge
            for name in ("log_partition", "n_iter", "residual", "converged"):
                getattr(out, name)[group.graphs] = getattr(own, name)
        return out

    def decode(self, scores):
        return self._gather(scores, lambda group, own: group.plan.decode(own))

    def decode_above(self, scores, floor):
        """As `decode`, with less work where no labelling of a graph scores more than `floor`, (n_graphs,)."""
        return self._gather(scores, lambda group, own: group.plan.decode_above(own, floor[group.graphs]))

    def _gather(self, scores, decode):
        t = self.topology
        out = Decoding(
            np.empty(t.n_nodes, np.intp), *(np.empty(t.n_graphs, dtype) for dtype in (np.float64, np.float64, bool))
        )
        for group, own in self._split(scores):
            found = decode(group, own)
            out.labels[group.nodes] = found.labels
            for name in ("score", "bound", "optimal"):
                getattr(out, name)[group.graphs] = getattr(found, name)
        return out

    def k_best(self, scores, k):
        labels, score = np.empty((k, self.topology.n_nodes), np.intp), np.empty((self.topology.n_graphs, k))
        for group, own in self._split(scores):
            labels[:, group.nodes], score[group.graphs] = group.plan.k_best(own, k)
        return labels, score

    def sample(self, scores, n_samples, rng):
        labels = np.empty((n_samples, self.topology.n_nodes), np.intp)
        for group, own in self._split(scores):
            labels[:, group.nodes] = group.plan.sample(own, n_samples, rng)
        return labels
