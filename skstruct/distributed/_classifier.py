"""DaskGraphCRFClassifier: the estimator whose training data are partitions on the workers of a Dask cluster."""

import inspect
from copy import copy

import numpy as np
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skstruct.data.optional import optional_module
from skstruct.distributed._cluster import Cluster
from skstruct.distributed._pieces import Pieces, named
from skstruct.distributed._sources import is_partitioned, sources
from skstruct.distributed._training import ClusterPart, ClusterTraining, plain, read_parts, require_labelled
from skstruct.estimator import GraphCRFClassifier
from skstruct.estimator.pieces import read_classes

NO_KNOWN = "known must be None for partitions; to_local() returns an estimator for data in memory, which accepts it."


def _with_client(init):
    """Signature of a function with one more parameter, `client`."""
    signature = inspect.signature(init)
    client = inspect.Parameter("client", inspect.Parameter.KEYWORD_ONLY, default=None)
    return signature.replace(parameters=[*signature.parameters.values(), client])


def _as_local(method):
    """Whether the base class has a method with the current parameters; its error says why not."""
    return available_if(lambda crf: callable(getattr(super(DaskGraphCRFClassifier, crf), method)))


class DaskGraphCRFClassifier(GraphCRFClassifier):
    """`GraphCRFClassifier` whose data are partitions on the workers of a Dask cluster.

    The workers load the partitions, read and prepare them once, and keep them. An evaluation of the objective sends the
    parameters to the workers, and returns one value and one gradient; the optimiser runs in this process.

    Graphs or a table in memory are also accepted, as by the estimators of dask-ml: everything is then computed in this
    process, as by `GraphCRFClassifier`, and no cluster is needed.

    Parameters
    ----------
    *args, **parameters
        Parameters of `GraphCRFClassifier`. All partitions together determine the classes, the scale of the objective
        and the weights of ``class_weight="balanced"``. With ``optimizer="sgd"`` or ``"adam"``, a mini-batch consists of
        a mini-batch of each partition. `early_stopping` and `transductive` are not supported for partitions. `n_jobs`
        is for data in memory: on the cluster, each thread of a worker computes for one partition at a time.
    client : distributed.Client, default=None
        None: the current client, as `distributed.get_client` returns it. The client is not part of a pickle.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        It and all other attributes are as those of `GraphCRFClassifier`.

    See Also
    --------
    skstruct.io.save_dataset : writes a partition to a folder.

    Notes
    -----
    The result has the same bits for the same partitions, whatever the number of workers, and also if workers die or
    join during the training: gradients are added in an order that depends on the number of partitions only, and the
    partitions of a worker that has died are loaded again by other workers. Therefore the partitions must be loaded by
    the workers. Data that the client has scattered are lost with their worker.

    Callbacks of scikit-learn run in this process, and receive the partitions as `X`. A `ScoringMonitor` needs `y`, and
    logs scores only if `X` and `y` are Bags. Each score loads the partitions again.

    Examples
    --------
    Data in memory need no cluster. With a cluster, partitions take the place of `X` and `y`, for example
    ``fit(["/data/0", "/data/1"])``:

    >>> from skstruct.datasets import make_chain
    >>> from skstruct.distributed import DaskGraphCRFClassifier
    >>> X, y = make_chain(n_graphs=20, return_X_y=True, random_state=0)
    >>> crf = DaskGraphCRFClassifier(C=0.1).fit(X, y)
    >>> crf.to_local()
    GraphCRFClassifier(C=0.1)
    """

    def __init__(self, *args, client=None, **parameters):
        super().__init__(*args, **parameters)
        self.client = client

    # scikit-learn reads the names of the parameters here: those of the base class are not listed a second time
    __init__.__signature__ = _with_client(GraphCRFClassifier.__init__)  # type: ignore[attr-defined]  # inspect reads this attribute, which mypy does not know

    def __getstate__(self):
        return {**super().__getstate__(), "client": None}

    def __sklearn_clone__(self):
        without_client = copy(self)  # which cannot be copied
        clone = super(DaskGraphCRFClassifier, without_client).__sklearn_clone__()
        clone.client = self.client
        return clone

    def to_local(self):
        """Return the estimator as a `GraphCRFClassifier`, which needs no cluster.

        Returns
        -------
        local : GraphCRFClassifier
            With the same parameters, and fitted if this estimator is fitted. It has no callbacks.
        """
        local = plain(self)
        fitted = vars(self).keys() - self.get_params(deep=False).keys()
        # callbacks, and what scikit-learn keeps of them during fit, stay here: workers receive a local estimator
        local.__dict__.update({name: vars(self)[name] for name in fitted if "callback" not in name})
        return local

    def fit(self, X, y=None, sample_weight=None):
        """Estimate the weights from labelled graphs.

        Parameters
        ----------
        X : list of Delayed, Future or path, or Bag, or data in memory
            Each item of a list is a partition: a Delayed or a Future of ``(X, y)`` or ``(X, y, sample_weight)``, or the
            path of a folder that `skstruct.io.save_dataset` has written with labels, and that all workers can read.
            Folders contain no sample weights: ``delayed(load)(folder)`` with a function that returns them as the third
            item loads both. A Bag consists of graphs.
        y : Bag, default=None
            Labels of the graphs of a Bag, with the same partitions. None for a list of partitions, which contain their
            labels.
        sample_weight : Bag, default=None
            Weights of the graphs of a Bag.

        Returns
        -------
        self : DaskGraphCRFClassifier

        Raises
        ------
        PartitionError
            If a partition cannot be loaded, is malformed, or has other features or labels than the partitions before
            it. The message names the partition.
        ValueError, TypeError
            As by `GraphCRFClassifier.fit`.
        """
        return super().fit(X, y, sample_weight)

    def _fit(self, X, y, sample_weight, report):
        if not is_partitioned(X):
            return super()._fit(X, y, sample_weight, report)
        given = sources(X, y, sample_weight)
        with Cluster(self.client) as cluster:
            return super()._fit(Pieces.load(cluster, given), None, None, report)

    def _read_training(self, X, y, sample_weight, objective, *, reset, classes=None):
        if not isinstance(X, Pieces):
            if is_partitioned(X):
                raise TypeError("partial_fit needs data in memory, got partitions; fit accepts partitions.")
            return super()._read_training(X, y, sample_weight, objective, reset=reset, classes=classes)
        for name in ("early_stopping", "transductive"):
            if getattr(self, name):
                raise ValueError(f"{name}=True is not supported for partitions; use {name}=False, or data in memory.")
        classes = None if self.classes is None else read_classes(self.classes)
        part, classes, facts = read_parts(X, self, classes, objective)
        if not len(part.pieces):
            raise ValueError(
                "sample_weight and class_weight are zero for every graph that has a labelled node: at least one weight "
                "must be a non-zero number."
            )
        self._training_labels = None
        self.n_features_in_ = facts["number of node features"]
        for attribute, what in (("feature_names_in_", "node"), ("edge_feature_names_in_", "edge")):
            names = facts.get(f"list of names of {what} features")
            if names is not None:
                setattr(self, attribute, np.array(names, object))
            elif hasattr(self, attribute):
                delattr(self, attribute)
        return part, classes

    def _training(self, part, backend, optimizer, feature_plan, n_states):
        if not isinstance(part, ClusterPart):
            return super()._training(part, backend, optimizer, feature_plan, n_states)
        return ClusterTraining(self, backend, optimizer, feature_plan, part, n_states)

    def _for_workers(self):
        """Fitted local estimator without threads."""
        check_is_fitted(self)
        return self.to_local().set_params(n_jobs=1)

    def _query(self, X):
        if is_partitioned(X):
            raise TypeError(
                "X consists of partitions; predict, predict_proba, predict_log_proba and score accept them. All other "
                "queries need data in memory: local = crf.to_local() returns an estimator that tasks can use, e.g. "
                "dask.delayed(local.entropy)(X) with the graphs of one partition."
            )
        return super()._query(X)

    def _over_partitions(self, method, X, known):
        """Delayed results of a method of the local estimator, one per partition."""
        if known is not None:
            raise ValueError(NO_KNOWN)
        delayed = optional_module("dask", "dask", "Prediction on a cluster").delayed
        given = sources(X)
        # the model is in the memory of all workers, instead of in each task
        model = Cluster(self.client).client.scatter(self._for_workers(), broadcast=True, hash=False)
        return [
            delayed(_predict, pure=False)(number, source.name, source.task, model, method)
            for number, source in enumerate(given)
        ]

    def predict(self, X, known=None):
        """Predict the label of every node.

        Parameters
        ----------
        X : list of Delayed, Future or path, or Bag, or data in memory
            Partitions as in `fit`, or of X without labels.
        known : like `y` in `GraphCRFClassifier.fit`, default=None
            Only for data in memory.

        Returns
        -------
        labels : list of Delayed
            For each partition a Delayed of the result of `GraphCRFClassifier.predict`, which a worker computes when it
            is needed: ``dask.compute(*labels)``, or in further tasks such as ``delayed(save)(labels[0])``. For data in
            memory the result itself.
        """
        return self._over_partitions("predict", X, known) if is_partitioned(X) else super().predict(X, known)

    @_as_local("predict_proba")
    def predict_proba(self, X, known=None):
        """Probability of every label at every node.

        Parameters
        ----------
        X, known
            As in `predict`.

        Returns
        -------
        probability : list of Delayed
            As in `predict`, of the results of `GraphCRFClassifier.predict_proba`.
        """
        if is_partitioned(X):
            return self._over_partitions("predict_proba", X, known)
        return super().predict_proba(X, known)

    @_as_local("predict_log_proba")
    def predict_log_proba(self, X, known=None):
        """Logarithm of `predict_proba`, in nats.

        Parameters
        ----------
        X, known
            As in `predict`.

        Returns
        -------
        log_probability : list of Delayed
            As in `predict`, of the results of `GraphCRFClassifier.predict_log_proba`.
        """
        if is_partitioned(X):
            return self._over_partitions("predict_log_proba", X, known)
        return super().predict_log_proba(X, known)

    def score(self, X, y=None, sample_weight=None, known=None):
        """Accuracy over all labelled nodes of all partitions.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
        known : like `y` in `GraphCRFClassifier.fit`, default=None
            Only for data in memory.

        Returns
        -------
        accuracy : float
        """
        if not is_partitioned(X):
            return super().score(X, y, sample_weight, known)
        if known is not None:
            raise ValueError(NO_KNOWN)
        given = sources(X, y, sample_weight)
        with Cluster(self.client) as cluster:
            right, total = Pieces.load(cluster, given).total(_right_and_total, [self._for_workers()])
        return self._accuracy(right, total)


def _predict(number, name, data, local, method):
    """Predictions for a partition, which may have labels."""
    with named(number, name):
        return getattr(local, method)(data[0] if isinstance(data, tuple) else data)


def _right_and_total(data, local):
    """Weight of the nodes whose label is predicted, and of all labelled nodes."""
    return local._hits(*require_labelled(data))
