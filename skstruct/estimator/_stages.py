"""Trainings that follow one another where inference is approximate, and the comparison with the model without edges.

The loss of approximate inference is a surrogate, and a smaller surrogate need not mean a better model. The mean
marginal loss, which is the mean of ``-log P(y_i | x)`` over the labelled training nodes, measures what the model
predicts. It can be compared between backends, and with the model without edges, where it is exact.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import OptimizeResult

from skstruct.estimator._early_stopping import EarlyStopping
from skstruct.estimator._fitting import Progress, Training
from skstruct.estimator._training import TrainingLoss
from skstruct.inference import Edgeless
from skstruct.objectives import Objective

WORSE = 1e-3  # nats by which a mean marginal loss exceeds that without edges if it is worse, and no error of inference
# Tolerance of the model without edges, whose last digits neither a start nor a comparison needs, and of a training with
# inference of a low tolerance, which more iterations do not improve.
ROUGH_TOL = 1e-4
REMEDIES = (
    "Try inference='auto' or 'tree_reweighted', whose loss is a convex bound; objective='marginal', which trains these "
    "probabilities; objective='pseudolikelihood'; or a smaller C."
)


class Trained(NamedTuple):
    """A finished training.

    Attributes
    ----------
    training : Training
        Its backend is that for predictions.
    result : OptimizeResult
    progress : Progress or None
    loss : TrainingLoss
        The loss that was minimised last.
    warning : str
        Empty if there is nothing to warn of.
    """

    training: Training
    result: OptimizeResult
    progress: Progress | None
    loss: TrainingLoss
    warning: str = ""


class Stages:
    """A training, and what precedes and follows it if inference on some graphs is approximate.

    Parameters
    ----------
    training : Training
    objectives : list of Objective
        Objectives that are minimised one after the other. The last one is that of the model.
    in_threads : callable
        ``in_threads(function, *iterables)``, from `thread_map`.

    Attributes
    ----------
    main : Training
        If inference on some graphs is approximate: with the first backend of ``backend.training_sequence()``.
    """

    def __init__(self, training: Training, objectives: list[Objective], in_threads: Callable[..., list]):
        self.objectives, self.in_threads = objectives, in_threads
        backend, *further = training.backend.training_sequence()
        first = replace(training, backend=backend, least_tol=ROUGH_TOL if further else training.least_tol)
        others = [replace(training, backend=backend) for backend in further]
        is_read = objectives[-1].uses_inference and not training.backend.exact
        self.is_approximate = is_read and not first.is_exact(in_threads)
        self.main, self.others = (first, others) if self.is_approximate else (training, [])

    def train(
        self,
        coef: np.ndarray,
        earlier: Progress | None,
        stopper: EarlyStopping | None,
        callback: Callable[..., Any],
    ) -> Trained:
        """Train from the weights `coef`, (n_coef,); arguments as for `Training.run`.

        If inference is approximate, the model without edges is trained, too. If the loss is a convex upper bound, the
        training starts there. The loss is exact at this point, so that the loss of the trained model is smaller,
        however the iterations end. The next backends of the sequence start at the solution of the last one. They are
        kept if they decrease the mean marginal loss.

        A result that is worse than the model without edges is a warning. A sequence of backends then returns the model
        without edges.
        """
        first, *resumed = [None] if earlier is None else earlier.sequence
        run = self.objectives, first, stopper, callback
        if not (self.is_approximate and self.objectives[-1].probabilistic):
            return self._run(self.main, coef, *run)
        edgeless = self._run(without_edges(self.main), coef, self.objectives, None, None, _never_stop)
        alone = edgeless._replace(training=self.main)
        if alone.result.interrupt is not None:
            return alone
        loss = self.main.loss(self.objectives[0], self.in_threads)
        if self.main.backend.bound == "upper" and loss.convex:
            # `coef` can be a warm start. Kernels would be compiled again for the memory layout of `initial_coef`.
            coef = min(coef, alone.result.x, key=lambda point: loss(np.ascontiguousarray(point))[0])
        best = self._run(self.main, coef, *run)
        best.result.nfev += alone.result.nfev
        if best.result.interrupt is None:
            try:
                best = self._compared(best, alone, stopper, callback, resumed)
            except KeyboardInterrupt as error:  # in a comparison: the training before it is complete
                best.result.interrupt = error
        return best

    def _compared(self, best, alone, stopper, callback, resumed):
        """Continue the training `best` with the next backends, and compare the result with the model without edges."""
        reached, interrupt = mean_marginal_loss(best.loss, best.result.x), None
        n_evaluations = best.result.nfev
        for other, earlier in zip_longest(self.others, resumed) if stopper is None else []:
            loss, start = other.loss(self.objectives[-1], self.in_threads), best.result.x
            is_ended = best.result.stopped or interrupt is not None
            if is_ended or mean_marginal_loss(loss, start) >= reached:
                break
            if other.checkpointing is not None:
                other.checkpointing.begin_next(earlier)
            continued = self._run(other, start, self.objectives[-1:], earlier, None, callback)
            n_evaluations += continued.result.nfev
            interrupt = continued.result.interrupt
            value = mean_marginal_loss(continued.loss, continued.result.x)
            if value < reached:
                best, reached = continued, value
        without = mean_marginal_loss(alone.loss, alone.result.x)
        if reached > without + WORSE:
            kept = " The weights without edges are kept." if self.others else ""
            best = (alone if self.others else best)._replace(
                warning=f"with edges the model is worse than without them on its training nodes: the mean of "
                f"-log P(y_i | x) is {reached:.4g} with edges and {without:.4g} without. Inference is approximate."
                f"{kept} {REMEDIES}"
            )
        best.result.nfev, best.result.interrupt = n_evaluations, interrupt
        return best

    def _run(self, training, coef, objectives, earlier, stopper, callback):
        return Trained(training, *training.run(self.in_threads, objectives, coef, earlier, stopper, callback))


def _never_stop(state, score):
    return False


def without_edges(training: Training) -> Training:
    """Return the training of the same model on the same nodes without edges."""
    part = training.part.without_edges()
    # the tolerance is relative to the number of all nodes, and nodes without a label have no gradient here
    least_tol = ROUGH_TOL * part.labelled_fraction
    return replace(training, backend=Edgeless(), part=part, least_tol=least_tol, checkpointing=None)


def mean_marginal_loss(loss: TrainingLoss, coef: np.ndarray) -> float:
    """Mean of ``-log P(y_i | x)`` over the labelled nodes, weighted, in nats; inf if a probability is 0."""
    total, weight = loss.marginal_losses(coef)
    return total / weight
