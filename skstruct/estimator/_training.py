"""The function that an optimiser minimises: the penalised loss of all training graphs, summed over chunks.

The chunks are divided into groups. A thread computes the partial sum of the gradients of a group in one vector, and the
partial sums are added in the order of the groups.
"""

import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from itertools import repeat
from threading import Lock
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult
from sklearn.exceptions import ConvergenceWarning

from skstruct.estimator._chunks import MAX_GROUPS, Chunk, ChunksOnDemand, cut_minibatches
from skstruct.estimator._penalized import PenalizedLoss
from skstruct.estimator._warnings import stack_level
from skstruct.exceptions import numbered_from
from skstruct.kernels.simd import CACHE_LINE, aligned_zeros
from skstruct.scores import MISSING, Scores, Targets, in_double

# More than two groups only if each has this many node scores per parameter: computing the scores then costs more than
# clearing the vector of the group and adding it to the sum.
SCORES_PER_COEF = 2


class ChunkLoss:
    """Weighted loss of a few graphs as a function of the parameters. A pickle does not contain the inference plan.

    Parameters
    ----------
    feature_plan : FeaturePlan
    inputs : object
        Result of ``feature_plan.prepare``.
    inference : LazyPlan
    objective : Objective
    targets : Targets
    first_graph : int, default=0
        Number of the first graph, for error messages.
    """

    def __init__(self, feature_plan, inputs, inference, objective, targets, first_graph=0):
        self.feature_plan, self.inputs, self.inference = feature_plan, inputs, inference
        self.objective, self.targets, self.first_graph = objective, targets, first_graph

    def __call__(self, coef: np.ndarray) -> tuple[float, np.ndarray]:
        """Value, and gradient, (n_coef,)."""
        gradient = np.zeros(len(coef), coef.dtype)
        return self.add_gradient(coef, gradient), gradient

    def add_gradient(self, coef: np.ndarray, out: np.ndarray) -> float:
        """Return the value, and add the gradient to `out`."""
        value, d_scores, context = self._backward(coef)
        self.feature_plan.pullback(context, d_scores, out)
        return value

    def step(self, coef: np.ndarray, rate: float) -> float:
        """Return the value, and compute ``coef -= rate * gradient`` in place, also in entries that are not `free`."""
        value, d_scores, context = self._backward(coef)
        if rate:
            self.feature_plan.step(context, d_scores, coef, rate)
        return value

    def product(self, coef: np.ndarray, d_coef: np.ndarray) -> np.ndarray:
        """Product of the Hessian at `coef` with `d_coef`, (n_coef,).

        For a feature map that is not linear, the Gauss-Newton matrix takes the place of the Hessian.
        """
        out = np.zeros(len(coef), coef.dtype)
        self.add_product(self.hessian(coef), d_coef, out)
        return out

    def hessian(self, coef: np.ndarray) -> tuple[Callable[[Scores], Scores], Any]:
        """Products of the Hessian at `coef` with changes of the scores, and the context of the feature plan."""
        scores, context = self.forward(coef)
        with numbered_from(self.first_graph):
            return self.objective.hessian(self.inference, scores, self.targets), context

    def add_product(self, hessian: tuple[Callable[[Scores], Scores], Any], d_coef: np.ndarray, out: np.ndarray) -> None:
        """Add the `product` to `out`, given the result of `hessian` at `coef`."""
        multiply, context = hessian
        with numbered_from(self.first_graph):
            d_scores = multiply(self.feature_plan.tangent(context, d_coef))
        self.feature_plan.pullback(context, d_scores, out)

    @property
    def _accepts_float32(self):
        """Whether objective and plan do; an objective that does not may need no plan."""
        return self.objective.supports_float32 and self.inference.plan.supports_float32

    def marginal_losses(self, coef: np.ndarray) -> tuple[float, float]:
        """Weighted sum of ``-log P(y_i | x)`` over the labelled nodes, and sum of the weights."""
        targets = self.targets
        weight = targets.graph_weight[self.inference.topology.node_graph]
        if targets.node_weight is not None:
            weight = weight * targets.node_weight
        known = np.flatnonzero((targets.codes != MISSING) & (weight > 0))
        scores, _ = self.feature_plan.scores(self.inputs, coef)
        with np.errstate(divide="ignore"):  # log 0: the loss is inf
            losses = -np.log(self.inference.plan.marginals(scores).node[known, targets.codes[known]])
        return weight[known] @ losses, weight[known].sum()

    def forward(self, coef: np.ndarray) -> tuple[Scores, Any]:
        """Scores, and the context of the feature plan."""
        with numbered_from(self.first_graph):
            scores, context = self.feature_plan.scores(self.inputs, coef)
            if scores.node.dtype != np.float64 and not self._accepts_float32:
                scores = in_double(scores)
        return scores, context

    def _backward(self, coef):
        scores, context = self.forward(coef)
        with numbered_from(self.first_graph):
            losses, d_scores = self.objective.value_and_gradient(self.inference, scores, self.targets)
        return float(self.targets.graph_weight @ losses), d_scores, context


class LossesOnDemand(Sequence):
    """Losses of chunks on demand, which are prepared each time when they are read.

    Parameters
    ----------
    chunks : ChunksOnDemand
    feature_plan, objective, targets
        As for `TrainingLoss`.
    """

    def __init__(self, chunks: ChunksOnDemand, feature_plan: Any, objective: Any, targets: Targets):
        self.chunks, self.settings = chunks, (feature_plan, objective, targets)

    def __len__(self) -> int:
        return len(self.chunks)

    def __getitem__(self, number: Any) -> ChunkLoss:
        return chunk_loss(self.chunks[number], *self.settings)


def chunk_loss(chunk: Chunk, feature_plan: Any, objective: Any, targets: Targets) -> ChunkLoss:
    """Loss of a chunk, given the targets of all graphs."""
    inputs = feature_plan.prepare(chunk.batch)
    return ChunkLoss(feature_plan, inputs, chunk.inference, objective, _select(targets, chunk), chunk.graphs.start)


class TrainingLoss(PenalizedLoss):
    """``f(coef) = factor * sum_g weights[g] * loss_g(coef) + sum(l2 * coef**2) / 2``, with its gradient.

    The chunks are divided into groups, each with a partial sum of the gradient. Groups depend on the data, and partial
    sums are added in the order of the groups, so that the result has the same bits for any number of threads. Memory is
    a vector of length `n_coef` per thread, and one for each partial sum that waits for an earlier group.

    A mini-batch contains a few graphs. The losses of chunks and mini-batches are kept, or made on demand as the chunks.

    Parameters
    ----------
    chunks : list of Chunk, or ChunksOnDemand
    feature_plan : FeaturePlan
    objective : Objective
    targets : Targets
        Targets of all training graphs.
    factor : float
    l2 : float
        Factor of the penalty.
    batch_size : int
        Largest number of graphs in a mini-batch.
    in_threads : callable
        ``in_threads(function, *iterables)``, from `thread_map`.
    max_groups : int, default=MAX_GROUPS
        Largest number of groups. One is fastest where there is one thread only.
    """

    def __init__(
        self,
        chunks,
        feature_plan,
        objective,
        targets,
        factor,
        l2,
        batch_size,
        in_threads,
        max_groups=MAX_GROUPS,
    ):
        super().__init__(feature_plan, objective, not (targets.codes == MISSING).any(), factor, l2)
        self.chunks, self.batch_size, self.in_threads = chunks, batch_size, in_threads
        self.targets, self.uses_inference = targets, objective.uses_inference
        settings = feature_plan, objective, targets
        self.losses: Sequence[ChunkLoss]
        if isinstance(chunks, ChunksOnDemand):
            self.losses = LossesOnDemand(chunks, *settings)
        else:
            self.losses = in_threads(chunk_loss, chunks, *map(repeat, settings))
        n_scores = len(targets.codes) * chunks[0].inference.n_states
        n_groups = max(2, n_scores // (SCORES_PER_COEF * feature_plan.n_coef))
        n_groups = 1 << (min(len(chunks), n_groups, max_groups).bit_length() - 1)  # 2, 4, 8: also for 2 or 4 threads
        self.groups = np.array_split(np.arange(len(chunks)), n_groups)
        self._kept: tuple[np.ndarray, list[tuple[Callable, Any]]] | None = None  # see `product`
        self.spare: list[np.ndarray] = []  # vectors of partial sums, reused in the next evaluation

    def total(self, coef: np.ndarray) -> tuple[float, np.ndarray]:
        """Sum of the losses and its gradient; float64 is not copied if `coef` starts at a cache line."""
        self._kept = None
        own_coef, total = _aligned(coef, self.feature_plan.dtype), _OrderedSum(self.spare)
        values = self.in_threads(self._evaluate, range(len(self.groups)), repeat(own_coef), repeat(total))
        return sum(values), total.value

    def _evaluate(self, group, coef, total):
        """Return the loss of the chunks of a group, and add their gradient to `total`."""
        gradient = self._zeros()
        value = sum(self.losses[number].add_gradient(coef, gradient) for number in self.groups[group])
        total.add(group, gradient)
        return value

    def _zeros(self):
        try:
            vector = self.spare.pop()
        except IndexError:  # there is none, or another thread has taken the last one
            return aligned_zeros(self.feature_plan.n_coef, dtype=self.feature_plan.dtype)
        vector.fill(0.0)
        return vector

    def total_product(self, coef: np.ndarray, d_coef: np.ndarray) -> np.ndarray:
        """Product of the Hessian of the sum of the losses with `d_coef`, (n_coef,); see `ChunkLoss.product`.

        What all products at `coef` have in common, such as messages of all graphs, is kept until the next evaluation.
        """
        if self._kept is None or not np.array_equal(self._kept[0], coef):
            own_coef = _aligned(coef, np.float64).copy()
            numbers = range(len(self.losses))
            self._kept = own_coef, list(self.in_threads(lambda k: self.losses[k].hessian(own_coef), numbers))
        hessians, own_d_coef, total = self._kept[1], _aligned(d_coef, np.float64), _OrderedSum([])

        def multiply(group):
            product = aligned_zeros(len(coef))
            for number in self.groups[group]:
                self.losses[number].add_product(hessians[number], own_d_coef, product)
            total.add(group, product)

        self.in_threads(multiply, range(len(self.groups)))
        return total.value

    def release(self) -> None:
        """Free the vectors of partial sums, and what products of the Hessian have in common."""
        self.spare.clear()
        self._kept = None

    @property
    def is_exact(self) -> bool:
        """Whether inference is exact, wherever the objective has used it."""
        return all(loss.inference.plan.exact for loss in self._with_inference)

    @property
    def _with_inference(self):
        """Losses for which inference is planned; if they are not kept, the objective says whether it is."""
        if isinstance(self.losses, LossesOnDemand):
            return self.losses if self.uses_inference else []
        return [loss for loss in self.losses if loss.inference.is_planned]

    def convergence(self, coef: np.ndarray) -> tuple[int, int]:
        """Number of graphs on which approximate inference does not converge, and number of all graphs."""
        n_graphs = 0
        for loss in self._with_inference:
            plan = loss.inference.plan
            if not plan.exact:
                scores, _ = self.feature_plan.scores(loss.inputs, coef)
                n_graphs += int((~plan.marginals(scores).converged).sum())
        return n_graphs, len(self.targets.graph_weight)

    def marginal_losses(self, coef: np.ndarray) -> np.ndarray:
        """Weighted sum of ``-log P(y_i | x)`` over the labelled nodes, and sum of the weights, (2,)."""
        numbers = range(len(self.losses))  # a loss that is made on demand is made by the thread that needs it
        return np.sum(self.in_threads(lambda k: self.losses[k].marginal_losses(coef), numbers), axis=0)

    # --------------------------------------------------------------------------------- mini-batches
    @cached_property
    def _minibatches(self):
        """Losses of the mini-batches; if losses are kept, their inputs are slices of the inputs of the chunks."""
        if isinstance(self.losses, LossesOnDemand):
            return LossesOnDemand(self.losses.chunks.minibatches(self.batch_size), *self.losses.settings)
        found = []
        for chunk, loss in zip(self.chunks, self.losses):
            for piece in cut_minibatches(chunk, self.batch_size):
                inputs = self.feature_plan.slice_inputs(loss.inputs, chunk.batch, piece.graphs)
                first = chunk.graphs.start + piece.graphs.start
                targets = _select(loss.targets, piece)
                found.append(ChunkLoss(self.feature_plan, inputs, piece.inference, loss.objective, targets, first))
        return found

    @property
    def n_batches(self) -> int:
        """Number of mini-batches."""
        return len(self._minibatches)

    def batch(self, number: int, coef: np.ndarray) -> tuple[float, np.ndarray]:
        """Value and gradient of a mini-batch; see `StochasticLoss`."""
        value, gradient = self._minibatches[number](coef)
        return self.factor * value, self.factor * gradient * self.free

    def steps(self, batches: Iterable[int], coef: np.ndarray, rate: float) -> float:
        """Do gradient steps on some mini-batches, and return the sum of their losses; see `StochasticLoss`."""
        value = sum(self._minibatches[number].step(coef, rate * self.factor) for number in batches)
        coef *= self.free  # here and not after each step, as it costs O(n_coef)
        return self.factor * value


def _select(targets, chunk):
    """Targets of the graphs of a chunk."""
    weight = None if targets.node_weight is None else targets.node_weight[chunk.nodes]
    return Targets(targets.codes[chunk.nodes], targets.graph_weight[chunk.graphs], weight)


class _OrderedSum:
    """Sum of numbered vectors that come from threads in any order, and are added in the order of their numbers.

    A vector waits until all vectors of smaller numbers have been added. The first vector becomes the sum, `value`. The
    other vectors are appended to the list `spare` after they have been added.
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
    """Return `coef` if it has the type and starts at a cache line, else a copy; kernels add aligned rows faster.

    An array that is read-only, as it arrives in a worker of a cluster, is copied: numba would compile all kernels once
    more for it.
    """
    coef = np.ascontiguousarray(coef, dtype)
    if coef.ctypes.data % CACHE_LINE == 0 and coef.flags.writeable:
        return coef
    copy = aligned_zeros(len(coef), dtype=dtype)
    copy[:] = coef
    return copy


def warn_not_converged(result: OptimizeResult, max_iter: int, loss: Any) -> None:
    """Warn that the optimiser stopped early; the message contains a remedy."""
    if loss.piecewise_linear and result.fun == 0.0:
        remedy = (
            "No loss is lower than that of zero weights, which is 0 if wrong labels have no cost; use "
            "optimizer='averaged_perceptron'."
        )
    elif result.nit >= max_iter:
        remedy = "Increase max_iter, scale the features, or decrease C."
    elif loss.is_exact:
        remedy = "Scale the features, or decrease C."
    else:
        remedy = (
            "With approximate inference the objective can jump, which ends a line search. Decrease C, or "
            "use an exact backend."
        )
    warnings.warn(
        f"the optimiser stopped after {result.nit} iterations: {result.message}. The best iterate is kept. {remedy}",
        ConvergenceWarning,
        stacklevel=stack_level(),
    )


def warn_inference(loss: Any, coef: np.ndarray) -> None:
    """Warn once if approximate inference does not converge on training graphs at the solution.

    Objectives that define no probabilities do not use the marginals whose convergence this is about.
    """
    if not loss.probabilistic:
        return
    n_graphs, n_all = loss.convergence(coef)
    if n_graphs:
        warnings.warn(
            f"inference did not converge on {n_graphs} of {n_all} training graphs at the solution, so that "
            "loss and gradient are inexact there; see inference_report. Try a smaller C, a backend with a larger "
            "max_iter or with damping, or an exact backend.",
            ConvergenceWarning,
            stacklevel=stack_level(),
        )
