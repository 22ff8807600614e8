"""Probabilities of neighbours given each other at the fixed point of messages, from which tangents are computed.

At the fixed point, the state `x` of the node of a slot has, given the state `y` of the neighbour, a probability in
proportion to ``b_i(x) / m_s(x) psi(x, y)``, see ``_message_tangents.py``.
"""

from typing import NamedTuple

import numpy as np

from skstruct.inference._edge_potentials import EdgePotentials, exponentiate_edges
from skstruct.inference._log_domain import log_sum
from skstruct.kernels.jit import kernel
from skstruct.kernels.messages import send, send_back
from skstruct.kernels.simd import exp_row


class Conditionals(NamedTuple):
    """Probabilities at the fixed point, by position in the sweep and by slot of the batch.

    The state `x` of the node of slot `s`, given the state `y` of the neighbour, has the probability ``cavity[s, x] *
    psi[x, y] * inverse[s, y]``.
    """

    belief: np.ndarray  # (n_nodes, n_states) probabilities of the states of each node
    cavity: np.ndarray  # (n_slots, n_states)
    inverse: np.ndarray  # (n_slots, n_states)
    matrix: np.ndarray  # (n_slots,) twice the number of a table, plus 1 if the states of the slot's node are columns
    psi: np.ndarray  # (n_tables, n_states, n_states) potentials, and probabilities of slots that are out of range
    potts: np.ndarray  # (n_tables,) whether there is one value on the diagonal and one elsewhere
    allowed: np.ndarray  # (n_graphs,) whether every node has an allowed state

    @classmethod
    def of(cls, topology, n_tables, n_states):
        """Room for the probabilities of a batch."""
        t, n_slots = topology, 2 * topology.n_edges
        belief, cavity, inverse = (np.empty((n, n_states)) for n in (t.n_nodes, n_slots, n_slots))
        psi, matrix = np.empty((n_tables, n_states, n_states)), np.empty(n_slots, np.uint32)
        return cls(belief, cavity, inverse, matrix, psi, np.zeros(n_tables, bool), np.ones(t.n_graphs, bool))


@kernel
def _log_belief(node, log_message, rho, begin, stop, out):
    """Logarithms of the probabilities of the states of a node; whether one is allowed."""
    for x in range(len(out)):
        out[x] = node[x]
        for s in range(begin, stop):
            out[x] += rho[s] * log_message[s, x]
    total = log_sum(out)
    if total == -np.inf:
        return False
    for x in range(len(out)):
        out[x] -= total
    return True


@kernel
def _fill_slot(s, log_belief, log_message, out, scratch, lanes):
    """Fill the cavity and the inverse sums of a slot whose potentials are in range."""
    number, n_states = np.int64(out.matrix[s] >> np.uint32(1)), len(log_belief)
    for x in range(n_states):
        scratch[0, x] = log_belief[x] - log_message[s, x]
        out.inverse[s, x] = 1.0
    exp_row(scratch, 0, out.cavity, s, lanes)
    for x in range(n_states):
        scratch[0, x] = out.cavity[s, x]  # sending may overwrite the row
    if out.matrix[s] & np.uint32(1):
        top, _ = send_back(out.inverse, s, scratch, 0, out.psi, number, 0.0, lanes)
    else:
        top, _ = send(out.inverse, s, scratch, 0, out.psi, number, 0.0, lanes)
    for y in range(n_states):
        out.inverse[s, y] = 1.0 / (top * out.inverse[s, y])


@kernel
def _fill_table(s, number, log_belief, log_message, edge, flipped, out):
    """Do as `_fill_slot` for any legal scores: the table contains the probabilities themselves.

    Where no `x` is allowed, they are uniform. The receiver is never in this state, but tangents stay averages.
    """
    n_states, table = len(log_belief), out.psi[number]
    out.matrix[s] = 2 * number
    for y in range(n_states):
        out.cavity[s, y] = out.inverse[s, y] = 1.0
        top, total = -np.inf, 0.0
        for x in range(n_states):
            score = edge[y, x] if flipped else edge[x, y]
            # never -inf - -inf
            table[x, y] = log_belief[x] - log_message[s, x] + score if log_belief[x] > -np.inf else -np.inf
            top = max(top, table[x, y])
        for x in range(n_states):
            table[x, y] = np.exp(table[x, y] - top) if top > -np.inf else 1.0
            total += table[x, y]
        for x in range(n_states):
            table[x, y] /= total


@kernel
def fill_conditionals(lists, rho, scores, log_message, out_of_range, own_matrices, lanes, out):
    """Fill the `Conditionals` `out`.

    Parameters
    ----------
    lists : LocalLists
    rho : ndarray of shape (n_slots,)
    scores : Scores
        Edge scores are divided by the weights of their edges.
    log_message : ndarray of shape (n_slots, n_states)
        At the fixed point.
    out_of_range : ndarray of bool, (n_graphs,)
        Graphs whose scores are out of the range of the fast kernels.
    own_matrices : bool
        Whether edge ``e`` is the only one with matrix ``e``.
    lanes : tuple
        From `simd.lanes`.
    out : Conditionals
    """
    n_matrices, n_states = len(scores.edge), scores.node.shape[1]
    logs, scratch = np.empty(n_states), np.empty((1, n_states))
    matrices = EdgePotentials(out.psi, out.potts, np.empty(n_matrices), np.empty(n_matrices))
    exponentiate_edges(scores.edge, own_matrices, matrices, lanes)
    number = n_matrices if own_matrices else 2 * n_matrices
    for g in range(len(lists.node_ptr) - 1):
        first = 2 * lists.edge_ptr[g]
        for p in range(lists.node_ptr[g], lists.node_ptr[g + 1]):
            begin, stop = first + np.int64(lists.bounds[p, 0]), first + np.int64(lists.bounds[p, 2])
            if not _log_belief(scores.node[lists.order[p]], log_message, rho, begin, stop, logs):
                out.allowed[g] = False
                break
            for x in range(n_states):
                out.belief[p, x] = np.exp(logs[x])
            for s in range(begin, stop):
                row, flip = scores.edge_matrix[lists.edge[s]], np.int64(lists.flipped[s])
                if out_of_range[g]:
                    _fill_table(s, number, logs, log_message, scores.edge[row], lists.flipped[s], out)
                    number += 1
                else:
                    out.matrix[s] = 2 * row + flip if own_matrices else 2 * (row + flip * n_matrices)
                    _fill_slot(s, logs, log_message, out, scratch, lanes)
