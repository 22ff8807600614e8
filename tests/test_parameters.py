"""Parameters of all components: wrong values are refused by name, and the estimator stays as it was."""

import numpy as np
import pytest

from skstruct import GraphCRFClassifier, Topology
from skstruct.decoding import DECODERS, IntegerProgram
from skstruct.features import FEATURE_MAPS
from skstruct.inference import BACKENDS, Auto, Chain, TreeReweightedBP
from skstruct.optim import OPTIMIZERS
from skstruct.scores import Scores

NO_NUMBERS = ["1", np.nan, [1, 2], np.array([1, 2]), (1,), {}, True, -1]
CYCLE = [(0, 1), (1, 2), (2, 0)]
X = [(np.eye(3), CYCLE), (np.eye(3)[::-1], CYCLE)]
Y = [[0, 1, 1], [0, 0, 1]]


def numbers_of(table):
    """Rows and names of the parameters whose default is a number."""
    return [
        pytest.param(row, name, id=f"{row.__name__}-{name}")
        for row in table.values()
        for name, default in row().get_params(deep=False).items()
        if isinstance(default, int | float) and not isinstance(default, bool)
    ]


def check_refused(name, fit, crf):
    before = dict(vars(crf))
    with pytest.raises(ValueError, match=f"{name} must be"):
        fit()
    assert vars(crf) == before


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
@pytest.mark.parametrize(
    ("kind", "component", "name"),
    [
        pytest.param(kind, *parameter.values, id=parameter.id)
        for kind, table in (("inference", BACKENDS), ("features", FEATURE_MAPS), ("optimizer", OPTIMIZERS))
        for parameter in numbers_of(table)
    ],
)
def test_a_component_names_its_parameter(kind, component, name, value):
    crf = GraphCRFClassifier(**{kind: component(**{name: value})}, classes=[0, 1])
    check_refused(name, lambda: crf.fit(X, Y), crf)


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
@pytest.mark.parametrize(("component", "name"), numbers_of(DECODERS))
def test_a_decoder_names_its_parameter(component, name, value):
    scores = Scores(np.zeros((3, 2)), np.eye(2)[None], np.zeros(3, np.int32))
    with pytest.raises(ValueError, match=f"{component.__name__}: {name} must be"):
        component(**{name: value}).decode(Topology.from_edges(CYCLE, 3), scores)


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
@pytest.mark.parametrize("name", ["time_limit", "node_limit"])
def test_limits_of_the_integer_program(name, value):
    scores = Scores(np.zeros((3, 2)), np.eye(2)[None], np.zeros(3, np.int32))
    with pytest.raises(ValueError, match=f"IntegerProgram: {name} must be"):
        IntegerProgram(**{name: value}).decode(Topology.from_edges(CYCLE, 3), scores)


@pytest.mark.parametrize("value", [*NO_NUMBERS, None], ids=repr)
def test_weights_of_edges(value):
    crf = GraphCRFClassifier(inference=TreeReweightedBP(rho=value))
    check_refused("rho", lambda: crf.fit(X, Y), crf)


@pytest.mark.parametrize("value", [5, "loopy_bp", [], {}, np.array([1])], ids=repr)
def test_candidates(value):
    with pytest.raises(TypeError, match="candidates of Auto must be a list of inference backends, got"):
        GraphCRFClassifier(inference=Auto(candidates=value)).fit(X, Y)


def test_candidates_that_refuse_a_graph():
    with pytest.raises(ValueError, match=r"graph 0: inference=.auto. supports.*Add a candidate that accepts every"):
        GraphCRFClassifier(inference=Auto(candidates=[Chain()])).fit(X, Y)


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
@pytest.mark.parametrize("name", ["activation", "edges", "edge_weights"])
def test_choices_of_a_network(name, value):
    crf = GraphCRFClassifier(FEATURE_MAPS["network"](**{name: value}))
    check_refused(name, lambda: crf.fit(X, Y), crf)


@pytest.mark.parametrize("classes", ["ab", 3, 1.5, {0: 1}, {0, 1}, [], [[0, 1]]], ids=repr)
def test_classes_of_partial_fit(classes):
    crf = GraphCRFClassifier(optimizer="sgd")
    before = dict(vars(crf))
    with pytest.raises(ValueError, match="classes must be a list of labels, got"):
        crf.partial_fit(X, Y, classes=classes)
    assert vars(crf) == before


@pytest.mark.parametrize("optimizer", [None, "newton", 3, [1], np.array([1, 2]), {}], ids=repr)
def test_partial_fit_of_no_optimiser(optimizer):
    with pytest.raises(AttributeError) as caught:
        GraphCRFClassifier(optimizer=optimizer).partial_fit(X, Y)
    assert "partial_fit needs an optimiser" in str(caught.value.__cause__)
