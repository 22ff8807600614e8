"""Exact inference by listing every labelling: the oracle that the other backends are tested against."""

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from skstruct.components import require_number
from skstruct.data.topology import Topology
from skstruct.inference._base import InferenceBackend, InferencePlan
from skstruct.scores import Scores, direct_marginals, edge_rows, exact_decoding, weigh_nodes


class Enumeration(InferenceBackend):
    """Exact inference by the definition: score all ``n_states ** n_nodes`` labellings of each graph.

    Parameters
    ----------
    max_labellings : int, default=2**18
        A graph with more labellings is refused. The default needs some ten megabytes and milliseconds.

    Notes
    -----
    Time and memory O(n_states ** n_nodes * (n_nodes + n_edges)) per graph. Use it to check models and other
    backends.

    Examples
    --------
    >>> import numpy as np
    >>> from skstruct.functional import marginals
    >>> found = marginals(np.zeros((3, 2)), [(0, 1), (1, 2), (2, 0)], np.zeros((1, 2, 2)), inference="enumeration")
    >>> round(float(np.exp(found.log_partition)), 6)
    8.0
    """

    name = "enumeration"
    exact = True

    def __init__(self, max_labellings=2**18):
        self.max_labellings = max_labellings

    @property
    def family(self):
        """What it takes, in words."""
        return f"graphs with at most {self.max_labellings} labellings"

    def accepts(self, topology, n_states):
        """Tell which graphs have few enough labellings."""
        require_number(self, "max_labellings", lambda number: number >= 1, "a number >= 1")
        log_labellings = np.diff(topology.node_ptr) * np.log(n_states)
        return log_labellings <= np.log(self.max_labellings) + 1e-9

    def _plan(self, topology, n_states):
        return _EnumerationPlan(topology)


@dataclass(frozen=True)
class _EnumerationPlan(InferencePlan):
    topology: Topology
    name = Enumeration.name
    exact = True

    def _labellings(self, scores):
        """Yield graph, its nodes and edges, all its labellings (n_labellings, n_nodes) and their scores."""
        t = self.topology
        rows, n_states = edge_rows(scores, t.n_edges), scores.node.shape[1]
        for g in range(t.n_graphs):
            nodes = np.arange(t.node_ptr[g], t.node_ptr[g + 1])
            edges = np.arange(t.edge_ptr[g], t.edge_ptr[g + 1])
            n_labellings = n_states ** len(nodes)
            codes = np.arange(n_labellings)
            labels = (
                np.stack([codes // n_states**k % n_states for k in range(len(nodes))], axis=1)
                if len(nodes)
                else (np.zeros((1, 0), np.intp))
            )
            total = np.zeros(n_labellings)
            for k, node in enumerate(nodes):
                total += scores.node[node, labels[:, k]]
            ends = t.edges[edges] - t.node_ptr[g]
            for (i, j), row in zip(ends, rows[edges]):
                total += scores.edge[row, labels[:, i], labels[:, j]]
            yield g, nodes, edges, ends, labels, total

    def marginals(self, scores, weights=None):
        log_partition = np.array([logsumexp(total) for *_, total in self._labellings(scores)])
        with np.errstate(invalid="ignore"):  # no allowed labelling: nan, as documented
            shares = [np.exp(total - log_partition[g]) for g, *_, total in self._labellings(scores)]
        return direct_marginals(log_partition, *self._sums(scores, shares, weights))

    def derivative(self, scores, direction, weights=None):
        mean, excess = np.empty(self.topology.n_graphs), []
        pairs = zip(self._labellings(scores), self._labellings(direction))
        for (g, *_, total), (*_, change) in pairs:
            with np.errstate(invalid="ignore"):  # no allowed labelling: nan, as documented
                probability = np.exp(total - logsumexp(total))
            mean[g] = probability @ change
            excess.append(probability * (change - mean[g]))
        node, edge = self._sums(scores, excess, weights)
        return mean, Scores(node, edge, scores.edge_matrix)

    def _sums(self, scores, shares, weights):
        """Sum the shares of labellings, an array for each graph, over the labellings with each state and pair."""
        t = self.topology
        rows, n_states = edge_rows(scores, t.n_edges), scores.node.shape[1]
        weights = np.ones(t.n_graphs) if weights is None else weights
        node, edge = np.empty_like(scores.node), np.zeros_like(scores.edge)
        for (g, nodes, edges, ends, labels, _), share in zip(self._labellings(scores), shares):
            for k, i in enumerate(nodes):
                node[i] = np.bincount(labels[:, k], share, n_states)
            for (i, j), row in zip(ends, rows[edges]):
                pair = np.bincount(labels[:, i] * n_states + labels[:, j], share, n_states**2)
                edge[row] += weights[g] * pair.reshape(n_states, n_states)
        return weigh_nodes(t, node, weights), edge

    def decode(self, scores):
        codes = np.zeros(self.topology.n_nodes, np.intp)
        for _, nodes, _, _, labels, total in self._labellings(scores):
            codes[nodes] = labels[total.argmax()]
        return exact_decoding(self.topology, scores, codes)

    def sample(self, scores, n_samples, rng):
        """Draw labellings from the model, independently, (n_samples, n_nodes)."""
        out = np.zeros((n_samples, self.topology.n_nodes), np.intp)
        for _, nodes, _, _, labels, total in self._labellings(scores):
            out[:, nodes] = labels[rng.choice(len(total), n_samples, p=np.exp(total - logsumexp(total)))]
        return out
