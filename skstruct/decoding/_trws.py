"""Tree-reweighted max-product as a decoder of any graph."""

from skstruct.decoding._base import Decoder
from skstruct.inference import LoopyBP


class TreeReweightedMaxProduct(Decoder):
    """Labels and a bound for any graph by sequential tree-reweighted message passing [1]_; exact on forests.

    The plans of ``LoopyBP`` decode in the same way: labels by max-product are improved on graphs with cycles by
    tree-reweighted sweeps, which also bound the score of all labellings.

    Notes
    -----
    Time O(n_edges * n_states**2) per sweep, at most 200 sweeps.

    References
    ----------
    .. [1] V. Kolmogorov, "Convergent tree-reweighted message passing for energy minimization", *IEEE Trans.
       PAMI* 28(10), 2006.

    Examples
    --------
    >>> import numpy as np
    >>> from skstruct import Topology
    >>> from skstruct.scores import Scores
    >>> from skstruct.decoding import TreeReweightedMaxProduct
    >>> triangle = Topology.from_edges([(0, 1), (1, 2), (2, 0)], n_nodes=3)
    >>> agree = Scores(np.array([[0.3, 0], [0, 0], [0, 0]]), np.eye(2)[None], np.zeros(3, int))
    >>> found = TreeReweightedMaxProduct().decode(triangle, agree)
    >>> found.labels, found.bound.round(6)
    (array([0, 0, 0]), array([3.3]))
    """

    name = "tree_reweighted"
    family = "any graph"

    def _decode(self, topology, scores):
        found = LoopyBP().plan(topology, scores.node.shape[1]).decode(scores)
        return found.labels, found.bound
