"""The public functions, classes and methods, and those that the battery leaves out, each with the reason."""

import importlib
import inspect
import pkgutil

import skstruct
from skstruct.decoding import DECODERS
from skstruct.features import FEATURE_MAPS
from skstruct.inference import BACKENDS
from skstruct.objectives import OBJECTIVES
from skstruct.optim import OPTIMIZERS

COMPONENTS = {make for table in (FEATURE_MAPS, BACKENDS, DECODERS, OBJECTIVES, OPTIMIZERS) for make in table.values()}

BASE = "base class of components"
RECORD = "a record: the functions that read it check it"
BACKEND = "for authors of backends, who pass what the plan has checked"
BATTERY = "a battery of tests for authors of components"
LEFT_OUT = {
    "decoding.AlphaExpansion": "refuses most models before it reads its parameter; tests/test_parameters.py damages it",
    "decoding.Decoder": BASE,
    "estimator.FittedLoss": RECORD,
    "estimator.FittedModel": RECORD,
    "features.FeatureMap": BASE,
    "features.FeaturePlan": BASE,
    "features.LabelFeatures": "the feature map of MultiLabelCRFClassifier, which passes its parameters",
    "inference.InferenceBackend": BASE,
    "inference.InferencePlan": BASE,
    "inference.LazyPlan": BACKEND,
    "inference.Linearization": RECORD,
    "inference.LinearizedPlan": BASE,
    "inference.direct_marginals": BACKEND,
    "inference.exact_decoding": BACKEND,
    "inference.score_labelling": BACKEND,
    "io.UAIModel": RECORD,
    "metrics.CalibrationCurve": RECORD,
    "metrics.Entity": RECORD,
    "objectives.Objective": BASE,
    "optim.Loss": BASE,
    "optim.Optimizer": BASE,
    "optim.OptimizerState": RECORD,
    "optim.SecondOrderLoss": BASE,
    "optim.StochasticLoss": BASE,
    "scores.Decoding": RECORD,
    "scores.Marginals": RECORD,
    "scores.Scores": RECORD,
    "scores.Targets": RECORD,
    "testing.Exact": RECORD,
    "testing.check_decoder": BATTERY,
    "testing.check_feature_map": BATTERY,
    "testing.check_inference_backend": BATTERY,
    "testing.check_objective": BATTERY,
    "testing.check_optimizer": BATTERY,
    "testing.enumerate_covariances": BATTERY,
    "testing.enumerate_exactly": BATTERY,
    "version.Versioned": BASE,
}
METHODS_LEFT_OUT = {
    "Topology.of_checked": "its arguments have been checked",
    "Topology.sum_edges": BACKEND,
    "Topology.sum_nodes": BACKEND,
    "Topology.take": BACKEND,
    "NodeView.gather": "its argument has been checked",
    "NodeView.scatter": "its arguments have been checked",
    "NodeView.with_dataset": "its argument has been checked",
    "io.Checkpoints.write": "called by fit",
    **dict.fromkeys(
        [f"preprocessing.{name}ToGraphs.edges_between" for name in ("NearestNeighbors", "RadiusNeighbors", "Delaunay")],
        "called by transform with points that it has checked",
    ),
}


def public():
    """Yield the names and values of the public functions and classes, each once."""
    modules = [f"skstruct.{m.name}" for m in pkgutil.iter_modules(skstruct.__path__) if not m.name.startswith("_")]
    known = set()
    for module_name in ["skstruct", "skstruct.scores", *modules]:
        module = importlib.import_module(module_name)
        own = [n for n, v in vars(module).items() if inspect.isclass(v) and v.__module__ == module_name]
        for name in getattr(module, "__all__", own):
            value = getattr(module, name)
            is_error = inspect.isclass(value) and issubclass(value, Exception)
            if callable(value) and name[0] != "_" and not is_error and id(value) not in known:
                known.add(id(value))
                yield f"{module_name}.{name}".removeprefix("skstruct."), value


def methods(name, make):
    """Names of the public methods of a class that have arguments and are defined in skstruct."""
    found = []
    for method in dir(make):
        code = inspect.getattr_static(make, method)
        code = getattr(code, "__func__", getattr(code, "fn", code))  # of a class method, or one that may be absent
        is_ours = inspect.isfunction(code) and code.__module__.startswith("skstruct")
        if method[0] != "_" and is_ours and parameters_of(code) and f"{name}.{method}" not in METHODS_LEFT_OUT:
            found.append(method)
    return found


def parameters_of(function):
    """Parameters that callers name."""
    every = inspect.signature(function).parameters.values()
    return [p for p in every if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) and p.name not in ("self", "cls")]
