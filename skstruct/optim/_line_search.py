"""Line search: a step that lowers the value enough and leaves the steepest part of the slope behind."""

import math

DECREASE = 1e-4  # share of the decrease that the slope at zero promises (Armijo's condition)
CURVATURE = 0.9  # share of the slope at zero that may be left (Wolfe's condition)
NOISE = 1e-12  # relative error of a value: differences below it are judged by the slopes
CLOSED = 0.1  # width of an interval around a jump, relative to the step, that needs no closer look
MAX_TRIALS = 20


def line_search(evaluate, value, slope, step):
    """Find a step that meets the weak Wolfe conditions, by bracketing and interpolation.

    Every trial either is too long (the value is too high, or infinite or nan: outside of the domain) or too short
    (the value is low, but still falls steeply), so that an interval shrinks around an acceptable step. That needs no
    smoothness [1]_: at a jump the interval closes around it. Where values differ by rounding errors only, the decrease
    is judged by the slope, as by Hager and Zhang's approximate condition [2]_.

    Parameters
    ----------
    evaluate : callable
        ``evaluate(step) -> value, slope``; the last call is made at the step that is returned, if not 0.
    value, slope : float
        At step zero; the slope is negative.
    step : float
        The first trial.

    Returns
    -------
    step : float
        0 if no trial lowers the value enough. A positive step meets Armijo's condition, and Wolfe's unless the
        interval has closed around a jump.
    value : float
        There.

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
    width = math.inf
    for _ in range(MAX_TRIALS):
        trial = (step, *evaluate(step))
        falls = trial[1] <= value + DECREASE * step * slope
        seems_to_fall = trial[1] <= value + noise and trial[2] <= (2 * DECREASE - 1) * slope
        steep = trial[2] < CURVATURE * slope
        if math.isfinite(trial[2]) and not steep and (falls or seems_to_fall):
            return step, trial[1]
        if math.isfinite(trial[2]) and steep and falls:
            before, short = short, trial
        else:
            long = trial
        if long is None:
            step = _extrapolate(before, short)
            continue
        width, last_width = long[0] - short[0], width
        if width <= CLOSED * short[0]:
            break
        # Interpolation that hardly narrows the interval is misled, as it is by a jump.
        step = _interpolate(short, long) if width < 0.6 * last_width else short[0] + 0.5 * width
        if step == short[0]:
            break
    if short[0] > 0:
        evaluate(short[0])
    return short[:2]


def _extrapolate(before, short):
    """Where a slope that goes on as it did from `before` to `short` would vanish; two to ten times the last step."""
    bend = (short[2] - before[2]) / (short[0] - before[0])
    return short[0] * min(max(1 - short[2] / (bend * short[0]), 2.0), 10.0) if bend > 0 else short[0] * 10.0


def _interpolate(short, long):
    """Minimum of the cubic through both ends of the interval, or of what is known of it, and not near the ends."""
    width = long[0] - short[0]
    share = 0.1  # outside of the domain, an end tells nothing
    if math.isfinite(long[1]):
        chord = (long[1] - short[1]) / width
        share = 0.5 * short[2] / (short[2] - chord) if chord > short[2] else 0.5
        if math.isfinite(long[2]):
            middle = short[2] + long[2] - 3 * chord
            square = middle * middle - short[2] * long[2]
            if 0 <= square < math.inf and (bottom := long[2] - short[2] + 2 * math.sqrt(square)) > 0:
                share = 1 - (long[2] + math.sqrt(square) - middle) / bottom
    return short[0] + min(max(share, 0.1), 0.9) * width
