"""A decoder that ignores the edges."""

import numpy as np

from skstruct.decoding import Decoder


class Independent(Decoder):
    """Return the state of the highest node score for each node. Time O(n_nodes * n_states)."""

    name = "independent"
    family = "any graph"

    def _decode_graph(self, edges, scores):
        """Return states of one graph, and a bound on the score of all labellings; inf, because no bound is known."""
        return scores.node.argmax(axis=1), np.inf
