"""The protocol of inference backends: a backend plans once for a topology, and the plan answers queries about scores.

A backend holds parameters, like an estimator of scikit-learn. ``backend.plan(topology, n_states)`` computes what
depends on the graphs alone, and the methods of the plan compute what depends on scores. To add a backend, write one
file with a subclass of `InferenceBackend` and a plan, and add one row to ``BACKENDS`` in ``inference/__init__.py``.
"""

from typing import ClassVar

import numpy as np
from sklearn.base import BaseEstimator

from skstruct.data.topology import Topology
from skstruct.exceptions import UnsupportedTopology
from skstruct.inference._checked import CheckedPlan
from skstruct.inference._lazy_plan import LazyPlan
from skstruct.inference._multigraph import MergedEdgesPlan, merge_edges
from skstruct.inference._plan import (
    BACKENDS,
    NONE_ALLOWED,
    NONE_FOUND,
    InferencePlan,
    Linearization,
    LinearizedPlan,
)

__all__ = [
    "BACKENDS",
    "NONE_ALLOWED",
    "NONE_FOUND",
    "InferenceBackend",
    "InferencePlan",
    "LazyPlan",
    "Linearization",
    "LinearizedPlan",
    "merge_edges",
]


class InferenceBackend(BaseEstimator):
    """Base class of the backends.

    Subclasses store their parameters in ``__init__``, and implement `accepts` and `_plan`.
    """

    parameter: ClassVar[str] = "inference"
    name: ClassVar[str]
    exact: ClassVar[bool]  # whether it is exact on every graph that it accepts
    bound: ClassVar[str | None] = None  # "upper" or "lower" if its log-partition is such a bound where it is not exact
    remedy: ClassVar[str] = "Use inference='auto'."  # for a graph that is refused
    family: str  # the graphs that it supports; completes the message "inference='chain' supports ..."

    def accepts(self, topology: Topology, n_states: int) -> np.ndarray:
        """Whether the backend supports each graph of the batch with `n_states` states; scores are not known.

        Returns
        -------
        accepted : ndarray of bool, (n_graphs,)
        """
        raise NotImplementedError

    def plan(self, topology: Topology, n_states: int) -> InferencePlan:
        """Prepare inference on all graphs of `topology`.

        Repeated and reversed edges are legal in every backend, and their scores add. They are merged here, so that
        `_plan` of a backend receives simple graphs.

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
            Names the first graph that the backend does not support.
        """
        refused = np.flatnonzero(~self.accepts(topology, n_states))
        if len(refused):
            g = refused[0]
            raise UnsupportedTopology(
                g,
                f"inference={self.name!r} supports {self.family}; {self._refusal(topology, g, n_states)} "
                f"({len(refused)} of {topology.n_graphs} graphs are refused). {self.remedy}",
            )
        if not topology.has_repeated_edges:
            return CheckedPlan(topology, n_states, self._plan(topology, n_states))
        merge = merge_edges(topology)
        return MergedEdgesPlan(topology, n_states, self._plan(merge.simple, n_states), merge)

    def training_sequence(self) -> list["InferenceBackend"]:
        """Backends with which a model is trained one after another, the safest first; default: this backend only.

        The training continues with the next backend if inference on some training graphs is approximate. A
        continuation is kept if it decreases the mean marginal loss of the training nodes.
        """
        return [self]

    def _refusal(self, topology, graph, n_states):
        """Say why `graph` is refused; the message continues a description of the supported graphs."""
        n_nodes, n_edges = np.diff(topology.node_ptr)[graph], np.diff(topology.edge_ptr)[graph]
        return f"this one, of {n_nodes} nodes and {n_edges} edges, is not"

    def _plan(self, topology, n_states):
        """Plan for a topology of simple graphs that `accepts` has approved."""
        raise NotImplementedError
