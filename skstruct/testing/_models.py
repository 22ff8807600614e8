"""Small graphs of all kinds with random scores, and exact inference on them by an enumeration of all labellings."""

import itertools
import math
from typing import NamedTuple

import numpy as np

from skstruct.data.topology import Topology
from skstruct.scores import Scores, edge_rows

ACCURACY = 1e-9  # required of exact components, relative to the size of the numbers

#: Kinds of scores: standard deviation, and fraction of forbidden entries.
SCORES = {"random": (1.0, 0.0), "zero": (0.0, 0.0), "huge": (1e4, 0.0), "forbidding": (2.0, 0.15)}


class Exact(NamedTuple):
    """Exact results for a batch of small graphs.

    Attributes
    ----------
    log_partition, best_score : ndarray of shape (n_graphs,)
    node : ndarray of shape (n_nodes, n_states)
    edge : ndarray of shape (n_edges, n_states, n_states)
        Pair probabilities of each edge.
    """

    log_partition: np.ndarray
    best_score: np.ndarray
    node: np.ndarray
    edge: np.ndarray


def enumerate_exactly(topology: Topology, scores: Scores) -> Exact:
    """Compute exact results by an enumeration of all labellings of each graph, in plain Python.

    Parameters
    ----------
    topology : Topology
        Small graphs: time is O(n_states ** n_nodes).
    scores : Scores

    Returns
    -------
    truth : Exact
        Marginals are nan for a graph without an allowed labelling.

    Examples
    --------
    >>> import numpy as np
    >>> from skstruct import Topology
    >>> from skstruct.scores import Scores
    >>> from skstruct.testing import enumerate_exactly
    >>> truth = enumerate_exactly(Topology.from_edges([], 2), Scores(np.zeros((2, 3)), np.zeros((0, 3, 3))))
    >>> round(math.exp(truth.log_partition[0]), 6)
    9.0
    """
    n_states = scores.node.shape[1]
    matrices = scores.edge[edge_rows(scores, topology.n_edges)]
    log_partition, best_score = np.empty(topology.n_graphs), np.empty(topology.n_graphs)
    node, edge = np.zeros_like(scores.node), np.zeros_like(matrices)
    for g in range(topology.n_graphs):
        nodes = range(topology.node_ptr[g], topology.node_ptr[g + 1])
        edges = range(topology.edge_ptr[g], topology.edge_ptr[g + 1])
        labellings = [dict(zip(nodes, states)) for states in itertools.product(range(n_states), repeat=len(nodes))]
        totals = []
        for label in labellings:
            total = math.fsum(scores.node[i, label[i]] for i in nodes)
            total += math.fsum(matrices[e, label[i], label[j]] for e, (i, j) in _ends(topology, edges))
            totals.append(total)
        best_score[g] = max(totals)
        if best_score[g] == -math.inf:
            log_partition[g] = -math.inf
            node[list(nodes)] = np.nan
            edge[list(edges)] = np.nan
            continue
        log_partition[g] = best_score[g] + math.log(math.fsum(math.exp(t - best_score[g]) for t in totals))
        for label, total in zip(labellings, totals):
            probability = math.exp(total - log_partition[g])
            for i in nodes:
                node[i, label[i]] += probability
            for e, (i, j) in _ends(topology, edges):
                edge[e, label[i], label[j]] += probability
    return Exact(log_partition, best_score, node, edge)


def enumerate_covariances(topology: Topology, scores: Scores, direction: Scores) -> tuple[np.ndarray, Scores]:
    """Compute derivatives of log-partition and marginals by their definition, in plain Python.

    They are the mean of `t`, and the covariances of `t` with the indicators of states and of pairs of states. `t` is
    the score of a labelling by `direction`.

    Parameters
    ----------
    topology : Topology
        Small graphs: time is O(n_states ** n_nodes).
    scores : Scores
    direction : Scores
        Finite, of the shapes of `scores`.

    Returns
    -------
    mean : ndarray of shape (n_graphs,)
        nan for a graph without an allowed labelling.
    covariances : Scores
        A matrix for each edge; nan for a graph without an allowed labelling.

    Examples
    --------
    >>> import numpy as np
    >>> from skstruct import Topology
    >>> from skstruct.scores import Scores
    >>> from skstruct.testing import enumerate_covariances
    >>> zero, along = (Scores(np.array([node]), np.zeros((0, 2, 2))) for node in ([0.0, 0.0], [1.0, 3.0]))
    >>> mean, covariances = enumerate_covariances(Topology.from_edges([], 1), zero, along)
    >>> mean.round(6).tolist(), covariances.node.round(6).tolist()
    ([2.0], [[-0.5, 0.5]])
    """
    truth, n_states = enumerate_exactly(topology, scores), scores.node.shape[1]
    matrices, changes = (record.edge[edge_rows(record, topology.n_edges)] for record in (scores, direction))
    mean = np.full(topology.n_graphs, np.nan)
    node, edge = np.full_like(scores.node, np.nan), np.full_like(matrices, np.nan)
    for g in np.flatnonzero(truth.log_partition > -np.inf):
        nodes = range(topology.node_ptr[g], topology.node_ptr[g + 1])
        ends = _ends(topology, range(topology.edge_ptr[g], topology.edge_ptr[g + 1]))
        node[list(nodes)] = 0.0
        edge[[e for e, _ in ends]] = 0.0
        found = []  # potential, t and labels of each labelling
        for states in itertools.product(range(n_states), repeat=len(nodes)):
            label = dict(zip(nodes, states))
            total, t = (
                math.fsum([*(values[i, label[i]] for i in nodes), *(rows[e, label[i], label[j]] for e, (i, j) in ends)])
                for values, rows in ((scores.node, matrices), (direction.node, changes))
            )
            found.append((math.exp(total - truth.best_score[g]), t, label))
        size = math.fsum(potential for potential, _, _ in found)
        mean[g] = math.fsum(potential * t for potential, t, _ in found) / size
        for potential, t, label in found:
            excess = potential / size * (t - mean[g])
            for i in nodes:
                node[i, label[i]] += excess
            for e, (i, j) in ends:
                edge[e, label[i], label[j]] += excess
    return mean, Scores(node, edge)


def _ends(topology, edges):
    return [(e, topology.edges[e].tolist()) for e in edges]


def families(rng):
    """Yield the name and a small topology of each family of graphs."""

    def one(edges, n_nodes):
        return Topology.from_edges(edges, n_nodes)

    chain = [(t, t + 1) for t in range(4)]
    grid = [(0, 1), (1, 2), (3, 4), (4, 5), (0, 3), (1, 4), (2, 5)]
    forest = [(int(rng.integers(0, i)), i) for i in (1, 2, 3, 5, 6)]
    yield "no node", one([], 0)
    yield "one node", one([], 1)
    yield "no edge", one([], 4)
    yield "one edge", one([(0, 1)], 2)
    yield "chain", one(chain, 5)
    yield "chain with gaps and reversed edges", one([(1, 0), (2, 3), (4, 3)], 6)
    yield "chain with repeated edges", one([*chain, (1, 2), (3, 2), (0, 1)], 5)
    yield "star", one([(3, i) for i in (0, 1, 2, 4)], 5)
    yield "forest", one(forest, 7)
    yield "forest, repeated and reversed edges", one([*forest, forest[0][::-1], forest[2]], 7)
    yield "cycle", one([(0, 1), (1, 2), (2, 3), (0, 3)], 4)
    yield "grid", one(grid, 6)
    yield "grid, repeated edge", one([*grid, (4, 1)], 6)
    yield "complete", one(list(itertools.combinations(range(5), 2)), 5)
    yield "batch of forests", batch_of([([(0, 1), (2, 1)], 3), ([], 0), ([], 2), ([(0, 2), (0, 1)], 3)])
    yield "batch", batch_of([([(0, 1), (1, 2), (2, 0)], 3), ([], 1), ([(1, 0)], 2), ([], 0), (grid, 6)])


def batch_of(graphs):
    """One topology of several graphs, each given by its edges and its number of nodes."""
    node_ptr = np.cumsum([0] + [n for _, n in graphs])
    edge_ptr = np.cumsum([0] + [len(edges) for edges, _ in graphs])
    edges = [np.reshape(edges, (-1, 2)) + shift for (edges, _), shift in zip(graphs, node_ptr)]
    return Topology(np.concatenate(edges).astype(np.int32), node_ptr, edge_ptr)


def random_scores(rng, topology, n_states, form, shared):
    """Scores of a kind of `SCORES`; writable as in training, since compiled code of read-only arrays is other code."""
    scale, forbidden = form
    n_matrices = 1 if shared else topology.n_edges
    arrays = []
    for shape in ((topology.n_nodes, n_states), (n_matrices, n_states, n_states)):
        values = scale * rng.normal(size=shape)
        values[rng.random(shape) < forbidden] = -np.inf
        arrays.append(values)
    return Scores(arrays[0], arrays[1], np.zeros(topology.n_edges, np.int32) if shared else None)


#: Names of the families of graphs.
FAMILIES = tuple(name for name, _ in families(np.random.default_rng(0)))


def chosen_families(names, random_state):
    """Names, topologies and generators of some families of graphs, or of all families (None).

    The models of a family do not depend on the other chosen families, since each family has its own generator.
    """
    names = FAMILIES if names is None else names
    unknown = set(names) - set(FAMILIES)
    if unknown:
        raise ValueError(f"unknown families of graphs {sorted(unknown)}; known are {FAMILIES}")
    for number, (name, topology) in enumerate(families(np.random.default_rng(random_state))):
        if name in names:
            yield name, topology, np.random.default_rng([random_state, number])


def assert_unchanged(before, scores, context):
    """Compare scores with a copy that was made before a component saw them."""
    np.testing.assert_array_equal(scores.node, before.node, err_msg=f"node scores were changed: {context}")
    np.testing.assert_array_equal(scores.edge, before.edge, err_msg=f"edge scores were changed: {context}")
