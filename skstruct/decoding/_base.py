"""What a decoder is: it looks for a labelling of the highest score, and bounds the score of all labellings.

A decoder holds parameters, as scikit-learn's estimators do. Unlike an inference plan, it may depend on the scores
whether it accepts a graph: a minimum cut is exact for some scores and not applicable for others. To add a decoder,
write one file with a subclass of `Decoder` and add one row to ``DECODERS`` in ``decoding/__init__.py``.
"""

from typing import ClassVar

import numpy as np
from sklearn.base import BaseEstimator

from skstruct.data.topology import Topology
from skstruct.exceptions import UnsupportedTopology
from skstruct.inference._base import merge_edges
from skstruct.scores import Scores, check_scores, conclude, edge_rows, less_maxima


class Decoder(BaseEstimator):
    """Base class of the decoders.

    Subclasses store their parameters in ``__init__`` and implement `_decode_graph`, or `_decode` for a whole
    batch. A decoder that does not accept all graphs also implements `_accepts`.
    """

    parameter: ClassVar[str] = "decoding"

    name: ClassVar[str]
    family: ClassVar[str]  # the accepted graphs: completes the sentence "'graph_cut' takes ..."

    def accepts(self, topology, scores):
        """Tell which graphs of the batch the decoder accepts with these scores.

        Parameters
        ----------
        topology : Topology
        scores : Scores

        Returns
        -------
        accepted : ndarray of bool, (n_graphs,)
        """
        topology, scores = _simple(topology, scores)
        return self._accepts(topology, less_maxima(topology, scores)[0])

    def decode(self, topology, scores):
        """Return the best labelling of every graph that the decoder finds.

        Repeated and reversed edges are legal: their scores add.

        Parameters
        ----------
        topology : Topology
        scores : Scores
            Read, never written; -inf forbids.

        Returns
        -------
        found : Decoding
            Labels, their scores, upper bounds on the score of any labelling, and whether the labels are
            optimal.

        Raises
        ------
        UnsupportedTopology
            Names the first graph that the decoder does not accept.
        """
        topology, scores = _simple(topology, scores)
        shifted, constant = less_maxima(topology, scores)
        refused = np.flatnonzero(~self._accepts(topology, shifted))
        if len(refused):
            raise UnsupportedTopology(
                refused[0],
                f"decoding={self.name!r} takes {self.family}; {self._refusal(topology, shifted, refused[0])} "
                f"({len(refused)} of {topology.n_graphs} graphs are refused). Use decoding='auto'.",
            )
        labels, bound = self._decode(topology, shifted)
        return conclude(topology, scores, shifted, constant, labels, bound)

    def _accepts(self, topology, scores):
        """As `accepts`, for simple graphs and scores less their maxima."""
        return np.ones(topology.n_graphs, bool)

    def _refusal(self, topology, scores, graph):
        """Say why `graph` is refused; follows the description of the accepted graphs."""
        n_nodes, n_edges = np.diff(topology.node_ptr)[graph], np.diff(topology.edge_ptr)[graph]
        return f"this one, of {n_nodes} nodes, {n_edges} edges and {scores.node.shape[1]} states, is not"

    def _decode(self, topology, scores):
        """Labels (n_nodes,) and bound (n_graphs,) of a batch of accepted simple graphs, for scores by `less_maxima`."""
        labels, bound = np.zeros(topology.n_nodes, np.intp), np.zeros(topology.n_graphs)
        for g in range(topology.n_graphs):
            nodes, edges, own = graph_scores(topology, scores, g)
            if len(own.node):
                labels[nodes], bound[g] = self._decode_graph(edges, own)
        return labels, bound

    def _decode_graph(self, edges, scores):
        """Labels (n_nodes,) and bound of one graph with at least one node.

        Parameters
        ----------
        edges : ndarray of shape (n_edges, 2)
            Numbers of the graph's own nodes, from 0; no pair of nodes occurs twice.
        scores : Scores
            Scores of this graph by `less_maxima`: none is above 0. The bound is for these scores.
            ``scores.edge_matrix`` is never None, and may refer to only some of the matrices.
        """
        raise NotImplementedError


def _simple(topology, scores) -> tuple[Topology, Scores]:
    """Check the scores; return the batch with repeated edges merged, and its scores."""
    n_states = scores.node.shape[1] if np.ndim(scores.node) == 2 else 0
    scores = check_scores(topology, scores, n_states)
    if not topology.has_repeated_edges:
        return topology, scores
    merge = merge_edges(topology)
    return merge.simple, merge.scores(scores)


def graph_scores(topology, scores, graph):
    """Nodes (a slice), edges between the graph's own node numbers, and scores of one graph of a batch.

    Matrices that edges share stay shared, in ``edge_matrix``, which is never None here.
    """
    nodes = slice(*topology.node_ptr[graph : graph + 2])
    of_graph = slice(*topology.edge_ptr[graph : graph + 2])
    edges = topology.edges[of_graph] - np.int32(nodes.start)
    if scores.edge_matrix is None:
        return nodes, edges, Scores(scores.node[nodes], scores.edge[of_graph], np.arange(len(edges)))
    return nodes, edges, Scores(scores.node[nodes], scores.edge, scores.edge_matrix[of_graph])


def graph_score(edges, scores, labels):
    """Score of a labelling of one graph."""
    i, j = edges.T
    pairs = scores.edge[edge_rows(scores, len(edges)), labels[i], labels[j]]
    return scores.node[np.arange(len(labels)), labels].sum() + pairs.sum()


def trivial_bound(edges, scores):
    """Sum of the maxima of all nodes and edges of one graph."""
    return scores.node.max(axis=1).sum() + scores.edge.max(axis=(1, 2))[edge_rows(scores, len(edges))].sum()


def at_least(scores, score):
    """Forbid each state and pair that loses more than a whole labelling of `score`; scores are less their maxima.

    They are in no best labelling. Without them, huge penalties that stand for -inf cause no rounding errors.
    """
    node, edge = (np.where(part < score, -np.inf, part) for part in (scores.node, scores.edge))
    return scores._replace(node=node, edge=edge)
