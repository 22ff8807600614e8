"""Exact inference on graphs without edges: a softmax per node."""

from dataclasses import dataclass

import numpy as np

from skstruct.data.topology import Topology
from skstruct.inference._base import InferenceBackend, InferencePlan
from skstruct.scores import Scores, direct_marginals, exact_decoding, weigh_nodes


class Edgeless(InferenceBackend):
    """Exact inference when no graph has an edge: every node is on its own.

    This is multinomial logistic regression's softmax, in plain numpy. Time and memory
    O(n_nodes * n_states).

    Examples
    --------
    >>> import numpy as np
    >>> from skstruct.functional import marginals
    >>> marginals(np.log([[1.0, 3.0]]), [], [], inference="edgeless").node.round(2)
    array([[0.25, 0.75]])
    """

    name = "edgeless"
    exact = True
    family = "graphs without edges"

    def accepts(self, topology, n_states):
        """Tell which graphs have no edge."""
        return np.diff(topology.edge_ptr) == 0

    def _plan(self, topology, n_states):
        return _EdgelessPlan(topology)


@dataclass(frozen=True)
class _EdgelessPlan(InferencePlan):
    topology: Topology
    name = Edgeless.name
    exact = True

    def marginals(self, scores, weights=None):
        shift = scores.node.max(axis=1, initial=-np.inf, keepdims=True)
        shift[np.isneginf(shift)] = 0.0  # a node with no allowed state: log 0, not nan
        node = np.exp(scores.node - shift)
        total = node.sum(axis=1, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):  # no allowed state: -inf and nan, as documented
            log_total = np.log(total) + shift
            node /= total
        log_partition = self.topology.sum_nodes(log_total[:, 0])
        return direct_marginals(log_partition, weigh_nodes(self.topology, node, weights), np.zeros_like(scores.edge))

    def derivative(self, scores, direction, weights=None):
        probability = self.marginals(scores).node
        mean = (probability * direction.node).sum(axis=1)
        node = probability * (direction.node - mean[:, None])
        d_scores = Scores(weigh_nodes(self.topology, node, weights), np.zeros_like(scores.edge), scores.edge_matrix)
        return self.topology.sum_nodes(mean), d_scores

    def decode(self, scores):
        return exact_decoding(self.topology, scores, scores.node.argmax(axis=1))

    def sample(self, scores, n_samples, rng):
        """Draw labellings from the model, independently, (n_samples, n_nodes)."""
        cumulated = np.cumsum(self.marginals(scores).node, axis=1)
        uniforms = rng.random((n_samples, len(cumulated), 1))
        return (uniforms >= cumulated[:, :-1] / cumulated[:, -1:]).sum(axis=2)
