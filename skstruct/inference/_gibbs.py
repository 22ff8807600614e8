"""Gibbs sampling: marginals with standard errors and labellings drawn from the model, on any graph."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from skstruct.components import require_integers, require_number
from skstruct.data.adjacency import adjacency
from skstruct.data.topology import Topology
from skstruct.inference._base import InferenceBackend, InferencePlan
from skstruct.inference._gibbs_kernels import Averages, Blocks, Bonds, Chains, anneal, average, colour, draw
from skstruct.inference._loopy import LoopyBP
from skstruct.inference.allowed import find_allowed
from skstruct.scores import Marginals, score_labelling, weigh_nodes, with_rows

PENALTY = 20.0  # forbidden pairs score this many nats below the lowest score of their matrix while annealing
STRONG = 4.0  # an edge ties nodes together if it prefers two states equal (or unequal) by more than this, in nats
FAILED = 1.0  # largest difference in nats by which an estimate of the log-partition may be below a lower bound


class Gibbs(InferenceBackend):
    r"""Monte Carlo estimates of marginals by resampling one node at a time given its neighbours [1]_.

    Several independent chains run on each graph. A sweep visits the nodes colour by colour of a greedy
    colouring: no edge joins two nodes of one colour, so that they are updated as one block. Node and pair marginals are
    averages of the conditional probabilities that states are drawn from, not of the drawn states (Rao-Blackwell). They
    agree along edges only up to sampling noise. ``plan.standard_errors(scores)`` estimates the standard errors of the
    node marginals by comparison of the chains. ``plan.sample`` draws labellings.

    The burn-in is annealed importance sampling [2]_. Each chain starts from an exact draw of the model without edges.
    Then the edge scores are multiplied by factors :math:`\beta_t = t / T` that increase from 0 to 1 over :math:`T`
    sweeps. The weight of a chain,

    .. math:: w = Z_{\text{no edges}} \prod_{t=1}^{T} \exp\bigl((\beta_t - \beta_{t-1}) \, s_e(y^{(t-1)})\bigr),

    is an unbiased estimate of :math:`Z`, whatever the number of sweeps. ``log_partition`` is the logarithm of
    the chains' mean weight. Its expectation is below the truth, but a single run is no bound. The derivative of
    ``log_partition`` is not the marginals: for training, prefer a backend where it is.

    All random numbers come from `random_state`: the same scores give the same numbers at every call, in any
    batch. ``plan.sample`` takes a generator of its own instead.

    Parameters
    ----------
    n_samples : int, default=200
        Number of sweeps of each chain that are averaged.
    burn_in : int, default=200
        Number of sweeps of each chain before these, for the annealing.
    n_chains : int, default=10
        Number of chains, at least 2.
    thin : int, default=10
        Number of sweeps of a chain between two labellings that ``plan.sample`` returns. The labellings become
        independent as the number increases.
    tol : float, default=0.05
        Largest standard error of a node marginal that counts as converged.
    random_state : int, default=0
        Seed of the random numbers.

    Notes
    -----
    Time O(n_edges * n_states) per sweep. Errors decrease with the square root of the number of sweeps. They are
    estimated from differences between chains. Where scores are so strong that a chain never leaves the mode in which
    annealing ended, the weight of a mode is estimated by the fraction of chains in it alone.

    With forbidden pairs, single-node updates may not connect all allowed labellings. With strong scores they are slow.
    So between two sweeps, pairs of states are also exchanged on clusters of nodes that such edges tie together [3]_.
    The estimates cover the labellings that the chains can reach. Annealing gives a forbidden pair a large penalty
    first. A chain that still ends at a forbidden labelling starts at an allowed one near to it, found by depth-first
    search, and its weight is zero.

    ``log_partition`` is never below the log of the summed exponentiated scores of the labellings that the chains
    visit, nor below the score of the decoded one. Where the estimate by annealing is more than one nat below these
    bounds, annealing has failed, and ``converged`` is False. If no allowed labelling is found, ``log_partition`` is
    -inf.

    References
    ----------
    .. [1] S. Geman, D. Geman, "Stochastic relaxation, Gibbs distributions, and the Bayesian restoration of
       images", *IEEE Trans. PAMI* 6(6), 1984.
    .. [2] R. M. Neal, "Annealed importance sampling", *Statistics and Computing* 11(2), 2001.
    .. [3] J.-S. Wang, R. H. Swendsen, R. Kotecky, "Antiferromagnetic Potts models", *Physical Review Letters* 63(2),
       1989.

    Examples
    --------
    >>> import numpy as np
    >>> from skstruct import Topology
    >>> from skstruct.scores import Scores
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
        require_integers(self, "n_samples", "burn_in", "thin")
        require_integers(self, "n_chains", least=2)
        require_integers(self, "random_state", least=0)
        require_number(self, "tol", lambda tol: tol > 0, "a positive number")
        seeds = np.random.SeedSequence(int(self.random_state)).generate_state(int(self.n_chains), np.uint64)
        decoder = LoopyBP()._plan(topology, n_states)
        n_samples, burn_in, thin = int(self.n_samples), int(self.burn_in), int(self.thin)
        return _GibbsPlan(topology, decoder, seeds, n_samples, burn_in, thin, float(self.tol))


@dataclass(frozen=True)
class _GibbsPlan(InferencePlan):
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
    def _lists(self):
        return adjacency(self.topology.edges, self.topology.n_nodes)

    @cached_property
    def colours(self):
        """Colour of each node, (n_nodes,), from 0: no edge joins two nodes of one colour."""
        return colour(self._lists)

    @cached_property
    def blocks(self):
        """Order of the updates, and neighbour lists."""
        order = np.lexsort((self.colours, self.topology.node_graph))
        return Blocks(self.topology.node_ptr, order, self._lists)

    def decode(self, scores):
        return self.decoder.decode(scores)

    def _bonds(self, scores):
        """Find the pairs of states that the edges tie together; `scores` as from `with_rows`."""
        diagonal = np.einsum("eaa->ea", scores.edge)
        coupling = diagonal[:, :, None] + diagonal[:, None] - scores.edge - scores.edge.transpose(0, 2, 1)
        binds = ~(np.abs(coupling) <= STRONG)  # also where a pair is forbidden: inf or nan
        return Bonds(binds, self.topology.sum_edges(binds.any(axis=(1, 2))[scores.edge_matrix]) > 0)

    def _burn_in(self, scores, random, start):
        """Anneal new chains; returns the chains and an estimate of the log-partition, (n_graphs,).

        `random` is the state of the random numbers of each graph and chain. A chain that ends at a forbidden labelling
        moves to an allowed one: to one near to it, or to `start` (n_nodes,) if `start` is allowed.
        """
        t, n_chains = self.topology, random.shape[1]
        chains = Chains(random, np.zeros((n_chains, t.n_nodes), np.intp))
        possible = t.sum_nodes(np.isneginf(scores.node).all(axis=1)) == 0
        lowest = np.where(np.isfinite(scores.edge), scores.edge, 0.0).min(axis=(1, 2), keepdims=True)
        soft = np.where(np.isneginf(scores.edge), lowest - PENALTY, scores.edge)
        log_weight = np.full((t.n_graphs, n_chains), -np.inf)
        factors = np.arange(self.burn_in + 1) / self.burn_in
        anneal(self.blocks, np.flatnonzero(possible), factors, scores, scores._replace(edge=soft), chains, log_weight)
        log_partition = np.logaddexp.reduce(log_weight, axis=1) - np.log(n_chains)
        log_partition[possible] += t.sum_nodes(np.logaddexp.reduce(scores.node, axis=1))[possible]
        startable = score_labelling(t, scores, start) > -np.inf
        for chain, stuck in enumerate((np.isneginf(log_weight) & startable[:, None]).T):
            if stuck.any():
                own = chains.labels[chain]
                find_allowed(t, scores, own, np.flatnonzero(stuck))
                lost = np.isneginf(score_labelling(t, scores, own)) & stuck
                own[lost[t.node_graph]] = start[lost[t.node_graph]]
        return chains, log_partition

    def _start(self, scores, labels):
        """Return a labelling to start at where a chain finds none, (n_nodes,), and its score."""
        t, decoded = self.topology, self.decode(scores)
        if labels is None:
            return decoded.labels, decoded.score
        own = score_labelling(t, scores, labels)
        better = own > decoded.score
        return np.where(better[t.node_graph], labels, decoded.labels), np.maximum(own, decoded.score)

    def _estimate(self, scores, weights=None, labels=None):
        """Marginals, and standard errors of the node marginals."""
        t, n_chains = self.topology, len(self.seeds)
        weights = np.ones(t.n_graphs) if weights is None else np.asarray(weights, np.float64)
        random = np.tile(self.seeds, (t.n_graphs, 1))
        means = np.full((n_chains, *scores.node.shape), np.nan)
        counts, visited = np.zeros_like(scores.edge), np.full(t.n_graphs, -np.inf)
        scores = with_rows(scores, t.n_edges)
        start, score = self._start(scores, labels)
        graphs = np.flatnonzero(score > -np.inf)
        with np.errstate(all="ignore"):  # random numbers overflow on purpose; seen with NUMBA_DISABLE_JIT=1 only
            chains, estimate = self._burn_in(scores, random, start)
            factor = weights / (2.0 * n_chains * self.n_samples)
            found = Averages(means, counts, visited)
            average(self.blocks, graphs, self.n_samples, factor, scores, self._bonds(scores), chains, found)
        errors = means.std(axis=0, ddof=1) / np.sqrt(n_chains)
        residual = np.zeros(t.n_graphs)
        np.fmax.at(residual, t.node_graph, errors.max(axis=1))
        lower = np.maximum(visited, score)
        log_partition = np.where(score > -np.inf, np.maximum(estimate, lower), -np.inf)
        converged = (residual <= self.tol) & (log_partition - FAILED <= estimate)
        n_iter = np.full(t.n_graphs, self.burn_in + self.n_samples)
        node = weigh_nodes(t, means.mean(axis=0), weights)
        return Marginals(log_partition, node, counts, n_iter, residual, converged), errors

    def marginals(self, scores, weights=None):
        return self._estimate(scores, weights)[0]

    def marginals_from(self, scores, weights, labels):
        """As `marginals`; chains may start at the given labelling, (n_nodes,) or None."""
        return self._estimate(scores, weights, labels)[0]

    def standard_errors(self, scores):
        """Monte Carlo standard errors of the node marginals, (n_nodes, n_states), by the spread of chains."""
        return self._estimate(scores)[1]

    def sample(self, scores, n_samples, rng):
        """Draw labellings, (n_samples, n_nodes): `thin` sweeps apart in each chain, the chains in turn.

        Raises InfeasibleGraph if no allowed labelling of a graph is found.
        """
        t, n_chains = self.topology, len(self.seeds)
        random = rng.integers(0, 2**64, size=(t.n_graphs, n_chains), dtype=np.uint64)
        drawn = np.zeros((-(-n_samples // n_chains), n_chains, t.n_nodes), np.intp)
        start, score = self._start(scores, None)
        self.require_allowed(scores, score)
        with np.errstate(all="ignore"):  # as above
            scores = with_rows(scores, t.n_edges)
            chains, _ = self._burn_in(scores, random, start)
            draw(self.blocks, self.thin, scores, self._bonds(scores), chains, drawn)
        return drawn.reshape(len(drawn) * n_chains, t.n_nodes)[:n_samples]
