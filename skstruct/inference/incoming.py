"""The messages that one node receives from the rest of its graph."""

from typing import NamedTuple

import numpy as np

from skstruct.data.topology import Topology
from skstruct.inference._base import InferenceBackend, InferencePlan
from skstruct.inference.queries import marginals
from skstruct.scores import Scores, edge_rows


class Incoming(NamedTuple):
    """Messages to a node.

    Attributes
    ----------
    neighbours : list of ndarray of int
        The neighbours that send each message.
    log_messages : ndarray of shape (n_messages, n_given)
        In nats, for the given states of the node, up to a constant for each message.
    exact : bool
        Whether the messages are exact.
    """

    neighbours: list[np.ndarray]
    log_messages: np.ndarray
    exact: bool


class _Incident(NamedTuple):
    """The edges at a node."""

    edge: np.ndarray  # (n_incident,) numbers of the edges
    other: np.ndarray  # (n_incident,) the neighbour at the other end
    is_first: np.ndarray  # (n_incident,) whether the node is the first end

    @classmethod
    def at(cls, node, topology):
        """Find the edges at a node."""
        edge = np.flatnonzero((topology.edges == node).any(axis=1))
        ends = topology.edges[edge]
        return cls(edge, ends.sum(axis=1) - node, ends[:, 0] == node)

    def rows(self, matrices, state):
        """Row of the matrix of each edge that belongs to a state of the node, (n_incident, n_states)."""
        return np.where(self.is_first[:, None], matrices[:, state], matrices[:, :, state])


def incoming_messages(
    plan: InferencePlan, backend: InferenceBackend, scores: Scores, node: int, states: np.ndarray
) -> Incoming:
    r"""Messages to a node for given states of the node.

    Without the node `i`, its graph falls apart into components :math:`K`, which depend on each other only through `i`.
    If inference is exact, each component sends one message. It is the sum over the labellings of the component, given
    the state of `i`:

    .. math:: \log m_K(c) = \log \sum_{y_K} \exp\Bigl(s(y_K) + \sum_{(i, j),\, j \in K} s_e[(i, j), c, y_j]\Bigr)

    so that :math:`\log P(y_i = c) = s_n[i, c] + \sum_K \log m_K(c) - \log Z`. On a graph without cycles every component
    has one neighbour of `i`, and these are the messages of belief propagation. On a cycle through `i`, several
    neighbours are in one component and send one message together.

    If inference is approximate, each neighbour `j` sends one message. It is computed from the node and pair marginals
    :math:`b` and the weights :math:`\rho` of the edges (see `InferencePlan`):

    .. math:: \log m_j(c) = \sum_d b_j(d) \, \bigl(s_e[(i, j), c, d]
              + \rho_{ij} \log b_i(c) - \rho_{ij} \log b_{ij}(c, d)\bigr) + \text{constant}

    At a fixed point of loopy or tree-reweighted belief propagation, the brackets do not depend on `d`, and these are
    the messages that meet in the marginals of `i`. For mean field they are the expected scores. If one of these
    marginals is 0, the components send messages as above, computed by the backend.

    Parameters
    ----------
    plan : InferencePlan
        The plan of `backend` for one graph.
    backend : InferenceBackend
        One call of its `marginals` for each state computes the messages of components, as log-partitions.
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
    >>> incoming = incoming_messages(Tree().plan(star, 2), Tree(), scores, 0, np.arange(2))
    >>> incoming.neighbours, np.exp(incoming.log_messages).round(1).tolist()
    ([array([1]), array([2])], [[3.0, 3.0], [3.0, 3.0]])
    """
    incident = _Incident.at(node, plan.topology)
    if not plan.exact:
        incoming = _messages_of_beliefs(plan, scores, node, states, incident)
        if np.isfinite(incoming.log_messages).all():
            return incoming
    return _messages_of_components(plan.topology, backend, scores, states, incident)


def _messages_of_components(topology, backend, scores, states, incident):
    """One message from each component of the graph without the node."""
    ends, rows, others = topology.edges, edge_rows(scores, topology.n_edges), incident.other
    is_inner = np.ones(topology.n_edges, bool)
    is_inner[incident.edge] = False
    component = Topology.from_edges(ends[is_inner], topology.n_nodes).components
    adjacent = np.unique(component[others])
    members = np.flatnonzero(np.isin(component, adjacent))
    members = members[np.argsort(component[members], kind="stable")]  # components one after the other
    number = np.full(topology.n_nodes, -1)
    number[members] = np.arange(len(members))
    inner = np.flatnonzero(is_inner & (number[ends[:, 0]] >= 0))
    inner = inner[np.argsort(component[ends[inner, 0]], kind="stable")]
    offsets = [np.searchsorted(component[nodes], [*adjacent, np.inf]) for nodes in (members, ends[inner, 0])]
    plan = backend.plan(Topology(number[ends[inner]], *offsets), scores.node.shape[1])
    log_messages = np.empty((len(adjacent), len(states)))
    for k, state in enumerate(states):
        given = scores.node[members]
        np.add.at(given, number[others], incident.rows(scores.edge[rows[incident.edge]], state))
        log_messages[:, k] = plan.marginals(Scores(given, scores.edge, rows[inner])).log_partition
    return Incoming([np.unique(others[component[others] == c]) for c in adjacent], log_messages, plan.exact)


def _messages_of_beliefs(plan, scores, node, states, incident):
    """One message from each neighbour, from marginals; not finite if one of them is 0."""
    rows = edge_rows(scores, plan.topology.n_edges).copy()
    own = scores.edge[rows[incident.edge]]
    rows[incident.edge] = len(scores.edge) + np.arange(len(own))
    beliefs = marginals(plan, Scores(scores.node, np.concatenate([scores.edge, own]), rows))
    pairs = beliefs.edge[len(scores.edge) :]  # (n_incident, n_states, n_states)
    neighbours, first = np.unique(incident.other, return_index=True)  # repeated edges have the same marginals
    weight, of_neighbours = plan.edge_weights[incident.edge[first]], beliefs.node[neighbours]
    log_messages = np.zeros((len(neighbours), len(states)))
    with np.errstate(divide="ignore", invalid="ignore"):  # log 0, and -inf where a pair is forbidden
        for k, state in enumerate(states):
            between = np.zeros((len(neighbours), scores.node.shape[1]))
            np.add.at(between, np.searchsorted(neighbours, incident.other), incident.rows(own, state))
            log_pair = np.log(incident.rows(pairs, state)[first])
            terms = of_neighbours * (between - weight[:, None] * log_pair)
            terms[of_neighbours == 0] = 0.0  # such as the other labels of a node whose label is known
            log_messages[:, k] = terms.sum(axis=1) + weight * np.log(beliefs.node[node, state])
    return Incoming([np.array([j]) for j in neighbours], log_messages, False)
