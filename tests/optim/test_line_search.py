"""The line search on curves in closed form: smooth, with a jump, with an end, with noise."""

import math

import numpy as np
import pytest

from skstruct.optim._line_search import CURVATURE, DECREASE, MAX_TRIALS, line_search


class Counting:
    """A curve that remembers its trials."""

    def __init__(self, curve):
        self.curve, self.steps = curve, []

    def __call__(self, step):
        self.steps.append(step)
        return self.curve(step)


def search(curve, first):
    counting = Counting(curve)
    value, slope = curve(0.0)
    step, found = line_search(counting, value, slope, first)
    assert step == 0 or counting.steps[-1] == step
    assert found == curve(step)[0]
    return step, counting.steps


def wolfe(curve, step):
    (value, slope), (found, left) = curve(0.0), curve(step)
    return found <= value + DECREASE * step * slope and left >= CURVATURE * slope


SMOOTH = {
    "parabola": lambda t: ((t - 1) ** 2, 2 * (t - 1)),
    "quartic": lambda t: ((t - 1) ** 4, 4 * (t - 1) ** 3),
    "exponential": lambda t: (math.exp(min(t, 700)) - 20 * t, math.exp(min(t, 700)) - 20),
    "hyperbola": lambda t: (math.hypot(1, t - 3), (t - 3) / math.hypot(1, t - 3)),
    "two valleys": lambda t: (math.cos(t) + 0.01 * (t - 2) ** 2 - 0.1 * t, -math.sin(t) + 0.02 * (t - 2) - 0.1),
}


@pytest.mark.parametrize("first", [1e-8, 1e-3, 1.0, 30.0, 1e6])
@pytest.mark.parametrize("name", SMOOTH)
def test_wolfe_conditions_hold(name, first):
    step, trials = search(SMOOTH[name], first)
    assert wolfe(SMOOTH[name], step)
    assert len(trials) <= 16


def test_the_minimum_of_a_cubic_is_the_second_trial():
    step, trials = search(lambda t: (t**3 - 3 * t, 3 * t**2 - 3), 5.0)
    assert len(trials) == 2
    assert step == pytest.approx(1.0)


@pytest.mark.parametrize("outside", [np.inf, np.nan])
@pytest.mark.parametrize("first", [1.0, 1e5])
def test_an_end_of_the_domain(first, outside):
    """``-log(0.5 - t) - 3 t`` has its minimum at 1/6 and is not defined from 1/2 on."""

    def curve(t):
        return (-math.log(0.5 - t) - 3 * t, 1 / (0.5 - t) - 3) if t < 0.5 else (outside, np.nan)

    step, _ = search(curve, first)
    assert 0 < step < 0.5
    assert wolfe(curve, step)


def test_a_jump_is_approached_from_below():
    """The last step before the jump at 1 falls steeply still: no step meets Wolfe's condition."""

    def curve(t):
        return -t + 5.0 * (t > 1), -1.0

    step, trials = search(curve, 0.3)
    assert 0.3 <= step <= 1
    assert len(trials) <= 6


@pytest.mark.parametrize("end", [1e-3, 1e-6, 1e-12])
def test_a_jump_ahead_costs_a_few_trials(end):
    """The loss of approximate inference can jump: to approach the jump closely would need many evaluations."""
    step, trials = search(lambda t: (-t + t**2 / 2 + 2.0 * (t > end), t - 1), 1.0)
    assert step <= end
    assert len(trials) <= 8


def test_no_step_where_every_trial_is_higher():
    assert search(lambda t: (float(t > 0), -1.0), 1.0)[0] == 0
    step, trials = search(lambda t: (0.0 if t == 0 else np.nan, -1.0), 1.0)
    assert step == 0
    assert len(trials) <= MAX_TRIALS


def test_an_infinite_slope_is_not_accepted():
    step, _ = search(lambda t: ((t - 1) ** 2, 2 * (t - 1) if t < 1.5 else np.inf), 1.8)
    assert 0 < step < 1.5


def test_rounding_errors_of_the_value_do_not_matter():
    """Next to 1e8, the decrease is lost in the last bit, which here always goes up; the slope tells."""
    step, trials = search(lambda t: (1e8 + 1e-7 * (t > 0), 1e-10 * (t - 1)), 1.0)
    assert step == 1
    assert len(trials) == 1
