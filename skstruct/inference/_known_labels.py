"""Plans that answer queries given known labels."""

from dataclasses import dataclass

import numpy as np

from skstruct.data.topology import Topology
from skstruct.inference._plan import BACKENDS, InferencePlan, Linearization, LinearizedPlan
from skstruct.scores import MISSING, Marginals, Scores, clamp, edge_rows, weigh_nodes

EXACT = ("edgeless", "chain", "tree")  # backends for hidden nodes; the junction tree follows
MAX_ENTRIES = 1e6  # of the tables of the junction tree, as in `Auto`


@dataclass(frozen=True)
class ClampedPlan(LinearizedPlan):
    """A plan that is conditioned on known labels: all other states of their nodes are forbidden."""

    plan: InferencePlan
    codes: np.ndarray  # (n_nodes,); MISSING where the label is not known

    def marginals(self, scores, weights=None):
        return self.plan.marginals(clamp(scores, self.codes), weights)

    def linearize(self, scores, weights=None):
        return self.plan.linearize(clamp(scores, self.codes), weights)


@dataclass(frozen=True)
class InducedPlan(LinearizedPlan):
    """A plan for the subgraph of some nodes, given known labels of other nodes.

    The remaining nodes, which have no known label and are not in the subgraph, must not be neighbours of its nodes.
    They are omitted: their marginals are 0.

    An edge between a node of the subgraph and a known label becomes a node score, and an edge between known labels a
    constant. If the plan of the subgraph is exact, the result is exact.
    """

    topology: Topology
    codes: np.ndarray  # (n_nodes,); MISSING where the label is not known, and in the subgraph
    nodes: np.ndarray  # numbers of the nodes of the subgraph, sorted
    edges: np.ndarray  # numbers of its edges, sorted
    plan: InferencePlan  # of the subgraph

    def marginals(self, scores, weights=None):
        own, constant = self._own(scores)
        return self._completed(scores, weights, self.plan.marginals(own, weights), constant)

    def linearize(self, scores, weights=None):
        own, constant = self._own(scores)
        inner = self.plan.linearize(own, weights)

        def derivative(direction):
            own_direction, constant = self._own(direction)
            mean, found = inner.derivative(own_direction)
            node = np.zeros(scores.node.shape)
            node[self.nodes] = found.node
            return mean + constant, Scores(node, self._counts(scores, node, found.edge), scores.edge_matrix)

        return Linearization(lambda: self._completed(scores, weights, inner.marginals, constant), derivative)

    def _completed(self, scores, weights, found, constant):
        """Marginals of all nodes and pairs, from those of the subgraph and the score of the known labels."""
        node, known = np.zeros(scores.node.shape), np.flatnonzero(self.codes != MISSING)
        node[known, self.codes[known]] = 1.0
        weigh_nodes(self.topology, node, weights)
        node[self.nodes] = found.node
        log_partition = found.log_partition + constant
        return found._replace(log_partition=log_partition, node=node, edge=self._counts(scores, node, found.edge))

    def _own(self, scores):
        """Scores of the subgraph, and the score of the known labels, (n_graphs,); both are linear in `scores`."""
        t, y, rows = self.topology, self.codes, edge_rows(scores, self.topology.n_edges)
        (i, j), node = t.edges.T, scores.node.copy()
        to_i, to_j = (np.flatnonzero(y[end] != MISSING) for end in (j, i))
        known = np.flatnonzero(y != MISSING)
        inner = np.intersect1d(to_i, to_j, assume_unique=True)
        constant_edge = np.zeros(t.n_edges)
        constant_edge[inner] = scores.edge[rows[inner], y[i[inner]], y[j[inner]]]
        constant_node = np.zeros(t.n_nodes)
        constant_node[known] = node[known, y[known]]
        np.add.at(node, i[to_i], scores.edge[rows[to_i], :, y[j[to_i]]])
        np.add.at(node, j[to_j], scores.edge[rows[to_j], y[i[to_j]], :])
        edge = scores.edge[self.edges] if scores.edge_matrix is None else scores.edge
        own_rows = None if scores.edge_matrix is None else scores.edge_matrix[self.edges]
        return Scores(node[self.nodes], edge, own_rows), t.sum_nodes(constant_node) + t.sum_edges(constant_edge)

    def _counts(self, scores, node, own_counts):
        """Pair counts by matrix, from the node marginals and the counts of the subgraph."""
        t, y, rows = self.topology, self.codes, edge_rows(scores, self.topology.n_edges)
        i, j = t.edges.T
        counts = np.zeros(scores.edge.shape)
        counts[self.edges if scores.edge_matrix is None else slice(None)] = own_counts
        known_j = np.flatnonzero(y[j] != MISSING)
        known_i = np.flatnonzero((y[i] != MISSING) & (y[j] == MISSING))
        np.add.at(counts.transpose(0, 2, 1), (rows[known_j], y[j[known_j]]), node[i[known_j]])
        np.add.at(counts, (rows[known_i], y[i[known_i]]), node[j[known_i]])
        return counts


@dataclass(frozen=True)
class JoinedPlan(LinearizedPlan):
    """Two plans for the same batch, each of which answers for some of its graphs."""

    topology: Topology
    is_first: np.ndarray  # (n_graphs,) whether the first plan answers for a graph
    plans: tuple[InferencePlan, InferencePlan]

    def marginals(self, scores, weights=None):
        return self._joined(*(plan.marginals(scores, own) for plan, own in zip(self.plans, self._weights(weights))))

    def linearize(self, scores, weights=None):
        parts = [plan.linearize(scores, own) for plan, own in zip(self.plans, self._weights(weights))]

        def derivative(direction):
            (mean, first), (other_mean, second) = (part.derivative(direction) for part in parts)
            node, edge = first.node + second.node, first.edge + second.edge
            return np.where(self.is_first, mean, other_mean), Scores(node, edge, scores.edge_matrix)

        return Linearization(lambda: self._joined(*(part.marginals for part in parts)), derivative)

    def _joined(self, first, second):
        return Marginals(
            np.where(self.is_first, first.log_partition, second.log_partition),
            first.node + second.node,
            first.edge + second.edge,
            *(np.where(self.is_first, a, b) for a, b in zip(first[3:], second[3:])),
        )

    def _weights(self, weights):
        weights = np.ones(self.topology.n_graphs) if weights is None else np.asarray(weights, np.float64)
        return weights * self.is_first, weights * ~self.is_first


def induced_subgraph(topology: Topology, inside: np.ndarray) -> tuple[Topology, np.ndarray, np.ndarray]:
    """Subgraph of the nodes where `inside`, (n_nodes,), is True, and the numbers of its nodes and edges."""
    nodes, edges = np.flatnonzero(inside), np.flatnonzero(inside[topology.edges].all(axis=1))
    number = np.cumsum(inside) - 1
    ends = number[topology.edges[edges]]
    ptrs = np.searchsorted(nodes, topology.node_ptr), np.searchsorted(edges, topology.edge_ptr)
    return Topology(ends, *ptrs), nodes, edges


def likelihood_plans(backend, plan, codes, n_states):
    """Plans of the free and of the clamped term of the likelihood of known labels; see `LazyPlan.given`."""
    t, clamped = plan.topology, ClampedPlan(plan, codes)
    if plan.exact or backend.bound != "upper":
        return plan, clamped
    exact = BACKENDS["auto"]([BACKENDS[name]() for name in EXACT] + [BACKENDS["junction_tree"](MAX_ENTRIES)])
    is_hidden = codes == MISSING
    narrow = exact.accepts(induced_subgraph(t, is_hidden)[0], n_states)
    is_narrow = narrow[t.node_graph]  # by node
    has_label = np.bincount(t.components, ~is_hidden)[t.components] > 0  # a known label in the component of the node

    def induced(inside, chosen):
        subgraph, nodes, edges = induced_subgraph(t, inside)
        given = np.where(inside, MISSING, codes)
        return InducedPlan(t, given, nodes, edges, chosen.plan(subgraph, n_states))

    cut = ~has_label & is_narrow
    free = induced(~cut, backend) if cut.any() else plan
    if not narrow.any():
        return free, clamped
    summed = induced(is_hidden & has_label & is_narrow, exact)
    return free, summed if narrow.all() else JoinedPlan(t, narrow, (summed, clamped))
