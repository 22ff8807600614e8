"""Inference on a batch that is planned when it is needed, with the two plans of a likelihood of known labels."""

from functools import cached_property
from typing import Any

import numpy as np

from skstruct.data.topology import Topology
from skstruct.inference._known_labels import likelihood_plans
from skstruct.inference._plan import InferencePlan


class LazyPlan:
    """Inference on a topology. The plan is made when it is first read, and a pickle does not contain it.

    Parameters
    ----------
    backend : InferenceBackend
    topology : Topology
    n_states : int
    """

    def __init__(self, backend: Any, topology: Topology, n_states: int):
        self.backend, self.topology, self.n_states = backend, topology, n_states

    @cached_property
    def plan(self) -> InferencePlan:
        """The plan of the backend."""
        return self.backend.plan(self.topology, self.n_states)

    @property
    def is_planned(self) -> bool:
        """Whether the plan has been made."""
        return "plan" in self.__dict__

    def given(self, codes: np.ndarray) -> tuple[InferencePlan, InferencePlan]:
        r"""Plans of the two terms of the likelihood of known labels, :math:`\log Z` and :math:`\log Z_{clamped}`.

        If the backend computes an upper bound of the log-partition, a loss that subtracts an upper bound from it is no
        bound. Then, in every graph whose hidden nodes allow it, the second term is exact, and the loss is an upper
        bound of the true loss: the hidden nodes are a graph with fewer cycles, since known labels cut edges. Connected
        components without a known label cancel, and both terms omit them.

        In a graph whose hidden nodes are too wide for exact inference, the plan of the backend computes both terms, at
        the same split of the scores, and their difference is an approximation. The lower bound of mean field would
        preserve the bound. But the distance of the two bounds increases with the scores of all edges between hidden
        nodes, and where most labels are hidden, training reduces these scores to zero.

        Parameters
        ----------
        codes : ndarray of shape (n_nodes,)
            State codes; `MISSING` where a label is hidden.

        Returns
        -------
        free, clamped : InferencePlan
            Plans whose `marginals` and `derivative` accept the scores of the whole batch. They are kept for the next
            call.
        """
        kept = self.__dict__.get("_given")
        if kept is None or not np.array_equal(kept[0], codes):
            kept = codes.copy(), likelihood_plans(self.backend, self.plan, codes, self.n_states)
            self._given = kept
        return kept[1]

    def __getstate__(self):
        return {name: self.__dict__[name] for name in ("backend", "topology", "n_states")}
