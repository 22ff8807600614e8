"""Forms of the edge weights of a linear map: a matrix over pairs of labels as a function of its free parameters.

``EDGE_WEIGHTS`` maps the name of each form to a function ``(n_states, seen) -> number, sign``. Both results have the
shape (n_states, n_states). They are the number of the parameter of each entry and its sign, which is 0 for entries
without a parameter. ``seen``, (n_pairs, 2), lists the pairs of states that the edges of the training data have.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class EdgeWeights:
    """Matrices ``U[k]`` with ``U[k].flat[cells] = signs * parameters[k][numbers]``, and zeros elsewhere."""

    n_states: int
    n_free: int
    cells: np.ndarray  # (n_cells,) sorted by the number of their parameter
    numbers: np.ndarray  # (n_cells,)
    signs: np.ndarray  # (n_cells,)

    @classmethod
    def of(cls, name, n_states, seen):
        """Set up the form called `name`, given the pairs of states that training edges have, (n_pairs, 2)."""
        number, sign = EDGE_WEIGHTS[name](n_states, seen)
        cells = np.flatnonzero(sign)
        cells = cells[np.argsort(number.flat[cells], kind="stable")]  # `pullback` sums the cells of each parameter
        numbers = np.unique(number.flat[cells], return_inverse=True)[1].ravel()
        return cls(n_states, int(numbers.max(initial=-1)) + 1, cells, numbers, sign.flat[cells].astype(float))

    @classmethod
    def none(cls, n_states):
        """No weights, for training data without edges; no array of size ``n_states**2`` is allocated."""
        nothing = np.zeros(0, np.intp)
        return cls(n_states, 0, nothing, nothing, np.zeros(0))

    @cached_property
    def starts(self):
        """First cell of each parameter, (n_free,)."""
        return np.flatnonzero(np.diff(self.numbers, prepend=-1))

    @cached_property
    def entries(self):
        """Number of the parameter of each entry, `n_free` where there is none, and sign, both (n_states**2,)."""
        number, sign = np.full(self.n_states**2, self.n_free), np.zeros(self.n_states**2)
        number[self.cells], sign[self.cells] = self.numbers, self.signs
        return number, sign

    def __eq__(self, other):
        if not isinstance(other, EdgeWeights):
            return NotImplemented
        return self.n_states == other.n_states and all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in ("cells", "numbers", "signs")
        )

    def expand(self, parameters):
        """Matrices, (n_matrices, n_states, n_states), from parameters, (n_matrices, n_free)."""
        if self.n_free == self.n_states**2 or not len(parameters):
            return parameters.reshape(-1, self.n_states, self.n_states).copy()
        number, sign = self.entries
        extended = np.concatenate([parameters, np.zeros((len(parameters), 1))], axis=1)
        return (extended.take(number, axis=1) * sign).reshape(-1, self.n_states, self.n_states)

    def pullback(self, gradient):
        """Adjoint of `expand`: the gradient of the parameters from the gradient of the flat matrices."""
        terms = self.signs * gradient[:, self.cells]
        if len(self.cells) == self.n_free:
            return terms
        return np.add.reduceat(terms, self.starts, axis=1)


def _full(n_states, seen):
    return np.arange(n_states**2).reshape(n_states, n_states), np.ones((n_states, n_states))


def _observed(n_states, seen):
    sign = np.zeros((n_states, n_states))
    sign[tuple(seen.T)] = 1.0
    return _full(n_states, seen)[0], sign


def _symmetric(n_states, seen):
    number = _full(n_states, seen)[0]
    return np.minimum(number, number.T), np.ones((n_states, n_states))


def _antisymmetric(n_states, seen):
    number, sign = _full(n_states, seen)[0], np.sign(np.arange(n_states) - np.arange(n_states)[:, None])
    return np.minimum(number, number.T), sign


def _potts(n_states, seen):
    return np.zeros((n_states, n_states), np.intp), np.eye(n_states)


EDGE_WEIGHTS = {
    "full": _full,
    "observed": _observed,
    "symmetric": _symmetric,
    "antisymmetric": _antisymmetric,
    "potts": _potts,
}
