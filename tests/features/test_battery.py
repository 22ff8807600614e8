"""Every row of the table of feature maps passes the battery, which finds the faults that it is there for."""

import numpy as np
import pytest

from skstruct.data.dataset import GraphDataset
from skstruct.features import FEATURE_MAPS, ConstrainedFeatures, LinearFeatures, NetworkFeatures, _base
from skstruct.features._linear import LinearPlan
from skstruct.testing import check_feature_map

MAPS = [
    *(cls() for cls in FEATURE_MAPS.values()),
    *(LinearFeatures(form) for form in ("observed", "symmetric", "antisymmetric", "potts")),
    LinearFeatures("observed", node_weights="observed", fit_intercept=False),
    LinearFeatures(dtype="float32", edge_penalty=3.0),
    NetworkFeatures((3, 2), "tanh", edge_weights="symmetric"),
    NetworkFeatures(5, "logistic", edges="network"),
    NetworkFeatures((4,), "tanh", edges="network", edge_weights="observed", edge_penalty=2.0),
    NetworkFeatures((), "identity", edges="network", edge_weights="potts"),
    ConstrainedFeatures(forbidden_pairs=[(0, 1)]),
    ConstrainedFeatures(NetworkFeatures((3,), "tanh"), [(0, 1)], {1: [0, 2]}),
    ConstrainedFeatures(LinearFeatures("antisymmetric", node_weights="observed"), [(0, 1)], {1: [0, 2]}),
]


@pytest.mark.parametrize("feature_map", MAPS, ids=str)
def test_battery(feature_map):
    check_feature_map(feature_map)


def spoiled(**methods):
    """A linear map whose plan has other methods."""
    plan_class = type("Plan", (LinearPlan,), methods)

    class Map(LinearFeatures):
        def plan_from(self, statistics, classes):
            return plan_class(**vars(super().plan_from(statistics, classes)))

    globals()["Plan"], plan_class.__module__ = plan_class, __name__  # so that it pickles
    return Map()


def _overwrites(self, context, d_scores, out):
    out[:] = 0.0
    LinearPlan.pullback(self, context, d_scores, out)


def _doubles(self, context, d_scores, out):
    for _ in range(2):
        LinearPlan.pullback(self, context, d_scores, out)


def _halves(self, context, d_scores, coef, rate):
    LinearPlan.step(self, context, d_scores, coef, rate / 2)


def _of_ones(self, inputs, coef, d_scores):
    return LinearPlan.input_gradient(self, inputs, np.ones_like(coef), d_scores)


@pytest.mark.parametrize(
    ("methods", "law"),
    [
        ({"pullback": _overwrites}, "does not add to out"),
        ({"pullback": _doubles}, "not the derivative"),
        ({"step": _halves}, "step is not pullback"),
        ({"input_gradient": _of_ones}, "input_gradient is not the derivative"),
        ({"slice_inputs": lambda self, inputs, batch, graphs: inputs}, "scores of graphs"),
        ({"attributes": lambda self, coef: {"weights": coef}}, "do not end in an underscore"),
    ],
)
def test_battery_finds(methods, law):
    with pytest.raises(AssertionError, match=law):
        check_feature_map(spoiled(**methods))


def test_a_plan_in_pieces_is_the_plan_of_the_whole(monkeypatch):
    rng = np.random.default_rng(0)
    x = np.where(rng.random((200, 30)) < 0.9, 0.0, 1.0)
    X = GraphDataset.from_sequences([x[i : i + 5] for i in range(0, 200, 5)])
    codes = rng.integers(-1, 6, size=200)
    feature_map = LinearFeatures("observed", node_weights="observed")
    whole = feature_map.plan(X, np.arange(6), codes)
    n_pieces = []
    original = LinearFeatures.collect
    monkeypatch.setattr(LinearFeatures, "collect", lambda *args: n_pieces.append(1) or original(*args))
    monkeypatch.setattr(_base, "PIECE", 400)
    assert feature_map.plan(X, np.arange(6), codes) == whole
    assert len(n_pieces) == 15  # 6,000 numbers
