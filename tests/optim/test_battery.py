"""Every row of the table of optimisers passes the battery, which finds the faults that it is there for."""

import numpy as np
import pytest

from skstruct.optim import LBFGS, OPTIMIZERS, AveragedSGD
from skstruct.testing import check_optimizer

SETTINGS = {
    "sgd": {"n_epochs": 40, "random_state": 0},
    "adam": {"learning_rate": 0.05, "random_state": 0},
    "bcfw": {"random_state": 0},
    "averaged_perceptron": {"random_state": 0},
}
ACCURACY = {"averaged_perceptron": np.inf}  # it counts mistakes, and minimises nothing


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_battery(name):
    check_optimizer(OPTIMIZERS[name](**SETTINGS.get(name, {})), accuracy=ACCURACY.get(name))


def test_battery_with_a_start():
    check_optimizer(LBFGS(start_with=AveragedSGD(3, random_state=0)))


class IgnoresL1(LBFGS):
    """Declares that it accepts an L1 term, and drops it."""

    def iterate(self, loss, start, *, l1=None, max_iter, tol):
        return super().iterate(loss, start, l1=None, max_iter=max_iter, tol=tol)


class KeepsTheLast(LBFGS):
    """Goes a step too far at the end."""

    def iterate(self, loss, start, *, l1=None, max_iter, tol):
        for state in super().iterate(loss, start, l1=l1, max_iter=max_iter, tol=tol):
            if state.message:
                state.x = state.x + 0.1
            yield state


class ForgetsItsHistory(LBFGS):
    """Continues from the parameters only."""

    def iterate(self, loss, start, *, l1=None, max_iter, tol):
        return super().iterate(loss, getattr(start, "x", start), l1=l1, max_iter=max_iter, tol=tol)


class WritesToItsStates(LBFGS):
    """Changes the parameters of states that it has yielded."""

    def iterate(self, loss, start, *, l1=None, max_iter, tol):
        own = np.array(getattr(start, "x", start), float)
        for state in super().iterate(loss, start, l1=l1, max_iter=max_iter, tol=tol):
            own[:] = state.x
            state.x = own
            yield state


class Unseeded(AveragedSGD):
    """Draws from the clock."""


@pytest.mark.parametrize(
    ("optimizer", "law"),
    [
        (IgnoresL1(), "it was ignored"),
        (KeepsTheLast(), "ended at|not the value at the returned"),
        (ForgetsItsHistory(), "continued after"),
        (WritesToItsStates(), "were changed"),
        (Unseeded(40), "ended elsewhere"),
    ],
)
def test_battery_finds(optimizer, law):
    with pytest.raises(AssertionError, match=law):
        check_optimizer(optimizer)
