"""The calls: every public function, class and method with valid arguments, one of which is damaged.

Signatures say what the arguments are. An argument has its default value, or the value of its name in `values`.
"""

import inspect
import os
import random
import tempfile
import zlib
from copy import deepcopy
from functools import cache, partial
from typing import Any, NamedTuple

from matplotlib import pyplot
from sklearn.linear_model import LogisticRegression

import skstruct.io
from skstruct import GraphCRFClassifier, GraphDataset, MultiLabelCRFClassifier, NodeView, RaggedArray, Topology
from skstruct.calibration import TemperatureScalingCV
from skstruct.compat import CRF as CRFsuite
from skstruct.distributed import DaskGraphCRFClassifier, DaskTransformer
from skstruct.features import LinearFeatures

from . import values
from .damages import Content, damaged
from .files import command_entries, file_entries, run_main, write_files
from .names import COMPONENTS, LEFT_OUT, METHODS_LEFT_OUT, methods, parameters_of, public
from .partitions import partition_entries
from .values import CHAIN, GRAPHS, LABELS, OWN, SETS, TABLE, TAGS, TOKENS, VALUES

N_DAMAGES = 8  # for each argument
N_DAMAGES_OF_FILES = 40


class Entry(NamedTuple):
    """A function, and valid arguments of it."""

    name: str
    function: Any
    valid: dict


# ------------------------------------------------------------------------------- what is called for a class or function
NEEDED = {  # parameters of the estimator without which it refuses a component
    "BCFW": {"objective": "hinge", "features": LinearFeatures(fit_intercept=False)},
    "AveragedPerceptron": {"objective": "perceptron"},
    "Hinge": {"optimizer": "sgd"},
    "Perceptron": {"optimizer": "sgd"},
}


def train_with(component, **parameters):
    """Train an estimator with a component that has these parameters, and predict."""
    settings = {**NEEDED.get(component.__name__, {}), component.parameter: component(**parameters)}
    X = [(graph[0], [] if component.__name__ == "Edgeless" else CHAIN) for graph in GRAPHS]
    return GraphCRFClassifier(max_iter=3, tol=0.1, **settings).fit(X, LABELS).predict(X)


def fit(make, *data, **parameters):
    return make(**parameters).fit(*data)


def drawn(function, **arguments):
    """Call what draws, and close the picture."""
    try:
        return function(**arguments)
    finally:
        pyplot.close("all")


def loss_of(crf, X, y, sample_weight):
    with skstruct.estimator.fitted_loss(crf, X, y, sample_weight) as fitted:
        return fitted.loss(fitted.model.coef)


def new_path():
    return f"{tempfile.mkdtemp(dir=values.FOLDER)}/new"


class Kind(NamedTuple):
    """How the battery calls a public class.

    Attributes
    ----------
    use : callable
        What reads the parameters of the constructor.
    make : callable, default=None
        Returns an object whose methods are called; they are called on copies of it. None: ``use`` with valid arguments.
    """

    use: Any
    make: Any = None


KINDS = {
    "Graph": Kind(skstruct.Graph),
    "GraphDataset": Kind(GraphDataset, lambda: GraphDataset.from_graphs(GRAPHS)),
    "NodeView": Kind(NodeView, lambda: GraphDataset.from_graphs(GRAPHS).nodes),
    "RaggedArray": Kind(RaggedArray),
    "Topology": Kind(Topology),
    "GraphCRFClassifier": Kind(partial(fit, GraphCRFClassifier, GRAPHS, LABELS), lambda: values.CRF),
    "MultiLabelCRFClassifier": Kind(partial(fit, MultiLabelCRFClassifier, TABLE, SETS), lambda: values.MULTILABEL),
    "calibration.TemperatureScalingCV": Kind(partial(fit, TemperatureScalingCV, GRAPHS, LABELS)),
    "compat.CRF": Kind(partial(fit, CRFsuite, TOKENS, TAGS)),
    "distributed.DaskGraphCRFClassifier": Kind(
        partial(fit, DaskGraphCRFClassifier, GRAPHS, LABELS),
        lambda: DaskGraphCRFClassifier(max_iter=20, tol=0.1, missing_label="?").fit(GRAPHS, LABELS),
    ),
    "distributed.DaskTransformer": Kind(partial(fit, DaskTransformer, GRAPHS)),
    "io.Checkpoints": Kind(
        lambda **parameters: GraphCRFClassifier(
            max_iter=2, tol=0.1, checkpoints=skstruct.io.Checkpoints(**parameters)
        ).fit(GRAPHS, LABELS)
    ),
    "io.DatasetWriter": Kind(skstruct.io.DatasetWriter, lambda: skstruct.io.DatasetWriter(new_path())),
    "preprocessing.NodeClassifier": Kind(
        partial(fit, skstruct.preprocessing.NodeClassifier, GRAPHS, LABELS),
        lambda: skstruct.preprocessing.NodeClassifier(LogisticRegression()).fit(GRAPHS, LABELS),
    ),
}
FUNCTIONS = {  # what stands for a function that writes a file, or does nothing before it is used
    "cli.main": run_main,
    "estimator.fitted_loss": loss_of,
    "io.save_dataset": lambda X, y: skstruct.io.save_dataset(new_path(), X, y),
    "io.predict_to_file": lambda estimator, X, method, n_nodes: skstruct.io.predict_to_file(
        new_path(), estimator, GraphDataset.from_graphs(X), method=method, n_nodes=n_nodes
    ),
    "io.write_uai": partial(skstruct.io.write_uai, values.FOLDER / "written.uai"),
}


# -------------------------------------------------------------------------------------------------------------- entries
def arguments(name, function, group=""):
    """Valid arguments of an entry.

    Arguments of a constructor keep their defaults. All others have values that do more.
    """
    found = {}
    for parameter in parameters_of(function):
        key, keeps_default = parameter.name, name.endswith("()") and parameter.default is not parameter.empty
        tables = [OWN.get(name, {}), OWN.get(group, {}), {} if keeps_default else VALUES]
        found[key] = next((table[key] for table in tables if key in table), parameter.default)
        if found[key] is parameter.empty:
            raise LookupError(f"{name}: the battery has no value of the argument {key!r}")
    return found


def kind_of(name, make):
    if name.startswith("preprocessing.") and name not in KINDS:
        return Kind(partial(fit, make, OWN.get(name, VALUES)["X"]))
    if name.startswith("plotting."):
        return Kind(make)
    if name not in KINDS:
        raise LookupError(f"{name} is neither in KINDS nor in LEFT_OUT: the battery does not call it")
    return KINDS[name]


def class_entries(name, make):
    """Entries of a constructor and of the methods of a class."""
    kind = kind_of(name, make)
    constructor = Entry(f"{name}()", kind.use, arguments(f"{name}()", make))
    yield constructor
    ready = cache(kind.make or partial(constructor.function, **constructor.valid))
    for method in methods(name, make):
        if method.startswith("from_"):
            function, signature = getattr(make, method), getattr(make, method)
        elif name.startswith(("io.", "plotting.")):  # files and pictures are not copied
            function, signature = partial(call, kind.make or ready, method), getattr(make, method)
        else:
            signature = getattr(ready(), method, None)
            function = partial(call, lambda ready=ready: deepcopy(ready()), method)
        if signature is not None:  # it may be absent with these parameters
            function = partial(drawn, function) if name.startswith("plotting.") else function
            yield Entry(f"{name}.{method}", function, arguments(f"{name}.{method}", signature, name))


def call(make, method, **arguments):
    return getattr(make(), method)(**arguments)


def entries():
    """Yield the entries of all public functions and classes, of files, of the command line, and of partitions."""
    names = dict(public())
    known = {*names, *(f"{name}.{method}" for name, value in names.items() for method in dir(value))}
    if stale := {*LEFT_OUT, *METHODS_LEFT_OUT} - known:
        raise LookupError(f"{sorted(stale)} are left out, but are no public names")
    for name, value in names.items():
        if name in LEFT_OUT:
            continue
        if value in COMPONENTS:
            yield Entry(f"{name}()", partial(train_with, value), arguments(f"{name}()", value))
        elif inspect.isclass(value):
            yield from class_entries(name, value)
        else:
            function = FUNCTIONS.get(name, value)
            yield Entry(name, function, arguments(name, function))
    incremental = GraphCRFClassifier(optimizer="sgd").partial_fit
    yield Entry("GraphCRFClassifier.partial_fit", incremental, arguments("GraphCRFClassifier.partial_fit", incremental))
    for table in (file_entries(), command_entries(), partition_entries()):
        yield from (Entry(*each) for each in table)


def cases():
    """Yield the entry, the name of the damaged argument, and its value; first the call without damage, with None."""
    os.chdir(values.FOLDER)  # damaged names of files are relative
    write_files()
    for entry in entries():
        yield entry, None, None
        for key, value in entry.valid.items():
            if key == "metric" and entry.name.endswith("NeighborsToGraphs()"):  # it is called
                continue
            rng = random.Random(zlib.crc32(f"{entry.name} {key}".encode()))
            for _ in range(N_DAMAGES_OF_FILES if isinstance(value, Content) else N_DAMAGES):
                yield entry, key, damaged(value, rng)
