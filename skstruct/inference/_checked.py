"""The plan that a backend returns: it checks scores and calls the plan of the algorithm."""

import numpy as np

from skstruct.inference._plan import Linearization, LinearizedPlan
from skstruct.scores import Scores, check_scores, in_double


class CheckedPlan(LinearizedPlan):
    """A plan that checks scores and weights before another plan reads them, as kernels do not check indices.

    Parameters
    ----------
    topology : Topology
    n_states : int
    inner : InferencePlan
        The plan that answers the queries.
    """

    def __init__(self, topology, n_states, inner):
        self.topology, self._n_states, self.inner = topology, n_states, inner

    def __getattr__(self, name):
        if name.startswith("__") or name == "inner":  # pickle reads attributes before `inner` is set: endless recursion
            raise AttributeError(name)
        return getattr(self.inner, name)

    def __repr__(self):
        return repr(self.inner)

    @property
    def supports_float32(self):
        return self.inner.supports_float32

    @property
    def width(self):
        return self.inner.width

    @property
    def entries(self):
        return self.inner.entries

    @property
    def edge_weights(self):
        return self.inner.edge_weights

    @property
    def groups(self):
        return self.inner.groups

    def marginals(self, scores, weights=None):
        return self.marginals_from(scores, weights, None)

    def marginals_from(self, scores, weights, labels):
        self._check_weights(weights)
        return self.inner.marginals_from(self._checked(scores), weights, labels)

    def linearize(self, scores, weights=None):
        self._check_weights(weights)
        inner = self.inner.linearize(in_double(self._checked(scores)), weights)

        def marginals():
            return inner.marginals._replace(edge=self._own_counts(inner.marginals.edge, scores))

        def derivative(direction):
            mean, found = inner.derivative(self._checked_direction(scores, direction))
            return mean, Scores(found.node, self._own_counts(found.edge, scores), scores.edge_matrix)

        return Linearization(marginals, derivative)

    def _checked_direction(self, scores, direction):
        direction = direction._replace(edge_matrix=scores.edge_matrix)
        for name, array, change in zip(scores._fields, scores[:2], direction[:2]):
            if np.shape(array) != np.shape(change):
                raise ValueError(
                    f"direction.{name} must have the shape of scores.{name}, {np.shape(array)}; got {np.shape(change)}"
                )
        return in_double(self._checked(direction))

    def _own_counts(self, counts, scores):
        """Pair counts of the matrices of `scores`, from those of the inner plan."""
        return counts

    def _check_weights(self, weights):
        if weights is not None and np.shape(weights) != (self.topology.n_graphs,):
            raise ValueError(f"weights must hold a number for each of {self.topology.n_graphs} graphs")

    def decode(self, scores):
        return self.inner.decode(self._checked(scores))

    def decode_above(self, scores, floor):
        return self.inner.decode_above(self._checked(scores), floor)

    def k_best(self, scores, k):
        return self.inner.k_best(self._checked(scores), k)

    def sample(self, scores, n_samples, rng):
        return self.inner.sample(self._checked(scores), n_samples, rng)

    def _checked(self, scores):
        return check_scores(self.topology, scores, self._n_states)
