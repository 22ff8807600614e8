"""Calls of the public API in which one argument of a valid call is damaged. A script: runs some of them.

The valid calls come from the signatures: an argument has its default value, or the value of `VALUES` for its name.
"""

import contextlib
import copy
import importlib
import inspect
import io
import json
import os
import random
import re
import sys
import tempfile
import traceback
import warnings
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import skstruct.io
from skstruct import (
    GraphCRFClassifier,
    GraphDataset,
    MultiLabelCRFClassifier,
    NodeView,
    RaggedArray,
    Topology,
    preprocessing,
)
from skstruct.decoding import DECODERS, AlphaExpansion
from skstruct.features import FEATURE_MAPS, LinearFeatures
from skstruct.inference import BACKENDS
from skstruct.metrics import confusion_matrix
from skstruct.objectives import OBJECTIVES
from skstruct.optim import OPTIMIZERS

N_DAMAGES = 8  # for each argument
RNG = np.random.default_rng(0)
CHAIN = [[0, 1], [1, 2], [2, 3]]
GRAPHS = [(RNG.normal(size=(4, 2)).tolist(), CHAIN, RNG.normal(size=(3, 1)).tolist()) for _ in range(6)]
LABELS = 2 * [["a", "b", "b", "a"], ["b", "a", "a", "b"], ["a", "a", "b", "b"]]
SENTENCES = [["the", "dog", "barks"], ["a", "cat"], ["the", "cat", "sleeps"]]
TAGS = [["D", "N", "V"], ["D", "N"], ["D", "N", "V"]]
TABLES = [RNG.normal(size=(n, 2)).tolist() for n in (5, 4, 6)]
IMAGES = [RNG.random((6, 7, 3)).tolist(), RNG.random((5, 4, 3)).tolist()]
SETS = RNG.integers(0, 2, (12, 3)).tolist()
FOLDER = Path(tempfile.mkdtemp())

CRF = GraphCRFClassifier(max_iter=20, tol=0.1, missing_label="?").fit(GRAPHS, LABELS)
PROBA = CRF.predict_proba(GRAPHS)
VALUES = {
    "X": GRAPHS,
    "y": LABELS,
    "y_true": LABELS,
    "y_pred": LABELS,
    "predictions": LABELS,
    "labels": ["a", "b"],
    "target_names": ["a", "b"],
    "classes": ["a", "b"],
    "proba": PROBA,
    "sample_weight": [1.0, 2.0, 0.5, 1.0, 1.0, 3.0],
    "known": 3 * [["a", "?", "?", "b"], ["?"] * 4],
    "k": 2,
    "estimator": CRF,
    "model": CRF,
    "crf": CRF,
    "node_features": np.asarray(GRAPHS[0][0]),
    "edges": CHAIN,
    "edge_features": np.asarray(GRAPHS[0][2]),
    "node_ptr": [0, 4],
    "edge_ptr": [0, 3],
    "n_nodes": 4,
    "node_scores": RNG.normal(size=(4, 2)),
    "edge_scores": RNG.normal(size=(3, 2, 2)),
    "node_values": RNG.normal(size=(4, 2)),
    "edge_values": RNG.normal(size=(3, 2, 2)),
    "n_samples": 3,
    "random_state": 0,
    "graph": 1,
    "node": 2,
    "label": "a",
    "against": "b",
    "top": 3,
    "scheme": "bio",
    "folder": str(FOLDER / "data"),
    "graphs": GRAPHS,
    "values": np.arange(6.0),
    "ptr": [0, 2, 6],
    "indices": [0, 2],
    "columns": [0],
    "x": np.zeros((24, 2)),
    "f": np.zeros((18, 1)),
    "dataset": GraphDataset.from_graphs(GRAPHS),
    "sequences": TABLES,
    "images": IMAGES,
    "transformer": StandardScaler(),
    "metric": confusion_matrix,
    "matrix": CRF.edge_coef_[0],
    "n_graphs": 3,
}
OWN = {  # values of one entry, where those of other entries do not fit
    "functional.neg_log_likelihood": {"y": [0, 1, 1, 0]},
    "functional.decode": {"known": [0, -1, -1, 1]},
    "functional.entropy": {"known": [0, -1, -1, 1]},
    "functional.expectation": {"known": [0, -1, -1, 1]},
    "functional.marginals": {"known": [0, -1, -1, 1]},
    "functional.sample": {"known": [0, -1, -1, 1]},
    "functional.top_k": {"known": [0, -1, -1, 1]},
    "metrics.entity_scorer": {"metric": "f1"},
    "metrics.graph_scorer": {"metric": "accuracy"},
    "metrics.iou_score": {"average": "macro"},
    "inspection.standard_errors": {"weights": None},
    "MultiLabelCRFClassifier.fit": {"X": RNG.normal(size=(12, 2)).tolist(), "y": SETS, "sample_weight": None},
    "GraphDataset.from_nodes": {"X": GRAPHS[0][0]},
    "RaggedArray.from_list": {"arrays": LABELS},
    "GraphDataset.from_scipy": {"adjacencies": [sp.csr_array(np.eye(4, k=1))], "node_features": [np.zeros((4, 2))]},
    "GraphDataset.from_frame": {},
}
ENTITIES = {
    "y": [["B-a", "I-a", "O"]] * 2,
    "predictions": [["B-a", "O", "O"]] * 2,
    "scheme": "BIO",
    "sample_weight": [1, 2],
}
for function in ("entity_f1_score", "entity_precision_score", "entity_recall_score", "entity_report", "find_entities"):
    OWN[f"metrics.{function}"] = ENTITIES
TRANSFORMERS = {
    "NodeTransformer": GRAPHS,
    "EdgeTransformer": GRAPHS,
    "SequencesToGraphs": TABLES,
    "ImagesToGraphs": IMAGES,
    "NearestNeighborsToGraphs": TABLES,
    "RadiusNeighborsToGraphs": TABLES,
    "DelaunayToGraphs": TABLES,
    "TokenTemplates": SENTENCES,
    "AttributeVectorizer": [[{"w": word} for word in words] for words in SENTENCES],
}
REQUIRED = {"templates": ["w[-1..1]"], "columns": None, "transformer": StandardScaler(), "n_neighbors": 2}


def fits(make, *data, **settings):
    """Return a function of parameters, which fits."""
    return lambda **parameters: make(**settings, **parameters).fit(*data)


def component(make):
    """Return a function of the parameters of a component, which trains an estimator with it and predicts."""
    needs = {
        "BCFW": {"objective": "hinge", "features": LinearFeatures(fit_intercept=False)},
        "AveragedPerceptron": {"objective": "perceptron"},
        "Hinge": {"optimizer": "sgd"},
    }

    def use(**parameters):
        settings = {**needs.get(make.__name__, {}), make.parameter: make(**parameters)}
        crf = GraphCRFClassifier(max_iter=3, tol=0.1, **settings).fit([graph[:2] for graph in GRAPHS], LABELS)
        return crf.predict([graph[:2] for graph in GRAPHS])

    return use


def entries():
    """Yield the name of each entry, a function and its valid arguments."""
    for module_name in ("functional", "inspection", "metrics", "model_selection", "datasets"):
        module = importlib.import_module(f"skstruct.{module_name}")
        for name in module.__all__:
            function = getattr(module, name)
            if inspect.isfunction(function) and not name.startswith("load_"):
                yield f"{module_name}.{name}", function, function
    for make in (skstruct.Graph, GraphDataset, RaggedArray, Topology, NodeView):
        yield make.__name__, make, make
        for name in vars(make):
            method = getattr(make, name)
            if name.startswith("from_") and name not in ("from_networkx", "from_pyg", "from_frame"):
                yield f"{make.__name__}.{name}", method, method
    for name in ("take", "select_features", "with_node_features", "with_edge_features"):
        method = getattr(GraphDataset.from_graphs(GRAPHS), name)
        yield f"GraphDataset.{name}", method, method
    yield "as_ragged", skstruct.as_ragged, skstruct.as_ragged
    save = skstruct.io.save_dataset
    yield "io.save_dataset", lambda X, y: save(tempfile.mkdtemp(dir=FOLDER), X, y), {"X": GRAPHS, "y": LABELS}
    save(VALUES["folder"], GRAPHS, LABELS)
    yield "io.load_dataset", skstruct.io.load_dataset, skstruct.io.load_dataset
    yield "io.write_uai", partial(skstruct.io.write_uai, FOLDER / "model.uai"), skstruct.io.write_uai

    yield "GraphCRFClassifier", fits(GraphCRFClassifier, GRAPHS, LABELS), GraphCRFClassifier
    yield (
        "MultiLabelCRFClassifier",
        fits(MultiLabelCRFClassifier, RNG.normal(size=(12, 2)), SETS),
        MultiLabelCRFClassifier,
    )
    for name, function in inspect.getmembers(GraphCRFClassifier, inspect.isfunction):
        is_query = len(inspect.signature(function).parameters) > 1 and "X" in inspect.signature(function).parameters
        if is_query and not name.startswith(("_", "partial_fit")):
            yield f"GraphCRFClassifier.{name}", getattr(copy.deepcopy(CRF), name), getattr(CRF, name)
    partial_fit = GraphCRFClassifier(optimizer="sgd").partial_fit
    yield "GraphCRFClassifier.partial_fit", partial_fit, partial_fit
    fit = MultiLabelCRFClassifier(max_iter=5, tol=0.1).fit
    yield "MultiLabelCRFClassifier.fit", fit, fit
    for name, data in TRANSFORMERS.items():
        make = getattr(preprocessing, name)
        yield name, fits(make, data), make
        transformer = make(**arguments(name, make))
        yield f"{name}.fit_transform", partial(lambda use, X: use.fit_transform(X), transformer), {"X": data}
    for table in (FEATURE_MAPS, BACKENDS, DECODERS, OBJECTIVES, OPTIMIZERS):
        for make in table.values():
            if make is not AlphaExpansion:  # it refuses most models before it reads its parameter
                yield make.__name__, component(make), make
    classifier = preprocessing.NodeClassifier
    yield "NodeClassifier.fit", classifier(LogisticRegression()).fit, {"X": GRAPHS, "y": LABELS}


def arguments(name, signature):
    """Valid arguments of an entry."""
    if isinstance(signature, dict):
        return signature
    found, is_class = {}, inspect.isclass(signature)
    for key, parameter in inspect.signature(signature).parameters.items():
        if key in ("self", "file") or parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        default = None if parameter.default is parameter.empty else parameter.default
        tables = [OWN.get(name, {})]
        if parameter.default is parameter.empty or not is_class:
            tables += [REQUIRED, VALUES] if is_class and name not in DATA_CLASSES else [VALUES]
        found[key] = next((table[key] for table in tables if key in table), default)
    return found


DATA_CLASSES = ("Graph", "GraphDataset", "RaggedArray", "Topology", "NodeView")


# ------------------------------------------------------------------------------------------------ damages
GARBAGE = [
    *[None, True, -1, 0, 3, -(10**25), 0.5, -2.5, float("nan"), float("inf"), 1e300, 1j, "", "garbage"],
    *["\0", b"bytes", [], [None], [[]], [[[]]], {}, {"a": 1}, set(), object, object(), len, ..., range(3), "0"],
    *[np.zeros(0), np.zeros((0, 3)), np.zeros((2, 2, 2)), np.array(1.0), np.array([object()], object), np.ma.masked],
    *[np.array(["2020-01-01"], "M8[D]"), Path(".")],
    *[StandardScaler(), StandardScaler, GraphCRFClassifier, ("a",), [1, "a", None], [np.nan], [[1, 2], [3]]],
]
ENTRIES_OF_ARRAYS = [np.nan, np.inf, -np.inf, -1, 10**9, 2**40, -(2**31), 0.5, 1e300, 1e-320]


def damaged(value, rng):
    """One random damage of a value: other values, other shapes, other types, damaged parts."""
    if isinstance(value, RaggedArray):
        return damaged(value.tolist(), rng)
    is_container = isinstance(value, list | tuple) and len(value)
    if isinstance(value, np.ndarray) and value.size and rng.random() < 0.8:
        return damaged_array(value, rng)
    if is_container and rng.random() < 0.8:
        parts = list(value)
        place = rng.randrange(len(parts))
        change = rng.randrange(5)
        if change == 0:
            del parts[place]
        elif change == 1:
            parts.insert(place, parts[place])
        elif change == 2:
            try:
                return damaged_array(np.asarray(value), rng)
            except (ValueError, TypeError, AttributeError):
                return rng.choice(GARBAGE)
        else:
            parts[place] = damaged(parts[place], rng)
        return type(value)(parts)
    if isinstance(value, int | float) and not isinstance(value, bool) and rng.random() < 0.3:
        return rng.choice([-value - 1, value + 0.5, str(value), [value], np.array([value])])
    return rng.choice(GARBAGE)


def damaged_array(array, rng):
    change = rng.randrange(9)
    if change == 0:
        return array[:-1]
    if change == 1:
        return np.concatenate([array, array[:1]])
    if change == 2:
        return array[..., None]
    if change == 3:
        return array.T if array.ndim > 1 else array[None]
    if change == 4:
        return array.astype(rng.choice(["U8", "c16", "S4", "O", "?"]))
    if change == 5:
        return array[:0]
    if change == 6:
        return array.ravel()
    if change == 7:
        return sp.coo_array(array) if array.ndim == 2 and array.dtype.kind in "if" else array.tolist()
    other = array.astype(float) if array.dtype.kind in "if" else array.astype(object)
    other.flat[rng.randrange(other.size)] = rng.choice(ENTRIES_OF_ARRAYS)
    return other


def cases():
    """Yield name, function and arguments of each call, and the name of the damaged argument."""
    for name, function, signature in entries():
        valid = arguments(name, signature)
        for key in valid:
            if key == "metric" and name.endswith("NeighborsToGraphs"):  # it is called
                continue
            rng = random.Random(zlib.crc32(f"{name} {key}".encode()))
            for _ in range(N_DAMAGES):
                yield name, function, valid, key, damaged(valid[key], rng)


# ---------------------------------------------------------------------------------------------- outcomes
PLACES = {  # what messages call the argument, beside its own name
    "X": "graph|node_features|features|sequence|image|table|dataset|sample|word|row|token|point",
    "y": "label|class|sample",
    "random_state": "seed",
    "crf": "model",
    "estimator": "model|predict",
    "classes": "y|label",
    "y_true": "y|label|class|sample",
    "predictions": "y|label|pred",
    "proba": "y|prediction|class|probability|probabilities|label",
    "node_scores": "node|known|y|label",
    "edge_scores": "edge|y|label",
    "node_features": "node",
    "edge_features": "edge",
    "edges": "edge",
    "graphs": "graph|node|edge|feature",
    "sequences": "graph|node|feature|sequence",
    "images": "image|graph",
    "adjacencies": "adjacency",
    "arrays": "y",
    "templates": "template",
    "dtype": "data type",
    "folder": "dataset",
    "node_ptr": "edge_ptr|graph",
    "n_nodes": "node_ptr",
    "labels": "y",
    "indices": "graphs are selected",
    "x": "node_features|row",
    "f": "edge_features|row",
}
# Messages of scikit-learn's checks of tables and of labels of tables are those of every estimator.
VALIDATION = tuple(os.path.join("sklearn", "utils", file) for file in ("validation.py", "multiclass.py"))
KNOWN = (ValueError, TypeError, OSError, ImportError, IndexError)


def outcome(function, kwargs, key):
    """ "accepted", "refused", or "obscure", and the message."""
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():  # `verbose` prints
            warnings.simplefilter("ignore")
            function(**copy.deepcopy(kwargs))
    except Exception as error:
        if any(frame.filename.endswith(VALIDATION) for frame in traceback.extract_tb(error.__traceback__)):
            return "refused", str(error)
        text = f"{type(error).__name__}: {error}"
        words = f"{key}|{PLACES[key]}" if key in PLACES else key
        is_clear = isinstance(error, KNOWN) and re.search(rf"(?i)(\b|_){words}", str(error))
        return "refused" if is_clear else "obscure", text
    return "accepted", ""


def main(first, last):
    for number, (name, function, valid, key, value) in enumerate(cases()):
        if not first <= number < last:
            continue
        text = repr(value).replace("\n", " ")[:150]
        print(json.dumps([number, name, key, text]), flush=True)
        print(json.dumps(outcome(function, {**valid, key: value}, key)), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
