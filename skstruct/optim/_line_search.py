"""Line search: a step that lowers the value enough and at which the slope is less steep (Wolfe's conditions)."""

import math

DECREASE = 1e-4  # least fraction of the decrease that the slope at zero predicts (Armijo's condition)
CURVATURE = 0.9  # largest fraction of the slope at zero that may remain (Wolfe's condition)
NOISE = 1e-12  # relative error of a value: for smaller differences the slopes decide
CLOSED = 0.1  # an interval that is shorter than this fraction of the step is not divided further
MAX_JUMPS = 3  # trials beyond a jump
JUMP = 1e-6  # smallest jump, relative to the value: rounding errors of sums in 32 bits are smaller
MAX_TRIALS = 20


def line_search(evaluate, value, slope, step):
    """Find a step that meets the weak Wolfe conditions, by bracketing and interpolation.

    Every other trial is either too long (the value is too high, or infinite or nan: outside of the domain) or too short
    (the value is low, but its slope is still steep). So an interval shrinks around an acceptable step. This needs no
    smoothness [1]_: at a jump the interval closes around it. The search gives up earlier if it recognises a jump: the
    difference of the values at the ends is not explained by the slopes, and does not shrink with the interval. Where
    values differ by rounding errors only, the slope decides about the decrease, as in Hager and Zhang's approximate
    condition [2]_.

    Parameters
    ----------
    evaluate : callable
        ``evaluate(step) -> value, slope``. The last call is at the returned step, if that is not 0.
    value, slope : float
        Value and slope at step zero; the slope is negative.
    step : float
        The first trial.

    Returns
    -------
    step : float
        0 if no trial lowers the value enough. A positive step meets Armijo's condition, and Wolfe's unless there is a
        jump.
    value : float
        Value at the returned step.

    References
    ----------
    .. [1] A. S. Lewis, M. L. Overton, "Nonsmooth optimization via quasi-Newton methods", *Mathematical Programming*
       141, 2013.
    .. [2] W. W. Hager, H. Zhang, "A new conjugate gradient method with guaranteed descent and an efficient line
       search", *SIAM J. Optimization* 16(1), 2005.

    Examples
    --------
    >>> from skstruct.optim._line_search import line_search
    >>> line_search(lambda step: ((step - 2) ** 2, 2 * (step - 2)), 4.0, -4.0, 1.0)
    (1.0, 1.0)
    >>> line_search(lambda step: ((step - 2) ** 2, 2 * (step - 2)), 4.0, -4.0, 16.0)
    (2.0, 0.0)
    """
    noise = NOISE * abs(value)
    short, long = (0.0, value, slope), None  # step, value and slope of the last trial of each kind
    width = unexplained = math.inf
    n_jumps = 0
    for _ in range(MAX_TRIALS):
        trial = (step, *evaluate(step))
        is_lower = trial[1] <= value + DECREASE * step * slope
        seems_lower = trial[1] <= value + noise and trial[2] <= (2 * DECREASE - 1) * slope
        steep = trial[2] < CURVATURE * slope
        if math.isfinite(trial[2]) and not steep and (is_lower or seems_lower):
            return step, trial[1]
        if math.isfinite(trial[2]) and steep and is_lower:
            before, short = short, trial
        else:
            long = trial
        if long is None:
            step = _extrapolate(before, short)
            continue
        width, last_width = long[0] - short[0], width
        unexplained, last = abs(long[1] - short[1] - 0.5 * width * (short[2] + long[2])), unexplained
        # in a shorter interval it falls in proportion to the length at least, unless the function jumps there
        n_jumps += JUMP * abs(value) < last * math.sqrt(width / last_width) < unexplained < math.inf
        if n_jumps == MAX_JUMPS or (short[0] > 0 and (n_jumps or width <= CLOSED * short[0])):
            break
        if n_jumps:
            step = 0.1 * width
        else:  # interpolation that hardly shrinks the interval is wrong
            step = _interpolate(short, long) if width < 0.6 * last_width else short[0] + 0.5 * width
        if step == short[0]:
            break
    if short[0] > 0:
        evaluate(short[0])
    return short[:2]


def _extrapolate(before, short):
    """Step at which the slope, extrapolated from `before` and `short`, is zero; two to ten times the last step."""
    bend = (short[2] - before[2]) / (short[0] - before[0])
    return short[0] * min(max(1 - short[2] / (bend * short[0]), 2.0), 10.0) if bend > 0 else short[0] * 10.0


def _interpolate(short, long):
    """Minimum, not too near to the ends, of the polynomial that the known values and slopes at the ends determine."""
    width = long[0] - short[0]
    fraction = 0.1  # for an end outside of the domain nothing is known
    if math.isfinite(long[1]):
        chord = (long[1] - short[1]) / width
        fraction = 0.5 * short[2] / (short[2] - chord) if chord > short[2] else 0.5
        if math.isfinite(long[2]):
            middle = short[2] + long[2] - 3 * chord
            square = middle * middle - short[2] * long[2]
            if 0 <= square < math.inf and (bottom := long[2] - short[2] + 2 * math.sqrt(square)) > 0:
                fraction = 1 - (long[2] + math.sqrt(square) - middle) / bottom
    return short[0] + min(max(fraction, 0.1), 0.9) * width
