"""The training on a cluster: data and loss of `Training` are on the workers, the optimiser is in this process."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from sklearn.base import clone

from skstruct.distributed._memory import keep_freed_memory
from skstruct.distributed._pieces import Pieces, root
from skstruct.estimator import GraphCRFClassifier
from skstruct.estimator.pieces import (
    Labelled,
    PenalizedLoss,
    Training,
    agree,
    class_totals,
    single_blas_thread,
    weights_of_classes,
)
from skstruct.exceptions import PartitionError
from skstruct.features import FeatureMap, FeaturePlan
from skstruct.objectives import Objective
from skstruct.scores import MISSING


def serial(function, *iterables):
    """Call the function for all items; workers have threads for several partitions, and not for one."""
    return list(map(function, *iterables))


class ClusterPart:
    """The training data on the workers, in the place of a `Part`.

    Parameters
    ----------
    pieces : Pieces
        Their values are a `Part` each.
    n_edge_features : int

    Attributes
    ----------
    weight, labelled_fraction, is_complete :
        As those of `Part`, for all pieces.
    """

    def __init__(self, pieces: Pieces, n_edge_features: int):
        numbers = np.array(pieces.gather(_numbers))
        kept = (numbers[:, 0] > 0).tolist()
        self.pieces, self.n_edge_features = pieces.select(kept), n_edge_features
        weight, n_nodes, n_labelled = numbers.sum(axis=0)
        self.weight, self.is_complete = float(weight), bool(n_nodes == n_labelled)
        self.labelled_fraction = float(n_labelled / n_nodes) if n_nodes else 0.0
        self.plan_future: Any = None

    def plan(self, feature_map: FeatureMap, classes: np.ndarray) -> FeaturePlan:
        """Set up the parameters of a map from the merged statistics of all pieces; a worker keeps the plan, too."""
        merged = self.pieces.reduce(feature_map.merge, _statistics, feature_map, classes)
        self.plan_future = self.pieces.cluster.submit(_plan, merged, feature_map, classes)
        return self.pieces.cluster.result(self.plan_future)

    def without_edges(self) -> "ClusterPart":
        """Return the same graphs without edges."""
        part = ClusterPart(self.pieces.map(_without_edges), self.n_edge_features)
        part.plan_future = self.plan_future
        return part


def read_parts(
    pieces: Pieces, estimator: GraphCRFClassifier, classes: np.ndarray | None, objective: Objective
) -> tuple[ClusterPart, np.ndarray, dict[str, Any]]:
    """Read all partitions on the workers, and let them agree.

    Parameters
    ----------
    pieces : Pieces
        Their values are what the partitions contain, ``(X, y[, sample_weight])``. They are released.
    estimator : GraphCRFClassifier
        Its parameters are read.
    classes : ndarray or None
        None: the classes in the data.
    objective : Objective

    Returns
    -------
    part : ClusterPart
    classes : ndarray of shape (n_classes,)
    facts : dict
        As `agree` returns them.

    Raises
    ------
    PartitionError
        If a partition is malformed, or does not fit an earlier one.
    """
    labelled = pieces.map(_read, GraphCRFClassifier(missing_label=estimator.missing_label))
    descriptions = labelled.gather(_description)
    facts, misfit = agree(descriptions)
    if misfit is not None:
        piece, problem = misfit
        raise PartitionError(pieces.numbers[piece], pieces.names[piece], problem)
    classes, totals = class_totals(descriptions, classes)
    by_class = None
    if estimator.class_weight is not None:
        by_class = weights_of_classes(estimator.class_weight, classes, totals)
    parts = labelled.map(_part, facts, classes, by_class, objective)
    part = ClusterPart(parts, facts.get("number of edge features", 0))
    pieces.release()
    labelled.release()
    return part, classes, facts


@dataclass(frozen=True)
class ClusterTraining(Training):
    """A training whose data are on the workers.

    Attributes
    ----------
    part : ClusterPart
    """

    part: Any

    @cached_property
    def trainings(self) -> Pieces:
        """On the workers: a `Training` of each piece."""
        settings = plain(self.estimator), self.backend, self.optimizer, self.part.plan_future, self.n_states
        return self.part.pieces.map(_training, *settings)

    @contextmanager
    def threads(self) -> Iterator[Any]:
        """Context without a function: the workers compute."""
        with single_blas_thread:  # for workers in this process
            yield None

    def is_exact(self, in_threads: Any) -> bool:
        """Whether inference is exact on all graphs."""
        return all(self.trainings.gather(Training.is_exact, serial))

    def loss(self, objective: Objective, in_threads: Any) -> "ClusterLoss":
        """Loss of an objective, computed by the workers."""
        factor = self.estimator.C / self.scale
        losses = self.trainings.map(_loss, objective, factor)
        losses.wait()
        l2 = (1 - self.estimator.l1_ratio) / self.scale
        return ClusterLoss(losses, self.feature_plan, objective, self.part.is_complete, factor, l2)


class ClusterLoss(PenalizedLoss):
    """The loss of all partitions, computed by the workers.

    A mini-batch consists of a mini-batch of each partition. Workers do several gradient steps on their own partitions
    before the results are averaged [1]_.

    Parameters
    ----------
    losses : Pieces
        Their values are a `TrainingLoss` each.
    feature_plan, objective, is_complete, factor, l2
        As for `PenalizedLoss`.

    Attributes
    ----------
    is_exact : bool or None
        Whether inference is exact, wherever the objective has used it; None before the first evaluation.
    values : dict
        Value of each evaluation, by the hash of the parameters.

    References
    ----------
    .. [1] M. Zinkevich, M. Weimer, A. Smola, L. Li, "Parallelized stochastic gradient descent", NIPS 2010.
    """

    def __init__(self, losses, feature_plan, objective, is_complete, factor, l2):
        super().__init__(feature_plan, objective, is_complete, factor, l2)
        self.losses = losses
        # Both are known before Ctrl-C, which in a terminal also ends the workers of a LocalCluster.
        self.is_exact: bool | None = None
        self.values: dict[int, float] = {}

    def __call__(self, coef):
        """Value and gradient; see `PenalizedLoss`."""
        found = super().__call__(coef)
        self.values[hash(coef.tobytes())] = found[0]
        if self.is_exact is None:
            self.is_exact = all(self.losses.gather(_is_exact))
        return found

    def value(self, coef):
        """Value at a point, from an earlier evaluation if there was one; nan if there is no worker."""
        known = self.values.get(hash(coef.tobytes()))
        if known is None:
            return super().value(coef) if self.losses.cluster.client.nthreads() else np.nan
        return known

    def total(self, coef):
        """Sum of the losses and its gradient; see `PenalizedLoss`."""
        value, gradient = self.losses.total(_total, [coef])
        return value, np.array(gradient)  # a copy that may be changed

    def total_product(self, coef, d_coef):
        """Product of the Hessian of the sum; see `PenalizedLoss`."""
        return self.losses.total(_product, [coef, d_coef])[0]

    def convergence(self, coef):
        """Number of graphs on which inference does not converge, and number of all graphs."""
        return (0, 0) if self.is_exact else self.losses.total(_convergence, [coef])

    def marginal_losses(self, coef):
        """Weighted sum of ``-log P(y_i | x)`` over the labelled nodes, and sum of the weights."""
        return self.losses.total(_marginal_losses, [coef])

    @cached_property
    def n_batches(self):
        """Number of mini-batches: that of the partition with the most."""
        return max(self.losses.gather(_n_batches))

    def batch(self, number, coef):
        """Value and gradient of a mini-batch; see `StochasticLoss`."""
        value, gradient = self.losses.total(_batch, [coef], int(number))
        return value, np.array(gradient)

    def steps(self, batches, coef, rate):
        """Do gradient steps on some mini-batches, and return the sum of their losses; see `StochasticLoss`.

        Each partition does the steps on its own mini-batches, as if all partitions had the same gradient. The result is
        the mean of the parameters at the ends. For a small `rate` these are the steps on the sums of the mini-batches.
        """
        n = len(self.losses)
        value, ends = self.losses.total(_steps, [coef], np.asarray(batches), n * rate)
        np.divide(ends, n, out=coef)
        return value


def plain(estimator: Any) -> GraphCRFClassifier:
    """Local estimator with the same parameters, without fitted attributes."""
    parameters = estimator.get_params(deep=False)
    return GraphCRFClassifier(**{name: parameters[name] for name in GraphCRFClassifier().get_params(deep=False)})


def require_labelled(value: Any) -> tuple:
    """Return what a partition contains; refuse other objects than ``(X, y)`` or ``(X, y, sample_weight)``."""
    if isinstance(value, tuple) and 2 <= len(value) <= 3:
        return value
    raise TypeError(f"a partition must be a tuple (X, y) or (X, y, sample_weight), got a {type(value).__name__}")


# ---- on the workers: functions of a piece


def _read(piece, estimator):
    return piece._replace(value=piece.apply(lambda value: Labelled.read(clone(estimator), *require_labelled(value))))


def _part(piece, facts, classes, by_class, objective):
    part = piece.apply(Labelled.part, facts, classes, by_class, objective)
    return piece._replace(value=part, graphs=part.graphs)


def _without_edges(piece):
    return piece._replace(value=piece.value.without_edges())


def _training(piece, estimator, backend, optimizer, feature_plan, n_states):
    training = Training(estimator, backend, optimizer, feature_plan, piece.value, n_states, max_groups=1)
    return piece._replace(value=training)


def _loss(piece, objective, factor):
    keep_freed_memory()
    loss = piece.apply(Training.loss, objective, serial)
    loss.factor = factor  # that of all partitions
    return piece._replace(value=loss)


# ---- on the workers: functions of the value of a piece


def _description(labelled):
    return labelled.description


def _numbers(part):
    """Weight, number of nodes, and number of labelled nodes."""
    codes = part.targets.codes
    return part.weight, len(codes), np.count_nonzero(codes != MISSING)


def _statistics(part, feature_map, classes):
    return part.statistics(feature_map, classes)


def _plan(merged, feature_map, classes):
    return feature_map.plan_from(root(merged), classes)


def _total(loss, coef):
    return loss.total(coef)


def _product(loss, coef, d_coef):
    return (loss.total_product(coef, d_coef),)


def _is_exact(loss):
    return loss.is_exact


def _convergence(loss, coef):
    return loss.convergence(coef)


def _marginal_losses(loss, coef):
    return tuple(loss.marginal_losses(coef).tolist())


def _n_batches(loss):
    return loss.n_batches


def _batch(loss, coef, number):
    return loss.batch(number, coef) if number < loss.n_batches else (0.0, np.zeros(len(coef)))


def _steps(loss, coef, batches, rate):
    end = np.array(coef)
    return loss.steps(batches[batches < loss.n_batches], end, rate), end
