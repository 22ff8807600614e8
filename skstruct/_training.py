"""The function that an optimiser minimises: the penalised loss of all training graphs, summed over chunks."""

from functools import cached_property
from itertools import repeat
from threading import Lock
from typing import Any

import numpy as np

from skstruct import _chunks
from skstruct._jit import kernel
from skstruct._records import Scores
from skstruct._simd import CACHE_LINE, aligned_zeros
from skstruct.exceptions import numbered_from
from skstruct.inference._base import in_double

MOST_SHARDS = 8  # threads that can share an evaluation
MINIBATCH_GRAPHS, MINIBATCH_SCORES = 16, 2**14  # more would take larger steps in fewer directions
WORK_PER_WEIGHT = 2  # node scores for each parameter of a shard: its buffer is cleared and added in less time


class TrainingLoss:
    """``f(coef) = factor * sum_g weights[g] * loss_g(coef) + sum(l2 * coef**2) / 2``, with its gradient.

    Chunks are dealt to shards, whose gradients are added in their order, so that the result has the same bits for any
    number of threads. That takes a vector of memory per thread, and one for each shard that waits for an earlier one.
    It is a `StochasticFunction`, too, whose mini-batches are a few graphs each.

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
    l2 : float
        Of the parameters that are penalised.
    in_threads : callable
        ``in_threads(function, *iterables)``, from `thread_map`.
    """

    def __init__(self, dataset, feature_plan, backend, objective, codes, n_states, weights, factor, l2, in_threads):
        self.dataset, self.feature_plan, self.backend, self.objective = dataset, feature_plan, backend, objective
        self.codes, self.n_states, self.weights, self.in_threads = codes, n_states, weights, in_threads
        self.factor, self.l2 = factor, l2 * (feature_plan.penalized * feature_plan.free)
        self.chunks = _chunks.cut(dataset, n_states, backend)
        self.inputs = in_threads(feature_plan.prepare, [chunk.batch for chunk in self.chunks])
        most = np.clip(dataset.n_nodes * n_states // (WORK_PER_WEIGHT * feature_plan.n_coef), 2, MOST_SHARDS)
        self.shards = np.array_split(np.arange(len(self.chunks)), min(len(self.chunks), most))
        self.spare: list[np.ndarray] = []  # vectors for the gradients of shards

    def __call__(self, coef):
        """Value and gradient, (n_coef,); float64 is not copied if `coef` starts at a cache line."""
        own, total = _aligned(coef, self.feature_plan.dtype), _OrderedSum(self.spare)
        values = self.in_threads(self._evaluate, range(len(self.shards)), repeat(own), repeat(total))
        gradient = total.value.astype(np.float64, copy=False)
        penalty = _penalise(gradient, self.factor, self.feature_plan.free, self.l2, coef)
        return self.factor * sum(values) + 0.5 * penalty, gradient

    def _evaluate(self, shard, coef, total):
        """Loss of the chunks of a shard; their gradient is added to `total`."""
        gradient = self._zeros()
        value = 0.0
        for number in self.shards[shard]:
            chunk, inputs = self.chunks[number], self.inputs[number]
            part, d_scores = self._loss(chunk, inputs, coef)
            value += part
            self.feature_plan.pullback(inputs, coef, d_scores, gradient)
        total.add(shard, gradient)
        return value

    def _zeros(self):
        try:
            vector = self.spare.pop()
        except IndexError:  # none, or another thread was quicker
            return aligned_zeros(self.feature_plan.n_coef, dtype=self.feature_plan.dtype)
        vector.fill(0.0)
        return vector

    def _loss(self, chunk, inputs, coef):
        scores = self.feature_plan.scores(inputs, coef)
        if not getattr(chunk.plan, "takes_single", False):
            scores = in_double(scores)
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


class _OrderedSum:
    """Sum of numbered vectors, added in their order, as soon as those before them have come from whatever thread.

    The first vector becomes the sum, `value`; the others go to the list `spare` once they are added.
    """

    def __init__(self, spare: list[np.ndarray]):
        self.value: Any = None
        self.spare = spare
        self.waiting: dict[int, np.ndarray] = {}
        self.n_added = 0
        self.lock = Lock()

    def add(self, number, vector):
        with self.lock:
            self.waiting[number] = vector
            while (vector := self.waiting.pop(self.n_added, None)) is not None:
                if self.value is None:
                    self.value = vector
                else:
                    self.value += vector
                    self.spare.append(vector)
                self.n_added += 1


def _aligned(coef, dtype):
    """Return `coef` if it has the type and starts at a cache line, where rows are summed faster, else a copy."""
    coef = np.ascontiguousarray(coef, dtype)
    if coef.ctypes.data % CACHE_LINE == 0:
        return coef
    copy = aligned_zeros(len(coef), dtype=dtype)
    copy[:] = coef
    return copy


@kernel(fastmath={"contract", "reassoc"})
def _penalise(gradient, factor, free, l2, coef):
    """``gradient = factor * gradient * free + l2 * coef``, in place; returns ``sum(l2 * coef**2)``."""
    total = 0.0
    for k in range(len(gradient)):
        term = l2[k] * coef[k]
        gradient[k] = (factor * gradient[k] if free[k] else 0.0) + term
        total += term * coef[k]
    return total
