"""Kernels of Gibbs sampling: random numbers, annealing, sweeps, exchanges of states on clusters.

Kernels unpack records before their loops: numba reads arrays faster from names than from records.
"""

from typing import NamedTuple

import numpy as np

from skstruct.data.adjacency import Adjacency
from skstruct.kernels.jit import kernel

STEP, MIX_1, MIX_2 = (
    np.uint64(0x9E3779B97F4A7C15),
    np.uint64(0xBF58476D1CE4E5B9),
    np.uint64(0x94D049BB133111EB),
)
SHIFTS = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)


class Blocks(NamedTuple):
    """Nodes in the order of their updates, and neighbour lists."""

    node_ptr: np.ndarray  # (n_graphs + 1,)
    order: np.ndarray  # (n_nodes,) the nodes of each graph, colour by colour
    lists: Adjacency


class Chains(NamedTuple):
    """State of the Markov chains of a batch; kernels advance it."""

    random: np.ndarray  # (n_graphs, n_chains) uint64, state of the random numbers
    labels: np.ndarray  # (n_chains, n_nodes)


class Bonds(NamedTuple):
    """Which pairs of states the edges tie together; see `_exchange`."""

    binds: np.ndarray  # (n_matrices, n_states, n_states) bool
    hard: np.ndarray  # (n_graphs,) whether a graph has an edge that ties states together


class Averages(NamedTuple):
    """Results of the sweeps."""

    means: np.ndarray  # (n_chains, n_nodes, n_states) mean conditional probabilities
    counts: np.ndarray  # (n_matrices, n_states, n_states) weighted pair counts, added to
    visited: np.ndarray  # (n_graphs,) log of the summed exponentiated scores of the distinct labellings between sweeps


class _Chain(NamedTuple):
    """One chain on one graph."""

    start: int  # first node of the graph
    end: int
    random: np.ndarray  # (1,) uint64
    labels: np.ndarray  # (n_nodes,) of the batch


class _Cluster(NamedTuple):
    """Scratch space of `_exchange`."""

    mark: np.ndarray  # (n_nodes,) 1 for the nodes of the cluster; 0 between two exchanges
    nodes: np.ndarray  # (n_nodes,) nodes of the cluster


@kernel
def _uniform(random):
    """Return a uniform number in [0, 1) by SplitMix64; ``random[0]`` is its state.

    G. L. Steele, D. Lea, C. H. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
    """
    random[0] += STEP
    z = random[0]
    z = (z ^ (z >> SHIFTS[0])) * MIX_1
    z = (z ^ (z >> SHIFTS[1])) * MIX_2
    z = z ^ (z >> SHIFTS[2])
    return np.float64(z >> SHIFTS[3]) * 2.0**-53


@kernel
def colour(lists):
    """Give each node the lowest colour that no lower-numbered neighbour has."""
    ptr, neighbour = lists.ptr, lists.neighbour
    n_nodes = len(ptr) - 1
    colour = np.zeros(n_nodes, np.int32)
    last_seen = np.full(n_nodes + 1, -1)  # node whose neighbour had the colour
    for i in range(n_nodes):
        for s in range(ptr[i], ptr[i + 1]):
            if neighbour[s] < i:
                last_seen[colour[neighbour[s]]] = i
        while last_seen[colour[i]] == i:
            colour[i] += 1
    return colour


@kernel
def _normalise(values):
    """Replace log-probabilities, known up to a constant, by probabilities."""
    top = values.max()
    total = 0.0
    for x in range(len(values)):
        values[x] = np.exp(values[x] - top)
        total += values[x]
    inverse = 1.0 / total
    for x in range(len(values)):
        values[x] *= inverse


@kernel
def _pick(probabilities, uniform):
    for x in range(len(probabilities)):
        if uniform < probabilities[x]:
            return x
        uniform -= probabilities[x]
    return np.argmax(probabilities)  # after rounding


@kernel
def _pair_score(chain, lists, scores):
    """Sum of the edge scores of a graph."""
    ptr, neighbour, edge, _, flipped = lists
    matrices, rows, labels = scores.edge, scores.edge_matrix, chain.labels
    total = 0.0
    for i in range(chain.start, chain.end):
        for s in range(ptr[i], ptr[i + 1]):
            if not flipped[s]:
                total += matrices[rows[edge[s]], labels[i], labels[neighbour[s]]]
    return total


@kernel
def _key(chain):
    """Hash the labels of a graph to 64 bits."""
    key = STEP
    for i in range(chain.start, chain.end):
        key = (key ^ np.uint64(chain.labels[i])) * MIX_1
        key = key ^ (key >> SHIFTS[2])
    return key


@kernel
def _log_sum_of_distinct(keys, scores):
    """Log of the sum of ``exp(scores)``, each key once."""
    order = np.argsort(keys)
    top = scores.max()
    total = 0.0
    for k in range(len(order)):
        if k == 0 or keys[order[k]] != keys[order[k - 1]]:
            total += np.exp(scores[order[k]] - top)
    return top + np.log(total)


@kernel
def _sweep(chain, blocks, factor, scores, mean, weight, counts):
    """Draw each node of a graph from its distribution given its neighbours' labels; edge scores count `factor` times.

    The distributions are added to `mean`, (n_nodes, n_states), and times `weight` to the pair counts. Nothing is added
    if `mean` is empty.
    """
    ptr, neighbour, edge, _, flipped = blocks.lists
    node, matrices, rows = scores
    start, end, random, labels = chain
    order, n_states = blocks.order, node.shape[1]
    probabilities = np.empty(n_states)
    for p in range(start, end):
        i = order[p]
        probabilities[:] = node[i]
        for s in range(ptr[i], ptr[i + 1]):
            e, y = rows[edge[s]], labels[neighbour[s]]
            for x in range(n_states):
                probabilities[x] += factor * (matrices[e, y, x] if flipped[s] else matrices[e, x, y])
        _normalise(probabilities)
        labels[i] = _pick(probabilities, _uniform(random))
        if not len(mean):
            continue
        for x in range(n_states):
            mean[i, x] += probabilities[x]
            probabilities[x] *= weight
        for s in range(ptr[i], ptr[i + 1]):
            e, y = rows[edge[s]], labels[neighbour[s]]
            for x in range(n_states):
                if flipped[s]:
                    counts[e, y, x] += probabilities[x]
                else:
                    counts[e, x, y] += probabilities[x]


@kernel
def _exchange(chain, lists, scores, binds, cluster, n_exchanges):
    """Try to exchange two states on clusters (Kempe chains), one after the other; return the number of trials.

    With ``n_exchanges = 0`` there are as many as cost about one sweep. The number is fixed from then on, as the
    distribution of the chain requires.

    A random node with the state `a` and a random other state `b` define a cluster: the nodes with one of these states
    that edges with ``binds[matrix, a, b]`` connect. It is the same after the exchange, so that Metropolis' rule
    applies. This connects labellings that changes of single nodes do not connect, such as the two colourings of a ring.
    """
    ptr, neighbour, edge, _, flipped = lists
    node, matrices, rows = scores
    start, end, random, labels = chain
    mark, nodes = cluster
    n_states = node.shape[1]
    done, visited = 0, 0
    while n_states > 1 and (done < n_exchanges or (n_exchanges == 0 and visited < end - start)):
        seed = start + int(_uniform(random) * (end - start))
        a = labels[seed]
        b = (a + 1 + int(_uniform(random) * (n_states - 1))) % n_states
        size, k = 1, 0
        nodes[0], mark[seed] = seed, 1
        while k < size:
            i = nodes[k]
            k += 1
            for s in range(ptr[i], ptr[i + 1]):
                j = neighbour[s]
                if mark[j] == 0 and (labels[j] == a or labels[j] == b) and binds[rows[edge[s]], a, b]:
                    nodes[size], mark[j] = j, 1
                    size += 1
        gain = 0.0
        for k in range(size):
            i = nodes[k]
            x, new_x = labels[i], a + b - labels[i]
            gain += node[i, new_x] - node[i, x]
            for s in range(ptr[i], ptr[i + 1]):
                j, matrix = neighbour[s], matrices[rows[edge[s]]]
                if mark[j] == 1 and flipped[s]:
                    continue  # counted at the other end
                y = labels[j]
                new_y = a + b - y if mark[j] == 1 else y
                gain += matrix[new_y, new_x] - matrix[y, x] if flipped[s] else matrix[new_x, new_y] - matrix[x, y]
        # Half of Metropolis' rate: else a cluster of the whole graph would change at every sweep, not at every second.
        accepted = np.log(2.0 * _uniform(random)) < min(gain, 0.0)
        for k in range(size):
            i = nodes[k]
            mark[i] = 0
            if accepted:
                labels[i] = a + b - labels[i]
        done += 1
        visited += size
    return done


@kernel
def anneal(blocks, graphs, factors, scores, soft, chains, log_weight):
    """Run the chains while the factor of the edge scores goes through `factors`, from 0 to 1.

    Parameters
    ----------
    blocks : Blocks
    graphs : ndarray of int
    factors : ndarray of shape (n_sweeps + 1,)
    scores, soft : Scores
        In `soft`, finite penalties replace -inf in the edge scores. The chains run with `soft`.
    chains : Chains
    log_weight : ndarray of shape (n_graphs, n_chains)
        Output: logarithms of the weights; left alone for a chain that ends at a forbidden labelling.
    """
    lists, no_mean, no_counts = blocks.lists, np.empty((0, 0)), np.empty((0, 0, 0))
    for g in graphs:
        start, end = blocks.node_ptr[g], blocks.node_ptr[g + 1]
        for number in range(len(chains.labels)):
            chain = _Chain(start, end, chains.random[g, number : number + 1], chains.labels[number])
            weight = 0.0
            for t in range(len(factors)):
                if t > 0:
                    weight += (factors[t] - factors[t - 1]) * _pair_score(chain, lists, soft)
                _sweep(chain, blocks, factors[t], soft, no_mean, 0.0, no_counts)
            if _pair_score(chain, lists, scores) > -np.inf:
                log_weight[g, number] = weight


@kernel
def average(blocks, graphs, n_samples, factor, scores, bonds, chains, out):
    """Average the conditional probabilities of each chain over `n_samples` sweeps.

    Pair counts, times ``factor[g]``, are averages over the updates of both ends of an edge.

    Parameters
    ----------
    blocks : Blocks
    graphs : ndarray of int
    n_samples : int
    factor : ndarray of shape (n_graphs,)
    scores : Scores
    bonds : Bonds
    chains : Chains
    out : Averages
    """
    node, lists, n_chains = scores.node, blocks.lists, len(chains.labels)
    n_nodes, n_states = node.shape
    cluster = _Cluster(np.zeros(n_nodes, np.int64), np.empty(n_nodes, np.int64))
    keys, totals = np.empty(n_chains * n_samples, np.uint64), np.empty(n_chains * n_samples)
    for g in graphs:
        start, end = blocks.node_ptr[g], blocks.node_ptr[g + 1]
        for number in range(n_chains):
            chain = _Chain(start, end, chains.random[g, number : number + 1], chains.labels[number])
            labels, mean = chain.labels, out.means[number]
            mean[start:end] = 0.0
            n_exchanges = _exchange(chain, lists, scores, bonds.binds, cluster, 0) if bonds.hard[g] else 0
            for sample in range(n_samples):
                k = number * n_samples + sample
                keys[k] = _key(chain)
                totals[k] = _pair_score(chain, lists, scores)
                for i in range(start, end):
                    totals[k] += node[i, labels[i]]
                if n_exchanges:
                    _exchange(chain, lists, scores, bonds.binds, cluster, n_exchanges)
                _sweep(chain, blocks, 1.0, scores, mean, factor[g], out.counts)
            for i in range(start, end):
                for x in range(n_states):
                    mean[i, x] /= n_samples
        out.visited[g] = _log_sum_of_distinct(keys, totals)


@kernel
def draw(blocks, thin, scores, bonds, chains, drawn):
    """Fill ``drawn[:, chain]``, (n_draws, n_chains, n_nodes), with the chain's labels after every `thin` sweeps."""
    n_nodes, no_mean, no_counts = len(scores.node), np.empty((0, 0)), np.empty((0, 0, 0))
    cluster = _Cluster(np.zeros(n_nodes, np.int64), np.empty(n_nodes, np.int64))
    for g in range(len(blocks.node_ptr) - 1):
        start, end = blocks.node_ptr[g], blocks.node_ptr[g + 1]
        for number in range(len(chains.labels)):
            chain = _Chain(start, end, chains.random[g, number : number + 1], chains.labels[number])
            n_exchanges = 0
            if bonds.hard[g]:
                n_exchanges = _exchange(chain, blocks.lists, scores, bonds.binds, cluster, 0)
            for k in range(len(drawn)):
                for _ in range(thin):
                    if n_exchanges:
                        _exchange(chain, blocks.lists, scores, bonds.binds, cluster, n_exchanges)
                    _sweep(chain, blocks, 1.0, scores, no_mean, 0.0, no_counts)
                drawn[k, number, start:end] = chain.labels[start:end]
