"""The components of the pages on extending: one file each, which pass their batteries and train through `fit`."""

import importlib.util
import itertools
import sys
from pathlib import Path

import pytest

from skstruct import GraphCRFClassifier
from skstruct.datasets import make_chain
from skstruct.optim import LBFGS, Adam, AveragedSGD
from skstruct.testing import (
    check_decoder,
    check_feature_map,
    check_inference_backend,
    check_objective,
    check_optimizer,
)

FOLDER = Path(__file__).parents[2] / "docs" / "extending"


def component(file, name):
    """Class of a file of the pages."""
    spec = importlib.util.spec_from_file_location(file, FOLDER / f"{file}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[file] = module  # so that its classes pickle
    spec.loader.exec_module(module)
    return getattr(module, name)


SingleNode = component("single_node", "SingleNode")
Independent = component("independent", "Independent")
HiddenLayer = component("hidden_layer", "HiddenLayer")
Pseudolikelihood = component("pseudolikelihood", "Pseudolikelihood")
Momentum = component("momentum", "Momentum")


def test_batteries():
    assert check_inference_backend(SingleNode(), n_models=20) > 20
    assert check_decoder(Independent()) > 20
    check_feature_map(HiddenLayer(), sparse=False)
    check_objective(Pseudolikelihood(), hidden=False)
    check_optimizer(Momentum())


OPTIMIZERS = {
    "lbfgs": LBFGS(),
    "sgd": AveragedSGD(20, random_state=0),
    "adam": Adam(40, learning_rate=0.05, random_state=0),
    "momentum": Momentum(),
}
MAPS = {"linear": "linear", "hidden layer": HiddenLayer()}
OBJECTIVES = {"likelihood": "likelihood", "pseudolikelihood": Pseudolikelihood()}


@pytest.mark.parametrize(("features", "objective", "optimizer"), [*itertools.product(MAPS, OBJECTIVES, OPTIMIZERS)])
def test_every_combination_learns(features, objective, optimizer):
    X, y = make_chain(n_graphs=60, return_X_y=True, random_state=0)
    crf = GraphCRFClassifier(
        MAPS[features], objective=OBJECTIVES[objective], optimizer=OPTIMIZERS[optimizer], random_state=0, tol=1e-4
    ).fit(X, y)
    start, end = crf.loss_curve_[0], crf.loss_curve_[-1]
    assert end < start
    best = GraphCRFClassifier().fit(X, y).score(X, y)
    assert crf.score(X, y) > best - 0.05
