"""A labelling is called optimal where it is, whatever constant, unit or penalty the scores contain.

Scores are multiples of 2**-10, so that constants and powers of two change no comparison of two labellings: the truth
is enumeration of the plain model.
"""

import itertools

import numpy as np
import pytest

from skstruct import Topology
from skstruct.decoding import DECODERS
from skstruct.inference import BACKENDS
from skstruct.scores import Scores, score_labelling

GRAPHS = {
    "triangle": ([(0, 1), (1, 2), (2, 0)], 3),
    "complete": (list(itertools.combinations(range(5), 2)), 5),
    "repeated": ([(0, 1), (1, 2), (2, 0), (0, 1), (2, 1)], 3),
    "two cycles": ([(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 6), (6, 3), (3, 5)], 7),
    "forest": ([(1, 0), (1, 2), (3, 4)], 5),
}


def unchanged(scores):
    return scores


def moved(scores, nodes, edges):
    return scores._replace(node=scores.node + nodes, edge=scores.edge + edges)


def scaled(scores, factor):
    return scores._replace(node=scores.node * factor, edge=scores.edge * factor)


def penalised(scores, penalty):
    """A state of node 0 and a pair of each edge cost `penalty`, which every best labelling avoids."""
    node, edge = scores.node.copy(), scores.edge.copy()
    node[0, 1] = edge[:, 1, 0] = -penalty
    return scores._replace(node=node, edge=edge)


CHANGES = {
    "none": unchanged,
    "1e9 at nodes": lambda s: moved(s, 1e9, 0.0),
    "-1e9 at nodes": lambda s: moved(s, -1e9, 0.0),
    "1e9 at edges": lambda s: moved(s, 0.0, 1e9),
    "1e9 and -1e9": lambda s: moved(s, 1e9, -1e9),
    "1e9 at one node": lambda s: moved(s, 1e9 * (np.arange(len(s.node)) == 1)[:, None], 0.0),
    "tiny": lambda s: scaled(s, 2.0**-60),
    "huge": lambda s: scaled(s, 2.0**60),
    "denormal": lambda s: scaled(s, 2.0**-1062),
    "nearly denormal": lambda s: scaled(s, 2.0**-1020),
}
PENALTIES = {"none": np.inf, "1e6": 1e6, "1e9": 1e9, "1e15": 1e15, "1e30": 1e30}


def random_model(rng, edges, n_nodes, n_states):
    node, edge = (
        rng.integers(-2000, 2000, size=shape) / 1024
        for shape in ((n_nodes, n_states), (len(edges), n_states, n_states))
    )
    return Topology.from_edges(edges, n_nodes), Scores(node, edge)


def enumerated(topology, scores):
    """Highest score of all labellings."""
    n_states = scores.node.shape[1]
    labellings = itertools.product(range(n_states), repeat=topology.n_nodes)
    return max(score_labelling(topology, scores, np.array(labels))[0] for labels in labellings)


def decode(name, topology, scores):
    """By a decoder, or by inference where `name` is that of a backend."""
    if name in DECODERS:
        decoder = DECODERS[name]()
        return decoder.decode(topology, scores) if decoder.accepts(topology, scores).all() else None
    return BACKENDS[name]().plan(topology, scores.node.shape[1]).decode(scores)


NAMES = [*DECODERS, "loopy_bp", "mean_field", "gibbs", "junction_tree"]
SURE = {"auto", "integer_program", "junction_tree"}  # these prove what they find


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("change", CHANGES)
def test_constants_and_units(graph, change):
    rng = np.random.default_rng(len(graph))
    for n_states in (2, 3):
        topology, scores = random_model(rng, *GRAPHS[graph], n_states)
        best, changed = enumerated(topology, scores), CHANGES[change](scores)
        for name in NAMES:
            found = decode(name, topology, changed)
            if found is None:
                continue
            own = score_labelling(topology, scores, found.labels)[0]
            assert own == best or not found.optimal[0], f"{name}, {n_states} states: {own}, not {best}"
            assert found.optimal[0] or name not in SURE, name
            assert found.score[0] == score_labelling(topology, changed, found.labels)[0]
            assert (found.bound[0] > found.score[0]) != found.optimal[0]


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("penalty", PENALTIES)
def test_penalties(graph, penalty):
    rng = np.random.default_rng(len(graph))
    for n_states in (2, 3):
        topology, scores = random_model(rng, *GRAPHS[graph], n_states)
        scores = penalised(scores, np.inf)
        changed = penalised(scores, PENALTIES[penalty])
        best = enumerated(topology, scores)
        for name in NAMES:
            found = decode(name, topology, changed)
            if found is None or not found.optimal[0]:
                assert found is None or name not in SURE, name
                continue
            assert score_labelling(topology, scores, found.labels)[0] == best, f"{name}, {n_states} states"


def frustrated(gap):
    """Three nodes that cannot all differ: the linear bound lies `gap` / 2 above the best labellings."""
    topology = Topology.from_edges([(0, 1), (1, 2), (2, 0)], 3)
    return topology, Scores(np.zeros((3, 2)), -gap * np.eye(2)[None], np.zeros(3, np.int32))


@pytest.mark.parametrize("gap", [1.0, 1e-9, 1e-12, 1e-100])
@pytest.mark.parametrize("constant", [0.0, 1e3, 1e9])
def test_an_open_gap_stays_open(gap, constant):
    """The linear bound of a frustrated triangle is above its best labelling by all of the loss."""
    topology, scores = frustrated(gap)
    scores = scores._replace(node=scores.node + constant)
    for name in ("linear_program", "tree_reweighted", "icm"):
        found = DECODERS[name]().decode(topology, scores)
        assert not found.optimal[0], name
        assert found.bound[0] > found.score[0]
