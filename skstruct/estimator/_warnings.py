"""Where a warning points to: the line of the user's program, however deep the call is."""

import sys

INSIDE = ("skstruct.", "sklearn.callback.")  # scikit-learn's callbacks wrap `fit`


def stack_level() -> int:
    """`stacklevel` of a warning in the calling function, so that it names the first caller outside of the package."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(INSIDE):
        frame, level = frame.f_back, level + 1
    return level
