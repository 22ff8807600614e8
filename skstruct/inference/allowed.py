"""Search for an allowed labelling of graphs with forbidden states and pairs, where message passing finds none."""

import numpy as np

from skstruct.data.adjacency import adjacency
from skstruct.kernels.jit import kernel
from skstruct.scores import with_rows

MAX_TRIES = 300_000  # assignments of a state to a node, per graph
FIRST_LIMIT, LIMIT_GROWTH = 1000, 1.5  # tries before the search starts anew
FOUND, NONE, UNKNOWN = 1, 0, -1


def find_allowed(topology, scores, labels, graphs):
    """Look for allowed labellings of some graphs, near to given ones.

    Depth-first search: the next node is the one with the fewest states left, relative to how often it was in a conflict
    [1]_; forbidden states of its neighbours are removed. A node receives its given label if that is left, else
    the state of the highest score given its labelled neighbours. The search is complete if it ends within its limit.

    Parameters
    ----------
    topology : Topology
        A batch of simple graphs.
    scores : Scores
    labels : ndarray of shape (n_nodes,)
        The given labels. The labels of a graph are overwritten where an allowed labelling is found.
    graphs : ndarray of int
        Numbers of the graphs to search.

    Returns
    -------
    impossible : ndarray of bool, (n_graphs,)
        True for a graph that is proven to have no allowed labelling.

    References
    ----------
    .. [1] F. Boussemart, F. Hemery, C. Lecoutre, L. Sais, "Boosting systematic search by weighting constraints",
       *ECAI* 2004.
    """
    status = np.full(topology.n_graphs, UNKNOWN)
    if len(graphs):
        lists = adjacency(topology.edges, topology.n_nodes)
        _search(topology.node_ptr, lists, graphs, with_rows(scores, topology.n_edges), labels, status)
    return status == NONE


@kernel
def _search(node_ptr, lists, graphs, scores, labels, status):
    """Depth-first search with restarts. Nodes whose states are independent of earlier choices are never revised."""
    n_nodes, n_states = scores.node.shape
    left = scores.node > -np.inf  # (n_nodes, n_states): states that no labelled neighbour forbids
    n_left, n_allowed = np.zeros(n_nodes, np.int64), np.zeros(n_nodes, np.int64)
    assigned = np.full(n_nodes, -1)
    conflicts = np.ones(n_nodes)
    open_nodes, place = np.empty(n_nodes, np.int64), np.full(n_nodes, -1)  # unlabelled nodes that have lost states
    trail = np.empty((n_nodes * n_states, 2), np.int64)  # states removed, in this order
    levels = np.empty((n_nodes, 3), np.int64)  # node, its state, length of the trail before
    for i in range(n_nodes):
        for x in range(n_states):
            n_allowed[i] += left[i, x]
        n_left[i] = n_allowed[i]
    for g in graphs:
        status[g] = FOUND
        untouched = node_ptr[g]  # all nodes before this one have been labelled or are open
        n_open, n_levels, n_trail, tries = 0, 0, 0, 0
        restart_at, limit = FIRST_LIMIT, FIRST_LIMIT
        for i in range(node_ptr[g], node_ptr[g + 1]):
            if n_left[i] == 0:
                status[g] = NONE
        while status[g] == FOUND:
            # ------------------------------------------------------------ choose a node and a state
            if n_open == 0:
                n_levels = n_trail = 0  # the other nodes still have all of their states: earlier choices do not matter
                while untouched < node_ptr[g + 1] and assigned[untouched] >= 0:
                    untouched += 1
                if untouched == node_ptr[g + 1]:
                    break
                i = untouched
            else:
                i = open_nodes[0]
                for k in range(1, n_open):
                    j = open_nodes[k]
                    if n_left[j] * conflicts[i] < n_left[i] * conflicts[j]:
                        i = j
            x = _best_state(i, lists, scores, assigned, labels, left)
            # ------------------------------------------------------------ assign it
            if tries == MAX_TRIES:
                status[g] = UNKNOWN
                break
            tries += 1
            levels[n_levels, 0], levels[n_levels, 1], levels[n_levels, 2] = i, x, n_trail
            n_levels += 1
            assigned[i] = x
            n_open = _close(i, open_nodes, place, n_open)
            failed = False
            for s in range(lists.ptr[i], lists.ptr[i + 1]):
                j, matrix = lists.neighbour[s], scores.edge[scores.edge_matrix[lists.edge[s]]]
                if assigned[j] >= 0:
                    continue
                for y in range(n_states):
                    if left[j, y] and (matrix[y, x] if lists.flipped[s] else matrix[x, y]) == -np.inf:
                        left[j, y] = False
                        n_left[j] -= 1
                        trail[n_trail, 0], trail[n_trail, 1] = j, y
                        n_trail += 1
                        n_open = _open(j, open_nodes, place, n_open)
                if n_left[j] == 0:
                    conflicts[i] += 1
                    conflicts[j] += 1
                    failed = True
                    break
            # ------------------------------------------------------------ go back, or start anew
            restart = tries >= restart_at
            if restart:
                limit = int(limit * LIMIT_GROWTH)
                restart_at = tries + limit
            while n_levels > 0 and (failed or restart):
                n_levels -= 1
                i, x, start = levels[n_levels]
                while n_trail > start:
                    n_trail -= 1
                    j, y = trail[n_trail]
                    left[j, y] = True
                    n_left[j] += 1
                    if n_left[j] == n_allowed[j]:
                        n_open = _close(j, open_nodes, place, n_open)
                assigned[i] = -1
                if n_left[i] < n_allowed[i]:
                    n_open = _open(i, open_nodes, place, n_open)
                if failed:  # the state is impossible, given those of the levels below
                    left[i, x] = False
                    n_left[i] -= 1
                    trail[n_trail, 0], trail[n_trail, 1] = i, x
                    n_trail += 1
                    n_open = _open(i, open_nodes, place, n_open)
                    failed = n_left[i] == 0
            if failed:
                status[g] = NONE
        if status[g] == FOUND:
            for i in range(node_ptr[g], node_ptr[g + 1]):
                labels[i] = assigned[i]


@kernel
def _best_state(i, lists, scores, assigned, labels, left):
    """Return the given label of node `i` if it is left, else the best state left, given its labelled neighbours."""
    if labels[i] >= 0 and left[i, labels[i]]:
        return labels[i]
    best, best_score = -1, -np.inf
    for x in range(scores.node.shape[1]):
        if left[i, x]:
            score = scores.node[i, x]
            for s in range(lists.ptr[i], lists.ptr[i + 1]):
                e, y = scores.edge_matrix[lists.edge[s]], assigned[lists.neighbour[s]]
                if y >= 0:
                    score += scores.edge[e, y, x] if lists.flipped[s] else scores.edge[e, x, y]
            if best < 0 or score > best_score:
                best, best_score = x, score
    return best


@kernel
def _open(i, open_nodes, place, n_open):
    """Add a node to the list of open ones; return its new length."""
    if place[i] >= 0:
        return n_open
    place[i] = n_open
    open_nodes[n_open] = i
    return n_open + 1


@kernel
def _close(i, open_nodes, place, n_open):
    """Remove a node from the list of open ones; return its new length."""
    if place[i] < 0:
        return n_open
    last = open_nodes[n_open - 1]
    open_nodes[place[i]] = last
    place[last] = place[i]
    place[i] = -1
    return n_open - 1
