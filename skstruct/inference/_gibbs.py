"""Gibbs sampling: marginals with standard errors and labellings drawn from the model, on any graph."""

from dataclasses import dataclass
from functools import cached_property
from numbers import Integral

import numpy as np

from skstruct._jit import kernel
from skstruct._records import Marginals
from skstruct._topology import Topology
from skstruct.exceptions import InfeasibleGraph
from skstruct.inference._adjacency import adjacency
from skstruct.inference._base import InferenceBackend, InferencePlan, edge_rows
from skstruct.inference._loopy import LoopyBP

PENALTY = 20.0  # nats below the lowest score of a matrix that its forbidden pairs get while annealing


class Gibbs(InferenceBackend):
    r"""Monte Carlo estimates of marginals by resampling one node at a time given its neighbours [1]_.

    Several independent chains run on each graph. A sweep visits the nodes colour by colour of a greedy
    colouring: nodes of one colour have no edges between them, hence are updated as one block. Node marginals
    are averages of the conditional probabilities that a node's state is drawn from, and pair marginals
    likewise, rather than of the drawn states (Rao-Blackwell). They agree along edges only up to sampling
    noise. ``plan.standard_errors(scores)`` are standard errors of the node marginals by comparison of the
    chains, ``plan.sample`` draws labellings.

    The burn-in is annealed importance sampling [2]_: each chain starts from an exact draw of the model
    without edges, and the edge scores come in with factors :math:`\beta_t = t / T` from 0 to 1 over :math:`T`
    sweeps. Its weight

    .. math:: w = Z_{\text{no edges}} \prod_{t=1}^{T} \exp\big((\beta_t - \beta_{t-1}) \, s_e(y^{(t-1)})\big)

    is an unbiased estimate of :math:`Z`, whatever the number of sweeps. ``log_partition`` is the logarithm of
    the chains' mean, which is below the truth in expectation, but no bound in a single run. Neither is its
    derivative the marginals: for training, prefer a backend of which it is.

    All random numbers come from `random_state`: the same scores give the same numbers at every call, in any
    batch. ``plan.sample`` takes a generator of its own instead.

    Parameters
    ----------
    n_samples : int, default=200
        Sweeps of each chain that are averaged.
    burn_in : int, default=200
        Sweeps of each chain before those, which anneal it.
    n_chains : int, default=10
        At least 2.
    thin : int, default=10
        Sweeps of a chain between two labellings that ``plan.sample`` returns; they are independent in the
        limit.
    tol : float, default=0.05
        Standard error of a node marginal that still counts as converged.
    random_state : int, default=0

    Notes
    -----
    Time O(n_edges * n_states) per sweep. Errors fall with the root of the number of sweeps, and
    are only found where chains differ: where scores are so strong that a chain never leaves the mode that
    annealing took it to, the share of chains in each mode is all that is known of its weight.

    With forbidden pairs, single-node updates may not connect all allowed labellings; then the estimates are
    of what the chains can reach. Annealing gives a forbidden pair a large penalty first. A chain that still
    ends at a forbidden labelling starts at a decoded one, and its weight is zero; if that is the fate of all,
    ``log_partition`` is the score of the decoded labelling, a lower bound, and -inf if decoding finds none
    that is allowed.

    References
    ----------
    .. [1] S. Geman, D. Geman, "Stochastic relaxation, Gibbs distributions, and the Bayesian restoration of
       images", *IEEE Trans. PAMI* 6(6), 1984.
    .. [2] R. M. Neal, "Annealed importance sampling", *Statistics and Computing* 11(2), 2001.

    Examples
    --------
    >>> import numpy as np
    >>> from skstruct import Topology
    >>> from skstruct._records import Scores
    >>> from skstruct.inference import Gibbs
    >>> plan = Gibbs().plan(Topology.from_edges([(0, 1), (1, 2), (2, 0)], n_nodes=3), n_states=2)
    >>> scores = Scores(np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]]), np.zeros((3, 2, 2)))
    >>> bool(abs(plan.marginals(scores).node[0, 0] - 1 / (1 + np.exp(-1))) < 1e-12)
    True
    >>> plan.sample(scores, 5, np.random.default_rng(0)).shape
    (5, 3)
    """

    name = "gibbs"
    exact = False
    family = "any graph"

    def __init__(self, n_samples=200, burn_in=200, n_chains=10, thin=10, tol=0.05, random_state=0):
        self.n_samples = n_samples
        self.burn_in = burn_in
        self.n_chains = n_chains
        self.thin = thin
        self.tol = tol
        self.random_state = random_state

    def accepts(self, topology, n_states):
        """Accept every graph."""
        return np.ones(topology.n_graphs, bool)

    def _plan(self, topology, n_states):
        for name, least in (
            ("n_samples", 1),
            ("burn_in", 1),
            ("n_chains", 2),
            ("thin", 1),
            ("random_state", 0),
        ):
            value = getattr(self, name)
            if not isinstance(value, Integral) or value < least:
                raise ValueError(f"Gibbs: {name} must be an integer of at least {least}, got {value!r}.")
        if not self.tol > 0:
            raise ValueError(f"Gibbs: tol must be positive, got {self.tol!r}.")
        seeds = np.random.SeedSequence(int(self.random_state)).generate_state(int(self.n_chains), np.uint64)
        decoder = LoopyBP()._plan(topology, n_states)
        n_samples, burn_in, thin = int(self.n_samples), int(self.burn_in), int(self.thin)
        return _GibbsPlan(topology, decoder, seeds, n_samples, burn_in, thin, float(self.tol))


@dataclass(frozen=True)
class _GibbsPlan:
    topology: Topology
    decoder: InferencePlan
    seeds: np.ndarray  # (n_chains,)
    n_samples: int
    burn_in: int
    thin: int
    tol: float
    name = Gibbs.name
    exact = False

    @cached_property
    def colours(self):
        """Colour of each node, (n_nodes,), from 0: no edge joins two nodes of one colour."""
        lists = adjacency(self.topology.edges, self.topology.n_nodes)
        return _colour(lists.ptr, lists.neighbour)

    @cached_property
    def arrays(self):
        t = self.topology
        lists = adjacency(t.edges, t.n_nodes)
        order = np.lexsort((self.colours, t.node_graph))
        return t.node_ptr, order, lists.ptr, lists.neighbour, lists.edge, lists.flipped

    def decode(self, scores):
        return self.decoder.decode(scores)

    def _burn_in(self, scores, random):
        """Anneal all chains, ready to sample from: feasible graphs, states, log-partition.

        `random` holds the state of the random numbers of each graph and chain, and moves on.
        """
        t, n_chains = self.topology, random.shape[1]
        rows = edge_rows(scores, t.n_edges).astype(np.int32, copy=False)
        labels = np.zeros((n_chains, t.n_nodes), np.intp)
        feasible = t.sum_nodes(np.isneginf(scores.node).all(axis=1)) == 0
        lowest = np.where(np.isfinite(scores.edge), scores.edge, 0.0).min(axis=(1, 2), keepdims=True)
        soft = np.where(np.isneginf(scores.edge), lowest - PENALTY, scores.edge)
        log_weight = np.full((t.n_graphs, n_chains), -np.inf)
        factors = np.arange(self.burn_in + 1) / self.burn_in
        _anneal(
            *self.arrays, np.flatnonzero(feasible), factors, scores.node, scores.edge, soft, rows,
            random, labels, log_weight,
        )  # fmt: skip
        log_partition = np.logaddexp.reduce(log_weight, axis=1) - np.log(n_chains)
        log_partition[feasible] += t.sum_nodes(np.logaddexp.reduce(scores.node, axis=1))[feasible]
        stuck = np.isneginf(log_weight) & feasible[:, None]
        if stuck.any():
            decoded = self.decode(scores)
            feasible &= ~stuck.any(axis=1) | (decoded.score > -np.inf)
            nodes = stuck.T[:, t.node_graph]  # (n_chains, n_nodes)
            labels[nodes] = np.broadcast_to(decoded.labels, labels.shape)[nodes]
            log_partition = np.where(stuck.all(axis=1), decoded.score, log_partition)
        return rows, np.flatnonzero(feasible), labels, np.where(feasible, log_partition, -np.inf)

    def _estimate(self, scores, weights):
        """Marginals, and standard errors of the node marginals."""
        t, n_chains = self.topology, len(self.seeds)
        weights = np.ones(t.n_graphs) if weights is None else np.asarray(weights, np.float64)
        random = np.tile(self.seeds, (t.n_graphs, 1))
        means = np.full((n_chains, *scores.node.shape), np.nan)
        counts = np.zeros_like(scores.edge)
        with np.errstate(all="ignore"):  # random numbers overflow on purpose; seen with NUMBA_DISABLE_JIT=1 only
            rows, graphs, labels, log_partition = self._burn_in(scores, random)
            factor = weights / (2.0 * n_chains * self.n_samples)
            _average(
                *self.arrays,
                graphs,
                self.n_samples,
                factor,
                scores.node,
                scores.edge,
                rows,
                random,
                labels,
                means,
                counts,
            )
        errors = means.std(axis=0, ddof=1) / np.sqrt(n_chains)
        residual = np.zeros(t.n_graphs)
        np.fmax.at(residual, t.node_graph, errors.max(axis=1))
        n_iter = np.full(t.n_graphs, self.burn_in + self.n_samples)
        return Marginals(log_partition, means.mean(axis=0), counts, n_iter, residual, residual <= self.tol), errors

    def marginals(self, scores, weights=None):
        return self._estimate(scores, weights)[0]

    def standard_errors(self, scores):
        """Monte Carlo standard errors of the node marginals, (n_nodes, n_states), by the spread of chains."""
        return self._estimate(scores, None)[1]

    def sample(self, scores, n_samples, rng):
        """Draw labellings, (n_samples, n_nodes): `thin` sweeps apart in each chain, the chains in turn.

        Raises InfeasibleGraph if no allowed labelling of a graph is found.
        """
        t, n_chains = self.topology, len(self.seeds)
        random = rng.integers(0, 2**64, size=(t.n_graphs, n_chains), dtype=np.uint64)
        drawn = np.zeros((-(-n_samples // n_chains), n_chains, t.n_nodes), np.intp)
        with np.errstate(all="ignore"):
            rows, graphs, labels, log_partition = self._burn_in(scores, random)
            if np.isneginf(log_partition).any():
                raise InfeasibleGraph(log_partition.argmin(), "no allowed labelling was found to sample from")
            _draw(*self.arrays, graphs, self.thin, scores.node, scores.edge, rows, random, labels, drawn)
        return drawn.reshape(len(drawn) * n_chains, t.n_nodes)[:n_samples]


# -------------------------------------------------------------------------------------------- kernels
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
def _colour(ptr, neighbour):
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
def _anneal(node_ptr, order, ptr, neighbour, edges, flipped, graphs, factors, node, edge, soft, rows,
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
def _average(node_ptr, order, ptr, neighbour, edges, flipped, graphs, n_samples, factor, node, edge, rows,
             random, all_labels, means, counts):  # fmt: skip
    """Mean conditional probabilities of each chain; pair counts by updates of both ends, times `factor`."""
    n_states = node.shape[1]
    probabilities = np.empty(n_states)
    for g in graphs:
        for chain in range(len(all_labels)):
            labels, mean = all_labels[chain], means[chain]
            mean[node_ptr[g] : node_ptr[g + 1]] = 0.0
            for _ in range(n_samples):
                for p in range(node_ptr[g], node_ptr[g + 1]):
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
            for i in range(node_ptr[g], node_ptr[g + 1]):
                for x in range(n_states):
                    mean[i, x] /= n_samples


@kernel
def _draw(node_ptr, order, ptr, neighbour, edges, flipped, graphs, thin, node, edge, rows,
          random, all_labels, drawn):  # fmt: skip
    """Fill ``drawn[:, chain]`` with the chain's labels after every `thin` sweeps."""
    probabilities = np.empty(node.shape[1])
    for g in graphs:
        for chain in range(len(all_labels)):
            labels = all_labels[chain]
            for k in range(len(drawn)):
                for _ in range(thin):
                    for p in range(node_ptr[g], node_ptr[g + 1]):
                        i = order[p]
                        _conditional(i, 1.0, ptr, neighbour, edges, flipped, node, edge, rows, labels, probabilities)
                        labels[i] = _pick(probabilities, _uniform(random[g], chain))
                drawn[k, chain, node_ptr[g] : node_ptr[g + 1]] = labels[node_ptr[g] : node_ptr[g + 1]]
