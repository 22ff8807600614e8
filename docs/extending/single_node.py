"""An inference backend for graphs of one node."""

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from skstruct import Topology
from skstruct.inference import InferenceBackend, InferencePlan, direct_marginals, exact_decoding


class SingleNode(InferenceBackend):
    """Exact inference on graphs of one node: the log-partition is a log-sum-exp. Time O(n_nodes * n_states)."""

    name = "single_node"  # name in the report
    exact = True  # on all graphs that it accepts
    family = "graphs of one node"  # the graphs that it accepts, for error messages

    def accepts(self, topology, n_states):
        """Whether each graph has one node and no edge, (n_graphs,)."""
        n_nodes, n_edges = np.diff(topology.node_ptr), np.diff(topology.edge_ptr)
        return (n_nodes == 1) & (n_edges == 0)

    def _plan(self, topology, n_states):
        return SingleNodePlan(topology)


@dataclass(frozen=True)
class SingleNodePlan(InferencePlan):
    """Answers queries about scores. Results that depend on the edges alone would be attributes of the plan."""

    topology: Topology
    name = SingleNode.name
    exact = True

    def marginals(self, scores, weights=None):
        """Log-partition and marginals; see `InferencePlan`."""
        total = logsumexp(scores.node, axis=1)  # -inf for a node without an allowed state
        with np.errstate(invalid="ignore"):
            node = np.exp(scores.node - total[:, None])  # nan there, as the contract requires
        if weights is not None:
            node *= weights[self.topology.node_graph][:, None]
        return direct_marginals(self.topology.sum_nodes(total), node, np.zeros_like(scores.edge))

    def decode(self, scores):
        """Return the best state of each node; see `InferencePlan`."""
        return exact_decoding(self.topology, scores, scores.node.argmax(axis=1))
