"""DaskTransformer: a transformer that learns from the partitions of a cluster, and transforms them on the workers."""

from copy import copy, deepcopy
from typing import Any

from sklearn.base import BaseEstimator, MetaEstimatorMixin, TransformerMixin, clone
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from skstruct.data.optional import optional_module
from skstruct.distributed._cluster import Cluster
from skstruct.distributed._pieces import Pieces, named
from skstruct.distributed._sources import is_partitioned, sources
from skstruct.estimator.callbacks import CallbackSupportMixin, one_task
from skstruct.version import Versioned


class DaskTransformer(
    Versioned,
    CallbackSupportMixin,
    MetaEstimatorMixin,
    TransformerMixin,
    BaseEstimator,
    auto_wrap_output_keys=None,  # type: ignore[call-arg]  # scikit-learn has no types for this keyword
):
    """Apply a transformer to partitions on the workers of a Dask cluster.

    `fit` passes the transformer from partition to partition, in their order, and calls its ``partial_fit``. The result
    is that of one machine which reads all partitions: moments of `StandardScaler`, ranges of `MinMaxScaler`,
    vocabularies of `TokenTemplates`, also with `min_count`. In a pipeline, it stands before `DaskGraphCRFClassifier`.

    Data in memory are fitted and transformed in this process.

    Parameters
    ----------
    transformer : transformer
        With a method ``partial_fit``, for example `TokenTemplates` or ``NodeTransformer(StandardScaler())``, or one
        that learns nothing, such as ``NodeTransformer(FeatureHasher())``.
    client : distributed.Client, default=None
        None: the current client. The client is not part of a pickle.

    Attributes
    ----------
    transformer_ : transformer
        The fitted transformer, which transforms data in memory.

    See Also
    --------
    DaskGraphCRFClassifier : the estimator at the end of a pipeline.

    Notes
    -----
    Labels and weights of a partition stay as they are. Transformed partitions are computed when the next step of a
    pipeline reads them, and are not kept. A transformer other than those above can be fitted to a sample and applied by
    ``dask.delayed(fitted.transform)``. Callbacks of scikit-learn belong to this estimator; those of
    `transformer` are not called for partitions.

    Examples
    --------
    Data in memory need no cluster. With a cluster, partitions take their place, for example
    ``fit_transform(["/data/0", "/data/1"])``:

    >>> from skstruct.distributed import DaskTransformer
    >>> from skstruct.preprocessing import TokenTemplates
    >>> DaskTransformer(TokenTemplates(["w[-1..0]"])).fit_transform([["the", "dog"], ["a", "cat", "sleeps"]])
    GraphDataset(n_graphs=2, n_nodes=5, n_edges=3, n_features=8)
    """

    def __init__(self, transformer, *, client=None):
        self.transformer = transformer
        self.client = client

    def __getstate__(self):
        return {**super().__getstate__(), "client": None, "_on_workers": None}

    def __sklearn_clone__(self):
        without_client = copy(self)  # which cannot be copied
        cloned = super(DaskTransformer, without_client).__sklearn_clone__()
        cloned.client = self.client
        return cloned

    def __sklearn_is_fitted__(self):
        return hasattr(self, "transformer_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self.transformer)
        tags.input_tags, tags.transformer_tags = inner.input_tags, inner.transformer_tags
        tags.requires_fit, tags.no_validation = inner.requires_fit, inner.no_validation
        return tags

    @one_task
    def fit(self, X, y=None):
        """Fit a clone of the transformer.

        Parameters
        ----------
        X : list of Delayed, Future or path, or Bag, or data in memory
            Partitions as for `DaskGraphCRFClassifier.fit`, or of X without labels.
        y : Bag, labels in memory, or None, default=None
            None for a list of partitions, which contain their labels.

        Returns
        -------
        self : DaskTransformer

        Raises
        ------
        PartitionError
            If a partition cannot be loaded, or the transformer refuses it. The message names the partition.
        TypeError
            If the transformer has no method ``partial_fit``, and needs to be fitted.
        """
        usable = hasattr(self.transformer, "fit") and hasattr(self.transformer, "transform")
        if not usable or isinstance(self.transformer, type):
            raise TypeError(f"transformer must have the methods fit and transform, got {self.transformer!r}")
        inner = clone(self.transformer)
        self._on_workers = None
        if not is_partitioned(X):
            self.transformer_ = inner.fit(X, y)
            return self
        if hasattr(inner, "set_callbacks"):
            inner.set_callbacks()  # none: the workers receive the transformer
        incremental = hasattr(inner, "partial_fit")
        if not incremental and get_tags(inner).requires_fit:
            raise TypeError(
                f"DaskTransformer needs a transformer with a method partial_fit, got {self.transformer!r}; fit it to a "
                "sample, and transform the partitions by dask.delayed(fitted.transform)"
            )
        given = sources(X, y)
        with Cluster(self.client) as cluster:
            pieces = Pieces.load(cluster, given)
            fitted: Any = inner
            futures = []
            for future, worker in zip(pieces.futures[: None if incremental else 1], cluster.places(len(pieces))):
                fitted = cluster.submit(_learn, future, fitted, incremental, worker=worker)
                futures.append(fitted)
            with pieces.blamed(futures):
                self.transformer_ = cluster.result(fitted)
            cluster.futures.discard(fitted)  # it stays: if its worker dies, the others compute it again
        self._on_workers = fitted
        return self

    def transform(self, X):
        """Transform data in memory, or partitions on the workers.

        Parameters
        ----------
        X : list of Delayed, Future or path, or Bag, or data in memory
            As for `fit`.

        Returns
        -------
        transformed : list of Delayed, or result of the transformer
            For each partition a Delayed of ``(X, y[, sample_weight])`` with the transformed X, or of X if the partition
            contains only X.
        """
        check_is_fitted(self)
        if not is_partitioned(X):
            return self.transformer_.transform(X)
        delayed = optional_module("dask", "dask", "Preprocessing on a cluster").delayed
        if self._on_workers is None or self._on_workers.client.status != "running":
            self._on_workers = Cluster(self.client).client.scatter(self.transformer_, broadcast=True, hash=False)
        return [
            delayed(_transform, pure=False)(number, source.name, source.task, self._on_workers)
            for number, source in enumerate(sources(X))
        ]


def _learn(piece, transformer, incremental):
    """Transformer that has also learnt from a piece; the one before it does not change, as it may be needed again."""
    fit = "partial_fit" if incremental else "fit"
    X, y, *_ = piece.value if isinstance(piece.value, tuple) else (piece.value, None)
    return piece.apply(lambda _: getattr(deepcopy(transformer), fit)(X, y))


def _transform(number, name, data, transformer):
    with named(number, name):
        if not isinstance(data, tuple):
            return transformer.transform(data)
        return transformer.transform(data[0]), *data[1:]
