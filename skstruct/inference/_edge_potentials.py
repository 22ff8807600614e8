"""Potentials of the edges, for all kernels of message passing on three states and more."""

from typing import NamedTuple

import numpy as np

from skstruct.kernels.jit import kernel
from skstruct.kernels.simd import exp_matrix


class EdgePotentials(NamedTuple):
    """Potentials of the edges. Matrices that edges share are followed by their transposes."""

    potential: np.ndarray  # (n_matrices or twice as many, n_states, n_states)
    potts: np.ndarray  # (len(potential),) whether there is one value on the diagonal and one elsewhere
    top: np.ndarray  # (n_matrices,) largest score
    low: np.ndarray  # (n_matrices,) lowest score less the largest

    @classmethod
    def of(cls, edge, own_matrices, potential=None):
        """Arrays for the potentials of some scores, in `potential` if that is given."""
        n_matrices = len(edge)
        if potential is None:
            potential = np.empty((n_matrices if own_matrices else 2 * n_matrices, *edge.shape[1:]))
        return cls(potential, np.empty(len(potential), bool), *np.empty((2, n_matrices)))


@kernel(borrows=True)
def exponentiate_edges(edge, own_matrices, out, lanes):
    """Fill the `EdgePotentials` `out`; with `own_matrices`, each edge has a matrix, and no transposes are stored."""
    n_matrices, n_states = len(edge), edge.shape[1]
    potential, potts = out.potential, out.potts
    for e in range(n_matrices):
        out.top[e], out.low[e] = exp_matrix(edge, e, potential, lanes)
        potts[e] = n_states > 2
        for x in range(n_states):
            if not potts[e]:
                break
            for y in range(n_states):
                potts[e] &= potential[e, x, y] == (potential[e, 0, 0] if x == y else potential[e, 0, 1])
        if not own_matrices:
            potts[n_matrices + e] = potts[e]
            for x in range(n_states):
                for y in range(n_states):
                    potential[n_matrices + e, y, x] = potential[e, x, y]
