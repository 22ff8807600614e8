"""Every row of the table of objectives passes the battery, which finds the faults that it is there for."""

import numpy as np
import pytest

from skstruct.objectives import OBJECTIVES, Hinge, Likelihood
from skstruct.scores import Scores
from skstruct.testing import check_objective


@pytest.mark.parametrize("name", OBJECTIVES)
def test_battery(name):
    check_objective(OBJECTIVES[name]())


class Spoiled(Likelihood):
    """A likelihood with a fault."""

    def __init__(self, spoil):
        self.spoil = spoil

    def value_and_gradient(self, inference, scores, targets):
        return self.spoil(*super().value_and_gradient(inference, scores, targets), targets)


@pytest.mark.parametrize(
    ("spoil", "law"),
    [
        (
            lambda loss, d, targets: (loss * targets.graph_weight, d),
            "derivative of the loss|weights multiply|another loss",
        ),
        (lambda loss, d, targets: (loss, Scores(1.01 * d.node, d.edge, d.edge_matrix)), "derivative of the loss"),
        (lambda loss, d, targets: (np.abs(loss - 1), d), "derivative of the loss|convex"),
        (lambda loss, d, targets: (loss.sum(keepdims=True), d), "losses of shape|another loss"),
    ],
)
def test_battery_finds(spoil, law):
    with pytest.raises(AssertionError, match=law):
        check_objective(Spoiled(spoil))


class WrongAtKinks(Hinge):
    """A gradient that is right wherever the loss has one, and no subgradient at kinks."""

    def value_and_gradient(self, inference, scores, targets):
        loss, (node, edge, rows) = super().value_and_gradient(inference, scores, targets)
        if not scores.node.any():
            node, edge = 2 * node, 2 * edge
        return loss, Scores(node, edge, rows)


def test_battery_finds_wrong_subgradients():
    check_objective(Hinge(), hidden=False)
    with pytest.raises(AssertionError, match="no subgradient"):
        check_objective(WrongAtKinks(), hidden=False)
