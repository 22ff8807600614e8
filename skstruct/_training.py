"""The function that an optimiser minimises: the penalised loss of all training graphs, summed over chunks."""

import numpy as np
from joblib import delayed

from skstruct._jit import kernel
from skstruct._simd import aligned_zeros
from skstruct.exceptions import numbered_from

MOST_SHARDS = 8  # threads that can share an evaluation
WORK_PER_WEIGHT = 4  # node scores for each parameter of a shard: its buffer is cleared and added in less time


class TrainingLoss:
    """``f(coef) = factor * sum_g weights[g] * loss_g(coef) + sum(l2 * coef**2) / 2``, with its gradient.

    Chunks are dealt to shards, each with a gradient buffer of its own; shards are added in their order, so that the
    result has the same bits for any number of threads.

    Parameters
    ----------
    chunks : list of Chunk
    feature_plan : FeaturePlan
    objective : Objective
    codes : ndarray of shape (n_nodes,)
        State codes.
    weights : ndarray of shape (n_graphs,)
    factor : float
    l2 : ndarray of shape (n_coef,)
    pool : joblib.Parallel
        Runs shards, in threads.
    """

    def __init__(self, chunks, feature_plan, objective, codes, weights, factor, l2, pool):
        self.chunks, self.feature_plan, self.objective = chunks, feature_plan, objective
        self.codes, self.weights, self.pool = codes, weights, pool
        self.factor, self.l2 = factor * feature_plan.free, l2 * feature_plan.free
        self.inputs = pool(delayed(feature_plan.prepare)(c.batch) for c in chunks)
        n_scores = sum(c.plan.topology.n_nodes for c in chunks) * (int(codes.max()) + 1)
        most = np.clip(n_scores // (WORK_PER_WEIGHT * feature_plan.n_coef), 2, MOST_SHARDS)
        self.shards = np.array_split(np.arange(len(chunks)), min(len(chunks), most))
        self.coef, *self.buffers = (aligned_zeros(feature_plan.n_coef) for _ in range(len(self.shards) + 1))

    def __call__(self, coef):
        """Value and gradient, (n_coef,)."""
        self.coef[:] = coef  # aligned to cache lines
        values = self.pool(delayed(self._evaluate)(*part) for part in zip(self.shards, self.buffers))
        gradient = self.buffers[0].copy()
        for buffer in self.buffers[1:]:
            gradient += buffer
        penalty = _penalise(gradient, self.factor, self.l2, coef)
        return self.factor.max() * sum(values) + 0.5 * penalty, gradient

    def _evaluate(self, shard, gradient):
        """Loss of the chunks of a shard; their gradient replaces what `gradient` holds."""
        gradient.fill(0.0)
        value = 0.0
        for number in shard:
            c, inputs = self.chunks[number], self.inputs[number]
            scores = self.feature_plan.scores(inputs, self.coef)
            with numbered_from(c.graphs.start):
                part, d_scores = self.objective.value_and_gradient(
                    c.plan, scores, self.codes[c.nodes], self.weights[c.graphs]
                )
            value += part
            self.feature_plan.pullback(inputs, self.coef, d_scores, gradient)
        return value


@kernel(fastmath={"contract", "reassoc"})
def _penalise(gradient, factor, l2, coef):
    """``gradient = factor * gradient + l2 * coef``, in place; returns ``sum(l2 * coef**2)``."""
    total = 0.0
    for k in range(len(gradient)):
        term = l2[k] * coef[k]
        gradient[k] = factor[k] * gradient[k] + term
        total += term * coef[k]
    return total
