"""The function that an optimiser minimises: the penalised loss of all training graphs, summed over chunks."""

from functools import cached_property

import numpy as np

from skstruct import _chunks
from skstruct._jit import kernel
from skstruct._records import Scores
from skstruct._simd import aligned_zeros
from skstruct.exceptions import numbered_from

MOST_SHARDS = 8  # threads that can share an evaluation
MINIBATCH_GRAPHS, MINIBATCH_SCORES = 16, 2**14  # more would take larger steps in fewer directions
WORK_PER_WEIGHT = 2  # node scores for each parameter of a shard: its buffer is cleared and added in less time


class TrainingLoss:
    """``f(coef) = factor * sum_g weights[g] * loss_g(coef) + sum(l2 * coef**2) / 2``, with its gradient.

    Chunks are dealt to shards, each with a gradient buffer of its own; shards are added in their order, so that the
    result has the same bits for any number of threads. It is a `StochasticFunction`, too, whose mini-batches are a
    few graphs each.

    Parameters
    ----------
    dataset : GraphDataset
    feature_plan : FeaturePlan
    backend : InferenceBackend
    objective : Objective
    codes : ndarray of shape (n_nodes,)
        State codes.
    n_states : int
    weights : ndarray of shape (n_graphs,)
    factor : float
    l2 : ndarray of shape (n_coef,)
    in_threads : callable
        ``in_threads(function, *iterables)``, from `thread_map`.
    """

    def __init__(self, dataset, feature_plan, backend, objective, codes, n_states, weights, factor, l2, in_threads):
        self.dataset, self.feature_plan, self.backend, self.objective = dataset, feature_plan, backend, objective
        self.codes, self.n_states, self.weights, self.in_threads = codes, n_states, weights, in_threads
        self.factor, self.l2 = factor, l2 * feature_plan.free
        self.chunks = _chunks.cut(dataset, n_states, backend)
        self.inputs = in_threads(feature_plan.prepare, [chunk.batch for chunk in self.chunks])
        most = np.clip(dataset.n_nodes * n_states // (WORK_PER_WEIGHT * feature_plan.n_coef), 2, MOST_SHARDS)
        self.shards = np.array_split(np.arange(len(self.chunks)), min(len(self.chunks), most))
        self.coef, *self.buffers = (aligned_zeros(feature_plan.n_coef) for _ in range(len(self.shards) + 1))

    def __call__(self, coef):
        """Value and gradient, (n_coef,)."""
        self.coef[:] = coef  # aligned to cache lines
        values = self.in_threads(self._evaluate, self.shards, self.buffers)
        gradient = self.buffers[0].copy()
        for buffer in self.buffers[1:]:
            gradient += buffer
        penalty = _penalise(gradient, self.factor, self.feature_plan.free, self.l2, coef)
        return self.factor * sum(values) + 0.5 * penalty, gradient

    def _evaluate(self, shard, gradient):
        """Loss of the chunks of a shard; their gradient replaces what `gradient` holds."""
        gradient.fill(0.0)
        value = 0.0
        for number in shard:
            chunk, inputs = self.chunks[number], self.inputs[number]
            part, d_scores = self._loss(chunk, inputs, self.coef)
            value += part
            self.feature_plan.pullback(inputs, self.coef, d_scores, gradient)
        return value

    def _loss(self, chunk, inputs, coef):
        scores = self.feature_plan.scores(inputs, coef)
        with numbered_from(chunk.graphs.start):
            return self.objective.value_and_gradient(
                chunk.plan, scores, self.codes[chunk.nodes], self.weights[chunk.graphs]
            )

    # --------------------------------------------------------------------------------- mini-batches
    @cached_property
    def _minibatches(self):
        chunks = _chunks.cut(self.dataset, self.n_states, self.backend, MINIBATCH_SCORES, MINIBATCH_GRAPHS)
        return [(chunk, self.feature_plan.prepare(chunk.batch)) for chunk in chunks]

    @property
    def n_batches(self):
        """Number of mini-batches."""
        return len(self._minibatches)

    def steps(self, batches, coef, rate):
        """Take gradient steps on some mini-batches, and return the sum of their losses; see `StochasticFunction`."""
        value = 0.0
        for number in batches:
            chunk, inputs = self._minibatches[number]
            part, (node, edge, rows) = self._loss(chunk, inputs, coef)
            value += part
            if rate:
                node *= -rate * self.factor
                edge *= -rate * self.factor
                self.feature_plan.pullback(inputs, coef, Scores(node, edge, rows), coef)
        coef *= self.feature_plan.free  # here and not after each step, as it costs O(n_coef)
        return self.factor * value


@kernel(fastmath={"contract", "reassoc"})
def _penalise(gradient, factor, free, l2, coef):
    """``gradient = factor * gradient * free + l2 * coef``, in place; returns ``sum(l2 * coef**2)``."""
    total = 0.0
    for k in range(len(gradient)):
        term = l2[k] * coef[k]
        gradient[k] = (factor * gradient[k] if free[k] else 0.0) + term
        total += term * coef[k]
    return total
