"""The training of the estimator: reads the data, connects the components, and sets the fitted attributes."""

import sys
import warnings
from dataclasses import replace
from functools import partial

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state

from skstruct.components import resolve
from skstruct.data.node_view import NodeView
from skstruct.data.ragged import is_ragged
from skstruct.data.sklearn_callers import refuse_flat_scoring
from skstruct.estimator._checkpointing import Checkpointing
from skstruct.estimator._early_stopping import EarlyStopping
from skstruct.estimator._fitting import Progress, Training
from skstruct.estimator._input import encode, read_classes, read_X
from skstruct.estimator._known import TrainingLabels
from skstruct.estimator._parameters import check_parameters
from skstruct.estimator._part import Part
from skstruct.estimator._partial import first_classes, refuse_partial, same_classes
from skstruct.estimator._progress_table import ProgressTable
from skstruct.estimator._rollback import complete
from skstruct.estimator._stages import Stages
from skstruct.estimator._training import warn_inference, warn_not_converged
from skstruct.estimator._warnings import stack_level
from skstruct.estimator._weights import weighted_targets, without_weightless
from skstruct.estimator.callbacks import CallbackSupportMixin
from skstruct.features import FEATURE_MAPS, FeatureMap
from skstruct.inference import BACKENDS, InferenceBackend
from skstruct.objectives import MISSING, OBJECTIVES, Objective, stages
from skstruct.optim import OPTIMIZERS, Optimizer

READ = ("n_features_in_", "feature_names_in_", "edge_feature_names_in_", "_training_labels")  # from the data


class TrainingMixin(CallbackSupportMixin):
    """What `fit` and `partial_fit` of `GraphCRFClassifier` do; the class itself documents them, and answers queries."""

    _attributes: tuple[str, ...] = ()  # names of the attributes from the feature map of the last fit
    _progress: Progress | None = None  # from which `warm_start` and `partial_fit` continue

    def _fit(self, X, y, sample_weight, report):
        """Train, call ``report(state, attributes_at)`` after each iteration, and return the interrupt or None."""
        feature_map, backend, objective, optimizer = self._components()
        whole, classes = self._read_training(X, y, sample_weight, objective, reset=True)
        earlier = self._progress if self.warm_start else None
        earlier = None if earlier is None or earlier.is_complete else earlier
        writer = None
        if self.checkpoints is not None:
            writer = Checkpointing(self, partial(self._snapshot, classes))
            earlier = writer.earlier
        part, stopper = whole, None
        if self.early_stopping:
            part, stopper = EarlyStopping.hold_out(self, whole, None if earlier is None else earlier.validation)

        feature_plan = part.plan(feature_map, classes)
        coef = self._warm_coef(feature_plan, classes) if self.warm_start else None
        objectives = stages(objective) if coef is None or earlier is not None else [objective]
        if coef is None:
            coef = feature_plan.initial_coef(check_random_state(self.random_state))
            earlier = None if writer is None else earlier
        training = self._training(part, backend, optimizer, feature_plan, len(classes))
        if writer is not None:
            writer.check(feature_plan, classes)
            training = replace(training, checkpointing=writer)
        table = ProgressTable(type(self).__name__, training.scale, stopper is not None)

        def watch(state, score):
            if self.verbose:
                table(state, score)
            return report(state, partial(self._attributes_at, sequence.main, classes))

        trained = None
        try:
            with training.threads() as in_threads:
                sequence = Stages(training, objectives, in_threads)
                if stopper is not None:
                    stopper.predict = lambda coef, *data: self._decode(sequence.main.model_at(coef, classes), *data)
                trained = sequence.train(coef, earlier, stopper, watch)
        except KeyboardInterrupt as error:
            if trained is None:
                raise
            trained.result.interrupt = error  # while the threads end: the training is complete

        interrupt = complete(self._keep, trained, classes, stopper) or trained.result.interrupt
        try:
            self._warn(trained)
        except KeyboardInterrupt as error:
            interrupt = error
        return interrupt

    def _keep(self, trained, classes, stopper):
        """Set the fitted attributes after a training."""
        result, self._progress = trained.result, trained.progress
        # scikit-learn requires n_iter_ >= 1: an end before the first iteration counts as one iteration
        curve = result.loss_curve if len(result.loss_curve) else np.array([result.fun])
        attributes = self._attributes_at(trained.training, classes, result.x)
        self._set_fitted(attributes, curve * trained.training.scale, result.nfev)
        scores = stopper.record if stopper is not None and stopper.record.scores else None
        self.validation_scores_ = None if scores is None else np.array(scores.scores)
        self.best_validation_score_ = None if scores is None else scores.best_score

    def _warn(self, trained):
        """Warn of a training that has not converged, and of results of approximate inference."""
        if not trained.result.success and trained.result.interrupt is None:
            warn_not_converged(trained.result, self.max_iter, trained.loss)
        warn_inference(trained.loss, trained.result.x)
        if trained.warning:
            warnings.warn(trained.warning, UserWarning, stacklevel=stack_level())

    def _partial_fit(self, X, y, classes, sample_weight):
        feature_map, backend, objective, optimizer = self._components()
        refuse_partial(self)
        is_first = not hasattr(self, "_model")
        classes = first_classes(self, classes) if is_first else same_classes(self, classes)
        part, classes = self._read_training(X, y, sample_weight, objective, reset=is_first, classes=classes)
        if is_first:
            feature_plan = part.plan(feature_map, classes)
            coef = feature_plan.initial_coef(check_random_state(self.random_state))
        else:
            self._check_edge_features(part.dataset)
            model = self._current_model()
            feature_plan, coef, backend = model.feature_plan, model.coef, model.backend
        training = self._training(part, backend, optimizer, feature_plan, len(classes))
        table = ProgressTable(type(self).__name__, training.scale, False, np.inf if is_first else 0)
        with training.threads() as in_threads:
            training = Stages(training, [objective], in_threads).main
            self._progress = training.update(training.loss(objective, in_threads), coef, self._progress)
        state = self._progress.state
        curve = np.append(getattr(self, "loss_curve_", []), state.value * training.scale)
        self._set_fitted(self._attributes_at(training, classes, state.x), curve, state.n_evaluations)
        if self.verbose:
            table(state, None)

    def _components(self):
        """Check the parameters, and return feature map, backend, objective and optimiser."""
        check_parameters(self)
        return (
            resolve(self.features, FeatureMap, FEATURE_MAPS),
            resolve(self.inference, InferenceBackend, BACKENDS),
            resolve(self.objective, Objective, OBJECTIVES),
            self._seeded(resolve(self.optimizer, Optimizer, OPTIMIZERS)),
        )

    def _read_training(self, X, y, sample_weight, objective, *, reset, classes=None):
        """Return the training data, without graphs of weight 0, and the classes."""
        if y is None:
            raise ValueError(f"This {type(self).__name__} estimator requires y to be passed, but the target y is None.")
        if isinstance(X, NodeView) and X.lost_edges:
            warnings.warn(
                f"the NodeView has lost {X.lost_edges} edges to splitting inside graphs; split by whole graphs, e.g. "
                "with GroupKFold(groups=X.groups), or select from dataset.nodes_whole, which keeps all edges.",
                UserWarning,
                stacklevel=stack_level(),
            )
        refuse_flat_scoring(sys._getframe(), is_ragged)
        inputs = read_X(self, X, reset=reset)
        dataset = inputs.dataset
        if classes is None and self.classes is not None:
            classes = read_classes(self.classes)
        codes, classes = self._encode(inputs, y, classes, self.missing_label)
        if (codes == MISSING).all():
            raise ValueError("y has no labelled node: at least one is needed, of at least one class.")
        self._training_labels = TrainingLabels.of(dataset, codes) if self.transductive else None
        targets = weighted_targets(inputs, codes, classes, sample_weight, self.class_weight, objective)
        return Part(*without_weightless(dataset, targets)), classes

    def _training(self, part, backend, optimizer, feature_plan, n_states):
        return Training(self, backend, optimizer, feature_plan, part, n_states)

    def _attributes_at(self, training, classes, coef):
        """Attributes of an estimator with the parameters `coef`, a dict."""
        of_map = training.feature_plan.attributes(coef)
        return {
            "classes_": classes,
            "inference_": training.backend,
            "n_edge_features_in_": training.part.n_edge_features,
            "_model": training.model_at(coef, classes),
            "_fitted_inference": clone(resolve(self.inference, InferenceBackend, BACKENDS)),
            "_attributes": tuple(of_map),
            **of_map,
        }

    def _snapshot(self, classes, training, progress):
        """Attributes of an estimator that is fitted as far as the training is, a dict."""
        scores, coef = progress.validation, progress.state.x
        return {
            **{name: vars(self)[name] for name in READ if name in vars(self)},
            **self._attributes_at(training, classes, coef if scores is None else scores.best_coef),
            "n_iter_": len(progress.loss_curve),
            "n_evaluations_": progress.state.n_evaluations,
            "loss_curve_": progress.loss_curve * training.scale,
            "validation_scores_": None if scores is None else np.array(scores.scores),
            "best_validation_score_": None if scores is None else scores.best_score,
        }

    def _set_fitted(self, attributes, loss_curve, n_evaluations):
        for name in set(self._attributes) - set(attributes):  # attributes of the previous map
            self.__dict__.pop(name, None)
        self.__dict__.update(attributes)
        self.n_iter_ = len(loss_curve)
        self.n_evaluations_ = n_evaluations
        self.loss_curve_ = loss_curve

    def _seeded(self, optimizer):
        """Return the optimiser with the `random_state` of the estimator, where it is None in the optimiser."""
        unseeded = [
            name for name, value in optimizer.get_params().items() if name.endswith("random_state") and value is None
        ]
        if not unseeded:
            return optimizer
        return clone(optimizer).set_params(**dict.fromkeys(unseeded, self.random_state))

    def _warm_coef(self, feature_plan, classes):
        """Weights of the last fit. None before the first fit; None with a warning if features or classes differ."""
        model = getattr(self, "_model", None)
        if model is None:
            return None
        has_same_classes = model.classes.tolist() == classes.tolist()
        if has_same_classes and model.feature_plan == feature_plan:
            return model.coef
        what = "features or their map" if has_same_classes else "classes"
        warnings.warn(
            f"warm_start=True, but the {what} differ from those of the last fit: training starts anew.",
            UserWarning,
            stacklevel=stack_level(),
        )
        return None

    def _encode(self, inputs, y, classes, missing_label, name="y"):
        """State codes per node, (n_nodes,), with MISSING, and the classes."""
        labels, is_known = inputs.labels(y, missing_label, name)
        return encode(labels, is_known, classes, inputs.dataset, name)
