"""The function that an optimiser minimises: the penalised loss of all training graphs, summed over chunks."""

import warnings
from functools import cached_property
from itertools import repeat
from threading import Lock
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skstruct.estimator._chunks import cut_minibatches
from skstruct.exceptions import numbered_from
from skstruct.kernels.jit import kernel
from skstruct.kernels.simd import CACHE_LINE, aligned_zeros
from skstruct.scores import Targets, in_double

MOST_SHARDS = 8  # threads that can divide an evaluation among them
WORK_PER_WEIGHT = 2  # node scores for each parameter of a shard: its buffer is cleared and added in less time


class ChunkLoss:
    """Weighted loss of a few graphs as a function of the parameters; it pickles, without its inference plan.

    Parameters
    ----------
    feature_plan : FeaturePlan
    inputs : object
        From ``feature_plan.prepare``.
    inference : LazyPlan
    objective : Objective
    targets : Targets
    first_graph : int, default=0
        Number of the first graph, for error messages.
    """

    def __init__(self, feature_plan, inputs, inference, objective, targets, first_graph=0):
        self.feature_plan, self.inputs, self.inference = feature_plan, inputs, inference
        self.objective, self.targets, self.first_graph = objective, targets, first_graph

    def __call__(self, coef):
        """Value, and gradient, (n_coef,)."""
        gradient = np.zeros(len(coef), coef.dtype)
        return self.add_gradient(coef, gradient), gradient

    def add_gradient(self, coef, out):
        """Value; the gradient is added to `out`."""
        value, d_scores, context = self._backward(coef)
        self.feature_plan.pullback(context, d_scores, out)
        return value

    def step(self, coef, rate):
        """Value; then ``coef -= rate * gradient``, in place. Entries that are not `free` change as well."""
        value, d_scores, context = self._backward(coef)
        if rate:
            self.feature_plan.step(context, d_scores, coef, rate)
        return value

    def product(self, coef, d_coef):
        """Product of the (Gauss-Newton part of the) Hessian at `coef` with `d_coef`, (n_coef,)."""
        scores, context = self._forward(coef)
        with numbered_from(self.first_graph):
            direction = self.feature_plan.tangent(context, d_coef)
            d_scores = self.objective.hessian_product(self.inference, scores, self.targets, direction)
        out = np.zeros(len(coef), coef.dtype)
        self.feature_plan.pullback(context, d_scores, out)
        return out

    def _forward(self, coef):
        scores, context = self.feature_plan.scores(self.inputs, coef)
        if scores.node.dtype != np.float64 and not self.inference.plan.supports_float32:
            scores = in_double(scores)
        return scores, context

    def _backward(self, coef):
        with numbered_from(self.first_graph):
            scores, context = self._forward(coef)
            losses, d_scores = self.objective.value_and_gradient(self.inference, scores, self.targets)
        return float(self.targets.graph_weight @ losses), d_scores, context


class TrainingLoss:
    """``f(coef) = factor * sum_g weights[g] * loss_g(coef) + sum(l2 * coef**2) / 2``, with its gradient.

    Chunks are dealt to shards, whose gradients are added in their order, so that the result has the same bits for any
    number of threads. That takes a vector of memory per thread, and one for each shard that waits for an earlier one.
    It is a `StochasticLoss`, too, whose mini-batches are a few graphs each.

    Parameters
    ----------
    chunks : list of Chunk
    feature_plan : FeaturePlan
    backend : InferenceBackend
    objective : Objective
    targets : Targets
        Of the whole data.
    n_states : int
    factor : float
    l2 : float
        Of the parameters that are penalised.
    in_threads : callable
        ``in_threads(function, *iterables)``, from `thread_map`.
    """

    def __init__(self, chunks, feature_plan, backend, objective, targets, n_states, factor, l2, in_threads):
        self.chunks, self.feature_plan, self.backend, self.n_states = chunks, feature_plan, backend, n_states
        self.factor, self.in_threads, self.smooth = factor, in_threads, objective.smooth
        self.free, self.l2 = feature_plan.free, l2 * (feature_plan.penalized * feature_plan.free)
        inputs = in_threads(feature_plan.prepare, [chunk.batch for chunk in chunks])
        self.losses = [
            ChunkLoss(feature_plan, x, chunk.inference, objective, _part(targets, chunk), chunk.graphs.start)
            for chunk, x in zip(chunks, inputs)
        ]
        n_scores = len(targets.codes) * n_states
        most = np.clip(n_scores // (WORK_PER_WEIGHT * feature_plan.n_coef), 2, MOST_SHARDS)
        self.shards = np.array_split(np.arange(len(chunks)), min(len(chunks), most))
        self.spare: list[np.ndarray] = []  # vectors for the gradients of shards

    def __call__(self, coef):
        """Value and gradient, (n_coef,); float64 is not copied if `coef` starts at a cache line."""
        own, total = _aligned(coef, self.feature_plan.dtype), _OrderedSum(self.spare)
        values = self.in_threads(self._evaluate, range(len(self.shards)), repeat(own), repeat(total))
        gradient = total.value.astype(np.float64, copy=False)
        penalty = _penalise(gradient, self.factor, self.free, self.l2, coef)
        return self.factor * sum(values) + 0.5 * penalty, gradient

    def _evaluate(self, shard, coef, total):
        """Loss of the chunks of a shard; their gradient is added to `total`."""
        gradient = self._zeros()
        value = sum(self.losses[number].add_gradient(coef, gradient) for number in self.shards[shard])
        total.add(shard, gradient)
        return value

    def _zeros(self):
        try:
            vector = self.spare.pop()
        except IndexError:  # none, or another thread was quicker
            return aligned_zeros(self.feature_plan.n_coef, dtype=self.feature_plan.dtype)
        vector.fill(0.0)
        return vector

    def product(self, coef, d_coef):
        """Product of the Hessian at `coef` with `d_coef`, (n_coef,)."""
        total = sum(self.in_threads(lambda loss: loss.product(coef, d_coef), self.losses))
        return self.factor * total * self.free + self.l2 * d_coef

    # --------------------------------------------------------------------------------- mini-batches
    @cached_property
    def _minibatches(self):
        """Losses of the mini-batches, whose inputs are parts of those of the chunks."""
        found = []
        for chunk, loss in zip(self.chunks, self.losses):
            for part in cut_minibatches(chunk, self.n_states, self.backend):
                inputs = self.feature_plan.part(loss.inputs, chunk.batch, part.graphs)
                first = chunk.graphs.start + part.graphs.start
                targets = _part(loss.targets, part)
                found.append(ChunkLoss(self.feature_plan, inputs, part.inference, loss.objective, targets, first))
        return found

    @property
    def n_batches(self):
        """Number of mini-batches."""
        return len(self._minibatches)

    def batch(self, number, coef):
        """Value and gradient of a mini-batch; see `StochasticLoss`."""
        value, gradient = self._minibatches[number](coef)
        return self.factor * value, self.factor * gradient * self.free

    def steps(self, batches, coef, rate):
        """Do gradient steps on some mini-batches, and return the sum of their losses; see `StochasticLoss`."""
        value = sum(self._minibatches[number].step(coef, rate * self.factor) for number in batches)
        coef *= self.free  # here and not after each step, as it costs O(n_coef)
        return self.factor * value


def _part(targets, chunk):
    """Targets of some of the graphs."""
    weight = None if targets.node_weight is None else targets.node_weight[chunk.nodes]
    return Targets(targets.codes[chunk.nodes], targets.graph_weight[chunk.graphs], weight)


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


def warn_not_converged(result, max_iter, loss):
    """Warn that the optimiser stopped early, with a remedy."""
    exact = all(chunk.plan.exact for chunk in loss.chunks if chunk.inference.is_planned)
    if result.nit >= max_iter:
        remedy = "Increase max_iter, scale the features, or decrease C."
    elif exact:
        remedy = "Scale the features, or decrease C."
    else:
        remedy = (
            "With approximate inference the objective can jump, which ends a line search: decrease C, or "
            "use an exact backend."
        )
    warnings.warn(
        f"the optimiser stopped after {result.nit} iterations: {result.message}. The best iterate is kept. {remedy}",
        ConvergenceWarning,
        stacklevel=4,
    )


def warn_inference(loss, coef):
    """Warn once if approximate inference does not converge on training graphs at the solution."""
    n_loose = 0
    for chunk, part in zip(loss.chunks, loss.losses):
        if chunk.inference.is_planned and not chunk.plan.exact:
            scores, _ = loss.feature_plan.scores(part.inputs, coef)
            n_loose += int((~chunk.plan.marginals(scores).converged).sum())
    if n_loose:
        warnings.warn(
            f"inference did not converge on {n_loose} of {loss.chunks[-1].graphs.stop} training graphs at the "
            "solution, so that loss and gradient are inexact there; see inference_report. Try a smaller C, "
            "LoopyBP(damping=0.5), or an exact backend.",
            ConvergenceWarning,
            stacklevel=4,
        )
