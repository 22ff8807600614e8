"""All transformers: the checks of scikit-learn that apply, and what its checks for tables ask, on graphs."""

import copy
import pickle

import networkx as nx
import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks, get_tags

from skstruct import GraphDataset, preprocessing
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
from skstruct.preprocessing._sequences import GraphBuilder

RNG = np.random.default_rng(0)
GRAPHS = GraphDataset.from_graphs([(RNG.normal(size=(n, 2)), [(0, 1)], RNG.normal(size=(1, 2))) for n in (3, 2, 4)])
TABLES = [RNG.normal(size=(n, 2)) for n in (6, 1, 4)]
IMAGES = [RNG.random((6, 7, 3)), RNG.random((5, 4, 3))]
DICTS = [[{"w": "the"}, {"w": "dog"}], [{"w": "sleep", "n": 2}]]
MOLECULES = [nx.path_graph(3), nx.path_graph(2)]
for molecule in MOLECULES:
    nx.set_node_attributes(molecule, {i: [i, 0.5] for i in molecule}, "place")
    nx.set_edge_attributes(molecule, {edge: {"order": 1, "length": 0.5} for edge in molecule.edges})
EXAMPLES = {
    NodeTransformer: (NodeTransformer(StandardScaler()), GRAPHS),
    EdgeTransformer: (EdgeTransformer(StandardScaler()), GRAPHS),
    EdgeFeatures: (EdgeFeatures(["difference", "contrast"]), GRAPHS),
    SequencesToGraphs: (SequencesToGraphs(), TABLES),
    ImagesToGraphs: (ImagesToGraphs(contrast=True), IMAGES),
    SuperpixelsToGraphs: (SuperpixelsToGraphs(5, contrast=True), IMAGES),
    NearestNeighborsToGraphs: (NearestNeighborsToGraphs(2), TABLES),
    RadiusNeighborsToGraphs: (RadiusNeighborsToGraphs(), TABLES),
    DelaunayToGraphs: (DelaunayToGraphs(), TABLES),
    NetworkxToGraphs: (NetworkxToGraphs("place", ["order", "length"]), MOLECULES),
    TokenTemplates: (TokenTemplates(["w[-1..0]"]), DICTS),
    EdgeTemplates: (EdgeTemplates(["bias", "n[0]"], ["w", "n"]), [[("1", "7"), ("2", "7")], [("1", "3")]]),
    AttributeVectorizer: (AttributeVectorizer(), DICTS),
}
WITHOUT_DATA = [
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_get_params_invariance",
    "check_no_attributes_set_in_init",
    "check_set_params",
    "check_valid_tag_types",
]
OPTIONAL = {SuperpixelsToGraphs: "skimage"}
OF_ARRAYS = [kind for kind, (_, X) in EXAMPLES.items() if X is TABLES or X is IMAGES]
WITHOUT_DEFAULTS = {NodeTransformer, EdgeTransformer, TokenTemplates, EdgeTemplates}  # of the first parameter
WITH_DEFAULTS = [kind for kind in EXAMPLES if kind not in WITHOUT_DEFAULTS]
BUILDERS = [kind for kind in EXAMPLES if issubclass(kind, GraphBuilder)]


@pytest.fixture(params=EXAMPLES, ids=lambda kind: kind.__name__)
def example(request):
    pytest.importorskip(OPTIONAL.get(request.param, "numpy"))
    return EXAMPLES[request.param]


def test_all_transformers_are_checked():
    assert {getattr(preprocessing, name) for name in preprocessing.__all__} == {*EXAMPLES, NodeClassifier}


@pytest.mark.parametrize("check", WITHOUT_DATA)
def test_checks_of_scikit_learn_that_need_no_data(example, check):
    estimator, _ = example
    if not hasattr(estimator_checks, check):
        pytest.skip(f"this version of scikit-learn has no {check}")
    getattr(estimator_checks, check)(type(estimator).__name__, estimator)


@pytest.mark.parametrize("example", WITH_DEFAULTS, ids=lambda kind: kind.__name__, indirect=True)
def test_defaults(example):
    kind = type(example[0])
    estimator_checks.check_parameters_default_constructible(kind.__name__, kind())


def same(a, b):
    a, b = ([np.asarray(t.toarray() if hasattr(t, "toarray") else t, float) for t in tables(d)] for d in (a, b))
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def tables(dataset):
    found = [dataset.node_features, dataset.edges, dataset.edge_features, dataset.node_ptr, dataset.edge_ptr]
    return [table for table in found if table is not None]


def content(X):
    return repr([x.nodes(data=True) if isinstance(x, nx.Graph) else x for x in X])


def test_fit_and_transform(example):
    """No argument changes, results are the same each time, and parameters stay as they are."""
    estimator, X = clone(example[0]), example[1]
    before, parameters = copy.deepcopy(X), estimator.get_params(deep=False)
    assert estimator.fit(X) is estimator
    state = pickle.dumps(estimator)
    result = estimator.transform(X)
    assert isinstance(result, GraphDataset)
    assert pickle.dumps(estimator) == state
    assert content(X) == content(before)
    assert all(value is parameters[name] for name, value in estimator.get_params(deep=False).items())
    assert same(result, clone(estimator).fit_transform(X))
    assert same(result, pickle.loads(state).transform(X))
    assert not any(name.endswith("_") and not name.startswith("_") for name in vars(clone(estimator)))
    others = estimator.transform(X[::-1])
    assert [graph.n_nodes for graph in others] == [graph.n_nodes for graph in result][::-1]
    assert same(others[::-1], result)


@pytest.mark.parametrize("example", OF_ARRAYS, ids=lambda kind: kind.__name__, indirect=True)
def test_read_only_input(example):
    estimator, X = example
    X = [x.copy() for x in X]
    for x in X:
        x.flags.writeable = False
    assert same(clone(estimator).fit_transform(X), clone(estimator).fit_transform([x.copy() for x in X]))


def test_outputs_are_datasets(example):
    estimator, X = example
    with config_context(transform_output="pandas"):
        result = clone(estimator).fit_transform(X)
    assert isinstance(result, GraphDataset)
    assert isinstance(clone(estimator).set_output(transform="default").fit_transform(X), GraphDataset)


def test_names_have_the_number_of_features(example):
    estimator, X = example
    estimator = clone(estimator)
    result = estimator.fit_transform(X)
    names = estimator.get_feature_names_out()
    assert len(names) == result.shape[1]
    assert len(set(names)) == len(names)
    if hasattr(estimator, "get_edge_feature_names_out") and result.edge_features is not None:
        assert len(estimator.get_edge_feature_names_out()) == result.edge_features.shape[1]


def test_builders_of_dicts_have_no_names():
    assert SequencesToGraphs().fit(DICTS).get_feature_names_out() is None
    words = NodeTransformer(DictVectorizer()).fit(SequencesToGraphs().transform(DICTS))
    assert words.get_feature_names_out().tolist() == ["n", "w=dog", "w=sleep", "w=the"]


@pytest.mark.parametrize("example", BUILDERS, ids=lambda kind: kind.__name__, indirect=True)
def test_builders_need_no_fit(example):
    estimator, X = example
    assert not get_tags(estimator).requires_fit
    assert not get_tags(estimator).input_tags.two_d_array
    assert same(clone(estimator).transform(X), clone(estimator).fit_transform(X))


class Watch:
    """A callback that notes what it is called with."""

    def __init__(self):
        self.calls = []

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.calls.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context):
        self.calls.append(f"end {context.task_name}")


@pytest.mark.parametrize("method", ["fit", "fit_transform"])
def test_fit_is_a_task_of_callbacks(example, method):
    pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from version 1.9 on")
    watch = Watch()
    getattr(clone(example[0]).set_callbacks(watch), method)(example[1])
    assert watch.calls == ["setup", "begin fit", "end fit", "teardown"]


def test_fit_of_a_baseline_is_a_task_of_callbacks():
    pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from version 1.9 on")
    watch = Watch()
    NodeClassifier(LogisticRegression()).set_callbacks(watch).fit(GRAPHS, [[0, 1, 0], [1, 0], [0, 1, 1, 0]])
    assert watch.calls == ["setup", "begin fit", "end fit", "teardown"]
