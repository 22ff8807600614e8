"""Kernels of Gibbs sampling: random numbers, annealing, sweeps, exchanges of states on clusters."""

import numpy as np

from skstruct.kernels.jit import kernel

STEP, MIX_1, MIX_2 = (
    np.uint64(0x9E3779B97F4A7C15),
    np.uint64(0xBF58476D1CE4E5B9),
    np.uint64(0x94D049BB133111EB),
)
SHIFTS = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)


@kernel
def _uniform(random, chain):
    """Return a uniform number in [0, 1) by SplitMix64; ``random[chain]`` is its state.

    G. L. Steele, D. Lea, C. H. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
    """
    random[chain] += STEP
    z = random[chain]
    z = (z ^ (z >> SHIFTS[0])) * MIX_1
    z = (z ^ (z >> SHIFTS[1])) * MIX_2
    z = z ^ (z >> SHIFTS[2])
    return np.float64(z >> SHIFTS[3]) * 2.0**-53


@kernel
def colour(ptr, neighbour):
    """Give each node the lowest colour that no lower-numbered neighbour has."""
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
def _conditional(i, factor, ptr, neighbour, edges, flipped, node, edge, rows, labels, out):
    """Probabilities of node `i`'s states given its neighbours' labels; edge scores count `factor` times."""
    n_states = len(out)
    out[:] = node[i]
    for s in range(ptr[i], ptr[i + 1]):
        e, y = rows[edges[s]], labels[neighbour[s]]
        for x in range(n_states):
            out[x] += factor * (edge[e, y, x] if flipped[s] else edge[e, x, y])
    top = out.max()
    total = 0.0
    for x in range(n_states):
        out[x] = np.exp(out[x] - top)
        total += out[x]
    inverse = 1.0 / total
    for x in range(n_states):
        out[x] *= inverse


@kernel
def _pick(probabilities, uniform):
    for x in range(len(probabilities)):
        if uniform < probabilities[x]:
            return x
        uniform -= probabilities[x]
    return np.argmax(probabilities)  # after rounding


@kernel
def _pair_score(start, end, ptr, neighbour, edges, flipped, edge, rows, labels):
    total = 0.0
    for i in range(start, end):
        for s in range(ptr[i], ptr[i + 1]):
            if not flipped[s]:
                total += edge[rows[edges[s]], labels[i], labels[neighbour[s]]]
    return total


@kernel
def _key(start, end, labels):
    """Hash a labelling to 64 bits."""
    key = STEP
    for i in range(start, end):
        key = (key ^ np.uint64(labels[i])) * MIX_1
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
def _exchange(start, end, ptr, neighbour, edges, flipped, node, edge, rows, binds, random, chain, labels, mark,
              cluster):  # fmt: skip
    """Try to exchange two states on one cluster (a Kempe chain); return its size.

    A random node with the state `a` and a random other state `b` define a cluster: the nodes with one of these states
    that edges with ``binds[row, a, b]`` connect. It is the same after the exchange, so that Metropolis' rule applies.
    This connects labellings that changes of single nodes do not connect, such as the two colourings of a ring.
    """
    n_states = node.shape[1]
    seed = start + int(_uniform(random, chain) * (end - start))
    a = labels[seed]
    b = (a + 1 + int(_uniform(random, chain) * (n_states - 1))) % n_states
    size, k = 1, 0
    cluster[0], mark[seed] = seed, 1
    while k < size:
        i = cluster[k]
        k += 1
        for s in range(ptr[i], ptr[i + 1]):
            j = neighbour[s]
            if mark[j] == 0 and (labels[j] == a or labels[j] == b) and binds[rows[edges[s]], a, b]:
                cluster[size], mark[j] = j, 1
                size += 1
    gain = 0.0
    for k in range(size):
        i = cluster[k]
        x, new_x = labels[i], a + b - labels[i]
        gain += node[i, new_x] - node[i, x]
        for s in range(ptr[i], ptr[i + 1]):
            j, matrix = neighbour[s], edge[rows[edges[s]]]
            if mark[j] == 1 and flipped[s]:
                continue  # counted at the other end
            y = labels[j]
            new_y = a + b - y if mark[j] == 1 else y
            gain += matrix[new_y, new_x] - matrix[y, x] if flipped[s] else matrix[new_x, new_y] - matrix[x, y]
    # Half of Metropolis' rate: else a cluster of the whole graph would change at every sweep, and not at every second.
    accepted = np.log(2.0 * _uniform(random, chain)) < min(gain, 0.0)
    for k in range(size):
        i = cluster[k]
        mark[i] = 0
        if accepted:
            labels[i] = a + b - labels[i]
    return size


@kernel
def _exchanges(start, end, ptr, neighbour, edges, flipped, node, edge, rows, binds, random, chain, labels, mark,
              cluster):  # fmt: skip
    """Number of exchanges that cost about as much as a sweep; from then on fixed, as the chain's law requires."""
    n_exchanges, visited = 0, 0
    while visited < end - start and node.shape[1] > 1:
        visited += _exchange(start, end, ptr, neighbour, edges, flipped, node, edge, rows, binds, random, chain, labels,
                             mark, cluster)  # fmt: skip
        n_exchanges += 1
    return n_exchanges


@kernel
def anneal(node_ptr, order, ptr, neighbour, edges, flipped, graphs, factors, node, edge, soft, rows,
           random, all_labels, log_weight):  # fmt: skip
    """Bring the edges in by `factors`, 0 to 1; log-weights of the chains, -inf for a forbidden end."""
    probabilities = np.empty(node.shape[1])
    for g in graphs:
        start, end = node_ptr[g], node_ptr[g + 1]
        for chain in range(len(all_labels)):
            labels = all_labels[chain]
            weight = 0.0
            for t in range(len(factors)):
                if t > 0:
                    score = _pair_score(start, end, ptr, neighbour, edges, flipped, soft, rows, labels)
                    weight += (factors[t] - factors[t - 1]) * score
                for p in range(start, end):
                    i = order[p]
                    _conditional(i, factors[t], ptr, neighbour, edges, flipped, node, soft, rows, labels, probabilities)
                    labels[i] = _pick(probabilities, _uniform(random[g], chain))
            if _pair_score(start, end, ptr, neighbour, edges, flipped, edge, rows, labels) > -np.inf:
                log_weight[g, chain] = weight


@kernel
def average(node_ptr, order, ptr, neighbour, edges, flipped, graphs, n_samples, factor, hard, node, edge, rows, binds,
            random, all_labels, means, counts, visited):  # fmt: skip
    """Mean conditional probabilities of each chain; pair counts by updates of both ends, times `factor`.

    `visited` receives, per graph, the log of the summed exponentiated scores of the distinct labellings between sweeps.
    """
    n_nodes, n_states = node.shape
    probabilities, mark, cluster = np.empty(n_states), np.zeros(n_nodes, np.int64), np.empty(n_nodes, np.int64)
    keys, scores = np.empty(len(all_labels) * n_samples, np.uint64), np.empty(len(all_labels) * n_samples)
    for g in graphs:
        for chain in range(len(all_labels)):
            labels, mean = all_labels[chain], means[chain]
            start, end = node_ptr[g], node_ptr[g + 1]
            mean[start:end] = 0.0
            n_exchanges = 0
            if hard[g]:
                n_exchanges = _exchanges(start, end, ptr, neighbour, edges, flipped, node, edge, rows, binds, random[g],
                                         chain, labels, mark, cluster)  # fmt: skip
            for sample in range(n_samples):
                k = chain * n_samples + sample
                keys[k] = _key(start, end, labels)
                scores[k] = _pair_score(start, end, ptr, neighbour, edges, flipped, edge, rows, labels)
                for i in range(start, end):
                    scores[k] += node[i, labels[i]]
                for _ in range(n_exchanges):
                    _exchange(start, end, ptr, neighbour, edges, flipped, node, edge, rows, binds, random[g], chain,
                              labels, mark, cluster)  # fmt: skip
                for p in range(start, end):
                    i = order[p]
                    _conditional(i, 1.0, ptr, neighbour, edges, flipped, node, edge, rows, labels, probabilities)
                    labels[i] = _pick(probabilities, _uniform(random[g], chain))
                    for x in range(n_states):
                        mean[i, x] += probabilities[x]
                        probabilities[x] *= factor[g]
                    for s in range(ptr[i], ptr[i + 1]):
                        e, y = rows[edges[s]], labels[neighbour[s]]
                        for x in range(n_states):
                            if flipped[s]:
                                counts[e, y, x] += probabilities[x]
                            else:
                                counts[e, x, y] += probabilities[x]
            for i in range(start, end):
                for x in range(n_states):
                    mean[i, x] /= n_samples
        visited[g] = _log_sum_of_distinct(keys, scores)


@kernel
def draw(node_ptr, order, ptr, neighbour, edges, flipped, graphs, thin, hard, node, edge, rows, binds,
         random, all_labels, drawn):  # fmt: skip
    """Fill ``drawn[:, chain]`` with the chain's labels after every `thin` sweeps."""
    n_nodes, n_states = node.shape
    probabilities, mark, cluster = np.empty(n_states), np.zeros(n_nodes, np.int64), np.empty(n_nodes, np.int64)
    for g in graphs:
        for chain in range(len(all_labels)):
            start, end, labels = node_ptr[g], node_ptr[g + 1], all_labels[chain]
            n_exchanges = 0
            if hard[g]:
                n_exchanges = _exchanges(start, end, ptr, neighbour, edges, flipped, node, edge, rows, binds, random[g],
                                         chain, labels, mark, cluster)  # fmt: skip
            for k in range(len(drawn)):
                for _ in range(thin):
                    for _ in range(n_exchanges):
                        _exchange(start, end, ptr, neighbour, edges, flipped, node, edge, rows, binds, random[g], chain,
                                  labels, mark, cluster)  # fmt: skip
                    for p in range(start, end):
                        i = order[p]
                        _conditional(i, 1.0, ptr, neighbour, edges, flipped, node, edge, rows, labels, probabilities)
                        labels[i] = _pick(probabilities, _uniform(random[g], chain))
                drawn[k, chain, start:end] = labels[start:end]
