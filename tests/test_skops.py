"""Fitted objects survive a round trip through skops, which stores no pickles, with the types that are trusted."""

import importlib
import io
import pickle
import pkgutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, OneHotEncoder, StandardScaler

import skstruct
from skstruct import GraphCRFClassifier, GraphDataset, MultiLabelCRFClassifier, RaggedArray
from skstruct.decoding import DECODERS
from skstruct.features import FEATURE_MAPS, ConstrainedFeatures, LinearFeatures, NetworkFeatures, bio_forbidden_pairs
from skstruct.inference import BACKENDS
from skstruct.io import load_model, trusted_types
from skstruct.objectives import OBJECTIVES
from skstruct.optim import OPTIMIZERS
from skstruct.preprocessing import (
    AttributeVectorizer,
    DelaunayToGraphs,
    EdgeFeatures,
    EdgeTemplates,
    EdgeTransformer,
    ImagesToGraphs,
    NearestNeighborsToGraphs,
    NetworkxToGraphs,
    NodeClassifier,
    NodeTransformer,
    RadiusNeighborsToGraphs,
    SequencesToGraphs,
    SuperpixelsToGraphs,
    TokenTemplates,
)

skops = pytest.importorskip("skops.io")

RNG = np.random.default_rng(0)
CHAINS = GraphDataset.from_graphs([(RNG.normal(size=(4, 3)), [(0, 1), (1, 2), (2, 3)]) for _ in range(6)])
TYPED = CHAINS.with_edge_features(RNG.normal(size=(18, 2)))
EDGELESS = GraphDataset.from_graphs([(graph.node_features, []) for graph in CHAINS])
SPARSE = CHAINS.with_node_features(csr_array(CHAINS.node_features))
LABELS = RaggedArray(np.array(list("aabb" * 6)), CHAINS.node_ptr)
WORDS = [["the", "dog", "barks"], ["a|b", "b", "C-3"], ["the", "\ud800", "Zoë"]]
TAGGED = [[(word, word.upper()) for word in words] for words in WORDS]
TAGS = [["D", "N", "V"]] * 3
TEMPLATES = [
    *["w[-1..1]", "w.suffix(1..2)[0]|w.shape[0]", "w.lower[0]|bias|w.digit[0]", "w.prefix(1)[0]|w[1]"],
    *["w.capital[0]", "w.hyphen[0]", "bias", "__BOS__", "__EOS__"],
]


def restored(fitted, trusted=()):
    data = skops.dumps(fitted)
    trusted = [*trusted, f"{first_letter.__module__}.first_letter"]
    loaded = skops.loads(data, trusted=[*trusted_types(), *trusted])
    assert type(load_model(io.BytesIO(data), trusted)) is type(loaded)
    return loaded


def first_letter(word):
    return word[:1]


def crf(**parameters):
    return GraphCRFClassifier(max_iter=5, **parameters)


NEEDS = {  # of optimisers that cannot minimise the likelihood
    "bcfw": {"objective": "hinge", "features": LinearFeatures(fit_intercept=False)},
    "averaged_perceptron": {"objective": "perceptron"},
}
PAIRS = [("a", "a"), ("b", "c")]
FOLD = {"classes": ["a", "b", "c"], "missing_label": "?", "class_weight": {"a": 2.0, "b": 1.0, "c": 1.0}}
CLASSIFIERS = {
    **{f"inference {name}": (crf(inference=backend()), CHAINS) for name, backend in BACKENDS.items()},
    "inference edgeless": (crf(inference="edgeless"), EDGELESS),
    **{f"features {name}": (crf(features=features()), CHAINS) for name, features in FEATURE_MAPS.items()},
    **{
        f"objective {name}": (crf(objective=objective(), optimizer="lbfgs" if objective.smooth else "sgd"), CHAINS)
        for name, objective in OBJECTIVES.items()
    },
    **{f"optimizer {name}": (crf(optimizer=name, **NEEDS.get(name, {})), CHAINS) for name in OPTIMIZERS},
    **{
        f"decoding {name}": (crf(features=LinearFeatures("potts"), decoding=d()), CHAINS)
        for name, d in DECODERS.items()
    },
    **{
        f"edge_weights {name}": (crf(features=LinearFeatures(name)), TYPED)
        for name in ("full", "observed", "symmetric", "antisymmetric", "potts")
    },
    "node_weights": (crf(features=LinearFeatures(node_weights="observed")), SPARSE),
    "pairs": (crf(features=ConstrainedFeatures(forbidden_pairs=[("a", "a")])), CHAINS),
    "pairs of types": (crf(features=ConstrainedFeatures(forbidden_pairs={1: PAIRS}), **FOLD), TYPED),
    "pairs of numpy": (crf(features=ConstrainedFeatures(LinearFeatures(), {np.int64(1): np.array(PAIRS)})), TYPED),
    "labels": (crf(features=ConstrainedFeatures(allowed_labels={0: ["a", "b"], np.int64(2): ["b", "a"]})), CHAINS),
    "pairs and labels": (crf(features=ConstrainedFeatures("linear", PAIRS, {0: ["a", "b"]}), **FOLD), CHAINS),
    "table": (crf(), CHAINS.nodes),
    "transductive": (crf(transductive=True), CHAINS.nodes_whole),
    "sparse": (crf(), SPARSE),
    "float32": (crf(features=LinearFeatures(dtype="float32")), CHAINS),
    "random state": (crf(optimizer="sgd", random_state=np.random.RandomState(0)), CHAINS),
    "nodes": (NodeClassifier(LogisticRegression()), CHAINS),
    "network of edges": (crf(features=NetworkFeatures((2,), edges="network")), TYPED),
    "early stopping": (crf(early_stopping=True, validation_fraction=0.5, warm_start=True), CHAINS),
    "search": (GridSearchCV(crf(), {"C": [0.1, 1.0]}, cv=2), CHAINS),
}


def labels_for(model, X):
    """Labels that keep to the constraints of all models."""
    forbidden = "forbidden_pairs" in str(model)
    y = np.array(list("abab" * 6)) if forbidden else LABELS.values
    return y if len(X) == len(y) else RaggedArray(y, CHAINS.node_ptr)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # few iterations: only storing is tested
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers(name):
    model, X = CLASSIFIERS[name]
    model.fit(X, labels_for(model, X))
    of_scikit_learn = skops.get_untrusted_types(data=skops.dumps(model)) if name == "search" else ()
    loaded = restored(model, of_scikit_learn)
    assert type(loaded) is type(model)
    assert vars(loaded).keys() == vars(model).keys()
    methods = ["predict", "predict_proba"] if hasattr(model, "predict_proba") else ["predict"]
    for method in methods:
        expected, found = getattr(model, method)(X), getattr(loaded, method)(X)
        assert_array_equal(*(getattr(array, "values", array) for array in (found, expected)))


def test_a_constrained_tagger():
    y = [["B-x", "I-x", "O"]] * 3
    features = ConstrainedFeatures(forbidden_pairs=bio_forbidden_pairs(["B-x", "I-x", "O"]))
    model = make_pipeline(TokenTemplates(["w[-1..1]"]), GraphCRFClassifier(features)).fit(WORDS, y)
    loaded = restored(model)
    assert loaded.predict(WORDS) == model.predict(WORDS)
    probability = loaded.predict_proba(WORDS)
    assert_array_equal(probability.values, model.predict_proba(WORDS).values)


@pytest.mark.parametrize("n_features", [3, 2**16])  # the pairs of long L-BFGS states are rounded
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # the trainings stop early
def test_a_stopped_training_continues(n_features):
    columns = np.arange(24) % n_features
    X = CHAINS.with_node_features(csr_array((np.linspace(1, 2, 24), (np.arange(24), columns)), shape=(24, n_features)))
    whole = GraphCRFClassifier(max_iter=6, tol=0.0).fit(X, LABELS)
    stopped = restored(GraphCRFClassifier(max_iter=3, tol=0.0).fit(X, LABELS))
    stopped.set_params(max_iter=6, warm_start=True).fit(X, LABELS)
    assert_array_equal(stopped.coef_, whole.coef_)
    assert stopped.n_iter_ == whole.n_iter_ == 6


TRANSFORMERS = {
    "templates": (TokenTemplates(TEMPLATES), WORDS),
    "templates hashed": (TokenTemplates(TEMPLATES, n_bits=12), WORDS),
    "templates frequent": (TokenTemplates(TEMPLATES, min_count=2), WORDS),
    "templates float32": (TokenTemplates(TEMPLATES, dtype=np.float32), WORDS),
    "templates columns": (TokenTemplates(["w[-1..1]|p[0]", "p.lower[0]"], ["w", "p"]), TAGGED),
    "templates function": (TokenTemplates(["w.first[0]|w[0]"], derivations={"first": first_letter}), WORDS),
    "templates dict": (TokenTemplates(["w.cluster[-1..1]"], derivations={"cluster": {"the": "1"}}), WORDS),
    "templates both": (TokenTemplates(["w.lower[0]"], n_bits=5, derivations={"lower": {"the": 1}, "n": len}), WORDS),
    "templates of edges": (EdgeTemplates(["bias", "p.lower[0]|w[-1]"], ["w", "p"]), TAGGED),
    "attributes": (AttributeVectorizer(), [[["a", "b"], ["c"]], [["a"]]]),
    "attributes of dicts": (AttributeVectorizer(dtype=np.float32), [[{"a": "x", "b": 2}], [{"c": True, "d": ["e"]}]]),
    "sequences": (SequencesToGraphs(), [[[1.0], [2.0]], [[3.0]]]),
    "images": (ImagesToGraphs(8, contrast=True), np.arange(24.0).reshape(2, 3, 4)),
    "superpixels": (SuperpixelsToGraphs(4, contrast=True), np.arange(24.0).reshape(2, 3, 4)),
    "nearest neighbours": (NearestNeighborsToGraphs(2), [[[1.0, 2.0], [2.0, 1.0]]]),
    "neighbours within a radius": (RadiusNeighborsToGraphs(1.5), [[[1.0, 2.0], [2.0, 1.0]]]),
    "networkx": (NetworkxToGraphs("features"), [CHAINS[0].to_networkx()]),
    "triangulation": (DelaunayToGraphs([0, 1]), [[[1.0, 2.0], [2.0, 1.0]]]),
    "nodes": (NodeTransformer(StandardScaler()), CHAINS),
    "nodes sparse": (NodeTransformer(MaxAbsScaler()), SPARSE),
    "nodes of dicts": (NodeTransformer(DictVectorizer()), GraphDataset.from_sequences([[{"a": "x"}, {"b": 1}]] * 2)),
    "passthrough": (NodeTransformer("passthrough"), CHAINS),
    "edges": (EdgeTransformer(MinMaxScaler()), TYPED),
    "features of edges": (EdgeFeatures(["constant", "difference", "contrast"], [0, 2]), TYPED),
}


def tables(dataset):
    return [
        table.toarray() if hasattr(table, "toarray") else np.asarray(table)
        for table in (dataset.node_features, dataset.edges, dataset.edge_features)
        if table is not None
    ]


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_transformers(name):
    transformer, X = TRANSFORMERS[name]
    loaded = restored(transformer.fit(X), ["builtins.len"] if name == "templates both" else ())
    assert vars(loaded).keys() == vars(transformer).keys()
    for found, expected in zip(tables(loaded.transform(X)), tables(transformer.transform(X)), strict=True):
        assert_array_equal(found, expected)
    if hasattr(transformer, "get_feature_names_out"):
        assert_array_equal(loaded.get_feature_names_out(), transformer.get_feature_names_out())


def test_templates_that_count():
    counting = TokenTemplates(TEMPLATES, min_count=2).partial_fit(WORDS[:2])
    again = restored(counting).partial_fit(WORDS)
    assert_array_equal(again.get_feature_names_out(), counting.partial_fit(WORDS).get_feature_names_out())


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("Transformer", [NodeTransformer, EdgeTransformer])
def test_transformers_of_data_frames(Transformer, library):
    """They keep a row of the data frame, which tells what columns a dataset without rows gets."""
    frame = pytest.importorskip(library).DataFrame({"kind": ["a", "b", "a"], "size": [1.5, 2.0, 3.0], "on": [True] * 3})
    X = GraphDataset(frame, [(0, 1), (1, 2), (0, 2)], frame)
    transformer = Transformer(OneHotEncoder(sparse_output=False)).fit(X)
    loaded = restored(transformer)
    assert_array_equal(loaded.get_feature_names_out(), transformer.get_feature_names_out())
    for fitted in (transformer, loaded):
        for found, expected in zip(tables(fitted.transform(X)), tables(transformer.transform(X)), strict=True):
            assert_array_equal(found, expected)
        empty = fitted.transform(X[:0])
        table = empty.node_features if Transformer is NodeTransformer else empty.edge_features
        assert table.shape == (0, 6)


def test_a_multi_label_classifier():
    X, y = RNG.normal(size=(20, 3)), RNG.integers(2, size=(20, 4))
    model = MultiLabelCRFClassifier().fit(X, y)
    assert_array_equal(restored(model).predict_proba(X), model.predict_proba(X))


def test_trusted_types_exist():
    names = trusted_types()
    assert len(names) < 90
    for name in names:
        module, _, kind = name.rpartition(".")
        assert isinstance(getattr(importlib.import_module(module), kind), type)


PIPELINES = {
    "words": (make_pipeline(TokenTemplates(TEMPLATES), crf()), WORDS, TAGS),
    "hashed words": (make_pipeline(TokenTemplates(TEMPLATES, n_bits=10), crf()), WORDS, TAGS),
    "words and transitions": (
        make_pipeline(EdgeTemplates(["bias", "w[0]"]), TokenTemplates(TEMPLATES), crf()),
        WORDS,
        TAGS,
    ),
    "attributes": (make_pipeline(AttributeVectorizer(), crf()), [[["a", "b"], ["c"]], [["a"]]], [["x", "y"], ["x"]]),
    "nodes and edges": (
        make_pipeline(NodeTransformer(StandardScaler()), EdgeTransformer(MinMaxScaler()), crf()),
        *(TYPED, LABELS),
    ),
    "sequences": (make_pipeline(SequencesToGraphs(), crf()), [[[1.0], [2.0]], [[3.0]]], [["a", "b"], ["a"]]),
}
PREDICT = """
import pickle, sys
from pathlib import Path
from skstruct.io import load_model
for path in Path(sys.argv[1]).glob("*.skops"):
    X = pickle.loads(path.with_suffix(".X").read_bytes())
    probability = load_model(path).predict_proba(X)
    path.with_suffix(".proba").write_bytes(probability.values.tobytes())
"""


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # few iterations: only storing is tested
def test_pipelines_in_a_fresh_process(tmp_path):
    for name, (model, X, y) in PIPELINES.items():
        skops.dump(model.fit(X, y), tmp_path / f"{name}.skops")
        (tmp_path / f"{name}.X").write_bytes(pickle.dumps(X))
    subprocess.run([sys.executable, "-c", PREDICT, str(tmp_path)], check=True)
    for name, (model, X, _) in PIPELINES.items():
        assert (tmp_path / f"{name}.proba").read_bytes() == model.predict_proba(X).values.tobytes()


def of_version(data, version):
    """Replace the version that all estimators in a file record."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(changed, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "schema.json":
                assert b'\\"0.1' in content
                content = content.replace(b'\\"0.1.0.dev0\\"', f'\\"{version}\\"'.encode())
            target.writestr(name, content)
    return changed.getvalue()


@pytest.mark.parametrize("name", ["words", "nodes and edges", "sequences"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # few iterations: only storing is tested
def test_versions(name, monkeypatch):
    model, X, y = PIPELINES[name]
    data = skops.dumps(model.fit(X, y))
    load_model(io.BytesIO(of_version(data, "0.0.9")))
    load_model(io.BytesIO(of_version(data, "0.1.0")))
    newer = of_version(data, "3.2.1")
    for load in (lambda: load_model(io.BytesIO(newer)), lambda: skops.loads(newer, trusted=trusted_types())):
        with pytest.raises(ValueError, match=r"saved by skstruct 3\.2\.1, which is newer than this version"):
            load()
    pickled = pickle.dumps(model)
    monkeypatch.setattr("skstruct.version.VERSION", "0.0.8")
    with pytest.raises(ValueError, match=r"saved by skstruct 0\.1\.0\.dev0, which is newer than this version, 0\.0\.8"):
        pickle.loads(pickled)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"trusted": 3}, TypeError, "trusted must be a list of names of types, got 3"),
        ({"trusted": "math.sin"}, TypeError, "trusted must be a list of names of types, got 'math.sin'"),
        ({"trusted": [3]}, TypeError, "trusted must be a list of names"),
        ({"max_bytes": -1}, ValueError, "max_bytes must be a positive number or None, got -1"),
        ({"max_bytes": "a"}, ValueError, "max_bytes must be a positive number or None, got 'a'"),
        ({"file": 5}, TypeError, "file must be a path or a binary file, got 5"),
    ],
)
def test_bad_arguments_of_load_model(tmp_path, arguments, error, message):
    path = tmp_path / "model.skops"
    skops.dump(GraphCRFClassifier(), path)
    with pytest.raises(error, match=message):
        load_model(**{"file": path, **arguments})


def test_all_public_estimators_are_trusted():
    """A class that is missing in the list would be refused by `load_model`."""
    folders = [f"skstruct.{found.name}" for found in pkgutil.iter_modules(skstruct.__path__) if found.ispkg]
    modules = [importlib.import_module(name) for name in ("skstruct", "skstruct.calibration", *folders)]
    public = [vars(module)[name] for module in modules for name in getattr(module, "__all__", ())]
    estimators = {found for found in public if isinstance(found, type) and issubclass(found, BaseEstimator)}
    assert len(estimators) > 20
    trusted = {f"{found.__module__}.{found.__qualname__}" for found in estimators}
    assert trusted <= set(trusted_types())
