"""A decoder that ignores the edges."""

import numpy as np

from skstruct.decoding import Decoder


class Independent(Decoder):
    """Give each node the label of its highest node score. Time O(n_nodes * n_states)."""

    name = "independent"
    family = "any graph"

    def _decode_graph(self, edges, scores):
        """Labels of one graph, and a bound on the score of all labellings: no bound is known."""
        return scores.node.argmax(axis=1), np.inf
