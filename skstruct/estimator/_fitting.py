"""A training in progress: its loss, where it starts, and what the estimator keeps of it to continue later."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult
from sklearn.base import BaseEstimator

from skstruct.estimator._checkpointing import Checkpointing
from skstruct.estimator._chunks import Chunk, cut, single_blas_thread, thread_map
from skstruct.estimator._early_stopping import EarlyStopping, Validation
from skstruct.estimator._model import Model
from skstruct.estimator._part import Part
from skstruct.estimator._rollback import complete
from skstruct.estimator._training import MAX_GROUPS, TrainingLoss
from skstruct.exceptions import numbered_by, numbered_from
from skstruct.features import FeaturePlan
from skstruct.inference import InferenceBackend
from skstruct.objectives import Objective
from skstruct.optim import Optimizer, OptimizerState


@dataclass(frozen=True)
class Progress:
    """Where a training is that can be continued. It is pickled with the estimator.

    Attributes
    ----------
    optimizer : type
        Class of the optimiser that made `state`.
    state : OptimizerState
    value : float
        The minimised function at ``state.x``. Training continues from `state` if the new function has this value, bit
        by bit. nan if the evaluation was interrupted.
    loss_curve : ndarray of shape (n_iter,)
        Values of the iterations so far.
    validation : Validation or None
        Scores of early stopping so far.
    stage : int
        Number of the objective, if there are several, one after the other.
    is_complete : bool
        Whether the optimiser has ended by itself. Only `partial_fit` continues such a training.
    before : Progress or None
        Where the training with the previous backend has ended, in a checkpoint of a sequence of backends.
    """

    optimizer: type
    state: OptimizerState
    value: float
    loss_curve: np.ndarray
    validation: Validation | None
    stage: int = 0
    is_complete: bool = False
    before: "Progress | None" = None

    @property
    def sequence(self) -> list["Progress"]:
        """Where the training is, after where it has ended with each of the previous backends."""
        return [self] if self.before is None else [*self.before.sequence, self]

    def __setstate__(self, state):
        self.__dict__.update(state)
        best = None if self.validation is None else self.validation.best_coef
        if best is not None and best.shape != self.state.x.shape:  # compiled code would read out of bounds
            raise ValueError("the state of a training is damaged: its vectors of parameters have different lengths")


@dataclass(frozen=True)
class Training:
    """Data, components and settings of a training.

    Attributes
    ----------
    estimator : GraphCRFClassifier
        Its parameters are read.
    backend : InferenceBackend
    optimizer : Optimizer
    feature_plan : FeaturePlan
    part : Part
        The training data.
    n_states : int
    least_tol : float
        Lower bound on the tolerance of the optimiser.
    max_groups : int
        Of the `TrainingLoss`.
    checkpointing : Checkpointing or None
        Writes checkpoints.
    """

    estimator: BaseEstimator
    backend: InferenceBackend
    optimizer: Optimizer
    feature_plan: FeaturePlan
    part: Part
    n_states: int
    least_tol: float = 0.0
    max_groups: int = MAX_GROUPS
    checkpointing: Checkpointing | None = None

    @cached_property
    def chunks(self) -> Sequence[Chunk]:
        """Chunks of the training data, with inference."""
        return cut(self.part.dataset, self.n_states, self.backend)

    @property
    def scale(self) -> float:
        """Factor by which the objective is divided, C times the weighted number of nodes: `tol` is then relative."""
        return self.estimator.C * self.part.weight

    @property
    def l1(self) -> np.ndarray | None:
        """Weights of the L1 term, (n_coef,), or None."""
        ratio = self.estimator.l1_ratio
        return ratio * self.feature_plan.penalized / self.scale if ratio else None

    def model_at(self, coef: np.ndarray, classes: np.ndarray) -> Model:
        """Model with these parameters."""
        return Model(self.feature_plan, coef, self.backend, classes, self.estimator.n_jobs)

    @contextmanager
    def threads(self) -> Iterator[Callable[..., list]]:
        """Context with a function ``in_threads(function, *iterables)``."""
        with numbered_by(self.part.graphs), thread_map(self.estimator.n_jobs) as in_threads, single_blas_thread:
            yield in_threads

    def is_exact(self, in_threads: Callable[..., list]) -> bool:
        """Whether inference is exact on all graphs; plans inference."""
        return all(in_threads(_is_exact, self.chunks))

    def loss(self, objective: Objective, in_threads: Callable[..., list]) -> TrainingLoss:
        """Loss of an objective, computed in threads."""
        e, targets = self.estimator, self.part.targets
        settings = e.C / self.scale, (1 - e.l1_ratio) / self.scale, self.optimizer.batch_size, in_threads
        return TrainingLoss(self.chunks, self.feature_plan, objective, targets, *settings, self.max_groups)

    def run(
        self,
        in_threads: Callable[..., list],
        objectives: list[Objective],
        coef: np.ndarray,
        earlier: Progress | None,
        stopper: EarlyStopping | None,
        callback: Callable[[OptimizerState, float | None], Any],
    ) -> tuple[OptimizeResult, Progress | None, TrainingLoss]:
        """Minimise several objectives one after the other, each from the solution of the one before; see `minimize`.

        Early stopping applies to the last one. An earlier training continues with the objective that it has reached.
        Also returns the last loss that was minimised. Ctrl-C before the first iterate of a later objective keeps the
        solution of the one before.
        """
        n_evaluations = 0
        done: Any = None
        for stage in range(0 if earlier is None else earlier.stage, len(objectives)):
            is_last = stage == len(objectives) - 1
            try:
                loss = self.loss(objectives[stage], in_threads)
                result, progress = self.minimize(loss, coef, earlier, stopper if is_last else None, callback, stage)
            except KeyboardInterrupt as error:  # there is no iterate yet
                if done is None:
                    raise
                done[0].interrupt = error
                break
            result.nfev += n_evaluations
            coef, earlier, n_evaluations = result.x, None, result.nfev
            done = result, progress, loss
            if result.stopped or result.interrupt is not None:
                break
        return done

    def minimize(
        self,
        loss: TrainingLoss,
        coef: np.ndarray,
        earlier: Progress | None,
        stopper: EarlyStopping | None,
        callback: Callable[[OptimizerState, float | None], Any],
        stage: int = 0,
    ) -> tuple[OptimizeResult, Progress | None]:
        """Minimise the loss from `coef`, or continue an earlier training of the same loss.

        Parameters
        ----------
        loss : TrainingLoss
        coef : ndarray of shape (n_coef,)
        earlier : Progress or None
        stopper : EarlyStopping or None
        callback : callable
            Called with each state, and its score if there is a `stopper`, else None. The training ends if it returns
            True.
        stage : int, default=0
            Number of the objective.

        Returns
        -------
        result : OptimizeResult
            As by `Optimizer.minimize`. `x` is the best validated iterate if there is a `stopper`. `loss_curve` begins
            with the iterations of the earlier training. `success` is also True if a callback has ended the training.
        progress : Progress or None
            None if the optimiser has ended by itself and does not support `partial_fit`, or `stopper` has ended it and
            ``warm_start=False``: the state may need much more memory than the parameters.

        Raises
        ------
        ValueError
            If `earlier` is from a checkpoint, and the loss is another function.
        """
        start: Any = coef
        max_iter, values, writer = self.estimator.max_iter, [], self.checkpointing
        if earlier is not None and self._continues(earlier, loss):
            start, values = deepcopy(earlier.state), earlier.loss_curve.tolist()
            if writer is None:
                max_iter += start.n_iter if start.n_iter >= max_iter else 0
            start.success, start.message = False, ""  # it may have ended with another tolerance
            if stopper is not None and earlier.validation is not None:
                stopper.record = deepcopy(earlier.validation)
                if len(stopper.record.scores) < len(values):  # Ctrl-C has interrupted the score of the last iterate
                    stopper(start)
                if writer is not None and stopper.is_done:
                    max_iter = start.n_iter
        elif earlier is not None and writer is not None:
            raise writer.misfit("a training on other data")
        record = None if stopper is None else stopper.record

        def progress_at(state):
            value = self._value(loss, state.x)
            return Progress(type(self.optimizer), state, value, np.array(values), record, stage)

        def watch(state):
            values.append(state.value)
            is_enough = stopper is not None and stopper(state)
            is_asked = callback(state, None if record is None else record.scores[-1])
            if writer is not None:
                writer.after_iteration(self, partial(progress_at, state))
            return is_enough or is_asked

        result = self.optimizer.minimize(
            loss,
            start,
            l1=self.l1,
            max_iter=max_iter,
            tol=max(self.least_tol, self.estimator.tol),
            callback=watch,
        )
        result.loss_curve = np.array(values)
        is_complete, is_done = result.success, stopper is not None and stopper.is_done
        is_kept = self.optimizer.incremental if is_complete else self.estimator.warm_start or not is_done
        value = np.nan
        if (writer is not None and writer.n_unsaved) or (is_kept and not is_complete):
            try:
                value = self._value(loss, result.state.x)
            except KeyboardInterrupt as error:
                result.interrupt = error
        # the fitted attributes are computed next, which needs the most memory
        result.interrupt = complete(loss.release) or result.interrupt
        result.success = is_complete or result.stopped or is_done
        if stopper is not None:
            if not stopper.record.scores:  # no iteration is complete
                stopper(result.state)
            result.x = stopper.record.best_coef
        progress = Progress(type(self.optimizer), result.state, value, result.loss_curve, record, stage, is_complete)
        if writer is not None and writer.n_unsaved and not np.isnan(value):
            writer.write(self, progress)
        return result, progress if is_kept else None

    def update(self, loss: Any, coef: np.ndarray, earlier: Progress | None) -> Progress:
        """Pass once over the data, from the state of the last training if that ended at `coef`."""
        self.optimizer.check(loss, self.l1)
        start: Any = coef
        if earlier is not None and earlier.optimizer is type(self.optimizer):
            start = deepcopy(earlier.state) if np.array_equal(earlier.state.x, coef) else coef
        state = self.optimizer.update(loss, start)
        return Progress(type(self.optimizer), state, np.nan, np.zeros(0), None)

    def _continues(self, earlier, loss):
        same_optimizer = earlier.optimizer is type(self.optimizer)
        same_size = earlier.state.x.shape == (self.feature_plan.n_coef,)
        return same_optimizer and same_size and self._value(loss, earlier.state.x) == earlier.value

    def _value(self, loss, coef):
        """The minimised function, with the L1 term."""
        return loss.value(coef) + (0.0 if self.l1 is None else float(self.l1 @ np.abs(coef)))


def _is_exact(chunk):
    with numbered_from(chunk.graphs.start):
        return chunk.plan.exact
