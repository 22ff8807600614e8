"""Fitted models in files of skops: the types to trust, and loading with checks."""

import json
import os
from collections.abc import Iterable
from numbers import Real
from pathlib import Path
from types import ModuleType
from typing import Any
from zipfile import ZipFile

from scipy.sparse import csc_array, csr_array
from sklearn.base import BaseEstimator

from skstruct import calibration, decoding, estimator, features, inference, objectives, optim, preprocessing
from skstruct.data.optional import optional_module
from skstruct.io._archives import Budget, check_files, read_schema, stored_copy
from skstruct.io._array_files import open_regular
from skstruct.version import STAMP, refuse_newer

MODULES: tuple[ModuleType, ...] = (
    estimator,
    calibration,
    preprocessing,
    inference,
    decoding,
    features,
    objectives,
    optim,
)
STATES = (  # classes of what a fitted model contains, beside the public ones
    "skstruct.compat._crf.CRF",
    "skstruct.compat._features.CRFsuiteFeatures",
    "skstruct.compat._log.TrainingLog",
    "skstruct.distributed._classifier.DaskGraphCRFClassifier",
    "skstruct.distributed._transformer.DaskTransformer",
    "skstruct.estimator._early_stopping.Validation",
    "skstruct.estimator._fitting.Progress",
    "skstruct.estimator._known.TrainingLabels",
    "skstruct.estimator._model.Model",
    "skstruct.features._constrained.ConstrainedPlan",
    "skstruct.features._edge_scores.LinearEdges",
    "skstruct.features._edge_weights.EdgeWeights",
    "skstruct.features._label_features.LabelFeatures",
    "skstruct.features._label_features.LabelPlan",
    "skstruct.features._layers.Layers",
    "skstruct.features._linear.LinearPlan",
    "skstruct.features._network.NetworkEdges",
    "skstruct.features._network.NetworkPlan",
    "skstruct.features._node_weights.NodeWeights",
    "skstruct.io._checkpoints.Checkpoints",
    "skstruct.optim._adam._AdamState",
    "skstruct.optim._averaged_perceptron._PerceptronState",
    "skstruct.optim._bcfw._BCFWState",
    "skstruct.optim._history.History",
    "skstruct.optim._history.Pairs",
    "skstruct.optim._history.RoundedPairs",
    "skstruct.optim._newton.NewtonState",
    "skstruct.optim._quasi_newton.LBFGSState",
    "skstruct.optim._sgd._SGDState",
)
MAX_BYTES, PER_FILE_BYTE = 2**28, 20


def trusted_types() -> list[str]:
    """Names of the types that a file of a fitted model contains, for the parameter ``trusted`` of ``skops.io.load``.

    They are the estimators, transformers and components of skstruct, the classes of their fitted state, and two types
    of scipy. None of them runs code from the file, or opens files. skops itself trusts the types of scikit-learn and
    NumPy.

    Returns
    -------
    list of str

    See Also
    --------
    load_model : Load a model with these types, and with checks of the file.

    Examples
    --------
    >>> from skstruct.io import trusted_types
    >>> "skstruct.estimator._classifier.GraphCRFClassifier" in trusted_types()
    True
    """
    public = [getattr(module, name) for module in MODULES for name in module.__all__]
    classes = [kind for kind in public if isinstance(kind, type) and issubclass(kind, BaseEstimator)]
    return sorted({*(f"{kind.__module__}.{kind.__name__}" for kind in (*classes, csc_array, csr_array)), *STATES})


def load_model(file: Any, trusted: Iterable[str] = (), *, max_bytes: int | None = None) -> Any:
    """Load a model that ``skops.io.dump`` has written, also from a file of untrusted origin.

    The result is that of ``skops.io.load(file, trusted=trusted_types())``. In addition, the file is checked before it
    is read. Files that are truncated or damaged, that a newer version of skstruct has written, that contain other
    types, or that would need much more memory than their size suggests, end in an error that says so. Nothing in the
    file is executed.

    Parameters
    ----------
    file : path or binary file
    trusted : iterable of str, default=()
        Names of further types, such as functions in parameters. ``skops.io.get_untrusted_types(file=...)`` lists the
        types in a file. Read the list before you trust it.
    max_bytes : int, default=None
        Bound on the memory that loading may need, as estimated from the file. None: 256 MB, or 20 times the size of the
        file if that is more.

    Returns
    -------
    model : estimator
        For example a fitted `Pipeline`.

    Raises
    ------
    ValueError
        If the file is refused. The message names the file and the reason.
    FileNotFoundError
        If there is no such file.
    ImportError
        If skops is not installed.

    See Also
    --------
    trusted_types : The types that are trusted.

    Examples
    --------
    >>> import skops.io
    >>> from tempfile import mkdtemp
    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.io import load_model
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"]
    >>> path = mkdtemp() + "/model.skops"
    >>> skops.io.dump(GraphCRFClassifier().fit(X, y), path)
    >>> load_model(path).predict(X)
    array(['a', 'a', 'b', 'b'], dtype='<U1')
    """
    skops = optional_module("skops.io", "skops", "load_model")
    trusted = _names(trusted)
    if max_bytes is not None and not (isinstance(max_bytes, Real) and max_bytes > 0):
        raise ValueError(f"max_bytes must be a positive number or None, got {max_bytes!r}")
    if not (hasattr(file, "read") or isinstance(file, str | os.PathLike)):
        raise TypeError(f"file must be a path or a binary file, got {file!r}")
    if hasattr(file, "read"):
        return _load(skops, file, getattr(file, "name", "the file"), [*trusted_types(), *trusted], max_bytes)
    path = Path(file)
    with open_regular(path) as opened:
        return _load(skops, opened, path, [*trusted_types(), *trusted], max_bytes)


def _names(trusted):
    """Return `trusted` as a list of names."""
    try:
        names = [None] if isinstance(trusted, str) else list(trusted)
    except TypeError:  # no list, or an array without dimensions
        names = [None]
    if not all(isinstance(name, str) for name in names):
        raise TypeError(f"trusted must be a list of names of types, got {trusted!r}")
    return names


def _load(skops, file, name, trusted, max_bytes):
    """Load an open file; all errors become ValueErrors that name the file."""
    if max_bytes is None:
        max_bytes = max(MAX_BYTES, PER_FILE_BYTE * file.seek(0, os.SEEK_END))
    budget = Budget(max_bytes, str(name))
    try:
        file = stored_copy(file, budget)
        with ZipFile(file) as archive:
            _check(archive, name, budget)
        return skops.load(file, trusted=trusted)
    except Exception as error:  # a damaged or hostile file can make skops, NumPy and zipfile raise nearly anything
        if isinstance(error, ValueError) and str(name) in str(error):
            raise
        raise ValueError(f"{name} cannot be loaded: {_reason(error)}") from error


def _check(archive, name, budget):
    """Check versions, and the memory that all objects need."""
    nodes = read_schema(archive, budget)
    for node in nodes:
        if STAMP in node:
            refuse_newer(json.loads(node[STAMP]["content"]), str(name))
    check_files(archive, nodes, budget)


def _reason(error):
    unsafe = getattr(error, "unsafe", None)
    if unsafe:
        return f"it contains types that are not trusted: {sorted(unsafe)!s:.500}; name them in trusted if you know them"
    return f"{type(error).__name__}: {error!s:.300}"
