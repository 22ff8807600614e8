"""When message passing is damped, and how much: for tree-reweighted belief propagation and all tangents."""

import numpy as np

from skstruct.kernels.jit import kernel

STAGNATION_SWEEPS, STAGNATION = 5, 0.9  # damp if changes fall by less than this factor in the messages of 5 sweeps
OSCILLATION = 1.0  # damp more if they do not fall at all
LARGEST_FRACTION = 0.5  # of the change of a damped belief
LEAST_FRACTION = 2.0**-6  # a larger fraction is halved if changes do not decrease


@kernel(borrows=True)
def fill_fractions(bounds, rho, damping, attempt, fraction):
    """Fractions by which the log-beliefs of the nodes move: all of their change, or damped in attempt 1.

    A message to node `i` contains the node's own message with the factor ``-(1 - rho)``. So the belief contains its
    former value with a factor between 0 and ``-sum_s rho_s (1 - rho_s)``, which makes it oscillate. The fraction is the
    best one for half of this factor, and sufficient for all of it.
    """
    for i in range(len(bounds)):
        echo = 0.0
        for s in range(np.int64(bounds[i, 0]), np.int64(bounds[i, 2])):
            echo += rho[s] * (1.0 - rho[s])
        fraction[i] = 1.0 - damping
        if attempt > 0:
            fraction[i] *= min(LARGEST_FRACTION, 2.0 / (2.0 + echo))


@kernel(borrows=True)
def halve_fractions(n_nodes, fraction):
    """Halve the fractions above `LEAST_FRACTION` of the first nodes."""
    for i in range(n_nodes):
        if fraction[i] > LEAST_FRACTION:
            fraction[i] *= 0.5
