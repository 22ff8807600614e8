"""The conformance battery of objectives."""

import numpy as np

from skstruct.inference import Enumeration, LazyPlan
from skstruct.objectives import Objective
from skstruct.scores import MISSING, Scores, Targets
from skstruct.testing._models import families, random_scores

__all__ = ["check_objective"]

STEP = 1e-5


def check_objective(
    objective: Objective, *, hidden: bool = True, accuracy: float = 1e-6, random_state: int = 0
) -> None:
    """Run the whole battery on an objective.

    The laws are checked with exact inference on small graphs of all kinds:

    - The gradient is the derivative of the loss, compared with central differences. A loss with kinks has a derivative
      at almost all points, and is compared at random points.
    - A loss that is declared convex is nowhere below the linear function that its gradient or subgradient defines. This
      is also checked at zero scores, where most losses with kinks have one.
    - Weights of graphs multiply the gradient, and not the loss.
    - The loss of a graph does not depend on its batch.
    - If the objective is declared a sum over nodes, loss and gradient are linear in the weights of nodes.
    - A constant that is added to all scores of a node does not change the loss.
    - A loss that is declared convex is convex along lines.
    - The Hessian product is the derivative of the gradient, if `has_hessian`.
    - Arguments are not changed.

    Parameters
    ----------
    objective : Objective
    hidden : bool, default=True
        Whether hidden labels are checked, too.
    accuracy : float, default=1e-6
        Accuracy of derivatives, relative to the size of the numbers.
    random_state : int, default=0

    Raises
    ------
    AssertionError
        The message names the graphs and the law that is broken.

    Examples
    --------
    >>> from skstruct.objectives import Likelihood
    >>> from skstruct.testing import check_objective
    >>> check_objective(Likelihood())
    """
    rng = np.random.default_rng(random_state)
    for family, topology in families(rng):
        for shared in (False, True):
            for n_hidden in (0, 0.4) if hidden else (0,):
                n_states = int(rng.integers(2, 4 if topology.n_nodes < 6 else 3))
                scores = random_scores(rng, topology, n_states, (1.0, 0.0), shared)
                codes = rng.integers(n_states, size=topology.n_nodes)
                codes[rng.random(topology.n_nodes) < n_hidden] = MISSING
                targets = Targets(codes, rng.integers(0, 3, topology.n_graphs).astype(float))
                case = _Case(objective, topology, scores, targets, accuracy)
                case.context = f"{objective!r}, family {family!r}, shared={shared}, {n_hidden:.0%} hidden"
                _check_gradient(case, rng)
                _check_weights(case)
                _check_batch(case)
                if objective.node_weighted:
                    _check_node_weights(case, rng)
                if objective.convex and not n_hidden:
                    _check_convexity(case, rng)
                    zero = Scores(np.zeros_like(scores.node), np.zeros_like(scores.edge), scores.edge_matrix)
                    _check_subgradient(case.at(scores), rng)
                    _check_subgradient(case.at(zero), rng)


class _Case:
    """An objective with a batch, its scores and targets."""

    context = ""

    def __init__(self, objective, topology, scores, targets, accuracy):
        self.objective, self.topology, self.scores, self.targets = objective, topology, scores, targets
        self.accuracy = accuracy
        self.inference = LazyPlan(Enumeration(), topology, scores.node.shape[1])

    def at(self, scores):
        """Return the same case with other scores."""
        other = _Case(self.objective, self.topology, scores, self.targets, self.accuracy)
        other.context = self.context
        return other

    def evaluate(self, scores=None, targets=None):
        return self.objective.value_and_gradient(
            self.inference, self.scores if scores is None else scores, targets or self.targets
        )

    def total(self, scores):
        return float(self.targets.graph_weight @ self.evaluate(scores)[0])

    def moved(self, direction, step):
        node, edge, rows = self.scores
        return Scores(node + step * direction.node, edge + step * direction.edge, rows)

    def close(self, found, wanted, law):
        size = max(1.0, float(np.abs(wanted).max(initial=0.0)))
        np.testing.assert_allclose(found, wanted, rtol=0, atol=self.accuracy * size, err_msg=f"{law}: {self.context}")


def _directions(rng, scores):
    for _ in range(3):
        yield Scores(rng.normal(size=scores.node.shape), rng.normal(size=scores.edge.shape), scores.edge_matrix)


def _product(a, b):
    return float((a.node * b.node).sum() + (a.edge * b.edge).sum())


def _check_gradient(case, rng):
    before = [case.scores.node.copy(), case.scores.edge.copy(), *(np.copy(array) for array in case.targets[:2])]
    losses, gradient = case.evaluate()
    now = [case.scores.node, case.scores.edge, *case.targets[:2]]
    assert all(np.array_equal(a, b) for a, b in zip(before, now)), f"an argument was changed: {case.context}"
    assert np.shape(losses) == (case.topology.n_graphs,), f"losses of shape {np.shape(losses)}: {case.context}"
    assert gradient.node.shape == case.scores.node.shape, f"gradient of shape {gradient.node.shape}: {case.context}"
    assert gradient.edge.shape == case.scores.edge.shape, f"gradient of shape {gradient.edge.shape}: {case.context}"
    case.close(gradient.node.sum(axis=1), np.zeros(case.topology.n_nodes), "constants of a node change the loss")
    gradient = Scores(gradient.node.copy(), gradient.edge.copy(), gradient.edge_matrix)
    for direction in _directions(rng, case.scores):
        ahead, behind = (case.total(case.moved(direction, step)) for step in (STEP, -STEP))
        case.close(_product(gradient, direction), np.array((ahead - behind) / (2 * STEP)), "derivative of the loss")
        if case.objective.has_hessian:
            _check_hessian_product(case, direction)


def _check_hessian_product(case, direction):
    found = case.objective.hessian_product(case.inference, case.scores, case.targets, direction)
    (_, ahead), (_, behind) = (case.evaluate(case.moved(direction, step)) for step in (STEP, -STEP))
    case.close(found.node, (ahead.node - behind.node) / (2 * STEP), "Hessian product, nodes")
    case.close(found.edge, (ahead.edge - behind.edge) / (2 * STEP), "Hessian product, edges")


def _check_weights(case):
    losses, gradient = case.evaluate()
    doubled = case.targets._replace(graph_weight=2 * case.targets.graph_weight)
    same, twice = case.evaluate(targets=doubled)
    case.close(same, losses, "weights multiply the losses")
    case.close(twice.node, 2 * gradient.node, "weights do not multiply the gradient of nodes")
    case.close(twice.edge, 2 * gradient.edge, "weights do not multiply the gradient of edges")


def _check_batch(case):
    """The loss of a graph does not depend on the other graphs of its batch."""
    t, (node, edge, rows) = case.topology, case.scores
    losses, _ = case.evaluate()
    for g in range(t.n_graphs):
        one, nodes, edges = t.take(np.array([g]))
        own = Scores(node[nodes], edge if rows is not None else edge[edges], None if rows is None else rows[edges])
        targets = Targets(case.targets.codes[nodes], np.ones(1))
        alone = LazyPlan(Enumeration(), one, node.shape[1])
        found, _ = case.objective.value_and_gradient(alone, own, targets)
        case.close(found, losses[g : g + 1], f"graph {g} alone has another loss")


def _check_node_weights(case, rng):
    """The sum of two vectors of weights, some of them 0, gives the sum of losses and gradients; equal weights scale."""
    first, second = rng.integers(0, 2, case.topology.n_nodes) * 1.0, rng.random(case.topology.n_nodes)
    results = []
    for weights in (first, second, first + second, np.full(len(first), 3.0), None):
        losses, (node, edge, _) = case.evaluate(targets=case.targets._replace(node_weight=weights))
        results.append((losses, node.copy(), edge.copy()))
    for one, other, both, threefold, plain in zip(*results):
        case.close(both, one + other, "not linear in the weights of nodes")
        case.close(threefold, 3 * plain, "equal weights of nodes are no factor")


def _check_convexity(case, rng):
    for direction in _directions(rng, case.scores):
        left, middle, right = (case.total(case.moved(direction, step)) for step in (0.0, 0.5, 1.0))
        slack = case.accuracy * max(1.0, abs(middle))
        assert middle <= 0.5 * (left + right) + slack, f"declared convex, and is not: {case.context}"


def _check_subgradient(case, rng):
    losses, (node, edge, _) = case.evaluate()
    value, gradient = float(case.targets.graph_weight @ losses), Scores(node.copy(), edge.copy())
    for direction in _directions(rng, case.scores):
        there = case.total(case.moved(direction, 1.0))
        slack = case.accuracy * max(1.0, abs(there))
        assert there >= value + _product(gradient, direction) - slack, f"no subgradient of the loss: {case.context}"
