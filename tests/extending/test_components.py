"""The components of the pages on extending: one file each, which pass their batteries and train through `fit`."""

import importlib.util
import itertools
import sys
from pathlib import Path

import numpy as np
import pytest

from skstruct import GraphCRFClassifier
from skstruct.datasets import make_chain
from skstruct.features import NetworkFeatures
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
LowRankEdges = component("low_rank", "LowRankEdges")
Piecewise = component("piecewise", "Piecewise")
Momentum = component("momentum", "Momentum")


def test_batteries():
    assert check_inference_backend(SingleNode(), n_models=20) > 20
    assert check_decoder(Independent()) > 20
    check_feature_map(LowRankEdges(), sparse=False)
    check_objective(Piecewise())
    check_optimizer(Momentum())


OPTIMIZERS = {
    "lbfgs": LBFGS(),
    "sgd": AveragedSGD(20, random_state=0),
    "adam": Adam(40, learning_rate=0.05, random_state=0),
    "momentum": Momentum(),
}
MAPS = {"linear": "linear", "low rank": LowRankEdges()}
OBJECTIVES = {"likelihood": "likelihood", "piecewise": Piecewise()}


@pytest.mark.parametrize(("features", "objective", "optimizer"), [*itertools.product(MAPS, OBJECTIVES, OPTIMIZERS)])
def test_every_combination_learns(features, objective, optimizer):
    X, y = make_chain(n_graphs=60, return_X_y=True, random_state=0)
    crf = GraphCRFClassifier(
        MAPS[features], objective=OBJECTIVES[objective], optimizer=OPTIMIZERS[optimizer], random_state=0, tol=1e-4
    ).fit(X, y)
    start, end = crf.loss_curve_[0], crf.loss_curve_[-1]
    assert end < start
    best = GraphCRFClassifier().fit(X, y).score(X, y)
    assert crf.score(X, y) > best - 0.12  # piecewise training loses .05 here, and up to .09 by SGD with low rank


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # torch itself calls what it has deprecated
def test_torch_module():
    reason = "the recipe for torch modules needs torch, which skstruct does not depend on"
    torch = pytest.importorskip("torch", reason=reason)
    TorchFeatures = component("torch_module", "TorchFeatures")

    def module(n_features, n_classes):
        torch.manual_seed(0)
        return torch.nn.Sequential(torch.nn.Linear(n_features, 8), torch.nn.Tanh(), torch.nn.Linear(8, n_classes))

    check_feature_map(TorchFeatures(module(4, 3)), sparse=False)
    X, y = make_chain(n_graphs=60, return_X_y=True, random_state=0)
    sizes = X.node_features.shape[1], len(np.unique(y.values))
    ours = GraphCRFClassifier(NetworkFeatures((8,), "tanh"), random_state=0).fit(X, y)
    theirs = GraphCRFClassifier(TorchFeatures(module(*sizes))).fit(X, y)
    assert theirs.score(X, y) == pytest.approx(ours.score(X, y), abs=0.02)
    trained = module(*sizes).double()
    trained.load_state_dict(theirs.state_dict_)
    node_scores = trained(torch.tensor(X.node_features)).detach().numpy()
    np.testing.assert_allclose(node_scores, theirs.scores(X)[0].values, rtol=1e-12)
    with pytest.raises(ValueError, match=r"must return 3 scores, one for each class; got shape \(1, 4\)"):
        GraphCRFClassifier(TorchFeatures(module(sizes[0], 4))).fit(X, y)
