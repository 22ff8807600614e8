"""Early stopping: iterates are scored on held-out graphs, or on held-out nodes if there is only one graph."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from skstruct.estimator._part import Part
from skstruct.optim import OptimizerState
from skstruct.scores import MISSING


@dataclass
class Validation:
    """Scores of the iterates of a training.

    Attributes
    ----------
    candidates : ndarray of int
        Numbers of the graphs with labels, or of the nodes with labels if there is one graph.
    held_out : ndarray of int
        Those that are held out.
    scores : list of float
        Score after each iteration.
    best_score : float
    best_coef : ndarray of shape (n_coef,) or None
        Parameters with the best score. None before the first iteration.
    n_worse : int
        Number of iterations since the score has improved.
    """

    candidates: np.ndarray
    held_out: np.ndarray
    scores: list[float] = field(default_factory=list)
    best_score: float = -np.inf
    best_coef: np.ndarray | None = None
    n_worse: int = 0


def split(whole: Part, held_out: np.ndarray) -> tuple[Part, Part, np.ndarray | None]:
    """Divide the data into a training part and a validation part.

    The nodes held out of a single graph stay in the graph. Training treats their labels as unknown. Their scores depend
    on the labels of the other nodes, as in ``predict(X, known=y)``.

    Returns
    -------
    training, validation : Part
    known : ndarray of shape (n_nodes,) or None
        State codes of the known labels of the validation part.
    """
    if len(whole.dataset) > 1:
        mask = np.isin(np.arange(len(whole.dataset)), held_out)
        return whole.select(np.flatnonzero(~mask)), whole.select(np.flatnonzero(mask)), None
    known, wanted = whole.targets.codes.copy(), np.full(len(whole.targets.codes), MISSING)
    wanted[held_out] = known[held_out]
    known[held_out] = MISSING
    training, validation = (whole._replace(targets=whole.targets._replace(codes=codes)) for codes in (known, wanted))
    return training, validation, known


def _label_weights(part):
    """Weight of the label of each node, (n_nodes,); 0 for unknown labels."""
    codes, graph_weight, node_weight = part.targets
    weights = graph_weight[part.dataset.topology.node_graph] * (1.0 if node_weight is None else node_weight)
    return np.where(codes == MISSING, 0.0, weights)


class EarlyStopping:
    """Callback of an optimiser: scores each iterate, keeps the best, and stops when the score does not improve.

    Parameters
    ----------
    validation : Part
    known : ndarray of shape (n_nodes,) or None
    n_iter_no_change : int
        Number of iterations without an improvement after which training stops.
    tol : float
        An increase of the best score counts as an improvement if it is larger.
    record : Validation
        Changed by each call; may contain earlier iterations.

    Attributes
    ----------
    predict : callable
        ``predict(coef, dataset, known)`` returns the predicted state codes of all nodes; to be set before the training.
    """

    predict: Callable[..., np.ndarray]

    def __init__(
        self,
        validation: Part,
        known: np.ndarray | None,
        n_iter_no_change: int,
        tol: float,
        record: Validation,
    ):
        self.validation, self.known = validation, known
        self.n_iter_no_change, self.tol, self.record = n_iter_no_change, tol, record

    @classmethod
    def hold_out(cls, estimator: BaseEstimator, whole: Part, before: Validation | None) -> tuple[Part, "EarlyStopping"]:
        """Hold out graphs, or nodes if there is one graph; those of an earlier training on the same samples again.

        Only graphs and nodes with labels of a weight above 0 are drawn. As in `train_test_split`, their number is
        rounded up.

        Returns
        -------
        training : Part
        stopper : EarlyStopping
            Its `predict` is not set yet.

        Raises
        ------
        ValueError
            If there are fewer than two labelled graphs or nodes.
        """
        weights, is_one = _label_weights(whole), len(whole.dataset) == 1
        candidates = np.flatnonzero(weights if is_one else whole.dataset.topology.sum_nodes(weights))
        n = len(candidates)
        if n < 2:
            raise ValueError(
                f"early_stopping=True needs at least two {'nodes' if is_one else 'graphs'} with labels, one to "
                f"train and one to validate, got {n} whose weight is not 0. Use early_stopping=False."
            )
        if before is not None and np.array_equal(before.candidates, candidates):
            held_out = before.held_out
        else:
            rng = check_random_state(estimator.random_state)
            held_out = np.sort(rng.permutation(candidates)[: min(ceil(estimator.validation_fraction * n), n - 1)])
        training, validation, known = split(whole, held_out)
        record = Validation(candidates, held_out)
        return training, cls(validation, known, estimator.n_iter_no_change, estimator.tol, record)

    def __call__(self, state: OptimizerState) -> bool:
        """Score an iterate; return whether to stop."""
        record, score = self.record, self.score(state.x)
        record.scores.append(score)
        record.n_worse = 0 if score > record.best_score + self.tol else record.n_worse + 1
        if score > record.best_score:
            record.best_score, record.best_coef = score, state.x
        return self.is_done

    @property
    def is_done(self) -> bool:
        """Whether the score has not improved for long enough."""
        return self.record.n_worse >= self.n_iter_no_change

    def score(self, coef: np.ndarray) -> float:
        """Fraction of the held-out nodes whose label is predicted, with the weights of training."""
        predicted = self.predict(coef, self.validation.dataset, self.known)
        is_right = predicted == self.validation.targets.codes
        return float(np.average(is_right, weights=_label_weights(self.validation)))
