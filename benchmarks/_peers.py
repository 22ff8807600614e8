"""Other programs as plain functions, and plain numpy references."""

from itertools import pairwise
from warnings import catch_warnings, simplefilter

import numpy as np
from scipy.sparse import csr_array

from benchmarks._problems import grid
from skstruct.scores import unshared


class TorchCRF:
    """The objective in PyTorch: a sum of embeddings for the node scores, and pytorch-crf for the chains.

    The model has all attribute-label and label-label weights. Batches contain padded sequences, the longest first.
    """

    def __init__(self, torch, torchcrf, problem, c2, batch_size=256):
        self.torch, self.c2 = torch, c2
        n_states = len(problem.classes)
        self.crf = torchcrf.CRF(n_states, batch_first=True).double()
        self.node = torch.nn.EmbeddingBag(len(problem.columns), n_states, mode="sum").double()
        with torch.no_grad():
            for weight in (*self.crf.parameters(), *self.node.parameters()):
                weight.zero_()
        for weight in (self.crf.start_transitions, self.crf.end_transitions):  # they are not in the compared model
            weight.requires_grad_(False)
        codes = np.searchsorted(problem.classes, problem.y.values)
        order = np.argsort(-np.diff(problem.y.ptr), kind="stable")
        cuts = np.arange(batch_size, len(order), batch_size)
        self.batches = [self._batch(problem, codes, chosen) for chosen in np.split(order, cuts)]

    def _batch(self, problem, codes, chosen):
        """Attributes of all nodes of the batch, their offsets, and per sequence a mask and labels."""
        features, ptr = problem.X.node_features, problem.y.ptr
        nodes = np.concatenate([np.arange(ptr[g], ptr[g + 1]) for g in chosen])
        rows, lengths = features[nodes], np.diff(ptr)[chosen]
        mask = np.arange(lengths.max()) < lengths[:, None]
        labels = np.zeros(mask.shape, np.int64)
        labels[mask] = codes[nodes]
        starts = rows.indptr[:-1].astype(np.int64)
        return tuple(map(self.torch.from_numpy, (rows.indices.astype(np.int64), starts, mask, labels)))

    def objective(self):
        """Evaluate objective and gradient at zero weights, on the CPU."""
        total = 0.0
        for weight in (self.crf.transitions, self.node.weight):
            weight.grad = None
            penalty = self.c2 * (weight**2).sum()
            penalty.backward()
            total += penalty.item()
        for attributes, starts, mask, labels in self.batches:
            node = self.node(attributes, starts)
            padded = node.new_zeros((*mask.shape, node.shape[1]))
            padded[mask] = node
            loss = -self.crf(padded, labels, mask=mask, reduction="sum")
            loss.backward()
            total += loss.item()
        return total


class NumpyBP:
    """Synchronous belief propagation in vectorised numpy: a reference that updates all messages of a sweep at once.

    With `weights` of the edges, (n_edges,), it is tree-reweighted belief propagation.
    """

    def __init__(self, topology, scores, weights=None):
        i, j = topology.edges.astype(np.intp).T
        n_edges, n_nodes = topology.n_edges, topology.n_nodes
        self.node, self.sender = scores.node, np.r_[i, j]
        self.reverse = np.r_[n_edges : 2 * n_edges, :n_edges]
        receivers, slots = np.r_[j, i], np.arange(2 * n_edges)
        power = np.ones(2 * n_edges) if weights is None else np.r_[weights, weights]
        self.receive = csr_array((power, (receivers, slots)), shape=(n_nodes, 2 * n_edges))
        self.shared = scores.edge_matrix is not None and weights is None
        edge = scores.edge[0] if self.shared else unshared(scores).edge
        self.potential = np.exp(edge if weights is None else edge / weights[:, None, None])

    def marginals(self, tol=1e-6, max_iter=200, damping=0.0):
        """Node marginals. Sets `n_iter` and `residual`, the last change of a message."""
        n_edges = len(self.sender) // 2
        message = np.ones((2 * n_edges, self.node.shape[1]))
        for self.n_iter in range(1, max_iter + 1):
            log_message = np.log(message)
            belief = self.node + self.receive @ log_message
            cavity = belief[self.sender] - log_message[self.reverse]
            cavity = np.exp(cavity - cavity.max(axis=1, keepdims=True))
            forward, backward = cavity[:n_edges], cavity[n_edges:]
            if self.shared:
                new = np.concatenate([forward @ self.potential, backward @ self.potential.T])
            else:
                new = np.concatenate(
                    [
                        (forward[:, None] @ self.potential)[:, 0],
                        (self.potential @ backward[:, :, None])[:, :, 0],
                    ]
                )
            new = damping * message + (1 - damping) * new / new.max(axis=1, keepdims=True)
            self.residual, message = np.abs(new - message).max(), new
            if self.residual <= tol:
                break
        belief = self.node + self.receive @ np.log(message)
        belief = np.exp(belief - belief.max(axis=1, keepdims=True))
        return belief / belief.sum(axis=1, keepdims=True)


def frontier_log_partition(height, width, scores):
    """Log-partition of a binary grid by elimination of one cell after another, with one table over a row of cells."""
    down, across = np.zeros((height, width, 2, 2)), np.zeros((height, width, 2, 2))
    for (i, j), matrix in zip(grid(height, width), scores.edge):
        (across if j == i + 1 else down)[divmod(i, width)] = matrix
    table = np.zeros((2,) * width)  # axis k: the last cell reached in column k
    for row in range(height):
        for column in range(width):
            if row:
                old = np.moveaxis(table, column, -1)[..., None] + down[row - 1, column]
                old = np.moveaxis(np.logaddexp(old[..., 0, :], old[..., 1, :]), -1, column)
            else:
                old = table
            shape = [1] * width
            shape[column] = 2
            table = old + scores.node[row * width + column].reshape(shape)
            if column:
                shape[column - 1] = 2
                table = table + across[row, column - 1].reshape(shape)
    highest = table.max()
    return highest + np.log(np.exp(table - highest).sum())


def eliminated_log_partition(topology, scores):
    """Log-partition of each graph by elimination of nodes of least degree, with tables in numpy."""
    found, n_states = np.zeros(topology.n_graphs), scores.node.shape[1]
    for g, (start, stop) in enumerate(pairwise(topology.node_ptr)):
        factors = {i: [((i,), scores.node[i])] for i in range(start, stop)}  # of each node, shared by its nodes
        near = {i: set() for i in range(start, stop)}
        for e in range(topology.edge_ptr[g], topology.edge_ptr[g + 1]):
            i, j = map(int, topology.edges[e])
            factor = ((i, j), scores.edge[e]) if i < j else ((j, i), scores.edge[e].T)
            for a, b in ((i, j), (j, i)):
                factors[a].append(factor)
                near[a].add(b)
        while near:
            i = min(near, key=lambda i: len(near[i]))
            scope = sorted({i, *near[i]})
            table = np.zeros((n_states,) * len(scope))
            for factor in factors.pop(i):
                table = table + factor[1].reshape([n_states if j in factor[0] else 1 for j in scope])
            message = np.logaddexp.reduce(table, axis=scope.index(i))
            neighbours = tuple(sorted(near.pop(i)))
            if not neighbours:
                found[g] += message
            for j in neighbours:
                factors[j] = [factor for factor in factors[j] if i not in factor[0]] + [(neighbours, message)]
                near[j] = (near[j] | set(neighbours)) - {i, j}
    return found


class NumpyMeanField:
    """Mean field in vectorised numpy: coordinate ascent, for all nodes of a colour at a time, from a uniform start."""

    def __init__(self, topology, scores):
        (i, j), own = topology.edges.astype(np.intp).T, unshared(scores).edge
        self.node, self.scores = scores.node, own
        receiver, self.sender = np.r_[i, j], np.r_[j, i]
        self.matrix = np.concatenate([own.transpose(0, 2, 1), own])  # rows: the sender's states
        neighbours = csr_array((np.ones(len(receiver)), (receiver, self.sender)), shape=(topology.n_nodes,) * 2)
        colour = np.full(topology.n_nodes, -1)
        for v in range(topology.n_nodes):
            used = set(colour[neighbours.indices[neighbours.indptr[v] : neighbours.indptr[v + 1]]])
            colour[v] = next(c for c in range(topology.n_nodes) if c not in used)
        self.colours = []
        for c in range(colour.max() + 1):
            nodes, slots = np.flatnonzero(colour == c), np.flatnonzero(colour[receiver] == c)
            place = np.searchsorted(nodes, receiver[slots])
            add = csr_array((np.ones(len(slots)), (place, np.arange(len(slots)))), shape=(len(nodes), len(slots)))
            self.colours.append((nodes, self.sender[slots], self.matrix[slots], add))

    def _update(self, q, nodes, sender, matrix, add):
        field = self.node[nodes] + add @ (q[sender][:, None] @ matrix)[:, 0]
        field = np.exp(field - field.max(axis=1, keepdims=True))
        return field / field.sum(axis=1, keepdims=True)

    def updated(self, q):
        """All distributions, each as an update would leave it."""
        new = np.empty_like(q)
        for nodes, *incoming in self.colours:
            new[nodes] = self._update(q, nodes, *incoming)
        return new

    def marginals(self, tol=1e-6, max_iter=1000):
        """Distributions of the nodes."""
        q = np.full(self.node.shape, 1 / self.node.shape[1])
        for _ in range(max_iter):
            change = 0.0
            for nodes, *incoming in self.colours:
                new = self._update(q, nodes, *incoming)
                change = max(change, np.abs(new - q[nodes]).max())
                q[nodes] = new
            if change <= tol:
                break
        return q

    def bound(self, q):
        """Expected score plus entropy."""
        half = len(self.sender) // 2
        pairs = (q[self.sender[half:], None] @ self.scores @ q[self.sender[:half], :, None]).sum()
        return (q * self.node).sum() + pairs - (q * np.log(np.maximum(q, 1e-300))).sum()


class Pgmpy:
    """A pairwise model in pgmpy."""

    def __init__(self, topology, scores):
        with catch_warnings():
            simplefilter("ignore")  # of the other program
            from pgmpy.factors.discrete import DiscreteFactor
            from pgmpy.inference import BeliefPropagation
            from pgmpy.models import DiscreteMarkovNetwork
        self.propagation = BeliefPropagation
        self.names = [f"v{k}" for k in range(topology.n_nodes)]
        pairs = [(self.names[i], self.names[j]) for i, j in topology.edges]
        self.model = DiscreteMarkovNetwork()
        self.model.add_nodes_from(self.names)
        self.model.add_edges_from(pairs)
        n_states = scores.node.shape[1]
        for name, row in zip(self.names, scores.node):
            self.model.add_factors(DiscreteFactor([name], [n_states], np.exp(row)))
        for pair, matrix in zip(pairs, scores.edge):
            self.model.add_factors(DiscreteFactor(list(pair), [n_states] * 2, np.exp(matrix).ravel()))

    def marginals(self):
        """Exact node marginals from a calibrated junction tree."""
        tree = self.propagation(self.model)
        tree.calibrate()
        found = []
        for name in self.names:
            clique = next(c for c in tree.get_clique_beliefs() if name in c)
            others = [other for other in clique if other != name]
            belief = tree.get_clique_beliefs()[clique].marginalize(others, inplace=False)
            found.append(belief.values / belief.values.sum())
        return np.array(found)


def maxflow_network(maxflow, topology, scores):
    """Network of a binary model whose edges favour equal states, in PyMaxflow: the graph, and its nodes."""
    i, j = topology.edges.astype(np.intp).T
    (a, b), (c, d) = (scores.edge if scores.edge_matrix is None else scores.edge[scores.edge_matrix]).transpose(1, 2, 0)
    # a matrix is a + x (c + d - a - b) / 2 + y (b + d - a - c) / 2, less half of a + d - b - c where x and y differ
    gain = scores.node[:, 1] - scores.node[:, 0]
    gain += np.bincount(i, 0.5 * (c + d - a - b), len(gain)) + np.bincount(j, 0.5 * (b + d - a - c), len(gain))
    capacity = 0.5 * (a + d - b - c)
    graph = maxflow.Graph[float](topology.n_nodes, topology.n_edges)
    nodes = graph.add_nodes(topology.n_nodes)
    graph.add_edges(i, j, capacity, capacity)
    graph.add_grid_tedges(nodes, np.maximum(-gain, 0), np.maximum(gain, 0))
    return graph, nodes


def maxflow_labels(maxflow, topology, scores):
    """Labels of the highest score of a binary model whose edges favour equal states, by PyMaxflow."""
    graph, nodes = maxflow_network(maxflow, topology, scores)
    graph.maxflow()
    return graph.get_grid_segments(nodes).astype(np.intp)
