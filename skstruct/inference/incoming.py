"""The messages that one node receives from the rest of its graph, on graphs of any shape."""

from typing import NamedTuple

import numpy as np

from skstruct.data.topology import Topology
from skstruct.inference._base import InferenceBackend
from skstruct.scores import Scores, edge_rows


class Incoming(NamedTuple):
    """Messages to a node, one from each component of its graph without the node.

    Attributes
    ----------
    neighbours : list of ndarray of int
        The neighbours of the node in each component.
    log_messages : ndarray of shape (n_components, n_given)
        In nats.
    exact : bool
        Whether the messages are exact.
    """

    neighbours: list[np.ndarray]
    log_messages: np.ndarray
    exact: bool


def incoming_messages(
    backend: InferenceBackend, topology: Topology, scores: Scores, node: int, states: np.ndarray
) -> Incoming:
    r"""Messages to a node for given states of the node.

    Without the node `i`, its graph falls apart into components :math:`K`, which depend on each other only through `i`.
    The message of a component is the sum over its labellings, given the state of `i`:

    .. math:: \log m_K(c) = \log \sum_{y_K} \exp\Big(s(y_K) + \sum_{(i, j),\, j \in K} s_e[(i, j), c, y_j]\Big)

    so that :math:`\log P(y_i = c) = s_n[i, c] + \sum_K \log m_K(c) - \log Z`. On a graph without cycles every component
    has one neighbour of `i`, and these are the messages of belief propagation. On a cycle through `i`, several
    neighbours are in one component and send one message together.

    Parameters
    ----------
    backend : InferenceBackend
        One call of its `marginals` for each state computes the messages, as log-partitions.
    topology : Topology
        One graph.
    scores : Scores
    node : int
    states : ndarray of int of shape (n_given,)

    Returns
    -------
    incoming : Incoming

    Examples
    --------
    >>> import numpy as np
    >>> from skstruct import Topology
    >>> from skstruct.inference import Scores, Tree
    >>> from skstruct.inference.incoming import incoming_messages
    >>> star = Topology.from_edges([(0, 1), (0, 2)], n_nodes=3)
    >>> scores = Scores(np.zeros((3, 2)), np.log([[[2.0, 1.0], [1.0, 2.0]]]), np.zeros(2, int))
    >>> incoming = incoming_messages(Tree(), star, scores, 0, np.arange(2))
    >>> incoming.neighbours, np.exp(incoming.log_messages).round(1).tolist()
    ([array([1]), array([2])], [[3.0, 3.0], [3.0, 3.0]])
    """
    ends, rows = topology.edges, edge_rows(scores, topology.n_edges)
    touching = (ends == node).any(axis=1)
    others = ends[touching].sum(axis=1) - node  # (n_touching,)
    component = Topology.from_edges(ends[~touching], topology.n_nodes).components
    adjacent = np.unique(component[others])
    members = np.flatnonzero(np.isin(component, adjacent))
    members = members[np.argsort(component[members], kind="stable")]  # components one after the other
    number = np.full(topology.n_nodes, -1)
    number[members] = np.arange(len(members))
    inner = np.flatnonzero(~touching & (number[ends[:, 0]] >= 0))
    inner = inner[np.argsort(component[ends[inner, 0]], kind="stable")]
    offsets = [np.searchsorted(component[nodes], [*adjacent, np.inf]) for nodes in (members, ends[inner, 0])]
    rest = Topology(number[ends[inner]], *offsets)
    plan = backend.plan(rest, scores.node.shape[1])
    log_messages = np.empty((len(adjacent), len(states)))
    for k, state in enumerate(states):
        given = scores.node[members]
        from_node = np.where(ends[touching, :1] == node, scores.edge[rows[touching], state], 0.0)
        to_node = np.where(ends[touching, 1:] == node, scores.edge[rows[touching], :, state], 0.0)
        np.add.at(given, number[others], from_node + to_node)
        log_messages[:, k] = plan.marginals(Scores(given, scores.edge, rows[inner])).log_partition
    neighbours = [np.unique(others[component[others] == c]) for c in adjacent]
    return Incoming(neighbours, log_messages, plan.exact)
