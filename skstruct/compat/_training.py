"""What happens during a training of `CRF`: its log, evaluation on held-out sequences, and the stopping rules."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from skstruct.compat._log import TrainingLog, evaluate
from skstruct.data.dataset import GraphDataset
from skstruct.data.ragged import RaggedArray
from skstruct.features import FeatureMap
from skstruct.inference import Chain
from skstruct.optim import Optimizer


class WatchedOptimizer(Optimizer):
    """An optimiser whose iterations are watched. They end without a warning, as those of CRFsuite.

    Parameters
    ----------
    optimizer : Optimizer
    watch : callable
        ``watch(loss, state)`` is called after each iteration. The training ends if it returns True.
    """

    def __init__(self, optimizer, watch):
        self.optimizer = optimizer
        self.watch = watch

    @property
    def stochastic(self):
        """As the optimiser declares, like the attributes below."""
        return self.optimizer.stochastic

    @property
    def batch_size(self):
        """Largest number of graphs in a mini-batch."""
        return self.optimizer.batch_size

    def check(self, loss, l1):
        """Refuse what the optimiser refuses."""
        self.optimizer.check(loss, l1)

    def iterate(self, loss, start, *, l1=None, max_iter, tol):
        """Yield the states of the optimiser; see `Optimizer`."""
        for state in self.optimizer.iterate(loss, start, l1=l1, max_iter=max_iter, tol=tol):
            if state.message:
                break
            yield state
            if state.n_iter and self.watch(loss, state):
                break
        state.success, state.message = True, state.message or "stopping rule"
        yield state


class Watch:
    """Log each iteration, and apply a stopping rule.

    Parameters
    ----------
    n_tokens : int
        Factor of the loss, which the estimator divides by the number of nodes.
    is_done : callable
        ``is_done(iterations)``.
    held_out : callable or None
        ``held_out(coef)`` returns the entries of an iteration that depend on held-out sequences.
    show : callable
        Called with the entries of each iteration.
    tell : callable
        Called with each line of the log.

    Attributes
    ----------
    log : TrainingLog
    """

    def __init__(
        self,
        n_tokens: int,
        is_done: Callable[[list[dict]], bool],
        held_out: Callable[[np.ndarray], dict] | None,
        show: Callable[[dict], Any],
        tell: Callable[[str], Any],
    ):
        self.n_tokens, self.is_done, self.held_out, self.show, self.tell = n_tokens, is_done, held_out, show, tell
        self.log = TrainingLog()
        self.start = self.last = time.perf_counter()
        self.n_evaluations = 1

    def __call__(self, loss, state):
        """Log the iteration, and return whether the training is done."""
        if state.n_iter == 1:
            self.log.begin(int(loss.free.sum()), self.tell)
        iteration = {
            "num": state.n_iter,
            "scores": {},
            "loss": state.value * self.n_tokens,
            "feature_norm": float(np.linalg.norm(state.x)),
            "active_features": int(np.count_nonzero(state.x)),
        }
        if not np.isnan(state.gradient_norm):
            iteration["error_norm"] = state.gradient_norm * self.n_tokens
            iteration["linesearch_trials"] = state.n_evaluations - self.n_evaluations
        if self.held_out is not None:
            iteration.update(self.held_out(state.x))
        now = time.perf_counter()
        iteration["time"] = now - self.last
        self.n_evaluations, self.last = state.n_evaluations, now
        self.log.add(iteration, self.tell)
        self.show(iteration)
        return self.is_done(self.log.iterations)

    def end(self):
        """Log the end of the training."""
        self.log.end(time.perf_counter() - self.start, self.tell)


class HeldOut:
    """Evaluation of parameters on held-out sequences.

    Parameters
    ----------
    features : FeatureMap
    train, held_out : tuple of GraphDataset and RaggedArray
        Chains and their labels.
    labels : list
        All labels, in the order of the scores.
    """

    def __init__(
        self,
        features: FeatureMap,
        train: tuple[GraphDataset, RaggedArray],
        held_out: tuple[GraphDataset, RaggedArray],
        labels: list,
    ):
        dataset, y = held_out
        self.labels = labels
        classes, self.rank = np.unique(np.array(labels), return_index=True)  # the number of each class among the labels
        self.plan = features.plan(train[0], classes, np.searchsorted(classes, train[1].values))
        self.inputs, self.ptr = self.plan.prepare(dataset), dataset.node_ptr
        self.codes = self.rank[np.searchsorted(classes, y.values)]
        self.inference = Chain().plan(dataset.topology, len(labels))

    def __call__(self, coef):
        """Return the entries of an iteration; see `TrainingLog`."""
        scores, _ = self.plan.scores(self.inputs, coef)
        return evaluate(self.rank[self.inference.decode(scores).labels], self.codes, self.ptr, self.labels)
