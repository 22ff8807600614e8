"""Multigraphs: the scores of repeated and reversed edges are added, so that backends receive simple graphs."""

from dataclasses import dataclass

import numpy as np

from skstruct.data.topology import Topology
from skstruct.inference._checked import CheckedPlan
from skstruct.scores import Scores, edge_rows


@dataclass(frozen=True)
class EdgeMerge:
    """The map from the edges of a multigraph to the edges of the simple graph."""

    simple: Topology
    first: np.ndarray  # (n_pairs,) first edge of each pair of nodes
    group: np.ndarray  # (n_repeated,) which merged pair each edge of a repeated pair belongs to
    repeated: np.ndarray  # (n_repeated,) the edges of repeated pairs
    flipped: np.ndarray  # (n_repeated,) whether such an edge has the opposite direction of the first edge of its pair
    merged: np.ndarray  # (n_merged,) numbers of the repeated pairs among all pairs

    def of_edges(self, values):
        """Values of the edges of the simple graph, (n_pairs, ...), for the edges of the multigraph."""
        pair = np.empty(len(self.first) + len(self.repeated) - len(self.merged), np.intp)
        pair[self.first] = np.arange(len(self.first))
        pair[self.repeated] = self.merged[self.group]
        return values[pair]

    def oriented(self, matrices):
        """Transpose the matrices of `flipped` edges, between their direction and that of the first edge of the pair."""
        return np.where(self.flipped[:, None, None], matrices.transpose(0, 2, 1), matrices)

    def scores(self, scores):
        """Scores of the simple graph; the matrices of merged pairs are appended to the matrices of `scores`."""
        rows = edge_rows(scores, len(scores.edge))
        n_matrices, n_merged = len(scores.edge), len(self.merged)
        extra = np.zeros((n_merged, *scores.edge.shape[1:]))
        np.add.at(extra, self.group, self.oriented(scores.edge[rows[self.repeated]]))
        simple_rows = rows[self.first]
        simple_rows[self.merged] = n_matrices + np.arange(n_merged)
        return Scores(scores.node, np.concatenate([scores.edge, extra]), simple_rows)


def merge_edges(topology):
    """Find the edges that join the same two nodes, in either direction."""
    _, first, pair, count = np.unique(topology.pairs, return_index=True, return_inverse=True, return_counts=True)
    order = np.argsort(first)  # the simple graph keeps the order of the edges, in which graphs are consecutive
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    first, pair, count = first[order], rank[pair], count[order]
    merged = np.flatnonzero(count > 1)
    repeated = np.flatnonzero(count[pair] > 1)
    flipped = topology.edges[repeated, 0] != topology.edges[first[pair[repeated]], 0]
    simple = Topology(topology.edges[first], topology.node_ptr, np.searchsorted(first, topology.edge_ptr))
    return EdgeMerge(simple, first, np.searchsorted(merged, pair[repeated]), repeated, flipped, merged)


class MergedEdgesPlan(CheckedPlan):
    """A plan for a multigraph, which adds the scores of repeated edges and calls the plan of the simple graph.

    Edges that share a matrix still share it in the simple graph.
    """

    def __init__(self, topology, n_states, inner, merge):
        super().__init__(topology, n_states, inner)
        self.merge = merge

    @property
    def supports_float32(self):
        return False  # sums of scores are float64

    @property
    def edge_weights(self):
        return self.merge.of_edges(self.inner.edge_weights)

    def marginals_from(self, scores, weights, labels):
        found = super().marginals_from(scores, weights, labels)
        return found._replace(edge=self._own_counts(found.edge, scores))

    def _checked(self, scores):
        return self.merge.scores(super()._checked(scores))

    def _own_counts(self, counts, scores):
        """Pair counts of the matrices of the multigraph, from those of the simple graph."""
        rows = edge_rows(scores, self.topology.n_edges)
        edge, extra = np.split(counts, [len(scores.edge)])
        np.add.at(edge, rows[self.merge.repeated], self.merge.oriented(extra[self.merge.group]))
        return edge
