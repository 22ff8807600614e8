"""The table that `fit` and `partial_fit` print with ``verbose=1``."""

import time

import numpy as np

from skstruct.optim import OptimizerState

HEAD = f"{'iteration':>9}  {'seconds':>8}  {'loss':>13}  {'gradient':>8}"
VALIDATION = f"  {'validation':>10}"
UNKNOWN = "-"


class ProgressTable:
    """Prints a line after each iteration, and the names of the columns at the beginning of each training.

    Parameters
    ----------
    name : str
        Name of the estimator, which is printed above the table.
    scale : float
        Factor from the minimised function to the loss that is printed.
    is_validated : bool
        Whether there is a column for the score on held-out graphs.
    last : float, default=np.inf
        Number of the last iteration whose line is above.
    """

    def __init__(self, name: str, scale: float, is_validated: bool, last: float = np.inf):
        self.name, self.scale, self.is_validated, self.last = name, scale, is_validated, last
        self.begin = time.perf_counter()

    def __call__(self, state: OptimizerState, score: float | None) -> None:
        """Print the line of an iteration, with its score on held-out graphs if it has been scored."""
        if state.n_iter <= self.last:  # another objective, or the same with another backend
            print(f"[{self.name}]\n{HEAD}{VALIDATION if self.is_validated else ''}")
        self.last = state.n_iter
        gradient = UNKNOWN if np.isnan(state.gradient_norm) else f"{state.gradient_norm:.1e}"
        seconds = time.perf_counter() - self.begin
        line = f"{state.n_iter:9}  {seconds:8.2f}  {state.value * self.scale:13.8g}  {gradient:>8}"
        if self.is_validated:
            line += f"  {UNKNOWN if score is None else format(score, '.4f'):>10}"
        print(line, flush=True)
