"""The protocol of inference plans: a plan answers queries about scores on one topology."""

from collections.abc import Callable
from functools import cached_property

import numpy as np

from skstruct.data.topology import Topology
from skstruct.exceptions import InfeasibleGraph
from skstruct.inference._k_best_partition import k_best_by_partition
from skstruct.scores import Decoding, Marginals, Scores, in_double, unshared

# filled in __init__.py; it is here since plans and backends that use other backends read it without importing them
BACKENDS: dict[str, type] = {}
NONE_ALLOWED = "no labelling is allowed, all score -inf"
NONE_FOUND = (
    "no allowed labelling was found, which does not prove that there is none; use exact inference "
    "(inference='junction_tree') or decoding='auto'"
)
STEP = 1e-3  # step of the differences in `derivative`: their error is of the order STEP**4


class Linearization:
    """Marginals at some scores, and their derivatives along any number of directions.

    It keeps what a derivative needs, for example messages. The scores must not be changed while it is used.

    Parameters
    ----------
    marginals : callable
        ``marginals()`` returns what ``plan.marginals(scores, weights)`` returns. It is called at most once.
    derivative : callable
        ``derivative(direction)`` returns what ``plan.derivative(scores, direction, weights)`` returns.
    """

    def __init__(self, marginals: Callable[[], Marginals], derivative: Callable[[Scores], tuple[np.ndarray, Scores]]):
        self._marginals, self.derivative = marginals, derivative

    @cached_property
    def marginals(self) -> Marginals:
        """Log-partition, node marginals and pair counts."""
        return self._marginals()


class InferencePlan:
    """Base class of the plans.

    A subclass sets `topology`, `name` and `exact`, and implements `marginals` and `decode`. Methods do not write to
    scores and do not change the plan, so that threads can use one plan.

    Attributes
    ----------
    topology : Topology
        The batch for which the plan was made.
    name : str
        Name of the backend in the table, which is reported to the user.
    exact : bool
        Whether the answers are exact on this topology.
    supports_float32 : bool
        Whether `marginals` also accepts scores of float32, and then returns float32. Default: False.
    width : int
        Width of the junction tree; -1 (default) without one.
    entries : float
        Table entries of the junction tree; 0 (default) without one.
    edge_weights : ndarray of shape (n_edges,)
        Exponent with which the messages along each edge enter the node marginals; 1 (default) but for tree-reweighted
        belief propagation.
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
    def edge_weights(self) -> np.ndarray:
        """Exponent with which the messages along each edge enter the node marginals, (n_edges,): 1 by default."""
        return np.ones(self.topology.n_edges)

    @property
    def groups(self) -> list[tuple[np.ndarray, "InferencePlan"]]:
        """Graph numbers and plan of each group of graphs with the same backend; by default one group."""
        return [(np.arange(self.topology.n_graphs), self)]

    def marginals(self, scores: Scores, weights: np.ndarray | None = None) -> Marginals:
        """Log-partition, node marginals and pair counts.

        Node marginals and pair counts are multiplied by the weights of their graphs, (n_graphs,); None: all are 1.
        """
        raise NotImplementedError

    def marginals_from(self, scores: Scores, weights: np.ndarray | None, labels: np.ndarray | None) -> Marginals:
        """Marginals as by `marginals`; an iterative backend may start at an allowed labelling, (n_nodes,) or None."""
        return self.marginals(scores, weights)

    def edge_marginals(self, scores: Scores) -> np.ndarray:
        """Pair probabilities of every edge, (n_edges, n_states, n_states)."""
        return self.marginals(unshared(scores)).edge

    def derivative(
        self, scores: Scores, direction: Scores, weights: np.ndarray | None = None
    ) -> tuple[np.ndarray, Scores]:
        r"""Derivative of log-partition and marginals along a direction.

        With :math:`t(\hat y)` the score of a labelling by `direction`, the derivative of the log-partition is
        :math:`E[t]`, and the derivative of the probability of an event is the covariance of `t` and the indicator of
        the event. The default computes central differences of fourth order, by four calls of `marginals`.

        Parameters
        ----------
        scores : Scores
        direction : Scores
            Changes of `scores`: finite arrays of the same shapes. Its `edge_matrix` is not read.
        weights : ndarray of shape (n_graphs,), default=None
            Factors of the derivatives of the node marginals and pair counts of each graph; None: all are 1.

        Returns
        -------
        mean : ndarray of shape (n_graphs,)
            :math:`E[t]`. nan for a graph without an allowed labelling.
        d_marginals : Scores
            Derivatives of the node marginals and pair counts, in float64; nan at the nodes of a graph without an
            allowed labelling.
        """
        size = max((float(np.abs(array).max(initial=0.0)) for array in direction[:2]), default=0.0)
        step = STEP / size if size else 1.0  # no score moves by more than 2 * STEP, however long the direction is
        found = []
        for multiple in (1, -1, 2, -2):
            node, edge = (a + multiple * step * b for a, b in zip(scores[:2], direction[:2]))
            found.append(self.marginals(Scores(node, edge, scores.edge_matrix), weights))
        ahead, behind, far_ahead, far_behind = found

        def slope(name):
            near = getattr(ahead, name) - getattr(behind, name)
            return (8 * near - (getattr(far_ahead, name) - getattr(far_behind, name))) / (12 * step)

        with np.errstate(invalid="ignore"):  # -inf - -inf, where no labelling is allowed
            return slope("log_partition"), Scores(slope("node"), slope("edge"), scores.edge_matrix)

    def linearize(self, scores: Scores, weights: np.ndarray | None = None) -> Linearization:
        """Compute marginals, and keep what their derivatives need; see `Linearization`.

        The default keeps nothing, and computes each derivative by `derivative`.
        """
        return Linearization(
            lambda: self.marginals(scores, weights), lambda direction: self.derivative(scores, direction, weights)
        )

    def decode(self, scores: Scores) -> Decoding:
        """Return a highest-scoring labelling, or the best that the backend finds."""
        raise NotImplementedError

    def decode_above(self, scores: Scores, floor: np.ndarray) -> Decoding:
        """Decode; a backend may stop when it knows that no labelling scores more than `floor`, (n_graphs,)."""
        return self.decode(scores)

    def k_best(self, scores: Scores, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Find the `k` highest-scoring labellings of each graph, best first; only if the plan is `exact`.

        The default calls the backend "tree" for forests, and decodes ``n_nodes * k`` times elsewhere.

        Parameters
        ----------
        scores : Scores
        k : int

        Returns
        -------
        labels : ndarray of shape (k, n_nodes)
            If a graph has fewer than `k` allowed labellings, its remaining rows repeat the best labelling.
        score : ndarray of shape (n_graphs, k)
            In nats, in descending order; -inf for repeated labellings, and for a graph without an allowed labelling.
        """
        if self.topology.is_forest.all():
            return BACKENDS["tree"]().plan(self.topology, scores.node.shape[1]).k_best(scores, k)
        return k_best_by_partition(self, scores, k)

    def sample(self, scores: Scores, n_samples: int, rng: np.random.Generator) -> np.ndarray:
        """Draw labellings, (n_samples, n_nodes): exactly where `exact`, else by Gibbs sweeps.

        The default calls the backend "tree" for forests and the backend "gibbs" for other graphs, because marginals of
        nodes and edges do not determine the joint distribution of labels.
        """
        backend = BACKENDS["tree" if self.topology.is_forest.all() else "gibbs"]()
        return backend.plan(self.topology, scores.node.shape[1]).sample(scores, n_samples, rng)

    def require_allowed(self, scores: Scores, values: np.ndarray) -> None:
        """Raise InfeasibleGraph for the first graph whose log-partition or score is -inf.

        The message says whether it is proven that no labelling is allowed.

        Parameters
        ----------
        scores : Scores
        values : ndarray of shape (n_graphs,)
            Log-partitions, or scores of decoded labellings.
        """
        is_forbidden = values == -np.inf
        if is_forbidden.any():
            first = int(np.argmax(is_forbidden))
            proven = np.isneginf(self.decode(in_double(scores)).bound[first])
            raise InfeasibleGraph(first, NONE_ALLOWED if proven else NONE_FOUND)


class LinearizedPlan(InferencePlan):
    """Base class of the plans that implement `linearize`, from which `derivative` follows."""

    def derivative(self, scores: Scores, direction: Scores, weights: np.ndarray | None = None):
        """Derivative along a direction; see `InferencePlan`."""
        return self.linearize(scores, weights).derivative(direction)


def derivatives_of(scores: Scores) -> Scores:
    """Room for derivatives: nan for nodes, which stays where a graph has no allowed labelling, and 0 for pairs."""
    return Scores(np.full_like(scores.node, np.nan), np.zeros_like(scores.edge), scores.edge_matrix)
