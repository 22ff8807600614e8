"""Derivatives of message passing at its fixed point, on forests and by loopy and tree-reweighted belief propagation."""

from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from skstruct.inference._conditionals import Conditionals, fill_conditionals
from skstruct.inference._message_tangents import differentiate
from skstruct.inference._message_tangents_two_states import Gains, differentiate_two_states, fill_gains
from skstruct.inference._plan import InferencePlan, LinearizedPlan, derivatives_of
from skstruct.kernels.simd import lanes
from skstruct.scores import Scores, take_scores, with_rows


class MessagePlan(LinearizedPlan):
    """Base class of the plans with messages along edges, whose weights are 1.

    A subclass is a dataclass with the field `topology`, and has these attributes:

    Attributes
    ----------
    lists : LocalLists
    settings : Settings
        For the tangents; their tolerance is relative to the largest number of the direction.
    """

    lists: Any

    @cached_property
    def largest(self):
        """Most nodes of a graph, and most slots."""
        n_nodes, n_edges = (int(np.diff(ptr).max(initial=0)) for ptr in (self.lists.node_ptr, self.lists.edge_ptr))
        return n_nodes, 2 * n_edges

    @cached_property
    def rho(self):
        """Weight of the edge of each slot, (n_slots,)."""
        return np.ones(2 * self.topology.n_edges)

    def divided(self, scores):
        """Scores whose edge scores are divided by the weights of the edges, and whether edges share matrices."""
        shared, (node, edge, rows) = scores.edge_matrix is not None, with_rows(scores, self.topology.n_edges)
        return Scores(np.ascontiguousarray(node, np.float64), np.ascontiguousarray(edge, np.float64), rows), shared

    def gathered(self, counts, scores, shared):
        """Pair counts of the matrices of `scores`, from those of the divided scores."""
        return counts


class FixedPoint:
    """Probabilities at the fixed point, and derivatives of the marginals by tangents of the messages.

    Where the tangents do not converge, the derivatives are differences of the marginals.

    Parameters
    ----------
    plan : MessagePlan
    scores : Scores
    weights : ndarray of shape (n_graphs,)
    found : Conditionals
    """

    def __init__(self, plan, scores, weights, found):
        self.plan, self.scores, self.weights, self.found = plan, scores, weights, found

    @classmethod
    def of(cls, plan, scores, divided, weights, log_message, out_of_range):
        """Fixed point of messages whose logarithms are `log_message`, (n_slots, n_states).

        Graphs where `out_of_range`, (n_graphs,), are those that the fast kernels do not accept; ``divided`` is
        ``plan.divided(scores)``.
        """
        t, (given, shared), n_states = plan.topology, divided, scores.node.shape[1]
        n_tables = len(given.edge) * (2 if shared else 1) + 2 * int(np.diff(t.edge_ptr)[out_of_range].sum())
        found = Conditionals.of(t, n_tables, n_states)
        with np.errstate(all="ignore"):  # log 0 and -inf - -inf are expected; seen with NUMBA_DISABLE_JIT=1 only
            fill_conditionals(
                plan.lists, plan.rho, given, log_message, out_of_range, not shared, lanes(n_states), found
            )
        return cls(plan, scores, weights, found)

    def derivative(self, direction):
        """Derivative along a direction; see `InferencePlan`."""
        t = self.plan.topology
        change, shared = self.plan.divided(direction._replace(edge_matrix=self.scores.edge_matrix))
        mean, converged = np.full(t.n_graphs, np.nan), np.zeros(t.n_graphs, bool)
        out = derivatives_of(change)
        with np.errstate(all="ignore"):  # as above
            self._differentiate(change, bool(change.edge.any()), mean, out, converged)
        out = Scores(out.node, self.plan.gathered(out.edge, self.scores, shared), self.scores.edge_matrix)
        for g in np.flatnonzero(self.found.allowed & ~converged):
            mean[g] = self._add_differences(g, direction, out)
        return mean, out

    def _differentiate(self, change, moves, mean, out, converged):
        plan, n_lanes = self.plan, lanes(out.node.shape[1])
        differentiate(
            plan.lists, plan.rho, plan.settings, self.found, change, moves, self.weights, n_lanes, mean, out, converged
        )

    def _add_differences(self, graph, direction, out):
        """Write the derivatives of a graph by differences of its marginals, and return that of the log-partition."""
        alone, nodes, edges = self.plan.topology.take(np.array([graph]))
        direction = direction._replace(edge_matrix=self.scores.edge_matrix)
        own, along = (take_scores(each, nodes, edges) for each in (self.scores, direction))
        plan = replace(self.plan, topology=alone)
        mean, (node, edge, _) = InferencePlan.derivative(plan, own, along, self.weights[[graph]])
        out.node[nodes] = node
        out.edge[edges if out.edge_matrix is None else slice(None)] += edge
        return mean[0]


class FixedPointOfTwoStates(FixedPoint):
    """Do as `FixedPoint` for two states; `found` are `Gains`."""

    @classmethod
    def of(cls, plan, scores, divided, weights, log_message, out_of_range):
        """Fixed point of messages whose logarithms are `log_message`, (n_slots, n_states)."""
        found = Gains.of(plan.topology)
        with np.errstate(all="ignore"):  # as above
            fill_gains(plan.lists, plan.rho, _in_rows(divided[0]), log_message, found)
        return cls(plan, scores, weights, found)

    def _differentiate(self, change, moves, mean, out, converged):
        plan = self.plan
        change, out = _in_rows(change), _in_rows(out)
        differentiate_two_states(
            plan.lists, plan.rho, plan.settings, self.found, change, moves, self.weights, mean, out, converged
        )


def _in_rows(record):
    """Matrices of two states as rows of four."""
    return record._replace(edge=record.edge.reshape(-1, 4))


def fixed_point_class(n_states):
    """Class of the fixed points of messages between nodes with so many states."""
    return FixedPointOfTwoStates if n_states == 2 else FixedPoint
