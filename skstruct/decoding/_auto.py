"""The decoder that chooses an affordable decoder for each graph."""

import numpy as np

from skstruct.components import require_integers, require_number
from skstruct.decoding._alpha_expansion import AlphaExpansion, expand
from skstruct.decoding._base import Decoder, graph_score, graph_scores
from skstruct.decoding._graph_cut import GraphCut
from skstruct.decoding._icm import improve
from skstruct.decoding._linear_program import IntegerProgram
from skstruct.decoding._trws import TreeReweightedMaxProduct
from skstruct.inference import Auto
from skstruct.scores import Scores, is_optimal


class AutoDecoder(Decoder):
    """Exact decoding where it is affordable, else the best labels and the lowest bound of several decoders.

    Forests and graphs of small treewidth are decoded by exact inference, and the other graphs that `GraphCut` accepts
    by a minimum cut. For the remaining graphs, tree-reweighted sweeps find labels and a bound. Where score and bound
    differ, iterated conditional modes improve the labels, and then expansion moves if `AlphaExpansion` accepts the
    graph. If they differ still, `IntegerProgram` decodes the graph, unless it is too large.

    Parameters
    ----------
    max_variables : int, default=5000
        Largest graph for the integer program, in ``n_nodes * n_states + n_edges * n_states**2``; 0 for never.
    node_limit : int, default=10
        Maximum number of search nodes of the integer program, per graph. Most of the gain comes from the first few
        search nodes. On hard graphs of 5000 variables ten need some seconds, and a thousand need minutes.

    Examples
    --------
    >>> import numpy as np
    >>> from skstruct import Topology
    >>> from skstruct.scores import Scores
    >>> from skstruct.decoding import AutoDecoder
    >>> triangle = Topology.from_edges([(0, 1), (1, 2), (2, 0)], n_nodes=3)
    >>> differ = Scores(np.array([[0.3, 0], [0, 0], [0, 0]]), -np.eye(2)[None], np.zeros(3, int))
    >>> found = AutoDecoder().decode(triangle, differ)
    >>> found.score, found.optimal
    (array([-0.7]), array([ True]))
    """

    name = "auto"
    family = "any graph"

    def __init__(self, max_variables=5000, node_limit=10):
        self.max_variables = max_variables
        self.node_limit = node_limit

    def _decode(self, topology, scores):
        require_number(self, "max_variables", lambda number: number >= 0, "a number >= 0")
        require_integers(self, "node_limit")
        labels, bound = np.zeros(topology.n_nodes, np.intp), np.empty(topology.n_graphs)
        remaining = np.ones(topology.n_graphs, bool)

        def decode(graphs, solve):
            """Have `solve` decode the given graphs."""
            if len(graphs):
                part, nodes, own = _subset(topology, scores, graphs)
                labels[nodes], bound[graphs] = solve(part, own)
                remaining[graphs] = False

        for graphs, plan in Auto().plan(topology, scores.node.shape[1]).groups:
            if plan.exact:
                decode(graphs, _by(plan))
        graphs = np.flatnonzero(remaining)
        if len(graphs):
            part, _, own = _subset(topology, scores, graphs)
            decode(graphs[GraphCut()._accepts(part, own)], GraphCut()._decode)
        decode(np.flatnonzero(remaining), self._approximate)
        return labels, bound

    def _approximate(self, topology, scores):
        """Labels and bounds of graphs that neither exact inference nor a minimum cut can decode."""
        labels, bound = TreeReweightedMaxProduct()._decode(topology, scores)
        expandable = AlphaExpansion()._accepts(topology, scores)
        program = IntegerProgram(node_limit=self.node_limit, max_variables=max(self.max_variables, 1))
        small = program._accepts(topology, scores)
        for g in range(topology.n_graphs):
            nodes, edges, own = graph_scores(topology, scores, g)
            if is_optimal(graph_score(edges, own, labels[nodes]), bound[g]):
                continue
            best = improve(edges, own, labels[nodes])
            if expandable[g]:
                best = expand(edges, own, best)
            if small[g] and not is_optimal(graph_score(edges, own, best), bound[g]):
                found, found_bound = program._decode_graph(edges, own)
                best = max(best, found, key=lambda one: graph_score(edges, own, one))
                bound[g] = min(bound[g], found_bound)
            labels[nodes] = best
        return labels, bound


def _by(plan):
    """Return a function that decodes by an inference plan."""

    def solve(_, scores):
        found = plan.decode(scores)
        return found.labels, found.bound

    return solve


def _subset(topology, scores, graphs):
    """Some graphs of a batch: topology, node numbers, scores."""
    part, nodes, edges = topology.take(graphs)
    if scores.edge_matrix is None:
        return part, nodes, Scores(scores.node[nodes], scores.edge[edges])
    return part, nodes, Scores(scores.node[nodes], scores.edge, scores.edge_matrix[edges])
