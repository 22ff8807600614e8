"""What an inference plan is: it answers queries about scores on one topology."""

from functools import cached_property

import numpy as np

from skstruct.data.topology import Topology
from skstruct.exceptions import InfeasibleGraph
from skstruct.scores import Decoding, Marginals, Scores, in_double, unshared

BACKENDS: dict[str, type] = {}  # filled in __init__.py; plans and backends that use others read it
NONE_ALLOWED = "no labelling is allowed, all score -inf"
NONE_FOUND = (
    "no allowed labelling was found, which does not prove that there is none; use exact inference "
    "(inference='junction_tree') or decoding='auto'"
)
STEP = 1e-3  # of the differences in `derivative`: their error is of the order STEP**4


class InferencePlan:
    """Base class of the plans. Scores are read, never written, and a plan does not change: threads share it.

    A subclass sets `topology`, `name` and `exact`, and implements `marginals` and `decode`.

    Attributes
    ----------
    topology : Topology
        The batch that the plan was made for.
    name : str
        Row of the backend table, as reported to the user.
    exact : bool
        Whether the answers are exact on this topology.
    supports_float32 : bool
        Whether `marginals` accepts scores of float32 as well, and answers in float32. Default: False.
    width : int
        Width of the junction tree; -1 (default) without one.
    entries : float
        Table entries of the junction tree; 0 (default) without one.
    """

    topology: Topology
    name: str
    exact: bool

    @property
    def supports_float32(self) -> bool:
        """Whether `marginals` accepts float32."""
        return False

    @property
    def width(self) -> int:
        """Width of the junction tree."""
        return -1

    @property
    def entries(self) -> float:
        """Table entries of the junction tree."""
        return 0

    @property
    def groups(self) -> list[tuple[np.ndarray, "InferencePlan"]]:
        """Graph numbers and plan of each group of graphs with the same backend; by default one group."""
        return [(np.arange(self.topology.n_graphs), self)]

    def marginals(self, scores: Scores, weights: np.ndarray | None = None) -> Marginals:
        """Log-partition, node marginals and pair counts; the graphs' `weights` (default 1) multiply the last two."""
        raise NotImplementedError

    def marginals_from(self, scores: Scores, weights: np.ndarray | None, labels: np.ndarray | None) -> Marginals:
        """Marginals as by `marginals`; a backend may start at `labels`, (n_nodes,), which are known to be allowed."""
        return self.marginals(scores, weights)

    def edge_marginals(self, scores: Scores) -> np.ndarray:
        """Pair probabilities of every edge, (n_edges, n_states, n_states)."""
        return self.marginals(unshared(scores)).edge

    def derivative(
        self, scores: Scores, direction: Scores, weights: np.ndarray | None = None
    ) -> tuple[np.ndarray, Scores]:
        r"""Derivative of log-partition and marginals along a direction.

        With :math:`t(\hat y)` the score of a labelling by `direction`, the derivative of the log-partition is
        :math:`E[t]`, and that of the probability of an event is the covariance of `t` and its indicator. The default
        takes central differences of fourth order: four calls of `marginals`.

        Parameters
        ----------
        scores : Scores
        direction : Scores
            Finite, of the shapes of `scores`.
        weights : ndarray of shape (n_graphs,), default=None

        Returns
        -------
        mean : ndarray of shape (n_graphs,)
            :math:`E[t]`.
        d_marginals : Scores
            Of the node marginals and pair counts, with the weights.
        """
        size = max((float(np.abs(part).max(initial=0.0)) for part in direction[:2]), default=0.0)
        step = STEP / size if size else 1.0
        found = []
        for multiple in (1, -1, 2, -2):
            node, edge = (a + multiple * step * b for a, b in zip(scores[:2], direction[:2]))
            found.append(self.marginals(Scores(node, edge, scores.edge_matrix), weights))
        ahead, behind, far_ahead, far_behind = found

        def slope(name):
            near = getattr(ahead, name) - getattr(behind, name)
            return (8 * near - (getattr(far_ahead, name) - getattr(far_behind, name))) / (12 * step)

        return slope("log_partition"), Scores(slope("node"), slope("edge"), scores.edge_matrix)

    def decode(self, scores: Scores) -> Decoding:
        """Return a highest-scoring labelling, or the best that the backend finds."""
        raise NotImplementedError

    def decode_above(self, scores: Scores, floor: np.ndarray) -> Decoding:
        """Decode; a backend may stop once no labelling scores more than `floor`, (n_graphs,)."""
        return self.decode(scores)

    def sample(self, scores: Scores, n_samples: int, rng: np.random.Generator) -> np.ndarray:
        """Draw labellings, (n_samples, n_nodes): exactly where `exact`, else by Gibbs sweeps.

        The default takes the samples of the backend "tree" on forests, and of "gibbs" elsewhere: marginals of nodes and
        edges say nothing of joint labels.
        """
        backend = BACKENDS["tree" if self.topology.is_forest.all() else "gibbs"]()
        return backend.plan(self.topology, scores.node.shape[1]).sample(scores, n_samples, rng)

    def require_allowed(self, scores: Scores, values: np.ndarray) -> None:
        """Raise InfeasibleGraph for the first graph whose log-partition or score is -inf; say whether that is proven.

        Parameters
        ----------
        scores : Scores
        values : ndarray of shape (n_graphs,)
        """
        bad = np.flatnonzero(np.isneginf(values))
        if len(bad):
            proven = np.isneginf(self.decode(in_double(scores)).bound[bad[0]])
            raise InfeasibleGraph(bad[0], NONE_ALLOWED if proven else NONE_FOUND)


class LazyPlan:
    """Inference on a topology whose plan is made when it is first read; it pickles without the plan.

    Parameters
    ----------
    backend : InferenceBackend
    topology : Topology
    n_states : int
    """

    def __init__(self, backend, topology, n_states):
        self.backend, self.topology, self.n_states = backend, topology, n_states

    @cached_property
    def plan(self):
        """The backend's plan, an `InferencePlan`."""
        return self.backend.plan(self.topology, self.n_states)

    @property
    def is_planned(self):
        """Whether somebody has asked for the plan."""
        return "plan" in self.__dict__

    def __getstate__(self):
        return {name: value for name, value in self.__dict__.items() if name != "plan"}
