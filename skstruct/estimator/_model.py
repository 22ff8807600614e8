"""A trained model, on which predictions depend, and its queries about whole datasets, in state codes."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from skstruct.data.dataset import GraphDataset
from skstruct.decoding import Decoder
from skstruct.estimator._chunks import Chunk, KeptPlans, cut, thread_map
from skstruct.exceptions import numbered_from
from skstruct.features import FeaturePlan
from skstruct.inference import InferenceBackend, queries
from skstruct.scores import Scores, clamp, edge_rows


@dataclass(frozen=True)
class Model:
    """Feature plan, parameters, inference backend and classes; answers queries about datasets, chunk by chunk.

    Labels are state codes. The argument `known` of queries, (n_nodes,), contains the codes of labels to condition on,
    and `MISSING` for other nodes. None: no label is known. A graph without an allowed labelling raises InfeasibleGraph
    with its number in the dataset.

    Attributes
    ----------
    feature_plan : FeaturePlan
    coef : ndarray of shape (n_coef,)
    backend : InferenceBackend
    classes : ndarray of shape (n_states,)
        The label of each state.
    n_jobs : int or None
        Number of threads that process chunks, as in scikit-learn.
    temperature : float
        Number by which all scores are divided.
    kept_plans : KeptPlans
        Of `backend`.
    """

    feature_plan: FeaturePlan
    coef: np.ndarray
    backend: InferenceBackend
    classes: np.ndarray
    n_jobs: int | None = None
    temperature: float = 1.0
    kept_plans: KeptPlans = field(default_factory=KeptPlans, compare=False, repr=False)

    def __getstate__(self):
        return {name: value for name, value in vars(self).items() if name != "kept_plans"}

    def __setstate__(self, state):
        self.__dict__.update(state, kept_plans=KeptPlans())
        shape, expected = np.shape(self.coef), (self.feature_plan.n_coef,)
        if shape != expected:
            raise ValueError(f"the state of a model is damaged: coef has the shape {shape} instead of {expected}")

    @property
    def n_states(self) -> int:
        """Number of states."""
        return len(self.classes)

    def each_chunk(
        self, dataset: GraphDataset, query: Callable[[Chunk, Scores], Any], known: np.ndarray | None = None
    ) -> list:
        """Run ``query(chunk, scores)`` on all chunks, in threads, and return the results in the order of the chunks."""
        chunks = cut(dataset, self.n_states, self.backend, self.kept_plans)

        def run(chunk):
            with numbered_from(chunk.graphs.start):
                scores = self.batch_scores(chunk.batch)
                return query(chunk, scores if known is None else clamp(scores, known[chunk.nodes]))

        if len(chunks) == 1:
            return [run(chunks[0])]
        with thread_map(self.n_jobs) as in_threads:
            return in_threads(run, chunks)

    def batch_scores(self, batch: GraphDataset) -> Scores:
        """Scores of a batch, divided by the temperature."""
        found = self.feature_plan.scores(self.feature_plan.prepare(batch), self.coef)[0]
        n = self.n_states
        if found.node.shape[1] != n or found.edge.shape[1:] != (n, n):  # compiled code would read out of bounds
            raise ValueError(f"the feature map has scores of {found.node.shape[1]} states, but there are {n} classes")
        if self.temperature == 1.0:
            return found
        return found._replace(node=found.node / self.temperature, edge=found.edge / self.temperature)

    def scores(self, dataset: GraphDataset) -> tuple[np.ndarray, np.ndarray]:
        """Score tensors, (n_nodes, n_states) and (n_edges, n_states, n_states)."""
        found = self.batch_scores(dataset)
        return found.node, found.edge[edge_rows(found, dataset.n_edges)]

    def marginals(self, dataset: GraphDataset, known: np.ndarray | None = None) -> np.ndarray:
        """Node marginals, (n_nodes, n_states)."""
        found = self.each_chunk(dataset, lambda chunk, s: queries.marginals(chunk.plan, s).node, known)
        return _at_most_one(_join(found, (0, self.n_states)))

    def edge_marginals(self, dataset: GraphDataset, known: np.ndarray | None = None) -> np.ndarray:
        """Pair marginals of every edge, (n_edges, n_states, n_states)."""
        found = self.each_chunk(dataset, lambda chunk, s: queries.pair_marginals(chunk.plan, s).edge, known)
        return _at_most_one(_join(found, (0, self.n_states, self.n_states)))

    def decode(
        self, dataset: GraphDataset, decoder: Decoder | None = None, known: np.ndarray | None = None
    ) -> np.ndarray:
        """Codes of a labelling, (n_nodes,), by a decoder; None: by the inference backend."""
        found = self.each_chunk(dataset, lambda chunk, s: queries.decode(chunk.plan, s, decoder).labels, known)
        return _join(found, (0,), np.intp)

    def sample(
        self, dataset: GraphDataset, n_samples: int, random_state: Any, known: np.ndarray | None = None
    ) -> np.ndarray:
        """Codes of joint draws, (n_nodes, n_samples)."""
        seed = queries.generator(random_state).integers(2**63)

        def query(chunk, scores):
            # a generator for each chunk: the samples do not depend on the order in which threads process chunks
            rng = np.random.default_rng([seed, chunk.graphs.start])
            return queries.sample(chunk.plan, scores, n_samples, rng).T

        return _join(self.each_chunk(dataset, query, known), (0, n_samples), np.intp)

    def top_k(self, dataset: GraphDataset, k: int, known: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Codes of the `k` best labellings, (n_nodes, k), and their log-probabilities, (n_graphs, k).

        A graph with fewer than `k` allowed labellings repeats its best labelling with the log-probability -inf.
        """
        codes = np.empty((dataset.n_nodes, k), np.intp)
        log_likelihood = np.full((len(dataset), k), -np.inf)

        def query(chunk, scores):
            found, score = queries.top_k(chunk.plan, scores, k)
            codes[chunk.nodes] = found.T
            log_likelihood[chunk.graphs] = score - chunk.plan.marginals(scores).log_partition[:, None]

        self.each_chunk(dataset, query, known)
        return codes, log_likelihood

    def log_partition(self, dataset: GraphDataset) -> np.ndarray:
        """Log-partition of each graph, (n_graphs,)."""
        return _join(self.each_chunk(dataset, lambda chunk, s: queries.marginals(chunk.plan, s).log_partition), (0,))

    def log_partition_bounds(self, dataset: GraphDataset) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper bounds of the log-partition, both (n_graphs,)."""
        found = self.each_chunk(dataset, lambda chunk, s: queries.log_partition_bounds(chunk.plan, s))
        lower, upper = (_join([bounds[side] for bounds in found], (0,)) for side in (0, 1))
        return lower, upper

    def entropy(self, dataset: GraphDataset, known: np.ndarray | None = None) -> np.ndarray:
        """Entropy of the labelling of each graph, (n_graphs,)."""
        return _join(self.each_chunk(dataset, lambda chunk, s: queries.entropy(chunk.plan, s), known), (0,))

    def log_likelihood(self, dataset: GraphDataset, codes: np.ndarray) -> np.ndarray:
        """Log-probability of the labels of each graph, (n_graphs,); of the known labels where some are `MISSING`."""

        def query(chunk, scores):
            return queries.log_likelihood(chunk.plan, scores, codes[chunk.nodes])

        return _join(self.each_chunk(dataset, query), (0,))

    def saliency(self, dataset: GraphDataset, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Gradients of `log_likelihood` with respect to the features of nodes, and of edges (None without features)."""

        def query(chunk, scores):
            d_scores = queries.log_likelihood_gradient(chunk.plan, scores, codes[chunk.nodes])
            d_scores = d_scores._replace(node=d_scores.node / self.temperature, edge=d_scores.edge / self.temperature)
            return self.feature_plan.input_gradient(self.feature_plan.prepare(chunk.batch), self.coef, d_scores)

        found = self.each_chunk(dataset, query)
        node = _join([node for node, _ in found], (0, dataset.node_features.shape[1]))
        if dataset.edge_features is None:
            return node, None
        return node, _join([edge for _, edge in found if edge is not None], (0, dataset.edge_features.shape[1]))

    def report(self, dataset: GraphDataset) -> dict[str, np.ndarray]:
        """Report on inference and decoding: a dict of arrays with an entry per graph."""
        n = len(dataset)
        report = {
            "backend": np.empty(n, object),
            "exact": np.empty(n, bool),
            "width": np.full(n, -1),
            "entries": np.zeros(n),
            "n_iter": np.empty(n, np.intp),
            "converged": np.empty(n, bool),
            "residual": np.empty(n),
            "gap": np.empty(n),
            "seconds": np.empty(n),
        }

        def query(chunk, scores):
            plan, at = chunk.plan, chunk.graphs
            start = time.perf_counter()
            found, decoded = plan.marginals(scores), plan.decode(scores)
            seconds = time.perf_counter() - start
            for name in ("n_iter", "converged", "residual"):
                report[name][at] = getattr(found, name)
            gap = np.zeros(len(chunk.batch))  # an optimal labelling keeps 0: -inf - -inf would be nan
            report["gap"][at] = np.subtract(decoded.bound, decoded.score, out=gap, where=~decoded.optimal)
            sizes = np.diff(chunk.batch.node_ptr)
            report["seconds"][at] = seconds * sizes / max(sizes.sum(), 1)  # the time of a chunk, divided by nodes
            for graphs, group in plan.groups:
                for name in ("name", "exact", "width", "entries"):
                    report["backend" if name == "name" else name][at.start + graphs] = getattr(group, name)

        self.each_chunk(dataset, query)
        return report


def _at_most_one(probability):
    """Probabilities without the rounding errors that scikit-learn refuses, such as 1 + 2e-16; in place."""
    return np.minimum(probability, 1.0, out=probability)


def _join(arrays, empty_shape, dtype=np.float64):
    """Concatenate the results of chunks; `empty_shape` is the shape of the result if there is no chunk."""
    return np.concatenate([np.zeros(empty_shape, dtype), *arrays], dtype=dtype, casting="unsafe")
