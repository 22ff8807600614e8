"""Decoding by HiGHS, through scipy: the linear relaxation, and the integer program."""

from typing import Any

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from skstruct.components import require_integers, require_number
from skstruct.decoding._base import Decoder, at_least, graph_score, trivial_bound
from skstruct.decoding._icm import improve, local_search
from skstruct.decoding._polytope import LARGEST_COST, n_variables, polytope, reparametrise
from skstruct.scores import Scores

INFEASIBLE = 2  # status of scipy.optimize
SOLVED = 0
SUPPORT = 1e-6  # a probability below this counts as 0


class _Program(Decoder):
    max_variables: int

    @property
    def family(self):
        """The accepted graphs, in words."""
        return (
            f"graphs of at most max_variables={self.max_variables} variables "
            "(n_nodes * n_states + n_edges * n_states**2)"
        )

    def _sizes(self, topology, scores):
        n_nodes, n_edges = np.diff(topology.node_ptr), np.diff(topology.edge_ptr)
        return n_variables(n_nodes, n_edges, scores.node.shape[1])

    def _check_parameters(self):
        """Refuse parameters that are out of range."""
        require_number(self, "max_variables", lambda number: number >= 1, "a number >= 1")

    def _accepts(self, topology, scores):
        self._check_parameters()
        return self._sizes(topology, scores) <= self.max_variables

    def _decode_graph(self, edges, scores):
        labels, bound = local_search(edges, scores, scores.node.argmax(axis=1))
        score = graph_score(edges, scores, labels)
        if score == bound:
            return labels, bound
        return self._solve(edges, at_least(scores, score), labels, bound)

    def _solve(self, edges, scores, labels, bound):
        """Labels and bound of one graph, given those of `local_search`."""
        raise NotImplementedError

    def _refusal(self, topology, scores, graph):
        return f"this one has {self._sizes(topology, scores)[graph]}; raise max_variables if you have the time"


class LinearProgram(_Program):
    """Relax the choice of states to distributions that agree along edges, and round the result.

    The relaxation is exact on forests, and for all graphs that `GraphCut` accepts. Its value bounds all labellings. The
    bound is computed from the dual solution, so that it holds whatever the tolerances of the solver. Rounding visits
    the nodes in the order of their certainty. Among the states with a positive probability, a node receives the best
    one by the reparametrised scores, given the labels so far. Iterated conditional modes follow.

    Parameters
    ----------
    max_variables : int, default=200_000
        Larger graphs, counted in ``n_nodes * n_states + n_edges * n_states**2``, are refused. Time increases faster
        than this number.

    References
    ----------
    .. [1] M. J. Wainwright, M. I. Jordan, *Graphical Models, Exponential Families, and Variational
       Inference*, 2008, chapter 8.

    Examples
    --------
    >>> import numpy as np
    >>> from skstruct import Topology
    >>> from skstruct.scores import Scores
    >>> from skstruct.decoding import LinearProgram
    >>> triangle = Topology.from_edges([(0, 1), (1, 2), (2, 0)], n_nodes=3)
    >>> differ = Scores(np.array([[0.3, 0], [0, 0], [0, 0]]), -np.eye(2)[None], np.zeros(3, int))
    >>> found = LinearProgram().decode(triangle, differ)  # its optimum gives each state probability 1/2
    >>> found.score.round(6), found.bound.round(6), found.optimal
    (array([-0.7]), array([0.15]), array([False]))
    """

    name = "linear_program"

    def __init__(self, max_variables=200_000):
        self.max_variables = max_variables

    def _solve(self, edges, scores, labels, bound):
        p = polytope(edges, scores)
        bounds: Any = np.stack([np.zeros(len(p.upper)), p.upper], axis=1)
        equations: Any = p.equations  # sparse, which scipy's annotations do not know
        found = linprog(p.cost, A_eq=equations, b_eq=p.right, bounds=bounds)
        if found.status == INFEASIBLE:
            return labels, -np.inf
        if found.status != SOLVED:
            return labels, bound
        node, edge = reparametrise(edges, scores, p, found.eqlin.marginals)
        solution: Any = found.x
        probabilities = np.reshape(solution[: node.size], node.shape)
        most_certain_first = np.argsort(-probabilities.max(axis=1), kind="stable")
        moved = Scores(node, edge, np.arange(len(edges)))
        bound = min(bound, trivial_bound(edges, moved))
        moved.node[probabilities < SUPPORT] = -np.inf
        rounded = improve(edges, moved, np.full(len(node), -1), 1, most_certain_first)
        return _better(edges, scores, labels, improve(edges, scores, rounded)), bound


class IntegerProgram(_Program):
    """A best labelling by branch and bound, or the best one found within a limit, with a bound.

    Node variables are restricted to 0 and 1; the variables of pairs then have these values as well. "Best" is up to the
    tolerance of HiGHS, about 1e-9 of the largest difference between scores of a node or an edge.

    Parameters
    ----------
    time_limit : float, default=None
        Maximum number of seconds per graph.
    mip_rel_gap : float, default=0
        The search stops when the gap to the bound is within this fraction of the score, as HiGHS defines it.
    node_limit : int, default=None
        Maximum number of nodes of the search tree, per graph. Unlike `time_limit`, it has the same effect on every
        machine.
    max_variables : int, default=100_000
        Larger graphs, counted in ``n_nodes * n_states + n_edges * n_states**2``, are refused.

    Examples
    --------
    >>> import numpy as np
    >>> from skstruct import Topology
    >>> from skstruct.scores import Scores
    >>> from skstruct.decoding import IntegerProgram
    >>> triangle = Topology.from_edges([(0, 1), (1, 2), (2, 0)], n_nodes=3)
    >>> differ = Scores(np.array([[0.3, 0], [0, 0], [0, 0]]), -np.eye(2)[None], np.zeros(3, int))
    >>> found = IntegerProgram().decode(triangle, differ)
    >>> found.score.round(6), found.bound.round(6), found.optimal
    (array([-0.7]), array([-0.7]), array([ True]))
    """

    name = "integer_program"

    def __init__(self, time_limit=None, mip_rel_gap=0, node_limit=None, max_variables=100_000):
        self.time_limit = time_limit
        self.mip_rel_gap = mip_rel_gap
        self.node_limit = node_limit
        self.max_variables = max_variables

    def _check_parameters(self):
        super()._check_parameters()
        require_number(self, "mip_rel_gap", lambda gap: gap >= 0, "a number >= 0")
        if self.time_limit is not None:
            require_number(self, "time_limit", lambda seconds: seconds > 0, "None or a positive number")
        if self.node_limit is not None:
            require_integers(self, "node_limit")

    def _solve(self, edges, scores, labels, bound):
        p = polytope(edges, scores)
        limits = {name: getattr(self, name) for name in ("time_limit", "node_limit", "mip_rel_gap")}
        options: Any = {name: limit for name, limit in limits.items() if limit is not None}
        whole = np.arange(len(p.cost)) < scores.node.size
        found = milp(
            p.cost,
            integrality=whole.astype(int),
            bounds=Bounds(0, p.upper),
            constraints=LinearConstraint(p.equations, p.right, p.right),
            options=options,
        )
        if found.status == INFEASIBLE:
            return labels, -np.inf
        if found.x is not None:
            solution = found.x[whole].reshape(scores.node.shape).argmax(axis=1)
            labels = _better(edges, scores, labels, improve(edges, scores, solution))
        score = graph_score(edges, scores, labels)
        if found.status == SOLVED and self.mip_rel_gap == 0 and score > -np.inf:
            return labels, score
        if found.mip_dual_bound is not None and np.isfinite(found.mip_dual_bound):
            bound = min(bound, -found.mip_dual_bound / LARGEST_COST * p.largest)
        return labels, max(bound, score)


def _better(edges, scores, *labellings):
    """Return the labelling of the highest score."""
    return max(labellings, key=lambda labels: graph_score(edges, scores, labels))
