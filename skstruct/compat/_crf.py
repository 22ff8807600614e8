"""CRF: the class of sklearn-crfsuite."""

import os
import pickle
from itertools import chain
from types import SimpleNamespace

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score
from sklearn.pipeline import Pipeline

from skstruct.compat._algorithms import CRFSUITE_NAMES, FEATURES, read_settings
from skstruct.compat._crfsuite_format import is_crfsuite
from skstruct.compat._features import CRFsuiteFeatures
from skstruct.compat._model_file import from_crfsuite
from skstruct.compat._sequences import read_labels, read_sequences
from skstruct.compat._tagger import Tagger
from skstruct.compat._training import HeldOut, Watch, WatchedOptimizer
from skstruct.components import require
from skstruct.data.label_types import label_kind, one_kind
from skstruct.data.optional import optional_module
from skstruct.data.structure import offsets
from skstruct.estimator import GraphCRFClassifier
from skstruct.io import load_model
from skstruct.preprocessing import AttributeVectorizer
from skstruct.version import Versioned

NO_PENALTY = 1e30  # C without a penalty


class CRF(Versioned, BaseEstimator):
    """Linear-chain conditional random field with the interface of the class CRF of sklearn-crfsuite.

    Programs for sklearn-crfsuite run with one changed import. `fit` trains the model that CRFsuite trains: it has the
    same weights, and minimises the same function. `pipeline_` is the model as a pipeline of skstruct, for everything
    that sklearn-crfsuite does not offer.

    Parameters that are None have the default of CRFsuite. A parameter that the algorithm does not have is refused, as
    CRFsuite does.

    Parameters
    ----------
    algorithm : {"lbfgs", "l2sgd", "ap", "pa", "arow"}, default=None
        "lbfgs" (the default) finds the optimum, with an L1 penalty by OWL-QN. "l2sgd" is `AveragedSGD`. "ap" (averaged
        perceptron), "pa" (passive-aggressive) and "arow" do the steps of CRFsuite, with the sequences in another order.
    min_freq : float, default=None
        Minimum frequency of a pair of an attribute and a label, or of two labels, that has a weight; 0.
    all_possible_states, all_possible_transitions : bool, default=None
        Whether pairs of attributes and labels, or of labels, that do not occur in the training data have a weight;
        False.
    c1, c2 : float, default=None
        Factors of the L1 penalty ``c1 * sum(abs(w))`` (0; "lbfgs" only) and of the L2 penalty ``c2 * sum(w**2)`` (1;
        also "l2sgd").
    max_iterations : int, default=None
        Maximum number of iterations: no limit for "lbfgs", 1000 for "l2sgd" (which does at most 30), and 100 for the
        other algorithms.
    num_memories : int, default=None
        Number of pairs of vectors that approximate the curvature in "lbfgs"; 6.
    epsilon : float, default=None
        "lbfgs" ends when the largest component of the gradient is at most this fraction of the norm of the weights;
        1e-5. "ap", "pa" and "arow" end when the mean loss of a sequence is less than `epsilon` (0).
    period, delta : int and float, default=None
        "lbfgs" ends when the relative decrease of the objective in `period` iterations (10) is less than `delta`
        (1e-5).
    linesearch, max_linesearch, calibration_eta, calibration_rate, calibration_samples, calibration_candidates, \
calibration_max_trials : default=None
        Accepted and not used: the line search and the choice of the learning rate are those of skstruct.
    pa_type : {0, 1, 2}, default=None
        "pa" without slack variables (0), or with a linear (1, the default) or quadratic (2) cost of them.
    c : float, default=None
        Factor of the slack variables of "pa"; 1.
    error_sensitive : bool, default=None
        Whether the margin of "pa" is the square root of the number of wrong labels, or else 1; True.
    averaging : bool, default=None
        Whether "pa" returns the average of the weights after each sequence; True.
    variance, gamma : float, default=None
        Initial variance of a weight, and trade-off between loss and change of the weights, in "arow"; 1.
    verbose : bool, default=False
        Whether to print a line for each iteration.
    model_filename : path, default=None
        A model that is used without `fit`: a file of CRFsuite, or of an earlier `fit` with this parameter. `fit` writes
        its model to this file, in the format of skops, which CRFsuite cannot read.
    keep_tempfiles : bool, default=False
        Accepted and not used: there are no temporary files.
    trainer_cls : class, default=None
        Subclass of ``pycrfsuite.Trainer``. It receives the log of the training, line by line in the format of CRFsuite.

    Attributes
    ----------
    pipeline_ : Pipeline
        An `AttributeVectorizer` and a `GraphCRFClassifier`.
    training_log_ : TrainingLog or None
        Log of the last `fit`: ``iterations`` is a list of dicts with ``loss``, ``feature_norm``, ``active_features``,
        ``time`` and, with held-out sequences, ``scores``, ``avg_f1`` and others. With `trainer_cls` it is its
        ``logparser``.

    See Also
    --------
    from_crfsuite : Read a model file of CRFsuite.

    Notes
    -----
    Differences to sklearn-crfsuite:

    - `predict` and `predict_marginals` return a one-dimensional array of lists, also if all sequences have the same
      length.
    - Weights have all their digits. sklearn-crfsuite rounds them to six decimals.
    - `size_` is the size of the pickled pipeline.
    - `tagger_` has the methods ``labels``, ``set``, ``tag``, ``probability``, ``marginal``, ``info`` and ``close``.
    - Values that are not finite are refused.
    - Convergence is measured by the largest component of the gradient, and not by its norm.

    Examples
    --------
    >>> from skstruct.compat import CRF
    >>> X = [[{"w": "the", "title": False}, {"w": "dog"}], [{"w": "dog"}, {"w": "sleeps", "suffix": {"s": 1.0}}]]
    >>> y = [["D", "N"], ["N", "V"]]
    >>> crf = CRF(algorithm="lbfgs", c1=0.1, c2=0.1, max_iterations=100, all_possible_transitions=True).fit(X, y)
    >>> crf.predict([[{"w": "the"}, {"w": "cat"}]]).tolist()
    [['D', 'N']]
    >>> crf.classes_
    ['D', 'N', 'V']
    >>> max(crf.state_features_, key=crf.state_features_.get)
    ('w:dog', 'N')
    """

    training_log_ = None

    def __init__(
        self,
        algorithm=None,
        min_freq=None,
        all_possible_states=None,
        all_possible_transitions=None,
        c1=None,
        c2=None,
        max_iterations=None,
        num_memories=None,
        epsilon=None,
        period=None,
        delta=None,
        linesearch=None,
        max_linesearch=None,
        calibration_eta=None,
        calibration_rate=None,
        calibration_samples=None,
        calibration_candidates=None,
        calibration_max_trials=None,
        pa_type=None,
        c=None,
        error_sensitive=None,
        averaging=None,
        variance=None,
        gamma=None,
        verbose=False,
        model_filename=None,
        keep_tempfiles=False,
        trainer_cls=None,
    ):
        self.algorithm = algorithm
        self.min_freq = min_freq
        self.all_possible_states = all_possible_states
        self.all_possible_transitions = all_possible_transitions
        self.c1 = c1
        self.c2 = c2
        self.max_iterations = max_iterations
        self.num_memories = num_memories
        self.epsilon = epsilon
        self.period = period
        self.delta = delta
        self.linesearch = linesearch
        self.max_linesearch = max_linesearch
        self.calibration_eta = calibration_eta
        self.calibration_rate = calibration_rate
        self.calibration_samples = calibration_samples
        self.calibration_candidates = calibration_candidates
        self.calibration_max_trials = calibration_max_trials
        self.pa_type = pa_type
        self.c = c
        self.error_sensitive = error_sensitive
        self.averaging = averaging
        self.variance = variance
        self.gamma = gamma
        self.verbose = verbose
        self.model_filename = model_filename
        self.keep_tempfiles = keep_tempfiles
        self.trainer_cls = trainer_cls

    def fit(self, X, y, X_dev=None, y_dev=None):
        """Train a model.

        Parameters
        ----------
        X : list of lists of dicts
            A list of tokens for each sequence. A token is a dict from names to strings, numbers, bools, lists of
            strings or dicts of these, or a list of strings.
        y : list of lists of str
            A label for each token.
        X_dev, y_dev : lists as `X` and `y`, default=None
            Sequences on which each iteration is evaluated; see `training_log_`.

        Returns
        -------
        self : CRF

        Raises
        ------
        ValueError, TypeError
            If a parameter or the data are invalid. The message names the sequence and the token.
        """
        if (X_dev is None) != (y_dev is None):
            raise ValueError("Pass both X_dev and y_dev to use the holdout data")
        algorithm, settings = read_settings(self)
        is_path = self.model_filename is None or isinstance(self.model_filename, str | os.PathLike)
        require(self, "model_filename", is_path, "a path or None")
        vectorizer = AttributeVectorizer(separator=":", keep_zeros=True)
        dataset = vectorizer.fit_transform(read_sequences(X))
        labels = read_labels(y, dataset.node_ptr)
        classes = list(dict.fromkeys(labels.values.tolist()))
        features = CRFsuiteFeatures(*(settings[name] for name in FEATURES))
        held_out = None
        if X_dev is not None:
            held_out_dataset = _transformed(vectorizer, read_sequences(X_dev, "X_dev"))
            held_out_labels = read_labels(y_dev, held_out_dataset.node_ptr, "y_dev")
            one_kind({label_kind(y.values, "y_dev", None) for y in (labels, held_out_labels)}, "y and y_dev")
            classes = list(dict.fromkeys([*classes, *held_out_labels.values.tolist()]))
            held_out = HeldOut(features, (dataset, labels), (held_out_dataset, held_out_labels), classes)
        trainer = self._trainer()
        watch = Watch(
            dataset.n_nodes,
            lambda iterations: algorithm.is_done(iterations, settings, len(dataset)),
            held_out,
            _print if self.verbose and trainer is None else _ignore,
            _ignore if trainer is None else trainer.message,
        )
        penalty = settings.get("c1", 0.0) + 2 * settings.get("c2", 0.0)
        crf = GraphCRFClassifier(
            features,
            "chain",
            algorithm.objective(settings),
            WatchedOptimizer(algorithm.optimizer(settings, dataset.n_nodes), watch),
            C=1.0 / max(penalty, 1.0 / NO_PENALTY),
            l1_ratio=settings.get("c1", 0.0) / penalty if penalty else 0.0,
            classes=classes,
            max_iter=settings["max_iterations"],
            tol=0.0,
        ).fit(dataset, labels)
        watch.end()
        # scores define marginals whatever the objective was, as in CRFsuite
        crf.set_params(objective="likelihood", optimizer="lbfgs", tol=1e-6)
        self.training_log_ = getattr(trainer, "logparser", watch.log)
        self.pipeline_ = Pipeline([("attributes", vectorizer), ("crf", crf)])
        self._labels, self._tagger = classes, None
        if self.model_filename is not None:
            optional_module("skops.io", "skops", "model_filename").dump(self.pipeline_, self.model_filename)
        return self

    def predict(self, X):
        """Predict the most probable labels of each sequence.

        Parameters
        ----------
        X : list of lists of dicts
            As for `fit`.

        Returns
        -------
        y : ndarray of lists of str
        """
        return _array_of_lists([labels.tolist() for labels in self._query("predict", X)])

    def predict_single(self, xseq):
        """Predict the most probable labels of one sequence.

        Parameters
        ----------
        xseq : list of dicts

        Returns
        -------
        y : list of str
        """
        return self.predict([xseq])[0]

    def predict_marginals(self, X):
        """Predict the probability of each label for each token.

        Parameters
        ----------
        X : list of lists of dicts
            As for `fit`.

        Returns
        -------
        y : ndarray of lists of dicts
            ``{label: probability}`` for each token.
        """
        found, labels = self._query("predict_proba", X), self.classes_
        order = np.searchsorted(self._model().pipeline.classes_, labels)
        return _array_of_lists([[dict(zip(labels, row)) for row in rows[:, order].tolist()] for rows in found])

    def predict_marginals_single(self, xseq):
        """Predict the probability of each label for each token of one sequence.

        Parameters
        ----------
        xseq : list of dicts

        Returns
        -------
        y : list of dicts
        """
        return self.predict_marginals([xseq])[0]

    def score(self, X, y):
        """Fraction of tokens with the right label.

        Parameters
        ----------
        X, y :
            As for `fit`.

        Returns
        -------
        accuracy : float
        """
        found = self.predict(X)
        expected = read_labels(y, offsets(list(map(len, found))))
        return float(accuracy_score(expected.values, list(chain.from_iterable(found))))

    @property
    def tagger_(self):
        """The model with the methods of ``pycrfsuite.Tagger``; None without a model."""
        return None if self._has_no_model() else self._model()

    @property
    def modelfile(self):
        """File of the model; its ``name`` is `model_filename`, because there are no temporary files."""
        name = self.model_filename
        return SimpleNamespace(name=name, auto=name is None, keep_tempfiles=self.keep_tempfiles)

    @property
    def classes_(self):
        """List of the labels, in the order of the training data."""
        return None if self._has_no_model() else self._model().labels()

    @property
    def size_(self):
        """Size of the pickled pipeline in bytes."""
        return None if self._has_no_model() else len(pickle.dumps(self._model().pipeline))

    @property
    def attributes_(self):
        """List of the attributes that have a weight."""
        return None if self._has_no_model() else list(self._model().info().attributes)

    @property
    def num_attributes_(self):
        """Number of attributes that have a weight."""
        return None if self._has_no_model() else len(self._model().info().attributes)

    @property
    def state_features_(self):
        """Weights of attributes, ``{(attribute, label): weight}``, without weights of 0."""
        return None if self._has_no_model() else self._model().info().state_features

    @property
    def transition_features_(self):
        """Weights of transitions, ``{(label_from, label_to): weight}``, without weights of 0."""
        return None if self._has_no_model() else self._model().info().transitions

    def __sklearn_is_fitted__(self):
        return not self._has_no_model()

    def __getstate__(self):
        return {name: value for name, value in super().__getstate__().items() if name != "_tagger"}

    def _has_no_model(self):
        return not hasattr(self, "pipeline_") and self.model_filename is None

    def _model(self):
        """Return the Tagger of the model of the last `fit`, or of the file."""
        if getattr(self, "_tagger", None) is None:
            if hasattr(self, "pipeline_"):
                self._tagger = Tagger(self.pipeline_, self._labels)
            elif self.model_filename is not None:
                read = from_crfsuite if is_crfsuite(self.model_filename) else load_model
                pipeline = read(self.model_filename)
                self._tagger = Tagger(pipeline, pipeline.classes_.tolist())
            else:
                raise NotFittedError("this CRF has no model: call fit(X, y), or set model_filename")
        return self._tagger

    def _query(self, method, X):
        sequences = read_sequences(X)
        return getattr(self._model().pipeline, method)(sequences) if sequences else []

    def _trainer(self):
        """Trainer of python-crfsuite that receives the log, or None."""
        if self.trainer_cls is None:
            return None
        is_trainer = callable(self.trainer_cls) and hasattr(self.trainer_cls, "message")
        require(self, "trainer_cls", is_trainer, "a subclass of pycrfsuite.Trainer or None")
        given = {name: getattr(self, parameter) for parameter, name in CRFSUITE_NAMES.items()}
        given = {name: value for name, value in given.items() if value is not None}
        trainer = self.trainer_cls(algorithm=self.algorithm, params=given, verbose=self.verbose)
        trainer._before_train()  # creates its log, as its method train does
        return trainer


def _transformed(vectorizer, held_out):
    """Held-out sequences as a dataset; errors name them."""
    try:
        return vectorizer.transform(held_out)
    except (TypeError, ValueError) as error:
        raise type(error)(f"X_dev: {error}") from error


def _array_of_lists(lists):
    array = np.empty(len(lists), object)
    for i, item in enumerate(lists):
        array[i] = item
    return array


def _ignore(report):
    """Do nothing with a report."""


def _print(iteration):
    parts = ["Iter {num:<3}  time={time:<5.2f}  loss={loss:<8.2f}  active={active_features:<5} "]
    if iteration["scores"]:
        parts.append("precision={avg_precision:0.3f}  recall={avg_recall:0.3f}  F1={avg_f1:0.3f} ")
        parts.append("Acc(item/seq)={item_accuracy_float:0.3f} {instance_accuracy_float:0.3f} ")
    print(" ".join([*parts, "feature_norm={feature_norm:.2f}"]).format(**iteration))
