"""What an inference backend is: it plans for a topology once, and the plan answers queries about scores.

A backend is a scikit-learn style parameter holder. ``backend.plan(topology, n_states)`` does all that depends on
the graphs alone; the plan's methods do what depends on scores. To add a backend, write one file with a subclass of
`InferenceBackend` and a plan, and add one row to ``BACKENDS`` in ``inference/__init__.py``.
"""

from typing import ClassVar

import numpy as np
from sklearn.base import BaseEstimator

from skstruct.exceptions import UnsupportedTopology
from skstruct.inference._checked import CheckedPlan
from skstruct.inference._multigraph import MergedEdgesPlan, merge_edges
from skstruct.inference._plan import BACKENDS, NONE_ALLOWED, NONE_FOUND, InferencePlan, LazyPlan

__all__ = ["BACKENDS", "NONE_ALLOWED", "NONE_FOUND", "InferenceBackend", "InferencePlan", "LazyPlan", "merge_edges"]


class InferenceBackend(BaseEstimator):
    """Base class of the backends.

    Subclasses store their parameters in ``__init__``, and implement `accepts` and `_plan`.
    """

    parameter: ClassVar[str] = "inference"
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
            return CheckedPlan(topology, n_states, self._plan(topology, n_states))
        merge = merge_edges(topology)
        return MergedEdgesPlan(topology, n_states, self._plan(merge.simple, n_states), merge)

    def _refusal(self, topology, graph, n_states):
        """Say why `graph` is refused, to follow what is taken."""
        n_nodes, n_edges = np.diff(topology.node_ptr)[graph], np.diff(topology.edge_ptr)[graph]
        return f"this one, of {n_nodes} nodes and {n_edges} edges, is not"

    def _plan(self, topology, n_states):
        """Plan for a topology of simple graphs that `accepts` has approved."""
        raise NotImplementedError
